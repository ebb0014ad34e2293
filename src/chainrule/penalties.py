"""Penalties: what large weights cost, added to the loss, and the pull towards zero it causes."""

from __future__ import annotations

from dataclasses import dataclass

from numpy import abs, sign

from chainrule.arrays import Array, refuse_outside


@dataclass(frozen=True)
class Penalty:
    """l1·Σ|w| + ½·(l2 + alpha / n)·Σw², gradient l1·sign(w) + (l2 + alpha / n)·w.

    Parameters
    ----------
    l1, l2 : float
        Strengths that do not depend on the batch; the cost is a mean, so they compare with it.
    alpha : float
        scikit-learn's L2: divided by n, the batch's total sample weight.
    biases : bool
        Whether biases are penalised too. By default only weights are.

    Examples
    --------
    >>> import numpy as np
    >>> Penalty(l2=0.1).value(np.array([3.0, -4.0]), n=1)
    array([0.45, 0.8 ])
    """

    l1: float = 0.0
    l2: float = 0.0
    alpha: float = 0.0
    biases: bool = False

    def __post_init__(self) -> None:
        refuse_outside(self, l1="[0, inf)", l2="[0, inf)", alpha="[0, inf)")

    def __bool__(self) -> bool:
        """Tell whether there is anything to add."""
        return bool(self.l1 or self.l2 or self.alpha)

    def value(self, w: Array, n: float) -> Array:
        """Return the cost of each parameter in `w`, in a batch of total sample weight `n`."""
        return self.l1 * abs(w) + 0.5 * (self.l2 + self.alpha / n) * w * w

    def gradient(self, w: Array, n: float) -> Array:
        """Return ∂value/∂w of each parameter."""
        return self.l1 * sign(w) + (self.l2 + self.alpha / n) * w
