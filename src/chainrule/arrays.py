"""Arrays: the one numeric type of the mathematics, and memory the vector units like."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register


def aligned_zeros(size: int, dtype: np.dtype[Any] | str = "float64") -> Array:
    """Return `size` zeros whose first byte lies on a 64-byte boundary.

    >>> aligned_zeros(5).ctypes.data % 64
    0
    """
    dtype = np.dtype(dtype)
    raw = np.zeros(size * dtype.itemsize + ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size * dtype.itemsize].view(dtype)
