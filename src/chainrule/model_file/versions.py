"""Versions: what later versions added, and what a file from before them implies.

Every file that a release wrote stays readable. What a later one adds to a model stands here, with
the value that makes an older file behave as it did; nothing that a file may hold is ever taken out
of a table or given another meaning. The files under tests/zoo hold us to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule import __version__

#: What a model is made of -> what was added to it after version 0.1.0 -> what a file without it
#: means by it. The names are those of the estimators and the encoder, for their parameters, and
#: "State", for a training under way.
ADDED: dict[str, dict[str, Any]] = {
    "MLPClassifier": {},
    "MLPRegressor": {},
    "TableEncoder": {},
    "State": {},
}


def completed(given: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return `given`, with what it lacks of the things that were added after it was written."""
    lacking = {name: value for name, value in ADDED[what].items() if name not in given}
    return dict(given) | lacking


def is_newer(version: str) -> bool:
    """Tell whether a version is newer than this one.

    >>> is_newer("999.0"), is_newer("0.0.9"), is_newer("none")
    (True, False, False)
    """
    return _numbers(version) > _numbers(__version__)


def upgrade(version: str) -> str:
    """Return what to do about a file that a newer version wrote."""
    return (
        f"it was made by chainrule {version}, this is {__version__}: upgrade with"
        " pip install --upgrade chainrule"
    )


def _numbers(version: str) -> list[int]:
    parts = version.split("+")[0].split(".")
    return [int(part) for part in parts if part.isdecimal() and len(part) < 9]
