"""Progress: a bar while the machine works, or plain lines where nobody can draw one."""

from __future__ import annotations

import sys
from time import monotonic
from typing import Any, TextIO

from chainrule.callbacks.base import Callback, look
from chainrule.history import History
from chainrule.network import Network

DRAW_EVERY = 0.1  # seconds
PLAIN_LINE_EVERY = 5.0  # seconds, where there is no terminal to draw on


class ProgressBar(Callback):
    """A bar with loss, metric and remaining time, drawn at most ten times a second; plain lines,
    one in five seconds, where there is no terminal.

    Parameters
    ----------
    file : text file, optional
        Where to; by default the standard error. Nothing is left of the bar when it is done.

    Examples
    --------
    >>> import io
    >>> from chainrule import Network, ProgressBar, train
    >>> history = train(Network([1, 1]), [[1.0]], [[2.0]], epochs=2,
    ...                 callbacks=[ProgressBar(io.StringIO())])
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self.file = file
        self._bar: Any = None  # rich's

    def __repr__(self) -> str:
        return "ProgressBar()"

    def on_train_begin(self, network: Network, history: History) -> None:
        # Here, as the network level does without rich.
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        console = Console(file=self.file or sys.stderr)
        self._live = console.is_terminal or console.is_jupyter
        self._bar = Progress(
            TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"), BarColumn(),
            TextColumn("{task.description}"), TimeElapsedColumn(), TextColumn("left"),
            TimeRemainingColumn(), console=console, transient=True,
            refresh_per_second=1 / DRAW_EVERY, disable=not self._live,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=self.training.epochs)
        self._last = monotonic()
        self._bar.start()

    def next_look(self) -> float:
        """Never: it draws ten times a second, and the engine comes back as often."""
        return look(self, ProgressBar)

    def on_epoch_end(self, network: Network, history: History) -> None:
        if monotonic() - self._last < (DRAW_EVERY if self._live else PLAIN_LINE_EVERY):
            return
        self._last = monotonic()
        text, epoch = _describe(history), history.records[-1]["epoch"]
        self._bar.update(self._task, completed=epoch, description=text)
        if not self._live:
            print(f"epoch {epoch}/{self.training.epochs} {text}", file=self.file or sys.stderr)

    def on_time_slice(self, network: Network, history: History, done: float) -> None:
        self._bar.update(self._task, completed=done)

    def on_train_end(self, network: Network, history: History) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar = None


def _describe(history: History) -> str:
    record = history.records[-1]
    text = f"loss {record['loss']:.4g}"
    if record["validation_loss"] is not None:
        text += f" validation {record['validation_loss']:.4g}"
    if record["metric"] is not None:
        text += f" metric {record['metric']:.4g}"
    return text
