"""Diagram: the network as units and weights, with activations or δ on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array
from chainrule.plots import look
from chainrule.plots.sources import parameters_of
from chainrule.trace import Gradients, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FINE = 12  # units in a column up to which numbers are written on them
FITTING = 4  # letters of a number that a circle has room for; a longer one stands below


def plot_network(
    model: Any,
    ax: Axes | None = None,
    *,
    values: Trace | Gradients | Sequence[Any] | None = None,
    row: int = 0,
    max_units: int = 16,
    input_names: Sequence[str] = (),
    output_names: Sequence[str] = (),
) -> Axes:
    """Draw units as circles and weights as lines: blue above 0, vermillion below, wider if larger.

    Widths are relative to the largest weight of the layer. Circles are filled by their bias, or
    by `values`.

    Parameters
    ----------
    model : Network or fitted estimator
        Of an ensemble, the first member.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    values : Trace, Gradients or sequence of arrays (units,), optional
        What to fill the circles with: the activations of a `forward`, the δ of a `backward`
        (∂C/∂x on the inputs), or numbers of your own, one array per column.
    row : int
        Which row of the trace or of the gradients.
    max_units : int
        Of wider layers the first and the last are drawn, with dots between them.
    input_names, output_names : sequence of str
        Written beside the first and the last column.

    Raises
    ------
    ValueError
        For a model without weights, values of other shapes, or max_units under 2.

    Examples
    --------
    >>> from chainrule import Network
    >>> net = Network([2, 3, 1], seed=0)
    >>> ax = plot_network(net, values=net.forward([[0.0, 1.0]]))
    >>> ax.get_title(loc="left")
    '2 → 3 → 1: activations of row 0'
    """
    W, b = parameters_of(model)
    sizes = [W[0].shape[0], *(w.shape[1] for w in W)]
    if max_units < 2:
        raise ValueError(f"max_units={max_units} must be at least 2: the first and the last unit")
    filling, what = _filling(values, row, sizes, b)
    shown = [_shown(size, max_units) for size in sizes]
    tall = max(map(len, shown))
    ax = look.prepare(ax, (2.2 * len(sizes) + 1.2, min(1.6 + 0.42 * tall, 8)), grid=False)
    ax.set_axis_off()
    heights = [_heights(units, size, tall) for units, size in zip(shown, sizes, strict=True)]
    for l, w in enumerate(W):
        _draw_weights(ax, l, w[np.ix_(shown[l], shown[l + 1])], heights[l], heights[l + 1])
    for l, (units, y) in enumerate(zip(shown, heights, strict=True)):
        column = filling[l]
        numbers = None if column is None else column[units]
        _draw_units(ax, l, y, numbers, values is not None and tall <= FINE)
        if (n := len(units)) < sizes[l]:
            dots = (n / 2 - (n - n // 2)) * (tall - 1) / n
            ax.text(l, dots, "⋮", ha="center", va="center", fontsize=13, color=look.ink_of(ax))
    _write_names(ax, 0, heights[0], [*input_names], shown[0], "right")
    _write_names(ax, len(W), heights[-1], [*output_names], shown[-1], "left")
    for l, size in enumerate(sizes):
        word = "inputs" if l == 0 else "outputs" if l == len(W) else f"layer {l}"
        ax.text(l, -tall / 2 - 0.35, f"{word}\n{size:,}", ha="center", va="top", fontsize=9,
                color=look.ink_of(ax))  # fmt: skip
    ax.set(xlim=(-0.45, len(W) + 0.45), ylim=(-tall / 2 - 1.4, tall / 2 + 0.2))
    look.write_title(ax, f"{' → '.join(f'{size:,}' for size in sizes)}: {what}")
    return ax


def _filling(
    values: Any, row: int, sizes: list[int], b: list[Array]
) -> tuple[list[Array | None], str]:
    """Return a number for every unit, None for a column without, and what they are."""
    columns: list[Any]
    if values is None:
        return [None, *b], "weights, and biases as the units' colour"
    if isinstance(values, Trace):
        columns, what = [np.asarray(a)[row] for a in values.A], f"activations of row {row}"
    elif isinstance(values, Gradients):
        first = None if values.dX is None else values.dX[row]
        columns, what = [first, *(delta[row] for delta in values.delta)], f"δ of row {row}"
    else:
        columns, what = [None if v is None else np.asarray(v) for v in values], "given values"
    shapes = [None if c is None else c.shape for c in columns]
    fits = [s in (None, (n,)) for s, n in zip(shapes, sizes, strict=False)]
    if len(shapes) != len(sizes) or not all(fits):
        raise ValueError(f"values have shapes {shapes}; expected one array per column of {sizes}")
    return columns, what


def _shown(size: int, most: int) -> NDArray[np.int64]:
    """Return the units to draw: all, or the first and the last of a wide layer."""
    if size <= most:
        return np.arange(size)
    return np.r_[: most - most // 2, size - most // 2 : size]


def _heights(units: NDArray[np.int64], size: int, tall: int) -> Array:
    """Return where the units stand, from top to bottom, with a gap where some are left out."""
    n = len(units)
    if n == size:
        return (n - 1) / 2 - np.arange(n, dtype=float)
    places = np.r_[: n - n // 2, n - n // 2 + 1 : n + 1]  # one place for the dots
    return np.asarray((n / 2 - places) * (tall - 1) / n, np.float64)


def _draw_weights(ax: Axes, l: int, w: Array, start: Array, end: Array) -> None:
    from matplotlib.collections import LineCollection

    largest = float(np.abs(w).max(initial=0)) or 1.0
    order = np.argsort(np.abs(w), axis=None)  # the strongest on top
    i, j = np.unravel_index(order, w.shape)
    strength = np.abs(w[i, j]) / largest
    lines = [[(l, start[p]), (l + 1, end[q])] for p, q in zip(i, j, strict=True)]
    colors = [look.BLUE if v >= 0 else look.VERMILLION for v in w[i, j]]
    ax.add_collection(LineCollection(
        lines, colors=colors, linewidths=0.2 + 3.0 * strength,
        alpha=0.25 + 0.6 * strength, zorder=1, label=f"weights {l + 1}",
    ))  # fmt: skip


def _draw_units(ax: Axes, l: int, y: Array, numbers: Array | None, written: bool) -> None:
    ink = look.ink_of(ax)
    size = 330 if written else 120
    if numbers is None:
        ax.scatter(np.full(len(y), l), y, s=size, c="white", edgecolors=ink, linewidths=0.8,
                   zorder=2, label=f"units {l}")  # fmt: skip
        return
    largest = (
        float(np.abs(look.finite_or_nan(np.asarray(numbers, np.float64))).max(initial=0)) or 1.0
    )
    ax.scatter(np.full(len(y), l), y, s=size, c=numbers, cmap=look.diverging(), vmin=-largest,
               vmax=largest, edgecolors=ink, linewidths=0.8, zorder=2,
               label=f"units {l}")  # fmt: skip
    for height, number in zip(y, numbers, strict=True) if written else ():
        words, light = f"{number:.2g}", abs(number) < 0.6 * largest
        fits = len(words) <= FITTING
        ax.annotate(words, (l, height), (0, 0 if fits else -13), textcoords="offset points",
                    ha="center", va="center", fontsize=6.5, zorder=3,
                    color=ink if not fits else "#222222" if light else "white")  # fmt: skip


def _write_names(
    ax: Axes, l: int, y: Array, names: list[str], units: NDArray[np.int64], align: str
) -> None:  # fmt: skip
    shift = -14 if align == "right" else 14
    for height, unit in zip(y, units, strict=True):
        if unit < len(names):
            ax.annotate(look.shorten([look.drawable(names[unit])])[0], (l, height), (shift, 0),
                        textcoords="offset points", ha=align, va="center", fontsize=9,
                        color=look.ink_of(ax), annotation_clip=False, **look.PLAIN)  # fmt: skip
