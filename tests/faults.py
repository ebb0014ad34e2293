"""Faults: a disk that refuses the k-th call of those that make a file.

Files are written by `os.open`, `os.write`, `os.fsync` and `os.replace` alone. `Disk` counts these
calls, and has one of them fail in a way that disks do.
"""

import errno
import os
from collections import Counter
from contextlib import contextmanager

CALLS = ("open", "write", "fsync", "replace")
ERRORS = ("ENOSPC", "EIO", "EACCES")
#: What may go wrong at a call: an error, half of the bytes written, or that and then an error.
KINDS = dict.fromkeys(CALLS, ERRORS) | {"write": (*ERRORS, "short", "short, then ENOSPC")}


class Disk:
    """Counts calls; the one that is to fail does, once."""

    def __init__(self):
        self.calls = Counter()
        self.failed = False

    @contextmanager
    def failing(self, call="", kth=0, kind=""):
        """Have the k-th call of that name, counted from 1, fail; without a name only count."""
        self.calls, self.failed = Counter(), False
        real = {name: getattr(os, name) for name in CALLS}

        def wrap(name):
            def wrapped(*given, **named):
                self.calls[name] += 1
                if (name, self.calls[name]) == (call, kth):
                    self.failed = True
                    return self._fail(kind, real[name], *given)
                if (name, self.calls[name]) == (call, kth + 1) and kind == "short, then ENOSPC":
                    return self._fail("ENOSPC", real[name], *given)
                return real[name](*given, **named)

            return wrapped

        for name in CALLS:
            setattr(os, name, wrap(name))
        try:
            yield self
        finally:
            for name in CALLS:
                setattr(os, name, real[name])

    @staticmethod
    def _fail(kind, real, *given):
        if kind.startswith("short"):
            descriptor, content = given
            return real(descriptor, content[: len(content) // 2])
        code = getattr(errno, kind)
        raise OSError(code, os.strerror(code))


def refusal(work):
    """Return what is said when `work` fails at the disk, or nothing."""
    try:
        work()
    except OSError as error:
        return str(error)
    return ""


def every_fault(work, before=lambda: None):
    """Do `work` on a whole disk; then yield (name, disk, where) for each fault that may meet it,
    which `disk.failing(*where)` is; `before`, called ahead of each, puts back what there was."""
    before()
    disk = Disk()
    with disk.failing():
        work()
    for call, count in sorted(disk.calls.items()):
        for kth in range(1, count + 1):
            for kind in KINDS[call]:
                before()
                yield f"{call} {kth}: {kind}", disk, (call, kth, kind)
