"""Jitted: JAX, a whole epoch of gathered batches in one compiled scan."""

from __future__ import annotations

from itertools import pairwise
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.cases import MOMENTUM, RATES, Case, Run, make_data

SCAN = 20_000  # steps in one scan where every step sees all rows
SIGMA = {"sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu}
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8

Params = list[tuple[Any, Any]]


def cost(case: Case, params: Params, x: Any, y: Any) -> Any:
    """Return the batch's mean loss, from logits where there are any."""
    for W, b in params[:-1]:
        x = SIGMA[case.hidden](x @ W + b)
    W, b = params[-1]
    z = x @ W + b
    if case.loss == "cross_entropy":
        return -(y * jax.nn.log_softmax(z)).sum(axis=1).mean()
    if case.loss == "binary_cross_entropy":
        return (jnp.logaddexp(0, z) - y * z).mean()
    a = jax.nn.sigmoid(z) if case.output == "sigmoid" else z
    return 0.5 * ((a - y) ** 2).sum(axis=1).mean()


def update(case: Case, state: Any, grads: Params) -> Any:
    """Return the state after a step: parameters, two slots, steps done."""
    params, m, v, t = state
    tree, rate = jax.tree.map, RATES[case.optimizer]
    t = t + 1
    if case.optimizer == "sgd":
        m = tree(lambda m, g: MOMENTUM * m - rate * g, m, grads)
        return tree(jnp.add, params, m), m, v, t
    m = tree(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, grads)
    v = tree(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, grads)
    pace, root = rate / (1 - BETA1**t), jnp.sqrt(1 - BETA2**t)
    params = tree(lambda p, m, v: p - pace * m / (jnp.sqrt(v) / root + EPSILON), params, m, v)
    return params, m, v, t


def first_state(case: Case) -> Any:
    """Return Glorot's first weights, slots of zero, no step done."""
    rng = np.random.default_rng(0)
    params = [
        (
            jnp.asarray(rng.normal(0, (2 / (n_in + n_out)) ** 0.5, (n_in, n_out)), case.dtype),
            jnp.zeros(n_out, case.dtype),
        )
        for n_in, n_out in pairwise(case.sizes)
    ]
    zeros = jax.tree.map(jnp.zeros_like, params)
    slots = zeros, (jax.tree.map(jnp.zeros_like, params) if case.optimizer == "adam" else ())
    return params, *slots, jnp.zeros((), case.dtype)


def train(case: Case) -> tuple[Run, float]:
    """Compile an epoch, then run it; gathering the batches is not counted."""
    jax.config.update("jax_enable_x64", case.dtype == "float64")
    shape = (case.batch,) if case.full_batch else (case.batches, case.batch)
    X, Y = (jnp.asarray(array.reshape(*shape, -1)) for array in make_data(case))
    steps = SCAN if case.full_batch else case.batches

    def epoch(state: Any, X: Any, Y: Any) -> Any:
        def step(state: Any, batch: Any) -> Any:
            x, y = (X, Y) if batch is None else batch
            value, grads = jax.value_and_grad(lambda params: cost(case, params, x, y))(state[0])
            return update(case, state, grads), value

        batches = None if case.full_batch else (X, Y)
        return jax.lax.scan(step, state, batches, length=steps)

    first = first_state(case)
    started = perf_counter()
    compiled = jax.jit(epoch, donate_argnums=0).lower(first, X, Y).compile()
    compile_seconds = perf_counter() - started

    def run(epochs: int) -> tuple[float, int]:
        state = jax.block_until_ready(jax.tree.map(lambda a: jnp.array(a, copy=True), first))
        calls = -(-epochs * case.batches // steps)
        started = perf_counter()
        for _ in range(calls):
            state, losses = compiled(state, X, Y)
        jax.block_until_ready((state, losses))
        return perf_counter() - started, calls * steps

    return run, compile_seconds
