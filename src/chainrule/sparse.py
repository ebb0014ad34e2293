"""Sparse: rows of which only what is not zero is kept, checked and brought into one form.

The one room that knows SciPy's, which is imported when there is something sparse: that takes
longer than all of chainrule.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array, address


def is_sparse(values: Any) -> bool:
    """Tell whether `values` is one of SciPy's sparse arrays or matrices.

    >>> from scipy import sparse
    >>> is_sparse(sparse.eye_array(2)), is_sparse(np.eye(2))
    (True, False)
    """
    if type(values) is np.ndarray or "scipy.sparse" not in sys.modules:
        return False  # who has a sparse one has imported it
    from scipy import sparse

    return bool(sparse.issparse(values))


def product(A: Any, B: Array, out: Array) -> Array:
    """Return A·B, written into `out`; A may be sparse.

    >>> from scipy import sparse
    >>> product(sparse.eye_array(2), np.ones((2, 1)), out=np.empty((2, 1))).ravel()
    array([1., 1.])
    """
    if not is_sparse(A):
        return np.matmul(A, B, out=out)
    out[:] = A @ B
    return out


def as_rows(values: Any, name: str = "X", dtype: Any = None) -> Any:
    """Return a matrix by sparse rows (CSR), each row's columns in order and each once.

    What is repeated is added up, and nothing of the caller's is changed; what needs no change is
    not copied. Raises ValueError where the matrix's own indices lead outside of it.

    >>> from scipy import sparse
    >>> twice = sparse.csr_array(([1.0, 2.0, 4.0], [1, 0, 1], [0, 3]), shape=(1, 2))
    >>> as_rows(twice).data.tolist(), as_rows(twice).indices.tolist(), twice.nnz
    ([2.0, 5.0], [0, 1], 3)
    """
    from scipy import sparse

    kind = values.format if is_sparse(values) else "dense"
    form = sparse.csc_array if kind == "csc" else sparse.csr_array
    matrix = form(values, dtype=dtype)
    if kind in ("csc", "csr"):  # SciPy takes those on trust
        try:
            matrix.check_format(full_check=True)
        except ValueError as error:
            raise ValueError(
                f"{name} is a broken sparse matrix ({error}); expected row and column numbers"
                f" within its shape {matrix.shape}: build it anew from a dense one"
            ) from None
    matrix = sparse.csr_array(matrix)
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    return matrix


@dataclass(frozen=True)
class Rows:
    """Sparse rows as compiled code reads them: where each begins, the columns, the numbers."""

    starts: NDArray[np.int64]  # (n + 1,)
    columns: NDArray[np.int32]
    values: Array

    @classmethod
    def of(cls, matrix: Any) -> Rows:
        """Return the rows of a sparse matrix, which it shares where it can.

        Raises ValueError for a matrix that `as_rows` refuses, or of 2³¹ columns and more.
        """
        matrix = as_rows(matrix)
        if matrix.shape[1] > np.iinfo(np.int32).max:
            raise ValueError(f"X has {matrix.shape[1]} columns; expected fewer than 2³¹: hash them")
        return cls(
            np.ascontiguousarray(matrix.indptr, np.int64),
            np.ascontiguousarray(matrix.indices, np.int32),
            np.ascontiguousarray(matrix.data),
        )

    @property
    def places(self) -> tuple[int, int, int]:
        """Addresses of the numbers, of where rows begin, and of the columns."""
        return address(self.values), address(self.starts), address(self.columns)

    def most_in(self, rows: int) -> int:
        """Return how many numbers any `rows` of the rows hold at most.

        >>> from scipy import sparse
        >>> Rows.of(sparse.csr_array([[1.0, 2.0], [0.0, 0.0], [3.0, 0.0]])).most_in(2)
        3
        """
        each = np.diff(self.starts)
        if rows < each.size:
            each = np.partition(each, each.size - rows)[-rows:]
        return int(each.sum())
