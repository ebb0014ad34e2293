"""Explanation: rows through a network and back, every number with the formula it comes from.

`explain` runs the library's own passes on a float64 copy and tells what they computed. Formulas of
activations, losses and optimizers are read from the code that computes them; nothing is computed
a second time. Print the result, ask it for a page with `to_html`, or for plain data with `to_dict`.

Layers and units are counted from 0, as Python does it: w[0]₁₂ is `network.W[0][1, 2]`, and joins
unit 1 of what layer 0 is fed, A[0], to its unit 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from chainrule.arrays import Array, is_whole
from chainrule.explanation.backward import Backward, loss_name
from chainrule.explanation.expressions import Symbol
from chainrule.explanation.forward import Forward
from chainrule.explanation.parts import Explanation, Line, Step, WeightStory
from chainrule.explanation.paths import measured, sum_of_paths, weight_paths
from chainrule.explanation.subject import Objective, Subject, subject
from chainrule.explanation.telling import FULL_UP_TO, Scope
from chainrule.explanation.update import Update
from chainrule.losses import Loss
from chainrule.network import Gradients
from chainrule.optimizers import LBFGS, Optimizer
from chainrule.penalties import Penalty

__all__ = ["Explanation", "Line", "Step", "explain"]

FULL_ROWS = 8  # rows of a batch that are told one by one
Chosen: TypeAlias = tuple[int, tuple[int | str, int]]  # layer and index of a weight


def explain(
    model: Any,
    X: Any,
    y: Any = None,
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

    Without y, which the way back starts from: z, a, and what the network answers.

    Parameters
    ----------
    model : Network, fitted MLPClassifier or MLPRegressor, or Pipeline that ends in one
        Left as it is.
    X : array-like (n, inputs)
        One row, or a batch. For an estimator, as its `predict` takes it.
    y : array-like (n, outputs), or as the estimator's `fit` takes it, optional
        The rows' answers, where they are known.
    weight : (layer, i, j), optional
        The weight whose derivative is followed along every path, W[layer][i, j], or with "b" for i
        the bias b[layer][j]. By default the one of layer 0 with the largest derivative.
    units : iterable of (layer, unit)
        In a network of more than 64 units, those that are told one by one: unit j of layer l has
        Z[l][:, j] and A[l + 1][:, j]. By default that with the largest |δ| in each layer, without y
        the largest |a|.
    loss, weights, penalty, optimizer
        As in `train`. By default the estimator's own; of a network squared error and SGD. The
        update that is told is the optimizer's first.
    features, outputs, rows : sequence of str, optional
        What inputs, outputs and rows are called.

    Raises
    ------
    ValueError
        For a model that cannot be explained, for rows, targets, weights or units that do not fit
        it, and without y for what needs it: weight, loss, weights, penalty, optimizer.

    Examples
    --------
    >>> from chainrule import Network, explain
    >>> net = Network([2, 2, 1], activations=["tanh", "identity"], seed=1)
    >>> told = explain(net, [[1.0, 0.5]], [[1.0]], weight=(0, 0, 1))
    >>> print(told.step("z", 0).lines[1].to_dict(digits=3)["numbers"])
    1 · 1.1 + 0.5 · 1.1 + 0
    >>> told.weight.check.passed
    True
    >>> told = explain(net, [[1.0, 0.5]])
    >>> [(step.kind, step.layer) for step in told]
    [('z', 0), ('a', 0), ('z', 1), ('a', 1), ('answer', None)]
    """
    if y is None:
        _refuse_unanswered(
            weight=weight, loss=loss, weights=weights, penalty=penalty, optimizer=optimizer
        )
    given = {
        "loss": loss, "weights": weights, "penalty": penalty, "optimizer": optimizer,
        "features": features, "outputs": outputs, "rows": rows,
    }  # fmt: skip
    told = subject(model, X, y, given)
    if told.objective is not None:
        return _both_ways(told, told.objective, units, _chosen(told.objective.grads, weight))
    forward = Forward(told, _scope(told, units, told.trace.A[1:]))
    return _explanation(told, [*forward.steps(), forward.answer()])


def _refuse_unanswered(**given: Any) -> None:
    """Raise ValueError for what has an effect only where the rows' answers are known."""
    names = " and ".join(name for name, value in given.items() if value is not None)
    if names:
        raise ValueError(
            f"{names} given without y; expected the rows' answers, from which cost and derivatives"
            f" start: give y, or leave {names} out"
        )


def _both_ways(told: Subject, objective: Objective, units: Any, chosen: Chosen) -> Explanation:
    """Tell the forward pass, and from the answers the loss, the derivatives and the update."""
    l, (_, j) = chosen
    forward = Forward(told, _scope(told, units, objective.grads.delta, (l, j)))
    back = Backward(forward, objective)
    steps, after = [*forward.steps(), *back.steps()], None
    if isinstance(objective.optimizer, Optimizer):
        update = Update.of(back, objective.optimizer)
        steps += [
            update.step(m, back.entries(m), sorted({k for _, k in back.units(m)}))
            for m in range(len(told.network.layers))
        ]
        how: dict[str, Any] = {"weights": objective.weights, "penalty": objective.penalty}
        after = update.after.cost(told.X, objective.Y, objective.loss, **how)
    else:
        told.notes.append("L-BFGS finds the length of its steps by trying, so no update is told")
    return _explanation(
        told, steps, Y=objective.Y, loss=loss_name(objective.loss),
        delta=tuple(objective.grads.delta), cost=objective.cost, cost_after=after,
        weight=_story(back, *chosen),
    )  # fmt: skip


def _explanation(told: Subject, steps: Iterable[Step], **from_answers: Any) -> Explanation:
    net = told.network
    return Explanation(
        tuple(net.sizes), tuple(a.name for a in net.activations), told.X, tuple(told.features),
        tuple(told.outputs), net.W, tuple(told.trace.A), tuple(told.rows), tuple(steps),
        tuple(told.notes), **from_answers,
    )  # fmt: skip


def _chosen(grads: Gradients, weight: Any) -> Chosen:
    """Return layer and index of the weight that is followed."""
    if weight is None:
        dW = abs(grads.dW[0])
        i, j = np.unravel_index(int(dW.argmax()), dW.shape)
        return 0, (int(i), int(j))
    fits = isinstance(weight, tuple | list) and len(weight) == 3 and is_whole(weight[0])
    if fits and weight[0] < len(grads.dW):
        l, i, j = weight
        n_in, n_out = grads.dW[l].shape
        if is_whole(j) and j < n_out and (i == "b" or (is_whole(i) and i < n_in)):
            return int(l), (i if i == "b" else int(i), int(j))
    shapes = ", ".join(f"W[{l}] {dW.shape}" for l, dW in enumerate(grads.dW))
    raise ValueError(
        f"weight={weight!r} is none of the network's; expected (layer, i, j) counted from 0, or"
        f" (layer, 'b', j) for a bias, within {shapes}"
    )


def _scope(
    told: Subject, units: Any, by: Sequence[Array], also: tuple[int, int] | None = None
) -> Scope:
    """Return what is told one by one: all of a small network, or the units asked for.

    Of a layer for which none is asked, it is the unit with the largest |number| in `by`; and
    (layer, unit) `also`.
    """
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
    if also is not None:
        asked.setdefault(also[0], []).append(also[1])
    for l, values in enumerate(by):
        asked.setdefault(l, [int(abs(values).max(axis=0).argmax())])
    return Scope({l: sorted(set(each)) for l, each in asked.items()}, rows)


def _story(back: Backward, l: int, index: tuple[int | str, int]) -> WeightStory:
    grads, (i, j) = back.objective.grads, index
    back.know_slopes()
    paths, count = weight_paths(back, l, index)
    bias = i == "b"
    what = Symbol("db", (j,), l) if bias else Symbol("dW", (i, j), l)
    derivative = float(grads.db[l][j] if i == "b" else grads.dW[l][int(i), j])
    pull = back.pull(what)
    rest = derivative - sum(path.value for path in paths) - (pull.value if pull else 0.0)
    if count == len(paths):
        rest = 0.0
    total = sum_of_paths(what, paths, rest, count, pull)
    return WeightStory(
        Symbol("b", (j,), l) if bias else Symbol("w", (i, j), l), l, index, tuple(paths), count,
        rest, pull, derivative, total, measured(back, l, index),
    )  # fmt: skip
