"""Pictures: time per step beside the peers, and cost against work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from benchmarks import tables
from chainrule.plots import look

#: What is drawn of the steps -> name in the results, colour, marker.
MARKS = {
    "chainrule": ("native auto", look.BLUE, "o"),
    "JAX": ("JAX", look.GREEN, "^"),
    "PyTorch": ("PyTorch", look.VERMILLION, "s"),
    "scikit-learn": ("scikit-learn", look.ORANGE, "D"),
}
XLABELS = {
    "rows": "rows",
    "width": "width of four layers",
    "depth": "layers, 64 wide",
    "batch": "rows in a batch",
}


def draw(results: dict[str, Any], folder: Path) -> list[Path]:
    """Draw what there are results for; return the files."""
    drawn = []
    parts, makers = results["parts"], {"steps": draw_speed, "scaling": draw_scaling}
    for part, name in (("steps", "speed.png"), ("scaling", "scaling.png")):
        if part in parts:
            figure = makers[part](parts[part], results["machine"])
            folder.mkdir(parents=True, exist_ok=True)
            figure.savefig(folder / name, dpi=150, metadata={"Software": None})
            drawn.append(folder / name)
    return drawn


def draw_speed(entries: list[dict[str, Any]], machine: dict[str, Any]) -> Figure:
    """Draw a line per network, a mark per library: µs per step of SGD in float32."""
    chosen = [
        entry for entry in entries
        if (entry["case"]["optimizer"], entry["case"]["dtype"]) == ("sgd", "float32")
    ] or entries[:6]  # fmt: skip
    height = 0.62 * len(chosen) + 1.05
    figure = Figure(figsize=(11, height))
    bottom, high = 0.62 / height, 0.62 * len(chosen) / height
    ax = look.prepare(figure.add_axes((0.155, bottom, 0.565, high)), grid=False)
    right = figure.add_axes((0.725, bottom, 0.265, high), sharey=ax)
    ax.set_xscale("log")
    places = range(len(chosen))[::-1]
    for y, entry in zip(places, chosen, strict=True):
        draw_network(ax, y, entry, machine["cores"])
    names = [entry["case"]["name"].rsplit(", ", 1) for entry in chosen]
    ax.set_yticks(places, [f"{name}\nbatch of {batch}" for name, batch in names])
    ax.tick_params(axis="y", length=0, labelsize=9.5)
    ax.spines["left"].set_visible(False)
    ax.set_ylim(-0.6, len(chosen) - 0.4)
    ax.xaxis.set_major_formatter(FuncFormatter(plain))
    ax.grid(True, axis="x", color=look.ink_of(ax), alpha=0.12, linewidth=0.6)
    ax.set_xlabel("µs per optimizer step (log scale), SGD with momentum, float32")
    draw_ratios(right, dict(zip(places, chosen, strict=True)))
    handles = [
        ax.plot([], [], marker, color=color, markersize=8, label=name)[0]
        for name, (_, color, marker) in MARKS.items()
    ]
    handles += ax.plot(
        [], [], "|", color=look.ink_of(ax), markersize=13, markeredgewidth=1.4,
        label=f"arithmetic alone, {machine['cores']} cores",
    )  # fmt: skip
    ax.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(-0.03, 0.99), ncols=5, frameon=False,
        fontsize=9.5, handletextpad=0.1, columnspacing=1.1, labelcolor=look.ink_of(ax),
        borderaxespad=0.3,
    )  # fmt: skip
    return figure


def draw_network(ax: Axes, y: int, entry: dict[str, Any], cores: int) -> None:
    """Draw one network's line: the marks, our time, and in columns how many times it is theirs."""
    times = tables.medians(entry)
    found = {name: tables.best_of(times, key) * 1e6 for name, (key, _, _) in MARKS.items()}
    ours = found["chainrule"]
    ax.plot([np.nanmin([*found.values()]), np.nanmax([*found.values()])], [y, y],
            color="#d4d4d4", linewidth=2.5, zorder=1, solid_capstyle="round")  # fmt: skip
    told = tables.fractions(entry, times, cores)
    if cores in told:
        ax.plot(told[cores]["bound"] * 1e6, y, "|", color=look.ink_of(ax), markersize=15,
                markeredgewidth=1.4, zorder=2)  # fmt: skip
    for name, (_, color, marker) in MARKS.items():
        ax.plot(found[name], y, marker, color=color, markersize=9, markeredgecolor="white",
                markeredgewidth=0.8, zorder=4 if name == "chainrule" else 3)  # fmt: skip
    ax.annotate(tables.micro(ours * 1e-6) + " µs", (ours, y), (0, -8), textcoords="offset points",
                ha="center", va="top", fontsize=9, color=look.BLUE, fontweight="bold")  # fmt: skip


def draw_ratios(ax: Axes, entries: dict[int, dict[str, Any]]) -> None:
    """Write a column for each peer: how many times as long as chainrule it takes."""
    ax.set_axis_off()
    peers = [name for name in MARKS if name != "chainrule"]
    ax.set_xlim(0, len(peers))
    for x, name in enumerate(peers, 1):
        key, color, _ = MARKS[name]
        style = {"ha": "right", "fontsize": 10, "color": darker(color)}
        ax.annotate(name, (x, 1), (0, 8), ax.get_xaxis_transform(), "offset points",
                    va="bottom", **style)  # fmt: skip
        for y, entry in entries.items():
            times = tables.medians(entry)
            ratio = tables.best_of(times, key) / times.get("native auto", np.nan)
            ax.text(x, y, tables.times_as(ratio), va="center", **style)
    ax.annotate("times as long as chainrule", (1, 0), (0, -19), "axes fraction", "offset points",
                ha="right", va="top", fontsize=10, color=look.ink_of(ax))  # fmt: skip


def darker(color: str) -> tuple[float, ...]:
    """Return a colour dark enough for small text on white."""
    from matplotlib.colors import to_rgb

    return tuple(0.72 * np.array(to_rgb(color)))


def plain(value: float, _: object) -> str:
    """Return a power of ten in full."""
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def draw_scaling(curves: dict[str, Any], machine: dict[str, Any]) -> Figure:
    """Draw cost against what grows, four times, with the slope over work written in."""
    figure = Figure(figsize=(11, 7.2), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12, wspace=0.04, hspace=0.04)
    for ax, (name, curve) in zip(figure.subplots(2, 2).flat, curves.items(), strict=False):
        draw_curve(look.prepare(ax), name, curve)
    ink = look.ink_of(figure.axes[0])
    figure.suptitle(
        "Cost against work: one thread, float32; lines where arithmetic dominates (full marks)",
        fontsize=11, color=ink,
    )  # fmt: skip
    return figure


def draw_curve(ax: Axes, name: str, curve: dict[str, Any]) -> None:
    """Draw one curve: measured points, and the fitted power law where arithmetic dominates."""
    points, fit = curve["points"], curve["fit"]
    ax.set(xscale="log", yscale="log", xlabel=XLABELS[name])
    ax.set_ylabel("ms per epoch" if name == "rows" else "ms per step")
    ax.xaxis.set_major_formatter(FuncFormatter(plain))
    ax.yaxis.set_major_formatter(FuncFormatter(plain))
    for kind, face in ((True, look.BLUE), (False, "white")):
        some = [each for each in points if each["arithmetic"] == kind]
        ax.plot([each["value"] for each in some], [each["seconds"] * 1e3 for each in some], "o",
                color=look.BLUE, markerfacecolor=face, markersize=6.5, zorder=3)  # fmt: skip
    if not fit:
        return
    chosen = [each for each in points if each["arithmetic"]]
    law = [fit["factor"] * each["work"] ** fit["slope"] * 1e3 for each in chosen]
    ax.plot([each["value"] for each in chosen], law, color=look.VERMILLION, linewidth=1.6, zorder=2)
    ax.text(0.05, 0.93, f"slope {fit['slope']:.2f}", transform=ax.transAxes, va="top",
            fontsize=13, color=look.VERMILLION)  # fmt: skip
    what = "width²" if name == "width" else "work"
    ax.text(0.05, 0.84, f"over {fit['decades']:.1f} decades of {what}", va="top",
            transform=ax.transAxes, fontsize=9.5, color=look.ink_of(ax))  # fmt: skip
    look.write_title(ax, f"{name.capitalize()}: {network_name(name, curve['case'])}")


def network_name(name: str, case: dict[str, Any]) -> str:
    """Return what stays the same along a curve."""
    batch = f"batches of {case['batch']}"
    return {
        "rows": f"20-64-64-1, {batch}",
        "width": f"w-w-w-w, {batch}",
        "depth": f"64-64-…-64, {batch}",
        "batch": "20-64-64-1",
    }[name]
