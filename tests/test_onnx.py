"""ONNX: what is exported says what the model says, in ONNX Runtime and in onnx's own evaluator."""

import json
import sys

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from chainrule import ACTIVATIONS, MLPClassifier, MLPRegressor, Network, __version__, to_onnx
from chainrule.activations import Celu, Increasing, LeakyRelu
from chainrule.export.onnx import OLDEST
from chainrule.losses import Huber
from onnx_runs import TOLERANCE, answers, same

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SETTINGS = {"leaky_relu(0.3)": LeakyRelu(0.3), "celu(2)": Celu(2.0), "increasing(3)": Increasing(3)}
EVERY = ACTIVATIONS | SETTINGS
GRID = np.r_[-1e4, -800, -90, np.linspace(-9, 9, 41), -1e-9, 0, 1e-300, 1e-9, 90, 800, 1e4]
rng = np.random.default_rng(0)


def bare(activation, dtype, units=1):
    """Return a network that is its activation and nothing else."""
    net = Network([units, units], [activation], initializers="zeros", dtype=dtype)
    net.W[0][:] = np.eye(units)
    return net


# Activations ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", EVERY)
def test_an_activation_is_its_formula(name, dtype):
    """To a few roundings, from −10,000 to 10,000, where formulas overflow or cancel."""
    units = 4
    z = np.stack([rng.permutation(GRID) for _ in range(units)], axis=1).astype(dtype)
    net = bare(EVERY[name], dtype, units)
    with np.errstate(over="ignore"):
        expected = EVERY[name].value(z)
    for each in answers(to_onnx(net), {"X": z}):
        rounding = 32 * np.finfo(dtype).eps
        np.testing.assert_allclose(each["variable"], expected, rounding, np.finfo(dtype).tiny)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", EVERY)
def test_a_gap_never_becomes_a_number(name, dtype):
    """Networks refuse NaN; a graph cannot, and answers NaN."""
    net = Network([3, 20, 4], [EVERY[name]] * 2, seed=0, dtype=dtype)
    X = np.ones((5, 3), dtype)
    X[1, 2] = np.nan
    for each in answers(to_onnx(net), {"X": X}):
        gaps = np.isnan(each["variable"])
        assert gaps[1].all() if name not in ("increasing", "increasing(3)") else gaps[1].any()
        assert not gaps[[0, 2, 3, 4]].any()


OWN = {
    "where": lambda z: np.where(z > 0, z, 0.1 * z),
    "clip": lambda z: np.clip(z, -1, 1),
    "true and false": lambda z: z * ((z > -1) & ~(z >= 2) | (z == 5)),
    "cosh": lambda z: 1 / np.cosh(z),
    "sinh": lambda z: np.sinh(np.clip(z, -3, 3)),
    "waves": lambda z: np.sin(z) + np.cos(2 * z) + np.tan(z / 4),
    "powers": lambda z: np.square(z) ** 0.3 + np.sqrt(np.abs(z)) + np.exp2(-np.abs(z)),
    "rounded": lambda z: np.floor(z) + np.ceil(z / 2) + np.rint(z / 3),
    "logaddexp": lambda z: np.logaddexp(0, z) - np.log(1 + np.abs(z)),
    "hypot": lambda z: np.hypot(z, 1.0) + np.reciprocal(2 + z * z),
    "less": lambda z: np.where((z < 1) | (z != z), 0.0, np.positive(z)),
    "written over": lambda z: _first_doubled(z),
    "constant vector": lambda z: z * np.array([1.0, 2.0]) + np.array([0.5, -0.5]),
}


def _first_doubled(z):
    a = z + 0.0
    a[:, 0] = 2 * z[:, 0] if z.ndim == 1 else a[:, 0] * 2
    return a


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", OWN)
def test_functions_of_ones_own(name, dtype):
    z = np.stack([np.linspace(-5, 5, 31), np.linspace(-4, 6, 31)], axis=1).astype(dtype)
    net = bare((OWN[name], lambda z: z), dtype, 2)
    expected = net.predict(z)
    for each in answers(to_onnx(net), {"X": z}):
        np.testing.assert_allclose(each["variable"], expected, TOLERANCE[dtype], TOLERANCE[dtype])


REFUSED = {
    "what is not in ONNX": (lambda z: np.arctan2(z, 1), "numpy.arctan2"),
    "float64 that no runtime has": (lambda z: np.arctan(z), "arctan, which ONNX Runtime has in"),
    "a loop over rows": (lambda z: np.array(list(z)), "not known before the model runs"),
    "a branch": (lambda z: z if z.max() > 0 else -z, "axis=1, keepdims=True"),
    "a sort": (lambda z: np.sort(z, axis=1), "numpy.sort"),
    "a reduction": (lambda z: np.add.reduce(z), "as a method"),
    "an unknown method": (lambda z: z.conjugate(), "no attribute 'conjugate'"),
    "a constant": (lambda z: np.ones(z.shape), "fails"),
    "a comparison": (lambda z: z > 0, "gives a float64"),
    "a foreign array": (lambda z: z * np.ones((3, 2)), "one number for each unit"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_has_no_onnx_form_is_refused_with_the_reason(reason):
    function, words = REFUSED[reason]
    net = bare((function, lambda z: z), "float64", 2)
    with pytest.raises(ValueError, match=words) as error:
        to_onnx(net)
    assert "has no ONNX form" in str(error.value)
    assert "\n" not in str(error.value)


def test_what_onnx_runtime_has_in_float32_only_is_exported_so():
    net = bare((np.arctan, lambda z: 1 / (1 + z * z)), "float32")
    z = GRID[:, None].astype(np.float32)
    for each in answers(to_onnx(net), {"X": z}):
        np.testing.assert_allclose(each["variable"], np.arctan(z), 1e-5)


# Outputs -------------------------------------------------------------------------------------

X = rng.normal(size=(60, 3))
THREE = np.digitize(X[:, 0] + 0.3 * X[:, 1], [-0.5, 0.5])
Q = (0.1, 0.5, 0.9)


def classifier(**how):
    return MLPClassifier((6,), random_state=0, max_iter=20, **how)


def regressor(loss="squared_error", **how):
    return MLPRegressor(loss, (6,), random_state=0, max_iter=20, **how)


#: Kind of output -> an estimator, and y.
KINDS = {
    "two words": (classifier(), np.where(THREE > 0, "yes", "no")),
    "two words as objects": (classifier(), np.where(THREE > 0, "yes", "no").astype(object)),
    "two numbers": (classifier(), 2 * (THREE > 0) + 3),
    "true and false": (classifier(), THREE > 0),
    "two floats": (classifier(), np.where(THREE > 0, 2.0, 1.0)),
    "one class": (classifier(), np.full(60, "only")),
    "three words": (classifier(), np.array(["low", "ähnlich", "high"])[THREE]),
    "three numbers": (classifier(solver="lbfgs"), THREE - 5),
    "three of sigmoid": (classifier(output_activation="sigmoid"), THREE),
    "two of hard sigmoid": (classifier(output_activation="hard_sigmoid"), THREE > 0),
    "focal": (classifier(loss="focal"), THREE),
    "members, two": (classifier(n_estimators=3), THREE > 0),
    "members, three": (classifier(n_estimators=3), THREE),
    "calibrated, two": (classifier(calibration_fraction=0.3), THREE > 0),
    "calibrated, three": (classifier(calibration_fraction=0.3), THREE),
    "calibrated members": (classifier(calibration_fraction=0.3, n_estimators=2), THREE),
    "labels": (classifier(), np.stack([THREE > 0, THREE > 1, X[:, 2] > 0], 1).astype(int)),
    "calibrated labels": (
        classifier(calibration_fraction=0.3),
        np.stack([THREE > 0, THREE > 1], 1).astype(int),
    ),
    "a number": (regressor(), X @ [1, 2, 3]),
    "a scaled number": (regressor(scale_y="robust"), 1e5 + 1e3 * X[:, 0]),
    "numbers": (regressor(scale_y="standard"), X[:, :2] * [1, 100]),
    "linear": (MLPRegressor(hidden_layer_sizes=(), solver="lbfgs"), X[:, 0]),
    "counts": (regressor("poisson"), THREE),
    "huber": (regressor(Huber(0.3)), X[:, 0]),
    "a quantile": (regressor("quantile", quantile=0.8, scale_y="standard"), X[:, 0]),
    "quantiles": (regressor("quantile", quantile=Q, scale_y="standard"), 9 * X[:, 0]),
    "low quantiles": (regressor("quantile", quantile=(0.05, 0.2)), X[:, 0]),
    "quantiles of two": (regressor("quantile", quantile=Q, scale_y="robust"), X[:, :2]),
    "members": (regressor(n_estimators=3, scale_y="standard"), X[:, :2]),
    "calibrated": (regressor(calibration_fraction=0.3), X[:, 0]),
}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_output(kind, dtype):
    """On rows as in fit, and on ones far away."""
    model, y = KINDS[kind]
    model = model.fit(X.astype(dtype), y)
    rows = np.concatenate([X, 30 * np.eye(3), -30 * np.eye(3)]).astype(dtype)
    for each in answers(to_onnx(model), {"X": rows}):
        same(each, model, rows, dtype)


@pytest.mark.parametrize("kind", ["three words", "calibrated, two", "quantiles"])
def test_a_model_in_float64_is_written_in_float32(kind):
    model, y = KINDS[kind]
    model = model.fit(X, y)
    for each in answers(to_onnx(model, dtype="float32"), {"X": X.astype(np.float32)}):
        for values in each.values():
            assert np.asarray(values).dtype != np.float64
        np.testing.assert_allclose(
            *[
                a.reshape(len(X), -1)
                for a in (
                    (each["probabilities"], model.predict_proba(X))
                    if "label" in each
                    else (each["variable"], model.predict(X))
                )
            ],
            rtol=1e-4,
            atol=1e-5,
        )


@pytest.mark.parametrize("opset", [OLDEST, 15, 18, 21])
@pytest.mark.parametrize("kind", ["three of sigmoid", "calibrated, two", "quantiles of two"])
def test_other_versions_of_the_operators(kind, opset):
    model, y = KINDS[kind]
    model = model.fit(X, y)
    exported = to_onnx(model, opset)
    assert exported.opset_import[0].version == opset
    for each in answers(exported, {"X": X}):
        same(each, model, X, "float64")


# Around it -----------------------------------------------------------------------------------


def test_metadata():
    import pandas as pd

    frame = pd.DataFrame(X, columns=["a b", "label", "ä"])
    model = classifier().fit(frame, np.array(["low", "mid", "high"])[THREE])
    exported = to_onnx(model, about={"target": "size"})
    said = {each.key: each.value for each in exported.metadata_props}
    assert said.pop("chainrule") == exported.producer_version == __version__
    assert said.pop("kind") == exported.graph.name == "MLPClassifier"
    assert {key: json.loads(value) for key, value in said.items()} == {
        "about": {"target": "size"},
        "columns": ["a b", "label", "ä"],
        "classes": ["high", "low", "mid"],
    }
    assert exported.producer_name == "chainrule"


@pytest.mark.parametrize("opset", [12, 10**6, 17.5, "17", None])
def test_an_unknown_opset_is_refused(opset):
    with pytest.raises(ValueError, match=r"opset=.* expected a whole number from 13 to"):
        to_onnx(Network([2, 1]), opset)


def test_what_is_no_fitted_model_is_refused():
    with pytest.raises(NotFittedError):
        to_onnx(MLPRegressor())
    with pytest.raises(ValueError, match="a StandardScaler cannot be exported; expected"):
        to_onnx(StandardScaler())
    foreign = make_pipeline(StandardScaler(), classifier()).fit(X, THREE)
    with pytest.raises(ValueError, match="a Pipeline cannot be exported"):
        to_onnx(foreign)
    with pytest.raises(ValueError, match="dtype='float16'"):
        to_onnx(Network([2, 1]), dtype="float16")
    model = classifier().fit(X, np.array(["2020", "2021", "2022"], "datetime64[Y]")[THREE])
    with pytest.raises(ValueError, match="have no ONNX form; expected text, whole numbers"):
        to_onnx(model)


def test_weights_that_float32_cannot_hold_are_refused():
    net = Network([1, 1])
    net.W[0][:] = 1e300
    to_onnx(net)
    with pytest.raises(ValueError, match="no finite float32"):
        to_onnx(net, dtype="float32")


def test_without_onnx_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx.defs", None)
    with pytest.raises(ImportError, match=r"pip install 'chainrule\[onnx\]'"):
        to_onnx(Network([2, 1]))


def test_what_is_beyond_a_file_is_refused(monkeypatch):
    monkeypatch.setattr("chainrule.export.onnx.LARGEST", 100)
    with pytest.raises(ValueError, match="an ONNX file holds 2; take dtype='float32'"):
        to_onnx(Network([20, 20, 1]))
