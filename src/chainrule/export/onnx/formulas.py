"""Formulas: the package's own, and the user's, run once on a value that writes ONNX nodes.

NumPy hands every function of a `Traced` value to it, so a formula as it stands in `activations`
leaves the nodes that compute it. What ONNX has under another name stands in `OPERATORS`, what it
has not is composed of what it has in `COMPOSED`; the rest is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from chainrule.activations import Activation
from chainrule.export.onnx.graph import Graph
from chainrule.units import OwnActivation

BOOL = np.dtype(bool)


class Unsupported(ValueError):
    """A formula uses what cannot be said in ONNX."""


class Traced(NDArrayOperatorsMixin):
    """A value (n, units) of a graph, on which formulas run as on an array."""

    def __init__(self, graph: Graph, name: str, dtype: np.dtype[Any], units: int) -> None:
        self.graph, self.name, self.dtype, self.units = graph, name, dtype, units

    @property
    def shape(self) -> tuple[Any, int]:
        """The number of rows is not known: None."""
        return None, self.units

    ndim = 2

    def made(self, operator: str, *inputs: Any, dtype: Any = None, **attributes: Any) -> Traced:
        """Return what an operator makes of values and numbers, which become of this dtype."""
        every = [each for each in inputs if isinstance(each, Traced)]
        kind = next((each.dtype for each in every if each.dtype != BOOL), self.dtype)
        names = [self.graph.constant(x, kind) if not isinstance(x, Traced) else x.name
                 for x in inputs]  # fmt: skip
        units = max(each.units for each in every)
        made = self.graph.add(operator, *names, **attributes)
        return Traced(self.graph, made, np.dtype(dtype or kind), units)

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, **options: Any) -> Any:
        fits = all(isinstance(x, Traced) or np.ndim(x) == 0 for x in inputs)
        if method != "__call__" or options or not fits:
            raise Unsupported(f"numpy.{function.__name__} with arrays or options")
        name = function.__name__
        if name in COMPOSED:
            return COMPOSED[name](*inputs)
        if name not in OPERATORS:
            raise Unsupported(f"numpy.{name}")
        operator, says_whether = OPERATORS[name]
        return self.made(operator, *inputs, dtype=BOOL if says_whether else None)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        if function.__name__ not in WHOLE:
            raise Unsupported(f"numpy.{function.__name__}")
        return WHOLE[function.__name__](*args, **options)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise Unsupported("values that are not known before the model runs")

    __bool__ = __float__ = __int__ = __len__ = __iter__ = __array__

    def max(self, axis: int | None = None, keepdims: bool = False) -> Traced:
        """Return the largest of each row (n, 1)."""
        _refuse_other_axis("max", axis, keepdims)
        return self._of_rows(self.made("ReduceMax", self, axes=[1], keepdims=1))

    def sum(self, axis: int | None = None, keepdims: bool = False) -> Traced:
        """Return the sum of each row (n, 1)."""
        _refuse_other_axis("sum", axis, keepdims)
        axes = self.graph.constant([1], np.int64)
        name = self.graph.add("ReduceSum", self.name, axes, keepdims=1)
        return Traced(self.graph, name, self.dtype, 1)

    def _of_rows(self, made: Traced) -> Traced:
        made.units = 1
        return made

    def __getitem__(self, key: Any) -> Traced:
        start, stop = self._columns(key)
        ends = ([start], [stop], [1])
        names = [self.graph.constant(each, np.int64) for each in ends]
        made = self.graph.add("Slice", self.name, *names)
        return Traced(self.graph, made, self.dtype, stop - start)

    def __setitem__(self, key: Any, values: Any) -> None:
        """Become, from here on, the value with other columns in the place of these."""
        start, stop = self._columns(key)
        if not isinstance(values, Traced) or values.units != stop - start:
            raise Unsupported("columns written over with other than as many columns")
        parts = [self[:, :start]] if start else []
        parts += [values, *([self[:, stop:]] if stop < self.units else [])]
        self.name = self.graph.add("Concat", *(each.name for each in parts), axis=1)

    def _columns(self, key: Any) -> tuple[int, int]:
        """Return the first of the columns that `[:, key]` means, and the one after the last."""
        rows, columns = key if isinstance(key, tuple) and len(key) == 2 else (None, None)
        if rows == slice(None) and isinstance(columns, int | np.integer):
            place = range(self.units)[int(columns)]
            return place, place + 1
        if rows == slice(None) and isinstance(columns, slice) and columns.step in (None, 1):
            start, stop, _ = columns.indices(self.units)
            return start, stop
        raise Unsupported("an index other than [:, columns]")


def _refuse_other_axis(name: str, axis: int | None, keepdims: bool) -> None:
    if axis not in (1, -1) or not keepdims:
        raise Unsupported(f"{name} other than over a row: axis=1, keepdims=True")


def _expm1(x: Traced) -> Traced:
    """Return e^x − 1 = tanh(x/2) (e^x + 1), exact where x is small."""
    return np.tanh(x * 0.5) * (np.exp(x) + 1)


def _log1p(x: Traced) -> Traced:
    """Return log(1 + x) = x log u / (u − 1) with u = 1 + x, which makes up for u's rounding."""
    u = x + 1
    return where(u == 1, x, np.log(u) * (x / (u - 1)))


def where(condition: Any, x: Any, y: Any) -> Traced:
    """Return x where the condition holds, y elsewhere."""
    of = next(each for each in (condition, x, y) if isinstance(each, Traced))
    numbers = [each for each in (x, y) if isinstance(each, Traced)]
    kind = numbers[0].dtype if numbers else None
    if kind is None or not isinstance(condition, Traced):
        raise Unsupported("numpy.where of numbers alone")
    return of.made("Where", condition, x, y, dtype=kind)


def cumsum(x: Traced, axis: int | None = None) -> Traced:
    """Return the sums of a row's units up to each."""
    if axis not in (1, -1):
        raise Unsupported("cumsum other than over a row: axis=1")
    name = x.graph.add("CumSum", x.name, x.graph.constant(1, np.int64))
    return Traced(x.graph, name, x.dtype, x.units)


def clip(x: Any, low: Any = None, high: Any = None) -> Any:
    """Return x, no smaller than `low` and no larger than `high`."""
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


#: NumPy's name -> ONNX's operator, and whether its result is true or false. All of them are in
#: ONNX Runtime for float64, too.
OPERATORS = {
    "absolute": ("Abs", False), "add": ("Add", False), "ceil": ("Ceil", False),
    "cos": ("Cos", False), "divide": ("Div", False), "equal": ("Equal", True),
    "exp": ("Exp", False), "floor": ("Floor", False), "greater": ("Greater", True),
    "greater_equal": ("GreaterOrEqual", True), "isnan": ("IsNaN", True), "less": ("Less", True),
    "less_equal": ("LessOrEqual", True), "log": ("Log", False), "logical_and": ("And", True),
    "logical_not": ("Not", True), "logical_or": ("Or", True), "maximum": ("Max", False),
    "minimum": ("Min", False), "multiply": ("Mul", False), "negative": ("Neg", False),
    "power": ("Pow", False), "rint": ("Round", False), "sign": ("Sign", False),
    "sin": ("Sin", False), "sqrt": ("Sqrt", False), "subtract": ("Sub", False),
    "tanh": ("Tanh", False), "expit": ("Sigmoid", False),
}  # fmt: skip

#: What ONNX has not, or ONNX Runtime not for float64.
COMPOSED: dict[str, Callable[..., Any]] = {
    "expm1": _expm1,
    "log1p": _log1p,
    "positive": lambda x: x,
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1 / x,
    "cosh": lambda x: 0.5 * (np.exp(x) + np.exp(-x)),
    "sinh": lambda x: 0.5 * (_expm1(x) - _expm1(-x)),
    "tan": lambda x: np.sin(x) / np.cos(x),
    "exp2": lambda x: np.exp(x * float(np.log(2))),
    "logaddexp": lambda x, y: np.maximum(x, y) + _log1p(np.exp(-np.abs(x - y))),
    "not_equal": lambda x, y: np.logical_not(x == y),
}
#: NumPy's functions that are no ufuncs.
WHOLE: dict[str, Callable[..., Any]] = {"where": where, "cumsum": cumsum, "clip": clip}


def activate(activation: Activation, z: Traced) -> Traced:
    """Return a = σ(z); raise ValueError, with the reason, for a σ that has no ONNX form."""
    formula: Callable[[Any], Any] = activation.value
    if isinstance(activation, OwnActivation):
        formula = activation.function
    try:
        a = formula(z)
    except Unsupported as error:
        what = f"{error}, which has no ONNX form here"
    except Exception as error:
        what = f"what fails on a value not known yet ({type(error).__name__}: {error})"
    else:
        if isinstance(a, Traced) and a.units == z.units and a.dtype == z.dtype:
            return a
        what = "what gives no number of the same type for each unit"
    known = ", ".join(sorted({*OPERATORS, *COMPOSED, *WHOLE}))
    raise ValueError(
        f"activation {activation.name!r} cannot be exported to ONNX: it uses {what}; known are"
        f" arithmetic, comparisons, and NumPy's {known}"
    )
