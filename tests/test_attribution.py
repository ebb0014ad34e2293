"""Attribution: completeness, closed forms, PyTorch, and the axioms of the paper."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.activations import Activation
from chainrule.attribution import integrated_gradients
from chainrule.network import Network
from strategies import ELEMENTWISE, seeds

rng = np.random.default_rng(0)


def biased(sizes, activation="relu", output="identity", seed=0, scale=0.6, dtype="float64"):
    """Return a network with biases, so that paths from 0 meet kinks."""
    network = Network(sizes, activation, output_activation=output, dtype=dtype)
    network.theta[:] = np.random.default_rng(seed).normal(0, scale, network.theta.size)
    return network


@pytest.mark.parametrize("baseline", [None, [1.0, -1.0, 2.0], rng.normal(size=(5, 3))])
def test_a_linear_network_has_the_closed_form(baseline):
    """φ = w (x − b), for each output."""
    network = biased([3, 2])
    X, b = rng.normal(size=(5, 3)), np.zeros(3) if baseline is None else np.asarray(baseline)
    phi, error = integrated_gradients(network, X, baseline)
    np.testing.assert_allclose(phi, (X - b)[:, None] * network.W[0].T, rtol=1e-13, atol=1e-14)
    assert error.shape == (5, 2)
    assert error.max() < 1e-13


def test_a_product_has_the_closed_form():
    """f(x) = x₁² x₂ along α x: φ₁ = ⅔ x₁² x₂ and φ₂ = ⅓ x₁² x₂."""

    class Product:
        def predict(self, X):
            return X[:, 0] ** 2 * X[:, 1]  # (n,) will do

        def jacobian(self, X):
            return np.stack([2 * X[:, 0] * X[:, 1], X[:, 0] ** 2], axis=1)[:, None]

    X = rng.normal(size=(4, 2))
    phi, _ = integrated_gradients(Product(), X, output=0)
    whole = X[:, 0] ** 2 * X[:, 1]
    np.testing.assert_allclose(phi, np.outer(whole, [2 / 3, 1 / 3]), rtol=1e-12)


@pytest.mark.parametrize("activation", ELEMENTWISE)
@settings(max_examples=10)
@given(seed=seeds, tolerance=st.sampled_from([1e-2, 1e-4, 1e-7]))
def test_attributions_are_complete(activation, seed, tolerance):
    mild = 0.2 if activation == "exp" else 0.6
    network = biased([3, 6, 5, 2], activation, seed=seed, scale=mild)
    drawn = np.random.default_rng(seed)
    X, b = drawn.normal(size=(4, 3)), drawn.normal(size=3)
    phi, error = integrated_gradients(network, X, b, tolerance=tolerance)
    gain = network.predict(X) - network.predict(b[None])
    scale = np.abs(phi).sum(axis=2)
    np.testing.assert_allclose(np.abs(phi.sum(axis=2) - gain), error, rtol=0, atol=1e-12)
    assert (error <= tolerance * scale + 1e-12).all()


def test_kinks_are_met_with_the_tolerance_that_is_asked_for():
    """Eight points alone miss it by a thousand times as much."""
    network, X = biased([3, 40, 40, 1]), rng.normal(size=(20, 3))
    for tolerance in (1e-2, 1e-4, 1e-6, 1e-9):
        phi, error = integrated_gradients(network, X, steps=8, tolerance=tolerance)
        share = error[:, 0] / np.abs(phi[:, 0]).sum(axis=1)
        assert share.max() <= tolerance
    coarse, error = integrated_gradients(network, X, steps=8, tolerance=1e9)
    assert (error[:, 0] / np.abs(coarse[:, 0]).sum(axis=1)).max() > 1e-3


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
def test_equals_a_fine_riemann_sum_of_pytorchs_gradients(activation):
    """As captum computes it, with 20,000 steps at the middle of each."""
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    sigma = {
        "tanh": torch.tanh,
        "relu": torch.relu,
        "gelu": lambda z: F.gelu(z, approximate="tanh"),
    }[activation]
    network = biased([4, 9, 7, 3], activation, "softmax", seed=2)
    X, b = rng.normal(size=(3, 4)), rng.normal(size=4)
    chosen = np.array([0, 2, 1])
    phi, _ = integrated_gradients(network, X, b, output=chosen, tolerance=1e-7)
    share = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    parameters = [torch.tensor(p) for layer in network.layers for p in (layer.W, layer.b)]
    for i, x in enumerate(X):
        way = torch.tensor(x - b)
        points = (torch.tensor(b) + share[:, None] * way).requires_grad_()
        a = points
        for W, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
            a = sigma(a @ W + bias)
        out = torch.softmax(a @ parameters[-2] + parameters[-1], dim=1)[:, chosen[i]]
        (gradient,) = torch.autograd.grad(out.sum(), points)
        np.testing.assert_allclose(phi[i], (gradient.mean(0) * way).numpy(), rtol=1e-3, atol=1e-6)


def test_one_output_each_is_taken_from_all():
    network, X = biased([3, 5, 4], "tanh", "softmax"), rng.normal(size=(6, 3))
    everything, error = integrated_gradients(network, X)
    assert everything.shape == (6, 4, 3)
    columns = np.array([0, 3, 1, 2, -1, 0])
    each = integrated_gradients(network, X, output=columns)
    np.testing.assert_allclose(each.values, everything[np.arange(6), columns], rtol=1e-9)
    np.testing.assert_allclose(
        integrated_gradients(network, X, output=2).values, everything[:, 2], rtol=1e-9
    )
    assert each.error.shape == (6,)
    assert error.shape == (6, 4)


def test_an_input_without_effect_has_no_part_in_it():
    network = biased([3, 5, 1], "tanh")
    network.W[0][1] = 0.0
    phi, _ = integrated_gradients(network, rng.normal(size=(4, 3)), [0.0, 9.0, 0.0])
    assert (phi[:, 0, 1] == 0).all()
    assert np.abs(phi[:, 0, [0, 2]]).min() > 0


def test_rows_do_not_depend_on_each_other_nor_on_blocks(monkeypatch):
    network, X = biased([3, 9, 2]), rng.normal(size=(7, 3))
    whole, _ = integrated_gradients(network, X)
    for i in range(7):
        alone, _ = integrated_gradients(network, X[i : i + 1])
        np.testing.assert_allclose(alone[0], whole[i], rtol=1e-9, atol=1e-12)
    monkeypatch.setattr("chainrule.attribution.BLOCK", 1)
    np.testing.assert_allclose(integrated_gradients(network, X).values, whole, rtol=1e-12)


def test_a_float32_network_is_computed_in_float64():
    network, X = biased([3, 9, 1], dtype="float32"), rng.normal(size=(7, 3))
    phi, error = integrated_gradients(network, X, tolerance=1e-9)
    twin = integrated_gradients(network.copy("float64"), X, tolerance=1e-9)
    np.testing.assert_array_equal(phi, twin.values)
    assert error.max() < 1e-8


def test_a_row_that_is_the_baseline_gains_nothing():
    phi, error = integrated_gradients(biased([2, 3, 1]), [[1.0, 2.0]], [1.0, 2.0])
    assert not phi.any()
    assert not error.any()


@dataclass(frozen=True)
class Jump(Activation):
    """A unit that is 0 or 1: its derivative says nothing of the jump."""

    def value(self, z):
        return (z > 0.3) * 1.0 + z

    def derivative(self, z, a):
        return z * 0.0 + 1.0


def test_an_output_that_jumps_is_told():
    network = biased([2, 1], output=Jump())
    network.W[0][:], network.b[0][:] = 1.0, 0.0
    with pytest.raises(
        ValueError, match=r"row 1 has a completeness error .* near 0\.3 of the path"
    ):
        integrated_gradients(network, [[0.1, 0.1], [0.5, 0.5]])


def test_an_output_beyond_all_numbers_is_told():
    network = biased([1, 1], output="exp")
    network.W[0][:] = 1.0
    with np.errstate(over="ignore"), pytest.raises(ValueError, match=r"row 1 .* is not finite"):
        integrated_gradients(network, [[1.0], [1000.0]])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"baseline": [1.0]}, r"baseline has shape \(1,\); expected \(2,\)"),
        ({"baseline": np.ones((2, 2))}, r"baseline has shape \(2, 2\)"),
        ({"baseline": [np.nan, 1.0]}, "baseline holds NaN"),
        ({"output": 3}, "output=3 is not among the 3 outputs, 0 to 2"),
        ({"output": [0, 1]}, "must be the number of an output, or one for each of 3 rows"),
        ({"output": 0.5}, "must be the number of an output"),
        ({"steps": 0}, "steps=0 must be a whole number >= 1"),
        ({"tolerance": 0.0}, "tolerance=0.0 must be a number > 0"),
    ],
)
def test_what_does_not_fit_is_refused(given, says):
    with pytest.raises(ValueError, match=says):
        integrated_gradients(biased([2, 3, 3]), np.ones((3, 2)), **given)
