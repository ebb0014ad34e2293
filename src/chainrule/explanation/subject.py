"""Subject: what is explained, a network with rows, and with targets a cost, of the user's model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from chainrule.arrays import Array
from chainrule.data import as_matrix
from chainrule.losses import Loss, get_loss
from chainrule.network import NO_PENALTY, Gradients, Network, Trace
from chainrule.optimizers import LBFGS, Optimizer, get_optimizer
from chainrule.penalties import Penalty


@dataclass
class Objective:
    """Targets, what it costs to miss them, its gradients, and the optimizer that lowers it."""

    Y: Array
    share: Array  # (n, 1), each row's part of the weight
    total: float  # of the weights
    loss: Loss
    weights: Array | None
    penalty: Penalty
    optimizer: Optimizer | LBFGS
    clip_norm: float | None
    grads: Gradients
    cost: float

    @classmethod
    def of(cls, net: Network, trace: Trace, y: Any, given: Mapping[str, Any]) -> Objective:
        """Return the objective on rows that were passed forward; squared error and SGD by default.

        Raises ValueError for targets that do not fit, and for a cost that is not finite.
        """
        loss = get_loss(given.get("loss", "squared_error"))
        weights, penalty = given.get("weights"), given.get("penalty", NO_PENALTY)
        how: dict[str, Any] = {"weights": weights, "penalty": penalty}
        with np.errstate(over="ignore", invalid="ignore"):  # refused below, in one line
            grads = net.backward(trace, y, loss, **how)
            cost = net.cost(trace.A[0], y, loss, **how)
        if not (np.isfinite(grads.flat).all() and np.isfinite(cost)):
            _refuse_infinite("cost or gradients")
        optimizer = get_optimizer(given.get("optimizer", "sgd"))
        return cls(*net.check_targets(trace, y, loss, weights), loss, weights, penalty, optimizer,
                   given.get("clip_norm"), grads, cost)  # fmt: skip


@dataclass
class Subject:
    """A float64 network, and rows that were passed forward; with targets, an objective."""

    network: Network
    trace: Trace
    objective: Objective | None
    features: Sequence[str] = ()
    outputs: Sequence[str] = ()
    rows: Sequence[str] = ()
    scaling: tuple[Array, Array] | None = None  # mean and spread of the targets, by output
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        n_in, n_out = self.network.sizes[0], self.network.sizes[-1]
        self.features = _names(self.features, n_in, "features")
        self.outputs = _names(self.outputs, n_out, "outputs")
        self.rows = _names(self.rows or [str(r) for r in range(self.n)], self.n, "rows")

    @property
    def X(self) -> Array:
        """The rows (n, inputs), as the network is fed them."""
        return self.trace.A[0]

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.X.shape[0])

    @property
    def one_row(self) -> bool:
        """Whether the row's index can be left out."""
        return self.n == 1


def subject(model: Any, X: Any, y: Any, given: Mapping[str, Any]) -> Subject:
    """Return what is to be explained of a Network, or of a fitted estimator or pipeline.

    Without y it has no objective. Raises ValueError for another model, and for rows and targets
    that do not fit it.
    """
    if isinstance(model, Network):
        return _of_network(model, X, y, given)
    if hasattr(model, "steps") and hasattr(model, "named_steps"):  # scikit-learn's Pipeline
        return _of_pipeline(model, X, y, given)
    if hasattr(model, "coefs_") and hasattr(model, "_taken_apart"):
        return _of_estimator(model, X, y, given)
    kind = type(model).__name__
    raise ValueError(
        f"{kind} is nothing that can be explained; expected a Network, or a fitted MLPClassifier,"
        " MLPRegressor, or a Pipeline that ends in one"
        + ("" if hasattr(model, "coefs_") or not hasattr(model, "fit") else ": fit it first")
    )


def _of_network(net: Network, X: Any, y: Any, given: Mapping[str, Any]) -> Subject:
    own = {key: value for key, value in given.items() if value is not None}
    notes = [] if net.dtype == np.float64 else ["the network's float32 numbers are told in float64"]
    X = as_matrix(X, "X", np.float64, net.sizes[0])
    net = net.copy("float64")
    with np.errstate(over="ignore", invalid="ignore"):  # refused in one line
        trace = net.forward(X if isinstance(X, np.ndarray) else X.toarray())
    objective = None if y is None else Objective.of(net, trace, y, own)
    if objective is None and not all(np.isfinite(each).all() for each in (*trace.Z, *trace.A)):
        _refuse_infinite("outputs")
    kept = ("features", "outputs", "rows", "scaling")
    names = {key: own[key] for key in kept if key in own}
    return Subject(net, trace, objective, notes=notes, **names)


def _refuse_infinite(what: str) -> NoReturn:
    raise ValueError(
        f"the network's {what} on these rows are not finite; take rows of smaller"
        " numbers, or a network that has not diverged"
    )


def _of_estimator(model: Any, X: Any, y: Any, given: Mapping[str, Any]) -> Subject:
    network, features, Y, own, notes = model._taken_apart(X, y)
    told = _of_network(
        network, features, Y, own | {k: v for k, v in given.items() if v is not None}
    )
    if told.objective is not None and told.objective.penalty.alpha:
        told.notes.append(
            f"alpha is divided by the weight of the rows told, {told.objective.total:g}; in"
            " training by a batch's, so a few rows' C and dW have more of the penalty than it had"
        )
    told.notes += notes
    return told


def _of_pipeline(model: Any, X: Any, y: Any, given: Mapping[str, Any]) -> Subject:
    encoded = model[:-1].transform(X) if len(model) > 1 else X
    own = dict(given)
    if own.get("features") is None and len(model) > 1:
        names = getattr(model[:-1], "get_feature_names_out", None)
        own["features"] = None if names is None else [str(name) for name in names()]
    return subject(model[-1], encoded, y, own)


def _names(names: Any, count: int, what: str) -> tuple[str, ...]:
    words = tuple(str(name) for name in (() if names is None else names))
    if words and len(words) != count:
        raise ValueError(f"{what} has {len(words)} names; expected {count}")
    return words
