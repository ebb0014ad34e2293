"""Features: columns that a network finds hard to read, or that give the answer away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.diagnosis.evidence import Evidence
from chainrule.diagnosis.findings import Finding
from chainrule.diagnosis.targets import class_names, classes
from chainrule.diagnosis.words import listed

#: First weights suit inputs of size 1. A column 20 times as large makes the cost 400 times as steep
#: in its weights as in others, and one rate can't suit both (LeCun et al. 1998, section 4.3).
LARGE, SMALL = 20.0, 1 / 20
#: A column far from zero is a second bias that drowns what varies in it (the same section).
FAR = 10.0
SAME = 0.9999  # correlation with the target from which on a column is the target, but for rounding
FEWEST_ROWS = 20  # on which it is no accident that a column tells the target


def unscaled_inputs(e: Evidence) -> Iterator[Finding]:
    """Columns of X that are large, tiny, or far from zero for how much they vary."""
    middle, spread, deviation = _sizes(e.X)
    large = np.flatnonzero(deviation > LARGE)
    small = np.flatnonzero(spread < SMALL)
    far = np.flatnonzero(np.abs(middle) > FAR * spread)  # NaN, where constant, is not
    odd = np.union1d(np.union1d(large, small), far)
    if not odd.size:
        return
    parts = []
    for columns, what in ((large, "larger"), (small, "smaller")):
        if columns.size:
            worst = int(columns[np.argmax(np.abs(np.log(spread[columns])))])
            most = f"{e.column(worst)} varies by {spread[worst]:.3g}"
            parts.append(f"{len(columns)} by far {what} than 1 (most so, {most})")
    if far.size:
        worst = int(far[np.argmax(np.abs(middle[far]) / spread[far])])
        most = f"{e.column(worst)} lies at {middle[worst]:.4g} ± {spread[worst]:.3g}"
        parts.append(f"{len(far)} far from zero (most so, {most})")
    low, high = np.nanmin(spread), np.nanmax(spread)
    yield Finding(
        "unscaled_inputs",
        "warning",
        1,
        f"Not scaled: {len(odd)} of {e.X.shape[1]} columns of X; {'; '.join(parts)}. First"
        " weights, and one learning rate for all, suit columns around 0 that vary by about 1.",
        {
            "columns": odd,
            "large": large,
            "small": small,
            "far_from_zero": far,
            "smallest_spread": low,
            "largest_spread": high,
        },
        f"Try {e.say('scale_X')}.",
    )


def _sizes(X: Array) -> tuple[Array, Array, Array]:
    """Return for each column its median, how far from it values lie that differ from it, and the
    standard deviation.

    The second is NaN where a column is constant. It is 1 for a column of few ones among zeros,
    whose deviation says little: that column is not tiny.
    """
    middle = np.median(X, axis=0)
    distance = X - middle
    differ = (distance != 0).sum(axis=0)
    spread = np.sqrt((distance**2).sum(axis=0) / differ)
    return middle, spread, X.std(axis=0)


def constant_inputs(e: Evidence) -> Iterator[Finding]:
    """Columns of X that say nothing."""
    constant = np.flatnonzero(np.ptp(e.X, axis=0) == 0)
    if len(e.X) > 1 and constant.size:
        count = f"{len(constant)} of {e.X.shape[1]} columns"
        names = [e.column(j).removeprefix("column ") for j in constant.tolist()]
        yield Finding(
            "constant_inputs",
            "note",
            1,
            f"{count} of X never change on these rows: {listed(names)}. Nothing can be"
            " learnt from them.",
            {"columns": constant},
            "Leave them out.",
        )


def target_among_features(e: Evidence) -> Iterator[Finding]:
    """Columns of X that are the target, or tell it exactly.

    With one input there is nothing else that the target could be learnt from.
    """
    if len(e.X) < FEWEST_ROWS or e.X.shape[1] < 2:
        return
    labels = classes(e)
    told = {j: how for j, how in enumerate(_tell(e, labels)) if how}
    copies = [j for j, how in told.items() if not how.startswith("separates")]
    columns = copies or list(told)
    if not columns:
        return
    words = [f"{e.column(j)} {told[j]}" for j in columns]
    yield Finding(
        "target_among_features",
        "warning" if copies else "note",
        1,
        f"The answer is among the features: {listed(words, 3)}, on all {len(e.X):,} rows."
        " A network that may copy it learns nothing else, and fails where it is not known.",
        {"columns": columns, "how": {j: told[j] for j in columns}},
        f"Drop {'it' if len(columns) == 1 else 'them'}, unless known before the answer is.",
    )


def _tell(e: Evidence, labels: Any) -> Iterator[str]:
    """Yield in words how each column gives a target away, or an empty text."""
    r = _correlations(e.X, e.Y)
    orders = [np.unique(y, return_inverse=True)[1] for y in e.Y.T] if labels is None else []
    for j, x in enumerate(e.X.T):
        k = int(r[j].argmax())
        _, ranks = np.unique(x, return_inverse=True)
        if ranks.max() == 0:
            yield ""
        elif r[j, k] > SAME:
            name = f" {k}" if labels is None else f" {class_names(e)[k]}"
            yield f"is the target{name * (e.Y.shape[1] > 1)} (correlation {r[j, k]:.6g})"
        elif labels is not None:
            yield _tells_class(ranks, labels, int(ranks.max()) + 1)
        else:
            same = [(ranks == o).all() or (ranks == o.max() - o).all() for o in orders if o.any()]
            yield "puts the rows in the target's order" * any(same)


def _correlations(X: Array, Y: Array) -> Array:
    """Return the size of the correlation of each column of X with each of Y; 0 of constants."""
    sides = []
    for values in (X, Y):
        centred = values - values.mean(axis=0)
        length = np.sqrt((centred**2).sum(axis=0))
        sides.append(centred / np.where(length > 0, length, 1))
    return np.asarray(np.abs(sides[0].T @ sides[1]))


def _tells_class(ranks: Any, labels: Any, distinct: int) -> str:
    pairs = len(np.unique(np.stack([ranks, labels]), axis=1).T)
    present = len(np.unique(labels))
    if pairs > distinct:  # a value stands beside two classes
        return ""
    if distinct == present:
        return "has one value for each class"
    along = labels[np.argsort(ranks, kind="stable")]
    changes = int((along[1:] != along[:-1]).sum())
    return "separates the classes without an error" if changes == present - 1 else ""
