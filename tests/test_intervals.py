"""Intervals: the coverage is the one that is proved, whatever the distribution."""

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from chainrule.intervals import (
    conformal_quantile,
    conformal_radius,
    cqr_offset,
    interval,
    quantile_pair,
)
from strategies import seeds

DRAWS = {
    "normal": lambda rng, size: rng.normal(size=size),
    "heavy": lambda rng, size: rng.standard_cauchy(size),
    "skewed": lambda rng, size: rng.exponential(size=size) - 1,
    "two lumps": lambda rng, size: rng.choice([-5.0, 5.0], size) + rng.normal(size=size) / 9,
}
SETTINGS = [(9, 0.9), (19, 0.9), (50, 0.5), (99, 0.95), (33, 0.07)]
TRIES = 4000


def within_binomial_bounds(hits, p):
    """Tell whether so many of TRIES are likely at a rate of p; one in a million is not."""
    low, high = stats.binom.interval(1 - 1e-6, TRIES, p)
    return low <= hits <= high


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize(("n", "confidence"), SETTINGS)
def test_coverage_is_k_of_n_plus_1(name, n, confidence):
    """With one new row for each calibration: exactly ⌈(n + 1) c⌉ / (n + 1), if none are equal."""
    R = DRAWS[name](np.random.default_rng(n), (n + 1, TRIES))
    radius = conformal_radius(R[:n], confidence)  # each column is an output, so a try of its own
    k = ceil(Fraction(repr(confidence)) * (n + 1))
    assert within_binomial_bounds((np.abs(R[n]) <= radius).sum(), k / (n + 1))


def test_coverage_of_one_calibration_is_a_draw_of_beta():
    """It is Beta(k, n + 1 − k) over calibrations (Vovk 2012): compare by Kolmogorov-Smirnov."""
    n, confidence = 29, 0.9
    R = np.random.default_rng(0).normal(size=(n, 1000))
    coverage = 1 - 2 * stats.norm.sf(conformal_radius(R, confidence))
    assert stats.kstest(coverage, stats.beta(27, 3).cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", DRAWS)
def test_coverage_of_conformal_quantiles(name):
    """Of quantiles that are far too narrow, and of some far too wide."""
    rng = np.random.default_rng(1)
    y = DRAWS[name](rng, (40, TRIES))
    for low, high in ((-0.1, 0.1), (-50.0, 50.0)):
        L, H = np.full_like(y, low), np.full_like(y, high)
        c = cqr_offset(y[:39], L[:39], H[:39], 0.8)
        inside = (L[39] - c <= y[39]) & (y[39] <= H[39] + c)
        assert within_binomial_bounds(inside.sum(), 32 / 40)
        assert (c > 0).mean() == 1 if high < 1 else (c < 0).mean() > 0.3


def test_scaled_intervals_cover_where_the_noise_grows_and_where_it_does_not():
    """Both kinds cover 0.9 over all; only the scaled one does so on the noisy half too."""
    rng = np.random.default_rng(2)
    n = 4000
    s = np.exp(rng.normal(size=2 * n))
    R = s * rng.normal(size=2 * n)
    plain = conformal_radius(R[:n], 0.9)
    scaled = conformal_radius(R[:n], 0.9, scale=s[:n])
    noisy = s[n:] > 1
    inside_plain, inside_scaled = np.abs(R[n:]) <= plain, np.abs(R[n:]) <= scaled * s[n:]
    assert inside_plain.mean() == pytest.approx(0.9, abs=0.025)
    assert inside_scaled.mean() == pytest.approx(0.9, abs=0.025)
    assert inside_scaled[noisy].mean() == pytest.approx(0.9, abs=0.03)
    assert inside_plain[noisy].mean() < 0.85


@given(
    seed=seeds, n=st.integers(1, 60), confidence=st.floats(0.01, 0.99).map(lambda c: round(c, 2))
)
def test_the_rank_is_exact(seed, n, confidence):
    scores = np.random.default_rng(seed).permutation(n) + 1.0
    k = ceil(Fraction(repr(confidence)) * (n + 1))
    if k > n:
        with pytest.raises(ValueError, match=f"and there are {n}; give more") as told:
            conformal_quantile(scores, confidence)
        enough = int(str(told.value).split("at least ")[1].split()[0])
        conformal_quantile(np.ones(enough), confidence)
        if enough > 1:
            with pytest.raises(ValueError, match="rows to calibrate on"):
                conformal_quantile(np.ones(enough - 1), confidence)
    else:
        assert conformal_quantile(scores, confidence).tolist() == [k]
        equal = np.full(n, 0.3)
        assert conformal_quantile(scores, confidence, equal).tolist() == [k]


def test_the_confidence_that_is_named_can_be_had():
    with pytest.raises(ValueError, match=r"of at most 0\.6666$"):
        conformal_quantile([1.0, 2.0], 0.9)
    assert conformal_quantile([1.0, 2.0], 0.6666).tolist() == [2]


def test_weights_make_rows_count_less():
    """Masses 1, ½, ½ and 1 for the new row: those up to 2 weigh 1.5 of 3."""
    scores = [1.0, 2.0, 3.0]
    assert conformal_quantile(scores, 0.5, [2, 1, 1]).tolist() == [2]
    assert conformal_quantile(scores, 0.51, [2, 1, 1]).tolist() == [3]
    assert conformal_quantile(scores, 0.5, [2, 0, 1]).tolist() == [3]
    with pytest.raises(ValueError, match=r"needs at least 3 rows .* weigh as much as 2;"):
        conformal_quantile(scores, 0.75, [2, 1, 1])


def test_weighted_coverage_holds_under_covariate_shift():
    """Rows drawn with density 1 are weighted by 2 u for a new row with density 2 u."""
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(TRIES):
        u = rng.uniform(size=40)
        new = np.sqrt(rng.uniform())
        radius = conformal_radius((1 + 3 * u) * rng.normal(size=40), 0.8, weights=u)
        hits += abs((1 + 3 * new) * rng.normal()) <= radius[0]
    assert hits >= stats.binom.ppf(1e-6, TRIES, 0.8)
    assert hits <= 0.87 * TRIES


def test_each_output_has_its_own():
    R = np.random.default_rng(4).normal(size=(50, 3)) * [1, 10, 100]
    together = conformal_radius(R, 0.9)
    assert together.tolist() == [conformal_radius(R[:, j], 0.9)[0] for j in range(3)]
    low, high = R - 0.1, R + np.array([0.1, 0.2, 0.3])
    offsets = cqr_offset(0 * R, low, high, 0.9)
    assert offsets.tolist() == [
        cqr_offset(0 * R[:, j], low[:, j], high[:, j], 0.9)[0] for j in range(3)
    ]


def test_intervals_are_made_of_them():
    np.testing.assert_array_equal(interval([1.0, 2.0], [1.0, 2.0], 0.5), [[0.5, 1.5], [1.5, 2.5]])
    two = interval([[0.0, 0.0]], [[1.0, 2.0]], [0.5, -0.5])
    np.testing.assert_array_equal(two, [[[-0.5, 1.5], [0.5, 1.5]]])
    assert interval([0.0], [1.0], -3.0).tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize(
    ("quantiles", "confidence", "pair"),
    [
        ([0.1, 0.5, 0.9], 0.8, (0, 2)),
        ([0.9, 0.05, 0.25, 0.75, 0.95], 0.5, (2, 3)),
        ([0.9, 0.05, 0.25, 0.75, 0.95], 0.99, (1, 4)),
    ],
)
def test_the_nearest_quantiles_bound_an_interval(quantiles, confidence, pair):
    assert quantile_pair(quantiles, confidence) == pair


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: conformal_radius([1.0], 1.0), "confidence=1.0 must be a number between 0 and 1"),
        (lambda: conformal_radius([1.0, np.nan], 0.5), "residuals holds NaN or infinity"),
        (lambda: conformal_radius([1.0, 1], 0.5, scale=[1.0, 0]), "smallest value of 0; expected"),
        (lambda: conformal_radius([1.0, 1], 0.5, scale=[1.0]), r"scale has shape \(1, 1\)"),
        (lambda: conformal_radius([1.0, 1], 0.5, weights=[1, -1]), "negative"),
        (lambda: cqr_offset([1.0], [1.0, 2.0], [1.0], 0.5), "expected the same of all"),
        (lambda: quantile_pair([0.5, 0.9], 0.8), r"lies on one side of 0.5.*\[0.1, 0.5, 0.9\]"),
    ],
)
def test_what_does_not_fit_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
