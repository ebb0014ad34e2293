"""Scorecard: scores and times of `benchmarks.scores` as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from benchmarks.tables import times_as
from benchmarks.verdicts import LEVEL, Verdict, compare, holm, middle_ratio

OURS, THEIRS = "chainrule", "scikit-learn"


def write(results: dict[str, Any]) -> str:
    """Return all that is known as Markdown."""
    lines = [*head(results)]
    for parameters, fits in results["fits"].items():
        told = ", ".join(f"`{k}={v!r}`" for k, v in results["parameters"][parameters].items())
        lines += ["", f"## Parameters: {parameters}{f' ({told})' if told else ''}", ""]
        lines += scores(results, fits)
        timed = results.get("times", {}).get(parameters)
        if timed:
            lines += ["", *times(results, parameters, timed)]
    return "\n".join(lines)


def head(results: dict[str, Any]) -> Iterator[str]:
    """Yield what was run, on what, and when."""
    machine = results["machine"]
    versions = ", ".join(
        f"{name} {each}" for name, each in machine["versions"].items()
        if name in ("python", "chainrule", "scikit-learn", "numpy", "scipy")
    )  # fmt: skip
    yield "# The same scores, sooner: ten tables"
    yield ""
    yield f"`{results['command']}`, {results['date']}; {machine['processor']},"
    yield f"{machine['cores']} cores, native engine: {machine['native']}; {versions}. Load when the"
    yield f"times were taken: {results.get('times_load_before', results['load_before'])}. README.md"
    yield "tells what is compared, and how; `scores.json` has every fit."


def scores(results: dict[str, Any], fits: dict[str, Any]) -> Iterator[str]:
    """Yield a row for each table: both libraries' scores, and whether they differ."""
    verdicts = {}
    for table, by_library in fits.items():
        seeds = sorted(set(by_library.get(OURS, {})) & set(by_library.get(THEIRS, {})), key=int)
        if len(seeds) > 1:
            both = [[by_library[name][s]["score"] for s in seeds] for name in (OURS, THEIRS)]
            verdicts[table] = (len(seeds), compare(*both))
    paired = holm([each.paired for _, each in verdicts.values()])
    welch = holm([each.welch for _, each in verdicts.values()])
    yield from header(
        "table", "rows × columns", "seeds", "scikit-learn", "chainrule", "difference [95 %]",
        "p paired (Holm)", "p Welch (Holm)", "means",
    )  # fmt: skip
    for (table, (seeds, each)), p, q in zip(verdicts.items(), paired, welch, strict=True):
        about = results["tables"][table]
        yield (
            f"| {table}, {'accuracy' if about['classes'] else 'R²'} | {about['rows']:,} ×"
            f" {about['features']} | {seeds} | {each.theirs:.4f} ± {each.theirs_spread:.4f} |"
            f" {each.ours:.4f} ± {each.ours_spread:.4f} | {each.difference:+.4f}"
            f" [{each.low:+.4f}, {each.high:+.4f}] | {each.paired:.3f} ({p:.3f}) |"
            f" {each.welch:.3f} ({q:.3f}) | {word(each, min(p, q))} |"
        )


def header(*names: str) -> Iterator[str]:
    """Yield the two lines that begin a table."""
    yield f"| {' | '.join(names)} |"
    yield "|---" * len(names) + "|"


def word(verdict: Verdict, p: float) -> str:
    """Return what the tests say of the means."""
    if p >= LEVEL:
        return "equal"
    return "ours better" if verdict.difference > 0 else "**ours worse**"


def times(results: dict[str, Any], parameters: str, timed: dict[str, Any]) -> Iterator[str]:
    """Yield a row for each table: seconds, how many times sooner, and what arithmetic allows."""
    rates = {int(n): median(each) / 1e9 for n, each in results["rates"].items()}
    yield (
        "Medians of"
        f" {max(len(each) for fits in timed.values() for each in fits.values())} fits, scikit-learn"
        " as it is or on one thread, whichever took less. Bound: what the matrix products of an"
        " update take at the rate of NumPy's own, in GFLOP/s "
        + ", ".join(f"{rate:.0f} on {n}" for n, rate in rates.items())
        + " threads; at most: how many times sooner that would be."
    )
    yield ""
    yield from header(
        "table", "epochs", "fit, s: scikit-learn", "chainrule", "**times**", "both on one thread",
        "update, µs: scikit-learn", "chainrule", "on one thread", "bound", "at most",
    )  # fmt: skip
    chosen = results["parameters"][parameters]
    for table, fits in timed.items():
        about = results["tables"][table]
        per_epoch = -(-about["rows"] // min(chosen.get("batch_size", 200), about["rows"]))
        sizes = [about["features"], *chosen.get("hidden_layer_sizes", [100]), about["outputs"]]
        least = operations(sizes, about["rows"] / per_epoch) / (1e3 * max(rates.values()))
        yield row(table, fits, per_epoch, least)


def row(table: str, fits: dict[str, Any], per_epoch: int, least: float) -> str:
    """Return one table's times; `least` is the bound in microseconds."""
    seconds = {name: [fit["seconds"] for fit in each] for name, each in fits.items()}
    per_update = {
        name: 1e6 * median(fit["seconds"] / fit["epochs"] for fit in each) / per_epoch
        for name, each in fits.items()
    }
    epochs = {name: round(median(fit["epochs"] for fit in each)) for name, each in fits.items()}
    ours, ours_1, theirs_1 = f"{OURS} as it is", f"{OURS} 1", f"{THEIRS} 1"
    theirs = best_of(seconds, THEIRS)
    cells = [
        f"{epochs[theirs]}, {epochs[ours]}",
        f"{median(seconds[theirs]):.2f}",
        f"{median(seconds[ours]):.3f}",
        f"**{times_as(middle_ratio(seconds[theirs], seconds[ours]))}**",
        times_as(middle_ratio(seconds[theirs_1], seconds[ours_1])),
        f"{per_update[theirs]:.0f}",
        *(f"{each:.1f}" for each in (per_update[ours], per_update[ours_1], least)),
        times_as(per_update[theirs] / least),
    ]
    return f"| {table} | {' | '.join(cells)} |"


def best_of(seconds: dict[str, Sequence[float]], library: str) -> str:
    """Return the contestant of that library with the least time."""
    names = [name for name in seconds if name.startswith(library)]
    return min(names, key=lambda name: median(seconds[name]))


def operations(sizes: Sequence[int], rows: float) -> float:
    """Return the floating-point operations of an update's products; see `Case.flops`."""
    products = [n_in * n_out for n_in, n_out in pairwise(sizes)]
    return rows * (6 * sum(products) - 2 * products[0])
