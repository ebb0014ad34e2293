"""Attribution: which input made how much of an output, by integrated gradients.

Along the straight path from a baseline b to a row x, input i is credited with what the output
gains through it (Sundararajan et al. 2017):

    φᵢ = (xᵢ − bᵢ) ∫₀¹ ∂f/∂xᵢ (b + α (x − b)) dα

so that Σᵢ φᵢ = f(x) − f(b): *completeness*. It holds for every piece of the path as well, so the
quadrature knows its own error everywhere, and halves the pieces in which that is too large: those
in which a unit of relu turns on, mostly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array, is_number, is_whole
from chainrule.data import as_matrix
from chainrule.network import Network

NODES = 8  # of the Gauss-Legendre rule of a piece
HALVINGS = 30  # a piece's width is then 1e-9 of the first
BLOCK = 1 << 21  # numbers of a Jacobian at one time


class Differentiable(Protocol):
    """What can be attributed: a function of rows X (n, inputs), and its derivatives."""

    def predict(self, X: Any) -> Array:
        """Return the outputs (n, outputs)."""
        ...

    def jacobian(self, X: Any) -> Array:
        """Return ∂output/∂X (n, outputs, inputs)."""
        ...


class Attributions(NamedTuple):
    """What `integrated_gradients` found.

    `values` are φ, (n, inputs) for one output of each row and (n, outputs, inputs) for all;
    `error` is |Σᵢ φᵢ − (f(x) − f(b))|, (n,) or (n, outputs).
    """

    values: Array
    error: Array


def integrated_gradients(
    network: Differentiable,
    X: Any,
    baseline: Any = None,
    *,
    output: Any = None,
    steps: int = 64,
    tolerance: float = 1e-4,
) -> Attributions:
    """Return how much of f(x) − f(baseline) each input of each row x made.

    Parameters
    ----------
    network : Network, or what has `predict` and `jacobian` like it
        A network is computed in float64, whatever its dtype.
    X : array-like (n, inputs)
        The rows to explain.
    baseline : array-like (inputs,) or (n, inputs), optional
        What "nothing" looks like: zeros by default, which is the mean row of scaled data.
    output : int or array-like of int (n,), optional
        The column that is explained, or one for each row, such as its predicted class; all by
        default.
    steps : int
        Points at which the derivatives of a row are taken at first, in pieces of 8.
    tolerance : float
        The completeness error that is allowed, as a share of Σᵢ|φᵢ|. Pieces of the path are
        halved until it is met.

    Raises
    ------
    ValueError
        For arrays and settings that do not fit, and where no halving meets the tolerance, because
        the output jumps.

    Examples
    --------
    >>> from chainrule import Network
    >>> net, X = Network([3, 8, 1], "tanh", seed=1), [[1.0, -2.0, 0.5]]
    >>> phi, error = integrated_gradients(net, X)
    >>> phi.shape, bool(error[0, 0] < 1e-9)
    ((1, 1, 3), True)
    >>> float(phi.sum()) - float((net.predict(X) - net.predict([[0, 0, 0]])).sum()) < 1e-9
    True
    """
    if not is_whole(steps, 1):
        raise ValueError(f"steps={steps!r} must be a whole number >= 1")
    if not is_number(tolerance, above=0):
        raise ValueError(f"tolerance={tolerance!r} must be a number > 0, such as 1e-4")
    columns = None
    if isinstance(network, Network):
        columns = network.sizes[0]
        network = network if network.dtype == np.float64 else network.copy("float64")
    X = as_matrix(X, "X", np.float64, columns)
    if not isinstance(X, np.ndarray):
        raise ValueError("X is a sparse matrix; expected a dense array: X.toarray()")
    path = Path(network, _baseline(baseline, X.shape), X)
    path.chosen = _chosen(output, len(X), path.gain.shape[1])
    values = path.integrate(-(-steps // NODES), tolerance)
    gain, sums = path.chosen_of(path.gain, np.arange(len(X))), values.sum(axis=-1)
    return Attributions(values, np.abs(sums - gain))


@dataclass
class Path:
    """The straight paths from `start` (n, inputs) to `end`, and what f gains along them."""

    network: Differentiable
    start: Array
    end: Array
    chosen: NDArray[np.intp] | None = None  # the output of each row, or all

    def __post_init__(self) -> None:
        self.way = self.end - self.start
        rows = np.arange(len(self.end))
        at_start, at_end = (self.values(rows, np.full(len(rows), share)) for share in (0.0, 1.0))
        self.gain, self.rounding = at_end - at_start, 1e-13 * (abs(at_start) + abs(at_end))
        if not np.isfinite(self.gain).all():
            raise ValueError(
                f"the output of row {int(np.argwhere(~np.isfinite(self.gain))[0][0])} or of its"
                " baseline is not finite; expected a network that has not diverged, and rows within"
                " reach of those it learnt from"
            )

    def integrate(self, pieces: int, tolerance: float) -> Array:
        """Return φ, from as many `pieces` of each path and the halves of those that need it."""
        n = len(self.end)
        rows = np.repeat(np.arange(n), pieces)
        left, width = np.tile(np.arange(pieces) / pieces, n), np.full(n * pieces, 1 / pieces)
        parts, gaps = self._pieces(rows, left, width)
        total = parts.reshape(n, pieces, *parts.shape[1:]).sum(axis=1)
        rounding = self.chosen_of(self.rounding, np.arange(n))  # no reason to halve
        settled = np.zeros_like(rounding)  # the gaps of pieces that are good enough
        for _ in range(HALVINGS):
            allowed = np.maximum(tolerance * np.abs(total).sum(axis=-1), rounding) - settled
            poor = _poor(gaps, rows, allowed)
            if not poor.any():
                return total
            np.add.at(settled, rows[~poor], gaps[~poor])
            np.subtract.at(total, rows[poor], parts[poor])
            rows, half = np.repeat(rows[poor], 2), width[poor] / 2
            left = np.stack([left[poor], left[poor] + half], axis=1).ravel()
            width = np.repeat(half, 2)
            parts, gaps = self._pieces(rows, left, width)
            np.add.at(total, rows, parts)
        raise ValueError(
            f"row {rows[0]} has a completeness error above tolerance={tolerance:g} of its"
            f" attributions after {HALVINGS} halvings near {left[0]:.6g} of the path from the"
            " baseline: the output jumps there; take a larger tolerance or another baseline"
        )

    def values(self, rows: NDArray[np.intp], share: Array) -> Array:
        """Return all outputs (m, outputs) at that share of the way of these rows."""
        X = self.start[rows] + share[:, None] * self.way[rows]
        return np.asarray(self.network.predict(X), np.float64).reshape(len(rows), -1)

    def chosen_of(self, outputs: Array, rows: NDArray[np.intp]) -> Array:
        """Return of outputs (m, outputs, …) of these rows those that are explained."""
        return outputs if self.chosen is None else outputs[np.arange(len(rows)), self.chosen[rows]]

    def _pieces(self, rows: NDArray[np.intp], left: Array, width: Array) -> tuple[Array, Array]:
        """Return φ of each piece, and by how much its sum misses what f gains there."""
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        gained = self.values(rows, left + width) - self.values(rows, left)
        gain = self.chosen_of(gained, rows)
        parts = np.empty((*gain.shape, self.end.shape[1]))
        each = max(1, BLOCK // (NODES * self.gain.shape[1] * self.end.shape[1]))
        for first in range(0, len(rows), each):
            some = slice(first, first + each)
            at = left[some, None] + width[some, None] * (nodes + 1) / 2
            X = self.start[rows[some], None] + at[..., None] * self.way[rows[some], None]
            J = np.asarray(self.network.jacobian(X.reshape(-1, X.shape[-1])), np.float64)
            J = J.reshape(*at.shape, -1, X.shape[-1])  # (pieces, nodes, outputs, inputs)
            mean = self.chosen_of(np.einsum("q,pqki->pki", weights / 2, J), rows[some])
            way = self.way[rows[some]] * width[some, None]
            parts[some] = mean * (way if self.chosen is not None else way[:, None])
        return parts, np.abs(parts.sum(axis=-1) - gain)


def _poor(gaps: Array, rows: NDArray[np.intp], allowed: Array) -> NDArray[np.bool_]:
    """Return which pieces to halve: the worse ones of the rows whose gaps add up to too much.

    Those that are not take no more than half of what is `allowed` to their row, (n,) or
    (n, outputs).
    """
    missing = np.zeros_like(allowed)
    np.add.at(missing, rows, gaps)
    count = np.bincount(rows, minlength=len(allowed)).reshape(-1, *[1] * (allowed.ndim - 1))
    fair = (allowed / (2 * np.maximum(count, 1)))[rows]
    poor = (missing > allowed)[rows] & (gaps > fair)
    return poor if poor.ndim == 1 else poor.any(axis=1)


def _baseline(baseline: Any, shape: tuple[int, int]) -> Array:
    """Return the baseline of each row (n, inputs)."""
    if baseline is None:
        return np.zeros(shape)
    rows = as_matrix(np.atleast_2d(baseline), "baseline", np.float64)
    if rows.shape not in (shape, (1, shape[1])):
        raise ValueError(
            f"baseline has shape {np.shape(baseline)}; expected ({shape[1]},), or one row for each"
            f" of X, {shape}"
        )
    return np.asarray(np.broadcast_to(rows, shape), order="C")


def _chosen(output: Any, n: int, outputs: int) -> NDArray[np.intp] | None:
    """Return the output that is explained of each row (n,), or None for all."""
    if output is None:
        return None
    columns = np.asarray(output)
    if columns.dtype.kind not in "iu" or columns.shape not in ((), (n,)):
        raise ValueError(
            f"output={output!r} must be the number of an output, or one for each of {n} rows"
        )
    if ((columns < -outputs) | (columns >= outputs)).any():
        raise ValueError(
            f"output={output!r} is not among the {outputs} outputs, 0 to {outputs - 1}"
        )
    return np.asarray(np.broadcast_to(columns % outputs, n), np.intp)
