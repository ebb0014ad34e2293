"""Formulas by number: which activation, loss or rule the library is to take, and its settings."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from typing import Any


def number(library: Any, table: str, member: Any) -> int:
    """Return the number under which the library knows a member of a table; -1 if it doesn't."""
    return _number(library, table, type(member).__module__, type(member).__name__)


@lru_cache(1024)
def _number(library: Any, table: str, module: str, name: str) -> int:
    names = library.formulas[table]
    return names.index(name) if module.startswith("chainrule.") and name in names else -1


def fill(settings: Any, member: Any) -> None:
    """Write a member's settings, in the order of its fields; what lies behind them stays zero."""
    values = _settings(member)
    if values:
        settings[: len(values)] = values


@lru_cache(1024)  # members are frozen, and few
def _settings(member: Any) -> tuple[float, ...]:
    given = (getattr(member, field.name) for field in fields(member))
    each = (value if isinstance(value, tuple) else (value,) for value in given)
    return tuple(float(number) for numbers in each for number in numbers)


def count(member: Any) -> int:
    """Return how many numbers a member's settings are."""
    return len(_settings(member))
