"""Formulas in C: functions of one number, translated from their Python definitions.

The translator is the native engine's, so a formula stands once. Settings such as the slope of
leaky_relu are numbers when a model is exported: whatever is made of them is computed here, and
written as one constant.

>>> import numpy as np
>>> from chainrule.activations import LeakyRelu
>>> functions = Functions("my", np.dtype("float32"))
>>> functions.of(LeakyRelu(0.2))
'my_leaky_relu'
>>> print(functions.texts["my_leaky_relu"])
static inline float my_leaky_relu(float z)
{
    return my_maximum(z, 0.0f) + (0.2f * my_minimum(z, 0.0f));
}
"""

from __future__ import annotations

import ast
import inspect
import operator
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from chainrule.export.c.texts import literal, tidy
from chainrule.export.code import word
from chainrule.native.emit import Function, Module, Untranslatable
from chainrule.units import Activation

#: What <math.h> calls NumPy's functions.
NAMES = {
    "abs": "fabs", "cos": "cos", "exp": "exp", "expm1": "expm1", "floor": "floor", "hypot": "hypot",
    "log": "log", "log1p": "log1p", "power": "pow", "sqrt": "sqrt", "tanh": "tanh",
}  # fmt: skip
#: What it lacks. NaN stays NaN where it is the first of the two; formulas have constants second.
LACKING = {
    "maximum": ("{T} a, {T} b", "b > a ? b : a"),
    "minimum": ("{T} a, {T} b", "b < a ? b : a"),
    "sign": ("{T} x", "x > 0 ? 1 : x < 0 ? -1 : x"),
}
OPERATORS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


@dataclass
class Functions:
    """C functions, each written when first asked for, after those that it calls."""

    prefix: str
    dtype: np.dtype[Any]
    texts: dict[str, str] = field(default_factory=dict)
    _names: dict[Activation, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.type = "float" if self.dtype == np.float32 else "double"

    def of(self, activation: Activation) -> str:
        """Return the name of the C function for σ."""
        if activation not in self._names:
            name = self._free(f"{self.prefix}_{word(activation)}")
            room = type(activation).__module__
            node = read(room).method(type(activation).__name__, "value")
            self.texts[name] = CFunction(read(room), node, owner=activation, into=self, room=room)(
                name
            )
            self._names[activation] = name
        return self._names[activation]

    def plain(self, function: Callable[..., Any]) -> str:
        """Return the name of the C function for a Python function of numbers."""
        name, room = f"{self.prefix}_{function.__name__}", function.__module__
        if name not in self.texts:
            node = read(room).functions[function.__name__]
            self.texts[name] = CFunction(read(room), node, owner=None, into=self, room=room)(name)
        return name

    def named(self, function: str) -> str:
        """Return C's name of a function of NumPy's, or that of our own where C lacks it."""
        if function in NAMES:
            return NAMES[function] + ("f" if self.dtype == np.float32 else "")
        if function not in LACKING:
            raise Untranslatable(f"{function} has no equal in C")
        name = f"{self.prefix}_{function}"
        arguments, result = (text.format(T=self.type) for text in LACKING[function])
        self.texts.setdefault(name, self.text(name, arguments, f"    return {result};"))
        return name

    def text(self, name: str, arguments: str, body: str) -> str:
        """Return a C function."""
        return f"static inline {self.type} {name}({arguments})\n{{\n{body}\n}}"

    def _free(self, name: str) -> str:
        """Return the name, or with a number where another activation has it: leaky_relu_2."""
        taken, number = set(self.texts), 2
        while name in taken:
            name, number = f"{name.removesuffix(f'_{number - 1}')}_{number}", number + 1
        return name


@dataclass
class CFunction(Function):
    """One Python function under translation into C; `owner` holds its settings."""

    owner: Any = None
    into: Any = None
    room: str = ""

    def __call__(self, name: str) -> str:
        """Return the function in C, under this name."""
        arguments = [a.arg for a in self.node.args.args if a.arg != "self"]
        self.kinds, T = dict.fromkeys(arguments, "T"), self.into.type
        lines = [line for node in self.node.body for line in self.line(node, "T")]
        body = "\n".join(f"    {tidy(line)}" for line in lines)
        return self.into.text(name, ", ".join(f"{T} {each}" for each in arguments), body)

    def line(self, node: ast.stmt, result: str) -> Iterator[str]:
        for text in super().line(node, result):  # a variable's type first, where it is new
            yield re.sub(r"^(T|double) ", f"{self.into.type} ", text)

    def array(self, node: ast.expr) -> str:
        return self.of(node)[0]

    def of(self, node: ast.expr) -> tuple[str, str]:
        if (value := self.number(node)) is not None:
            return literal(value, self.into.dtype), "double"
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            return self.join([node.left, node.right], f"{self.into.named('power')}({{}})")
        return super().of(node)

    def number(self, node: ast.expr) -> float | None:
        """Return what an expression of settings and constants comes to; None for any other."""
        match node:
            case ast.Constant(int() | float() as value):
                return float(value)
            case ast.Attribute(ast.Name("self"), name):
                return float(getattr(self.owner, name))
            case ast.Name(name) if name not in self.kinds:
                return self.module.constants.get(name)
            case ast.UnaryOp(ast.USub(), operand):
                negated = self.number(operand)
                return None if negated is None else -negated
            case ast.BinOp(left, op, right) if type(op) in OPERATORS:
                first, second = self.number(left), self.number(right)
                if first is not None and second is not None:
                    return OPERATORS[type(op)](first, second)
        return None

    def call(self, node: ast.Call) -> tuple[str, str]:
        match node.func:
            case ast.Attribute(ast.Call(ast.Name(cls), args=[]), "value"):  # Sigmoid().value(z)
                other = getattr(sys.modules[self.room], cls)()
                return self.join(node.args, f"{self.into.of(other)}({{}})")
            case ast.Name(name) if name in NAMES or name in LACKING:
                return self.join(node.args, f"{self.into.named(name)}({{}})")
        raise Untranslatable(f"{self.node.name}: {ast.unparse(node)}")


@cache
def read(room: str) -> Module:
    """Return the syntax of an imported module.

    Raises Untranslatable where its source is not there, as of what was typed at a prompt.
    """
    try:
        return Module(inspect.getsource(sys.modules[room]))
    except (OSError, TypeError) as error:
        raise Untranslatable(
            f"the formulas of module {room!r} cannot be read: {error}; write them into a file"
        ) from None
