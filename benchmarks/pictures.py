"""Pictures: time per step beside the peers, and cost against work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from benchmarks import tables
from benchmarks.cases import Case
from benchmarks.scaling import CURVES
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
    figure = Figure(figsize=(10, 0.72 * len(chosen) + 1.5), layout="constrained")
    ax = look.prepare(figure.subplots(), grid=False)
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
    handles = [
        ax.plot([], [], marker, color=color, markersize=8, label=name)[0]
        for name, (_, color, marker) in MARKS.items()
    ]
    handles += ax.plot(
        [], [], "|", color=look.ink_of(ax), markersize=13, markeredgewidth=1.4,
        label=f"what arithmetic alone takes on {machine['cores']} cores",
    )  # fmt: skip
    figure.legend(
        handles=handles, loc="outside upper left", ncols=5, frameon=False, fontsize=9.5,
        handletextpad=0.2, columnspacing=1.4, labelcolor=look.ink_of(ax),
    )  # fmt: skip
    return figure


def draw_network(ax: Axes, y: int, entry: dict[str, Any], cores: int) -> None:
    """Draw one network's line: its marks, and beside each peer how many times ours it takes."""
    times = tables.medians(entry)
    found = {name: tables.best_of(times, key) * 1e6 for name, (key, _, _) in MARKS.items()}
    found = {name: value for name, value in found.items() if np.isfinite(value)}
    ours = found["chainrule"]
    ax.plot([ours, max(found.values())], [y, y], color="#cccccc", linewidth=2.5, zorder=1,
            solid_capstyle="round")  # fmt: skip
    told = tables.fractions(entry, times, cores)
    if cores in told:
        ax.plot(told[cores]["bound"] * 1e6, y, "|", color=look.ink_of(ax), markersize=15,
                markeredgewidth=1.4, zorder=2)  # fmt: skip
    labels = [(value, name) for name, value in found.items()]
    for value, name in labels:
        _, color, marker = MARKS[name]
        ax.plot(value, y, marker, color=color, markersize=9, markeredgecolor="white",
                markeredgewidth=0.8, zorder=4 if name == "chainrule" else 3)  # fmt: skip
    write_ratios(ax, y, sorted(labels), ours)


def write_ratios(ax: Axes, y: int, labels: list[tuple[float, str]], ours: float) -> None:
    """Write our time below our mark and the peers' ratios above theirs, moved until legible."""
    color = MARKS["chainrule"][1]
    text = tables.micro(ours * 1e-6) + " µs"
    ax.annotate(text, (ours, y), (0, -8), textcoords="offset points", ha="center", va="top",
                fontsize=9, color=color, fontweight="bold")  # fmt: skip
    last = -np.inf
    for value, name in labels:
        if name == "chainrule":
            continue
        last = max(np.log10(value), last + 0.3)  # decades that a number needs
        ax.annotate(tables.times_as(value / ours), (10**last, y), (0, 7),
                    textcoords="offset points", ha="center", va="bottom", fontsize=9,
                    color=darker(MARKS[name][1]))  # fmt: skip


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
    make = CURVES[name][0]
    x = np.unique(np.geomspace(fit["from"], fit["to"], 60).round().astype(int))
    work = [work_of(name, make(int(value))) for value in x]
    law = fit["factor"] * np.power(work, fit["slope"], dtype=float) * 1e3
    ax.plot(x, law, color=look.VERMILLION, linewidth=1.6, zorder=2)
    ax.text(0.05, 0.93, f"slope {fit['slope']:.2f}", transform=ax.transAxes, va="top",
            fontsize=13, color=look.VERMILLION)  # fmt: skip
    over = "" if name != "width" else " (work grows with the square of the width)"
    ax.text(0.05, 0.84, f"over {fit['decades']:.1f} decades of work{over}", va="top",
            transform=ax.transAxes, fontsize=9, color=look.ink_of(ax))  # fmt: skip
    look.write_title(ax, f"{name.capitalize()}: {network_name(name, curve['case'])}")


def work_of(name: str, case: Case) -> int:
    """Return the operations of a step, or of an epoch for rows."""
    return case.flops * (case.batches if name == "rows" else 1)


def network_name(name: str, case: dict[str, Any]) -> str:
    """Return what stays the same along a curve."""
    batch = f"batches of {case['batch']}"
    return {
        "rows": f"20-64-64-1, {batch}",
        "width": f"w-w-w-w, {batch}",
        "depth": f"64-64-…-64, {batch}",
        "batch": "20-64-64-1",
    }[name]
