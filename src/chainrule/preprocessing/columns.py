"""Columns: any table's columns as plain arrays of a few kinds, whatever library holds them.

pandas, polars and pyarrow frames come in through narwhals, arrays and lists through NumPy. What
comes out is one of: numbers, flags, durations and times as float64 (NaN where missing; times are
seconds since 1970 UTC), or clean text.
"""

from __future__ import annotations

import datetime
import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from chainrule.tables.texts import clean, typed

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

HELD = {  # kind -> the word for it in messages
    "number": "numbers",
    "flag": "true/false",
    "duration": "durations",
    "time": "dates",
    "text": "text",
    "category": "categories",
}


@dataclass(frozen=True)
class Column:
    """One column: its name (x0, x1, … in an array), its kind, and values (n,)."""

    name: str
    kind: str
    values: Any  # float64 array with NaN; for text and category a polars Series of text

    @property
    def label(self) -> str:
        """What messages call the column."""
        return f"column {self.name!r}"

    def where(self, rows: NDArray[np.bool_]) -> Column:
        """Return the column of these rows."""
        text = self.kind in ("text", "category")
        return Column(self.name, self.kind, self.values.filter(rows) if text else self.values[rows])

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Where no value stands."""
        if self.kind in ("text", "category"):
            return np.asarray(self.values.is_null().to_numpy(), dtype=bool)
        return np.asarray(np.isnan(self.values), dtype=bool)


def read_series(name: str, series: Any) -> Column:
    """Read a narwhals Series.

    >>> import narwhals as nw, polars as pl
    >>> read_series("a", nw.from_native(pl.Series([1, None]), series_only=True)).values
    array([ 1., nan])
    """
    import narwhals as nw

    kind = series.dtype
    if isinstance(kind, nw.Decimal):
        series = series.cast(nw.Float64)
    elif isinstance(kind, nw.Datetime | nw.Date):
        return Column(name, "time", _floats(series.dt.timestamp("us")) / 1e6)
    elif isinstance(kind, nw.Duration):
        return Column(name, "duration", _floats(series.dt.total_microseconds()) / 1e6)
    elif isinstance(kind, nw.String):
        return Column(name, "text", _text(_texts_of(series)))
    elif isinstance(kind, nw.Categorical | nw.Enum):
        return Column(name, "category", _text(_texts_of(series)))
    elif isinstance(kind, nw.List | nw.Array | nw.Struct | nw.Binary):
        _refuse_nested(name, str(kind))
    elif isinstance(kind, nw.Boolean | nw.Time | nw.Object):
        return _read_objects(name, series.to_list())
    return read_array(name, np.asarray(series.to_numpy()))


def read_array(name: str, values: NDArray[Any]) -> Column:
    """Read one column of an array.

    >>> read_array("a", np.array([True, False])).kind
    'flag'
    """
    kind = values.dtype.kind
    if kind == "c":
        raise ValueError(
            f"Complex data not supported: column {name!r}; split real and imaginary parts"
        )
    if kind in "biuf":
        with np.errstate(over="ignore"):  # a long double beyond float64 is refused as infinite
            return Column(name, "flag" if kind == "b" else "number", values.astype(np.float64))
    if kind in "Mm":
        seconds = values.astype(f"{kind}8[us]")
        floats = np.where(np.isnat(seconds), np.nan, seconds.astype(np.int64) / 1e6)
        return Column(name, "time" if kind == "M" else "duration", floats)
    return _read_objects(name, values.tolist())


def settled(column: Column) -> Column:
    """Read text as numbers, true/false or times where all of it can be read so.

    >>> settled(read_array("a", np.array(["1", " 2.5", "NA"]))).values
    array([1. , 2.5, nan])
    """
    if column.kind != "text" or column.missing.all():
        return column
    series = typed(column.values.to_frame(), exact=False).to_series()
    if series.dtype.is_numeric():
        return Column(column.name, "number", _floats(series))
    if series.dtype.is_temporal():
        return Column(column.name, "time", _floats(series.dt.timestamp("us")) / 1e6)
    if str(series.dtype) == "Boolean":
        return Column(column.name, "flag", _floats(series.cast(int)))
    return column


def as_kind(column: Column, kind: str) -> Any:
    """Return the values as `kind` holds them; raise where the column cannot be that.

    >>> as_kind(read_array("a", np.array(["true", None], dtype=object)), "flag")
    array([ 1., nan])
    """
    wanted = "text" if kind == "category" else kind
    given = "text" if column.kind == "category" else column.kind
    if wanted == given:
        values = column.values
    elif column.missing.all():
        values = np.full(len(column.values), np.nan)
        values = values if wanted != "text" else _text([None] * len(values))
    elif wanted == "text" and given in ("number", "flag"):
        values = _labels_of_floats(column.values, given == "flag")
    elif given == "text":
        values = _parsed(column, wanted)
    elif {wanted, given} == {"number", "flag"}:
        values = column.values
        odd = values[~np.isnan(values) & (values != 0) & (values != 1)]
        if wanted == "flag" and len(odd):
            _refuse_kind(column, wanted, f"{odd[0]:g}")
    else:
        _refuse_kind(column, wanted, None)
    if wanted != "text" and (infinite := np.isinf(values)).any():
        raise ValueError(
            f"{column.label} holds infinite numbers: {int(infinite.sum())}, the first in row "
            f"{int(np.argmax(infinite))} (counted from 0); replace them, or mark them missing"
        )
    return values


def _parsed(column: Column, wanted: str) -> NDArray[np.float64]:
    """Text as numbers, flags or times; the first value that is none is named."""
    import polars as pl

    texts: pl.Series = column.values
    if wanted in ("number", "duration"):
        values = _floats(texts.cast(pl.Float64, strict=False))
    else:
        narrow = settled(column)
        if narrow.kind == "number" and wanted == "flag":
            return np.asarray(as_kind(narrow, wanted))
        if narrow.kind != wanted:
            _refuse_kind(column, wanted, _odd_one(texts.drop_nulls(), wanted))
        return np.asarray(narrow.values)
    failed = np.isnan(values) & ~column.missing
    if failed.any():
        _refuse_kind(column, wanted, texts[int(np.argmax(failed))])
    return values


def _odd_one(texts: pl.Series, wanted: str) -> Any:
    """The first of the first thousand different texts that is not `wanted`."""
    different = texts.unique(maintain_order=True).head(1000)
    singly = (settled(Column("", "text", different[i : i + 1])) for i in range(len(different)))
    for one, text in zip(singly, different, strict=True):
        if one.kind != wanted and not (
            wanted == "flag" and one.kind == "number" and one.values[0] in (0, 1)
        ):
            return text
    return texts[0]


def _refuse_kind(column: Column, wanted: str, value: str | None) -> NoReturn:
    example = f" (such as {value[:40]!r})" if value is not None else ""
    raise ValueError(
        f"{column.label} held {HELD[wanted]} when the encoder was fitted and holds "
        f"{HELD[column.kind]}{example} now; give it the same kind of values"
    )


def _refuse_nested(name: str, what: str) -> NoReturn:
    raise TypeError(
        f"column {name!r} holds {what} values: argument must be a string or a number, a flag, "
        "a date or missing; unnest or drop the column"
    )


# Tables: frames and arrays ----------------------------------------------------------------


def name_of(name: str | None, place: int) -> str:
    """The name of a column; where it has none, scikit-learn's x0, x1, …"""
    return f"x{place}" if name is None else name


def as_frame(X: Any) -> Any:
    """X as a narwhals DataFrame with at least one row and column, or None where it is no frame."""
    import narwhals as nw

    if hasattr(X, "collect"):
        raise TypeError("X is a lazy frame; collect() it first")
    try:
        frame = nw.from_native(X, eager_only=True, pass_through=True)
    except nw.exceptions.DuplicateError as error:
        raise ValueError(f"column names must differ: {' '.join(str(error).split())}") from None
    if not isinstance(frame, nw.DataFrame):
        return None
    for size, what in zip(frame.shape, ("sample", "feature"), strict=True):
        if size == 0:
            raise ValueError(
                f"Found table with 0 {what}(s) (shape={frame.shape}) while a minimum of 1 is "
                "required."
            )
    return frame


def names_of(frame: Any) -> list[str | None]:
    """The column names; as in scikit-learn, only text is a name."""
    names = list(frame.columns)
    texts = sum(isinstance(name, str) for name in names)
    if 0 < texts < len(names):
        raise TypeError("column names are text and other things; make all of them text")
    return names if texts else [None] * len(names)


def as_array(X: Any) -> Any:
    """Keep what NumPy would lose: masks, and numbers in a row beside text."""
    if isinstance(X, np.ma.MaskedArray):
        objects = X.data.astype(object)
        objects[np.ma.getmaskarray(X)] = None
        return objects
    if isinstance(X, list | tuple):
        try:
            array = np.asarray(X)
        except ValueError:
            raise ValueError(
                "the rows of X differ in length; expected a table (n, columns)"
            ) from None
        return np.array(X, dtype=object) if array.dtype.kind in "USMm" else array
    return X


def array_columns(X: NDArray[Any]) -> list[Column]:
    """Read every column of a 2-D array."""
    return [read_array(name_of(None, i), X[:, i]) for i in range(X.shape[1])]


# Objects: what a list of anything holds ------------------------------------------------------


def _sort_of(kind: type) -> str:
    """Sort a Python type."""
    if kind.__name__ in ("NoneType", "NAType", "NaTType", "MaskedConstant"):
        return "missing"
    families: dict[str, tuple[type, ...]] = {
        "flag": (bool, np.bool_),
        "number": (numbers.Real, Decimal),
        "complex": (numbers.Complex,),
        "nested": (dict, list, tuple, set, frozenset, np.ndarray),
        "time": (datetime.date, np.datetime64),
        "duration": (datetime.timedelta, np.timedelta64, datetime.time),
    }
    # NumPy's timedelta64 is registered as a number: look for it first.
    if issubclass(kind, np.timedelta64):
        return "duration"
    if kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__:
        return "nested"  # its text would be an address in memory
    return next((sort for sort, types in families.items() if issubclass(kind, types)), "text")


def _read_objects(name: str, values: Sequence[Any]) -> Column:
    """Read Python objects; numbers and words mixed are words."""
    sorts = {kind: _sort_of(kind) for kind in set(map(type, values))}
    values = [None if sorts[type(v)] == "missing" or _is_nan(v) else v for v in values]
    present = {sorts[type(v)] for v in values if v is not None}
    if present & {"complex"}:
        raise ValueError(
            f"Complex data not supported: column {name!r}; split real and imaginary parts"
        )
    if present & {"nested"}:
        kind = next(kind.__name__ for kind, sort in sorts.items() if sort == "nested")
        _refuse_nested(name, kind)
    if present and present <= {"flag", "number"}:
        floats = np.array([_number(v) for v in values], dtype=np.float64)
        binary = np.all(np.isnan(floats) | (floats == 0) | (floats == 1))
        return Column(name, "flag" if "flag" in present and binary else "number", floats)
    if len(present) == 1 and (seconds := SECONDS.get(next(iter(present)))):
        floats = np.array([np.nan if v is None else seconds(v) for v in values], dtype=np.float64)
        return Column(name, next(iter(present)), floats)
    return Column(name, "text", _text([None if v is None else _word(v) for v in values]))


def _is_nan(value: Any) -> bool:
    return isinstance(value, float | np.floating | Decimal | np.datetime64 | np.timedelta64) and (
        value != value
    )


def _number(value: Any) -> float:
    try:
        return np.nan if value is None else float(value)
    except OverflowError:  # an integer beyond float64: refused as infinite, by name
        return np.inf


def _time_seconds(value: Any) -> float:
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.timestamp()
    return float(np.datetime64(value, "us").astype(np.int64)) / 1e6


def _duration_seconds(value: Any) -> float:
    if isinstance(value, datetime.time):
        return value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6
    return float(np.timedelta64(value, "us").astype(np.int64)) / 1e6


SECONDS: dict[str, Callable[[Any], float]] = {
    "time": _time_seconds,
    "duration": _duration_seconds,
}


def _word(value: Any) -> str:
    """Write any value as a label; whole numbers without a point, so 1 and 1.0 are one label."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, float | np.floating) and abs(float(value)) < 1e15:
        return str(int(value)) if float(value).is_integer() else str(value)
    return str(value)


def _labels_of_floats(values: NDArray[np.float64], flags: bool) -> pl.Series:
    distinct, codes = np.unique(values, return_inverse=True)
    words = [None if np.isnan(v) else _word(bool(v) if flags else v) for v in distinct]
    return _text(words).gather(codes.ravel())


def _text(values: Any) -> pl.Series:
    """Clean text; true and false in lower case, as CSV readers and Python write them apart."""
    import polars as pl

    try:
        series = pl.Series("x", values, dtype=pl.String)
    except UnicodeEncodeError:  # lone surrogates, which no encoding holds
        safe = [v if v is None else v.encode("utf-8", "backslashreplace").decode() for v in values]
        series = pl.Series("x", safe, dtype=pl.String)
    lower = pl.col("x").str.to_lowercase()
    return clean(series.to_frame()).select(
        pl.when(lower.is_in(["true", "false"])).then(lower).otherwise(pl.col("x")).alias("x")
    )["x"]


def _texts_of(series: Any) -> Any:
    """The texts of a narwhals Series: at once where the library shares Arrow's memory."""
    import narwhals as nw
    import polars as pl

    if series.implementation.is_polars():
        return series.cast(nw.String).to_native()
    if series.implementation.is_pyarrow():
        return pl.from_arrow(series.cast(nw.String).to_native())
    return [v if isinstance(v, str) else None if _lacks(v) else _word(v) for v in series.to_list()]


def _lacks(value: Any) -> bool:
    return _sort_of(type(value)) == "missing" or _is_nan(value)


def _floats(series: Any) -> NDArray[np.float64]:
    return np.array(series.to_numpy(), dtype=np.float64)
