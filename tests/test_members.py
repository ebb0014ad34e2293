"""Members: n_estimators networks side by side, averaged, and how far they differ."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from chainrule import MLPClassifier, MLPRegressor
from chainrule.engine import ENGINES
from chainrule.estimators.outputs import fitted_network


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    return request.param


def fitted(cls, engine, **settings):
    X, y = (load_iris if cls is MLPClassifier else load_diabetes)(return_X_y=True)
    settings = {"hidden_layer_sizes": (6,), "max_iter": 8, "random_state": 3} | settings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return cls(engine=engine, **settings).fit(scale(X), y), scale(X), y


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_each_member_is_the_network_of_its_seed(engine, cls, solver):
    model, _, _ = fitted(cls, engine, n_estimators=3, solver=solver)
    rng = np.random.RandomState(3)
    for member in model.members_:
        seed = int(rng.randint(2**31))

        class Seeded(np.random.RandomState):
            def randint(self, *args, seed=seed, **kwargs):
                return seed

        alone, _, _ = fitted(cls, engine, solver=solver, random_state=Seeded(0))
        for W, own in zip(member["coefs"], alone.coefs_, strict=True):
            np.testing.assert_array_equal(W, own)
    assert (model.members_[0]["coefs"][0] == model.coefs_[0]).all()
    assert (model.members_[0]["coefs"][0] != model.members_[1]["coefs"][0]).any()


@pytest.mark.parametrize("n_threads", [1, 2, None])
def test_predictions_are_the_members_mean_and_spread(engine, n_threads):
    model, X, _ = fitted(MLPRegressor, engine, n_estimators=4, n_threads=n_threads)
    every = np.array([fitted_network(model, m).predict(X)[:, 0] for m in range(4)])
    np.testing.assert_allclose(model.predict(X), every.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(model.predict_spread(X), every.std(axis=0), rtol=1e-9)
    model, X, _ = fitted(MLPClassifier, engine, n_estimators=4, n_threads=n_threads)
    every = np.array([fitted_network(model, m).predict(X) for m in range(4)])
    np.testing.assert_allclose(model.predict_proba(X), every.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(model.predict_spread(X), every.std(axis=0), rtol=1e-9)
    assert (model.predict(X) == every.mean(axis=0).argmax(axis=1)).all()


def test_a_spread_is_in_the_units_of_y(engine):
    model, X, y = fitted(MLPRegressor, engine, n_estimators=3, scale_y="standard")
    every = [
        y.mean() + y.std() * fitted_network(model, member).predict(X)[:, 0] for member in range(3)
    ]
    np.testing.assert_allclose(model.predict_spread(X), np.std(every, axis=0), rtol=1e-9)


def test_the_spread_grows_away_from_the_rows(engine):
    model, X, _ = fitted(
        MLPRegressor, engine, n_estimators=5, scale_y="standard", max_iter=200, solver="lbfgs"
    )
    near, far = model.predict_spread(X).mean(), model.predict_spread(10 * X).mean()
    assert far > 3 * near


def test_an_ensemble_is_better_than_its_members_on_average(engine):
    """The mean's squared error is the members' mean error less their variance, at every row."""
    model, X, y = fitted(MLPRegressor, engine, n_estimators=5, scale_y="standard", max_iter=60)
    errors = [
        (y.mean() + y.std() * fitted_network(model, m).predict(X)[:, 0] - y) ** 2 for m in range(5)
    ]
    np.testing.assert_allclose(
        (model.predict(X) - y) ** 2,
        np.mean(errors, axis=0) - model.predict_spread(X) ** 2,
        atol=1e-6 * y.var(),
    )


def test_members_of_partial_fit_go_on_each_by_itself(engine):
    X, y = load_iris(return_X_y=True)
    X = scale(X)
    model = MLPClassifier((4,), n_estimators=3, random_state=0, engine=engine)
    for _ in range(5):
        model.partial_fit(X, y, classes=[0, 1, 2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        whole = MLPClassifier((4,), n_estimators=3, random_state=0, engine=engine, max_iter=5)
        whole.fit(X, y)
    for one, other in zip(model.members_, whole.members_, strict=True):
        np.testing.assert_array_equal(one["coefs"][0], other["coefs"][0])


def test_warm_start_goes_on_and_another_number_of_members_is_refused(engine):
    model, X, y = fitted(MLPRegressor, engine, n_estimators=2, warm_start=True)
    before = [member["coefs"][0].copy() for member in model.members_]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    for member, old in zip(model.members_, before, strict=True):
        assert 0 < np.abs(member["coefs"][0] - old).max() < 0.1
    with pytest.raises(ValueError, match=r"2 fitted networks .* ask for 3"):
        model.set_params(n_estimators=3).fit(X, y)


def test_what_one_network_only_can_do_is_refused():
    model, X, _ = fitted(MLPRegressor, "reference")
    with pytest.raises(ValueError, match="take n_estimators=5"):
        model.predict_spread(X)
    from chainrule.callbacks import TimeLimit

    with pytest.raises(ValueError, match="callbacks belong to one network"):
        fitted(MLPRegressor, "reference", n_estimators=2, callbacks=[TimeLimit(9)])
