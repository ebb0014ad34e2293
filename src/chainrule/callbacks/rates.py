"""Rates: callbacks that set the learning rate as the training goes on.

They act by `Training.rate`, on top of any schedule, in both engines. Where the rate is a function
of the step alone, or of the loss, take a schedule instead: it costs no look between epochs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any

from chainrule.arrays import refuse_outside
from chainrule.callbacks.base import (
    Callback,
    Mode,
    key_of,
    look,
    monitored,
    refuse_mode,
)
from chainrule.history import History
from chainrule.network import Network
from chainrule.optimizers import LBFGS


@dataclass
class LearningRateScheduler(Callback):
    """Set the learning rate before every epoch to `function(epoch, rate)`.

    Parameters
    ----------
    function : function (int, float) -> float
        Of the epochs that are done, so 0 for the first, as Keras counts here, and of the rate of
        the next update.

    Examples
    --------
    >>> from chainrule import LearningRateScheduler, Network, train
    >>> halve = LearningRateScheduler(lambda epoch, rate: rate if epoch < 2 else rate / 2)
    >>> train(Network([1, 1]), [[1.0]], [[2.0]], optimizer="sgd", epochs=4,
    ...       callbacks=[halve])["rate"]
    [0.01, 0.01, 0.005, 0.0025]
    """

    function: Callable[[int, float], float]

    def check(self) -> None:
        if not callable(self.function):
            raise ValueError(f"function={self.function!r} must be a function of (epoch, rate)")
        _refuse_without_rate(self)

    def on_epoch_begin(self, network: Network, history: History, epoch: int) -> None:
        self.training.rate = self.function(epoch - 1, self.training.rate)


@dataclass
class ReduceLROnPlateau(Callback):
    """Multiply the learning rate by `factor` when the monitored number has not improved by
    `min_delta` for `patience` epochs, as Keras does.

    The schedule "reduce_on_plateau" does the same, ends the training at the lowest rate, and
    is a part of the plan; this one monitors any number, and can cool down.

    Parameters
    ----------
    monitor : str
        "auto" (validation loss, else loss), "loss", "validation_loss" or "metric".
    factor : float
        In (0, 1).
    patience : int
        Epochs without improvement, of which the last one changes the rate.
    mode : {"auto", "min", "max"}
        Whether the number is to fall or to rise; by default "metric" rises and all else falls.
    min_delta : float
        Improvements smaller than this don't count.
    cooldown : int
        Epochs after a change of which none but the last counts as one without improvement.
    min_lr : float
        The rate is never made smaller than this.

    Examples
    --------
    >>> from chainrule import Network, ReduceLROnPlateau, train
    >>> plateau = ReduceLROnPlateau("loss", factor=0.5, patience=2, min_delta=1.0)
    >>> history = train(Network([1, 1]), [[1.0]], [[2.0]], optimizer="sgd", epochs=7,
    ...                 callbacks=[plateau])
    >>> history["rate"]
    [0.01, 0.01, 0.01, 0.005, 0.005, 0.0025, 0.0025]
    """

    monitor: str = "auto"
    factor: float = 0.1
    patience: int = 10
    mode: Mode = "auto"
    min_delta: float = 1e-4
    cooldown: int = 0
    min_lr: float = 0.0
    best: float = field(init=False, default=inf)
    waited: int = field(init=False, default=0)
    cooling: int = field(init=False, default=0)  # epochs still to go, and the one under way

    def __post_init__(self) -> None:
        refuse_mode(self, self.mode)
        refuse_outside(
            self, factor="(0, 1)", patience="[0, inf)", min_delta="[0, inf)",
            cooldown="[0, inf)", min_lr="[0, inf)",
        )  # fmt: skip

    def check(self) -> None:
        key_of(self.monitor, self.training.measured)
        _refuse_without_rate(self)

    def on_train_begin(self, network: Network, history: History) -> None:
        self.best, self.waited, self.cooling = inf, 0, 0

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited, "cooling": self.cooling}

    def next_look(self) -> float:
        """The epochs it will still cool down and wait."""
        pause = self.cooling - 1 if self.cooling else 0
        return look(self, ReduceLROnPlateau, pause + self.patience - self.waited)

    def on_epoch_end(self, network: Network, history: History) -> None:
        value = monitored(history.records[-1], self.monitor, self.mode)
        if self.cooling:
            self.cooling, self.waited = self.cooling - 1, 0
        if value < self.best - self.min_delta:
            self.best, self.waited = value, 0
        elif not self.cooling:
            self.waited += 1
            rate = self.training.rate
            if self.waited >= self.patience and rate > self.min_lr:
                self.training.rate = max(rate * self.factor, self.min_lr)
                self.cooling, self.waited = self.cooldown, 0


def _refuse_without_rate(callback: Callback) -> None:
    if isinstance(callback.training.plan.optimizer, LBFGS):
        raise ValueError(
            f"{type(callback).__name__} needs a learning rate, and L-BFGS has none; take an"
            " optimizer such as 'adam', or leave the callback out"
        )
