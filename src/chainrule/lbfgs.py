"""L-BFGS: the whole cost at once, minimised by SciPy with our cost and gradient."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
from scipy.optimize import minimize

from chainrule.arrays import Array
from chainrule.engine import Engine, EpochRecord, Plan
from chainrule.engine.reference import layer_norms
from chainrule.network import Network
from chainrule.optimizers import LBFGS


def minimise(
    engine: Engine, network: Network, plan: Plan, look: Callable[[EpochRecord], bool]
) -> str:
    """Minimise the cost over `network.theta` in place; return why it ended.

    `look` sees every iteration as an epoch, and returns True to stop.
    """
    optimizer = plan.optimizer
    assert isinstance(optimizer, LBFGS)
    started, stop_reason = perf_counter(), ""
    count = {"evaluations": 0, "iterations": 0}

    def cost_and_gradient(theta: Array) -> tuple[float, Array]:
        network.theta[:] = theta
        count["evaluations"] += 1
        cost, gradients = engine.cost_and_gradient()
        return cost, gradients.flat.astype(np.float64)

    def after_iteration(intermediate_result: Any) -> None:
        nonlocal started, stop_reason
        network.theta[:] = intermediate_result.x
        _, gradients = engine.cost_and_gradient()
        count["iterations"] += 1
        record = EpochRecord(
            epoch=count["iterations"],
            updates=count["evaluations"],
            loss=float(intermediate_result.fun),
            worst_row=0.0,
            rate=float("nan"),
            layer_gradient_norms=layer_norms(gradients),
            seconds=perf_counter() - started,
        )
        started = perf_counter()
        if look(record):
            stop_reason = "a callback stopped it"
        elif plan.reached(record):
            stop_reason = f"loss fell below {plan.stop_below:g} ({plan.stop_rule})"
        if stop_reason:
            raise StopIteration

    result = minimize(
        cost_and_gradient,
        network.theta.astype(np.float64),
        method="L-BFGS-B",
        jac=True,
        callback=after_iteration,
        options={
            "maxiter": plan.epochs,
            "maxfun": optimizer.max_evaluations,
            "gtol": optimizer.tolerance,
            "ftol": np.finfo(network.dtype).eps,  # only where the cost no longer changes
            "maxcor": optimizer.memory,
        },
    )
    network.theta[:] = result.x
    return stop_reason or f"L-BFGS: {str(result.message).strip().rstrip('.').lower()}"
