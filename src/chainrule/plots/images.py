"""Images: what each unit of the first layer looks for, as a picture of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.plots import look
from chainrule.plots.sources import parameters_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_first_weights(
    model: Any,
    ax: Axes | None = None,
    *,
    shape: tuple[int, int] | None = None,
    units: Sequence[int] | int = 25,
) -> Axes:
    """Draw the weights into each unit of the first layer as an image: blue above 0, orange below.

    All images share one scale, so that a pale one is a weak unit.

    Parameters
    ----------
    model : Network or fitted estimator
        Of an ensemble, the first member.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    shape : (height, width), optional
        Of an input image; by default a square.
    units : int or sequence of int
        Which units, or how many of them, the strongest first.

    Raises
    ------
    ValueError
        When the inputs do not fill the shape, or a unit is not there.

    Examples
    --------
    >>> from chainrule import Network
    >>> ax = plot_first_weights(Network([64, 9, 1], seed=0))
    >>> ax.get_title(loc="left")
    'weights into 9 of 9 units of the first layer'
    """
    W = parameters_of(model)[0][0]
    n_in, n_out = W.shape
    side = isqrt(n_in)
    height, width = shape or (side, side)
    if height * width != n_in:
        raise ValueError(
            f"{n_in} inputs do not fill an image of {height} × {width}; give shape=(height, width)"
        )
    if isinstance(units, int):
        chosen = np.argsort(-np.linalg.norm(W, axis=0), kind="stable")[:units]
    else:
        chosen = np.asarray(units, int)
    if not chosen.size or chosen.min() < 0 or chosen.max() >= n_out:
        raise ValueError(f"units={units!r} must name some of the {n_out} units, from 0")
    columns = ceil(len(chosen) ** 0.5)
    lines = ceil(len(chosen) / columns)
    sheet = np.full((lines * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for k, unit in enumerate(chosen):
        top, left = k // columns * (height + 1), k % columns * (width + 1)
        sheet[top : top + height, left : left + width] = W[:, unit].reshape(height, width)

    ax = look.prepare(ax, (5.6, 5.0), grid=False)
    largest = float(np.nanmax(np.abs(sheet))) or 1.0
    image = ax.imshow(sheet, cmap=look.diverging(), vmin=-largest, vmax=largest,
                      interpolation="nearest")  # fmt: skip
    look.add_color_bar(ax, image, "weight")
    ax.set_axis_off()
    look.write_title(ax, f"weights into {len(chosen)} of {n_out} units of the first layer")
    return ax
