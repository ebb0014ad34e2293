"""Hidden: what a layer inside the network answers, and the output layer before its activation.

Hidden activations are features that the network has made of its inputs; logits are what
temperature scaling divides. Both run in compiled code where that was built.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.activations import ACTIVATIONS
from chainrule.arrays import Array, is_whole
from chainrule.data import as_matrix
from chainrule.native.predict import Passage, Passages
from chainrule.network import propagate
from chainrule.trace import Dense


def hidden_activations(layers: Sequence[Dense], X: Any, layer: int = -1) -> Array:
    """Return A[layer] (n, units), what that hidden layer answers to the rows of X (n, inputs).

    Parameters
    ----------
    layers : sequence of Dense
        Those of a network: `network.layers`.
    X : array-like or sparse matrix (n, inputs)
    layer : int
        Hidden layers are 1 to L − 1, as `Trace.A` counts them: A[0] is the input and A[L] the
        output. Negative numbers count from the end: −1 is the last hidden layer.

    Raises
    ------
    ValueError
        For an X that does not fit, a layer that is none, and a network without hidden layers.

    Examples
    --------
    >>> from chainrule import Network
    >>> net, X = Network([2, 5, 3, 1], "tanh", seed=0), [[0.0, 1.0], [1.0, 1.0]]
    >>> hidden_activations(net.layers, X, 1).shape, hidden_activations(net.layers, X).shape
    ((2, 5), (2, 3))
    >>> bool(np.allclose(hidden_activations(net.layers, X, 1), net.forward(X).A[1]))
    True
    """
    return _outputs(layers[: hidden_layer(layer, len(layers))], X)


def hidden_layer(layer: int, depth: int) -> int:
    """Return the number from 1 to depth − 1 of a hidden layer that may be counted from the end.

    >>> hidden_layer(-1, depth=4)
    3
    """
    if depth < 2:
        raise ValueError(
            f"layer={layer!r} is no hidden layer: the network has none; expected one with at"
            " least one, such as hidden_layer_sizes=(100,)"
        )
    if is_whole(layer, 1 - depth) and layer != 0 and layer < depth:
        return int(layer) % depth
    raise ValueError(
        f"layer={layer!r} is no hidden layer; expected a whole number from 1, the first, to"
        f" {depth - 1}, the last, or from -1, the last, to {1 - depth}"
    )


def logits(layers: Sequence[Dense], X: Any) -> Array:
    """Return Z (n, outputs) of the output layer, before its activation, for X (n, inputs).

    >>> from chainrule import Network
    >>> net, X = Network([2, 3, 2], output_activation="softmax", seed=0), [[0.0, 1.0]]
    >>> Z = logits(net.layers, X)
    >>> bool(np.allclose(np.exp(Z) / np.exp(Z).sum(), net.predict(X)))
    True
    """
    return _outputs([*layers[:-1], replace(layers[-1], activation=ACTIVATIONS["identity"])], X)


def _outputs(layers: Sequence[Dense], X: Any) -> Array:
    """Return what comes out of the last of these layers, finite or not."""
    X = as_matrix(X, "X", layers[0].W.dtype, layers[0].W.shape[0])

    def make() -> Passage:
        return Passage([p for d in layers for p in (d.W, d.b)], [d.activation for d in layers])

    passage = Passages().of(layers, make)
    outputs = passage.predict(X) if passage else None
    return np.asarray(propagate(layers, X).A[-1]) if outputs is None else outputs
