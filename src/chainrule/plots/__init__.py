"""Pictures: what a training did, and how well the network answers.

Every function takes plain data, draws on `ax` or on a new figure of its own, and returns the
Axes. Figures are made without pyplot, so the user's backend and settings stay as they are. An
`ax` of your own has room for the labels beside it in a figure made with layout="constrained".
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.files import write_whole
from chainrule.plots import look
from chainrule.plots.rates import plot_learning_rate_test as plot_learning_rate_test

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Records = Sequence[Mapping[str, Any]]

LOG_RATIO = 30.0  # a loss that spans more than this is drawn on a log scale
DIRECT_LABELS = 12  # as many curve ends as can carry a label in one picture


def plot_loss(records: Records, ax: Axes | None = None, best_epoch: int | None = None) -> Axes:
    """Draw training and validation loss against epochs, with the best epoch marked.

    The scale is logarithmic when the losses are not negative and span more than a factor of 30.
    A curve that stops being finite ends in a cross.

    Parameters
    ----------
    records : sequence of mappings
        One per epoch, with "epoch", "loss" and, where measured, "validation_loss".
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    best_epoch : int, optional
        The epoch to mark; by default the one of the lowest validation loss, if there is any.

    Raises
    ------
    ValueError
        When there are no records, or `best_epoch` is not among them.

    Examples
    --------
    >>> losses, validation = [0.9, 0.5, 0.3], [1.0, 0.6, 0.7]
    >>> records = [
    ...     {"epoch": i, "loss": loss, "validation_loss": other}
    ...     for i, (loss, other) in enumerate(zip(losses, validation), start=1)
    ... ]
    >>> ax = plot_loss(records)
    >>> ax.get_title(loc="left")
    'validation loss 0.6 at the best epoch, 2'
    """
    keys = {"training": "loss", "validation": "validation_loss"}
    curves = {name: _series(records, key) for name, key in keys.items()}
    curves = {name: curve for name, curve in curves.items() if curve[0].size}
    epochs = [record["epoch"] for record in records]
    if not curves:
        raise ValueError("no record holds a loss; each needs 'epoch' and 'loss'")
    if best_epoch is None and "validation" in curves:
        x, y = curves["validation"]
        best_epoch = int(x[np.nanargmin(y)]) if np.isfinite(y).any() else None
    elif best_epoch is not None and best_epoch not in epochs:
        raise ValueError(f"best_epoch={best_epoch} is not among epochs {epochs[0]} to {epochs[-1]}")

    ax = look.prepare(ax)
    values = np.concatenate([y for _, y in curves.values()])
    positive = values[values > 0]
    wide = positive.size > 0 and positive.max() / LOG_RATIO > positive.min()
    floor = look.set_log_scale(ax, values) if wide and not (values < 0).any() else None
    colors = {"training": look.BLUE, "validation": look.VERMILLION}
    ends = [look.draw_curve(ax, curve, name, colors[name], floor) for name, curve in curves.items()]
    look.set_epoch_axis(ax, epochs)
    look.label_ends(ax, ends)
    if best_epoch is not None:
        look.mark_epoch(ax, best_epoch, list(curves.values())[::-1], floor)
    ax.set_ylabel("loss" if floor is None else "loss (log scale)")
    look.write_title(ax, _loss_title(curves, best_epoch), pad=20 if best_epoch is not None else 8)
    return ax


def plot_metric(
    records: Records, ax: Axes | None = None, name: str = "accuracy", best_epoch: int | None = None
) -> Axes:
    """Draw the records' "metric" against epochs; raise ValueError when none holds one.

    Examples
    --------
    >>> plot_metric([{"epoch": 1, "metric": 0.5}]).get_title(loc="left")
    'accuracy 0.5 after epoch 1'
    """
    x, y = _series(records, "metric")
    if not x.size or (best_epoch is not None and best_epoch not in x):
        raise ValueError(f"no record holds a metric of epoch {best_epoch or 'any'}")
    ax = look.prepare(ax)
    end = look.draw_curve(ax, (x, y), name, look.BLUE)
    look.set_epoch_axis(ax, [record["epoch"] for record in records])
    known = y[np.isfinite(y)]
    if known.size and 0 <= known.min() <= known.max() <= 1:  # a share: no room beyond 0 and 1
        low, high = ax.get_ylim()
        ax.set_ylim(max(low, -0.01), min(high, 1.01))
    look.label_ends(ax, [end])
    ax.set_ylabel(look.drawable(name), **look.PLAIN)
    when = f"{known[-1]:.4g} after epoch {x[np.isfinite(y)][-1]:.0f}" if known.size else "is nan"
    if best_epoch is not None:
        look.mark_epoch(ax, best_epoch, [(x, y)], None)
        when = f"{y[x == best_epoch].sum():.4g} at the epoch that was kept, {best_epoch}"
    look.write_title(ax, f"{look.drawable(name)} {when}", pad=8 if best_epoch is None else 20)
    return ax


def plot_gradient_norms(records: Records, ax: Axes | None = None) -> Axes:
    """Draw the norm of each layer's gradient against epochs, on a log scale.

    Curves that fan out by orders of magnitude tell of vanishing or exploding gradients. A norm
    of exactly 0, which a log scale cannot hold, is drawn on a dashed line below the others.

    Parameters
    ----------
    records : sequence of mappings
        One per epoch, with "epoch" and "layer_gradient_norms", one number per layer.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Raises
    ------
    ValueError
        When no record holds norms, or not all hold as many.

    Examples
    --------
    >>> ax = plot_gradient_norms([{"epoch": 1, "layer_gradient_norms": [0.01, 0.4]}])
    >>> [line.get_label() for line in ax.get_lines()]
    ['layer 1 (first)', 'layer 2 (last)']
    """
    from matplotlib import colormaps

    _check_records(records)
    measured = [r for r in records if r.get("layer_gradient_norms") is not None]
    counts = sorted({len(r["layer_gradient_norms"]) for r in measured})
    if not counts or counts[0] == 0:
        raise ValueError("'layer_gradient_norms' is empty; it needs one number per layer")
    if len(counts) > 1:
        raise ValueError(f"'layer_gradient_norms' has {counts} numbers; expected one per layer")
    n = counts[0]
    epochs = np.array([r["epoch"] for r in measured], float)
    rows = np.array([r["layer_gradient_norms"] for r in measured], float)
    norms = look.finite_or_nan(rows)  # (epochs, layers)

    ax = look.prepare(ax)
    floor = look.set_log_scale(ax, norms.ravel())
    colors = colormaps["viridis"](np.linspace(0, 0.84, n))  # its last yellow is lost on white
    names = [f"layer {i + 1}" for i in range(n)]
    if n > 1:
        names[0], names[-1] = names[0] + " (first)", names[-1] + " (last)"
    ends = [
        look.draw_curve(ax, (epochs, norms[:, i]), names[i], colors[i], floor, False)
        for i in range(n)
    ]
    look.set_epoch_axis(ax, [r["epoch"] for r in records])
    shown = np.unique(np.linspace(0, n - 1, min(n, DIRECT_LABELS)).round().astype(int))
    look.label_ends(ax, [ends[i] for i in shown])
    ax.set_ylabel("norm of the gradient" + (" (log scale)" if floor is not None else ""))
    wild = epochs[np.isnan(norms).any(axis=1)]
    note = f" (not finite at epoch {wild[0]:.0f})" if wild.size else ""
    look.write_title(ax, "gradient norm of each layer" + note)
    return ax


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


def save_figure(axes_or_figure: Axes | Figure, path: str | Path, *, force: bool = False) -> None:
    """Write the figure to a PNG file, whole or not at all, at 150 dots per inch.

    Raises ValueError when `path` does not end in .png, and otherwise what
    `chainrule.files.write_whole` raises: FileExistsError unless `force`, among others.
    """
    from matplotlib.figure import FigureBase

    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"path={str(path)!r} does not end in .png, which is what is written")
    figure = axes_or_figure if isinstance(axes_or_figure, FigureBase) else axes_or_figure.figure
    figure = figure.figure  # a subfigure's whole; a figure is its own
    content = io.BytesIO()
    with warnings.catch_warnings():
        # A letter the font lacks is drawn as a box, which says enough.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        tight = "tight" if figure.get_layout_engine() is None else None  # labels beside the axes
        figure.savefig(content, format="png", dpi=150, bbox_inches=tight)
    write_whole(path, content.getvalue(), force=force)


# Curves against epochs --------------------------------------------------------------------------


def _check_records(records: Records) -> None:
    if not len(records):
        raise ValueError("records is empty; expected one record per epoch, as after a training")
    if any("epoch" not in record for record in records):
        raise ValueError("a record lacks 'epoch'; expected dicts with 'epoch', 'loss', …")


def _series(records: Records, key: str) -> tuple[look.Floats, look.Floats]:
    """Return epochs and values where `key` was measured; what is not finite becomes nan."""
    _check_records(records)
    pairs = [(r["epoch"], r[key]) for r in records if r.get(key) is not None]
    x, y = np.array(pairs, dtype=float).reshape(-1, 2).T
    return x, look.finite_or_nan(y)


def _loss_title(curves: dict[str, tuple[look.Floats, look.Floats]], best_epoch: int | None) -> str:
    name, (x, y) = list(curves.items())[-1]
    wild = [x[~np.isfinite(y)][0] for x, y in curves.values() if not np.isfinite(y).all()]
    if wild:
        return f"loss not finite at epoch {min(wild):.0f}"
    if best_epoch is not None and best_epoch in x:
        return f"{name} loss {y[x == best_epoch][0]:.4g} at the best epoch, {best_epoch}"
    return f"{name} loss {y[-1]:.4g} after epoch {x[-1]:.0f}"


# Answers against the truth ----------------------------------------------------------------------


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
