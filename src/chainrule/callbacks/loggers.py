"""Loggers: the records of a training in a file that any program reads, as they come."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Literal, TextIO

import numpy as np

from chainrule.callbacks.base import Callback, look
from chainrule.engine.contract import COLUMNS
from chainrule.history import Block, History, Record
from chainrule.network import Network


@dataclass
class Log(Callback):
    """What both loggers share: a file of lines, one for each epoch, each written at once.

    A folder that is missing is made. Without `append` a file that is there is written anew when
    the training begins.
    """

    filename: str | os.PathLike[str]
    append: bool = field(default=False, kw_only=True)
    _file: TextIO | None = field(init=False, repr=False, default=None)

    def write(self, file: TextIO, record: Record) -> None:
        """Write the epoch's record."""
        raise NotImplementedError

    def on_train_begin(self, network: Network, history: History) -> None:
        path = Path(self.filename)
        path.parent.mkdir(parents=True, exist_ok=True)
        mode: Literal["a", "w"] = "a" if self.append else "w"
        self._file = path.open(mode, buffering=1, encoding="utf-8", newline="")

    def state(self) -> dict[str, Any]:
        """Return how long the file is: what comes later is written again."""
        assert self._file is not None
        return {"bytes": os.fstat(self._file.fileno()).st_size}

    def on_train_resume(self, network: Network, history: History, state: dict[str, Any]) -> None:
        path = Path(self.filename)
        if path.stat().st_size < state["bytes"]:
            raise ValueError(
                f"{path} has fewer bytes than when the checkpoint was made ({state['bytes']});"
                " put it back, or leave the logger out"
            )
        os.truncate(path, state["bytes"])
        self._file = path.open("a", buffering=1, encoding="utf-8", newline="")

    def next_look(self) -> float:
        """Never: it needs nothing but the records."""
        return look(self, Log)

    def on_epoch_end(self, network: Network, history: History) -> None:
        assert self._file is not None
        self.write(self._file, history.records[-1])

    def on_train_end(self, network: Network, history: History) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()


@dataclass
class CSVLogger(Log):
    """Write a line of numbers for every epoch, below a line with their names.

    Parameters
    ----------
    filename : str or path
        Overwritten, or with `append` continued.
    separator : str
        One character.
    append : bool
        Whether the file goes on where it is; the line with the names is written if it is new.

    Numbers are written so that reading them gives back the same; what was not measured is empty.
    A gradient's norm for each layer has a column of its own.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from chainrule import CSVLogger, Network, train
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "log.csv"
    >>> history = train(Network([1, 1]), [[1.0]], [[2.0]], epochs=2, callbacks=[CSVLogger(path)])
    >>> names, *rows = [line.split(",") for line in path.read_text().splitlines()]
    >>> names[:4]
    ['epoch', 'updates', 'loss', 'validation_loss']
    >>> [float(row[2]) for row in rows] == history["loss"]
    True
    """

    separator: str = ","
    _new: bool = field(init=False, repr=False, default=True)  # a table without its header

    def __post_init__(self) -> None:
        if not isinstance(self.separator, str) or len(self.separator) != 1:
            raise ValueError(f"CSVLogger: separator={self.separator!r} must be one character")

    def check(self) -> None:
        """Refuse to append to a table with other columns."""
        there, ours = self._header(), list(_flat(_unmeasured(self.training.network)))
        if there and there != ours:
            raise ValueError(
                f"{os.fspath(self.filename)} has the columns {self.separator.join(there)};"
                f" expected {self.separator.join(ours)}: write to another file, or set append=False"
            )

    def _header(self) -> list[str]:
        """Return the names in the file that is to go on, if there are any."""
        path = Path(self.filename)
        if not self.append or not path.exists():
            return []
        with path.open(encoding="utf-8", newline="") as file:
            return next(csv.reader(file, delimiter=self.separator), [])

    def on_train_begin(self, network: Network, history: History) -> None:
        self._new = not self._header()
        super().on_train_begin(network, history)

    def on_train_resume(self, network: Network, history: History, state: dict[str, Any]) -> None:
        super().on_train_resume(network, history, state)
        self._new = state["bytes"] == 0

    def write(self, file: TextIO, record: Record) -> None:
        rows, flat = csv.writer(file, delimiter=self.separator, lineterminator="\n"), _flat(record)
        if self._new:
            rows.writerow(flat)
        self._new = False
        rows.writerow(flat.values())


@dataclass
class JSONLLogger(Log):
    """Write every epoch's record as a line of JSON.

    Parameters
    ----------
    filename : str or path
        Overwritten, or with `append` continued.
    append : bool
        Whether the file goes on where it is.

    JSON has no word for numbers that are not finite, such as a metric's NaN: they become null.

    Examples
    --------
    >>> import json, tempfile, pathlib
    >>> from chainrule import JSONLLogger, Network, train
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "log.jsonl"
    >>> history = train(Network([1, 1]), [[1.0]], [[2.0]], epochs=2, callbacks=[JSONLLogger(path)])
    >>> [json.loads(line) for line in path.read_text().splitlines()] == history.records
    True
    """

    def write(self, file: TextIO, record: Record) -> None:
        file.write(json.dumps(_finite(record), allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _flat(record: Record) -> Record:
    """Return the record with a list's entries as columns, counted from 1."""
    flat: Record = {}
    for key, value in record.items():
        if isinstance(value, list):
            flat |= {f"{key}_{place}": each for place, each in enumerate(value, 1)}
        else:
            flat[key] = value
    return flat


def _unmeasured(network: Network) -> Record:
    """Return a record as a training of the network will make them."""
    return Block(np.zeros((1, len(COLUMNS) + len(network.layers))), None, None).records()[0]
