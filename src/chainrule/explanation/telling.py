"""Telling: from a formula and arrays to lines, each a formula with the numbers in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.explanation.expressions import (
    Call,
    Expr,
    Number,
    Symbol,
    bind,
    expand,
    fill,
    shorten,
    transform,
)
from chainrule.explanation.parts import Line
from chainrule.explanation.reading import Formula, Unreadable, letter, read, read_of, run
from chainrule.explanation.subject import Subject
from chainrule.explanation.unicode import number_text
from chainrule.penalties import Penalty

MOST_TERMS = 12  # of a sum; the rest is told together
FULL_UP_TO = 64  # units of a network that is told in full
MOST_LINES = 64  # of one step


@dataclass(frozen=True)
class Scope:
    """What is told: which units of each layer, which rows; None stands for all."""

    units: Mapping[int, Sequence[int]] | None
    rows: Sequence[int]


@dataclass
class Numbers:
    """What symbols stand for: arrays by letter and layer; `by_row` have a row for each row."""

    one_row: bool
    by_row: dict[tuple[str, int | None], Array] = field(default_factory=dict)
    shared: dict[tuple[str, int | None], Any] = field(default_factory=dict)

    @classmethod
    def of(cls, told: Subject) -> Numbers:
        """Return all numbers of the forward pass."""
        numbers = cls(told.one_row)
        for l, layer in enumerate(told.network.layers):
            numbers.shared |= {("w", l): layer.W, ("b", l): layer.b}
            numbers.by_row["z", l] = told.trace.Z[l]
        numbers.by_row |= {("a", l): A for l, A in enumerate(told.trace.A)}
        return numbers

    def __call__(self, symbol: Symbol) -> float | None:
        """Return the number that a symbol with bound indices stands for; None if unknown."""
        key, at = (symbol.letter, symbol.layer), tuple(map(int, symbol.sub))
        if key in self.shared:
            value = np.asarray(self.shared[key])
            return float(value[at[len(at) - value.ndim :]])  # of all rows, where it has none
        if key not in self.by_row:
            return None
        rows = self.by_row[key]
        row, *unit = (0, *at) if self.one_row else at
        if rows.ndim > 2:  # ∂a/∂z after softmax, by pairs of units
            return float(rows[(row, *unit)])
        column = unit[0] if unit and rows.shape[1] > 1 else 0
        return float(rows[row, column])

    def beside(self, by_row: Mapping[str, Any], settings: Mapping[str, float]) -> Numbers:
        """Return these numbers with others of a formula: vectors over units, and settings."""
        shared: dict[tuple[str, int | None], Any] = dict(self.shared)
        shared |= {(name, None): value for name, value in settings.items()}
        rows = dict(self.by_row)
        for name, value in by_row.items():
            (rows if np.ndim(value) == 2 else shared)[name, None] = value
        return Numbers(self.one_row, rows, shared)


def element(name: str, *sub: str | int, layer: int | None = None, one_row: bool = True) -> Symbol:
    """Return the symbol of an element; with several rows, r is its first index."""
    return Symbol(name, sub if one_row else ("r", *sub), layer)


@dataclass(frozen=True)
class Place:
    """Where a formula of the tables is used: what its letters are in this network."""

    letters: Mapping[str, tuple[str, int | None]]  # z -> (z, 0)
    one_row: bool
    outputs: int

    def put(self, expr: Expr) -> Expr:
        """Return the formula with layers, and rows where there are several."""

        def change(node: Expr) -> Expr:
            if not isinstance(node, Symbol) or not node.sub:
                return Number(float(self.outputs)) if node == Symbol("K") else node
            name, layer = self.letters.get(node.letter, (node.letter, None))
            return Symbol(name, node.sub if self.one_row else ("r", *node.sub), layer)

        return transform(expr, change)


def applied(
    owner: Any, method: str, arguments: Mapping[str, Any], place: Place, tangent: bool = False
) -> tuple[Expr, list[tuple[Symbol, Expr, dict[str, Any]]], Formula]:
    """Return a table's formula in its place, its steps with the numbers before each, and itself.

    What cannot be read is shown by its name: tanh(z).
    """
    try:
        formula = read(owner, method, tangent=tangent)
        steps: list[tuple[Symbol, Expr, dict[str, Any]]] = []
        names: dict[str, Any] = {}
        for name, names in run(formula, {"self": owner, **arguments}):
            if name:
                expr = dict(formula.steps)[name]
                target = place.put(Symbol(letter(name), ("j",)))
                assert isinstance(target, Symbol)
                steps.append((target, place.put(expr), dict(names)))
        steps.append((Symbol(""), Number(0.0), dict(names)))
        return place.put(formula.result), steps, formula
    except Unreadable:
        own = tuple(Symbol(letter(name), ("j",)) for name in arguments)
        name = getattr(owner, "name", type(owner).__name__)
        words = {"derivative": f"{name}′", "gradient": f"{name}′"}.get(method, name)
        formula = Formula(Call(words, own))
        return place.put(formula.result), [(Symbol(""), Number(0.0), {})], formula


def vectors(names: Mapping[str, Any], but: Iterable[str] = ("self",)) -> dict[str, Any]:
    """Return by letter what has a number for each unit, or one."""
    return {
        letter(name): value
        for name, value in names.items()
        if name not in but and isinstance(value, (np.ndarray, float, int, np.floating))
    }


def line(
    what: Symbol, formula: Expr, numbers: Numbers, value: float, sizes: Mapping[str, int],
    where: tuple[Line, ...] = (), **indices: int,
) -> Line:  # fmt: skip
    """Return the line of one element: indices bound, sums written out, numbers put in."""
    symbols = bind(formula, **indices)
    filled = fill(expand(symbols, sizes), numbers)
    name = bind(what, **indices)
    return Line(name, symbols, shorten(filled, MOST_TERMS), float(value), where)


def bound(symbol: Symbol, r: int, j: int) -> Symbol:
    """Return the symbol of a row and a unit."""
    return replace(symbol, sub=tuple({"r": r, "j": j}.get(str(i), i) for i in symbol.sub))


def pairs(rows: Sequence[int], units: Sequence[int]) -> list[tuple[int, int]]:
    """Return (row, unit) of what is told, the rows one after the other."""
    return [(r, j) for r in rows for j in units]


def table_lines(
    what: Symbol, owner: Any, method: str, arguments: Mapping[str, Any], place: Place,
    numbers: Numbers, values: Array, told: Sequence[tuple[int, int]], tangent: bool = False,
) -> tuple[Expr, tuple[tuple[Expr, Expr], ...], list[Line]]:  # fmt: skip
    """Return a table's formula in its place, what it builds on, and its lines."""
    result, steps, formula = applied(owner, method, arguments, place, tangent)
    sizes = {"k": values.shape[1]}
    lines = []
    if hasattr(owner, "textbook_of"):  # units differ
        for r, j in told:
            own = place.put(read_of(owner, method, j, values.shape[1]))
            lines.append(line(what, own, numbers, values[r, j], {}, r=r, j=j))
        return result, (), lines
    for r, j in told:
        where = []
        for (target, expr, before), (_, _, after) in pairwise(steps):
            known = numbers.beside(vectors(before), formula.settings)
            now = numbers.beside(vectors(after), formula.settings)(bound(target, r, j))
            assert now is not None
            where.append(line(target, expr, known, now, sizes, r=r, j=j))
        known = numbers.beside(vectors(steps[-1][2]), formula.settings)
        lines.append(line(what, result, known, values[r, j], sizes, tuple(where), r=r, j=j))
    builds_on = [(target, expr) for target, expr, _ in steps[:-1]]
    return result, tuple(builds_on), lines


def penalty_note(penalty: Penalty, cost: float) -> str:
    """Return what a penalty costs, and its settings that are not 0.

    >>> penalty_note(Penalty(alpha=0.1 + 0.2), 1.25)
    'P = 1.25 is what the weights cost, with alpha=0.3'
    """
    settings = ", ".join(f"{name}={value:g}" for name, value in vars(penalty).items() if value)
    return f"P = {number_text(cost)} is what the weights cost, with {settings}"
