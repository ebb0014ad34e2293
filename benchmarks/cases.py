"""Cases: the networks that every library trains, their data, and the arithmetic they need."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

#: Runs a prepared case so many times (epochs, calls, products); returns seconds and units done.
Run = Callable[[int], tuple[float, int]]

RATES = {"sgd": 1e-3, "adam": 1e-4}  # of learning; small, so that no library diverges
MOMENTUM = 0.9


@dataclass(frozen=True)
class Case:
    """A network with all that a library must know to train it; an epoch is whole batches."""

    name: str
    sizes: tuple[int, ...]
    hidden: str
    output: str
    loss: str
    batch: int
    batches: int
    optimizer: str = "sgd"
    dtype: str = "float32"

    @property
    def rows(self) -> int:
        """Rows of data."""
        return self.batch * self.batches

    @property
    def full_batch(self) -> bool:
        """Whether every step sees all rows, so that there is nothing to shuffle."""
        return self.batches == 1

    @property
    def flops(self) -> int:
        """Floating-point operations of a step's matrix products.

        F = Σ 6·B·n_in·n_out − 2·B·n₀·n₁: forward, dW and δ for each layer, without the first δ.
        """
        products = [n_in * n_out for n_in, n_out in pairwise(self.sizes)]
        return self.batch * (6 * sum(products) - 2 * products[0])

    def of(self, **changes: Any) -> Case:
        """Return the same case with some things changed."""
        return replace(self, **changes)

    def as_json(self) -> dict[str, Any]:
        """Return the fields as plain values; `Case.from_json` reads them."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Case:
        """Return the case that `as_json` wrote."""
        return cls(**fields | {"sizes": tuple(fields["sizes"])})


#: The six networks of the tables: from all overhead to all arithmetic.
NETWORKS = (
    Case("2-2-2 sigmoid, 4", (2, 2, 2), "sigmoid", "sigmoid", "squared_error", 4, 1),
    Case("2-3-5-8-1 sigmoid, 5", (2, 3, 5, 8, 1), "sigmoid", "identity", "squared_error", 5, 2000),
    Case("20-64-64-1 relu, 64", (20, 64, 64, 1), "relu", "identity", "squared_error", 64, 200),
    Case(
        "100-256-256-256-1 relu, 256",
        (100, 256, 256, 256, 1), "relu", "identity", "squared_error", 256, 20,
    ),
    Case(
        "784-196-1 sigmoid, 128",
        (784, 196, 1), "sigmoid", "sigmoid", "binary_cross_entropy", 128, 40,
    ),
    Case(
        "784-512-256-10 relu, 256",
        (784, 512, 256, 10), "relu", "softmax", "cross_entropy", 256, 12,
    ),
)  # fmt: skip


def is_arithmetic(case: Case) -> bool:
    """Return whether arithmetic outweighs all else, by a rule fixed beforehand.

    A step needs at least 1e6 operations, and uses each weight for at least 32 rows.
    """
    return case.flops >= 1e6 and case.batch >= 32


def make_data(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return X (rows, inputs) and Y (rows, outputs), the same in every process."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((case.rows, case.sizes[0]), dtype=case.dtype)
    if case.loss == "cross_entropy":
        labels = rng.integers(case.sizes[-1], size=case.rows)
        return X, np.eye(case.sizes[-1], dtype=case.dtype)[labels]
    return X, rng.integers(2, size=(case.rows, case.sizes[-1])).astype(case.dtype)


def estimator_targets(case: Case, Y: np.ndarray) -> np.ndarray:
    """Return Y as an estimator wants it: labels for classes, a column as a vector."""
    if case.loss == "cross_entropy":
        return Y.argmax(axis=1)
    return Y[:, 0] if Y.shape[1] == 1 else Y


def thread_counts() -> list[int]:
    """Return the numbers of threads to try: one, and as many as there are cores for us."""
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return sorted({1, cores})
