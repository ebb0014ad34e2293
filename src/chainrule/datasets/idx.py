"""Idx: the file format of MNIST, a header of sizes and then the bytes.

Two bytes 0, one that tells the type (8: unsigned bytes, the only one read here), one for the
number of dimensions, then each size as four bytes, the most significant first.
"""

from __future__ import annotations

import zlib
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LARGEST = 2**28  # bytes; MNIST's largest file has 47 million


def read_idx(path: str | Path) -> NDArray[np.uint8]:
    """Return the array in a file of unsigned bytes, packed by gzip or not.

    Raises ValueError for a file that is no such file, cut off, or longer than its header says.
    """
    path = Path(path)
    content = unpack(path.read_bytes(), path)
    dimensions = content[3] if len(content) > 3 else 0
    start = 4 + 4 * dimensions
    if content[:3] != b"\0\0\x08" or not dimensions or len(content) < start:
        raise ValueError(f"{path} is no IDX file of unsigned bytes, as MNIST's are")
    sizes = [int(size) for size in np.frombuffer(content, ">u4", dimensions, 4)]
    if len(content) - start != prod(sizes):
        raise ValueError(
            f"{path} holds {len(content) - start:,} bytes after its header; expected"
            f" {' × '.join(map(str, sizes))} = {prod(sizes):,}: it is cut off or damaged"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(sizes)


def unpack(content: bytes, name: object) -> bytes:
    """Return what gzip packed, or `content` itself; raise ValueError where it is damaged.

    >>> import gzip
    >>> unpack(gzip.compress(b"abc"), "x.gz"), unpack(b"abc", "x")
    (b'abc', b'abc')
    """
    if content[:2] != b"\x1f\x8b":
        return content
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(content, LARGEST)
    except zlib.error as error:
        raise ValueError(f"{name} cannot be unpacked: {error}") from None
    if not unpacker.eof:
        raise ValueError(f"{name} is cut off, or unpacks to more than {LARGEST:,} bytes")
    return unpacked
