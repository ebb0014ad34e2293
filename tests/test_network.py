"""The network: the four equations against the textbook's, one weight and one sample at a time."""

import pickle
from math import exp, tanh

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.activations import LeakyRelu
from chainrule.initializers import Uniform
from chainrule.losses import LOSSES, get_loss
from chainrule.network import (
    Network,
    Trace,
    backpropagate,
    parameter_count,
    propagate,
    row_losses,
)
from chainrule.penalties import Penalty
from chainrule.randomness import dropout_mask
from strategies import KINKED, SMOOTH, SMOOTH_LOSSES, problems

SIGMA = {
    "sigmoid": (lambda z: 1 / (1 + exp(-z)), lambda z: exp(-z) / (1 + exp(-z)) ** 2),
    "tanh": (tanh, lambda z: 1 - tanh(z) ** 2),
    "relu": (lambda z: max(z, 0.0), lambda z: float(z > 0)),
    "identity": (lambda z: z, lambda z: 1.0),
}


def textbook(net, x, y):
    """Return a[L], δ, dW, db of ½‖a − y‖² for one sample, index by index, as it is derived."""
    a, zs = [list(x)], []
    for W, b, sigma in zip(net.W, net.b, net.activations, strict=True):
        n_in, n_out = W.shape
        zs.append([sum(W[i, j] * a[-1][i] for i in range(n_in)) + b[j] for j in range(n_out)])
        a.append([SIGMA[sigma.name][0](z) for z in zs[-1]])
    deltas = [None] * len(zs)
    for l in reversed(range(len(zs))):
        slopes = [SIGMA[net.activations[l].name][1](z) for z in zs[l]]
        if l == len(zs) - 1:
            errors = [a_k - y_k for a_k, y_k in zip(a[-1], y, strict=True)]
        else:
            W = net.W[l + 1]
            errors = [
                sum(W[j, k] * deltas[l + 1][k] for k in range(W.shape[1]))
                for j in range(W.shape[0])
            ]
        deltas[l] = [e * s for e, s in zip(errors, slopes, strict=True)]
    dW = [np.outer(a[l], deltas[l]) for l in range(len(zs))]
    return a[-1], deltas, dW


@pytest.fixture
def net():
    names = ["sigmoid", "tanh", "relu", "identity"]
    return Network([2, 3, 4, 3, 2], names, initializers=Uniform(), seed=4)


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return rng.normal(size=(5, 2)), rng.normal(size=(5, 2))


def test_the_four_equations_sample_by_sample(net, rows):
    X, Y = rows
    n = len(X)
    trace = net.forward(X)
    grads = net.backward(trace, Y)
    samples = [textbook(net, x, y) for x, y in zip(X, Y, strict=True)]
    assert trace.A[-1] == pytest.approx(np.array([a for a, _, _ in samples]), rel=1e-13)
    for l in range(4):
        delta = np.array([deltas[l] for _, deltas, _ in samples])
        assert grads.delta[l] == pytest.approx(delta / n, rel=1e-11, abs=1e-15)
        assert grads.db[l] == pytest.approx(delta.mean(axis=0), rel=1e-11, abs=1e-15)
        dW = np.mean([dW[l] for _, _, dW in samples], axis=0)
        assert grads.dW[l] == pytest.approx(dW, rel=1e-11, abs=1e-15)


@pytest.mark.parametrize("loss_name", SMOOTH_LOSSES)
@settings(max_examples=20)
@given(data=st.data())
def test_gradient_at_the_inputs(loss_name, data):
    problem, h = data.draw(problems("tanh", loss_name, outputs=["sigmoid"])), 1e-5
    net, X, Y = problem.network, problem.X, problem.Y
    dX = net.backward(net.forward(X), Y, **problem.cost).dX
    for place in np.ndindex(X.shape):
        step = np.zeros_like(X)
        step[place] = h
        up, down = (net.cost(X + s, Y, **problem.cost) for s in (step, -step))
        assert dX[place] == pytest.approx((up - down) / (2 * h), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("loss_name", sorted(LOSSES))
@settings(max_examples=20)
@given(data=st.data())
def test_weights_are_repeated_rows(loss_name, data):
    problem = data.draw(problems("tanh", loss_name, outputs=["sigmoid"]))
    net, X, Y = problem.network, problem.X, problem.Y
    times = np.arange(len(X)) % 3
    times[-1] += 1
    cost = {"loss": problem.loss, "penalty": problem.penalty}
    X_repeated, Y_repeated = np.repeat(X, times, axis=0), np.repeat(Y, times, axis=0)
    once = net.backward(net.forward(X), Y, weights=times, **cost)
    repeated = net.backward(net.forward(X_repeated), Y_repeated, **cost)
    assert once.flat == pytest.approx(repeated.flat, rel=1e-10, abs=1e-14)
    assert net.cost(X, Y, weights=times, **cost) == pytest.approx(
        net.cost(X_repeated, Y_repeated, **cost), rel=1e-12
    )


def test_the_cost_is_a_mean_over_rows_of_a_sum_over_outputs(net, rows):
    X, Y = rows
    residual = net.predict(X) - Y
    assert net.cost(X, Y) == pytest.approx(0.5 * (residual**2).sum(axis=1).mean(), rel=1e-14)
    w = np.array([1.0, 0, 2, 3, 0.5])
    expected = 0.5 * (w @ (residual**2).sum(axis=1)) / w.sum()
    assert net.cost(X, Y, weights=w) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("biases", [False, True])
def test_penalties_by_formula(net, rows, biases):
    X, Y = rows
    penalty = Penalty(l1=0.2, l2=0.3, alpha=0.5, biases=biases)
    w = np.arange(5.0)
    bare, full = (net.cost(X, Y, weights=w, penalty=p) for p in (Penalty(), penalty))
    seen = [*net.W, *(net.b if biases else [])]
    l1, l2 = sum(abs(p).sum() for p in seen), sum((p * p).sum() for p in seen)
    assert full - bare == pytest.approx(0.2 * l1 + 0.5 * (0.3 + 0.5 / w.sum()) * l2, rel=1e-12)
    trace = net.forward(X)
    g0, g1 = (net.backward(trace, Y, weights=w, penalty=p) for p in (Penalty(), penalty))
    pull = 0.2 * np.sign(net.W[1]) + (0.3 + 0.05) * net.W[1]
    assert g1.dW[1] - g0.dW[1] == pytest.approx(pull, rel=1e-9)
    pull = 0.2 * np.sign(net.b[1]) + (0.3 + 0.05) * net.b[1] if biases else 0 * net.b[1]
    assert g1.db[1] - g0.db[1] == pytest.approx(pull, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("name", ["tanh", "relu", "gelu"])
def test_gradient_under_fixed_dropout_masks(name):
    """With the masks held, dropout is one more linear layer: differences must agree."""
    rng, h = np.random.default_rng(5), 1e-6
    net = Network([3, 6, 5, 2], name, initializers=Uniform(), seed=2)
    X, Y, loss = rng.normal(size=(4, 3)), rng.normal(size=(4, 2)), get_loss("squared_error")
    masks = [None, dropout_mask(0, 1, 1, (4, 6), 0.4), dropout_mask(0, 1, 2, (4, 5), 0.3)]
    share = np.full((4, 1), 0.25)
    trace = propagate(net.layers, X, masks)
    grads = backpropagate(net.layers, trace, Y, loss, share, net.gradients())

    def cost():
        return share[:, 0] @ row_losses(net.layers, propagate(net.layers, X, masks), Y, loss)

    for k in range(net.theta.size):
        middle = net.theta[k]
        net.theta[k] = middle + h
        up = cost()
        net.theta[k] = middle - h
        down = cost()
        net.theta[k] = middle
        assert grads.flat[k] == pytest.approx((up - down) / (2 * h), rel=1e-5, abs=1e-8)
    dropped = masks[1][:, 0] == 0
    assert dropped.any()
    assert (trace.fed(1)[dropped, 0] == 0).all()


def test_layers_are_views_into_one_aligned_vector(net):
    assert net.theta.ctypes.data % 64 == 0
    assert net.theta.size == parameter_count([2, 3, 4, 3, 2]) == 9 + 16 + 15 + 8
    assert [W.shape for W in net.W] == [(2, 3), (3, 4), (4, 3), (3, 2)]
    net.theta[:] = np.arange(48)
    assert net.W[0].ravel().tolist() == list(range(6))
    assert net.b[0].tolist() == [6, 7, 8]
    net.b[3][:] = -1
    assert net.theta[-2:].tolist() == [-1, -1]
    grads = net.gradients()
    grads.dW[1][:] = 5
    assert grads.flat[9:21].tolist() == [5] * 12
    assert np.count_nonzero(grads.flat) == 12


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SMOOTH + KINKED)
def test_dtype_runs_through(name, dtype):
    net = Network([2, 3, 2], name, seed=0, dtype=dtype)
    trace = net.forward(np.ones((2, 2)))
    grads = net.backward(trace, np.ones((2, 2)), penalty=Penalty(l1=0.1, l2=0.1))
    arrays = [*trace.Z, *trace.A, *grads.dW, *grads.db, *grads.delta, grads.dX, grads.flat]
    assert {each.dtype.name for each in arrays} == {dtype}


def test_copies_and_pickles_are_independent(net, rows):
    for twin in (net.copy(), pickle.loads(pickle.dumps(net))):
        assert (twin.predict(rows[0]) == net.predict(rows[0])).all()
        assert twin.theta.ctypes.data % 64 == 0
        twin.theta += 1
        assert (twin.predict(rows[0]) != net.predict(rows[0])).any()
    narrow = net.copy("float32")
    assert narrow.theta.dtype == pickle.loads(pickle.dumps(narrow)).theta.dtype == np.float32
    assert Network([1, 1, 1], LeakyRelu(0.3)).copy().activations[0] == LeakyRelu(0.3)


def test_batches_are_cut_over_samples_and_rows_stand_alone(net, rows):
    together = net.predict(rows[0])
    alone = np.vstack([net.predict(x[None]) for x in rows[0]])
    assert together == pytest.approx(alone, rel=1e-13)


def test_what_is_shown(net, rows):
    names = "['sigmoid', 'tanh', 'relu', 'identity']"
    assert repr(net) == f"Network([2, 3, 4, 3, 2], activations={names}, 48 parameters, float64)"
    assert repr(net.layers[1]) == "Dense(3 → 4, tanh)"
    trace, none = net.forward(rows[0]), net.gradients()
    assert repr(trace) == "Trace(5 rows; A[0] … A[4] of 2, 3, 4, 3, 2 units)"
    assert repr(none) == "Gradients(δ of  units; 48 derivatives, norm 0)"
    grads = net.backward(trace, rows[1])
    size = np.sqrt((grads.flat**2).sum())
    assert repr(grads) == f"Gradients(δ of 3, 4, 3, 2 units; 48 derivatives, norm {size:.4g})"
    pairs = zip(grads.dW, grads.db, strict=True)
    norms = [np.sqrt((dW**2).sum() + (db**2).sum()) for dW, db in pairs]
    assert grads.layer_norms() == pytest.approx(norms, rel=1e-14)
    assert repr(Trace(trace.A[:1])) == "Trace(5 rows; A[0] … A[0] of 2 units)"
    large = net.copy("float32").gradients(np.full(48, 1e30, "float32"))  # whose squares overflow
    assert repr(large).endswith(f"norm {1e30 * 48**0.5:.4g})")
    assert large.layer_norms() == pytest.approx([1e30 * n**0.5 for n in (9, 16, 15, 8)])


def test_networks_are_drawn_from_seed_0_unless_told():
    assert (Network([2, 3]).theta == Network([2, 3], seed=0).theta).all()
    assert (Network([2, 3]).theta != Network([2, 3], seed=1).theta).any()


def test_a_trace_of_another_network_is_refused(net, rows):
    other, mixed = Network([2, 3, 2]).forward(rows[0]), net.forward(rows[0])
    mixed.A[0] = mixed.A[0][:1]
    for trace in (other, mixed):
        with pytest.raises(ValueError, match=r"^the trace has Z of shapes .*net.*forward\(X\)$"):
            net.backward(trace, rows[1])


@pytest.mark.parametrize("name", ["l1", "l2", "alpha"])
def test_every_strength_of_a_penalty_counts_and_is_held_to_be_one(name):
    assert Penalty(**{name: 1e-9})
    for bad in (-1e-9, np.inf, np.nan, "1"):
        with pytest.raises(
            ValueError, match=rf"Penalty: {name}={bad!r} must be a .* in \[0, inf\)"
        ):
            Penalty(**{name: bad})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([2],), "is no network"),
        (([2, 0, 1],), "is no network"),
        (([2, 1.5],), "is no network"),
        (([2, 3, 1], ["tanh"]), "activations has 1 entries; expected 2"),
        (([2, 3, 1], "tahn"), "did you mean 'tanh'"),
    ],
)
def test_bad_networks_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        Network(*arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("X", "Y", "options", "message"),
    [
        ([[1.0]], [[1.0]], {}, "X has 1 columns; expected 2"),
        ([1.0, 2.0], [[1.0]], {}, r"np\.reshape\(X, \(1, -1\)\)"),
        ([[1.0, np.nan]], [[1.0]], {}, r"NaN or infinity \(first in row 0\)"),
        ([[1.0, 1j]], [[1.0]], {}, "complex"),
        (np.ones((0, 2)), [[1.0]], {}, "no rows"),
        ([[1.0, 2.0]], [[1.0], [2.0]], {}, "Y has 2 rows; expected 1"),
        ([[1.0, 2.0]], [[1.0]], {"weights": [0.0]}, "all weights are zero"),
        ([[1.0, 2.0]], [[1.0]], {"weights": [-1.0]}, "negative"),
        ([[1.0, 2.0]], [[1.0]], {"weights": [1.0, 1.0]}, "expected .1,., one per row"),
        ([[1.0, 2.0]], [[1.5]], {"loss": "binary_cross_entropy"}, "outside \\[0, 1\\]"),
        ([[1.0, 2.0]], [[-1.0]], {"loss": "poisson"}, "outside \\[0, inf\\]"),
        ([[1.0, 2.0]], [[0.0]], {"loss": "cross_entropy"}, "must sum to 1"),
        ([[1.0, 2.0]], [[0.0]], {"loss": "sqared_error"}, "did you mean 'squared_error'"),
    ],
)
def test_bad_rows_are_refused(X, Y, options, message):
    with pytest.raises(ValueError, match=message) as error:
        Network([2, 1], "identity").cost(X, Y, **options)
    assert "\n" not in str(error.value)
