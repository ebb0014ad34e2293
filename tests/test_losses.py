"""Losses: gradients against differences, logits against outputs, closed forms at the edges."""

import re
from decimal import Decimal as D
from decimal import localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.activations import ACTIVATIONS, Increasing
from chainrule.losses import (
    LOSSES,
    TINY,
    BinaryCrossEntropy,
    BinaryFocal,
    CrossEntropy,
    Focal,
    Huber,
    Quantile,
    Quantiles,
    SquaredError,
    get_loss,
    with_label_smoothing,
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
    """The value from z is the value of σ(z), δ its gradient: a − y, but for the focal ones."""
    rng, loss, h = np.random.default_rng(seed), get_loss(name), 1e-5
    sigma = ACTIVATIONS[loss.canonical]
    assert loss.pairs_with(sigma)
    z, y = rng.uniform(-4, 4, (4, 3)), targets(loss, rng, 4, 3)
    a = sigma.value(z)
    general = loss.value(a, y)
    assert loss.value_from_logits(z, y) == pytest.approx(general, rel=1e-12, abs=1e-13)
    delta = loss.delta_from_logits(z, a, y)
    assert sigma.pullback(loss.gradient(a, y), z, a) == pytest.approx(delta, rel=1e-9, abs=1e-12)
    assert (delta == a - y).all() == ("focal" not in name)
    for k in range(3):
        step = h * np.eye(3)[k]
        up, down = (loss.value_from_logits(z + s, y).sum(axis=1) for s in (step, -step))
        assert (up - down) / (2 * h) == pytest.approx(delta[:, k], rel=1e-6, abs=1e-7)


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


@pytest.mark.parametrize("outside", [False, True])
@given(seed=seeds, smoothing=st.floats(0, 1))
def test_a_focus_of_zero_is_cross_entropy(outside, seed, smoothing):
    """To rounding: value and gradient, from outputs in and out of the domain, and from logits."""
    rng = np.random.default_rng(seed)
    z = rng.normal(scale=10.0, size=(4, 3))
    for focal, plain in [
        (Focal(0.0, smoothing), CrossEntropy(smoothing)),
        (BinaryFocal(0.0, label_smoothing=smoothing), BinaryCrossEntropy(smoothing)),
    ]:
        y = plain.target(targets(plain, rng, 4, 3))
        assert (focal.target(y) == plain.target(y)).all()
        a = rng.uniform(-2, 3, (4, 3)) if outside else plain.output.value(z)
        for name in ("value", "gradient"):
            ours, theirs = getattr(focal, name)(a, y), getattr(plain, name)(a, y)
            assert ours == pytest.approx(theirs, rel=1e-13, abs=1e-15 * abs(theirs).max())
        a = plain.output.value(z)
        assert focal.value_from_logits(z, y) == pytest.approx(
            plain.value_from_logits(z, y), rel=1e-13, abs=1e-13
        )
        assert focal.delta_from_logits(z, a, y) == pytest.approx(a - y, rel=1e-13, abs=1e-15)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_focal_losses_at_any_logit(gamma):
    """Against sixty digits, from −700 to 700: −(1 − p)^γ log p and its slope, p = sigmoid(z)."""
    z = np.array([-700.0, -300.0, -40.0, -3.0, -1e-3, 0.0, 0.7, 5.0, 36.0, 300.0, 700.0])[:, None]
    with localcontext(prec=60):
        p = [1 / (1 + (-D(v)).exp()) for v in z[:, 0]]
        q = [1 / (1 + D(v).exp()) for v in z[:, 0]]
        focus = [other ** D(gamma) for other in q]
        value = [float(-f * one.ln()) for f, one in zip(focus, p, strict=True)]
        slope = [
            float(f * (D(gamma) * one * one.ln() - other))
            for f, one, other in zip(focus, p, q, strict=True)
        ]
    binary, y = BinaryFocal(gamma), np.ones_like(z)
    a = binary.output.value(z)
    assert binary.value_from_logits(z, y)[:, 0] == pytest.approx(value, rel=1e-12)
    assert binary.delta_from_logits(z, a, y)[:, 0] == pytest.approx(slope, rel=1e-12)
    other = binary.delta_from_logits(-z, binary.output.value(-z), 0 * y)[:, 0]
    assert other == pytest.approx([-s for s in slope], rel=1e-12)
    weighted = BinaryFocal(gamma, 0.25)
    assert weighted.value_from_logits(z, y)[:, 0] == pytest.approx(0.25 * np.array(value), 1e-12)
    zero = weighted.value_from_logits(-z, 0 * y)[:, 0]
    assert zero == pytest.approx(0.75 * np.array(value), rel=1e-12)
    pair, hot = np.hstack([z, 0 * z]), np.hstack([y, 0 * y])  # a softmax of (z, 0)
    many = Focal(gamma)
    assert many.value_from_logits(pair, hot)[:, 0] == pytest.approx(value, rel=1e-9, abs=1e-15)
    delta = many.delta_from_logits(pair, many.output.value(pair), hot)
    assert delta[:, 0] == pytest.approx(slope, rel=1e-9, abs=1e-15)
    assert delta.sum(axis=1) == pytest.approx(0 * z[:, 0], abs=1e-15)


@given(seed=seeds, count=st.integers(1, 5), number=st.integers(1, 3))
def test_several_quantiles_are_as_many_losses(seed, count, number):
    rng = np.random.default_rng(seed)
    q = tuple(sorted(rng.uniform(0.01, 0.99, count).tolist()))
    a, y = rng.normal(size=(6, number * count)), np.repeat(rng.normal(size=(6, number)), count, 1)
    for name in ("value", "gradient", "switch"):
        together = getattr(Quantiles(q), name)(a, y)
        for column in range(number * count):
            one = np.s_[:, column : column + 1]
            alone = getattr(Quantile(q[column % count]), name)(a[one], y[one])
            assert (together[one] == alone).all()


@pytest.mark.parametrize(
    "quantiles", [(), 0.5, (0.0, 0.5), (0.5, 0.5), (0.9, 0.1), ("a",), None, (0.5, 1.0), (0.5, 1.5)]
)
def test_quantiles_that_are_none_are_refused(quantiles):
    words = r"quantiles=.* must be increasing numbers in \(0, 1\), such as \(0\.1, 0\.5, 0\.9\)$"
    with pytest.raises(ValueError, match=words):
        Quantiles(quantiles)
    assert Quantiles([0.1, 0.9]) == Quantiles(np.array([0.1, 0.9])) == Quantiles((0.1, 0.9))


def test_label_smoothing_is_given_where_there_is_some():
    assert with_label_smoothing(Focal(3.0), 0.1) == Focal(3.0, 0.1)
    assert with_label_smoothing(BinaryFocal(), 0.1) == BinaryFocal(label_smoothing=0.1)
    assert with_label_smoothing(BinaryCrossEntropy(0.3), 0.0) == BinaryCrossEntropy()
    with pytest.raises(ValueError, match=r"label_smoothing=0\.1 does not fit SquaredError"):
        with_label_smoothing(SquaredError(), 0.1)
    with pytest.raises(ValueError, match="label_smoothing=2 must be"):
        with_label_smoothing(CrossEntropy(), 2)


BE = "must be a finite number in"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Focal(-1.0), f"Focal: gamma=-1.0 {BE} [0, inf)"),
        (
            lambda: BinaryFocal(alpha=1.5),
            f"BinaryFocal: alpha=1.5 {BE} [0, 1]",
        ),
        (
            lambda: BinaryFocal(alpha=-0.5),
            f"BinaryFocal: alpha=-0.5 {BE} [0, 1]",
        ),
        (lambda: BinaryFocal(np.inf), f"BinaryFocal: gamma=inf {BE} [0, inf)"),
        (
            lambda: Focal(label_smoothing=2.0),
            f"Focal: label_smoothing=2.0 {BE} [0, 1]",
        ),
        (
            lambda: BinaryFocal(label_smoothing=2.0),
            f"BinaryFocal: label_smoothing=2.0 {BE} [0, 1]",
        ),
        (
            lambda: BinaryCrossEntropy(2.0),
            f"BinaryCrossEntropy: label_smoothing=2.0 {BE} [0, 1]",
        ),
        (lambda: Huber(0.0), f"Huber: delta=0.0 {BE} (0, inf)"),
        (lambda: Quantile(1.0), f"Quantile: quantile=1.0 {BE} (0, 1)"),
    ],
)
def test_settings_out_of_range_are_refused(make, words):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        make()


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_a_focus_stays_as_it_is_at_the_edges(gamma):
    """By forty digits: q^γ for q in [ε, 1 − ε], and beyond as at the edge, with no slope."""
    e, g = D(TINY), D(gamma)
    a = np.array([-0.3, 0.0, TINY / 2, 2 * TINY, 0.4, 1 - 2 * TINY, 1 - TINY / 2, 1, 1.3])[:, None]
    with localcontext(prec=40):
        value, slope = [], []
        for one in map(D, a[:, 0].tolist()):
            q, held = 1 - one, min(max(1 - one, e), 1 - e)
            log, log_slope = max(one, e).ln() + (min(one, e) - e) / e, 1 / max(one, e)
            bent = g * held ** (g - 1) if q == held else 0
            value.append(float(-(held**g) * log))
            slope.append(float(bent * log - held**g * log_slope))
    one = np.ones_like(a)
    for loss in (BinaryFocal(gamma), Focal(gamma)):
        assert loss.value(a, one)[:, 0] == pytest.approx(value, rel=1e-8)
        assert loss.gradient(a, one)[:, 0] == pytest.approx(slope, rel=1e-8)
    assert BinaryFocal(gamma).value(1 - a, 0 * a)[:, 0] == pytest.approx(value, rel=1e-8)
    assert -BinaryFocal(gamma).gradient(1 - a, 0 * a)[:, 0] == pytest.approx(slope, rel=1e-8)


#: loss -> target, and the outputs around which its gradient jumps or bends
SWITCHES = {
    "absolute_error": (2.0, [2.0]),
    "huber": (2.0, [1.0, 3.0]),
    "quantile": (2.0, [2.0]),
    "poisson": (2.0, [TINY]),
    "binary_cross_entropy": (1.0, [TINY, 1 - TINY]),
    "binary_focal": (1.0, [TINY, 1 - TINY]),
    "cross_entropy": (1.0, [TINY]),
    "focal": (1.0, [TINY, 1 - TINY]),
    "squared_error": (2.0, []),
}


@pytest.mark.parametrize("name", SWITCHES)
def test_the_switch_changes_sign_where_the_gradient_bends_and_nowhere_else(name):
    y, places = SWITCHES[name]
    grid = np.array([*np.linspace(1e-8, 1 - 1e-8, 41), *np.linspace(1.051, 5.03, 80)])
    low, high = get_loss(name).domain
    grid = np.concatenate([-grid, grid]) if low < 0 else grid[grid < high]
    grid = np.unique([*grid, *(p - 5e-9 for p in places), *(p + 5e-9 for p in places)])[:, None]
    signs = np.sign(get_loss(name).switch(grid, np.full_like(grid, y)))[:, 0]
    changes = np.flatnonzero(np.diff(signs))
    found = (grid[changes, 0] + grid[changes + 1, 0]) / 2
    assert found == pytest.approx(places, abs=1e-8)


def test_a_quantile_has_no_slope_at_its_target():
    for y in (-1.5, 0.0, 2.0):
        at = np.array([[y]])
        assert Quantile(0.1).gradient(at, at) == 0
        assert Quantile(0.1).gradient(at - 1e-9, at) == pytest.approx(-0.1)


def test_a_focal_row_knows_nothing_of_its_neighbours():
    z = np.array([[0.0, 0.5, 1.0], [2000.0, 0.0, 0.0], [-3000.0, -3001.0, -3002.0]])
    y = np.eye(3)
    whole = Focal().value_from_logits(z, y)
    assert np.isfinite(whole).all()
    for i in range(3):
        assert (Focal().value_from_logits(z[i : i + 1], y[i : i + 1]) == whole[i]).all()


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


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_alpha_weighs_the_two_classes(alpha):
    """α times the loss of a 1, 1 − α times that of a 0, in each of the four ways to it."""
    z = np.linspace(-4, 4, 9)[:, None]
    a = ACTIVATIONS["sigmoid"].value(z)
    for y, share in ((np.ones_like(z), alpha), (np.zeros_like(z), 1 - alpha)):
        for way, of in (
            ("value", (a, y)),
            ("gradient", (a, y)),
            ("value_from_logits", (z, y)),
            ("delta_from_logits", (z, a, y)),
        ):
            ours, plain = (
                getattr(loss, way)(*of) for loss in (BinaryFocal(2.0, alpha), BinaryFocal())
            )
            assert ours == pytest.approx(share * plain, rel=1e-14)


def test_two_functions_are_a_loss():
    own, plain = get_loss((lambda a, y: (a - y) ** 2 / 2, np.subtract)), SquaredError()
    a, y = np.random.default_rng(0).normal(size=(2, 5, 3))
    assert own.value(a, y) == pytest.approx(plain.value(a, y), rel=1e-14)
    assert (own.gradient(a, y) == plain.gradient(a, y)).all()
    assert (own.target(y) is y, own.output, own.outputs_per_target) == (True, plain.output, 1)
    assert not own.pairs_with(own.output)
    with pytest.raises(NotImplementedError):
        own.value_from_logits(a, y)
    wide = get_loss((lambda a, y: a.sum(), lambda a, y: a[:1]))
    for call, what in ((wide.value, "loss"), (wide.gradient, "gradient")):
        with pytest.raises(ValueError, match=f"^your {what} '<lambda>' gave float64 of shape"):
            call(a, y)
    for pair, which, count in (
        ((np.sin, np.subtract), "first", 1),
        ((np.add, np.sin), "second", 1),
    ):
        words = rf"^loss: the {which} of the two functions needs {count} .* of \(a, y\)$"
        with pytest.raises(ValueError, match=words):
            get_loss(pair)


def test_where_losses_are_defined_and_their_settings_by_default():
    of_labels, of_rows = {"binary_cross_entropy", "binary_focal"}, {"cross_entropy", "focal"}
    y = np.eye(3)
    for name in LOSSES:
        loss, counts = get_loss(name), name == "poisson"
        shares = name in of_labels | of_rows
        low, high = 0.0 if shares or counts else -np.inf, 1.0 if shares else np.inf
        assert loss.domain == loss.targets == (low, high)
        assert loss.rows_sum_to_one == (name in of_rows)
        assert (loss.target(y) == y).all()  # without label smoothing
    assert (TINY, Huber().delta, Focal().gamma, BinaryFocal().gamma) == (1e-7, 1.0, 2.0, 2.0)
    assert (Quantile().quantile, Quantiles().quantiles) == (0.5, (0.1, 0.5, 0.9))


def test_what_goes_with_a_loss():
    assert Quantiles((0.1, 0.9)).output == Increasing(2)
    assert {name: LOSSES[name]().output.name for name in CANONICAL} == {
        "squared_error": "identity", "poisson": "exp",
        "binary_cross_entropy": "sigmoid", "binary_focal": "sigmoid",
        "cross_entropy": "softmax", "focal": "softmax",
    }  # fmt: skip
    words = (
        r"^label_smoothing=0.1 does not fit Huber, whose targets are no classes; set it to 0, or"
        r" take one of binary_cross_entropy, cross_entropy, binary_focal, focal$"
    )
    with pytest.raises(ValueError, match=words):
        with_label_smoothing(Huber(), 0.1)


def test_unknown_losses_are_refused():
    with pytest.raises(ValueError, match=r"loss='huberr' is unknown; did you mean 'huber'\?"):
        get_loss("huberr")
