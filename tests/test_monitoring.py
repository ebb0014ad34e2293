"""Monitoring: what is measured on rows kept apart, and which weights it ends with.

The truth is scikit-learn's metrics, on a model fitted anew for exactly as many epochs.
"""

import warnings

import numpy as np
import pytest
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    log_loss,
    make_scorer,
    mean_absolute_error,
    mean_pinball_loss,
    mean_squared_error,
    r2_score,
    roc_auc_score,
)

from chainrule import MLPClassifier, MLPRegressor
from chainrule.engine import ENGINES
from chainrule.losses import AbsoluteError, CrossEntropy, Quantile

EPOCHS = 6


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    return request.param


def rows(kind, classes=3):
    """Return training rows, validation rows and the validation rows' weights."""
    if kind == "classes":
        X, y = make_classification(
            150, 6, n_informative=4, n_classes=classes, flip_y=0.2, random_state=0
        )
    else:
        X, y = make_regression(150, 6, n_informative=4, noise=20.0, random_state=0)
        y = (y - y.mean()) / y.std()
    weights = np.random.default_rng(0).uniform(0, 2, 50)
    return X[:100], y[:100], X[100:], y[100:], weights


def fitted(kind, engine, epochs=EPOCHS, eval_set=None, **settings):
    cls = MLPClassifier if kind == "classes" else MLPRegressor
    settings = {"learning_rate_init": 0.03, "n_iter_no_change": np.inf} | settings
    model = cls(hidden_layer_sizes=(8,), max_iter=epochs, random_state=0, engine=engine, **settings)
    X, y, *_ = rows(kind, settings.pop("classes", 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y, eval_set=eval_set)


def stages(kind, engine, truth, **settings):
    """Return what `truth` makes of the model after 1, 2, … epochs."""
    return [truth(fitted(kind, engine, epochs=k + 1, **settings)) for k in range(EPOCHS)]


@pytest.mark.parametrize("weighted", [False, True])
def test_a_classifiers_curve_and_scores(engine, weighted):
    _, _, X, y, w = rows("classes")
    w = w if weighted else None
    model = fitted("classes", engine, eval_set=(X, y, w) if weighted else (X, y))
    losses = stages("classes", engine, lambda m: log_loss(y, m.predict_proba(X), sample_weight=w))
    scores = stages("classes", engine, lambda m: accuracy_score(y, m.predict(X), sample_weight=w))
    np.testing.assert_allclose(model.validation_curve_, losses, rtol=1e-9)
    np.testing.assert_allclose(model.validation_scores_, scores, rtol=1e-12)
    assert np.isclose(model.best_validation_score_, max(scores))


@pytest.mark.parametrize("weighted", [False, True])
def test_a_regressors_curve_and_scores(engine, weighted):
    _, _, X, y, w = rows("numbers")
    w = w if weighted else None
    model = fitted("numbers", engine, eval_set=(X, y, w) if weighted else (X, y))

    def half_square(m):
        return mean_squared_error(y, m.predict(X), sample_weight=w) / 2

    losses = stages("numbers", engine, half_square)
    scores = stages("numbers", engine, lambda m: r2_score(y, m.predict(X), sample_weight=w))
    np.testing.assert_allclose(model.validation_curve_, losses, rtol=1e-9)
    np.testing.assert_allclose(model.validation_scores_, scores, rtol=1e-9, atol=1e-12)


def brier(estimator, X, y):
    """Score a classifier of three classes by the probability of the last."""
    return -brier_score_loss(y == 2, estimator.predict_proba(X)[:, 2])


def _auc(model, X, y):
    return roc_auc_score(y, model.predict_proba(X), multi_class="ovr")


@pytest.mark.parametrize(
    ("kind", "monitor", "truth"),
    [
        ("classes", "neg_log_loss", lambda m, X, y: -log_loss(y, m.predict_proba(X))),
        ("classes", "roc_auc_ovr", _auc),
        ("classes", brier, brier),
        ("classes", CrossEntropy(), lambda m, X, y: -log_loss(y, m.predict_proba(X))),
        (
            "numbers",
            "neg_mean_absolute_error",
            lambda m, X, y: -mean_absolute_error(y, m.predict(X)),
        ),
        ("numbers", AbsoluteError(), lambda m, X, y: -mean_absolute_error(y, m.predict(X))),
        ("numbers", "absolute_error", lambda m, X, y: -mean_absolute_error(y, m.predict(X))),
        (
            "numbers",
            make_scorer(mean_pinball_loss, greater_is_better=False, alpha=0.9),
            lambda m, X, y: -mean_pinball_loss(y, m.predict(X), alpha=0.9),
        ),
        (
            "numbers",
            Quantile(0.9),
            lambda m, X, y: -mean_pinball_loss(y, m.predict(X), alpha=0.9),
        ),
    ],
    ids=["scorer name", "other name", "callable", "loss of classes", "scorer name of numbers",
         "loss", "loss name", "scorer", "loss with a setting"],
)  # fmt: skip
def test_any_scorer_or_loss_is_monitored(engine, kind, monitor, truth):
    _, _, X, y, _ = rows(kind)
    model = fitted(kind, engine, eval_set=(X, y), monitor=monitor)
    expected = stages(kind, engine, lambda m: truth(m, X, y))
    np.testing.assert_allclose(model.validation_scores_, expected, rtol=1e-9)


def test_scores_of_scaled_targets_are_in_their_units(engine):
    _, _, X, y, _ = rows("numbers")
    settings = {"scale_y": "standard", "scale_X": "standard", "monitor": "neg_mean_squared_error"}
    model = fitted("numbers", engine, eval_set=(X, y), **settings)
    expected = stages("numbers", engine, lambda m: -mean_squared_error(y, m.predict(X)), **settings)
    np.testing.assert_allclose(model.validation_scores_, expected, rtol=1e-9)


@pytest.mark.parametrize("monitor", ["metric", "validation_loss", "neg_log_loss"])
@pytest.mark.parametrize("how", ["early_stopping", "restore_best_weights"])
def test_the_best_weights_are_restored_in_every_mode(engine, monitor, how):
    _, _, X, y, _ = rows("classes")
    settings = {"monitor": monitor, "learning_rate_init": 0.3}
    model = fitted("classes", engine, 12, (X, y), **settings | {how: True})
    seen = model.validation_curve_ if monitor == "validation_loss" else model.validation_scores_
    best = np.argmin(seen) if monitor == "validation_loss" else np.argmax(seen)
    assert model.best_epoch_ == best + 1 < 12
    alike = fitted("classes", engine, int(best) + 1, **settings)
    for mine, its in zip(model.coefs_, alike.coefs_, strict=True):
        np.testing.assert_array_equal(mine, its)
    last = fitted("classes", engine, 12, (X, y), **settings)
    assert last.best_epoch_ is None
    assert (last.coefs_[0] != model.coefs_[0]).any()


def test_without_validation_rows_the_lowest_loss_is_restored(engine):
    settings = {"learning_rate_init": 3.0}
    model = fitted("classes", engine, 12, restore_best_weights=True, **settings)
    assert model.best_epoch_ == np.argmin(model.loss_curve_) + 1 < 12
    alike = fitted("classes", engine, model.best_epoch_, **settings)
    np.testing.assert_array_equal(model.coefs_[0], alike.coefs_[0])


def test_patience_is_scikit_learns(engine):
    _, _, X, y, _ = rows("classes")
    settings = {"early_stopping": True, "n_iter_no_change": 4, "tol": 0.01}
    model = fitted("classes", engine, 200, (X, y), **settings)
    best, waited = -np.inf, []
    for score in model.validation_scores_:
        waited.append(0 if score >= best + 0.01 else waited[-1] + 1)
        best = max(best, score)
    assert waited.index(5) == len(waited) - 1 < 199
    assert "did not improve" in model.stop_reason_


def test_held_out_rows_are_no_training_rows(engine):
    """Targets that are wrong in the eval_set only change nothing but the curve."""
    _, _, X, y, _ = rows("numbers")
    one = fitted("numbers", engine, eval_set=(X, y))
    other = fitted("numbers", engine, eval_set=(X, -y))
    np.testing.assert_array_equal(one.coefs_[0], other.coefs_[0])
    assert one.validation_curve_ != other.validation_curve_


@pytest.mark.parametrize(
    ("eval_set", "words"),
    [
        (np.zeros((3, 6)), "eval_set is a ndarray; expected a pair"),
        (([[1.0] * 6],), "expected a pair"),
        (([[1.0] * 5], [1]), "5 features"),
        (([[1.0] * 6], [7]), "class 7"),
        (([[np.nan] * 6], [1]), "NaN"),
        (([[1.0] * 6], [1], [-1.0]), "weight"),
    ],
)
def test_an_eval_set_that_is_none_is_refused(eval_set, words):
    with pytest.raises(ValueError, match=words):
        fitted("classes", "reference", eval_set=eval_set)


def test_a_scorer_that_gives_no_number_is_named():
    _, _, X, y, _ = rows("classes")
    with pytest.raises(ValueError, match="expected a finite number, the larger the better"):
        fitted("classes", "reference", eval_set=(X, y), monitor=lambda estimator, X, y: np.nan)


@pytest.mark.parametrize("monitor", ["accuracy_of_mine", 3, None])
def test_a_monitor_that_is_none_is_refused(monitor):
    with pytest.raises(ValueError, match="monitor"):
        fitted("classes", "reference", monitor=monitor)
