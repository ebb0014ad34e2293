"""Checkup: what is wrong with a fitted estimator, its rows and its training, and what to type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from chainrule.diagnosis import Diagnosis, diagnose
from chainrule.estimators.inputs import input_names
from chainrule.estimators.outputs import fitted_network
from chainrule.estimators.parameters import check_parameters
from chainrule.estimators.plan import is_lbfgs, make_plan
from chainrule.estimators.table import PARAMETERS
from chainrule.history import History
from chainrule.range_test import LearningRateTest, raise_rate


def sweep_rates(
    estimator: Any, X: Any, y: Any, sample_weight: Any, span: tuple[float, float], steps: int
) -> LearningRateTest:
    """Return what a range test of a new network like the estimator's gives; it stays as it is."""
    twin = clone(estimator)
    parameters = twin.get_params(deep=False)
    if is_lbfgs(parameters):
        raise ValueError(
            "solver='lbfgs' chooses its own steps and has no learning rate to test; take another,"
            " such as 'adam'"
        )
    check_parameters(parameters, PARAMETERS | twin._own)
    data = twin._read(X, y, sample_weight, learn=True).data
    seed = int(check_random_state(twin.random_state).randint(2**31))
    network = twin._networks(data, [seed], goes_on=False)[0]
    plan = make_plan(parameters, twin._loss_and_output()[0], data.n, len(network.layers), seed)
    return raise_rate(plan, network, data, span, steps, twin.engine, twin.n_threads)


def check_up(
    estimator: Any, X: Any = None, y: Any = None, sample_weight: Any = None, eval_set: Any = None,
    *, feature_names: Sequence[str] | None = None, speaks: str = "",
) -> Diagnosis:  # fmt: skip
    """Return the diagnosis of a fitted estimator, as its method `diagnose` describes it.

    `feature_names` are those of X, and `speaks` the words of remedies, where the estimator's own do
    not fit. Raises ValueError for X without y, and for what does not fit the estimator.
    """
    check_is_fitted(estimator, "coefs_")
    if (X is None) != (y is None):
        given, missing = ("X", "y") if y is None else ("y", "X")
        raise ValueError(f"{given} is given without {missing}; expected both, or neither")
    network = fitted_network(estimator)
    parameters = estimator.get_params(deep=False)
    loss = estimator._loss_and_output()[0]
    seen, held_out, rows = (None, None, None), None, 200
    if X is not None:
        data = estimator._read(X, y, sample_weight, learn=False).data
        seen, rows = (data.X, data.Y, data.weights), data.n
    if eval_set is not None:
        apart = estimator._read_apart(eval_set).data
        held_out = apart.X, apart.Y
    if parameters["batch_size"] != "auto":
        rows = max(rows, parameters["batch_size"])  # those looked at may be fewer than in fit
    plan = make_plan(parameters, loss, rows, len(network.layers), seed=0)
    own = not isinstance(parameters["solver"], str)
    return diagnose(
        network, *seen[:2], loss=loss, history=_history(estimator), held_out=held_out,
        optimizer=plan.optimizer, weights=seen[2], batch_size=plan.batch_size,
        clip_norm=plan.clip_norm, dropout=plan.dropout,
        feature_names=feature_names or input_names(estimator),
        class_names=_class_names(estimator, network.sizes[-1]),
        speaks=speaks or ("own_solver" if own else "estimator"),
    )  # fmt: skip


def _history(estimator: Any) -> History:
    """Return what fit left of its epochs; none where the weights were set by hand."""
    history = History(getattr(estimator, "history_", ()))
    history.stop_reason = getattr(estimator, "stop_reason_", "")
    history.best_epoch = getattr(estimator, "best_epoch_", None)
    return history


def _class_names(estimator: Any, outputs: int) -> list[str] | None:
    """Return the classes in the order of the outputs; None for labels and numbers."""
    classes = getattr(estimator, "classes_", np.array([])).tolist()
    named = getattr(estimator, "_kind", "") == "classes" and len(classes) == max(2, outputs)
    return list(map(str, classes)) if named else None
