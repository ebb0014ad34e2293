"""Surfaces: functions of two inputs in 3-D, and the regions in which classes are predicted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.arrays import Array
from chainrule.plots import look
from chainrule.plots.sources import outputs_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Bounds = tuple[tuple[float, float], tuple[float, float]]
SQUARE: Bounds = ((-1.0, 1.0), (-1.0, 1.0))
MARKERS = "os^DvPX*"


def plot_surface(
    function: Any,
    ax: Axes | None = None,
    *,
    bounds: Bounds = SQUARE,
    resolution: int = 41,
    title: str = "",
    limits: tuple[float, float] | None = None,
) -> Axes:
    """Draw z = function(x, y) as a surface in 3-D.

    Parameters
    ----------
    function : function of rows (n, 2), Network or fitted estimator
        Its first output is the height.
    ax : matplotlib Axes with projection="3d", optional
        Where to draw; a new figure by default.
    bounds : ((low, high), (low, high))
        Of the two inputs.
    resolution : int
        Points along each side.
    title : str
        Stands above.
    limits : (low, high), optional
        Heights that the axis and the colours span; by default the surface's own.

    Raises
    ------
    ValueError
        For an `ax` that is not three-dimensional, or heights that are not finite.

    Examples
    --------
    >>> ax = plot_surface(lambda X: X[:, 0] ** 2 + X[:, 1] ** 2, title="x² + y²")
    >>> ax.get_title(loc="left"), ax.name
    ('x² + y²', '3d')
    """
    x, y, z = _heights(function, bounds, resolution)
    (ax,) = _prepare_3d(None if ax is None else [ax], 1)
    _draw_surface(ax, x, y, z, limits or _limits(z))
    look.write_title(ax, title)
    return ax


def plot_surfaces(
    true: Any,
    learned: Any,
    ax: Sequence[Axes] | None = None,
    *,
    bounds: Bounds = SQUARE,
    resolution: int = 41,
    name: str = "true",
) -> tuple[Axes, Axes]:
    """Draw a function and what was learned of it side by side, at the same heights and colours.

    The learned one's title tells the root-mean-square error on the grid as a share of the true
    function's range.

    Parameters
    ----------
    true, learned : function of rows (n, 2), Network or fitted estimator
        Their first outputs are drawn.
    ax : two matplotlib Axes with projection="3d", optional
        Where to draw; a new figure by default.
    bounds, resolution
        As in `plot_surface`.
    name : str
        What the true function is called.

    Raises
    ------
    ValueError
        As `plot_surface` does, and when `ax` does not hold two.

    Examples
    --------
    >>> left, right = plot_surfaces(lambda X: X[:, 0], lambda X: X[:, 0] + 0.02)
    >>> left.get_title(loc="left"), right.get_title(loc="left")
    ('true', 'learned: error 1 % of the range')
    """
    x, y, z = _heights(true, bounds, resolution)
    _, _, other = _heights(learned, bounds, resolution)
    left, right = _prepare_3d(ax, 2)
    limits = _limits(np.concatenate([z, other]))
    _draw_surface(left, x, y, z, limits)
    _draw_surface(right, x, y, other, limits)
    error, span = float(np.sqrt(np.mean((z - other) ** 2))), float(np.ptp(z))
    share = f"{100 * error / span:.2g} % of the range" if span > 0 else f"{error:.2g}"
    look.write_title(left, name)
    look.write_title(right, f"learned: error {share}")
    return left, right


def plot_decision_regions(
    model: Any,
    X: ArrayLike,
    y: ArrayLike,
    ax: Axes | None = None,
    *,
    resolution: int = 200,
    names: Sequence[str] = ("x", "y"),
) -> Axes:
    """Draw which class is predicted where in the plane, and the rows as points.

    A region is the paler, the less sure the model is there. Points are told apart by colour and
    by shape; those on a region of another class wear a dark edge.

    Parameters
    ----------
    model : Network or fitted classifier
        Of two inputs. A network with one output tells two classes apart, at 0.5.
    X : array-like (n, 2)
        Rows.
    y : array-like (n,) or (n, outputs)
        Their classes: as the classifier was fitted with, or for a network its targets.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    resolution : int
        Points along each side.
    names : sequence of two str
        What the inputs are called.

    Raises
    ------
    ValueError
        When X is not (n, 2), y has another length, or a class is none of the model's.

    Examples
    --------
    >>> from chainrule import Network
    >>> net = Network([2, 1], ["sigmoid"], initializers="zeros")
    >>> net.W[0][:] = [[4.0], [0.0]]
    >>> ax = plot_decision_regions(net, [[-1, 0], [1, 0], [2, 1]], [0, 1, 0])
    >>> ax.get_title(loc="left")
    'accuracy 0.667: 2 of 3 right'
    """
    rows = np.asarray(X, np.float64)
    if rows.ndim != 2 or rows.shape[1] != 2 or not len(rows):
        raise ValueError(f"X has shape {rows.shape}; expected (n, 2), a plane can hold no more")
    predicted, _ = _classes(outputs_of(model, rows))
    classes, true = _truth(model, y, len(rows), _class_count(outputs_of(model, rows[:1])))

    ax = look.prepare(ax, size=(5.6, 5.0), grid=False)
    (left, bottom), (right, top) = rows.min(axis=0), rows.max(axis=0)
    pad_x, pad_y = 0.08 * (right - left) or 0.5, 0.08 * (top - bottom) or 0.5
    extent = (left - pad_x, right + pad_x, bottom - pad_y, top + pad_y)
    gx, gy = np.linspace(*extent[:2], resolution), np.linspace(*extent[2:], resolution)
    grid = np.column_stack([each.ravel() for each in np.meshgrid(gx, gy)])
    winner, sureness = _classes(outputs_of(model, grid))
    ax.imshow(
        _tint(winner, sureness).reshape(resolution, resolution, 3),
        origin="lower", extent=extent, aspect="auto", interpolation="bilinear",
    )  # fmt: skip
    for k, label in enumerate(classes):
        here, wrong = true == k, predicted[true == k] != k
        edges = [look.ink_of(ax) if w else "white" for w in wrong]
        ax.scatter(rows[here, 0], rows[here, 1], c=[look.PALETTE[k % 6]] * int(here.sum()),
                   marker=MARKERS[k % 8], s=28, edgecolors=edges, linewidths=0.9,
                   label=look.drawable(label))  # fmt: skip
    ax.set_xlabel(names[0], **look.PLAIN)
    ax.set_ylabel(names[1], **look.PLAIN)
    legend = ax.legend(title="class", frameon=False, fontsize=9, title_fontsize=9,
                       loc="upper left", bbox_to_anchor=(1, 1))  # fmt: skip
    for text in [*legend.get_texts(), legend.get_title()]:
        text.set(color=look.ink_of(ax), **look.PLAIN)
    right_ones = int((predicted == true).sum())
    look.write_title(
        ax, f"accuracy {right_ones / len(rows):.3g}: {right_ones:,} of {len(rows):,} right"
    )
    return ax


def _class_count(outputs: Array) -> int:
    return max(2, outputs.shape[1])


def _classes(outputs: Array) -> tuple[Array, Array]:
    """Return the index of the class of each row, and how sure the model is of it, 0 to 1."""
    if outputs.shape[1] == 1:
        outputs = np.hstack([1 - outputs, outputs])
    k = outputs.shape[1]
    best = np.clip(outputs.max(axis=1), 0, 1)
    return outputs.argmax(axis=1), (best - 1 / k) / (1 - 1 / k)


def _truth(model: Any, y: ArrayLike, n: int, k: int) -> tuple[list[Any], Array]:
    """Return the classes, and the index of each row's."""
    true = np.asarray(y)
    if len(true) != n:
        raise ValueError(f"y has {len(true)} rows and X {n}; expected as many")
    if true.ndim == 2:
        true = true[:, 0] if true.shape[1] == 1 else true.argmax(axis=1)
    classes = list(getattr(model, "classes_", range(k)))
    index = {label: i for i, label in enumerate(classes)}
    unknown = [label for label in true.tolist() if label not in index]
    if unknown:
        raise ValueError(f"y holds the class {unknown[0]!r}; the model's classes are {classes}")
    return classes, np.array([index[label] for label in true.tolist()])


def _tint(winner: Array, sureness: Array) -> Array:
    """Return colours (n, 3): paper where the model is not sure, the class's tint where it is."""
    from matplotlib.colors import to_rgb

    full = np.array([to_rgb(color) for color in look.PALETTE])[winner % 6]
    strength = (0.12 + 0.33 * np.clip(sureness, 0, 1))[:, None]
    return np.asarray(strength * full + (1 - strength), np.float64)


def _heights(function: Any, bounds: Bounds, resolution: int) -> tuple[Array, Array, Array]:
    x, y = np.meshgrid(*(np.linspace(*side, resolution) for side in bounds))
    z = outputs_of(function, np.column_stack([x.ravel(), y.ravel()]))[:, 0]
    if not np.isfinite(z).all():
        raise ValueError("the function is not finite everywhere within bounds; choose others")
    return x, y, z.reshape(x.shape)


def _limits(z: Array) -> tuple[float, float]:
    low, high = float(z.min()), float(z.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _prepare_3d(axes: Sequence[Axes] | None, count: int) -> list[Any]:
    """Return so many 3-D axes with the look that all pictures share, new ones by default."""
    if axes is None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(4.6 * count + 0.4, 4.6), layout="constrained")
        kw = {"projection": "3d"}
        axes = list(np.ravel(np.array(figure.subplots(1, count, subplot_kw=kw), dtype=object)))
    from matplotlib.ticker import MaxNLocator

    drawn: list[Any] = list(axes)
    if len(drawn) != count or any(getattr(ax, "name", "") != "3d" for ax in drawn):
        raise ValueError(f"ax must be {count} Axes with projection='3d', as many surfaces as drawn")
    for ax in drawn:
        ink = look.ink_of(ax)
        ax.tick_params(labelsize=8, colors=ink)
        for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
            axis.pane.set(facecolor="none", edgecolor=ink, alpha=0.15)
            axis.label.set(fontsize=9, color=ink)
            axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        ax.set(xlabel="x", ylabel="y")
    return drawn


def _draw_surface(ax: Any, x: Array, y: Array, z: Array, limits: tuple[float, float]) -> None:
    ax.plot_surface(x, y, z, cmap="viridis", vmin=limits[0], vmax=limits[1],
                    rstride=1, cstride=1, linewidth=0, antialiased=True)  # fmt: skip
    ax.set_zlim(*limits)
    ax.view_init(elev=28, azim=-55)
