"""Traces: the layers of a network, and what a pass forward and a pass back leave behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.activations import Activation
from chainrule.arrays import Array, pieces


@dataclass(frozen=True, repr=False)
class Dense:
    """A fully connected layer: W (n_in, n_out) and b (n_out,), views into the flat vector."""

    W: Array
    b: Array
    activation: Activation

    def __repr__(self) -> str:
        n_in, n_out = self.W.shape
        return f"Dense({n_in} → {n_out}, {self.activation.name})"


@dataclass(repr=False)
class Trace:
    """What a pass forward leaves behind: A has L + 1 entries, Z has L, each (n, units).

    `masks[l]` multiplies what layer l is fed, A[l]; None means that nothing drops out.
    """

    A: list[Any]
    Z: list[Array] = field(default_factory=list)
    masks: Sequence[Array | None] = ()

    def drop(self, l: int, values: Any) -> Any:
        """Return `values` (n, units of A[l]) with those that drop out before layer l at zero."""
        mask = self.masks[l] if self.masks else None
        return values if mask is None else values * mask

    def fed(self, l: int) -> Any:
        """Return what layer l was fed: A[l], less what dropped out."""
        return self.drop(l, self.A[l])

    def __repr__(self) -> str:
        n, L = self.A[0].shape[0], len(self.Z)
        return f"Trace({n} rows; A[0] … A[{L}] of {_widths(self.A)} units)"


@dataclass(repr=False)
class Gradients:
    """What a pass back leaves behind: δ (n, units), dW and db per layer, and dX (n, inputs).

    dW and db are views into `flat`, which is laid out as `Network.theta`.
    """

    flat: Array
    dW: list[Array]
    db: list[Array]
    delta: list[Array]
    dX: Array | None = None

    def layer_norms(self) -> list[float]:
        """Return the Euclidean norm of each layer's gradient, weights and biases together."""
        pairs = zip(self.dW, self.db, strict=True)
        return [float(np.hypot(norm(dW), norm(db))) for dW, db in pairs]

    def __repr__(self) -> str:
        return (
            f"Gradients(δ of {_widths(self.delta)} units; {self.flat.size} derivatives, norm"
            f" {norm(self.flat):.4g})"
        )


def norm(values: Array) -> float:
    """Return the Euclidean norm, added up in float64: the square of 1e20 has no float32."""
    parts = (part.astype(np.float64, copy=False) for (part,) in pieces(values.ravel()))
    return float(np.sqrt(sum(part @ part for part in parts)))


def _widths(values: Sequence[Any]) -> str:
    return ", ".join(str(each.shape[1]) for each in values)
