"""Saving: the picture as a file, whole or not at all."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from chainrule.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def save_figure(
    axes_or_figure: Axes | Figure,
    path: str | Path,
    *,
    force: bool = False,
    tight: bool | None = None,
) -> None:
    """Write the figure to a PNG file, whole or not at all, at 150 dots per inch.

    With `tight` it is cut, or grows, to what is drawn, labels beside the axes included; None does
    so where no layout engine has made room for them.

    Raises ValueError when `path` does not end in .png, and otherwise what
    `chainrule.files.write_whole` raises: FileExistsError unless `force`, among others.
    """
    from matplotlib.figure import FigureBase

    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"{path}: the suffix must be .png, which is what is written")
    figure = axes_or_figure if isinstance(axes_or_figure, FigureBase) else axes_or_figure.figure
    figure = figure.figure  # a subfigure's whole; a figure is its own
    content = io.BytesIO()
    with warnings.catch_warnings():
        # A letter the font lacks is drawn as a box, which says enough.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        if tight is None:
            tight = figure.get_layout_engine() is None
        figure.savefig(
            content, format="png", dpi=150, bbox_inches="tight" if tight else None,
            pil_kwargs={"compress_level": 3},  # half the time of 6, for an eighth more bytes
        )  # fmt: skip
    write_whole(path, content.getvalue(), force=force)
