"""NumPy script: what the written file says, run by itself, is what the model says."""

import ast
import builtins

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.pipeline import Pipeline

from chainrule.activations import ACTIVATIONS, Activation
from chainrule.estimators import MLPClassifier
from chainrule.export.script import to_numpy
from chainrule.export.script.file import exact
from chainrule.network import Network
from chainrule.preprocessing import TableEncoder
from exported import DTYPES, WORDS, estimators, network, networks, pipeline, rows, saying, table
from strategies import seeds


def run(script):
    """Run a script as a program of its own, and return what it defines."""
    defined = {"__name__": "script"}
    exec(compile(script, "script.py", "exec"), defined)
    return defined


def assert_same(model, X, script=None):
    """Compare what a model and its script say of rows X, and to whom they give which class."""
    script = run(script or to_numpy(model))
    expected = saying(model)(X)
    answers = ("predict_proba", "predict_quantiles", "predict")
    asked = next(script[name] for name in answers if name in script)
    found = asked(X).reshape(len(X), -1)
    assert found.dtype == expected.dtype
    close = (
        {"rel": 3e-5, "abs": 3e-6} if found.dtype == np.float32 else {"rel": 1e-11, "abs": 1e-13}
    )
    assert found == pytest.approx(expected, **close)
    predicted, theirs = model.predict(X), script["predict"](X)
    assert theirs.shape == predicted.shape
    if predicted.dtype.kind == "f" and "CLASSES" not in script:
        assert theirs == pytest.approx(predicted, **close)
    else:
        assert theirs.dtype == predicted.dtype
        assert theirs.tolist() == predicted.tolist()


@pytest.mark.parametrize("name", networks())
def test_every_activation_inside_and_at_the_end_in_both_precisions(name):
    assert_same(networks()[name], rows(networks()[name]))


@pytest.mark.parametrize("name", estimators())
def test_every_kind_of_target_and_output(name):
    assert_same(estimators()[name], rows(estimators()[name]))


@given(seeds, st.sampled_from(DTYPES))
@settings(max_examples=40)
def test_any_network(seed, dtype):
    net = network(seed, dtype)
    assert_same(net, rows(net))


@pytest.mark.parametrize("numbers", ["robust", "standard", "none"])
@pytest.mark.parametrize(("dtype", "missing"), [("float32", "indicator"), ("float64", "impute")])
def test_a_table_of_everything(numbers, dtype, missing):
    model = pipeline(dtype, dates=True, numbers=numbers, missing=missing)
    frame = table(40, seed=1, dates=True).with_columns(pl.lit("never seen").alias("grade"))
    frame = pl.concat([table(40, seed=2, dates=True), frame])
    script = run(to_numpy(model))
    X = frame[script["INPUTS"]].rows()  # text, numbers, dates and None, as Python has them
    close = 1e-5 if dtype == "float32" else 1e-12
    expected = model.predict_proba(frame)
    assert script["predict_proba"](X) == pytest.approx(expected, rel=close, abs=close)
    assert script["predict"](X).tolist() == model.predict(frame).tolist()
    features = script["encode"](X)
    assert features == pytest.approx(model[0].transform(frame), rel=close, abs=close)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_levels_are_the_texts_that_the_encoder_writes():
    """1.0 is 1, True is true, and a space at an end is none."""
    values = ["a ", 1.0, 2.5, True, None] * 12
    X = np.array([[value, k] for k, value in enumerate(values)], dtype=object)
    encoder = TableEncoder(min_frequency=1, drop_ids=False)
    network = MLPClassifier((3,), max_iter=2, random_state=0)
    model = Pipeline([("encoder", encoder), ("network", network)]).fit(
        X, WORDS[X[:, 1].astype(int) % 3]
    )
    assert encoder.columns_[0]["levels"] == ["1", "2.5", "a", "true"]
    assert run(to_numpy(model))["encode"](X) == pytest.approx(encoder.transform(X))
    assert_same(model, X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_columns_marked_as_categories():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=60), rng.integers(0, 3, 60)]).astype(object)
    X[3, 1] = None
    model = MLPClassifier(
        (4,), max_iter=3, categorical_features=[1], missing="indicator", random_state=0
    ).fit(X, WORDS[np.arange(60) % 3])
    assert_same(model, X)


@pytest.mark.parametrize(
    "classes",
    [["a", "b'\n", "ü"], [1, 2, 5], [False, True], [0.5, 1.5, 2.0], np.array([1, 2], "int8")],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_classes_keep_their_type(classes):
    classes = np.array(classes)
    if classes.dtype.kind == "f":
        classes = classes.astype(object).astype(str).astype(object)
    X = np.random.default_rng(0).normal(size=(30, 2))
    model = MLPClassifier((3,), max_iter=2).fit(X, classes[np.arange(30) % len(classes)])
    assert_same(model, X)


def test_a_script_imports_numpy_and_nothing_else():
    for model in [*networks().values(), *estimators().values(), pipeline(dates=True)]:
        tree = ast.parse(to_numpy(model))
        imports = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
        assert [ast.unparse(each) for each in imports] == ["import numpy as np"]
        names = [n for n in ast.walk(tree) if isinstance(n, ast.Name)]
        functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
        known = (
            {"np"} | {f.name for f in functions} | {a.arg for f in functions for a in f.args.args}
        )
        known |= {n.id for n in names if isinstance(n.ctx, ast.Store)} | set(dir(builtins))
        assert {n.id for n in names} <= known


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_weights_are_exact(value):
    for number in (np.float32(value), np.float64(value) / 3):
        assert type(number)(float(exact(number))) == number


class Cubed(Activation):
    """σ(z) = z³, σ′ = 3 z²."""

    def value(self, z):
        return z * z * z  # no power, which is slow


@pytest.mark.parametrize("member", [*ACTIVATIONS.values(), Cubed()], ids=lambda m: m.name)
def test_formulas_are_the_lines_of_the_definition(member):
    """No number is typed again: what stands in the script gives the very bits."""
    net = Network([3, 4], [member], seed=1)
    script = run(to_numpy(net))
    X = np.random.default_rng(0).normal(scale=3, size=(20, 3))
    assert (script["predict"](X) == net.forward(X).A[-1]).all()


def test_members_with_settings_stand_beside_each_other():
    script = to_numpy(networks()["settings float64"])
    assert "def leaky_relu(z):" in script
    assert "def leaky_relu_2(z):" in script
    assert "def leaky_relu_3(z):" in script
