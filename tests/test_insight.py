"""Insight: derivatives against differences, coverage by counting."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_regression
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.metrics import log_loss
from sklearn.preprocessing import scale

from chainrule import MLPClassifier, MLPRegressor
from chainrule.engine import ENGINES

RELATIVE = 1e-6


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    return request.param


def fitted(cls, engine="auto", data=None, **settings):
    X, y = data or (load_iris if cls is MLPClassifier else load_diabetes)(return_X_y=True)
    X = scale(X)
    settings = {"hidden_layer_sizes": (7, 4), "activation": "tanh", "solver": "lbfgs"} | settings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return cls(max_iter=30, random_state=1, engine=engine, **settings).fit(X, y), X, y


def differences(function, X, step=1e-4):
    """Return ∂ function / ∂ feature (n, outputs, features) by fourth-order differences."""
    columns = []
    for unit in step * np.eye(X.shape[1]):
        near = function(X + unit) - function(X - unit)
        far = function(X + 2 * unit) - function(X - 2 * unit)
        columns.append(((8 * near - far) / (12 * step)).reshape(len(X), -1))
    return np.stack(columns, axis=2)


TWO_CLASSES = load_breast_cancer(return_X_y=True)
TWO_NUMBERS = make_regression(80, 5, n_targets=2, random_state=0)


@pytest.mark.parametrize("n_estimators", [1, 3])
@pytest.mark.parametrize("data", [None, TWO_NUMBERS], ids=["one", "two"])
@pytest.mark.parametrize("scale_y", ["none", "standard"])
def test_a_regressors_jacobian_is_that_of_predict(engine, data, n_estimators, scale_y):
    model, X, _ = fitted(MLPRegressor, engine, data, n_estimators=n_estimators, scale_y=scale_y)
    J = model.jacobian(X[:9])
    expected = differences(model.predict, X[:9])
    np.testing.assert_allclose(J, expected, atol=RELATIVE * np.abs(expected).max())


@pytest.mark.parametrize("n_estimators", [1, 3])
def test_a_classifiers_jacobian_is_that_of_its_probabilities(engine, n_estimators):
    model, X, _ = fitted(MLPClassifier, engine, n_estimators=n_estimators)
    expected = differences(model.predict_proba, X[:9])
    np.testing.assert_allclose(model.jacobian(X[:9]), expected, atol=1e-7)
    model, X, _ = fitted(MLPClassifier, engine, TWO_CLASSES, n_estimators=n_estimators)
    expected = differences(lambda X: model.predict_proba(X)[:, 1], X[:9])
    np.testing.assert_allclose(model.jacobian(X[:9]), expected, atol=1e-7)


def test_the_input_gradient_is_that_of_the_mean_loss():
    model, X, y = fitted(MLPClassifier, alpha=1.0)
    rows = np.arange(0, 150, 13)
    gradient = model.input_gradient(X[rows], y[rows])
    n = len(rows)
    for i in (0, 5):
        expected = differences(
            lambda x, i=i: np.array([-np.log(model.predict_proba(x)[0, y[rows[i]]]) / n]),
            X[rows[i : i + 1]],
        )
        np.testing.assert_allclose(gradient[i], expected[0, 0], atol=1e-7)


def test_integrated_gradients_add_up_to_the_change():
    model, X, _ = fitted(MLPRegressor, scale_y="standard")
    found = model.integrated_gradients(X[:20])
    change = model.predict(X[:20]) - model.predict(np.zeros((1, 10)))
    np.testing.assert_allclose(found.values.sum(axis=1), change, rtol=1e-3, atol=0.1)
    classifier, X, _ = fitted(MLPClassifier)
    found = classifier.integrated_gradients(X[:20])
    most = classifier.predict_proba(X[:20]).argmax(axis=1)
    change = classifier.predict_proba(X[:20])[np.arange(20), most]
    change = change - classifier.predict_proba(np.zeros((1, 4)))[0, most]
    np.testing.assert_allclose(found.values.sum(axis=1), change, atol=1e-3)


def test_permutation_importance_is_scikit_learns():
    model, X, y = fitted(MLPClassifier)
    mine = model.permutation_importance(X, y, n_repeats=3, random_state=0)
    its = permutation_importance(model, X, y, n_repeats=3, random_state=0)
    np.testing.assert_array_equal(mine.importances, its.importances)


@pytest.mark.parametrize("n_estimators", [1, 2])
def test_transform_is_what_the_hidden_layers_answer(engine, n_estimators):
    model, X, _ = fitted(MLPClassifier, engine, n_estimators=n_estimators)
    members = model.members_ if n_estimators > 1 else [
        {"coefs": model.coefs_, "intercepts": model.intercepts_}
    ]  # fmt: skip
    first = [np.tanh(X @ m["coefs"][0] + m["intercepts"][0]) for m in members]
    second = [
        np.tanh(a @ m["coefs"][1] + m["intercepts"][1]) for a, m in zip(first, members, strict=True)
    ]
    np.testing.assert_allclose(model.transform(X, layer=1), np.hstack(first), rtol=1e-9)
    np.testing.assert_allclose(model.transform(X, layer=-2), np.hstack(first), rtol=1e-9)
    np.testing.assert_allclose(model.transform(X), np.hstack(second), rtol=1e-9)
    named = model.set_output(transform="pandas").transform(X)
    assert list(named.columns) == [f"mlpclassifier{i}" for i in range(4 * n_estimators)]
    with pytest.raises(ValueError, match="layer"):
        model.transform(X, layer=4)


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("how", ["calibrate", "calibration_fraction"])
def test_conformal_intervals_hold_the_truth_as_often_as_they_say(confidence, how):
    """Over 40 tables the mean coverage is within 3 standard errors of what was promised."""
    covered = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(220, 3))
        y = X[:, 0] + rng.standard_t(4, 220)
        settings = {"hidden_layer_sizes": (), "solver": "lbfgs", "random_state": seed}
        if how == "calibrate":
            model = MLPRegressor(**settings).fit(X[:60], y[:60]).calibrate(X[60:120], y[60:120])
        else:
            model = MLPRegressor(calibration_fraction=0.5, **settings).fit(X[:120], y[:120])
        low, high = model.predict_interval(X[120:], confidence=confidence).T
        covered.append(np.mean((low <= y[120:]) & (y[120:] <= high)))
    error = np.std(covered) / np.sqrt(len(covered))
    assert confidence - 3 * error <= np.mean(covered) <= confidence + 1 / 60 + 3 * error


def test_intervals_of_several_numbers_and_what_they_need():
    model, X, y = fitted(MLPRegressor, data=TWO_NUMBERS, scale_y="standard")
    with pytest.raises(ValueError, match="call calibrate"):
        model.predict_interval(X)
    ends = model.calibrate(X, y).predict_interval(X)
    assert ends.shape == (80, 2, 2)
    predicted = model.predict(X)
    assert (ends[..., 0] < predicted).all()
    assert (predicted < ends[..., 1]).all()
    with pytest.raises(ValueError, match="confidence"):
        model.predict_interval(X, confidence=95)
    few = model.calibrate(X[:5], y[:5])
    with pytest.raises(ValueError, match="row"):
        few.predict_interval(X, confidence=0.95)


@pytest.mark.parametrize("classes", [2, 3, "labels"])
def test_temperature_makes_probabilities_more_honest(engine, classes):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 4))
    z = X[:, :3] + rng.logistic(size=(600, 3)) * 2
    y = (z > 0).astype(int) if classes == "labels" else z[:, :3].argmax(axis=1)
    y = (z[:, 0] > 0).astype(int) if classes == 2 else y
    settings = {"alpha": 0, "hidden_layer_sizes": (30,), "solver": "lbfgs"}
    model, X, y = fitted(MLPClassifier, engine, (X, y), **settings)
    model, *_ = fitted(MLPClassifier, engine, (X[:200], y[:200]), **settings)

    def loss():
        p = np.clip(model.predict_proba(X[400:]), 1e-15, 1 - 1e-15)
        if classes != "labels":
            return log_loss(y[400:], p)
        return -np.mean(y[400:] * np.log(p) + (1 - y[400:]) * np.log(1 - p))

    before, predicted = loss(), model.predict(X)
    model.calibrate(X[200:400], y[200:400])
    assert model.temperature_ > 1.2
    assert loss() < 0.9 * before
    np.testing.assert_array_equal(model.predict(X), predicted)
    if classes != "labels":
        np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-12)


def test_calibration_takes_the_users_weights(engine):
    model, X, y = fitted(MLPClassifier, engine, TWO_CLASSES)
    w = np.random.default_rng(0).integers(0, 3, len(y))
    weighted = model.calibrate(X, y, w).temperature_
    repeated = model.calibrate(np.repeat(X, w, axis=0), np.repeat(y, w)).temperature_
    assert weighted == pytest.approx(repeated, rel=1e-6)


def test_calibration_fraction_calibrates_on_rows_that_were_not_trained(engine):
    model, X, y = fitted(MLPClassifier, engine, TWO_CLASSES, calibration_fraction=0.3)
    assert model.temperature_ > 0
    assert model.t_ / model.n_iter_ == pytest.approx(0.7 * len(y), abs=2)
    again, *_ = fitted(MLPClassifier, engine, TWO_CLASSES, calibration_fraction=0.3)
    assert again.temperature_ == model.temperature_
    with pytest.warns(ConvergenceWarning):
        model.set_params(calibration_fraction=0.0).fit(X, y)
    assert not hasattr(model, "temperature_")


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_log_probabilities_are_finite_far_away(engine, dtype):
    model, X, _ = fitted(MLPClassifier, engine, activation="identity")
    far = (X * 1e6).astype(dtype)
    logs = model.predict_log_proba(far)
    assert np.isfinite(logs).all()
    assert (logs <= 0).all()
    np.testing.assert_allclose(np.exp(logs).sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    "method",
    ["transform", "jacobian", "integrated_gradients", "predict_spread", "predict_interval"],
)
def test_an_unfitted_one_says_so(method):
    with pytest.raises(NotFittedError):
        getattr(MLPRegressor(), method)([[1.0]])
