"""Randomness: the same numbers from the same place, and numbers that look random."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from chainrule.data import batches, split
from chainrule.randomness import bits, dropout_mask, key, row_order
from strategies import seeds

M = 2**64 - 1


def splitmix64(state, count):
    """The published algorithm (Steele, Lea, Flood 2014; Vigna's C version), in whole numbers."""
    words = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & M
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M
        words.append(z ^ (z >> 31))
    return words


def test_known_answers():
    """The first words of SplitMix64 seeded with 0 and with 1234567, as published."""
    assert [hex(word) for word in bits(0, 3)] == [
        "0xe220a8397b1dcdaf",
        "0x6e789e6aa1b965f4",
        "0x6c45d188009454f",
    ]
    assert bits(1234567, 2).tolist() == [6457827717110365317, 3203168211198807973]


@given(stream=st.integers(0, M), size=st.integers(0, 20))
def test_bits_are_splitmix64(stream, size):
    assert bits(stream, size).tolist() == splitmix64(stream, size)


@given(seed=seeds, place=st.lists(st.integers(-1, 2**40), max_size=3))
def test_key_in_whole_numbers(seed, place):
    k = seed
    for number in place:
        k = splitmix64(k, 1)[0] ^ (number & M)
    assert key(seed, *place) == splitmix64(k, 1)[0]


def test_keys_of_neighbours_differ():
    places = [(s, *rest) for s in range(20) for rest in [(), (0,), (1,), (0, 0), (0, 1), (1, 0)]]
    assert len({key(*place) for place in places}) == len(places)


@given(seed=seeds, epoch=st.integers(0, 1000), n=st.integers(1, 200))
def test_row_order_is_a_permutation(seed, epoch, n):
    order = row_order(seed, epoch, n)
    assert sorted(order.tolist()) == list(range(n))
    assert (order == row_order(seed, epoch, n)).all()


def test_row_orders_of_epochs_and_seeds_differ():
    orders = {tuple(row_order(seed, epoch, 50)) for seed in range(10) for epoch in range(10)}
    assert len(orders) == 100


def test_every_row_comes_at_every_place_equally_often():
    n, epochs = 8, 4000
    counts = np.zeros((n, n))
    for epoch in range(epochs):
        counts[np.arange(n), row_order(7, epoch, n)] += 1
    expected = epochs / n
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert 1e-4 < chi2.cdf(statistic, (n - 1) ** 2) < 1 - 1e-4


def test_words_are_uniform():
    words = bits(key(3, 1), 64_000)
    for shift in (0, 30, 58):  # low, middle and high bits
        counts = np.bincount((words >> np.uint64(shift)).astype(np.int64) & 63, minlength=64)
        statistic = ((counts - 1000) ** 2 / 1000).sum()
        assert 1e-4 < chi2.cdf(statistic, 63) < 1 - 1e-4


@given(seed=seeds, n=st.integers(1, 60), size=st.integers(1, 60), epoch=st.integers(0, 5))
def test_the_order_does_not_depend_on_the_cut_into_batches(seed, n, size, epoch):
    cut = list(batches(n, size, seed, epoch, shuffle=True))
    order = row_order(seed, epoch, n) if size < n else np.arange(n)  # one batch needs no order
    assert np.concatenate(cut).tolist() == order.tolist()
    assert [len(rows) for rows in cut[:-1]] == [size] * (len(cut) - 1)
    assert len(cut[-1]) == (n - 1) % size + 1
    rest = list(batches(n, size, seed, epoch, shuffle=True, first=1))
    assert [rows.tolist() for rows in rest] == [rows.tolist() for rows in cut[1:]]


@given(seed=seeds, step=st.integers(1, 10**9), layer=st.integers(0, 9), rate=st.floats(0, 0.95))
def test_dropout_mask_is_a_pure_function_of_its_place(seed, step, layer, rate):
    mask = dropout_mask(seed, step, layer, (6, 5), rate)
    assert (mask == dropout_mask(seed, step, layer, (6, 5), rate)).all()
    assert (mask[:4] == dropout_mask(seed, step, layer, (4, 5), rate)).all()  # rows stand alone
    assert set(np.unique(mask)) <= {0.0, 1 / (1 - rate)}


def test_dropout_masks_of_steps_layers_and_seeds_differ():
    places = [(seed, step, layer) for seed in range(3) for step in range(5) for layer in range(3)]
    masks = {dropout_mask(*place, (8, 8), 0.5).tobytes() for place in places}
    assert len(masks) == len(places)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_dropout_keeps_the_expectation(rate):
    mask = dropout_mask(1, 1, 1, (400, 250), rate)
    deviation = np.sqrt(rate / (1 - rate) / mask.size)
    assert mask.mean() == pytest.approx(1, abs=4 * deviation + 1e-12)
    assert (mask == 0).mean() == pytest.approx(rate, abs=4 * np.sqrt(0.25 / mask.size))


@given(seed=seeds, n=st.integers(2, 100), fraction=st.floats(0.01, 0.99))
def test_split_cuts_the_rows_in_two(seed, n, fraction):
    if not 0 < round(n * fraction) < n:
        with pytest.raises(ValueError, match="leaves no row on one side"):
            split(n, fraction, seed)
        return
    kept, held_out = split(n, fraction, seed)
    assert sorted([*kept, *held_out]) == list(range(n))
    assert len(held_out) == round(n * fraction)
    assert (split(n, fraction, seed)[1] == held_out).all()
