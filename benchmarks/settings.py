"""Settings: how much is measured, in the full run and in the quick one."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from time import perf_counter


@dataclass
class Settings:
    """How much to measure; the full run's by default."""

    rounds: int = 5
    seconds: float = 0.15  # of each run in a round
    networks: int = 6  # the first so many
    optimizers: tuple[str, ...] = ("sgd", "adam")
    dtypes: tuple[str, ...] = ("float32", "float64")
    fresh_rounds: int = 3  # processes started for each figure of a first time
    points: int = 10  # of a curve of cost
    curve_rounds: int = 3
    trainings: int = 10_000
    epochs: int = 20_000  # of each of those
    started: float = 0.0

    @classmethod
    def quick(cls) -> Settings:
        """Return less of everything."""
        return cls(
            rounds=3, seconds=0.02, optimizers=("sgd",), dtypes=("float32",), fresh_rounds=1,
            points=7, curve_rounds=1, trainings=100, epochs=2_000,
        )  # fmt: skip

    def tell(self, line: str) -> None:
        """Say on standard error what is being measured, and how long it has been so far."""
        print(f"{self.elapsed():5.0f} s  {line}", file=sys.stderr, flush=True)

    def elapsed(self) -> float:
        """Return the seconds since this was first asked."""
        self.started = self.started or perf_counter()
        return perf_counter() - self.started
