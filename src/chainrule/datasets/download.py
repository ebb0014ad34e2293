"""Download: a file from the first mirror that has it, kept only if its sum is right."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.request import urlopen

from chainrule.datasets.idx import LARGEST, unpack
from chainrule.files import write_whole

if TYPE_CHECKING:
    from http.client import HTTPResponse

TIMEOUT, CHUNK = 20.0, 1 << 16  # seconds without an answer, bytes at a time


class Bar(Protocol):
    """What shows how far a download is."""

    def __call__(self, done: int) -> Any:
        """Show that so many bytes are there."""


def fetch(
    name: str, mirrors: Sequence[str], folder: Path, sha256: str, progress: bool = True
) -> Path:
    """Return the path in `folder` of the file `name`, fetched from the first mirror that has it.

    `sha256` is that of what gzip packed: mirrors pack it differently. Raises OSError when no mirror
    gives it, and when the folder cannot be written to.
    """
    said = []
    for mirror in mirrors:
        try:
            content = _read(mirror + name, progress)
            found = hashlib.sha256(unpack(content, name)).hexdigest()
            if found == sha256:
                break
            said.append(f"{mirror}: another file, of SHA-256 {found[:12]}… for {sha256[:12]}…")
        except (OSError, HTTPException, ValueError) as error:
            said.append(f"{mirror}: {getattr(error, 'reason', error)}")
    else:
        raise OSError(
            f"{name} could not be downloaded ({'; '.join(said)}). Without a network, copy the files"
            " into a folder and name it: --data DIR, load_dataset(…, folder=DIR), or put them into"
            f" {folder}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / name, content, force=True)
    return folder / name


def _read(url: str, progress: bool) -> bytes:
    """Return all bytes at an address."""
    with urlopen(url, timeout=TIMEOUT) as answer, _bar(url, answer, progress) as show:
        content = bytearray()
        while part := answer.read(CHUNK):
            content += part
            show(len(content))
            if len(content) > LARGEST:
                raise ValueError(f"more than {LARGEST:,} bytes")
    expected = answer.headers.get("Content-Length")
    if expected and len(content) != int(expected):
        raise ValueError(f"the connection ended after {len(content):,} of {int(expected):,} bytes")
    return bytes(content)


@contextmanager
def _bar(url: str, answer: HTTPResponse, progress: bool) -> Iterator[Bar]:
    """Give what shows how far it is: a bar on a terminal, else a line at the start."""
    name = url.rpartition("/")[2]
    if not progress:
        yield lambda done: None
    elif not sys.stderr.isatty():
        print(f"downloading {url}", file=sys.stderr)
        yield lambda done: None
    else:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

        columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
            size = answer.headers.get("Content-Length")
            task = bars.add_task(name, total=int(size) if size else None)
            yield lambda done: bars.update(task, completed=done)
