"""Bad targets: every entry of the list, given to the library and to the command line."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.exceptions import DataConversionWarning

from chainrule import MLPClassifier, MLPRegressor
from refusals import (
    FAST,
    LABELS,
    LIBRARY,
    NUMBERS,
    N,
    Truth,
    X,
    check_network,
    command,
    csv,
    hold,
    refused,
    train_network,
    without_pictures,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:The number of unique classes:UserWarning"),
]

CLASSIFIER, REGRESSOR = "MLPClassifier", "MLPRegressor"
ARRAYS = ("train", "check_gradients")  # what takes Y (n, outputs)
LONG = np.where(LABELS, "a" * 10_000, "b" * 10_000)
GAP = np.where(np.arange(N) == 3, np.nan, NUMBERS)
ONE_ROW = (np.arange(N) == 3) * 1


ODD = (
    lambda y: y[::-1],  # negative strides
    lambda y: y.astype(y.dtype.newbyteorder(">")),
    lambda y: y.astype(np.float16),
    lambda y: y.astype(np.longdouble),
    lambda y: np.ma.masked_array(y),
    lambda y: np.frombuffer(y.tobytes(), y.dtype),  # read-only
)


def column(y):
    return np.asanyarray(y)[:, None]


def classes(*values):
    """Return these values as the two labels of LABELS."""
    return [values[label] for label in LABELS]


#: entry -> (target, who reads it, refusal or truth)
TARGETS = {
    "missing": [(None, (CLASSIFIER, REGRESSOR), "requires y"), (None, ARRAYS, "Y has shape")],
    "NaN in it": [
        (GAP, (CLASSIFIER, REGRESSOR), "y contains NaN; drop the rows"),
        (column(GAP), ARRAYS, r"Y holds NaN or infinity \(first in row 3\); fill or drop"),
        (np.array([*["u", "v"] * 19, "u", None], dtype=object), (CLASSIFIER,), "NaN or None"),
        (pd.Series([*["u", "v"] * 19, "u", None]), (CLASSIFIER,), "drop such rows"),
        (pd.array([*[True, False] * 19, True, None], dtype="boolean"), (CLASSIFIER,), "NaN"),
        (np.where(np.arange(N) == 3, np.inf, NUMBERS), (REGRESSOR,), "infinity.*drop"),
        (np.ma.masked_array(NUMBERS, np.arange(N) == 3), (REGRESSOR,), "1 masked entries"),
        (np.ma.masked_array(LABELS, np.arange(N) == 3), (CLASSIFIER,), "1 masked entries"),
    ],
    "one class": [
        (np.zeros(N, dtype=int), (CLASSIFIER,), Truth()),
        (["yes"] * N, (CLASSIFIER,), Truth()),
        (np.zeros(N), (REGRESSOR,), Truth()),
    ],
    "a class with one row": [(ONE_ROW, (CLASSIFIER,), Truth())],
    "nothing but unique classes": [
        (np.arange(N), (CLASSIFIER,), Truth()),
        (NUMBERS, (CLASSIFIER,), "Unknown label type: continuous.*take MLPRegressor"),
    ],
    "float labels 0.0/1.0": [(LABELS * 1.0, (CLASSIFIER,), Truth(LABELS))],
    "labels -1/1": [(classes(-1, 1), (CLASSIFIER,), Truth(LABELS))],
    "bool": [
        (LABELS > 0, (CLASSIFIER, REGRESSOR), Truth(LABELS)),
        (column(LABELS > 0), ARRAYS, Truth(column(LABELS))),
    ],
    "bytes": [
        (np.array(classes(b"no", b"yes")), (CLASSIFIER,), "bytes is not supported. Convert"),
        (np.array(classes(b"no", b"yes")), (REGRESSOR,), "y cannot be read as numbers"),
    ],
    "long strings": [
        (LONG, (CLASSIFIER,), Truth(1 - LABELS)),
        (LONG, (REGRESSOR,), "y cannot be read as numbers.*for classes take MLPClassifier"),
        (column(LONG), ARRAYS, "Y cannot be read as numbers"),
    ],
    "emoji": [(classes("🐠", "🐧"), (CLASSIFIER,), Truth(LABELS))],
    "integers beyond 2**53": [(classes(2**53, 2**53 + 1), (CLASSIFIER,), Truth(LABELS))],
    "labels of mixed type": [
        (classes("a", 1), (CLASSIFIER,), "mixes labels of the types int, str.*text"),
        (np.array(classes("a", 1), dtype=object), (CLASSIFIER,), "mixes labels"),
        (np.array(classes(False, 1), dtype=object), (CLASSIFIER,), "Unknown label type"),
    ],
    "shape (n, 0)": [
        (np.zeros((N, 0)), (CLASSIFIER, REGRESSOR), r"shape=\(40, 0\).*give at least one"),
        (np.zeros((N, 0)), ARRAYS, "Y has 0 columns; expected 1"),
    ],
    "shape 3-D": [
        (np.zeros((N, 2, 2)), (CLASSIFIER, REGRESSOR), "dim 3.*reshape"),
        (np.zeros((N, 2, 2)), ARRAYS, r"Y has shape \(40, 2, 2\)"),
    ],
    "shape (n,) for the network": [(NUMBERS, ARRAYS, r"shape \(40,\).*np.reshape\(Y, \(-1, 1\)\)")],
    "two columns that are no labels": [
        (np.c_[LABELS, 2 * LABELS], (CLASSIFIER,), r"shape \(40, 2\); expected \(n,\) classes"),
    ],
    "multilabel with an all-zero row": [
        (np.c_[LABELS, 1 - ONE_ROW] * (1 - ONE_ROW)[:, None], (CLASSIFIER,), Truth()),
        (sparse.csr_array(np.c_[LABELS, 1 - LABELS]), (CLASSIFIER,),
         Truth(np.c_[LABELS, 1 - LABELS])),
        (sparse.csr_array(np.c_[LABELS, 1 - LABELS]), (REGRESSOR,), r"y.toarray\(\)"),
        (sparse.csr_array(column(LABELS)), ARRAYS, r"Y.toarray\(\)"),
    ],
    "complex": [
        (NUMBERS + 1j, (CLASSIFIER, REGRESSOR), "Complex data not supported: y"),
        (column(NUMBERS + 1j), ARRAYS, "Complex data not supported: Y"),
    ],
    "dates": [
        (np.datetime64("2020-01-01") + np.arange(N), (REGRESSOR,), "Dates are no numbers"),
        (column(np.arange(N).astype("m8[s]")), ARRAYS, "Durations are no numbers"),
    ],
    "nullable": [(pd.array(LABELS, dtype="Int64"), (CLASSIFIER, REGRESSOR), Truth(LABELS))],
    "categories with unused levels": [
        (pd.Series(pd.Categorical(classes("u", "v"), ["v", "w", "u"])), (CLASSIFIER,),
         Truth(LABELS)),
    ],
    "numbers as strings": [(NUMBERS.astype(str), (REGRESSOR,), Truth(NUMBERS))],
    "1e200": [
        (NUMBERS * 1e200, (REGRESSOR,), "diverged: .*update 1.*scaled inputs and targets"),
        (column(NUMBERS * 1e200), ("train",), "diverged"),
        (column(NUMBERS * 1e200), ("check_gradients",), "not finite"),
    ],
    "odd arrays of numbers": [
        *((make(NUMBERS), (REGRESSOR,), Truth(make(NUMBERS).astype(float))) for make in ODD),
        *((column(make(NUMBERS)), ARRAYS, Truth(column(make(NUMBERS)).astype(float)))
          for make in ODD),
        (np.asmatrix(column(NUMBERS)), (REGRESSOR, CLASSIFIER), "np.matrix is not supported"),
        (np.asmatrix(column(NUMBERS)), ARRAYS, Truth(column(NUMBERS))),
        (NUMBERS.tolist(), (REGRESSOR,), Truth(NUMBERS)),
        (pd.Series(NUMBERS, np.arange(N)[::-1]), (REGRESSOR,), Truth(NUMBERS)),
        (np.asfortranarray(np.c_[NUMBERS, X]), (REGRESSOR,), Truth(np.c_[NUMBERS, X])),
        (NUMBERS * np.longdouble("1e4000"), (REGRESSOR,), "y holds -inf and inf.*divide"),
    ],
    "odd arrays of labels": [
        *((make(LABELS), (CLASSIFIER,), Truth(make(LABELS).astype(int))) for make in ODD),
        (LABELS.astype("u1"), (CLASSIFIER,), Truth(LABELS)),
        (pl.Series(LABELS.astype(str)), (CLASSIFIER,), Truth(LABELS)),
        (pd.Series(LABELS.astype(str), dtype="string[pyarrow]"), (CLASSIFIER,), Truth(LABELS)),
        (LABELS.astype(object), (CLASSIFIER,), r"give y.astype\(int\); text, y.astype\(str\)"),
    ],
    "one value": [
        (3.0, (CLASSIFIER, REGRESSOR), "give y as one value, or a row of them, per row of X"),
        (3.0, ARRAYS, r"Y has shape \(\); expected two dimensions"),
    ],
    "lengths that differ": [
        (NUMBERS[:39], (REGRESSOR,), r"\[40, 39\]; give as many rows"),
        (column(NUMBERS[:39]), ARRAYS, "39"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "target", "expected"),
    [
        pytest.param(name, target, expected, id=f"{entry}-{name}-{number}")
        for entry, cases in TARGETS.items()
        for number, (target, names, expected) in enumerate(cases)
        for name in names
    ],
)
def test_library(name, target, expected):
    hold(lambda y: LIBRARY[name](X, y), target, expected)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("form", [column, lambda y: pd.DataFrame({"y": y})])
def test_a_column_of_targets_warns(form, kind):
    settings = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0}
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        given = kind(**settings).fit(X, form(LABELS))
    truth = kind(**settings).fit(X, LABELS)
    np.testing.assert_array_equal(given.coefs_[0], truth.coefs_[0])


@pytest.mark.parametrize("read", [train_network, check_network], ids=["train", "check_gradients"])
def test_counts_below_zero_for_poisson(read):
    hold(
        lambda Y: read(X, Y, loss="poisson"), column(NUMBERS),
        rf"target {NUMBERS[NUMBERS < 0][0]:g} in row \d+ lies outside \[0, inf\], where Poisson",
    )  # fmt: skip


def test_counts_below_zero_for_poisson_in_the_regressor():
    with pytest.raises(ValueError, match=r"outside \[0, inf\]"):
        MLPRegressor("poisson", max_iter=2).fit(X, NUMBERS)


@pytest.mark.parametrize(
    ("y", "options", "words"),
    [
        (LABELS + 1, {}, "y holds class 2, .* known classes .0, 1.; name all in partial_fit"),
        (LABELS, {"classes": [0, 2]}, "y holds class 1"),
        (LABELS, {"classes": [0]}, "y holds class 1, .* known classes .0.;"),
        (LABELS, {"classes": [0, 1, np.nan]}, "classes contains NaN"),
        (LABELS, {"classes": [0, 1, "a"]}, "classes mixes labels"),
    ],
)
def test_a_new_class_in_partial_fit(y, options, words):
    model = MLPClassifier((3,), random_state=0)
    if not options:
        model.partial_fit(X, LABELS)
    with pytest.raises(ValueError, match=words) as error:
        model.partial_fit(X, y, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        pytest.param(ONE_ROW, "least populated class.*give more rows", id="a class with one row"),
        pytest.param(np.arange(N), "least populated class", id="unique classes"),
    ],
)
def test_a_stratified_split(y, words):
    hold(lambda y: LIBRARY[CLASSIFIER](X, y, early_stopping=True), y, words)


@pytest.mark.parametrize("scale", [1e-308, 1e-200, 1e200, 1e306])
def test_scaled_targets_of_any_size_give_the_same_model(scale):
    """A power of two would be exact; one of ten rounds."""
    fits = [
        MLPRegressor(
            hidden_layer_sizes=(3,), scale_y="standard", max_iter=2, random_state=0
        ).fit(X, NUMBERS * factor)
        for factor in (1.0, scale)
    ]  # fmt: skip
    np.testing.assert_allclose(
        fits[1].predict(X) / scale, fits[0].predict(X), rtol=1e-6 if scale > 1e-300 else 0.1
    )


def test_targets_too_far_apart():
    with pytest.raises(ValueError, match=r"y holds -1.7e\+308 and 1.7e\+308.*divide"):
        MLPRegressor(scale_y="standard").fit(X, [1.7e308] + [-1.7e308] * (N - 1))


# The command line ------------------------------------------------------------------------------

WORDS = classes("no", "yes")
TRUTH = Truth({})
A = [round(float(x), 3) for x in X[:, 0]]


def target(*values):
    return {"y": classes(*values)}


#: entry -> (columns of the file, what `train` makes of them, more options)
FILES = {
    "missing column": ({}, r"no column 'price' in the table\. Columns: a, b, y", "--target price"),
    "misspelt column": ({}, "no column 'Yy' .*did you mean 'y'", "--target Yy"),
    "also among the features": ({"y ": WORDS}, "'y' stands 2 times .*rename one"),
    "NaN in it": ({"y": [*WORDS[:35], "", "NA", "?", "-", "NaN"]}, "5 rows without target 'y'"),
    "NaN in all of it": ({"y": [""] * N}, "target 'y' is empty in all 40 rows"),
    "inf in it": ({"y": [*A[1:], "inf"]}, "target 'y' holds infinite values; replace or drop"),
    "one class": ({"y": ["a"] * N}, "target 'y' is 'a' in every row.*choose another column"),
    "one number": ({"y": [1.5] * N}, "target 'y' is 1.5 in every row"),
    "a class with one row": ({"y": ["a", *["b"] * 39]}, "class 'a' .* one row.*drop or merge it"),
    "a class with one row, no split": ({"y": ["a", *["b"] * 39]}, Truth(), "--validation 0"),
    "nothing but unique classes": ({"y": [f"u{i}" for i in range(N)]}, "too many to be classes"),
    "unique numbers as classes": ({"y": range(N)}, "40 different values", "--task class"),
    "text as numbers": ({}, "holds text such as '(yes|no)'; expected numbers", "--task number"),
    "float labels 0.0/1.0": (target("0.0", "1.0"), Truth(target(0, 1))),
    "fractions as classes": (target(0.25, 0.5), Truth(target("q", "r")), "--task class"),
    "labels -1/1": (target(-1, 1), Truth(target(0, 1))),
    "bool": (target("false", "true"), Truth(target("a", "b"))),
    "long strings": (target("a" * 5000, "b" * 5000), Truth(target("a", "b"))),
    "emoji": (target("🐠", "🐧"), Truth(target("a", "b"))),
    "labels with blanks": ({"y": [[" no", "yes "][label] for label in LABELS]}, TRUTH),
    "integers beyond 2**53": (target(2**53, 2**53 + 1), Truth(target(0, 1))),
    "integers beyond 2**64": (target(2**64, 2**64 + 1), Truth(target("a", "b"))),
    "labels of mixed type": (target("a", 1), Truth(target("b", "a"))),
    "dates": ({"y": [f"2020-01-{i % 28 + 1:02d}" for i in range(N)]}, "holds dates"),
    "1e308": ({"y": [x * 1e307 for x in A]}, Truth()),
    "5e-324": (target("0", "5e-324"), Truth(), "--task number"),
    "no other column": (None, "no column but 'y'; expected some to learn from"),
}  # fmt: skip


def run(monkeypatch, capsys, columns, options=""):
    table = {"y": WORDS} if columns is None else {"a": A, "b": X[:, 1], "y": WORDS} | columns
    with open("t.csv", "w", encoding="utf-8") as file:
        file.write(csv(table))
    options = options.split() if "--target" in options else ["--target", "y", *options.split()]
    return command(monkeypatch, capsys, "train", "t.csv", "-o", "m.chainrule", "--json",
                   "--force", *FAST, *options)  # fmt: skip


@pytest.mark.parametrize("entry", FILES)
def test_train(entry, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    columns, expected, *options = FILES[entry]
    if entry not in ("emoji", "long strings", "1e308", "5e-324"):  # which are hard to draw
        without_pictures(monkeypatch)
    given = run(monkeypatch, capsys, columns, *options)
    if isinstance(expected, str) and "rows without" not in expected:
        refused(given, expected)
        assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
        return
    code, out, err = given
    assert code == 0, err
    told = json.loads(out)
    assert all(value is not None for value in told["scores"].values())
    if isinstance(expected, str):
        assert any(expected in note for note in told["notes"])
    elif expected.value is not None:
        truth = json.loads(run(monkeypatch, capsys, expected.value, *options)[1])
        assert told["task"] == truth["task"] == "class"
        assert told["scores"] == pytest.approx(truth["scores"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Paths of a model of classes and of a model of numbers."""
    from chainrule.settings import Settings
    from chainrule.tables import read_table
    from chainrule.tabular import train_table

    folder, paths = tmp_path_factory.mktemp("trained"), []
    for name, y in (("class", WORDS), ("number", NUMBERS)):
        (folder / "t.csv").write_text(csv({"a": A, "b": X[:, 1], "y": y}))
        model = train_table(read_table(folder / "t.csv"), "y", Settings(epochs=2, hidden=(4,)))
        model.save(folder / f"{name}.chainrule")
        paths.append(folder / f"{name}.chainrule")
    return paths


#: entry -> (columns, what evaluate and check make of them with each model)
MEASURED = {
    "missing column": ({"y": None}, [r"no column 'y'.*Columns: a, b"] * 2),
    "misspelt column": ({"y": None, "Y": WORDS}, ["did you mean 'Y'"] * 2),
    "NaN in it": ({"y": ["no", *[""] * 39]}, [Truth(), "holds text such as 'no'"]),
    "NaN in all of it": ({"y": [""] * N}, ["empty in all 40 rows"] * 2),
    "one class": ({"y": ["yes"] * N}, [Truth(), "holds text such as 'yes'"]),
    "one number": ({"y": [1] * N}, ["holds '1', which the model does not know", Truth()]),
    "unique numbers": ({"y": NUMBERS}, ["which the model does not know; known classes", Truth()]),
    "a new class": ({"y": [*WORDS[1:], "new"]}, ["holds 'new', .*known classes: no, yes", None]),
    "inf": ({"y": ["inf", *[1] * 39]}, ["infinite values; replace or drop"] * 2),
    "dates": ({"y": ["2020-01-01"] * N}, ["dates or durations"] * 2),
}  # fmt: skip


@pytest.mark.parametrize("name", ["predict", "evaluate", "check"])
@pytest.mark.parametrize("kind", [0, 1], ids=["class", "number"])
@pytest.mark.parametrize("entry", MEASURED)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_a_trained_model(entry, kind, name, trained, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    columns, expected = MEASURED[entry][0], MEASURED[entry][1][kind]
    table = {"a": A, "b": X[:, 1], "y": WORDS} | columns
    (tmp_path / "t.csv").write_text(csv({k: v for k, v in table.items() if v is not None}))
    result = command(monkeypatch, capsys, name, trained[kind], "t.csv")
    if isinstance(expected, str) and name != "predict":  # which does not look at the target
        refused(result, expected)
    elif expected is not None:
        assert result[0] == 0, result[2]
        assert result[2] == ""
