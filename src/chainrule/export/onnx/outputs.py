"""Outputs: labels and probabilities of a classifier, numbers and quantiles of a regressor.

The names are those that converters of scikit-learn's models give: `label` and `probabilities`, or
`variable`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.activations import ACTIVATIONS, Sigmoid
from chainrule.calibration import log_odds
from chainrule.export.onnx.layers import activate, propagate
from chainrule.export.onnx.traced import Traced, beside, on_traced, pick
from chainrule.export.parts import Parts


def write_outputs(parts: Parts, X: Traced) -> None:
    """Add what the model says of the rows of features X to the graph, as its outputs."""
    ends = [propagate(member, X) for member in parts.members]
    A = _mean([a for _, a in ends])
    if parts.task == "numbers":
        _write_numbers(parts, A)
    elif parts.task == "outputs":
        A.graph.output("variable", A.name, A.dtype, A.units)
    else:
        _write_label(parts, A)
        P = _mean([_both(parts, z, a) for z, a in ends])
        P = _probabilities(parts, P)
        P.graph.output("probabilities", P.name, P.dtype, P.units)


def _mean(values: list[Traced]) -> Traced:
    """Return the mean over members."""
    total = values[0]
    for each in values[1:]:
        total = total + each
    return total if len(values) == 1 else total / len(values)


# Numbers -------------------------------------------------------------------------------------


def _write_numbers(parts: Parts, A: Traced) -> None:
    each = max(1, len(parts.quantiles))
    scale, mean = (np.repeat(of_y, each).astype(parts.dtype) for of_y in (parts.scale, parts.mean))
    Y = A if (scale == 1).all() and (mean == 0).all() else A * scale + mean
    targets = Y.units // each
    said = pick(Y, [target * each + parts.middle for target in range(targets)])
    Y.graph.output("variable", said.name, Y.dtype, targets)
    if parts.quantiles:
        shape = (each,) if targets == 1 else (targets, each)
        whole = Y.graph.constant([-1, *shape], np.int64)
        Y.graph.output("quantiles", Y.graph.add("Reshape", Y.name, whole), Y.dtype, *shape)


# Classes and labels --------------------------------------------------------------------------


def _write_label(parts: Parts, A: Traced) -> None:
    graph = A.graph
    if parts.task == "labels":
        graph.output("label", (A > 0.5).astype(np.int64).name, np.int64, A.units)
        return
    classes = np.asarray(parts.classes)
    if A.units > 1:
        place = graph.add("ArgMax", A.name, axis=1, keepdims=0)  # the first of equal ones
    else:
        threshold = 0.5 if len(classes) > 1 else math.inf
        sure = threshold < A
        one = graph.constant([1], np.int64)
        place = graph.add("Squeeze", sure.astype(np.int64).name, one)
    dtype = _label_type(classes)
    graph.output("label", graph.add("Gather", graph.constant(classes, dtype), place), dtype)


def _label_type(classes: Any) -> Any:
    """Return the type of the labels in the graph: text, whole numbers, true/false or numbers."""
    kind = classes.dtype.kind
    if kind == "U" or (kind == "O" and all(isinstance(label, str) for label in classes)):
        return np.dtype(object)
    if kind in "iu" and classes.max() <= np.iinfo(np.int64).max:
        return np.dtype(np.int64)
    if kind == "b":
        return np.dtype(bool)
    if kind == "f" and classes.dtype.itemsize <= 8:
        return np.dtype(np.float64)
    raise ValueError(
        f"classes of dtype {classes.dtype}, such as {classes[0]!r}, have no ONNX form; expected"
        " text, whole numbers, numbers, or true and false"
    )


def _both(parts: Parts, z: Traced, a: Traced) -> Traced:
    """Return a, and where that is one output for two classes, 1 − a before it.

    σ(−z) = 1 − σ(z) loses no digits to cancellation.
    """
    if a.units > 1:
        return a
    sigma = parts.members[0][-1].activation
    return beside([activate(sigma, -z) if isinstance(sigma, Sigmoid) else 1 - a, a])


def _probabilities(parts: Parts, P: Traced) -> Traced:
    """Return probabilities as `predict_proba` makes them of outputs."""
    tiny = float(np.finfo(parts.dtype).tiny)
    classes = 0 if parts.classes is None else len(parts.classes)
    if parts.task == "classes" and classes == 1:
        return P[:, :1] * 0 + 1
    of_softmax = parts.members[0][-1].activation == ACTIVATIONS["softmax"]
    if parts.task == "classes" and classes > 2 and not of_softmax:
        P = P / on_traced.maximum(P.sum(axis=1, keepdims=True), 1e-300)
    P = on_traced.maximum(P, tiny)
    if parts.temperature is None:
        return P
    p: Any = P.astype(np.float64)
    logits: Any = on_traced.log(p) if parts.task == "classes" else log_odds(p)
    sigma = ACTIVATIONS["softmax" if parts.task == "classes" else "sigmoid"]
    tempered = activate(sigma, logits / parts.temperature)
    return on_traced.maximum(tempered.astype(parts.dtype), tiny)
