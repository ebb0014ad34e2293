"""The native engine: the whole loop in C++, for built-in formulas, on dense rows and sparse.

A job is filled from plan, state and data; the library advances it until the next event; the state
is read back. So either engine can go on where the other one stopped.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np

from chainrule.activations import OwnActivation
from chainrule.arrays import Array, address, aligned_zeros
from chainrule.cost import OwnLoss
from chainrule.data import in_random_order
from chainrule.engine.contract import (
    COLUMNS,
    Call,
    Data,
    Event,
    EventKind,
    Fault,
    Plan,
    State,
    fault_place,
    layer_name,
)
from chainrule.native import Library, cores, find
from chainrule.native.formulas import count, fill, number
from chainrule.native.job import LOSS_SETTINGS, Job, Layer, several
from chainrule.network import Gradients, Network, propagate
from chainrule.optimizers import LBFGS
from chainrule.schedules import Constant, Schedule
from chainrule.sparse import Rows, as_rows, is_sparse

# In job.h's order:
EVENTS: tuple[EventKind, ...] = ("epochs", "time", "threshold", "fault")
PLACES = ("in the outputs of", "in the gradient of", "in the loss of", "in the weights of")
NO_ORDER = -2  # no epoch's
CHUNK = 264  # rows that are in the arena at one time
LARGE = 1 << 22  # bytes from which NumPy asks for large pages
THREADS_PAY, THREAD_STEP = 40_000_000, 1_500_000  # operations in an epoch; of a thread in a step


class NativeEngine:
    """Executes a plan in compiled code."""

    name = "native"
    wide = False  # tests have tiny networks take the steps for any width

    def __init__(
        self,
        plan: Plan,
        network: Network,
        data: Data,
        n_threads: int | None = None,
        instruction_set: str | None = None,
    ) -> None:
        library = find()
        why = library if isinstance(library, str) else unsupported(library, plan, network, data)
        if why or isinstance(library, str):
            raise ValueError(f"engine='native' cannot run this: {why}; take engine='auto'")
        self.plan, self.network, self.calls = plan, network, library.calls
        self.sparse = is_sparse(data.X)
        self.data = self._contiguous(data)
        sets = library.instruction_sets
        self.job = job = Job(isa=sets.index(instruction_set or sets[-1]), wide=self.wide)
        self.n_threads = threads_for(plan, network, data, n_threads)
        job.threads = self.n_threads
        self.layers = several(Layer, len(network.layers))()
        self._describe_network(library)
        self._describe_plan(library)
        self._point_at(job, self.data)
        if job.sparse is not None:
            job.chunk_nonzeros = job.sparse.most_in(CHUNK)
        self.arena_bytes = self.calls.chainrule_arena_bytes(job)
        self._give_room()

    def twin(self, plan: Plan, network: Network) -> NativeEngine:
        """Return an engine for a network of the same make, and a plan that differs in its seed."""
        twin = copy(self)
        twin.plan, twin.network, twin.job = plan, network, Job.from_buffer_copy(self.job)
        twin.job.seed, twin.job.sparse = _seed(plan), self.job.sparse
        twin._give_room()
        return twin

    def _give_room(self) -> None:
        """Give the job memory of its own."""
        job = self.job
        if job.shuffle:
            self.order = np.zeros(4 * self.data.n, np.int64)
            job.order, job.order_epoch = address(self.order), NO_ORDER
        self.arena = self._give_arena(job, self.arena_bytes)
        self.norm_squares = np.zeros(len(self.network.layers))
        job.norm_squares = address(self.norm_squares)
        self.whole: Job | None = None

    def advance(self, state: State, epochs: int, seconds: float, every: int = 1) -> Event:
        """Go on until the next event; see `contract.Engine`."""
        records = self._take(state, epochs, every)
        try:
            kind = EVENTS[self.calls.chainrule_advance(self.job, epochs, seconds)]
        except KeyboardInterrupt:  # Python tells of it when the call is over
            kind = "interrupt"
        return self._give(state, records, kind)

    def _take(self, state: State, epochs: int, every: int) -> Array:
        """Bring the job to where the state is; return the room for its records."""
        job = self.job
        records = np.empty((epochs // every + 2, len(COLUMNS) + len(self.layers)))
        job.records, job.every, job.kept, job.completed = address(records), every, 0, 0
        state.slots = [self._usable(slot) for slot in state.slots]
        for i, slot in enumerate(state.slots):
            job.slots[i] = address(slot)
        for name in STATE:
            setattr(job, name, getattr(state, name))
        job.plateau, self.norm_squares[:] = state.plateau.factor, state.norm_squares
        job.theta = address(self.network.theta)
        if state.raw is not None:
            state.raw = self._usable(state.raw)
            job.theta, job.average = address(state.raw), job.theta
        best = state.best_theta
        job.best_theta = None if best is None else address(best)
        return records

    def _give(self, state: State, records: Array, kind: EventKind) -> Event:
        """Bring the state to where the job is; return the event."""
        job = self.job
        for name in STATE:
            setattr(state, name, getattr(job, name))
        state.norm_squares = self.norm_squares.tolist()
        passing = job.completed > 0 and job.epoch % job.every > 0
        kept = job.kept + passing
        few = kept < len(records) // 2
        records = records[:kept].copy() if few else records[:kept]
        if kind != "fault":
            return Event(kind, records)
        place = f"{PLACES[job.fault_kind]} {layer_name(self.network, job.fault_layer)}"
        return Event("fault", records, Fault(state.t, place))

    def evaluate(self, data: Data) -> tuple[float, Array]:
        """Return the loss without penalty and the outputs on `data`."""
        job, data = Job.from_buffer_copy(self.job), self._contiguous(data)
        self._point_at(job, data)
        job.theta, job.order = address(self.network.theta), None  # the order is of other rows
        outputs = np.empty((data.n, self.network.sizes[-1]), self.network.dtype)
        return self.calls.chainrule_evaluate(job, address(outputs)), outputs

    def cost_and_gradient(self) -> tuple[float, Gradients]:
        """Return cost and gradient on all rows at the current parameters."""
        if self.whole is None:  # steps alone don't keep their gradient
            self.gradients = self.network.gradients()
            self.whole = Job.from_buffer_copy(self.job)
            self.whole.keep_gradient, self.whole.gradient = True, address(self.gradients.flat)
            bytes_needed = self.calls.chainrule_arena_bytes(self.whole)
            self.gradient_arena = self._give_arena(self.whole, bytes_needed)
        self.whole.theta, self.whole.threads = address(self.network.theta), self.job.threads
        return self.calls.chainrule_cost_and_gradient(self.whole), self.gradients

    def locate(self) -> str:
        """Name where the first number that is not finite arises, in a pass over all rows."""
        self.cost_and_gradient()
        with np.errstate(all="ignore"):
            trace = propagate(self.network.layers, self.data.X)
        return fault_place(self.network, trace, self.gradients)

    def _give_arena(self, job: Job, size: int) -> Array:
        """Return memory for the job to work in, large enough for the system's large pages."""
        arena = aligned_zeros(-(-max(size, LARGE * (size > LARGE // 4)) // 8))
        job.arena = address(arena)
        return arena

    def _describe_network(self, library: Library) -> None:
        job, network = self.job, self.network
        for l, (entry, layer) in enumerate(zip(self.layers, network.layers, strict=True)):
            entry.n_in, entry.n_out = layer.W.shape
            entry.activation = number(library, "ACTIVATIONS", layer.activation)
            fill(entry.settings, layer.activation)
            entry.dropout = self.plan.dropout[l] if self.plan.dropout else 0.0
        job.width, job.n_layers, job.layers = network.dtype.itemsize, len(self.layers), self.layers

    def _describe_plan(self, library: Library) -> None:
        job, plan = self.job, self.plan
        rows = min(plan.rows_per_update, self.data.n)
        job.batch_size, job.epochs = rows, plan.epochs
        job.shuffle = in_random_order(self.data.n, plan.rows_per_update, plan.shuffle)
        job.keep_gradient = plan.clip_norm is not None or rows > CHUNK
        job.seed = _seed(plan)
        job.every_row = plan.stop_rule == "every_row"
        for name in ("clip_value", "clip_norm", "stop_below", "weight_decay", "ema_decay"):
            setattr(job, name, getattr(plan, name) or 0.0)
        job.loss = number(library, "LOSSES", plan.loss)
        fill(job.loss_settings, plan.loss)
        job.canonical = plan.loss.pairs_with(self.network.layers[-1].activation)
        if plan.penalty:
            job.penalised = True
            fill(job.penalty, plan.penalty)
        if not isinstance(plan.optimizer, LBFGS):
            schedule = Constant() if type(plan.schedule) is Schedule else plan.schedule
            job.schedule = number(library, "SCHEDULES", schedule)
            fill(job.schedule_settings, schedule)
            job.optimizer = number(library, "OPTIMIZERS", plan.optimizer)
            fill(job.optimizer_settings, plan.optimizer)
            job.slots_used = len(plan.optimizer.slots)

    def _point_at(self, job: Job, data: Data) -> None:
        if self.sparse:
            job.sparse = Rows.of(data.X)
            job.X, job.starts, job.columns = job.sparse.places
        else:
            job.X = address(data.X)
        job.rows, job.Y = data.n, address(data.Y)
        job.weights = None if data.weights is None else address(data.weights)

    def _contiguous(self, data: Data) -> Data:
        """Return the data as the library reads it, sparse if the rows to train on are."""
        X = data.X
        if self.sparse:
            X = as_rows(X, dtype=self.network.dtype)
        else:
            X = self._usable(X.toarray() if is_sparse(X) else X)
        weights = None if data.weights is None else self._usable(data.weights)
        return Data(X, self._usable(data.Y), weights)

    def _usable(self, values: Array) -> Array:
        return np.ascontiguousarray(values, self.network.dtype)


def _seed(plan: Plan) -> int:
    return ctypes.c_int64(plan.seed & (1 << 64) - 1).value


def advance_each(engines: Sequence[NativeEngine], calls: Sequence[Call]) -> list[Event]:
    """Answer several calls of `advance` at once, without Python between them.

    The shortest of their times is that of all together; who has no turn in it does nothing.
    """
    records = [
        engine._take(state, epochs, every)
        for engine, (state, epochs, _, every) in zip(engines, calls, strict=True)
    ]
    jobs = np.array([ctypes.addressof(engine.job) for engine in engines])
    epochs = np.array([epochs for _, epochs, *_ in calls])
    events = np.empty_like(epochs)
    seconds = min(seconds for *_, seconds, _ in calls)
    engines[0].calls.chainrule_advance_each(
        address(jobs), address(epochs), address(events), len(jobs), seconds
    )
    return [
        engine._give(state, rows, EVENTS[event])
        for engine, (state, *_), rows, event in zip(engines, calls, records, events, strict=True)
    ]


def threads_for(plan: Plan, network: Network, data: Data, most: int | None) -> int:
    """Return how many threads pay: none waits long for work, and starting them is soon won back."""
    rows, weights = data.n, float(network.theta.size)  # those that a row meets
    if is_sparse(data.X):
        weights -= network.sizes[1] * (network.sizes[0] - data.X.nnz / rows)
    # Floating-point operations; each weight is also moved once.
    step = int(6 * min(plan.rows_per_update, rows) * weights) + network.theta.size
    if step * plan.updates_per_epoch(rows) < THREADS_PAY:
        return 1
    return max(1, min(most or cores(), step // THREAD_STEP))


#: What a job has under the same name as the state.
STATE = (
    "t", "epoch", "batch", "epoch_updates", "loss_sum", "weight_sum", "worst_row", "seconds",
    "best", "best_epoch",
)  # fmt: skip


def unsupported(library: Library, plan: Plan, network: Network, data: Data) -> str:
    """Return why the library cannot run this, or nothing."""
    asked: list[tuple[str, Any]] = [("ACTIVATIONS", each) for each in network.activations]
    asked += [("LOSSES", plan.loss), ("PENALTIES", plan.penalty)]
    if not isinstance(plan.optimizer, LBFGS):
        asked.append(("OPTIMIZERS", plan.optimizer))
        if type(plan.schedule) is not Schedule:
            asked.append(("SCHEDULES", plan.schedule))
    for table, member in asked:
        if isinstance(member, OwnActivation | OwnLoss):
            return f"{getattr(member.function, '__name__', 'a formula')} is your own, in Python"
        if number(library, table, member) < 0:
            return f"{type(member).__name__} is not among its formulas"
    if count(plan.loss) > LOSS_SETTINGS:
        return f"{type(plan.loss).__name__} has more than {LOSS_SETTINGS} settings"
    return ""
