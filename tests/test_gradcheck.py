"""The gradient check: passes what is right, fails what is wrong, and says what it left out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.activations import ACTIVATIONS, Elu, Relu, Sigmoid, Tanh
from chainrule.gradcheck import check_gradients
from chainrule.losses import CrossEntropy, SquaredError
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


def test_the_report_is_a_table():
    net = Network([2, 3, 1], "tanh", seed=0)
    lines = str(check_gradients(net, [[0.1, 0.2]], [[1.0]])).splitlines()
    assert lines[0].split()[:3] == ["layer", "shape", "parameters"]
    assert lines[1].split()[:6] == ["1", "2", "→", "3", "9", "0"]
    assert lines[2].split()[:6] == ["2", "3", "→", "1", "4", "0"]
    assert lines[3] == "passed: tolerance 1e-06"


def test_outputs_that_are_not_finite_are_refused():
    net = Network([1, 1], ["exp"])
    net.theta[:] = 1e3
    with np.errstate(over="ignore"), pytest.raises(ValueError, match="not finite"):
        check_gradients(net, [[1.0]], [[1.0]], loss="poisson")
