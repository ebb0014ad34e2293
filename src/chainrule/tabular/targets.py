"""Targets: the column to predict, as classes or as numbers, and rows to validate on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from chainrule.names import nearest

if TYPE_CHECKING:
    import polars as pl

MOST_INTEGER_CLASSES = 20  # whole numbers with more different values than this are numbers


def rows_with_target(frame: pl.DataFrame, target: str) -> tuple[pl.DataFrame, list[str]]:
    """Return the rows that have a target, and a note on those that don't."""
    if target not in frame.columns:
        known = ", ".join(frame.columns[:12]) + (", …" if frame.width > 12 else "")
        raise ValueError(
            f"no column {target!r} in the table{nearest(target, frame.columns) or '.'}"
            f" Columns: {known}"
        )
    if frame.width < 2:
        raise ValueError(f"the table has no column but {target!r}; expected some to learn from")
    empty = gaps(frame[target])
    if empty.all():
        raise ValueError(f"target {target!r} is empty in all {frame.height} rows")
    dropped = int(empty.sum())
    notes = [f"{dropped} rows without target {target!r} left out"] if dropped else []
    return frame.filter(~empty), notes


def gaps(column: pl.Series) -> pl.Series:
    """Return for each row whether the column is empty there: null, or not a number."""
    return column.is_null() | (column.is_nan() if column.dtype.is_float() else False)


def read_target(values: NDArray[Any], name: str, task: str | None) -> tuple[NDArray[Any], str]:
    """Return the target as classes or numbers, and which it is.

    Text and true/false are classes; so are whole numbers with at most 20 different values, if
    ten rows share each on average. `task` overrides.

    Raises ValueError, in one sentence, for a target from which nothing can be learnt.
    """
    distinct = np.unique(values.astype(str)) if values.dtype == object else np.unique(values)
    is_number = np.issubdtype(values.dtype, np.number)
    if task is None:
        whole = is_number and (values == np.floor(values)).all()
        few = len(distinct) <= min(MOST_INTEGER_CLASSES, max(2, len(values) // 10))
        task = "class" if not is_number or (whole and few) else "number"
    y = _convert(values, name, task)
    n, k = len(values), len(distinct)
    if k < 2:
        raise ValueError(
            f"target {name!r} is {distinct.tolist()[0]!r} in every row, so there is nothing to"
            " learn; expected at least two different values: choose another column"
        )
    if task == "class" and (k == n or k > max(2, n // 2)):
        raise ValueError(
            f"target {name!r} has {k} different values in {n} rows: too many to be classes;"
            " choose another column, or --task number if they are numbers"
        )
    return y, task


def known_target(
    frame: pl.DataFrame, name: str, task: str, classes: NDArray[Any] | None
) -> NDArray[Any]:
    """Return the target of rows to measure on, in the terms that a model knows.

    Raises ValueError for a class that is not among `classes`.
    """
    y = _convert(frame[name].to_numpy(), name, task)
    return y if classes is None else _as_known(y, name, classes)


def explain_task(y: NDArray[Any], target: str, task: str) -> str:
    """Say what the target was taken for, and how to overrule it."""
    if task == "number":
        span = f"{y.min():,.6g} to {y.max():,.6g}"
        return f"target {target!r} is read as a number ({span}); if it is a class: --task class"
    k = len(np.unique(y))
    return f"target {target!r} is read as one of {k} classes; if it is a number: --task number"


def split_rows(
    y: NDArray[Any], task: str, target: str, share: float, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows to train on and rows to validate on, each class on both sides.

    Raises ValueError, in one sentence, when a side would lack a class or be too small.
    """
    rows = np.arange(len(y))
    if share == 0:
        return rows, rows[:0]
    if task == "class":
        labels, counts = np.unique(y, return_counts=True)
        if counts.min() < 2:
            raise ValueError(
                f"class {str(labels[counts.argmin()])!r} of target {target!r} has only one row;"
                " expected two, to train and to validate on: drop or merge it, or --validation 0"
            )
    try:
        sides = train_test_split(
            rows,
            test_size=share,
            stratify=y if task == "class" else None,
            random_state=seed,
        )
    except ValueError as error:
        raise ValueError(
            f"{len(y)} rows cannot be split with --validation {share:g}:"
            f" {str(error).splitlines()[0].rstrip('.')}; give more rows, another share, or"
            " --validation 0"
        ) from None
    if len(sides[1]) < 2:
        raise ValueError(
            f"{len(y)} rows leave {len(sides[1])} to validate on; expected at least 2: give more"
            " rows, a larger share with --validation, or --validation 0"
        )
    return np.sort(sides[0]), np.sort(sides[1])


def _convert(values: NDArray[Any], name: str, task: str) -> NDArray[Any]:
    """Return a target as float64 numbers, or as classes: text, whole numbers or true/false."""
    is_number = np.issubdtype(values.dtype, np.number)
    if is_number and not np.isfinite(values).all():
        raise ValueError(f"target {name!r} holds infinite values; replace or drop those rows")
    if values.dtype.kind in "Mm":
        raise ValueError(
            f"target {name!r} holds dates or durations; expected classes or numbers: choose"
            " another column, or write them as numbers"
        )
    if task == "number":
        if not is_number and values.dtype != bool:
            raise ValueError(
                f"target {name!r} holds text such as {str(values[0])[:40]!r}; expected numbers:"
                " correct these rows, or train with --task class"
            )
        return values.astype(np.float64)
    if values.dtype == object:
        return values.astype(str)
    if values.dtype.kind != "f":
        return values
    whole = (values == np.floor(values)).all() and abs(values).max() < 2**53
    return values.astype(np.int64) if whole else values.astype(str)


def _as_known(y: NDArray[Any], name: str, classes: NDArray[Any]) -> NDArray[Any]:
    """Return labels in the type of the model's classes; refuse those it does not know."""
    if classes.dtype.kind == "U" or y.dtype.kind == "U":
        known = {str(label): label for label in classes}
        words = [str(label) for label in y]
        if new := sorted(set(words) - set(known)):
            raise ValueError(
                f"target {name!r} holds {new[0]!r}, which the model does not know; known"
                f" classes: {', '.join(known)}"
            )
        return np.array([known[word] for word in words], dtype=classes.dtype)
    if new := sorted(set(y.tolist()) - set(classes.tolist())):
        raise ValueError(
            f"target {name!r} holds {new[0]!r}, which the model does not know; known"
            f" classes: {', '.join(map(str, classes))}"
        )
    return y
