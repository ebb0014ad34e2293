"""Diagram: the network drawn as SVG, weights as colour and width, with what its units answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from chainrule.explanation.parts import Explanation
from chainrule.explanation.unicode import number_text

MOST_UNITS = 9  # of a layer that are drawn
GAP_X, GAP_Y, RADIUS, MARGIN = 190, 74, 23, 60
MOST_LETTERS, LETTER = 16, 7.5  # of a name, and how wide each is
MOST_DIGITS = 6  # of a value, signs too, that a circle has room for


@dataclass(frozen=True)
class Column:
    """The units of one layer that are drawn, and where."""

    units: tuple[int, ...]
    left_out: int
    x: float

    def y(self, unit: int, height: float) -> float:
        """Return how far down a unit stands."""
        rows = len(self.units) + bool(self.left_out)
        return height / 2 + (self.units.index(unit) - (rows - 1) / 2) * GAP_Y


def diagram(told: Explanation) -> str:
    """Return the network as an `svg` element, for the first row."""
    columns = [_column(told, l) for l in range(len(told.sizes))]
    rows = max(len(c.units) + bool(c.left_out) for c in columns)
    height = rows * GAP_Y + 24.0
    width = columns[-1].x + MARGIN + 45.0 + _room(told.outputs)
    parts = [
        f'<svg class="network" viewBox="0 0 {width:.0f} {height + 30:.0f}" role="img"'
        f' aria-label="The network {" → ".join(map(str, told.sizes))}" width="{width:.0f}">'
    ]
    for l in range(len(told.W)):
        parts += _edges(told, l, columns[l], columns[l + 1], height)
    for l, column in enumerate(columns):
        parts += _units(told, l, column, height)
    return "".join(parts) + "</svg>"


def _room(names: Sequence[str]) -> float:
    """Return how wide the longest of these names is, as it is drawn."""
    return LETTER * min(max(map(len, names), default=0), MOST_LETTERS)


def _column(told: Explanation, l: int) -> Column:
    size, x = told.sizes[l], max(MARGIN + 45.0, RADIUS + 12 + _room(told.features)) + l * GAP_X
    if size <= MOST_UNITS:
        return Column(tuple(range(size)), 0, x)
    wanted = [unit for at, unit in _chosen(told) if at == l]
    told_lines = [step for step in told.steps if step.kind == "a" and (step.layer or 0) + 1 == l]
    wanted += [int(line.what.sub[-1]) for step in told_lines for line in step.lines]  # type: ignore[attr-defined]
    units = list(dict.fromkeys([*wanted, *range(size)]))[: MOST_UNITS - 1]
    return Column(tuple(sorted(units)), size - len(units), x)


def _chosen(told: Explanation) -> list[tuple[int, int]]:
    """Return the units that the chosen weight joins, as (layer of A, unit)."""
    if told.weight is None:
        return []
    l, (i, j) = told.weight.layer, told.weight.index
    return [(l + 1, j)] if isinstance(i, str) else [(l, i), (l + 1, j)]


def _edges(told: Explanation, l: int, left: Column, right: Column, height: float) -> list[str]:
    W = told.W[l]
    most = float(abs(W).max()) or 1.0
    lines = []
    for i in left.units:
        for j in right.units:
            share, sign = abs(float(W[i, j])) / most, "plus" if W[i, j] >= 0 else "minus"
            is_chosen = (
                told.weight is not None and told.weight.layer == l and told.weight.index == (i, j)
            )
            y1, y2 = left.y(i, height), right.y(j, height)
            ends = f'x1="{left.x + RADIUS:.0f}" y1="{y1:.0f}"'
            ends += f' x2="{right.x - RADIUS:.0f}" y2="{y2:.0f}"'
            title = f"<title>w[{l}] {i},{j} = {number_text(float(W[i, j]))}</title>"
            if is_chosen:
                lines.append(f'<line class="halo" {ends}/>')
            look = f'stroke-width="{0.5 + 3.5 * share:.2f}" opacity="{0.25 + 0.6 * share:.2f}"'
            lines.append(f'<line class="{sign}" {ends} {look}>{title}</line>')
    return lines


def _units(told: Explanation, l: int, column: Column, height: float) -> list[str]:
    parts, last = [], l == len(told.sizes) - 1
    for unit in column.units:
        y, value = column.y(unit, height), float(told.A[l][0, unit])
        parts.append(
            f'<circle cx="{column.x:.0f}" cy="{y:.0f}" r="{RADIUS}"/>'
            f'<text x="{column.x:.0f}" y="{y:.0f}" class="a">{_value(value)}</text>'
        )
        if l == 0 and told.features:
            parts.append(_label(column.x - RADIUS - 7, y, told.features[unit], "end"))
        if last:
            name = told.outputs[unit] if told.outputs else ""
            goal = "" if told.Y is None else f" → {number_text(float(told.Y[0, unit]), 3)}"
            if name or goal:
                parts.append(_label(column.x + RADIUS + 8, y, name, "start", goal))
        if l and told.delta is not None:
            delta = number_text(float(told.delta[l - 1][0, unit]), 2)
            parts.append(
                f'<text class="delta" x="{column.x:.0f}" y="{y + RADIUS + 11:.0f}">δ {delta}</text>'
            )
    if column.left_out:
        y = column.y(column.units[-1], height) + GAP_Y
        more = f"⋮ {column.left_out:,} more"
        parts.append(f'<text x="{column.x:.0f}" y="{y:.0f}" class="more">{more}</text>')
    name = f"A[{l}]" if l else "A[0] = X"
    parts.append(f'<text x="{column.x:.0f}" y="{height + 18:.0f}" class="name">{name}</text>')
    return parts


def _value(value: float) -> str:
    """Return a unit's answer with as many digits as its circle has room for."""
    text = number_text(value, 3)
    return text if len(text) <= MOST_DIGITS else number_text(value, 2)


def _label(x: float, y: float, words: str, anchor: str, after: str = "") -> str:
    short = words if len(words) <= MOST_LETTERS else words[: MOST_LETTERS - 1] + "…"
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" class="label" text-anchor="{anchor}">'
        f"<title>{escape(words + after)}</title>{escape((short + after).strip())}</text>"
    )
