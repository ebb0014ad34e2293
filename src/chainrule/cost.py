"""Cost: what a loss offers, be it of the table or the user's own functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar

from chainrule.activations import ACTIVATIONS, Activation
from chainrule.arrays import Array
from chainrule.own import evaluate


class Loss:
    """What every loss offers: `value` and `gradient`, elementwise over (n, outputs)."""

    canonical: ClassVar[str | None] = None  #: output activation of whose z value and δ are taken
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

    def delta_from_logits(self, z: Array, a: Array, y: Array) -> Array:
        """Return δ = ∂(Σ value)/∂z for the canonical output activation; mostly it is a − y."""
        return a - y

    def switch(self, a: Array, y: Array) -> Array:
        """Return a quantity that changes sign where the gradient jumps or bends sharply."""
        return a * 0.0

    @property
    def outputs_per_target(self) -> int:
        """How many outputs, side by side, one target is compared with."""
        return 1

    @property
    def output(self) -> Activation:
        """The output activation that suits this loss best."""
        return ACTIVATIONS[self.canonical or "identity"]

    def pairs_with(self, activation: Activation) -> bool:
        """Tell whether `activation` is the canonical output activation of this loss."""
        return self.canonical is not None and activation == ACTIVATIONS[self.canonical]


@dataclass(frozen=True)
class OwnLoss(Loss):
    """loss = `function` and ∂loss/∂a = `slope`, the user's own functions of (a, y), (n, outputs).

    `domain` and `targets` say where a and y may lie. Both functions are held to their shape, and to
    each other when first used; see `chainrule.derivatives`.
    """

    function: Callable[..., Any]
    slope: Callable[..., Any]
    domain: tuple[float, float] = (-inf, inf)  # type: ignore[misc]
    targets: tuple[float, float] = (-inf, inf)  # type: ignore[misc]

    def value(self, a: Array, y: Array) -> Array:
        return evaluate(self.function, "loss", a, y)

    def gradient(self, a: Array, y: Array) -> Array:
        return evaluate(self.slope, "gradient", a, y)
