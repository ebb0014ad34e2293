"""Fitting: what both estimators share, from scikit-learn's contract to a trained network."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, ClassVar, Self
from weakref import WeakKeyDictionary

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from chainrule.activations import ACTIVATIONS, Activation, get_activation
from chainrule.arrays import Array, is_whole
from chainrule.callbacks import EarlyStopping, OnEpoch, check_callbacks
from chainrule.data import as_weights, check_targets, in_one_line, refuse_odd
from chainrule.engine import Data, State
from chainrule.estimators.parameters import Parameter, check_parameters, hidden_layers, make_plan
from chainrule.history import History, Record
from chainrule.loop import Loop
from chainrule.losses import Loss
from chainrule.native.predict import Passage, Passages
from chainrule.network import Dense, Network, propagate
from chainrule.optimizers import LBFGS

FITTED = ("coefs_", "intercepts_", "activations_")
_passages: WeakKeyDictionary[Any, Passages] = WeakKeyDictionary()  # beside, for it has no pickle


def trains_in_steps(estimator: Any) -> bool:
    """Tell whether `partial_fit` exists; raise AttributeError, with the reason, when not."""
    if estimator.solver == "lbfgs" or isinstance(estimator.solver, LBFGS):
        raise AttributeError(
            f"partial_fit needs a solver that trains in steps, got solver={estimator.solver!r};"
            " take solver='adam'"
        )
    return True


class MLP(BaseEstimator):
    """What both estimators share: fitting a network to a matrix of targets."""

    _own: ClassVar[dict[str, Parameter]] = {}  # parameters that only the subclass has
    coefs_: list[Array]
    intercepts_: list[Array]
    activations_: list[str | Activation]
    loss_curve_: list[float]
    t_: int
    _slots: list[Array]  # the optimizer's, as the last partial_fit left it
    _t: int
    _epoch: int
    _seed: int

    def _look_at_targets(self, y: Any) -> None:
        """Refuse, before scikit-learn converts it, a y that would change in silence."""
        refuse_odd(y, "y")

    def _learn_targets(self, y: Any, weights: Array | None, classes: Any) -> None:
        """Learn what turns y into targets: classes, or mean and scale."""
        raise NotImplementedError

    def _targets(self, y: Any) -> Array:
        """Return targets (n, outputs) for y, by what was learnt."""
        raise NotImplementedError

    def _loss_and_output(self) -> tuple[Loss, str]:
        raise NotImplementedError

    def _metric(self, Y: Array, outputs: Array) -> float:
        raise NotImplementedError

    def fit(self, X: Any, y: Any, sample_weight: Any = None, eval_set: Any = None) -> Self:
        """Fit the network to X (n, features) and y (n,) or (n, outputs); return self.

        `eval_set`, (X, y) or (X, y, sample_weight), is measured after every epoch, and is what
        early stopping looks at, in place of rows held out.

        Raises ValueError for data or parameters that do not fit, and `Diverged`, which is one,
        at the first number that is not finite. On Ctrl-C the best weights so far are kept.
        """
        check_parameters(self.get_params(deep=False), self._own)
        goes_on = self.warm_start and hasattr(self, "coefs_")
        X, Y, weights = self._validate(X, y, sample_weight, learn=not goes_on)
        rng = check_random_state(self.random_state)
        seed = int(rng.randint(2**31))
        network = self._network(X, Y, seed, goes_on)
        train, held_out = Data(X, Y, weights), None
        if eval_set is not None:
            if not isinstance(eval_set, (tuple, list)) or len(eval_set) not in (2, 3):
                raise ValueError(
                    f"eval_set is a {type(eval_set).__name__}; expected a pair (X, y), or three:"
                    " (X, y, sample_weight)"
                )
            X, y, sample_weight = (*eval_set, None)[:3]
            held_out = Data(*self._validate(X, y, sample_weight, learn=False))
        elif self.early_stopping:
            train, held_out = self._hold_out(train, rng)
        loop = self._loop(network, train, held_out, seed)
        lbfgs = isinstance(loop.plan.optimizer, LBFGS)
        ends_itself = self.learning_rate == "adaptive" and not lbfgs  # when its rate is lowest
        if not ends_itself and (self.early_stopping or not lbfgs):
            monitor = self.monitor if self.early_stopping else "loss"
            loop.callbacks.append(EarlyStopping(monitor, self.tol, self.n_iter_no_change, False))
        curve = self.loss_curve_ if goes_on else []
        for name in ("_slots", "_t", "_epoch", "_seed"):  # of an earlier partial_fit
            self.__dict__.pop(name, None)
        self._run(loop, None)
        self._finish(loop, network, train.n, curve, goes_on)
        if loop.history.stop_reason.startswith("reached"):
            warnings.warn(
                f"{loop.history.stop_reason} (max_iter) before the loss settled; raise"
                f" max_iter={self.max_iter} or the learning rate, or stop on held-out rows:"
                " early_stopping=True",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    @available_if(trains_in_steps)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one more epoch on X and y, with the optimizer as the last call left it."""
        return self._partial_fit(X, y, sample_weight)

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        check_parameters(self.get_params(deep=False), self._own)
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True; set it to False")
        goes_on = hasattr(self, "coefs_")
        X, Y, weights = self._validate(X, y, sample_weight, learn=not goes_on, classes=classes)
        if not hasattr(self, "_seed"):
            self._seed = int(check_random_state(self.random_state).randint(2**31))
        network = self._network(X, Y, self._seed, goes_on)
        loop = self._loop(network, Data(X, Y, weights), None, self._seed)
        state = State.start(loop.plan, network)
        if goes_on and hasattr(self, "_slots"):
            state.slots = [slot.copy() for slot in self._slots]
            state.t, state.epoch = self._t, self._epoch
        loop.last_epoch = state.epoch + 1
        curve = self.loss_curve_ if goes_on else []
        self._run(loop, state)
        self._slots, self._t, self._epoch = state.slots, state.t, state.epoch
        self._finish(loop, network, X.shape[0], curve, goes_on)
        return self

    def _validate(
        self, X: Any, y: Any, sample_weight: Any, learn: bool, classes: Any = None
    ) -> tuple[Any, Array, Array | None]:
        """Return X, targets (n, outputs) and weights, checked and of one dtype."""
        refuse_odd(X, "X")
        self._look_at_targets(y)
        with in_one_line():
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
        return X, Y, weights

    def _network(self, X: Any, Y: Array, seed: int, goes_on: bool) -> Network:
        """Return a new network, or the fitted one in a vector of its own."""
        sizes, activations = hidden_layers(self.get_params(deep=False))
        output = get_activation(self._loss_and_output()[1])
        sizes = [X.shape[1], *sizes, Y.shape[1]]
        network = Network(sizes, [*activations, output], seed=seed, dtype=X.dtype)
        if goes_on:
            fitted = [self.coefs_[0].shape[0], *(W.shape[1] for W in self.coefs_)]
            if fitted != sizes:
                raise ValueError(
                    f"the fitted network has sizes {fitted}, the data and parameters ask for"
                    f" {sizes}; fit anew with warm_start=False"
                )
            for layer, W, b in zip(network.layers, self.coefs_, self.intercepts_, strict=True):
                layer.W[:], layer.b[:] = W, b
        return network

    def _hold_out(self, data: Data, rng: Any) -> tuple[Data, Data]:
        """Return the rows to train on and those to validate on, each class on both sides."""
        X, Y, weights, n = data.X, data.Y, data.weights, data.n
        strata = self._strata(Y)
        try:
            sides = train_test_split(
                np.arange(n), test_size=self.validation_fraction, stratify=strata, random_state=rng
            )
        except ValueError as error:
            why = str(error).splitlines()[0][:200].rstrip(".")
            raise ValueError(
                f"validation_fraction={self.validation_fraction!r} of {n} rows cannot be held out:"
                f" {why}: give more rows or set early_stopping=False"
            ) from None
        if len(sides[1]) < 2:
            raise ValueError(
                f"validation_fraction={self.validation_fraction!r} of {n} rows leaves"
                f" {len(sides[1])} row to validate on; expected at least 2: raise it, or set"
                " early_stopping=False"
            )
        train, held = (
            Data(X[rows], Y[rows], None if weights is None else weights[rows]) for rows in sides
        )
        for part in (train, held):
            if part.weights is not None and not part.weights.any():
                raise ValueError("the validation split leaves only zero weights on one side")
        return train, held

    def _strata(self, Y: Array) -> Any:
        return None

    def _loop(self, network: Network, train: Data, held_out: Data | None, seed: int) -> Loop:
        p = self.get_params(deep=False)
        plan = make_plan(p, self._loss_and_output()[0], train.n, len(network.layers), seed)
        metric: Callable[..., float] | None = self._metric if held_out is not None else None
        loop = Loop(plan, network, train, held_out, metric, History())
        loop.best.monitor = self.monitor if held_out is not None else "loss"
        loop.restore_best = self.early_stopping
        loop.callbacks.extend(check_callbacks(self.callbacks or ()))
        if self.verbose:
            loop.callbacks.append(OnEpoch(_print_epoch))
        return loop

    def _run(self, loop: Loop, state: State | None) -> None:
        try:
            loop.run(self.engine, self.n_threads, state)
        except KeyboardInterrupt:
            if not loop.history.stop_reason:  # it had not begun
                raise
            warnings.warn(
                f"Training {loop.history.stop_reason}; the best weights so far are kept",
                stacklevel=3,
            )

    def _finish(
        self, loop: Loop, network: Network, rows: int, curve: list[float], goes_on: bool
    ) -> None:
        """Take over what was learnt, in plain arrays, numbers, lists and strings."""
        history = loop.history
        self.coefs_, self.intercepts_ = list(network.W), list(network.b)
        self.activations_ = [
            a.name if ACTIVATIONS.get(a.name) == a else a for a in network.activations
        ]
        self.n_layers_, self.n_outputs_ = len(network.sizes), network.sizes[-1]
        name = network.activations[-1].name
        self.out_activation_ = "logistic" if name == "sigmoid" else name  # scikit-learn's word
        self.n_iter_ = len(history)
        self.t_ = (self.t_ if goes_on else 0) + rows * len(history)
        self.history_ = history.records
        self.loss_curve_ = [*curve, *history["loss"]]
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else None
        scores = history["metric"] if loop.held_out is not None else None
        self.validation_scores_ = scores
        self.best_validation_score_ = max(scores) if scores else None
        self.best_loss_ = None if self.early_stopping else min(self.loss_curve_, default=None)
        self.best_epoch_ = history.best_epoch
        self.stop_reason_ = history.stop_reason
        self.engine_, self.engine_reason_ = history.engine, history.engine_reason

    def _outputs(self, X: Any, both: bool = False) -> Array:
        """Return the outputs (n, outputs) for X, all finite, or raise as scikit-learn asks.

        With `both`, where there is one output only, σ(−z) = 1 − σ(z) stands before it, which loses
        no digits to cancellation.
        """
        passage = self._passage()
        threads = self.n_threads if is_whole(self.n_threads, 1) else None
        plain = "feature_names_in_" not in self.__dict__  # no names that X would have to bear
        if passage is not None and plain and self.__dict__.get("n_features_in_") == passage.inputs:
            outputs = passage.predict(X, both, threads)
            if outputs is not None:
                return outputs
        check_is_fitted(self, "coefs_")
        refuse_odd(X, "X")
        with in_one_line():
            X = validate_data(
                self, X, accept_sparse=["csr", "csc"], dtype=(np.float64, np.float32), reset=False
            )
        outputs = passage.predict(X, both, threads) if passage is not None else None
        if outputs is not None:
            return outputs
        with np.errstate(over="ignore", invalid="ignore"):
            trace = propagate(fitted_layers(self), X)
        refuse_infinite(trace.A[-1])
        if not both or trace.A[-1].shape[1] > 1:
            return np.asarray(trace.A[-1])
        return np.hstack([get_activation("sigmoid").value(-trace.Z[-1]), trace.A[-1]])

    def _passage(self) -> Passage | None:
        """Return the way through the fitted layers in compiled code, where there is one."""
        fitted = self.__dict__
        if self.engine == "reference" or not all(name in fitted for name in FITTED):
            return None
        coefs, intercepts, activations = (fitted[name] for name in FITTED)
        if not len(coefs) == len(intercepts) == len(activations):
            return None
        passages = _passages.get(self) or _passages.setdefault(self, Passages())
        sigmas = [get_activation(a) for a in activations]
        return passages.of([*coefs, *intercepts, *sigmas], lambda: _new_passage(self))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def refuse_infinite(outputs: Array) -> None:
    """Raise ValueError for predictions (n, outputs) of which one is no finite number."""
    finite = np.isfinite(outputs).all(axis=1)
    if not finite.all():
        raise ValueError(
            f"the prediction for row {int(finite.argmin())} of X is not a finite number, as for"
            f" {int((~finite).sum())} rows in all; expected numbers as large as those in fit:"
            " scale or drop these rows"
        )


def fitted_layers(estimator: Any) -> list[Dense]:
    """Return the layers of a fitted estimator."""
    activations: list[str | Activation] = estimator.activations_
    parts = zip(estimator.coefs_, estimator.intercepts_, activations, strict=True)
    return [Dense(W, b, get_activation(a)) for W, b, a in parts]


def _new_passage(estimator: Any) -> Passage:
    layers = fitted_layers(estimator)
    parameters = [p for layer in layers for p in (layer.W, layer.b)]
    return Passage(parameters, [layer.activation for layer in layers])


def _print_epoch(record: Record) -> None:
    line = f"Iteration {record['epoch']}, loss = {record['loss']:.8f}"
    if record["metric"] is not None:
        line += f", validation score = {record['metric']:f}"
    print(line)


def store(estimator: Any, parameters: dict[str, Any]) -> None:
    """Do what a constructor of scikit-learn's does: store the parameters as they are."""
    for name, value in parameters.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)
