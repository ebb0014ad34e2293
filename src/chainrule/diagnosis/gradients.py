"""Gradients: errors that die out or blow up on their way back, and steps of the wrong size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chainrule.diagnosis.evidence import HARDLY, Evidence, falls, is_squashing, steepest
from chainrule.diagnosis.findings import Finding
from chainrule.diagnosis.words import listed, times
from chainrule.network import norm

#: ‖δ‖ of the first hidden layer over the output layer's. First weights of He and Glorot keep it
#: near 1, and healthy trained networks lie between 0.5 and 5; a layer of sigmoids at rest takes a
#: quarter. A tenth only counts against a network that has not learnt half of what it could.
VANISHED, WEAK, HALF = 0.01, 0.1, 0.5
EXPLODED = 100.0
#: Rule of thumb for updates over weights: about 1e-3 (Karpathy, CS231n notes; Bengio 2012 says
#: within an order of magnitude of it).
SLOWEST, FASTEST = 1e-4, 1e-2
#: A step along the gradient that takes away 2 % of the baseline's loss: it is no minimum yet.
WORTH_A_STEP = 0.02
#: Clipping shortens nearly every update when the norm of half of the epochs is 3 times the limit.
CLIPPED = 3.0


def vanishing_gradients(e: Evidence) -> Iterator[Finding]:
    """Errors of the first layers that are a small part of the output layer's."""
    ratio = _first_over_last(e)
    if ratio is None or ratio >= WEAK:
        return
    harmed = not e.fits and (ratio < VANISHED or e.skill < HALF)
    if not harmed and ratio >= VANISHED:
        return
    depth = len(e.network.layers)
    per_layer = ratio ** (1 / (depth - 1))
    by_slope, by_weights = _causes(e)
    small, passes = "nothing", "On all rows σ′, or the weights between, are 0."
    if ratio > 0:
        small = f"1/{times(1 / ratio)}"
        passes = (
            f"Each layer passes on {per_layer:.2g} of it: {by_slope:.2g} by σ′, times"
            f" {by_weights:.2g} by the weights."
        )
    yield Finding(
        "vanishing_gradients",
        "warning" if harmed else "note",
        1,
        f"The gradient vanishes on its way back: layer 1 gets {small} of the output layer's"
        f" error ‖δ‖. {passes} The first layers hardly learn.",
        _numbers(e) | {"factor_of_slopes": by_slope, "factor_of_weights": by_weights},
        _vanishing_remedy(e, by_slope < by_weights),
    )


def _vanishing_remedy(e: Evidence, slopes_are_to_blame: bool) -> str:
    flat = [a for a in e.network.activations[:-1] if is_squashing(a) and steepest(a) <= 0.5]
    fewer = f"or {e.say('depth')}"
    if flat and slopes_are_to_blame:
        return (
            f"σ′ of {flat[0].name} is at most {steepest(flat[0]):g}: try"
            f" {e.say('activation', 'relu')}, or {e.say('activation', 'tanh')}, with"
            f" {e.say('initializer')}; {fewer}."
        )
    if slopes_are_to_blame:
        return (
            f"The units are flat where they stand: try {e.say('scale_X')}, a lower rate, {fewer}."
        )
    return f"The weights are too small: try {e.say('initializer')}; {fewer}."


def exploding_gradients(e: Evidence) -> Iterator[Finding]:
    """Errors of the first layers that are many times the output layer's."""
    ratio = _first_over_last(e)
    if ratio is None or ratio <= EXPLODED:
        return
    by_slope, by_weights = _causes(e)
    yield Finding(
        "exploding_gradients",
        "note" if e.fits else "warning",
        1,
        f"The gradient explodes on its way back: layer 1 gets {times(ratio)} times the output"
        f" layer's error ‖δ‖. Each layer multiplies it by {by_slope:.2g} by σ′, times"
        f" {by_weights:.2g} by the weights.",
        _numbers(e) | {"factor_of_slopes": by_slope, "factor_of_weights": by_weights},
        f"The weights are too large: try {e.say('initializer')}, {e.say('clip', 1)}, a lower"
        f" learning rate, or {e.say('l2', 1e-3)}.",
    )


def _first_over_last(e: Evidence) -> float | None:
    """Return ‖δ‖ of the first layer over the last's; None without hidden layer or without error."""
    first, last = e.error_norms[0], e.error_norms[-1]
    return first / last if len(e.error_norms) > 1 and last > 0 else None


def _numbers(e: Evidence) -> dict[str, object]:
    last = e.error_norms[-1]
    return {"error_over_last": {l + 1: each / last for l, each in enumerate(e.error_norms)}}


def _causes(e: Evidence) -> tuple[float, float]:
    """Return the factors per layer by which σ′, and W, change ‖δ‖: geometric means over BP2."""
    slopes, weights = [], []
    for l in range(len(e.network.layers) - 1, 0, -1):
        before, after = e.error_norms[l], e.error_norms[l - 1]
        between = norm(e.gradients.delta[l] @ e.network.W[l].T)
        weights.append(between / before if before else 1.0)
        slopes.append(after / between if between else 1.0)
    means = [float(np.exp(np.log(np.maximum(each, 1e-300)).mean())) for each in (slopes, weights)]
    return means[0], means[1]


def update_size(e: Evidence) -> Iterator[Finding]:
    """Updates that are too large or too small a part of the weights they change."""
    ratios = {l: r for l, r in enumerate(e.update_ratios or ()) if np.isfinite(r)}
    low = {l: r for l, r in ratios.items() if 0 < r < SLOWEST}  # 0: no gradient, told elsewhere
    high = {l: r for l, r in ratios.items() if r > FASTEST}
    moving = e.trial_gain > WORTH_A_STEP * e.unit
    numbers = {"update_over_weights": {l + 1: r for l, r in ratios.items()}, "rate": e.rate}
    harm = bool(high) and e.trained > 0 and moving and not e.fits and not falls(e.losses)
    slow = bool(low) and not e.fits and (moving or e.skill < HARDLY)
    if high and e.rate and (harm or not slow):
        yield Finding(
            "update_size",
            "warning" if harm else "note",
            max(high, key=lambda l: high[l]) + 1,
            f"{_sizes(high, 'more', FASTEST)}, at the rate {e.rate:.2g}. Usual is about 0.001;"
            f" {'such steps jump past where the gradient points' if harm else 'no harm is seen'}.",
            numbers,
            f"Try {e.say('rate', e.rate / 10)}." if harm else "",
        )
    elif slow and e.rate:
        yield Finding(
            "update_size",
            "warning",
            min(low, key=lambda l: low[l]) + 1,
            f"{_sizes(low, 'less', SLOWEST)}, at the rate {e.rate:.2g}. Usual is about 0.001; so it"
            " takes thousands of updates to move them.",
            numbers,
            f"Mend the vanishing gradient; or try {e.say('optimizer', 'adam')}, which scales each"
            " weight's step."
            if (_first_over_last(e) or 1.0) < WEAK
            else f"Try {e.say('rate', e.longer_rate)}.",
        )


def _sizes(odd: dict[int, float], word: str, limit: float) -> str:
    told = listed([f"{ratio:.1e} in layer {l + 1}" for l, ratio in odd.items()])
    return f"An update changes weights by {word} than {limit:g} of their size: {told}"


def clipped(e: Evidence) -> Iterator[Finding]:
    """Clipping that acts on nearly every update, and so sets the step."""
    norms = np.array(e.history["gradient_norm"] if e.trained else [], dtype=float)
    if e.clip_norm is None or not norms.size or np.median(norms) < CLIPPED * e.clip_norm:
        return
    typical = float(np.median(norms))
    yield Finding(
        "clipped",
        "warning" if e.skill < HARDLY else "note",
        None,
        f"clip_norm={e.clip_norm:g} shortens nearly every update: the gradient's norm is"
        f" {typical:.3g} in a typical epoch, {times(typical / e.clip_norm)} times the limit. The"
        " limit then sets the step, not the gradient.",
        {"gradient_norm": typical, "clip_norm": e.clip_norm},
        f"Try {e.say('less_clip', 2 * typical)}: a limit is for rare outliers.",
    )
