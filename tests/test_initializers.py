"""Initializers: sizes of first weights, by name, by activation, and the user's own."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats
from sklearn.neural_network import MLPRegressor

from chainrule.activations import ACTIVATIONS
from chainrule.initializers import (
    INITIALIZERS,
    Uniform,
    VarianceScaling,
    as_scikit_learn,
    first_weights,
    get_initializer,
)
from chainrule.network import Network

VARIANCE = {  # n_in, n_out -> variance, from the papers
    "glorot_uniform": lambda n_in, n_out: 2 / (n_in + n_out),
    "glorot_normal": lambda n_in, n_out: 2 / (n_in + n_out),
    "he_uniform": lambda n_in, n_out: 2 / n_in,
    "he_normal": lambda n_in, n_out: 2 / n_in,
    "lecun_uniform": lambda n_in, n_out: 1 / n_in,
    "lecun_normal": lambda n_in, n_out: 1 / n_in,
    "uniform": lambda n_in, n_out: 1 / 3,
    "zeros": lambda n_in, n_out: 0,
}


@pytest.mark.parametrize("name", sorted(INITIALIZERS))
def test_mean_and_variance(name):
    n_in, n_out = 200, 300
    W, b = first_weights(INITIALIZERS[name], np.random.default_rng(0), n_in, n_out)
    expected = VARIANCE[name](n_in, n_out)
    assert W.shape == (n_in, n_out)
    assert W.var() == pytest.approx(expected, rel=0.03)
    assert W.mean() == pytest.approx(0, abs=5 * np.sqrt(expected / W.size))
    if name.endswith("uniform"):
        assert abs(W).max() <= np.sqrt(3 * expected)
    assert (b.any() and abs(b).max() <= 1) if name == "uniform" else not b.any()


@pytest.mark.parametrize("name", ["identity", "logistic", "tanh", "relu"])
def test_first_weights_and_biases_are_distributed_as_scikit_learn_s(name):
    """Two-sample Kolmogorov-Smirnov tests against what its estimator draws, layer by layer."""
    theirs = MLPRegressor(
        hidden_layer_sizes=(60, 30), activation=name, max_iter=1, learning_rate_init=1e-12
    )
    coefs, intercepts = [[], [], []], [[], [], []]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an epoch is no training
        for seed in range(20):
            theirs.set_params(random_state=seed).fit(np.zeros((2, 5)), np.zeros(2))
            for l in range(3):
                coefs[l] += theirs.coefs_[l].ravel().tolist()
                intercepts[l] += theirs.intercepts_[l].tolist()
    draw = as_scikit_learn([ACTIVATIONS[name.replace("logistic", "sigmoid")]] * 2)
    rng = np.random.default_rng(0)
    for l, (n_in, n_out) in enumerate(pairwise([5, 60, 30, 1])):
        drawn = [draw(rng, n_in, n_out) for _ in range(200)]
        for k, given in enumerate((coefs[l], intercepts[l])):
            ours = np.concatenate([pair[k].ravel() for pair in drawn])
            bound = np.sqrt((2 if name == "logistic" else 6) / (n_in + n_out))
            assert abs(ours).max() <= bound
            assert stats.ks_2samp(ours, given).pvalue > 1e-3, (l, k)


def test_what_scikit_learn_has_not_is_drawn_as_suits_it():
    relu, gelu = ACTIVATIONS["relu"], ACTIVATIONS["gelu"]
    assert as_scikit_learn([gelu]) == as_scikit_learn([relu, ACTIVATIONS["tanh"]]) == "auto"
    assert as_scikit_learn([]) == as_scikit_learn([relu])  # its default, with no hidden layer


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_auto_takes_what_suits_the_activation(name):
    sigma = ACTIVATIONS[name]
    assert get_initializer("auto", sigma) is INITIALIZERS[sigma.initializer]


def test_signals_keep_their_size_through_deep_networks():
    """With the initializer that suits relu, layer 10 is as loud as layer 1 to a factor of 3."""
    net = Network([100] * 11, "relu", seed=0)
    A = net.forward(np.random.default_rng(0).normal(size=(50, 100))).A
    assert 1 / 3 < A[10].std() / A[1].std() < 3


def test_same_seed_same_weights_and_another_seed_others():
    first, same, other = (Network([3, 4, 2], "tanh", seed=seed) for seed in (1, 1, 2))
    assert (first.theta == same.theta).all()
    assert (first.W[0] != other.W[0]).all()


def test_one_per_layer_and_your_own():
    def ones(rng, n_in, n_out):
        return np.ones((n_in, n_out))

    def pair(rng, n_in, n_out):
        return np.full((n_in, n_out), 2.0), np.full(n_out, 3.0)

    net = Network([2, 3, 4, 1], "tanh", initializers=[ones, pair, "zeros"])
    assert [W.mean() for W in net.W] == [1, 2, 0]
    assert [b.mean() for b in net.b] == [0, 3, 0]
    assert get_initializer(Uniform(0, 1), ACTIVATIONS["tanh"]) == Uniform(0, 1)
    assert VarianceScaling(2.0) == INITIALIZERS["he_uniform"]


def test_wrong_shapes_and_names_are_refused():
    with pytest.raises(ValueError, match=r"returned shapes .*expected weights \(2, 3\)"):
        Network([2, 3, 1], initializers=lambda rng, n_in, n_out: np.zeros((n_out, n_in)))
    with pytest.raises(ValueError, match="did you mean 'he_normal'"):
        Network([2, 3, 1], initializers="he_norml")
    with pytest.raises(ValueError, match="initializers has 3 entries; expected 2"):
        Network([2, 3, 1], initializers=["zeros"] * 3)
