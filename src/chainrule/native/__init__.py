"""Native code: the compiled engine's library, found, checked and loaded.

The C++ sources lie beside this file; `emit` writes the formulas among them, `compile` builds.
`python -m chainrule.native` tells what there is, and with `--build` compiles anew (with ziglang).
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from chainrule.native.compile import HERE, INSTRUCTION_SETS, digest, library_name, processor
from chainrule.native.job import Job

HOW = "`python -m chainrule.native --build` (pip install ziglang brings the compiler)"


@dataclass(frozen=True, eq=False)
class Library:
    """A loaded library: the calls, the best instruction set here, and its formulas by table."""

    path: Path
    calls: Any
    instruction_sets: tuple[str, ...]  # those that this processor has, the best last
    formulas: dict[str, list[str]]


class Unusable(OSError):
    """There is no library, or none that fits this package; the message says why."""


def load(path: Path) -> Library:
    """Load a library; raise `Unusable` where it is missing or was built from other sources."""
    if not path.is_file():
        raise Unusable(f"this installation has no native library; build it by {HOW}")
    try:
        calls = ctypes.CDLL(str(path))
    except OSError as error:
        raise Unusable(
            f"the native library cannot be loaded: {error}; build it anew by {HOW}"
        ) from error
    calls.chainrule_sources.restype = calls.chainrule_formulas.restype = ctypes.c_char_p
    if calls.chainrule_sources().decode() != digest():
        raise Unusable(f"the native library was built from other sources; build it anew by {HOW}")
    _declare(calls)
    if calls.chainrule_job_bytes() != ctypes.sizeof(Job):
        raise Unusable(f"the native library lays out its job differently; build it anew by {HOW}")
    names = [name for name, _, _ in INSTRUCTION_SETS[processor()]]
    there = tuple(name for isa, name in enumerate(names) if calls.chainrule_has(isa))
    entries = (entry.split() for entry in calls.chainrule_formulas().decode().split(";"))
    return Library(path, calls, there, {table: members for table, *members in entries})


def _declare(calls: Any) -> None:
    """Tell ctypes what each call takes and gives."""
    job, whole, real, pointer = (
        ctypes.POINTER(Job),
        ctypes.c_int64,
        ctypes.c_double,
        ctypes.c_void_p,
    )
    for name, result, *arguments in (
        ("job_bytes", whole),
        ("has", whole, whole),
        ("arena_bytes", ctypes.c_uint64, job),
        ("advance", whole, job, whole, real),
        ("advance_each", None, *3 * [pointer], whole, real),
        ("cost_and_gradient", real, job),
        ("evaluate", real, job, pointer),
        ("predict", whole, pointer, whole, whole, *4 * [pointer], whole, pointer, pointer),
        ("pull_back", whole, pointer, *3 * [whole], pointer, pointer, whole, pointer, pointer),
        ("apply", None, whole, whole, whole, pointer, pointer, whole),
    ):
        call = getattr(calls, f"chainrule_{name}")
        call.restype, call.argtypes = result, arguments


def cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@cache
def find() -> Library | str:
    """Return this installation's library, or why there is none."""
    try:
        return load(HERE / library_name())
    except Unusable as why:
        return str(why)
