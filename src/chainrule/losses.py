"""Losses: how far the output is from the target, and in which direction to move it.

The cost of a batch is C = Σᵢ wᵢ Σₖ loss(aᵢₖ, yᵢₖ) / Σᵢ wᵢ: summed over the outputs of a row,
averaged over rows by sample weight. Members give the loss of each element and its gradient with
respect to the output activation a, side by side.

Some losses have a *canonical* output activation (squared error has one trivially). For these pairs
value and δ are computed from the logits z, which stays exact where a has been rounded to 0 or 1;
BP1 then shrinks to δ = a − y for all but the focal ones. With any other output activation the
general BP1 holds; a logarithm is then continued below ε = 1e-7 by its tangent, so that cost and
gradient belong to each other everywhere and still push an output such as −0.3 back into the loss's
domain.
"""

from __future__ import annotations

from dataclasses import dataclass, is_dataclass, replace
from itertools import pairwise
from math import inf
from typing import Any, ClassVar

from numpy import abs, array, exp, log, log1p, maximum, minimum, resize, sign

from chainrule.activations import Activation, Increasing, LogSigmoid
from chainrule.arrays import Array, is_number, refuse_outside
from chainrule.cost import Loss as Loss
from chainrule.cost import OwnLoss as OwnLoss
from chainrule.names import look_up
from chainrule.own import as_pair, is_pair

TINY = 1e-7  #: where a logarithm's tangent takes over


def _log(a: Array) -> Array:
    """Return log a, continued by its tangent below TINY."""
    return log(maximum(a, TINY)) + (minimum(a, TINY) - TINY) / TINY


def _log_derivative(a: Array) -> Array:
    """Return the derivative of `_log`: 1 / max(a, TINY)."""
    return 1 / maximum(a, TINY)


def _focus(gamma: Any, q: Array) -> Array:
    """Return q^γ, as at TINY below it, and as at 1 − TINY above."""
    return exp(gamma * log(minimum(maximum(q, TINY), 1 - TINY)))


def _focus_slope(gamma: Any, q: Array) -> Array:
    """Return the derivative of `_focus` for q."""
    inside = sign(maximum(q - TINY, 0)) * sign(maximum(1 - TINY - q, 0))
    return inside * gamma * _focus(gamma, q) / maximum(q, TINY)


def _pinball(q: Any, a: Array, y: Array) -> Array:
    """Return max(q (y − a), (q − 1) (y − a))."""
    return maximum(q * (y - a), (q - 1) * (y - a))


def _pinball_slope(q: Any, a: Array, y: Array) -> Array:
    """Return the derivative of `_pinball` for a: 1 − q above y, −q below, and 0 at y."""
    return 0.5 * sign(a - y) + (0.5 - q) * abs(sign(a - y))


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
        return _pinball(self.quantile, a, y)

    def gradient(self, a: Array, y: Array) -> Array:
        return _pinball_slope(self.quantile, a, y)

    def switch(self, a: Array, y: Array) -> Array:
        return a - y


@dataclass(frozen=True)
class Quantiles(Loss):
    """Σⱼ Quantile(qⱼ) over blocks of k outputs, one for each of k quantiles of the same target.

    Targets are (n, targets), or (n, targets·k) with each k times. With `Increasing(k)` as output
    activation they never cross. Raises ValueError unless they are increasing numbers in (0, 1).
    """

    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)

    def __post_init__(self) -> None:
        q = tuple(self.quantiles) if hasattr(self.quantiles, "__iter__") else ()
        rising = all(is_number(each, above=0) and each < 1 for each in q)
        if not q or not rising or any(one >= other for one, other in pairwise(q)):
            raise ValueError(
                f"Quantiles: quantiles={self.quantiles!r} must be increasing numbers in (0, 1),"
                " such as (0.1, 0.5, 0.9)"
            )
        object.__setattr__(self, "quantiles", tuple(map(float, q)))

    @property
    def outputs_per_target(self) -> int:
        return len(self.quantiles)

    @property
    def output(self) -> Activation:
        return Increasing(len(self.quantiles))

    def _of_columns(self, a: Array) -> Array:
        return resize(array(self.quantiles, a.dtype), a.shape[1])

    def value(self, a: Array, y: Array) -> Array:
        q = self._of_columns(a)
        return _pinball(q, a, y)

    def gradient(self, a: Array, y: Array) -> Array:
        q = self._of_columns(a)
        return _pinball_slope(q, a, y)

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


class OfLabels(Loss):
    """A loss of outputs that are 0 or 1 each alone; smoothed by s they are (1 − s) y + s / 2."""

    label_smoothing: float
    canonical: ClassVar[str | None] = "sigmoid"
    domain: ClassVar[tuple[float, float]] = (0.0, 1.0)
    targets: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def target(self, y: Array) -> Array:
        return (1 - self.label_smoothing) * y + 0.5 * self.label_smoothing

    def switch(self, a: Array, y: Array) -> Array:
        return minimum(a, 1 - a) - TINY


class OfClasses(Loss):
    """A loss of rows that are one of k classes; smoothed by s they are (1 − s) y + s / k
    (Szegedy et al. 2016).
    """

    label_smoothing: float
    canonical: ClassVar[str | None] = "softmax"
    domain: ClassVar[tuple[float, float]] = (0.0, 1.0)
    targets: ClassVar[tuple[float, float]] = (0.0, 1.0)
    rows_sum_to_one: ClassVar[bool] = True

    def target(self, y: Array) -> Array:
        return (1 - self.label_smoothing) * y + self.label_smoothing / y.shape[1]


@dataclass(frozen=True)
class BinaryCrossEntropy(OfLabels):
    """−y log a − (1 − y) log(1 − a) of each output on its own, targets in [0, 1]."""

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        refuse_outside(self, label_smoothing="[0, 1]")

    def value(self, a: Array, y: Array) -> Array:
        return -y * _log(a) - (1 - y) * _log(1 - a)

    def gradient(self, a: Array, y: Array) -> Array:
        return (1 - y) * _log_derivative(1 - a) - y * _log_derivative(a)

    def value_from_logits(self, z: Array, y: Array) -> Array:
        return maximum(z, 0) - y * z + log1p(exp(-abs(z)))


@dataclass(frozen=True)
class CrossEntropy(OfClasses):
    """−Σₖ yₖ log aₖ over the k classes of a row, targets one-hot (or probabilities)."""

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        refuse_outside(self, label_smoothing="[0, 1]")

    def value(self, a: Array, y: Array) -> Array:
        return -y * _log(a)

    def gradient(self, a: Array, y: Array) -> Array:
        return -y * _log_derivative(a)

    def value_from_logits(self, z: Array, y: Array) -> Array:
        shifted = z - z.max(axis=1, keepdims=True)
        return y * (log(exp(shifted).sum(axis=1, keepdims=True)) - shifted)

    def switch(self, a: Array, y: Array) -> Array:
        return a - TINY


@dataclass(frozen=True)
class BinaryFocal(OfLabels):
    """−α₁ y (1 − a)^γ log a − α₀ (1 − y) a^γ log(1 − a), targets in [0, 1] (Lin et al. 2017).

    α₁ = α and α₀ = 1 − α for an α in [0, 1]; with −1 both are 1. γ = 0 is binary cross-entropy.
    """

    gamma: float = 2.0
    alpha: float = -1.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        refuse_outside(self, gamma="[0, inf)", label_smoothing="[0, 1]")
        if self.alpha != -1:
            refuse_outside(self, alpha="[0, 1]")

    def value(self, a: Array, y: Array) -> Array:
        hit = y * _focus(self.gamma, 1 - a) * _log(a)
        miss = (1 - y) * _focus(self.gamma, a) * _log(1 - a)
        return -float(abs(self.alpha)) * hit - float(minimum(1 - self.alpha, 1)) * miss

    def gradient(self, a: Array, y: Array) -> Array:
        up = _focus(self.gamma, 1 - a) * _log_derivative(a)
        down = _focus(self.gamma, a) * _log_derivative(1 - a)
        hit = y * (_focus_slope(self.gamma, 1 - a) * _log(a) - up)
        miss = (1 - y) * (down - _focus_slope(self.gamma, a) * _log(1 - a))
        return float(abs(self.alpha)) * hit + float(minimum(1 - self.alpha, 1)) * miss

    def value_from_logits(self, z: Array, y: Array) -> Array:
        p = LogSigmoid().value(z)
        q = LogSigmoid().value(-z)
        hit = y * exp(self.gamma * q) * p
        miss = (1 - y) * exp(self.gamma * p) * q
        return -float(abs(self.alpha)) * hit - float(minimum(1 - self.alpha, 1)) * miss

    def delta_from_logits(self, z: Array, a: Array, y: Array) -> Array:
        p = LogSigmoid().value(z)
        q = LogSigmoid().value(-z)
        hit = y * exp(self.gamma * q) * (self.gamma * exp(p) * p - exp(q))
        miss = (1 - y) * exp(self.gamma * p) * (exp(p) - self.gamma * exp(q) * q)
        return float(abs(self.alpha)) * hit + float(minimum(1 - self.alpha, 1)) * miss


@dataclass(frozen=True)
class Focal(OfClasses):
    """−Σₖ yₖ (1 − aₖ)^γ log aₖ over the k classes of a row (Lin et al. 2017), targets one-hot (or
    probabilities). γ = 0 is cross-entropy.
    """

    gamma: float = 2.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        refuse_outside(self, gamma="[0, inf)", label_smoothing="[0, 1]")

    def value(self, a: Array, y: Array) -> Array:
        return -y * _focus(self.gamma, 1 - a) * _log(a)

    def gradient(self, a: Array, y: Array) -> Array:
        bent = _focus_slope(self.gamma, 1 - a) * _log(a)
        return y * (bent - _focus(self.gamma, 1 - a) * _log_derivative(a))

    def _of_logits(self, z: Array) -> tuple[Array, Array, Array]:
        """Return log a, a, and 1 − a, at least 1e-30, from the very sum that log a is of."""
        shifted = z - z.max(axis=1, keepdims=True)
        e = exp(shifted)
        total = e.sum(axis=1, keepdims=True)
        return shifted - log(total), e / total, maximum((total - e) / total, 1e-30)

    def value_from_logits(self, z: Array, y: Array) -> Array:
        log_a, _, rest = self._of_logits(z)
        return -y * exp(self.gamma * log(rest)) * log_a

    def delta_from_logits(self, z: Array, a: Array, y: Array) -> Array:
        log_a, a, rest = self._of_logits(z)
        c = y * exp(self.gamma * log(rest)) * (self.gamma * a * log_a / rest - 1)
        return c - a * c.sum(axis=1, keepdims=True)

    def switch(self, a: Array, y: Array) -> Array:
        return minimum(a, 1 - a) - TINY


#: The one table of losses, by name; calling an entry makes the loss with its defaults.
LOSSES: dict[str, type[Loss]] = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "quantile": Quantile,
    "quantiles": Quantiles,
    "poisson": Poisson,
    "binary_cross_entropy": BinaryCrossEntropy,
    "cross_entropy": CrossEntropy,
    "binary_focal": BinaryFocal,
    "focal": Focal,
}


def get_loss(loss: Any) -> Loss:
    """Return the loss of that name with its defaults, the one given, or one of two functions.

    Raises ValueError when it is unknown, or is no pair of functions (value, gradient) of (a, y).

    >>> get_loss("huber")
    Huber(delta=1.0)
    """
    if isinstance(loss, Loss):
        return loss
    if is_pair(loss):
        return OwnLoss(*as_pair(loss, "loss", ("(a, y)", "(a, y)")))
    return look_up(LOSSES, loss, "loss")()


def with_label_smoothing(loss: Loss, smoothing: float) -> Loss:
    """Return the loss with that label smoothing; raise ValueError where it has none.

    >>> with_label_smoothing(CrossEntropy(), 0.1)
    CrossEntropy(label_smoothing=0.1)
    """
    offered: Any = loss
    fits = is_dataclass(offered) and isinstance(loss, OfLabels | OfClasses)
    if not fits:
        known = ", ".join(n for n, each in LOSSES.items() if issubclass(each, OfLabels | OfClasses))
        raise ValueError(
            f"label_smoothing={smoothing!r} does not fit {type(loss).__name__}, whose targets are"
            f" no classes; set it to 0, or take one of {known}"
        )
    smoothed: Loss = replace(offered, label_smoothing=smoothing)
    return smoothed
