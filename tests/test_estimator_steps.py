"""Steps: what the estimators hand to the engines is what `train` does with it."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from chainrule import MLPRegressor, train
from chainrule.engine import ENGINES
from chainrule.estimators.outputs import fitted_network
from chainrule.model_file import load_model, save_model
from chainrule.optimizers import SGD, Adam

X, Y = (scale(part) for part in load_diabetes(return_X_y=True))
X, Y = X[:200], Y[:200]
SEED = int(np.random.RandomState(0).randint(2**31))


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    return request.param


def fitted(engine, **settings):
    settings = {"hidden_layer_sizes": (6,), "max_iter": 5, "random_state": 0, "alpha": 0} | settings
    model = MLPRegressor(engine=engine, batch_size=30, n_iter_no_change=np.inf, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, Y)


@pytest.mark.parametrize(
    "settings",
    [
        {"weight_decay": 0.3},
        {"gradient_accumulation_steps": 3},
        {"ema_decay": 0.9},
        {"input_dropout": 0.2, "dropout": 0.1},
        {"weight_decay": 0.1, "gradient_accumulation_steps": 2, "ema_decay": 0.5, "clip_norm": 0.1},
    ],
    ids=lambda settings: " ".join(settings),
)
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_as_train_does(engine, settings, solver):
    model = fitted(engine, solver=solver, **settings)
    network = fitted_network(
        fitted(engine, solver="sgd", learning_rate_init=1e-300, momentum=0, max_iter=1)
    )
    optimizer = Adam(0.001) if solver == "adam" else SGD(0.001, momentum=0.9, nesterov=True)
    train(network, X, Y[:, None], optimizer=optimizer, epochs=5, batch_size=30, seed=SEED,
          engine=engine, **settings)  # fmt: skip
    for mine, its in zip(model.coefs_, network.W, strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-9, atol=1e-12)
    assert (mine != fitted(engine, solver=solver).coefs_[-1]).any()


def test_averages_go_on_through_partial_fit_and_files(engine, tmp_path):
    settings = {"hidden_layer_sizes": (6,), "random_state": 0, "ema_decay": 0.9, "engine": engine}
    whole = fitted(engine, ema_decay=0.9, alpha=0.0001, max_iter=6)
    model = MLPRegressor(batch_size=30, **settings)
    for epoch in range(6):
        model.partial_fit(X, Y)
        if epoch == 2:
            save_model(model, tmp_path / "half")
            model = load_model(tmp_path / "half")
    np.testing.assert_allclose(model.coefs_[0], whole.coefs_[0], rtol=1e-9)


@pytest.mark.parametrize("n_estimators", [1, 3])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_time_limit_ends_it(engine, n_estimators, solver):
    model = MLPRegressor(
        hidden_layer_sizes=(64, 64), max_iter=10**7, n_iter_no_change=np.inf, tol=0, engine=engine,
        solver=solver, n_estimators=n_estimators, random_state=0,
    )  # fmt: skip
    model.fit(X, Y, time_limit=0.2)
    assert "time_limit=0.2" in model.stop_reason_ or solver == "lbfgs"
    assert np.isfinite(model.predict(X)).all()
    tiny = model.set_params(solver="adam").fit(X, Y, time_limit=1e-9)
    assert tiny.n_iter_ == 0
    assert tiny.loss_ is None
    assert np.isfinite(tiny.predict(X)).all()
    for wrong in (0, -1, np.nan, "1"):
        with pytest.raises(ValueError, match="time_limit"):
            model.fit(X, Y, time_limit=wrong)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"weight_decay": 1e4}, "takes more from a weight than there is"),
        ({"ema_decay": 1.0}, "between 0 and 1"),
        ({"ema_decay": 0.0}, "between 0 and 1"),
        ({"gradient_accumulation_steps": 0}, "whole number >= 1"),
        ({"gradient_accumulation_steps": 2, "solver": "lbfgs"}, "does not fit solver='lbfgs'"),
        ({"ema_decay": 0.9, "solver": "lbfgs"}, "does not fit solver='lbfgs'"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        fitted("reference", **settings)
