"""Schedules: the learning rate as a function of the step.

A schedule is a factor on the optimizer's rate, so each works with every optimizer
(but L-BFGS, which chooses its own steps). `factor` is a
pure function of the number t = 1, 2, … of the update, the updates per epoch, and the total that is
planned: a resumed training goes on exactly. `ReduceOnPlateau` also looks at the loss; what it
remembers is data, kept with the training's state.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from numpy import cos, floor, maximum, minimum, pi

from chainrule.arrays import refuse_outside
from chainrule.names import look_up


@dataclass
class PlateauMemory:
    """What a plateau schedule remembers between epochs."""

    factor: float = 1.0
    best: float = float("inf")
    waited: int = 0
    exhausted: bool = False


@dataclass(frozen=True)
class Schedule:
    """What every schedule offers. Called in its own right it is the constant schedule."""

    def factor(self, t: float, per_epoch: float, total: float) -> float:
        """Return the multiple of the optimizer's rate at update t of `total`."""
        return 1.0

    def after_epoch(self, memory: PlateauMemory, loss: float, rate: float) -> None:
        """Note the epoch's monitored `loss`; a plateau schedule may lower `memory.factor`."""

    def next_look(self, memory: PlateauMemory) -> float:
        """Return after how many epochs, at the earliest, `after_epoch` may change the memory's
        factor, or end the training."""
        return inf if type(self).after_epoch is Schedule.after_epoch else 1


@dataclass(frozen=True)
class Constant(Schedule):
    """η_t = η."""


@dataclass(frozen=True)
class InverseScaling(Schedule):
    """η_t = η / tᵖ, with t counted in updates.

    >>> InverseScaling(0.5).factor(4, per_epoch=10, total=100)
    0.5
    """

    power: float = 0.5

    def __post_init__(self) -> None:
        refuse_outside(self, power="[0, inf)")

    def factor(self, t: float, per_epoch: float, total: float) -> float:
        return 1 / t**self.power


@dataclass(frozen=True)
class StepDecay(Schedule):
    """η_t = η·drop^⌊epoch / every⌋, with `every` in epochs, and epochs counted from 0."""

    drop: float = 0.5
    every: float = 10.0

    def __post_init__(self) -> None:
        refuse_outside(self, drop="(0, 1]", every="(0, inf)")

    def factor(self, t: float, per_epoch: float, total: float) -> float:
        epoch = floor((t - 1) / per_epoch)
        return float(self.drop ** floor(epoch / self.every))


@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """η_t = η·decay^((t − 1) / updates per epoch): `decay` is the factor per epoch."""

    decay: float = 0.95

    def __post_init__(self) -> None:
        refuse_outside(self, decay="(0, 1]")

    def factor(self, t: float, per_epoch: float, total: float) -> float:
        return float(self.decay ** ((t - 1) / per_epoch))


@dataclass(frozen=True)
class ExponentialRise(Schedule):
    """η_t = η·span^((t − T) / (T − 1)): rise evenly on a log scale, from η / span at the first
    update to η at the last, T. A learning-rate range test does so (Smith 2017).
    """

    span: float = 1e7

    def __post_init__(self) -> None:
        refuse_outside(self, span="[1, inf)")

    def factor(self, t: float, per_epoch: float, total: float) -> float:
        return float(self.span ** ((minimum(t, total) - total) / maximum(total - 1, 1)))


@dataclass(frozen=True)
class Cosine(Schedule):
    """Rise linearly over a share `warm_up` of the updates, then fall along half a cosine to
    `floor`·η (Loshchilov and Hutter 2017).
    """

    warm_up: float = 0.05
    floor: float = 0.0

    def __post_init__(self) -> None:
        refuse_outside(self, warm_up="[0, 1)", floor="[0, 1]")

    def factor(self, t: float, per_epoch: float, total: float) -> float:
        rise = maximum(self.warm_up * total, 1)
        done = minimum(maximum(t - rise, 0) / maximum(total - rise, 1), 1)
        fall = self.floor + (1 - self.floor) * 0.5 * (1 + cos(pi * done))
        return float(minimum(t / rise, 1) * fall)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Rise along half a cosine from η / start to η over a share `peak` of the updates, then fall
    along another to η / end (Smith and Topin 2018).
    """

    peak: float = 0.3
    start: float = 25.0
    end: float = 1e4

    def __post_init__(self) -> None:
        refuse_outside(self, peak="(0, 1)", start="[1, inf)", end="[1, inf)")

    def factor(self, t: float, per_epoch: float, total: float) -> float:
        top = maximum(self.peak * total, 1)
        up = minimum(t / top, 1)
        down = minimum(maximum(t - top, 0) / maximum(total - top, 1), 1)
        low = 1 / self.start + (1 - 1 / self.start) * 0.5 * (1 - cos(pi * up))
        high = 1 / self.end + (1 - 1 / self.end) * 0.5 * (1 + cos(pi * down))
        return float(low * high)


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """Multiply η by `drop` when the loss has not improved by `min_delta` for `patience` epochs;
    end the training instead when η is at or below `lowest` by then.

    The validation loss is watched where there is one, else the training loss. scikit-learn's
    learning_rate="adaptive" is this with drop 0.2 and lowest 1e-6.
    """

    drop: float = 0.5
    patience: float = 5
    min_delta: float = 1e-4
    lowest: float = 1e-6

    def __post_init__(self) -> None:
        refuse_outside(self, drop="(0, 1)", min_delta="[0, inf)", lowest="[0, inf)")
        if self.patience != inf:
            refuse_outside(self, patience="[0, inf)")

    def after_epoch(self, memory: PlateauMemory, loss: float, rate: float) -> None:
        memory.waited = 0 if loss < memory.best - self.min_delta else memory.waited + 1
        memory.best = min(memory.best, loss)
        if memory.waited > self.patience:
            memory.exhausted = rate <= self.lowest
            memory.factor *= self.drop
            memory.waited = 0

    def next_look(self, memory: PlateauMemory) -> float:
        """The epochs it will still wait, and one."""
        own = type(self).after_epoch is ReduceOnPlateau.after_epoch
        return self.patience - memory.waited + 1 if own else 1


#: The one table of schedules, by name; calling an entry makes the schedule with its defaults.
SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "inverse_scaling": InverseScaling,
    "step": StepDecay,
    "exponential": ExponentialDecay,
    "exponential_rise": ExponentialRise,
    "cosine": Cosine,
    "one_cycle": OneCycle,
    "reduce_on_plateau": ReduceOnPlateau,
}


def get_schedule(schedule: str | Schedule) -> Schedule:
    """Return the schedule of that name with its defaults, or the one given.

    >>> get_schedule("inverse_scaling")
    InverseScaling(power=0.5)
    """
    if isinstance(schedule, Schedule):
        return schedule
    return look_up(SCHEDULES, schedule, "schedule")()
