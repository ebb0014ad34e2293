"""Traced: a value of a graph on which NumPy's functions leave the nodes that compute them.

NumPy hands every function of such a value to it (`__array_ufunc__`, `__array_function__`), so that
a formula written for arrays runs on it as it stands. What ONNX has under another name stands in
`OPERATORS`, what it has not is composed of what it has in `COMPOSED`; the rest is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from chainrule.export.onnx.graph import Graph

BOOL = np.dtype(bool)
on_traced: Any = np  #: NumPy; type checkers don't know that it gives back what is traced


class Unsupported(ValueError):
    """A formula uses what cannot be said in ONNX."""


class Traced(NDArrayOperatorsMixin):
    """A value (n, units) of a graph; the number of its rows is not known."""

    ndim = 2

    def __init__(self, graph: Graph, name: str, dtype: Any, units: int) -> None:
        self.graph, self.name, self.dtype, self.units = graph, name, np.dtype(dtype), units

    @property
    def shape(self) -> tuple[Any, int]:
        """The number of rows, None, and of units."""
        return None, self.units

    def astype(self, dtype: Any, **_: Any) -> Traced:
        """Return the value as another type."""
        if self.dtype == np.dtype(dtype):
            return self
        return Traced(self.graph, self.graph.cast(self.name, dtype), dtype, self.units)

    def of(self, operator: str, *inputs: Any, says_whether: bool = False, **how: Any) -> Traced:
        """Return what an operator makes of values, and of numbers, which take their type."""
        values = [each for each in inputs if isinstance(each, Traced)]
        kind = next((each.dtype for each in values if each.dtype != BOOL), BOOL)
        if operator not in LOGICAL:
            if kind == BOOL:
                raise Unsupported("arithmetic of true and false alone")
            inputs = tuple(x.astype(kind) if isinstance(x, Traced) else x for x in inputs)
        units = max(x.units if isinstance(x, Traced) else np.size(x) for x in inputs)
        names = [self.graph.constant(x, kind) if not isinstance(x, Traced) else x.name
                 for x in inputs]  # fmt: skip
        made = self.graph.add(operator, *names, **how)
        return Traced(self.graph, made, BOOL if says_whether else kind, units)

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            raise Unsupported(f"numpy.{function.__name__} with options or as a method")
        name = function.__name__
        if not all(isinstance(x, Traced) or self._fits(np.shape(x)) for x in inputs):
            raise Unsupported(f"numpy.{name} with an array that is not one number for each unit")
        if name in COMPOSED:
            return COMPOSED[name](*inputs)
        if name in NARROW and self.dtype == np.float64:
            raise Unsupported(
                f"{name}, which ONNX Runtime has in float32 only (dtype='float32' exports it)"
            )
        if name not in OPERATORS:
            raise Unsupported(f"numpy.{name}")
        return self.of(OPERATORS[name], *inputs, says_whether=OPERATORS[name] in WHETHER)

    def _fits(self, shape: tuple[int, ...]) -> bool:
        return shape == () or (len(shape) == 1 and self.units in (1, *shape))

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        if function.__name__ not in WHOLE:
            raise Unsupported(f"numpy.{function.__name__}")
        return WHOLE[function.__name__](*args, **options)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise Unsupported("values that are not known before the model runs")

    __bool__ = __float__ = __int__ = __len__ = __iter__ = __array__

    def max(self, axis: int | None = None, keepdims: bool = False) -> Traced:
        """Return the largest of each row (n, 1)."""
        return self._of_rows("ReduceMax", axis, keepdims)

    def sum(self, axis: int | None = None, keepdims: bool = False) -> Traced:
        """Return the sum of each row (n, 1)."""
        return self._of_rows("ReduceSum", axis, keepdims)

    def _of_rows(self, operator: str, axis: int | None, keepdims: bool) -> Traced:
        if axis not in (1, -1) or not keepdims:
            raise Unsupported("sums and the like other than over a row: axis=1, keepdims=True")
        return Traced(self.graph, self.graph.reduce(operator, self.name), self.dtype, 1)

    def __getitem__(self, key: Any) -> Traced:
        start, stop = self._columns(key)
        ends = [self.graph.constant([each], np.int64) for each in (start, stop, 1)]
        return Traced(
            self.graph, self.graph.add("Slice", self.name, *ends), self.dtype, stop - start
        )

    def __setitem__(self, key: Any, values: Any) -> None:
        """Become, from here on, the value with other columns in the place of these."""
        start, stop = self._columns(key)
        if not isinstance(values, Traced) or values.units != stop - start:
            raise Unsupported("columns written over with other than as many columns")
        parts = [self[:, :start]] if start else []
        parts += [values, *([self[:, stop:]] if stop < self.units else [])]
        self.name = beside(parts).name

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


def beside(values: list[Traced]) -> Traced:
    """Return values of one type side by side (n, their units)."""
    if len(values) == 1:
        return values[0]
    first, units = values[0], sum(each.units for each in values)
    made = first.graph.add("Concat", *(each.name for each in values), axis=1)
    return Traced(first.graph, made, first.dtype, units)


def pick(value: Traced, places: list[int]) -> Traced:
    """Return the columns at these places, in their order."""
    if places == list(range(value.units)):
        return value
    if places == list(range(places[0], places[0] + len(places))):
        return value[:, places[0] : places[-1] + 1]
    indices = value.graph.constant(places, np.int64)
    made = value.graph.add("Gather", value.name, indices, axis=1)
    return Traced(value.graph, made, value.dtype, len(places))


def where(condition: Any, x: Any, y: Any) -> Traced:
    """Return x where the condition holds, y elsewhere."""
    if not isinstance(condition, Traced) or condition.dtype != BOOL:
        raise Unsupported("numpy.where of a condition that is no comparison")
    if not isinstance(x, Traced) and not isinstance(y, Traced):
        raise Unsupported("numpy.where of numbers alone")
    return condition.of("Where", condition, x, y)


def cumsum(x: Traced, axis: int | None = None) -> Traced:
    """Return the sums of a row's units up to each."""
    if axis not in (1, -1):
        raise Unsupported("sums other than over a row: axis=1")
    name = x.graph.add("CumSum", x.name, x.graph.constant(1, np.int64))
    return Traced(x.graph, name, x.dtype, x.units)


def clip(x: Any, low: Any = None, high: Any = None) -> Any:
    """Return x, no smaller than `low` and no larger than `high`."""
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def _expm1(x: Any) -> Any:
    """Return e^x − 1 = tanh(x/2) (e^x + 1), exact where x is small."""
    return np.tanh(x * 0.5) * (np.exp(x) + 1)


def _log1p(x: Any) -> Any:
    """Return log(1 + x) = x log u / (u − 1) with u = 1 + x, which makes up for u's rounding."""
    u = x + 1
    return where(u == 1, x, np.log(u) * (x / (u - 1)))


def _hypot(x: Any, y: Any) -> Any:
    """Return √(x² + y²), without squaring what is large."""
    large, small = np.maximum(np.abs(x), np.abs(y)), np.minimum(np.abs(x), np.abs(y))
    ratio = small / where(large == 0, 1, large)
    return large * np.sqrt(ratio * ratio + 1)


#: NumPy's name -> ONNX's operator. ONNX Runtime has all of them for float64, too.
OPERATORS = {
    "absolute": "Abs", "add": "Add", "bitwise_and": "And", "bitwise_or": "Or", "ceil": "Ceil",
    "cos": "Cos", "divide": "Div", "equal": "Equal", "exp": "Exp", "expit": "Sigmoid",
    "floor": "Floor", "greater": "Greater", "greater_equal": "GreaterOrEqual", "invert": "Not",
    "isnan": "IsNaN", "less": "Less", "less_equal": "LessOrEqual", "log": "Log",
    "logical_and": "And", "logical_not": "Not", "logical_or": "Or", "maximum": "Max",
    "minimum": "Min", "multiply": "Mul", "negative": "Neg", "power": "Pow", "rint": "Round",
    "sign": "Sign", "sin": "Sin", "sqrt": "Sqrt", "subtract": "Sub", "tanh": "Tanh",
    "erf": "Erf", "arctan": "Atan", "arcsinh": "Asinh", "arccosh": "Acosh", "arctanh": "Atanh",
    "arcsin": "Asin", "arccos": "Acos",
}  # fmt: skip
#: Those that ONNX Runtime has not for float64.
NARROW = ("erf", "arctan", "arcsinh", "arccosh", "arctanh", "arcsin", "arccos")
#: Operators whose result is true or false; those that take such.
WHETHER = ("And", "Equal", "Greater", "GreaterOrEqual", "IsNaN", "Less", "LessOrEqual", "Not", "Or")
LOGICAL = ("And", "Not", "Or", "Where")
#: What ONNX has not, or ONNX Runtime not for float64.
COMPOSED: dict[str, Callable[..., Any]] = {
    "cosh": lambda x: 0.5 * (np.exp(x) + np.exp(-x)),
    "exp2": lambda x: np.exp(x * float(np.log(2))),
    "expm1": _expm1,
    "hypot": _hypot,
    "log1p": _log1p,
    "logaddexp": lambda x, y: np.maximum(x, y) + _log1p(np.exp(-np.abs(x - y))),
    "not_equal": lambda x, y: np.logical_not(x == y),
    "positive": lambda x: x,
    "reciprocal": lambda x: 1 / x,
    "sinh": lambda x: 0.5 * (_expm1(x) - _expm1(-x)),
    "square": lambda x: x * x,
    "tan": lambda x: np.sin(x) / np.cos(x),
}
#: NumPy's functions that are no ufuncs.
WHOLE: dict[str, Callable[..., Any]] = {"clip": clip, "cumsum": cumsum, "where": where}
KNOWN = sorted({*OPERATORS, *COMPOSED, *WHOLE})
