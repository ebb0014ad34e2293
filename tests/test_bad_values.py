"""Bad values: every entry of the list, given to the library and to the command line."""

import json
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest

from chainrule.preprocessing import TableEncoder
from refusals import (
    FAST,
    LABELS,
    LIBRARY,
    N,
    Truth,
    X,
    command,
    csv,
    encode,
    hold,
    refused,
    without_pictures,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)

# The library -----------------------------------------------------------------------------------


def with_value(value, dtype=float):
    """Return X with `value` in row 3 of the second column."""
    values = X.astype(dtype)
    values[3, 1] = value
    return values


def table(values, **more):
    """Return a frame whose column a holds `values`, beside two columns of numbers."""
    return pd.DataFrame({"a": values, "b": X[:, 1], "c": X[:, 2]} | more)


def repeated(*values):
    return [values[i % len(values)] for i in range(N)]


SOMETIMES = [None if i == 3 else X[i, 0] for i in range(N)]
GAPS = with_value(np.nan)
ARRAY, TABLE = "array", "table"  # what reads a matrix of numbers, and what encodes a table
NUMBER = "expected (numbers|rows of numbers)"

#: entry -> (bad input, what reads it, refusal or truth)
VALUES = {
    "NaN": [(GAPS, ARRAY, "NaN"), (GAPS, TABLE, Truth(table(X[:, 0], b=GAPS[:, 1])))],
    "inf": [
        (with_value(np.inf), ARRAY, "infinity"),
        (with_value(np.inf), TABLE, "infinite.*row 3"),
    ],
    "-inf": [(with_value(-np.inf), ARRAY, "infinity"), (with_value(-np.inf), TABLE, "row 3")],
    **{
        f"{word!r} as missing": [
            (table([word, *X[1:, 0].astype(str)]), ARRAY, NUMBER),
            (table([word, *X[1:, 0].astype(str)]), TABLE, Truth(table([None, *X[1:, 0]]))),
        ]
        for word in ("NA", "null", "?", "-", "")
    },
    "all-missing column": [
        (table([np.nan] * N), ARRAY, "NaN"),
        (table([None] * N), TABLE, Truth(table(X[:, 0])[["b", "c"]])),
    ],
    "constant column": [
        (table([1.0] * N), ARRAY, Truth()),
        (table([1.0] * N), TABLE, Truth(table(X[:, 0])[["b", "c"]])),
    ],
    "int at first and text later": [
        (table(repeated(1, 2, 3, "x")), ARRAY, NUMBER),
        (table(repeated(1, 2, 3, "x")), TABLE, Truth(table(repeated("1", "2", "3", "x")))),
    ],
    "1e308": [
        (with_value(1e308), "MLPRegressor", "diverged: a number that is not finite at update 1"),
        (with_value(1e308), "train", Truth()),  # tanh holds it
        (with_value(1e308), "check_gradients", Truth()),
        (with_value(1e308), TABLE, Truth()),
    ],
    "5e-324": [
        (with_value(5e-324), ARRAY, Truth(with_value(0.0))),
        (with_value(5e-324), TABLE, Truth(with_value(0.0))),
    ],
    "integers beyond 2**53": [
        (np.arange(3 * N).reshape(N, 3) + 2**53 + 1, TABLE,
         Truth([[float(2**53 + 1 + 3 * i + j) for j in range(3)] for i in range(N)])),
        (np.array([[2**53 + 1, 0, i] for i in range(N)]) , ARRAY,
         Truth([[9007199254740992.0, 0.0, i] for i in range(N)])),
        ([[10**400, 1, i] for i in range(N)], ARRAY, "too large"),
        ([[10**400, 1, i] for i in range(N)], TABLE, "infinite"),
    ],
    "bool mixed with 0/1": [
        (np.array([[True, 0, i] for i in range(N)], dtype=object), ARRAY,
         Truth([[1.0, 0.0, i] for i in range(N)])),
        (table(repeated(True, 0, 1, False)), TABLE,
         Truth(table(repeated(True, False, True, False)))),
    ],
    "bool": [(X > 0, ARRAY, Truth((X > 0) * 1.0)), (X > 0, TABLE, Truth((X > 0).tolist()))],
    "complex": [
        (X + 1j, ARRAY, "Complex data"),
        (X + 1j, TABLE, "Complex data"),
        (table([1j] * N), TABLE, "Complex data.*'a'"),
    ],
    "object of mixed types": [
        (table(repeated("u", 1, None)), ARRAY, NUMBER),
        (table(repeated("u", 1, None)), TABLE, Truth(table(repeated("u", "1", None)))),
        (table([{"u": 1}] * N), TABLE, "holds dict"),
        (np.array([[{"u": 1}, 1, 2]] * N), ARRAY, NUMBER),
    ],
    "pd.NA": [
        (table(pd.array(SOMETIMES, dtype="Float64")), ARRAY, "NaN|NAType"),
        (table(pd.array(SOMETIMES, dtype="Float64")), TABLE, Truth(table(SOMETIMES))),
    ],
    "nullable": [
        (table(pd.array(X[:, 0], dtype="Float64")), ARRAY, Truth(X)),
        (table(pd.array(repeated(1, 2, 3), dtype="Int64")), TABLE, Truth(table(repeated(1, 2, 3)))),
    ],
    "Arrow": [
        (table(pd.array(X[:, 0], dtype="double[pyarrow]")), ARRAY, Truth(X)),
        (table(pd.array(SOMETIMES, dtype="double[pyarrow]")), TABLE, Truth(table(SOMETIMES))),
    ],
    "categories with unused levels": [
        (table(pd.Categorical(repeated("u", "v"), ["v", "w", "u"])), ARRAY, NUMBER),
        (table(pd.Categorical(repeated("u", "v"), ["v", "w", "u"])), TABLE,
         Truth(table(repeated("u", "v")))),
    ],
    "dates": [
        (np.full((N, 3), np.datetime64("2020-01-01")), ARRAY, "Dates are no numbers"),
        (table(pd.date_range("2020", periods=N)), ARRAY, "Dates are no numbers"),
        (pl.DataFrame({"a": pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 2, 9), eager=True)}),
         ARRAY, "Dates are no numbers"),
        (np.arange(3 * N).reshape(N, 3).astype("m8[s]"), ARRAY, "Durations are no numbers"),
        (table(pd.date_range("2020", periods=N)), TABLE,
         Truth(table([f"{day:%Y-%m-%d}" for day in pd.date_range("2020", periods=N)]))),
    ],
    "blanks around labels": [
        (table(repeated(" u", "u ", "v")), TABLE, Truth(table(repeated("u", "u", "v")))),
    ],
    "numbers as strings": [
        (X.astype(str), ARRAY, Truth(X)),
        (X.astype(str), TABLE, Truth(X)),
    ],
}  # fmt: skip


def readers(name):
    """Return the functions that stand for what reads the input, by name."""
    if name == ARRAY:
        return LIBRARY
    return {"TableEncoder": encode} if name == TABLE else {name: LIBRARY[name]}


@pytest.mark.parametrize(
    ("function", "bad", "expected"),
    [
        pytest.param(function, bad, expected, id=f"{entry}-{name}-{number}")
        for entry, cases in VALUES.items()
        for number, (bad, reader, expected) in enumerate(cases)
        for name, function in readers(reader).items()
        if not (entry.startswith("integers") and name == "check_gradients")
    ],
)
def test_library(function, bad, expected):
    hold(function, bad, expected)


def test_unseen_category_at_predict_is_as_missing_and_counted():
    encoder = TableEncoder().fit(table(repeated("u", "v", None)))
    unseen, gap = table(repeated("u", "new")), table(repeated("u", None))
    assert encoder.count_unseen(unseen) == {"a": N // 2}
    np.testing.assert_array_equal(encoder.transform(unseen), encoder.transform(gap))


def test_a_category_with_100_000_levels_stays_small():
    levels = [f"level {i}" for i in range(100_000)]
    frame = pl.DataFrame({"a": ["often"] * 50_000 + levels, "b": range(150_000)})
    encoder = TableEncoder(max_levels=50, drop_ids=False).fit(frame)
    assert len(encoder.get_feature_names_out()) <= 52
    assert any("levels" in note for note in encoder.notes_)
    assert TableEncoder().fit(frame[50_000:]).notes_ == [
        "column 'a' dropped: it looks like an id, with hardly a value twice"
    ]


def test_predictions_that_are_not_finite_are_refused():
    from chainrule import MLPRegressor

    model = MLPRegressor(hidden_layer_sizes=(3,), max_iter=2, random_state=0).fit(X, X[:, 0])
    model.coefs_[0][:] = 1e5
    with pytest.raises(ValueError, match=r"prediction for row 3 .* not a finite.*scale"):
        model.predict(np.where(np.arange(N)[:, None] == 3, 1.7e308, X))


# The command line ------------------------------------------------------------------------------

NUMBERS = [round(float(x), 3) for x in X[:, 0]]
WORDS = {"a": NUMBERS, "c": repeated("u", "v", "w"), "f": repeated("true", "false"),
         "d": [f"2020-01-{i % 28 + 1:02d}" for i in range(N)],
         "y": ["yes" if label else "no" for label in LABELS]}  # fmt: skip


def at_row_3(value, column="a"):
    return {column: [value if i == 3 else each for i, each in enumerate(WORDS[column])]}


ONE = at_row_3
INFINITE = r"column 'a' holds infinite numbers: 1, the first in row 3 .*replace"
OTHER_KIND = "column 'a' held numbers .*holds text.*give it the same kind"

#: entry -> (columns as they stand in the file, what `train` makes of them, what the others do);
#: a truth is what should have stood there, and None leaves the command out
FILES = {
    "NaN": (ONE("NaN"), Truth(ONE("")), Truth(ONE(""))),
    "inf": (ONE("inf"), INFINITE, INFINITE),
    "-inf": (ONE("-inf"), INFINITE, INFINITE),
    **{f"{word!r} as missing": (ONE(word), Truth(ONE("N/A")), Truth(ONE("N/A")))
       for word in ("NA", "null", "?", "-", "")},
    "all-missing column": ({"a": ["NA"] * N}, "column 'a' dropped: every value is missing",
                           Truth({"a": [""] * N})),
    "constant column": ({"a": [1] * N}, "column 'a' dropped: every value is the same",
                        Truth({"a": ["1.0"] * N})),
    "int at first and text later": ({"a": repeated(1, 2, 3, 1, "x")},
                                    Truth({"a": repeated("A1", "A2", "A3", "A1", "x")}),
                                    OTHER_KIND),
    "1e308": (ONE("1e308"), Truth(), Truth(ONE("1e300"))),
    "5e-324": (ONE("5e-324"), Truth(ONE("0")), Truth(ONE("0"))),
    "integers beyond 2**53": ({"a": [2**53 + 1 + i for i in range(N)]},
                              Truth({"a": [float(2**53 + 1 + i) for i in range(N)]}),
                              Truth({"a": [float(2**53 + 1 + i) for i in range(N)]})),
    "bool mixed with 0/1": ({"f": repeated("true", "0", "1", "false")},
                            Truth({"f": repeated("true", "false", "true", "false")}),
                            Truth({"f": repeated("true", "false", "true", "false")})),
    "complex": (ONE("1+2j"), Truth(), OTHER_KIND),
    "object of mixed types": (ONE("2020-01-01"), Truth(), OTHER_KIND),
    "dates": ({"d": [f"{day}T00:00:00" for day in WORDS["d"]]}, Truth({}), Truth({})),
    "unseen category at predict": (ONE("new", "c"), None, Truth(ONE("", "c"))),
    "blanks around labels": ({"c": repeated(" u", "v ", " w ")}, Truth({}), Truth({})),
    "numbers as strings": ({"a": [f'"{a}"' for a in NUMBERS]}, Truth({}), Truth({})),
    "true/false at first and text later": (ONE("2", "f"), Truth(), "true/false .*such as '2'"),
    "dates at first and text later": (ONE("soon", "d"), Truth(), "dates .*such as 'soon'"),
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The path of a model that was trained on WORDS."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "t.csv").write_text(csv(WORDS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["chainrule", "train", str(folder / "t.csv"), "--target", "y",
                                   "-o", str(folder / "m.chainrule"), "--json", *FAST])  # fmt: skip
        from chainrule import cli

        with pytest.raises(SystemExit):
            cli.main()
    return folder / "m.chainrule"


def answer(monkeypatch, capsys, name, columns, trained):
    """Return what a command makes of WORDS with these columns in place of its own."""
    with open("t.csv", "w") as file:
        file.write(csv(WORDS | columns))
    words = {
        "train": ["train", "t.csv", "--target", "y", "-o", "m.chainrule", "--json", *FAST],
        "predict": ["predict", trained, "t.csv"],
        "evaluate": ["evaluate", trained, "t.csv", "--json"],
        "check": ["check", trained, "t.csv", "--json"],
    }[name]
    return command(monkeypatch, capsys, *words)


def facts(name, out):
    """Return what two runs on the same values have in common."""
    if name == "predict":
        return [row.split(",")[-3:] for row in out.splitlines()]
    told = json.loads(out)
    return {key: told[key] for key in told if key in ("scores", "sizes", "passed", "layers")}


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        pytest.param(entry, name, id=f"{entry}-{name}")
        for entry, (_, on_train, _) in FILES.items()
        for name in ("train", "predict", "evaluate", "check")
        if not (on_train is None and name == "train")
    ],
)
def test_command_line(entry, name, monkeypatch, capsys, tmp_path, trained):
    monkeypatch.chdir(tmp_path)
    without_pictures(monkeypatch)
    columns, on_train, on_use = FILES[entry]
    expected = on_train if name == "train" else on_use
    given = answer(monkeypatch, capsys, name, columns, trained)
    if isinstance(expected, str) and "dropped" not in expected:
        refused(given, expected)
        assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
        return
    code, out, err = given
    assert code == 0, err
    assert "nan" not in err
    if isinstance(expected, str):
        assert any(re.search(expected, note) for note in json.loads(out)["notes"])
    elif expected.value is not None:
        for path in tmp_path.glob("m*"):
            path.rename(tmp_path / f"first-{path.name}")
        truth = answer(monkeypatch, capsys, name, expected.value, trained)
        assert facts(name, out) == facts(name, truth[1])


def test_unseen_categories_are_counted(monkeypatch, capsys, tmp_path, trained):
    monkeypatch.chdir(tmp_path)
    columns = {"c": repeated("new", "v")}
    _, _, err = answer(monkeypatch, capsys, "predict", columns, trained)
    assert err == f"column 'c': {N // 2} values never seen in training\n"
    _, out, _ = answer(monkeypatch, capsys, "evaluate", columns, trained)
    assert json.loads(out)["notes"] == [err.strip()]


@pytest.mark.parametrize(
    ("series", "truth"),
    [
        pytest.param(pl.Series(repeated("u", "v"), dtype=pl.Enum(["w", "v", "u"])),
                     repeated("u", "v"), id="categories with unused levels"),
        pytest.param(pl.Series(SOMETIMES), SOMETIMES, id="nullable and Arrow"),
        pytest.param(pl.Series(repeated(1, None, 3)), repeated(1.0, None, 3.0), id="pd.NA"),
    ],
)  # fmt: skip
def test_parquet(series, truth, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    without_pictures(monkeypatch)
    told = []
    for name, values in (("given", series), ("truth", pl.Series(truth))):
        pl.DataFrame({"a": values, "b": X[:, 1], "y": LABELS}).write_parquet(f"{name}.parquet")
        words = ("train", f"{name}.parquet", "--target", "y", "--json", *FAST)
        code, out, _ = command(monkeypatch, capsys, *words)
        assert code == 0
        told.append(facts("train", out))
    assert told[0] == told[1]


def test_a_file_category_with_100_000_levels(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    rows = 100_000
    columns = {"a": [f"level {i}" for i in range(rows)], "b": range(rows)}
    (tmp_path / "t.csv").write_text(csv(columns | {"y": ["no", "yes"] * (rows // 2)}))
    words = ("--epochs", "1", "--hidden", "", "--batch-size", "5000", "--json")
    code, out, _ = command(monkeypatch, capsys, "train", "t.csv", "--target", "y", *words)
    assert code == 0
    assert any("'a' dropped: it looks like an id" in note for note in json.loads(out)["notes"])
