"""Fuzzed tables: damaged files are read or refused; what is read is what a sound file holds."""

import csv
import datetime
import io
import math
import os

import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fuzz_tables
from chainrule.tables import read_table
from chainrule.tables.delimited import TableError
from chainrule.tables.texts import MISSING
from fuzzing import fuzzed


@pytest.mark.parametrize("count", [1000, pytest.param(15_000, marks=pytest.mark.slow)])
def test_damaged_tables_are_read_or_refused(count):
    """In a process of its own: should the reader beneath end it, that is a failure too."""
    fuzzed(fuzz_tables, count)


def test_what_else_is_written_to_standard_error_is_passed_on(tmp_path, capfd, monkeypatch):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "t.parquet")
    read = polars.read_parquet

    def noisy(*given):
        os.write(2, b"of another thread")
        return read(*given)

    monkeypatch.setattr(polars, "read_parquet", noisy)
    assert read_table(tmp_path / "t.parquet")["a"].to_list() == [1]
    assert capfd.readouterr().err == "of another thread"


@pytest.mark.parametrize("kind", [pa.date32(), pa.timestamp("ms"), pa.timestamp("us")], ids=str)
def test_days_that_no_calendar_has_are_refused(kind, tmp_path):
    """Found by the fuzzer: the reader beneath panics as soon as one looks at them."""
    a_day = {"date32[day]": 1, "timestamp[ms]": 86_400_000, "timestamp[us]": 86_400_000_000}
    path = tmp_path / "t.parquet"
    for days, sound in ((-719_162, True), (2_932_896, True), (-719_163, False), (2_932_897, False)):
        value = pa.scalar(days * a_day[str(kind)], pa.int64()).cast(
            pa.int32() if kind == pa.date32() else pa.int64()
        )
        pq.write_table(pa.table({"when": pa.array([value, None]).cast(kind)}), path)
        if sound:
            assert read_table(path)["when"][0].year in (1, 9999)
        else:
            with pytest.raises(TableError, match="'when' holds dates outside of the years"):
                read_table(path)


def test_the_fuzzer_notices(monkeypatch):
    def broken(path):
        raise KeyError("surprise")

    monkeypatch.setattr(fuzz_tables, "read_table", broken)
    assert len(fuzz_tables.fuzz(20)[1]) == 20


# What is read is what stands there --------------------------------------------------------------

words = st.text(st.sampled_from(list("abé,;\t|\"' \n0")), max_size=5)
COLUMNS = {
    "text": words.filter(lambda t: t.strip() == t and t.lower() not in MISSING),
    "whole": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "flag": st.booleans(),
    "day": st.dates(datetime.date(1, 1, 1)),
}


@st.composite
def tables(draw):
    """Draw names, kinds and rows; None stands for a gap."""
    kinds = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=2, max_size=4))
    cells = [st.none() | COLUMNS[kind] for kind in kinds]
    rows = draw(st.lists(st.tuples(*cells), min_size=1, max_size=8))
    return [f"n{i} {kind}" for i, kind in enumerate(kinds)], kinds, rows


def alike(kind, given, values):
    """Compare a column that was read with what was written."""
    if kind == "number" and any(v is not None for v in values):
        return all(
            g is v is None or (g is not None and float(g) == v)
            for g, v in zip(given, values, strict=True)
        )
    return list(given) == list(values)


@settings(max_examples=150, deadline=None)
@given(tables(), st.sampled_from(",;\t|"), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_a_table_of_pythons_csv_module(tmp_path_factory, table, delimiter, newline, all_quoted):
    """Gaps in, gaps out; every other value is the same, and in its own column."""
    names, kinds, rows = table
    if newline == "\r\n":  # within a text, too, they would be read as one
        rows = [tuple(v.replace("\r", "") if isinstance(v, str) else v for v in r) for r in rows]
    sink = io.StringIO()
    quoting = csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL
    writer = csv.writer(sink, delimiter=delimiter, lineterminator=newline, quoting=quoting)
    writer.writerows([names, *([said(value) for value in row] for row in rows)])
    path = tmp_path_factory.getbasetemp() / "drawn.csv"
    path.write_bytes(sink.getvalue().encode())
    rows = [row for row in rows if any(value is not None for value in row)]
    if not rows:
        return  # lines of delimiters alone may be skipped
    frame = read_table(path)
    assert frame.columns == names
    assert frame.height >= len(rows)
    gaps = [row for row in frame.rows() if any(value is not None for value in row)]
    for i, kind in enumerate(kinds):
        column = [row[i] for row in rows]
        if kind == "text" and looks_typed(column):
            continue
        assert alike(kind, [row[i] for row in gaps], column), (kind, column)


def said(value):
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def looks_typed(column):
    """Tell whether a column of texts may be numbers or flags: all in it begin like one."""
    return all(value is None or set(value) <= set("0,;. ") for value in column)


TYPES = {
    pa.int8(): st.integers(-128, 127), pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint16(): st.integers(0, 2**16 - 1), pa.float64(): st.floats(),
    pa.float32(): st.floats(width=32), pa.bool_(): st.booleans(),
    pa.string(): st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    pa.date32(): st.dates(), pa.timestamp("us"): st.datetimes(),
}  # fmt: skip
kinds = st.sampled_from(sorted(TYPES, key=str))


@settings(max_examples=100, deadline=None)
@given(st.lists(kinds, min_size=1, max_size=4), st.integers(1, 8), st.data())
def test_a_table_of_pyarrow(tmp_path_factory, types, height, data):
    """Every value of Parquet is the same, but for what texts and NaN mean as a gap."""
    columns = {
        f"n{i}": pa.array(
            data.draw(st.lists(st.none() | TYPES[kind], min_size=height, max_size=height)), kind
        )
        for i, kind in enumerate(types)
    }
    path = tmp_path_factory.getbasetemp() / "drawn.parquet"
    compression = data.draw(st.sampled_from(["none", "snappy", "zstd", "gzip"]))
    pq.write_table(pa.table(columns), path, compression=compression)
    frame = read_table(path)
    assert frame.columns == list(columns)
    for name, column in columns.items():
        assert frame[name].to_list() == [kept(value) for value in column.to_pylist()]


def kept(value):
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, str):
        return None if value.strip().lower() in MISSING else value.strip()
    return value
