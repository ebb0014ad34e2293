"""Prediction in compiled code: rows forward, and cotangents back, with the weights where they lie.

A `Passage` is layers as the library reads them. It holds no copy of a weight, so what is written
into the arrays counts at once; `Passages` knows it again by the very parts it was made of, so one
that was put in another's place counts too. Where it cannot serve, it is None, and NumPy does it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from operator import is_
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array, address, aligned_zeros
from chainrule.native import cores, find
from chainrule.native.formulas import fill, number
from chainrule.native.job import Layer, several
from chainrule.sparse import Rows, is_sparse

FINE = 0  # as in net.h; a number below asks for as many bytes of room
THREADS_PAY = 10_000_000  # multiplications from which the rows are shared among threads


class Net(ctypes.Structure):
    """A network as the library reads it, member by member as in net.h."""

    _fields_: ClassVar = [
        *((name, ctypes.c_int64) for name in ("width", "isa", "n_layers")),
        ("layers", ctypes.POINTER(Layer)),
        ("parameters", ctypes.POINTER(ctypes.c_void_p)),
    ]


class Passage:
    """Layers in compiled code; raises ValueError where the library cannot run them.

    `parameters` are W (n_in, n_out) and b (n_out,) of each layer in turn.
    """

    def __init__(
        self,
        parameters: Sequence[Any],
        activations: Sequence[Any],
        instruction_set: str | None = None,
    ) -> None:
        library = find()
        if isinstance(library, str):
            raise ValueError(library)
        self.parameters, self.activations = tuple(parameters), tuple(activations)
        self.dtype = _common_dtype(self.parameters)
        weights = self.parameters[::2]
        self.inputs, self.outputs = weights[0].shape[0], weights[-1].shape[1]
        self.cost = sum(W.size for W in weights)
        self.mirrors = type(self.activations[-1]).__name__ == "Sigmoid"
        self._layers = several(Layer, len(weights))()
        for entry, W, sigma in zip(self._layers, weights, self.activations, strict=True):
            entry.n_in, entry.n_out = W.shape
            entry.activation = number(library, "ACTIVATIONS", sigma)
            if entry.activation < 0:
                raise ValueError(f"{type(sigma).__name__} is not among the library's formulas")
            fill(entry.settings, sigma)
        pointers = several(ctypes.c_void_p, len(self.parameters))
        self._pointers = pointers(*map(address, self.parameters))
        sets = library.instruction_sets
        self._net = Net(
            self.dtype.itemsize, sets.index(instruction_set or sets[-1]), len(weights),
            self._layers, self._pointers,
        )  # fmt: skip
        self._at = ctypes.addressof(self._net)
        self._predict = library.calls.chainrule_predict
        self._pull_back = library.calls.chainrule_pull_back

    def predict(self, X: Any, mirrored: bool = False, threads: int | None = None) -> Array | None:
        """Return the outputs (n, outputs) for X (n, inputs); None for what NumPy is to handle.

        `mirrored` puts σ(−z) before a single output σ(z): (n, 2). None is returned for an X of
        another kind, shape or dtype, and where any number is not finite. X may be sparse.
        """
        thin = type(X) is not np.ndarray and is_sparse(X)
        if type(X) is not np.ndarray and not thin:
            return None
        if X.dtype != self.dtype or X.ndim != 2 or not (thin or _plain(X)):
            return None
        n, columns = X.shape
        units = self.outputs
        mirrored = mirrored and units == 1
        if columns != self.inputs or n == 0 or (mirrored and not self.mirrors):
            return None
        row = 2 * units if mirrored else units
        out = np.empty((n, row), self.dtype)
        at = address(out)
        rows = Rows.of(X) if thin else None
        outcome = _with_room(
            self._predict,
            self._at,
            n,
            1 if n * self.cost < THREADS_PAY else self._threads(n, threads),
            *((address(X), None, None) if rows is None else rows.places),
            at + units * self.dtype.itemsize if mirrored else at,
            row,
            at if mirrored else None,
        )
        return out if outcome == FINE else None

    def pull_back(self, X: Array, G: Array | None, at_z: bool = False) -> Array | None:
        """Return Σₖ gₖ ∂aₖ/∂x (n, each, inputs) for the cotangents G (n, each, outputs) of rows X.

        Without G it is the Jacobian (n, outputs, inputs); with `at_z` it is of z, not a = σ(z), of
        the output layer. X is as `predict` takes it.
        """
        n, each = len(X), self.outputs if G is None else G.shape[1]
        out = np.empty((n, each, self.inputs), self.dtype)
        G = None if G is None else np.ascontiguousarray(G, self.dtype)
        outcome = _with_room(
            self._pull_back,
            self._at,
            n,
            each,
            self._threads(n * each, None) if n * each * self.cost >= THREADS_PAY else 1,
            address(X),
            None if G is None else address(G),
            at_z,
            address(out),
        )
        return out if outcome == FINE else None

    def _threads(self, n: int, most: int | None) -> int:
        return max(1, min(most or cores(), n * self.cost * 2 // THREADS_PAY))


class Passages:
    """The passage of one owner's layers, made anew when they are others."""

    def __init__(self) -> None:
        self.last: tuple[list[Any], Passage | None] = [], None

    def of(self, parts: Sequence[Any], make: Callable[[], Passage]) -> Passage | None:
        """Return the passage made of these very parts; None where there is none, or not wanted."""
        if os.environ.get("CHAINRULE_ENGINE") == "reference":
            return None
        known, passage = self.last
        if len(known) != len(parts) or not all(map(is_, known, parts)):
            try:
                passage = make()
            except ValueError:  # a formula of the user's own, or no library
                passage = None
            self.last = list(parts), passage
        return passage


def _with_room(call: Callable[..., int], *arguments: Any) -> int:
    """Return what came of a call, made again with the room that it asks for."""
    outcome = call(*arguments, None)
    if outcome >= FINE:
        return outcome
    room = aligned_zeros(-outcome // 8 + 1)
    return call(*arguments, address(room))


def _plain(array: NDArray[Any]) -> bool:
    flags = array.flags
    return flags.c_contiguous and flags.aligned


def _common_dtype(parameters: Sequence[Any]) -> np.dtype[Any]:
    """Return the dtype of all parameters; raise ValueError where they don't fit each other."""
    arrays = [p for p in parameters if type(p) is np.ndarray and _plain(p)]
    dtypes = {p.dtype for p in arrays}
    if len(arrays) < len(parameters) or not arrays or len(dtypes) > 1:
        raise ValueError("the parameters are not contiguous arrays of one dtype")
    weights, biases = arrays[::2], arrays[1::2]
    wide = [W.shape[1] if W.ndim == 2 else -1 for W in weights]
    if [b.shape for b in biases] != [(n,) for n in wide] or wide[:-1] != [
        W.shape[0] for W in weights[1:]
    ]:
        raise ValueError("the shapes of the parameters do not fit each other")
    dtype = dtypes.pop()
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"dtype {dtype} is not float32 or float64")
    return dtype
