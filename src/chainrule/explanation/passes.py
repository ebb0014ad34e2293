"""Passes: forward, the loss, and back by the four equations, each step told for its units."""

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
from chainrule.explanation.parts import Line, Step
from chainrule.explanation.reading import read
from chainrule.explanation.subject import Subject
from chainrule.explanation.telling import (
    MOST_LINES,
    Numbers,
    Place,
    Scope,
    element,
    line,
    pairs,
    penalty_note,
    table_lines,
)
from chainrule.losses import Loss

GAP = 1e-9  # relative, between a loss from its definition and from the logits


class Passes:
    """Tells the steps of one subject within a scope."""

    def __init__(self, told: Subject, scope: Scope) -> None:
        self.told, self.scope = told, scope
        self.numbers = Numbers.of(told)
        self.one = told.one_row
        loss = told.loss
        self.target = loss.target(told.Y)
        self.smoothed = bool((self.target != told.Y).any())
        self.numbers.by_row["y", None] = told.Y
        self.numbers.by_row["t", None] = self.target

    def all(self) -> list[Step]:
        """Return every step from the inputs to the derivatives."""
        layers = range(len(self.told.network.layers))
        steps = [step for l in layers for step in (self.weighted_input(l), self.activation(l))]
        steps += [self.smoothing()] if self.smoothed else []
        steps += [self.losses(), self.total()]
        for l in reversed(layers):
            steps += [self.delta(l), self.weights(l), self.biases(l)]
        return steps

    def named(self, name: str, *sub: str, layer: int | None = None) -> Symbol:
        """Return the symbol of an element, with its row's index where there are several."""
        return element(name, *sub, layer=layer, one_row=self.one)

    def place(self, **letters: tuple[str, int | None]) -> Place:
        """Return what a table's letters are here."""
        return Place(letters, self.one, self.told.network.sizes[-1])

    def units(self, l: int) -> list[tuple[int, int]]:
        """Return which (row, unit) of layer l are told."""
        count = self.told.network.sizes[l + 1]
        chosen = range(count) if self.scope.units is None else self.scope.units.get(l, ())
        return pairs(self.scope.rows, list(chosen))[:MOST_LINES]

    def weighted_input(self, l: int) -> Step:
        """z = Σᵢ aᵢ wᵢⱼ + bⱼ."""
        told, Z = self.units(l), self.told.trace.Z[l]
        what = self.named("z", "j", layer=l)
        fed = multiply(self.named("a", "i", layer=l), Symbol("w", ("i", "j"), l))
        formula = add(Sum("i", fed), Symbol("b", ("j",), l))
        sizes = {"i": self.told.network.sizes[l]}
        lines = [line(what, formula, self.numbers, Z[r, j], sizes, r=r, j=j) for r, j in told]
        A, W, b, Zl = (Symbol(name, (), l) for name in "AWbZ")
        return Step(
            "z", l, "What each unit is fed, weighted, and its bias", (Zl, add(Multiply((A, W)), b)),
            (what, formula), f"trace.Z[{l}]", Z, tuple(lines), Z.size - len(told),
        )  # fmt: skip

    def activation(self, l: int) -> Step:
        """a = σ(z), by the activation's own formula."""
        told, A = self.units(l), self.told.trace.A[l + 1]
        sigma = self.told.network.layers[l].activation
        what = self.named("a", "j", layer=l + 1)
        formula, where, lines = table_lines(
            what, sigma, "value", {"z": self.told.trace.Z[l]},
            self.place(z=("z", l), a=("a", l + 1)), self.numbers, A, told,
        )  # fmt: skip
        return Step(
            "a", l, f"What each unit answers: {sigma.name}",
            (Symbol("A", (), l + 1), Call("σ", (Symbol("Z", (), l),))), (what, formula),
            f"trace.A[{l + 1}]", A, tuple(lines), A.size - len(told), notes_of(sigma), where,
        )  # fmt: skip

    def smoothing(self) -> Step:
        """The target that the output is compared with."""
        last = len(self.told.network.layers) - 1
        what, told = self.named("t", "j"), self.units(last)
        formula, where, lines = table_lines(
            what, self.told.loss, "target", {"y": self.told.Y}, self.place(), self.numbers,
            self.target, told,
        )  # fmt: skip
        return Step(
            "target", None, "The target, smoothed", None, (what, formula), "loss.target(Y)",
            self.target, tuple(lines), self.target.size - len(told), where=where,
        )  # fmt: skip

    def losses(self) -> Step:
        """The loss of every output, from its definition where that is exact."""
        net, loss, trace = self.told.network, self.told.loss, self.told.trace
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
        told, loss = self.told, self.told.loss
        net, last = told.network, len(told.network.layers) - 1
        values = loss_values(loss, net.layers[-1].activation, told.trace.Z[-1], told.trace.A[-1],
                             self.target)[0]  # fmt: skip
        self.numbers.by_row["L", None] = values
        of_row: Expr = Sum("k", self.named("L", "k"))
        formula = of_row if self.one else Sum("r", multiply(Symbol("p", ("r",)), of_row))
        notes: tuple[str, ...] = ()
        if told.penalty:
            extra = told.cost - float(told.share[:, 0] @ values.sum(axis=1))
            self.numbers.shared["P", None] = extra
            formula = add(formula, Symbol("P"))
            notes = (penalty_note(told.penalty, extra),)
        if not self.one:
            notes = (f"pᵣ is the row's share of the weight, {_share(told)}", *notes)
        sizes = {"k": net.sizes[-1], "r": told.n}
        what = Symbol("C")
        told_line = line(what, formula, self.numbers, told.cost, sizes)
        title = "The cost: the loss summed over outputs" + ("" if self.one else ", mean over rows")
        return Step("cost", last, title, None, (what, formula), "net.cost(X, Y, loss)", None,
                    (told_line,), notes=notes)  # fmt: skip

    def delta(self, l: int) -> Step:
        """BP1 at the output, BP2 below it."""
        net = self.told.network
        last, sigma = len(net.layers) - 1, net.layers[l].activation
        if l == last and self.told.loss.pairs_with(sigma) and is_difference(self.told.loss):
            return self.canonical_delta(l)
        what, told = self.named("δ", "j", layer=l), self.units(l)
        G, g_formula, g_lines = self.gradient(l)
        self.numbers.by_row["g", l] = G
        g = self.named("g", "j", layer=l)
        values = self.told.grads.delta[l]
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
        net, values = self.told.network, self.told.grads.delta[l]
        what, told = self.named("δ", "j", layer=l), self.units(l)
        y = self.named("t" if self.smoothed else "y", "j")
        formula = add(self.named("a", "j", layer=l + 1), Negative(y))
        formula = formula if self.one else multiply(Symbol("p", ("r",)), formula)
        lines = [line(what, formula, self.numbers, values[r, j], {}, r=r, j=j) for r, j in told]
        name = net.layers[l].activation.name
        notes = (f"what ∂C/∂A ⊙ σ′(Z) comes to for {loss_name(self.told.loss)} after {name}",)
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
            G: Array = self.told.grads.delta[l + 1] @ net.layers[l + 1].W.T
            terms = multiply(Symbol("w", ("j", "k"), l + 1), self.named("δ", "k", layer=l + 1))
            formula: Expr = Sum("k", terms)
            sizes = {"k": net.sizes[l + 2]}
            lines = [line(what, formula, self.numbers, G[r, j], sizes, r=r, j=j) for r, j in told]
            return G, formula, lines
        a, loss = self.told.trace.A[-1], self.told.loss
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
        G, p = G * self.told.share, Symbol("p", ("r",))
        lines = [
            Line(
                o.what, bind(multiply(p, o.symbols), r=r),
                Multiply((Number(float(self.told.share[r, 0])), o.numbers)), float(G[r, j]),
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
        told, net, dW = self.told, self.told.network, self.told.grads.dW[l]
        what = Symbol("dW", ("i", "j"), l)
        product = multiply(self.named("a", "i", layer=l), self.named("δ", "j", layer=l))
        formula, extra = self.penalised(product if self.one else Sum("r", product), what)
        entries = self.entries(l)
        lines = [line(what, formula, extra, dW[i, j], {"r": told.n}, i=i, j=j) for i, j in entries]
        matrix: Expr = Multiply((Symbol("Aᵀ", (), l), Symbol("δ", (), l)))
        if told.penalty:
            matrix = add(matrix, Call("P′", (Symbol("W", (), l),)))
        return Step("dW", l, "BP4, the derivatives of the weights",
                    (Symbol("dW", (), l), matrix), (what, formula), f"grads.dW[{l}]", dW,
                    tuple(lines), net.W[l].size - len(lines))  # fmt: skip

    def entries(self, l: int) -> list[tuple[int, int]]:
        """Return which weights of layer l are told: into told units, in a large network three."""
        dW, columns = self.told.grads.dW[l], range(self.told.network.sizes[l + 1])
        if self.scope.units is None:
            return [(i, j) for i in range(len(dW)) for j in columns][:MOST_LINES]
        return [
            (int(i), j)
            for j in self.scope.units.get(l, ())
            for i in sorted(np.argsort(-abs(dW[:, j]), kind="stable")[:3])
        ][:MOST_LINES]

    def biases(self, l: int) -> Step:
        """BP3: db = Σ over rows of δ."""
        told, db = self.told, self.told.grads.db[l]
        what, delta = Symbol("db", ("j",), l), self.named("δ", "j", layer=l)
        formula: Expr = delta if self.one else Sum("r", delta)
        extra = self.numbers
        if told.penalty.biases:
            formula, extra = self.penalised(formula, what)
        chosen = sorted({j for _, j in self.units(l)})
        lines = [line(what, formula, extra, db[j], {"r": told.n}, j=j) for j in chosen]
        matrix: Expr = Symbol("δ", (), l) if self.one else Sum("r", Symbol("δ", ("r",), l))
        return Step("db", l, "BP3, the derivatives of the biases", (Symbol("db", (), l), matrix),
                    (what, formula), f"grads.db[{l}]", db, tuple(lines),
                    db.size - len(lines))  # fmt: skip

    def penalised(self, formula: Expr, what: Symbol) -> tuple[Expr, Numbers]:
        """Return the formula with the penalty's gradient, and numbers that know its settings."""
        if not self.told.penalty:
            return formula, self.numbers
        pull = read(self.told.penalty, "gradient", units=False)
        weight = Symbol(what.letter[1:].lower(), what.sub, what.layer)  # dW's is w
        put = transform(pull.result, lambda node: weight if node == Symbol("w") else node)
        settings: dict[str, Any] = {**pull.settings, "n": self.told.total}
        return add(formula, put), self.numbers.beside({}, settings)

    def pull(self, what: Symbol) -> Line | None:
        """Return the line of the penalty's part of a derivative; None where it has none."""
        told = self.told
        if not told.penalty or (what.letter == "db" and not told.penalty.biases):
            return None
        formula, numbers = self.penalised(Number(0.0), what)
        layer = told.network.layers[what.layer or 0]
        at = tuple(map(int, what.sub))
        w = layer.W[at] if what.letter == "dW" else layer.b[at]
        value = float(told.penalty.gradient(w, told.total))
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


def notes_of(sigma: Activation) -> tuple[str, ...]:
    """Return what an activation's formula leaves to be said."""
    note = getattr(sigma, "textbook", {}).get("note")
    return () if note is None else (note,)


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


def _share(told: Subject) -> str:
    equal = np.ptp(told.share) == 0
    return f"1 / {told.n}" if equal else "its weight by the sum of the weights"
