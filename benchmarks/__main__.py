"""Program: python -m benchmarks. See README.md here for what it measures, and how."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import first, machine, many, pictures, scaling, small, steps, tables
from benchmarks.peers import PEERS, installed
from benchmarks.settings import Settings
from benchmarks.workers import ROOT, Workers

PARTS = ("steps", "scaling", "small", "first", "many")
RECORD = ROOT / "benchmarks" / "results.json"
IMAGES = ROOT / "docs" / "images"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; return the exit status."""
    options = parse(arguments)
    if options.redraw:
        results = json.loads(Path(options.redraw).read_text("utf-8"))
    else:
        results = measure_all(options, sys.argv[1:] if arguments is None else arguments)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    record = RECORD if options.record else out / "results.json"
    if not options.redraw:
        record.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    drawn = pictures.draw(results, IMAGES if options.record else out)
    print(tables.write(results))
    print("\nwritten:", *(str(path) for path in [*([] if options.redraw else [record]), *drawn]))
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything, under 2 minutes")
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {','.join(PARTS)}")
    parser.add_argument("--rounds", type=int, help="rounds of each comparison")
    parser.add_argument("--seconds", type=float, help="of each run in a round")
    parser.add_argument("--networks", type=int, help="only the first so many networks")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"of {','.join(PEERS)}")
    parser.add_argument("--out", default="build/benchmarks", help="folder for JSON and pictures")
    parser.add_argument(
        "--record", action="store_true", help="write into benchmarks/ and docs/images/ instead"
    )
    parser.add_argument("--redraw", metavar="JSON", help="measure nothing: show these results")
    options = parser.parse_args(arguments)
    options.only, options.peers = options.only.split(","), options.peers.split(",")
    for given, known in ((options.only, PARTS), (options.peers, PEERS)):
        if strange := sorted(set(given) - set(known)):
            parser.error(f"unknown: {', '.join(strange)}; expected some of {', '.join(known)}")
    return options


def measure_all(options: argparse.Namespace, arguments: Sequence[str]) -> dict[str, Any]:
    """Measure the parts that were asked for, and return everything that is known about them."""
    settings = Settings.quick() if options.quick else Settings()
    for name in ("rounds", "seconds", "networks"):
        if (value := getattr(options, name)) is not None:
            setattr(settings, name, value)
    peers = [peer for peer in options.peers if installed(peer)]
    for peer in set(options.peers) - set(peers):
        print(f"{peer} is not installed and left out: pip install -e '.[bench]'", file=sys.stderr)
    load = machine.load()
    if load and load[0] > machine.BUSY:
        print(
            f"warning: the load is {load[0]}: other processes are running, and only ratios count",
            file=sys.stderr,
        )
    results = {
        "command": shlex.join(["python", "-m", "benchmarks", *arguments]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": options.quick,
        "settings": {k: v for k, v in vars(settings).items() if k != "started"},
        "machine": machine.describe(),
        "load_before": load,
        "parts": run_parts(options.only, peers, settings),
    }
    return results | {"load_after": machine.load(), "seconds": settings.elapsed()}


def run_parts(only: Sequence[str], peers: list[str], settings: Settings) -> dict[str, Any]:
    """Run the parts; what needs processes of its own comes while no worker is there."""
    parts: dict[str, Any] = {}
    if "first" in only:
        parts["first"] = first.run(peers, settings) | {"imports": first.imports(settings)}
    if "many" in only:
        parts["many"] = many.run(settings)
    if {"steps", "scaling", "small"} & set(only):
        with Workers(peers) as workers:
            if "small" in only:
                parts["small"] = {
                    "fixed_cost": small.fixed_cost(workers, settings),
                    "one_row": small.one_row(workers, settings),
                }
            if "scaling" in only:
                parts["scaling"] = scaling.run(workers, settings)
            if "steps" in only:
                parts["steps"] = steps.run(workers, settings)
    return parts


if __name__ == "__main__":
    sys.exit(main())
