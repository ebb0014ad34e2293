"""Forward: z and a of each layer, told for its units, and at last what the model answers."""

from __future__ import annotations

from dataclasses import replace

from chainrule.activations import Activation
from chainrule.explanation.expressions import Call, Expr, Multiply, Sum, Symbol, add, bind, multiply
from chainrule.explanation.parts import Step
from chainrule.explanation.subject import Subject
from chainrule.explanation.telling import (
    MOST_LINES,
    Numbers,
    Place,
    Scope,
    element,
    line,
    pairs,
    table_lines,
)


class Forward:
    """Tells the forward pass of one subject within a scope."""

    def __init__(self, told: Subject, scope: Scope) -> None:
        self.told, self.scope = told, scope
        self.numbers = Numbers.of(told)

    def steps(self) -> list[Step]:
        """Return every step from the inputs to the outputs."""
        layers = range(len(self.told.network.layers))
        return [step for l in layers for step in (self.weighted_input(l), self.activation(l))]

    def named(self, name: str, *sub: str, layer: int | None = None) -> Symbol:
        """Return the symbol of an element, with its row's index where there are several."""
        return element(name, *sub, layer=layer, one_row=self.told.one_row)

    def place(self, **letters: tuple[str, int | None]) -> Place:
        """Return what a table's letters are here."""
        return Place(letters, self.told.one_row, self.told.network.sizes[-1])

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

    def answer(self) -> Step:
        """ŷ = a of the last layer, brought back to the units of y where the targets were scaled."""
        told, last = self.told, len(self.told.network.layers)
        values, title, code = told.trace.A[last], "What the network answers", f"trace.A[{last}]"
        what, numbers = self.named("ŷ", "j"), self.numbers
        formula: Expr = self.named("a", "j", layer=last)
        notes: tuple[str, ...] = ()
        if told.scaling is not None:
            mean, spread = told.scaling
            values, code = values * spread + mean, f"{code} * y_scale_ + y_mean_"
            formula = add(multiply(Symbol("s", ("j",)), formula), Symbol("m", ("j",)))
            numbers = numbers.beside({"m": mean, "s": spread}, {})
            title += ", in the units of y"
            notes = (
                "m and s are mean and spread of the targets in training, where they were scaled",
            )
        chosen = pairs(self.scope.rows, range(values.shape[1]))[:MOST_LINES]
        lines = [
            replace(
                line(what, formula, numbers, values[r, j], {}, r=r, j=j), what=self.called(r, j)
            )
            for r, j in chosen
        ]
        return Step("answer", None, title, None, (what, formula), code, values, tuple(lines),
                    values.size - len(lines), notes)  # fmt: skip

    def called(self, r: int, j: int) -> Expr:
        """Return ŷ of a row and an output, by their names where outputs have some: ŷ(setosa)."""
        if not self.told.outputs:
            return bind(self.named("ŷ", "j"), r=r, j=j)
        name = Symbol(self.told.outputs[j])
        return Call("ŷ", (name,) if self.told.one_row else (Symbol(self.told.rows[r]), name))


def notes_of(sigma: Activation) -> tuple[str, ...]:
    """Return what an activation's formula leaves to be said."""
    note = getattr(sigma, "textbook", {}).get("note")
    return () if note is None else (note,)
