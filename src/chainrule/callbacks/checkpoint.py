"""Checkpoint: the model in a file while it learns, whole at any moment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from chainrule.arrays import is_whole
from chainrule.callbacks.base import (
    ALIASES,
    Callback,
    Mode,
    key_of,
    look,
    monitored,
    refuse_mode,
)
from chainrule.history import History, Record
from chainrule.network import Network


@dataclass
class ModelCheckpoint(Callback):
    """Save the model at the end of epochs, as a file that `load_model` reads.

    Each file is written beside its place and then renamed, so a crash or a full disk leaves the
    old one whole. `read_header` tells the record of the epoch that is in it, under "about".

    Parameters
    ----------
    filepath : str or path
        With the names of a record's numbers in braces, as str.format has them:
        ``"net-{epoch:03d}-{validation_loss:.3f}.chainrule"``. A folder that is missing is made,
        and a file that is there is overwritten.
    monitor : str
        "auto" (validation loss, else loss), "loss", "validation_loss" or "metric".
    save_best_only : bool
        Whether to save only epochs that improve on all before them.
    mode : {"auto", "min", "max"}
        Whether the number is to fall or to rise; by default "metric" rises and all else falls.
    every : int
        Look at every so many epochs.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from chainrule import ModelCheckpoint, Network, load_model, train
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> saving = ModelCheckpoint(folder / "net-{epoch:02d}.chainrule", every=4)
    >>> net = Network([1, 1])
    >>> history = train(net, [[1.0]], [[2.0]], epochs=8, callbacks=[saving])
    >>> sorted(path.name for path in folder.iterdir())
    ['net-04.chainrule', 'net-08.chainrule']
    >>> bool((load_model(saving.latest).theta == net.theta).all())
    True
    """

    filepath: str | os.PathLike[str]
    monitor: str = "auto"
    save_best_only: bool = False
    mode: Mode = "auto"
    every: int = 1
    best: float = field(init=False, default=inf)
    latest: Path | None = field(init=False, default=None)  # what was written last

    def __post_init__(self) -> None:
        refuse_mode(self, self.mode)
        if not is_whole(self.every, 1):
            raise ValueError(f"ModelCheckpoint: every={self.every!r} must be a whole number >= 1")

    def check(self) -> None:
        """Refuse a name in the path, or to monitor, that no record will have."""
        measured = self.training.measured
        key_of(self.monitor, measured)
        try:
            self._path({key: 1 if key in ("epoch", "updates") else 0.5 for key in measured})
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            raise ValueError(
                f"filepath={os.fspath(self.filepath)!r} cannot be filled in ({error}); names that"
                f" may stand in braces: {', '.join(measured)}"
            ) from None

    def _path(self, record: Record) -> Path:
        names = record | {alias: record[key] for alias, key in ALIASES.items() if key in record}
        return Path(os.fspath(self.filepath).format(**names))

    def on_train_begin(self, network: Network, history: History) -> None:
        self.best, self.latest = inf, None

    def state(self) -> dict[str, Any]:
        latest = None if self.latest is None else os.fspath(self.latest)
        return {"best": self.best, "latest": latest}

    def on_train_resume(self, network: Network, history: History, state: dict[str, Any]) -> None:
        self.best = state["best"]
        self.latest = None if state["latest"] is None else Path(state["latest"])

    def next_look(self) -> float:
        """The epochs until the next that may be saved."""
        return look(self, ModelCheckpoint, self.every - self.training.state.epoch % self.every)

    def on_epoch_end(self, network: Network, history: History) -> None:
        record = history.records[-1]
        if record["epoch"] % self.every:
            return
        value = monitored(record, self.monitor, self.mode)
        if value < self.best or not self.save_best_only:
            self._save(record)
        self.best = min(self.best, value)

    def _save(self, record: Record) -> None:
        # By the public door, as a callback of the user's would: files are made floors above.
        from chainrule import save_model

        path = self._path(record)
        path.parent.mkdir(parents=True, exist_ok=True)
        about = {key: record[key] for key in self.training.measured}
        save_model(self.training.model(), path, force=True, about=about)
        self.latest = path
