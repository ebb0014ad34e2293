"""Losses: how far the output is from the target, and in which direction to move it.

The cost of a batch is C = Σᵢ wᵢ Σₖ loss(aᵢₖ, yᵢₖ) / Σᵢ wᵢ: summed over the outputs of a row,
averaged over rows by sample weight. Members give the loss of each element and its gradient with
respect to the output activation a, side by side.

Three losses have a *canonical* output activation (squared error has one trivially), with which
BP1 shrinks to δ = a − y. For these pairs the value is computed from the logits z, which stays
exact where a has been rounded to 0 or 1. With any other output activation the general BP1 holds;
a logarithm is then continued below ε = 1e-7 by its tangent, so that cost and gradient belong to
each other everywhere and still push an output such as −0.3 back into the loss's domain.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar

from numpy import abs, exp, log, log1p, maximum, minimum, sign

from chainrule.activations import ACTIVATIONS, Activation
from chainrule.arrays import Array, refuse_outside
from chainrule.names import look_up

TINY = 1e-7  #: where a logarithm's tangent takes over


def _log(a: Array) -> Array:
    """Return log a, continued by its tangent below TINY."""
    return log(maximum(a, TINY)) + (minimum(a, TINY) - TINY) / TINY


def _log_derivative(a: Array) -> Array:
    """Return the derivative of `_log`: 1 / max(a, TINY)."""
    return 1 / maximum(a, TINY)


class Loss:
    """What every loss offers: `value` and `gradient`, elementwise over (n, outputs)."""

    canonical: ClassVar[str | None] = None  #: output activation with which δ = a − target(y)
    domain: ClassVar[tuple[float, float]] = (-inf, inf)  #: where a lies by rights
    targets: ClassVar[tuple[float, float]] = (-inf, inf)  #: where y must lie
    rows_sum_to_one: ClassVar[bool] = False  #: whether the targets of a row are probabilities

    def target(self, y: Array) -> Array:
        """Return the target that the output is compared with: `y`, or its smoothed form."""
        return y

    def value(self, a: Array, y: Array) -> Array:
        """Return the loss of every element, given a and target(y); the shape of `a`."""
        raise NotImplementedError

    def gradient(self, a: Array, y: Array) -> Array:
        """Return ∂value/∂a of every element; the shape of `a`."""
        raise NotImplementedError

    def value_from_logits(self, z: Array, y: Array) -> Array:
        """Return `value` from z, for the canonical output activation."""
        raise NotImplementedError

    def switch(self, a: Array, y: Array) -> Array:
        """Return a quantity that changes sign where the gradient jumps or bends sharply."""
        return a * 0.0

    def pairs_with(self, activation: Activation) -> bool:
        """Tell whether `activation` is the canonical output activation of this loss."""
        return self.canonical is not None and activation == ACTIVATIONS[self.canonical]


@dataclass(frozen=True)
class SquaredError(Loss):
    """½ (a − y)², gradient a − y."""

    canonical: ClassVar[str | None] = "identity"

    def value(self, a: Array, y: Array) -> Array:
        return 0.5 * (a - y) * (a - y)

    def gradient(self, a: Array, y: Array) -> Array:
        return a - y

    def value_from_logits(self, z: Array, y: Array) -> Array:
        return 0.5 * (z - y) * (z - y)


@dataclass(frozen=True)
class AbsoluteError(Loss):
    """|a − y|, gradient sign(a − y): fits the median."""

    def value(self, a: Array, y: Array) -> Array:
        return abs(a - y)

    def gradient(self, a: Array, y: Array) -> Array:
        return sign(a - y)

    def switch(self, a: Array, y: Array) -> Array:
        return a - y


@dataclass(frozen=True)
class Huber(Loss):
    """½ r² for |r| ≤ δ, else δ (|r| − ½ δ), with r = a − y (Huber 1964)."""

    delta: float = 1.0

    def __post_init__(self) -> None:
        refuse_outside(self, delta="(0, inf)")

    def value(self, a: Array, y: Array) -> Array:
        r = abs(a - y)
        c = minimum(r, self.delta)
        return c * (r - 0.5 * c)

    def gradient(self, a: Array, y: Array) -> Array:
        return maximum(minimum(a - y, self.delta), -self.delta)

    def switch(self, a: Array, y: Array) -> Array:
        return abs(a - y) - self.delta


@dataclass(frozen=True)
class Quantile(Loss):
    """max(q (y − a), (q − 1) (y − a)): fits the q-quantile (Koenker and Bassett 1978)."""

    quantile: float = 0.5

    def __post_init__(self) -> None:
        refuse_outside(self, quantile="(0, 1)")

    def value(self, a: Array, y: Array) -> Array:
        return maximum(self.quantile * (y - a), (self.quantile - 1) * (y - a))

    def gradient(self, a: Array, y: Array) -> Array:
        return 0.5 * sign(a - y) + (0.5 - self.quantile) * abs(sign(a - y))

    def switch(self, a: Array, y: Array) -> Array:
        return a - y


@dataclass(frozen=True)
class Poisson(Loss):
    """a − y + y log(y / a), gradient 1 − y / a, for counts y ≥ 0: half the Poisson deviance."""

    canonical: ClassVar[str | None] = "exp"
    domain: ClassVar[tuple[float, float]] = (0.0, inf)
    targets: ClassVar[tuple[float, float]] = (0.0, inf)

    def value(self, a: Array, y: Array) -> Array:
        return a - y + y * (log(maximum(y, TINY)) - _log(a))

    def gradient(self, a: Array, y: Array) -> Array:
        return 1 - y * _log_derivative(a)

    def value_from_logits(self, z: Array, y: Array) -> Array:
        return exp(z) - y + y * (log(maximum(y, TINY)) - z)

    def switch(self, a: Array, y: Array) -> Array:
        return a - TINY


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """−y log a − (1 − y) log(1 − a) of each output on its own, targets in [0, 1].

    With label smoothing s the target is (1 − s) y + s / 2.
    """

    label_smoothing: float = 0.0
    canonical: ClassVar[str | None] = "sigmoid"
    domain: ClassVar[tuple[float, float]] = (0.0, 1.0)
    targets: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __post_init__(self) -> None:
        refuse_outside(self, label_smoothing="[0, 1]")

    def target(self, y: Array) -> Array:
        return (1 - self.label_smoothing) * y + 0.5 * self.label_smoothing

    def value(self, a: Array, y: Array) -> Array:
        return -y * _log(a) - (1 - y) * _log(1 - a)

    def gradient(self, a: Array, y: Array) -> Array:
        return (1 - y) * _log_derivative(1 - a) - y * _log_derivative(a)

    def value_from_logits(self, z: Array, y: Array) -> Array:
        return maximum(z, 0) - y * z + log1p(exp(-abs(z)))

    def switch(self, a: Array, y: Array) -> Array:
        return minimum(a, 1 - a) - TINY


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """−Σₖ yₖ log aₖ over the k classes of a row, targets one-hot (or probabilities).

    With label smoothing s the target is (1 − s) y + s / k (Szegedy et al. 2016).
    """

    label_smoothing: float = 0.0
    canonical: ClassVar[str | None] = "softmax"
    domain: ClassVar[tuple[float, float]] = (0.0, 1.0)
    targets: ClassVar[tuple[float, float]] = (0.0, 1.0)
    rows_sum_to_one: ClassVar[bool] = True

    def __post_init__(self) -> None:
        refuse_outside(self, label_smoothing="[0, 1]")

    def target(self, y: Array) -> Array:
        return (1 - self.label_smoothing) * y + self.label_smoothing / y.shape[1]

    def value(self, a: Array, y: Array) -> Array:
        return -y * _log(a)

    def gradient(self, a: Array, y: Array) -> Array:
        return -y * _log_derivative(a)

    def value_from_logits(self, z: Array, y: Array) -> Array:
        shifted = z - z.max(axis=1, keepdims=True)
        return y * (log(exp(shifted).sum(axis=1, keepdims=True)) - shifted)

    def switch(self, a: Array, y: Array) -> Array:
        return a - TINY


#: The one table of losses, by name; calling an entry makes the loss with its defaults.
LOSSES: dict[str, type[Loss]] = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "quantile": Quantile,
    "poisson": Poisson,
    "binary_cross_entropy": BinaryCrossEntropy,
    "cross_entropy": CrossEntropy,
}


def get_loss(loss: str | Loss) -> Loss:
    """Return the loss of that name with its defaults, or the one given.

    >>> get_loss("huber")
    Huber(delta=1.0)
    """
    if isinstance(loss, Loss):
        return loss
    return look_up(LOSSES, loss, "loss")()
