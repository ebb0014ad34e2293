"""First: time to the first result, and the most memory, of a process that does nothing else.

The process imports a library, compiles what it compiles, and fits one epoch.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.cases import NETWORKS, Case, thread_counts
from benchmarks.settings import Settings
from benchmarks.workers import ROOT, PeerError

#: What is said of each -> peer and variant. NumPy trains nothing: it is what all the others need.
FRESH: dict[str, tuple[str, dict[str, Any]]] = {
    "chainrule": ("chainrule", {"engine": "native", "n_threads": None}),
    "scikit-learn": ("scikit-learn", {}),
    "PyTorch": ("PyTorch", {"n_threads": max(thread_counts())}),
    "JAX": ("JAX", {}),
    "NumPy and the data alone": ("NumPy", {}),
}
IMPORTS = {
    "scikit-learn's networks": "import sklearn.neural_network",
    "chainrule's estimators after them": (
        "import sklearn.neural_network; from chainrule import MLPClassifier, MLPRegressor"
    ),
    "chainrule's networks alone": "from chainrule import Network, train",
    "NumPy": "import numpy",
    "Python": "pass",
}


def run(peers: list[str], settings: Settings) -> dict[str, Any]:
    """Measure in turn, a fresh process each time."""
    small, large = NETWORKS[2], NETWORKS[-1]
    settings.tell("memory")
    chosen, memory, errors = {}, {}, {}
    for name, spec in FRESH.items():
        if spec[0] in peers:
            try:
                memory[name] = fresh(*spec, large)["peak_bytes"]
                chosen[name] = spec
            except PeerError as error:
                errors[name] = str(error)
    result: dict[str, list[dict[str, float]]] = {name: [] for name in chosen}
    for turn in range(settings.fresh_rounds):
        settings.tell(f"first result, round {turn + 1}")
        for name, spec in chosen.items():
            result[name].append(fresh(*spec, small))
    return {
        "case": small.as_json(),
        "memory_case": large.as_json(),
        "first_result": {
            name: {"seconds": median(each["wall"] for each in rounds), "rounds": rounds}
            for name, rounds in result.items()
        },
        "peak_bytes": memory,
        "errors": errors,
    }


def imports(settings: Settings) -> dict[str, Any]:
    """Measure what imports take, in processes of their own and in turn; seconds."""
    rounds: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for turn in range(settings.fresh_rounds):
        settings.tell(f"imports, round {turn + 1}")
        for name, statement in IMPORTS.items():
            started = perf_counter()
            subprocess.run([sys.executable, "-c", statement], check=True, cwd=ROOT)
            rounds[name].append(perf_counter() - started)
    return {name: {"median": median(each), "rounds": each} for name, each in rounds.items()}


def fresh(peer: str, variant: dict[str, Any], case: Case) -> dict[str, float]:
    """Fit one epoch in a fresh process; return its seconds, inside and from outside, and bytes."""
    command = [sys.executable, "-m", "benchmarks.first", peer]
    command += [json.dumps(variant), json.dumps(case.as_json())]
    started = perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        line = process.stdout.readline()
        wall = perf_counter() - started  # what the process does at its end is not waited for
    if not line:
        raise PeerError(f"{peer} ended with status {process.returncode}")
    return {"wall": wall} | json.loads(line)


def peak_bytes() -> int:
    """Return the most memory that this process has held.

    Linux says it of this process alone; getrusage also counts what its parent held when it forked.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = (line.split() for line in status.read_text().splitlines())
        return next(int(words[1]) * 1024 for words in lines if words[0] == "VmHWM:")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def main(peer: str, variant: str, case: str) -> None:
    """Be the fresh process."""
    from importlib import import_module

    from benchmarks.peers import PEERS

    started = perf_counter()
    module = import_module(f"benchmarks.peers.{PEERS[peer][0]}")
    imported = perf_counter()
    run, compile_seconds = module.train(Case.from_json(json.loads(case)), **json.loads(variant))
    fit_seconds, _ = run(1)
    print(
        json.dumps(
            {
                "import": imported - started,
                "compile": compile_seconds or 0.0,
                "fit": fit_seconds,
                "peak_bytes": peak_bytes(),
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
