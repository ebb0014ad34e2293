"""Progress: what a person sees while and after the machine works."""

from __future__ import annotations

import sys
from time import monotonic
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from chainrule.callbacks import Callback
from chainrule.history import History
from chainrule.network import Network

PLAIN_LINE_EVERY = 5.0  # seconds, where there is no terminal to draw on


class ProgressBar(Callback):
    """A bar with loss, metric and remaining time; plain lines where there is no terminal."""

    def __init__(self, epochs: int, quiet: bool = False) -> None:
        self.epochs, self.quiet = epochs, quiet
        self.console = Console(file=sys.stderr)
        self.last_line = monotonic()

    def on_train_begin(self, network: Network, history: History) -> None:
        live = self.console.is_terminal and not self.quiet
        self.bar = Progress(
            TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"), BarColumn(),
            TextColumn("{task.description}"), TimeElapsedColumn(), TextColumn("left"),
            TimeRemainingColumn(), console=self.console, transient=True, refresh_per_second=10,
            disable=not live,
        )  # fmt: skip
        self.task = self.bar.add_task("", total=self.epochs)
        self.bar.start()

    def on_epoch_end(self, network: Network, history: History) -> None:
        text = _describe(history)
        self.bar.update(self.task, completed=history.records[-1]["epoch"], description=text)
        late = monotonic() - self.last_line > PLAIN_LINE_EVERY
        if late and not self.quiet and not self.console.is_terminal:
            print(f"epoch {len(history)}/{self.epochs} {text}", file=sys.stderr)
            self.last_line = monotonic()

    def on_time_slice(self, network: Network, history: History, done: float) -> None:
        self.bar.update(self.task, completed=done)

    def on_train_end(self, network: Network, history: History) -> None:
        self.bar.stop()


def _describe(history: History) -> str:
    record = history.records[-1]
    text = f"loss {record['loss']:.4g}"
    if record["validation_loss"] is not None:
        text += f" validation {record['validation_loss']:.4g}"
    if record["metric"] is not None:
        text += f" metric {record['metric']:.4g}"
    return text


def tell_header(header: dict[str, Any]) -> None:
    """Print what a model file's header says, what it predicts and how well first."""
    table = Table(show_header=False, box=None, pad_edge=False)
    about = header.get("about") or {}
    facts = about | {key: value for key, value in header.items() if key not in ("about", "notes")}
    for key, value in facts.items():
        if value not in (None, [], {}):
            table.add_row(str(key).replace("_", " "), escape(_in_a_line(value)))
    Console(soft_wrap=True).print(table)


def _in_a_line(value: Any) -> str:
    """Return a header's entry as a person reads it."""
    if isinstance(value, dict):
        short = {k: v for k, v in value.items() if isinstance(v, (str, int, float))}
        if short and len(value) <= 12:
            return ", ".join(f"{k.replace('_', ' ')} {_in_a_line(v)}" for k, v in short.items())
    elif isinstance(value, list):
        if all(isinstance(each, (str, int, float)) for each in value):
            most = ", ".join(map(_in_a_line, value[:12]))
            return most + (f", … ({len(value)} in all)" if len(value) > 12 else "")
    else:
        return f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"{len(value)} entries (--json shows them)"
