"""Spread: the middle of some numbers and how far they lie around it.

A weight of 3 is as good as the number three times, and no weight as good as no number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LARGEST, SMALLEST = float(np.finfo(np.float64).max), 5e-324


def quantile(x: Floats, share: float, weights: Any = None) -> float:
    """Return the smallest number below which lies this `share` of the weight of x (n,).

    Where a number ends exactly there, it is the middle between that and the next: so the quantile
    of weighted numbers is that of repeated ones, and no factor on the weights changes it (type 2
    of Hyndman and Fan 1996; NumPy's "averaged_inverted_cdf").

    >>> x = np.array([1.0, 2.0, 4.0, 8.0])
    >>> quantile(x, 0.5), quantile(x, 0.6), quantile(x, 0.5, weights=[1, 1, 1, 3])
    (3.0, 4.0, 6.0)
    """
    order = np.argsort(x, kind="stable")
    below = np.cumsum(np.ones(len(x)) if weights is None else np.asarray(weights, float)[order])
    wanted, rounding = share * below[-1], 1e-12 * below[-1]
    low = int(np.searchsorted(below, wanted - rounding))
    high = int(np.searchsorted(below, wanted + rounding, side="right"))
    low, high = (order[min(place, len(x) - 1)] for place in (low, high))
    return float(0.5 * x[low] + 0.5 * x[high])


def standard(x: Floats, weights: Any = None) -> tuple[float, float]:
    """Return mean and standard deviation of x (n,); a deviation of 0 is given as 1.

    Computed on x / 2^k with |x| < 2^k: the squares of 1e308 and of 5e-324 have no float.
    """
    if x.min() == x.max():
        return float(x[0]), 1.0  # a weighted mean may be a rounding off
    k = int(np.frexp(np.abs(x).max())[1])
    small = np.ldexp(x, -k)
    mean = np.average(small, weights=weights)
    deviation = np.sqrt(np.average((small - mean) ** 2, weights=weights))
    scale = max(float(np.ldexp(deviation, k)), SMALLEST) if deviation > 0 else 1.0
    return float(np.ldexp(mean, k)), scale


def robust(x: Floats, weights: Any = None) -> tuple[float, float]:
    """Return median and quartile distance of x (n,); where that is 0, the standard deviation."""
    low, median, high = (quantile(x, share, weights) for share in (0.25, 0.5, 0.75))
    distance = min(high - low, LARGEST)
    return median, distance or standard(x, weights)[1]


#: What can be taken for middle and width.
SPREADS: dict[str, Callable[..., tuple[float, float]]] = {"standard": standard, "robust": robust}
