"""Contract: what the training loop asks of an engine, and what an engine may rely on.

A *plan* says what to do and never changes; a *state* is everything that does, apart from the
network's parameters. An engine advances the state until the next event and returns it. Nothing
above this line knows how a step is executed, and a checkpoint is plan + parameters + state.

An update is never cut in two, so a state is always between two of them. Where parameters are
averaged (`Plan.ema_decay`) the network has their mean, which is what is looked at, measured, kept
and returned; the parameters that move are the state's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Literal, Protocol

import numpy as np

from chainrule.arrays import Array, aligned_zeros
from chainrule.losses import Loss
from chainrule.network import Gradients, Network, Trace
from chainrule.optimizers import LBFGS, Optimizer
from chainrule.penalties import Penalty
from chainrule.schedules import PlateauMemory, Schedule


@dataclass(frozen=True)
class Data:
    """Rows to learn from: X (n, inputs), Y (n, outputs), weights (n,) or None for all 1."""

    X: Any
    Y: Array
    weights: Array | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.X.shape[0])


#: The record of an epoch, a row of numbers: these, then for each layer the root mean square of its
#: gradient's norm over the updates, before clipping. Losses are those that were minimised, as met
#: on the way; the worst row's is measured only where the stopping rule asks for it, else 0.
COLUMNS = ("epoch", "updates", "loss", "worst_row", "rate", "seconds")
EPOCH, UPDATES, LOSS, WORST_ROW, RATE, SECONDS = range(len(COLUMNS))


@dataclass(frozen=True)
class Plan:
    """What a training is to do. `training.train` documents each entry."""

    loss: Loss
    optimizer: Optimizer | LBFGS
    schedule: Schedule
    penalty: Penalty
    batch_size: int
    epochs: int
    seed: int = 0
    shuffle: bool = True
    dropout: tuple[float, ...] = ()  # share of what each layer is fed that drops out
    clip_value: float | None = None
    clip_norm: float | None = None
    weight_decay: float = 0.0  # decoupled, of weights; see optimizers.decayed
    gradient_accumulation_steps: int = 1  # batches of one update
    ema_decay: float | None = None  # of the parameters' moving average; see optimizers.averaged
    stop_below: float | None = None
    stop_rule: Literal["mean", "every_row"] = "mean"

    @property
    def rows_per_update(self) -> int:
        """Rows of one update: as batches that are averaged are one large batch, in pieces."""
        return self.batch_size * self.gradient_accumulation_steps

    def updates_per_epoch(self, n: int) -> int:
        """Return how many updates an epoch of n rows has; the last may have fewer rows."""
        return -(-n // self.rows_per_update)

    def rate(self, t: int, per_epoch: int) -> float:
        """Return the learning rate of update t, of `per_epoch` in an epoch, before the state's
        factor: the optimizer's rate times the schedule's factor."""
        assert isinstance(self.optimizer, Optimizer)
        factor = self.schedule.factor(t, per_epoch, per_epoch * self.epochs)
        return self.optimizer.rate * factor

    def reached(self, record: Sequence[float]) -> bool:
        """Tell whether the epoch's loss is under the threshold, by the plan's rule."""
        if self.stop_below is None:
            return False
        return record[WORST_ROW if self.stop_rule == "every_row" else LOSS] < self.stop_below


@dataclass
class State:
    """Where a training stands. All of it is plain numbers and vectors."""

    slots: list[Array]
    norm_squares: list[float]  # of each layer's gradient, summed over the epoch under way
    t: int = 0  # updates done
    epoch: int = 0  # epochs completed
    batch: int = 0  # updates done in the epoch under way, those without weight too; its sums:
    epoch_updates: int = 0
    loss_sum: float = 0.0
    weight_sum: float = 0.0
    worst_row: float = 0.0
    seconds: float = 0.0
    plateau: PlateauMemory = field(default_factory=PlateauMemory)
    best: float = inf  # lowest loss of an epoch so far
    best_epoch: int = 0  # 0: none yet
    best_theta: Array | None = None  # parameters at that epoch's end; None: nobody wants them
    raw: Array | None = None  # with plan.ema_decay: parameters that move; the network has the mean

    @classmethod
    def start(cls, plan: Plan, network: Network) -> State:
        """Return the state before the first update."""
        slots = []
        if isinstance(plan.optimizer, Optimizer):
            for name in plan.optimizer.slots:
                slot = aligned_zeros(network.theta.size, network.dtype)
                slot[:] = plan.optimizer.first_slot(name)
                slots.append(slot)
        state = cls(slots, norm_squares=[0.0] * len(network.layers))
        state.average_as(plan, network)
        return state

    def average_as(self, plan: Plan, network: Network) -> None:
        """Begin to average, go on, or leave off, as the plan asks; what moved goes on moving.

        `raw` is then a vector of this state's own, so that a training that fails spoils no other.
        """
        moving = network.theta if self.raw is None else self.raw
        if plan.ema_decay is None:
            network.theta[:], self.raw = moving, None
        else:
            self.raw = aligned_zeros(moving.size, network.dtype)
            self.raw[:] = moving


@dataclass(frozen=True)
class Fault:
    """A number that is not finite: in which update, where, and of what kind."""

    step: int
    place: str


ONE_BATCH = -1.0  # seconds after which any engine comes back: those of one batch

Call = tuple[State, int, float, int]  # what an engine's `advance` takes

EventKind = Literal["epochs", "time", "threshold", "fault", "interrupt"]


@dataclass(frozen=True)
class Event:
    """Why an engine came back, and the epochs since it was asked, those that are recorded.

    "epochs" is between two epochs, "time" within one, "interrupt" after the user's Ctrl-C.
    """

    kind: EventKind
    records: Array  # a row per epoch: COLUMNS, then the layers' norms
    fault: Fault | None = None


def layer_name(network: Network, l: int) -> str:
    """Return how messages call layer `l`, such as "layer 1 of 2 (3 → 4)"."""
    n_in, n_out = network.layers[l].W.shape
    return f"layer {l + 1} of {len(network.layers)} ({n_in} → {n_out})"


def fault_place(network: Network, trace: Trace, gradients: Gradients) -> str:
    """Name where the first number that is not finite arose, in a pass forward and back."""
    for l, (z, a) in enumerate(zip(trace.Z, trace.A[1:], strict=True)):
        if not (np.isfinite(z).all() and np.isfinite(a).all()):
            return f"in the outputs of {layer_name(network, l)}"
    for l in reversed(range(len(trace.Z))):
        if not np.isfinite(gradients.dW[l]).all():
            return f"in the gradient of {layer_name(network, l)}"
    return f"in the loss of {layer_name(network, len(trace.Z) - 1)}"


class Engine(Protocol):
    """One way to execute a plan on a network and its data."""

    name: str

    def advance(self, state: State, epochs: int, seconds: float, every: int = 1) -> Event:
        """Go on until `epochs` more are complete, about `seconds` have passed, the plan's
        threshold is reached, or a number is not finite; change `state` and the parameters. With
        ONE_BATCH seconds it goes on for one batch. Record the epochs whose number `every` divides,
        and the last that is complete.

        How much is asked for at once changes no bit of what comes out."""
        ...

    def evaluate(self, data: Data) -> tuple[float, Array]:
        """Return the loss without penalty and the outputs (n, outputs) on `data`."""
        ...

    def cost_and_gradient(self) -> tuple[float, Gradients]:
        """Return cost and gradient on all rows, penalty included, at the current parameters."""
        ...

    def locate(self) -> str:
        """Name where the first number that is not finite arises, in a pass over all rows."""
        ...
