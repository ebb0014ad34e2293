"""Progress: what a person sees of a model file."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


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
