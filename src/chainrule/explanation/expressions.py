"""Expressions: formulas as trees, in which letters can be replaced by numbers.

A formula stands once, with index letters: Σᵢ aᵢ wᵢⱼ + bⱼ. `bind` says which unit j is, `expand`
writes the sum out, `fill` puts the numbers in; `unicode` and `mathml` show any of these.

>>> from chainrule.explanation.unicode import text
>>> a, w, b = Symbol("a", ("i",)), Symbol("w", ("i", "j")), Symbol("b", ("j",))
>>> z = Add((Sum("i", Multiply((a, w))), b))
>>> text(z)
'Σᵢ aᵢ wᵢⱼ + bⱼ'
>>> first = expand(bind(z, j=0), {"i": 2})
>>> text(first)
'a₀ w₀₀ + a₁ w₁₀ + b₀'
>>> text(fill(first, {"a": 2.0, "w": -0.5, "b": 1.0}.get, key=lambda symbol: symbol.letter))
'2 · (−0.5) + 2 · (−0.5) + 1'
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any


@dataclass(frozen=True)
class Expr:
    """A node of the tree."""


@dataclass(frozen=True)
class Number(Expr):
    """A number as it is."""

    value: float


@dataclass(frozen=True)
class Symbol(Expr):
    """A letter, with the layer it belongs to and its indices: letters until they are bound."""

    letter: str
    sub: tuple[str | int, ...] = ()
    layer: int | None = None


@dataclass(frozen=True)
class Add(Expr):
    """A sum of terms; what is subtracted is a `Negative`."""

    terms: tuple[Expr, ...]


@dataclass(frozen=True)
class Negative(Expr):
    """−x."""

    of: Expr


@dataclass(frozen=True)
class Multiply(Expr):
    """A product of factors."""

    factors: tuple[Expr, ...]


@dataclass(frozen=True)
class Divide(Expr):
    """A fraction."""

    over: Expr
    under: Expr


@dataclass(frozen=True)
class Power(Expr):
    """base^exponent."""

    base: Expr
    exponent: Expr


@dataclass(frozen=True)
class Call(Expr):
    """A function of arguments: tanh z, max(z, 0), |z|."""

    name: str
    arguments: tuple[Expr, ...]


@dataclass(frozen=True)
class Sum(Expr):
    """Σ over an index."""

    index: str
    body: Expr


@dataclass(frozen=True)
class Largest(Expr):
    """The largest over an index."""

    index: str
    body: Expr


@dataclass(frozen=True)
class Rest(Expr):
    """The terms of a long sum that are told together: how many, and what they add up to."""

    count: int
    value: float


E = Symbol("e")  # Euler's number
HALF = Divide(Number(1.0), Number(2.0))
Lookup = Callable[[Any], float | None]


def transform(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """Return the tree with `change` applied to every node, leaves first."""
    new: dict[str, Any] = {}
    for field in fields(expr):
        value = getattr(expr, field.name)
        if isinstance(value, Expr):
            new[field.name] = transform(value, change)
        elif isinstance(value, tuple) and value and isinstance(value[0], Expr):
            new[field.name] = tuple(transform(each, change) for each in value)
    return change(replace(expr, **new) if new else expr)


def bind(expr: Expr, **indices: int) -> Expr:
    """Return the tree with numbers in the place of index letters."""

    def change(node: Expr) -> Expr:
        if isinstance(node, Symbol):
            return replace(node, sub=tuple(indices.get(str(i), i) for i in node.sub))
        return node

    return transform(expr, change)


def expand(expr: Expr, sizes: Mapping[str, int]) -> Expr:
    """Return the tree with sums over the indices in `sizes` written out."""

    def change(node: Expr) -> Expr:
        if isinstance(node, (Sum, Largest)) and node.index in sizes:
            each = tuple(bind(node.body, **{node.index: k}) for k in range(sizes[node.index]))
            if isinstance(node, Largest):
                return Call("max", each)
            return each[0] if len(each) == 1 else Add(each)
        return flat(node)

    return transform(expr, change)


def flat(node: Expr) -> Expr:
    """Return a sum of sums as one sum."""
    if isinstance(node, Add) and any(isinstance(term, Add) for term in node.terms):
        parts = (term.terms if isinstance(term, Add) else (term,) for term in node.terms)
        return Add(tuple(term for part in parts for term in part))
    return node


def fill(expr: Expr, lookup: Lookup, key: Callable[[Symbol], Any] = lambda symbol: symbol) -> Expr:
    """Return the tree with a number for every symbol that `lookup` knows."""

    def change(node: Expr) -> Expr:
        value = lookup(key(node)) if isinstance(node, Symbol) else None
        return node if value is None else Number(float(value))

    return transform(expr, change)


def shorten(expr: Expr, most: int) -> Expr:
    """Return the tree with sums of numbers cut to their `most` largest terms, and the rest."""

    def change(node: Expr) -> Expr:
        if not isinstance(node, Add) or len(node.terms) <= most + 1:
            return node
        values = [evaluate(term) for term in node.terms]
        order = sorted(range(len(values)), key=lambda k: -abs(values[k]))
        kept = sorted(order[:most])
        rest = math.fsum(values[k] for k in order[most:])
        terms = tuple(node.terms[k] for k in kept)
        return Add((*terms, Rest(len(values) - most, rest)))

    return transform(expr, change)


def evaluate(expr: Expr) -> float:
    """Return what a tree without letters (but e) comes to.

    >>> evaluate(Multiply((Number(2.0), Power(E, Number(0.0)))))
    2.0
    """
    match expr:
        case Number(value) | Rest(_, value):
            return value
        case Symbol("e"):
            return math.e
        case Add(terms):
            return sum(map(evaluate, terms))
        case Negative(of):
            return -evaluate(of)
        case Multiply(factors):
            return math.prod(map(evaluate, factors))
        case Divide(over, under):
            return evaluate(over) / evaluate(under)
        case Power(base, exponent):
            try:
                return float(evaluate(base) ** evaluate(exponent))
            except OverflowError:  # e^800, as textbooks write a softmax
                return math.inf
        case Call(name, arguments) if name in FUNCTIONS:
            return float(FUNCTIONS[name](*map(evaluate, arguments)))
    raise ValueError(f"{expr!r} is no number; expected a tree in which every letter is replaced")


FUNCTIONS: dict[str, Callable[..., float]] = {
    "abs": abs,
    "cos": math.cos,
    "floor": math.floor,
    "log": math.log,
    "max": max,
    "min": min,
    "sign": lambda x: math.copysign(1.0, x) if x else 0.0,
    "sqrt": math.sqrt,
    "tanh": math.tanh,
}


def multiply(*factors: Expr) -> Expr:
    """Return the product: nothing times 0, no factors 1, equal neighbours as a power."""
    parts: list[Expr] = []
    if Number(0.0) in factors:
        return Number(0.0)
    if factors and isinstance(factors[0], Negative):
        return Negative(multiply(factors[0].of, *factors[1:]))
    for factor in factors:
        for each in factor.factors if isinstance(factor, Multiply) else (factor,):
            if each == Number(1.0):
                continue
            last = parts[-1] if parts else None
            if last == each and not isinstance(each, Number):
                parts[-1] = Power(each, Number(2.0))
            elif (
                isinstance(last, Power) and last.base == each and isinstance(last.exponent, Number)
            ):
                parts[-1] = Power(each, Number(last.exponent.value + 1))
            else:
                parts.append(each)
    if not parts:
        return Number(1.0)
    return parts[0] if len(parts) == 1 else Multiply(tuple(parts))


def add(*terms: Expr) -> Expr:
    """Return the sum, flat, without terms 0."""
    kept = tuple(term for term in terms if term not in (Number(0.0), Negative(Number(0.0))))
    if not kept:
        return Number(0.0)
    return kept[0] if len(kept) == 1 else flat(Add(kept))


def is_spelt(expr: Expr) -> bool:
    """Tell whether an expression is made of numbers, so that a point must stand beside it."""
    match expr:
        case Number() | Rest():
            return True
        case Symbol():
            return False
        case Add(parts) | Multiply(parts) | Call(_, parts):
            return all(map(is_spelt, parts))
        case Negative(of):
            return is_spelt(of)
        case Power(base, exponent):
            return (base == E or is_spelt(base)) and is_spelt(exponent)
        case Divide(over, under):
            return is_spelt(over) and is_spelt(under)
    return False
