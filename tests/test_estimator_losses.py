"""Losses and outputs of the estimators: quantiles, focal, smoothed, and the user's own."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import QuantileRegressor
from sklearn.metrics import mean_pinball_loss
from sklearn.preprocessing import scale

from chainrule import MLPClassifier, MLPRegressor
from chainrule.activations import HardSigmoid, Sigmoid
from chainrule.engine import ENGINES
from chainrule.losses import (
    BinaryCrossEntropy,
    BinaryFocal,
    CrossEntropy,
    Focal,
    Poisson,
    Quantile,
    Quantiles,
    SquaredError,
)
from chainrule.model_file import ModelFileError, load_model, save_model

IRIS, DIABETES = load_iris(return_X_y=True), load_diabetes(return_X_y=True)
CANCER = load_breast_cancer(return_X_y=True)
LEVELS = (0.05, 0.25, 0.5, 0.95)


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    return request.param


def fitted(cls, data, engine="auto", **settings):
    settings = {"hidden_layer_sizes": (6,), "max_iter": 20, "random_state": 0} | settings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return cls(engine=engine, **settings).fit(scale(data[0]), data[1])


def same(one, other, rtol=1e-9):
    for a, b in zip(one.coefs_, other.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-12)


# Quantiles -----------------------------------------------------------------------------------


@pytest.mark.parametrize("quantile", [0.1, 0.8])
def test_one_linear_quantile_is_scikit_learns(engine, quantile):
    X, y = scale(DIABETES[0]), scale(DIABETES[1])
    settings = {"quantile": quantile, "hidden_layer_sizes": (), "alpha": 0, "max_iter": 2000}
    settings |= {"learning_rate_init": 0.05, "learning_rate": "adaptive", "n_iter_no_change": 20}
    model = fitted(MLPRegressor, (X, y), engine, loss="quantile", **settings)
    exact = QuantileRegressor(quantile=quantile, alpha=0).fit(X, y)
    loss, least = (mean_pinball_loss(y, m.predict(X), alpha=quantile) for m in (model, exact))
    assert least <= loss * (1 + 1e-9) < 1.01 * least * (1 + 1e-9)
    np.testing.assert_allclose(model.predict_quantiles(X)[:, 0], model.predict(X))


@pytest.mark.parametrize("scale_y", ["none", "standard"])
def test_several_quantiles_hold_their_shares_and_never_cross(engine, scale_y):
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (3000, 1))
    y = np.sin(2 * X[:, 0]) + (0.2 + 0.3 * np.abs(X[:, 0])) * rng.normal(size=3000)
    y = y if scale_y == "none" else 1000 + 50 * y
    settings = {"hidden_layer_sizes": (32,), "learning_rate_init": 0.01, "max_iter": 60}
    model = fitted(MLPRegressor, (X, y), engine, loss="quantile", quantile=LEVELS,
                   scale_y=scale_y, **settings)  # fmt: skip
    found = model.predict_quantiles(scale(X))
    assert found.shape == (3000, 4)
    np.testing.assert_allclose((y[:, None] <= found).mean(axis=0), LEVELS, atol=0.03)
    np.testing.assert_array_equal(model.predict(scale(X)), found[:, 2])
    far = rng.normal(size=(500, 1)) * 100
    assert (np.diff(model.predict_quantiles(far), axis=1) >= 0).all()
    wide, narrow = (np.ptp(model.predict_quantiles([[x]]), axis=1)[0] for x in (1.6, 0.0))
    assert wide > 1.5 * narrow  # it sees that the noise grows


def test_quantiles_of_several_targets(engine):
    X = scale(DIABETES[0])
    Y = np.c_[X[:, 0], 10 * X[:, 1] + 5]
    model = fitted(MLPRegressor, (X, Y), engine, loss="quantile", quantile=(0.1, 0.6),
                   scale_y="robust", early_stopping=True)  # fmt: skip
    found = model.predict_quantiles(X)
    assert found.shape == (442, 2, 2)
    assert (found[..., 1] >= found[..., 0]).all()
    np.testing.assert_array_equal(model.predict(X), found[..., 1])  # 0.6 is nearest to 0.5
    with pytest.raises(ValueError, match="y has 3 outputs; the fitted network 2"):
        model.partial_fit(X, np.c_[Y, Y[:, 0]])


@pytest.mark.parametrize("calibrated", [False, True])
def test_an_interval_of_quantiles(engine, calibrated):
    """Conformalised, it covers what it promises, even with too few epochs to be right by itself."""
    covered = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(700, 2))
        y = X[:, 0] + np.abs(X[:, 1]) * rng.normal(size=700)
        model = MLPRegressor("quantile", (16,), quantile=(0.1, 0.5, 0.9), random_state=seed,
                             max_iter=3 if calibrated else 150, learning_rate_init=0.01,
                             engine=engine)  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X[:300], y[:300])
        if calibrated:
            model.calibrate(X[300:500], y[300:500])
        low, high = model.predict_interval(X[500:], confidence=0.8).T
        covered.append(np.mean((low <= y[500:]) & (y[500:] <= high)))
    if calibrated:
        error = np.std(covered) / np.sqrt(len(covered))
        assert 0.8 - 3 * error < np.mean(covered) < 0.8 + 1 / 200 + 3 * error
        assert model.predict_interval(X, confidence=0.95).shape == (700, 2)
    else:
        assert 0.65 < np.mean(covered) < 0.85
        with pytest.raises(ValueError, match=r"bound a confidence of 0\.8, not 0\.95"):
            model.predict_interval(X, confidence=0.95)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"quantile": 1.0}, "quantile"),
        ({"quantile": ()}, "quantile"),
        ({"quantile": (0.9, 0.1)}, "increasing"),
        ({"quantile": (0.1, 0.9), "output_activation": "identity"}, "cross"),
    ],
)
def test_quantiles_that_are_none_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        fitted(MLPRegressor, DIABETES, loss="quantile", **settings)


def test_no_quantiles_were_fitted():
    model = fitted(MLPRegressor, DIABETES)
    with pytest.raises(ValueError, match="fits no quantiles"):
        model.predict_quantiles(DIABETES[0])


# Classes -------------------------------------------------------------------------------------


def test_named_losses_are_those_of_the_table(engine):
    labels = IRIS[0], np.eye(3, dtype=int)[IRIS[1]]
    for data, name, loss in (
        (IRIS, "auto", CrossEntropy()), (IRIS, "focal", Focal()), (IRIS, "auto", Focal(gamma=0)),
        (CANCER, "auto", BinaryCrossEntropy()), (CANCER, "focal", BinaryFocal()),
        (labels, "focal", BinaryFocal()), (labels, "auto", BinaryFocal(gamma=0)),
    ):  # fmt: skip
        one, other = (fitted(MLPClassifier, data, engine, loss=each) for each in (name, loss))
        same(one, other, rtol=1e-6)


@pytest.mark.parametrize("data", [IRIS, CANCER], ids=["three", "two"])
def test_label_smoothing_makes_it_less_sure(engine, data):
    settings = {"max_iter": 300, "learning_rate_init": 0.02}
    plain = fitted(MLPClassifier, data, engine, **settings)
    smooth = fitted(MLPClassifier, data, engine, label_smoothing=0.2, **settings)
    kind = CrossEntropy if data is IRIS else BinaryCrossEntropy
    same(smooth, fitted(MLPClassifier, data, engine, loss=kind(0.2), **settings))
    X = scale(data[0])
    sure = [np.median(model.predict_proba(X).max(axis=1)) for model in (plain, smooth)]
    k = len(smooth.classes_)
    assert sure[0] > 0.98 > sure[1]
    assert sure[1] == pytest.approx(1 - 0.2 * (k - 1) / k, abs=0.05)  # what it was told
    focal = fitted(MLPClassifier, data, engine, loss="focal", label_smoothing=0.1)
    assert np.isfinite(focal.loss_curve_).all()


def test_each_class_against_the_rest(engine):
    """Sigmoids for exclusive classes: shares are made of them, as in scikit-learn's OvR."""
    model = fitted(
        MLPClassifier, IRIS, engine, loss=BinaryCrossEntropy(), max_iter=200, hidden_layer_sizes=()
    )
    X = scale(IRIS[0])
    z = X @ model.coefs_[0] + model.intercepts_[0]
    each = 1 / (1 + np.exp(-z))
    assert model.out_activation_ == "logistic"
    np.testing.assert_allclose(model.predict_proba(X), each / each.sum(axis=1, keepdims=True))
    assert (model.predict(X) == each.argmax(axis=1)).all()


@pytest.mark.parametrize("output", [HardSigmoid(), (lambda z: 1 / (1 + np.exp(-z)),
                                                    lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2)],
                         ids=["hard", "own"])  # fmt: skip
def test_an_output_activation_of_ones_choice(output):
    model = fitted(MLPClassifier, CANCER, output_activation=output, loss=SquaredError(),
                   max_iter=100)  # fmt: skip
    X = scale(CANCER[0])
    p = model.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-12)
    assert model.score(X, CANCER[1]) > 0.95
    if not isinstance(output, HardSigmoid):
        usual = fitted(MLPClassifier, CANCER, output_activation=Sigmoid(), loss=SquaredError(),
                       max_iter=100)  # fmt: skip
        np.testing.assert_allclose(p, usual.predict_proba(X), rtol=1e-6, atol=1e-9)
    positive = fitted(MLPRegressor, DIABETES, output_activation="softplus", max_iter=3)
    assert (positive.predict(scale(DIABETES[0])) > 0).all()


@pytest.mark.parametrize(
    ("data", "settings", "words"),
    [
        (IRIS, {"output_activation": "tanh"}, "gives no probabilities of 3 classes: from -1 to 1"),
        (IRIS, {"output_activation": "identity"}, "gives no probabilities"),
        (CANCER, {"output_activation": "softmax"}, "gives no probabilities of 2 classes"),
        (CANCER, {"loss": CrossEntropy()}, "does not fit 2 classes"),
        (IRIS, {"loss": Quantiles()}, "does not fit 3 classes"),
        (IRIS, {"loss": SquaredError(), "label_smoothing": 0.1}, "does not fit SquaredError"),
        (IRIS, {"loss": "cross_entropy"}, "'auto', 'focal'"),
        ((IRIS[0], np.eye(3, dtype=int)[IRIS[1]]), {"loss": Focal()}, "does not fit 3 labels"),
    ],
    ids=str,
)
def test_what_makes_no_probabilities_is_refused(data, settings, words):
    with pytest.raises(ValueError, match=words):
        fitted(MLPClassifier, data, **settings)


# The user's own ------------------------------------------------------------------------------


def squares(a, y):
    return (a - y) ** 2 / 2


def difference(a, y):
    return a - y


def test_ones_own_loss_is_trained_and_checked():
    own = fitted(MLPRegressor, DIABETES, loss=(squares, difference))
    same(own, fitted(MLPRegressor, DIABETES, engine="reference"))
    assert own.engine_ == "reference"
    assert "native" not in ENGINES or "own" in own.engine_reason_.lower()
    with pytest.raises(ValueError, match="the gradient of loss 'squares' is wrong at"):
        fitted(MLPRegressor, DIABETES, loss=(squares, lambda a, y: y - a))
    with pytest.raises(ValueError, match="needs 1 arguments"):
        fitted(MLPRegressor, DIABETES, loss=(squares, np.cos))
    brier = fitted(MLPClassifier, CANCER, loss=(squares, difference), max_iter=50)
    same(brier, fitted(MLPClassifier, CANCER, engine="reference", loss=SquaredError(), max_iter=50))
    assert brier.score(scale(CANCER[0]), CANCER[1]) > 0.9


def test_ones_own_activation_is_trained_and_checked():
    pair = np.tanh, lambda z: 1 - np.tanh(z) ** 2
    own = fitted(MLPRegressor, DIABETES, activation=pair)
    same(own, fitted(MLPRegressor, DIABETES, engine="reference", activation="tanh"), rtol=1e-7)
    X = scale(DIABETES[0])
    np.testing.assert_allclose(
        own.predict(X), fitted(MLPRegressor, DIABETES, activation="tanh").predict(X), rtol=1e-7
    )
    mixed = fitted(MLPRegressor, DIABETES, activation=[pair, "relu"], hidden_layer_sizes=(4, 3))
    assert np.isfinite(mixed.predict(X)).all()
    with pytest.raises(ValueError, match=r"the derivative of activation .* is wrong at z="):
        fitted(MLPRegressor, DIABETES, activation=(np.tanh, np.cos))


def test_model_files_take_the_table_only(tmp_path):
    X = scale(DIABETES[0])
    kept = fitted(MLPRegressor, DIABETES, loss="quantile", quantile=LEVELS, scale_y="standard")
    save_model(kept, tmp_path / "kept")
    again = load_model(tmp_path / "kept")
    np.testing.assert_array_equal(again.predict_quantiles(X), kept.predict_quantiles(X))
    for loss in (Quantile(0.3), Poisson()):
        save_model(fitted(MLPRegressor, DIABETES, loss=loss), tmp_path / type(loss).__name__)
    focal = fitted(MLPClassifier, IRIS, loss=Focal(1.5))
    save_model(focal, tmp_path / "focal")
    assert load_model(tmp_path / "focal").loss == Focal(1.5)
    own = fitted(MLPRegressor, DIABETES, loss=(squares, difference))
    with pytest.raises(ModelFileError, match="loss"):
        save_model(own, tmp_path / "own")
    assert not (tmp_path / "own").exists()
