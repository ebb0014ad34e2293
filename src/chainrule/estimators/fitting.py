"""Fitting: from scikit-learn's contract to trained networks.

`monitoring` keeps rows apart and measures on them, `plan` says what is to be done, `chainrule.loop`
does it; here is the order of it all, and what is left on the estimator in the end.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from chainrule.activations import get_activation
from chainrule.arrays import Array, is_number
from chainrule.callbacks import EarlyStopping, TerminateOnNaN, check_callbacks, monitored
from chainrule.data import as_weights, check_targets, in_one_line, refuse_odd
from chainrule.engine import Data, State
from chainrule.estimators.inputs import encode, encodes, has_encoder
from chainrule.estimators.insight import Insight
from chainrule.estimators.monitoring import (
    Rows,
    check_eval_set,
    hold_out,
    make_metric,
    monitored_as,
)
from chainrule.estimators.outputs import member_count, member_parameters
from chainrule.estimators.parameters import Parameter, check_parameters
from chainrule.estimators.plan import hidden_layers, initializers, is_lbfgs, make_plan
from chainrule.estimators.table import PARAMETERS
from chainrule.estimators.telling import (
    Verbose,
    as_scikit_learn_says,
    curve_of,
    warn_unless_converged,
)
from chainrule.history import History
from chainrule.loop import Diverged, Loop
from chainrule.losses import Loss
from chainrule.many import side_by_side
from chainrule.network import Network
from chainrule.rows import distinct
from chainrule.schedules import PlateauMemory

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


class MLP(Insight):
    """What both estimators share: fitting networks to a matrix of targets."""

    _own: ClassVar[dict[str, Parameter]] = {}  # parameters that only the subclass has
    loss_curve_: list[float]
    t_: int
    _states: list[dict[str, Any]]  # of each member, as the last partial_fit left it
    _stopping: list[dict[str, Any]]  # of each member: best, waited, its epoch and weights
    _seeds: list[int]

    def _look_at_targets(self, y: Any) -> None:
        """Refuse, before scikit-learn converts it, a y that would change in silence."""
        refuse_odd(y, "y")

    def _learn_targets(self, y: Any, weights: Array | None, classes: Any) -> None:
        """Learn what turns y into targets: classes, or mean and scale."""
        raise NotImplementedError

    def _targets(self, y: Any) -> Array:
        """Return targets (n, outputs) for y, by what was learnt."""
        raise NotImplementedError

    def _loss_and_output(self) -> tuple[Loss, Any]:
        """Return what is minimised, and the activation of the output layer."""
        raise NotImplementedError

    def _metric(self, Y: Array, outputs: Array, weights: Array | None) -> float:
        """Return accuracy or R² of outputs (n, outputs)."""
        raise NotImplementedError

    def _strata(self, Y: Array) -> Any:
        """Return the class of each row, where a split is to keep their shares."""
        return None

    def _knows_targets(self) -> bool:
        """Tell whether targets were learnt; they were not where weights are set by hand."""
        raise NotImplementedError

    def _refuse_other_targets(self, y: Any) -> None:
        """Raise ValueError where a warm start cannot go on for targets of another kind."""

    def _weigh(self, y: Any, weights: Array | None, first: bool) -> Array | None:
        """Return the sample weights with those of the classes."""
        return weights

    def _calibrate(self, rows: Rows) -> None:
        """Learn from rows that were not trained on how sure the predictions are."""
        raise NotImplementedError

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, eval_set: Any = None,
        time_limit: float | None = None,
    ) -> Self:  # fmt: skip
        """Fit the network to X (n, features) and y (n,) or (n, outputs); return self.

        `eval_set`, (X, y) or (X, y, sample_weight), is measured after every epoch, and is what
        early stopping looks at, in place of rows held out. After `time_limit` seconds the training
        ends, wherever it is.

        Raises ValueError for data or parameters that do not fit, and `Diverged`, which is one,
        at the first number that is not finite. On Ctrl-C the best weights so far are kept.
        """
        check_parameters(self.get_params(deep=False), PARAMETERS | self._own)
        if not (time_limit is None or is_number(time_limit, above=0)):
            raise ValueError(f"time_limit={time_limit!r} must be None or a number > 0 of seconds")
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
        curve = getattr(self, "loss_curve_", []) if goes_on else []
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

    def _read(self, X: Any, y: Any, sample_weight: Any, learn: bool, classes: Any = None) -> Rows:
        """Return features, targets (n, outputs) and weights, checked and of one dtype."""
        encoding = encodes(self.get_params(deep=False)) if learn else has_encoder(self)
        refuse_odd(X, "X", but="M" if encoding else "")
        self._look_at_targets(y)
        given = X
        if learn:
            self.__dict__.pop("encoder_", None)
        with in_one_line():
            if encoding:
                X = encode(self, X, learn)
                y = check_array(y, accept_sparse="csr", ensure_2d=False, dtype=None, input_name="y")
                check_consistent_length(X, y)
            else:
                X, y = validate_data(
                    self, X, y, accept_sparse=["csr", "csc"], multi_output=True,
                    dtype=(np.float64, np.float32), reset=learn,
                )  # fmt: skip
            X = X.tocsr() if hasattr(X, "tocsr") else np.ascontiguousarray(X)
            if y.ndim == 2 and y.shape[1] == 1:
                y = column_or_1d(y, warn=True)
            weights = as_weights(sample_weight, X.shape[0], X.dtype)
            if learn:
                self._learn_targets(y, weights, classes)
            Y = np.ascontiguousarray(self._targets(y), dtype=X.dtype)
        check_targets(self._loss_and_output()[0], Y)
        weighed = self._weigh(y, weights, learn)
        weighed = None if weighed is None else weighed.astype(X.dtype, copy=False)
        raw = hasattr(given, "columns") or encodes(self.get_params(deep=False))
        return Rows(Data(X, Y, weighed), given if raw else X, y, weights)

    def _split(
        self, rows: Rows, eval_set: Any, rng: Any, calibrates: bool = True
    ) -> tuple[Rows, Rows | None, Rows | None]:
        """Return the rows to train on, to validate on, and to calibrate by."""
        apart, held_out, names = None, None, getattr(self, "classes_", np.array([])).tolist()
        if calibrates and self.calibration_fraction:
            rows, apart = hold_out(
                rows, self.calibration_fraction, self._strata(rows.data.Y), rng,
                "calibration_fraction", "set it to 0", names,
            )  # fmt: skip
        if eval_set is not None:
            X, y, weights = check_eval_set(eval_set)
            held_out = self._read(X, y, weights, learn=False)
        elif self.early_stopping:
            rows, held_out = hold_out(
                rows, self.validation_fraction, self._strata(rows.data.Y), rng,
                "validation_fraction", "set early_stopping=False", names,
            )  # fmt: skip
        return rows, held_out, apart

    def _networks(self, data: Data, seeds: Sequence[int], goes_on: bool) -> list[Network]:
        """Return new networks, or the fitted ones in vectors of their own."""
        sizes, activations = hidden_layers(self.get_params(deep=False))
        output = get_activation(self._loss_and_output()[1])
        sizes = [data.X.shape[1], *sizes, data.Y.shape[1]]
        draws = initializers(self.get_params(deep=False), activations)
        activations = [*activations, output]
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
        name = network.activations[-1].name
        self.out_activation_ = "logistic" if name == "sigmoid" else name  # scikit-learn's word
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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        encoding = encodes(self.get_params(deep=False))
        tags.input_tags.sparse = not encoding
        tags.input_tags.allow_nan = self.missing != "error"
        tags.input_tags.categorical = tags.input_tags.string = self.categorical_features is not None
        return tags


def _run_one(loop: Loop, engine: str, state: State | None, cancelled: Callable[[], bool]) -> None:
    loop.cancelled = cancelled
    loop.run(engine, 1, state)


def _as_state(kept: dict[str, Any], network: Network) -> State:
    """Return the state that an earlier partial_fit kept as plain values."""
    own = {name: value for name, value in kept.items() if name != "theta"}
    own["slots"] = [np.array(slot, network.dtype) for slot in kept["slots"]]
    return State(**own | {"plateau": PlateauMemory(**kept["plateau"])})
