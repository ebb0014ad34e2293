"""Targets: numbers a network finds hard to reach, and classes too rare to be learnt."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any

import numpy as np

from chainrule.activations import ACTIVATIONS
from chainrule.arrays import Array
from chainrule.diagnosis.evidence import Evidence, is_elementwise
from chainrule.diagnosis.findings import Finding
from chainrule.diagnosis.words import listed, share

#: First outputs are of size 1. A target 20 times as large makes the first errors, and so the first
#: gradients, 20 times as large as the learning rates in use were chosen for.
LARGE, SMALL, FAR = 20.0, 1 / 20, 10.0
FEW_ROWS = 10  # rows of a class below which not even its mean is known
RARE = 0.01  # share of the rows below which an answer that ignores a class is 99 % right
LESS_THAN_EVEN = 0.2  # … but with many classes all are rare; then: a fifth of an even share
SEEN = 5  # rows of a class in the sample from which it is told that none was predicted


def unscaled_targets(e: Evidence) -> Iterator[Finding]:
    """Targets of a regression that are large, tiny, or far from zero for how much they vary."""
    if e.loss.targets != (-inf, inf) or e.network.activations[-1] != ACTIVATIONS["identity"]:
        return
    mean, spread = e.Y.mean(axis=0), e.Y.std(axis=0)
    odd = (spread > LARGE) | (spread < SMALL) | (np.abs(mean) > FAR * spread)
    odd &= spread > 0
    if not odd.any():
        return
    k = int(odd.argmax())
    where = "The target" if e.Y.shape[1] == 1 else f"Target {k}"
    yield Finding(
        "unscaled_targets",
        "note" if e.fits else "warning",
        len(e.network.layers),
        f"{where} is {mean[k]:.4g} ± {spread[k]:.3g}; a new network's outputs are about 0 ± 1, and"
        " the first updates go into the distance, with errors and gradients of its size.",
        {"mean": mean, "spread": spread},
        f"Try {e.say('scale_y')}.",
    )


def constant_target(e: Evidence) -> Iterator[Finding]:
    """A target that never changes."""
    constant = np.flatnonzero(np.ptp(e.all_Y, axis=0) == 0)
    if len(e.all_Y) > 1 and constant.size == e.all_Y.shape[1]:
        yield Finding(
            "constant_target",
            "warning",
            None,
            f"All {len(e.all_Y):,} rows have the same target: there is nothing to learn.",
            {"rows": len(e.all_Y)},
            "Check which column is the target, and how the rows were chosen.",
        )


def unreachable_targets(e: Evidence) -> Iterator[Finding]:
    """Targets outside of what the output activation can give."""
    sigma = e.network.activations[-1]
    if not is_elementwise(sigma):
        return
    z = np.array([[-100.0], [100.0]])
    ends, flat = sigma.value(z)[:, 0], np.abs(sigma.derivative(z, sigma.value(z)))[:, 0] < 1e-3
    low, high = (float(end) if bounded else s * inf
                 for end, bounded, s in zip(ends, flat, (-1, 1), strict=True))  # fmt: skip
    low, high = min(low, high), max(low, high)
    slack = 1e-6 * max(1.0, float(np.ptp(e.Y)))
    outside = float(np.logical_or(low - e.Y > slack, e.Y - high > slack).any(axis=1).mean())
    if outside:
        yield Finding(
            "unreachable_targets",
            "warning",
            len(e.network.layers),
            f"{share(outside)} of the rows have targets that the output activation {sigma.name}"
            f" cannot give: targets run from {e.Y.min():.4g} to {e.Y.max():.4g}, {sigma.name} from"
            f" {low:.4g} to {high:.4g}.",
            {"share": outside, "targets": [e.Y.min(), e.Y.max()], "outputs": [low, high]},
            f"Take {e.say('output', 'identity')}, or scale the targets into that interval.",
        )


def classes(e: Evidence, Y: Array | None = None) -> Array | None:
    """Return the class number of each row, or None where the targets are no classes.

    One column of 0 and 1 makes two classes; several make as many, where each row has one 1.
    """
    Y = e.Y if Y is None else Y
    if e.loss.targets != (0.0, 1.0) or not ((Y == 0) | (Y == 1)).all():
        return None
    if Y.shape[1] == 1:
        return np.asarray(Y[:, 0].astype(int))
    return np.asarray(Y.argmax(axis=1)) if (Y.sum(axis=1) == 1).all() else None


def class_names(e: Evidence) -> list[str]:
    """Return how a message calls the classes."""
    k = max(2, e.Y.shape[1])
    return [repr(name) for name in e.class_names] if e.class_names else [str(c) for c in range(k)]


def rare_classes(e: Evidence) -> Iterator[Finding]:
    """Classes of which there are hardly any rows."""
    labels = classes(e, e.all_Y)
    if labels is None:
        return
    counts = np.bincount(labels, minlength=len(class_names(e)))
    n, k = len(labels), len(counts)
    rare = [
        c
        for c in range(k)
        if counts[c] < max(n * min(RARE, LESS_THAN_EVEN / k), min(FEW_ROWS, n / (2 * k)))
    ]
    if not rare:
        return
    named = class_names(e)
    few = [f"{named[c]} has {counts[c]:,} of {n:,} rows ({share(counts[c] / n)})" for c in rare]
    yield Finding(
        "rare_classes",
        "warning",
        None,
        f"{'A class is' if len(rare) == 1 else 'Some classes are'} too rare to be learnt well:"
        f" class {listed(few, 3)}. A network that never answers it loses almost nothing.",
        {"counts": counts, "rare": rare},
        f"Collect more rows, merge classes, or try {e.say('balance')}; judge by balanced accuracy,"
        " not by accuracy.",
    )


def never_predicted(e: Evidence) -> Iterator[Finding]:
    """Classes that no row is given, though there are such rows."""
    labels = classes(e)
    if labels is None or (not e.trained and e.skill < -0.02):  # as it is before training
        return
    outputs = e.trace.A[-1]
    given: Any = outputs[:, 0] > 0.5 if outputs.shape[1] == 1 else outputs.argmax(axis=1)
    k = len(class_names(e))
    seen, predicted = np.bincount(labels, minlength=k), np.bincount(given.astype(int), minlength=k)
    missing = [c for c in range(k) if seen[c] >= SEEN and not predicted[c]]
    if not missing:
        return
    few = [f"{class_names(e)[c]} ({seen[c]:,} rows)" for c in missing]
    outnumbered = max(seen[missing]) < len(labels) / (2 * k)
    yield Finding(
        "never_predicted",
        "warning",
        len(e.network.layers),
        f"No row is given class {listed(few)}, out of {len(labels):,} rows looked at.",
        {"classes": missing, "rows": seen[missing], "predicted": predicted},
        f"Try {e.say('balance')}: the others outnumber what is never predicted."
        if outnumbered
        else "There are rows enough of it, so this follows from something else: see the rest.",
    )
