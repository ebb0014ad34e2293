"""A family of native trainings, from numbered seeds: every table, both precisions, odd sizes.

It needs no test tool, so that it runs in a bare process: guarded, recorded, or under a checker.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from chainrule.activations import ACTIVATIONS
from chainrule.engine import Data, Plan, State
from chainrule.engine.native import NativeEngine
from chainrule.initializers import Uniform
from chainrule.losses import LOSSES
from chainrule.network import Network
from chainrule.optimizers import OPTIMIZERS
from chainrule.penalties import Penalty
from chainrule.schedules import SCHEDULES

STEPPING = sorted(set(OPTIMIZERS) - {"lbfgs"})


def training(seed: int, instruction_set: str | None = None) -> tuple[NativeEngine, State, Data]:
    """Return an engine, its state, and rows to evaluate."""
    rng = np.random.default_rng(seed)
    dtype = "float64" if seed % 2 else "float32"
    sizes = [int(rng.choice([1, 2, 3, 7, 8, 16, 17, 33, 64, 70])) for _ in range(2 + seed % 4)]
    loss = LOSSES[sorted(LOSSES)[seed % len(LOSSES)]]()
    sizes[-1] = loss.outputs_per_target * (sizes[-1] + loss.rows_sum_to_one)
    names = [sorted(ACTIVATIONS)[(seed + l) % len(ACTIVATIONS)] for l in range(len(sizes) - 2)]
    scale = 0.5 / max(sizes) ** 0.5
    network = Network(
        sizes, [*names, loss.output], initializers=Uniform(-scale, scale),
        seed=seed, dtype=dtype,
    )  # fmt: skip
    n = int(rng.choice([1, 5, 24, 25, 80, 265, 300]))
    optimizer = OPTIMIZERS[STEPPING[seed % len(STEPPING)]](rate=1e-3)
    schedules = sorted(SCHEDULES)
    plan = Plan(
        loss=loss,
        optimizer=optimizer,
        schedule=SCHEDULES[schedules[seed % len(schedules)]](),
        penalty=Penalty(1e-3, 0.01, 0.3, biases=True) if seed % 3 == 0 else Penalty(),
        batch_size=n if optimizer.full_batch else int(rng.integers(1, n + 1)),
        epochs=3,
        seed=seed,
        shuffle=seed % 5 != 0,
        dropout=(0.2 * (seed % 8 > 2), *[0.3 * int(rng.integers(2)) for _ in sizes[2:]]),
        clip_value=1.0 if seed % 4 == 1 else None,
        clip_norm=0.1 if seed % 4 == 2 else None,
        weight_decay=0.1 * (seed % 5 == 1),
        gradient_accumulation_steps=1 + seed % 3,
        ema_decay=0.9 if seed % 5 > 2 else None,
        stop_rule="every_row" if seed % 7 == 0 else "mean",
    )

    def rows(count: int) -> Data:
        Y = rng.uniform(0.1, 1.0, (count, sizes[-1]))
        Y /= Y.sum(axis=1, keepdims=True) if loss.rows_sum_to_one else 1.0
        weights = rng.uniform(0, 2, count).astype(dtype) if seed % 3 else None
        X = rng.normal(size=(count, sizes[0])).astype(dtype)
        if seed // 2 % 4 == 1:
            X = csr_array(X * (rng.uniform(size=X.shape) < 0.2).astype(dtype))
        return Data(X, Y.astype(dtype), weights)

    engine = NativeEngine(plan, network, rows(n), None, instruction_set)
    engine.job.threads = 1 + seed % 4
    return engine, State.start(plan, network), rows(int(rng.integers(1, 40)))


def bits(seed: int, instruction_set: str | None = None) -> list[bytes]:
    """Train two epochs in two calls, evaluate, take the gradient of all rows; return it all."""
    engine, state, other = training(seed, instruction_set)
    for _ in range(2):
        engine.advance(state, 1, 60.0)
    outputs = engine.evaluate(other)[1]
    gradient = engine.cost_and_gradient()[1].flat
    raw = [] if state.raw is None else [state.raw]
    return [a.tobytes() for a in (engine.network.theta, *raw, *state.slots, outputs, gradient)]
