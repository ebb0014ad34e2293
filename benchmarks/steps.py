"""Steps: microseconds per optimizer step, ours and the peers', and the machine's own rate."""

from __future__ import annotations

from typing import Any

from benchmarks import tables
from benchmarks.cases import NETWORKS, Case, is_arithmetic, thread_counts
from benchmarks.measure import Contestant, measure
from benchmarks.settings import Settings
from benchmarks.workers import Workers


def contestants(case: Case) -> list[Contestant]:
    """Return everyone who trains a case, and the products that tell the machine's rate."""
    threads = thread_counts()
    each = [
        Contestant(f"native {n}", "chainrule", case, variant={"engine": "native", "n_threads": n})
        for n in [*threads, None]
    ]
    for entry in each[-1:]:
        entry.name = "native auto"
    each.append(Contestant("JAX", "JAX", case))
    # Steps of hundreds of microseconds: a tenth of the rows makes an epoch that is long enough.
    short = case.of(batches=case.batches // 10) if case.batches >= 200 else case
    reference = {"engine": "reference", "n_threads": None}
    each.append(Contestant("reference", "chainrule", short, variant=reference))
    each.append(Contestant("scikit-learn", "scikit-learn", short))
    each += [
        Contestant(f"PyTorch {n}", "PyTorch", short, variant={"n_threads": n}) for n in threads
    ]
    if is_arithmetic(case):
        each += [
            Contestant(f"rate {n}", "NumPy", case, "multiply", {"n_threads": n}) for n in threads
        ]
    return each


def run(workers: Workers, settings: Settings) -> list[dict[str, Any]]:
    """Measure every network with every optimizer in every precision."""
    results = []
    for dtype in settings.dtypes:
        for optimizer in settings.optimizers:
            for case in NETWORKS[: settings.networks]:
                case = case.of(optimizer=optimizer, dtype=dtype)
                settings.tell(f"steps: {case.name}, {optimizer}, {dtype}")
                each = [one for one in contestants(case) if one.peer in workers]
                measure(workers, each, settings.rounds, settings.seconds)
                entry = {
                    "case": case.as_json(),
                    "flops": case.flops,
                    "contestants": {one.name: one.as_json() for one in each},
                }
                shares = tables.fractions(entry, tables.medians(entry), max(thread_counts()))
                results.append(entry | {"by_threads": shares})
    return results
