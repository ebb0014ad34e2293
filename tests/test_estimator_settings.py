"""Settings: each does what its one sentence says, by an equal that is reached another way."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale
from sklearn.utils.class_weight import compute_sample_weight

from chainrule import MLPClassifier, MLPRegressor, RMSprop, train
from chainrule.activations import LeakyRelu
from chainrule.engine import ENGINES
from chainrule.estimators.outputs import fitted_network
from chainrule.optimizers import get_optimizer
from chainrule.penalties import Penalty
from chainrule.schedules import InverseScaling

IRIS = load_iris(return_X_y=True)
X, Y = scale(IRIS[0]), IRIS[1]
NUMBERS = X @ [1.0, -2.0, 0.5, 0.0] + np.sin(X[:, 0])


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    return request.param


def fitted(cls=MLPRegressor, engine="auto", rows=X, y=None, weights=None, **settings):
    y = y if y is not None else (Y if cls is MLPClassifier else NUMBERS)
    settings = {"hidden_layer_sizes": (5,), "max_iter": 6, "random_state": 0} | settings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return cls(engine=engine, **settings).fit(rows, y, weights)


def same(one, other, **tolerance):
    for a, b in zip(
        [*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True
    ):
        np.testing.assert_allclose(a, b, **({"rtol": 1e-9, "atol": 1e-12} | tolerance))


def differ(one, other):
    assert any(np.abs(a - b).max() > 1e-6 for a, b in zip(one.coefs_, other.coefs_, strict=True))


def test_an_activation_per_layer(engine):
    model = fitted(
        engine=engine, hidden_layer_sizes=(5, 4, 3), activation=["tanh", LeakyRelu(0.2), "softplus"]
    )
    a = np.tanh(X @ model.coefs_[0] + model.intercepts_[0])
    z = a @ model.coefs_[1] + model.intercepts_[1]
    a = np.where(z > 0, z, 0.2 * z)
    a = np.log1p(np.exp(a @ model.coefs_[2] + model.intercepts_[2]))
    out = a @ model.coefs_[3] + model.intercepts_[3]
    np.testing.assert_allclose(model.predict(X), out[:, 0], rtol=1e-9)
    with pytest.raises(ValueError, match="expected 2, one per hidden layer"):
        fitted(hidden_layer_sizes=(5, 4), activation=["tanh"])


def test_width_and_depth_stand_for_the_sizes(engine):
    same(
        fitted(engine=engine, hidden_layer_sizes=(7, 7, 7)),
        fitted(engine=engine, hidden_layer_sizes=(100,), width=7, depth=3),
    )
    assert [W.shape for W in fitted(hidden_layer_sizes=100, depth=0).coefs_] == [(4, 1)]
    assert [W.shape for W in fitted(hidden_layer_sizes=100, width=9).coefs_] == [(4, 9), (9, 1)]
    with pytest.raises(ValueError, match="both given"):
        fitted(hidden_layer_sizes=(5,), width=3)


def test_an_initializer_per_layer(engine):
    def sevens(rng, n_in, n_out):
        return np.full((n_in, n_out), 0.07)

    model = fitted(engine=engine, initializer=[sevens, "zeros"], max_iter=1, solver="sgd",
                   learning_rate_init=1e-12)  # fmt: skip
    np.testing.assert_allclose(model.coefs_[0], 0.07, rtol=1e-9)
    np.testing.assert_allclose(model.coefs_[1], 0, atol=1e-9)
    with pytest.raises(ValueError, match="expected 2, one per layer"):
        fitted(initializer=["zeros"])


def test_dropout_per_layer_and_of_the_inputs(engine):
    plain = fitted(engine=engine, hidden_layer_sizes=(5, 4))
    same(plain, fitted(engine=engine, hidden_layer_sizes=(5, 4), dropout=[0, 0]))
    each = fitted(engine=engine, hidden_layer_sizes=(5, 4), dropout=[0.3, 0.3])
    same(each, fitted(engine=engine, hidden_layer_sizes=(5, 4), dropout=0.3))
    differ(each, plain)
    differ(each, fitted(engine=engine, hidden_layer_sizes=(5, 4), dropout=[0.3, 0]))
    # Dropping inputs is ridge regression in expectation, with p/(1-p)·diag(XᵀX) as penalty.
    inputs = fitted(engine=engine, hidden_layer_sizes=(), input_dropout=0.5, max_iter=3000,
                    solver="sgd", learning_rate_init=0.02, n_iter_no_change=np.inf)  # fmt: skip
    G = X.T @ X
    expected = np.linalg.solve(G + np.diag(np.diag(G)), X.T @ (NUMBERS - NUMBERS.mean()))
    np.testing.assert_allclose(inputs.coefs_[0][:, 0], expected, atol=0.15)
    for wrong, words in (([0.3], "expected 2"), (1.0, "a number >= 0 and < 1")):
        with pytest.raises(ValueError, match=words):
            fitted(hidden_layer_sizes=(5, 4), dropout=wrong)


def test_l2_is_alpha_without_the_batch_in_it(engine):
    settings = {"engine": engine, "batch_size": 50, "shuffle": False}
    same(fitted(alpha=0.5, **settings), fitted(alpha=0, l2=0.01, **settings))
    whole = {"engine": engine, "solver": "lbfgs", "max_iter": 3000, "tol": 1e-10}
    few = fitted(alpha=0, l2=0.1, **whole)
    many = fitted(alpha=0, l2=0.1, rows=np.tile(X, (3, 1)), y=np.tile(NUMBERS, 3), **whole)
    np.testing.assert_allclose(few.predict(X), many.predict(X), atol=1e-2)


def test_l1_makes_weights_zero(engine):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 6))
    y = rows[:, 0] + 0.1 * rng.normal(size=200)
    settings = {"hidden_layer_sizes": (), "alpha": 0, "max_iter": 400, "solver": "sgd",
                "learning_rate_init": 0.05, "learning_rate": "adaptive"}  # fmt: skip
    model = fitted(engine=engine, rows=rows, y=y, l1=0.1, **settings)
    # The lasso's own condition: |gradient| <= l1 where the weight is 0, else = l1.
    w = model.coefs_[0][:, 0]
    assert w[0] == pytest.approx((rows[:, 0] @ y / 200 - 0.1) / (rows[:, 0] ** 2).mean(), abs=0.03)
    assert np.abs(w[1:]).max() < 0.01


def test_clip_norm_bounds_each_step(engine):
    model = fitted(engine=engine, solver="sgd", momentum=0, learning_rate_init=1.0, alpha=0,
                   clip_norm=1e-3, max_iter=1, batch_size=150, scale_y="standard")  # fmt: skip
    first = fitted(engine=engine, solver="sgd", momentum=0, learning_rate_init=1e-300, alpha=0,
                   max_iter=1, batch_size=150, scale_y="standard")  # fmt: skip
    step = [
        a - b
        for a, b in zip(
            [*model.coefs_, *model.intercepts_], [*first.coefs_, *first.intercepts_], strict=True
        )
    ]
    assert np.sqrt(sum((each**2).sum() for each in step)) == pytest.approx(1e-3, rel=1e-6)


@pytest.mark.parametrize("solver", ["adamw", "rmsprop", "rprop", "adagrad", RMSprop(0.003)])
@pytest.mark.parametrize("schedule", ["constant", "invscaling", "cosine", "one_cycle"])
def test_every_solver_and_schedule_is_that_of_train(engine, solver, schedule):
    model = fitted(engine=engine, solver=solver, learning_rate=schedule, alpha=0.01)
    if isinstance(solver, str):
        solver = type(get_optimizer(solver))(rate=0.001)
    alone = fitted(engine=engine, max_iter=1, solver="sgd", learning_rate_init=1e-300, alpha=0)
    network = fitted_network(alone)
    train(
        network, X, NUMBERS[:, None], loss="squared_error", optimizer=solver, epochs=6,
        schedule=InverseScaling(0.5) if schedule == "invscaling" else schedule,
        penalty=Penalty(alpha=0.01), batch_size=150,
        seed=int(np.random.RandomState(0).randint(2**31)), engine=engine,
    )  # fmt: skip
    for mine, its in zip(model.coefs_, network.W, strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-9)


@pytest.mark.parametrize("weight", ["balanced", {0: 1.0, 1: 5.0, 2: 0.5}])
@pytest.mark.parametrize("weighted", [False, True])
def test_class_weights_are_sample_weights(engine, weight, weighted):
    y = np.where(np.arange(150) % 5 > 0, Y, 0)
    own = np.random.default_rng(0).uniform(0.5, 2, 150) if weighted else None
    model = fitted(MLPClassifier, engine, y=y, weights=own, class_weight=weight)
    each = compute_sample_weight(weight, y) if not (weighted and weight == "balanced") else None
    if each is None:  # scikit-learn counts by the rows' weights there
        share = np.array([own[y == k].sum() for k in range(3)])
        each = (own.sum() / (3 * share))[y]
    same(model, fitted(MLPClassifier, engine, y=y, weights=each if own is None else each * own))


def test_balanced_classes_find_the_rare_one(engine):
    rng = np.random.default_rng(1)
    rows = np.r_[rng.normal(0, 1, (570, 2)), rng.normal(1.5, 1, (30, 2))]
    y = np.r_[np.zeros(570, int), np.ones(30, int)]
    found = [
        (fitted(MLPClassifier, engine, rows, y, max_iter=100, class_weight=w).predict(rows) == 1)[
            y == 1
        ].mean()
        for w in (None, "balanced")
    ]
    assert found[0] < 0.5 < 0.8 < found[1]


def test_class_weight_is_refused_where_it_means_nothing():
    with pytest.raises(ValueError, match="several labels"):
        fitted(MLPClassifier, y=np.eye(3, dtype=int)[Y], class_weight="balanced")
    with pytest.raises(ValueError, match="partial_fit sees some"):
        MLPClassifier(class_weight="balanced").partial_fit(X, Y, classes=[0, 1, 2])


def test_weights_may_be_zero_in_a_whole_batch(engine):
    weights = np.ones(150)
    weights[:50] = 0
    settings = {"batch_size": 50, "shuffle": False, "solver": "sgd", "momentum": 0, "alpha": 0}
    model = fitted(engine=engine, weights=weights, **settings)
    same(model, fitted(engine=engine, rows=X[50:], y=NUMBERS[50:], **settings))
    assert np.isfinite(model.loss_curve_).all()


@pytest.mark.skipif("native" not in ENGINES, reason="the native library is not there")
@pytest.mark.parametrize("n_threads", [1, 2, None])
def test_threads_change_nothing(n_threads):
    one = fitted(engine="native", hidden_layer_sizes=(70, 30), n_threads=1)
    same(one, fitted(engine="native", hidden_layer_sizes=(70, 30), n_threads=n_threads), rtol=0,
         atol=0)  # fmt: skip


def test_the_engine_and_why_are_told(engine):
    assert fitted(engine=engine).engine_ == engine
    model = fitted(engine="reference")
    assert model.engine_ == "reference"
    assert model.engine_reason_
