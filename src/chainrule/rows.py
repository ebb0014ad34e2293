"""Rows: which of them are the same, and which are held out, told by what they hold.

A weight of 3 is to mean the same as the row three times, and no weight the same as no row. So
where rows are dealt out, they are dealt out by a random word of their content, not of their place:
copies of a row go the same way, and so does the row that weighs as much as they.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array
from chainrule.randomness import Bits, row_words

Rows = NDArray[np.intp]


def words_of(X: Any, Y: Array, seed: int = 0) -> Bits:
    """Return a random word per row, the same for rows whose inputs and targets are the same."""
    return np.asarray(row_words(X, seed, 0) ^ row_words(Y, seed, 1))


def distinct(X: Any, Y: Array, weights: Array | None) -> tuple[Rows, Array]:
    """Return the first of each set of equal rows, in the order of their words, and its weight.

    The weight is the sum over the set; rows that weigh nothing are left out. A full batch of them
    has the loss and the gradient of all rows.

    >>> X = np.array([[5.0], [7.0], [5.0]])
    >>> rows, weights = distinct(X, X, None)
    >>> sorted(zip(rows.tolist(), weights.tolist()))
    [(0, 2.0), (1, 1.0)]
    """
    w = np.ones(X.shape[0], Y.dtype) if weights is None else weights
    counted = np.flatnonzero(w)
    _, first, group = np.unique(
        words_of(X, Y)[counted], return_index=True, return_inverse=True
    )  # fmt: skip
    return counted[first], np.bincount(group, w[counted]).astype(w.dtype)


def hold_out(
    X: Any,
    Y: Array,
    weights: Array | None,
    strata: NDArray[np.intp] | None,
    fraction: float,
    seed: int,
    names: Sequence[Any] = (),
) -> tuple[Rows, Rows]:
    """Return the rows to train on and those held out, a `fraction` of the weight of each stratum.

    Which rows is a function of the seed and of what the rows hold, not of their order. Equal rows
    stay on one side, unless they are so many that their fraction makes a row: then that many of
    them are held out. At least two are, and one of each stratum that has two.

    Parameters
    ----------
    X, Y, weights : matrix (n, inputs), array (n, outputs), array (n,) or None
        Rows of zero weight are never held out, and don't count.
    strata : array (n,), optional
        The class of each row, counted from 0; `names` are their names for the error's text.

    Raises
    ------
    ValueError
        When the rows, or those of a class, are too few to be on both sides.

    Examples
    --------
    >>> X = np.arange(20.0).reshape(10, 2)
    >>> train, held = hold_out(X, X[:, :1], None, None, 0.3, seed=0)
    >>> len(train), len(held)
    (7, 3)
    """
    n = X.shape[0]
    w = np.ones(n) if weights is None else weights.astype(np.float64)
    counted = np.flatnonzero(w)
    stratum = np.zeros(n, np.intp) if strata is None else np.asarray(strata)
    if strata is not None and len(counted) > 1:
        _refuse_lonely(stratum[counted], w[counted], names)
    words = words_of(X, Y, seed)
    order = counted[np.lexsort((words[counted], stratum[counted]))]
    held = np.sort(order[_dealt_out(words[order], stratum[order], w[order], fraction)])
    most = min(len(order) - 1, max(fraction * len(order) + 1, len(order) / 2))
    if not 2 <= len(held) <= most:
        raise ValueError(
            f"The validation set is too small: n_samples={len(order)}, of which {fraction:.3g}"
            " would be held out; expected at least 2 rows of it, and others to train on: give more"
            " rows, or hold out another share"
        )
    return np.setdiff1d(np.arange(n), held, assume_unique=True), held


def _dealt_out(
    words: Bits, stratum: NDArray[np.intp], w: Array, fraction: float
) -> NDArray[np.bool_]:
    """Return which rows, sorted by stratum and word, are held out."""
    starts = np.flatnonzero(np.r_[True, (np.diff(stratum) != 0) | (words[1:] != words[:-1])])
    copies = np.diff(np.r_[starts, len(words)])
    many = copies * fraction >= 1
    group = np.repeat(np.arange(len(starts)), copies)
    taken = np.where(many, np.rint(copies * fraction).astype(int), 0)
    weight = np.add.reduceat(w, starts)
    of = stratum[starts]
    for each in np.unique(of):
        few = np.flatnonzero((of == each) & ~many)
        if len(few) < len(np.flatnonzero(of == each)):
            least = 0
        else:
            least = 1 if len(np.unique(of)) > 1 else 2
        before = np.r_[0.0, np.cumsum(weight[few])]
        wanted = np.searchsorted(before, fraction * before[-1] * (1 - 1e-9))
        whole = few[: min(max(int(wanted), least), max(len(few) - 1, 0))]
        taken[whole] = copies[whole]
    return np.asarray(np.arange(len(words)) - starts[group] < taken[group])


def _refuse_lonely(stratum: NDArray[np.intp], w: Array, names: Sequence[Any]) -> None:
    """Raise ValueError for a class with one row only, which cannot be on both sides.

    One that weighs as much as several is as several that are equal: it stays in training.
    """
    lone = (np.bincount(stratum) == 1) & (np.bincount(stratum, w) <= 1)
    if lone.any():
        lonely = [names[i] if len(names) else i for i in np.flatnonzero(lone)[:5].tolist()]
        raise ValueError(
            "The least populated classes in y have only 1 member, which cannot both train and be"
            f" held out. Classes with too few members are: {lonely}; give more rows of them, or"
            " drop them"
        )
