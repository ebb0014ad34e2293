"""Course: how the loss went from epoch to epoch, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chainrule.diagnosis.evidence import (
    FEWEST_EPOCHS,
    LAST,
    Evidence,
    constant_cost,
    falls,
    late_fall,
)
from chainrule.diagnosis.findings import Finding
from chainrule.diagnosis.words import share, times
from chainrule.optimizers import LBFGS

# Losses are measured in the baseline's: what the best constant answer leaves.
JUMP, OFTEN = 0.02, 0.3  # from epoch to epoch, half of the time; share of the epochs that rise
ROSE, ROSE_TIMES = 0.05, 1.2  # from its lowest, and how many times that
OVERSHOT, HALF = 3.0, 0.5  # a first epoch so much worse than a constant answer; skill at the end
#: One step along the gradient that takes away 5 %, and more than the last ten epochs did, while an
#: update is under a thousandth of the weights: healthy runs stay below a third of that.
BETTER_STEP, SMALL_UPDATE = 0.05, 1e-3
NOTHING, ENOUGH_EPOCHS = 0.05, 10
GAP, GAP_TIMES = 0.2, 1.5  # between rows never seen and rows learnt from


def rate_too_high(e: Evidence) -> Iterator[Finding]:
    """A loss that diverged, rose, or jumps up and down."""
    if isinstance(e.optimizer, LBFGS):
        return
    seen, losses = "", e.losses
    numbers: dict[str, object] = {"rate": e.rate, "losses": losses[-LAST:]}
    if "diverged" in e.history.stop_reason:
        seen = e.history.stop_reason.partition(". Try ")[0]
    elif len(losses) >= FEWEST_EPOCHS:
        low, changes = float(losses.min()), np.diff(losses)
        last = float(np.median(losses[-LAST:]) if e.dropout else losses[-1])
        late = changes[len(changes) // 2 :]
        thrown = losses[0] > OVERSHOT * e.baseline and not e.dropout
        jump, ups = float(np.median(np.abs(late))), float((late > 0).mean())
        if last > ROSE_TIMES * low and last - low > ROSE * e.unit:
            at = int(losses.argmin()) + 1
            seen = f"the loss rose from {low:.4g} in epoch {at} to {last:.4g} in the last"
        elif jump > JUMP * e.unit and ups > OFTEN and not e.dropout:
            seen = (
                f"from one epoch to the next the loss jumps by {jump:.2g}, {share(jump / e.unit)}"
                f" of what a constant answer has, and in {share(ups)} of the epochs upwards"
            )
        elif thrown and e.skill < HALF and not falls(losses):
            seen = (
                f"the first epoch's loss was {losses[0]:.4g}, {times(losses[0] / e.unit)} times"
                " that of a constant answer, and it has not recovered"
            )
    if seen:
        try_rate = f"{e.say('rate', e.rate / 10)}, or " if e.rate else "a tenth of it, or "
        yield Finding(
            "rate_too_high",
            "note" if e.fits else "warning",
            None,
            f"The learning rate{f' {e.rate:.2g}' if e.rate else ''} is too high: {seen}.",
            numbers,
            f"Try {try_rate}{e.say('schedule', 'cosine')} (it warms up and slows down), larger"
            f" batches, {e.say('clip', 1)}; and scaled inputs and targets.",
        )


def rate_too_low(e: Evidence) -> Iterator[Finding]:
    """A loss that creeps down, where one longer step would do more than ten epochs."""
    if e.rate is None or isinstance(e.optimizer, LBFGS) or e.trained < FEWEST_EPOCHS or e.fits:
        return
    fell, ratio = late_fall(e.losses), np.nanmax([*(e.update_ratios or ()), 0.0])
    crept = falls(e.losses) and e.trial_gain > max(BETTER_STEP * e.unit, fell)
    if not crept or ratio > SMALL_UPDATE:
        return
    rates = [rate for rate in e.history["rate"] if rate]
    decayed = bool(rates) and rates[-1] < 0.1 * rates[0]
    yield Finding(
        "rate_too_low",
        "warning",
        None,
        f"The learning rate {e.rate:.2g} is too low: the loss creeps down, by {fell:.2g} in the"
        f" last {min(LAST, e.trained - 1)} epochs, to {e.losses[-1]:.4g}; one longer step along the"
        f" gradient would lower it by {e.trial_gain:.2g}."
        + (f" The schedule had lowered it from {rates[0]:.2g} to {rates[-1]:.2g}." * decayed),
        {"rate": e.rate, "fell": fell, "one_step": e.trial_gain, "update_over_weights": ratio},
        f"Try {e.say('rate', e.longer_rate)}"
        + (f" or {e.say('schedule', 'constant')}." if decayed else ", or more epochs."),
    )


def learned_nothing(e: Evidence) -> Iterator[Finding]:
    """A trained network that is hardly better than a constant answer."""
    if e.trained >= ENOUGH_EPOCHS and e.skill < NOTHING:
        worse = "worse than" if e.skill < -1e-3 else "hardly better than"
        yield Finding(
            "learned_nothing",
            "warning",
            None,
            f"After {e.trained:,} epochs the network is {worse} the best constant answer: loss"
            f" {e.cost:.4g} against {e.baseline:.4g} on these rows.",
            {"loss": e.cost, "baseline": e.baseline, "skill": e.skill, "epochs": e.trained},
            f"Mend first what else is found here. If nothing else is: try {e.say('units')}, check"
            " that rows of X and targets belong together, and that X has to do with them at all.",
        )


def overfitting(e: Evidence) -> Iterator[Finding]:
    """Rows never seen that fare ever worse, or far worse, than those learnt from."""
    rise, gap = e.validation_rise, _gap(e)
    if rise is None and gap is None:
        return
    parts: list[str] = []
    numbers: dict[str, object] = {}
    kept = e.history.best_epoch is not None
    if rise is not None:
        best, low, last = rise
        numbers |= {"best_epoch": best, "best_validation_loss": low, "last_validation_loss": last}
        parts.append(
            f"the validation loss rose from {low:.4g} in epoch {best} to {last:.4g} in epoch"
            f" {e.history['epoch'][-1]}, while the training loss fell to {e.losses[-1]:.4g}"
            + (f" (the weights of epoch {e.history.best_epoch} were kept)" if kept else "")
        )
    if gap is not None:
        numbers |= {"loss": gap[0], "held_out_loss": gap[1]}
        parts.append(
            f"on rows never seen the loss is {gap[1]:.4g}, on those learnt from {gap[0]:.4g}"
            + (", and a constant answer does better" if gap[1] > e.baseline else "")
        )
    early = "" if kept else f"{e.say('patience', 10)}; "
    yield Finding(
        "overfitting",
        "note" if kept and gap is None else "warning",
        None,
        f"The network overfits: {'; '.join(parts)}.",
        numbers,
        f"Try {early}{e.say('dropout', 0.2)}, {e.say('l2', 1e-3)}, fewer units,"
        f" {e.say('averaging')}; or more rows.",
    )


def _gap(e: Evidence) -> tuple[float, float] | None:
    """Return the loss on rows learnt from and on rows never seen, where they lie far apart."""
    if e.held_out is not None:
        X, Y = e.held_out
        pair = e.cost, e.network.cost(X, Y, e.loss)
        unit = max(e.unit, constant_cost(e.loss, Y, np.ones(len(Y))))
    elif len(e.validation_losses):
        at = int(e.validation_losses.argmin()) if e.history.best_epoch is not None else -1
        pair, unit = (float(e.losses[at]), float(e.validation_losses[at])), e.unit
    else:
        return None
    return pair if pair[1] - pair[0] > GAP * unit and pair[1] > GAP_TIMES * pair[0] else None
