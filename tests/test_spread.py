"""Spread: middles and widths, against NumPy's, and with weights against repeated numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.preprocessing import TableEncoder
from chainrule.spread import SPREADS, quantile

numbers = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=30)
shares = st.floats(0.01, 0.99)


@given(x=numbers, share=shares)
def test_quantiles_are_numpys_averaged_ones(x, share):
    expected = np.quantile(x, share, method="averaged_inverted_cdf")
    if abs(share * len(x) - round(share * len(x))) > 1e-9:
        assert quantile(np.array(x), share) == expected


@given(x=numbers, share=st.sampled_from([0.1, 0.25, 0.5, 0.75, 0.9]), data=st.data())
def test_weights_are_as_good_as_repetition(x, share, data):
    x = np.array(x)
    weights = np.array(data.draw(st.lists(st.integers(0, 4), min_size=len(x), max_size=len(x))))
    if not weights.any():
        return
    repeated = np.repeat(x, weights)
    x, weights = x[weights > 0], weights[weights > 0]
    assert quantile(x, share, weights) == quantile(repeated, share)
    assert quantile(x, share, weights / 7) == quantile(repeated, share)
    for spread in SPREADS.values():
        assert spread(x, weights / 7) == pytest.approx(spread(repeated), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", SPREADS)
@pytest.mark.parametrize("size", [1.0, 1e-310, 1e300, 1e308])
def test_numbers_of_any_size_have_a_spread(name, size):
    middle, width = SPREADS[name](np.array([-1.0, 0.0, 0.5, 1.0]) * size)
    expected = SPREADS[name](np.array([-1.0, 0.0, 0.5, 1.0]))
    assert (middle / size, width / size) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", SPREADS)
def test_equal_numbers_are_one_apart(name):
    assert SPREADS[name](np.full(5, 3.0)) == (3.0, 1.0)


@pytest.mark.parametrize("numbers", ["standard", "robust", "none"])
def test_a_table_with_weights_is_encoded_as_one_with_repeated_rows(numbers):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)).round(1)
    X[rng.random(X.shape) < 0.1] = np.nan
    weights = rng.integers(0, 4, 40)
    one = TableEncoder(numbers=numbers).fit(X, sample_weight=weights)
    other = TableEncoder(numbers=numbers).fit(np.repeat(X, weights, axis=0))
    assert np.allclose(one.transform(X), other.transform(X), rtol=1e-12)
