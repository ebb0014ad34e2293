"""Checkpoints: a training in a folder, from which it goes on, bit for bit, after whatever ended it.

    folder/
        epoch-00000010.checkpoint   a file as `model_file` describes it, of kind "Checkpoint":
                                    plan and data (what must not change), snapshot (what does)
        epoch-00000020.checkpoint   the newest two are kept
        LATEST                      the name of the newest, written when that is whole

No byte of these files is code; a SHA-256 seals each. They are written beside their place, flushed
and renamed, so that a crash at any moment leaves at least one whole.
"""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chainrule.arrays import is_whole
from chainrule.files import PART, refuse_unwritable, write_whole
from chainrule.model_file.container import explained, opened, seal, unseal
from chainrule.model_file.header import check_sum, read_start
from chainrule.model_file.values import ModelFileError, Packer
from chainrule.snapshots import Facts, Snapshot

KIND = "Checkpoint"
NAME = re.compile(r"epoch-\d{8,}\.checkpoint")
LATEST = "LATEST"
KEPT = 2


class CheckpointFailed(RuntimeWarning):
    """A checkpoint could not be written, or read; the training goes on all the same."""


@dataclass
class Checkpoints:
    """Keep where a training stands in a folder, so that it can go on after a crash.

    A training that was ended at any moment, by `kill -9` too, and goes on with `resume=True` has
    the same weights and records in the end, bit for bit, as one that was never disturbed: with
    every optimizer, schedule, callback and engine. Only the seconds differ.

    Parameters
    ----------
    folder : str or path
        Of this training alone; made where it is missing.
    every : int
        Epochs between two checkpoints. The end of the training is kept too.
    resume : bool
        Whether to go on from the newest whole checkpoint; where the folder has none, the training
        begins. One that had ended is not repeated: its result is there at once.
    force : bool
        Whether a folder that holds checkpoints may be used to begin anew.

    Raises
    ------
    ValueError
        Before the first update, when plan, network or data are not those of the checkpoint, with
        what has changed, or when none of its files is whole.
    FileExistsError, OSError
        When the folder holds checkpoints and neither `resume` nor `force` is given, or cannot be
        written to. A disk that fails later on ends no training: a `CheckpointFailed` warning tells
        of it, and the next checkpoint is tried.

    Notes
    -----
    The processor's kind and the versions of NumPy and SciPy must stay the same for the same bits.
    Ready-made callbacks go on where they were; your own by their `state` and `on_train_resume`.
    L-BFGS repeats what it did, fed with the costs and gradients it had met, of which the first
    64 MiB are kept. `time_limit` counts anew.

    Examples
    --------
    >>> import tempfile
    >>> from chainrule import Checkpoints, Network, train
    >>> X, Y, folder = [[1.0]], [[2.0]], tempfile.mkdtemp()
    >>> history = train(Network([1, 1]), X, Y, epochs=25, checkpoint=Checkpoints(folder))
    >>> sorted(os.listdir(folder))
    ['LATEST', 'epoch-00000020.checkpoint', 'epoch-00000025.checkpoint']
    >>> again = train(Network([1, 1]), X, Y, epochs=25, checkpoint=Checkpoints(folder, resume=True))
    >>> again.records == history.records
    True
    """

    folder: str | os.PathLike[str]
    every: int = 10
    resume: bool = False
    force: bool = False
    _facts: dict[str, Facts] = field(init=False, repr=False, default_factory=dict)
    _written: list[Path] = field(init=False, repr=False, default_factory=list)

    def __post_init__(self) -> None:
        if not is_whole(self.every, 1):
            raise ValueError(f"Checkpoints: every={self.every!r} must be a whole number >= 1")

    def within(self, name: str) -> Checkpoints:
        """Return checkpoints with the same settings in a folder of that name in this one."""
        return replace(self, folder=Path(self.folder) / name)

    def begin(self, plan: Facts, data: Facts) -> Snapshot | None:
        """Return the snapshot to go on from, if there is one; see `snapshots.Keeper`."""
        folder = Path(self.folder)
        self._facts, self._written = {"plan": plan, "data": data}, []
        there = sorted(_files(folder), reverse=True)
        if there and not (self.resume or self.force):
            raise FileExistsError(
                f"{folder} holds checkpoints of a training; go on with it: resume=True, --resume;"
                " or begin anew in another folder"
            )
        folder.mkdir(parents=True, exist_ok=True)
        refuse_unwritable(folder)
        for path in folder.iterdir():
            if PART.fullmatch(path.name):  # of a process that was killed
                path.unlink()
        snapshot = self._newest(there) if self.resume else None
        if self._written == there[:1]:  # the newest is whole; one too old may have outlived a crash
            for path in there[KEPT:]:
                path.unlink()
        return snapshot

    def keep(self, epoch: int, snapshot: Snapshot) -> None:
        """Write a checkpoint, then its name to LATEST; remove all but the newest two."""
        folder = Path(self.folder)
        path = folder / f"epoch-{epoch:08d}.checkpoint"
        try:
            with explained(f"{path} is not written"):
                content = _to_bytes(snapshot, self._facts)
            write_whole(path, content, force=True)
            write_whole(folder / LATEST, f"{path.name}\n".encode(), force=True)
            self._written = [*(each for each in self._written if each != path), path][-KEPT:]
            for other in _files(folder):
                if other not in self._written:
                    other.unlink()
        except (OSError, ModelFileError) as error:
            told = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else error
            warnings.warn(
                CheckpointFailed(f"no checkpoint of epoch {epoch}; the training goes on: {told}"),
                stacklevel=2,
            )

    def _newest(self, there: list[Path]) -> Snapshot | None:
        """Return what is in the newest whole checkpoint, LATEST's before all others."""
        folder, damages = Path(self.folder), []
        named = folder / _name_in(folder / LATEST)
        for path in sorted(there, key=lambda each: each != named):
            try:
                _, facts, snapshot = _read(path)
            except ModelFileError as error:
                damages.append(str(error))
                continue
            for damage in damages:
                message = f"{damage}; going on from {path.name} instead"
                warnings.warn(CheckpointFailed(message), stacklevel=2)
            self._refuse_other(facts)
            self._written = [path]
            return snapshot
        if damages:
            raise ModelFileError(f"{damages[0]}; no other is whole: begin anew in another folder")
        return None

    def _refuse_other(self, facts: dict[str, Facts]) -> None:
        """Raise ValueError for the first fact that is not what it was."""
        for what, now in self._facts.items():
            was = facts[what]
            for name in [*now, *(was.keys() - now.keys())]:
                if now.get(name) == was.get(name):
                    continue
                changed = (
                    f"{name} is {now.get(name, 'unknown')} and was {was.get(name, 'unknown')}"
                    if what == "plan"
                    else f"the values of {name} are others"
                )
                raise ValueError(
                    f"{os.fspath(self.folder)} holds checkpoints of another training: {changed};"
                    " resume with what it began with, or begin anew in another folder"
                )


def read_checkpoints(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return what is in a checkpoint, or in the newest whole one of each training in a folder.

    A folder is that of one training, or holds those of several, as `chainrule train` keeps them.

    Plain values: path, format, chainrule (version), bytes, when it was written; the epoch, whether
    the training had finished and why, the best epoch so far, the last record; the files that are
    kept beside it and what of them is damaged; plan, and the SHA-256 of the data.

    Raises ModelFileError for a path that has no whole checkpoint.
    """
    path = Path(path)
    if not path.is_dir():
        return [_summary(path)]
    folders = [path, *sorted(each for each in path.iterdir() if each.is_dir())]
    found = [_newest_in(folder) for folder in folders if _files(folder)]
    if not found:
        raise ModelFileError(
            f"{path}: it is a folder without checkpoints; expected a model file, or a folder that"
            " --checkpoint kept a training in"
        )
    return found


def _newest_in(folder: Path) -> dict[str, Any]:
    damages: list[str] = []
    kept = sorted(_files(folder), reverse=True)
    for path in kept:
        try:
            return _summary(path) | {"kept": [each.name for each in kept], "damaged": damages}
        except ModelFileError as error:
            damages.append(str(error))
    raise ModelFileError(f"{damages[0]}; no other is whole")


def _summary(path: Path) -> dict[str, Any]:
    made, facts, snapshot = _read(path)
    with explained(str(path)):
        records, about = snapshot["records"], path.stat()
        written = datetime.fromtimestamp(about.st_mtime, UTC).isoformat(timespec="seconds")
        return {
            "path": str(path), "kind": KIND, **made, "bytes": about.st_size, "written": written,
            "epoch": snapshot["done"], "finished": snapshot["finished"],
            "stop_reason": snapshot["stop_reason"] if snapshot["finished"] else None,
            "best_epoch": snapshot["state"]["best_epoch"] or snapshot["best"]["epoch"] or None,
            "last": records[-1] if records else None, **facts,
        }  # fmt: skip


def _files(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, whole or not."""
    there = folder.iterdir() if folder.is_dir() else ()
    return [path for path in there if NAME.fullmatch(path.name)]


def _name_in(path: Path) -> str:
    """Return the name that LATEST holds; it is only a hint, so nothing if it cannot be read."""
    try:
        return path.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def _to_bytes(snapshot: Snapshot, facts: dict[str, Facts]) -> bytes:
    packer = Packer()
    values = {name: value for name, value in snapshot.items() if name != "records"}
    packed: dict[str, Any] = packer.pack(values, "snapshot")
    packed["records"] = packer.history(snapshot["records"], "records")
    return seal({"about": None, "kind": KIND, **facts, "snapshot": packed}, packer)


def _read(path: Path) -> tuple[Facts, dict[str, Facts], Snapshot]:
    """Return format and version, facts and snapshot of a checkpoint.

    Raises ModelFileError, with its path, for a file that is no whole one.
    """
    with opened(path) as (file, size):
        header = read_start(file, size)
        data = file.read()
        check_sum(header, [data])
        description, unpacker = unseal(header, data)
        if description["kind"] != KIND:
            raise ModelFileError(f"it holds a {description['kind']!r}; expected a checkpoint")
        facts = {what: unpacker.unpack(description[what]) for what in ("plan", "data")}
        made = {key: header.description[key] for key in ("format", "chainrule")}
        return made, facts, unpacker.unpack(description["snapshot"])
