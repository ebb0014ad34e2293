"""Tables: the results as text for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

NAN = float("nan")


def write(results: dict[str, Any]) -> str:
    """Return all that was measured as text."""
    parts = results["parts"]
    lines: list[str] = [*head(results)]
    for name, table in TABLES.items():
        if name in parts:
            lines += ["", *table(parts[name], results["machine"])]
    return "\n".join(lines)


def head(results: dict[str, Any]) -> Iterator[str]:
    """Yield what was run, on what, when, and how busy it was."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {each}" for name, each in machine["versions"].items())
    yield f"{results['command']}    {results['date']}"
    yield f"{machine['processor']}, {machine['cores']} cores, native: {machine['native']}"
    yield versions
    yield f"load before {results['load_before']}, after {results['load_after']}"


def medians(entry: dict[str, Any]) -> dict[str, float]:
    """Return each contestant's seconds per unit; those that failed are left out."""
    contestants = entry["contestants"].items()
    return {name: each["median"] for name, each in contestants if "error" not in each}


def best_of(times: dict[str, float], prefix: str) -> float:
    """Return the least time of those whose name begins so; NaN when there is none."""
    return min((each for name, each in times.items() if name.startswith(prefix)), default=NAN)


def steps(entries: list[dict[str, Any]], machine: dict[str, Any]) -> Iterator[str]:
    """Yield a table for each optimizer and precision."""
    cores = machine["cores"]
    yield "Time per optimizer step, µs; in brackets, how many times chainrule's (native, auto)"
    shown = ""
    for entry in entries:
        case, times = entry["case"], medians(entry)
        kind = f"{case['optimizer']}, {case['dtype']}"
        if kind != shown:
            shown = kind
            yield ""
            yield (
                f"{kind:<29}{'native: 1':>9}{cores:>8}{'auto':>8}{'reference':>10}"
                f"{'scikit-learn':>17}{'PyTorch':>16}{'JAX':>16}   bound 1, {cores}; of the rate"
            )
        ours = times.get("native auto", NAN)
        peers = [best_of(times, peer) for peer in ("scikit-learn", "PyTorch", "JAX")]
        yield (
            f"{case['name']:<29}{micro(times.get('native 1', NAN)):>9}"
            f"{micro(times.get(f'native {cores}', NAN)):>8}{micro(ours):>8}"
            f"{micro(times.get('reference', NAN)):>10}"
            + "".join(f"{f'{micro(each)} ({times_as(each / ours)})':>{17 - (i > 0)}}"
                      for i, each in enumerate(peers))
            + bound(entry, times, cores)
        )  # fmt: skip
    yield from notes(entries)


def bound(entry: dict[str, Any], times: dict[str, float], cores: int) -> str:
    """Return what arithmetic alone would take, and our share of the machine's rate."""
    told = fractions(entry, times, cores)
    if not told:
        return ""
    takes = ", ".join(micro(each["bound"]) for each in told.values())
    shares = ", ".join(f"{each['share']:.0%}" for each in told.values())
    return f"   {takes}; {shares}"


def fractions(
    entry: dict[str, Any], times: dict[str, float], cores: int
) -> dict[int, dict[str, float]]:
    """Return by number of threads: the arithmetic bound in seconds, and our share of the rate."""
    told = {}
    for n in sorted({1, cores}):
        if {f"rate {n}", f"native {n}"} <= set(times):
            least = entry["flops"] * times[f"rate {n}"]
            told[n] = {"bound": least, "share": least / times[f"native {n}"]}
    return told


def notes(entries: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the machine's rates, JAX's compilation, and what failed."""
    rates: dict[str, list[float]] = {}
    compiled = []
    for entry in entries:
        dtype = entry["case"]["dtype"]
        for name, each in entry["contestants"].items():
            if "error" in each:
                yield f"{entry['case']['name']}, {name}: {each['error']}"
            elif name.startswith("rate"):
                rates.setdefault(f"{dtype}, threads: {name[5:]}", []).append(1e-9 / each["median"])
            elif "compile_seconds" in each:
                compiled.append(each["compile_seconds"])
    yield ""
    for name, each in rates.items():
        yield f"matrix products, {name}: {min(each):.0f} to {max(each):.0f} GFLOP/s"
    if compiled:
        yield f"JAX compiled for {min(compiled):.1f} to {max(compiled):.1f} s per network, on top"


def scaling(curves: dict[str, Any], machine: dict[str, Any]) -> Iterator[str]:
    """Yield the slope of each curve."""
    yield "Cost against work, one thread, float32: slopes in log-log where arithmetic dominates"
    for name, curve in curves.items():
        fit = curve["fit"]
        if fit:
            yield (
                f"  {name:<6} {fit['slope']:.3f} from {fit['from']:,} to {fit['to']:,}"
                f" ({fit['decades']:.1f} decades of work)"
            )
        for value, error in curve["errors"].items():
            yield f"  {name} {value}: {error}"


def small(part: dict[str, Any], machine: dict[str, Any]) -> Iterator[str]:
    """Yield what is paid once."""
    fixed = part["fixed_cost"]
    yield f"A call of train costs {micro(fixed['fixed'])} µs over its steps"
    yield f"  (half adder; an epoch of one step: {micro(fixed['per_epoch'])} µs)"
    yield "One row's prediction, µs"
    for name, each in part["one_row"].items():
        yield f"  {name:<30}{each.get('error') or micro(each['median']):>8}"


def first(part: dict[str, Any], machine: dict[str, Any]) -> Iterator[str]:
    """Yield first results, memory and imports."""
    yield f"Fresh process: first result on {part['case']['name']}, s;"
    yield f"most memory on {part['memory_case']['name']}, MB: all of the process, nothing taken off"
    for name, each in part["first_result"].items():
        yield f"  {name:<26}{each['seconds']:>7.2f}{part['peak_bytes'][name] / 1e6:>8.0f}"
    for name, error in part["errors"].items():
        yield f"  {name}: {error}"
    yield "Imports, s of a fresh process"
    for name, each in part["imports"].items():
        yield f"  {name:<36}{each['median']:>7.2f}"
    yield f"  chainrule adds to scikit-learn{added_by_import(part['imports']):>13.2f}"


def added_by_import(imports: dict[str, Any]) -> float:
    """Return the seconds that chainrule's estimators add to scikit-learn's networks."""
    after, before = "chainrule's estimators after them", "scikit-learn's networks"
    return imports[after]["median"] - imports[before]["median"]


def many(part: dict[str, Any], machine: dict[str, Any]) -> Iterator[str]:
    """Yield what fit_many took."""
    if "skipped" in part:
        yield f"fit_many left out: {part['skipped']}"
        return
    yield (
        f"fit_many: {part['trainings']:,} half adders of {part['epochs']:,} epochs in"
        f" {part['seconds']:.1f} s ({part['making_seconds']:.1f} s to make them);"
        f" {part['share_right']:.0%} add rightly"
    )


TABLES = {"steps": steps, "scaling": scaling, "small": small, "first": first, "many": many}


def micro(seconds: float) -> str:
    """Return microseconds with two to four digits; a dash for what is not known."""
    value = seconds * 1e6
    if value != value:
        return "–"
    return f"{value:,.0f}" if value >= 99.5 else f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


def times_as(ratio: float) -> str:
    """Return a ratio with two digits, or whole."""
    if ratio != ratio:
        return "–"
    return f"{ratio:,.{0 if ratio >= 9.95 else 1 if ratio >= 0.95 else 2}f}×"
