"""Scaling: how the cost grows with rows, width, depth and batch; one thread, float32.

Where arithmetic dominates, cost is proportional to work: slope 1 in log-log. `is_arithmetic` says
beforehand where that is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.cases import Case, is_arithmetic
from benchmarks.measure import Contestant, measure, slope
from benchmarks.settings import Settings
from benchmarks.workers import Workers

VARIANT = {"engine": "native", "n_threads": 1}


def of_rows(rows: int) -> Case:
    """Return 20-64-64-1 on so many rows, in batches of 64."""
    return relu("rows", (20, 64, 64, 1), 64, max(1, rows // 64))


def of_width(width: int) -> Case:
    """Return four layers of one width, batches of 256; an epoch long enough to be mostly steps."""
    return relu("width", (width,) * 4, 256, max(1, min(64, 1024 // width)))


def of_depth(depth: int) -> Case:
    """Return so many layers 64 wide, batches of 256."""
    return relu("depth", (64,) * (depth + 1), 256, max(1, 64 // depth))


def of_batch(batch: int) -> Case:
    """Return 20-64-64-1 with batches of so many rows."""
    return relu("batch", (20, 64, 64, 1), batch, max(1, 65_536 // batch))


def relu(name: str, sizes: tuple[int, ...], batch: int, batches: int) -> Case:
    """Return a case of hidden relu and squared error."""
    return Case(name, sizes, "relu", "identity", "squared_error", batch, batches)


#: What grows -> the case of a value, the first value and the last.
CURVES: dict[str, tuple[Callable[[int], Case], int, int]] = {
    "rows": (of_rows, 1_000, 1_000_000),
    "width": (of_width, 4, 1_024),
    "depth": (of_depth, 1, 1_000),
    "batch": (of_batch, 1, 40_000),
}


def run(workers: Workers, settings: Settings) -> dict[str, Any]:
    """Measure each curve, and fit its slope where arithmetic dominates."""
    results = {}
    for name, (make, first, last) in CURVES.items():
        settings.tell(f"scaling: {name}")
        values = np.unique(np.geomspace(first, last, settings.points).round().astype(int)).tolist()
        points = [
            Contestant(str(value), "chainrule", make(value), variant=VARIANT) for value in values
        ]
        measure(workers, points, settings.curve_rounds, min(settings.seconds, 0.1))
        results[name] = {
            "case": points[-1].case.as_json(),
            "points": [describe(name, each) for each in points if not each.error],
            "errors": {each.name: each.error for each in points if each.error},
        }
        results[name]["fit"] = fit(results[name]["points"])
    return results


def describe(name: str, each: Contestant) -> dict[str, Any]:
    """Return a point: the value, the work and the seconds of a step, or of an epoch for rows."""
    case, steps = each.case, each.case.batches if name == "rows" else 1
    return {
        "value": case.rows if name == "rows" else int(each.name),
        "work": case.flops * steps,
        "arithmetic": is_arithmetic(case),
        "seconds": each.median * steps,
        "rounds": [seconds * steps for seconds in each.rounds],
    }


def fit(points: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the slope of seconds over work where arithmetic dominates, and that range's ends."""
    chosen = [each for each in points if each["arithmetic"]]
    if len(chosen) < 2:
        return None
    exponent, factor = slope(*([each[key] for each in chosen] for key in ("work", "seconds")))
    ends = chosen[0]["value"], chosen[-1]["value"]
    decades = float(np.log10(chosen[-1]["work"] / chosen[0]["work"]))
    return {"slope": exponent, "factor": factor, "from": ends[0], "to": ends[1], "decades": decades}
