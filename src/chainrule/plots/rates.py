"""Rates: the picture of a learning-rate range test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from chainrule.plots import look

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_learning_rate_test(
    rates: ArrayLike,
    losses: ArrayLike,
    smoothed: ArrayLike,
    suggested: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the loss of each update against its learning rate, with the suggested one marked.

    The loss of each batch is pale, the smoothed one strong, with a ring where it is lowest. The
    picture ends a little above where the loss began: beyond, it only rises.

    Parameters
    ----------
    rates, losses, smoothed : array-like (updates,)
        As in a `LearningRateTest`.
    suggested : float, optional
        The rate to mark.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Raises
    ------
    ValueError
        When the lengths differ or are 0, or a rate is not a number > 0.

    Examples
    --------
    >>> ax = plot_learning_rate_test([0.01, 0.1, 1], [3.0, 1.0, 5.0], [3.0, 2.0, 3.0], 0.01)
    >>> ax.get_title(loc="left")
    'suggested learning rate: 0.01'
    """
    x, raw, mean = (np.asarray(values, np.float64) for values in (rates, losses, smoothed))
    if not x.shape == raw.shape == mean.shape == (x.size,) or not x.size:
        raise ValueError(
            f"rates, losses and smoothed have shapes {x.shape}, {raw.shape} and {mean.shape};"
            " expected the same, (updates,), and at least one"
        )
    if not ((x > 0) & np.isfinite(x)).all():
        raise ValueError("a rate is not a finite number > 0, so it has no place on a log scale")
    raw, mean = look.finite_or_nan(raw), look.finite_or_nan(mean)

    ax = look.prepare(ax)
    ax.set_xscale("log")
    ax.plot(x, raw, color=look.BLUE, alpha=0.3, linewidth=0.9, label="of each batch")
    ax.plot(x, mean, color=look.BLUE, linewidth=1.8, label="smoothed", solid_capstyle="round")
    if suggested is not None and np.isfinite(mean).any():
        _cut_off(ax, x, raw, mean)
    elif (known := raw[np.isfinite(raw)]).size and (known > 0).all():
        look.set_log_scale(ax, known)
    if suggested is None:
        title = f"no learning rate from {x[0]:.2g} to {x[-1]:.2g} lowered the loss"
    else:
        title = f"suggested learning rate: {suggested:.2g}"
        ax.axvline(suggested, color=look.VERMILLION, linewidth=1.4, linestyle="--", zorder=1)
        ax.annotate(f"{suggested:.2g}", (suggested, 1), (0, 4), ax.get_xaxis_transform(),
                    "offset points", ha="center", fontsize=9, color=look.VERMILLION)  # fmt: skip
    ax.set_xlabel("learning rate (log scale)")
    ax.set_ylabel("loss")
    ax.legend(frameon=False, fontsize=9, labelcolor=look.ink_of(ax), loc="best")
    look.write_title(ax, title, pad=20 if suggested is not None else 8)
    return ax


def _cut_off(ax: Axes, x: look.Floats, raw: look.Floats, mean: look.Floats) -> None:
    """Put a ring where the smoothed loss is lowest, and end the picture above where it began."""
    lowest = int(np.nanargmin(mean))
    before = mean[: lowest + 1]
    top, bottom = float(np.nanmax(before)), min(float(before[-1]), float(np.nanmin(raw)))
    room = (top - bottom) or abs(top) or 1.0
    ax.set_ylim(bottom - 0.08 * room, top + 0.25 * room)
    ax.plot(x[lowest], mean[lowest], marker="o", markersize=7, markerfacecolor="none",
            markeredgecolor=look.ink_of(ax), linestyle="", label="lowest")  # fmt: skip
