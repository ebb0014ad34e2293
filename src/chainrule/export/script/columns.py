"""Columns: what a TableEncoder does with each column, in a few lines of NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chainrule.export.code import Program
from chainrule.export.script.formulas import Sources
from chainrule.preprocessing.features import CYCLES, scaled, squashed

#: How values of each kind are read.
READ = {
    "numbers": '''\
def numbers(column):
    """Return a column as numbers; NaN where there is none."""
    return np.array([np.nan if value is None else float(value) for value in column])''',
    "durations": '''\
def durations(column):
    """Return timedeltas in seconds; NaN where there is none."""
    micros = np.array(column, dtype="timedelta64[us]")
    return np.where(np.isnat(micros), np.nan, micros.astype(np.int64) / 1e6)''',
    "moments": '''\
def moments(column):
    """Return dates and times (UTC) as seconds since 1970; NaN where there is none."""
    micros = np.array(column, dtype="datetime64[us]")
    return np.where(np.isnat(micros), np.nan, micros.astype(np.int64) / 1e6)''',
    "texts": '''\
def texts(column):
    """Return a column as text: 1.0 is 1, and True is true; None where there is none."""
    whole = [int(v) if isinstance(v, float) and v.is_integer() else v for v in column]
    words = [None if v is None or v != v else str(v).strip() for v in whole]
    return np.array([w.lower() if w in ("True", "False") else w for w in words], dtype=object)''',
    "marked": '''\
def marked(column):
    """Return a column of categories as text; None where there is none."""
    return np.array([None if v is None or v != v else str(v) for v in column], dtype=object)''',
}
READERS = {"category": "texts", "duration": "durations", "time": "moments"}
FILLED = '''\
def filled(x, value):
    """Return x with this value in its gaps."""
    return np.where(np.isnan(x), value, x)'''


class Columns:
    """The function `encode` of a script, and what it needs."""

    def __init__(self, program: Program, sources: Sources) -> None:
        self.program, self.sources = program, sources
        self.helpers: dict[str, str] = {}

    def encode(self) -> str:
        """Return the function from a row's columns to features; see `preprocessing.features`."""
        lines: list[str] = []
        features: list[str] = []
        for i, record in enumerate(self.program.columns or ()):
            if record["kind"] == "dropped":
                continue
            marked = i in self.program.parts.marked
            reader = "marked" if marked else READERS.get(record["kind"], "numbers")
            self.helpers[reader] = READ[reader]
            name = " ".join(self.program.inputs[i].split())
            lines.append(f"    x{i} = {reader}(X[:, {i}])  # {name}")
            features += self.features(record, f"x{i}", marked)
        n_in, n_out = len(self.program.inputs), self.program.sizes[0]
        single = self.program.parts.dtype.itemsize == 4
        last = ".astype(np.float32)" if single else ""
        return "\n".join([
            "def encode(X):",
            f'    """Return features (n, {n_out}) of rows X (n, {n_in}); a gap is None or NaN."""',
            "    X = np.asarray(X, dtype=object)",
            *lines,
            "    features = [",
            *(f"        {feature}," for feature in features),
            "    ]",
            f"    return np.column_stack(features).astype(np.float64){last}",
        ])  # fmt: skip

    def features(self, record: dict[str, Any], x: str, marked: bool) -> Iterator[str]:
        """Yield the features of a column, as expressions of its values `x`."""
        if record["kind"] == "category":
            yield from self.category(record, x, marked)
            return
        if not record["constant"]:
            if self.program.parts.refuses_gaps:
                value = x
            else:
                self.helpers["filled"] = FILLED
                value = f"filled({x}, {record['fill']!r})"
            yield self.scaled(record, value)
            for cycle in record.get("cycles", ()):
                phase = f"{self.sources.plain(CYCLES[cycle][1])}({value})"
                for wave in ("sin", "cos"):
                    yield f"np.where(np.isnan({x}), 0, np.{wave}(2 * np.pi * {phase}))"
        if record["missing"]:
            yield f"np.isnan({x})"

    def scaled(self, record: dict[str, Any], value: str) -> str:
        """Return a number scaled as was learnt."""
        if record["kind"] == "flag" or (record["center"] == 0 and record["scale"] == 1):
            return value
        z = f"{self.sources.plain(scaled)}({value}, {record['center']!r}, {record['scale']!r})"
        return f"{self.sources.plain(squashed)}({z})" if record["squash"] else z

    def category(self, record: dict[str, Any], x: str, marked: bool) -> Iterator[str]:
        """Yield 0 or 1 for each level, for all rare ones together, and for what is neither."""
        gap = f"({x} == None)"
        if record["constant"]:
            yield gap
            return
        unmarked = self.program.parts.names is None and marked
        levels = [level.removeprefix("=" * unmarked) for level in record["levels"]]
        rare = record["rare"] and [level.removeprefix("=" * unmarked) for level in record["rare"]]
        for level in levels:
            yield f"{x} == {level!r}"
        if rare is None:
            yield f"~np.isin({x}, {[*levels, None]!r})"
        elif rare:
            yield f"np.isin({x}, {rare!r})"
        if record["missing"]:
            yield gap if rare is None else f"~np.isin({x}, {[*levels, *rare]!r})"
