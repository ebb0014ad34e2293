"""Files: written whole or not at all, and never over something without being told to."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def refuse_overwrite(path: Path, force: bool) -> None:
    """Raise FileExistsError when `path` exists and `force` is not given."""
    if path.exists() and not force:
        raise FileExistsError(f"{path} exists already; choose another name or overwrite: --force")


def write_whole(path: str | Path, content: bytes, *, force: bool = False) -> None:
    """Write `content` to `path` so that a reader sees the old file or the new one, never a half.

    The bytes go to a temporary file in the same folder, are flushed to the disk, and the
    temporary file is renamed; the folder is flushed last, so the rename survives a power cut.

    Raises FileExistsError when the file exists and not `force`, FileNotFoundError when the
    folder is missing, and OSError with the path when the disk refuses.
    """
    path = Path(path)
    refuse_overwrite(path, force)
    folder = path.parent
    if not folder.is_dir():
        raise FileNotFoundError(f"folder {folder} does not exist; create it or write elsewhere")
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _flush_folder(folder)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder for flushing
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
