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
class Tape:
    """What an L-BFGS run has seen, so that it can be repeated without computing it anew.

    The search is a function of where it began and of the costs and gradients it met, so one that
    is fed the same ones ends up, bit for bit, where it stood. Those beyond `most` bytes are not
    kept: a repeated run computes them again, which takes as long as it did.
    """

    first: Array  # parameters at the begin
    iterations: int = 0  # complete when it was kept; they are not looked at again
    costs: list[float] = field(default_factory=list)
    gradients: list[Array] = field(default_factory=list)  # one for each of `costs`
    reached: Array | None = None  # parameters after those iterations
    most: int = 2**26

    def add(self, cost: float, gradient: Array) -> None:
        """Note an evaluation, while there is room."""
        if (len(self.costs) + 1) * gradient.nbytes <= self.most:
            self.costs.append(cost)
            self.gradients.append(gradient.copy())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; `of` makes a tape of them again."""
        gradients = np.array(self.gradients, self.first.dtype).reshape(-1, self.first.size)
        costs = np.array(self.costs, np.float64)
        return {
            "first": self.first, "iterations": self.iterations, "costs": costs,
            "gradients": gradients,
        }  # fmt: skip

    @classmethod
    def of(cls, values: dict[str, Any]) -> Tape:
        """Return the tape that `to_dict` described."""
        gradients = list(values["gradients"])
        return cls(values["first"], values["iterations"], values["costs"].tolist(), gradients)

    def refuse_otherwise(self, theta: Array) -> None:
        """Raise ValueError unless the repeated iterations came to where they had come before."""
        if self.reached is not None and not np.array_equal(self.reached, theta):
            raise ValueError(
                f"L-BFGS cannot go on: its first {self.iterations} iterations, repeated, came out"
                " otherwise. Resume with the SciPy and on the kind of processor that began it"
            )


@dataclass
class Objective:
    """The cost as SciPy wants it, with a record of every iteration."""

    engine: Engine
    network: Network
    plan: Plan
    look: Callable[[Array], bool]
    left: Callable[[], float]
    tape: Tape | None = None
    evaluations: int = 0
    iterations: int = 0
    stop_reason: str = ""
    started: float = field(default_factory=perf_counter)

    def __post_init__(self) -> None:
        self.reached = self.network.theta.copy()  # parameters after the last iteration
        self.repeated = 0 if self.tape is None else self.tape.iterations
        self.known = 0 if self.tape is None else len(self.tape.costs)

    def cost_and_gradient(self, theta: Array) -> tuple[float, Array]:
        """Return cost and gradient at `theta`; raise OutOfTime, the only way to end a search along
        a line, with the parameters of the last iteration.
        """
        if self.iterations >= self.repeated and self.left() <= 0:
            self.network.theta[:] = self.reached
            raise OutOfTime
        return self.evaluate(theta)

    def evaluate(self, theta: Array) -> tuple[float, Array]:
        """Return cost and gradient at `theta`, which becomes the network's parameters."""
        self.network.theta[:] = theta
        self.evaluations += 1
        self.at = theta.copy()
        if self.tape is not None and self.evaluations <= self.known:
            place = self.evaluations - 1
            return self.tape.costs[place], self.tape.gradients[place].astype(np.float64)
        cost, self.gradients = self.engine.cost_and_gradient()
        if self.tape is not None:
            self.tape.add(cost, self.gradients.flat)
        return cost, self.gradients.flat.astype(np.float64)

    def after_iteration(self, intermediate_result: Any) -> None:
        """Let the loop look at the iteration; raise StopIteration, as SciPy asks, to stop."""
        if not np.array_equal(self.at, intermediate_result.x):  # the line search looked further
            self.evaluate(intermediate_result.x)
        self.reached = self.at
        self.iterations += 1
        if self.tape is not None and self.iterations <= self.repeated:
            if self.iterations == self.repeated:
                self.tape.refuse_otherwise(self.network.theta)
            return
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
    tape: Tape | None = None,
) -> str:
    """Minimise the cost over `network.theta` in place; return why it ended, or nothing when no
    seconds were `left`, which is asked before each evaluation.

    `look` sees every iteration as an epoch's record (1, columns), and returns True to stop. On the
    `tape`, if there is one, is what came before, which is repeated without a look; it goes on.
    """
    from scipy.optimize import minimize  # a third of a second that other optimizers do without

    optimizer = plan.optimizer
    assert isinstance(optimizer, LBFGS)
    objective = Objective(engine, network, plan, look, left, tape)
    try:
        result = minimize(
            objective.cost_and_gradient,
            (network.theta if tape is None else tape.first).astype(np.float64),
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
    if tape is not None and objective.iterations < objective.repeated:
        tape.refuse_otherwise(network.theta)
    why = str(result.message).strip().rstrip(".").lower()
    return objective.stop_reason or f"L-BFGS: {why}"
