"""Names: find a table's entry by what the user typed, or say what they probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

Entry = TypeVar("Entry")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'relu'?"``, or an empty string when nothing known is near.

    >>> nearest("rleu", ["relu", "tanh"])
    "; did you mean 'relu'?"
    >>> nearest("xyzzy", ["relu", "tanh"])
    ''
    """
    names = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word.casefold(), list(names), n=1, cutoff=0.5)
    return f"; did you mean {names[close[0]]!r}?" if close else ""


def look_up(table: Mapping[str, Entry], name: object, parameter: str) -> Entry:
    """Return ``table[name]``; raise a ValueError with the nearest and all known names otherwise.

    >>> look_up({"relu": 1, "tanh": 2}, "rleu", "activation")
    Traceback (most recent call last):
    ...
    ValueError: activation='rleu' is unknown; did you mean 'relu'? Known: relu, tanh
    """
    if isinstance(name, str) and name in table:
        return table[name]
    hint = nearest(name, table) if isinstance(name, str) else ""
    known = ", ".join(sorted(table))
    raise ValueError(f"{parameter}={name!r} is unknown{hint}{'' if hint else '.'} Known: {known}")
