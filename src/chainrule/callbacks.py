"""Callbacks: hooks into a training, and the ready-made ones.

A hook returns True to stop the training. Names are Keras's. Whatever a callback learns it keeps
in plain attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.history import History, Record
from chainrule.network import Network


class Callback:
    """Does nothing at every hook; subclass it and override what you need."""

    def on_train_begin(self, network: Network, history: History) -> None:
        """Before the first update."""

    def on_epoch_end(self, network: Network, history: History) -> bool | None:
        """After an epoch, its record last in `history.records`; return True to stop."""
        return None

    def next_look(self) -> float:
        """Return how many epochs may pass before `on_epoch_end` must be called.

        It is called for each of them all the same, but what it looks at besides the record, such
        as the weights, and its wish to stop count after the last. 1 by default, if it does
        anything.
        """
        return inf if _is_own(self, Callback) else 1

    def on_time_slice(self, network: Network, history: History, done: float) -> bool | None:
        """Ten times a second within long epochs; `done` epochs so far; return True to stop."""
        return None

    def on_train_end(self, network: Network, history: History) -> None:
        """After the last update, also when the training was interrupted or failed."""


def _is_own(callback: Callback, kind: type[Callback]) -> bool:
    """Tell whether what a callback does at an epoch's end is what `kind` says, nobody else."""
    return getattr(callback.on_epoch_end, "__func__", None) is kind.on_epoch_end


def check_callbacks(given: Any) -> list[Callback]:
    """Return the callbacks as a list; raise ValueError for what is none."""
    callbacks = list(given) if isinstance(given, Iterable) else [given]
    for each in callbacks:
        if not isinstance(each, Callback):
            raise ValueError(
                f"callbacks={given!r} must be a sequence of Callback objects, such as"
                " [EarlyStopping()]"
            )
    return callbacks


def monitored(record: Record, monitor: str) -> float:
    """Return what `monitor` names in a record, as a number to be made small.

    "auto" is the validation loss where there is one, else the loss; "metric" counts upwards.

    Raises ValueError when the record has no such number.
    """
    if monitor == "auto":
        monitor = "loss" if record.get("validation_loss") is None else "validation_loss"
    value = record.get(monitor)
    if not isinstance(value, (int, float)):
        known = ", ".join(key for key, each in record.items() if isinstance(each, (int, float)))
        raise ValueError(f"monitor={monitor!r} was not measured in this training; known: {known}")
    return -float(value) if monitor == "metric" else float(value)


@dataclass
class BestWeights(Callback):
    """Keep the weights of the epoch with the best monitored number; put them back on request."""

    monitor: str = "auto"
    best: float = np.inf
    theta: Array | None = None
    epoch: int = 0

    def on_epoch_end(self, network: Network, history: History) -> None:
        value = monitored(history.records[-1], self.monitor)
        if value < self.best:
            self.best, self.epoch = value, history.records[-1]["epoch"]
            self.theta = network.theta.copy()

    def restore(self, network: Network, history: History) -> None:
        """Give the network the best weights, if an epoch was completed, and note the epoch."""
        if self.theta is not None:
            network.theta[:] = self.theta
            history.best_epoch = self.epoch


@dataclass
class EarlyStopping(Callback):
    """Stop when the monitored number has not improved by `min_delta` for `patience` epochs.

    Parameters
    ----------
    monitor : str
        "auto" (validation loss, else loss), "loss", "validation_loss" or "metric".
    min_delta : float
        Improvements smaller than this don't count.
    patience : int
        Epochs to wait; the training ends in the epoch after them, as scikit-learn's does.
    restore_best_weights : bool
        Whether to end with the weights of the best epoch instead of the last.
    """

    monitor: str = "auto"
    min_delta: float = 0.0
    patience: int = 10
    restore_best_weights: bool = True
    best: float = np.inf
    waited: int = 0
    kept: BestWeights = field(init=False, repr=False, default_factory=BestWeights)

    def on_train_begin(self, network: Network, history: History) -> None:
        self.best, self.waited = np.inf, 0
        self.kept = BestWeights(self.monitor)

    def next_look(self) -> float:
        """No less than the epochs it will still wait, unless it is to keep the weights of one."""
        known = _is_own(self, EarlyStopping) and self.best < inf
        return self.patience - self.waited + 1 if known and not self.restore_best_weights else 1

    def on_epoch_end(self, network: Network, history: History) -> bool:
        if self.restore_best_weights:
            self.kept.on_epoch_end(network, history)
        value = monitored(history.records[-1], self.monitor)
        self.waited = 0 if value < self.best - self.min_delta else self.waited + 1
        self.best = min(self.best, value)
        if self.waited > self.patience:
            history.stop_reason = (
                f"{self.monitor.replace('auto', 'loss')} did not improve by more than"
                f" {self.min_delta:g} for {self.patience} epochs"
            )
            return True
        return False

    def on_train_end(self, network: Network, history: History) -> None:
        if self.restore_best_weights:
            self.kept.restore(network, history)


@dataclass
class OnEpoch(Callback):
    """Call a function of the latest record after every epoch; it returns True to stop."""

    function: Callable[[Record], bool | None]

    def on_epoch_end(self, network: Network, history: History) -> bool | None:
        return self.function(history.records[-1])
