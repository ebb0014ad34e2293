"""Verdicts: whether the scores of two libraries over some seeds tell them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median, stdev

import numpy as np
from scipy import stats

LEVEL = 0.05  # of the tests, over all tables together


@dataclass(frozen=True)
class Verdict:
    """Scores of one table: means, spreads, their difference with its 95 % interval, two tests.

    The difference is ours minus the other's. `paired` tests it seed by seed, since a seed has the
    same rows held out in both libraries; `welch` as if the seeds had nothing in common. Both are
    two-sided probabilities that equal means would differ as much.
    """

    theirs: float
    theirs_spread: float
    ours: float
    ours_spread: float
    low: float
    high: float
    paired: float
    welch: float

    @property
    def difference(self) -> float:
        """Ours minus theirs."""
        return self.ours - self.theirs


def compare(ours: Sequence[float], theirs: Sequence[float]) -> Verdict:
    """Return what is to be said of scores by seed, ours and theirs in the same order."""
    a, b = np.asarray(ours, float), np.asarray(theirs, float)
    if np.ptp(a - b) == 0:  # as many rows right for every seed: no spread, no t
        same = float(a[0] == b[0])
        low = high = float(a[0] - b[0])
        paired = same
    else:
        test = stats.ttest_rel(a, b)
        low, high = map(float, test.confidence_interval(0.95))
        paired = float(test.pvalue)
    constant = np.ptp(a) == 0 and np.ptp(b) == 0
    welch = float(a[0] == b[0]) if constant else float(stats.ttest_ind(a, b, equal_var=False)[1])
    return Verdict(mean(b.tolist()), stdev(b.tolist()), mean(a.tolist()), stdev(a.tolist()),
                   low, high, paired, welch)  # fmt: skip


def holm(probabilities: Sequence[float]) -> list[float]:
    """Return the probabilities as they count when so many tests are made at once (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(probabilities)), key=probabilities.__getitem__)
    adjusted, largest = [0.0] * len(order), 0.0
    for rank, k in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * probabilities[k]))
        adjusted[k] = largest
    return adjusted


def middle_ratio(theirs: Sequence[float], ours: Sequence[float]) -> float:
    """Return the median of the ratios of what was measured in the same turn."""
    return median(b / a for a, b in zip(ours, theirs, strict=True))
