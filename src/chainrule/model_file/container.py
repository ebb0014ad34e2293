"""Container: a description and tensors as the bytes of one file, sealed by its SHA-256.

What the bytes mean stands in `model_file`. Models and checkpoints are kept in it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from chainrule import __version__
from chainrule.model_file.header import FORMAT, NO_SUM, Header
from chainrule.model_file.values import ModelFileError, Packer, Unpacker

LONGEST_MESSAGE = 500


def seal(description: dict[str, Any], packer: Packer) -> bytes:
    """Return the file that holds a description in JSON's values and the packer's tensors."""
    from safetensors.numpy import save

    first = {"format": FORMAT, "sha256": NO_SUM, "chainrule": __version__}
    text = json.dumps(
        first | description, separators=(",", ":"), allow_nan=False, ensure_ascii=True
    )
    # One entry only: safetensors writes several in an order that changes from run to run.
    content: bytes = save(packer.tensors, {"chainrule": text})
    return content.replace(NO_SUM.encode(), hashlib.sha256(content).hexdigest().encode(), 1)


def unseal(header: Header, content: bytes) -> tuple[dict[str, Any], Unpacker]:
    """Return what `seal` was given; `content` is the whole file, its header checked."""
    from safetensors.numpy import load

    sealed = ("format", "sha256", "chainrule")
    rest = {key: value for key, value in header.description.items() if key not in sealed}
    return rest, Unpacker(load(content))


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[tuple[BinaryIO, int]]:
    """Open a file, give its size, and make whatever goes wrong a ModelFileError with its path."""
    where = Path(path)
    with explained(str(where)):
        if where.is_dir():
            raise ModelFileError("it is a folder; expected a model file")
        if not where.is_file():
            raise ModelFileError("it is not there; check the name, or save a model first")
        with open(where, "rb") as file:
            yield file, os.fstat(file.fileno()).st_size


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn whatever goes wrong, but for want of memory, into a ModelFileError of one line."""
    try:
        yield
    except MemoryError:
        raise
    except ModelFileError as error:
        raise ModelFileError(f"{what}: {_one_line(error)}") from None
    except OSError as error:
        raise ModelFileError(f"{what}: it cannot be read: {error.strerror or error}") from None
    except RecursionError:
        raise ModelFileError(f"{what}: it nests too deep; flatten it") from None
    except Exception as error:  # a forged description can go wrong in any way
        raise ModelFileError(f"{what}: it describes no model: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    """Return an error's message without line ends, which what a file holds may bring in."""
    words = " ".join(str(error).split())
    return words if len(words) <= LONGEST_MESSAGE else words[:LONGEST_MESSAGE] + " …"
