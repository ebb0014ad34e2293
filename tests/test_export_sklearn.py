"""From scikit-learn: a fitted MLP of theirs, and ours made of it, say the same."""

import pickle

import numpy as np
import pytest
from sklearn import neural_network as theirs
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from chainrule import MLPRegressor, from_sklearn, load_model, save_model, to_numpy
from exported import WORDS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 4))
Y = X @ RNG.normal(size=(4, 3))
BRIEF = {"max_iter": 4, "random_state": 0}
FITTED = {
    "two classes": lambda **p: theirs.MLPClassifier((5,), **p).fit(X, WORDS[(Y[:, 0] > 0) * 1]),
    "three": lambda **p: theirs.MLPClassifier((5, 4), **p).fit(X, Y.argmax(axis=1)),
    "labels": lambda **p: theirs.MLPClassifier((5,), **p).fit(X, Y > 0),
    "number": lambda **p: theirs.MLPRegressor(hidden_layer_sizes=(5,), **p).fit(X, Y[:, 0]),
    "numbers": lambda **p: theirs.MLPRegressor(hidden_layer_sizes=(5,), **p).fit(X, Y),
    "counts": lambda **p: theirs.MLPRegressor("poisson", (5,), **p).fit(X, np.abs(Y[:, 0])),
}  # fmt: skip


def assert_same(ours, fitted, X=X):
    close = 1e-5 if fitted.coefs_[0].dtype == np.float32 else 1e-12
    if hasattr(fitted, "classes_"):
        expected = fitted.predict_proba(X)
        assert ours.predict_proba(X) == pytest.approx(expected, rel=close, abs=close)
        assert (ours.predict(X) == fitted.predict(X)).all()
        assert ours.classes_.tolist() == fitted.classes_.tolist()
        assert ours.predict(X).shape == fitted.predict(X).shape
    else:
        assert ours.predict(X) == pytest.approx(fitted.predict(X), rel=close, abs=close)


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
@pytest.mark.parametrize("name", FITTED)
def test_predictions_are_equal(name, activation):
    fitted = FITTED[name](activation=activation, **BRIEF)
    ours = from_sklearn(fitted)
    assert_same(ours, fitted)
    assert ours.loss_curve_ == pytest.approx(fitted.loss_curve_)
    assert ours.n_iter_ == fitted.n_iter_
    assert ours.get_params()["activation"] == activation


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_all_that_an_estimator_of_ours_can(solver, tmp_path):
    fitted = FITTED["three"](solver=solver, **BRIEF)
    ours = from_sklearn(fitted)
    save_model(ours, tmp_path / "theirs.chainrule")
    assert_same(load_model(tmp_path / "theirs.chainrule"), fitted)
    assert_same(pickle.loads(pickle.dumps(ours)), fitted)
    assert "def predict_proba(X)" in to_numpy(ours)
    ours.calibrate(X, Y.argmax(axis=1))
    before = ours.score(X, Y.argmax(axis=1))
    ours.set_params(warm_start=True, max_iter=50).fit(X, Y.argmax(axis=1))
    assert ours.score(X, Y.argmax(axis=1)) >= before


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("name", ["three", "number"])
def test_partial_fit_goes_on_as_theirs_would(name, solver):
    """With the same order of rows, and an ε so small that where it stands makes no difference."""
    same = {"solver": solver, "shuffle": False, "epsilon": 1e-14, "batch_size": 30, **BRIEF}
    fitted = FITTED[name](**same)
    ours = from_sklearn(fitted)
    y = Y.argmax(axis=1) if name == "three" else Y[:, 0]
    for _ in range(3):
        fitted.partial_fit(X, y)
        ours.partial_fit(X, y)
    for mine, W in zip(ours.coefs_, fitted.coefs_, strict=True):
        assert mine == pytest.approx(W, rel=1e-6, abs=1e-9)


def test_float32_and_names():
    import pandas as pd

    frame = pd.DataFrame(X.astype(np.float32), columns=list("abcd"))
    fitted = theirs.MLPClassifier((5,), **BRIEF).fit(frame, Y.argmax(axis=1))
    ours = from_sklearn(fitted)
    assert ours.coefs_[0].dtype == np.float32
    assert_same(ours, fitted, frame)


def test_early_stopping_leaves_its_scores():
    fitted = FITTED["three"](early_stopping=True, **BRIEF)
    ours = from_sklearn(fitted)
    assert ours.validation_scores_ == pytest.approx(fitted.validation_scores_)
    assert [each["metric"] for each in ours.history_] == ours.validation_scores_


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (LogisticRegression(), "LogisticRegression is no multilayer perceptron"),
        (theirs.MLPClassifier(), "not fitted yet"),
        (
            MLPRegressor(),
            "chainrule.estimators.regressor.MLPRegressor is no",
        ),
    ],
)
def test_anything_else_is_refused(model, says):
    with pytest.raises((ValueError, NotFittedError), match=says):
        from_sklearn(model)
