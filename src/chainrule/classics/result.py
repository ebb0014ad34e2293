"""Result: what was published beside what came out, in numbers and in pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chainrule.classics.drawing import Drawing, save

Value = float | str | None


@dataclass(frozen=True)
class Figure:
    """A figure that was published, and what came out for it.

    `obtained` is with the original's settings, `ours` with our own; None where there is none.
    `form` formats numbers. `holds` tells whether the published figure, or the aim set for it, is
    reached or beaten; None where there is nothing to reach.

    >>> figure = Figure("cost", "cost at the end", 0.000562, 0.00051, 1e-7, holds=True)
    >>> figure.say(figure.published), figure.say(None)
    ('0.000562', '')
    """

    key: str
    what: str
    published: Value = None
    obtained: Value = None
    ours: Value = None
    form: str = ".3g"
    holds: bool | None = None

    def say(self, value: Value) -> str:
        """Return one of its values as a person reads it."""
        if value is None or isinstance(value, str):
            return value or ""
        return format(value, self.form)


@dataclass(frozen=True)
class Result:
    """How a classic system ran.

    Attributes
    ----------
    name : str
        As on the command line.
    figures : list of Figure
        What was published and what came out.
    seconds : float
        That all of it took, pictures not counted.
    drawings : mapping of file name to function
        Each draws a picture and returns its Axes.
    notes : list of str
        What there is to say besides.
    listing : str
        Source that the reader should see, where there is one.
    """

    name: str
    figures: list[Figure]
    seconds: float
    drawings: Mapping[str, Drawing] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    listing: str = ""

    @property
    def holds(self) -> bool:
        """Whether every figure is reached or beaten."""
        return all(figure.holds is not False for figure in self.figures)

    def figure(self, key: str) -> Figure:
        """Return the figure of that key; raise KeyError where there is none."""
        return {figure.key: figure for figure in self.figures}[key]

    def draw(self, folder: str | Path, *, force: bool = False) -> list[Path]:
        """Write the pictures into `folder`, made where it is missing; return their paths.

        Raises FileExistsError for a picture that is there already, unless `force`.
        """
        paths = {Path(folder) / name: drawing for name, drawing in self.drawings.items()}
        for path, drawing in paths.items():
            save(drawing, path, force=force)
        return [*paths]

    def facts(self, pictures: list[Path] | None = None) -> dict[str, Any]:
        """Return it as plain data: for `published`, `obtained` and `ours` a value for each key."""
        columns = {
            column: {
                figure.key: value
                for figure in self.figures
                if (value := getattr(figure, column)) is not None
            }
            for column in ("published", "obtained", "ours", "holds")
        }
        return {
            "name": self.name,
            **columns,
            "seconds": self.seconds,
            "pictures": [str(path) for path in pictures or []],
            "notes": self.notes,
        }
