"""Activations: against a hundred digits, difference quotients, and what is promised at a kink."""

import re
from decimal import Decimal as D
from decimal import localcontext
from functools import partial

import numpy as np
import pytest

from chainrule.activations import (
    ACTIVATIONS,
    Activation,
    Celu,
    Increasing,
    LeakyRelu,
    Selu,
    get_activation,
    is_activation,
)
from strategies import ELEMENTWISE, KINKED, NAMES, SMOOTH

PI = D("3.14159265358979323846264338327950288419716939937510582097494459")


def sigmoid(z):
    return 1 / (1 + (-z).exp())


def tanh(z):
    if abs(z) < D("1e-30"):
        return z
    return D(1).copy_sign(z) if abs(z) > 300 else 1 - 2 / ((2 * z).exp() + 1)


def softplus(z):
    e = z.exp()
    return e if e < D("1e-60") else (1 + e).ln()


def gelu(z):  # ½ z (1 + tanh u) with 1 + tanh u = 2 / (1 + e^−2u)
    return z * sigmoid(2 * (2 / PI).sqrt() * (z + D("0.044715") * z**3))


def selu(z):
    return D(Selu().scale) * (z if z > 0 else D(Selu().alpha) * (z.exp() - 1))


#: The textbook's formulas, for decimal numbers.
TRUTH = {
    "identity": lambda z: z,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "relu": lambda z: max(z, D(0)),
    "relu6": lambda z: min(max(z, D(0)), D(6)),
    "leaky_relu": lambda z: max(z, D(0)) + D(LeakyRelu().slope) * min(z, D(0)),
    "elu": lambda z: z if z > 0 else z.exp() - 1,
    "celu": lambda z: max(z, D(0)) + min(D(0), z.exp() - 1),
    "hard_sigmoid": lambda z: min(max(z / 6 + D("0.5"), D(0)), D(1)),
    "hard_swish": lambda z: z * min(max(z / 6 + D("0.5"), D(0)), D(1)),
    "log_sigmoid": lambda z: -softplus(-z),
    "selu": selu,
    "softplus": softplus,
    "gelu": gelu,
    "silu": lambda z: z * sigmoid(z),
    "mish": lambda z: z * tanh(softplus(z)),
    "softsign": lambda z: z / (1 + abs(z)),
    "exp": lambda z: z.exp(),
}


def points(name, dtype):
    """Return z from −10⁴ to 10⁴, dense around 0; for exp up to its largest finite value."""
    sizes = np.logspace(-12, 4, 97)
    z = np.unique(np.concatenate([-sizes, [0.0], sizes, np.linspace(-50, 50, 101)]).astype(dtype))
    return z[z < np.log(np.finfo(dtype).max)] if name == "exp" else z


def truth(name, z):
    """Return σ(z) and σ′(z) (0 at z = 0, where it is tested apart) of one float, in decimals."""
    with localcontext(prec=100, Emin=-(10**17), Emax=10**17):
        z, f = D(float(z)), TRUTH[name]
        h = abs(z) * D("1e-25")
        return f(z), ((f(z + h) - f(z - h)) / (2 * h) if z else D(0))


def test_every_activation_has_a_truth():
    assert sorted(TRUTH) == ELEMENTWISE


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_value_is_exact_to_rounding(name, dtype):
    """Within 2 roundings of z or of σ(z), or of the smallest number there is."""
    z = points(name, dtype)
    a = ACTIVATIONS[name].value(z)
    assert a.dtype == dtype
    assert np.isfinite(a).all()
    eps, least = D(float(np.finfo(dtype).eps)), D(float(np.finfo(dtype).smallest_subnormal))
    for one_z, one_a in zip(z, a, strict=True):
        value, slope = truth(name, one_z)
        moved = D(float(abs(one_z)))
        allowed = 2 * eps * (abs(value) + abs(slope) * moved) + least * (1 + moved)
        assert abs(D(float(one_a)) - value) <= allowed, one_z


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_derivative_is_exact_to_rounding(name, dtype):
    """Within 64 ε of the larger of 1 and σ′: a (1 − a) and its like cancel in the tails."""
    z = points(name, dtype)
    sigma = ACTIVATIONS[name]
    slope = sigma.derivative(z, sigma.value(z))
    assert slope.dtype == dtype
    assert np.isfinite(slope).all()
    eps = D(float(np.finfo(dtype).eps))
    smooth = ~np.isin(z, [0.0, *sigma.kinks])
    for one_z, one_slope in zip(z[smooth], slope[smooth], strict=True):
        _, expected = truth(name, one_z)
        assert abs(D(float(one_slope)) - expected) <= 64 * eps * max(1, abs(expected)), one_z


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_derivative_is_the_difference_quotient(name):
    sigma, h = ACTIVATIONS[name], 1e-5
    z = np.linspace(-4.005, 4.005, 90)  # not 0
    quotient = (sigma.value(z + h) - sigma.value(z - h)) / (2 * h)
    assert sigma.derivative(z, sigma.value(z)) == pytest.approx(quotient, rel=1e-7, abs=1e-9)


def test_exp_beyond_the_largest_number_is_infinite():
    with np.errstate(over="ignore"):
        assert ACTIVATIONS["exp"].value(np.array([710.0])) == np.inf
    assert ACTIVATIONS["exp"].value(np.array([-1e4])) == 0


def test_slopes_at_zero():
    """By convention 0 for relu; at every other kink at zero the slope from the left."""
    zero = np.zeros(1)
    slopes = {
        name: ACTIVATIONS[name].derivative(zero, ACTIVATIONS[name].value(zero)).item()
        for name in ["relu", "leaky_relu", "selu", "elu", "softsign", "tanh", "sigmoid"]
    }
    assert slopes == pytest.approx(
        {
            "relu": 0.0,
            "leaky_relu": 0.01,
            "selu": Selu().scale * Selu().alpha,
            "elu": 1.0,
            "softsign": 1.0,
            "tanh": 1.0,
            "sigmoid": 0.25,
        },
        rel=1e-15,
    )


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_kinks_are_where_the_slope_jumps(name):
    sigma = ACTIVATIONS[name]
    grid = np.arange(-8, 8, 2.0**-10)  # 0 is on it
    near = 2.0**-30
    sides = [sigma.derivative(z, sigma.value(z)) for z in (grid - near, grid + near)]
    found = grid[abs(sides[0] - sides[1]) > 1e-3]
    assert found.tolist() == (list(sigma.kinks) if name in KINKED else [])


def test_softmax_rows_are_probabilities_even_where_logits_are_large():
    z = np.array([[1e4, 0.0, -1e4], [1e4, 1e4, 1e4], [0.0, np.log(2.0), np.log(5.0)]])
    a = ACTIVATIONS["softmax"].value(z)
    assert a == pytest.approx(np.array([[1, 0, 0], [1 / 3] * 3, [1 / 8, 2 / 8, 5 / 8]]), rel=1e-15)
    assert ACTIVATIONS["softmax"].value(z.astype(np.float32)).dtype == np.float32


def test_softmax_pullback_is_its_jacobian_transposed():
    z, g = np.random.default_rng(0).normal(size=(2, 3, 4))
    sigma, h = ACTIVATIONS["softmax"], 1e-6 * np.eye(4)
    for row, pulled in enumerate(sigma.pullback(g, z, sigma.value(z))):
        jacobian = (sigma.value(z[row] + h) - sigma.value(z[row] - h)).T / 2e-6  # [i, j] = ∂aᵢ/∂zⱼ
        assert pulled == pytest.approx(g[row] @ jacobian, rel=1e-8)
    with pytest.raises(TypeError, match=r"^softmax has a matrix .*; use pullback\(g, z, a\)$"):
        sigma.derivative(z, g)


@pytest.mark.parametrize("name", NAMES)
def test_input_is_left_as_it_is_and_names_agree(name):
    z = np.linspace(-2, 2, 10).reshape(5, 2)
    before = z.copy()
    sigma = get_activation(name)
    a = sigma.value(z)
    sigma.pullback(np.ones_like(z), z, a)
    assert (z == before).all()
    assert not np.shares_memory(a, z)
    assert sigma.name == name
    assert name in SMOOTH + KINKED


def test_scikit_learns_name_and_your_own():
    class Square(Activation):
        def value(self, z):
            return z * z

    assert get_activation("logistic") == get_activation("sigmoid")
    mine = Square()
    assert get_activation(mine) is mine
    assert mine.name == "Square"
    assert LeakyRelu(0.2).name == "LeakyRelu"  # not the table's, which has another slope


def one_minus_tanh2(z):
    return 1 - np.tanh(z) ** 2


@pytest.mark.parametrize("slope", [one_minus_tanh2, lambda z, a: 1 - a * a])
def test_two_functions_are_an_activation(slope):
    own, z = get_activation((np.tanh, slope)), np.linspace(-2, 2, 10).reshape(5, 2)
    a = own.value(z)
    assert (own.name, get_activation((one_minus_tanh2, np.cos)).name) == ("tanh", "one_minus_tanh2")
    assert (a == np.tanh(z)).all()
    assert own.pullback(3 * z, z, a) == pytest.approx(3 * z * one_minus_tanh2(z), rel=1e-14)
    assert own != get_activation((np.sin, slope))
    assert get_activation((partial(np.tanh), slope)).name == "OwnActivation"  # it has no name
    assert [is_activation(one) for one in ((np.tanh, slope), ("relu", "tanh"))] == [True, False]


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ((np.add, np.cos), "the first of the two functions needs 2 arguments; .* function of z$"),
        (
            (np.sin, lambda: 0),
            r"the second of the two functions needs 0 arguments; .* function of z or \(z, a\)$",
        ),
    ],
)
def test_functions_of_something_else_are_no_activation(pair, words):
    with pytest.raises(ValueError, match=f"^activation: {words}"):
        get_activation(pair)


def test_own_functions_give_a_number_for_each_element():
    z = np.ones((2, 3))
    one_row = get_activation((lambda z: z[:1], lambda z: z[0]))
    with pytest.raises(ValueError, match=r"^your activation '<lambda>' gave .* expected a real"):
        one_row.value(z)
    with pytest.raises(ValueError, match=r"^your derivative '<lambda>' gave .* expected a real"):
        one_row.derivative(z, z)


@pytest.mark.parametrize("name", ["rleu", "sigmoids", None, 3])
def test_unknown_names_are_refused(name):
    nearest = {"rleu": "did you mean 'relu'", "sigmoids": "did you mean 'sigmoid'"}.get(
        name, "Known"
    )
    with pytest.raises(ValueError, match=f"activation={name!r} is unknown.*{nearest}") as error:
        get_activation(name)
    assert "\n" not in str(error.value)


BE = "must be a finite number in"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LeakyRelu(2.0), f"LeakyRelu: slope=2.0 {BE} [0, 1]"),
        (lambda: Celu(0.0), f"Celu: alpha=0.0 {BE} (0, inf)"),
        (lambda: Increasing(-1), "Increasing: block=-1 must be a whole number >= 0"),
    ],
)
def test_settings_out_of_range_are_refused(make, words):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        make()


def test_celu_by_formula():
    z = np.array([[-1.0, 2.0]])
    a = Celu(2.0).value(z)
    assert a == pytest.approx(np.array([[2 * np.expm1(-0.5), 2.0]]))
    assert Celu(2.0).derivative(z, a) == pytest.approx(np.array([[np.exp(-0.5), 1.0]]))


@pytest.mark.parametrize("block", [0, 1, 2, 5, 7])
def test_units_that_increase_by_formula(block):
    """One unit at a time: ∂aᵢ/∂zⱼ is 1 for the first of a block, sigmoid(zⱼ) after, for i ≥ j."""
    z, g = np.random.default_rng(0).normal(size=(2, 3, 5))
    sigma, size = Increasing(block), block or 5
    a, pulled = sigma.value(z), sigma.pullback(g, z, sigma.value(z))
    for row in range(3):
        for j in range(5):
            first, end = j - j % size, min(j - j % size + size, 5)
            steps = np.log1p(np.exp(z[row, first + 1 : j + 1]))
            assert a[row, j] == pytest.approx(z[row, first] + steps.sum(), rel=1e-14)
            slope = 1.0 if j == first else 1 / (1 + np.exp(-z[row, j]))
            assert pulled[row, j] == pytest.approx(slope * g[row, j:end].sum(), rel=1e-13)
    letters = {"exp": np.exp, "log": np.log, "z": z.T, "a": a.T, "g": g.T}
    for j in range(5):  # and so says the formula of each unit
        for method, ours in (("value", a), ("pullback", pulled)):
            said = eval(sigma.textbook_of(method, j, units=5), letters)
            assert said == pytest.approx(ours[:, j], rel=1e-13)
