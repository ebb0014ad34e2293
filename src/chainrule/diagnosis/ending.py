"""Ending: why a training stopped, in plain words, and what to try."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from chainrule.diagnosis.evidence import FEWEST_EPOCHS, LAST, Evidence, falls, late_fall
from chainrule.diagnosis.findings import Finding
from chainrule.optimizers import LBFGS


class Ending(NamedTuple):
    """A reason as the loop writes it, what it means, and what to try; braces: keys of `words`."""

    pattern: str
    meaning: str = ""
    advice: str = ""
    early: bool = False  # whether the loss may still have been falling


#: Reasons of loop, callbacks and L-BFGS; the first that matches is told.
ENDINGS = (
    Ending(r"reached \d+ epochs", "It had done all the epochs it was given.", early=True),
    Ending(r"fell below", "That is what was asked for."),
    Ending(
        r"did not improve",
        "So going on would have cost time, or overfitted.",
        "If it was only slow, wait longer, {patience}, or let the rate fall, {schedule}.",
    ),
    Ending(
        r"diverged",
        "The best weights before that were kept.",
        "Try {rate}, scaled inputs and targets, or {clip}.",
    ),
    Ending(r"interrupted", "The best weights until then were kept.", early=True),
    Ending(
        r"lowest value on a plateau",
        "Neither the loss nor a lower learning rate got anywhere any more.",
    ),
    Ending(r"\btime(_limit)?\b", "The time it was given was used up.", early=True),
    Ending(
        r"L-BFGS: convergence: norm|L-BFGS: .*pgtol",
        "There the gradient is as good as zero: a minimum.",
    ),
    Ending(r"L-BFGS: convergence", "The cost cannot be lowered by what its precision can tell."),
    Ending(
        r"L-BFGS: .*(limit|exceed)",
        "It had done all the iterations, or evaluations, it was given.",
        early=True,
    ),
    Ending(
        r"L-BFGS: abnormal",
        "Its line search found no lower cost: the numbers are too coarse, or the cost has a kink.",
        "Try float64 inputs, scaled columns, or {optimizer}.",
    ),
    Ending(r"a callback", early=True),
    Ending(r"failed", "The best weights before that were kept."),
)
#: Parts of the baseline's loss, by which it fell in the last ten epochs: it goes on; much is left.
STILL_FALLS, FALLS_FAST = 0.005, 0.05


def stopped(e: Evidence) -> Iterator[Finding]:
    """Tell why the training stopped, and whether it was too early."""
    reason = e.history.stop_reason
    if not reason:
        return
    found = (each for each in ENDINGS if re.search(each.pattern, reason, re.IGNORECASE))
    ending = next(found, Ending("", early=True))
    values = {
        "clip": 1,
        "optimizer": "adam",
        "patience": 50,
        "rate": (e.rate or 1e-3) / 10,
        "schedule": "reduce_on_plateau",
    }
    advice = re.sub(r"\{(\w+)\}", lambda key: e.say(key[1], values[key[1]]), ending.advice)
    told, fell, severity = "", 0.0, "note"
    if ending.early and e.trained > FEWEST_EPOCHS:
        fell = late_fall(e.losses)
        told = f"The loss hardly {'fell' if falls(e.losses) else 'changed'} any more."
        if falls(e.losses) and fell > STILL_FALLS * e.unit and e.validation_rise is None:
            told = (
                f"The loss was still falling: by {fell:.2g} in the last {min(LAST, e.trained - 1)}"
                f" of {e.trained:,} epochs, to {e.losses[-1]:.4g}."
            )
            rate = "" if isinstance(e.optimizer, LBFGS) else ", or a higher learning rate"
            advice = f"Try {e.say('epochs', 2 * e.trained)}{rate}."
            severity = "warning" if fell > FALLS_FAST * e.unit and not e.fits else "note"
    if still := _metric_stood_still(e, reason):
        fell = late_fall(e.validation_losses)
        ending, told = Ending(ending.pattern), still
        advice = f"Try {e.say('monitor')}, which sees progress that a metric does not."
        severity = "warning" if fell > FALLS_FAST * e.unit else "note"
    if ending.pattern in ("diverged", "failed"):
        severity = "warning"
    said = reason.partition(". Try ")[0].rstrip(".")
    yield Finding(
        "stopped",
        "warning" if severity == "warning" else "note",
        None,
        " ".join(filter(None, [f"Training stopped: {said}.", ending.meaning, told])),
        {
            "reason": reason,
            "epochs": e.trained,
            "best_epoch": e.history.best_epoch,
            "fell": fell,
        },
        advice,
    )


def _metric_stood_still(e: Evidence, reason: str) -> str:
    """Tell that the validation loss still fell while the metric that stops it did not move."""
    v = e.validation_losses
    by_loss = reason.startswith(("loss", "validation_loss"))
    if "did not improve" not in reason or by_loss or not falls(v):
        return ""
    fell, n = late_fall(v), min(LAST, len(v) - 1)
    if fell <= STILL_FALLS * e.unit:
        return ""
    return (
        f"That was too early: the validation loss was still falling, by {fell:.2g} in the last {n}"
        f" epochs, to {v[-1]:.4g}."
    )
