"""Answers: what the network said against the truth, as classes and as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.plots import look

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_confusion_matrix(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    labels: Sequence[Any] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how often each true class (row) was predicted as each class (column).

    Cells show counts and are coloured by their share of the row: right answers in blue, wrong
    ones in vermillion.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        True and predicted classes.
    labels : sequence, optional
        The classes in the order to draw; by default all that occur, sorted.
    ax : matplotlib Axes, optional
        Where to draw; a new figure, as large as the classes need, by default.

    Raises
    ------
    ValueError
        When the lengths differ or are 0, or a class that occurs is not among `labels`.

    Examples
    --------
    >>> ax = plot_confusion_matrix(["cat", "cat", "dog"], ["cat", "dog", "dog"])
    >>> ax.get_title(loc="left")
    'accuracy 0.667: 2 of 3 right'
    """
    counts, classes = _count_pairs(y_true, y_pred, labels)
    k, total, right = len(classes), int(counts.sum()), int(np.trace(counts))
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = look.shorten([look.drawable(c) for c in classes])

    ax = look.prepare(ax, size=(min(max(3.0 + 0.34 * k, 4.6), 14),) * 2, grid=False)
    ax.imshow(look.tint_cells(share), aspect="equal", interpolation="nearest")
    ax.set_xticks(np.arange(-0.5, k), minor=True)
    ax.set_yticks(np.arange(-0.5, k), minor=True)
    ax.grid(which="minor", color=ax.get_facecolor(), linewidth=min(1.5, 20 / k))
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    cell = 0.85 * min(ax.bbox.width, ax.bbox.height) / ax.figure.dpi * 72 / k  # points
    size = float(np.clip(0.5 * cell, 4, 9))
    long = max(map(len, names)) * 0.6 * size > 0.95 * cell
    turned: dict[str, Any] = {"rotation": 90} if long and k > 12 else {}
    if long and k <= 12:
        turned = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    ax.set_xticks(range(k), names, fontsize=size, **turned, **look.PLAIN)
    ax.set_yticks(range(k), names, fontsize=size, **look.PLAIN)
    look.write_counts(ax, counts, share, cell)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true (colour: share of its row)")
    look.write_title(ax, f"accuracy {right / total:.3g}: {right:,} of {total:,} right")
    return ax


def plot_prediction(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    ax: Axes | None = None,
    name: str | Sequence[str] = "target",
) -> Axes:
    """Draw predicted against true values, with the line on which they are equal.

    R² and RMSE stand in the title; for several outputs they are means over the outputs. Outputs
    whose spreads differ by more than a factor of 10 are drawn in standard deviations of the true
    values. Pairs that are not finite are left out, and the title counts them. R² is undefined
    (nan) where the true values are all equal.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        True and predicted values.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    name : str or sequence of str
        What is predicted: one name, or one for each output.

    Raises
    ------
    ValueError
        When the shapes differ, or nothing finite is left.

    Examples
    --------
    >>> ax = plot_prediction([1.0, 2.0, 3.0], [1.1, 2.0, 2.9], name="price")
    >>> ax.get_title(loc="left")
    'price: R² 0.99, RMSE 0.0816'
    """
    true, predicted, left_out = _finite_pairs(y_true, y_pred)
    n, outputs = true.shape
    names = [look.drawable(each) for each in ([name] if isinstance(name, str) else name)]
    whole = names[0] if len(names) == 1 else "outputs"
    if outputs > 1:
        whole = f"{whole} (mean of {outputs})"
        names = [f"output {j + 1}" for j in range(outputs)] if isinstance(name, str) else names
    if len(names) != outputs:
        raise ValueError(
            f"name holds {len(names)} names; expected one for each of {outputs} outputs"
        )
    r2, rmse, spread = _scores(true, predicted)
    unit = ""
    if outputs > 1 and spread.min() > 0 and spread.max() > 10 * spread.min():
        unit, center, rmse = "standard deviations", true.mean(axis=0), rmse / spread
        true, predicted = (true - center) / spread, (predicted - center) / spread

    ax = look.prepare(ax, size=look.size_of_pairs(n, outputs))
    look.draw_pairs(ax, true, predicted, look.shorten(names), r2)
    ax.set_xlabel(f"true ({unit})" if unit else "true")
    ax.set_ylabel(f"predicted ({unit})" if unit else "predicted")
    error = f"{rmse.mean():.3g} {unit}".rstrip()
    note = f"\n{left_out} of {n + left_out} pairs not finite, left out" if left_out else ""
    look.write_title(ax, f"{whole}: R² {r2.mean():.3g}, RMSE {error}{note}")
    return ax


def _count_pairs(
    y_true: ArrayLike, y_pred: ArrayLike, labels: Sequence[Any] | None
) -> tuple[NDArray[np.int64], list[Any]]:
    """Return counts (classes, classes) with true classes in rows, and the classes."""
    true, predicted = np.asarray(y_true).ravel().tolist(), np.asarray(y_pred).ravel().tolist()
    if len(true) != len(predicted) or not true:
        raise ValueError(
            f"y_true has {len(true)} values and y_pred {len(predicted)}; "
            "expected as many in both, and at least one"
        )
    found = set(true) | set(predicted)
    if any(c != c for c in found):
        raise ValueError("y_true or y_pred holds nan, which is no class; leave those rows out")
    try:
        ordered = sorted(found)
    except TypeError:  # such as numbers beside strings
        ordered = sorted(found, key=lambda c: (type(c).__name__, str(c)))
    classes = ordered if labels is None else np.asarray(labels, dtype=object).tolist()
    missing = [c for c in ordered if c not in classes]
    if missing:
        raise ValueError(f"class {missing[0]!r} occurs but is not among labels={classes}")
    index, k = {c: i for i, c in enumerate(classes)}, len(classes)
    cells = [index[t] * k + index[p] for t, p in zip(true, predicted, strict=True)]
    return np.bincount(cells, minlength=k * k).reshape(k, k), classes


def _finite_pairs(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[look.Floats, look.Floats, int]:
    """Return both as (n, outputs) without the rows that are not finite, and how many those are."""
    true, predicted = (look.finite_or_nan(np.asarray(y, float)) for y in (y_true, y_pred))
    if true.ndim == 1 and predicted.shape == (len(true), 1):  # a column answers a vector
        predicted = predicted[:, 0]
    if true.shape != predicted.shape or true.ndim not in (1, 2) or not true.size:
        raise ValueError(
            f"y_true has shape {true.shape} and y_pred {predicted.shape}; "
            "expected the same, (n_samples,) or (n_samples, n_outputs), and at least one row"
        )
    true, predicted = true.reshape(len(true), -1), predicted.reshape(len(true), -1)
    kept = np.isfinite(true).all(axis=1) & np.isfinite(predicted).all(axis=1)
    if not kept.any():
        raise ValueError("no pair of y_true and y_pred is finite; there is nothing to draw")
    return true[kept], predicted[kept], int((~kept).sum())


def _scores(true: look.Floats, predicted: look.Floats) -> tuple[look.Floats, ...]:
    """Return R² and RMSE of each output, and the standard deviation of its true values."""
    scale = np.maximum(np.abs(true), np.abs(predicted)).max(axis=0)
    scale = np.where(scale > 0, scale, 1)  # so that squares neither overflow nor vanish
    rmse = np.sqrt((((predicted - true) / scale) ** 2).mean(axis=0))
    spread = np.where(np.ptp(true, axis=0) > 0, (true / scale).std(axis=0), 0)
    ratio = np.divide(rmse, spread, out=np.full_like(rmse, np.nan), where=spread > 0)
    return 1 - ratio**2, rmse * scale, spread * scale
