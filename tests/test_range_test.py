"""Range test: each update by hand, both engines, and rates that are good to train with."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, make_friedman1

from chainrule.engine import ENGINES
from chainrule.losses import Loss
from chainrule.network import Network
from chainrule.optimizers import OPTIMIZERS, SGD, Adam, RMSprop
from chainrule.plots import plot_learning_rate_test, save_figure
from chainrule.range_test import SETTLED, learning_rate_test
from chainrule.training import train

rng = np.random.default_rng(0)
X = rng.normal(size=(120, 3))
Y = np.tanh(X[:, :1]) + 0.1 * rng.normal(size=(120, 1))
STEPPING = sorted(set(OPTIMIZERS) - {"lbfgs"})


def net(seed=0, dtype="float64"):
    return Network([3, 8, 1], "tanh", seed=seed, dtype=dtype)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", STEPPING)
def test_each_update_is_the_one_made_by_hand(engine, name):
    """All rows in one batch, so that backward and the update rule make it again."""
    test = learning_rate_test(
        net(), X, Y, optimizer=name, batch_size=120, low=1e-4, high=1.0, steps=40, engine=engine
    )
    rates = np.geomspace(1e-4, 1.0, 40)[: len(test.rates)]
    np.testing.assert_allclose(test.rates, rates, rtol=1e-12)
    twin, rule = net(), OPTIMIZERS[name](rate=1.0)
    slots = tuple(np.full_like(twin.theta, rule.first_slot(each)) for each in rule.slots)
    losses = []
    for t, rate in enumerate(rates, 1):
        losses.append(twin.cost(X, Y))
        g = twin.backward(twin.forward(X), Y).flat
        twin.theta[:], slots = rule.update(twin.theta, g, slots, rate, t)
    np.testing.assert_allclose(test.losses, losses, rtol=1e-9)
    mean = [
        np.average(losses[:t], weights=0.9 ** np.arange(t)[::-1]) for t in range(1, len(rates) + 1)
    ]
    np.testing.assert_allclose(test.smoothed, mean, rtol=1e-9)


@pytest.mark.skipif("native" not in ENGINES, reason="there is no native engine")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_both_engines_agree(dtype):
    settings = {
        "batch_size": 16, "dropout": 0.2, "l2": 0.01, "clip_norm": 1.0, "seed": 5, "high": 0.1,
        "weights": rng.uniform(size=120),
    }  # fmt: skip
    tests = [learning_rate_test(net(0, dtype), X, Y, engine=e, **settings) for e in ENGINES]
    rel = 1e-9 if dtype == "float64" else 1e-3
    np.testing.assert_allclose(tests[0].losses, tests[1].losses, rtol=rel)
    assert len(tests[0].losses) == 100
    assert tests[0].suggested == pytest.approx(tests[1].suggested, rel=0.2)


def test_the_network_stays_as_it_is_and_the_same_seed_finds_the_same():
    network = net()
    before = network.theta.copy()
    first, again = (learning_rate_test(network, X, Y, batch_size=10, seed=3) for _ in range(2))
    np.testing.assert_array_equal(network.theta, before)
    np.testing.assert_array_equal(first.losses, again.losses)
    other = learning_rate_test(network, X, Y, batch_size=10, seed=4)
    assert not np.array_equal(first.losses, other.losses)


def cost_after(network, rate, optimizer, X, Y, loss):
    trained = network.copy()
    try:
        train(trained, X, Y, loss=loss, optimizer=replace(optimizer, rate=rate), batch_size=32,
              epochs=15)  # fmt: skip
        return trained.cost(X, Y, loss)
    except ValueError:  # diverged
        return np.inf


def scaled(values):
    return (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-9)


TABLES = {
    "digits": (load_digits, "cross_entropy", "softmax"),
    "cancer": (load_breast_cancer, "binary_cross_entropy", "sigmoid"),
    "diabetes": (load_diabetes, "squared_error", "identity"),
    "friedman": (lambda return_X_y: make_friedman1(600, random_state=0), "huber", "identity"),
}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("optimizer", [SGD(), SGD(momentum=0.9), Adam(), RMSprop()], ids=str)
def test_the_suggested_rate_is_good_to_train_with(table, optimizer):
    """Of what the best rate of a grid gains in 15 epochs, it gains nine tenths or more."""
    load, loss, output = TABLES[table]
    X, y = load(return_X_y=True)
    Y = np.eye(10)[y] if table == "digits" else np.reshape(y, (-1, 1)).astype(float)
    X, Y = scaled(X), scaled(Y) if output == "identity" else Y
    network = Network([X.shape[1], 32, Y.shape[1]], "relu", output_activation=output, seed=1)
    test = learning_rate_test(network, X, Y, loss=loss, optimizer=optimizer, batch_size=32)
    case = (optimizer, X, Y, loss)
    best = min(cost_after(network, rate, *case) for rate in np.geomspace(1e-4, 1, 9))
    found, start = cost_after(network, test.suggested, *case), network.cost(X, Y, loss)
    assert start - found > 0.9 * (start - best)


def test_it_stops_where_the_smoothed_loss_is_four_times_its_lowest():
    test = learning_rate_test(net(), X, Y, optimizer="sgd", batch_size=20)
    judged = test.smoothed[SETTLED - 1 :]
    assert "rose above 4 times its lowest" in test.stopped
    above = judged > 4 * np.minimum.accumulate(judged)
    assert above.nonzero()[0].tolist() == [len(judged) - 1]
    lowest = SETTLED - 1 + test.smoothed[SETTLED - 1 :].argmin()
    assert test.suggested == test.rates[lowest] / 10


def test_it_ends_at_the_highest_rate():
    test = learning_rate_test(net(), X, Y, low=1e-4, high=1e-2, steps=50, batch_size=20)
    assert len(test.rates) == 50
    assert (test.rates[0], test.rates[-1]) == (pytest.approx(1e-4), pytest.approx(1e-2))
    assert test.stopped == "reached the rate 0.01"
    assert repr(test) == "LearningRateTest(0.001 suggested; 50 updates, reached the rate 0.01)"


@pytest.mark.filterwarnings("ignore:overflow")
def test_numbers_that_are_not_finite_end_it():
    relu = Network([3, 8, 1], "relu", seed=0)
    test = learning_rate_test(relu, 1e6 * X, 1e6 * Y, optimizer="sgd", low=1.0, high=1e5)
    assert "not finite" in test.stopped
    assert test.suggested is None
    assert np.isfinite(test.losses).all()
    with pytest.raises(ValueError, match=r"was not finite in the .* at the first update"):
        learning_rate_test(net(), X, 1e200 * Y)


class Shifted(Loss):
    """Squared error less 5: below zero where it is good."""

    def value(self, a, y):
        return 0.5 * (a - y) ** 2 - 5

    def gradient(self, a, y):
        return a - y


def test_a_loss_below_zero_does_not_end_it_at_once():
    test = learning_rate_test(net(), X, Y, loss=Shifted(), optimizer="sgd", batch_size=20)
    assert (test.smoothed[:-1] < 0).any()
    assert 1e-3 < test.suggested < 1


def test_rows_that_weigh_nothing_change_nothing():
    """Batches of one row, so that whole batches weigh nothing."""
    w = np.arange(120) % 3 == 0
    test = learning_rate_test(net(), X, Y, weights=w * 1.0, batch_size=1, low=1e-4, high=0.1)
    assert len(test.losses) == 100
    nan_free = np.where(w[:, None], Y, 1e6)
    again = learning_rate_test(net(), X, nan_free, weights=w, batch_size=1, low=1e-4, high=0.1)
    np.testing.assert_array_equal(test.losses, again.losses)


def test_sparse_rows():
    S = sparse.csr_array(np.where(X > 0, X, 0))
    dense = learning_rate_test(net(), S.toarray(), Y, batch_size=20)
    np.testing.assert_allclose(
        learning_rate_test(net(), S, Y, batch_size=20).losses, dense.losses, rtol=1e-9
    )


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"low": 1.0, "high": 0.1}, ValueError, "low=1.0, high=0.1: expected numbers with 0 < low"),
        ({"low": 0}, ValueError, "low=0, high=10.0"),
        ({"steps": 5}, ValueError, "steps=5 must be a whole number >= 20"),
        ({"optimizer": "lbfgs"}, ValueError, "has no learning rate to test"),
        ({"optimizer": "rprop", "batch_size": 10}, ValueError, "RProp needs full batches"),
        ({"epochs": 5}, ValueError, "epochs does not act in a range test; leave it out"),
        ({"droput": 0.5}, TypeError, "'droput' is no setting of train; did you mean 'dropout'"),
        ({"batch_size": 0}, ValueError, "batch_size=0 must be a whole number >= 1"),
        ({"engine": "gpu"}, ValueError, "engine='gpu' is unknown"),
    ],
)
def test_what_does_not_fit_is_refused(given, error, says):
    with pytest.raises(error, match=says):
        learning_rate_test(net(), X, Y, **given)


# The picture -------------------------------------------------------------------------------------


def labels(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def test_the_picture_shows_curve_lowest_and_suggestion(tmp_path):
    test = learning_rate_test(net(), X, Y, batch_size=20)
    ax = test.plot()
    lines = labels(ax)
    np.testing.assert_array_equal(lines["smoothed"].get_xydata().T, [test.rates, test.smoothed])
    np.testing.assert_array_equal(lines["of each batch"].get_ydata(), test.losses)
    x, y = lines["lowest"].get_xydata()[0]
    assert (x, y) == (pytest.approx(10 * test.suggested), test.smoothed.min())
    assert ax.get_xscale() == "log"
    assert ax.get_title(loc="left") == f"suggested learning rate: {test.suggested:.2g}"
    low, high = ax.get_ylim()
    assert low < test.smoothed.min() < test.smoothed[0] < high < test.losses.max()
    save_figure(ax, tmp_path / "test.png")


def test_the_picture_of_a_test_that_found_none(tmp_path):
    ax = plot_learning_rate_test([1, 2, 3], [1.0, 1e9, np.inf], [1.0, 1e8, 1e20])
    assert ax.get_title(loc="left") == "no learning rate from 1 to 3 lowered the loss"
    assert ax.get_yscale() == "log"
    save_figure(ax, tmp_path / "test.png")
    flat = plot_learning_rate_test([1], [0.0], [0.0])
    assert flat.get_yscale() == "linear"
    save_figure(
        plot_learning_rate_test([1, 2], [np.nan] * 2, [np.nan] * 2, 1.0), tmp_path / "2.png"
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (([1.0], [1.0, 2.0], [1.0]), "expected the same"),
        (([], [], []), "at least one"),
        (([0.0], [1.0], [1.0]), "a rate is not a finite number > 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(given, says):
    with pytest.raises(ValueError, match=says):
        plot_learning_rate_test(*given)
