"""Progress: what a person sees of a model file, of checkpoints, and of a diagnosis."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from chainrule.diagnosis import Diagnosis

MOST = 3  # findings that a training ends with; causes stand first


def tell_header(header: dict[str, Any]) -> None:
    """Print what a model file's header says, what it predicts and how well first."""
    table = Table(show_header=False, box=None, pad_edge=False)
    about = header.get("about") or {}
    facts = about | {key: value for key, value in header.items() if key not in ("about", "notes")}
    for key, value in facts.items():
        if value not in (None, [], {}):
            table.add_row(str(key).replace("_", " "), escape(_in_a_line(value, key)))
    Console(soft_wrap=True).print(table)


def tell_checkpoints(found: list[dict[str, Any]]) -> None:
    """Print what `read_checkpoints` found: where each training stands, then what it is to do."""
    for place, facts in enumerate(found):
        if place:
            print()
        plan = {name: told for name, told in facts["plan"].items() if told not in ("None", "[]")}
        epoch = {"epoch": f"{facts['epoch']} of {plan.pop('epochs', '?')}"}
        data = {"SHA-256 of": {name: digest[:12] for name, digest in facts["data"].items()}}
        rest = {name: value for name, value in facts.items() if name not in ("plan", "data")}
        tell_header(rest | epoch | plan | data)


def tell_diagnosis(diagnosis: Diagnosis) -> None:
    """Print a diagnosis, in colours where there is a terminal."""
    Console(soft_wrap=True, highlight=False).print(diagnosis)


def brief(diagnosis: Diagnosis | None, command: str) -> list[str]:
    """Return what is serious in a diagnosis, a line or two each; `command` shows all of it."""
    if diagnosis is None or diagnosis.healthy:
        return []
    lines = [f"diagnosis: {diagnosis.headline}; see: {command}"]
    for finding in diagnosis.warnings[:MOST]:
        lines += [f"  {finding.sentence}", f"    → {finding.remedy}"]
    return lines


def _in_a_line(value: Any, key: str = "") -> str:
    """Return a header's entry as a person reads it; notes, which have commas, a line each."""
    if key == "notes" and isinstance(value, list):
        return "\n".join(map(str, value))
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
