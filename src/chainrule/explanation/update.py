"""Update: what the optimizer makes of the gradient, statement by statement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.engine import Data, Plan, State
from chainrule.engine.reference import ReferenceEngine
from chainrule.explanation.backward import Backward
from chainrule.explanation.expressions import Expr, Symbol, fill
from chainrule.explanation.parts import Line, Step
from chainrule.explanation.reading import Formula, Unreadable, letter, read, run
from chainrule.network import Network
from chainrule.optimizers import Optimizer
from chainrule.schedules import Constant

MOST_UPDATES = 24  # of a layer, that are told with their numbers


@dataclass
class Update:
    """One update of all parameters: the network after it, and what it was made of."""

    back: Backward
    optimizer: Optimizer
    after: Network
    gradient: Array
    slots: list[Array]

    @classmethod
    def of(cls, back: Backward, optimizer: Optimizer) -> Update:
        """Let the engine do the first update of a training on these rows."""
        told, objective = back.told, back.objective
        net, n, clip_norm = told.network.copy(), told.n, objective.clip_norm
        plan = Plan(objective.loss, optimizer, Constant(), objective.penalty, batch_size=n,
                    epochs=1, shuffle=False, clip_norm=clip_norm)  # fmt: skip
        state = State.start(plan, net)
        slots = [slot.copy() for slot in state.slots]
        given = objective.weights
        weights = None if given is None else np.asarray(given, np.float64)
        engine = ReferenceEngine(plan, net, Data(told.X, objective.Y, weights))
        engine.advance(state, 1, np.inf)
        gradient = objective.grads.flat.copy()
        if clip_norm is not None:
            from chainrule.engine.reference import clip

            gradient = clip(gradient, None, clip_norm)
        return cls(back, optimizer, net, gradient, slots)

    def step(self, l: int, entries: list[tuple[int, int]], units: list[int]) -> Step:
        """Return the update of a layer's weights and biases."""
        layer, new = self.back.told.network.layers[l], self.after.layers[l]
        start = sum((n_in + 1) * n_out for n_in, n_out in _shapes(self.after)[:l])
        n_out = layer.W.shape[1]
        told = [(Symbol("w", (i, j), l), start + i * n_out + j, new.W[i, j]) for i, j in entries]
        told += [(Symbol("b", (j,), l), start + layer.W.size + j, new.b[j]) for j in units]
        told = told[:MOST_UPDATES]
        name = type(self.optimizer).__name__
        try:
            formula = read(self.optimizer, "update", units=False)
        except Unreadable:
            formula = None
        lines = tuple(self.line(formula, what, at, float(value)) for what, at, value in told)
        where: tuple[tuple[Expr, Expr], ...] = ()
        sides: tuple[Expr, Expr] | None = None
        if formula is not None:
            where = tuple((Symbol(letter(target)), expr) for target, expr in formula.steps)
            sides = (Symbol("w"), formula.result)
        values = np.concatenate([new.W, new.b[None]])
        return Step("update", l, f"The update: {name}", None, sides, f"net.W[{l}], net.b[{l}]",
                    values, lines, values.size - len(lines), (), where)  # fmt: skip

    def line(self, formula: Formula | None, what: Symbol, at: int, value: float) -> Line:
        """Return the line of the parameter that stands at `at` in the flat vector."""
        if formula is None:
            return Line(what, Symbol("update"), Symbol("update"), value)
        w = self.back.told.network.theta[at]
        given: dict[str, Any] = {
            "self": self.optimizer, "w": w, "g": self.gradient[at],
            "slots": tuple(slot[at] for slot in self.slots), "rate": self.optimizer.rate, "t": 1,
        }  # fmt: skip
        where, names, expressions = [], given, dict[str, list[Expr]]()
        for target, expr in formula.steps:
            expressions.setdefault(target, []).append(expr)
        pending: tuple[str, dict[str, Any]] | None = None
        for name, now in run(formula, given):
            if pending is not None:
                target, before = pending
                expr = expressions[target].pop(0)
                known = _known(before, formula)
                where.append(
                    Line(Symbol(letter(target)), expr, fill(expr, known), float(now[target]))
                )
            pending, names = (name, now), now
        numbers = fill(formula.result, _known(names, formula))
        return Line(what, formula.result, numbers, value, tuple(where))


def _known(names: dict[str, Any], formula: Formula) -> Any:
    values = {letter(k): float(v) for k, v in names.items() if np.ndim(v) == 0 and k != "self"}
    values |= formula.settings if "rate" not in names else {
        k: v for k, v in formula.settings.items() if k != letter("rate")
    }  # fmt: skip
    return lambda symbol: values.get(symbol.letter)


def _shapes(network: Network) -> list[tuple[int, int]]:
    return [(layer.W.shape[0], layer.W.shape[1]) for layer in network.layers]
