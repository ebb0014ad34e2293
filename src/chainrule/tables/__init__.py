"""Tables: CSV and Parquet files in and out, as they are found in the world.

Polars does the parsing. What it would let pass in silence is looked at here first: the
delimiter, the encoding, the newlines, rows with too few fields, names that stand twice. Every
refusal is a TableError of one line that names the file, what was expected and what to do.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import os
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.files import write_whole
from chainrule.tables.delimited import TableError, clip, line_at, parse
from chainrule.tables.texts import clean, decimal_comma_columns, typed

if TYPE_CHECKING:
    import polars as pl

CALENDAR = -719_162, 2_932_896  # the days of the years 1 to 9999, from 1970 on
FOREIGN = {  # first bytes -> what the file is, for formats that are mistaken for tables
    b"PK\x03\x04": "a zip or Excel file (.xlsx)",
    b"\xd0\xcf\x11\xe0": "an Excel file (.xls)",
    b"ARROW1": "an Arrow (Feather) file",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"(\xb5/\xfd": "compressed with zstd",
    b"\x89HDF": "an HDF5 file",
    b"SQLite format": "an SQLite database",
    b"\x80\x04\x95": "a pickle",
    b"\x80\x05\x95": "a pickle",
}
MODEL = b'{"__metadata__":{"chainrule"'  # after the eight bytes of a length


def read_table(path: str | os.PathLike[str]) -> pl.DataFrame:
    r"""Read a CSV or Parquet file into a polars DataFrame.

    The format is told by the first bytes, not by the suffix. Of a CSV file (gzip or not; UTF-8,
    or UTF-16 with its mark) the delimiter is found (``,`` ``;`` tab ``|``) and the types are
    inferred over all rows: integers, numbers, true/false, ISO dates and datetimes, otherwise text.
    Numbers with a decimal comma are read where the delimiter leaves the comma free. Integers
    that 64 bits cannot hold, and digits with leading zeros, stay text: no digit is lost. Blanks
    around labels and names are stripped; "", NA, N/A, null, NaN, ? and - are missing. A first
    column without a name (as pandas and R write row labels) is named ``unnamed``.

    Parameters
    ----------
    path : path of the file; "-" is standard input

    Returns
    -------
    polars.DataFrame of integers, floats, booleans, text, dates, datetimes, times or durations

    Raises
    ------
    TableError
        When there is no table in the file, or part of it could only be guessed at.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "prices.csv")
    >>> _ = path.write_text("town; price\nBern;1,5\nZug ;NA\n")
    >>> read_table(path).to_dict(as_series=False)
    {'town': ['Bern', 'Zug'], 'price': [1.5, None]}
    """
    try:
        data = _unpacked(_bytes_of(path))
        return _from_parquet(data) if data.startswith(b"PAR1") else _from_csv(_as_utf8(data))
    except TableError as error:
        raise TableError(f"{_shown(path)}: {error}") from None


def write_table(frame: Any, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Write a data frame as CSV (``.csv``, ``.csv.gz``) or Parquet (``.parquet``).

    The file is written whole or not at all; an existing one only with `force`.

    Parameters
    ----------
    frame : a pandas, polars or pyarrow table, or any other eager frame that narwhals knows
    path : the file; its suffix says the format
    force : overwrite an existing file

    Raises
    ------
    TableError
        When the suffix is unknown or a column has no form in the format.
    OSError
        When the file exists, the folder is missing or the disk refuses.

    Examples
    --------
    >>> import pathlib, polars, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "scores.csv.gz")
    >>> write_table(polars.DataFrame({"score": [0.5, 1.5]}), path)
    >>> read_table(path)["score"].to_list()
    [0.5, 1.5]
    """
    name = Path(path).name.lower()
    if not name.endswith((".csv", ".csv.gz", ".parquet", ".pq")):
        raise TableError(f"{_shown(path)}: the suffix must be .csv, .csv.gz or .parquet")
    content = _content(frame, path, parquet=name.endswith((".parquet", ".pq")))
    # mtime=0: the same table gives the same bytes.
    content = gzip.compress(content, mtime=0) if name.endswith(".gz") else content
    write_whole(Path(path), content, force=force)


def _content(frame: Any, path: str | os.PathLike[str], *, parquet: bool) -> bytes:
    """What to write for a data frame."""
    import narwhals as nw

    try:
        table = nw.from_native(frame, eager_only=True)
    except TypeError:
        raise TableError(
            f"{_shown(path)}: expected a data frame (pandas, polars, pyarrow), got "
            f"{type(frame).__name__}"
        ) from None
    try:
        if not parquet:
            return _csv_bytes(table.write_csv(None), len(table.columns))
        sink = io.BytesIO()
        table.write_parquet(sink)
        return sink.getvalue()
    except Exception as error:
        raise TableError(f"{_shown(path)}: cannot be written ({_one_line(error)})") from None


def _csv_bytes(text: str, n_columns: int) -> bytes:
    """A missing value alone in its row would be a blank line: write it as ``""``."""
    if n_columns == 1:
        sink = io.StringIO()
        rows = (row or [""] for row in csv.reader(io.StringIO(text, newline="")))
        csv.writer(sink, lineterminator="\n").writerows(rows)
        text = sink.getvalue()
    return text.encode()


# Bytes: where they come from and what they are -----------------------------------------------


def _bytes_of(path: str | os.PathLike[str]) -> bytes:
    if os.fspath(path) == "-":
        return sys.stdin.buffer.read()
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise TableError(f"no such file{_near_files(Path(path))}") from None
    except IsADirectoryError:
        raise TableError("is a folder; name a CSV or Parquet file in it") from None
    except PermissionError:
        raise TableError("may not be read; ask for read permission (chmod +r)") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise TableError(f"cannot be read ({_one_line(error)})") from None


def _near_files(path: Path) -> str:
    try:
        names = os.listdir(path.parent)
    except OSError:
        return f"; the folder {_shown(path.parent)} does not exist either"
    close = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    return f"; near it: {', '.join(_shown(name) for name in close)}" if close else ""


def _unpacked(data: bytes) -> bytes:
    """Undo gzip, and refuse what is no table at all."""
    if data.startswith(b"\x1f\x8b"):
        try:
            data = gzip.decompress(data)
        except EOFError:
            raise TableError("the gzip file ends too early; copy or download it again") from None
        except (OSError, zlib.error) as error:
            raise TableError(f"the gzip file is damaged ({_one_line(error)})") from None
    for magic, what in FOREIGN.items():
        if data.startswith(magic):
            raise TableError(f"is {what}; save it as CSV (UTF-8) or Parquet")
    if data.startswith(MODEL, 8):
        raise TableError("is a chainrule model; expected a table: a CSV or Parquet file")
    if not data.strip():
        raise TableError("is empty; expected a line of column names, then rows")
    return data


def _as_utf8(data: bytes) -> bytes:
    """Return UTF-8 without a mark, every newline (CRLF, lone CR) written ``\\n``."""
    wide = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32",
            b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}  # fmt: skip
    encoding = next((name for mark, name in wide.items() if data.startswith(mark)), None)
    if encoding:
        try:
            data = data.decode(encoding).encode()
        except UnicodeError as error:
            raise TableError(f"is damaged {encoding.upper()} ({_one_line(error)})") from None
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if (nul := data.find(b"\0")) >= 0:
        hint = "looks like UTF-16 without its mark" if data[:1000].count(b"\0") > 1 else "is binary"
        line = line_at(data, nul)
        raise TableError(f"line {line} holds a NUL byte: the file {hint}; save it as UTF-8")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise TableError(
            f"line {line_at(data, error.start)} is not UTF-8 (byte 0x{data[error.start]:02x}); "
            "save the file as UTF-8, e.g. iconv -f latin1 -t utf-8"
        ) from None
    return data


def _from_csv(data: bytes) -> pl.DataFrame:
    """Parse into text, then give each column its type."""
    names, texts, delimiter = parse(data)
    texts = clean(texts)
    return _named(typed(texts, decimal_comma_columns(texts, delimiter)), names)


def _from_parquet(data: bytes) -> pl.DataFrame:
    import polars as pl

    if not data.endswith(b"PAR1"):
        raise TableError("the Parquet file ends too early; copy or download it again")
    try:
        with _panics_are_quiet():
            frame = pl.read_parquet(io.BytesIO(data))
    except (Exception, pl.exceptions.PanicException) as error:
        raise TableError(f"the Parquet file is damaged ({_one_line(error)})") from None
    names, frame.columns = frame.columns, [str(i) for i in range(frame.width)]
    if frame.height == 0:
        raise TableError("has no rows; expected at least one")
    refused = [
        f"{clip(name)!r} ({type(kind).__name__})"
        for name, kind in zip(names, frame.dtypes, strict=True)
        if kind.is_nested() or kind in (pl.Object, pl.Binary)
    ]
    if refused:
        raise TableError(
            f"column {', '.join(refused[:5])} holds no plain values; expected numbers, text, "
            "true/false or dates: unnest, convert or drop it"
        )
    _refuse_dates_of_no_calendar(frame, names)
    words = [pl.col(pl.Categorical, pl.Enum, pl.Null).cast(pl.String)]
    frame = frame.with_columns(*words, pl.col(pl.Decimal).cast(pl.Float64))
    texts = frame.select(pl.col(pl.String))
    frame = frame.with_columns(clean(texts)) if texts.width else frame
    return _named(frame.with_columns(pl.col(pl.Float32, pl.Float64).fill_nan(None)), names)


def _refuse_dates_of_no_calendar(frame: pl.DataFrame, names: list[str]) -> None:
    """Raise TableError for days that Python has no date for, which a damaged file can hold."""
    import polars as pl

    per_day = {"ms": 86_400 * 10**3, "us": 86_400 * 10**6, "ns": 86_400 * 10**9}
    for name, column in zip(names, frame.iter_columns(), strict=True):
        kind = column.dtype
        if kind == pl.Date or isinstance(kind, pl.Datetime):
            unit = per_day[kind.time_unit] if isinstance(kind, pl.Datetime) else 1
            if not (column.to_physical() // unit).drop_nulls().is_between(*CALENDAR).all():
                raise TableError(
                    f"column {clip(name)!r} holds dates outside of the years 1 to 9999;"
                    " correct or drop them"
                )


@contextmanager
def _panics_are_quiet() -> Iterator[None]:
    """Hold standard error back, where polars reports a panic in many lines before it raises it.

    What else was written there meanwhile is passed on.
    """
    with ExitStack() as stack:
        try:
            held = stack.enter_context(tempfile.TemporaryFile())
            shown = os.dup(2)
        except OSError:  # nowhere to keep it, or no standard error, as in a daemon
            yield
            return
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(shown, 2)
            os.close(shown)
            held.seek(0)
            if b"panicked at" not in (text := held.read()):
                os.write(2, text)


def _named(frame: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Give the columns their names, in order."""
    names = [name.strip() for name in names]
    blank = [position for position, name in enumerate(names) if not name]
    if blank and (blank != [0] or len(names) == 1):
        raise TableError(f"column {blank[-1] + 1} has no name; name every column in the first line")
    if blank:
        taken = set(names)
        free = (f"unnamed{number or ''}" for number in range(len(names) + 1))
        names[0] = next(name for name in free if name not in taken)
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        at = " and ".join(str(i + 1) for i, other in enumerate(names) if other == name)
        raise TableError(
            f"column name {clip(name)!r} stands {times} times (columns {clip(at)}); rename one"
        )
    frame.columns = names
    return frame


def _shown(path: str | os.PathLike[str]) -> str:
    text = os.fspath(path)
    if text == "-":
        return "standard input"
    return text if text and text.isprintable() else ascii(text)


def _one_line(error: BaseException) -> str:
    """The first sentence of someone else's error, on one line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return clip((text.strip() or type(error).__name__).splitlines()[0])
