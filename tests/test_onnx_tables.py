"""ONNX of whole tables: gaps, categories, dates and scaling inside the graph say what ours say."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.pipeline import make_pipeline

from chainrule import MLPClassifier, MLPRegressor, TableEncoder, to_onnx
from onnx_runs import STRING, TOLERANCE, answers, same

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
N = 80
rng = np.random.default_rng(0)
Y = rng.normal(size=N)


def gappy(values, every=7):
    return [None if i % every == 3 else value for i, value in enumerate(values)]


def small(**how):
    return MLPRegressor(hidden_layer_sizes=(5,), solver="lbfgs", max_iter=5, random_state=0, **how)


def in_seconds(value):
    day = datetime.datetime(value.year, value.month, value.day, tzinfo=datetime.UTC)
    time = value.time() if isinstance(value, datetime.datetime) else datetime.time()
    return day.timestamp() + time.hour * 3600 + time.minute * 60 + time.second


def as_input(values, of):
    """Return a column as the input of the graph wants it: text, or numbers."""
    if of.elem_type == STRING:
        return np.array([["" if v is None else str(v)] for v in values], dtype=object)
    numbers = [
        np.nan if v is None else in_seconds(v) if isinstance(v, datetime.date)
        else v.total_seconds() if isinstance(v, datetime.timedelta) else float(v)
        for v in values
    ]  # fmt: skip
    return np.array(numbers, {1: np.float32, 11: np.float64}[of.elem_type])[:, None]


def feeds(exported, frame):
    return {
        each.name: as_input(frame[each.name].to_list(), each.type.tensor_type)
        for each in exported.graph.input
    }


MOMENTS = [datetime.datetime(1999, 1, 1) + datetime.timedelta(hours=1001 * i) for i in range(N)]
#: A column of each kind, and rows that were not seen when fitted.
COLUMNS = {
    "numbers": (rng.normal(5, 3, N).tolist(), [1e4, -1e4, 0.0, 1e30]),
    "whole numbers": (list(range(N)), [10**6, -3, 0, 5]),
    "numbers with gaps": (gappy(rng.normal(size=N)), [None, 1e4, -1e4, 0.0]),
    "heavy": ([0.0] * 70 + rng.normal(0, 1e6, 10).tolist(), [0.0, 1e9, -1e-9, 1.0]),
    "flags": ([i % 3 == 0 for i in range(N)], [True, False, True, True]),
    "flags with gaps": (gappy([i % 3 == 0 for i in range(N)]), [None, True, False, None]),
    "words": (["red", "blue", "green", "ähnlich"] * 20, ["", "violet", "red", "Red"]),
    "words with gaps": (gappy(["red", "blue"] * 40), [None, "NA", "n/a", "green"]),
    "rare words": (["a", "b"] * 35 + list("cdefghijkl"), ["c", "zz", "a", "?"]),
    "words of truth": (["true", "False", "maybe", "no"] * 20, ["TRUE", "True", "false", "x"]),
    "days": (
        [m.date() for m in MOMENTS],
        [datetime.date(2000, 2, 29), datetime.date(2100, 12, 31), datetime.date(1900, 1, 1),
         datetime.date(1970, 1, 1)],
    ),
    "moments": (MOMENTS, [datetime.datetime(2004, 12, 31, 23, 59, 59)] * 4),
    "moments with gaps": (gappy(MOMENTS), [None, None, *MOMENTS[:2]]),
    "durations": ([datetime.timedelta(minutes=7 * i) for i in range(N)],
                  [datetime.timedelta(days=i) for i in range(4)]),
    "constant, with gaps": (gappy([1.5] * N), [None, 1.5, 2.5, 1.5]),
    "one word, with gaps": (gappy(["yes"] * N), [None, "yes", "no", "NA"]),
}  # fmt: skip


@pytest.mark.parametrize("numbers", ["robust", "standard", "none"])
@pytest.mark.parametrize("missing", ["indicator", "impute"])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_every_kind_of_column(numbers, missing, dtype):
    """All in one table; then unseen levels, gaps in other places, numbers far away."""
    if (numbers, dtype) == ("none", "float32"):
        pytest.skip("sums of seconds since 1970 keep no digits in float32")
    frame = pl.DataFrame({name: values for name, (values, _) in COLUMNS.items()})
    strange = pl.DataFrame(
        {name: pl.Series(odd, dtype=frame[name].dtype) for name, (_, odd) in COLUMNS.items()}
    )
    encoder = TableEncoder(numbers=numbers, missing=missing, dtype=dtype)
    model = make_pipeline(encoder, small(scale_y="standard")).fit(frame, Y)
    exported = to_onnx(model)
    left_out = set() if missing == "indicator" else {"constant, with gaps", "one word, with gaps"}
    assert {each.name for each in exported.graph.input} == set(COLUMNS) - left_out
    for rows in (frame, strange):
        for each in answers(exported, feeds(exported, rows)):
            same(each, model, rows, dtype)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_alone(name):
    """Feature by feature: the network is a sum, by powers of ten, of what it is fed."""
    values, odd = COLUMNS[name]
    frame = pl.DataFrame({name: values})
    strange = pl.DataFrame({name: pl.Series(odd, dtype=frame[name].dtype)})
    model = make_pipeline(TableEncoder(), MLPRegressor(hidden_layer_sizes=(), max_iter=1))
    model.fit(frame, Y)
    W = model[-1].coefs_[0]
    W[:, 0] = 10.0 ** np.arange(len(W))
    exported = to_onnx(model)
    for rows in (frame, strange):
        for each in answers(exported, feeds(exported, rows)):
            expected = model.predict(rows)[:, None]
            np.testing.assert_allclose(each["variable"], expected, 1e-10, 1e-10)


words = st.sampled_from(["a", "b", "c d", "ü", "7", "true", "NA", "", "zebra"])
kinds = {
    "number": st.floats(-1e6, 1e6),
    "whole": st.integers(-5, 5),
    "flag": st.booleans(),
    "text": words,
    "day": st.dates(datetime.date(1800, 1, 1), datetime.date(2200, 1, 1)),
}


@st.composite
def tables(draw):
    """Two tables of the same columns, of 12 rows to fit and 5 to predict."""
    columns = draw(st.lists(st.sampled_from(sorted(kinds)), min_size=1, max_size=5))
    gaps = draw(st.lists(st.booleans(), min_size=len(columns), max_size=len(columns)))
    data = {}
    for k, (kind, gap) in enumerate(zip(columns, gaps, strict=True)):
        each = st.none() | kinds[kind] if gap else kinds[kind]
        data[f"{kind} {k}"] = draw(st.lists(each, min_size=17, max_size=17))
    data["always"] = list(range(17))  # so that something is left to learn from
    frame = pl.DataFrame(data, strict=False)
    return frame[:12], frame[12:]


given_tables = given(
    tables(), st.sampled_from(["indicator", "impute"]), st.sampled_from(["robust", "standard"])
)


@settings(max_examples=8, deadline=None)
@given_tables
def test_any_table(both, missing, numbers):
    hold_to_the_model(*both, missing, numbers)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given_tables
def test_any_table_at_length(both, missing, numbers):
    hold_to_the_model(*both, missing, numbers)


def hold_to_the_model(frame, rows, missing, numbers):
    encoder = TableEncoder(missing=missing, numbers=numbers, min_frequency=1, drop_ids=False)
    model = make_pipeline(encoder, small()).fit(frame, Y[:12])
    exported = to_onnx(model)
    for each in answers(exported, feeds(exported, rows)):
        same(each, model, rows, "float64")


# Estimators with an encoder of their own -----------------------------------------------------


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("scale_X", ["none", "standard", "robust"])
@pytest.mark.parametrize("missing", ["error", "indicator", "impute"])
def test_a_matrix_stays_one(scale_X, missing, dtype):
    X = rng.normal(3, 5, size=(N, 4)).astype(dtype)
    X[:, 3] = 1  # constant, and left out
    if missing != "error":
        X[::5, 1] = np.nan
    model = small(scale_X=scale_X, missing=missing).fit(X, Y)
    exported = to_onnx(model)
    assert [each.name for each in exported.graph.input] == ["X"]
    for each in answers(exported, {"X": X}):
        same(each, model, X, dtype)
    X[2, 0] = np.nan  # where there was none
    found = [each["variable"] for each in answers(exported, {"X": X})]
    for values in found:
        if missing == "error":  # the model refuses it, the graph says NaN
            assert np.isnan(values[:, 0]).tolist() == [i == 2 for i in range(N)]
        else:
            np.testing.assert_allclose(values[:, 0], model.predict(X), 1e-4, 1e-5)


@pytest.mark.parametrize("dtype", [*TOLERANCE, "int64"])
def test_categories_that_are_numbers_in_a_matrix(dtype):
    X = np.stack([np.arange(N) % 4, rng.normal(size=N) * 10, np.arange(N) % 3], 1).astype(dtype)
    model = small(categorical_features=[0, -1], scale_X="standard").fit(X, Y)
    exported = to_onnx(model)
    strange = X[:4].copy()
    strange[:3, 0] = [7, -1, 4]
    for rows in (X, strange):
        for each in answers(exported, {"X": rows.astype(np.float64)}):
            same(each, model, rows, "float64")


def test_categories_with_gaps_and_many_rare_levels_in_a_matrix():
    n = 3000
    X = np.stack([rng.integers(0, 1500, n), rng.normal(size=n)], 1).astype(float)
    X[:40, 0] = np.arange(40) % 3
    X[::9, 0] = np.nan
    model = small(categorical_features=[0], missing="indicator").fit(X, rng.normal(size=n))
    assert model.encoder_.columns_[0]["rare"] is None
    rows = np.array([[0, 1.0], [7, 0], [10**6, 1], [np.nan, 2], [2, 0]])
    for each in answers(to_onnx(model), {"X": rows}):
        same(each, model, rows, "float64")


def test_an_array_with_text_is_one_input_for_each_column():
    X = np.empty((N, 2), object)
    X[:, 0], X[:, 1] = [["a", "b", ""][i % 3] for i in range(N)], rng.normal(size=N)
    model = small(categorical_features=[0]).fit(X, Y)
    exported = to_onnx(model)
    assert [each.name for each in exported.graph.input] == ["x0", "x1"]
    fed = {"x0": X[:, :1], "x1": X[:, 1:].astype(float)}
    for each in answers(exported, fed):
        same(each, model, X, "float64")


@pytest.mark.parametrize("frames", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_frame_with_an_encoder_inside(frames, dtype):
    numbers = rng.normal(size=N).astype(dtype)
    frame = frames({"x": numbers, "town": ["Bern", "Zug", "Genf", "Zug"] * 20})
    target = np.where(numbers > 0, "up", "down")
    model = MLPClassifier(
        (4,), solver="lbfgs", max_iter=9, scale_X="standard", categorical_features=["town"],
        missing="impute", random_state=0,
    ).fit(frame, target)  # fmt: skip
    exported = to_onnx(model)
    fed = {"x": np.asarray(frame["x"]).astype("float64")[:, None],
           "town": np.asarray(frame["town"]).astype(object)[:, None]}  # fmt: skip
    for each in answers(exported, fed):
        same(each, model, frame, "float64")


@pytest.mark.parametrize("odd", ["label", "probabilities", "X", "add", "constant", " ", ""])
def test_a_column_may_have_any_name(odd):
    """Also one that an output, or something inside, has by itself."""
    frame = pl.DataFrame({odd: rng.normal(size=N), "other": rng.normal(size=N)})
    encoder = TableEncoder(drop_ids=False)
    model = make_pipeline(encoder, MLPClassifier((3,), max_iter=3, random_state=0))
    model.fit(frame, Y > 0)
    exported = to_onnx(model)
    fed = {each.name: frame[:, [k]].to_numpy() for k, each in enumerate(exported.graph.input)}
    assert list(fed) == [odd or "x0", "other"]
    for each in answers(exported, fed):
        label, probabilities = each.values()
        np.testing.assert_array_equal(label, model.predict(frame))
        np.testing.assert_allclose(probabilities, model.predict_proba(frame), 1e-10)
