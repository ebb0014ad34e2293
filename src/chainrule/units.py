"""Units: what an activation offers, be it of the table or the user's own functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from chainrule.arrays import Array
from chainrule.own import evaluate, is_pair, takes_two


class Activation:
    """What every activation offers: `value`, `derivative`, and `pullback` made of them."""

    kinks: ClassVar[tuple[float, ...]] = ()  #: where σ′ jumps: a numerical derivative fails there
    initializer: ClassVar[str] = "glorot_uniform"  #: first weights that suit this activation
    #: How a textbook writes what a method computes, where that is written otherwise to stay exact.
    textbook: ClassVar[Mapping[str, str]] = {}
    table: ClassVar[dict[str, Activation]] = {}  #: `ACTIVATIONS`, once they are there

    @property
    def name(self) -> str:
        """The name under which this activation stands in `ACTIVATIONS`, else its class's name."""
        same = (name for name, entry in self.table.items() if entry == self)
        return next(same, type(self).__name__)

    def value(self, z: Array) -> Array:
        """Return a = σ(z), elementwise; the shape of `z`."""
        raise NotImplementedError

    def derivative(self, z: Array, a: Array) -> Array:
        """Return σ′(z), elementwise, from z and a = σ(z); the shape of `z`."""
        raise NotImplementedError

    def pullback(self, g: Array, z: Array, a: Array) -> Array:
        """Return ∂C/∂z = ∂C/∂a ⊙ σ′(z), given g = ∂C/∂a; the shape of `z`."""
        return g * self.derivative(z, a)


class OverRows(Activation):
    """An activation whose units depend on each other, so that `pullback` is its own."""

    def derivative(self, z: Array, a: Array) -> Array:
        raise TypeError(f"{self.name} has a matrix for a derivative; use pullback(g, z, a)")


@dataclass(frozen=True)
class OwnActivation(Activation):
    """σ = `function` and σ′ = `slope`, the user's own functions of z (n, units).

    `slope` is of z, or of (z, a = σ(z)). Both are held to their shape, and to each other when first
    used; see `chainrule.derivatives`.
    """

    function: Callable[..., Any]
    slope: Callable[..., Any]

    @property
    def name(self) -> str:
        return str(getattr(self.function, "__name__", type(self).__name__))

    def value(self, z: Array) -> Array:
        return evaluate(self.function, "activation", z)

    def derivative(self, z: Array, a: Array) -> Array:
        given = (z, a) if takes_two(self.slope) else (z,)
        return evaluate(self.slope, "derivative", *given)


def is_activation(value: Any) -> bool:
    """Tell whether this is meant for one activation, not for a sequence of them."""
    return isinstance(value, (str, Activation)) or is_pair(value)
