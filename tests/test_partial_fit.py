"""partial_fit: epoch by epoch what fit does at once, with early stopping as well."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from chainrule import MLPClassifier, MLPRegressor
from chainrule.engine import ENGINES

X, Y = load_iris(return_X_y=True)
X = scale(X)


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    return request.param


def fitted(model, *data, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*data, **more)


def same(one, other):
    for a, b in zip(one.coefs_, other.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw", "rmsprop", "rprop", "adagrad"])
@pytest.mark.parametrize("learning_rate", ["constant", "invscaling"])
def test_epoch_by_epoch_is_fit(engine, solver, learning_rate):
    settings = {"hidden_layer_sizes": (6,), "solver": solver, "random_state": 0, "engine": engine}
    settings |= {"learning_rate": learning_rate, "dropout": 0.0 if solver == "rprop" else 0.2}
    model = MLPClassifier(**settings)
    for _ in range(7):
        model.partial_fit(X, Y, classes=[0, 1, 2])
    whole = fitted(MLPClassifier(max_iter=7, **settings), X, Y)
    same(model, whole)
    assert model.loss_curve_ == whole.loss_curve_
    assert model.t_ == whole.t_


@pytest.mark.parametrize("n_estimators", [1, 2])
def test_early_stopping_keeps_the_best_and_then_stands_still(engine, n_estimators):
    rows, y = make_classification(200, 8, n_informative=3, flip_y=0.3, random_state=0)
    train, seen = (rows[:100], y[:100]), (rows[100:], y[100:])
    settings = {"hidden_layer_sizes": (20,), "learning_rate_init": 0.05, "random_state": 0}
    settings |= {"engine": engine, "n_estimators": n_estimators, "monitor": "validation_loss"}
    model = MLPClassifier(early_stopping=True, n_iter_no_change=3, **settings)
    stages = [fitted(MLPClassifier(max_iter=k + 1, **settings), *train, eval_set=seen)
              for k in range(40)]  # fmt: skip
    # scikit-learn's rule, on what each stage measures
    losses = stages[-1].validation_curve_
    waited, best = [], np.inf
    for value in losses:
        waited.append(0 if value < best - 1e-4 else waited[-1] + 1)
        best = min(best, value)
    ends = waited.index(4)
    assert ends < 39
    for k in range(ends + 6):
        model.partial_fit(*train, classes=[0, 1], eval_set=seen)
        least = int(np.argmin(losses[: min(k, ends) + 1]))
        if n_estimators == 1:
            same(model, stages[least])
            assert model.best_epoch_ == least + 1
    assert n_estimators > 1 or "did not improve" in model.stop_reason_
    before = [W.copy() for W in model.coefs_]
    for _ in range(60):
        model.partial_fit(*train, eval_set=seen)
    if n_estimators == 1:
        for a, b in zip(model.coefs_, before, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_fit_forgets_what_partial_fit_left(engine):
    settings = {"hidden_layer_sizes": (6,), "random_state": 0, "engine": engine, "max_iter": 3}
    model = MLPClassifier(early_stopping=True, **settings)
    for _ in range(3):
        model.partial_fit(X, Y, classes=[0, 1, 2])
    same(fitted(model, X, Y), fitted(MLPClassifier(early_stopping=True, **settings), X, Y))


@pytest.mark.parametrize("engine", ["reference", "auto"])
def test_partial_fit_takes_weights_and_sparse_rows(engine):
    sparse = pytest.importorskip("scipy.sparse")
    weights = np.random.default_rng(0).uniform(0, 2, 150)
    settings = {"hidden_layer_sizes": (6,), "random_state": 0, "engine": engine}
    dense, thin = MLPRegressor(**settings), MLPRegressor(**settings)
    for _ in range(3):
        dense.partial_fit(X, Y, weights)
        thin.partial_fit(sparse.csc_matrix(X), Y, weights)
    for a, b in zip(dense.coefs_, thin.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_a_new_class_is_refused():
    model = MLPClassifier((3,)).partial_fit(X, Y % 2, classes=[0, 1])
    with pytest.raises(ValueError, match="class 2, which is not among the known classes"):
        model.partial_fit(X, Y)
    with pytest.raises(AttributeError, match="partial_fit"):
        MLPClassifier(solver="lbfgs").partial_fit(X, Y)
