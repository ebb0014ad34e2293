"""Keeping: what of a training survives its end, whether by a crash, Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

from chainrule.cli import options

INTERRUPTED = 128 + signal.SIGINT
_received: list[int] = []  # signals to end, while a command runs


def checkpoints(folder: Path | None, every: int | None, resume: bool, force: bool) -> Any:
    """Return where the training is kept, or None; refuse a folder that is in use."""
    if folder is None:
        for option, given in (("--resume", resume), ("--every", every is not None)):
            if given:
                raise click.UsageError(f"{option} needs a folder; expected --checkpoint DIR")
        return None
    from chainrule.checkpoints import Checkpoints

    options.refuse_file(folder, "--checkpoint")
    if folder.is_dir() and any(folder.iterdir()) and not (resume or force):
        raise FileExistsError(
            f"{folder} holds something already; go on from it with --resume, begin anew with"
            " --force, or choose another folder: --checkpoint DIR"
        )
    kept = Checkpoints(folder, resume=resume, force=force)
    return kept if every is None else Checkpoints(folder, every, resume, force)


@contextmanager
def end_at_termination() -> Iterator[None]:
    """Have SIGTERM end what runs as Ctrl-C does, so that the best weights so far are kept."""
    _received.clear()

    def end(number: int, frame: FrameType | None) -> None:
        _received.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # which alone hears signals
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def ended() -> int:
    """Return the exit code of a command that was told to end."""
    return 128 + _received[0] if _received else INTERRUPTED
