"""Product: the machine's rate, measured with a matrix product of NumPy's."""

from __future__ import annotations

from time import perf_counter

import numpy as np
from threadpoolctl import ThreadpoolController

from benchmarks.cases import Case, Run, make_data

SIZE = 2048


def multiply(case: Case, n_threads: int) -> tuple[Run, None]:
    """Multiply two square matrices in the case's dtype; a unit is one operation of 2·size³."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((SIZE, SIZE), dtype=case.dtype) for _ in range(2))
    out, pools = np.empty_like(a), ThreadpoolController()

    def run(products: int) -> tuple[float, int]:
        with pools.limit(limits=n_threads):
            started = perf_counter()
            for _ in range(products):
                np.matmul(a, b, out=out)
            return perf_counter() - started, products * 2 * SIZE**3

    return run, None


def train(case: Case) -> tuple[Run, None]:
    """Train nothing: what Python, NumPy and the data cost by themselves."""
    data = make_data(case)

    def run(epochs: int) -> tuple[float, int]:
        return 0.0, len(data[0])

    return run, None
