"""Base: the hooks of a training, and what a callback may know and change of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf
from typing import Any, Literal, TypeAlias

from chainrule.arrays import is_number
from chainrule.engine import Plan, State
from chainrule.history import History, Record
from chainrule.network import Network
from chainrule.optimizers import LBFGS

#: Whether a monitored number is to fall or to rise; "auto": "metric" rises, all else falls.
Mode: TypeAlias = Literal["auto", "min", "max"]

ALIASES = {"val_loss": "validation_loss"}  # Keras's word -> ours


@dataclass(repr=False)
class Training:
    """The training under way, as a callback has it in `self.training` from the first hook on.

    Attributes
    ----------
    plan : Plan
        What the training is to do, by `train`'s words; it never changes.
    state : State
        Where it stands: `state.t` updates and `state.epoch` epochs are done.
    rows, epochs : int
        Rows to learn from, and the most epochs.
    measured : tuple of str
        What every record will hold a number of, and `monitor` may name.
    model : function () -> model
        Returns what a checkpoint saves: the network, or the estimator as if fitted.

    Examples
    --------
    >>> from chainrule import Callback, Network, train
    >>> class Halve(Callback):
    ...     def on_epoch_end(self, network, history):
    ...         self.training.rate /= 2
    >>> train(Network([1, 1]), [[1.0]], [[2.0]], optimizer="sgd", epochs=3,
    ...       callbacks=[Halve()])["rate"]
    [0.01, 0.005, 0.0025]
    """

    plan: Plan
    network: Network
    history: History
    state: State
    rows: int
    epochs: int
    measured: tuple[str, ...]
    model: Callable[[], Any]

    @property
    def batches(self) -> int:
        """Batches in an epoch; gradients that are accumulated are those of one batch."""
        return self.plan.updates_per_epoch(self.rows)

    @property
    def rate(self) -> float:
        """Learning rate of the next update. To set it is to set a factor, exact but for rounding,
        on what the schedule gives now and later; both engines honour it, and it is a part of the
        state, so a training that is resumed goes on with it.

        Raises ValueError with L-BFGS, which has none, and for a rate below 0.
        """
        return self._planned_rate() * self.state.plateau.factor

    @rate.setter
    def rate(self, rate: float) -> None:
        if not is_number(rate, 0):
            raise ValueError(f"the learning rate {rate!r} must be a finite number >= 0")
        planned = self._planned_rate()
        if planned > 0 and rate != self.rate:  # a schedule that is at 0 leaves nothing to scale
            self.state.plateau.factor = float(rate) / planned

    def _planned_rate(self) -> float:
        if isinstance(self.plan.optimizer, LBFGS):
            raise ValueError("L-BFGS has no learning rate; take an optimizer such as 'adam'")
        return self.plan.rate(self.state.t + 1, self.batches)


class Callback:
    """Does nothing at every hook; subclass it and override what you need.

    Hooks have Keras's names. They are given the network and the history; what Keras hands over,
    or keeps in the model, is here:

        Keras                               chainrule
        epoch, from 0                       history.records[-1]["epoch"], from 1
        logs["loss"], logs["val_loss"]      history.records[-1]["loss"], ["validation_loss"]
        self.model.get_weights()            network.W, network.b: views, so writing changes them
        self.model.stop_training = True     return True
        self.model.optimizer.learning_rate  self.training.rate, to read and to set
        self.params                         self.training.plan, .rows, .epochs, .batches

    Plain attributes hold what a callback learns. A callback serves one training at a time.

    Examples
    --------
    >>> from chainrule import Callback, Network, train
    >>> class StopBelow(Callback):
    ...     def on_epoch_end(self, network, history):
    ...         return history.records[-1]["loss"] < 0.5
    >>> history = train(Network([1, 1]), [[1.0]], [[2.0]], optimizer="sgd",
    ...                 callbacks=[StopBelow()])
    >>> history["loss"][-1] < 0.5, history.stop_reason
    (True, 'a callback stopped it')
    """

    training: Training  # from `check` to `on_train_end`

    def check(self) -> None:
        """Raise ValueError or OSError for settings with which it cannot do its work in
        `self.training`; called before anything else, so that nothing is lost."""

    def on_train_begin(self, network: Network, history: History) -> None:
        """Before the first update."""

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint is to keep of it, so that it goes on as if it had never ended:
        numbers, text, None, lists, dicts and arrays. Nothing by default; see `Checkpoints`."""
        return {}

    def on_train_resume(self, network: Network, history: History, state: dict[str, Any]) -> None:
        """In place of `on_train_begin` where a training goes on from a checkpoint; by default it
        begins, and then has as attributes what `state` had returned."""
        self.on_train_begin(network, history)
        vars(self).update(state)

    def on_epoch_begin(self, network: Network, history: History, epoch: int) -> None:
        """Before an epoch, counted from 1. With L-BFGS, which tells of an iteration when it is
        done, just before `on_epoch_end`."""

    def on_train_batch_begin(self, network: Network, history: History, batch: Record) -> None:
        """Before a batch: {"epoch", "batch", "updates", "loss", "rate"}, the first two counted
        from 1, updates so far, the loss as in `on_train_batch_end`, the rate of the update.

        Whoever overrides a hook of a batch has the engine called batch by batch, which changes no
        bit and costs some 40 µs of Python for each, and a copy of the parameters. L-BFGS has no
        batches, and does not call them.
        """

    def on_train_batch_end(self, network: Network, history: History, batch: Record) -> bool | None:
        """After a batch, as before it, with "loss" as the mean of the epoch so far, as Keras's;
        None before anything counted. Return True to stop within the epoch."""
        return None

    def on_epoch_end(self, network: Network, history: History) -> bool | None:
        """After an epoch, its record last in `history.records`; return True to stop."""
        return None

    def next_look(self) -> float:
        """Return how many epochs may pass before `on_epoch_end` must be called.

        It is called for each of them all the same, but what it looks at besides the record, such
        as the weights, and its wish to stop count after the last. 1 by default, if it does
        anything.
        """
        return 1 if overrides(self, "on_epoch_begin") or overrides(self, "on_epoch_end") else inf

    def on_time_slice(self, network: Network, history: History, done: float) -> bool | None:
        """Ten times a second within long epochs; `done` epochs so far; return True to stop."""
        return None

    def on_divergence(self, network: Network, history: History, error: Exception) -> bool | None:
        """At a number that is not finite, with the `Diverged` that is to be raised; return True
        to end with the best weights instead. Without any epoch complete, it is raised."""
        return None

    def on_train_end(self, network: Network, history: History) -> None:
        """After the last update, also when the training was interrupted or failed, and when the
        callback was left out for an earlier hook's failure: to close what it opened."""


def overrides(callback: Callback, hook: str, kind: type[Callback] = Callback) -> bool:
    """Tell whether what a callback does at a hook is something else than what `kind` says."""
    return getattr(getattr(callback, hook), "__func__", None) is not getattr(kind, hook)


def remembers(callback: Callback) -> bool:
    """Tell whether a checkpoint keeps something of it."""
    return overrides(callback, "state")


def look(callback: Callback, kind: type[Callback], epochs: float = inf) -> float:
    """Return `epochs`, which `kind` can let pass, if the callback's epochs end as `kind`'s do."""
    own = overrides(callback, "on_epoch_end", kind) or overrides(callback, "on_epoch_begin", kind)
    return 1 if own else max(1, epochs)


def check_callbacks(given: Any) -> list[Callback]:
    """Return the callbacks as a list; raise ValueError for what is none, or has Keras's hooks."""
    callbacks = list(given) if isinstance(given, Iterable) else [given]
    for each in callbacks:
        if not isinstance(each, Callback):
            raise ValueError(
                f"callbacks={given!r} must be a sequence of Callback objects, such as"
                " [EarlyStopping()]"
            )
        _refuse_logs(each)
    return callbacks


def _refuse_logs(callback: Callback) -> None:
    """Raise ValueError for a hook with Keras's parameters: it would take network for epoch."""
    for hook in (name for name in vars(Callback) if name.startswith("on_")):
        if overrides(callback, hook) and callable(function := getattr(callback, hook)):
            parameters = list(inspect.signature(function).parameters)
            if "logs" in parameters:
                ours = list(inspect.signature(getattr(Callback, hook)).parameters)[1:]
                raise ValueError(
                    f"{type(callback).__name__}.{hook}({', '.join(parameters)}) has Keras's"
                    f" parameters; expected ({', '.join(ours)}): logs are history.records[-1]"
                )


def key_of(monitor: str, known: Iterable[str]) -> str:
    """Return the entry of a record that `monitor` names; "auto" is the validation loss where
    there is one, else the loss. Raise ValueError for what is not among the `known`."""
    known = list(known)
    if monitor == "auto":
        monitor = "validation_loss" if "validation_loss" in known else "loss"
    key = ALIASES.get(monitor, monitor)
    if key not in known:
        raise ValueError(
            f"monitor={monitor!r} was not measured in this training; known: {', '.join(known)}"
        )
    return key


def monitored(record: Record, monitor: str, mode: Mode = "auto") -> float:
    """Return what `monitor` names in a record, as a number to be made small.

    "auto" is the validation loss where there is one, else the loss; "metric" counts upwards.

    Raises ValueError when the record has no such number.

    >>> monitored({"loss": 0.5, "metric": 0.9}, "metric")
    -0.9
    """
    key = key_of(monitor, (k for k, v in record.items() if isinstance(v, (int, float))))
    return direction(monitor, mode) * float(record[key])


def direction(monitor: str, mode: Mode) -> int:
    """Return −1 for a number that is to rise, 1 for one that is to fall."""
    rises = monitor == "metric" if mode == "auto" else mode == "max"
    return -1 if rises else 1


def refuse_mode(callback: Callback, mode: str) -> None:
    """Raise ValueError for a mode that is none."""
    if mode not in ("auto", "min", "max"):
        kind = type(callback).__name__
        raise ValueError(f"{kind}: mode={mode!r} must be 'auto', 'min' or 'max'")


@dataclass
class OnEpoch(Callback):
    """Call a function of the latest record after every epoch; it returns True to stop.

    >>> from chainrule import Network, train
    >>> epochs = []
    >>> history = train(Network([1, 1]), [[1.0]], [[2.0]], epochs=3,
    ...                 callbacks=[OnEpoch(lambda record: epochs.append(record["epoch"]))])
    >>> epochs
    [1, 2, 3]
    """

    function: Callable[[Record], bool | None]

    def on_epoch_end(self, network: Network, history: History) -> bool | None:
        return self.function(history.records[-1])
