"""The network: layers as views into one flat parameter vector, and the four equations.

Layer l turns A[l] into A[l+1]; A[0] is the input, A[L] the output, and rows are samples:

    forward    Z[l] = A[l]·W[l] + b[l]          A[l+1] = σ(Z[l])

    BP1        δ[L−1] = ∂C/∂A[L] ⊙ σ′(Z[L−1])                     error of the output layer
    BP2        δ[l−1] = (δ[l]·W[l]ᵀ) ⊙ σ′(Z[l−1])                 error of a layer from the next
    BP3        ∂C/∂b[l] = Σ over rows of δ[l]
    BP4        ∂C/∂W[l] = A[l]ᵀ·δ[l]

C is the mean cost over the batch, so δ[l] = ∂C/∂Z[l] carries each row's share of the weight. The
textbook numbers layers from 1 and writes a sample as a column; this is the same transposed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule.activations import Activation, get_activation, is_activation
from chainrule.arrays import Array, aligned_zeros, is_whole, pieces
from chainrule.data import as_matrix, as_targets, as_weights, check_dtype, check_sizes
from chainrule.initializers import Initializer, first_weights, get_initializer
from chainrule.losses import Loss, get_loss
from chainrule.memory import refuse_beyond_memory
from chainrule.native.predict import Passage, Passages
from chainrule.penalties import Penalty
from chainrule.sparse import product
from chainrule.trace import Dense as Dense
from chainrule.trace import Gradients as Gradients
from chainrule.trace import Trace as Trace
from chainrule.trace import norm as norm

NO_PENALTY = Penalty()


def propagate(layers: Sequence[Dense], X: Any, masks: Sequence[Array | None] = ()) -> Trace:
    """Run X (n, inputs) forward through the layers."""
    trace = Trace([X], masks=masks)
    for l, layer in enumerate(layers):
        trace.Z.append(trace.fed(l) @ layer.W + layer.b)
        trace.A.append(layer.activation.value(trace.Z[l]))
    return trace


def row_losses(layers: Sequence[Dense], trace: Trace, Y: Array, loss: Loss) -> Array:
    """Return the loss of each row (n,), summed over its outputs."""
    if loss.pairs_with(layers[-1].activation):
        return np.asarray(loss.value_from_logits(trace.Z[-1], loss.target(Y)).sum(axis=1))
    return np.asarray(loss.value(trace.A[-1], loss.target(Y)).sum(axis=1))


def output_delta(layers: Sequence[Dense], trace: Trace, Y: Array, loss: Loss) -> Array:
    """Return BP1 before averaging: ∂loss/∂Z of the output layer (n, outputs)."""
    z, a, sigma = trace.Z[-1], trace.A[-1], layers[-1].activation
    if loss.pairs_with(sigma):  # a canonical pair, for which the line below simplifies
        return loss.delta_from_logits(z, a, loss.target(Y))
    return sigma.pullback(loss.gradient(a, loss.target(Y)), z, a)


def backpropagate(
    layers: Sequence[Dense], trace: Trace, Y: Array, loss: Loss, share: Array, into: Gradients
) -> Gradients:
    """Run the four equations back through the layers, writing dW and db into `into`.

    `share` (n, 1) is each row's part of the batch's weight; it sums to 1.
    """
    last = len(layers) - 1
    delta = into.delta = [np.empty(0)] * len(layers)
    delta[last] = output_delta(layers, trace, Y, loss) * share  # BP1
    for l in range(last, -1, -1):
        into.db[l][:] = delta[l].sum(axis=0)  # BP3
        into.dW[l] = product(trace.fed(l).T, delta[l], out=into.dW[l])  # BP4
        if l > 0:
            dA = trace.drop(l, delta[l] @ layers[l].W.T)
            delta[l - 1] = layers[l - 1].activation.pullback(dA, trace.Z[l - 1], trace.A[l])  # BP2
    return into


def total_cost(
    layers: Sequence[Dense],
    trace: Trace,
    Y: Array,
    loss: Loss,
    share: Array,
    penalty: Penalty,
    n: float,
) -> float:
    """Return C: the loss averaged by `share` (n, 1), plus the penalty for total weight `n`."""
    cost = float(share[:, 0] @ row_losses(layers, trace, Y, loss))
    for layer in layers if penalty else ():
        cost += sum(float(penalty.value(w, n).sum()) for (w,) in pieces(layer.W))
        if penalty.biases:
            cost += float(penalty.value(layer.b, n).sum())
    return cost


def add_penalty(layers: Sequence[Dense], penalty: Penalty, n: float, into: Gradients) -> None:
    """Add the penalty's gradient to `into`, for total sample weight `n`."""
    for layer, dW, db in zip(layers if penalty else (), into.dW, into.db, strict=False):
        for w, into_w in pieces(layer.W, dW):
            into_w += penalty.gradient(w, n)
        if penalty.biases:
            db += penalty.gradient(layer.b, n)


def pull_back(layers: Sequence[Dense], trace: Trace, G: Array) -> Array:
    """Return Σₖ gₖ ∂aₖ/∂x (n, inputs), for the cotangents G (n, outputs) of the rows' outputs."""
    for l in reversed(range(len(layers))):
        G = layers[l].activation.pullback(G, trace.Z[l], trace.A[l + 1]) @ layers[l].W.T
    return G


class Network:
    """A fully connected network: sizes, activations, and one flat vector of parameters.

    Parameters
    ----------
    sizes : sequence of int
        Units per layer, inputs first, outputs last. Two sizes make a network without hidden
        layer: linear, logistic or softmax regression, by its activation.
    activations : str, Activation, pair of functions, or a list of one per layer after the input
        A single one is meant for the hidden layers; the output is then `output_activation`. A pair
        is your own value(z) and derivative(z), or derivative(z, a).
    output_activation : str, Activation or pair of functions
        Used when `activations` is a single one.
    initializers : str, function (rng, n_in, n_out), or a sequence of one per layer
        "auto" takes what suits each activation.
    seed : int or numpy Generator
        From which the first weights are drawn.
    dtype : str
        "float64" or "float32".

    Examples
    --------
    >>> net = Network([2, 3, 1], activations=["tanh", "identity"], seed=0)
    >>> net
    Network([2, 3, 1], activations=['tanh', 'identity'], 13 parameters, float64)
    >>> trace = net.forward([[0.0, 1.0], [1.0, 1.0]])
    >>> grads = net.backward(trace, [[1.0], [0.0]], loss="squared_error")
    >>> [dW.shape for dW in grads.dW], grads.dX.shape
    ([(2, 3), (3, 1)], (2, 2))
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activations: Any = "relu",
        *,
        output_activation: Any = "identity",
        initializers: str | Initializer | Sequence[str | Initializer] = "auto",
        seed: int | np.random.Generator = 0,
        dtype: Any = "float64",
    ) -> None:
        self.sizes = check_sizes(sizes)
        depth = len(self.sizes) - 1
        if is_activation(activations):
            activations = [activations] * (depth - 1) + [output_activation]
        if isinstance(initializers, str) or callable(initializers):
            initializers = [initializers] * depth
        for name, given in (("activations", activations), ("initializers", initializers)):
            if len(given) != depth:
                raise ValueError(
                    f"{name} has {len(given)} entries; expected {depth}, one per layer after the"
                    f" input, for sizes {self.sizes}"
                )
        self.activations = [get_activation(each) for each in activations]
        self.dtype = check_dtype(dtype)
        if not (is_whole(seed) or isinstance(seed, np.random.Generator)):
            raise ValueError(f"seed={seed!r} must be a whole number >= 0, or a NumPy Generator")
        drawn = 2 * parameter_count(self.sizes)  # first weights are drawn in float64, then copied
        refuse_beyond_memory(drawn, np.dtype(np.float64), f"a network of {self.sizes}")
        self.theta = aligned_zeros(parameter_count(self.sizes), self.dtype)
        self.layers, self._passages = self.view(self.theta), Passages()
        rng = np.random.default_rng(seed)
        for layer, initializer in zip(self.layers, initializers, strict=True):
            draw = get_initializer(initializer, layer.activation)
            layer.W[:], layer.b[:] = first_weights(draw, rng, *layer.W.shape)

    def view(self, flat: Array) -> list[Dense]:
        """Return layers as this network's, whose W and b are views into `flat`, as into theta."""
        layers, start = [], 0
        for (n_in, n_out), activation in zip(pairwise(self.sizes), self.activations, strict=True):
            middle, end = start + n_in * n_out, start + (n_in + 1) * n_out
            layers.append(
                Dense(flat[start:middle].reshape(n_in, n_out), flat[middle:end], activation)
            )
            start = end
        return layers

    @property
    def W(self) -> tuple[Array, ...]:
        """Weights of each layer (n_in, n_out): views, so writing to them changes the network."""
        return tuple(layer.W for layer in self.layers)

    @property
    def b(self) -> tuple[Array, ...]:
        """Biases of each layer (n_out,): views, so writing to them changes the network."""
        return tuple(layer.b for layer in self.layers)

    def forward(self, X: Any) -> Trace:
        """Return every Z and A for the rows of X (n, inputs)."""
        return propagate(self.layers, as_matrix(X, "X", self.dtype, self.sizes[0]))

    def predict(self, X: Any) -> Array:
        """Return the output A[L] (n, outputs) for the rows of X (n, inputs)."""
        passage = self._passage()
        outputs = passage.predict(X) if passage else None
        if outputs is None:
            X = as_matrix(X, "X", self.dtype, self.sizes[0])
            outputs = passage.predict(X) if passage else None
        return np.asarray(propagate(self.layers, X).A[-1]) if outputs is None else outputs

    def _passage(self) -> Passage | None:
        """Return the way through these layers in compiled code, where there is one."""
        return self._passages.of(self.layers, self._new_passage)

    def _new_passage(self) -> Passage:
        parameters = [p for layer in self.layers for p in (layer.W, layer.b)]
        return Passage(parameters, [layer.activation for layer in self.layers])

    def jacobian(self, X: Any) -> Array:
        """Return J (n, outputs, inputs), J[i, k, j] = ∂A[L][i, k] / ∂X[i, j].

        It is BP2 carried on to the inputs, once for each output. Raises ValueError for an X that
        is not (n, inputs), is sparse, or holds what is no finite number.

        >>> net = Network([2, 1], ["tanh"], seed=0)
        >>> J = net.jacobian([[0.0, 0.0], [1.0, 2.0]])
        >>> J.shape, bool((J[0, 0] == net.W[0][:, 0]).all())  # tanh′(0) = 1
        ((2, 1, 2), True)
        """
        X = self._dense(X)
        passage = self._passage()
        J = passage.pull_back(X, None) if passage else None
        if J is not None:
            return J
        trace, units = propagate(self.layers, X), np.eye(self.sizes[-1], dtype=self.dtype)
        columns = [pull_back(self.layers, trace, np.tile(e, (len(X), 1))) for e in units]
        return np.stack(columns, axis=1)

    def input_gradient(
        self, X: Any, Y: Any, loss: Any = "squared_error", *, weights: Any = None
    ) -> Array:
        """Return ∂C/∂X (n, inputs), which is `backward(forward(X), Y, loss).dX`, and nothing else.

        Raises ValueError as `backward` does, and for a sparse X.

        >>> net = Network([2, 3, 1], seed=0)
        >>> net.input_gradient([[1.0, 2.0]], [[0.0]]).shape
        (1, 2)
        """
        X, loss, passage = self._dense(X), get_loss(loss), self._passage()
        at_z = loss.pairs_with(self.layers[-1].activation)
        plain = not at_z or type(loss).delta_from_logits is Loss.delta_from_logits  # without z
        A = passage.predict(X) if passage and plain else None
        if passage is None or A is None:
            return np.asarray(self.backward(self.forward(X), Y, loss, weights=weights).dX)
        Y, share, _ = self._targets(len(X), Y, loss, weights)
        g = A - loss.target(Y) if at_z else loss.gradient(A, loss.target(Y))
        dX = passage.pull_back(X, (g * share)[:, None], at_z)
        return np.asarray(dX)[:, 0]

    def _dense(self, X: Any) -> Array:
        X = as_matrix(X, "X", self.dtype, self.sizes[0])
        if not isinstance(X, np.ndarray):
            raise ValueError("X is a sparse matrix; expected a dense array: X.toarray()")
        return X

    def cost(
        self,
        X: Any,
        Y: Any,
        loss: Any = "squared_error",
        *,
        weights: Any = None,
        penalty: Penalty = NO_PENALTY,
    ) -> float:
        """Return C: the weighted mean over rows of the loss, plus the penalty."""
        trace, loss = self.forward(X), get_loss(loss)
        Y, share, n = self.check_targets(trace, Y, loss, weights)
        return total_cost(self.layers, trace, Y, loss, share, penalty, n)

    def backward(
        self,
        trace: Trace,
        Y: Any,
        loss: Any = "squared_error",
        *,
        weights: Any = None,
        penalty: Penalty = NO_PENALTY,
    ) -> Gradients:
        """Return every δ, dW, db, and dX, for a trace and targets Y (n, outputs).

        They are the derivatives of `cost`. Raises ValueError for targets of another shape, or
        outside of where the loss is defined.
        """
        loss = get_loss(loss)
        Y, share, n = self.check_targets(trace, Y, loss, weights)
        grads = backpropagate(self.layers, trace, Y, loss, share, self.gradients())
        grads.dX = grads.delta[0] @ self.layers[0].W.T
        add_penalty(self.layers, penalty, n, grads)
        return grads

    def gradients(self, flat: Array | None = None) -> Gradients:
        """Return gradients in the layout of this network's parameters: zero, or views of `flat`."""
        if flat is None:
            flat = aligned_zeros(self.theta.size, self.dtype)
        views = self.view(flat)
        return Gradients(flat, [v.W for v in views], [v.b for v in views], [])

    def copy(self, dtype: Any = None) -> Network:
        """Return an independent network with the same parameters, in `dtype` if given."""
        twin = Network(
            self.sizes, self.activations, initializers="zeros", dtype=dtype or self.dtype
        )
        twin.theta[:] = self.theta
        return twin

    def check_targets(
        self, trace: Trace, Y: Any, loss: Loss, weights: Any
    ) -> tuple[Array, Array, float]:
        """Return targets as an array, each row's share of the weight (n, 1), the total weight.

        Raises ValueError for targets or weights that do not fit the trace or the loss.
        """
        if not isinstance(trace, Trace):
            raise ValueError(f"trace is a {type(trace).__name__}; expected what `forward` returns:"
                             " network.backward(network.forward(X), Y)")  # fmt: skip
        shapes = [z.shape for z in trace.Z]
        n = trace.A[0].shape[0]
        if shapes != [(n, size) for size in self.sizes[1:]]:
            raise ValueError(f"the trace has Z of shapes {shapes}; expected one of this network,"
                             f" {self.sizes}: trace = network.forward(X)")  # fmt: skip
        return self._targets(n, Y, loss, weights)

    def _targets(self, n: int, Y: Any, loss: Loss, weights: Any) -> tuple[Array, Array, float]:
        Y = as_targets(Y, loss, self.dtype, self.sizes[-1])
        if Y.shape[0] != n:
            raise ValueError(f"Y has {Y.shape[0]} rows; expected {n}, as X has")
        weights = as_weights(weights, n, self.dtype)
        w = np.ones(n, self.dtype) if weights is None else weights
        return Y, (w / w.sum())[:, None], float(w.sum())

    def __repr__(self) -> str:
        names = [activation.name for activation in self.activations]
        return (
            f"Network({self.sizes}, activations={names},"
            f" {self.theta.size} parameters, {self.dtype})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.sizes, self.activations, np.array(self.theta))


def parameter_count(sizes: Sequence[int]) -> int:
    """Return the number of weights and biases of a network of these sizes.

    >>> parameter_count([784, 196, 1])
    154057
    """
    return sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))


def _rebuild(sizes: list[int], activations: list[Activation], theta: Array) -> Network:
    net = Network(sizes, activations, initializers="zeros", dtype=theta.dtype)
    net.theta[:] = theta
    return net
