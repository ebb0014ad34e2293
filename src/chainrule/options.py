"""Options: what a word on the command line may be, and what is said of one that may not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite, nan
from typing import Any

import typer

from chainrule.names import look_up


def one_of(table: Mapping[str, Any] | tuple[str, ...], option: str) -> Callable[[str], str]:
    """Return a parser that accepts the names of a table as it is when the command runs."""

    def parse(name: str) -> str:
        names = table if isinstance(table, Mapping) else dict.fromkeys(table)
        try:
            look_up(names, name, option)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        return name

    parse.__name__ = "NAME"
    return parse


def known(table: Mapping[str, Any]) -> str:
    """Return the help for an option that takes the names of a table."""
    return f"One of {', '.join(table)}."


def sizes_of(text: str) -> tuple[int, ...]:
    """Read 64,32 as (64, 32), and an empty text as no hidden layer."""
    try:
        sizes = tuple(int(part) for part in text.split(",")) if text.strip() else ()
    except ValueError:
        sizes = (0,)
    if any(size < 1 or size > 10**6 for size in sizes):
        raise typer.BadParameter(
            f"--hidden={text!r}; expected whole numbers from 1 to 1000000 with commas between"
            " them, such as 64,32, or '' for no hidden layer"
        )
    return sizes


sizes_of.__name__ = "SIZES"


def whole(option: str, low: int = 1, high: int | None = None) -> Callable[[Any], int]:
    """Return a parser of whole numbers from `low` to `high`."""
    expected = f"a whole number >= {low}" if high is None else f"a whole number {low} to {high}"

    def parse(text: Any) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low or (high is not None and value > high):
            raise typer.BadParameter(f"{option}={text}; expected {expected}")
        return value

    parse.__name__ = "N"
    return parse


def number(option: str, expected: str, accepts: Callable[[float], bool]) -> Callable[[Any], float]:
    """Return a parser of numbers that are `expected`."""

    def parse(text: Any) -> float:
        try:
            value = float(text)
        except ValueError:
            value = nan
        if not (isfinite(value) and accepts(value)):
            raise typer.BadParameter(f"{option}={text}; expected {expected}")
        return value

    parse.__name__ = "X"
    return parse


seed_of = whole("--seed", 0, 2**32 - 1)
rate_of = number("--learning-rate", "a number > 0, such as 0.001", lambda x: x > 0)
dropout_of = number("--dropout", "a number >= 0 and < 1", lambda x: 0 <= x < 1)
validation_of = number("--validation", "a number from 0 to 0.9", lambda x: 0 <= x <= 0.9)
