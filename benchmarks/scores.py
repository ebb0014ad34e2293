"""Scores: chainrule's estimators beside scikit-learn's on ten tables. See README.md.

Whether they predict equally well at the same parameters, and how much sooner they are trained.
`python -m benchmarks.scores` goes on where an earlier run ended.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import machine, scorecard
from benchmarks.cases import Case, thread_counts
from benchmarks.datasets import SOURCES, missing, split
from benchmarks.settings import Settings
from benchmarks.workers import ROOT, Workers

OURS, THEIRS = "chainrule", "scikit-learn"
QUICK = ("iris", "wine", "breast cancer", "diabetes")

#: What both estimators are told beside `max_iter`: the defaults, and a network for small tables.
PARAMETERS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "small": {"hidden_layer_sizes": [16], "batch_size": 16},
}
UPDATES = {"defaults": 8_000, "small": 16_000}  # at most about so many, so that large tables end
MOST_EPOCHS = 200  # the default of max_iter


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit, compare, print, write; return the exit status."""
    options = parse(arguments)
    path = ROOT / "benchmarks" / "scores.json" if options.record else options.out / "scores.json"
    if options.show:
        print(scorecard.write(json.loads(path.read_text("utf-8"))))
        return 0
    path.parent.mkdir(parents=True, exist_ok=True)
    words = sys.argv[1:] if arguments is None else list(arguments)
    results = begin(path, options, shlex.join(["python", "-m", "benchmarks.scores", *words]))
    with Workers([OURS, THEIRS, "NumPy"]) as workers:
        measure_scores(workers, results, options, path)
        if options.times:
            measure_times(workers, results, options, path)
    report = scorecard.write(results)
    path.with_name("SCORES.md").write_text(report + "\n", "utf-8")
    print(report, f"\nwritten: {path}, {path.with_name('SCORES.md')}")
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line, and leave out the tables that are not there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scores", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="four small tables, three seeds: half a minute")
    add("--tables", help=f"of {','.join(SOURCES)}")
    add("--parameters", default=",".join(PARAMETERS), help=f"of {','.join(PARAMETERS)}")
    add("--seeds", type=int, help="seeds of each table; 10 unless --quick")
    add("--times", type=int, default=3, help="seeds fitted again for the times, 0 for none")
    add("--threads", type=int, help="most threads of each library while it is fitted for scores")
    add("--again", metavar="LIBRARY", help="forget the scores of this library in an earlier run")
    add("--out", type=Path, default=ROOT / "build" / "benchmarks", help="folder for the results")
    add("--record", action="store_true", help="write into benchmarks/ instead")
    add("--show", action="store_true", help="measure nothing: show the results that are there")
    options = parser.parse_args(arguments)
    tables = options.tables or ",".join(QUICK if options.quick else SOURCES)
    options.tables, options.parameters = tables.split(","), options.parameters.split(",")
    options.seeds = options.seeds or (3 if options.quick else 10)
    given = [(options.tables, SOURCES), (options.parameters, PARAMETERS)]
    given += [([options.again], (OURS, THEIRS))] * bool(options.again)
    for names, known in given:
        if strange := sorted(set(names) - set(known)):
            parser.error(f"unknown: {', '.join(strange)}; expected some of {', '.join(known)}")
    if options.seeds < 2:
        parser.error(f"--seeds {options.seeds} has no spread; expected 2 or more")
    if not options.show:
        for name, line in missing(options.tables).items():
            print(line, file=sys.stderr)
            options.tables.remove(name)
    return options


def begin(path: Path, options: argparse.Namespace, command: str) -> dict[str, Any]:
    """Return the results so far, those of an earlier run where there are some."""
    results: dict[str, Any] = {"parameters": PARAMETERS, "updates": UPDATES, "fits": {}}
    if path.exists():
        earlier = json.loads(path.read_text("utf-8"))
        same = ("parameters", "updates")
        if any(earlier[key] != results[key] for key in same):
            raise SystemExit(f"{path} was measured with other parameters: move it away first")
        results = earlier
        if options.again:
            for by_table in results["fits"].values():
                for by_library in by_table.values():
                    by_library.pop(options.again, None)
    if machine.load() and machine.load()[0] > machine.BUSY:
        print("warning: the machine is busy; ratios of times are rough", file=sys.stderr)
    return results | {
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "load_before": machine.load(),
        "tables": results.get("tables", {}) | {name: describe(name) for name in options.tables},
    }


def describe(table: str) -> dict[str, Any]:
    """Return the sizes of a table as a network sees it."""
    data = split(table, 0)
    classes = int(data.y.max()) + 1 if data.classes else 1
    return {
        "rows": len(data.y),
        "held_out": len(data.y_test),
        "features": data.X.shape[1],
        "outputs": classes if classes > 2 else 1,
        "classes": data.classes,
    }


def settings_for(parameters: str, rows: int) -> dict[str, Any]:
    """Return what both estimators are told for a table of so many rows."""
    settings = PARAMETERS[parameters]
    per_epoch = -(-rows // min(rows, settings.get("batch_size", 200)))
    epochs = max(1, min(MOST_EPOCHS, UPDATES[parameters] // per_epoch))
    return settings | {"max_iter": epochs}


def measure_scores(
    workers: Workers, results: dict[str, Any], options: argparse.Namespace, path: Path
) -> None:
    """Fit each library to each seed of each table, in turn; write after each seed."""
    clock = Settings()
    for parameters, table in pairs(options):
        fits = results["fits"].setdefault(parameters, {}).setdefault(table, {})
        settings = settings_for(parameters, results["tables"][table]["rows"])
        for seed in range(options.seeds):
            turn = [OURS, THEIRS] if seed % 2 else [THEIRS, OURS]
            todo = [each for each in turn if str(seed) not in fits.get(each, {})]
            if todo:
                clock.tell(f"{table}, {parameters}, seed {seed}: {', '.join(todo)}")
            for library in todo:
                fit = workers[library].call(
                    "fit", table=table, seed=seed, settings=settings, n_threads=options.threads
                )
                fits.setdefault(library, {})[str(seed)] = fit
            save(results, path)


def measure_times(
    workers: Workers, results: dict[str, Any], options: argparse.Namespace, path: Path
) -> None:
    """Fit again for the times: each library as it is, on one thread, and products for the rate."""
    clock = Settings()
    contestants = [(name, n) for name in (OURS, THEIRS) for n in (None, 1)]
    results |= {"times_load_before": machine.load(), "rates": {}}
    for n in thread_counts():
        workers["NumPy"].prepare(f"rate {n}", "multiply", rate_case(), {"n_threads": n})
        workers["NumPy"].run(f"rate {n}", 1)
    for parameters, table in pairs(options):
        settings = settings_for(parameters, results["tables"][table]["rows"])
        times: dict[str, list[dict[str, Any]]] = {}
        for seed in range(options.times):
            clock.tell(f"times: {table}, {parameters}, seed {seed}")
            shift = seed % len(contestants)
            for library, n in contestants[shift:] + contestants[:shift]:
                ask = {"table": table, "seed": seed, "settings": settings, "n_threads": n}
                if not seed:  # loads table and code, which is not what is timed
                    warm = ask | {"settings": settings | {"max_iter": 1}}
                    workers[library].call("fit", **warm)
                fit = workers[library].call("fit", **ask)
                times.setdefault(f"{library} {n or 'as it is'}", []).append(fit)
            for n in thread_counts():
                seconds, operations = workers["NumPy"].run(f"rate {n}", 1)
                results["rates"].setdefault(str(n), []).append(operations / seconds)
        results.setdefault("times", {}).setdefault(parameters, {})[table] = times
        save(results, path)
    results["times_load_after"] = machine.load()
    save(results, path)


def rate_case() -> Case:
    """Return a case of the precision of the tables, for the products."""
    return Case("rate", (1, 1), "relu", "identity", "squared_error", 1, 1, dtype="float64")


def pairs(options: argparse.Namespace) -> Iterable[tuple[str, str]]:
    """Yield what is to be compared: parameters and table."""
    return ((parameters, table) for parameters in options.parameters for table in options.tables)


def save(results: dict[str, Any], path: Path) -> None:
    """Write the results, whole or not at all."""
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    os.replace(unfinished, path)


if __name__ == "__main__":
    sys.exit(main())
