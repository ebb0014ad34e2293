"""Range test: which learning rate suits a network and its rows, found in a hundred updates.

The rate rises evenly on a log scale, update by update (Smith 2017). The loss stays as it is while
the rate is too low to matter, falls while it is good, and shoots up where it is too high. What is
suggested is a tenth of the rate at which the smoothed loss was lowest (Howard and Gugger 2020): at
the lowest itself the rate already does harm. Of the rules in use it was nearest to the best of a
grid in our trials, whatever the optimizer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.arrays import Array, is_number, is_whole
from chainrule.data import batches
from chainrule.engine import Data, Plan, State, choose_engine
from chainrule.engine.contract import LOSS, RATE
from chainrule.losses import Loss
from chainrule.many import DEFAULTS
from chainrule.names import nearest
from chainrule.network import Network
from chainrule.optimizers import LBFGS, Optimizer, get_optimizer
from chainrule.schedules import ExponentialRise
from chainrule.training import make_loop, read_data

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEMORY = 0.9  # of the running mean of the losses
SETTLED = 10  # updates until which that is a mean of too few to judge by
TOO_MUCH = 4.0  # times the best smoothed loss: there the test ends
BACK = 10.0  # from the rate of the lowest loss to the one that is suggested
#: Settings of `train` that the test makes itself, or that act on no single update.
OWN = (
    "schedule", "epochs", "validation", "metric", "patience", "min_delta", "stop_below",
    "stop_rule", "callbacks", "checkpoint", "history", "record_every",
)  # fmt: skip


@dataclass(frozen=True)
class LearningRateTest:
    """What `learning_rate_test` found.

    Attributes
    ----------
    rates, losses, smoothed : ndarray (updates,)
        The rate of each update, the loss of its batch before it, and the running mean of that.
    suggested : float or None
        The rate to train with; None where no rate lowered the loss.
    stopped : str
        Why the test ended.
    """

    rates: Array
    losses: Array
    smoothed: Array
    suggested: float | None
    stopped: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the losses against the rates; see `plots.plot_learning_rate_test`."""
        from chainrule.plots import plot_learning_rate_test

        return plot_learning_rate_test(
            self.rates, self.losses, self.smoothed, self.suggested, ax=ax
        )

    def __repr__(self) -> str:
        rate = "no rate" if self.suggested is None else f"{self.suggested:.2g}"
        return f"LearningRateTest({rate} suggested; {len(self.rates)} updates, {self.stopped})"


def learning_rate_test(
    network: Network,
    X: Any,
    Y: Any,
    *,
    low: float = 1e-6,
    high: float = 10.0,
    steps: int = 100,
    loss: str | Loss = "squared_error",
    optimizer: str | Optimizer = "adam",
    batch_size: int | None = None,
    seed: int = 0,
    weights: Any = None,
    engine: str = "auto",
    n_threads: int | None = None,
    **settings: Any,
) -> LearningRateTest:
    """Train a copy of `network` while the learning rate rises; return the losses it met.

    Parameters
    ----------
    network : Network
        Stays as it is.
    X, Y, loss, optimizer, batch_size, seed, weights, engine, n_threads
        As in `train`. The optimizer's own rate does not matter. Batches that would be smaller
        than the others are left out.
    low, high : float
        The rates of the first and the last update.
    steps : int
        Updates, if the loss does not end the test: when its running mean is above 4 times its
        lowest, or a number is not finite.
    **settings
        What else `train` takes by name and acts on an update: `l1`, `l2`, `dropout`,
        `clip_norm`, …

    Raises
    ------
    ValueError
        For data or settings that do not fit; for L-BFGS, which has no learning rate; and where
        the loss is not finite from the start.

    Examples
    --------
    >>> from chainrule import Network
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 4))
    >>> net = Network([4, 16, 1], "tanh", seed=0)
    >>> test = learning_rate_test(net, X, np.sin(X[:, :1]), optimizer="adam", batch_size=32)
    >>> 0.001 < test.suggested < 0.1
    True
    """
    given = {
        "loss": loss, "optimizer": optimizer, "batch_size": batch_size, "seed": seed,
        "weights": weights, "engine": engine, "n_threads": n_threads, **settings,
    }  # fmt: skip
    _check_settings(optimizer, settings)
    twin = network.copy()
    data, _ = read_data(twin, X, Y, DEFAULTS | given)
    plan = make_loop(twin, data, None, DEFAULTS | given).plan
    return raise_rate(plan, twin, data, (low, high), steps, engine, n_threads)


def raise_rate(
    plan: Plan, twin: Network, data: Data, span: tuple[float, float], steps: int, engine: str,
    n_threads: int | None,
) -> LearningRateTest:  # fmt: skip
    """Train `twin` by the plan, but for its rate, which rises over the `span`; see above."""
    low, high = span
    _check_rise(low, high, steps)
    assert isinstance(plan.optimizer, Optimizer)
    plan = replace(
        plan, schedule=ExponentialRise(high / low), epochs=steps, gradient_accumulation_steps=1,
        optimizer=replace(plan.optimizer, rate=float(high)),
    )  # fmt: skip
    rates, losses, smoothed, stopped = _rise(plan, twin, data, engine, n_threads)
    lowest = SETTLED - 1 + int(smoothed[SETTLED - 1 :].argmin()) if len(rates) > SETTLED else 0
    suggested = float(rates[lowest]) / BACK if lowest >= SETTLED else None
    return LearningRateTest(rates, losses, smoothed, suggested, stopped)


def _rise(
    plan: Plan, twin: Network, data: Data, engine: str, n_threads: int | None
) -> tuple[Array, Array, Array, str]:
    """Make the updates; return rates, losses and smoothed losses, and why it ended."""
    state, met, mean, best = State.start(plan, twin), [], 0.0, inf
    for batch in _endless_batches(plan, data):
        # Each batch is an epoch of its own, so that each has its record.
        chosen, _ = choose_engine(engine, plan, twin, batch, n_threads)
        event = chosen.advance(state, 1, inf)
        if event.kind == "interrupt":
            raise KeyboardInterrupt
        if event.fault is not None:
            stopped = f"a number was not finite {event.fault.place}"
            break
        rate, loss = float(event.records[0, RATE]), float(event.records[0, LOSS])
        mean = MEMORY * mean + (1 - MEMORY) * loss
        smooth = mean / (1 - MEMORY**state.t)  # the mean began at 0
        met.append((rate, loss, smooth))
        best = min(best, smooth) if state.t >= SETTLED else inf
        if smooth > best + (TOO_MUCH - 1) * abs(best):
            stopped = f"the smoothed loss rose above {TOO_MUCH:g} times its lowest at {rate:.2g}"
            break
        if state.t == plan.epochs:
            stopped = f"reached the rate {rate:.3g}"
            break
    if not met:
        raise ValueError(
            f"{stopped} at the first update; expected a network and rows whose loss is finite:"
            " scale inputs and targets, or draw other first weights"
        )
    rates, losses, smoothed = np.array(met).T
    return rates, losses, smoothed, stopped


def _endless_batches(plan: Plan, data: Data) -> Iterator[Data]:
    """Yield the batches of one epoch after another, those that are whole and weigh something."""
    size, epoch = min(plan.batch_size, data.n), 0
    while True:
        for rows in batches(data.n, size, plan.seed, epoch, plan.shuffle):
            w = None if data.weights is None else data.weights[rows]
            if len(rows) == size and (w is None or w.any()):
                yield data if size == data.n else Data(data.X[rows], data.Y[rows], w)
        epoch += 1


def _check_rise(low: Any, high: Any, steps: Any) -> None:
    if not (is_number(low, above=0) and is_number(high, above=low)):
        raise ValueError(f"low={low!r}, high={high!r}: expected numbers with 0 < low < high")
    if not is_whole(steps, 2 * SETTLED):
        raise ValueError(f"steps={steps!r} must be a whole number >= {2 * SETTLED}")


def _check_settings(optimizer: Any, settings: dict[str, Any]) -> None:
    if isinstance(get_optimizer(optimizer), LBFGS):
        raise ValueError(
            "L-BFGS chooses its own steps and has no learning rate to test; take another"
            " optimizer, such as 'adam'"
        )
    for name in settings:
        if name in OWN:
            raise ValueError(f"{name} does not act in a range test; leave it out")
        if name not in DEFAULTS:
            raise TypeError(f"{name!r} is no setting of train{nearest(name, DEFAULTS)}")
