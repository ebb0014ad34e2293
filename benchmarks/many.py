"""Many: thousands of half adders trained over the cores, by `chainrule.fit_many`."""

from __future__ import annotations

import json
import subprocess
import sys
from time import perf_counter
from typing import Any

from benchmarks.settings import Settings
from benchmarks.workers import ROOT

X = [[0, 0], [0, 1], [1, 0], [1, 1]]
Y = [[0, 0], [1, 0], [1, 0], [0, 1]]


def run(settings: Settings) -> dict[str, Any]:
    """Train in a process of its own, so that nothing of it stays."""
    settings.tell(f"{settings.trainings:,} half adders of {settings.epochs:,} epochs")
    sizes = [str(settings.trainings), str(settings.epochs)]
    command = [sys.executable, "-m", "benchmarks.many", *sizes]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    if done.returncode:
        return {"skipped": f"it failed with status {done.returncode}; standard error tells why"}
    return json.loads(done.stdout.splitlines()[-1])


def main(trainings: int, epochs: int) -> dict[str, Any]:
    """Make the networks, train them, and see how many have learnt to add."""
    import numpy as np

    import chainrule

    if not hasattr(chainrule, "fit_many"):
        return {"skipped": "this chainrule has no fit_many"}
    started = perf_counter()
    networks = [
        chainrule.Network(
            [2, 2, 2], ["sigmoid", "sigmoid"], initializers="uniform", seed=seed, dtype="float32"
        )
        for seed in range(trainings)
    ]
    made = perf_counter()
    chainrule.fit_many(
        networks, X, Y, optimizer=chainrule.SGD(0.5, momentum=0.9), epochs=epochs,
        batch_size=4, shuffle=False, engine="native", record_every=epochs,
    )  # fmt: skip
    trained = perf_counter()
    right = sum(bool((network.predict(X).round() == np.array(Y)).all()) for network in networks)
    return {
        "trainings": trainings,
        "epochs": epochs,
        "making_seconds": made - started,
        "seconds": trained - made,
        "share_right": right / trainings,
    }


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:]))))
