"""Loop: the engine advances, the loop looks, and stops or restores when it is time.

Epochs end in records. Callbacks and schedule see each, but the engine goes on for as many epochs as
nobody needs to look in between. The best weights so far are kept aside, by the engine where the
training loss tells which are best, else by the loop after each epoch; they are put back when they
are wanted, when the user interrupts, and when a number is not finite.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.callbacks import BestWeights, Callback, Crew, Training
from chainrule.engine import Data, Engine, Event, Fault, Plan, State, choose_engine
from chainrule.engine.contract import EPOCH, LOSS, ONE_BATCH, RATE, UPDATES, Call
from chainrule.history import History
from chainrule.lbfgs import Tape, minimise
from chainrule.network import Network
from chainrule.optimizers import LBFGS
from chainrule.snapshots import Keeper, Snapshot, data_facts, plan_facts, put_back, values_of

SLICE = 0.1  # seconds between looks at the clock, the user and the progress bar
MOST_RECORDS = 4096  # of one call of the engine; they take memory

Metric = Callable[[Array, Array], float]  # (targets, outputs) -> the larger, the better
Story = Generator[Call, Event | None, None]  # None begins it


class Diverged(ValueError):
    """The training met a number that is not finite. The network has its best weights so far."""


@dataclass
class Loop:
    """A plan, what it acts on, and who looks on; `run` is the training."""

    plan: Plan
    network: Network
    data: Data
    held_out: Data | None
    metric: Metric | None
    history: History
    callbacks: list[Callback] = field(default_factory=list)
    best: BestWeights = field(default_factory=BestWeights)
    restore_best: bool | None = None  # by default where there are validation rows
    time_limit: float | None = None  # seconds; it ends the training at the next look
    started: float = field(default_factory=monotonic)  # when the limit's time began
    last_epoch: int | None = None  # stop here, before the plan does
    record_every: int = 1
    cancelled: Callable[[], bool] | None = None  # asked after each slice; True is as Ctrl-C
    model: Callable[[], Any] | None = None  # what ModelCheckpoint saves; by default the network
    checkpoint: Keeper | None = None  # keeps where it stands, and what it may go on from
    _first: int = field(init=False, default=0)  # epochs before this run
    _done: int = field(init=False, default=0)  # epochs of this run
    _passing: bool = field(init=False, default=False)  # the last record is there until the next
    _sliced: float = field(init=False, default=0.0)  # when the slice of time under way began
    _over: bool = field(init=False, default=False)  # the time is
    _tape: Tape | None = field(init=False, default=None)  # what L-BFGS has seen, to be kept

    def run(
        self, engine: str = "auto", n_threads: int | None = None, state: State | None = None
    ) -> History:
        """Train until the plan is done, a callback stops it, or it goes wrong."""
        plan, network, data = self.plan, self.network, self.data
        chosen, self.history.engine_reason = choose_engine(engine, plan, network, data, n_threads)
        event: Event | None = None
        with closing(self.story(chosen, state)) as story:  # it ends in order, whatever comes
            while True:
                try:
                    call = story.send(event)
                except StopIteration:
                    return self.history
                try:
                    event = chosen.advance(*call)
                except BaseException as error:
                    story.throw(error)  # it comes back

    def story(self, engine: Engine, state: State | None = None) -> Story:
        """Tell the training call by call: each is for `engine.advance`, whose event is sent back.

        So who asks for the next call decides what goes on beside.
        """
        network, history, plan = self.network, self.history, self.plan
        self.engine = engine
        history.engine, history.stop_reason = engine.name, ""
        self.state = state or State.start(plan, network)
        self.state.average_as(plan, network)
        first_theta = network.theta.copy()
        if self._best_by_loss():
            self.state.best_theta = first_theta  # which it is, until an epoch is the best
        kept = self._kept()
        self.crew = Crew(self._training(), self.callbacks)
        self.crew.begin(None if kept is None else self._go_on(kept))
        if not isinstance(plan.optimizer, LBFGS):
            self._first = self.state.epoch - self._done
        finished = False
        try:
            if kept is None or not kept["finished"]:
                yield from self._learn()
            finished = True
        except (KeyboardInterrupt, GeneratorExit):
            history.stop_reason = f"interrupted after {self._done} epochs"
            raise
        except Exception as error:
            network.theta[:] = first_theta  # or the best below; what failed may have ruined it
            history.stop_reason = history.stop_reason or f"failed: {error}"
            if not (isinstance(error, Diverged) and self._ends_by_value(error)):
                raise
        finally:
            restore = self.held_out is not None if self.restore_best is None else self.restore_best
            if restore or not finished:
                if self.state.best_epoch:
                    self.best.theta, self.best.epoch = self.state.best_theta, self.state.best_epoch
                self.best.restore(network, history)
            self.crew.end()

    def _learn(self) -> Story:
        """Go on until there is a reason to stop."""
        if isinstance(self.plan.optimizer, LBFGS):
            self._full_batch()
        else:
            yield from self._epochs()
        self._checkpoint(finished=not self._over)

    def _kept(self) -> Snapshot | None:
        """Return the snapshot to go on from, if there is one."""
        if self.checkpoint is None:
            return None
        facts = plan_facts(
            self.plan, self.network, self.callbacks, engine=self.engine.name, metric=self.metric,
            monitor=self.best.monitor, restore_best_weights=self.restore_best,
            record_every=self.record_every,
        )  # fmt: skip
        if isinstance(self.plan.optimizer, LBFGS):
            self._tape = Tape(self.network.theta.copy())
        return self.checkpoint.begin(facts, data_facts(self.data, self.held_out))

    def _go_on(self, kept: Snapshot) -> list[Snapshot | None]:
        """Bring the training to where the snapshot was taken; return what callbacks remember."""
        history, callbacks = self.history, kept["callbacks"]
        self.network.theta[:] = kept["theta"]
        put_back(kept["state"], self.state)
        vars(self.best).update(kept["best"])
        history.records[:], history.stop_reason = kept["records"], kept["stop_reason"]
        self._done, self._passing, self.crew.begun = kept["done"], kept["passing"], kept["begun"]
        if kept["tape"] is not None:
            self._tape = Tape.of(kept["tape"])
            self._tape.reached = kept["theta"]
        return list(callbacks)

    def _checkpoint(self, epoch: int | None = None, finished: bool = False) -> None:
        """Keep where the training stands, at its end and when an `epoch` is complete for which
        that is due."""
        keeper = self.checkpoint
        if keeper is None or (epoch is not None and epoch % keeper.every):
            return
        if self._tape is not None:
            if not finished and epoch is None:  # within an iteration; the last one was kept
                return
            self._tape.iterations = self._done
        snapshot = {
            "theta": self.network.theta,
            "state": values_of(self.state),
            "best": self.best.state(),
            "records": self.history.records,
            "stop_reason": self.history.stop_reason,
            "done": self._done,
            "passing": self._passing,
            "begun": self.crew.begun,
            "callbacks": self.crew.states(),
            "tape": None if self._tape is None or finished else self._tape.to_dict(),
            "finished": finished,
        }
        keeper.keep(self._done, snapshot)

    def _training(self) -> Training:
        """Return what callbacks may know of the training, and change."""
        measured = ["epoch", "updates", "loss", "gradient_norm", "seconds"]
        if not isinstance(self.plan.optimizer, LBFGS):
            measured.append("rate")
        if self.held_out is not None:
            measured.append("validation_loss")
        if self.metric is not None:
            measured.append("metric")
        last = self.plan.epochs if self.last_epoch is None else self.last_epoch
        network = self.network  # alone: what knows this loop would keep it alive
        return Training(
            self.plan, network, self.history, self.state, self.data.n, last, tuple(measured),
            self.model or (lambda: network),
        )  # fmt: skip

    def _ends_by_value(self, error: Diverged) -> bool:
        """Tell whether a callback wants that, and there are weights to end with."""
        kept = self.best.theta is not None or self.state.best_epoch > 0
        return self.crew.each("on_divergence", error) and kept

    def _best_by_loss(self) -> bool:
        """Tell whether the engine can know which epoch is the best, and keep its weights."""
        by_loss = self.best.monitor == "loss" or (
            self.best.monitor == "auto" and self.held_out is None
        )
        return by_loss and not isinstance(self.plan.optimizer, LBFGS)

    def _epochs(self) -> Story:
        """Advance look by look, until the plan, its threshold or a callback ends it."""
        plan, history, crew = self.plan, self.history, self.crew
        last = plan.epochs if self.last_epoch is None else self.last_epoch
        while self.state.epoch < last:
            if (left := self._left()) <= 0:
                history.stop_reason = self._out_of_time()
                return
            crew.before_epoch(self.state.epoch + 1)
            if batchwise := crew.sees_batches:
                crew.before_batch()
            pause = ONE_BATCH if batchwise else min(SLICE, left)
            unseen = self._unseen()
            every = self.record_every if unseen else 1
            event: Any = yield self.state, self._next_look(last, every), pause, every
            stop = crew.after_batch(event) if batchwise else False
            stop = self._look(event.records, unseen) or stop
            if event.kind == "interrupt":
                raise KeyboardInterrupt
            if event.kind == "fault":
                assert event.fault is not None
                raise self._diverged(event.fault, self.state.epoch + 1)
            if event.kind == "threshold":
                history.stop_reason = f"loss fell below {plan.stop_below:g} ({plan.stop_rule})"
                return
            if event.kind == "time":
                stop = self._time_slice() or stop
            if stop:
                history.stop_reason = history.stop_reason or "a callback stopped it"
                return
            if len(event.records) and self.state.epoch < last:
                self._checkpoint(self.state.epoch)
        history.stop_reason = f"reached {last} epochs"

    def _full_batch(self) -> None:
        """Hand the cost to L-BFGS; one of its iterations counts as an epoch."""
        history = self.history
        reason = (
            minimise(
                self.engine,
                self.network,
                self.plan,
                self._look_at_iteration,
                self._left,
                self._tape,
            )
            or self._out_of_time()
        )
        cost, _ = self.engine.cost_and_gradient()
        if not np.isfinite(cost):
            updates = history.records[-1]["updates"] if self._done else 0
            raise self._diverged(Fault(updates + 1, self.engine.locate()), self._done + 1)
        history.stop_reason = history.stop_reason or reason

    def _look_at_iteration(self, record: Array) -> bool:
        """Look at an iteration of L-BFGS; return True to stop."""
        stop = self._look(record)
        self._checkpoint(int(record[0, EPOCH]))
        return stop

    def _left(self) -> float:
        """Return how many seconds are left of the time limit."""
        end = inf if self.time_limit is None else self.started + self.time_limit
        return end - monotonic()

    def _out_of_time(self) -> str:
        self._over = True
        return f"time_limit={self.time_limit:g} seconds were over after {self._done} epochs"

    def _watched(self) -> bool:
        """Tell whether something is to be measured or kept after every epoch."""
        measured = self.held_out is not None or self.metric is not None
        return measured or self.state.best_theta is None

    def _unseen(self) -> bool:
        """Tell whether nobody looks at single epochs."""
        unasked = self.plan.schedule.next_look(self.state.plateau) == inf
        return unasked and not self.crew.sees_epochs and not self._watched()

    def _next_look(self, last: int, every: int) -> int:
        """Return for how many epochs the engine may go on before somebody must look."""
        if self._watched():
            return 1
        looks = [self.crew.next_look(), self.plan.schedule.next_look(self.state.plateau)]
        if self.checkpoint is not None:
            looks.append(self.checkpoint.every - self.state.epoch % self.checkpoint.every)
        return max(1, int(min(*looks, MOST_RECORDS * every, last - self.state.epoch)))

    def _look(self, records: Array, unseen: bool = False) -> bool:
        """Keep the epochs' records, ask schedule and callbacks of each, unless they stay unseen;
        return True to stop."""
        if self.cancelled is not None and self.cancelled():
            self._keep(records)
            raise KeyboardInterrupt
        if unseen:
            self._keep(records)
            return False
        stop, seen = False, 0
        try:
            for seen in range(1, len(records) + 1):
                stop = self._look_at(records[seen - 1 : seen]) or stop
        finally:
            self._keep(records[seen:])  # an interrupt leaves none out
        return stop

    def _look_at(self, record: Array) -> bool:
        """Look at one epoch's record (1, columns); return True to stop."""
        self.crew.before_epoch(int(record[0, EPOCH]))
        validation_loss, metric = self._measure()
        self._keep(record, validation_loss, metric)
        loss, rate = float(record[0, LOSS]), float(record[0, RATE])
        if validation_loss is not None:
            if not np.isfinite(validation_loss):
                fault = Fault(int(record[0, UPDATES]), "in the validation loss")
                raise self._diverged(fault, int(record[0, EPOCH]))
            loss = validation_loss
        if self.state.best_theta is None:
            self.best.on_epoch_end(self.network, self.history)
        plateau = self.state.plateau
        self.plan.schedule.after_epoch(plateau, loss, rate)
        if plateau.exhausted:
            self.history.stop_reason = "the learning rate reached its lowest value on a plateau"
        return self.crew.each("on_epoch_end") or plateau.exhausted

    def _measure(self) -> tuple[float | None, float | None]:
        """Return the validation loss and the metric of the network as it is, where wanted."""
        if self.held_out is None and self.metric is None:
            return None, None
        seen = self.held_out or self.data
        loss, outputs = self.engine.evaluate(seen)
        validation_loss = None if self.held_out is None else loss
        return validation_loss, self.metric and float(self.metric(seen.Y, outputs))

    def _keep(
        self, records: Array, validation_loss: float | None = None, metric: float | None = None
    ) -> None:
        """Add records to the history: every `record_every`-th, and the last of all."""
        if not len(records):
            return
        if self._passing:
            self.history.drop_last()
        self._done = int(records[-1, EPOCH]) - self._first
        if self.record_every > 1:
            kept = records[:, EPOCH] % self.record_every == 0
            self._passing, kept[-1] = not kept[-1], True
            records = records[kept]
        self.history.add(records, validation_loss, metric)

    def _time_slice(self) -> bool:
        """Tell the callbacks where it stands, if the slice of time is over."""
        now = monotonic()
        if self.crew.sees_batches and now - self._sliced < SLICE:
            return False
        self._sliced = now
        done = self.state.epoch + self.state.batch / self.plan.updates_per_epoch(self.data.n)
        return self.crew.each("on_time_slice", done)

    def _diverged(self, fault: Fault, epoch: int) -> Diverged:
        rate = getattr(self.plan.optimizer, "rate", None)
        remedy = "scaled inputs and targets"
        if rate is not None:
            remedy = f"a learning rate below {rate:g} (try {rate / 10:g}), {remedy}, or clip_norm=1"
        message = (
            f"training diverged: a number that is not finite at update {fault.step} (epoch"
            f" {epoch}), {fault.place}. Try {remedy}"
        )
        self.history.stop_reason = message
        return Diverged(message)
