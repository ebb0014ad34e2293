"""Histograms: how weights and activations spread out over the epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.arrays import Array
from chainrule.plots import look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 80


def plot_histograms(
    recorded: Any, ax: Axes | None = None, *, what: str = "weights", layer: int = 1
) -> Axes:
    """Draw the distribution of a layer's weights or activations, one column for each epoch.

    Colours tell the share of the numbers that fall into a cell; a line follows the median.

    Parameters
    ----------
    recorded : HistogramRecorder, or its `records`
        As after a training that had it among its callbacks.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    what : str
        "weights" or "activations".
    layer : int
        Counted from 1, the first after the input.

    Raises
    ------
    ValueError
        When nothing of it was recorded.

    Examples
    --------
    >>> from chainrule import HistogramRecorder, Network, train
    >>> recorder = HistogramRecorder()
    >>> history = train(Network([1, 4, 1]), [[1.0]], [[2.0]], epochs=3, callbacks=[recorder])
    >>> plot_histograms(recorder).get_title(loc="left")
    'weights of layer 1, epochs 0 to 3'
    """
    records: Sequence[Any] = getattr(recorded, "records", recorded)
    measured = [r for r in records if 1 <= layer <= len(r.get(what) or [])]
    if not measured:
        raise ValueError(
            f"no {what} of layer {layer} were recorded; expected a HistogramRecorder that was"
            " among a training's callbacks, with X for the activations"
        )
    epochs = np.array([r["epoch"] for r in measured], float)
    pairs = [r[what][layer - 1] for r in measured]  # (counts, edges) per epoch
    low, high = min(e[0] for _, e in pairs), max(e[-1] for _, e in pairs)
    grid = np.linspace(low, high, BINS + 1)
    cumulated = [_cumulated(counts, edges) for counts, edges in pairs]
    share = np.column_stack([np.diff(np.interp(grid, edges, c)) for edges, c in cumulated])
    medians = [float(np.interp(0.5, c, edges)) for edges, c in cumulated]

    ax = look.prepare(ax, grid=False)
    half = np.diff(epochs) / 2 if len(epochs) > 1 else np.array([0.5])
    sides = np.r_[epochs[0] - half[0], epochs[:-1] + np.diff(epochs) / 2, epochs[-1] + half[-1]]
    mesh = ax.pcolormesh(sides, grid, np.ma.masked_equal(share, 0), cmap=look.rising(), vmin=0)
    look.add_color_bar(ax, mesh, "share of the numbers")
    ax.plot(epochs, medians, color=look.VERMILLION, linewidth=1.4, label="median")
    look.set_epoch_axis(ax, epochs.tolist())
    ax.set_xlim(sides[0], sides[-1])
    ax.set_ylabel("weight" if what == "weights" else "activation")
    ax.legend(frameon=False, fontsize=9, labelcolor=look.ink_of(ax), loc="upper right")
    look.write_title(ax, f"{what} of layer {layer}, epochs {epochs[0]:.0f} to {epochs[-1]:.0f}")
    return ax


def _cumulated(counts: Array, edges: Array) -> tuple[Array, Array]:
    """Return the edges, and the share of the numbers below each."""
    total = float(np.sum(counts)) or 1.0
    return edges, np.r_[0, np.cumsum(counts)] / total
