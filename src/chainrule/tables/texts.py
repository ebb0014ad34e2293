"""Texts: what the words in a column are: numbers, true/false, dates, or just words.

One set of rules, used when a file is read and when a data frame of text is encoded: the same
column must be the same thing in both.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

MISSING = ("", "na", "n/a", "null", "nan", "?", "-")  # compared in lower case
SAMPLE = 200  # rows that rule most types out before a whole column is tried

WIDE = 200  # columns beyond which polars is faster on one long column than on many

INTEGER = r"^[+-]?\d+$"
LEADING_ZERO = r"^[+-]?0\d"
THOUSANDS = r"^[+-]?[1-9]\d{0,2}(\.\d{3})+$"
DECIMAL_COMMA = r"^[+-]?((\d+|[1-9]\d{0,2}(\.\d{3})+)(,\d*)?|,\d+)([eE][+-]?\d+)?$"
DATES = {  # pattern of the text -> its format
    r"^\d{4}-\d{1,2}-\d{1,2}$": "%Y-%m-%d",
    r"^\d{4}/\d{1,2}/\d{1,2}$": "%Y/%m/%d",
    r"^\d{1,2}\.\d{1,2}\.\d{4}$": "%d.%m.%Y",
}
DATETIMES = {
    r"^\d{4}-\d\d-\d\dT\d\d:\d\d$": "%Y-%m-%dT%H:%M",
    r"^\d{4}-\d\d-\d\d \d\d:\d\d$": "%Y-%m-%d %H:%M",
    r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?$": "%Y-%m-%dT%H:%M:%S%.f",
    r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?$": "%Y-%m-%d %H:%M:%S%.f",
    r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)$": "%Y-%m-%dT%H:%M:%S%.f%#z",
    r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)$": "%Y-%m-%d %H:%M:%S%.f%#z",
}


def clean(texts: pl.DataFrame) -> pl.DataFrame:
    """Strip blanks around every text, and make the marks of missing values missing.

    >>> import polars as pl
    >>> clean(pl.DataFrame({"a": [" x", "N/A", "-", "-1"]}))["a"].to_list()
    ['x', None, None, '-1']
    """
    import polars as pl

    if texts.width > WIDE:
        long = clean(texts.unpivot().select("value"))["value"]
        size = texts.height
        return pl.DataFrame(
            [long.slice(i * size, size).alias(name) for i, name in enumerate(texts.columns)]
        )
    stripped = texts.select(pl.all().str.strip_chars())
    return stripped.select(pl.when(~pl.all().str.to_lowercase().is_in(MISSING)).then(pl.all()))


def typed(
    texts: pl.DataFrame, decimal_comma: Collection[str] = (), *, exact: bool = True
) -> pl.DataFrame:
    """Give each column of clean text the type that fits all its values; text where none does.

    Leading zeros make text of digits (postcodes), as do integers beyond 64 bits where `exact`:
    as numbers they would lose digits. The columns named in `decimal_comma` are read with a comma
    before the decimals and points between thousands. 01/02/2020 is January or February: text.

    >>> import polars as pl
    >>> typed(pl.DataFrame({"a": ["1", "2.5"], "b": ["1", "x"], "c": ["true", None]})).rows()
    [(1.0, '1', True), (2.5, 'x', None)]
    """
    import polars as pl

    counts = texts.null_count().row(0)
    open_ = [name for name, gaps in zip(texts.columns, counts, strict=True) if gaps < len(texts)]
    commas = [name for name in open_ if name in set(decimal_comma)]
    open_ = [name for name in open_ if name not in set(decimal_comma)]
    found = [_without_comma(pl.col(commas)).cast(pl.Float64)] if commas else []
    for fits, convert in _types(exact):
        likely = _all_fit(texts.head(SAMPLE), open_, fits)
        sure = set(_all_fit(texts, likely, fits))
        found += [convert(pl.col(sorted(sure)))] if sure else []
        open_ = [name for name in open_ if name not in sure]
    return texts.with_columns(found)


def decimal_comma_columns(texts: pl.DataFrame, delimiter: str) -> list[str]:
    """Name the columns of clean text whose numbers have a comma before the decimals.

    In a file delimited by commas there are none. One delimited by semicolons is written so
    where any column holds such numbers, and then 1.234 in its other columns is 1234. Tab and |
    say less about the writer: there 1,234 may be 1234, and a column needs a comma that is not
    before exactly three digits.

    >>> import polars as pl
    >>> decimal_comma_columns(pl.DataFrame({"a": ["1,5", "2"], "b": ["x,y", "1"]}), ";")
    ['a']
    """
    import polars as pl

    if delimiter == ",":
        return []
    mark = r"," if delimiter == ";" else r",\d{1,2}$|,\d{4,}$"
    names = _all_fit(texts, texts.columns, lambda text: text.str.contains(DECIMAL_COMMA))
    if not names:
        return []
    marked = texts.select(pl.col(names).str.contains(mark).any()).row(0, named=True)
    commas = [name for name in names if marked[name]]
    if delimiter != ";" or not commas:
        return commas
    pointed = texts.select(pl.col(names).str.contains(THOUSANDS).any()).row(0, named=True)
    return [name for name in names if marked[name] or pointed[name]]


def _without_comma(text: pl.Expr) -> pl.Expr:
    return text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)


def _all_fit(
    texts: pl.DataFrame, names: Collection[str], fits: Callable[[pl.Expr], pl.Expr]
) -> list[str]:
    """The columns of which every value that is not missing fits."""
    import polars as pl

    if not names:
        return []
    if len(names) > WIDE:
        long = texts.select(names).unpivot().select(fits(pl.col("value")).fill_null(True))
        good = long.to_series().to_numpy().reshape(len(names), texts.height)
        row = tuple(bool(fits_all.all()) for fits_all in good)
    else:
        row = texts.select(fits(pl.col(list(names))).all()).row(0)
    return [name for name, fit in zip(names, row, strict=True) if fit]


Rule = tuple[Callable[["pl.Expr"], "pl.Expr"], Callable[["pl.Expr"], "pl.Expr"]]


def _types(exact: bool) -> list[Rule]:
    """Pairs (does a text fit, what does it become), the narrowest type first."""
    import polars as pl

    def parses(kind: type[pl.DataType]) -> Callable[[pl.Expr], pl.Expr]:
        def fits(text: pl.Expr) -> pl.Expr:
            good = text.cast(kind, strict=False).is_not_null()
            good &= ~text.str.contains(LEADING_ZERO)
            if kind == pl.Float64 and exact:
                good &= (
                    ~text.str.contains(INTEGER) | text.cast(pl.Int64, strict=False).is_not_null()
                )
            return good | text.is_null()

        return fits

    def in_format(pattern: str, form: str, kind: type[pl.DataType]) -> Rule:
        def convert(text: pl.Expr) -> pl.Expr:
            if kind == pl.Date:
                return text.str.to_date(form, strict=False)
            return text.str.to_datetime(form, strict=False, time_unit="us")

        def fits(text: pl.Expr) -> pl.Expr:
            # The pattern first: alone, a format would take "12-01-05" for a day in the year 12.
            return text.str.contains(pattern) & convert(text).is_not_null() | text.is_null()

        return fits, convert

    def is_flag(text: pl.Expr) -> pl.Expr:
        return text.str.to_lowercase().is_in(["true", "false", "0", "1"])

    def to_flag(text: pl.Expr) -> pl.Expr:
        flag = text.str.to_lowercase().is_in(["true", "1"])
        return pl.when(text.is_not_null()).then(flag)

    return [
        (parses(pl.Int64), lambda text: text.cast(pl.Int64)),
        (parses(pl.Float64), lambda text: text.cast(pl.Float64)),
        (is_flag, to_flag),
        *(in_format(pattern, form, pl.Date) for pattern, form in DATES.items()),
        *(in_format(pattern, form, pl.Datetime) for pattern, form in DATETIMES.items()),
    ]
