"""Delimited text: records and fields, found before a parser may guess at them.

A parser fills a short row with nothing and lets a stray quote join two rows. So the records are
counted here first, over the whole file and as arrays: only where every row has as many fields as
the header do the bytes go to polars, and where quotes are irregular to the `csv` module.
"""

from __future__ import annotations

import contextlib
import csv
import io
import sys
from typing import TYPE_CHECKING, NoReturn

import numpy as np

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

DELIMITERS = "\t;|,"  # in this order where two of them fit equally well


class TableError(ValueError):
    """A table that cannot be read or written; the message is one line."""


def parse(data: bytes) -> tuple[list[str], pl.DataFrame, str]:
    r"""Split UTF-8 text with ``\n`` newlines into column names, columns of text and delimiter.

    Lines that hold nothing but blanks are skipped, save in a table of one column, where a blank
    line between others is a missing value.

    Raises TableError for a table without rows, rows with more or fewer fields than the header,
    a quote that is never closed, and a first line that holds values instead of names.

    >>> names, texts, delimiter = parse(b"a;b\n1;x\n2;y\n")
    >>> names, texts.rows(), delimiter
    (['a', 'b'], [('1', 'x'), ('2', 'y')], ';')
    """
    data = data.rstrip(b"\n") + b"\n"
    buffer = np.frombuffer(data, dtype=np.uint8)
    inside = _inside_quotes(buffer)
    starts, ends = _records(buffer, inside)
    delimiter = _delimiter(data, inside, starts, ends)
    if inside is not None and not _quotes_are_regular(buffer, delimiter):
        names, texts = _parsed_carefully(data, delimiter)
    else:
        names, texts = _parsed_by_polars(data, delimiter, inside, starts, ends)
    if texts.height == 0:
        raise TableError("has column names and no rows; expected at least one row of values")
    _refuse_values_as_names(names)
    return names, texts, delimiter


def _inside_quotes(buffer: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    """For each byte, whether a quoted field is open there; None where no quote stands at all."""
    quotes = buffer == ord('"')
    return np.logical_xor.accumulate(quotes) if quotes.any() else None


def _records(
    buffer: NDArray[np.uint8], inside: NDArray[np.bool_] | None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where each record starts and where its newline is, from the first that is not blank."""
    newline = buffer == ord("\n")
    if inside is not None:
        newline &= ~inside
    ends = np.flatnonzero(newline)
    if len(ends) == 0 or ends[-1] != len(buffer) - 1:  # a quote left open swallowed the last one
        ends = np.append(ends, len(buffer) - 1)
    starts = np.concatenate([[0], ends[:-1] + 1])
    blanks = int(np.argmax(buffer[starts] != ord("\n")))
    return starts[blanks:], ends[blanks:]


def _field_counts(
    data: bytes, delimiter: str, inside: NDArray[np.bool_] | None, starts: NDArray[np.intp]
) -> NDArray[np.int64]:
    hits = np.frombuffer(data, dtype=np.uint8) == ord(delimiter)
    if inside is not None:
        hits &= ~inside
    return np.add.reduceat(hits, starts, dtype=np.int64) + 1


def _delimiter(
    data: bytes,
    inside: NDArray[np.bool_] | None,
    starts: NDArray[np.intp],
    ends: NDArray[np.intp],
) -> str:
    """The delimiter that the most of the first 200 records repeat as often as the header has it.

    A delimiter the header does not have is none: then the table has a single column.
    """
    starts, ends = starts[:200], ends[:200]
    part = slice(int(starts[0]), int(ends[-1]) + 1)
    scores = {}
    for delimiter in DELIMITERS:
        counts = _field_counts(
            data[part], delimiter, None if inside is None else inside[part], starts - starts[0]
        )
        if counts[0] > 1:
            scores[delimiter] = float(np.mean(counts == counts[0]))
    return max(scores, key=lambda delimiter: scores[delimiter], default=",")


def _quotes_are_regular(buffer: NDArray[np.uint8], delimiter: str) -> bool:
    """Whether quotes only open at a field's start and only close at its end (or are doubled)."""
    at = np.flatnonzero(buffer == ord('"'))
    if len(at) % 2:
        return False
    edges = np.array([ord("\n"), ord(delimiter), ord('"')], dtype=np.uint8)
    before = buffer[np.maximum(at[0::2] - 1, 0)]
    after = buffer[at[1::2] + 1]  # the data ends with a newline, so there is a byte after
    opened_well = np.isin(before, edges) | (at[0::2] == 0)
    # A quote right before an opening one must be the closing one it doubles.
    doubled = before == ord('"')
    doubled[0] = False
    doubled[1:] &= at[2::2] - 1 == at[1:-1:2]
    opened_well &= doubled | (before != ord('"')) | (at[0::2] == 0)
    return bool(opened_well.all() and np.isin(after, edges).all())


def _parsed_by_polars(
    data: bytes,
    delimiter: str,
    inside: NDArray[np.bool_] | None,
    starts: NDArray[np.intp],
    ends: NDArray[np.intp],
) -> tuple[list[str], pl.DataFrame]:
    """Names, and a frame of text; for regular quotes."""
    import polars as pl

    if len(starts) == 1:
        raise TableError("has a single line; expected a line of column names, then rows")
    header = io.StringIO(data[starts[0] : ends[0]].decode(), newline="")
    names = _csv_rows(header, delimiter)[0][1]
    counts = _field_counts(data, delimiter, inside, starts)[1:]
    keep = np.ones(len(data), dtype=bool)
    keep[: starts[1]] = False
    rows = len(counts)
    for odd in np.flatnonzero(counts != len(names)) + 1:
        start, end = starts[odd], ends[odd]
        if data[start:end].strip():
            _refuse_ragged(line_at(data, start), int(counts[odd - 1]), len(names))
        keep[start : end + 1] = False
        rows -= 1
    body = np.frombuffer(data, dtype=np.uint8)[keep].tobytes()
    if not body:
        return names, pl.DataFrame()
    try:
        texts = pl.read_csv(
            io.BytesIO(body), has_header=False, infer_schema=False, separator=delimiter
        )
    except pl.exceptions.PolarsError:
        texts = pl.DataFrame()
    if texts.shape != (rows, len(names)):  # polars and the count above disagree: look closely
        return _parsed_carefully(data, delimiter)
    return names, texts


def _parsed_carefully(data: bytes, delimiter: str) -> tuple[list[str], pl.DataFrame]:
    """Names, and a frame of text, for irregular quotes: field by field, by the `csv` module."""
    import polars as pl

    records = _csv_rows(io.StringIO(data.decode(), newline=""), delimiter)
    width = len(records[0][1])
    rows = [(line, row or [""]) for line, row in records[1:]]
    rows = [(line, row) for line, row in rows if width == 1 or any(map(str.strip, row)) or row[1:]]
    for line, row in rows:
        if len(row) != width:
            _refuse_ragged(line, len(row), width)
    schema = [(str(position), pl.String) for position in range(width)]
    return records[0][1], pl.DataFrame([row for _, row in rows], schema=schema, orient="row")


def _csv_rows(text: io.StringIO, delimiter: str) -> list[tuple[int, list[str]]]:
    """Each record with the line it starts at."""
    limit = csv.field_size_limit(sys.maxsize)  # the module's own is 128 KB for a field
    reader = csv.reader(text, delimiter=delimiter, strict=True, skipinitialspace=True)
    rows: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for row in reader:
            if row or rows:
                rows.append((line, row))
            line = reader.line_num + 1
    except csv.Error as error:
        if "unexpected end" in str(error):
            raise TableError(
                f"line {line} opens a quote that is never closed; close it, or double it if it "
                "belongs to the text"
            ) from None
        raise TableError(
            f"line {line}: {error}; write a quote inside a quoted field as two quotes"
        ) from None
    finally:
        csv.field_size_limit(limit)
    return rows


def _refuse_ragged(line: int, found: int, expected: int) -> NoReturn:
    raise TableError(
        f"line {line} has {found} field{'s' * (found != 1)}, the line of column names has "
        f"{expected}; quote fields that hold the delimiter, or complete the row"
    )


def _refuse_values_as_names(names: list[str]) -> None:
    """A first line of unordered numbers is a row of a table without column names."""
    numbers = []
    for name in names:
        with contextlib.suppress(ValueError):
            numbers.append(float(name))
    steps = np.sign(np.diff(numbers))
    whole = all(number.is_integer() for number in numbers)
    # Years, wavelengths and pandas' 0, 1, 2, … are names, and come in order.
    if len(numbers) > 1 and not (np.all(steps > 0) or (whole and np.all(steps < 0))):
        raise TableError(
            f"the first line holds values ({clip(', '.join(names))}), not column names; "
            "put a line of column names before it"
        )


def line_at(data: bytes, position: int) -> int:
    """The number of the line that holds the byte at `position`, from 1."""
    return data.count(b"\n", 0, position) + 1


def clip(text: str) -> str:
    """Shorten what is quoted in a message."""
    return text if len(text) <= 60 else text[:57] + "..."
