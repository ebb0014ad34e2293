"""Files: written whole or not at all, and never over something without being told to."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from pathlib import Path

#: What files are called until they are whole.
PART = re.compile(r"\.[0-9a-f]{16}\.part")


def refuse_overwrite(path: Path, force: bool) -> None:
    """Raise FileExistsError when `path` exists, as a link to nowhere does, unless `force`.

    A pipe or a device, such as /dev/null, is never replaced by a file: that is an OSError.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(
            errno.EINVAL, "is a pipe or a device; name a file, and copy it there", str(path)
        )
    if os.path.lexists(path) and not force:
        raise FileExistsError(
            f"{path} exists already; choose another name or overwrite it: force=True, --force"
        )


def write_whole(path: str | Path, content: bytes, *, force: bool = False) -> None:
    """Write `content` to `path` so that a reader sees the old file or the new one, never a half.

    The bytes go to a temporary file in the same folder, are flushed to the disk, and the
    temporary file is renamed; the folder is flushed last, so the rename survives a power cut.
    Of several processes that write a new file at once without `force`, one succeeds. A link stays
    one: the file that it leads to is written.

    Raises FileExistsError when the file exists and not `force`, FileNotFoundError when the
    folder is missing, and OSError with the path when the disk refuses.
    """
    path = Path(path)
    refuse_overwrite(path, force)
    folder = path.parent
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{path} cannot be written: there is no folder {folder}; create it or write elsewhere"
        )
    if path.is_dir():
        raise IsADirectoryError(f"{path} cannot be written: it is a folder; name a file in it")
    whole = Path(os.path.realpath(path))
    temporary = whole.parent / f".{os.urandom(8).hex()}.part"
    try:
        _write_new(temporary, content)
        _name(temporary, whole, force)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and not isinstance(error, FileExistsError):
            why = f"cannot be written ({error.strerror or error})"
            raise OSError(error.errno, why, str(path)) from error
        raise
    with contextlib.suppress(OSError):  # the file is there; not every disk can flush a folder
        _flush_folder(whole.parent)


def refuse_unwritable(folder: Path) -> None:
    """Raise OSError when no file can be made in `folder`: better before the work than after."""
    probe = folder / f".{os.urandom(8).hex()}.part"
    try:
        _write_new(probe, b"")
        os.unlink(probe)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(probe)
        why = f"cannot be written to ({error.strerror or error}); write elsewhere"
        raise OSError(error.errno, why, str(folder)) from error


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that was not there, with the permissions that new files have, to the disk."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o666)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]  # which may write less than it is given
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _name(temporary: Path, path: Path, force: bool) -> None:
    """Give the temporary file its name; without `force` only if nobody has taken it meanwhile."""
    if not force:
        try:
            os.link(temporary, path)
        except FileExistsError:
            refuse_overwrite(path, force)
            raise
        except OSError:  # no hard links on this disk; what was checked at the beginning must do
            pass
        else:
            os.unlink(temporary)
            return
    os.replace(temporary, path)


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder for flushing
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
