"""Explained: a fitted estimator taken apart into what an explanation tells of."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.estimators.inputs import input_names
from chainrule.estimators.outputs import fitted_network, member_count
from chainrule.estimators.plan import make_plan
from chainrule.network import Network


def taken_apart(
    model: Any, X: Any, y: Any
) -> tuple[Network, Array, Array | None, dict[str, Any], list[str]]:
    """Return the network, what it is fed, its targets, how it was trained, and notes on that.

    Without y, targets are None and notes are on the outputs alone.
    """
    features = model._features(X)
    features = features.toarray() if hasattr(features, "toarray") else features
    Y = None if y is None else model._targets(np.asarray(y))
    loss, _ = model._loss_and_output()
    network = fitted_network(model)
    parameters = model.get_params(deep=False) | {"batch_size": "auto"}
    plan = make_plan(parameters, loss, len(features), len(network.layers), 0)
    how = {
        "loss": loss, "penalty": plan.penalty, "optimizer": plan.optimizer,
        "clip_norm": plan.clip_norm, "features": input_names(model),
        "scaling": _scaling(model, network.sizes[-1]),
    }  # fmt: skip
    classes = getattr(model, "classes_", None)
    one = network.sizes[-1] == 1  # of two classes, the probability of the second
    if isinstance(classes, np.ndarray) and len(classes) == (2 if one else network.sizes[-1]):
        how["outputs"] = [str(label) for label in classes[int(one) :]]
    notes = _notes_on_outputs(model, plan)
    if Y is not None:
        notes += _notes_on_training(plan, how["scaling"] is not None)
    return network, features, Y, how, notes


def _scaling(model: Any, outputs: int) -> tuple[Array, Array] | None:
    """Return mean and spread of the targets, by output; None where they were not scaled."""
    scale = getattr(model, "y_scale_", None)
    if scale is None or (np.all(scale == 1) and np.all(model.y_mean_ == 0)):
        return None
    return model._in_units(np.zeros((1, outputs)))[0], model._unit()


def _notes_on_outputs(model: Any, plan: Any) -> list[str]:
    notes = []
    if (members := member_count(model)) > 1:
        notes.append(f"this is the first of {members} members, whose outputs are averaged")
    if any(plan.dropout):
        notes.append("nothing drops out here; in training it does")
    return notes


def _notes_on_training(plan: Any, scaled: bool) -> list[str]:
    notes = []
    besides = {"weight_decay": 0.0, "ema_decay": None}
    acts = [f"{name}={p}" for name, idle in besides.items() if (p := getattr(plan, name)) != idle]
    if acts:
        notes.append(f"{' and '.join(acts)} act on the update in training; here they are left out")
    if scaled:
        notes.append("targets are scaled as in training: (y − mean) / spread")
    return notes
