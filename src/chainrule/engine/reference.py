"""The reference engine: NumPy, readable, any activation and loss, float64 or float32."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from math import sqrt
from threading import Lock
from time import perf_counter
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from chainrule.arrays import Array, pieces
from chainrule.data import Rows, batches
from chainrule.engine.contract import (
    COLUMNS,
    EPOCH,
    Data,
    Event,
    EventKind,
    Fault,
    Plan,
    State,
    fault_place,
    layer_name,
)
from chainrule.network import (
    NO_PENALTY,
    Dense,
    Gradients,
    Network,
    Trace,
    add_penalty,
    backpropagate,
    propagate,
    row_losses,
    total_cost,
)
from chainrule.network import norm as euclidean
from chainrule.optimizers import Optimizer, averaged, decayed
from chainrule.penalties import Penalty
from chainrule.randomness import dropout_mask

SMALL_STEP = 1e9  # flops; below, OpenBLAS threads waiting for a busy core cost more than they bring


class ReferenceEngine:
    """Executes a plan step by step, as the mathematics is written."""

    name = "reference"

    def __init__(
        self, plan: Plan, network: Network, data: Data, n_threads: int | None = None
    ) -> None:
        self.plan, self.network, self.data = plan, network, data
        flops = 6 * plan.batch_size * network.theta.size
        self.n_threads = n_threads or (1 if flops < SMALL_STEP else None)
        self.gradients = network.gradients()
        ones = np.ones(data.n, network.dtype)
        self.weights = ones if data.weights is None else data.weights
        self.per_epoch = plan.updates_per_epoch(data.n)
        self.theta, self.layers = network.theta, network.layers  # those that move

    def advance(self, state: State, epochs: int, seconds: float, every: int = 1) -> Event:
        """Go on until the next event; see `contract.Engine`."""
        records: list[list[float]] = []
        fault = None
        if state.raw is not None:
            self.theta, self.layers = state.raw, self.network.view(state.raw)
        try:
            # Numbers that are not finite are told as faults.
            with np.errstate(all="ignore"), self._threads():
                kind, fault = self._advance(state, state.epoch + epochs, seconds, every, records)
        except KeyboardInterrupt:  # what is complete is not lost
            kind = "interrupt"
        width = len(COLUMNS) + len(self.network.layers)
        return Event(kind, np.array(records, np.float64).reshape(-1, width), fault)

    def _advance(
        self, state: State, last: int, seconds: float, every: int, done: list[list[float]]
    ) -> tuple[EventKind, Fault | None]:
        """Go on to the end of epoch `last` at most; append to `done` what is to be recorded, and
        return why it ended, and the fault if any."""
        plan, start = self.plan, perf_counter()
        lap = start
        while state.epoch < last:
            for rows in batches(
                self.data.n, plan.rows_per_update, plan.seed, state.epoch, plan.shuffle, state.batch
            ):
                fault = self._step(state, rows)
                if fault is not None:
                    return "fault", fault
                now = perf_counter()
                state.seconds, lap = state.seconds + now - lap, now
                if now - start > seconds and state.batch < self.per_epoch:
                    return "time", None
            if not np.isfinite(self.theta).all():
                return "fault", Fault(state.t, self._bad_parameters())
            if done and done[-1][EPOCH] % every:  # it was there only until the next
                del done[-1]
            done.append(self._close_epoch(state))
            if plan.reached(done[-1]):
                return "threshold", None
            if lap - start > seconds:
                break
        return "epochs", None

    def evaluate(self, data: Data) -> tuple[float, Array]:
        """Return the loss without penalty and the outputs on `data`."""
        layers = self.network.layers
        with np.errstate(all="ignore"), self._threads():
            trace = propagate(layers, data.X)
            losses = row_losses(layers, trace, data.Y, self.plan.loss)
        return float(np.average(losses, weights=data.weights)), trace.A[-1]

    def cost_and_gradient(self) -> tuple[float, Gradients]:
        """Return cost and gradient on all rows at the current parameters."""
        with np.errstate(all="ignore"), self._threads():
            cost, _ = self._whole()
        return cost, self.gradients

    def locate(self) -> str:
        """Name where the first number that is not finite arises, in a pass over all rows."""
        with np.errstate(all="ignore"):
            return fault_place(self.network, self._whole()[1], self.gradients)

    def _whole(self) -> tuple[float, Trace]:
        """Fill the gradients over all rows; return the cost, penalty included, and the trace."""
        layers, Y, w = self.network.layers, self.data.Y, self.weights
        trace = propagate(layers, self.data.X)
        n, penalty = float(w.sum()), self.plan.penalty
        return self._backward(layers, trace, Y, w, n, penalty, self.gradients), trace

    def _step(self, state: State, rows: Rows) -> Fault | None:
        """Do one update on its rows: forward, loss, back, clip, update."""
        plan = self.plan
        state.batch += 1
        n = float(self.weights[rows].sum())
        if n == 0:  # nothing in here counts
            return None
        state.t += 1
        cost, worst = self._gradient(state.t, rows, n)
        g = self.gradients.flat
        if not (np.isfinite(cost) and np.isfinite(g).all()):
            trace = self._forward(state.t, rows, 0)
            return Fault(state.t, fault_place(self.network, trace, self.gradients))
        norms = self.gradients.layer_norms()
        state.norm_squares = [s + x * x for s, x in zip(state.norm_squares, norms, strict=True)]
        state.epoch_updates += 1
        state.loss_sum += cost * n
        state.weight_sum += n
        state.worst_row = max(state.worst_row, worst)
        self._update(state, clip(g, plan.clip_value, plan.clip_norm))
        return None

    def _update(self, state: State, g: Array) -> None:
        """Let weights decay, apply the optimizer's rule, and average the parameters."""
        plan, rate = self.plan, self._rate(state)
        assert isinstance(plan.optimizer, Optimizer)
        for layer in self.layers if plan.weight_decay else ():
            for (w,) in pieces(layer.W):
                w[:] = decayed(w, rate, plan.weight_decay)
        for theta, mean, gradient, *slots in pieces(
            self.theta, self.network.theta, g, *state.slots
        ):  # so that what the rule computes in between stays small
            theta[:], moved = plan.optimizer.update(theta, gradient, tuple(slots), rate, state.t)
            for slot, new in zip(slots, moved, strict=True):
                slot[:] = new
            if plan.ema_decay is not None:
                mean[:] = averaged(mean, theta, plan.ema_decay, state.t)

    def _gradient(self, t: int, rows: Rows, n: float) -> tuple[float, float]:
        """Fill the gradients with the mean over the rows of update `t`, a batch at a time.

        `n` is their total weight. Return the cost, penalty included, and the worst row's loss.
        """
        plan, cost, worst = self.plan, 0.0, 0.0
        one = len(rows) <= plan.batch_size
        part = self.gradients if one else self.network.gradients()
        if not one:
            self.gradients.flat[:] = 0
        for first in range(0, len(rows), plan.batch_size):
            batch = rows[first : first + plan.batch_size]
            last = first + plan.batch_size >= len(rows)
            penalty = plan.penalty if last else NO_PENALTY  # it counts once
            trace, Y, w = self._forward(t, batch, first), self.data.Y[batch], self.weights[batch]
            cost += self._backward(self.layers, trace, Y, w, n, penalty, part)
            if not one:
                self.gradients.flat += part.flat
            if plan.stop_rule == "every_row":
                losses = row_losses(self.layers, trace, Y, plan.loss)
                worst = max(worst, float(losses[w > 0].max(initial=0.0)))
        return cost, worst

    def _forward(self, t: int, rows: Rows, first: int) -> Trace:
        """Run rows forward, those of update `t` from its row `first` on, less what drops out."""
        seed, sizes, dtype = self.plan.seed, self.network.sizes, self.network.dtype
        masks = [
            dropout_mask(seed, t, l, (len(rows), sizes[l]), rate, first).astype(dtype)
            if rate
            else None
            for l, rate in enumerate(self.plan.dropout)
        ]
        X = self.data.X  # of all rows the order is theirs: nothing to gather
        return propagate(self.layers, X if len(rows) == self.data.n else X[rows], masks)

    def _backward(
        self,
        layers: Sequence[Dense],
        trace: Trace,
        Y: Array,
        weights: Array,
        n: float,
        penalty: Penalty,
        into: Gradients,
    ) -> float:
        """Fill `into` by rows with these weights, out of `n`; return the cost, with the penalty."""
        share = (weights / n)[:, None]
        cost = total_cost(layers, trace, Y, self.plan.loss, share, penalty, n)
        backpropagate(layers, trace, Y, self.plan.loss, share, into)
        add_penalty(layers, penalty, n, into)
        return cost

    def _rate(self, state: State) -> float:
        """Return the learning rate of update `state.t`."""
        return self.plan.rate(state.t, self.per_epoch) * state.plateau.factor

    def _close_epoch(self, state: State) -> list[float]:
        """Keep the epoch's parameters if they are best; begin the next, and return its record."""
        state.epoch += 1
        loss = state.loss_sum / state.weight_sum
        norms = [sqrt(s / state.epoch_updates) for s in state.norm_squares]
        record = [state.epoch, state.t, loss, state.worst_row, self._rate(state), state.seconds]
        if state.best_theta is not None and loss < state.best:
            state.best, state.best_epoch = loss, state.epoch
            state.best_theta[:] = self.network.theta
        state.batch, state.loss_sum, state.weight_sum = 0, 0.0, 0.0
        state.worst_row, state.seconds, state.epoch_updates = 0.0, 0.0, 0
        state.norm_squares = [0.0] * len(state.norm_squares)
        return record + norms

    def _bad_parameters(self) -> str:
        layers = enumerate(self.layers)
        l = next(l for l, d in layers if not (np.isfinite(d.W).all() and np.isfinite(d.b).all()))
        return f"in the weights of {layer_name(self.network, l)}"

    def _threads(self) -> AbstractContextManager[Any]:
        """Limit the threads of NumPy's matrix products while a step runs."""
        if self.n_threads is None:
            return nullcontext()
        return _limited(self.n_threads)


@cache
def _thread_pools() -> ThreadpoolController:
    """Return a handle on NumPy's thread pools; finding them takes milliseconds, so once."""
    return ThreadpoolController()


_limits: list[Any] = []  # one for each training under way; the pools are the whole process's
_change = Lock()


@contextmanager
def _limited(threads: int) -> Iterator[None]:
    """Limit NumPy's threads until the last of the trainings that run at once is done."""
    with _change:
        _limits.append(nullcontext() if _limits else _thread_pools().limit(limits=threads))
    try:
        yield
    finally:
        with _change:
            if len(_limits) == 1:
                _limits[0].restore_original_limits()
            _limits.pop()


def clip(g: Array, value: float | None, norm: float | None) -> Array:
    """Limit the components of g to ±`value`, then scale it to a norm of at most `norm`, in place.

    >>> clip(np.array([3.0, -4.0]), value=None, norm=1.0)
    array([ 0.6, -0.8])
    """
    if value is not None:
        np.clip(g, -value, value, out=g)
    if norm is not None:
        g *= min(1.0, norm / max(euclidean(g), 1e-300))
    return g
