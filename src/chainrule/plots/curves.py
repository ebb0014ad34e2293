"""Curves: loss, metric and the gradient's norms against epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chainrule.plots import look
from chainrule.plots.sources import HasRecords, Records, records_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOG_RATIO = 30.0  # a loss that spans more than this is drawn on a log scale
DIRECT_LABELS = 12  # as many curve ends as can carry a label in one picture


def plot_loss(records: HasRecords, ax: Axes | None = None, best_epoch: int | None = None) -> Axes:
    """Draw training and validation loss against epochs, with the best epoch marked.

    The scale is logarithmic when the losses are not negative and span more than a factor of 30.
    A curve that stops being finite ends in a cross.

    Parameters
    ----------
    records : sequence of mappings, History or fitted estimator
        One record per epoch, with "epoch", "loss" and, where measured, "validation_loss".
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
    records = records_of(records)
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
    records: HasRecords,
    ax: Axes | None = None,
    name: str = "accuracy",
    best_epoch: int | None = None,
) -> Axes:
    """Draw the records' "metric" against epochs; raise ValueError when none holds one.

    Examples
    --------
    >>> plot_metric([{"epoch": 1, "metric": 0.5}]).get_title(loc="left")
    'accuracy 0.5 after epoch 1'
    """
    records = records_of(records)
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


def plot_gradient_norms(records: HasRecords, ax: Axes | None = None) -> Axes:
    """Draw the norm of each layer's gradient against epochs, on a log scale.

    Curves that fan out by orders of magnitude tell of vanishing or exploding gradients. A norm
    of exactly 0, which a log scale cannot hold, is drawn on a dashed line below the others.

    Parameters
    ----------
    records : sequence of mappings, History or fitted estimator
        One record per epoch, with "epoch" and "layer_gradient_norms", one number per layer.
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

    records = records_of(records)
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


def _series(records: Records, key: str) -> tuple[look.Floats, look.Floats]:
    """Return epochs and values where `key` was measured; what is not finite becomes nan."""
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
