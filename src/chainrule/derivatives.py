"""Derivatives: are the user's own the slopes of their own functions?

Before a first training, each activation and loss that is not chainrule's is evaluated at fixed
points, and its derivative compared with fourth-order central differences. As in `gradcheck`, a
derivative is held wrong when differences by ever smaller steps are nearer to each other than to it.
Points next to a kink, where the differences of both sides disagree, and those where the value is
not finite, tell nothing and are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from chainrule.activations import Activation, OwnActivation
from chainrule.arrays import Array
from chainrule.losses import Loss, OwnLoss

STEPS = (1e-3, 1e-4, 1e-5)
TOLERANCE = 1e-5  # relative
POINTS, UNITS = 70, 3  # rows and columns of what is evaluated


def check_own(activations: Iterable[Activation], loss: Loss) -> None:
    """Check the derivatives of those formulas that are not chainrule's own, each once.

    Raises ValueError at a wrong one, saying where, what it gave and what the differences give.

    >>> from chainrule.activations import get_activation
    >>> from chainrule.losses import get_loss
    >>> import numpy as np
    >>> check_own([get_activation((np.sin, np.cos))], get_loss("huber"))
    """
    for check, member in [(check_activation, each) for each in activations] + [(check_loss, loss)]:
        own = isinstance(member, OwnActivation | OwnLoss)
        if own or not type(member).__module__.startswith("chainrule."):
            _once(check, member)


def _once(check: Callable[[Any], None], member: Any) -> None:
    try:
        hash(member)
    except TypeError:  # it cannot be remembered
        check(member)
        return
    _remembered(check, member)


@lru_cache(256)
def _remembered(check: Callable[[Any], None], member: Any) -> None:
    check(member)


def check_activation(activation: Activation) -> None:
    """Raise ValueError where σ′ is not the slope of σ at a z from −4 to 4, or σ is not finite."""
    rng = np.random.default_rng(0)
    z = rng.permutation(np.linspace(-4, 4, POINTS * UNITS)).reshape(POINTS, UNITS)
    alone = type(activation).pullback is Activation.pullback
    g = np.ones_like(z) if alone else rng.uniform(0.5, 2, z.shape)
    with np.errstate(all="ignore"):
        a = activation.value(z)
        if not np.isfinite(a).all():
            where = z[~np.isfinite(a)][0]
            raise ValueError(
                f"activation {activation.name!r} is not finite at z={where:.4g}; expected a number"
                " for every z: clip z, or what it becomes"
            )
        _compare(
            f"the {'derivative' if alone else 'pullback'} of activation {activation.name!r}",
            "z",
            lambda moved: (g * activation.value(moved)).sum(axis=1),
            activation.pullback(g, z, a),
            z,
        )


def check_loss(loss: Loss) -> None:
    """Raise ValueError where the gradient is not the slope of the loss, for a in its domain.

    With a canonical output activation, value and δ from the logits are compared too.
    """
    rng = np.random.default_rng(0)
    name = getattr(getattr(loss, "function", None), "__name__", type(loss).__name__)
    y = _numbers(rng, loss.targets, loss.rows_sum_to_one)
    y[::2] = (
        np.eye(UNITS)[np.arange(len(y[::2])) % UNITS] if loss.rows_sum_to_one else y[::2].round()
    )
    a = _numbers(rng, loss.domain, loss.rows_sum_to_one)
    with np.errstate(all="ignore"):
        _compare(
            f"the gradient of loss {name!r}",
            "a",
            lambda moved: loss.value(moved, y).sum(axis=1),
            loss.gradient(a, y),
            a,
            y,
        )
        if loss.canonical is None:
            return
        z = rng.uniform(-4, 4, a.shape)
        a = loss.output.value(z)
        _compare(
            f"delta_from_logits of loss {name!r}, or a − y where it has none",
            "z",
            lambda moved: loss.value(loss.output.value(moved), y).sum(axis=1),
            loss.delta_from_logits(z, a, y),
            z,
            y,
        )
        ours, theirs = (v.sum(axis=1) for v in (loss.value_from_logits(z, y), loss.value(a, y)))
        if not np.allclose(ours, theirs, rtol=1e-6, atol=1e-9):
            raise ValueError(
                f"value_from_logits of loss {name!r} differs from its value: {ours[0]:.6g} and"
                f" {theirs[0]:.6g}; make them the same, or set canonical = None"
            )


def _numbers(rng: np.random.Generator, interval: tuple[float, float], shares: bool) -> Array:
    """Return points within an interval, or rows of shares that sum to 1."""
    if shares:
        return rng.dirichlet(np.ones(UNITS), POINTS)
    low, high = (
        max(interval[0], min(-3.0, interval[1] - 6)),
        min(interval[1], max(3.0, interval[0] + 6)),
    )
    return low + (high - low) * rng.uniform(0.01, 0.99, (POINTS, UNITS))


def _compare(
    what: str,
    letter: str,
    total: Callable[[Array], Array],
    derived: Array,
    at: Array,
    y: Array | None = None,
) -> None:
    """Raise ValueError where `derived` (n, units) is not the slope of `total` (n,)."""
    slopes = np.stack([_differences(total, at, step) for step in STEPS])
    left, right = (_one_sided(total, at, side * STEPS[-1]) for side in (-1, 1))
    largest = np.nanmax(abs(np.where(np.isfinite(slopes), slopes, np.nan)), initial=0.0)
    scale = np.maximum(abs(slopes), 1e-3 * largest)
    scale = np.maximum(scale, np.where(np.isfinite(derived), abs(derived), 0.0)) + 1e-300
    error = abs(derived - slopes)
    agrees = (error <= TOLERANCE * scale).any(axis=0)
    steady = (abs(slopes[1:] - slopes[:-1]) < 0.5 * error[:-1]).any(axis=0)
    bent = abs(left - right) > 1e-3 * scale[-1]
    wrong = ~agrees & ~bent & np.isfinite(slopes).all(axis=0) & (steady | ~np.isfinite(derived))
    if wrong.any():
        place = np.unravel_index(np.argmax(np.where(wrong, error[0] / scale[0], -1)), at.shape)
        against = "" if y is None else f" and y={y[place]:.4g}"
        raise ValueError(
            f"{what} is wrong at {letter}={at[place]:.4g}{against}: it gives {derived[place]:.6g},"
            f" finite differences {slopes[0][place]:.6g}; correct it, or the value that it is of"
        )
    if not agrees.any():
        own = "OwnLoss(value, gradient, domain, targets)"
        remedy = "a function without jumps" if y is None else own
        raise ValueError(
            f"{what} could be compared nowhere, as values jump or are not finite; expected {remedy}"
        )


def _differences(total: Callable[[Array], Array], at: Array, h: float) -> Array:
    """Return the slope of `total` at each place, one column moved at a time."""
    slopes = np.empty_like(at)
    for k, e in enumerate(np.eye(at.shape[1])):
        one, other = (total(at + n * h * e) - total(at - n * h * e) for n in (1, 2))
        slopes[:, k] = (8 * one - other) / (12 * h)
    return slopes


def _one_sided(total: Callable[[Array], Array], at: Array, h: float) -> Array:
    return np.stack([(total(at + h * e) - total(at)) / h for e in np.eye(at.shape[1])], axis=1)
