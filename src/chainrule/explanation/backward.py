"""Backward: the loss, and back by the four equations, each step told for its units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.activations import Activation
from chainrule.arrays import Array
from chainrule.explanation.expressions import (
    Call,
    Expr,
    Multiply,
    Negative,
    Number,
    Sum,
    Symbol,
    add,
    bind,
    multiply,
    transform,
)
from chainrule.explanation.forward import Forward
from chainrule.explanation.parts import Line, Step
from chainrule.explanation.reading import read
from chainrule.explanation.subject import Objective
from chainrule.explanation.telling import (
    MOST_LINES,
    Numbers,
    line,
    penalty_note,
    table_lines,
)
from chainrule.losses import Loss

GAP = 1e-9  # relative, between a loss from its definition and from the logits


class Backward:
    """Tells how wrong the outputs of a forward pass are, and the derivatives of that."""

    def __init__(self, forward: Forward, objective: Objective) -> None:
        self.told, self.scope, self.numbers = forward.told, forward.scope, forward.numbers
        self.named, self.place, self.units = forward.named, forward.place, forward.units
        self.objective, self.one = objective, forward.told.one_row
        self.target = objective.loss.target(objective.Y)
        self.smoothed = bool((self.target != objective.Y).any())
        by_row = self.numbers.by_row
        by_row |= {("δ", l): delta for l, delta in enumerate(objective.grads.delta)}
        by_row |= {("p", None): objective.share, ("y", None): objective.Y, ("t", None): self.target}

    def steps(self) -> list[Step]:
        """Return every step from the outputs to the derivatives."""
        steps = [self.smoothing()] if self.smoothed else []
        steps += [self.losses(), self.total()]
        for l in reversed(range(len(self.told.network.layers))):
            steps += [self.delta(l), self.weights(l), self.biases(l)]
        return steps

    def smoothing(self) -> Step:
        """The target that the output is compared with."""
        last = len(self.told.network.layers) - 1
        what, told = self.named("t", "j"), self.units(last)
        formula, where, lines = table_lines(
            what, self.objective.loss, "target", {"y": self.objective.Y}, self.place(),
            self.numbers, self.target, told,
        )  # fmt: skip
        return Step(
            "target", None, "The target, smoothed", None, (what, formula), "loss.target(Y)",
            self.target, tuple(lines), self.target.size - len(told), where=where,
        )  # fmt: skip

    def losses(self) -> Step:
        """The loss of every output, from its definition where that is exact."""
        net, loss, trace = self.told.network, self.objective.loss, self.told.trace
        last = len(net.layers) - 1
        z, a, y = trace.Z[-1], trace.A[-1], self.target
        what, told = self.named("L", "j"), self.units(last)
        values, method, notes = loss_values(loss, net.layers[-1].activation, z, a, y)
        place = self.place(
            a=("a", last + 1), z=("z", last), y=("t" if self.smoothed else "y", None)
        )
        given = {"z": z, "y": y} if method == "value_from_logits" else {"a": a, "y": y}
        tangent = method == "value" and near_zero(loss, a, y)
        formula, where, lines = table_lines(
            what, loss, method, given, place, self.numbers, values, told, tangent
        )
        return Step(
            "loss", None, f"How far each output is from its target: {loss_name(loss)}", None,
            (what, formula), f"loss.{method}({', '.join(given)})", values, tuple(lines),
            values.size - len(told), notes, where,
        )  # fmt: skip

    def total(self) -> Step:
        """C = Σᵣ pᵣ Σₖ Lᵣₖ, and the penalty."""
        told, objective, net = self.told, self.objective, self.told.network
        last, sigma = len(net.layers) - 1, net.layers[-1].activation
        values = loss_values(
            objective.loss, sigma, told.trace.Z[-1], told.trace.A[-1], self.target
        )[0]
        self.numbers.by_row["L", None] = values
        of_row: Expr = Sum("k", self.named("L", "k"))
        formula = of_row if self.one else Sum("r", multiply(Symbol("p", ("r",)), of_row))
        notes: tuple[str, ...] = ()
        if objective.penalty:
            extra = objective.cost - float(objective.share[:, 0] @ values.sum(axis=1))
            self.numbers.shared["P", None] = extra
            formula = add(formula, Symbol("P"))
            notes = (penalty_note(objective.penalty, extra),)
        if not self.one:
            equal = np.ptp(objective.share) == 0
            share = f"1 / {told.n}" if equal else "its weight by the sum of the weights"
            notes = (f"pᵣ is the row's share of the weight, {share}", *notes)
        sizes = {"k": net.sizes[-1], "r": told.n}
        what = Symbol("C")
        told_line = line(what, formula, self.numbers, objective.cost, sizes)
        title = "The cost: the loss summed over outputs" + ("" if self.one else ", mean over rows")
        return Step("cost", last, title, None, (what, formula), "net.cost(X, Y, loss)", None,
                    (told_line,), notes=notes)  # fmt: skip

    def delta(self, l: int) -> Step:
        """BP1 at the output, BP2 below it."""
        net, loss = self.told.network, self.objective.loss
        last, sigma = len(net.layers) - 1, net.layers[l].activation
        if l == last and loss.pairs_with(sigma) and is_difference(loss):
            return self.canonical_delta(l)
        what, told = self.named("δ", "j", layer=l), self.units(l)
        G, g_formula, g_lines = self.gradient(l)
        self.numbers.by_row["g", l] = G
        g = self.named("g", "j", layer=l)
        values = self.objective.grads.delta[l]
        if is_elementwise(sigma):
            slope, wheres, s_lines = self.slope(l)
            formula = multiply(g, slope)
            where: tuple[tuple[Expr, Expr], ...] = ((g, g_formula), *wheres)
            lines = [
                line(what, formula, self.numbers, values[r, j], {}, (gl, sl), r=r, j=j)
                for (r, j), gl, sl in zip(told, g_lines, s_lines, strict=True)
            ]
        else:
            letters = {"z": ("z", l), "a": ("a", l + 1), "g": ("g", l)}
            given = {"g": G, "z": self.told.trace.Z[l], "a": self.told.trace.A[l + 1]}
            formula, builds_on, own = table_lines(
                what, sigma, "pullback", given, self.place(**letters), self.numbers, values, told
            )
            where = ((g, g_formula), *builds_on)
            lines = [
                Line(o.what, o.symbols, o.numbers, o.value, (gl, *o.where))
                for o, gl in zip(own, g_lines, strict=True)
            ]
        one = Symbol("δ", (), l)
        if l == last:
            title, notes = "BP1, the error of the output layer", ("g is ∂C/∂a",)
            matrix = Call("⊙", (Symbol("∂C/∂A", (), l + 1), Call("σ′", (Symbol("Z", (), l),))))
        else:
            title = "BP2, the error of a layer from the next"
            notes = ("g is ∂C/∂a, carried back through the weights",)
            back = Multiply((Symbol("δ", (), l + 1), Symbol("Wᵀ", (), l + 1)))
            matrix = Call("⊙", (back, Call("σ′", (Symbol("Z", (), l),))))
        return Step("delta", l, title, (one, matrix), (what, formula), f"grads.delta[{l}]", values,
                    tuple(lines), values.size - len(told), notes, where)  # fmt: skip

    def canonical_delta(self, l: int) -> Step:
        """δ = a − y, what BP1 comes to for a canonical pair."""
        net, values = self.told.network, self.objective.grads.delta[l]
        what, told = self.named("δ", "j", layer=l), self.units(l)
        y = self.named("t" if self.smoothed else "y", "j")
        formula = add(self.named("a", "j", layer=l + 1), Negative(y))
        formula = formula if self.one else multiply(Symbol("p", ("r",)), formula)
        lines = [line(what, formula, self.numbers, values[r, j], {}, r=r, j=j) for r, j in told]
        name = net.layers[l].activation.name
        notes = (f"what ∂C/∂A ⊙ σ′(Z) comes to for {loss_name(self.objective.loss)} after {name}",)
        matrix = add(Symbol("A", (), l + 1), Negative(Symbol("T" if self.smoothed else "Y")))
        if not self.one:
            matrix = multiply(Symbol("p"), matrix)
        return Step("delta", l, "BP1, the error of the output layer", (Symbol("δ", (), l), matrix),
                    (what, formula), f"grads.delta[{l}]", values, tuple(lines),
                    values.size - len(told), notes)  # fmt: skip

    def gradient(self, l: int) -> tuple[Array, Expr, Sequence[Line]]:
        """Return ∂C/∂a of layer l's units: values, formula, lines."""
        net, told = self.told.network, self.units(l)
        what = self.named("g", "j", layer=l)
        if l < len(net.layers) - 1:
            G: Array = self.objective.grads.delta[l + 1] @ net.layers[l + 1].W.T
            terms = multiply(Symbol("w", ("j", "k"), l + 1), self.named("δ", "k", layer=l + 1))
            formula: Expr = Sum("k", terms)
            sizes = {"k": net.sizes[l + 2]}
            lines = [line(what, formula, self.numbers, G[r, j], sizes, r=r, j=j) for r, j in told]
            return G, formula, lines
        a, loss = self.told.trace.A[-1], self.objective.loss
        G = loss.gradient(a, self.target)
        place = self.place(a=("a", l + 1), y=("t" if self.smoothed else "y", None))
        formula, _, lines = table_lines(
            what,
            loss,
            "gradient",
            {"a": a, "y": self.target},
            place,
            self.numbers,
            G,
            told,
            near_zero(loss, a, self.target),
        )
        if self.one:
            return G, formula, lines
        G, p = G * self.objective.share, Symbol("p", ("r",))
        lines = [
            Line(
                o.what, bind(multiply(p, o.symbols), r=r),
                Multiply((Number(float(self.objective.share[r, 0])), o.numbers)), float(G[r, j]),
                o.where,
            )
            for o, (r, j) in zip(lines, told, strict=True)
        ]  # fmt: skip
        return G, multiply(p, formula), lines

    def slope(self, l: int) -> tuple[Symbol, tuple[tuple[Expr, Expr], ...], list[Line]]:
        """Return σ′ of layer l's units: symbol, formulas, lines."""
        trace, sigma = self.told.trace, self.told.network.layers[l].activation
        z, a = trace.Z[l], trace.A[l + 1]
        values = sigma.derivative(z, a)
        what = self.named("σ′", "j", layer=l)
        self.numbers.by_row["σ′", l] = values
        place = self.place(z=("z", l), a=("a", l + 1))
        formula, where, lines = table_lines(
            what, sigma, "derivative", {"z": z, "a": a}, place, self.numbers, values, self.units(l)
        )
        return what, ((what, formula), *where), lines

    def weights(self, l: int) -> Step:
        """BP4: dW = Aᵀ δ."""
        told, net, dW = self.told, self.told.network, self.objective.grads.dW[l]
        what = Symbol("dW", ("i", "j"), l)
        product = multiply(self.named("a", "i", layer=l), self.named("δ", "j", layer=l))
        formula, extra = self.penalised(product if self.one else Sum("r", product), what)
        entries = self.entries(l)
        lines = [line(what, formula, extra, dW[i, j], {"r": told.n}, i=i, j=j) for i, j in entries]
        matrix: Expr = Multiply((Symbol("Aᵀ", (), l), Symbol("δ", (), l)))
        if self.objective.penalty:
            matrix = add(matrix, Call("P′", (Symbol("W", (), l),)))
        return Step("dW", l, "BP4, the derivatives of the weights",
                    (Symbol("dW", (), l), matrix), (what, formula), f"grads.dW[{l}]", dW,
                    tuple(lines), net.W[l].size - len(lines))  # fmt: skip

    def entries(self, l: int) -> list[tuple[int, int]]:
        """Return which weights of layer l are told: into told units, in a large network three."""
        dW, columns = self.objective.grads.dW[l], range(self.told.network.sizes[l + 1])
        if self.scope.units is None:
            return [(i, j) for i in range(len(dW)) for j in columns][:MOST_LINES]
        return [
            (int(i), j)
            for j in self.scope.units.get(l, ())
            for i in sorted(np.argsort(-abs(dW[:, j]), kind="stable")[:3])
        ][:MOST_LINES]

    def biases(self, l: int) -> Step:
        """BP3: db = Σ over rows of δ."""
        objective, db = self.objective, self.objective.grads.db[l]
        what, delta = Symbol("db", ("j",), l), self.named("δ", "j", layer=l)
        formula: Expr = delta if self.one else Sum("r", delta)
        extra = self.numbers
        if objective.penalty.biases:
            formula, extra = self.penalised(formula, what)
        chosen = sorted({j for _, j in self.units(l)})
        lines = [line(what, formula, extra, db[j], {"r": self.told.n}, j=j) for j in chosen]
        matrix: Expr = Symbol("δ", (), l) if self.one else Sum("r", Symbol("δ", ("r",), l))
        return Step("db", l, "BP3, the derivatives of the biases", (Symbol("db", (), l), matrix),
                    (what, formula), f"grads.db[{l}]", db, tuple(lines),
                    db.size - len(lines))  # fmt: skip

    def penalised(self, formula: Expr, what: Symbol) -> tuple[Expr, Numbers]:
        """Return the formula with the penalty's gradient, and numbers that know its settings."""
        if not self.objective.penalty:
            return formula, self.numbers
        pull = read(self.objective.penalty, "gradient", units=False)
        weight = Symbol(what.letter[1:].lower(), what.sub, what.layer)  # dW's is w
        put = transform(pull.result, lambda node: weight if node == Symbol("w") else node)
        settings: dict[str, Any] = {**pull.settings, "n": self.objective.total}
        return add(formula, put), self.numbers.beside({}, settings)

    def pull(self, what: Symbol) -> Line | None:
        """Return the line of the penalty's part of a derivative; None where it has none."""
        penalty = self.objective.penalty
        if not penalty or (what.letter == "db" and not penalty.biases):
            return None
        formula, numbers = self.penalised(Number(0.0), what)
        layer = self.told.network.layers[what.layer or 0]
        at = tuple(map(int, what.sub))
        w = layer.W[at] if what.letter == "dW" else layer.b[at]
        value = float(penalty.gradient(w, self.objective.total))
        return line(Symbol("P′"), formula, numbers, value, {})

    def know_slopes(self) -> None:
        """Have numbers for σ′ of all layers, by unit, or after softmax by pairs of units."""
        for l in range(len(self.told.network.layers)):
            slopes = np.stack([self.local_slopes(r, l) for r in range(self.told.n)])
            self.numbers.by_row["σ′", l] = slopes

    def local_slopes(self, row: int, l: int) -> Array:
        """Return ∂a/∂z of a row's units in layer l: (units,), or after softmax (units, units)."""
        sigma = self.told.network.layers[l].activation
        z = self.told.trace.Z[l][row : row + 1]
        a = self.told.trace.A[l + 1][row : row + 1]
        if is_elementwise(sigma):
            return sigma.derivative(z, a)[0]
        units = np.eye(z.shape[1])
        return np.stack([sigma.pullback(e[None], z, a)[0] for e in units], axis=1)


def is_elementwise(sigma: Activation) -> bool:
    """Tell whether each unit answers to its own z alone."""
    return type(sigma).pullback is Activation.pullback


def is_difference(loss: Loss) -> bool:
    """Tell whether δ of the canonical pair is a − y, as the base class has it."""
    return type(loss).delta_from_logits is Loss.delta_from_logits


def near_zero(loss: Loss, a: Array, y: Array) -> bool:
    """Tell whether an output lies where the loss's logarithm is continued by its tangent."""
    return loss.domain[0] == 0 and bool((loss.switch(a, y) < 0).any())


def loss_values(
    loss: Loss, sigma: Activation, z: Array, a: Array, y: Array
) -> tuple[Array, str, tuple[str, ...]]:
    """Return the loss of every output, the method that tells it, and what to say of that."""
    if not loss.pairs_with(sigma):
        return loss.value(a, y), "value", ()
    exact, plain = loss.value_from_logits(z, y), loss.value(a, y)
    if np.allclose(exact, plain, rtol=GAP, atol=1e-12):
        return exact, "value", ()
    return exact, "value_from_logits", ("computed from z, where a has been rounded",)


def loss_name(loss: Loss) -> str:
    """Return the name under which a loss stands in the table, else its class's name."""
    from chainrule.losses import LOSSES

    return next((name for name, kind in LOSSES.items() if kind is type(loss)), type(loss).__name__)
