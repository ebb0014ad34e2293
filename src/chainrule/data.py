"""Data: arrays checked at the door, split, and cut into batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from chainrule.arrays import Array
from chainrule.losses import Loss
from chainrule.randomness import VALIDATION_ROWS, row_order

Rows = NDArray[np.intp]


def as_matrix(values: Any, name: str, dtype: Any, columns: int | None = None) -> Any:
    """Return `values` as a finite (n, columns) array of `dtype`; sparse matrices become CSR.

    Raises ValueError for other numbers of dimensions or columns, no rows, and NaN or infinity.
    """
    if sparse.issparse(values):
        matrix = sparse.csr_array(values, dtype=dtype)
        stored = matrix.data
    else:
        matrix = np.asarray(values)
        if np.iscomplexobj(matrix):
            raise ValueError(f"{name} holds complex numbers; expected real ones")
        matrix = np.ascontiguousarray(matrix, dtype=dtype)
        stored = matrix
    if matrix.ndim != 2:
        hint = f"; reshape a single column with {name}.reshape(-1, 1)" if matrix.ndim == 1 else ""
        raise ValueError(f"{name} has shape {matrix.shape}; expected two dimensions{hint}")
    if matrix.shape[0] == 0:
        raise ValueError(f"{name} has no rows; expected at least one")
    if columns is not None and matrix.shape[1] != columns:
        raise ValueError(f"{name} has {matrix.shape[1]} columns; expected {columns}")
    if not np.isfinite(stored).all():
        row = int(np.argwhere(~np.isfinite(stored))[0][0]) if stored is matrix else None
        where = "" if row is None else f" (first in row {row})"
        raise ValueError(f"{name} holds NaN or infinity{where}; fill or drop such values first")
    return matrix


def as_weights(weights: Any, rows: int, dtype: Any) -> Array | None:
    """Return sample weights (rows,) of `dtype`, or None for None.

    Raises ValueError for another shape, NaN, infinity, a negative weight, or no positive one.
    """
    if weights is None:
        return None
    vector = np.asarray(weights, dtype=dtype)
    if vector.shape != (rows,):
        raise ValueError(f"weights have shape {vector.shape}; expected ({rows},), one per row")
    if not np.isfinite(vector).all() or (vector < 0).any():
        raise ValueError("weights hold a negative, NaN or infinite value; expected numbers >= 0")
    if not vector.any():
        raise ValueError("all weights are zero; expected at least one positive weight")
    return vector


def check_targets(loss: Loss, Y: Array) -> None:
    """Raise ValueError when a target lies where `loss` is not defined."""
    low, high = loss.targets
    wrong = (low > Y) | (high < Y)
    if wrong.any():
        raise ValueError(
            f"target {Y[wrong][0]:g} in row {int(np.argwhere(wrong)[0][0])} lies outside"
            f" [{low:g}, {high:g}], where {type(loss).__name__} is defined"
        )
    if loss.rows_sum_to_one and not np.allclose(Y.sum(axis=1), 1, atol=1e-5):
        raise ValueError(
            f"targets of {type(loss).__name__} must sum to 1 in every row (one-hot classes, at"
            f" least two); row 0 sums to {Y[0].sum():g}. For one output use binary_cross_entropy"
        )


def batches(
    n: int, size: int, seed: int, epoch: int, shuffle: bool, first: int = 0
) -> Iterator[Rows]:
    """Yield the rows of each batch of an epoch, from batch `first` on; the last may be smaller.

    >>> [rows.tolist() for rows in batches(5, 2, seed=0, epoch=0, shuffle=False)]
    [[0, 1], [2, 3], [4]]
    """
    order = row_order(seed, epoch, n) if shuffle else np.arange(n)
    for start in range(first * size, n, size):
        yield order[start : start + size]


def split(n: int, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """Return the rows to train on and the rows to validate on, a share `fraction` of `n`.

    Raises ValueError when a side would be empty.
    """
    held_out = round(n * fraction)
    if not (0 < fraction < 1 and 0 < held_out < n):
        raise ValueError(
            f"validation={fraction!r} of {n} rows leaves no row on one side; expected a share"
            " between 0 and 1 that leaves rows on both"
        )
    order = row_order(seed, VALIDATION_ROWS, n)
    return np.sort(order[held_out:]), np.sort(order[:held_out])
