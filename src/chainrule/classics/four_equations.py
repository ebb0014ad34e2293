"""Four equations: a network in thirty lines, in the textbook's letters.

A sample is a column. Nothing of chainrule's own network is in it but the activations, each σ with
its σ′.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.activations import Activation
from chainrule.arrays import Array

Arrays = list[Array]
Sigma = Sequence[Activation]


def forward(W: Arrays, b: Arrays, sigma: Sigma, x: Array) -> tuple[Arrays, Arrays]:
    """Return all z and all a for the samples x (inputs, n)."""
    z: Arrays = []
    a = [x]
    for l in range(len(W)):
        z.append(W[l] @ a[l] + b[l])
        a.append(sigma[l].value(z[l]))
    return z, a


def backward(W: Arrays, sigma: Sigma, y: Array, z: Arrays, a: Arrays) -> tuple[Arrays, Arrays]:
    """Return all dW and db of C = Σ‖a − y‖² / 2n."""
    dW, db = list(W), list(W)
    dC_da = (a[-1] - y) / y.shape[1]
    for l in reversed(range(len(W))):
        delta = dC_da * sigma[l].derivative(z[l], a[l + 1])  # BP1, BP2
        db[l] = delta.sum(axis=1, keepdims=True)  # BP3
        dW[l] = delta @ a[l].T  # BP4
        dC_da = W[l].T @ delta  # for BP2
    return dW, db


def train(
    W: Arrays, b: Arrays, sigma: Sigma, x: Array, y: Array,
    batch_size: int, epochs: int, rate: float,
) -> None:  # fmt: skip
    """Change W and b in place, a step for each batch."""
    for _ in range(epochs):
        for first in range(0, x.shape[1], batch_size):
            batch = slice(first, first + batch_size)
            z, a = forward(W, b, sigma, x[:, batch])
            dW, db = backward(W, sigma, y[:, batch], z, a)
            for l in range(len(W)):
                W[l] -= rate * dW[l]
                b[l] -= rate * db[l]
