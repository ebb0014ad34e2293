"""Memory: how much of it is left, so that what cannot fit is refused before it begins."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

SMALL = 1 << 26  # bytes that are asked for without a look at what is left
CGROUPS = (  # of containers, new and old: the limit, what is used, what of that can be given back
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat",
     "total_inactive_file"),
)  # fmt: skip


def free_memory() -> float:
    """Return how many bytes this process may still take; infinity where no system tells.

    It is the least of what the machine has left, swap included, what the container may still use,
    and what the process's own limit on addresses (`ulimit -v`) leaves.
    """
    return min(_of_machine(), _of_container(), _of_process())


def _of_machine() -> float:
    with contextlib.suppress(OSError, KeyError):  # Linux
        told = _numbers(Path("/proc/meminfo"))
        return 1024 * (told["MemAvailable:"] + told["SwapFree:"])
    with contextlib.suppress(AttributeError, OSError, ValueError):  # macOS tells what there is
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return math.inf


def _of_container() -> float:
    room = Path("/sys/fs/cgroup")
    for limit, used, told, reclaimable in CGROUPS:
        with contextlib.suppress(OSError, ValueError, KeyError):  # no container; "max"
            most = float((room / limit).read_text())
            back = _numbers(room / told)[reclaimable]
            return most - float((room / used).read_text()) + back
    return math.inf


def _of_process() -> float:
    with contextlib.suppress(ImportError, OSError):  # as on Windows
        import resource

        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        if most != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            return most - pages * os.sysconf("SC_PAGE_SIZE")
    return math.inf


def _numbers(path: Path) -> dict[str, float]:
    """Return the entries of a file whose lines are a name and a number."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[0]: float(words[1]) for words in lines}


def refuse_beyond_memory(
    count: int,
    dtype: np.dtype[Any],
    *what: object,
    remedy: str = "take fewer or smaller layers",
) -> None:
    """Raise MemoryError, before anything is allocated, when `count` numbers cannot fit.

    The words of `what` are spelt out for the message only.
    """
    needed = count * dtype.itemsize
    if needed > SMALL and needed > (there := free_memory()):
        words = " ".join(map(str, what))
        raise MemoryError(
            f"{words} takes {in_words(needed)} of memory; {in_words(there)} are free: {remedy}"
        )


def in_words(size: float) -> str:
    """Return a number of bytes as messages tell it.

    >>> in_words(3e8), in_words(5e9), in_words(-1.0)
    ('286 MiB', '4.7 GiB', '0 MiB')
    """
    mebibytes = max(size, 0) / 2**20
    if mebibytes < 1000:
        return f"{mebibytes:,.0f} MiB"
    gibibytes = mebibytes / 1024
    return f"{gibibytes:,.1f} GiB" if gibibytes < 10 else f"{gibibytes:,.0f} GiB"
