"""Look: the paper, ink, scales and curves that every picture shares.

The look is given to each Axes; matplotlib's settings and backend stay the user's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
Margins = tuple[float, float, float, float]  # left, right, bottom, top, in inches

# Okabe and Ito (2008): told apart with any kind of colour vision. Their yellow is too pale for
# thin marks on white, and their black is the ink.
BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY = PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9",
)  # fmt: skip

HEXBIN_FROM = 3000  # points of one output beyond which density is drawn
HUGE = 1e200  # beyond it, or below 1 / HUGE, matplotlib's ticks overflow
LABEL_LENGTH = 16  # characters of a class label
PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False}  # a user's "$" is a dollar


def prepare(
    ax: Axes | None,
    size: tuple[float, float] = (6.8, 4.2),
    grid: bool = True,
    margins: Margins | None = None,
) -> Axes:
    """Give `ax`, or the axes of a new figure, the look that all pictures share.

    The margins of a new figure fit what is in them, unless they are given.
    """
    if ax is None:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        figure = Figure(figsize=size)
        if margins is None:
            figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12))
        else:
            fix_margins(figure, margins)
        ax = figure.subplots()
    ink = ink_of(ax)
    ax.spines[["top", "right"]].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set(linewidth=0.7, color=ink, alpha=0.6)
    ax.tick_params(which="both", width=0.7, length=3, labelsize=9, color=ink, labelcolor=ink)
    ax.tick_params(which="minor", length=1.5)
    if grid:
        ax.grid(True, color=ink, alpha=0.12, linewidth=0.6)
    ax.set_axisbelow(True)
    for axis in (ax.xaxis, ax.yaxis):
        axis.label.set(fontsize=10, color=ink)
    return ax


def fix_margins(figure: Figure, margins: Margins) -> None:
    """Give a figure margins of so many inches. To find those that fit takes longer than to draw."""
    left, right, bottom, top = margins
    width, height = figure.get_size_inches()
    figure.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height)


def ink_of(ax: Axes) -> str:
    """Return the colour of text and thin lines: dark on light paper, light on dark paper."""
    from matplotlib.colors import to_rgb

    return "#333333" if np.mean(to_rgb(ax.get_facecolor())) > 0.5 else "#dddddd"


def write_title(ax: Axes, text: str, pad: float = 8) -> None:
    """Write `text` above the left edge, `pad` points up."""
    # At a height that is given: matplotlib's search for one takes half of the drawing.
    ax.set_title(text, loc="left", y=1, fontsize=11, color=ink_of(ax), pad=pad, **PLAIN)


def drawable(text: object) -> str:
    """Return `text` on one line, with a box for each letter that the font does not have."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    fonts = [get_font(findfont(FontProperties(family=[f]))) for f in FontProperties().get_family()]
    line = " ".join(str(text).split())
    return "".join(c if any(f.get_char_index(ord(c)) for f in fonts) else "□" for c in line)


def shorten(names: list[str]) -> list[str]:
    """Cut long names at the end, or in the middle where the ends tell them apart."""
    head = [s if len(s) <= LABEL_LENGTH else s[: LABEL_LENGTH - 1].rstrip() + "…" for s in names]
    if len(set(head)) == len(set(names)):
        return head
    half = LABEL_LENGTH // 2
    return [
        s if len(s) <= LABEL_LENGTH else f"{s[: half - 1].rstrip()}…{s[-half:].lstrip()}"
        for s in names
    ]


def finite_or_nan(values: Floats) -> Floats:
    """Return `values` with nan for what is not finite or too large for an axis to be laid out."""
    return np.where(np.abs(values) < HUGE, values, np.nan)


def set_log_scale(ax: Axes, values: Floats) -> float | None:
    """Set a log scale that holds `values`; return where zeros are drawn, None if impossible."""
    from matplotlib.ticker import FuncFormatter, LogFormatterSciNotation, LogLocator, NullFormatter

    positive = values[values > 0]
    if not positive.size:
        return None
    low, high = np.log10(np.maximum([positive.min(), positive.max()], 1 / HUGE))
    if high - low < 1:  # too narrow to tell the decades by
        low, high = (low + high) / 2 - 0.5, (low + high) / 2 + 0.5
    pad, power = 0.05 * (high - low), LogFormatterSciNotation()
    floor = float(10 ** (np.floor(low) - 0.5))  # between decades: no tick says otherwise
    ax.set_yscale("log")
    ax.set_ylim(10 ** (low - pad), 10 ** (high + pad))
    if (values == 0).any():
        ax.set_ylim(bottom=floor * 10 ** (-pad - 0.1))
        ax.axhline(floor, color=ink_of(ax), alpha=0.35, linewidth=0.8, dashes=(3, 3), zorder=1)
        ax.annotate("0", (0, floor), (-6, 0), ax.get_yaxis_transform(), "offset points",
                    ha="right", va="center", fontsize=9, color=ink_of(ax))  # fmt: skip
    plain = FuncFormatter(lambda y, _: f"{y:g}" if 1e-3 <= y < 1e5 else power(y))
    ax.yaxis.set_major_formatter(plain)
    ax.yaxis.set_minor_locator(LogLocator(subs=(2, 5) if high - low < 2.5 else "auto"))
    ax.yaxis.set_minor_formatter(plain if high - low < 2.5 else NullFormatter())
    return floor


def draw_curve(
    ax: Axes,
    curve: tuple[Floats, Floats],
    name: str,
    color: Any,
    floor: float | None = None,
    number: bool = True,
) -> tuple[float, float, str, Any]:
    """Draw one curve; return its last finite point, and the text and colour to label it with."""
    x, y = curve
    if floor is not None:
        y = np.where(y == 0, floor, np.maximum(y, 1 / HUGE))
    known = np.flatnonzero(np.isfinite(y))
    few = known.size <= 15
    ax.plot(x, y, color=color, linewidth=1.6, marker="o" if few else "", markersize=3.5,
            solid_capstyle="round", label=name)  # fmt: skip
    if not known.size:
        return float(x[-1]), np.nan, name, color
    end = known[-1]
    if end < len(y) - 1:
        ax.plot(x[end], y[end], color=color, marker="X", markersize=7, label="_not finite after")
    text = drawable(name) + (f" {curve[1][end]:.3g}" if number else "")
    return float(x[end]), float(y[end]), text, color


def set_epoch_axis(ax: Axes, epochs: Sequence[float]) -> None:
    """Let the horizontal axis span all epochs, also those without a finite value."""
    from matplotlib.ticker import MaxNLocator

    first, last = min(epochs), max(epochs)
    pad = 0.02 * (last - first) or 0.5
    ax.set_xlim(first - pad, last + pad)
    ax.xaxis.set_major_locator(
        MaxNLocator("auto", integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])
    )
    ax.set_xlabel("epoch")


def label_ends(ax: Axes, ends: list[tuple[float, float, str, Any]]) -> None:
    """Write each curve's name beside its end, moved up or down until no two overlap."""
    ends = sorted((end for end in ends if np.isfinite(end[1])), key=lambda end: end[1])
    ax.get_ylim()  # settles the limits, so that the transform is the final one
    points = 72 / ax.figure.dpi
    at = np.array([ax.transData.transform(end[:2])[1] * points for end in ends])
    steps = 13.0 * np.arange(len(ends))
    up = np.maximum.accumulate(at - steps)
    down = np.minimum.accumulate((at - steps)[::-1])[::-1]
    bottom, top = ax.bbox.y0 * points, ax.bbox.y1 * points
    placed = np.clip((up + down) / 2 + steps, bottom + steps, top - steps[::-1])
    for (x, y, name, color), move in zip(ends, placed - at, strict=True):
        ax.annotate(
            name, (x, y), (12, move),
            textcoords="offset points", va="center", fontsize=9, color=color,
            annotation_clip=False, **PLAIN,
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.6, "relpos": (0, 0.5),
                        "shrinkA": 0, "shrinkB": 3},
        )  # fmt: skip


def mark_epoch(
    ax: Axes, epoch: int, curves: list[tuple[Floats, Floats]], floor: float | None
) -> None:
    """Draw a line at `epoch`, its name above it, and a ring on the first curve measured there."""
    ink = ink_of(ax)
    ax.axvline(epoch, color=ink, alpha=0.5, linewidth=0.8, linestyle=":", zorder=1)
    ax.annotate(f"best: epoch {epoch}", (epoch, 1), (0, 4), ax.get_xaxis_transform(),
                "offset points", ha="center", va="bottom", fontsize=9, color=ink)  # fmt: skip
    for x, y in curves:
        here = y[(x == epoch) & np.isfinite(y)]
        if here.size:
            height = here[0] if floor is None or here[0] > 0 else floor
            ax.plot(epoch, height, marker="o", markersize=8, markerfacecolor="none",
                    markeredgecolor=ink, zorder=4, label="_best")  # fmt: skip
            return


def tint_cells(share: Floats) -> Floats:
    """Return colours (k, k, 3): from paper to blue on the diagonal, to vermillion beside it."""
    from matplotlib.colors import to_rgb

    right = np.eye(len(share), dtype=bool)[..., None]
    full = np.where(right, to_rgb(BLUE), to_rgb(VERMILLION))
    strength = np.where(share > 0, 0.1 + 0.9 * share, 0)[..., None]
    return np.asarray(strength * full + (1 - strength) * 0.955, dtype=np.float64)


def write_counts(ax: Axes, counts: NDArray[np.int64], share: Floats, cell: float) -> None:
    """Write counts into cells of `cell` points; zeros and unreadably small ones are left out."""
    digits = max(len(f"{counts.max():,}"), 2)
    size = min(0.45 * cell, 0.9 * cell / (0.62 * digits), 11)
    if size < 3.5:
        return
    for i, j in zip(*np.nonzero(counts), strict=True):
        color = "white" if share[i, j] > 0.55 else "#222222"
        ax.text(j, i, f"{counts[i, j]:,}", ha="center", va="center", fontsize=size, color=color)


def legend_columns(outputs: int) -> int:
    """Return in how many columns a legend of so many entries stays no taller than its picture."""
    return 1 + (outputs - 1) // 18


def size_of_pairs(n: int, outputs: int) -> tuple[float, float]:
    """Return a figure size, in inches, that leaves a square beside the colour bar or legend."""
    if outputs > 1:
        return 5.2 + 2.3 * legend_columns(outputs), 5.2
    return (6.0 if n > HEXBIN_FROM else 5.0), 5.0


def draw_pairs(
    ax: Axes, true: Floats, predicted: Floats,
    names: list[str], r2: Floats,
) -> None:  # fmt: skip
    """Draw points, or where one output has very many their density, and the line of equality."""
    from matplotlib import colormaps

    n, outputs = true.shape
    low, high = min(true.min(), predicted.min()), max(true.max(), predicted.max())
    pad = 0.04 * (high - low) or 0.5 * abs(high) or 0.5
    limits = (float(low - pad), float(high + pad))
    ax.plot(limits, limits, color=ink_of(ax), alpha=0.5, linewidth=0.9, dashes=(4, 3), zorder=3)
    ax.set(xlim=limits, ylim=limits, aspect="equal")
    if outputs == 1 and n > HEXBIN_FROM:
        bins = ax.hexbin(true[:, 0], predicted[:, 0], gridsize=45, bins="log", mincnt=1,
                         cmap=rising(), extent=limits * 2, linewidths=0.2)  # fmt: skip
        bar = ax.figure.colorbar(bins, ax=ax, shrink=0.6, aspect=30, format="%g")
        bar.set_label("samples per cell", fontsize=9, color=ink_of(ax))
        bar.ax.tick_params(labelsize=9, color=ink_of(ax), labelcolor=ink_of(ax), width=0.7)
        bar.outline.set_visible(False)
        return
    many = outputs > len(PALETTE)
    colors = colormaps["viridis"](np.linspace(0, 0.88, outputs)) if many else PALETTE
    alpha = float(np.clip(30 / np.sqrt(n * outputs), 0.1, 0.75))
    # Row by row, so that no output lies on top of all others.
    ax.scatter(true.ravel(), predicted.ravel(), c=[colors[j] for j in range(outputs)] * n,
               s=20 if n < 500 else 9, alpha=alpha, linewidths=0)  # fmt: skip
    if outputs > 1:
        for j in range(outputs):
            ax.scatter([], [], s=20, color=colors[j], label=f"{names[j]}: R² {r2[j]:.3g}")
        legend = ax.legend(frameon=False, fontsize=9, labelcolor=ink_of(ax), loc="upper left",
                           ncols=legend_columns(outputs), bbox_to_anchor=(1, 1))  # fmt: skip
        for text in legend.get_texts():
            text.set(**PLAIN)


def diverging() -> Any:
    """Return colours from vermillion below 0 over white to blue above it."""
    from matplotlib.colors import LinearSegmentedColormap

    colors = ["#8a3c00", VERMILLION, "#ffffff", BLUE, "#00395a"]
    colormap = LinearSegmentedColormap.from_list("chainrule diverging", colors)
    return colormap.with_extremes(bad=(1, 1, 1, 0))


def rising() -> Any:
    """Return colours from a pale to a dark blue."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("", ["#dcebf5", SKY, BLUE, "#00263d"])


def add_color_bar(ax: Axes, drawn: Any, name: str) -> None:
    """Put the scale of the colours beside the picture."""
    bar = ax.figure.colorbar(drawn, ax=ax, shrink=0.7, aspect=30)
    bar.set_label(name, fontsize=9, color=ink_of(ax))
    bar.ax.tick_params(labelsize=9, color=ink_of(ax), labelcolor=ink_of(ax), width=0.7)
    bar.outline.set_visible(False)
