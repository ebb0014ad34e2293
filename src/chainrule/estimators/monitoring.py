"""Monitoring: which rows are kept apart, and what is measured on them after every epoch."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer
from sklearn.utils import _safe_indexing

from chainrule.arrays import Array
from chainrule.engine import Data
from chainrule.losses import LOSSES, Loss, get_loss
from chainrule.network import Network
from chainrule.rows import hold_out as rows_held_out


@dataclass(frozen=True)
class Rows:
    """Rows as the user gave them, X and y, and as the network sees them."""

    data: Data
    X: Any
    y: Any
    weights: Array | None  # the user's; those in `data` have the classes' in them

    def take(self, places: Any) -> Rows:
        """Return some of the rows."""
        X, Y, weights = self.data.X, self.data.Y, self.data.weights
        part = Data(X[places], Y[places], None if weights is None else weights[places])
        own = None if self.weights is None else self.weights[places]
        given = part.X if self.X is X else _safe_indexing(self.X, places)  # not twice the same
        return Rows(part, given, _safe_indexing(self.y, places), own)


def hold_out(
    rows: Rows, share: float, strata: Any, rng: Any, name: str, remedy: str, classes: Any = ()
) -> tuple[Rows, Rows]:
    """Return the rows to train on and those held out, each class on both sides.

    By what the rows hold (see `chainrule.rows`), so that a weight is as good as so many rows.
    `name` is the parameter that asked for it, for messages. Raises ValueError for a share that
    leaves less than two rows, or loses a class.
    """
    data = rows.data
    if share == 0:
        raise ValueError(f"{name}=0 holds out no row: give a share, such as 0.1, or {remedy}")
    seed = int(rng.randint(2**31))
    try:
        sides = rows_held_out(data.X, data.Y, rows.weights, strata, share, seed, classes)
    except ValueError as error:
        raise ValueError(f"{error}, or {remedy} ({name}={share!r})") from None
    return rows.take(sides[0]), rows.take(sides[1])


def check_eval_set(eval_set: Any) -> tuple[Any, Any, Any]:
    """Return X, y and weights of an `eval_set`; raise ValueError where it is none."""
    if not isinstance(eval_set, (tuple, list)) or len(eval_set) not in (2, 3):
        raise ValueError(
            f"eval_set is a {type(eval_set).__name__}; expected a pair (X, y), or three:"
            " (X, y, sample_weight)"
        )
    X, y, weights = (*eval_set, None)[:3]
    return X, y, weights


def monitored_as(monitor: Any) -> str:
    """Return under which name a record holds what the parameter `monitor` asks for."""
    return "validation_loss" if monitor == "validation_loss" else "metric"


Metric = Callable[[Array, Array], float]  # (targets, outputs) -> the larger, the better


def make_metric(estimator: Any, network: Network, seen: Rows) -> Metric:
    """Return what measures a network's outputs on the rows `seen`, by the parameter `monitor`."""
    monitor, weights = estimator.monitor, seen.weights
    if isinstance(monitor, str) and monitor in ("metric", "validation_loss"):
        weighed = seen.data.weights  # with those of the classes, as in what is minimised
        return lambda Y, outputs: float(estimator._metric(Y, outputs, weighed))
    if isinstance(monitor, Loss) or (isinstance(monitor, str) and monitor in LOSSES):
        loss = get_loss(monitor)
        return lambda Y, outputs: -_mean_loss(loss, Y, outputs, weights)
    score = get_scorer(monitor) if isinstance(monitor, str) else monitor
    function = getattr(score, "_score_func", None)
    weighs = function is not None and "sample_weight" in inspect.signature(function).parameters
    weighing = {"sample_weight": weights} if weighs and weights is not None else {}
    view = copy.copy(estimator)  # the estimator as it is in the middle of its training
    view._take([network])

    def metric(Y: Array, outputs: Array) -> float:
        view._given = seen.X, outputs  # what the engine has just computed is not computed again
        value = score(view, seen.X, seen.y, **weighing)
        if not np.isfinite(value):
            raise ValueError(
                f"monitor={monitor!r} gave {value!r}; expected a finite number, the larger the"
                " better"
            )
        return float(value)

    return metric


def _mean_loss(loss: Loss, Y: Array, outputs: Array, weights: Array | None) -> float:
    losses = loss.value(outputs, loss.target(Y)).sum(axis=1)
    return float(np.average(losses, weights=weights))
