"""Handwriting: MNIST's digits as rows and targets, and what both systems that read them draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, isqrt
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array
from chainrule.datasets import Dataset, load_dataset
from chainrule.history import Record
from chainrule.plots import look

MOST_MISREAD = 30


class Task(NamedTuple):
    """Rows X (n, pixels) with targets Y (n, outputs), and those to test on."""

    X: Array
    Y: Array
    X_test: Array
    Y_test: Array


def load_digits(data: str | Path | Dataset | None) -> Dataset:
    """Return MNIST from a folder, or from its usual place, downloaded where it is missing."""
    return data if isinstance(data, Dataset) else load_dataset("mnist", folder=data)


def one_against_other(data: Dataset, zero: int, one: int) -> Task:
    """Return the rows of two digits, and as targets 0 for the first and 1 for the other.

    >>> data = Dataset(np.eye(3), np.array([5, 7, 8]), np.eye(3)[:1], np.array([8]))
    >>> one_against_other(data, 5, 8).Y.ravel(), one_against_other(data, 5, 8).Y_test.ravel()
    (array([0., 1.]), array([1.]))
    """
    parts: list[Array] = []
    for X, y in ((data.X, data.y), (data.X_test, data.y_test)):
        wanted = (y == zero) | (y == one)
        parts += [X[wanted], (y[wanted] == one).astype(X.dtype)[:, None]]
    return Task(*parts)


def all_digits(data: Dataset) -> Task:
    """Return all rows, and as targets one-hot rows of ten.

    >>> data = Dataset(np.eye(2), np.array([9, 0]), np.eye(2), np.array([1, 1]))
    >>> all_digits(data).Y.argmax(axis=1)
    array([9, 0])
    """
    hot = np.eye(10, dtype=data.X.dtype)
    return Task(data.X, hot[data.y], data.X_test, hot[data.y_test])


def classes(outputs: Array) -> NDArray[Any]:
    """Return the class of each row of outputs: the largest, or of a single one whether above ½.

    >>> classes(np.array([[0.2], [0.7]])), classes(np.array([[0.1, 0.9]]))
    (array([0, 1]), array([1]))
    """
    return outputs.argmax(axis=1) if outputs.shape[1] > 1 else (outputs[:, 0] > 0.5).astype(int)


def accuracy(outputs: Array, Y: Array) -> float:
    """Return the share of rows whose class is that of their target.

    >>> accuracy(np.array([[0.2], [0.7]]), np.array([[0.0], [0.0]]))
    0.5
    """
    return float((classes(outputs) == classes(Y)).mean())


def draw_curves(curves: Mapping[str, Sequence[Record]]) -> Any:
    """Draw the losses of several trainings against epochs, on a log scale.

    >>> ax = draw_curves({"a": [{"epoch": 1, "loss": 0.2}, {"epoch": 2, "loss": 0.1}]})
    >>> ax.get_title(loc="left")
    'cost while training: a'
    """
    ax = look.prepare(None)
    lines = {
        name: np.array([[record["epoch"], record["loss"]] for record in records], float)
        for name, records in curves.items()
    }
    floor = look.set_log_scale(ax, np.concatenate([*lines.values()])[:, 1])
    ends = [
        look.draw_curve(ax, (line[:, 0], line[:, 1]), name, color, floor)
        for (name, line), color in zip(lines.items(), look.PALETTE, strict=False)
    ]
    look.set_epoch_axis(ax, [epoch for line in lines.values() for epoch in line[:, 0]])
    look.label_ends(ax, ends)
    ax.set_ylabel("cost (log scale)")
    look.write_title(ax, "cost while training: " + ", ".join(lines))
    return ax


def draw_errors(errors: Mapping[str, Sequence[float]]) -> Any:
    """Draw each layer's error ‖δ‖ over the output layer's, on a log scale, for some networks.

    >>> ax = draw_errors({"sigmoid": [0.01, 0.1, 1.0], "relu": [0.9, 0.8, 1.0]})
    >>> ax.get_title(loc="left")
    'what comes back of the error: sigmoid 0.01, relu 0.9 in layer 1'
    """
    ax = look.prepare(None)
    floor = look.set_log_scale(ax, np.concatenate([np.array(each) for each in errors.values()]))
    ends = []
    for (name, each), color in zip(errors.items(), look.PALETTE[1:], strict=False):
        line = np.arange(len(each), 0, -1.0), np.array(each)[::-1]
        ends.append(look.draw_curve(ax, line, name, color, floor))
    layers = range(1, max(map(len, errors.values())) + 1)
    ax.set_xticks(layers, [f"{l}" for l in layers])
    ax.set_xlim(layers[-1] + 0.1, layers[0] - 0.1)
    look.label_ends(ax, ends)
    ax.set_xlabel("layer, from the output back to the first")
    ax.set_ylabel("error ‖δ‖ over the output's (log scale)")
    told = ", ".join(f"{name} {each[0]:.2g}" for name, each in errors.items())
    look.write_title(ax, f"what comes back of the error: {told} in layer 1")
    return ax


def draw_misread(X: Array, truth: Sequence[Any], answers: Sequence[Any], sure: Array) -> Any:
    """Draw the digits that were misread, the surest errors first.

    `truth` and `answers` (n,) name each row's class, `sure` (n,) is the probability of the answer.

    >>> axes = draw_misread(np.eye(4), [5, 8, 5, 8], [5, 8, 8, 8], np.full(4, 0.9))
    >>> axes.get_title()
    '5 read as 8\\n90 %'
    """
    from matplotlib.figure import Figure as Canvas

    wrong = np.flatnonzero(np.asarray(truth) != np.asarray(answers))
    shown = wrong[np.argsort(-sure[wrong], kind="stable")][:MOST_MISREAD]
    columns = min(10, max(len(shown), 1))
    lines = max(1, ceil(len(shown) / columns))
    figure = Canvas(figsize=(max(1.05 * columns, 4.5), 1.4 * lines + 0.45), layout="constrained")
    axes = np.ravel(np.array(figure.subplots(lines, columns), dtype=object))
    side = isqrt(X.shape[1])
    for ax in axes:
        look.prepare(ax, grid=False).set_axis_off()
    for ax, i in zip(axes, shown, strict=False):
        ax.imshow(X[i].reshape(side, -1), cmap="gray_r", interpolation="nearest")
        ax.set_title(f"{truth[i]} read as {answers[i]}\n{sure[i]:.0%}".replace("%", " %"),
                     fontsize=8, color=look.ink_of(ax))  # fmt: skip
    few = f"; the surest {len(shown)}" if len(shown) < len(wrong) else ""
    figure.suptitle(f"{len(wrong):,} of {len(X):,} digits misread{few}",
                    fontsize=11, color=look.ink_of(axes[0]))  # fmt: skip
    return axes[0]
