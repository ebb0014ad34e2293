"""Scikit-learn: what its MLP has learnt goes on here, with the same predictions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.utils.validation import check_is_fitted

from chainrule.arrays import Array
from chainrule.engine import State
from chainrule.estimators import MLPClassifier, MLPRegressor
from chainrule.network import Network

#: What a fit of theirs leaves that means the same here.
SAME = ("feature_names_in_", "n_features_in_", "n_iter_", "n_layers_", "n_outputs_", "t_")
NUMBERS = ("loss_", "best_loss_", "best_validation_score_")
#: Their optimizers' memories, in the order of our optimizers' slots.
MEMORIES = {"adam": ("ms", "vs"), "sgd": ("velocities",)}


def from_sklearn(fitted: Any) -> MLPClassifier | MLPRegressor:
    """Return our estimator with what scikit-learn's MLPClassifier or MLPRegressor has learnt.

    Parameters, weights, classes, curves and predictions are the same; the estimator saves,
    explains, calibrates and exports as any of ours. `warm_start` and `partial_fit` go on from
    there, with the moments of Adam or the velocities of SGD as they were; rows are shuffled by our
    own generator, so the next epochs are not scikit-learn's to the bit.

    Parameters
    ----------
    fitted : sklearn.neural_network.MLPClassifier or MLPRegressor
        Fitted.

    Raises
    ------
    ValueError
        For any other model; sklearn.exceptions.NotFittedError, which is one, for one not fitted.

    Examples
    --------
    >>> import sklearn.neural_network
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> theirs = sklearn.neural_network.MLPClassifier((8,), solver="lbfgs", max_iter=1000).fit(X, y)
    >>> ours = from_sklearn(theirs)
    >>> bool((ours.predict(X) == theirs.predict(X)).all())
    True
    """
    if type(fitted) not in (TheirClassifier, TheirRegressor):
        kind = f"{type(fitted).__module__}.{type(fitted).__name__}"
        raise ValueError(
            f"a {kind} is no multilayer perceptron of scikit-learn's; expected a fitted"
            " sklearn.neural_network.MLPClassifier or MLPRegressor"
        )
    check_is_fitted(fitted, "coefs_")
    ours: Any = MLPClassifier if type(fitted) is TheirClassifier else MLPRegressor
    known = ours().get_params(deep=False)
    given = {name: v for name, v in fitted.get_params(deep=False).items() if name in known}
    model = ours(**given)
    network = _network(fitted)
    model._take([network])
    for name in SAME:
        if hasattr(fitted, name):
            setattr(model, name, getattr(fitted, name))
    for name in NUMBERS:
        value = getattr(fitted, name, None)
        setattr(model, name, None if value is None else float(value))
    if type(fitted) is TheirClassifier:
        several = fitted._label_binarizer.y_type_.startswith("multilabel")
        model.classes_, model._kind = fitted.classes_, "labels" if several else "classes"
    else:
        model.y_mean_, model.y_scale_ = np.zeros(network.sizes[-1]), np.ones(network.sizes[-1])
    _take_course(model, fitted)
    _take_optimizer(model, fitted, network)
    return model


def _network(fitted: Any) -> Network:
    """Return their network: its activations, and its weights in a vector of our own."""
    weights = fitted.coefs_
    sizes = [weights[0].shape[0], *(W.shape[1] for W in weights)]
    activations = [fitted.activation] * (len(weights) - 1) + [fitted.out_activation_]
    network = Network(sizes, activations, initializers="zeros", dtype=weights[0].dtype)
    network.theta[:] = _flat([*weights, *fitted.intercepts_])
    return network


def _flat(parameters: list[Array]) -> Array:
    """Return their parameters, all weights first, in our order: W[0], b[0], W[1], …"""
    layers = len(parameters) // 2
    pairs = zip(parameters[:layers], parameters[layers:], strict=True)
    return np.concatenate([each.ravel() for pair in pairs for each in pair])


def _take_course(model: Any, fitted: Any) -> None:
    """Take over the epochs of the training, as far as they are told."""
    losses = [float(loss) for loss in getattr(fitted, "loss_curve_", ())]
    scores = getattr(fitted, "validation_scores_", None)
    model.loss_curve_, model.validation_curve_ = losses, None
    model.validation_scores_ = None if scores is None else [float(each) for each in scores]
    unknown = ("updates", "validation_loss", "rate", "gradient_norm", "layer_gradient_norms")
    model.history_ = [
        {"epoch": epoch + 1, "loss": loss, "seconds": None}
        | dict.fromkeys(unknown)
        | {"metric": None if model.validation_scores_ is None else model.validation_scores_[epoch]}
        for epoch, loss in enumerate(losses)
    ]
    model.best_epoch_ = None
    model.stop_reason_ = "trained by scikit-learn"
    model.engine_, model.engine_reason_ = "scikit-learn", "trained by scikit-learn"


def _take_optimizer(model: Any, fitted: Any, network: Network) -> None:
    """Take over the optimizer's memory, so that partial_fit goes on where theirs would."""
    optimizer = getattr(fitted, "_optimizer", None)
    memories = MEMORIES.get(fitted.solver)
    if optimizer is None or memories is None:
        return
    slots = [_flat(getattr(optimizer, name)) for name in memories]
    updates = getattr(optimizer, "t", fitted.n_iter_)
    state = State(slots, [0.0] * len(network.layers), t=int(updates), epoch=int(fitted.n_iter_))
    model._states = [asdict(state) | {"theta": network.theta.copy()}]
    model._seeds = [0]
