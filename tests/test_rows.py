"""Rows held out and rows merged: by what they hold, so that a weight of 3 is three rows."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import sparse

from chainrule.randomness import row_words
from chainrule.rows import distinct, hold_out

RNG = np.random.default_rng(0)


@st.composite
def weighted_tables(draw):
    """X (n, 2) of a few values, so that rows repeat; y in 0, 1, 2; weights from 0 to 4."""
    n = draw(st.integers(12, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.integers(0, draw(st.integers(2, 9)), (n, 2)).astype(float)
    return X, rng.integers(0, 3, n), rng.integers(0, 5, n)


def multiset(X, y, rows, weights=None):
    """Return how much each distinct (x, y) weighs among `rows`."""
    counts = {}
    for row in rows:
        content = (*X[row].tolist(), int(y[row]))
        counts[content] = counts.get(content, 0) + (1 if weights is None else int(weights[row]))
    return {content: weight for content, weight in counts.items() if weight}


def dealt(X, y, weights, stratify, fraction, seed=0):
    Y = np.eye(3)[y]
    w = None if weights is None else weights.astype(float)
    return hold_out(X, Y, w, y if stratify else None, fraction, seed)


@settings(max_examples=100, deadline=None)
@given(weighted_tables(), st.booleans(), st.sampled_from([0.05, 0.1]))
def test_a_weight_is_dealt_out_as_so_many_rows(table, stratify, fraction):
    X, y, weights = table
    _, same = np.unique(np.c_[X, y], axis=0, return_inverse=True)
    most = max(np.bincount(same.ravel(), weights).max(), np.bincount(same.ravel()).max())
    assume(most * fraction < 1)  # some of so many copies are held out, of one heavy row none
    repeated = np.repeat(np.arange(len(y)), weights)
    try:
        weighted = dealt(X, y, weights, stratify, fraction)
        plain = dealt(X[repeated], y[repeated], None, stratify, fraction)
    except ValueError:
        assume(False)  # too few
    for side, other in zip(weighted, plain, strict=True):
        assert multiset(X, y, side, weights) == multiset(X[repeated], y[repeated], other)


@pytest.mark.parametrize(("n", "fraction", "held"), [(100, 0.1, 10), (442, 0.1, 45), (10, 0.1, 2)])
def test_the_share_of_distinct_rows_is_scikit_learns(n, fraction, held):
    X = RNG.normal(size=(n, 3))
    train, held_out = hold_out(X, X[:, :1], None, None, fraction, 0)
    assert len(held_out) == held
    assert sorted([*train, *held_out]) == list(range(n))


def test_each_class_gives_its_share():
    y = np.repeat([0, 1, 2], [100, 40, 3])
    X = RNG.normal(size=(143, 2))
    _, held = hold_out(X, np.eye(3)[y], None, y, 0.1, 0)
    assert np.bincount(y[held]).tolist() == [10, 4, 1]


def test_the_order_of_the_rows_does_not_matter_and_the_seed_does():
    X, y = RNG.normal(size=(200, 3)), RNG.integers(0, 2, 200)
    Y = np.eye(2)[y]
    order = RNG.permutation(200)
    sides = [hold_out(X, Y, None, y, 0.2, seed)[1].tolist() for seed in (0, 0, 1)]
    assert sides[0] == sides[1] != sides[2]
    shuffled = hold_out(X[order], Y[order], None, y[order], 0.2, 0)[1]
    assert sorted(order[shuffled].tolist()) == sides[0]


def test_a_truth_table_repeated_keeps_each_of_its_rows_on_both_sides():
    X = np.tile([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], (25, 1))
    y = (X[:, 0] != X[:, 1]).astype(int)
    for side, copies in zip(hold_out(X, np.eye(2)[y], None, y, 0.1, 0), (23, 2), strict=True):
        assert np.unique(X[side], axis=0, return_counts=True)[1].tolist() == [copies] * 4


def test_rows_of_no_weight_are_not_held_out():
    X = RNG.normal(size=(60, 2))
    weights = np.repeat([0.0, 1.0], 30)
    _, held = hold_out(X, X[:, :1], weights, None, 0.5, 0)
    assert len(held) == 15
    assert weights[held].all()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_too_few_rows_are_refused(n):
    X = RNG.normal(size=(n, 2))
    with pytest.raises(ValueError, match=f"The validation set is too small: n_samples={n}, "):
        hold_out(X, X[:, :1], None, None, 0.1, 0)


def test_more_than_half_may_be_held_out_and_all_may_not():
    X = RNG.normal(size=(30, 2))
    assert len(hold_out(X, X[:, :1], None, None, 0.8, 0)[1]) == 24
    with pytest.raises(ValueError, match=r"n_samples=40, of which 0\.99 would be held out"):
        hold_out(np.ones((40, 2)), np.ones((40, 1)), None, None, 0.99, 0)


def test_a_class_of_one_row_is_named():
    y = np.array([0, 0, 0, 0, 1])
    with pytest.raises(ValueError, match=r"only 1 member.*Classes with too few.*: \['b'\]"):
        hold_out(RNG.normal(size=(5, 2)), np.eye(2)[y], None, y, 0.1, 0, ["a", "b"])


def test_words_are_of_content_sparse_or_dense():
    matrix = sparse.random(50, 30, 0.2, format="csr", rng=np.random.default_rng(0))
    words = row_words(matrix.toarray(), 3)
    assert np.array_equal(words, row_words(matrix, 3))
    assert np.array_equal(words[::-1], row_words(matrix.toarray()[::-1], 3))
    twice = sparse.coo_array((np.r_[0.5, 0.5], ([0, 0], [1, 1])), shape=(1, 2)).tocsr()
    assert row_words(twice, 0) == row_words(np.array([[0.0, 1.0]]), 0)
    assert row_words(np.array([[0.0]]), 0) == row_words(np.array([[-0.0]]), 0)


def test_no_two_of_many_different_rows_have_one_word():
    grid = np.array(np.meshgrid(*[np.arange(8.0)] * 5)).reshape(5, -1).T
    assert len(np.unique(row_words(grid, 0))) == len(grid)


@settings(max_examples=50, deadline=None)
@given(weighted_tables())
def test_distinct_rows_weigh_as_much_as_all(table):
    X, y, weights = table
    Y = y[:, None].astype(float)
    rows, merged = distinct(X, Y, weights.astype(float))
    weighed = dict(zip(map(tuple, np.c_[X, y][rows].tolist()), merged.tolist(), strict=True))
    assert weighed == multiset(X, y, range(len(y)), weights)
    repeated = np.repeat(np.arange(len(y)), weights)
    again, count = distinct(X[repeated], Y[repeated], None)
    assert np.array_equal(X[rows], X[repeated][again])
    assert np.array_equal(merged, count)
