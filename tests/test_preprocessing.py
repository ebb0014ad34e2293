"""TableEncoder: what comes out is finite, named, and the same whatever library holds the table."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import time
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from chainrule.preprocessing import TableEncoder


@parametrize_with_checks(
    [
        TableEncoder(),
        TableEncoder(numbers="standard", missing="impute"),
        TableEncoder(numbers="none", drop_ids=False, max_levels=3, min_frequency=2),
    ],
    xfail_strict=True,
)
def test_scikit_learns_contract(estimator: Any, check: Any) -> None:
    check(estimator)


def encoded(X: Any, **params: Any) -> dict[str, list[float]]:
    """Feature name -> its column."""
    encoder = TableEncoder(**params).fit(X)
    matrix = encoder.transform(X)
    names = encoder.get_feature_names_out().tolist()
    assert matrix.shape == (matrix.shape[0], len(names))
    assert matrix.flags.c_contiguous
    assert matrix.dtype == encoder.dtype
    assert np.isfinite(matrix).all()
    assert len(set(names)) == len(names)
    return {name: matrix[:, i].tolist() for i, name in enumerate(names)}


# Against independent truth -------------------------------------------------------------------


def with_gaps(seed: int = 0) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.standard_t(2, size=(200, 4)) * [1, 1e-8, 1e12, 3] + [0, 1, -5, 1e6]
    x[rng.random(x.shape) < 0.1] = np.nan
    return x


def test_robust_numbers_are_in_quartile_distances_squashed() -> None:
    x = with_gaps()
    q25, median, q75 = np.nanquantile(x, [0.25, 0.5, 0.75], axis=0, method="averaged_inverted_cdf")
    z = (x - median) / (q75 - q25)
    z[np.isnan(z)] = 0
    features = TableEncoder(missing="impute").fit_transform(x)
    np.testing.assert_allclose(features, z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-9, atol=1e-12)
    assert np.abs(features).max() < 3


def test_standard_numbers_are_the_standard_scalers() -> None:
    x = with_gaps()
    z = StandardScaler().fit_transform(x)
    z[np.isnan(z)] = 0
    features = TableEncoder(numbers="standard", missing="impute").fit_transform(x)
    # One column is 1 ± 1e-8: there a rounding of the mean is 2e-8 of a deviation.
    np.testing.assert_allclose(features, z, rtol=1e-7, atol=1e-7)


def test_unscaled_numbers_and_indicators() -> None:
    x = with_gaps()
    encoder = TableEncoder(numbers="none").fit(x)
    features = encoder.transform(x)
    filled = np.where(np.isnan(x), np.nanmedian(x, axis=0), x)
    np.testing.assert_array_equal(features[:, ::2], filled)
    np.testing.assert_array_equal(features[:, 1::2], np.isnan(x))
    assert encoder.get_feature_names_out().tolist()[:2] == ["x0", "x0 is missing"]


@pytest.mark.parametrize("min_frequency", [1, 5, 20, 0.1])
@pytest.mark.parametrize("max_levels", [2, 5, 50])
def test_categories_are_the_one_hot_encoders(min_frequency: Any, max_levels: int) -> None:
    rng = np.random.default_rng(1)
    # Counts that differ, so that no tie decides which level is frequent.
    x = np.repeat(list("qwertyu"), [40, 3, 17, 8, 29, 1, 12]).reshape(-1, 1)
    rng.shuffle(x)
    ours = TableEncoder(min_frequency=min_frequency, max_levels=max_levels).fit(x)
    levels, rare = ours.columns_[0]["levels"], ours.columns_[0]["rare"]
    theirs = OneHotEncoder(
        min_frequency=min_frequency if min_frequency != 1 else None,
        max_categories=max_levels + 1,
        handle_unknown="ignore" if not rare else "infrequent_if_exist",
        sparse_output=False,
    ).fit(x)
    if len(rare) != 1 or max_levels >= 7:  # with one left over, theirs keeps it by name
        np.testing.assert_array_equal(ours.transform(x), theirs.transform(x))
        assert len(levels) + bool(rare) == theirs.transform(x).shape[1]


# The same in every library -------------------------------------------------------------------

MIXED: dict[str, list[Any]] = {
    "whole": [1, None, 3, 4],
    "real": [0.5, None, 1e308, -2.0],
    "text": ["a", " b ", None, "a"],
    "flag": [True, None, False, True],
    "day": [dt.date(2020, 1, 1), None, dt.date(2021, 7, 1), dt.date(2020, 5, 5)],
    "moment": [dt.datetime(2020, 1, 1, 5), None, dt.datetime(2020, 1, 9), dt.datetime(2020, 1, 2)],
    "span": [dt.timedelta(1), None, dt.timedelta(2), dt.timedelta(seconds=5)],
}


def libraries() -> dict[str, Any]:
    arrow = pa.table(MIXED)
    return {
        "pyarrow": arrow,
        "pandas": pd.DataFrame(MIXED),
        "pandas, nullable": pd.DataFrame(MIXED).convert_dtypes(),
        "pandas, Arrow": arrow.to_pandas(types_mapper=pd.ArrowDtype),
        "pandas, objects": pd.DataFrame(MIXED).astype(object),
        "polars, categorical": pl.DataFrame(MIXED).with_columns(
            pl.col("text").str.strip_chars().cast(pl.Categorical),
            pl.col("span").cast(pl.Duration("ns")),
        ),
        "pandas, categorical": pd.DataFrame(MIXED).assign(
            text=pd.Categorical(["a", "b", None, "a"], categories=["z", "b", "a"])
        ),
        "polars, text": pl.DataFrame(MIXED).with_columns(
            pl.col("whole", "real", "day").cast(pl.String)
        ),
    }  # fmt: skip


@pytest.mark.parametrize("library", libraries())
def test_libraries_agree(library: str) -> None:
    reference = pl.DataFrame(MIXED)
    expected = encoded(reference)
    table = libraries()[library]
    assert encoded(table) == expected
    encoder = TableEncoder().fit(reference)
    np.testing.assert_array_equal(encoder.transform(table), encoder.transform(reference))


def test_lists_and_arrays() -> None:
    rows = [["a", 1, True], ["b", 2.5, False], ["a", None, None]]
    expected = TableEncoder().fit_transform(pd.DataFrame(rows, columns=["x0", "x1", "x2"]))
    for X in (rows, np.array(rows, dtype=object), pd.DataFrame(rows)):
        np.testing.assert_array_equal(TableEncoder().fit_transform(X), expected)
    assert encoded([[1, 2], [3, 5]]) == encoded(np.array([[1.0, 2], [3, 5]]))


@pytest.mark.parametrize(
    "x",
    [
        np.array([[1, 2], [3, 5], [4, 4]], dtype=">i4"),
        np.array([[1, 2], [3, 5], [4, 4]], dtype=np.float16),
        np.array([[1, 2], [3, 5], [4, 4]], dtype=np.longdouble),
        np.asfortranarray([[1.0, 2], [3, 5], [4, 4]]),
        np.array([[4.0, 4], [3, 5], [1, 2]])[::-1],
        np.array([["1", "2"], [" 3", "5.0"], ["4", "4"]]),
        np.array([[b"1", b"2"], [b"3", b"5"], [b"4", b"4"]]),
        np.ma.MaskedArray([[1.0, 2], [3, 5], [4, 4]]),
    ],
    ids=["big-endian", "half", "long", "Fortran", "reversed", "text", "bytes", "masked"],
)
def test_arrays_of_every_make(x: Any) -> None:
    before = x.copy()
    np.testing.assert_array_equal(
        TableEncoder().fit_transform(x), TableEncoder().fit_transform([[1, 2], [3, 5], [4, 4]])
    )
    np.testing.assert_array_equal(x, before)


def test_masks_are_gaps() -> None:
    x = np.ma.MaskedArray([[1.0], [99], [3]], mask=[[0], [1], [0]])
    np.testing.assert_array_equal(
        TableEncoder().fit_transform(x), TableEncoder().fit_transform([[1.0], [np.nan], [3]])
    )


# Values --------------------------------------------------------------------------------------

EXTREMES = {
    "huge": [1e308, -1e308, 0.0, 1.7e308],
    "tiny": [5e-324, 0.0, 1e-323],
    "huge and tiny": [1e308, 5e-324, -1e308, 1.0],
    "beyond 2**53": [2**53, 2**53 + 1, 2**62, -(2**62)],
    "beyond int64": [2**70, 2**1000, 1],
    "unsigned": np.array([2**64 - 1, 0, 5], dtype=np.uint64),
    "one outlier": [0.0] * 50 + [1e300],
    "decimals": [Decimal("1.5"), Decimal("NaN"), Decimal("1e300")],
}


@pytest.mark.parametrize("numbers", ["robust", "standard", "none"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("values", EXTREMES.values(), ids=EXTREMES)
def test_extreme_numbers_stay_finite(values: Any, dtype: str, numbers: str) -> None:
    features = encoded(pd.DataFrame({"a": values}), numbers=numbers, dtype=dtype)["a"]
    order = np.argsort([float(v) if v == v else 0.0 for v in values], kind="stable")
    if numbers == "robust":
        assert np.abs(features).max() <= 3
        gaps = [float(v) != float(v) for v in values]
        assert any(gaps) or (np.diff(np.array(features)[order]) >= 0).all()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(allow_infinity=False), min_size=2, max_size=12),
    st.lists(st.floats(allow_infinity=False), min_size=1, max_size=5),
    st.sampled_from(["robust", "standard", "none"]),
)
def test_any_numbers_stay_finite_and_in_order(
    fitted: list[float], new: list[float], numbers: str
) -> None:
    table = pl.DataFrame(
        {"a": fitted, "b": [0.0, 1.0] * (len(fitted) // 2) + [0.0] * (len(fitted) % 2)}
    )
    encoder = TableEncoder(numbers=numbers).fit(table)
    assert np.isfinite(encoder.transform(table)).all()
    kept = encoder.get_feature_names_out().tolist()
    out = encoder.transform(pl.DataFrame({"a": new, "b": [0.0] * len(new)}))
    assert np.isfinite(out).all()
    if "a" in kept:
        numbers_only = [(v, z) for v, z in zip(new, out[:, kept.index("a")], strict=True) if v == v]
        ordered = [z for _, z in sorted(numbers_only)]
        assert ordered == sorted(ordered)


def test_infinite_numbers_are_refused_by_name() -> None:
    table = pd.DataFrame({"good": [1.0, 2, 3], "bad": [1.0, np.inf, -np.inf]})
    with pytest.raises(ValueError, match=r"column 'bad' holds infinite numbers: 2, .*row 1"):
        TableEncoder().fit(table)
    encoder = TableEncoder().fit([[1.0], [2.0]])
    with pytest.raises(ValueError, match="'x0' holds infinite"):
        encoder.transform([[np.inf]])
    with pytest.raises(ValueError, match="'x0' holds infinite"):
        TableEncoder().fit(np.array([[10**400], [1]], dtype=object))


def test_missing_marks_and_blanks() -> None:
    words = ["a", " a ", "a\t", "NA", "N/A", "null", "NaN", "nan", "?", "-", "", "  ", None]
    features = encoded(pd.DataFrame({"w": [*words, "b"]}))
    assert features["w=a"] == [1] * 3 + [0] * 11
    assert features["w is missing"] == [0] * 3 + [1] * 10 + [0]


OBJECTS: dict[str, tuple[list[Any], list[str]]] = {
    "numbers and text": ([1, "a", 2.0, None], ["v=1", "v=2", "v=a", "v is missing"]),
    "numbers and numbers as text": (["1", 2, 3.5], ["v"]),
    "bool and 0/1": ([True, 0, 1, False], ["v"]),
    "bool and other numbers": ([True, 0, 7], ["v"]),
    "pd.NA": ([pd.NA, 1, 2], ["v", "v is missing"]),
    "NaT and text": ([pd.NaT, "a", "b"], ["v=a", "v=b", "v is missing"]),
    "dates": ([dt.date(2020, 1, 1), dt.date(2020, 1, 2), None], ["v", "v is missing"]),
    "postcodes": (["01067", "80331", "01067"], ["v=01067", "v=80331"]),
    "emoji": (["🙂", "🙃", "🙂"], ["v=🙂", "v=🙃"]),
    "surrogates": (["\ud800", "a"], ["v=\\ud800", "v=a"]),
    "uuids": ([uuid.UUID(int=1), uuid.UUID(int=2)] * 2, [f"v={uuid.UUID(int=i)}" for i in (1, 2)]),
    "times of day": ([dt.time(1), dt.time(2), dt.time(23)], ["v"]),
}


@pytest.mark.parametrize(("values", "names"), OBJECTS.values(), ids=OBJECTS)
def test_object_columns(values: list[Any], names: list[str]) -> None:
    assert list(encoded(pd.DataFrame({"v": pd.Series(values, dtype=object)}))) == names


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "complex": (pd.DataFrame({"z": [1 + 2j, 0]}), ValueError, "Complex data.*column 'z'"),
    "complex object": (pd.DataFrame({"z": [1 + 2j, "a"]}), ValueError, "Complex data"),
    "lists": (pd.DataFrame({"z": [[1], [2]]}), TypeError, "column 'z' holds list values"),
    "dicts": ([["a", {}], ["b", 1]], TypeError, "column 'x1' holds dict values"),
    "polars lists": (pl.DataFrame({"z": [[1], [2]]}), TypeError, "column 'z' holds List"),
    "structs": (pl.DataFrame({"z": [{"a": 1}]}), TypeError, "column 'z' holds Struct"),
    "bytes": (pl.DataFrame({"z": [b"1", b"2"]}), TypeError, "column 'z' holds Binary"),
    "objects": (pd.DataFrame({"z": [object(), object()]}), TypeError, "column 'z' holds object"),
    "lazy": (pl.LazyFrame({"z": [1]}), TypeError, r"collect\(\)"),
    "sparse": (sparse.csr_array(np.eye(3)), TypeError, "dense data is required"),
    "matrix": (np.matrix([[1.0, 2], [3, 4]]), TypeError, "np.matrix is not supported"),
    "ragged": ([[1], [2, 3]], ValueError, "rows of X differ in length"),
    "1-D": ([1, 2], ValueError, "Expected 2D array"),
    "3-D": (np.ones((2, 2, 2)), ValueError, "dim 3"),
    "no rows": (pl.DataFrame({"a": []}), ValueError, r"0 sample\(s\)"),
    "no columns": (pd.DataFrame(index=[0, 1]), ValueError, r"0 feature\(s\)"),
    "same names": (pd.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, "must differ.*'a'"),
    "names of two types": (pd.DataFrame([[1, 2]], columns=["a", 1]), TypeError, "make all of them"),
    "nothing left": (pl.DataFrame({"a": [1, 1]}), ValueError, "no column is left.*'a' dropped"),
}  # fmt: skip


@pytest.mark.parametrize(("X", "error", "words"), REFUSED.values(), ids=REFUSED)
def test_refused_tables(X: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        TableEncoder().fit(X)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"numbers": "robst"}, "did you mean 'robust'"),
        ({"missing": "drop"}, "Known: impute, indicator"),
        ({"dtype": "float16"}, "float32"),
        ({"min_frequency": 0}, "min_frequency=0"),
        ({"min_frequency": 1.5}, "a share between 0 and 1"),
        ({"max_levels": 0}, "max_levels=0"),
    ],
)
def test_refused_parameters(params: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TableEncoder(**params).fit([[1], [2]])


def test_categories_with_unused_levels() -> None:
    values = pd.Categorical(["x", "y", "x"], categories=["never", "y", "x"])
    assert list(encoded(pd.DataFrame({"c": values}))) == ["c=x", "c=y"]
    numbers = pd.Categorical([3, 1, 3], categories=[1, 2, 3])
    assert list(encoded(pd.DataFrame({"c": numbers}))) == ["c=1", "c=3"]


def test_feature_names_never_collide() -> None:
    assert len(encoded(pl.DataFrame({"a": ["b=c", "d"], "a=b": ["c", "e"]}))) == 4


# What is dropped -----------------------------------------------------------------------------


def test_dropped_columns_are_noted() -> None:
    n = 40
    table = pl.DataFrame({
        "row_id": range(n), "customerId": [f"k{i}" for i in range(n)], "unnamed": range(5, 5 + n),
        "comment": [f"says {i}" for i in range(n)], "empty": [None] * n, "same": [7] * n,
        "one word": ["w"] * n, "step": range(n), "grid": [i % 4 for i in range(n)],
        "paid": [i % 7 for i in range(n)],
    })  # fmt: skip
    encoder = TableEncoder().fit(table)
    assert encoder.get_feature_names_out().tolist() == ["step", "grid", "paid"]
    assert encoder.notes_ == [
        "column 'row_id' dropped: it looks like an id, with hardly a value twice",
        "column 'customerId' dropped: it looks like an id, with hardly a value twice",
        "column 'unnamed' dropped: it looks like an id, with hardly a value twice",
        "column 'comment' dropped: it looks like an id, with hardly a value twice",
        "column 'empty' dropped: every value is missing",
        "column 'same' dropped: every value is the same",
        "column 'one word' dropped: every value is the same",
    ]
    kept = TableEncoder(drop_ids=False).fit(table).get_feature_names_out().tolist()
    assert {"row_id", "unnamed", "comment=says 3"} <= set(kept)
    # Dropped columns may be missing, or anything, later.
    assert encoder.transform(table.select("step", "grid", "paid")).shape == (n, 3)


def test_only_the_gaps_of_a_constant_column_are_used() -> None:
    table = pl.DataFrame({"a": [1, None, 1], "b": ["u", None, "u"], "c": [1, 2, 3]})
    features = encoded(table)
    assert list(features) == ["a is missing", "b is missing", "c"]
    assert features["a is missing"] == features["b is missing"] == [0, 1, 0]
    assert list(encoded(table, missing="impute")) == ["c"]


def test_100_000_levels() -> None:
    n = 200_000
    rng = np.random.default_rng(0)
    level = np.where(rng.random(n) < 0.5, rng.integers(0, 60, n), rng.integers(0, 100_000, n))
    table = pl.DataFrame({"c": level}).select(("word " + pl.col("c").cast(pl.String)).alias("c"))
    encoder = TableEncoder(drop_ids=False).fit(table)
    features = encoder.transform(table)
    assert features.shape == (n, 51)
    assert (features.sum(axis=1) == 1).all()
    assert "50 of" in encoder.notes_[0]
    assert len(json.dumps(encoder.to_state())) < 5000
    assert encoder.transform(pl.DataFrame({"c": ["new"]})).argmax() == 50


# Later tables --------------------------------------------------------------------------------

FIT = pl.DataFrame({
    "n": [1.0, 2, 3, 4], "c": ["a", "b", "a", "b"], "g": ["u", None, "v", "u"],
    "f": [True, False, True, True], "t": [dt.date(2020, 1, i) for i in (1, 2, 3, 4)],
})  # fmt: skip


def test_columns_are_found_by_name() -> None:
    encoder = TableEncoder().fit(FIT)
    expected = encoder.transform(FIT)
    for library in (lambda frame: frame, lambda frame: frame.to_pandas(), lambda f: f.to_arrow()):
        table = library(FIT.select("t", "f", pl.lit(7).alias("extra"), "c", "g", "n"))
        np.testing.assert_array_equal(encoder.transform(table), expected)
    with pytest.raises(ValueError, match="lacks column 'n'; did you mean 'nn'"):
        encoder.transform(FIT.rename({"n": "nn"}))
    with pytest.raises(ValueError, match="lacks column 'n', 'c', 'g', 'f', 't'"):
        encoder.transform(pl.DataFrame({"zzz": [1]}))
    with (
        pytest.warns(UserWarning, match="does not have valid feature names"),
        pytest.raises(ValueError, match="X has 2 features, but TableEncoder is expecting 5"),
    ):
        encoder.transform(np.ones((3, 2)))


def test_frames_without_names_are_matched_by_position() -> None:
    encoder = TableEncoder().fit(np.array([[1.0, 5], [2, 7]]))
    assert not hasattr(encoder, "feature_names_in_")
    np.testing.assert_array_equal(
        encoder.transform(pd.DataFrame([[1.0, 5]])), encoder.transform([[1.0, 5]])
    )
    with pytest.raises(ValueError, match="expecting 2 features"):
        encoder.transform(pd.DataFrame([[1.0]]))


def test_unseen_levels_are_as_missing_and_counted() -> None:
    encoder = TableEncoder(min_frequency=2).fit(
        pl.DataFrame({"c": list("aabbz"), "g": ["u", "u", "v", "v", None], "d": list("xxyyx")})
    )
    new = pl.DataFrame({"c": ["a", "z", "new", None], "g": ["q", "u", None, "r"], "d": ["n"] * 4})
    out = dict(zip(encoder.get_feature_names_out(), encoder.transform(new).T.tolist(), strict=True))
    assert out == {
        "c=a": [1, 0, 0, 0], "c=b": [0] * 4, "c is rare": [0, 1, 0, 0],
        "g=u": [0, 1, 0, 0], "g=v": [0] * 4, "g is missing": [1, 0, 1, 1],
        "d=x": [0] * 4, "d=y": [0] * 4,
    }  # fmt: skip
    assert encoder.count_unseen(new) == {"c": 1, "g": 2, "d": 4}
    assert encoder.count_gaps(new) == {"c": 1}
    assert encoder.count_unseen(new[:1]) == {"g": 1, "d": 1}


def test_gaps_without_an_indicator_are_the_median() -> None:
    encoder = TableEncoder().fit([[1.0], [2], [4]])
    assert encoder.transform([[np.nan]]) == encoder.transform([[2.0]])
    assert encoder.count_gaps([[np.nan], [1.0]]) == {"x0": 1}
    assert encoder.count_unseen([[np.nan], [1.0]]) == {}


SAME_LATER: dict[str, tuple[list[Any], list[Any], list[Any]]] = {
    "numbers as text": ([1.0, 2.0], ["1", " 2 "], [1.0, 2.0]),
    "text as whole numbers": (["1", "2", "x"], [1, 2, 1], ["1", "2", "1"]),
    "text as floats": (["1", "2", "x"], [1.0, 2.0, None], ["1", "2", None]),
    "text as flags": (["True", "false", "maybe"], [True, False, True], ["true", "false", "true"]),
    "flags as text": ([True, False], ["TRUE", "false"], [True, False]),
    "flags as 0/1": ([True, False], [1, 0], [True, False]),
    "flags as 0/1 text": ([True, False], ["1", "0"], [True, False]),
    "numbers as flags": ([0.0, 1.0, 2.0], [True, False, True], [1.0, 0.0, 1.0]),
    "all missing": ([1.0, 2.0], [None, None], [np.nan, np.nan]),
    "all missing text": (["a", "b"], [np.nan, np.nan], [None, None]),
    "dates as text": ([dt.date(2020, 1, 1), dt.date(2021, 1, 1)], ["2020-01-01", None],
                      [dt.date(2020, 1, 1), None]),
    "integers beyond 64 bits": ([1.0, 2.0], ["99999999999999999999"], [1e20]),
}  # fmt: skip


@pytest.mark.parametrize(("fitted", "later", "same"), SAME_LATER.values(), ids=SAME_LATER)
def test_kinds_that_files_write_apart(fitted: Any, later: Any, same: Any) -> None:
    encoder = TableEncoder(min_frequency=1).fit(pl.DataFrame({"a": fitted}))
    np.testing.assert_array_equal(
        encoder.transform(pl.DataFrame({"a": later})), encoder.transform(pl.DataFrame({"a": same}))
    )
    assert encoder.count_unseen(pl.DataFrame({"a": later})) == {}


@pytest.mark.parametrize(
    ("fitted", "later", "words"),
    [
        ([1.0, 2.0], ["1", "abc"], r"column 'a' held numbers .* holds text \(such as 'abc'\) now"),
        ([True, False], [0, 7], r"held true/false .* holds numbers \(such as '7'\)"),
        ([dt.date(2020, 1, 1), dt.date(2021, 1, 1)], [1.0, 2.0], "held dates .* holds numbers now"),
        ([dt.date(2020, 1, 1), dt.date(2021, 1, 1)], ["x", "y"], "such as 'x'"),
        (["a", "b"], [dt.date(2020, 1, 1), None], "held text .* holds dates now"),
    ],
)
def test_other_kinds_are_refused_by_name(fitted: Any, later: Any, words: str) -> None:
    encoder = TableEncoder().fit(pl.DataFrame({"a": fitted}))
    with pytest.raises(ValueError, match=words):
        encoder.transform(pl.DataFrame({"a": later}))


# Dates ---------------------------------------------------------------------------------------


def test_cycles_of_dates() -> None:
    days = pd.date_range("2019-01-01", "2021-12-31", freq="D")
    features = encoded(pd.DataFrame({"t": days}))
    assert list(features) == ["t", "t year sin", "t year cos", "t week sin", "t week cos"]
    length = np.where(days.is_leap_year, 366, 365)
    angle = 2 * np.pi * (days.day_of_year - 1) / length
    np.testing.assert_allclose(features["t year sin"], np.sin(angle), atol=1e-9)
    np.testing.assert_allclose(features["t year cos"], np.cos(angle), atol=1e-9)
    week = np.array(features["t week sin"]) + 1j * np.array(features["t week cos"])
    assert len({np.round(w, 6) for w in week}) == 7
    np.testing.assert_allclose(week[7:], week[:-7], atol=1e-9)
    hours = pd.date_range("2024-03-01", periods=48, freq="h")
    assert list(encoded(pd.DataFrame({"t": hours}))) == ["t", "t day sin", "t day cos"]


def test_zones_are_one_time() -> None:
    here = pd.date_range("2024-01-01", periods=50, freq="7h", tz="Europe/Berlin")
    table, utc = pd.DataFrame({"t": here}), pd.DataFrame({"t": here.tz_convert("UTC")})
    assert encoded(table) == encoded(utc) == encoded(pl.from_pandas(table))
    assert encoded(table) == encoded(table.astype(object))


# State ---------------------------------------------------------------------------------------

tables = st.integers(2, 8).flatmap(
    lambda n: st.fixed_dictionaries({
        "number": st.lists(st.none() | st.floats(allow_infinity=False), min_size=n, max_size=n),
        "text": st.lists(st.none() | st.text(max_size=3), min_size=n, max_size=n),
        "flag": st.lists(st.none() | st.booleans(), min_size=n, max_size=n),
        "time": st.lists(st.none() | st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1)),
                         min_size=n, max_size=n),
        "always": st.just(list(range(n))),
    })
)  # fmt: skip
SCHEMA = {"number": pl.Float64, "text": pl.String, "flag": pl.Boolean, "time": pl.Datetime("us"),
          "always": pl.Int64}  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(tables, st.sampled_from(["robust", "standard", "none"]), st.sampled_from([1, 2, "auto"]))
def test_rebuilt_from_json_bit_for_bit(table: Any, numbers: str, least: Any) -> None:
    frame = pl.DataFrame(table, schema=SCHEMA)
    encoder = TableEncoder(numbers=numbers, min_frequency=least).fit(frame)
    rebuilt = TableEncoder.from_state(json.loads(json.dumps(encoder.to_state())))
    assert rebuilt.transform(frame).tobytes() == encoder.transform(frame).tobytes()
    names = encoder.get_feature_names_out().tolist()
    assert rebuilt.get_feature_names_out().tolist() == names
    assert (rebuilt.notes_, rebuilt.n_features_in_) == (encoder.notes_, 5)
    assert rebuilt.feature_names_in_.tolist() == list(SCHEMA)
    by_hand = TableEncoder(**encoder.get_params())
    by_hand.columns_ = json.loads(json.dumps(encoder.columns_))
    by_hand.feature_names_in_, by_hand.n_features_in_ = encoder.feature_names_in_, 5
    assert by_hand.transform(frame).tobytes() == encoder.transform(frame).tobytes()


def test_state_of_an_array_and_of_another_kind() -> None:
    state = TableEncoder().fit([[1.0, 2], [2, 3]]).to_state()
    rebuilt = TableEncoder.from_state(json.loads(json.dumps(state)))
    assert not hasattr(rebuilt, "feature_names_in_")
    assert rebuilt.transform([[1.0, 3]]).shape == (1, 2)
    state["columns"][0]["kind"] = "numbr"
    with pytest.raises(ValueError, match="did you mean 'number'"):
        TableEncoder.from_state(state)


def test_transform_changes_nothing() -> None:
    encoder = TableEncoder().fit(FIT)
    before = json.dumps(encoder.to_state())
    encoder.transform(FIT)
    encoder.count_unseen(FIT)
    assert json.dumps(encoder.to_state()) == before
    again = clone(encoder).fit(FIT)
    assert json.dumps(again.to_state()) == before


# In company ----------------------------------------------------------------------------------


def test_in_a_pipeline_and_as_frames() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"x": rng.normal(size=200), "c": rng.choice(list("abc"), 200)}, index=range(7, 207)
    )
    y = (table["x"] > 0) ^ (table["c"] == "a")
    scores = cross_val_score(make_pipeline(TableEncoder(), LogisticRegression()), table, y, cv=3)
    assert scores.min() > 0.6
    for library in ("pandas", "polars"):
        frame = TableEncoder().set_output(transform=library).fit_transform(table)
        assert list(frame.columns) == ["x", "c=a", "c=b", "c=c"]
    assert list(TableEncoder().set_output(transform="pandas").fit_transform(table).index) == list(
        table.index
    )


def test_importing_it_is_light() -> None:
    code = "import sys, chainrule.preprocessing, chainrule.tables; print('polars' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.slow
def test_speed() -> None:
    rng = np.random.default_rng(0)
    n = 100_000
    table = pl.DataFrame(
        {f"n{i}": rng.normal(size=n) for i in range(12)}
        | {f"c{i}": rng.choice(list("abcdefgh"), n) for i in range(8)}
    )
    encoder = TableEncoder().fit(table)
    start = time.perf_counter()
    encoder.transform(table)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("numbers", ["robust", "standard", "none"])
@pytest.mark.parametrize("missing", ["indicator", "impute"])
def test_an_array_at_once_is_its_columns_one_by_one(numbers, missing, dtype, monkeypatch):
    """Bit for bit, with gaps, a constant column, one that is left out, and numbers far away."""
    X = np.random.default_rng(0).normal(3, 50, size=(40, 6)).astype(dtype)
    X[::3, 1] = X[5, 4] = np.nan
    X[:, 2], X[:, 3] = 7, np.where(np.arange(40) % 4, 2.5, np.nan)
    encoder = TableEncoder(numbers=numbers, missing=missing, dtype=dtype).fit(X)
    strange = np.full((3, 6), np.nan, dtype)
    strange[0], strange[1] = 1e30, -1e-30
    for rows in (X, strange, X[:1], np.asfortranarray(X)):
        at_once = encoder._of_numbers(rows)
        assert at_once is not None
        with monkeypatch.context() as patch:
            patch.setattr(TableEncoder, "_of_numbers", lambda self, X: None)
            one_by_one = encoder.transform(rows)
        np.testing.assert_array_equal(encoder.transform(rows), one_by_one)
        np.testing.assert_array_equal(at_once, one_by_one)
        assert at_once.dtype == one_by_one.dtype == dtype


def test_an_array_that_needs_a_look_gets_one():
    X = np.random.default_rng(0).normal(size=(20, 3))
    encoder = TableEncoder().fit(X)
    for odd in (X[:, :2], X[0], X.astype(object), X[:0], X.tolist(), X.astype(int)):
        assert encoder._of_numbers(odd) is None
    infinite = X.copy()
    infinite[3, 1] = np.inf
    assert encoder._of_numbers(infinite) is None
    with pytest.raises(ValueError, match="'x1' holds infinite numbers: 1, the first in row 3"):
        encoder.transform(infinite)
    words = TableEncoder().fit(np.array([["a", 1], ["b", 2]] * 9, dtype=object))
    assert words._of_numbers(np.ones((2, 2))) is None
