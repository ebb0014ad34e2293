"""Losses: gradients against differences, logits against outputs, closed forms at the edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.activations import ACTIVATIONS
from chainrule.losses import (
    LOSSES,
    TINY,
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    Quantile,
    get_loss,
)
from strategies import JUMPY_LOSSES, SMOOTH_LOSSES, seeds, targets

CANONICAL = sorted(name for name, loss in LOSSES.items() if loss.canonical)


def outputs(loss, rng, shape):
    """Return outputs inside the loss's domain, rows that sum to 1 where it wants them."""
    if loss.rows_sum_to_one:
        return rng.dirichlet(np.ones(shape[1]), shape[0])
    low, high = loss.domain
    return rng.uniform(max(low, -3) + 0.01, min(high, 3) - 0.01, shape)


def test_every_loss_is_tested():
    assert sorted(SMOOTH_LOSSES + JUMPY_LOSSES) == sorted(LOSSES)


@pytest.mark.parametrize("name", sorted(LOSSES))
@given(seed=seeds, outside=st.booleans())
def test_gradient_is_the_difference_quotient(name, seed, outside):
    """Inside the domain, and outside of it, where a tangent continues the logarithm."""
    rng, loss, h = np.random.default_rng(seed), get_loss(name), 1e-6
    a = rng.uniform(-3, 3, (5, 3)) if outside else outputs(loss, rng, (5, 3))
    y = targets(loss, rng, 5, 3)
    quotient = (loss.value(a + h, y) - loss.value(a - h, y)) / (2 * h)
    far = abs(loss.switch(a, y)) > 1e-3 if loss.switch(a, y).any() else np.full(a.shape, True)
    scale = 1 + abs(loss.gradient(a, y))
    assert (abs(loss.gradient(a, y) - quotient) / scale)[far] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", CANONICAL)
@given(seed=seeds)
def test_canonical_pair_from_logits(name, seed):
    """The value from z is the value of σ(z), and its gradient is a − y."""
    rng, loss, h = np.random.default_rng(seed), get_loss(name), 1e-5
    sigma = ACTIVATIONS[loss.canonical]
    assert loss.pairs_with(sigma)
    z, y = rng.uniform(-4, 4, (4, 3)), targets(loss, rng, 4, 3)
    a = sigma.value(z)
    general = loss.value(a, y)
    assert loss.value_from_logits(z, y) == pytest.approx(general, rel=1e-12, abs=1e-13)
    assert sigma.pullback(loss.gradient(a, y), z, a) == pytest.approx(a - y, rel=1e-9, abs=1e-12)
    for k in range(3):
        step = h * np.eye(3)[k]
        up, down = (loss.value_from_logits(z + s, y).sum(axis=1) for s in (step, -step))
        assert (up - down) / (2 * h) == pytest.approx((a - y)[:, k], rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ["binary_cross_entropy", "cross_entropy", "squared_error"])
def test_finite_at_large_logits(name, dtype):
    loss = get_loss(name)
    z = np.array([[1e4, -1e4], [-1e4, 1e4], [1e4, 1e4], [-1e4, -1e4]], dtype=dtype)
    y = np.tile(np.array([1, 0], dtype=dtype), (4, 1))
    value = loss.value_from_logits(z, y)
    assert value.dtype == dtype
    assert np.isfinite(value).all()
    if name == "binary_cross_entropy":  # log(1 + e^1e4) is 1e4 to all digits
        assert value.tolist() == [[0, 0], [1e4, 1e4], [0, 1e4], [1e4, 0]]
    if name == "cross_entropy":
        assert value[:2].tolist() == [[0, 0], [2e4, 0]]


def test_poisson_without_counts_at_large_negative_logits():
    loss = get_loss("poisson")
    z = np.array([[-1e4], [0.0]])
    assert loss.value_from_logits(z, np.zeros((2, 1))).tolist() == [[0], [1]]
    assert loss.value_from_logits(z, np.ones((2, 1))).tolist() == [[1e4 - 1], [0]]


@pytest.mark.parametrize("name", ["binary_cross_entropy", "cross_entropy", "poisson"])
def test_the_tangent_continues_value_and_slope(name):
    """C¹ at ε: neither value nor slope jumps, and below ε the slope stays what it is at ε."""
    loss, y = get_loss(name), np.full((1, 1), 0.7)
    below, above = (np.full((1, 1), TINY * (1 + s * 1e-9)) for s in (-1, 1))
    assert loss.value(below, y) == pytest.approx(loss.value(above, y), rel=1e-9)
    assert loss.gradient(below, y) == pytest.approx(loss.gradient(above, y), rel=1e-8)
    edge = loss.gradient(np.full((1, 1), TINY), y)
    assert loss.gradient(np.full((1, 1), 0.0), y) == pytest.approx(edge, rel=1e-12)
    assert loss.gradient(np.full((1, 1), -0.3), y) < 0  # pushes the output back into its domain
    assert np.isfinite(loss.value(np.full((1, 1), -1e4), y))


@given(seed=seeds, smoothing=st.floats(0, 1))
def test_label_smoothing_is_a_mixture_with_the_uniform_target(seed, smoothing):
    rng = np.random.default_rng(seed)
    z, k = rng.normal(size=(3, 4)), 4
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    y = np.eye(4)[rng.integers(0, 4, 3)]
    loss = CrossEntropy(smoothing)
    expected = -(1 - smoothing) * (y * log_p).sum(axis=1) - smoothing / k * log_p.sum(axis=1)
    smooth = loss.value_from_logits(z, loss.target(y)).sum(axis=1)
    assert smooth == pytest.approx(expected, rel=1e-12)
    binary = BinaryCrossEntropy(smoothing)
    hard = BinaryCrossEntropy().value_from_logits
    mixture = (1 - smoothing) * hard(z, y) + smoothing * 0.5 * (hard(z, 0 * y) + hard(z, 0 * y + 1))
    assert binary.value_from_logits(z, binary.target(y)) == pytest.approx(mixture, rel=1e-12)


def test_closed_forms():
    r = np.array([[-3.0, -0.5, 0.0, 0.5, 3.0]])
    zero = 0 * r
    assert get_loss("squared_error").value(r, zero).tolist() == [[4.5, 0.125, 0, 0.125, 4.5]]
    assert get_loss("absolute_error").value(r, zero).tolist() == [[3, 0.5, 0, 0.5, 3]]
    assert Huber(2.0).value(r, zero).tolist() == [[4, 0.125, 0, 0.125, 4]]
    assert Huber(2.0).gradient(r, zero).tolist() == [[-2, -0.5, 0, 0.5, 2]]
    assert Quantile(0.9).value(r, zero) == pytest.approx(np.array([[2.7, 0.45, 0, 0.05, 0.3]]))
    assert Quantile(0.9).gradient(r, zero) == pytest.approx(np.array([[-0.9, -0.9, 0, 0.1, 0.1]]))


@given(quantile=st.floats(0.05, 0.95))
def test_quantile_loss_is_least_at_the_quantile(quantile):
    y = np.random.default_rng(3).normal(size=(201, 1))
    guesses = np.sort(y[:, 0])
    costs = [Quantile(quantile).value(np.full_like(y, g), y).mean() for g in guesses]
    share_below = (np.argmin(costs) + 0.5) / 201
    assert share_below == pytest.approx(quantile, abs=0.006)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_losses_are_never_negative_and_zero_at_the_target(name):
    rng, loss = np.random.default_rng(1), get_loss(name)
    y = targets(loss, rng, 4, 3) if name == "poisson" else np.eye(3)[[0, 1, 2, 0]]
    assert loss.value(y, y) == pytest.approx(np.zeros((4, 3)), abs=1e-6)
    a = outputs(loss, rng, (4, 3))
    assert (loss.value(a, y).sum(axis=1) >= 0).all()


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_dtype_is_kept_and_inputs_are_left_alone(name):
    rng, loss = np.random.default_rng(2), get_loss(name)
    a = outputs(loss, rng, (3, 2)).astype(np.float32)
    y = targets(loss, rng, 3, 2).astype(np.float32)
    copies = a.copy(), y.copy()
    y_smooth = loss.target(y)
    assert {loss.value(a, y_smooth).dtype, loss.gradient(a, y_smooth).dtype} == {np.dtype("f4")}
    if loss.canonical:
        assert loss.value_from_logits(a, y_smooth).dtype == np.float32
    assert (a == copies[0]).all()
    assert (y == copies[1]).all()


def test_a_pair_is_canonical_only_with_the_very_activation():
    assert get_loss("cross_entropy").pairs_with(ACTIVATIONS["softmax"])
    assert get_loss("binary_cross_entropy").pairs_with(ACTIVATIONS["logistic"])
    assert not get_loss("binary_cross_entropy").pairs_with(ACTIVATIONS["tanh"])
    assert not any(get_loss("huber").pairs_with(each) for each in ACTIVATIONS.values())


def test_unknown_losses_are_refused():
    with pytest.raises(ValueError, match=r"loss='huberr' is unknown; did you mean 'huber'\?"):
        get_loss("huberr")
