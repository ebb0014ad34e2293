"""Stopping: when a training has gone on for long enough, and with which weights it ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import Any

import numpy as np

from chainrule.arrays import Array, refuse_outside
from chainrule.callbacks.base import Callback, Mode, direction, key_of, look, monitored, refuse_mode
from chainrule.history import History
from chainrule.network import Network


@dataclass
class BestWeights(Callback):
    """Keep the weights of the epoch with the best monitored number; put them back on request."""

    monitor: str = "auto"
    best: float = np.inf
    theta: Array | None = None
    epoch: int = 0
    mode: Mode = "auto"

    def on_epoch_end(self, network: Network, history: History) -> None:
        value = monitored(history.records[-1], self.monitor, self.mode)
        if value < self.best:
            self.best, self.epoch = value, history.records[-1]["epoch"]
            if self.theta is None:
                self.theta = network.theta.copy()
            else:
                self.theta[:] = network.theta

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "epoch": self.epoch, "theta": self.theta}

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
        Epochs to wait; the training ends in the epoch after them, as scikit-learn's does. Keras
        ends in the last of them: its patience is this one and 1.
    restore_best_weights : bool
        Whether to end with the weights of the best epoch instead of the last.
    mode : {"auto", "min", "max"}
        Whether the number is to fall or to rise; by default "metric" rises and all else falls.
    baseline : float, optional
        The wait goes on until this number is improved on too.
    start_from_epoch : int
        The first so many epochs are not looked at.

    Examples
    --------
    >>> from chainrule import EarlyStopping, Network, train
    >>> stopping = EarlyStopping("loss", min_delta=1e-3, patience=5)
    >>> history = train(Network([1, 1]), [[1.0]], [[2.0]], optimizer="adam", epochs=9999,
    ...                 callbacks=[stopping])
    >>> history.stop_reason
    'loss did not improve by more than 0.001 for 5 epochs'
    """

    monitor: str = "auto"
    min_delta: float = 0.0
    patience: float = 10
    restore_best_weights: bool = True
    mode: Mode = "auto"
    baseline: float | None = None
    start_from_epoch: int = 0
    best: float = field(init=False, default=np.inf)
    waited: int = field(init=False, default=0)
    kept: BestWeights = field(init=False, repr=False, default_factory=BestWeights)

    def __post_init__(self) -> None:
        refuse_mode(self, self.mode)
        refuse_outside(self, min_delta="[0, inf)", start_from_epoch="[0, inf)")
        if self.patience != inf:
            refuse_outside(self, patience="[0, inf)")

    def check(self) -> None:
        key_of(self.monitor, self.training.measured)

    def on_train_begin(self, network: Network, history: History) -> None:
        self.best, self.waited = np.inf, 0
        self.kept = BestWeights(self.monitor, mode=self.mode)

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited, "kept": self.kept.state()}

    def on_train_resume(self, network: Network, history: History, state: dict[str, Any]) -> None:
        self.on_train_begin(network, history)
        self.best, self.waited = state["best"], state["waited"]
        vars(self.kept).update(state["kept"])

    def next_look(self) -> float:
        """No less than the epochs it will still wait, unless it is to keep the weights of one."""
        known = self.best < inf and not self.restore_best_weights
        return look(self, EarlyStopping, self.patience - self.waited + 1 if known else 1)

    def on_epoch_end(self, network: Network, history: History) -> bool:
        record = history.records[-1]
        if record["epoch"] <= self.start_from_epoch:
            return False
        if self.restore_best_weights:
            self.kept.on_epoch_end(network, history)
        value = monitored(record, self.monitor, self.mode)
        improved = value < self.best - self.min_delta
        enough = improved and value < self._baseline() - self.min_delta
        self.waited = 0 if enough else self.waited + 1
        self.best = min(self.best, value)
        if self.waited > self.patience and not improved:
            history.stop_reason = (
                f"{self.monitor.replace('auto', 'loss')} did not improve by more than"
                f" {self.min_delta:g} for {self.patience} epochs"
            )
            return True
        return False

    def _baseline(self) -> float:
        rises = direction(self.monitor, self.mode)
        return inf if self.baseline is None else rises * self.baseline

    def on_train_end(self, network: Network, history: History) -> None:
        if self.restore_best_weights:
            self.kept.restore(network, history)


@dataclass
class TimeLimit(Callback):
    """Stop when so many seconds have passed since the training began.

    It is looked at ten times a second, and after every iteration of L-BFGS. The epoch under way
    is left where it is: what it learnt so far is kept, a record it has none.

    >>> from chainrule import Network, TimeLimit, train
    >>> history = train(Network([1, 1]), [[1.0]], [[2.0]], epochs=10**9, callbacks=[TimeLimit(0.2)])
    >>> history.stop_reason
    'the time limit of 0.2 s is over'
    """

    seconds: float
    _end: float = field(init=False, repr=False, default=inf)

    def __post_init__(self) -> None:
        refuse_outside(self, seconds="(0, inf)")

    def on_train_begin(self, network: Network, history: History) -> None:
        self._end = monotonic() + self.seconds

    def next_look(self) -> float:
        """Never: the engine comes back ten times a second."""
        return look(self, TimeLimit)

    def on_epoch_end(self, network: Network, history: History) -> bool:
        if monotonic() < self._end:
            return False
        history.stop_reason = f"the time limit of {self.seconds:g} s is over"
        return True

    def on_time_slice(self, network: Network, history: History, done: float) -> bool:
        return self.on_epoch_end(network, history)


class TerminateOnNaN(Callback):
    """End at a number that is not finite with the best weights so far, and raise nothing.

    What Keras's callback of this name does is always on here: the engines look at every update,
    and end at the first number that is not finite, in the loss, a gradient or the weights, before
    it reaches the network. By default that raises `Diverged`, naming update, layer and remedy.
    With this callback the training ends by value instead: the network has the weights of its best
    epoch, and `history.stop_reason` has the words. Without any epoch complete there is nothing to
    keep, and `Diverged` is raised all the same.

    >>> from chainrule import SGD, Network, TerminateOnNaN, train
    >>> net = Network([1, 8, 1], "identity", seed=0)
    >>> history = train(net, [[1.0], [2.0]], [[2.0], [9.0]], optimizer=SGD(3.0),
    ...                 callbacks=[TerminateOnNaN()])
    >>> history.stop_reason[:51]
    'training diverged: a number that is not finite at u'
    >>> history.best_epoch is not None
    True
    """

    def on_divergence(self, network: Network, history: History, error: Exception) -> bool:
        return True

    def __repr__(self) -> str:
        return "TerminateOnNaN()"
