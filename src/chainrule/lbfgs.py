"""L-BFGS: the whole cost at once, minimised by SciPy with our cost and gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.engine import Engine, Plan
from chainrule.network import Network
from chainrule.optimizers import LBFGS


class OutOfTime(Exception):
    """There is no time left for another evaluation."""


@dataclass
class Objective:
    """The cost as SciPy wants it, with a record of every iteration."""

    engine: Engine
    network: Network
    plan: Plan
    look: Callable[[Array], bool]
    left: Callable[[], float]
    evaluations: int = 0
    iterations: int = 0
    stop_reason: str = ""
    started: float = field(default_factory=perf_counter)

    def __post_init__(self) -> None:
        self.reached = self.network.theta.copy()  # parameters after the last iteration

    def cost_and_gradient(self, theta: Array) -> tuple[float, Array]:
        """Return cost and gradient at `theta`; raise OutOfTime, the only way to end a search along
        a line, with the parameters of the last iteration.
        """
        if self.left() <= 0:
            self.network.theta[:] = self.reached
            raise OutOfTime
        return self.evaluate(theta)

    def evaluate(self, theta: Array) -> tuple[float, Array]:
        """Return cost and gradient at `theta`, which becomes the network's parameters."""
        self.network.theta[:] = theta
        self.evaluations += 1
        cost, self.gradients = self.engine.cost_and_gradient()
        self.at = theta.copy()
        return cost, self.gradients.flat.astype(np.float64)

    def after_iteration(self, intermediate_result: Any) -> None:
        """Let the loop look at the iteration; raise StopIteration, as SciPy asks, to stop."""
        if not np.array_equal(self.at, intermediate_result.x):  # the line search looked further
            self.evaluate(intermediate_result.x)
        self.reached = self.at
        self.iterations += 1
        loss, seconds = float(intermediate_result.fun), perf_counter() - self.started
        record = [self.iterations, self.evaluations, loss, 0.0, np.nan, seconds]  # by COLUMNS
        record += self.gradients.layer_norms()
        self.started = perf_counter()
        if self.look(np.array([record])):
            self.stop_reason = "a callback stopped it"
        elif self.plan.reached(record):
            below = self.plan.stop_below
            self.stop_reason = f"loss fell below {below:g} ({self.plan.stop_rule})"
        if self.stop_reason:
            raise StopIteration


def minimise(
    engine: Engine,
    network: Network,
    plan: Plan,
    look: Callable[[Array], bool],
    left: Callable[[], float],
) -> str:
    """Minimise the cost over `network.theta` in place; return why it ended, or nothing when no
    seconds were `left`, which is asked before each evaluation.

    `look` sees every iteration as an epoch's record (1, columns), and returns True to stop.
    """
    from scipy.optimize import minimize  # a third of a second that other optimizers do without

    optimizer = plan.optimizer
    assert isinstance(optimizer, LBFGS)
    objective = Objective(engine, network, plan, look, left)
    try:
        result = minimize(
            objective.cost_and_gradient,
            network.theta.astype(np.float64),
            method="L-BFGS-B",
            jac=True,
            callback=objective.after_iteration,
            options={
                "maxiter": plan.epochs,
                "maxfun": optimizer.max_evaluations,
                "gtol": optimizer.tolerance,
                "ftol": np.finfo(network.dtype).eps,  # only where the cost no longer changes
                "maxcor": optimizer.memory,
            },
        )
    except OutOfTime:
        return ""
    network.theta[:] = result.x
    why = str(result.message).strip().rstrip(".").lower()
    return objective.stop_reason or f"L-BFGS: {why}"
