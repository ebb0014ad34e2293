"""Preprocessing: a table of anything becomes a matrix of numbers that a network can learn from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from chainrule.data import as_weights, in_one_line
from chainrule.names import look_up, nearest
from chainrule.preprocessing.columns import (
    Column,
    array_columns,
    as_array,
    as_frame,
    as_kind,
    name_of,
    names_of,
    read_series,
    settled,
)
from chainrule.preprocessing.features import (
    KINDS,
    SCALINGS,
    Category,
    Settings,
    features_of,
    is_plain,
    of_numbers,
)

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray
    from sklearn.utils import Tags

    Learnt = dict[str, Any]
    Weights = NDArray[np.floating[Any]] | None

NEAR_UNIQUE = 0.9  # share of different values above which text is an id
FEWEST_FOR_ID = 20  # rows below which values alone make no text an id
ID_NAME = re.compile(
    r"^(?i:unnamed.*|index|row[ _.-]?(id|no|nr|num|number|index)?|(.*[ _.-])?u?id)$|[a-z](Id|ID)$"
)


class TableEncoder(TransformerMixin, BaseEstimator):
    """Turn a table of numbers, categories, true/false, dates and gaps into a float matrix.

    * A **number** x becomes z = (x - median) / (q75 - q25), squashed to z / sqrt(1 + (z/3)²), so
      that no outlier leaves (-3, 3) (Holzmüller, Grinsztajn, Steinwart 2024, RealMLP). Where the
      quartiles agree, the standard deviation stands in for their distance. A gap is the median.
    * A **category** (text, categorical, mixed objects) becomes a 0/1 feature for each frequent
      level, and one for all rare ones. A level never seen is encoded as if it were missing; see
      `count_unseen`. Text in which every value is a number, true/false or a date is read as such.
    * **True/false** becomes 1/0, a gap the share of true.
    * A **date** or **time** becomes its seconds, scaled as a number, and sine and cosine of the
      year, the week and the day (UTC) where the dates cover at least half of these.
    * A **duration** (and a time of day) is a number of seconds.
    * Any column with gaps when fitted gets one more 0/1 feature, that says where they are.

    Left out, with a sentence in `notes_`: columns that are empty or constant, and ids: text of
    which more than 90 % of at least 20 values differ, and text or whole numbers that all differ
    under a name like id, row_id, index, unnamed. Infinite numbers are refused.

    Parameters
    ----------
    numbers : {"robust", "standard", "none"}, default "robust"
        How numbers are scaled: as above; (x - mean) / standard deviation; or not at all.
    missing : {"indicator", "impute"}, default "indicator"
        Whether gaps get a feature of their own, or are only filled.
    min_frequency : "auto", int or float in (0, 1), default "auto"
        Rows (int) or share of rows (float) that a level needs so as not to be rare; "auto" is
        1 in 100 rows, and at most 10.
    max_levels : int, default 50
        At most so many levels of a column get a feature: the most frequent. The others are rare.
        Of more than 1,000 rare levels none is remembered: then a level never seen is rare too.
    drop_ids : bool, default True
        Whether to leave out columns that look like ids.
    dtype : {"float64", "float32"}, default "float64"
        Type of the matrix.

    Attributes
    ----------
    columns_ : list of dict, one per column: its name (None in an array), its kind and what was
        learnt; plain values that survive JSON exactly.
    notes_ : list of str: what was left out or merged, a sentence each.
    n_features_in_ : int; feature_names_in_ : array of str, where the columns have names.

    Examples
    --------
    >>> import polars as pl
    >>> table = pl.DataFrame({"size": [1.0, 2.0, 3.0], "town": ["Bern", "Zug", None]})
    >>> encoder = TableEncoder().fit(table)
    >>> encoder.get_feature_names_out().tolist()
    ['size', 'town=Bern', 'town=Zug', 'town is missing']
    >>> encoder.transform(table).round(2) + 0.0
    array([[-0.49,  1.  ,  0.  ,  0.  ],
           [ 0.  ,  0.  ,  1.  ,  0.  ],
           [ 0.49,  0.  ,  0.  ,  1.  ]])
    """

    columns_: list[Learnt]
    notes_: list[str]

    def __init__(
        self,
        *,
        numbers: str = "robust",
        missing: str = "indicator",
        min_frequency: int | float | str = "auto",
        max_levels: int = 50,
        drop_ids: bool = True,
        dtype: str = "float64",
    ) -> None:
        self.numbers = numbers
        self.missing = missing
        self.min_frequency = min_frequency
        self.max_levels = max_levels
        self.drop_ids = drop_ids
        self.dtype = dtype

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn what each column holds.

        Parameters
        ----------
        X : table (n, columns): a pandas, polars or pyarrow frame, an array, or a list of rows
        y : ignored
        sample_weight : array (n,), optional
            What a row counts for where numbers are scaled. Rows that weigh nothing are not seen;
            levels are counted in rows.
        """
        settings = self._settings()
        columns, names = self._first_columns(X)
        n = len(columns[0].values)
        weights = as_weights(sample_weight, n, np.float64)
        if weights is not None:
            columns = [column.where(weights > 0) for column in columns]
            weights = weights[weights > 0]
        self.notes_ = []
        self.columns_ = [
            {"name": name} | self._learn(name, column, weights, settings)
            for name, column in zip(names, columns, strict=True)
        ]
        if all(record["kind"] == "dropped" for record in self.columns_):
            raise ValueError(
                f"no column is left to learn from (n_samples = {n}): {'; '.join(self.notes_[:3])}"
            )
        return self

    def transform(self, X: Any) -> NDArray[np.floating[Any]]:
        """Encode a table: (n, columns) -> (n, features).

        Columns are found by name, in any order, among any others; without names, by position.

        Raises ValueError for a missing column, one that holds another kind of values than when
        fitted, and infinite numbers.
        """
        check_is_fitted(self)
        at_once = self._of_numbers(X)
        if at_once is not None:
            return at_once
        read = list(self._read(X))
        widths = [len(features_of(record, "")) for record, _ in read]
        out = np.zeros((len(read[0][1].values), sum(widths)))
        for (record, column), width, end in zip(read, widths, np.cumsum(widths), strict=True):
            block, missing = out[:, end - width : end], column.missing
            if not record["constant"]:
                kind = record["kind"]
                missing = KINDS[kind].fill(as_kind(column, kind), record, block)
            if record["missing"]:
                block[:, -1] = missing
        return self._narrowed(out)

    def _of_numbers(self, X: Any) -> NDArray[np.floating[Any]] | None:
        """Return the features of an array of nothing but numbers; None for what needs a look."""
        fits = is_plain(X) and X.shape[1] == self.n_features_in_
        if not fits or hasattr(self, "feature_names_in_"):
            return None
        out = of_numbers(self.columns_, X)
        return None if out is None else self._narrowed(out)

    def _narrowed(self, out: NDArray[np.float64]) -> NDArray[np.floating[Any]]:
        limit = np.finfo(self.dtype).max
        return np.clip(out, -limit, limit).astype(self.dtype) if self.dtype != "float64" else out

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Name the columns of the matrix; without column names those are x0, x1, …"""
        check_is_fitted(self)
        names = [record["name"] for record in self.columns_]
        if input_features is not None:
            given = list(input_features)
            if len(given) != len(names):
                raise ValueError(
                    f"input_features should have length equal to number of features ({len(names)})"
                    f", got {len(given)}"
                )
            if names[0] is not None and given != names:
                raise ValueError("input_features is not equal to feature_names_in_")
            names = given
        features: list[str] = []
        taken: set[str] = set()
        for place, (name, record) in enumerate(zip(names, self.columns_, strict=True)):
            for feature in features_of(record, name_of(name, place)):
                while feature in taken:  # "a=b" + "=c" and "a" + "=b=c"
                    feature += "'"
                taken.add(feature)
                features.append(feature)
        return np.array(features, dtype=object)

    def count_unseen(self, X: Any) -> dict[str, int]:
        """Count, per column that has any, the rows with a level that was not seen when fitted."""
        check_is_fitted(self)
        kind = Category()
        return _counts(
            (column.name, int((kind.codes(as_kind(column, "category"), record) == -1).sum()))
            for record, column in self._read(X)
            if record["kind"] == "category" and not record["constant"]
        )

    def count_gaps(self, X: Any) -> dict[str, int]:
        """Count, per column that has any, the gaps that are filled without being marked."""
        check_is_fitted(self)
        return _counts(
            (column.name, int(column.missing.sum()))
            for record, column in self._read(X)
            if not record["missing"]
        )

    def to_state(self) -> dict[str, Any]:
        """Return everything as a dict that survives JSON exactly; see `from_state`."""
        check_is_fitted(self)
        return {"params": self.get_params(), "columns": self.columns_, "notes": self.notes_}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild a fitted encoder from what `to_state` gave.

        >>> import json
        >>> state = json.loads(json.dumps(TableEncoder().fit([["a"], ["b"]]).to_state()))
        >>> TableEncoder.from_state(state).transform([["b"]])
        array([[0., 1.]])
        """
        encoder = cls(**state["params"])
        for record in state["columns"]:
            if record["kind"] != "dropped":
                look_up(KINDS, record["kind"], "kind")
        encoder.columns_, encoder.notes_ = list(state["columns"]), list(state["notes"])
        encoder._remember([record["name"] for record in encoder.columns_])
        return encoder

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags

    # What is learnt --------------------------------------------------------------------------

    def _settings(self) -> Settings:
        """Check the parameters."""
        look_up(SCALINGS, self.numbers, "numbers")
        look_up({"indicator": 0, "impute": 0}, self.missing, "missing")
        look_up({"float64": 0, "float32": 0}, self.dtype, "dtype")
        least, most = self.min_frequency, self.max_levels
        whole = isinstance(least, int | np.integer) and not isinstance(least, bool) and least >= 1
        if not (least == "auto" or whole or (isinstance(least, float) and 0 < least < 1)):
            raise ValueError(
                f"min_frequency={least!r}: expected 'auto', a count of rows from 1, or a share "
                "between 0 and 1"
            )
        if not isinstance(most, int | np.integer) or isinstance(most, bool) or most < 1:
            raise ValueError(f"max_levels={most!r}: expected a whole number from 1")
        return Settings(self.numbers, least, int(most))

    def _learn(self, name: str | None, raw: Column, weights: Weights, settings: Settings) -> Learnt:
        """What is learnt from one column, and a note where it is not used as it is."""
        column = settled(raw)
        kind = "category" if column.kind == "text" else column.kind
        values, missing = as_kind(column, kind), column.missing
        present = values.drop_nulls() if kind == "category" else values[~missing]
        different = present.n_unique() if kind == "category" else len(np.unique(present))
        indicator = bool(missing.any()) and self.missing == "indicator"
        if len(present) == 0:
            return self._drop(column, "every value is missing")
        if self.drop_ids and _looks_like_id(name, raw, column, present, different):
            return self._drop(column, "it looks like an id, with hardly a value twice")
        learnt = KINDS[kind].fit(values, weights, settings) if different > 1 else {}
        constant = different == 1 or learnt.get("levels") == []
        if constant and not indicator:
            return self._drop(
                column, "every value is the same" if different == 1 else "all its levels are rare"
            )
        if constant:
            self.notes_.append(f"{column.label}: only its gaps are used, its values do not differ")
        elif kind == "category" and different > len(learnt["levels"]):
            self.notes_.append(
                f"{column.label}: {len(learnt['levels'])} of {different} levels have a feature "
                "each, the rare ones share one"
            )
        return {"kind": kind, "missing": indicator, "constant": constant} | learnt

    def _drop(self, column: Column, why: str) -> Learnt:
        self.notes_.append(f"{column.label} dropped: {why}")
        return {"kind": "dropped"}

    # Whence the columns come -----------------------------------------------------------------

    def _first_columns(self, X: Any) -> tuple[list[Column], list[str | None]]:
        """Every column of the table to fit; remember their names and number."""
        frame = as_frame(X)
        if frame is None:
            with in_one_line():
                columns = array_columns(validate_data(self, as_array(X), **ARRAY))
            return columns, [None] * len(columns)
        names = names_of(frame)
        self._remember(names)
        series = zip(names, frame.iter_columns(), strict=True)
        return [read_series(name_of(n, i), s) for i, (n, s) in enumerate(series)], names

    def _remember(self, names: list[str | None]) -> None:
        self.n_features_in_ = len(names)
        if names[0] is not None:
            self.feature_names_in_ = np.array(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _read(self, X: Any) -> Iterator[tuple[Learnt, Column]]:
        """Each column that is in use, with what was learnt from it."""
        frame = as_frame(X)
        used = [
            (i, record) for i, record in enumerate(self.columns_) if record["kind"] != "dropped"
        ]
        if frame is None:
            with in_one_line():
                columns = array_columns(validate_data(self, as_array(X), reset=False, **ARRAY))
            yield from ((record, columns[i]) for i, record in used)
            return
        names = names_of(frame)
        if names[0] is None or not hasattr(self, "feature_names_in_"):
            validate_data(self, X, reset=False, skip_check_array=True)
            series = list(frame.iter_columns())
            yield from (
                (record, read_series(name_of(names[i], i), series[i])) for i, record in used
            )
            return
        _refuse_lacking([str(record["name"]) for _, record in used], [str(n) for n in names])
        for _, record in used:
            yield record, read_series(record["name"], frame[record["name"]])


def fit_on_rows(encoder: TableEncoder, X: pl.DataFrame, rows: Any) -> TableEncoder:
    """Fit to some rows of X, but take for text what is text in all: one word may be elsewhere."""
    import polars as pl

    part = X[rows]
    words = [name for name, kind in X.schema.items() if kind == pl.String]
    odd = [
        name
        for name in words
        if settled(Column(name, "text", part[name])).kind != "text"
        and settled(Column(name, "text", X[name])).kind == "text"
    ]
    return encoder.fit(part.with_columns(pl.col(odd).cast(pl.Categorical)))


ARRAY: dict[str, Any] = {"dtype": None, "ensure_all_finite": False}


def _counts(counted: Iterator[tuple[str, int]]) -> dict[str, int]:
    return {name: count for name, count in counted if count}


def _looks_like_id(
    name: str | None, raw: Column, column: Column, present: Any, different: int
) -> bool:
    """Conservative: see the class. A declared category is never an id."""
    if raw.kind == "category" or column.kind not in ("text", "number") or len(present) < 2:
        return False
    whole = column.kind == "text" or bool(np.all(present == np.floor(present)))
    if different == len(present) and whole and ID_NAME.search(name or ""):
        return True
    enough = len(present) >= FEWEST_FOR_ID
    return column.kind == "text" and enough and different > NEAR_UNIQUE * len(present)


def _refuse_lacking(wanted: list[str], given: list[str]) -> None:
    held = set(given)
    lacking = [name for name in wanted if name not in held]
    if lacking:
        shown = ", ".join(map(repr, lacking[:5])) + (", …" if len(lacking) > 5 else "")
        raise ValueError(
            f"the table lacks column {shown}{nearest(lacking[0], given) or '.'} Give every column "
            "that the encoder was fitted with"
        )
