"""Subject: what is explained, a network with rows, targets and a cost, of the user's own model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.data import as_matrix
from chainrule.losses import Loss, get_loss
from chainrule.network import NO_PENALTY, Gradients, Network, Trace
from chainrule.optimizers import LBFGS, Optimizer, get_optimizer
from chainrule.penalties import Penalty


@dataclass
class Subject:
    """A float64 network, rows with targets, the cost and the optimizer; and both passes done."""

    network: Network
    X: Array
    Y: Array
    loss: Loss
    weights: Array | None
    penalty: Penalty
    optimizer: Optimizer | LBFGS
    clip_norm: float | None = None
    features: Sequence[str] = ()
    outputs: Sequence[str] = ()
    rows: Sequence[str] = ()
    notes: list[str] = field(default_factory=list)
    trace: Trace = field(init=False)
    grads: Gradients = field(init=False)
    share: Array = field(init=False)  # (n, 1), each row's part of the weight
    total: float = field(init=False)  # of the weights
    cost: float = field(init=False)

    def __post_init__(self) -> None:
        net = self.network
        with np.errstate(over="ignore", invalid="ignore"):  # refused below, in one line
            self.trace = net.forward(self.X)
            self.X = self.trace.A[0]
            how: dict[str, Any] = {"weights": self.weights, "penalty": self.penalty}
            self.grads = net.backward(self.trace, self.Y, self.loss, **how)
            self.cost = net.cost(self.X, self.Y, self.loss, **how)
        self.Y, self.share, self.total = net.check_targets(
            self.trace, self.Y, self.loss, self.weights
        )
        if not (np.isfinite(self.grads.flat).all() and np.isfinite(self.cost)):
            raise ValueError(
                "the network's cost or gradients on these rows are not finite; take rows of smaller"
                " numbers, or a network that has not diverged"
            )
        n_in, n_out = net.sizes[0], net.sizes[-1]
        self.features = _names(self.features, n_in, "features")
        self.outputs = _names(self.outputs, n_out, "outputs")
        self.rows = _names(self.rows or [str(r) for r in range(self.n)], self.n, "rows")

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

    Raises ValueError for another model, and for rows and targets that do not fit it.
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
    own["loss"] = get_loss(own.get("loss", "squared_error"))
    own["optimizer"] = get_optimizer(own.get("optimizer", "sgd"))
    own.setdefault("penalty", NO_PENALTY)
    own.setdefault("weights", None)
    notes = [] if net.dtype == np.float64 else ["the network's float32 numbers are told in float64"]
    X = as_matrix(X, "X", np.float64, net.sizes[0])
    X = X if isinstance(X, np.ndarray) else X.toarray()
    return Subject(net.copy("float64"), X, y, notes=notes, **own)


def _of_estimator(model: Any, X: Any, y: Any, given: Mapping[str, Any]) -> Subject:
    network, features, Y, own, notes = model._taken_apart(X, y)
    told = _of_network(
        network, features, Y, own | {k: v for k, v in given.items() if v is not None}
    )
    if told.penalty.alpha:
        told.notes.append(
            f"alpha is divided by the weight of the rows told, {told.total:g}; in training by a"
            " batch's, so a few rows' C and dW have more of the penalty than it had"
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
