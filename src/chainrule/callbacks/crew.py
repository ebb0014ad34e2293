"""Crew: the callbacks of one training, asked in turn; one that fails is left out, not the model."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import inf
from typing import Any

from chainrule.callbacks.base import Callback, Training, overrides, remembers
from chainrule.engine.contract import EPOCH, LOSS, Event
from chainrule.history import Record


class CallbackFailed(RuntimeWarning):
    """A callback raised an exception, and is left out; the training goes on.

    The exception is the warning's `__cause__`, so a filter that turns the warning into an error
    shows where it came from: ``warnings.simplefilter("error", CallbackFailed)``.
    """


class Crew:
    """The callbacks of a training; whatever they raise but Ctrl-C is told as a warning."""

    def __init__(self, training: Training, callbacks: list[Callback]) -> None:
        """Have each check its settings; raise what it raises, before anything is done."""
        self.training, self.members = training, list(callbacks)
        self.given = tuple(callbacks)
        self.left_out: list[Callback] = []  # after their first hook
        self.begun = 0  # the last epoch that was
        self.rate = 0.0  # of the batch under way
        try:
            for member in self.members:
                member.training = training
                member.check()
        except BaseException:
            self._release()
            raise
        self._see_who_looks()

    def _see_who_looks(self) -> None:
        """Note which hooks anybody has, so that the others cost nothing."""

        def anybody(*hooks: str) -> bool:
            return any(overrides(member, hook) for member in self.members for hook in hooks)

        self.sees_batches = anybody("on_train_batch_begin", "on_train_batch_end")
        self.sees_beginnings = anybody("on_epoch_begin")
        self.sees_epochs = self.sees_beginnings or anybody("on_epoch_end")

    def begin(self, kept: Sequence[dict[str, Any] | None] | None = None) -> None:
        """Tell of the training's begin, or that it goes on from what `states` returned. Who fails
        at that has nothing to close at its end."""
        try:
            if kept is None:
                self.each("on_train_begin")
            else:
                self._resume(kept)
        except BaseException:
            self._release()
            raise
        for member in self.left_out:
            vars(member).pop("training", None)
        self.left_out.clear()

    def _resume(self, kept: Sequence[dict[str, Any] | None]) -> None:
        """Give each callback what was kept of it; who had failed stays out."""
        states = iter(kept)
        for member in tuple(self.members):
            if not remembers(member):
                self._ask(member, "on_train_begin")
            elif (state := next(states)) is None:
                self.members.remove(member)
                vars(member).pop("training", None)
            else:
                self._ask(member, "on_train_resume", state)
        self._see_who_looks()

    def states(self) -> list[dict[str, Any] | None]:
        """Return what each callback that remembers wants to have kept; None of who has failed."""
        states: list[dict[str, Any] | None] = []
        for member in filter(remembers, self.given):
            try:
                states.append(member.state() if member in self.members else None)
            except Exception as error:
                self._leave_out(member, "state", error)
                states.append(None)
        return states

    def each(self, hook: str, *more: Any) -> bool:
        """Call a hook of every callback; tell whether one wants to stop."""
        stop = False
        for member in tuple(self.members):
            stop = self._ask(member, hook, *more) or stop
        return stop

    def _ask(self, member: Callback, hook: str, *more: Any) -> bool:
        network, history = self.training.network, self.training.history
        try:
            return bool(getattr(member, hook)(network, history, *more))
        except Exception as error:
            self._leave_out(member, hook, error)
            return False

    def next_look(self) -> float:
        """Return for how many epochs nobody needs to look."""
        epochs = inf
        for member in tuple(self.members):
            try:
                epochs = min(epochs, member.next_look())
            except Exception as error:
                self._leave_out(member, "next_look", error)
        return epochs

    def before_epoch(self, epoch: int) -> None:
        """Tell of an epoch's begin, once."""
        if self.sees_beginnings and epoch > self.begun:
            self.begun = epoch
            self.each("on_epoch_begin", epoch)

    def before_batch(self) -> None:
        """Tell of a batch's begin."""
        self.rate = self.training.rate
        self.each("on_train_batch_begin", self._batch())
        self.rate = self.training.rate  # as they left it

    def after_batch(self, event: Event) -> bool:
        """Tell of a batch's end, if it came to one; return True to stop."""
        if event.kind in ("fault", "interrupt"):
            return False
        batch = self._batch(done=True)
        if len(event.records):
            last = {"epoch": int(event.records[-1, EPOCH]), "loss": float(event.records[-1, LOSS])}
            batch |= last | {"batch": self.training.batches}
        return self.each("on_train_batch_end", batch)

    def _batch(self, done: bool = False) -> Record:
        state = self.training.state
        mean = state.loss_sum / state.weight_sum if state.weight_sum else None
        batch = state.batch + (not done)
        facts = {"epoch": state.epoch + 1, "batch": batch, "updates": state.t}
        return facts | {"loss": mean, "rate": self.rate}

    def end(self) -> None:
        """Tell of the training's end, also those that were left out on the way."""
        self.members, self.left_out = self.left_out + self.members, []
        try:
            self.each("on_train_end")
        finally:
            self._release()

    def _release(self) -> None:
        """Let go of the training, which a copy of a callback would copy too."""
        for member in self.members + self.left_out:
            vars(member).pop("training", None)

    def _leave_out(self, member: Callback, hook: str, error: Exception) -> None:
        self.members.remove(member)
        self.left_out.append(member)
        self._see_who_looks()
        records = self.training.history.records
        when = f"after epoch {records[-1]['epoch']}" if records else "in the first epoch"
        why = " ".join(f"{type(error).__name__}: {error}".split())
        warning = CallbackFailed(
            f"{type(member).__name__}.{hook} failed {when} and is left out from now on: {why}"
        )
        warning.__cause__ = error
        warnings.warn(warning, stacklevel=2)
