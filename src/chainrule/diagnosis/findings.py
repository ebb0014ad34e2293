"""Findings: what a diagnosis tells, in words for people and in numbers for machines."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from chainrule.diagnosis.words import plain

Severity = Literal["warning", "note"]
WIDTH = 96  # characters in a line of the report
#: What stands out in a terminal, and how.
STYLES = {
    r"^Diagnosis: [a-z].*": "bold green",
    r"^Diagnosis: \d.*": "bold",
    r"^WARNING: .*": "bold red",
    r"^NOTE: .*": "bold cyan",
    r"^  → .*(\n    .*)*": "green",
    r"^layer +units +idle.*": "dim",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was seen: what, how bad, where, the numbers, and what to type.

    >>> Finding("dead_units", "note", 1, "2 of 50 units are dead.", {"dead": 2}).kind
    'dead_units'
    """

    kind: str  #: the name of the check that saw it
    severity: Severity  #: "warning" costs accuracy or time; "note" is good to know
    layer: int | None  #: the layer it is worst in, counted from 1; None if it is of no layer
    sentence: str
    numbers: dict[str, Any] = field(default_factory=dict)
    remedy: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """All that was found; print it for a report.

    Attributes
    ----------
    findings : tuple of Finding
        In the order of the checks: data, learning rate, layers, then how it went.
    loss, baseline : float
        The mean loss over the rows, and that of the best answer that is the same for all.
    skill : float
        1 − loss / baseline: R² for squared error.
    layers : tuple of dict
        For each layer its units, how many are idle (dead or saturated), the error's norm ‖δ‖
        relative to the output layer's, and the size of an update relative to the weights.
    """

    network: str
    rows: int
    epochs: int
    loss: float
    baseline: float
    skill: float
    findings: tuple[Finding, ...]
    layers: tuple[dict[str, Any], ...]

    @property
    def healthy(self) -> bool:
        """Whether there is no finding of severity "warning"."""
        return not self.warnings

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings of severity "warning"."""
        return tuple(each for each in self.findings if each.severity == "warning")

    @property
    def kinds(self) -> list[str]:
        """The kinds of all findings."""
        return [each.kind for each in self.findings]

    def __getitem__(self, kind: str) -> Finding:
        """Return the finding of that kind; raise KeyError when nothing of it was seen."""
        for each in self.findings:
            if each.kind == kind:
                return each
        raise KeyError(f"nothing of kind {kind!r} was found; there is: {', '.join(self.kinds)}")

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as dicts, lists, texts and numbers, as JSON holds them."""
        return {"healthy": self.healthy} | plain(asdict(self))

    @property
    def headline(self) -> str:
        """How many findings there are, in a sentence."""
        warnings = len(self.warnings)
        notes = len(self.findings) - warnings
        well = "healthy" if self.rows else "nothing wrong in the record"
        parts = [f"{warnings} warning{'s' * (warnings != 1)}"] if warnings else [well]
        if notes:
            parts.append(f"{notes} note{'s' * (notes != 1)}")
        return ", ".join(parts)

    def __str__(self) -> str:
        lines = [f"Diagnosis: {self.headline}", *textwrap.wrap(self._about(), WIDTH)]
        ordered = sorted(self.findings, key=lambda each: each.severity != "warning")
        for each in ordered:
            lines += ["", f"{each.severity.upper()}: {each.kind.replace('_', ' ')}"]
            lines += _indented(each.sentence, "  ")
            if each.remedy:
                lines += _indented(f"→ {each.remedy}", "  ", "    ")
        return "\n".join([*lines, "", *_table(self.layers)] if self.rows else lines)

    def _about(self) -> str:
        """Return in a sentence what was looked at, and how well it does."""
        if not self.rows:
            return (
                f"{self.network}, by the record of {self.epochs:,} epochs alone: loss"
                f" {self.loss:.4g}, where a network that knows nothing has about"
                f" {self.baseline:.4g}. Give X and y too, to have columns, units and gradients"
                " looked at."
            )
        epochs = f" after {self.epochs:,} epochs" if self.epochs else ""
        return (
            f"{self.network} on {self.rows:,} rows{epochs}: loss {self.loss:.4g}, where the best"
            f" constant answer has {self.baseline:.4g}."
        )

    def __rich__(self) -> str:
        """Return the report in rich's markup, for `rich.print`: what to type stands out."""
        text = re.sub(r"(\\*)\[", r"\1\1\[", str(self))  # a bracket of the report's own
        for pattern, style in STYLES.items():
            text = re.sub(pattern, rf"[{style}]\g<0>[/]", text, flags=re.MULTILINE)
        return text

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"

    def __repr__(self) -> str:
        return f"Diagnosis({self.headline}: {', '.join(self.kinds)})"


def _indented(text: str, first: str, rest: str | None = None) -> list[str]:
    after = first if rest is None else rest
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=after)


def _table(layers: tuple[dict[str, Any], ...]) -> Iterator[str]:
    """Yield a line per layer: what a healthy and a sick network are told apart by."""
    width = max(len(each["name"]) for each in layers)
    yield f"{'layer':<{width}}  {'units':>12}    idle  error ‖δ‖  update/weights"
    for each in layers:
        idle = "–" if each["idle"] is None else f"{100 * each['idle']:.0f} %"
        ratio = "–" if each["update_ratio"] is None else f"{each['update_ratio']:.1e}"
        error = "–" if each["error"] is None else f"{each['error']:.3g}"
        yield f"{each['name']:<{width}}  {each['units']:>12}  {idle:>6}  {error:>9}  {ratio:>14}"
