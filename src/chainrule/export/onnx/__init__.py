"""ONNX: encoder, network, labels and probabilities in one graph.

| room | what it is |
|---|---|
| `graph` | nodes, constants, inputs and outputs, collected |
| `formulas` | activations, traced from their Python definitions |
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from chainrule.export.onnx.formulas import Traced, activate
from chainrule.export.onnx.graph import Graph
from chainrule.export.parts import Parts, take_apart
from chainrule.trace import Dense

OPSETS = (17, 25)  #: the oldest and the newest that are tested


def to_onnx(model: Any, opset: int = 17, *, dtype: Any = None) -> Any:
    """Return a fitted model as an ONNX model, which takes the rows that it takes.

    Examples
    --------
    >>> from chainrule import Network, to_onnx
    >>> onnx = to_onnx(Network([2, 3, 1], seed=0))
    >>> [each.name for each in onnx.graph.input], [each.name for each in onnx.graph.output]
    (['X'], ['variable'])
    """
    return _model(take_apart(model, dtype), opset)


def write(parts: Parts) -> bytes:
    """Return the parts of a model as an ONNX file."""
    content: bytes = _model(parts, OPSETS[0]).SerializeToString()
    return content


def _model(parts: Parts, opset: int) -> Any:
    graph = Graph()
    X = Traced(graph, graph.input("X", parts.dtype, parts.inputs), parts.dtype, parts.inputs)
    outputs = propagate(parts.members[0], X)
    graph.output("variable", outputs.name, parts.dtype, parts.outputs)
    names = {"columns": parts.names, "about": parts.about}
    metadata = {"chainrule": parts.version, "kind": parts.kind}
    metadata |= {key: json.dumps(value) for key, value in names.items() if value}
    return graph.model(opset, parts.kind, metadata)


def propagate(layers: list[Dense], X: Traced) -> Traced:
    """Return the output of the last layer for the rows of X."""
    A = X
    for layer in layers:
        W, b = (X.graph.constant(each, X.dtype) for each in (layer.W, layer.b))
        Z = X.graph.add("Add", X.graph.add("MatMul", A.name, W), b)
        A = activate(layer.activation, Traced(X.graph, Z, np.dtype(X.dtype), layer.W.shape[1]))
    return A
