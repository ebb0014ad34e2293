"""Intervals: how far off a prediction may be, with a coverage that is proved.

Split conformal prediction (Vovk et al. 2005; Lei et al. 2018): the scores of n rows that the
network was not trained on, and the score of a new row like them, come in every order equally
often. So the new one is at most the k-th smallest of the n, with k = ⌈(n + 1)·confidence⌉, with a
probability of at least the confidence, whatever the network, the data's distribution, and n; and,
where no scores are equal, of no more than 1 / (n + 1) above. The probability is over all rows
alike, not for each x.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array, is_number
from chainrule.data import as_matrix, as_weights


def conformal_radius(
    residuals: Any, confidence: float, *, scale: Any = None, weights: Any = None
) -> Array:
    """Return r (outputs,) such that prediction ± r holds the truth with that confidence.

    Parameters
    ----------
    residuals : array-like (n,) or (n, outputs)
        y − prediction of rows that the network was not trained on. Each output has its own r,
        and its own coverage.
    confidence : float
        Between 0 and 1, such as 0.9.
    scale : array-like of the same shape, optional
        How uncertain each prediction is by itself, such as the spread of an ensemble: the interval
        then is prediction ± r·scale, wider where that is larger (Lei et al. 2018, section 5.2).
    weights : array-like (n,), optional
        Sample weights. The new row is given the largest of them, so that the coverage holds for
        any that weighs no more (Tibshirani et al. 2019).

    Raises
    ------
    ValueError
        For arrays that do not fit, and too few rows for the confidence, telling how many it
        needs.

    Examples
    --------
    >>> conformal_radius([3.0, -1.0, 2.0, -5.0, 4.0, 0.5, 1.5, 2.5, -3.5], confidence=0.9)
    array([5.])
    >>> conformal_radius([3.0, -1.0, 2.0], confidence=0.9)
    Traceback (most recent call last):
    ...
    ValueError: confidence=0.9 needs at least 9 rows to calibrate on, and there are 3; give more, \
or take a confidence of at most 0.75
    """
    scores = np.abs(_columns(residuals, "residuals"))
    if scale is not None:
        spread = _columns(scale, "scale")
        if spread.shape != scores.shape or not (spread > 0).all():
            raise ValueError(
                f"scale has shape {spread.shape} and a smallest value of {spread.min():g}; expected"
                f" {scores.shape}, as the residuals have, and numbers > 0"
            )
        scores = scores / spread
    return conformal_quantile(scores, confidence, weights)


def cqr_offset(y: Any, low: Any, high: Any, confidence: float, *, weights: Any = None) -> Array:
    """Return c (outputs,) such that [low − c, high + c] holds the truth with that confidence.

    Conformalised quantile regression (Romano et al. 2019): `low` and `high` are predicted
    quantiles, so the interval is wide where the data are; the score is
    max(low − y, y − high), and c is below 0 where the quantiles lie too far apart.

    Parameters
    ----------
    y, low, high : array-like (n,) or (n, outputs)
        True values, and predicted quantiles, of rows that the network was not trained on.
    confidence, weights
        As in `conformal_radius`, whose errors are raised.

    Examples
    --------
    >>> cqr_offset([0.0, 1.0, 2.0, 3.5], [-1, 0, 1, 2], [1, 2, 3, 3], confidence=0.8)
    array([0.5])
    """
    y, low, high = _columns(y, "y"), _columns(low, "low"), _columns(high, "high")
    if not y.shape == low.shape == high.shape:
        raise ValueError(
            f"y, low and high have shapes {y.shape}, {low.shape} and {high.shape}; expected the"
            " same of all"
        )
    return conformal_quantile(np.maximum(low - y, y - high), confidence, weights)


def conformal_quantile(scores: Any, confidence: float, weights: Any = None) -> Array:
    """Return the score (outputs,) that a new row's does not exceed, with that confidence.

    It is the smallest of the n `scores` (n, outputs) such that those up to it weigh at least
    confidence·(Σw + max w): of equal weights the ⌈(n + 1)·confidence⌉-th. Raises ValueError
    where no score does.

    >>> conformal_quantile([[1.0], [2.0], [3.0], [4.0]], confidence=0.6)
    array([3.])
    """
    if not is_number(confidence, above=0) or confidence >= 1:
        raise ValueError(f"confidence={confidence!r} must be a number between 0 and 1, such as 0.9")
    scores = _columns(scores, "scores")
    n = len(scores)
    w = as_weights(weights, n, np.float64)
    w = np.ones(n) if w is None else w / w.max()
    mass = float(w.sum())
    # 0.07·100 has a rounding error, and is 7 all the same.
    needed = confidence * (mass + 1) * (1 - 1e-12)
    if mass < needed:
        enough = ceil(confidence / (1 - confidence) * (1 - 1e-12))
        there = f"there are {n}" if weights is None else f"these weigh as much as {mass:.4g}"
        raise ValueError(
            f"confidence={confidence:g} needs at least {enough} rows to calibrate on, and {there};"
            f" give more, or take a confidence of at most {_rounded_down(mass / (mass + 1)):g}"
        )
    order = np.argsort(scores, axis=0, kind="stable")
    reached = np.cumsum(w[order], axis=0) >= needed
    reached[-1] = True  # by the check above; a sum in another order may fall short by rounding
    sorted_scores = np.take_along_axis(scores, order, axis=0)
    return np.asarray(sorted_scores[reached.argmax(axis=0), np.arange(scores.shape[1])])


def interval(low: Any, high: Any, offset: Any = 0.0) -> Array:
    """Return [low − offset, high + offset] (n, 2), or (n, outputs, 2) for several outputs.

    Where a negative offset would cross the ends, both are their middle.

    Parameters
    ----------
    low, high : array-like (n,) or (n, outputs)
        Predictions, the same twice, or predicted quantiles.
    offset : float, or array-like that broadcasts to them
        A radius, a radius times the scale of each row, or an offset.

    Examples
    --------
    >>> interval([1.0, 5.0], [1.0, 6.0], [0.5])
    array([[0.5, 1.5],
           [4.5, 6.5]])
    """
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    ends = np.stack([low - offset, high + offset], axis=-1)
    middle = ends.mean(axis=-1, keepdims=True)
    return np.asarray(np.where(ends[..., :1] > ends[..., 1:], middle, ends))


def quantile_pair(quantiles: Sequence[float], confidence: float) -> tuple[int, int]:
    """Return which of the fitted quantiles come nearest to those that bound this confidence.

    They are (1 ∓ confidence) / 2. Uncalibrated, they hold the truth with a probability of about
    their distance; `cqr_offset` makes the confidence of them. Raises ValueError where none lies
    on one side of the middle.

    >>> quantile_pair([0.05, 0.5, 0.95], confidence=0.9)
    (0, 2)
    """
    q: NDArray[np.float64] = np.asarray(quantiles, np.float64)
    below, above = np.flatnonzero(q < 0.5), np.flatnonzero(q > 0.5)
    tail = (1 - confidence) / 2
    if not (len(below) and len(above)):
        raise ValueError(
            f"quantile={list(quantiles)} lies on one side of 0.5; an interval needs one on either,"
            f" such as quantile=[{tail:.3g}, 0.5, {1 - tail:.3g}]"
        )
    return (
        int(below[np.abs(q[below] - tail).argmin()]),
        int(above[np.abs(q[above] - (1 - tail)).argmin()]),
    )


def _columns(values: Any, name: str) -> Array:
    """Return `values` (n,) or (n, outputs) as (n, outputs), all finite."""
    given = np.asarray(values)
    return np.asarray(as_matrix(given[:, None] if given.ndim == 1 else values, name, np.float64))


def _rounded_down(share: float) -> float:
    return int(share * 1e4 + 1e-9) / 1e4
