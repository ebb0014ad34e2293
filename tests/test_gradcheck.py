"""The gradient check: passes what is right, fails what is wrong, and says what it left out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.activations import ACTIVATIONS, Elu, Relu, Sigmoid, Tanh
from chainrule.gradcheck import (
    Difference,
    GradientReport,
    LayerCheck,
    ParameterCheck,
    _compare,
    _directions,
    check_gradients,
    check_parameter,
)
from chainrule.losses import TINY, CrossEntropy, SquaredError
from chainrule.network import Network
from chainrule.penalties import Penalty
from strategies import JUMPY_LOSSES, KINKED, SMOOTH, SMOOTH_LOSSES, problems


def finite(problem):
    """Tell whether the outputs can be measured: exp of exp of exp soon cannot."""
    with np.errstate(all="ignore"):
        trace = problem.network.forward(problem.X)
        return all(abs(a).max() < 1e3 for a in trace.A)


@pytest.mark.parametrize("loss", SMOOTH_LOSSES)
@pytest.mark.parametrize("activation", SMOOTH)
@settings(max_examples=8)
@given(data=st.data())
def test_smooth_networks_pass(activation, loss, data):
    """Depths 0 to 4, any smooth output, weights, penalties and label smoothing, under 1e-6."""
    problem = data.draw(problems(activation, loss).filter(finite))
    report = check_gradients(problem.network, problem.X, problem.Y, **problem.cost)
    assert report.largest_error < 1e-6, report
    assert report.checked + report.kinks == problem.network.theta.size


@pytest.mark.parametrize("loss", [*SMOOTH_LOSSES, *JUMPY_LOSSES])
@pytest.mark.parametrize("activation", KINKED)
@settings(max_examples=5)
@given(data=st.data())
def test_kinked_networks_pass_where_there_is_no_kink(activation, loss, data):
    problem = data.draw(problems(activation, loss, outputs=["identity", "relu"]))
    report = check_gradients(problem.network, problem.X, problem.Y, **problem.cost)
    assert report.largest_error < 1e-6, report
    assert report.checked + report.kinks == problem.network.theta.size


@pytest.mark.parametrize("name", KINKED)
def test_a_unit_on_its_kink_is_counted_and_left_out(name):
    """z is the bias for the row of zeros: only the 3 biases move it off the kink."""
    net = Network([2, 3, 1], name, seed=0)
    net.layers[0].b[:] = ACTIVATIONS[name].kinks[0]
    X, Y = [[0.0, 0.0], [0.4, -0.7]], [[1.0], [2.0]]
    report = check_gradients(net, X, Y)
    assert [layer.kinks for layer in report.layers] == [3, 0]
    assert report.checked == net.theta.size - 3
    assert report.passed


def test_a_jump_of_the_loss_is_counted_and_left_out():
    net = Network([1, 1], "identity", initializers="zeros")
    report = check_gradients(net, [[0.0], [1.0]], [[0.0], [5.0]], loss="absolute_error")
    assert (report.checked, report.kinks) == (1, 1)  # the weight; the bias moves a off its target
    assert report.passed


def test_a_penalty_on_a_weight_of_zero_is_counted_and_left_out():
    net = Network([2, 1], "identity", initializers="zeros")
    report = check_gradients(net, [[1.0, 2.0]], [[1.0]], penalty=Penalty(l1=0.1))
    assert (report.checked, report.kinks) == (1, 2)
    assert check_gradients(net, [[1.0, 2.0]], [[1.0]], penalty=Penalty(l2=0.1)).kinks == 0


@pytest.mark.parametrize("z", [0.0, 1e-5, 1e-3])
def test_a_bend_near_z_is_no_error(z):
    """elu's slope bends at 0 without a jump; differences across the bend are not exact."""
    net = Network([1, 1, 1], Elu(), seed=0)
    net.theta[:] = [1.0, z, 1.0, 0.0]
    report = check_gradients(net, [[0.0], [1.0]], [[0.5], [0.0]])
    assert report.largest_error < 1e-6, report
    assert report.passed


@pytest.mark.parametrize("a", [1e-1, 1e-2, 1e-3, 1e-4, 1e-5])
@pytest.mark.parametrize("loss", ["poisson", "binary_cross_entropy"])
def test_a_steep_logarithm_is_no_error(loss, a):
    """With an identity output near 0, log a bends within the first step of the difference."""
    net = Network([1, 1], "identity")
    net.theta[:] = [a, a]
    report = check_gradients(net, [[0.5], [1.0]], [[1.0], [1.0]], loss=loss)
    assert report.largest_error < 1e-6, report
    assert report.passed or (a < 1e-4 and report.kinks == 2)  # no step is small enough


class NoTail(Tanh):
    """tanh whose derivative lacks a square."""

    def derivative(self, z, a):
        return 1 - a


class OneAtZero(Relu):
    """relu whose derivative is 1 left of zero too."""

    def derivative(self, z, a):
        return np.ones_like(z)


class SlightlySteep(Sigmoid):
    """sigmoid whose derivative is a millionth or so too large."""

    def derivative(self, z, a):
        return a * (1 - a) * (1 + 3e-6)


class Doubled(SquaredError):
    """½ r² with the gradient of r²."""

    canonical = None

    def gradient(self, a, y):
        return 2 * (a - y)


class MeanNotSum(CrossEntropy):
    """The gradient divided by the number of outputs, as of a mean over them."""

    canonical = None

    def gradient(self, a, y):
        return super().gradient(a, y) / a.shape[1]


@pytest.mark.parametrize("directions", [None, 3])
@pytest.mark.parametrize(
    ("activation", "loss"),
    [
        (NoTail(), "squared_error"),
        (OneAtZero(), "squared_error"),
        (SlightlySteep(), "squared_error"),
        ("tanh", Doubled()),
        ("tanh", MeanNotSum()),
    ],
)
def test_a_wrong_derivative_fails(activation, loss, directions):
    rng = np.random.default_rng(0)
    net = Network([3, 4, 3, 2], activation, output_activation="softmax", seed=1)
    X, Y = rng.normal(size=(5, 3)), rng.dirichlet([1, 1], 5)
    report = check_gradients(net, X, Y, loss=loss, directions=directions)
    assert not report.passed
    assert report.largest_error > 1e-6
    assert "FAILED" in str(report)


def test_a_wrong_layer_is_the_first_that_fails():
    """A wrong σ′ of layer 2 spoils the layers before it, and leaves those after it right."""
    net = Network([3, 4, 3, 2], ["tanh", NoTail(), "identity"], seed=1)
    X, Y = np.random.default_rng(0).normal(size=(2, 5, 3))
    errors = [layer.largest_error for layer in check_gradients(net, X, Y[:, :2]).layers]
    assert [error > 1e-6 for error in errors] == [True, True, False]


def test_a_small_wrong_derivative_fails_too():
    """Behind saturated layers gradients are tiny; an error there must not pass as rounding."""
    net = Network([2, 3, 3, 3, 1], ["sigmoid", NoTail(), "sigmoid", "sigmoid"], seed=1)
    net.b[2][:] = 12.0
    X, Y = np.random.default_rng(0).normal(size=(2, 4, 2))
    grads = net.backward(net.forward(X), Y[:, :1])
    assert 1e-9 < abs(grads.dW[0]).max() < 1e-5
    assert not check_gradients(net, X, Y[:, :1]).passed


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_network_is_left_as_it_was(dtype):
    net = Network([2, 4, 1], ["relu", "identity"], seed=0, dtype=dtype)
    before = net.theta.tobytes()
    X, Y = np.random.default_rng(0).normal(size=(2, 3, 2))
    report = check_gradients(net, X, Y[:, :1], penalty=Penalty(l1=0.1, l2=0.1))
    assert net.theta.tobytes() == before
    assert report.passed  # in float64, whatever the network's dtype


def test_large_networks_are_checked_along_random_directions():
    net = Network([30, 40, 30, 2], "tanh", seed=0)
    X, Y = np.random.default_rng(0).normal(size=(2, 6, 30))
    report = check_gradients(net, X, Y[:, :2])
    assert (report.directions, report.checked) == (20, 60)
    assert report.passed
    few = check_gradients(net, X, Y[:, :2], directions=2, seed=5)
    assert few.checked == 6
    assert check_gradients(net, X, Y[:, :2], directions=2, seed=5) == few


def test_nothing_compared_is_not_passed():
    net = Network([1, 1, 1], "relu", initializers="zeros")
    report = check_gradients(net, [[0.0]], [[0.0]], loss="absolute_error", directions=1)
    assert report.checked == 0
    assert not report.passed


def test_a_report_is_a_table():
    layers = [LayerCheck(1, (2, 30), 90, 3, 1.24e-9), LayerCheck(2, (30, 1), 0, 31, 0.0)]
    head = "layer  shape        parameters  kinks  largest relative error"
    rows = [
        "    1  2 → 30               90      3  1.2e-09",
        "    2  30 → 1                0     31  0.0e+00",
    ]
    silent = "; at kinks everywhere, so not compared: layer 2"
    for shown, directions, words, last in [
        (layers, None, "parameters", "FAILED: tolerance 1e-06" + silent),
        (layers[:1], 20, "directions", "passed: tolerance 1e-06"),
    ]:
        lines = str(GradientReport(shown, 1e-6, directions)).splitlines()
        assert lines == [head.replace("parameters", words), *rows[: len(shown)], last]
    both = [LayerCheck(l, (2, 3), 0, 9, 0.0) for l in (1, 2)]
    assert str(GradientReport(both, 1e-6, 5)).endswith("not compared: layer 1, 2")


def test_an_error_of_the_tolerance_does_not_pass():
    assert not ParameterCheck(1.0, None, None, 1e-6).passed
    for error, passed in ((0.9e-6, True), (1e-6, False)):
        assert ParameterCheck(1.0, None, error, 1e-6).passed == passed
        assert GradientReport([LayerCheck(1, (1, 1), 2, 0, error)], 1e-6, None).passed == passed


def test_parameters_are_moved_one_by_one_up_to_the_limit():
    net = Network([2, 3, 1], "tanh", seed=0)
    for limit, directions in ((13, None), (12, 20)):
        report = check_gradients(net, [[0.1, 0.2]], [[1.0]], max_parameters=limit)
        assert report.directions == directions
        assert [(each.layer, each.shape) for each in report.layers] == [(1, (2, 3)), (2, (3, 1))]
    large = Network([2000, 1], seed=0)  # 2001 parameters, one more than moved by default
    assert check_gradients(large, np.ones((1, 2000)), [[1.0]]).directions == 20
    drawn = [
        check_gradients(net, [[0.1, 0.2]], [[1.0]], directions=2, **seed).layers[0].largest_error
        for seed in ({}, {"seed": 0}, {"seed": 1})
    ]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("directions", [None, 5])
def test_directions_are_of_unit_length(directions):
    layer = Network([3, 2], seed=0).layers[0]
    drawn = list(_directions(layer, directions, np.random.default_rng(0)))
    assert len(drawn) == (directions or 8)
    for W, b in drawn:
        assert (W.shape, b.shape) == ((3, 2), (2,))
        assert np.hypot(np.linalg.norm(W), np.linalg.norm(b)) == pytest.approx(1, rel=1e-14)


def test_rows_without_weight_do_not_count():
    """relu's wrong slope shows on the second row alone."""
    net = Network([1, 1, 1], OneAtZero(), seed=0)
    net.theta[:] = 1.0
    X, Y = [[1.0], [-3.0]], [[0.0], [0.0]]
    assert not check_gradients(net, X, Y, weights=[1.0, 1.0]).passed
    assert check_gradients(net, X, Y, weights=[1.0, 0.0]).passed


@pytest.mark.parametrize("largest", [0.5, 4.0])
@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_one_parameter_beside_its_difference(loss, largest):
    """The derivative is that of `backward`, each cost that of `cost`, and so the formula says."""
    net, rng = Network([2, 3, 1], "tanh", seed=1), np.random.default_rng(0)
    X, Y = rng.uniform(-0.3, 0.3, (4, 2)), rng.normal(size=(4, 1))
    X[0, 0] = -largest
    cost = {"weights": np.arange(4.0), "penalty": Penalty(l2=0.1, biases=True)}
    cost |= {} if loss == "squared_error" else {"loss": loss}
    grads = net.backward(net.forward(X), Y, **cost)
    for layer in range(2):
        for parameters, slopes in ((net.W, grads.dW), (net.b, grads.db)):
            for place in np.ndindex(slopes[layer].shape):
                index = place if len(place) == 2 else place[0]
                found = check_parameter(net, X, Y, layer, index, tolerance=2e-6, **cost)
                h = 1e-3 / max(1.0, 0.0 if layer else largest)  # tanh is below 1
                middle, costs = parameters[layer][place], []
                for k in (1, -1, 2, -2):
                    parameters[layer][place] = middle + k * h
                    costs.append(net.cost(X, Y, **cost))
                parameters[layer][place] = middle
                n = (8 * (costs[0] - costs[1]) - (costs[2] - costs[3])) / (12 * h)
                rounding = 8 * 2.0**-52 * max(costs) / h
                assert found.derivative == pytest.approx(slopes[layer][place], rel=1e-13)
                assert found.difference.step == pytest.approx(h, rel=1e-14)
                assert found.difference.costs == pytest.approx(costs, rel=1e-14)
                assert found.difference.slope == pytest.approx(n, abs=rounding)
                assert found.difference.rounding == pytest.approx(rounding, rel=1e-13, abs=0)
                scale = max(abs(found.derivative), abs(n), rounding / 2e-6)
                error = abs(found.derivative - found.difference.slope) / scale
                assert found.error == pytest.approx(error, rel=1e-6, abs=0)
                assert found.tolerance == 2e-6
                assert found.passed


L1 = Penalty(l1=0.1, biases=True)


@pytest.mark.parametrize(
    ("activation", "loss", "penalty", "x", "index"),
    [
        ("relu", "squared_error", Penalty(), 0.0, 0),
        ("identity", "absolute_error", Penalty(), 0.0, 0),
        ("identity", "squared_error", L1, 0.0, 0),
        ("identity", "squared_error", L1, 1.0, (0, 0)),
    ],
)
def test_a_step_stops_short_of_a_kink_or_on_it(activation, loss, penalty, x, index):
    """With a parameter at −0.002 a step of 2 · 0.001 ends on the kink, which does no harm."""
    net = Network([1, 1], [activation], initializers="zeros")
    net.theta[:] = 0.5  # of the other parameter
    for place, step in ((-2e-3, 1e-3), (-1.5e-3, 1e-4), (0.0, None)):
        net.theta[0 if index else 1] = place
        Y = [[1.0 if activation == "relu" else 0.0]]
        found = check_parameter(net, [[x]], Y, 0, index, loss=loss, penalty=penalty)
        assert (found.difference and found.difference.step) == step
        assert found.passed == (step is not None)
        assert found.tolerance == 1e-6
        grads = net.backward(net.forward([[x]]), Y, loss, penalty=penalty)
        assert found.derivative == grads.flat[0 if index else 1]


def test_a_canonical_pair_has_no_bend_at_epsilon():
    """There value and δ come from z, whatever a is."""
    net = Network([1, 1], ["sigmoid"], initializers="zeros")
    net.b[0][:] = np.log(TINY / (1 - TINY))
    report = check_gradients(net, [[1.0]], [[0.0]], loss="binary_cross_entropy")
    assert (report.checked, report.kinks) == (2, 0)
    assert report.passed


@pytest.mark.parametrize(
    ("derivative", "slopes", "rounding", "tolerance", "told"),
    [  # the error, and the place of the difference that tells it
        (2.0, [1.0], 0.0, 0.6, (0.5, 0)),
        (1.0, [2.0], 0.0, 0.6, (0.5, 0)),
        (2.0, [1.0], 0.0, 0.5, None),  # as large as the tolerance
        (0.0, [0.0], 0.0, 0.5, (0.0, 0)),
        (1.0, [1.5], 1.0, 0.01, (0.005, 0)),  # on the scale of what can be resolved
        (0.0, [1.0, 0.6], 0.0, 0.1, (1.0, 0)),  # 0.4 apart, and 1.0 from the derivative
        (0.0, [1.0, 0.5], 0.0, 0.1, None),  # not nearer than half as far
        (0.0, [1.0, 0.4, 0.3], 0.0, 0.1, (1.0, 1)),
        (0.0, [1.0, 0.0], 0.0, 0.1, (0.0, 1)),
    ],
)
def test_which_difference_tells_the_error(derivative, slopes, rounding, tolerance, told):
    differences = [Difference(1e-3, (0.0,) * 4, slope, rounding) for slope in slopes]
    found = _compare(derivative, differences, tolerance)
    assert found == (told and (told[0], differences[told[1]]))


@pytest.mark.parametrize(
    ("theta", "activation", "x", "penalty"),
    [
        ([1e3, 0.0, 0.0], "exp", [1.0, 0.0], Penalty()),  # an output beyond the largest number
        ([1e160, 0.0, 0.0], "identity", [1.0, 0.0], Penalty()),  # its square
        ([1e160, 0.0, 0.0], "identity", [0.0, 0.0], Penalty(l2=1.0)),  # a weight's
        ([1e200, -1e200, 0.0], "identity", [1e200, 1e200], Penalty()),  # ∞ − ∞
    ],
)
def test_what_is_not_finite_is_refused(theta, activation, x, penalty):
    net = Network([2, 1], [activation])
    net.theta[:] = theta
    words = (
        r"^the network's cost or gradients on these rows are not finite; take rows of smaller"
        r" numbers, or a network that has not diverged$"
    )
    with pytest.raises(ValueError, match=words):
        check_gradients(net, [x], [[0.0]], penalty=penalty)
