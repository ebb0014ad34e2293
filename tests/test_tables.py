"""Tables: every way a file is found in the world is read right or refused in one line."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import os
import sys
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.tables import read_table, write_table
from chainrule.tables.delimited import TableError, parse

Read = Callable[..., dict[str, list[Any]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write bytes to a file, read the table in it, return its columns as lists."""

    def read_bytes(content: bytes | str, name: str = "table.csv") -> dict[str, list[Any]]:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_table(path).to_dict(as_series=False)

    return read_bytes


def refusal(path: Any) -> str:
    """The one line that read_table refuses with; it names the path."""
    with pytest.raises(TableError) as caught:
        read_table(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    assert caught.value.__suppress_context__
    return message


PLAIN = {"a": [1, 2], "b": ["x", "y"]}
SAME_TABLE = {
    "plain": b"a,b\n1,x\n2,y\n",
    "no newline at the end": b"a,b\n1,x\n2,y",
    "CRLF": b"a,b\r\n1,x\r\n2,y\r\n",
    "lone CR": b"a,b\r1,x\r2,y\r",
    "mixed newlines": b"a,b\r\n1,x\r2,y\n",
    "UTF-8 mark": b"\xef\xbb\xbfa,b\n1,x\n2,y\n",
    "UTF-16": "a,b\n1,x\n2,y\n".encode("utf-16"),
    "UTF-16, big end first": b"\xfe\xff" + "a,b\r\n1,x\r\n2,y".encode("utf-16-be"),
    "UTF-32": "a,b\n1,x\n2,y\n".encode("utf-32"),
    "semicolons": b"a;b\n1;x\n2;y\n",
    "tabs": b"a\tb\n1\tx\n2\ty\n",
    "bars": b"a|b\n1|x\n2|y\n",
    "blanks": b" a , b \n 1 ,  x\n2,y  \n",
    "blank lines": b"\n\na,b\n\n1,x\n   \n2,y\n\n\n",
    "quoted": b'"a","b"\n"1","x"\n"2","y"\n',
    "blanks before quotes": b'a, "b"\n1, "x"\n2, "y"\n',
    "gzip": gzip.compress(b"a,b\n1,x\n2,y\n"),
}


@pytest.mark.parametrize("content", SAME_TABLE.values(), ids=SAME_TABLE)
def test_one_table_in_many_forms(read: Read, content: bytes) -> None:
    assert read(content) == PLAIN
    assert read(content, "no suffix") == PLAIN


@pytest.mark.parametrize("name", ["two words.csv", "größe-表-🙂.csv", "-leading.csv", "~x", "a.b"])
def test_paths_that_shells_dislike(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert read(SAME_TABLE["plain"], name) == PLAIN
    monkeypatch.chdir(tmp_path)
    assert read_table(name).to_dict(as_series=False) == PLAIN


def test_standard_input_and_pipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO(SAME_TABLE["gzip"])

    monkeypatch.setattr(sys, "stdin", Stdin)
    assert read_table("-").to_dict(as_series=False) == PLAIN
    if hasattr(os, "mkfifo"):
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_bytes, args=(SAME_TABLE["plain"],))
        writer.start()
        assert read_table(pipe).to_dict(as_series=False) == PLAIN
        writer.join()


COLUMNS: dict[str, tuple[list[str], list[Any]]] = {
    "integers": (["1", "-2", "+3"], [1, -2, 3]),
    "the last 64-bit integer": (["9223372036854775807", "1"], [2**63 - 1, 1]),
    "integers beyond 64 bits": (["9223372036854775808", "1"], ["9223372036854775808", "1"]),
    "numbers": (["1", "2.5", "1e3", ".5"], [1.0, 2.5, 1000.0, 0.5]),
    "largest and smallest": (["1e308", "5e-324"], [1e308, 5e-324]),
    "missing": (["1", "NA", "N/A", "null", "NaN", "nan", "?", "-", '""', " "], [1, *[None] * 9]),
    "negative is not missing": (["-1", "-"], [-1, None]),
    "all missing": (["NA", "?"], [None, None]),
    "text late": ([*map(str, range(1000)), "x"], [*map(str, range(1000)), "x"]),
    "float late": ([*["1"] * 1000, "0.5"], [*[1.0] * 1000, 0.5]),
    "missing first": ([*["NA"] * 1000, "2"], [*[None] * 1000, 2]),
    "flags": (["true", "False", "TRUE", "NA"], [True, False, True, None]),
    "flags and 0/1": (["true", "0", "1"], [True, False, True]),
    "postcodes": (["01234", "80331"], ["01234", "80331"]),
    "zero": (["0", "0.5", "-0"], [0.0, 0.5, -0.0]),
    "dates": (["2024-02-29", "NA"], [datetime.date(2024, 2, 29), None]),
    "German dates": (["29.02.2024", "1.3.2024"], [
        datetime.date(2024, 2, 29), datetime.date(2024, 3, 1)]),
    "no such date": (["2023-02-29", "2024-01-01"], ["2023-02-29", "2024-01-01"]),
    "ambiguous dates": (["01/02/2020", "02/01/2020"], ["01/02/2020", "02/01/2020"]),
    "short years": (["12-01-05", "13-01-05"], ["12-01-05", "13-01-05"]),
    "times": (["2024-01-01T10:00:00", "2024-01-01T10:00:00.5"], [
        datetime.datetime(2024, 1, 1, 10), datetime.datetime(2024, 1, 1, 10, 0, 0, 500_000)]),
    "times with zones": (["2024-01-01 10:00:00+02:00"], [
        datetime.datetime(2024, 1, 1, 8, tzinfo=datetime.UTC)]),
    "times without seconds": (["2024-01-01 10:30"], [datetime.datetime(2024, 1, 1, 10, 30)]),
    "underscores": (["1_000", "2"], ["1_000", "2"]),
    "other digits": (["٣", "4"], ["٣", "4"]),
}  # fmt: skip


@pytest.mark.parametrize(("texts", "values"), COLUMNS.values(), ids=COLUMNS)
@pytest.mark.parametrize("copies", [1, 300])
def test_types(read: Read, texts: list[str], values: list[Any], copies: int) -> None:
    """Alone, and in a wide table, which takes another way."""
    names = [f"c{i}" for i in range(copies)]
    lines = [",".join(["key", *names])] + [",".join(["k", *[t] * copies]) for t in texts]
    table = read("\n".join(lines))
    for name in names:
        assert table[name] == values
        assert [type(v) for v in table[name]] == [type(v) for v in values]


DECIMALS = {
    "semicolons": ("a;b\n1,5;x\n-2;y,z\n", {"a": [1.5, -2.0], "b": ["x", "y,z"]}),
    "thousands": ("a;b\n1.234,5;1.234\n2;999\n", {"a": [1234.5, 2.0], "b": [1234.0, 999.0]}),
    "point beside comma": ("a;b\n1,5;0.5\n2,5;1.234\n", {"a": [1.5, 2.5], "b": [0.5, 1.234]}),
    "points only": ("a;b\n1.5;1.234\n2;3.456\n", {"a": [1.5, 2.0], "b": [1.234, 3.456]}),
    "commas in names": ("x, m;y, kg\n1,5;2,5\n", {"x, m": [1.5], "y, kg": [2.5]}),
    "tabs": ("a\tb\n3,14\tx\n1\ty\n", {"a": [3.14, 1.0], "b": ["x", "y"]}),
    "tabs, unclear": ("a\tb\n1,234\tx\n", {"a": ["1,234"], "b": ["x"]}),
    "bare": ("a;b\n,5;1\n", {"a": [0.5], "b": [1]}),
}


@pytest.mark.parametrize(("text", "table"), DECIMALS.values(), ids=DECIMALS)
def test_decimal_commas(read: Read, text: str, table: dict[str, list[Any]]) -> None:
    assert read(text) == table


QUOTES = {
    "newline inside": ('a,b\n"x\ny",1\n', {"a": ["x\ny"], "b": [1]}),
    "delimiter inside": ('a,b\n"x,y",1\n', {"a": ["x,y"], "b": [1]}),
    "doubled": ('a,b\n"say ""hi""",1\n"""",2\n"""a""",3\n', {
        "a": ['say "hi"', '"', '"a"'], "b": [1, 2, 3]}),
    "inches": ('a,b\n5" pipe,1\n6" pipe,2\n', {"a": ['5" pipe', '6" pipe'], "b": [1, 2]}),
    "an inch": ('a,b\n5" pipe,1\n6,2\n', {"a": ['5" pipe', "6"], "b": [1, 2]}),
    "in the header": ('"a\nb","c,d"\n1,2\n', {"a\nb": [1], "c,d": [2]}),
    "quoted newline early": ('a,b\n"\n",1\n"\n\n",2\n', {"a": [None, None], "b": [1, 2]}),
}  # fmt: skip


@pytest.mark.parametrize(("text", "table"), QUOTES.values(), ids=QUOTES)
def test_quotes(read: Read, text: str, table: dict[str, list[Any]]) -> None:
    assert read(text) == table


def test_one_column(read: Read) -> None:
    """Without a delimiter in its first line a table has one column; a blank line is a gap."""
    assert read("a\n1\n\n3\n\n\n") == {"a": [1, None, 3]}
    assert read("a\nx;y\nz\n") == {"a": ["x;y", "z"]}


def test_unnamed_first_column(read: Read) -> None:
    frame = pd.DataFrame({"a": [1, 2]}, index=["u", "v"])
    assert read(frame.to_csv()) == {"unnamed": ["u", "v"], "a": [1, 2]}
    assert list(read(",unnamed\n1,2\n")) == ["unnamed1", "unnamed"]


def test_names_that_are_numbers(read: Read) -> None:
    assert list(read("0,1,2\n5,6,7\n")) == ["0", "1", "2"]
    assert list(read("land,2020,2019\nx,6,7\n")) == ["land", "2020", "2019"]
    assert list(read("400.5,401.0\n6,7\n")) == ["400.5", "401.0"]


REFUSED = {
    "empty": (b"", "is empty"),
    "blank": (b"\n \n", "is empty"),
    "header only": (b"a,b\n", "expected a line of column names, then rows"),
    "one long line": (b"x" * 1_000_000, "single line"),
    "gzip of nothing": (gzip.compress(b""), "is empty"),
    "truncated gzip": (gzip.compress(os.urandom(5000))[:-100], "ends too early"),
    "damaged gzip": (gzip.compress(b"a,b\n1,2\n")[:-8] + b"12345678", "damaged"),
    "NUL": (b"a,b\n1,x\0\n", "line 2 holds a NUL byte"),
    "UTF-16 without mark": ("a,b\n1,x\n".encode("utf-16-le"), "UTF-16"),
    "damaged UTF-16": (b"\xff\xfea\0\x00\xd8", "damaged UTF-16"),
    "Latin-1": ("a,b\n1,x\n2,Zürich\n".encode("latin-1"), "line 3 is not UTF-8 (byte 0xfc)"),
    "short row": (b"a,b,c\n1,2,3\n\n4,5\n", "line 4 has 2 fields, the line of column names has 3"),
    "long row": (b"a,b\n1,2\n4,5,6\n", "line 3 has 3 fields"),
    "long row in one column": (b"a\n1\n4,5\n", "line 3 has 2 fields"),
    "short row after a quoted newline": (b'a,b\n"x\ny",2\n4\n', "line 4 has 1 field,"),
    "short row beside an inch": (b'a,b\n5",2\n4\n', "line 3 has 1 field,"),
    "unbalanced quote": (b'a,b\n1,"x\n2,y\n', "line 2 opens a quote that is never closed"),
    "unbalanced quote at the end": (b'a,b\n1,x\n2,"', "line 3 opens a quote"),
    "text after a quote": (b'a,b\n1,"x"y\n', "line 2"),
    "duplicate names": (b"a,b,a\n1,2,3\n", "column name 'a' stands 2 times (columns 1 and 3)"),
    "duplicate after blanks": (b"a, a\n1,2\n", "'a' stands 2 times"),
    "blank name": (b"a,,c\n1,2,3\n", "column 2 has no name"),
    "no name at all": (b'""\n1\n', "has no name"),
    "iris without names": (b"5.1,3.5,1.4,0.2,setosa\n4.9,3,1.4,0.2,setosa\n", "not column names"),
    "integers without names": (b"6,148,72\n1,85,66\n", "not column names"),
    "Excel": (b"PK\x03\x04rest", "Excel"),
    "pickle": (b"\x80\x04\x95rest", "pickle"),
}


@pytest.mark.parametrize(("content", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    message = refusal(path)
    assert reason in message
    assert message.startswith(str(path))


def test_no_file(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_bytes(b"a\n1\n")
    assert "near it: prices.csv" in refusal(tmp_path / "price.csv")
    assert "no such file" in refusal(tmp_path / "qqqqqqqq")
    assert "does not exist either" in refusal(tmp_path / "no" / "file.csv")
    assert "is a folder" in refusal(tmp_path)
    assert "cannot be read" in refusal("a\0b")
    assert "\\n" in refusal(tmp_path / "a\nb")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "secret.csv"
    path.write_bytes(b"a\n1\n")
    path.chmod(0)
    assert "permission" in refusal(path)


def test_permission_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no(*args: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", no)
    assert "ask for read permission" in refusal(tmp_path / "a.csv")


def test_wide_table(read: Read) -> None:
    """20,000 columns, each with its own type."""
    names = [f"c{i}" for i in range(20_000)]
    rows = [[("1", "x", "0.5")[i % 3] for i in range(20_000)]] * 3
    table = read("\n".join(",".join(row) for row in [names, *rows]))
    assert list(table) == names
    assert [table[f"c{i}"][2] for i in range(3)] == [1, "x", 0.5]


def test_long_field(read: Read) -> None:
    """Longer than the limit of the csv module, on both ways."""
    text = "y" * 300_000
    assert read(f"a,b\n1,{text}\n") == {"a": [1], "b": [text]}
    assert read(f'a,b\n1","{text}"\n') == {"a": ['1"'], "b": [text]}
    assert csv.field_size_limit() == 131_072


cells = st.text(
    st.sampled_from(list("ab1.,;\t|\"'\n é表-#")), max_size=6
).map(lambda text: text if text.strip() else "z")  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.integers(2, 4).flatmap(
        lambda w: st.lists(st.lists(cells, min_size=w, max_size=w), min_size=1, max_size=6)
    ),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)  # fmt: skip
def test_fields_are_those_of_the_csv_module(
    rows: list[list[str]], delimiter: str, newline: str, quoting: Any
) -> None:
    """Whatever Python's csv module writes comes back, field by field."""
    sink = io.StringIO()
    names = [f"n{i}" for i in range(len(rows[0]))]
    csv.writer(sink, delimiter=delimiter, lineterminator=newline, quoting=quoting).writerows(
        [names, *rows]
    )
    text = sink.getvalue().replace("\r\n", "\n")
    found, texts, sign = parse(text.encode())
    assert (found, sign) == (names, delimiter)
    assert [[c or "" for c in row] for row in texts.rows()] == rows


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from(list('a1",\n ')), max_size=30))
def test_polars_and_csv_agree_or_it_is_refused(text: str) -> None:
    """No arrangement of quotes is read in silence as something else."""
    try:
        _, texts, _ = parse(("h,g\n" + text + "\n").encode())
    except TableError:
        return
    reader = csv.reader(io.StringIO(text), strict=True, skipinitialspace=True)
    truth = [row for row in reader if len(row) > 1 or "".join(row).strip()]
    assert [[(c or "").strip() for c in row] for row in texts.rows()] == [
        [c.strip() for c in row] for row in truth
    ]


# Parquet -------------------------------------------------------------------------------------


def parquet(frame: pl.DataFrame) -> bytes:
    sink = io.BytesIO()
    frame.write_parquet(sink)
    return sink.getvalue()


def test_parquet_types(read: Read) -> None:
    day, moment = datetime.date(2024, 1, 2), datetime.datetime(2024, 1, 2, 3)
    frame = pl.DataFrame({
        " name ": pl.Series([" x", "NA"]),
        "category": pl.Series(["a", None], dtype=pl.Categorical),
        "enum": pl.Series(["a", "b"], dtype=pl.Enum(["b", "a", "c"])),
        "decimal": pl.Series([Decimal("1.50"), None], dtype=pl.Decimal(10, 2)),
        "day": [day, None], "moment": [moment, None], "n": [1, None], "x": [0.5, float("nan")],
        "flag": [True, None], "empty": pl.Series([None, None]),
        "^regex.*$": [1, 2],
    })  # fmt: skip
    table = read(parquet(frame), "no-suffix")
    assert table == {
        "name": ["x", None], "category": ["a", None], "enum": ["a", "b"], "decimal": [1.5, None],
        "day": [day, None], "moment": [moment, None], "n": [1, None], "x": [0.5, None],
        "flag": [True, None], "empty": [None, None], "^regex.*$": [1, 2],
    }  # fmt: skip


def test_parquet_dictionary_of_pyarrow(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    write_table(pa.table({"c": pa.array(["u", "v", "u"]).dictionary_encode()}), path)
    assert read_table(path).schema == {"c": pl.String}
    assert read_table(path)["c"].to_list() == ["u", "v", "u"]


@pytest.mark.parametrize(
    "values", [[[1], [2]], [{"u": 1}, {"u": 2}], [b"x", b"y"]], ids=["list", "struct", "binary"]
)
def test_parquet_nested(tmp_path: Path, values: list[Any]) -> None:
    path = tmp_path / "n.parquet"
    path.write_bytes(parquet(pl.DataFrame({"good": [1, 2], "bad one": values})))
    assert "'bad one'" in refusal(path)
    assert "good" not in refusal(path)


def test_parquet_damaged(tmp_path: Path) -> None:
    whole = parquet(pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", None]}))
    path = tmp_path / "t.parquet"
    for end in range(5, len(whole), 7):
        path.write_bytes(whole[:end])
        assert "ends too early" in refusal(path)
    path.write_bytes(whole[:4] + b"\xff" * (len(whole) - 12) + whole[-8:])
    assert "damaged" in refusal(path)
    path.write_bytes(parquet(pl.DataFrame({"a": pl.Series([], dtype=pl.Int64)})))
    assert "no rows" in refusal(path)


# Writing -------------------------------------------------------------------------------------

TABLE = {"n": [1, None], "x": [0.1, 1e308], "t": ['a "b", c', "d\ne"], "f": [True, False]}


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".PARQUET"])
@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame, pa.table])
def test_written_and_read(tmp_path: Path, suffix: str, library: Any) -> None:
    path = tmp_path / f"out{suffix}"
    write_table(library(TABLE), path)
    assert read_table(path).to_dict(as_series=False) == TABLE
    assert os.listdir(tmp_path) == [path.name]
    with pytest.raises(FileExistsError):
        write_table(library(TABLE), path)
    before = path.read_bytes()
    write_table(library(TABLE), path, force=True)
    assert path.read_bytes() == before


def test_gaps_in_a_single_column(tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    for values in ([1, None, 3, None], [None, 1], ["a\n\nb", None]):
        write_table(pl.DataFrame({"a": values}), path, force=True)
        assert read_table(path)["a"].to_list() == values


def test_not_written(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1]})
    with pytest.raises(TableError, match="suffix"):
        write_table(frame, tmp_path / "out.xlsx")
    with pytest.raises(TableError, match="expected a data frame"):
        write_table(np.ones((2, 2)), tmp_path / "out.csv")
    with pytest.raises(TableError, match="cannot be written"):
        write_table(pl.DataFrame({"a": [[1]]}), tmp_path / "out.csv")
    with pytest.raises(FileNotFoundError):
        write_table(frame, tmp_path / "no" / "out.csv")
    assert os.listdir(tmp_path) == []
