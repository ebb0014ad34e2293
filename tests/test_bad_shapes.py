"""Bad shapes, weights and parameters: every entry, for the library and for the command line."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse

from chainrule import (
    SGD,
    Adam,
    MLPClassifier,
    MLPRegressor,
    Network,
    arrays,
    check_gradients,
    memory,
)
from chainrule.preprocessing import TableEncoder
from refusals import (
    LABELS,
    LIBRARY,
    N,
    Truth,
    X,
    command,
    csv,
    encode,
    fit_classifier,
    hold,
    network,
    refused,
    train_network,
    without_pictures,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)

# Shapes ----------------------------------------------------------------------------------------

ALL = {**LIBRARY, "TableEncoder": encode}
POSITIVE = X * (X > 0)


def csr64():
    matrix = sparse.csr_array(POSITIVE)
    matrix.indices, matrix.indptr = matrix.indices.astype("i8"), matrix.indptr.astype("i8")
    return matrix


def memory_map(folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


def twice():
    """Return a COO matrix in which every entry is the sum of two."""
    rows, columns = np.indices(X.shape).reshape(2, -1)
    halves = np.tile(X.ravel() / 2, 2)
    return sparse.coo_array((halves, (np.tile(rows, 2), np.tile(columns, 2))), shape=X.shape)


#: entry -> (matrix, refusal or truth, the encoder's if it differs)
SHAPES = {
    "1-D": (X[:, 0], r"(1D array|shape \(40,\)).*reshape"),
    "3-D": (X[:, :, None], r"dim 3.*reshape|shape \(40, 3, 1\)"),
    "scalar": (3.0, r"scalar|shape \(\)"),
    "no rows": (X[:0], "0 sample|no rows"),
    "no columns": (X[:, :0], "0 feature|0 columns"),
    "ragged": ([[1.0, 2.0], [3.0]], "length"),
    "records": (np.zeros(N, dtype=[("a", float)]), "Records|1D array"),
    "lengths that differ": (X[:39], "39", Truth()),
    **{
        f"sparse {kind}": (sparse.csr_array(POSITIVE).asformat(kind), Truth(POSITIVE), "toarray")
        for kind in ("csr", "csc", "coo", "bsr", "lil", "dok", "dia")
    },
    "sparse int64 indices": (csr64(), Truth(POSITIVE), "toarray"),
    "sparse with repeated entries": (twice(), Truth(X), "toarray"),
    "sparse matrix": (sparse.csr_matrix(POSITIVE), Truth(POSITIVE), "toarray"),
    "sparse NaN": (sparse.csr_array(np.where(X > 2, np.nan, 0)), "NaN", "toarray"),
    "Fortran order": (np.asfortranarray(X), Truth(X)),
    "negative strides": (X[::-1, ::-1], Truth(X[::-1, ::-1].copy())),
    "read-only memory map": (memory_map, Truth(X)),
    "big-endian": (X.astype(">f8"), Truth(X)),
    "big-endian integers": ((X * 9).astype(">i4"), Truth((X * 9).astype(int) * 1.0)),
    "float16": (X.astype("f2"), Truth(X.astype("f2").astype(float))),
    "long double": (X.astype(np.longdouble), Truth(X)),
    "long double beyond float64": (X * np.longdouble("1e4000"), "infinit"),
    "masked array": (np.ma.masked_array(X, X > 1), "masked entries.*filled",
                     Truth(np.where(X > 1, np.nan, X))),
    "masked array without a mask": (np.ma.masked_array(X), Truth(X)),
    "np.matrix": (np.asmatrix(X), "np.matrix is not supported"),
}  # fmt: skip


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("entry", SHAPES)
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_library(entry, name, tmp_path):
    bad, expected, *encoders = SHAPES[entry]
    bad = bad(tmp_path) if callable(bad) else bad
    if encoders and name == "TableEncoder":
        expected = encoders[0]
    if entry == "np.matrix" and name in ("train", "check_gradients"):
        expected = Truth(X)  # read as the array that it is
    hold(ALL[name], bad, expected)


@pytest.fixture(scope="module")
def fitted():
    """Return what predicts, by name."""
    settings = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0}
    return {
        "MLPRegressor": MLPRegressor(**settings).fit(X, X[:, 0]).predict,
        "MLPClassifier": MLPClassifier(**settings).fit(X, LABELS).predict_proba,
        "Network": network().predict,
    }


@pytest.mark.parametrize("name", ["MLPRegressor", "MLPClassifier", "Network"])
@pytest.mark.parametrize("entry", SHAPES)
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_predictions_of_every_form(entry, name, fitted, tmp_path):
    bad, expected, *_ = SHAPES[entry]
    bad = bad(tmp_path) if callable(bad) else bad
    if entry == "lengths that differ":  # from those of nothing
        expected = Truth()
    if entry == "np.matrix" and name == "Network":
        expected = Truth(X)
    hold(fitted[name], bad, expected)


FRAME = pd.DataFrame(X, columns=["a", "b", "c"])

#: entry -> (table to predict on, regressor's refusal or truth, encoder's)
PREDICTED = {
    "another width": (
        X[:, :2],
        "has 2 features.*; give the columns that it was fitted with",
        "has 2 features",
    ),
    "other order": (FRAME[["b", "c", "a"]], "same order", Truth(FRAME)),
    "missing column name": (FRAME[["a", "b"]], "now missing:\n- c", "lacks column 'c'. Give"),
    "misspelt column name": (FRAME.rename(columns={"a": "aa"}), "unseen", "did you mean 'aa'"),
    "extra column name": (FRAME.assign(d=1), "unseen at fit time:\n- d", Truth(FRAME)),
    "NaN": (FRAME.where(FRAME < 2), "NaN; fill or drop", None),
    "masked": (np.ma.masked_array(X, X > 1), "masked entries", None),
    "dates": (np.full(X.shape, np.datetime64("2020")), "Dates are no numbers", None),
    "no rows": (FRAME[:0], "0 sample", "0 sample"),
}


@pytest.mark.parametrize("entry", PREDICTED)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
def test_predict(entry):
    bad, *expected = PREDICTED[entry]
    model = MLPRegressor(hidden_layer_sizes=(3,), max_iter=2, random_state=0).fit(FRAME, X[:, 0])
    encoder = TableEncoder().fit(FRAME)
    for function, words in zip((model.predict, encoder.transform), expected, strict=True):
        if isinstance(words, str):
            with pytest.raises(ValueError, match=words):
                function(bad)
        elif words is not None:
            np.testing.assert_array_equal(function(bad), function(words.value))


def test_a_network_of_another_width():
    with pytest.raises(ValueError, match="X has 2 columns; expected 3"):
        network().predict(X[:, :2])
    with pytest.raises(ValueError, match=r"the trace has Z .*trace = network.forward\(X\)"):
        network().backward(Network([3, 5, 1]).forward(X), np.zeros((N, 1)))
    with pytest.raises(ValueError, match=r"trace is a ndarray; expected what `forward` returns"):
        network().backward(X, np.zeros((N, 1)))


# Weights ---------------------------------------------------------------------------------------

RISING = np.arange(1.0, N + 1)
WEIGHTS = {
    "all zero": (np.zeros(N), "all weights are zero"),
    "negative": (-np.ones(N), "negative, NaN or infinite"),
    "NaN": (np.full(N, np.nan), "negative, NaN or infinite"),
    "inf": (np.full(N, np.inf), "negative, NaN or infinite"),
    "wrong length": (np.ones(39), r"shape \(39,\); expected \(40,\)"),
    "2-D": (np.ones((N, 1)), r"shape \(40, 1\); expected \(40,\)"),
    "scalar": (2.0, r"shape \(\)"),
    "text": (["a"] * N, "cannot be read as numbers.*one number per row"),
    "complex": (np.ones(N) * 1j, "Complex data"),
    "dates": (np.full(N, np.datetime64("2020")), "Dates"),
    "masked": (np.ma.masked_array(np.ones(N), np.arange(N) == 2), "1 masked entries"),
    "sum beyond float64": (np.full(N, 1e308), "sum of the weights is inf.*scale"),
    "too small to divide by": (np.full(N, 5e-324), "scale them"),
    "bool": (LABELS > 0, Truth(LABELS * 1.0)),
    "integers": (LABELS, Truth(LABELS * 1.0)),
    "one row": (np.arange(N) == 3, Truth((np.arange(N) == 3) * 1.0)),
    "list": (RISING.tolist(), Truth(RISING)),
    "negative strides": (RISING[::-1], Truth(RISING[::-1].copy())),
    "big-endian": (RISING.astype(">f8"), Truth(RISING)),
    "float16": (RISING.astype("f2"), Truth(RISING)),
    "long double": (RISING.astype(np.longdouble), Truth(RISING)),
    "pandas, whatever its index": (pd.Series(RISING, np.arange(N)[::-1]), Truth(RISING)),
    "polars": (pl.Series(RISING), Truth(RISING)),
    "objects": (RISING.astype(object), Truth(RISING)),
    "numbers as strings": (RISING.astype(str), Truth(RISING)),
    "a gap": ([None] + [1] * (N - 1), "negative, NaN or infinite"),
    "a word": ("balanced", "weights cannot be read as numbers.*one number per row"),
    "sparse": (sparse.csr_array(np.ones((N, 1))), "weights cannot be read as numbers"),
    "np.matrix": (np.asmatrix(RISING), r"shape \(1, 40\); expected \(40,\)"),
}


@pytest.mark.parametrize("name", LIBRARY)
@pytest.mark.parametrize("entry", WEIGHTS)
def test_weights(entry, name):
    bad, expected = WEIGHTS[entry]
    hold(lambda weights: LIBRARY[name](X, weights=weights), bad, expected)


# Parameters ------------------------------------------------------------------------------------

SIZES = "expected a whole number >= 1 or a sequence"
WHOLE = "whole number >= 1"
POSITIVE_RATE = "learning_rate_init=.* expected a finite number > 0"
SEED = "random_state=.* expected None, a whole number from 0 to 2"
NAMES = {
    "activation": ("rleu", "relu"), "solver": ("adm", "adam"), "learning_rate": ("cosin", "cosine"),
    "engine": ("natve", "native"), "monitor": ("metrc", "metric"),
}  # fmt: skip

#: parameter -> values and what is said of them
ESTIMATORS = {
    "batch_size": [(0, WHOLE), (2.5, WHOLE), ("10", WHOLE), (-1, WHOLE), (True, WHOLE),
                   (np.int64(40), Truth(40))],
    "hidden_layer_sizes": [
        (0, SIZES), (-1, SIZES), ((3, 0), SIZES), ("100", SIZES), ((3, "3"), SIZES), (2.5, SIZES),
        (True, SIZES), (None, SIZES), (((3,), 4), SIZES), ((), Truth()),
        (np.int64(5), Truth(5)), ([5, 4], Truth((5, 4))), (np.array([5, 4]), Truth((5, 4))),
    ],
    "learning_rate_init": [*((rate, POSITIVE_RATE) for rate in (0, -1, np.nan, np.inf, "1", None)),
                           (1e10, Truth())],
    "alpha": [(value, "alpha=.* finite number >= 0") for value in (-1, np.nan, np.inf, "1")],
    "momentum": [(value, "momentum=.* from 0 to 1") for value in (-1, 2, np.nan)],
    "dropout": [(value, "dropout=.* >= 0 and < 1") for value in (1, -0.1, np.nan, "0.1")],
    "random_state": [
        *((seed, SEED) for seed in (-1, 2**32, 1.5, "0", True, np.random.default_rng(0))),
        (2**32 - 1, Truth()), (np.int64(3), Truth(3)), (np.random.RandomState(0), Truth()),
    ],
    "validation_fraction": [
        (1, "a number >= 0 and < 1"), (-0.1, "a number >= 0 and < 1"), (np.nan, "a number >= 0"),
        (0, "holds out no row: give a share, such as 0.1, or set early_stopping=False"),
        (0.001, Truth(0.02)), (0.99, Truth()),
    ],
    "max_iter": [(value, WHOLE) for value in (0, -1, 2.5, np.inf)],
    "tol": [(value, "tol=.* finite number >= 0") for value in (-1, np.nan)],
    "n_threads": [(value, "n_threads=.* None or a whole number >= 1") for value in (0, -1, 2.0)],
    "callbacks": [(value, "callbacks=.* sequence of Callback") for value in (3, [3], "abc")],
    "shuffle": [("yes", "True or False")],
    "loss": [((2,), r"loss=\(2,\) is not valid; did you mean hidden_layer_sizes=\(2,\)\?")],
    "early_stopping": [("yes", "True or False")],
    **{name: [(bad, f"{name}='{bad}' is not valid; did you mean '{near}'. Expected"),
              (-3, f"{name}=-3 is not valid; expected.*Known: ")]
       for name, (bad, near) in NAMES.items()},
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "bad", "expected"),
    [
        pytest.param(name, bad, expected, id=f"{name}={type(bad).__name__} {bad!s:.20}")
        for name, cases in ESTIMATORS.items()
        for bad, expected in cases
    ],
)
def test_estimator_parameters(name, bad, expected):
    early = {"early_stopping": True} if name == "validation_fraction" else {}
    hold(lambda value: fit_classifier(X, **early | {name: value}), bad, expected)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(
    ("name", "bad", "words"),
    [
        ("checkpoint", "kept", r"checkpoint='kept' must be Checkpoints\(folder\), or None"),
        ("time_limit", 0, "time_limit=0 must be None or a number > 0 of seconds"),
        ("eval_set", X, r"eval_set is a ndarray; expected a pair \(X, y\)"),
        ("eval_set", (X,), r"eval_set is a tuple; expected a pair \(X, y\)"),
        ("eval_set", (X[:, :2], LABELS), "eval_set: X has 2 features.*; give the columns"),
        ("eval_set", (X, LABELS[:3]), r"eval_set: .*\[40, 3\]; give as many rows of X as of y"),
        ("eval_set", (np.where(X > 2, np.nan, X), LABELS), "eval_set: Input X contains NaN; fill"),
        ("eval_set", (X, LABELS, -np.ones(N)), "eval_set: weights hold a negative"),
    ],
)
def test_arguments_of_fit(name, bad, words, kind):
    model = kind(max_iter=2)
    with pytest.raises(ValueError, match=words) as error:
        model.fit(X, LABELS, **{name: bad})
    assert "\n" not in str(error.value)
    assert not hasattr(model, "coefs_")


def test_a_batch_larger_than_the_rows_warns():
    with pytest.warns(UserWarning, match="batch_size=100 is more than the 40 rows: it is 40"):
        given = fit_classifier(X, batch_size=100)
    np.testing.assert_array_equal(given, fit_classifier(X, batch_size=40))


def test_a_validation_split_that_loses_a_class():
    y = np.where(np.arange(N) < 2, np.arange(N), 2)
    hold(lambda y: fit_classifier(X, y, early_stopping=True), y, "only 1 member.*give more rows")


#: settings of `train`
SETTINGS = {
    "batch_size": [(value, WHOLE) for value in (0, 2.5, -1, "a", True)] + [(100, Truth())],
    "epochs": [(value, WHOLE) for value in (0, -1, 2.5, np.inf, "a")],
    "seed": [(value, "whole number >= 0") for value in (-1, 1.5, "a", None)],
    "dropout": [(value, "a share >= 0 and < 1") for value in (1, -1, np.nan, [0.1, 0.2], "a")],
    "validation": [(value, "share") for value in (0, 1, 0.001, 0.999, "a", True, np.nan)],
    "validation rows": [
        ((X,), r"validation has 1 entries; expected \(X, Y\) or \(X, Y, weights\)"),
        ((X[:, :2], X[:, :1]), "validation: X has 2 columns; expected 3"),
        ((X, X[:3, :1]), "validation: X has 40 rows and Y has 3; expected as many"),
        ((X, np.where(X[:, :1] > 1, np.nan, 1)), "validation: Y holds NaN or infinity"),
        ((X, X[:, :1], -np.ones(N)), "validation: weights hold a negative"),
    ],
    "clip_norm": [(value, "a number > 0, or None") for value in (0, -1, np.nan, "a")],
    "l2": [(value, "a finite number >= 0") for value in (-1, np.nan, np.inf, "a")],
    "patience": [(value, "whole number >= 0, or None") for value in (-1, 1.5, "a")],
    "penalty": [(3, "a Penalty, or None")],
    "metric": [(3, "a function")],
    "callbacks": [(3, "sequence of Callback"), ([3], "sequence of Callback")],
    "n_threads": [(0, "n_threads=0 must be >= 1"), ("a", "n_threads='a' must be >= 1")],
    "optimizer": [("adm", "did you mean 'adam'"), (3, "optimizer=3 is unknown. Known")],
    "schedule": [("cosin", "did you mean 'cosine'")],
    "loss": [("hubber", "did you mean 'huber'")],
    "engine": [("natve", "did you mean 'native'")],
}


@pytest.mark.parametrize(
    ("name", "bad", "expected"),
    [
        pytest.param(name, bad, expected, id=f"{name}={bad!s:.20}")
        for name, cases in SETTINGS.items()
        for bad, expected in cases
    ],
)
def test_settings_of_train(name, bad, expected):
    hold(lambda value: train_network(X, **{name.split()[0]: value}), bad, expected)


def build(sizes=(3, 4, 1), activations="relu", **options):
    return Network(sizes, activations, **options).theta


@pytest.mark.parametrize(
    ("name", "bad", "expected"),
    [
        *(("sizes", sizes, "expected whole numbers >= 1") for sizes in (
            (), (3,), (3, 0), (3, -1, 1), "31", (3, 2.5, 1), (3, "4", 1), None, 5, (3, np.nan, 1),
            (3, True, 1))),
        ("sizes", (3, np.int64(4), 1), Truth((3, 4, 1))),
        ("activations", "rleu", "did you mean 'relu'"),
        ("activations", ["relu"], "1 entries; expected 2"),
        ("initializers", "he_unifrm", "did you mean 'he_uniform'"),
        ("dtype", "float16", "expected 'float32' or 'float64'"),
        ("dtype", "flot64", "expected 'float32' or 'float64'"),
        *(("seed", seed, "whole number >= 0") for seed in (-1, 1.5, "a", None)),
        ("seed", np.int64(3), Truth(3)),
        ("seed", 2**32, Truth()),
        ("seed", np.random.default_rng(0), Truth()),
    ],
)  # fmt: skip
def test_network(name, bad, expected):
    hold(lambda value: build(**{name: value}), bad, expected)


@pytest.mark.parametrize("bad", [0, -1, np.nan, np.inf, "a", None])
@pytest.mark.parametrize("kind", [SGD, Adam])
def test_rates(kind, bad):
    with pytest.raises(ValueError, match="learning rate must be a finite number > 0, got"):
        kind(bad)


@pytest.mark.parametrize("options", [{"beta_1": 1.0}, {"beta_2": -1}, {"epsilon": np.nan}])
def test_settings_of_optimizers(options):
    with pytest.raises(ValueError, match=rf"Adam: {next(iter(options))}=.* must be a finite"):
        Adam(**options)


@pytest.mark.parametrize(
    "options",
    [{"directions": 0}, {"directions": 2.5}, {"max_parameters": 0}, {"tolerance": 0},
     {"tolerance": np.nan}, {"seed": -1}, {"seed": 1.5}],
)  # fmt: skip
def test_settings_of_check_gradients(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}=.* must be"):
        check_gradients(network(), X, X[:, :1], **options)


def test_a_training_at_a_rate_of_10_to_the_10_says_that_it_diverged():
    with pytest.raises(ValueError, match=r"diverged.*learning rate below 1e\+10 \(try 1e\+09\)"):
        train_network(X, X[:, :1] * 1e9, optimizer=SGD(1e10), epochs=50)


# Memory ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "size"),
    [  # the first weights are drawn in float64, then copied: 16 bytes a parameter
        pytest.param(lambda: Network([3, 10**9, 1]), "75", id="Network"),
        pytest.param(
            lambda: Network([3, 10**9, 10**9, 1]), "14,901,161,28.", id="10**18 parameters"
        ),
        pytest.param(lambda: fit_classifier(X, hidden_layer_sizes=10**9), ".*", id="estimator"),
        pytest.param(lambda: fit_classifier(X, hidden_layer_sizes=10**30), ".*", id="10**30"),
    ],
)
def test_a_network_beyond_memory_is_refused_before_it_is_allocated(build, size, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 8 * 2**30)
    monkeypatch.setattr(arrays, "aligned_zeros", None)  # were it called, this would show
    words = rf"a network of \[3, 10+, .*1\] takes {size} GiB .* 8.0 GiB are free: take fewer"
    with pytest.raises(MemoryError, match=words):
        build()


# The command line ------------------------------------------------------------------------------

TABLE = {"a": X[:, 0].round(3).tolist(), "b": X[:, 1].tolist(),
         "y": ["yes" if label else "no" for label in LABELS]}  # fmt: skip
HIDDEN = "--hidden='.*'; expected whole numbers from 1 to 1000000 .*64,32"
ONE = "expected a whole number >= 1"

#: option -> values that are wrong usage, and what is said
OPTIONS = {
    "--hidden": (["0", "-1", "1000000000", "a", "2.5", "64,", "64 32", "4,0"], HIDDEN),
    "--epochs": (["0", "-1", "2.5", "a"], ONE),
    "--batch-size": (["0", "-1", "2.5", "a"], ONE),
    "--patience": (["0", "a"], ONE),
    "--threads": (["0", "-1"], ONE),
    "--time-limit": (["0", "-1", "nan", "inf", "a"], "a number > 0 of seconds"),
    "--class-weight": (["balance", "2"], "'(balance|2)' is unknown.*[Kk]nown: balanced"),
    "--clip-norm": (["0", "-1", "nan", "inf", "a"], "expected a number > 0, such as 1"),
    "--seed": (["-1", "4294967296", "a", "2.5"], "expected a whole number 0 to 4294967295"),
    "--validation": (["-0.1", "1", "nan", "a"], "expected a number from 0 to 0.9"),
    "--learning-rate": (["0", "-1", "nan", "inf", "a"], "expected a number > 0, such as 0.001"),
    "--dropout": (["1", "-0.1", "nan", "a"], "expected a number >= 0 and < 1"),
    "--activation": (["rleu"], "'rleu' is unknown; did you mean 'relu'.*Known: .*tanh"),
    "--solver": (["adm"], "did you mean 'adam'"),
    "--schedule": (["cosin"], "did you mean 'cosine'"),
    "--engine": (["natve"], "did you mean 'native'"),
    "--task": (["clas"], "did you mean 'class'"),
}


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Write TABLE, and run the command line beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text(csv(TABLE))
    without_pictures(monkeypatch)
    return lambda *words: command(monkeypatch, capsys, *words)


FAST = ("--target", "y", "--epochs", "2")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        pytest.param(option, value, words, id=f"{option} {value}")
        for option, (values, words) in OPTIONS.items()
        for value in values
    ],
)
def test_wrong_usage(option, value, words, run, tmp_path):
    refused(run("train", "t.csv", *FAST, f"{option}={value}"), words, code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--validation=0.001", "40 rows cannot be split with --validation 0.001.*give more rows"),
        ("--hidden=1000000,1000000", "takes [0-9,]+ GiB of memory.*take fewer or smaller layers"),
        ("--learning-rate=1e300", "training diverged.*learning rate below 1e\\+300"),
    ],
)
def test_a_failed_run(option, words, run, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 8 * 2**30)
    refused(run("train", "t.csv", *FAST, option), words)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize("option", ["--hidden=", "--batch-size=1000", "--learning-rate=1e10"])
def test_odd_but_right(option, run):
    code, out, err = run("train", "t.csv", *FAST, option, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert np.isfinite(list(told["scores"].values())).all()
    assert err == ""


@pytest.mark.parametrize("name", ["predict", "evaluate", "check"])
def test_columns_of_a_table_for_a_trained_model(name, run, tmp_path):
    run("train", "t.csv", *FAST)
    told = []
    for columns in (TABLE, {key: TABLE[key] for key in "bya"}, TABLE | {"z": range(N)}):
        (tmp_path / "new.csv").write_text(csv(columns))
        code, out, err = run(name, "t.chainrule", "new.csv")
        assert code == 0, err
        told.append([line.split(",")[-3:] for line in out.splitlines()])
    assert told[0] == told[1] == told[2]
    (tmp_path / "new.csv").write_text(csv({"b": TABLE["b"], "y": TABLE["y"]}))
    refused(run(name, "t.chainrule", "new.csv"), "lacks column 'a'. Give every column")
    (tmp_path / "new.csv").write_text(csv({"A": TABLE["a"], "b": TABLE["b"], "y": TABLE["y"]}))
    refused(run(name, "t.chainrule", "new.csv"), "lacks column 'a'; did you mean 'A'")


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
def test_few_rows(rows, run, tmp_path):
    (tmp_path / "t.csv").write_text(csv({key: values[:rows] for key, values in TABLE.items()}))
    refused(run("train", "t.csv", *FAST), "row", code=1)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_one_row_is_enough_to_measure_on(run, tmp_path):
    run("train", "t.csv", *FAST)
    (tmp_path / "new.csv").write_text(csv({key: values[:1] for key, values in TABLE.items()}))
    for name in ("predict", "evaluate", "check"):
        code, _, err = run(name, "t.chainrule", "new.csv")
        assert (code, err) == (0, "")


@pytest.mark.parametrize(("option", "words"), [("--rows=0", ONE), ("--seed=-1", "0 to 4294967295")])
def test_options_of_check(option, words, run):
    refused(run("check", "t.chainrule", "t.csv", option), words, code=2)


def test_classifier_keeps_a_model_that_a_bad_fit_leaves():
    """A refusal leaves what was learnt before as it was."""
    model = MLPClassifier((3,), max_iter=2, random_state=0).fit(X, LABELS)
    before = [W.copy() for W in model.coefs_]
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.where(X > 2, np.nan, X), LABELS)
    assert all((old == W).all() for W, old in zip(model.coefs_, before, strict=True))
