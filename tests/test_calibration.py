"""Calibration: temperatures that are known, at the minimum, and never for the worse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from chainrule.activations import ACTIVATIONS
from chainrule.calibration import (
    HIGHEST,
    LOWEST,
    apply_temperature,
    divide_logits,
    expected_calibration_error,
    fit_temperature,
)
from chainrule.losses import BinaryCrossEntropy, CrossEntropy
from chainrule.network import Network
from strategies import seeds

KINDS = st.sampled_from(["softmax", "two classes", "labels"])


def simulate(kind, n, T, seed=0):
    """Return logits (n, outputs), of which 1 / T are the true ones, targets, and the loss."""
    rng = np.random.default_rng(seed)
    Z = 2 * rng.normal(size=(n, 1 if kind == "two classes" else 4))
    if kind == "softmax":
        gumbel = rng.gumbel(size=Z.shape)
        return T * Z, np.eye(4)[(Z + gumbel).argmax(axis=1)], "cross_entropy"
    Y = (rng.uniform(size=Z.shape) < 1 / (1 + np.exp(-Z))) * 1.0
    return T * Z, Y, "binary_cross_entropy"


def cost(Z, Y, T, loss, weights=None):
    known = {"cross_entropy": CrossEntropy(), "binary_cross_entropy": BinaryCrossEntropy()}[loss]
    return np.average(known.value_from_logits(Z / T, Y).sum(axis=1), weights=weights)


@pytest.mark.parametrize("kind", ["softmax", "two classes", "labels"])
@pytest.mark.parametrize("T", [0.3, 1.0, 4.0])
def test_a_known_temperature_is_found(kind, T):
    """Within four of its standard errors, about 1 / √n."""
    Z, Y, loss = simulate(kind, 20_000, T)
    assert fit_temperature(Z, Y, loss=loss) == pytest.approx(T, rel=0.04)


@given(kind=KINDS, T=st.floats(0.05, 20), seed=seeds, n=st.integers(1, 40), weighted=st.booleans())
def test_it_is_the_minimum_and_never_worse_than_none(kind, T, seed, n, weighted):
    Z, Y, loss = simulate(kind, n, T, seed)
    w = np.random.default_rng(seed).integers(0, 3, n) * 1.0 if weighted else None
    if weighted and not w.any():
        return
    found = fit_temperature(Z, Y, w, loss=loss)
    best = cost(Z, Y, found, loss, w)
    assert best <= cost(Z, Y, 1.0, loss, w) * (1 + 1e-12)
    searched = minimize_scalar(
        lambda u: cost(Z, Y, np.exp(u), loss, w), bounds=np.log([LOWEST, HIGHEST]), method="bounded"
    )
    assert best <= searched.fun + 1e-12
    if LOWEST < found < HIGHEST and found != 1:
        h = 1e-4
        slope = (cost(Z, Y, found * (1 + h), loss, w) - cost(Z, Y, found * (1 - h), loss, w)) / h
        assert abs(slope) < 1e-6 * (1 + np.abs(Z / found).max())


@pytest.mark.parametrize("kind", ["softmax", "labels"])
def test_equals_pytorchs_lbfgs(kind):
    torch = pytest.importorskip("torch")
    Z, Y, loss = simulate(kind, 200, 2.5, seed=3)
    z, y = torch.tensor(Z), torch.tensor(Y)
    u = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([u], max_iter=100, tolerance_grad=1e-12, tolerance_change=0)
    F = torch.nn.functional

    def closure():
        optimizer.zero_grad()
        logits = z / torch.exp(u)
        value = (
            F.cross_entropy(logits, y)
            if kind == "softmax"
            else F.binary_cross_entropy_with_logits(logits, y)
        )
        value.backward()
        return value

    optimizer.step(closure)
    assert fit_temperature(Z, Y, loss=loss) == pytest.approx(float(torch.exp(u.detach())), rel=1e-7)


def test_weights_are_repetitions():
    Z, Y, loss = simulate("softmax", 50, 2.0)
    w = np.random.default_rng(1).integers(0, 4, 50)
    again = fit_temperature(np.repeat(Z, w, axis=0), np.repeat(Y, w, axis=0), loss=loss)
    assert fit_temperature(Z, Y, w, loss=loss) == pytest.approx(again, rel=1e-9)


def test_the_ends():
    right, wrong = [[3.0, 0.0], [0.0, 5.0]], [[0.0, 3.0], [5.0, 0.0]]
    assert fit_temperature(right, np.eye(2)) == LOWEST
    assert fit_temperature(wrong, np.eye(2)) == HIGHEST
    assert fit_temperature(np.zeros((2, 2)), np.eye(2)) == 1


def test_label_smoothing_is_part_of_the_loss():
    """Of rows that all are right, the smoothed target is met exactly: 0.9 + 0.05 of 1."""
    Z, T = np.array([[4.0, 0.0], [0.0, 4.0]]), 4 / np.log(0.95 / 0.05)
    assert fit_temperature(Z, np.eye(2), loss=CrossEntropy(0.1)) == pytest.approx(T)


def test_dividing_a_networks_logits_is_applying_the_temperature():
    network = Network([3, 5, 4], "tanh", output_activation="softmax", seed=0)
    X = np.random.default_rng(0).normal(size=(9, 3))
    expected = apply_temperature(network.forward(X).Z[-1], 1.7)
    divide_logits(network.layers, 1.7)
    np.testing.assert_allclose(network.predict(X), expected, rtol=1e-13)


def test_the_calibration_error_falls():
    Z, Y, loss = simulate("softmax", 5000, 4.0)
    T = fit_temperature(Z[:2500], Y[:2500], loss=loss)
    before = expected_calibration_error(Y[2500:], apply_temperature(Z[2500:], 1.0))
    after = expected_calibration_error(Y[2500:], apply_temperature(Z[2500:], T))
    assert after < 0.04 < 0.2 < before


def slow_error(Y, P, bins, w):
    """Return the expected calibration error of two or more classes, row by row."""
    sums = {}
    for y, p, weight in zip(Y, P, w, strict=True):
        k = int(np.argmax(p))
        b = min(int(p[k] * bins), bins - 1)
        sums[b] = sums.get(b, 0.0) + weight * (y[k] - p[k])
    return sum(abs(s) for s in sums.values()) / sum(w)


@given(seed=seeds, n=st.integers(1, 60), bins=st.integers(1, 20))
def test_calibration_error_by_its_definition(seed, n, bins):
    rng = np.random.default_rng(seed)
    P, Y = rng.dirichlet(np.ones(3), n), np.eye(3)[rng.integers(0, 3, n)]
    w = rng.uniform(0.1, 2, n)
    assert expected_calibration_error(Y, P, bins, w) == pytest.approx(slow_error(Y, P, bins, w))
    p, y = P[:, :1], Y[:, :1]
    both = slow_error(np.hstack([y, 1 - y]), np.hstack([p, 1 - p]), bins, w)
    assert expected_calibration_error(y, p, bins, w) == pytest.approx(both)


def test_calibration_error_of_labels_counts_each_probability():
    Y, P = [[1, 0], [1, 0]], [[0.25, 0.75], [0.25, 0.75]]
    assert expected_calibration_error(Y, P, 2, multilabel=True) == pytest.approx(0.75)
    assert expected_calibration_error([[1], [0]], [[1.0], [0.0]]) == 0


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: fit_temperature([[1.0, 2.0]], [[1.0]]), "Y has 1 columns; expected 2"),
        (lambda: fit_temperature([[1.0, 2.0]], np.eye(2)), "Y has 2 rows; expected 1"),
        (lambda: fit_temperature([[1.0, 2.0]], [[1.0, 1.0]]), "must sum to 1"),
        (lambda: fit_temperature([[1.0]], [[1.0]], loss="huber"), "no probabilities to calibrate"),
        (lambda: apply_temperature([[1.0, 2.0]], 0.0), "temperature=0.0 must be a finite number"),
        (lambda: expected_calibration_error([[1.0]], [[1.5]]), "expected probabilities"),
        (lambda: expected_calibration_error([[1.0]], [[0.5]], 0), "bins=0 must be a whole number"),
        (lambda: expected_calibration_error([[1, 0]], [[0.5]]), r"expected \(1, 1\), as P has"),
    ],
)
def test_what_does_not_fit_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_apply_temperature_is_the_activation():
    Z = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(apply_temperature(Z, 2.0), ACTIVATIONS["softmax"].value(Z / 2))
    one = apply_temperature(Z, 2.0, loss="binary_cross_entropy")
    np.testing.assert_allclose(one, 1 / (1 + np.exp(-Z / 2)))
