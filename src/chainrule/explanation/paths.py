"""Paths: the derivative of one weight, followed along every way from it to the output.

A change of w moves z of its unit, that moves a, that moves every z of the next layer, and so on to
the output. The chain rule multiplies along a path and adds over paths:

    ∂C/∂w = Σ over paths  fed · σ′ · w · σ′ · w · … · δ of the output

Paths grow as the product of the widths. All are told where they are few; of more, the largest,
which are found without looking at the others: the k best ways on from a unit are made of the k
best ways on from the units of the next layer.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.explanation.backward import Backward, is_elementwise
from chainrule.explanation.expressions import (
    Add,
    Call,
    Divide,
    Expr,
    Multiply,
    Negative,
    Number,
    Rest,
    Symbol,
    add,
    fill,
    multiply,
    transform,
)
from chainrule.explanation.parts import Check, Line, Path
from chainrule.gradcheck import check_parameter

MOST_PATHS = 32


@dataclass(frozen=True)
class Way:
    """A way on from z of a unit: what the output's δ is multiplied by, and the symbols of it."""

    value: float
    units: tuple[int, ...]
    factors: tuple[Symbol, ...]


def weight_paths(back: Backward, l: int, index: tuple[int | str, int]) -> tuple[list[Path], int]:
    """Return the paths of a weight (i, j) or bias ("b", j) that are told, and the count of all."""
    told, (i, j) = back.told, index
    found: list[tuple[float, Path]] = []
    for row in range(told.n):
        fed: tuple[Symbol, ...] = ()
        if i != "b":
            fed = (Symbol("a", (row, i), l),)
        value = 1.0 if i == "b" else float(told.trace.A[l][row, int(i)])
        for way in ways_on(back, row, l, j):
            symbols: Expr = (
                Multiply((*fed, *way.factors)) if fed or way.factors[1:] else way.factors[0]
            )
            if back.one:
                symbols = without_row(symbols)
            what = Symbol("path", (row, *way.units) if not back.one else way.units)
            line = Line(what, symbols, fill(symbols, back.numbers), value * way.value)
            found.append((abs(value * way.value), Path(row, way.units, line)))
    count = told.n * path_count(back, l)
    kept = heapq.nlargest(MOST_PATHS, range(len(found)), key=lambda k: found[k][0])
    return [found[k][1] for k in sorted(kept)], count


def path_count(back: Backward, l: int) -> int:
    """Return how many ways there are from z of a unit of layer l to the output."""
    sizes, layers = back.told.network.sizes, back.told.network.layers
    last = len(layers) - 1
    hops = [1 if is_elementwise(layers[m].activation) else sizes[m + 1] for m in range(l, last)]
    return prod(hops) * prod(sizes[l + 2 :])


def ways_on(back: Backward, row: int, l: int, j: int) -> list[Way]:
    """Return the MOST_PATHS largest ways from z of unit j of layer l to the output's δ."""
    net = back.told.network
    last = len(net.layers) - 1
    delta = back.objective.grads.delta[last][row]
    best = [[Way(float(d), (k,), (Symbol("δ", (row, k), last),))] for k, d in enumerate(delta)]
    for m in range(last - 1, l - 1, -1):
        slopes, W = back.local_slopes(row, m), net.W[m + 1]
        wanted = range(net.sizes[m + 1]) if m > l else (j,)
        after = best
        best = [[] for _ in range(net.sizes[m + 1])]
        # the best ways lead through the units whose best way is best, so the others need no look
        first = np.array([abs(ways[0].value) if ways else 0.0 for ways in after])
        among = wanted if slopes.ndim == 1 else range(net.sizes[m + 1])
        from_a: list[list[Way]] = [[] for _ in range(net.sizes[m + 1])]
        for u in among:
            through = sorted(np.argsort(-abs(W[u]) * first, kind="stable")[:MOST_PATHS].tolist())
            from_a[u] = _best(
                Way(float(W[u, k]) * way.value, way.units,
                    (Symbol("w", (u, k), m + 1), *way.factors))
                for k in through for way in after[k]
            )  # fmt: skip
        for u in wanted:
            best[u] = _best(_hops(slopes, row, m, u, from_a))
    return best[j]


def _hops(slopes: Array, row: int, m: int, u: int, from_a: list[list[Way]]) -> list[Way]:
    """Return the ways from z of unit u: through its own a, or after softmax through every one."""
    if slopes.ndim == 1:
        own = Symbol("σ′", (row, u), m)
        return [Way(float(slopes[u]) * way.value, (u, *way.units), (own, *way.factors))
                for way in from_a[u]]  # fmt: skip
    return [
        Way(float(slopes[u, v]) * way.value, (u, v, *way.units),
            (Symbol("σ′", (row, u, v), m), *way.factors))
        for v in range(len(slopes)) for way in from_a[v]
    ]  # fmt: skip


def _best(ways: object) -> list[Way]:
    return heapq.nlargest(MOST_PATHS, ways, key=lambda way: abs(way.value))  # type: ignore[call-overload]


def without_row(expr: Expr) -> Expr:
    """Return the factors without the row's index, of which there is only one."""

    def change(node: Expr) -> Expr:
        if isinstance(node, Symbol) and node.letter in ("a", "σ′", "δ"):
            return replace(node, sub=node.sub[1:])
        return node

    return transform(expr, change)


def sum_of_paths(
    what: Symbol, paths: list[Path], rest: float, count: int, pull: Line | None
) -> Line:
    """Return the line that adds the paths up, the penalty's pull included."""
    terms: list[Expr] = [Number(path.value) for path in paths]
    symbols: list[Expr] = [path.line.symbols for path in paths]
    if count > len(paths):
        terms.append(Rest(count - len(paths), rest))
        symbols.append(Rest(count - len(paths), rest))
    if pull is not None:
        terms.append(pull.numbers)
        symbols.append(pull.symbols)
    value = sum(path.value for path in paths) + rest + (pull.value if pull else 0.0)
    numbers = terms[0] if len(terms) == 1 else Add(tuple(terms))
    return Line(what, add(*symbols), numbers, value)


def measured(back: Backward, l: int, index: tuple[int | str, int]) -> Check | None:
    """Return the central difference of the cost; None where a kink lies too close to measure."""
    at = index[1] if index[0] == "b" else (int(index[0]), index[1])
    told, cost = back.told, back.objective
    how: dict[str, Any] = {"loss": cost.loss, "weights": cost.weights, "penalty": cost.penalty}
    found = check_parameter(told.network, told.X, cost.Y, l, at, **how)
    if found.difference is None or found.error is None:
        return None
    h, name = found.difference.step, Symbol("h")
    ways = [multiply(Number(k), name) for k in (1.0, 2.0)]
    points = [add(Symbol("w"), way) for d in ways for way in (d, Negative(d))]
    costs: list[Expr] = [Call("C", (point,)) for point in points]
    symbols = _difference(costs, name)
    numbers = _difference([Number(cost) for cost in found.difference.costs], Number(h))
    line = Line(Symbol("∂C/∂w"), symbols, numbers, found.difference.slope)
    return Check(h, found.difference.costs, line, found.derivative, found.error, found.passed)


def _difference(costs: Sequence[Expr], h: Expr) -> Expr:
    near, far = add(costs[0], Negative(costs[1])), add(costs[2], Negative(costs[3]))
    over = Add((Multiply((Number(8.0), near)), Negative(far)))
    return Divide(over, Multiply((Number(12.0), h)))
