"""Fuzzing: what may happen to a file, and the loop that tries thousands that it happened to."""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

#: Takes a file, a source of randomness and another file; returns a file.
Damage: TypeAlias = Callable[[bytes, random.Random, bytes], bytes]
#: How often what came of the files, and the failures.
Found: TypeAlias = tuple[Counter[str], list[str]]


def truncated(content: bytes, rng: random.Random, other: bytes) -> bytes:
    """Cut off the end."""
    return content[: rng.randrange(len(content))]


def flipped(content: bytes, rng: random.Random, other: bytes) -> bytes:
    """Flip one to four bits."""
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 4])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def edited(content: bytes, rng: random.Random, other: bytes) -> bytes:
    """Overwrite, insert, delete or repeat some bytes."""
    at, size = rng.randrange(len(content)), rng.choice([1, 1, 2, 8, 64])
    some = rng.choice([rng.randbytes(size), b"\0" * size, b"\xff" * size, b'"' * size, b"9" * size])
    rest = content[at + size :]
    return content[:at] + rng.choice(
        [some + rest, some + content[at:], rest, content[at : at + size] + content[at:]]
    )


def spliced(content: bytes, rng: random.Random, other: bytes) -> bytes:
    """Join the beginning of one file and the end of another, often where the header ends."""
    if rng.random() < 0.5:
        n, m = (8 + int.from_bytes(each[:8], "little") for each in (content, other))
        return content[:n] + other[m:]
    return content[: rng.randrange(len(content))] + other[rng.randrange(len(other)) :]


class Hang(BaseException):
    """A file that took too long."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise Hang when what is done takes more seconds of the processor."""

    def hang(*_: Any) -> None:
        raise Hang(f"more than {seconds} s")

    before = signal.signal(signal.SIGPROF, hang)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def refused(error: Exception, longest: int) -> str:
    """Return "refused", if that was said in one line which is not too long."""
    told = str(error)
    return "refused" if "\n" not in told and len(told) < longest else "refused at length"


def try_all(
    cases: Iterable[tuple[str, bytes]],
    outcome: Callable[[str, bytes], str],
    seed: int,
    keep: Path | None,
) -> Found:
    """Count what comes of each case, a name and a file; whatever it raises is a failure."""
    counts: Counter[str] = Counter()
    failures = []
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
    for number, (name, content) in enumerate(cases):
        if keep is not None:
            (keep / "last").write_bytes(content)  # should the process itself end
        try:
            counts[f"{name}: {outcome(name, content)}"] += 1
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            failures.append(f"case {number}, {name}: {type(error).__name__}: {error}")
            if keep is not None:
                (keep / f"{seed}-{number}").write_bytes(content)
    return counts, failures


def main(purpose: str | None, fuzz: Callable[[int, int, Path | None], Found]) -> bool:
    """Fuzz as the command line says, tell what came of it, and return whether anything failed."""
    parser = argparse.ArgumentParser(description=(purpose or "").split("\n")[0])
    parser.add_argument("count", nargs="?", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("error")
    began = time.perf_counter(), time.process_time()
    counts, failures = fuzz(options.count, options.seed, options.keep)
    for name, times in sorted(counts.items()):
        print(f"{times:9,}  {name}")
    for failure in failures[:50]:
        print(failure)
    wall, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    print(
        f"{options.count:,} files, {len(failures)} failures; {cpu:.0f} s of processor, {wall:.0f} s"
    )
    return bool(failures)


def fuzzed(program: ModuleType, count: int) -> str:
    """Return what a fuzzer says that runs in a process of its own; assert that nothing failed."""
    words = [sys.executable, str(program.__file__), str(count), "--seed", "7"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{count:,} files, 0 failures" in done.stdout
    assert done.stderr == ""
    return done.stdout
