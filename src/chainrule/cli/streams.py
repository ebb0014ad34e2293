"""Streams: standard input, output and error as they are found, closed, full or without Unicode.

A reader that goes away, as in `chainrule train … | head -1`, must not cost the model: what cannot
be written is dropped, the command goes on to its end, and the exit code tells of it.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from typing import Any

from chainrule.facts import to_json


class Output(io.FileIO):
    """Standard output that remembers its first trouble, and from then on drops what it is given."""

    trouble: OSError | None = None

    def write(self, data: Any) -> int:
        """Write, or drop; either way all of it is done with."""
        size = memoryview(data).nbytes
        if self.trouble is None:
            try:
                return super().write(data)
            except OSError as error:
                self.trouble = error
        return size


def prepare() -> Output | None:
    """Make the three streams ones that can be written to; return standard output where it is real.

    In a daemon they may be closed: then they are nowhere, lest the next file that is opened take
    their number. What the terminal's encoding lacks is written as an escape, such as \\xfc.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(os.devnull)), "utf-8")
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    # It would tell at length that a home cannot be written to, and do without.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    before = sys.__stdout__
    if before is None or sys.stdout is not before or before.fileno() != 1:
        return None  # somebody else's, in whose process we are
    output = Output(1, "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(output), before.encoding, "backslashreplace",
        line_buffering=bool(before.line_buffering),
    )  # fmt: skip
    return output


def _nowhere() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedWriter(io.FileIO(os.devnull, "w")), "utf-8")


def print_json(facts: Any) -> None:
    """Print strict JSON, with escapes where the encoding lacks a letter."""
    text = to_json(facts)
    print(text if _can_be_said(text) else json.dumps(json.loads(text)))


def print_csv(text: str) -> None:
    """Print a table: in UTF-8 where the encoding lacks a letter, as no escape is a letter."""
    if _can_be_said(text):
        sys.stdout.write(text)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())


def _can_be_said(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
