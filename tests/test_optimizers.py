"""Optimizers: one battery over them all, each rule by hand, and their settings."""

import re
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given

from chainrule.network import Network
from chainrule.optimizers import (
    LBFGS,
    OPTIMIZERS,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Optimizer,
    RMSprop,
    RProp,
    get_optimizer,
)
from chainrule.training import train
from strategies import seeds

RULES = sorted(name for name, rule in OPTIMIZERS.items() if issubclass(rule, Optimizer))


def test_names_and_which_need_all_rows_at_once():
    assert {name: rule.full_batch for name, rule in OPTIMIZERS.items()} == {
        "sgd": False, "rmsprop": False, "adagrad": False, "adam": False, "adamw": False,
        "rprop": True, "lbfgs": True,
    }  # fmt: skip


def follow(optimizer, gradients, w=1.0):
    """Return w after each gradient of a list, at the optimizer's own rate."""
    slots = tuple(np.full(1, optimizer.first_slot(name)) for name in optimizer.slots)
    w, path = np.full(1, w), []
    for t, g in enumerate(gradients, start=1):
        w, slots = optimizer.update(w, np.full(1, g), slots, optimizer.rate, t)
        path.append(float(w[0]))
    return path


def test_sgd_by_hand():
    assert follow(SGD(0.1), [1, 2, -1]) == pytest.approx([0.9, 0.7, 0.8])
    # v: −0.1, −0.25, −0.025
    assert follow(SGD(0.1, 0.5), [1, 2, -1]) == pytest.approx([0.9, 0.65, 0.625])
    # step: 0.5 v − 0.1 g = −0.15, −0.325, 0.0875
    nesterov = SGD(0.1, 0.5, nesterov=True)
    assert follow(nesterov, [1, 2, -1]) == pytest.approx([0.85, 0.525, 0.6125])


def test_scaled_rules_by_hand():
    # s: 0.1·1, 0.9·0.1 + 0.1·4 = 0.49
    expected = [1 - 0.1 / 0.1**0.5, 1 - 0.1 / 0.1**0.5 - 0.2 / 0.7]
    assert follow(RMSprop(0.1, 0.9), [1, 2]) == pytest.approx(expected, rel=1e-6)
    assert follow(Adagrad(0.1), [3, 4]) == pytest.approx([0.9, 0.9 - 0.1 * 4 / 5])
    # an ε that counts
    assert follow(RMSprop(0.1, 0.75, epsilon=1.0), [2]) == pytest.approx([1 - 0.1 * 2 / (1 + 1)])
    assert follow(Adagrad(0.1, epsilon=1.0), [3]) == pytest.approx([1 - 0.1 * 3 / (3 + 1)])


def test_adam_by_its_algorithm():
    m = s = 0.0
    w, path = 1.0, []
    gradients = [1.0, -0.5, 2.0, 0.25]
    for t, g in enumerate(gradients, start=1):
        m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g * g
        w -= 0.01 * (m / (1 - 0.9**t)) / ((s / (1 - 0.999**t)) ** 0.5 + 1e-8)
        path.append(w)
    assert follow(Adam(0.01), gradients) == pytest.approx(path, rel=1e-13)


def test_adamw_decays_apart_from_the_gradient():
    """Without a gradient only the decay is left; Adam's scale does not touch it."""
    assert follow(AdamW(0.1, weight_decay=0.5), [0, 0], w=2) == pytest.approx([1.9, 1.805])
    assert follow(Adam(0.1), [0, 0], w=2) == [2, 2]


def test_rprop_looks_at_signs_only():
    """Longer steps while the sign stays; half the step and one update skipped when it turns."""
    expected = [0.9, 0.9 - 0.12, 0.78, 0.78 + 0.06]
    assert follow(RProp(0.1), [5, 1e-9, -7, -7]) == pytest.approx(expected)
    assert follow(RProp(0.1, longest=0.11), [1, 1]) == pytest.approx([0.9, 0.79])


def test_the_first_step_of_adam_is_the_rate():
    for g in (1e-3, 1.0, 1e3):
        assert follow(Adam(0.01), [g])[0] == pytest.approx(0.99, rel=1e-6)


@pytest.mark.parametrize("name", RULES)
@given(seed=seeds)
def test_a_rule_changes_nothing_in_place(name, seed):
    rng = np.random.default_rng(seed)
    optimizer = OPTIMIZERS[name]()
    w, g = rng.normal(size=(2, 5))
    slots = tuple(np.abs(rng.normal(size=5)) for _ in optimizer.slots)
    before = [each.copy() for each in (w, g, *slots)]
    new, new_slots = optimizer.update(w, g, slots, 0.1, 3)
    assert all((a == b).all() for a, b in zip((w, g, *slots), before, strict=True))
    assert len(new_slots) == len(optimizer.slots)
    assert not any(np.shares_memory(a, b) for a in (new, *new_slots) for b in (w, *slots))


@pytest.mark.parametrize("name", RULES)
def test_rules_keep_the_dtype(name):
    optimizer = OPTIMIZERS[name]()
    w = np.ones(3, np.float32)
    new, slots = optimizer.update(w, w, (w,) * len(optimizer.slots), 0.1, 1)
    assert {each.dtype for each in (new, *slots)} == {np.dtype("f4")}


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_finds_the_line(name):
    """y = 2 x₁ − x₂ + ½ without noise, from zero weights."""
    X = np.random.default_rng(0).normal(size=(60, 2))
    Y = X @ [[2.0], [-1.0]] + 0.5
    net = Network([2, 1], ["identity"], initializers="zeros")
    optimizer = OPTIMIZERS[name]()
    if isinstance(optimizer, Optimizer):
        optimizer = type(optimizer)(0.5 if name == "adagrad" else 0.02)
    history = train(net, X, Y, optimizer=optimizer, epochs=150, schedule="constant")
    if name != "lbfgs" and not optimizer.full_batch:
        history = train(net, X, Y, optimizer=optimizer, epochs=150, batch_size=10)
    assert history["loss"][-1] < 1e-2
    assert net.W[0].ravel() == pytest.approx([2, -1], abs=0.1)
    assert net.b[0] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", RULES)
def test_bad_rates_are_refused(name, rate):
    with pytest.raises(ValueError, match="learning rate must be a finite number > 0"):
        OPTIMIZERS[name](rate)


SHARES = ("decay", "beta_1", "beta_2")  # of the past, so below 1
SETTINGS = [
    (name, field.name)
    for name in RULES
    if not OPTIMIZERS[name]().full_batch
    for field in fields(OPTIMIZERS[name])
    if field.name not in ("rate", "nesterov")
]


@pytest.mark.parametrize(("name", "setting"), SETTINGS)
def test_settings_are_numbers_from_zero_and_shares_below_one(name, setting):
    rule = OPTIMIZERS[name]
    share = setting in SHARES
    words = rf"^{rule.__name__}: {setting}=\S+ must be a finite number >= 0"
    for bad in (-0.1, np.nan, np.inf, "a"):
        with pytest.raises(ValueError, match=words + (" and < 1$" if share else "$")):
            rule(**{setting: bad})
    assert getattr(rule(**{setting: 0.0}), setting) == 0
    if share:
        with pytest.raises(ValueError, match=words + " and < 1$"):
            rule(**{setting: 1.0})


BE = "must be a finite number in"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SGD(nesterov=1), "SGD: nesterov=1 must be True or False"),
        (lambda: RProp(shrink=1.0), f"RProp: shrink=1.0 {BE} (0, 1)"),
        (lambda: RProp(grow=0.9), f"RProp: grow=0.9 {BE} [1, inf)"),
        (lambda: RProp(longest=0.0), f"RProp: longest=0.0 {BE} (0, inf)"),
        (
            lambda: LBFGS(tolerance=-1.0),
            f"LBFGS: tolerance=-1.0 {BE} [0, inf)",
        ),
        (lambda: LBFGS(memory=0), f"LBFGS: memory=0 {BE} [1, inf)"),
        (
            lambda: LBFGS(max_evaluations=0),
            f"LBFGS: max_evaluations=0 {BE} [1, inf)",
        ),
    ],
)
def test_other_settings_out_of_range_are_refused(make, words):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        make()


def test_names_and_objects():
    assert get_optimizer("adam") == Adam()
    assert get_optimizer("lbfgs") == LBFGS()
    mine = SGD(0.3)
    assert get_optimizer(mine) is mine
    with pytest.raises(ValueError, match="optimizer='adma' is unknown; did you mean 'adam"):
        get_optimizer("adma")
