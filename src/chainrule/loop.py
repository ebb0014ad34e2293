"""Loop: the engine advances, the loop looks, and stops or restores when it is time.

Epochs end in records. Callbacks and schedule see each; the best weights so far are kept aside, and
put back when they are wanted, when the user interrupts, and when a number is not finite.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from chainrule.arrays import Array, refuse_beyond_memory
from chainrule.callbacks import BestWeights, Callback, History, Record
from chainrule.engine import Data, EpochRecord, Fault, Plan, State, choose_engine
from chainrule.lbfgs import minimise
from chainrule.network import Network
from chainrule.optimizers import LBFGS

SLICE = 0.1  # seconds between looks at the clock, the user and the progress bar

Metric = Callable[[Array, Array], float]  # (targets, outputs) -> the larger, the better


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
    last_epoch: int | None = None  # stop here, before the plan does

    def run(
        self, engine: str = "auto", n_threads: int | None = None, state: State | None = None
    ) -> History:
        """Train until the plan is done, a callback stops it, or it goes wrong."""
        network, history, plan = self.network, self.history, self.plan
        copies = 4 + len(getattr(plan.optimizer, "slots", ()))  # gradient, first, best, scratch
        refuse_beyond_memory(copies * network.theta.size, network.dtype, f"training {network}")
        self.engine, history.engine_reason = choose_engine(
            engine, plan, network, self.data, n_threads
        )
        history.engine, history.stop_reason = self.engine.name, ""
        self.state = state or State.start(plan, network)
        first_theta = network.theta.copy()
        for callback in self.callbacks:
            callback.on_train_begin(network, history)
        finished = False
        try:
            if isinstance(plan.optimizer, LBFGS):
                self._full_batch()
            else:
                self._epochs()
            finished = True
        except KeyboardInterrupt:
            history.stop_reason = f"interrupted after {len(history)} epochs"
            raise
        except Exception as error:
            network.theta[:] = first_theta  # or the best below; what failed may have ruined it
            history.stop_reason = history.stop_reason or f"failed: {error}"
            raise
        finally:
            restore = self.held_out is not None if self.restore_best is None else self.restore_best
            if restore or not finished:
                self.best.restore(network, history)
            for callback in self.callbacks:
                callback.on_train_end(network, history)
        return history

    def _epochs(self) -> None:
        """Advance epoch by epoch, until the plan, its threshold or a callback ends it."""
        plan, history = self.plan, self.history
        last = plan.epochs if self.last_epoch is None else self.last_epoch
        while self.state.epoch < last:
            event = self.engine.advance(self.state, 1, SLICE)
            stop = max(map(self._look, event.records), default=False)  # look at every one
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
        history.stop_reason = f"reached {last} epochs"

    def _full_batch(self) -> None:
        """Hand the cost to L-BFGS; one of its iterations counts as an epoch."""
        history = self.history
        reason = minimise(self.engine, self.network, self.plan, self._look)
        cost, _ = self.engine.cost_and_gradient()
        if not np.isfinite(cost):
            updates = history.records[-1]["updates"] if len(history) else 0
            raise self._diverged(Fault(updates + 1, self.engine.locate()), len(history) + 1)
        history.stop_reason = history.stop_reason or reason

    def _look(self, measured: EpochRecord) -> bool:
        """Complete an epoch's record, ask schedule and callbacks; return True to stop."""
        record = self._record(measured)
        self.history.records.append(record)
        validation_loss = record["validation_loss"]
        if validation_loss is not None and not np.isfinite(validation_loss):
            fault = Fault(measured.updates, "in the validation loss")
            raise self._diverged(fault, measured.epoch)
        self.best.on_epoch_end(self.network, self.history)
        loss = measured.loss if validation_loss is None else validation_loss
        plateau = self.state.plateau
        self.plan.schedule.after_epoch(plateau, loss, measured.rate)
        if plateau.exhausted:
            self.history.stop_reason = "the learning rate reached its lowest value on a plateau"
        stops = [each.on_epoch_end(self.network, self.history) for each in self.callbacks]
        return plateau.exhausted or any(stops)

    def _record(self, measured: EpochRecord) -> Record:
        validation_loss = metric = None
        seen = self.held_out or self.data
        if self.held_out is not None or self.metric is not None:
            loss, outputs = self.engine.evaluate(seen)
            validation_loss = None if self.held_out is None else loss
            metric = None if self.metric is None else float(self.metric(seen.Y, outputs))
        norms = measured.layer_gradient_norms
        return {
            "epoch": measured.epoch,
            "updates": measured.updates,
            "loss": measured.loss,
            "validation_loss": validation_loss,
            "metric": metric,
            "rate": None if np.isnan(measured.rate) else measured.rate,
            "gradient_norm": float(np.linalg.norm(norms)),
            "layer_gradient_norms": norms,
            "seconds": measured.seconds,
        }

    def _time_slice(self) -> bool:
        per_epoch = -(-self.data.n // self.plan.batch_size)
        done = self.state.epoch + self.state.batch / per_epoch
        stops = [each.on_time_slice(self.network, self.history, done) for each in self.callbacks]
        return any(stops)

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
