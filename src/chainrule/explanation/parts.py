"""Parts: what an explanation is made of, as plain data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.explanation.expressions import Expr, Number
from chainrule.explanation.unicode import text

MOST_NUMBERS = 4096  # of an array, beyond which its summary stands in plain data


@dataclass(frozen=True)
class Line:
    """One number: what it is, its formula, the formula with the numbers in, and the result.

    `where` are the lines that the formula builds on, such as s = sigmoid(z).
    """

    what: Expr
    symbols: Expr
    numbers: Expr
    value: float
    where: tuple[Line, ...] = ()

    def to_dict(self, digits: int) -> dict[str, Any]:
        """Return the line as text and one number."""
        told: dict[str, Any] = {
            "what": text(self.what),
            "symbols": text(self.symbols),
            "numbers": text(self.numbers, digits),
            "value": float(self.value),
        }
        if self.where:
            told["where"] = [line.to_dict(digits) for line in self.where]
        return told

    @property
    def is_plain(self) -> bool:
        """Whether the formula with numbers is the result, so that one of them is enough."""
        return self.numbers == Number(float(self.value))


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Step:
    """One step of the way: a formula, lines that tell it for units, and all of its numbers."""

    kind: str  #: "z", "a", "answer", "target", "loss", "cost", "delta", "dW", "db" or "update"
    layer: int | None
    title: str
    equation: tuple[Expr, Expr] | None  #: of matrices, as in A[1] = σ(Z[0])
    formula: tuple[Expr, Expr] | None  #: of one element, with index letters
    code: str  #: what gives the values in Python
    values: Array | None
    lines: tuple[Line, ...] = ()
    untold: int = 0  #: how many elements have no line
    notes: tuple[str, ...] = ()
    where: tuple[tuple[Expr, Expr], ...] = ()  #: formulas that `formula` builds on

    def to_dict(self, digits: int) -> dict[str, Any]:
        """Return the step as plain data."""
        return {
            "kind": self.kind,
            "layer": self.layer,
            "title": self.title,
            "equation": _sides(self.equation),
            "formula": _sides(self.formula),
            "where": [_sides(each) for each in self.where],
            "code": self.code,
            "lines": [line.to_dict(digits) for line in self.lines],
            "untold": self.untold,
            "notes": list(self.notes),
            "values": None if self.values is None else plain(self.values),
        }


@dataclass(frozen=True)
class Path:
    """One way from a weight to the output, and what the cost changes along it per unit of weight.

    The factors multiply to `value`: what the weight is fed, then σ′ and a weight for every layer
    on the way, and at last the output's δ.
    """

    row: int
    units: tuple[int, ...]  #: a unit of each layer, from the weight's own to the output
    line: Line

    @property
    def value(self) -> float:
        """The product of the factors."""
        return self.line.value


@dataclass(frozen=True)
class Check:
    """The finite difference beside the derivative."""

    step: float  #: h
    costs: tuple[float, ...]  #: C at w + h, w − h, w + 2h, w − 2h
    line: Line  #: the difference, whose value compares with the derivative
    derivative: float
    error: float  #: relative
    passed: bool

    def to_dict(self, digits: int) -> dict[str, Any]:
        """Return the check as plain data."""
        return {
            "step": self.step, "costs": list(self.costs), "difference": self.line.to_dict(digits),
            "derivative": self.derivative, "error": self.error, "passed": self.passed,
        }  # fmt: skip


@dataclass(frozen=True)
class WeightStory:
    """The derivative of one weight or bias, along every path, and measured."""

    what: Expr
    layer: int
    index: tuple[int | str, int]  #: (i, j) of a weight, ("b", j) of a bias
    paths: tuple[Path, ...]
    count: int  #: how many paths there are, over all rows
    rest: float  #: what the paths that are not told add up to
    penalty: Line | None
    derivative: float
    total: Line  #: the sum of the paths
    check: Check | None  #: None where a kink lies too close to measure

    def to_dict(self, digits: int) -> dict[str, Any]:
        """Return the story as plain data."""
        return {
            "what": text(self.what),
            "layer": self.layer,
            "index": list(self.index),
            "derivative": self.derivative,
            "paths": [
                {"row": path.row, "units": list(path.units)} | path.line.to_dict(digits)
                for path in self.paths
            ],
            "count": self.count,
            "rest": self.rest,
            "penalty": self.penalty and self.penalty.to_dict(digits),
            "total": self.total.to_dict(digits),
            "check": self.check and self.check.to_dict(digits),
        }


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Explanation:
    """Rows on their way through a network and back: print it, `to_html()`, or `to_dict()`.

    Without the rows' answers only the way forward is told: what starts from them is None.
    """

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    X: Array
    features: tuple[str, ...]
    outputs: tuple[str, ...]
    W: tuple[Array, ...]
    A: tuple[Array, ...]
    rows: tuple[str, ...]  #: what the rows are called
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()
    Y: Array | None = None  #: the answers; without, all below but `digits` is None
    loss: str | None = None
    delta: tuple[Array, ...] | None = None
    cost: float | None = None
    cost_after: float | None = None  #: after the update; None where there is none, too
    weight: WeightStory | None = None
    digits: int = 4

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def step(self, kind: str, layer: int | None = None) -> Step:
        """Return the step of that kind and layer.

        Raises ValueError, with those there are, for another.
        """
        for each in self.steps:
            if (each.kind, each.layer) == (kind, layer):
                return each
        known = ", ".join(f"({s.kind!r}, {s.layer})" for s in self.steps)
        raise ValueError(f"no step {kind!r} of layer {layer!r}; there are {known}")

    def to_dict(self, digits: int = 17) -> dict[str, Any]:
        """Return plain data; numbers in formulas with `digits` significant digits.

        The keys are always the same. Without answers, loss, Y, cost, cost_after and weight are
        None, and the steps are those of the way forward.
        """
        return {
            "sizes": list(self.sizes),
            "activations": list(self.activations),
            "loss": self.loss,
            "rows": list(self.rows),
            "features": list(self.features),
            "outputs": list(self.outputs),
            "X": plain(self.X),
            "Y": None if self.Y is None else plain(self.Y),
            "cost": self.cost,
            "cost_after": self.cost_after,
            "steps": [step.to_dict(digits) for step in self.steps],
            "weight": self.weight and self.weight.to_dict(digits),
            "notes": list(self.notes),
        }

    def to_json(self, digits: int = 17) -> str:
        """Return `to_dict` as JSON."""
        return json.dumps(self.to_dict(digits), ensure_ascii=False, allow_nan=False)

    def to_text(self, width: int = 100) -> str:
        """Return the explanation as text, without colours."""
        from chainrule.explanation.terminal import as_text

        return as_text(self, width)

    def to_html(self) -> str:
        """Return a page that needs nothing but itself."""
        from chainrule.explanation.page import page

        return page(self)

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        """Return the page in a frame of its own, which is how a notebook shows it."""
        return (
            f'<iframe srcdoc="{escape(self.to_html())}" title="Explanation" sandbox'
            ' style="width: 100%; height: 42rem; border: 1px solid #8884; border-radius: 8px">'
            "</iframe>"
        )


def plain(values: Array) -> Any:
    """Return an array as lists, or what there is to say of one that is large."""
    if values.size <= MOST_NUMBERS:
        return values.tolist()
    return summary(values)


def summary(values: Array) -> dict[str, Any]:
    """Return shape, extremes, mean, norm and share of zeros.

    >>> summary(np.array([[3.0, 0.0], [-4.0, 0.0]]))["norm"]
    5.0
    """
    return {
        "shape": list(values.shape),
        "min": float(values.min()),
        "max": float(values.max()),
        "mean": float(values.mean()),
        "norm": float(np.linalg.norm(values)),
        "zeros": float((values == 0).mean()),
    }


def _sides(sides: tuple[Expr, Expr] | None) -> str | None:
    return None if sides is None else f"{text(sides[0])} = {text(sides[1])}"
