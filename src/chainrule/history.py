"""History: the epochs of a training as plain records, and how it ended.

Epochs arrive as rows of numbers, thousands at a time. They become dicts when somebody looks at
them: until then an epoch costs a few numbers, and no time in Python.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import hypot, isnan
from typing import Any, NamedTuple, TypeAlias

from chainrule.arrays import Array
from chainrule.engine.contract import COLUMNS, EPOCH, LOSS, RATE, SECONDS, UPDATES

#: One epoch as a plain dict: epoch, updates, loss, validation_loss, metric, rate, gradient_norm,
#: layer_gradient_norms, seconds. What was not measured is None.
Record: TypeAlias = dict[str, Any]


class Block(NamedTuple):
    """Epochs as the engine records them, and what the loop measured of each besides."""

    rows: Array  # (epochs, columns), by engine.contract.COLUMNS
    validation_loss: float | None
    metric: float | None

    def records(self) -> list[Record]:
        """Return the epochs as plain dicts."""
        return [
            {
                "epoch": int(row[EPOCH]),
                "updates": int(row[UPDATES]),
                "loss": row[LOSS],
                "validation_loss": self.validation_loss,
                "metric": self.metric,
                "rate": None if isnan(row[RATE]) else row[RATE],
                "gradient_norm": hypot(*row[len(COLUMNS) :]),
                "layer_gradient_norms": row[len(COLUMNS) :],
                "seconds": row[SECONDS],
            }
            for row in self.rows.tolist()
        ]

    def column(self, key: str) -> list[Any]:
        """Return one entry of every epoch; a number of the engine's without making the others."""
        if key in ("epoch", "loss", "seconds"):
            numbers = self.rows[:, COLUMNS.index(key)]
            column: list[Any] = (numbers.astype(int) if key == "epoch" else numbers).tolist()
            return column
        return [record[key] for record in self.records()]


class History:
    """The epochs of a training as plain records, and how it ended.

    Attributes
    ----------
    records : list of dict
        One for each epoch, or for each that was to be recorded.
    stop_reason : str
        Why the training ended.
    best_epoch : int, optional
        The epoch whose weights were kept, where that was tracked.
    engine, engine_reason : str
        What executed it, and why it is not the native engine.

    Examples
    --------
    >>> history = History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    >>> history["loss"]
    [0.5, 0.25]
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._records = list(records)  # those that somebody has looked at, then
        self._blocks: list[Block] = []  # those that nobody has
        self.stop_reason = ""
        self.best_epoch: int | None = None
        self.engine = ""
        self.engine_reason = ""

    @property
    def records(self) -> list[Record]:
        """One plain dict for each epoch: this history's own list, not a copy."""
        for block in self._blocks:
            self._records += block.records()
        self._blocks.clear()
        return self._records

    def add(
        self, rows: Array, validation_loss: float | None = None, metric: float | None = None
    ) -> None:
        """Append epochs, by engine.contract.COLUMNS, of which the loop measured these numbers."""
        if len(rows):
            self._blocks.append(Block(rows, validation_loss, metric))

    def drop_last(self) -> None:
        """Forget the last record."""
        if not self._blocks:
            del self._records[-1]
        elif len((last := self._blocks.pop()).rows) > 1:
            self._blocks.append(last._replace(rows=last.rows[:-1]))

    def __getitem__(self, key: str) -> list[Any]:
        """Return one entry of every epoch."""
        entries = [record[key] for record in self._records]
        for block in self._blocks:
            entries += block.column(key)
        return entries

    def __len__(self) -> int:
        return len(self._records) + sum(len(block.rows) for block in self._blocks)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, History):
            return NotImplemented
        return self.records == other.records and vars(self) == vars(other)

    def __repr__(self) -> str:
        losses = self["loss"]
        if not losses:
            return "History(no epoch yet)"
        why = self.stop_reason or "under way"
        return f"History({len(self)} epochs, loss {losses[0]:.4g} → {losses[-1]:.4g}, {why})"
