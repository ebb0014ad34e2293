"""Units: those that are off for good, stuck at an end, or copies of each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chainrule.arrays import Array
from chainrule.diagnosis.evidence import Evidence, is_squashing
from chainrule.diagnosis.findings import Finding, Severity
from chainrule.diagnosis.words import listed, share

#: A unit is dead when |σ′| is below this share of σ's steepest on every row: a million updates then
#: move it as far as one should.
DEAD = 1e-6
#: A few dead units are usual after a healthy training; with too high a rate "as much as 40 %" of a
#: network can be dead (Karpathy, CS231n notes on neural networks).
SOME_DEAD, MANY_DEAD, MOST_DEAD = 0.05, 0.10, 0.40
NO_ACCIDENT = 3  # one or two units of a small layer are dead from the draw of the first weights
#: A unit is saturated when |σ′| is below a twentieth of σ's steepest (|z| > 4.4 for sigmoid, 2.2
#: for tanh) on 19 of 20 rows: it learns 20 times as slowly as it could (Glorot and Bengio 2010).
FLAT, ON_MOST_ROWS = 0.05, 0.95
SOME_SATURATED, MANY_SATURATED = 0.25, 0.50
ALIKE = 1e-9  # difference, relative to a layer's weights, below which two units are one
FEW_DISTINCT = 0.5  # share of different units in a layer below which it is no accident


def idle(e: Evidence, l: int) -> Array | None:
    """Tell which units of layer l are dead or saturated (units,); None for softmax."""
    slopes = e.slopes(l)
    if slopes is None:
        return None
    if is_squashing(e.network.activations[l]):
        return np.asarray((slopes < FLAT).mean(axis=0) >= ON_MOST_ROWS)
    return np.asarray((slopes < DEAD).all(axis=0))


def _idle_by_layer(e: Evidence, squashing: bool) -> dict[int, tuple[int, int]]:
    """Return how many units are idle, and of how many, for the layers of one sort.

    Outputs that saturate are sure of their answer; but a dead output is wrong for ever.
    """
    counts = {}
    for l, sigma in enumerate(e.network.activations):
        output = l == len(e.network.layers) - 1
        if is_squashing(sigma) == squashing and not (output and squashing):
            which = idle(e, l)
            if which is not None:
                counts[l] = (int(which.sum()), len(which))
    return counts


def _told(e: Evidence, counts: dict[int, tuple[int, int]], least: float) -> str:
    parts = [
        f"{part:,} of {of:,} {e.network.activations[l].name} units ({share(part / of)}) in"
        f" layer {l + 1}"
        for l, (part, of) in counts.items()
        if part >= least * of
    ]
    return listed(parts)


def dead_units(e: Evidence) -> Iterator[Finding]:
    """Units of relu and the like that no row switches on."""
    counts = _idle_by_layer(e, squashing=False)
    shares = {l: part / of for l, (part, of) in counts.items()}
    if not shares or max(shares.values()) < SOME_DEAD:
        return
    worst = max(shares, key=lambda l: shares[l])
    many = shares[worst] >= MANY_DEAD and counts[worst][0] >= NO_ACCIDENT
    bad = shares[worst] >= MOST_DEAD or (many and not e.fits)
    severity: Severity = "warning" if bad else "note"
    rate = f"a lower learning rate ({e.say('rate', e.rate / 10)}), " if e.rate else ""
    yield Finding(
        "dead_units",
        severity,
        worst + 1,
        f"Dead: {_told(e, counts, SOME_DEAD)}. None of {len(e.X):,} rows switches them on, so no"
        " gradient reaches their weights, and they stay as they are.",
        {"dead": {l + 1: part for l, (part, _) in counts.items()},
         "units": {l + 1: of for l, (_, of) in counts.items()}},
        f"Train anew with {rate}scaled inputs, or {e.say('activation', 'leaky_relu')}, which is"
        " nowhere flat."
        if severity == "warning"
        else "They cost nothing but time; with fewer units the result would be the same.",
    )  # fmt: skip


def saturated_units(e: Evidence) -> Iterator[Finding]:
    """Units of sigmoid, tanh and the like that stand at an end of their range on most rows."""
    counts = _idle_by_layer(e, squashing=True)
    shares = {l: part / of for l, (part, of) in counts.items()}
    if not shares or max(shares.values()) < SOME_SATURATED:
        return
    worst = max(shares, key=lambda l: shares[l])
    bad = shares[worst] >= MANY_SATURATED and not e.fits
    sizes = f"typical |z| there is {np.median(np.abs(e.trace.Z[worst])):.3g}"
    yield Finding(
        "saturated_units",
        "warning" if bad else "note",
        worst + 1,
        f"Saturated: {_told(e, counts, SOME_SATURATED)}. On {share(ON_MOST_ROWS)} of the rows, or"
        " more, their σ′ is below a twentieth of its largest value, so that they hardly learn"
        f" ({sizes}).",
        {"saturated": {l + 1: part for l, (part, _) in counts.items()},
         "units": {l + 1: of for l, (_, of) in counts.items()}},
        f"Try {e.say('scale_X')}; first weights that suit the activation, {e.say('initializer')};"
        f" a penalty on large weights, {e.say('l2', 1e-3)}; or {e.say('activation', 'relu')}."
        if bad
        else "The network fits all the same; a penalty keeps weights smaller,"
        f" {e.say('l2', 1e-3)}.",
    )  # fmt: skip


def identical_units(e: Evidence) -> Iterator[Finding]:
    """Hidden units with the same weights, which have the same gradient and stay the same."""
    alike = {}
    for l, layer in enumerate(e.network.layers[:-1]):
        incoming = np.vstack([layer.W, layer.b]).T
        scale = float(np.abs(incoming).max()) or 1.0
        used = incoming if not incoming.any() else incoming[incoming.any(axis=1)]
        distinct = len(np.unique(np.round(used / (scale * ALIKE)), axis=0))
        if len(used) > 1 and distinct <= FEW_DISTINCT * len(used):
            alike[l] = (distinct, len(used))
    if alike:
        l, (distinct, units) = next(iter(alike.items()))
        yield Finding(
            "identical_units",
            "warning",
            l + 1,
            f"The {units:,} units of layer {l + 1} are only {distinct:,} different one"
            f"{'s' * (distinct > 1)}: units that"
            " start alike get the same gradient and stay alike, so the layer is as good as"
            f" {distinct:,} unit{'s' * (distinct > 1)} wide.",
            {"distinct": {l + 1: d for l, (d, _) in alike.items()},
             "units": {l + 1: n for l, (_, n) in alike.items()}},
            f"Draw first weights at random: {e.say('initializer')}.",
        )  # fmt: skip
