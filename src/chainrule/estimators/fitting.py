"""Fitting: from scikit-learn's contract to trained networks.

`reading` checks what is given and keeps rows apart, `monitoring` measures on them, `plan` says what
is to be done, `chainrule.loop` does it; here is the order of it all, and what is left on the
estimator in the end.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from copy import copy, deepcopy
from dataclasses import asdict, replace
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from chainrule.arrays import is_number
from chainrule.callbacks import EarlyStopping, TerminateOnNaN, check_callbacks, monitored
from chainrule.derivatives import check_own
from chainrule.engine import Data, State
from chainrule.estimators.monitoring import (
    Rows,
    make_metric,
    monitored_as,
)
from chainrule.estimators.outputs import member_count, member_parameters
from chainrule.estimators.parameters import Parameter, check_parameters
from chainrule.estimators.plan import hidden_layers, initializers, is_lbfgs, make_plan
from chainrule.estimators.reading import Reading
from chainrule.estimators.sklearn_callbacks import (
    CallbackSupport,
    protocol_callbacks,
    with_callbacks,
)
from chainrule.estimators.table import PARAMETERS
from chainrule.estimators.telling import (
    Verbose,
    as_scikit_learn_says,
    curve_of,
    warn_unless_converged,
)
from chainrule.history import History
from chainrule.loop import Diverged, Loop
from chainrule.many import side_by_side
from chainrule.network import Network
from chainrule.rows import distinct
from chainrule.schedules import PlateauMemory
from chainrule.snapshots import Keeper

#: What partial_fit leaves for its next call.
UNDER_WAY = ("_states", "_seeds", "_stopping")


def trains_in_steps(estimator: Any) -> bool:
    """Tell whether `partial_fit` exists; raise AttributeError, with the reason, when not."""
    if is_lbfgs({"solver": estimator.solver}):
        raise AttributeError(
            f"partial_fit needs a solver that trains in steps, got solver={estimator.solver!r};"
            " take solver='adam'"
        )
    return True


class MLP(CallbackSupport, Reading):
    """What both estimators share: fitting networks to a matrix of targets."""

    _own: ClassVar[dict[str, Parameter]] = {}  # parameters that only the subclass has
    loss_curve_: list[float]
    t_: int
    _states: list[dict[str, Any]]  # of each member, as the last partial_fit left it
    _stopping: list[dict[str, Any]]  # of each member: best, waited, its epoch and weights
    _seeds: list[int]

    @with_callbacks
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, eval_set: Any = None,
        time_limit: float | None = None, checkpoint: Keeper | None = None,
    ) -> Self:  # fmt: skip
        """Fit the network to X (n, features) and y (n,) or (n, outputs); return self.

        `eval_set`, (X, y) or (X, y, sample_weight), is measured after every epoch, and is what
        early stopping looks at, in place of rows held out. After `time_limit` seconds the training
        ends, wherever it is.

        `checkpoint`, a `Checkpoints(folder)`, keeps where it stands, and may go on from there; each
        of several members has a folder of its own. `random_state` must then be a number, so that
        the rows and the network are the same again.

        Raises ValueError for data or parameters that do not fit, and `Diverged`, which is one,
        at the first number that is not finite. On Ctrl-C the best weights so far are kept.
        """
        check_parameters(self.get_params(deep=False), PARAMETERS | self._own)
        if not (time_limit is None or is_number(time_limit, above=0)):
            raise ValueError(f"time_limit={time_limit!r} must be None or a number > 0 of seconds")
        if not (checkpoint is None or hasattr(checkpoint, "keep")):
            raise ValueError(f"checkpoint={checkpoint!r} must be Checkpoints(folder), or None")
        goes_on = self.warm_start and hasattr(self, "coefs_")
        if goes_on:
            self._refuse_other_targets(y)
        rows = self._read(X, y, sample_weight, learn=not (goes_on and self._knows_targets()))
        rng = check_random_state(self.random_state)
        seeds = [int(rng.randint(2**31)) for _ in range(self.n_estimators)]
        train, held_out, apart = self._split(rows, eval_set, rng)
        networks = self._networks(train.data, seeds, goes_on)
        loops = [
            self._loop(network, train.data, held_out, seed)
            for network, seed in zip(networks, seeds, strict=True)
        ]
        for loop in loops:
            self._stop_early(loop)
            loop.time_limit, loop.started = time_limit, loops[0].started
        _keep_in(checkpoint, loops)
        curve = getattr(self, "loss_curve_", []) if goes_on else []
        first = copy(loops[0])  # one that knew itself would outlive the fit
        loops[0].model = lambda: _as_if_done(self, first, curve, goes_on)
        loops[0].callbacks.extend(protocol_callbacks(self, X, y, sample_weight))
        for name in (*UNDER_WAY, "temperature_", "calibration_"):  # of an earlier fit
            self.__dict__.pop(name, None)
        self._run(loops, [None] * len(loops))
        self._finish(loops, train.data.n, curve, goes_on)
        warn_unless_converged(loops[0], self.get_params(deep=False))
        if apart is not None:
            self._calibrate(apart)
        return self

    @available_if(trains_in_steps)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, eval_set: Any = None) -> Self:
        """Train for one more epoch on X and y, with the optimizer as the last call left it.

        With early stopping, each call holds out rows of its own, or takes `eval_set`; `coefs_` are
        the best so far, and once there is no improvement for `n_iter_no_change` calls, further
        calls change nothing.
        """
        return self._partial_fit(X, y, sample_weight, eval_set)

    def _partial_fit(
        self, X: Any, y: Any, sample_weight: Any, eval_set: Any, classes: Any = None
    ) -> Self:
        check_parameters(self.get_params(deep=False), PARAMETERS | self._own)
        goes_on = hasattr(self, "coefs_")
        rows = self._read(
            X, y, sample_weight, learn=not (goes_on and self._knows_targets()), classes=classes
        )
        if not hasattr(self, "_seeds"):
            rng = check_random_state(self.random_state)
            self._seeds = [int(rng.randint(2**31)) for _ in range(self.n_estimators)]
        split = np.random.RandomState(self._seeds[0])  # the same rows of the same X each time
        train, held_out, _ = self._split(rows, eval_set, split, calibrates=False)
        stopping = self.__dict__.get("_stopping") or [{} for _ in self._seeds]
        if all(each.get("stopped") for each in stopping):
            return self
        networks = self._networks(train.data, self._seeds, goes_on)
        loops, states = [], []
        for k, network in enumerate(networks):
            loop = self._loop(network, train.data, held_out, self._seeds[k])
            loop.restore_best = False  # the last weights are those to go on from
            state = State.start(loop.plan, network)
            if goes_on and hasattr(self, "_states"):
                state = _as_state(self._states[k], network)
            loop.last_epoch = state.epoch + 1
            loops.append(loop)
            states.append(state)
        curve = getattr(self, "loss_curve_", []) if goes_on else []
        self._run(loops, states)
        self._states = [
            asdict(state) | {"theta": network.theta.copy()}
            for state, network in zip(states, networks, strict=True)
        ]
        if self.early_stopping:
            self._stopping = stopping
            for k, loop in enumerate(loops):
                self._look_for_better(loop, stopping[k])
        self._finish(loops, train.data.n, curve, goes_on)
        return self

    def _look_for_better(self, loop: Loop, seen: dict[str, Any]) -> None:
        """Compare a call's epoch with the best so far, and give the network the better weights."""
        value = monitored(loop.history.records[-1], loop.best.monitor)
        best = seen.get("best", np.inf)
        seen["waited"] = 0 if value < best - self.tol else seen.get("waited", 0) + 1
        if value < best:
            seen |= {"best": value, "theta": loop.network.theta.copy()}
            seen["epoch"] = loop.history.records[-1]["epoch"]
        loop.network.theta[:] = seen["theta"]
        loop.history.best_epoch = seen["epoch"]
        seen["stopped"] = seen["waited"] > self.n_iter_no_change
        if seen["stopped"]:
            loop.history.stop_reason = (
                f"{loop.best.monitor} did not improve by more than {self.tol:g} for"
                f" {self.n_iter_no_change} epochs"
            )

    def _networks(self, data: Data, seeds: Sequence[int], goes_on: bool) -> list[Network]:
        """Return new networks, or the fitted ones in vectors of their own."""
        sizes, activations = hidden_layers(self.get_params(deep=False))
        loss, output = self._loss_and_output()
        sizes = [data.X.shape[1], *sizes, data.Y.shape[1]]
        draws = initializers(self.get_params(deep=False), activations)
        activations = [*activations, output]
        check_own(activations, loss)
        networks = [
            Network(sizes, activations, initializers=draws, seed=seed, dtype=data.X.dtype)
            for seed in seeds
        ]
        if not goes_on:
            return networks
        fitted = [self.coefs_[0].shape[0], *(W.shape[1] for W in self.coefs_)]
        if fitted != sizes or member_count(self) != len(seeds):
            raise ValueError(
                f"{member_count(self)} fitted networks have sizes {fitted}, the data and parameters"
                f" ask for {len(seeds)} of {sizes}; fit anew with warm_start=False"
            )
        for member, network in enumerate(networks):
            pairs = zip(network.layers, *member_parameters(self, member), strict=True)
            for layer, W, b in pairs:
                layer.W[:], layer.b[:] = W, b
            if self.early_stopping and hasattr(self, "_stopping"):
                network.theta[:] = self._states[member]["theta"]
        return networks

    def _loop(self, network: Network, train: Data, held_out: Rows | None, seed: int) -> Loop:
        p = self.get_params(deep=False)
        plan = make_plan(p, self._loss_and_output()[0], train.n, len(network.layers), seed)
        if any(plan.dropout) and plan.batch_size >= train.n:
            places, weights = distinct(train.X, train.Y, train.weights)
            train = Data(train.X[places], train.Y[places], weights)
            plan = replace(plan, batch_size=train.n)
        metric = None if held_out is None else make_metric(self, network, held_out)
        seen = None if held_out is None else held_out.data
        loop = Loop(plan, network, train, seen, metric, History())
        loop.best.monitor = "loss" if held_out is None else monitored_as(self.monitor)
        restore = self.restore_best_weights
        loop.restore_best = self.early_stopping if restore is None else bool(restore)
        callbacks = check_callbacks(self.callbacks or ())
        if callbacks and self.n_estimators > 1:
            raise ValueError(
                f"callbacks belong to one network, and n_estimators={self.n_estimators}; leave out"
                " one of them"
            )
        loop.callbacks.extend(callbacks)
        if self.early_stopping:
            loop.callbacks.append(TerminateOnNaN())
        if self.verbose:
            monitor = loop.best.monitor if self.early_stopping else None
            loop.callbacks.append(Verbose(self.tol, self.n_iter_no_change, monitor))
        return loop

    def _stop_early(self, loop: Loop) -> None:
        """Let the loop end when what is monitored improves no more."""
        lbfgs = is_lbfgs({"solver": self.solver})
        ends_itself = self.learning_rate == "adaptive" and not lbfgs  # when its rate is lowest
        if not ends_itself and (self.early_stopping or not lbfgs):
            monitor = loop.best.monitor if self.early_stopping else "loss"
            loop.callbacks.append(EarlyStopping(monitor, self.tol, self.n_iter_no_change, False))

    def _run(self, loops: list[Loop], states: Sequence[State | None]) -> None:
        try:
            if len(loops) == 1:
                loops[0].run(self.engine, self.n_threads, states[0])
            else:
                side_by_side(
                    lambda k, cancelled: _run_one(loops[k], self.engine, states[k], cancelled),
                    len(loops), self.n_threads,
                )  # fmt: skip
        except Diverged as error:
            raise as_scikit_learn_says(error) from None
        except KeyboardInterrupt:
            if not loops[0].history.stop_reason:  # it had not begun
                raise
            warnings.warn(
                f"Training {loops[0].history.stop_reason}; the best weights so far are kept",
                stacklevel=3,
            )

    def _finish(self, loops: list[Loop], rows: int, curve: list[float], goes_on: bool) -> None:
        """Take over what was learnt, in plain arrays, numbers, lists and strings."""
        self._take([loop.network for loop in loops])
        loop, network, history = loops[0], loops[0].network, loops[0].history
        self.n_layers_, self.n_outputs_ = len(network.sizes), network.sizes[-1]
        losses, watched = curve_of(loop, "loss"), loop.held_out is not None
        self.n_iter_ = len(losses)
        self.t_ = (getattr(self, "t_", 0) if goes_on else 0) + rows * len(losses)
        self.history_ = history.records
        self.loss_curve_ = [*curve, *losses]
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else None
        self.validation_scores_ = scores = curve_of(loop, "metric") if watched else None
        self.validation_curve_ = curve_of(loop, "validation_loss") if watched else None
        self.best_validation_score_ = max(filter(np.isfinite, scores or ()), default=None)
        self.best_loss_ = None if self.early_stopping else min(self.loss_curve_, default=None)
        self.best_epoch_ = history.best_epoch
        self.stop_reason_ = history.stop_reason
        self.engine_, self.engine_reason_ = history.engine, history.engine_reason


def _keep_in(checkpoint: Keeper | None, loops: list[Loop]) -> None:
    """Have each training be kept, in a place of its own where there are several."""
    for member, loop in enumerate(loops, 1):
        loop.checkpoint = checkpoint
        if checkpoint is not None and len(loops) > 1:
            loop.checkpoint = checkpoint.within(f"member-{member}")


def _run_one(loop: Loop, engine: str, state: State | None, cancelled: Callable[[], bool]) -> None:
    loop.cancelled = cancelled
    loop.run(engine, 1, state)


def _as_if_done(estimator: MLP, loop: Loop, curve: list[float], goes_on: bool) -> MLP:
    """Return the estimator as if its training had ended now; what goes on does not change it."""
    view, loop = copy(estimator), copy(loop)
    loop.network, loop.history = loop.network.copy(), deepcopy(loop.history)
    view._finish([loop], loop.data.n, curve, goes_on)
    return view


def _as_state(kept: dict[str, Any], network: Network) -> State:
    """Return the state that an earlier partial_fit kept as plain values."""
    own = {name: value for name, value in kept.items() if name != "theta"}
    own["slots"] = [np.array(slot, network.dtype) for slot in kept["slots"]]
    return State(**own | {"plateau": PlateauMemory(**kept["plateau"])})
