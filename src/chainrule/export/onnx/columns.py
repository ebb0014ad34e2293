"""Columns: the inputs of the graph, and the features that an encoder makes of them.

A model that was fitted without an encoder, or to numbers whose columns have no names, takes one
matrix, `X`. Any other takes one input (n, 1) for each column that it uses, of the column's name, as
converters of scikit-learn's models have it: text for categories, numbers for the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, pi
from typing import Any

import numpy as np

from chainrule.export.onnx.graph import Graph
from chainrule.export.onnx.traced import Traced, beside, on_traced, pick, where
from chainrule.export.parts import Parts
from chainrule.preprocessing.columns import name_of
from chainrule.preprocessing.features import CYCLES, features_of, scaled, squashed
from chainrule.spread import LARGEST
from chainrule.tables.texts import MISSING

GAP, UNSEEN = -2, -1  # places of what is no level
NUMERIC = ("number", "duration", "flag")

#: What an input holds, by the kind of its column.
HOLDS = {
    "number": "numbers; NaN is a gap",
    "duration": "seconds; NaN is a gap",
    "flag": "1 for true, 0 for false; NaN is a gap",
    "time": "seconds since 1970-01-01 00:00 UTC; NaN is a gap",
    "category": "text without blanks around it; an empty one is a gap",
}


@dataclass
class Column:
    """A column in use: what was learnt from it, and where its features stand in a row."""

    name: str
    learnt: dict[str, Any]
    start: int  #: its first feature
    width: int
    marked: bool  #: whether it was made text, "=" before each value, before it was encoded
    fills: bool  #: whether a gap is filled, not refused: NaN then stays NaN
    values: Any = None  #: (n, 1) in the graph; of numbers, a column of `table`
    place: int = -1  #: of that column

    @property
    def kind(self) -> str:
        """The kind, as the encoder has it."""
        return str(self.learnt["kind"])

    @property
    def levels(self) -> dict[str, int]:
        """The levels, and which feature each has; the rare ones share the last."""
        levels, rare = self.learnt.get("levels", []), self.learnt.get("rare") or []
        places = {level: k for k, level in enumerate(levels)} | dict.fromkeys(rare, len(levels))
        return {level[1:]: k for level, k in places.items()} if self.marked else places

    @property
    def unseen(self) -> int:
        """Where a level that is not among these belongs."""
        if self.learnt["constant"]:
            return 0
        return UNSEEN if self.learnt["rare"] is not None else len(self.learnt["levels"])

    @property
    def places(self) -> list[int]:
        """Of the features of its values; that of its gaps comes after them."""
        return list(range(self.start, self.start + self.width - self.learnt["missing"]))


#: Features side by side, and where in a row of all of them they belong.
Block = tuple[Traced, list[int]]


def features(graph: Graph, parts: Parts) -> Traced:
    """Add the inputs to the graph; return the features (n, features) that the network is fed."""
    if parts.encoder is None:
        return Traced(graph, graph.input("X", parts.dtype, parts.inputs), parts.dtype, parts.inputs)
    columns = _columns(parts)
    table = _inputs(graph, parts, columns)
    blocks: list[Block] = []
    for squash in (False, True):
        alike = [c for c in columns if c.kind in NUMERIC and not c.learnt["constant"]
                 and c.learnt.get("squash", False) == squash]  # fmt: skip
        blocks += [_of_numbers(table, alike, squash)] if alike else []
    for column in columns:
        if not column.learnt["constant"] and column.kind == "category":
            blocks.append((_of_levels(column), column.places))
        elif not column.learnt["constant"] and column.kind == "time":
            blocks.append((_of_time(column), column.places))
    blocks += _of_gaps(table, columns)
    order = np.argsort([place for _, places in blocks for place in places]).tolist()
    whole = pick(beside([values for values, _ in blocks]), order)
    if parts.dtype == whole.dtype:
        return whole
    limit = float(np.finfo(parts.dtype).max)
    narrow: Traced = on_traced.clip(whole, -limit, limit).astype(parts.dtype)
    return narrow


# Inputs --------------------------------------------------------------------------------------


def _columns(parts: Parts) -> list[Column]:
    """Return the columns in use."""
    columns, end = [], 0
    for place, learnt in enumerate(parts.encoder.columns_ if parts.encoder else []):
        start, end = end, end + len(features_of(learnt, ""))
        marked = place in parts.marked and parts.names is None
        name = (parts.names[place] if parts.names else "") or name_of(None, place)
        columns.append(
            Column(name, learnt, start, end - start, marked, not parts.refuses_gaps, place=place)
        )
    return [column for column in columns if column.kind != "dropped"]


def _inputs(graph: Graph, parts: Parts, columns: list[Column]) -> Any:
    """Add the inputs; return the table (n, its columns) of all that are numbers, as float64."""
    of_numbers = [c for c in columns if c.kind in NUMERIC]
    if parts.names is None and all(c.kind in NUMERIC or _holds_numbers(c) for c in columns):
        X = graph.input("X", parts.dtype, parts.inputs)
        table = Traced(graph, X, parts.dtype, parts.inputs).astype(np.float64)
        for column in columns:
            column.values = table[:, column.place] if column.kind not in NUMERIC else None
        return table
    for column in columns:
        text, time = column.kind == "category", column.kind == "time"
        dtype = np.dtype(object) if text else np.dtype(np.float64) if time else parts.dtype
        name = graph.input(column.name, dtype, 1, HOLDS[column.kind])
        column.values = Traced(graph, name, dtype, 1)
    for place, column in enumerate(of_numbers):
        column.place = place
    return beside([c.values for c in of_numbers]).astype(np.float64) if of_numbers else None


def _holds_numbers(column: Column) -> bool:
    """Tell whether the levels of a column, which was marked as one of categories, are numbers."""
    return column.marked and column.kind == "category" and all(map(_is_number, column.levels))


def _is_number(text: str) -> bool:
    try:
        value = float(text)
    except ValueError:
        return False
    return isfinite(value) and text in (str(value), str(int(value)))


# Features ------------------------------------------------------------------------------------


def _of_numbers(table: Traced, columns: list[Column], squash: bool) -> Block:
    """Return scaled numbers, and true/false as 1 and 0."""
    x = pick(table, [c.place for c in columns])
    if columns[0].fills:
        x = where(on_traced.isnan(x), [c.learnt["fill"] for c in columns], x)
    center = np.array([c.learnt.get("center", 0.0) for c in columns])
    scale = np.array([c.learnt.get("scale", 1.0) for c in columns])
    if center.any() or (scale != 1).any() or squash:
        x = _as_learnt(x, center, scale, squash)
    return x, [c.start for c in columns]


def _as_learnt(x: Traced, center: Any, scale: Any, squash: bool) -> Traced:
    formulas: Any = (scaled, squashed)  # of arrays, and of what is traced
    z: Traced = on_traced.clip(formulas[0](x, center, scale), -LARGEST, LARGEST)
    return formulas[1](z) if squash else z


def _of_levels(column: Column) -> Traced:
    """Return 1 for the level of each row, 0 for the others."""
    width = len(column.places)
    if _given_as_numbers(column):
        known, each = _matches(column), np.eye(width)[list(column.levels.values())]
        name = known.graph.add("MatMul", known.name, known.graph.constant(each, np.float64))
        made = Traced(known.graph, name, np.float64, width)
        if column.unseen >= 0:
            made[:, width - 1] = (
                1
                - made[:, : width - 1].sum(axis=1, keepdims=True)
                - on_traced.isnan(column.values).astype(np.float64)
            )
        return made
    return (_codes(column) == np.arange(width)).astype(np.float64)


def _given_as_numbers(column: Column) -> bool:
    return column.values.dtype == np.float64


def _matches(column: Column) -> Traced:
    """Return 1 where a number is that of a level."""
    return (column.values == np.array([float(level) for level in column.levels])).astype(np.float64)


def _codes(column: Column) -> Traced:
    """Return the feature (n, 1) that each text has; `GAP` and `UNSEEN` have none."""
    codes = dict(column.levels)
    for word in ("true", "false") if not column.marked else ():
        if word in codes:
            codes |= dict.fromkeys((word.title(), word.upper()), codes[word])
    for word in MISSING if not column.marked else ("",):
        for each in (word, word.upper(), word.title(), word.capitalize()):
            codes.setdefault(each, GAP)
    for word in () if column.marked else ("NaN", "N/a"):
        codes.setdefault(word, GAP)
    graph = column.values.graph
    name = graph.add(
        "LabelEncoder", column.values.name, keys_strings=list(codes),
        values_int64s=list(codes.values()), default_int64=column.unseen,
    )  # fmt: skip
    return Traced(graph, name, np.int64, 1)


def _of_time(column: Column) -> Traced:
    """Return scaled seconds, and sine and cosine of the cycles."""
    missing, learnt = on_traced.isnan(column.values), column.learnt
    x: Any = where(missing, learnt["fill"], column.values) if column.fills else column.values
    made = [_as_learnt(x, learnt["center"], learnt["scale"], learnt["squash"])]
    for cycle in learnt["cycles"]:
        angle: Any = 2 * pi * CYCLES[cycle][1](x)
        made += [where(missing, 0, wave) if column.fills else wave
                 for wave in (on_traced.sin(angle), on_traced.cos(angle))]  # fmt: skip
    return beside(made)


def _of_gaps(table: Any, columns: list[Column]) -> list[Block]:
    """Return 1 where a value is missing, of the columns that had gaps when fitted."""
    marked = [c for c in columns if c.learnt["missing"]]
    numbers = [c for c in marked if c.kind in NUMERIC]
    ends = [c.start + c.width - 1 for c in numbers]
    blocks = []
    if numbers:
        gaps = on_traced.isnan(pick(table, [c.place for c in numbers]))
        blocks.append((gaps.astype(np.float64), ends))
    others = [c for c in marked if c.kind not in NUMERIC]
    return blocks + [(_missing(c).astype(np.float64), [c.start + c.width - 1]) for c in others]


def _missing(column: Column) -> Traced:
    """Return whether a time, or a category, is missing (n, 1): an unseen level is."""
    if column.kind == "category" and not _given_as_numbers(column):
        return _codes(column) < 0
    missing: Any = on_traced.isnan(column.values)
    if column.kind == "category" and column.unseen == UNSEEN:
        missing = _matches(column).sum(axis=1, keepdims=True) == 0
    return missing
