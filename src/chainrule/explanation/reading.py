"""Reading: formulas as they stand in Python become trees, and their steps are run one by one.

What an explanation shows of an activation, a loss or an optimizer is read from the lines that
compute it, so it cannot differ from them. Where these are written so as to stay exact for large
numbers, the class may say in `textbook` how a textbook has it.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import FunctionType
from typing import Any

from chainrule import losses
from chainrule.explanation.expressions import (
    HALF,
    Call,
    Divide,
    E,
    Expr,
    Largest,
    Negative,
    Number,
    Power,
    Sum,
    Symbol,
    add,
    multiply,
    transform,
)

#: Letters for what has a longer name in the code.
LETTERS = {
    "alpha": "α", "beta_1": "β₁", "beta_2": "β₂", "decay": "ρ", "epsilon": "ε", "momentum": "μ",
    "rate": "η", "scale": "λ", "slope": "s", "weight_decay": "λ", "label_smoothing": "s",
    "quantile": "q", "delta": "d", "l1": "λ₁", "l2": "λ₂",
}  # fmt: skip


class Unreadable(ValueError):
    """Code that is no formula; it is shown by its name."""


@dataclass(frozen=True)
class Formula:
    """A formula: its result, and what it computes on the way, in order."""

    result: Expr
    steps: tuple[tuple[str, Expr], ...] = ()  # Python's name, and what is assigned to it
    settings: Mapping[str, float] = field(default_factory=dict)  # by letter
    code: tuple[ast.stmt, ...] = ()  # what is run for the steps
    function: Callable[..., Any] | None = None


def letter(name: str) -> str:
    """Return the letter for a name in the code."""
    return LETTERS.get(name, name)


def read(owner: Any, method: str, units: bool = True, tangent: bool = False) -> Formula:
    """Return the formula that method `method` of `owner` computes.

    With `units`, names are vectors over the units of a row, and get the index j. With `tangent`, a
    loss's logarithm is told as what it is near 0: continued by its tangent. Raises Unreadable
    where the code is not at hand, or is no formula.
    """
    for cls in type(owner).__mro__:
        textbook = vars(cls).get("textbook", {})
        if method in textbook:
            tree = ast.parse(textbook[method], mode="eval").body
            reader = Reader(owner, units, tangent)
            return Formula(reader.of(tree), settings=reader.settings)
        if method in vars(cls):
            return _read_function(vars(cls)[method], Reader(owner, units, tangent))
    raise Unreadable(f"{type(owner).__name__} has no {method}")


def read_of(owner: Any, method: str, j: int, units: int) -> Expr:
    """Return the formula of unit j, of an owner whose units differ and say so by `textbook_of`."""
    tree = ast.parse(owner.textbook_of(method, j, units), mode="eval").body
    return Reader(owner, units=True).of(tree)


def _read_function(function: Callable[..., Any], reader: Reader) -> Formula:
    steps: list[tuple[str, Expr]] = []
    reader.names = function.__globals__
    *body, last = _body(function)
    if not isinstance(last, ast.Return) or last.value is None:
        raise Unreadable(ast.unparse(last))
    while above := _of_base(last.value, reader.owner):  # AdamW's is Adam's, after a decay
        function, given = above
        names = list(inspect.signature(function).parameters)[1:]
        body += [
            ast.Assign([ast.Name(name, ast.Store())], node)
            for name, node in zip(names, given, strict=True)
            if ast.unparse(node) != name
        ]
        *more, last = _body(function)
        body += more
        assert isinstance(last, ast.Return)
        assert last.value is not None
    body = [ast.fix_missing_locations(node) for node in body]
    for node in body:
        for name, expr in reader.assigned(node):
            if isinstance(expr, Symbol):  # another word for the same
                reader.aliases[name] = expr
            else:
                steps.append((name, expr))
    value = last.value.elts[0] if isinstance(last.value, ast.Tuple) else last.value
    assert value is not None
    return Formula(reader.of(value), tuple(steps), reader.settings, tuple(body), function)


def _of_base(node: ast.expr, owner: Any) -> tuple[Callable[..., Any], list[ast.expr]] | None:
    """Return the function and the arguments after `self` of a call such as Adam.update(self, w)."""
    match node:
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id=name), attr=method),
            args=[ast.Name(id="self"), *given],
        ):
            for cls in type(owner).__mro__:
                if cls.__name__ == name:
                    return getattr(cls, method), given
    return None


@lru_cache(512)
def _body(function: Callable[..., Any]) -> list[ast.stmt]:
    """Return a function's statements, without its docstring."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, TypeError, SyntaxError) as error:
        raise Unreadable(str(error)) from None
    if not isinstance(tree, ast.FunctionDef):
        raise Unreadable(ast.unparse(tree))
    return [
        n for n in tree.body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))
    ]


def run(formula: Formula, arguments: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Run the formula's steps on real numbers, as Python would.

    Yields the name that a step assigned, and all names as they were before it; at last "" and all
    names as they are for the result.
    """
    names = dict(arguments)
    room = {} if formula.function is None else dict(formula.function.__globals__)
    if formula.function is not None:
        room |= inspect.getclosurevars(formula.function).nonlocals
    for node in formula.code:
        before = dict(names)
        exec(compile(ast.Module([node], []), "<formula>", "exec"), room, names)
        for name in _targets(node):
            if any(name == step for step, _ in formula.steps):
                yield name, before
    yield "", names


def _targets(node: ast.stmt) -> list[str]:
    assert isinstance(node, ast.Assign)
    return [ast.unparse(name) for name in node.targets]


SIMPLE = {
    "abs": "abs", "absolute": "abs", "cos": "cos", "floor": "floor", "log": "log", "_log": "log",
    "maximum": "max", "minimum": "min", "sign": "sign", "sqrt": "sqrt", "tanh": "tanh",
}  # fmt: skip
SPECIAL: dict[str, Callable[[Expr], Expr]] = {
    "exp": lambda x: Power(E, x),
    "expm1": lambda x: add(Power(E, x), Negative(Number(1.0))),
    "log1p": lambda x: Call("log", (add(Number(1.0), x),)),
    "_log_derivative": lambda x: Divide(Number(1.0), x),
    "float": lambda x: x,
    "square": lambda x: Power(x, Number(2.0)),
}
TINY = Number(losses.TINY)
NEAR_ZERO: dict[str, Callable[[Expr], Expr]] = {
    "_log": lambda x: add(
        Call("log", (Call("max", (x, TINY)),)),
        Divide(add(Call("min", (x, TINY)), Negative(TINY)), TINY),
    ),
    "_log_derivative": lambda x: Divide(Number(1.0), Call("max", (x, TINY))),
}


@dataclass
class Reader:
    """Turns Python's syntax tree into ours; `settings` are those of `owner` that it met."""

    owner: Any
    units: bool
    tangent: bool = False
    index: str = "j"
    settings: dict[str, float] = field(default_factory=dict)
    aliases: dict[str, Symbol] = field(default_factory=dict)
    names: Mapping[str, Any] = field(default_factory=dict)  # of the module that the formula is in

    def assigned(self, node: ast.stmt) -> list[tuple[str, Expr]]:
        """Return what a statement assigns; taking slots apart is nothing to tell.

        Nor is a setting that differs from unit to unit, such as the q of each quantile.
        """
        match node:
            case ast.Assign(targets=[ast.Tuple()], value=ast.Name()):
                return []
            case ast.Assign(value=ast.Call(func=ast.Attribute(value=ast.Name(id="self")))):
                return []
            case ast.Assign():
                pass
            case _:
                raise Unreadable(ast.unparse(node))
        return [(ast.unparse(node.targets[0]), self.of(node.value))]

    def of(self, node: ast.expr) -> Expr:
        """Return an expression as a tree."""
        match node:
            case ast.Constant(value=int() | float()):
                return Number(float(ast.literal_eval(node)))
            case ast.Name() if node.id in self.aliases:
                return self.aliases[node.id]
            case ast.Name(id="TINY"):
                return TINY
            case ast.Name():
                return Symbol(letter(node.id), (self.index,) if self.units else ())
            case ast.Attribute(value=ast.Name(id="self")):
                name, value = letter(node.attr), float(getattr(self.owner, node.attr))
                if not value:  # what is switched off is not told
                    return Number(0.0)
                name = "η₀" if name == "η" else name  # the rate itself is given to the rule
                self.settings[name] = value
                return Symbol(name)
            case ast.Subscript(value=ast.Attribute(attr="shape")):
                return Symbol("K")
            case ast.Subscript(value=ast.Name(id=name)):  # of another unit: a[0], a[j - 1]
                other = ast.unparse(node.slice).replace(" - ", "−")
                return Symbol(name, (int(other) if other.isdecimal() else other,))
            case ast.UnaryOp(op=ast.USub()):
                return Negative(self.of(node.operand))
            case ast.BinOp():
                return self.join(node)
            case ast.IfExp(test=ast.Attribute(value=ast.Name(id="self"), attr=setting)):
                chosen = bool(getattr(self.owner, setting))
                return self.of(node.body if chosen else node.orelse)
            case ast.Call():
                return self.call(node)
        raise Unreadable(ast.unparse(node))

    def join(self, node: ast.BinOp) -> Expr:
        """Return two expressions and the sign between them."""
        left, right = self.of(node.left), self.of(node.right)
        match node.op:
            case ast.Add():
                return add(left, right)
            case ast.Sub():
                return add(left, Negative(right))
            case ast.Mult():
                return multiply(HALF if left == Number(0.5) else left, right)
            case ast.Div():
                return left if left == Number(0.0) else Divide(left, right)
            case ast.Pow():
                return Power(left, right)
        raise Unreadable(ast.unparse(node))

    def call(self, node: ast.Call) -> Expr:
        """Return a call: of a function, over the units of a row, or of another formula."""
        match node.func:
            case ast.Attribute(value=ast.Subscript(value=ast.Name(id=name)), attr="sum"):
                return Sum("k≥j", Symbol(name, ("k",)))  # g[j:]
            case ast.Attribute(value=owner, attr="sum" | "max" as name) if node.keywords:
                return self.over_units(owner, name)
            case ast.Attribute(value=ast.Name(id="self"), attr="derivative" | "value" as name):
                return Call({"derivative": "σ′", "value": "σ"}[name], self.all(node))
            case ast.Attribute(value=ast.Name(id="self")):
                raise Unreadable(ast.unparse(node))
            case ast.Attribute(value=ast.Call(func=ast.Name(id=cls)), attr="value"):
                return Call(cls.lower(), self.all(node))
            case ast.Name(id=name) | ast.Attribute(attr=name):
                if self.tangent and name in NEAR_ZERO:
                    return NEAR_ZERO[name](self.of(node.args[0]))
                if name in SPECIAL:
                    return SPECIAL[name](self.of(node.args[0]))
                if name not in SIMPLE and isinstance(self.names.get(name), FunctionType):
                    return self.inline(self.names[name], self.all(node))
                return Call(SIMPLE.get(name, name), self.all(node))
        raise Unreadable(ast.unparse(node))

    def inline(self, function: FunctionType, given: tuple[Expr, ...]) -> Expr:
        """Return what a function of the same module computes, with `given` for its arguments."""
        *body, last = _body(function)
        if body or not isinstance(last, ast.Return) or last.value is None:
            return Call(function.__name__, given)
        index = (self.index,) if self.units else ()
        own = (Symbol(letter(name), index) for name in inspect.signature(function).parameters)
        words = dict(zip(own, given, strict=True))
        return transform(
            self.of(last.value),
            lambda node: words.get(node, node) if isinstance(node, Symbol) else node,
        )

    def all(self, node: ast.Call) -> tuple[Expr, ...]:
        """Return the arguments of a call."""
        return tuple(map(self.of, node.args))

    def over_units(self, node: ast.expr, name: str) -> Expr:
        """Return the sum, or the largest, over the units of a row, which get the index k."""
        outer, self.index = self.index, "k"
        body = self.of(node)
        self.index = outer
        return Sum("k", body) if name == "sum" else Largest("k", body)
