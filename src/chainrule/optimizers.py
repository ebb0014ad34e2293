"""Optimizers: how a gradient changes the parameters.

An update rule is a function of one parameter w, its gradient g, its slots (what the rule
remembers of it), the learning rate at this step and the number t = 1, 2, … of the update. It is
applied to all parameters at once, and returns the new w and the new slots, changing nothing in
place. The forms are those of PyTorch, against which they are tested; where papers and libraries
differ (ε inside or outside the root, momentum scaled by the rate or not), the docstring says.

>>> SGD(0.1, momentum=0.9).update(1.0, 2.0, (0.5,), rate=0.1, t=1)
(1.25, (0.25,))
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar, TypeAlias

from numpy import maximum, minimum, sign, sqrt

from chainrule.arrays import Array, is_number, refuse_outside
from chainrule.names import look_up

Slots: TypeAlias = tuple[Array, ...]
Update: TypeAlias = tuple[Array, Slots]  # new parameters, new slots


def decayed(w: Array, rate: float, weight_decay: float) -> Array:
    """Return w − η·weight_decay·w, for the learning rate η: decay apart from the gradient and its
    scale (Loshchilov and Hutter 2019).

    >>> decayed(2.0, rate=0.1, weight_decay=0.5)
    1.9
    """
    return w * (1 - rate * weight_decay)


def averaged(mean: Array, w: Array, ema_decay: float, t: float) -> Array:
    """Return d·mean + (1 − d)·w with d = min(ema_decay, (1 + t) / (10 + t)): the moving average of
    the parameters after update t = 1, 2, …, exponential in the end.

    The bound, that of TensorFlow's ExponentialMovingAverage, has the average forget the first
    weights: until it is reached, the last t/9 updates or so count, as in the averaging by
    polynomial decay of Shamir and Zhang 2013. A correction for bias, as Adam's, would weigh all
    updates alike for as long, the first ones too.

    >>> averaged(2.0, 4.0, ema_decay=0.5, t=1), averaged(2.0, 4.0, ema_decay=0.5, t=1000)
    (3.6363636363636362, 3.0)
    """
    kept = float(minimum(ema_decay, (1 + t) / (10 + t)))
    return mean + (1 - kept) * (w - mean)


@dataclass(frozen=True)
class Optimizer:
    """What every optimizer has: a learning rate, named slots, and an update rule."""

    rate: float = 1e-3
    slots: ClassVar[tuple[str, ...]] = ()  #: names of the vectors it remembers
    full_batch: ClassVar[bool] = False  #: whether it only makes sense on all rows at once

    def __post_init__(self) -> None:
        if not is_number(self.rate, above=0):
            raise ValueError(
                f"learning rate must be a finite number > 0, got {self.rate!r}; try 0.001"
            )
        for field in fields(self):
            value = getattr(self, field.name)
            share = field.name in ("decay", "beta_1", "beta_2")  # of the past that is kept
            if field.name != "nesterov" and not (is_number(value, 0) and (value < 1 or not share)):
                raise ValueError(
                    f"{type(self).__name__}: {field.name}={value!r} must be a finite number >= 0"
                    + (" and < 1" if share else "")
                )

    def first_slot(self, name: str) -> float:
        """Return the value that slot `name` starts with."""
        return 0.0

    def update(self, w: Array, g: Array, slots: Slots, rate: float, t: float) -> Update:
        """Return the new parameters and the new slots, each of the shape of `w`."""
        raise NotImplementedError


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent with momentum: v ← μ v − η g, w ← w + v; w ← w + μ v − η g if Nesterov.

    Polyak 1964, Nesterov 1983; the rate is inside the velocity, as in scikit-learn.
    """

    rate: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    slots: ClassVar[tuple[str, ...]] = ("velocity",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.nesterov, bool):
            raise ValueError(f"SGD: nesterov={self.nesterov!r} must be True or False")

    def update(self, w: Array, g: Array, slots: Slots, rate: float, t: float) -> Update:
        (v,) = slots
        v = self.momentum * v - rate * g
        step = self.momentum * v - rate * g if self.nesterov else v
        return w + step, (v,)


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """s ← ρ s + (1 − ρ) g², w ← w − η g / (√s + ε) (Hinton 2012)."""

    rate: float = 0.01
    decay: float = 0.99
    epsilon: float = 1e-8
    slots: ClassVar[tuple[str, ...]] = ("square",)

    def update(self, w: Array, g: Array, slots: Slots, rate: float, t: float) -> Update:
        (s,) = slots
        s = self.decay * s + (1 - self.decay) * g * g
        return w - rate * g / (sqrt(s) + self.epsilon), (s,)


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """s ← s + g², w ← w − η g / (√s + ε) (Duchi et al. 2011)."""

    rate: float = 0.01
    epsilon: float = 1e-10
    slots: ClassVar[tuple[str, ...]] = ("square",)

    def update(self, w: Array, g: Array, slots: Slots, rate: float, t: float) -> Update:
        (s,) = slots
        s = s + g * g
        return w - rate * g / (sqrt(s) + self.epsilon), (s,)


@dataclass(frozen=True)
class Adam(Optimizer):
    """m ← β₁ m + (1 − β₁) g, s ← β₂ s + (1 − β₂) g², w ← w − η m̂ / (√ŝ + ε), with the bias
    corrections m̂ = m / (1 − β₁ᵗ), ŝ = s / (1 − β₂ᵗ) (Kingma and Ba 2015, algorithm 1).
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    slots: ClassVar[tuple[str, ...]] = ("mean", "square")

    def update(self, w: Array, g: Array, slots: Slots, rate: float, t: float) -> Update:
        m, s = slots
        m = self.beta_1 * m + (1 - self.beta_1) * g
        s = self.beta_2 * s + (1 - self.beta_2) * g * g
        rate = rate / (1 - self.beta_1**t)
        c = 1 / (1 - self.beta_2**t) ** 0.5
        return w - rate * m / (sqrt(s) * c + self.epsilon), (m, s)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam after w ← w − η·weight_decay·w: decay apart from the gradient's scale
    (Loshchilov and Hutter 2019). It acts on every parameter, biases too, as in PyTorch.
    """

    weight_decay: float = 0.01

    def update(self, w: Array, g: Array, slots: Slots, rate: float, t: float) -> Update:
        return Adam.update(self, decayed(w, rate, self.weight_decay), g, slots, rate, t)


@dataclass(frozen=True)
class RProp(Optimizer):
    """Step by the sign of the gradient alone; lengthen the step d while the sign stays, shorten it
    and skip one update when it turns (Riedmiller and Braun 1993, in PyTorch's form). Needs full
    batches. The first step is the rate; a schedule scales all steps.
    """

    rate: float = 0.01
    shrink: float = 0.5
    grow: float = 1.2
    shortest: float = 1e-6
    longest: float = 50.0
    slots: ClassVar[tuple[str, ...]] = ("previous", "step")
    full_batch: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_outside(self, shrink="(0, 1)", grow="[1, inf)", longest="(0, inf)")

    def first_slot(self, name: str) -> float:
        return self.rate if name == "step" else 0.0

    def update(self, w: Array, g: Array, slots: Slots, rate: float, t: float) -> Update:
        previous, d = slots
        turn = sign(g) * sign(previous)  # 1 the sign stayed, −1 it turned, 0 no comparison
        d = d * (1 + (self.grow - 1) * maximum(turn, 0) + (1 - self.shrink) * minimum(turn, 0))
        d = minimum(maximum(d, self.shortest), self.longest)
        g = g * (1 + minimum(turn, 0))
        return w - (rate / self.rate) * sign(g) * d, (g, d)


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS with a line search, on full batches, by SciPy's L-BFGS-B
    (Byrd et al. 1995). It chooses its own step lengths, so no schedule acts on it.

    Parameters
    ----------
    max_evaluations : int
        Most evaluations of cost and gradient, over all iterations.
    tolerance : float
        Stop when no component of the gradient is larger than this.
    memory : int
        Number of past steps from which curvature is estimated.
    """

    max_evaluations: int = 15_000
    tolerance: float = 1e-5
    memory: int = 10
    full_batch: ClassVar[bool] = True

    def __post_init__(self) -> None:
        refuse_outside(self, tolerance="[0, inf)", memory="[1, inf)", max_evaluations="[1, inf)")


#: The one table of optimizers, by name; calling an entry makes the optimizer with its defaults.
OPTIMIZERS: dict[str, type[Optimizer] | type[LBFGS]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "adam": Adam,
    "adamw": AdamW,
    "rprop": RProp,
    "lbfgs": LBFGS,
}


def get_optimizer(optimizer: str | Optimizer | LBFGS) -> Optimizer | LBFGS:
    """Return the optimizer of that name with its defaults, or the one given.

    >>> get_optimizer("sgd")
    SGD(rate=0.01, momentum=0.0, nesterov=False)
    """
    if isinstance(optimizer, (Optimizer, LBFGS)):
        return optimizer
    return look_up(OPTIMIZERS, optimizer, "optimizer")()
