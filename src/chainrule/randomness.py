"""Randomness: numbers that are a pure function of a seed and a place, not of a hidden state.

The order of the rows is a function of (seed, epoch), a dropout mask of (seed, step, layer, row,
unit). So a resumed training goes on exactly, results do not depend on the number of threads, and
two engines, or two machines, draw the same. The generator is SplitMix64 (Steele et al. 2014) used
as a hash: place i of a stream with key k is mix(k + (i + 1)·φ), all modulo 2⁶⁴.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array
from chainrule.sparse import as_rows, is_sparse

Bits = NDArray[np.uint64]

MASK = (1 << 64) - 1
PHI = 0x9E3779B97F4A7C15  # 2⁶⁴ / golden ratio, odd

ROW_ORDER, DROPOUT, CONTENT = 1, 2, 3  # streams
VALIDATION_ROWS = -1  # the "epoch" whose order decides which rows are held out


def _mix(x: Bits) -> Bits:
    """Scramble each 64-bit word of `x`: every input bit reaches every output bit."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def key(seed: int, *place: int) -> int:
    """Return the 64-bit key of the stream named by `seed` and the integers of `place`."""
    k = np.array([seed & MASK], dtype=np.uint64)
    for number in place:
        k = _mix(k + np.uint64(PHI)) ^ np.uint64(number & MASK)
    return int(_mix(k + np.uint64(PHI))[0])


def bits(stream: int, size: int, first: int = 0) -> Bits:
    """Return `size` words of the stream with that key, from its word `first` on.

    >>> bits(key(0), 2)
    array([12035550249420947055, 12935080325729570654], dtype=uint64)
    """
    places = np.arange(first + 1, first + size + 1, dtype=np.uint64)
    return _mix(np.uint64(stream) + places * np.uint64(PHI))


def row_order(seed: int, epoch: int, n: int) -> NDArray[np.intp]:
    """Return the order of `n` rows in an epoch: give each row a random word and sort by it."""
    return np.argsort(bits(key(seed, ROW_ORDER, epoch), n), kind="stable")


def dropout_mask(
    seed: int, step: int, layer: int, shape: tuple[int, int], rate: float, first: int = 0
) -> Array:
    """Return 1 / (1 − rate) where a unit stays and 0 where it drops out, for (rows, units).

    The rows are those of the update from its row `first` on.
    Kept units are scaled up so that nothing changes at prediction (Srivastava et al. 2014).
    """
    rows, units = shape
    words = bits(key(seed, DROPOUT, step, layer), rows * units, first * units)
    threshold = np.uint64(min(int(rate * 2.0**64), MASK))
    return (words >= threshold).reshape(shape) / (1.0 - rate)


def row_words(matrix: Any, seed: int, name: int = 0) -> Bits:
    """Return a random word for each row of `matrix`: a function of the seed and what it holds.

    Equal rows have equal words, wherever they stand; a zero counts as one whether it is stored or
    not. `name` keeps matrices apart whose words are to be added, such as inputs and targets.

    >>> words = row_words(np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]]), seed=0)
    >>> bool(words[0] == words[2] != words[1])
    True
    """
    rows, columns = matrix.shape
    factors = bits(key(seed, CONTENT, name), columns) | np.uint64(1)
    if is_sparse(matrix):
        matrix = as_rows(matrix)
        words = _mix(_as_words(matrix.data)) * factors[matrix.indices]
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(words, dtype=np.uint64)])
        return _mix(sums[matrix.indptr[1:]] - sums[matrix.indptr[:-1]])
    sums = np.zeros(rows, dtype=np.uint64)
    step = max(1, 2**18 // max(columns, 1))  # so that what is in between fits the cache
    for first in range(0, rows, step):
        block = _as_words(matrix[first : first + step])
        sums[first : first + step] = (_mix(block) * factors).sum(axis=1, dtype=np.uint64)
    return _mix(sums)


def _as_words(values: Array) -> Bits:
    """Return the bits of floats as words; both zeros are 0, and mix(0) = 0 adds nothing."""
    return np.asarray((values + 0.0).astype(np.float64).view(np.uint64))
