"""Data: arrays checked at the door, split, and cut into batches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array, is_whole
from chainrule.losses import Loss
from chainrule.randomness import VALIDATION_ROWS, row_order
from chainrule.sparse import as_rows, is_sparse

Rows = NDArray[np.intp]


def as_matrix(values: Any, name: str, dtype: Any, columns: int | None = None) -> Any:
    """Return `values` as a finite (n, columns) array of `dtype`; sparse matrices become CSR.

    Raises ValueError for what holds no real numbers, masks, other numbers of dimensions or
    columns, no rows, and NaN or infinity.
    """
    refuse_odd(values, name)
    if is_sparse(values):
        matrix = as_rows(values, name, dtype)
        stored = matrix.data
    else:
        stored = matrix = as_numbers(values, name, dtype)
    if matrix.ndim != 2:
        one = (
            f"; make it one row, np.reshape({name}, (1, -1)), or one column,"
            f" np.reshape({name}, (-1, 1))"
        )
        hint = one if matrix.ndim == 1 else ""
        raise ValueError(f"{name} has shape {matrix.shape}; expected two dimensions{hint}")
    if matrix.shape[0] == 0:
        raise ValueError(f"{name} has no rows; expected at least one")
    if columns is not None and matrix.shape[1] != columns:
        labels = name == "Y" and matrix.shape[1] == 1
        hint = f"; make class numbers one-hot: np.eye({columns})[labels]" if labels else ""
        raise ValueError(f"{name} has {matrix.shape[1]} columns; expected {columns}{hint}")
    if not np.isfinite(stored).all():
        row = int(np.argwhere(~np.isfinite(stored))[0][0]) if stored is matrix else None
        where = "" if row is None else f" (first in row {row})"
        raise ValueError(f"{name} holds NaN or infinity{where}; fill or drop such values first")
    return matrix


def as_numbers(
    values: Any, name: str, dtype: Any, expected: str = "rows of numbers, each of the same length"
) -> Array:
    """Return `values` as an array of `dtype`; raise ValueError where one is no number."""
    if type(values) is np.ndarray and values.dtype == dtype and values.flags.c_contiguous:
        return values
    try:
        with np.errstate(over="ignore"):  # what is beyond `dtype` is refused as infinite
            return np.asarray(values, dtype=dtype, order="C")
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{name} cannot be read as numbers ({_first_line(error)}); expected {expected}"
        ) from None


def refuse_odd(values: Any, name: str, but: str = "") -> None:
    """Raise ValueError for values that NumPy would turn into other numbers without a word.

    These are masked entries, dates and durations, imaginary parts, and records; those kinds of
    dtype named in `but` may pass.
    """
    if type(values) is np.ndarray and values.dtype.kind in "fiub":  # nothing odd in it
        return
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        masked = int(np.ma.getmaskarray(values).sum())
        raise ValueError(
            f"{name} is an array with {masked} masked entries, which would be read as if they were"
            f" not; fill them, as in {name}.filled(0), or drop their rows"
        )
    for dtype in _dtypes(values):
        temporal = getattr(dtype, "is_temporal", None)  # Polars
        kind = "M" if temporal and temporal() else getattr(dtype, "kind", "O")
        if kind in ODD and kind not in but:
            raise ValueError(f"{ODD[kind]}: {name} has dtype {dtype}; expected real numbers")


def refuse_mixed(labels: Any, name: str = "y") -> None:
    """Raise ValueError for class labels of which some are missing, or text and some are not.

    NumPy would make text of the numbers, or sort them not at all.
    """
    refuse_odd(labels, name, but="MmV")
    if not isinstance(labels, (list, tuple)):
        if getattr(getattr(labels, "dtype", None), "kind", "") != "O":
            return
        labels = np.ravel(labels).tolist()
    if any(map(_is_gap, labels)):
        raise ValueError(
            f"{name} contains NaN or None; expected a label in every row: drop such rows"
        )
    types = {type(label) for label in labels}
    if len(types) > 1 and any(issubclass(t, (str, bytes)) for t in types):
        given = ", ".join(sorted(t.__name__ for t in types))
        raise ValueError(
            f"{name} mixes labels of the types {given}; expected one type: make all of them text"
        )


def _is_gap(label: Any) -> bool:
    if isinstance(label, float):
        return label != label
    return label is None or type(label).__name__ in ("NAType", "NaTType")


#: What NumPy casts to numbers, but shouldn't, by the letter of its dtype.
ODD = {
    "c": "Complex data not supported",
    "M": "Dates are no numbers (TableEncoder reads them)",
    "m": "Durations are no numbers (TableEncoder reads them)",
    "V": "Records are no rows of numbers",
}


def _dtypes(values: Any) -> list[Any]:
    """Return the dtypes of what a user may give: one for an array, one per column of a frame."""
    dtypes = getattr(values, "dtypes", None)
    if dtypes is not None and hasattr(values, "columns"):
        return list(dtypes)
    if hasattr(values, "dtype"):
        return [values.dtype]
    try:
        return [np.asarray(values).dtype]
    except (TypeError, ValueError):  # the conversion that follows says why
        return []


@contextmanager
def in_one_line() -> Iterator[None]:
    """Turn what NumPy and scikit-learn say of bad data into one line, and keep them from warning.

    A TypeError stays one. What scikit-learn says of column names keeps its lines, because its
    estimator checks ask for them.
    """
    try:
        with np.errstate(all="ignore"):
            yield
    except (TypeError, ValueError, OverflowError) as error:
        text = str(error)
        if text.startswith("The feature names should match"):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        if type(error) is kind and "\n" not in text and not _advice(text):
            raise
        text = re.sub(r"\s*array=.*\n(?=Reshape)", " ", text, flags=re.DOTALL)
        if "contains NaN" in text:
            text = text.splitlines()[0]
        raise kind(f"{' '.join(text.split()).rstrip('.')[:300]}{_advice(text)}") from None


@contextmanager
def said_of(name: str) -> Iterator[None]:
    """Say with whatever is wrong which data it is wrong with."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: {error}") from None


def _advice(text: str) -> str:
    return next((f"; {advice}" for words, advice in ADVICE.items() if text.startswith(words)), "")


#: What to do about errors of NumPy and scikit-learn that do not say so, by their first words.
ADVICE = {
    "Input X contains NaN": "fill or drop such values, or encode the table with TableEncoder",
    "Input y contains NaN": "drop the rows that have no target",
    "Input contains NaN": "drop the rows that have no target",
    "Input X contains infinity": "replace or drop such values",
    "Input y contains infinity": "drop such rows",
    "Input should have at least 1 dimension": "give y as one value, or a row of them, per row of X",
    "X has ": "give the columns that it was fitted with",
    "Found input variables with inconsistent": "give as many rows of X as of y",
    "Found array with 0": "give at least one row and one column",
    "Found array with dim": "reshape it to (n, columns)",
    "Unknown label type: unknown": "if y holds whole numbers as objects, give y.astype(int); text,"
    " y.astype(str)",
    "Unknown label type": "take MLPRegressor for numbers, or give labels as text or whole numbers",
    "could not convert": "expected numbers: encode text with TableEncoder",
    "float() argument": "expected rows of numbers: encode other things with TableEncoder",
    "int too large": "expected numbers below 1.8e308",
    "setting an array element": "give rows of the same length",
    "The DType": "expected numbers: encode other things with TableEncoder",
}


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def as_weights(weights: Any, rows: int, dtype: Any) -> Array | None:
    """Return sample weights (rows,) of `dtype`, or None for None.

    Raises ValueError for another shape, what is no number, NaN, infinity, a negative weight, no
    positive one, and a sum that is too large or too small to divide by.
    """
    if weights is None:
        return None
    refuse_odd(weights, "weights")
    vector = as_numbers(weights, "weights", dtype, "one number per row")
    if vector.shape != (rows,):
        raise ValueError(f"weights have shape {vector.shape}; expected ({rows},), one per row")
    if not np.isfinite(vector).all() or (vector < 0).any():
        raise ValueError("weights hold a negative, NaN or infinite value; expected numbers >= 0")
    if not vector.any():
        raise ValueError("all weights are zero; expected at least one positive weight")
    with np.errstate(over="ignore"):
        total = vector.sum()
    if not np.finfo(vector.dtype).tiny <= total < np.inf:
        raise ValueError(
            f"the sum of the weights is {total:g}; expected weights about 1: scale them"
        )
    return vector


def as_targets(Y: Any, loss: Loss, dtype: Any, outputs: int) -> Any:
    """Return targets (n, outputs), each repeated for the outputs that are compared with it.

    Raises ValueError as `as_matrix` and `check_targets` do, and for outputs that make no blocks.
    """
    if (k := loss.outputs_per_target) > 1:
        if outputs % k:
            raise ValueError(
                f"{type(loss).__name__} compares {k} outputs with each target; the network has"
                f" {outputs}: give it {k} for each"
            )
        Y = as_matrix(Y, "Y", dtype)
        if Y.shape[1] * k == outputs and not is_sparse(Y):
            Y = np.repeat(Y, k, axis=1)
    Y = as_matrix(Y, "Y", dtype, outputs)
    check_targets(loss, Y)
    return Y


def check_targets(loss: Loss, Y: Array) -> None:
    """Raise ValueError when a target lies where `loss` is not defined."""
    if is_sparse(Y):
        raise ValueError("Y is a sparse matrix; expected a dense array: Y.toarray()")
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


def in_random_order(n: int, size: int, shuffle: bool) -> bool:
    """Tell whether batches of `size` of the `n` rows are shuffled: not where one holds them all.

    The order of its rows would change the sums over them by rounding, and nothing else.
    """
    return shuffle and size < n


def batches(
    n: int, size: int, seed: int, epoch: int, shuffle: bool, first: int = 0
) -> Iterator[Rows]:
    """Yield the rows of each batch of an epoch, from batch `first` on; the last may be smaller.

    >>> [rows.tolist() for rows in batches(5, 2, seed=0, epoch=0, shuffle=False)]
    [[0, 1], [2, 3], [4]]
    """
    order = row_order(seed, epoch, n) if in_random_order(n, size, shuffle) else np.arange(n)
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


def check_dtype(dtype: Any) -> np.dtype[Any]:
    """Return float32 or float64 as a NumPy dtype; raise ValueError for another."""
    try:
        known = np.dtype(dtype)
    except TypeError:
        known = None
    if known not in (np.float32, np.float64):
        raise ValueError(f"dtype={dtype!r} is not supported; expected 'float32' or 'float64'")
    return known


def check_sizes(sizes: Sequence[int]) -> list[int]:
    """Return the sizes of a network as plain numbers; raise ValueError where they make none."""
    whole = list(sizes) if isinstance(sizes, Iterable) else []
    if len(whole) < 2 or not all(is_whole(size, 1) for size in whole):
        raise ValueError(
            f"sizes={sizes!r} is no network; expected whole numbers >= 1 for inputs, hidden"
            " layers if any, and outputs, such as [2, 3, 1]"
        )
    return [int(size) for size in whole]
