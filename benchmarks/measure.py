"""Measure: how often to run, in what order, and what to make of the numbers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from statistics import median
from typing import Any

import numpy as np

from benchmarks.cases import Case
from benchmarks.workers import PeerError, Workers

PAUSE = 0.01  # seconds in which threads of the last one go to sleep


@dataclass
class Contestant:
    """One way to do something, and how long it took in each round."""

    name: str
    peer: str
    case: Case
    what: str = "train"
    variant: dict[str, Any] = field(default_factory=dict)
    count: int = 1  # epochs or calls in a round
    compile_seconds: float | None = None
    rounds: list[float] = field(default_factory=list)  # seconds per unit
    error: str = ""

    @property
    def median(self) -> float:
        """Seconds per unit: the median of the rounds."""
        return median(self.rounds) if self.rounds else float("nan")

    def as_json(self) -> dict[str, Any]:
        """Return what is written to the file: raw rounds and their median."""
        told = {"peer": self.peer, "what": self.what, "variant": self.variant}
        if self.error:
            return told | {"error": self.error}
        told |= {"count": self.count, "median": self.median, "rounds": self.rounds}
        if self.compile_seconds is not None:
            told["compile_seconds"] = self.compile_seconds
        return told


def measure(
    workers: Workers, contestants: Sequence[Contestant], rounds: int, seconds: float
) -> None:
    """Let all contestants run in turn, `rounds` times, each about so many seconds a time.

    Who begins changes from round to round. One that fails is left out and keeps the reason.
    """
    keys = dict(zip(map(str, count()), contestants, strict=False))
    for key, each in keys.items():
        try:
            each.compile_seconds = workers[each.peer].prepare(
                key, each.what, each.case, each.variant
            )
            each.count = calibrate(workers, key, each, seconds)
        except PeerError as error:
            each.error = str(error)
    running = [(key, each) for key, each in keys.items() if not each.error]
    for turn in range(rounds):
        shift = turn % len(running) if running else 0
        for key, each in running[shift:] + running[:shift]:
            time.sleep(PAUSE)
            taken, units = workers[each.peer].run(key, each.count)
            each.rounds.append(taken / units)
    for peer in {each.peer for _, each in running}:
        workers[peer].forget()


def calibrate(workers: Workers, key: str, each: Contestant, seconds: float) -> int:
    """Warm up; return how often to run in a round of about so many seconds."""
    worker, times = workers[each.peer], 1
    worker.run(key, times)  # loads what is loaded late
    taken, _ = worker.run(key, times)
    while taken < seconds / 8 and times < 10**7:
        times = int(times * min(100, max(2, seconds / 4 / max(taken, 1e-7))))
        taken = min(worker.run(key, times)[0] for _ in range(2))  # a hiccup is no work
    return max(1, round(times * seconds / taken))


def slope(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Return the exponent p and the factor c of the power law y = c·xᵖ nearest in log-log."""
    p, log_c = np.polyfit(np.log(x), np.log(y), 1)
    return float(p), float(np.exp(log_c))


def intercept(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Return a and b of y = a + b·x, by least squares of the relative errors."""
    b, a = np.polyfit(x, y, 1, w=1 / np.asarray(y))
    return float(a), float(b)
