"""Arrays: the one numeric type of the mathematics, numbers, and memory the vector units like."""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Iterator
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register
BLOCK = 1 << 16  # numbers that are computed with at a time, where there may be very many


def aligned_zeros(size: int, dtype: np.dtype[Any] | str = "float64") -> Array:
    """Return `size` zeros whose first byte lies on a 64-byte boundary.

    >>> aligned_zeros(5).ctypes.data % 64
    0
    """
    dtype = np.dtype(dtype)
    raw = np.zeros(size * dtype.itemsize + ALIGNMENT, dtype=np.uint8)
    start = -address(raw) % ALIGNMENT
    return raw[start : start + size * dtype.itemsize].view(dtype)


def pieces(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """Yield arrays of one shape a few rows at a time, so that what is computed of them is small.

    >>> [first.shape for first, second in pieces(np.zeros((3, 50_000)), np.ones((3, 50_000)))]
    [(1, 50000), (1, 50000), (1, 50000)]
    """
    rows = max(1, BLOCK // max(1, arrays[0][:1].size))
    for first in range(0, len(arrays[0]), rows):
        yield tuple(each[first : first + rows] for each in arrays)


def address(values: NDArray[Any]) -> int:
    """Return where an array's first number lies: `values.ctypes.data`, at a quarter of its time."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(values.data))
    except (TypeError, ValueError):  # empty, or not to be written to
        return int(values.ctypes.data)


def is_number(value: Any, low: float = -math.inf, *, above: float = -math.inf) -> bool:
    """Tell whether `value` is a finite number, no smaller than `low` and larger than `above`.

    >>> is_number(0.5), is_number(0, above=0), is_number(True), is_number("1")
    (True, False, False, False)
    """
    plain = type(value) in (float, int)  # asking an abstract class takes a microsecond
    if not plain and (isinstance(value, bool) or not isinstance(value, Real)):
        return False
    number: Any = value
    largest = sys.float_info.max  # a whole number may be beyond it
    return bool(low <= number and above < number and -largest <= number <= largest)


def is_whole(value: Any, low: int = 0) -> bool:
    """Tell whether `value` is a whole number, Python's or NumPy's, no smaller than `low`."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return whole and bool(value >= low)


def refuse_outside(owner: Any, **intervals: str) -> None:
    """Raise ValueError for a field of `owner` that is no number in its interval.

    >>> from types import SimpleNamespace
    >>> refuse_outside(SimpleNamespace(drop=1.0), drop="(0, 1)")
    Traceback (most recent call last):
    ...
    ValueError: SimpleNamespace: drop=1.0 must be a finite number in (0, 1)
    """
    for name, interval in intervals.items():
        value = getattr(owner, name)
        low, high = (float(end) for end in interval[1:-1].split(","))
        inside = is_number(value, low) and value <= high
        if (
            not inside
            or (value == low and interval[0] == "(")
            or (value == high and interval[-1] == ")")
        ):
            kind = type(owner).__name__
            raise ValueError(f"{kind}: {name}={value!r} must be a finite number in {interval}")
