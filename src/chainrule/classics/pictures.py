"""Pictures: those that only the classic systems need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.history import History, Record
from chainrule.network import Network
from chainrule.plots import look, plot_surface

#: Outputs of networks that answer alike (rows, outputs), and how many of them there are.
Kind = tuple[Array, int]

MOST_KINDS = 4


def draw_cost(records: Sequence[Record], published: Mapping[int, float]) -> Any:
    """Draw the loss against epochs on a log scale, and published values as rings.

    >>> ax = draw_cost([{"epoch": 1, "loss": 0.2}, {"epoch": 2, "loss": 0.1}], {2: 0.12})
    >>> ax.get_title(loc="left")
    'cost 0.1 after epoch 2 (published: 0.12 after epoch 2)'
    """
    epochs = np.array([record["epoch"] for record in records], float)
    costs = np.array([record["loss"] for record in records], float)
    ax = look.prepare(None, margins=(0.9, 1.2, 0.6, 0.45))
    rings = np.array([*published.values()])
    floor = look.set_log_scale(ax, np.concatenate([costs, rings]))
    end = look.draw_curve(ax, (epochs, costs), "here", look.BLUE, floor)
    ax.plot([*published], rings, "o", color=look.VERMILLION, markerfacecolor="none", markersize=8,
            markeredgewidth=1.6, zorder=4, label="published")  # fmt: skip
    look.set_epoch_axis(ax, [*epochs, *published])
    look.label_ends(ax, [end])
    ax.legend(frameon=False, fontsize=9, labelcolor=look.ink_of(ax), loc="lower left")
    ax.set_ylabel("cost (log scale)")
    last = max(published)
    look.write_title(
        ax,
        f"cost {costs[-1]:.4g} after epoch {epochs[-1]:,.0f}"
        f" (published: {published[last]:.4g} after epoch {last:,})",
    )
    return ax


def draw_starts(curves: Sequence[Array], arrived: Sequence[bool] | Array, below: float) -> Any:
    """Draw the loss curves (epochs, 2) of many starts: those that arrived in blue, the others in
    vermillion.

    >>> curve = np.array([[1.0, 0.2], [2.0, 0.1]])  # epoch and loss
    >>> draw_starts([curve, curve], [True, False], 0.1).get_title(loc="left")
    '1 of 2 starts arrive below 0.1'
    """
    from matplotlib.collections import LineCollection

    ax = look.prepare(None, margins=(0.9, 0.2, 0.6, 0.45))
    arrived = np.asarray(arrived, bool)
    alpha = float(np.clip(20 / max(len(curves), 1), 0.06, 0.8))
    for fine, color, strength in ((True, look.BLUE, 1.0), (False, look.VERMILLION, 3.0)):
        lines = [curve for curve, done in zip(curves, arrived, strict=True) if done == fine]
        paint: dict[str, Any] = {
            "colors": color,
            "linewidths": 0.8,
            "alpha": min(1.0, alpha * strength),
        }
        ax.add_collection(LineCollection(lines, **paint))
        name = f"{len(lines):,} {'arrive' if fine else 'do not'}"
        ax.plot([], [], color=color, label=name)
    look.set_log_scale(ax, np.concatenate(curves)[:, 1].astype(np.float64))
    look.set_epoch_axis(ax, [epoch for curve in curves for epoch in curve[[0, -1], 0]])
    ax.legend(frameon=False, fontsize=9, labelcolor=look.ink_of(ax), loc="upper right")
    ax.set_ylabel("cost (log scale)")
    look.write_title(ax, f"{arrived.sum():,} of {len(curves):,} starts arrive below {below:g}")
    return ax


def draw_kinds(kinds: Sequence[Kind], X: Array, Y: Array, outputs: Sequence[str]) -> Any:
    """Draw what is wanted, and what the commonest kinds of failed networks answer, as tables.

    >>> X, Y = np.array([[0.0], [1.0]]), np.array([[1.0], [0.0]])
    >>> draw_kinds([(np.array([[0.5], [0.5]]), 3)], X, Y, ["not"]).get_title()
    'wanted'
    """
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure as Canvas

    shown = [("wanted", Y), *((f"{count} starts", a) for a, count in kinds[:MOST_KINDS])]
    figure = Canvas(figsize=(max(2.3 * len(shown) + 0.6, 6.0), 3.3))  # as wide as what heads it
    look.fix_margins(figure, (0.7, 0.2, 0.4, 0.75))
    axes = np.ravel(np.array(figure.subplots(1, len(shown)), dtype=object))
    ramp = LinearSegmentedColormap.from_list("", ["#f4f4f4", look.ORANGE, look.VERMILLION])
    for ax, (title, answers) in zip(axes, shown, strict=True):
        look.prepare(ax, grid=False)
        ax.imshow(np.abs(answers - Y), cmap=ramp, vmin=0, vmax=1, aspect="auto")
        for (i, j), a in np.ndenumerate(answers):
            ax.text(j, i, f"{a:.2f}".rstrip("0").rstrip("."), ha="center", va="center", fontsize=10)
        rows = ["(" + ", ".join(f"{x:g}" for x in row) + ")" for row in X]
        ax.set_xticks(range(len(outputs)), outputs)
        ax.set_yticks(range(len(X)), rows if ax is axes[0] else [""] * len(X))
        ax.set_title(title, y=1, fontsize=11, color=look.ink_of(ax))
    figure.suptitle("answers to each row; the more orange, the further from what is wanted",
                    fontsize=10, color=look.ink_of(axes[0]))  # fmt: skip
    return axes[0]


def draw_learned(true: Callable[[Array], Array], name: str, learned: Mapping[str, Network]) -> Any:
    """Draw a function and what several networks made of it, two in a row, at the same heights.

    >>> from chainrule.network import Network
    >>> nets = {"a plane": Network([2, 1], ["identity"], seed=0)}
    >>> draw_learned(lambda X: X[:, 0], "x", nets).get_title(loc="left")
    'x'
    """
    from matplotlib.figure import Figure as Canvas

    line = np.linspace(-1, 1, 41)
    heights = true(np.column_stack([each.ravel() for each in np.meshgrid(line, line)]))
    limits = (float(heights.min()), float(heights.max()))
    rows = (2 + len(learned)) // 2
    figure = Canvas(figsize=(8.4, 3.9 * rows), layout="constrained")
    kw = {"projection": "3d"}
    axes = np.ravel(np.array(figure.subplots(rows, 2, subplot_kw=kw), dtype=object))
    for ax in axes[1 + len(learned) :]:
        ax.remove()
    shown: dict[str, Any] = {name: true, **learned}
    for ax, (title, function) in zip(axes, shown.items(), strict=False):
        plot_surface(function, ax, title=title, limits=limits, resolution=25)
    return axes[0]


def draw_curves(histories: Mapping[str, History], title: str) -> Any:
    """Draw the loss of several trainings against epochs, each name at the end of its curve.

    >>> curve = History([{"epoch": 1, "loss": 0.2}, {"epoch": 2, "loss": 0.1}])
    >>> draw_curves({"Adam": curve}, "a line").get_title(loc="left")
    'a line'
    """
    ax = look.prepare(None)
    curves = [
        np.array([history["epoch"], history["loss"]], float) for history in histories.values()
    ]
    floor = look.set_log_scale(ax, np.concatenate([curve[1] for curve in curves]))
    ends = [
        look.draw_curve(ax, (epochs, losses), name, color, floor)
        for (epochs, losses), name, color in zip(curves, histories, look.PALETTE, strict=False)
    ]
    look.set_epoch_axis(ax, [epoch for curve in curves for epoch in curve[0]])
    look.label_ends(ax, ends)
    ax.set_ylabel("loss (log scale)")
    look.write_title(ax, title)
    return ax


def draw_ladder(scores: Mapping[str, Sequence[float]], rungs: Sequence[str]) -> Any:
    """Draw scores by the hidden layers that reached them, a line for each dataset.

    >>> draw_ladder({"digits": [0.95, 0.97]}, ["none", "32"]).get_xlabel()
    'hidden layers'
    """
    ax = look.prepare(None)
    at = np.arange(len(rungs), dtype=float)
    ends = [
        look.draw_curve(ax, (at, np.array(values, float)), name, color)
        for (name, values), color in zip(scores.items(), look.PALETTE, strict=False)
    ]
    ax.set_xticks(at, rungs)
    ax.set_ylim(0, 1.05)
    ax.set_xlabel("hidden layers")
    ax.set_ylabel("score on rows held out")
    look.label_ends(ax, ends)
    look.write_title(ax, "the same class with another list of widths")
    return ax
