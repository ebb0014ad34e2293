"""Telling: what a training prints and warns of, in scikit-learn's words, and what to try."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from chainrule.callbacks import Callback
from chainrule.history import History
from chainrule.loop import Diverged, Loop
from chainrule.network import Network

DIVERGED = (
    "Solver produced non-finite parameter weights. The input data may contain large values and"
    " need to be preprocessed."
)

INSIDE = ("chainrule.", "sklearn.")  # modules that no user reads a warning of


@dataclass
class Verbose(Callback):
    """Print a line per epoch, and why the training stops or its learning rate falls."""

    tol: float
    patience: float
    monitor: str | None = None  # of early stopping

    def on_train_begin(self, network: Network, history: History) -> None:
        self.factor = self.training.state.plateau.factor

    def on_epoch_end(self, network: Network, history: History) -> None:
        record, plateau = history.records[-1], self.training.state.plateau
        print(f"Iteration {record['epoch']}, loss = {record['loss']:.8f}")
        if record["metric"] is not None:
            print(f"Validation score: {record['metric']:f}")
        if plateau.factor < self.factor and not plateau.exhausted:
            rate = getattr(self.training.plan.optimizer, "rate", 0.0) * plateau.factor
            print(f"{self._no_better()} Setting learning rate to {rate:f}")
        self.factor = plateau.factor

    def on_train_end(self, network: Network, history: History) -> None:
        reason = history.stop_reason
        if self.training.state.plateau.exhausted:
            print(f"{self._no_better()} Learning rate too small. Stopping.")
        elif "did not improve" in reason:
            print(f"{self._no_better()} Stopping.")
        elif reason and not reason.startswith("reached"):
            print(f"{reason[0].upper()}{reason[1:]}. Stopping.")

    def _no_better(self) -> str:
        what = {None: "Training loss", "metric": "Validation score"}.get(self.monitor, self.monitor)
        return (
            f"{what} did not improve more than tol={self.tol:f} for {self.patience} consecutive"
            " epochs."
        )


def has_diverged(loop: Loop) -> bool:
    """Tell whether the training met a number that is not finite."""
    return loop.history.stop_reason.startswith("training diverged")


def curve_of(loop: Loop, key: str) -> list[float]:
    """Return what was measured in each epoch; NaN in the one in which it diverged."""
    curve = [float(value) for value in loop.history[key]]
    if has_diverged(loop):
        last = loop.history["validation_loss"] if loop.held_out is not None else []
        complete = bool(last) and not np.isfinite(last[-1])
        curve = [*(curve[:-1] if complete else curve), np.nan]
    return curve


def as_scikit_learn_says(error: Diverged) -> Diverged:
    """Return the error with scikit-learn's sentence before ours."""
    return Diverged(f"{DIVERGED} {error}")


def warn_unless_converged(loop: Loop, p: dict[str, Any]) -> None:
    """Warn, as scikit-learn does, of a training that ended too early; say why and what to try."""
    reason, losses = loop.history.stop_reason, loop.history["loss"]
    if has_diverged(loop):
        text = f"{reason}; the best weights so far are kept"
    elif reason.startswith("reached"):
        fell = losses[-2] - losses[-1] if len(losses) > 1 else losses[-1]
        moved = f"{'fell' if fell >= 0 else 'rose'} by {abs(fell):.3g}"
        text = (
            f"Stochastic Optimizer: Maximum iterations ({p['max_iter']}) reached and the"
            f" optimization hasn't converged yet. In its last epoch the loss {moved} to"
            f" {losses[-1]:.6g}, and tol={p['tol']:g}: raise max_iter={p['max_iter']} or the"
            " learning rate, or stop on held-out rows: early_stopping=True"
        )
    elif reason.startswith("L-BFGS: ") and "limit" in reason:
        text = (
            f"lbfgs failed to converge after {len(losses)} iteration(s):"
            f" {reason.removeprefix('L-BFGS: ')}. Raise max_iter={p['max_iter']} or"
            f" max_fun={p['max_fun']}, or scale the columns of X to a like size"
        )
    else:
        return
    warnings.warn(text, ConvergenceWarning, stacklevel=_callers_level())


def _callers_level() -> int:
    """Return the `stacklevel` of the line that called in, outside chainrule and scikit-learn.

    The callbacks of scikit-learn put frames of theirs between a caller and `fit`.
    """
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(INSIDE):
        frame, level = frame.f_back, level + 1
    return level
