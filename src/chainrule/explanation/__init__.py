"""Explanation: rows through a network and back, every number with the formula it comes from.

`explain` runs the library's own passes on a float64 copy and tells what they computed. Formulas of
activations, losses and optimizers are read from the code that computes them; nothing is computed
a second time. Print the result, ask it for a page with `to_html`, or for plain data with `to_dict`.

Layers and units are counted from 0, as Python does it: w[0]₁₂ is `network.W[0][1, 2]`, and joins
unit 1 of what layer 0 is fed, A[0], to its unit 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from chainrule.arrays import is_whole
from chainrule.explanation.expressions import Symbol
from chainrule.explanation.parts import Explanation, Line, Step, WeightStory
from chainrule.explanation.passes import Passes, loss_name
from chainrule.explanation.paths import measured, sum_of_paths, weight_paths
from chainrule.explanation.subject import Subject, subject
from chainrule.explanation.telling import FULL_UP_TO, Scope
from chainrule.explanation.update import Update
from chainrule.losses import Loss
from chainrule.optimizers import LBFGS, Optimizer
from chainrule.penalties import Penalty

__all__ = ["Explanation", "Line", "Step", "explain"]

FULL_ROWS = 8  # rows of a batch that are told one by one


def explain(
    model: Any,
    X: Any,
    y: Any,
    *,
    weight: tuple[int, int | str, int] | None = None,
    units: Iterable[tuple[int, int]] = (),
    loss: str | Loss | None = None,
    weights: Any = None,
    penalty: Penalty | None = None,
    optimizer: str | Optimizer | LBFGS | None = None,
    features: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    rows: Sequence[str] | None = None,
) -> Explanation:
    """Tell rows' way through a network and back: z, a, loss, δ, dW, db, and the update.

    Parameters
    ----------
    model : Network, fitted MLPClassifier or MLPRegressor, or Pipeline that ends in one
        Left as it is.
    X : array-like (n, inputs)
        One row, or a batch. For an estimator, as its `predict` takes it.
    y : array-like (n, outputs), or as the estimator's `fit` takes it
    weight : (layer, i, j), optional
        The weight whose derivative is followed along every path, W[layer][i, j], or with "b" for i
        the bias b[layer][j]. By default the one of layer 0 with the largest derivative.
    units : iterable of (layer, unit)
        In a network of more than 64 units, those that are told one by one: unit j of layer l has
        Z[l][:, j] and A[l + 1][:, j]. By default that with the largest δ in each layer.
    loss, weights, penalty, optimizer
        As in `train`. By default the estimator's own; of a network squared error and SGD. The
        update that is told is the optimizer's first.
    features, outputs, rows : sequence of str, optional
        What inputs, outputs and rows are called.

    Raises
    ------
    ValueError
        For a model that cannot be explained, and for rows, targets, weights or units that do not
        fit it.

    Examples
    --------
    >>> from chainrule import Network, explain
    >>> net = Network([2, 2, 1], activations=["tanh", "identity"], seed=1)
    >>> told = explain(net, [[1.0, 0.5]], [[1.0]], weight=(0, 0, 1))
    >>> print(told.step("z", 0).lines[1].to_dict(digits=3)["numbers"])
    1 · 1.1 + 0.5 · 1.1 + 0
    >>> told.weight.check.passed
    True
    """
    given = {
        "loss": loss, "weights": weights, "penalty": penalty, "optimizer": optimizer,
        "features": features, "outputs": outputs, "rows": rows,
    }  # fmt: skip
    told = subject(model, X, y, given)
    chosen = _chosen(told, weight)
    scope = _scope(told, units, chosen)
    passes = Passes(told, scope)
    steps, notes, after = passes.all(), list(told.notes), None
    if isinstance(told.optimizer, Optimizer):
        update = Update.of(passes, told.optimizer)
        for l in range(len(told.network.layers)):
            entries = passes.entries(l)
            steps.append(update.step(l, entries, sorted({j for _, j in passes.units(l)})))
        after = update.after.cost(
            told.X, told.Y, told.loss, weights=told.weights, penalty=told.penalty
        )
    else:
        notes.append("L-BFGS finds the length of its steps by trying, so no update is told")
    net = told.network
    return Explanation(
        tuple(net.sizes), tuple(a.name for a in net.activations), loss_name(told.loss), told.X,
        told.Y, tuple(told.features), tuple(told.outputs), net.W, tuple(told.trace.A),
        tuple(told.grads.delta), tuple(told.rows), told.cost, after, tuple(steps),
        _story(passes, *chosen), tuple(notes),
    )  # fmt: skip


def _chosen(told: Subject, weight: Any) -> tuple[int, tuple[int | str, int]]:
    """Return layer and index of the weight that is followed."""
    if weight is None:
        dW = abs(told.grads.dW[0])
        i, j = np.unravel_index(int(dW.argmax()), dW.shape)
        return 0, (int(i), int(j))
    layers = told.network.layers
    fits = isinstance(weight, tuple | list) and len(weight) == 3 and is_whole(weight[0])
    if fits and weight[0] < len(layers):
        l, i, j = weight
        n_in, n_out = layers[l].W.shape
        if is_whole(j) and j < n_out and (i == "b" or (is_whole(i) and i < n_in)):
            return int(l), (i if i == "b" else int(i), int(j))
    shapes = ", ".join(f"W[{l}] {layer.W.shape}" for l, layer in enumerate(layers))
    raise ValueError(
        f"weight={weight!r} is none of the network's; expected (layer, i, j) counted from 0, or"
        f" (layer, 'b', j) for a bias, within {shapes}"
    )


def _scope(told: Subject, units: Any, chosen: tuple[int, tuple[int | str, int]]) -> Scope:
    """Return what is told one by one: all of a small network, or the units asked for."""
    sizes = told.network.sizes
    asked: dict[int, list[int]] = {}
    for each in units:
        fits = isinstance(each, tuple | list) and len(each) == 2 and all(map(is_whole, each))
        if not (fits and each[0] < len(sizes) - 1 and each[1] < sizes[each[0] + 1]):
            raise ValueError(
                f"units holds {each!r}; expected (layer, unit) counted from 0, in layers of"
                f" {sizes[1:]} units"
            )
        asked.setdefault(int(each[0]), []).append(int(each[1]))
    rows = range(told.n if told.n <= FULL_ROWS else 1)
    if sum(sizes[1:]) <= FULL_UP_TO and not asked:
        return Scope(None, rows)
    for l, delta in enumerate(told.grads.delta):
        if l == chosen[0]:
            asked.setdefault(l, []).append(chosen[1][1])
        asked.setdefault(l, [int(abs(delta).max(axis=0).argmax())])
    return Scope({l: sorted(set(each)) for l, each in asked.items()}, rows)


def _story(passes: Passes, l: int, index: tuple[int | str, int]) -> WeightStory:
    told, (i, j) = passes.told, index
    passes.know_slopes()
    paths, count = weight_paths(passes, l, index)
    bias = i == "b"
    what = Symbol("db", (j,), l) if bias else Symbol("dW", (i, j), l)
    grads = told.grads
    derivative = float(grads.db[l][j] if i == "b" else grads.dW[l][int(i), j])
    pull = passes.pull(what)
    rest = derivative - sum(path.value for path in paths) - (pull.value if pull else 0.0)
    if count == len(paths):
        rest = 0.0
    total = sum_of_paths(what, paths, rest, count, pull)
    return WeightStory(
        Symbol("b", (j,), l) if bias else Symbol("w", (i, j), l), l, index, tuple(paths), count,
        rest, pull, derivative, total, measured(told, l, index),
    )  # fmt: skip
