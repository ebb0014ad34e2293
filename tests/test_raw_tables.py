"""Raw tables: what scale_X, missing and categorical_features make of X is what one does by hand."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from chainrule import MLPClassifier, MLPRegressor
from chainrule.engine import ENGINES

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")

N = 60


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    return request.param


def columns(gaps=True):
    rng = np.random.default_rng(0)
    size = rng.normal(30, 10, N)
    size[::7] = np.nan if gaps else 30
    kind = rng.choice(["oak", "ash", "elm"], N).astype(object)
    kind[::11] = None if gaps else "oak"
    return {"size": size, "kind": kind, "code": rng.integers(0, 3, N), "flag": size > 30}


Y = np.random.default_rng(1).normal(size=N)


def fitted(X, cls=MLPRegressor, y=Y, **settings):
    settings = {"hidden_layer_sizes": (5,), "max_iter": 5, "random_state": 0} | settings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return cls(**settings).fit(X, y)


def test_standard_scaling_is_that_of_a_pipeline(engine):
    X = np.random.default_rng(0).normal([1, 100, -5], [1, 20, 0.01], (N, 3))
    inside = fitted(X, scale_X="standard", engine=engine)
    scaler = StandardScaler().fit(X)
    outside = fitted(scaler.transform(X), engine=engine)
    np.testing.assert_allclose(inside.predict(X), outside.predict(scaler.transform(X)), rtol=1e-6)
    assert inside.n_features_in_ == 3


@pytest.mark.parametrize("library", ["numpy", "pandas", "polars"])
def test_a_table_all_in_float32_trains_in_it(engine, library):
    X = np.random.default_rng(0).normal(size=(N, 3))
    table = {"numpy": np.array, "pandas": pandas.DataFrame, "polars": polars.DataFrame}[library]
    single = fitted(table(X.astype(np.float32)), scale_X="standard", engine=engine)
    double = fitted(table(X), scale_X="standard", engine=engine)
    assert single.coefs_[0].dtype == np.float32
    assert double.coefs_[0].dtype == np.float64
    np.testing.assert_allclose(single.predict(table(X)), double.predict(table(X)), rtol=1e-4)


def test_gaps_are_filled_and_told_of(engine):
    X = np.random.default_rng(0).normal(size=(N, 2))
    X[::5, 1] = np.nan
    model = fitted(X, missing="indicator", engine=engine)
    names = list(model.encoder_.get_feature_names_out())
    assert len(names) == 3
    assert model.coefs_[0].shape == (3, 5)
    assert np.isfinite(model.predict(X)).all()
    filled = fitted(X, missing="impute", engine=engine)
    assert filled.coefs_[0].shape == (2, 5)
    whole = X.copy()
    whole[::5, 1] = np.nanmedian(X[:, 1])
    np.testing.assert_allclose(filled.predict(X), filled.predict(whole), rtol=1e-9)
    with pytest.raises(ValueError, match="NaN"):
        fitted(X)
    with pytest.raises(ValueError, match=r"column .* has 12 gaps.*missing='indicator'"):
        fitted(X, scale_X="standard")


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_raw_frame_trains(engine, library):
    frame = (pandas if library == "pandas" else polars).DataFrame(columns())
    model = fitted(
        frame, MLPClassifier, Y > 0, scale_X="robust", missing="indicator",
        categorical_features="from_dtype", engine=engine, early_stopping=True,
    )  # fmt: skip
    assert list(model.feature_names_in_) == ["size", "kind", "code", "flag"]
    assert any("kind" in name for name in model.encoder_.get_feature_names_out())
    assert model.predict_proba(frame).shape == (N, 2)
    with pytest.raises(ValueError, match=r"feature|column"):
        model.predict(frame[["size", "kind"]])


def test_pandas_and_polars_are_the_same_to_it(engine):
    settings = {"categorical_features": "from_dtype", "missing": "indicator", "engine": engine}
    one, other = (
        fitted(pandas.DataFrame(columns()), **settings),
        fitted(polars.DataFrame(columns(), strict=False), **settings),
    )
    np.testing.assert_array_equal(one.coefs_[0], other.coefs_[0])


def test_named_columns_are_categories_even_of_numbers(engine):
    table = columns(gaps=False)
    frame = pandas.DataFrame({"code": table["code"], "size": table["size"]})
    by_name = fitted(frame, categorical_features=["code"], scale_X="standard", engine=engine)
    by_place = fitted(frame.to_numpy(), categorical_features=[0], scale_X="standard", engine=engine)
    levels = OneHotEncoder(sparse_output=False).fit_transform(frame[["code"]])
    by_hand = np.c_[levels, StandardScaler().fit_transform(frame[["size"]])]
    assert by_name.coefs_[0].shape[0] == by_hand.shape[1]
    np.testing.assert_array_equal(by_name.coefs_[0], by_place.coefs_[0])
    outside = fitted(by_hand, engine=engine)
    np.testing.assert_allclose(by_name.predict(frame), outside.predict(by_hand), rtol=1e-6)


def test_an_unseen_category_is_no_error(engine):
    frame = pandas.DataFrame(columns(gaps=False))
    model = fitted(frame, categorical_features="from_dtype", engine=engine)
    frame.loc[0, "kind"] = "yew"
    assert np.isfinite(model.predict(frame)).all()


def test_an_eval_set_passes_through_the_same_encoder(engine):
    X = np.random.default_rng(0).normal([1, 100, -5], [1, 20, 0.01], (N, 3))
    model = MLPRegressor(
        hidden_layer_sizes=(5,), max_iter=3, scale_X="standard", engine=engine, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X[:40], Y[:40], eval_set=(X[40:], Y[40:]))
    expected = np.mean((model.predict(X[40:]) - Y[40:]) ** 2) / 2
    assert model.validation_curve_[-1] == pytest.approx(expected, rel=1e-9)


def test_off_by_default_and_what_it_asks_for_is_said():
    frame = pandas.DataFrame(columns(gaps=False))
    with pytest.raises(ValueError, match=r"oak|float|text"):
        fitted(frame)
    with pytest.raises(ValueError, match="categorical_features='from_dtype'"):
        fitted(frame, scale_X="standard")
    with pytest.raises(ValueError, match="no column of X"):
        fitted(frame, categorical_features=["sort"])
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(ValueError, match="sparse"):
        fitted(sparse.csr_matrix(np.eye(N)), scale_X="standard")


def test_parameters_set_after_fit_change_no_prediction():
    X = np.random.default_rng(0).normal(size=(N, 2))
    model = fitted(X, scale_X="standard")
    before = model.predict(X)
    np.testing.assert_array_equal(model.set_params(scale_X="none").predict(X), before)
    with pytest.warns(ConvergenceWarning):
        assert not hasattr(model.fit(X, Y), "encoder_")
