"""Header of a model file: read and checked before any of it is believed.

What the bytes mean stands in `model_file`. Lengths and shapes are compared with the size of the
file before memory is taken for them, and what JSON would become in memory is counted before it is
parsed: `[[],[],…]` takes forty times its length.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any, BinaryIO, NoReturn

import numpy as np

from chainrule.model_file.values import ModelFileError

FORMAT = 1  #: the newest format that is read, and the one that is written
LARGEST_HEADER = 2**23  # bytes; the levels of an encoder's categories stand in it
MOST_MEMORY = 40 * 2**20  # bytes that the values of the header may take when they are parsed
MOST_TENSORS = 10_000
MOST_AXES = 8  # of a tensor

#: safetensors' name of a type -> NumPy's
DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BOOL": "bool",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8",
}  # fmt: skip
#: A sign of JSON -> the bytes that what it opens or adds takes at most, parsed and unpacked.
COSTS = {"{": 400, "[": 160, ",": 80, ":": 130}
SIZES = {name: np.dtype(dtype).itemsize for name, dtype in DTYPES.items()}

OPENING = re.compile(rb'\{"__metadata__":\{"chainrule":"\{\\"format\\":([0-9]{1,9}),')
SUM = re.compile(rb'\\"sha256\\":\\"([0-9a-f]{64})\\",')
NO_SUM = "0" * 64

#: How other files begin, and what they are.
OTHERS = (
    (b"PK", "a zip archive, as PyTorch and Keras write"),
    (b"\x80", "a pickle, which chainrule never reads: it can run any code"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x1f\x8b", "a gzip archive, as joblib writes"),
    (b"PAR1", "a Parquet table"),
    (b"\x08", "an ONNX model, it seems"),
)


@dataclass(frozen=True)
class Header:
    """The beginning of a file, parsed, with everything checked that needs no weights."""

    content: bytes  #: up to the tensors' bytes
    description: dict[str, Any]
    tensors: dict[str, dict[str, Any]]
    sum: slice  #: where in `content` the digits of the sum stand


def read_start(file: BinaryIO, size: int) -> Header:
    """Read and check the header of a file of that many bytes."""
    start = file.read(9)
    length = int.from_bytes(start[:8], "little")
    if len(start) < 9 or start[8:] != b"{" or length < 2:
        _refuse_other(start, size)
    if length > LARGEST_HEADER:
        raise ModelFileError(
            f"its header claims {length:,} bytes, at most {LARGEST_HEADER:,} are read; if it is a"
            " model, give its encoder fewer columns or levels (max_levels)"
        )
    text = start[8:] + file.read(length - 1)
    if len(text) < length:
        raise ModelFileError(f"it is cut short: {size:,} of at least {8 + length:,} bytes")
    opening = OPENING.match(text)
    if opening is None:
        raise ModelFileError(
            "it is no chainrule model, or a damaged one; other programs write safetensors files too"
        )
    if (version := int(opening[1])) != FORMAT:
        raise ModelFileError(
            f"it was made by a newer chainrule (format {version}); this one reads up to {FORMAT}:"
            " upgrade with pip install --upgrade chainrule"
            if version > FORMAT
            else f"it has format {version}, which never was; the file is damaged"
        )
    sum_ = SUM.match(text, opening.end())
    if sum_ is None:
        raise ModelFileError("it is damaged: it holds no SHA-256 where it should; copy it again")
    if not text.isascii():
        raise ModelFileError("it is damaged: its header is not ASCII; copy it again")
    tensors = _json(text.decode(), "header")
    metadata = tensors.pop("__metadata__")
    if metadata.keys() != {"chainrule"}:
        raise ModelFileError(f"its metadata holds {sorted(metadata)}; expected chainrule alone")
    _check_tensors(tensors, size - 8 - length)
    description = _json(metadata["chainrule"], "description")
    begin, end = (8 + place for place in sum_.span(1))
    return Header(start[:8] + text, description, tensors, slice(begin, end))


def _refuse_other(start: bytes, size: int) -> NoReturn:
    """Say what a file is that is no safetensors file."""
    if size == 0:
        raise ModelFileError("it is empty; the copy or download may have failed")
    known = next((what for magic, what in OTHERS if start.startswith(magic)), None)
    if known is None and all(9 <= byte <= 126 for byte in start):
        known = "text, such as a CSV table"
    is_what = f"it is {known}" if known else f"its {size:,} bytes are cut short or of another kind"
    raise ModelFileError(f"it is no chainrule model: {is_what}; give a file from save_model")


def _json(text: str, what: str) -> dict[str, Any]:
    """Parse a JSON object strictly: no key twice, no NaN, no infinity, not too much."""
    if (cost := sum(text.count(sign) * bytes_ for sign, bytes_ in COSTS.items())) > MOST_MEMORY:
        raise ModelFileError(
            f"its {what} would take {cost:,} bytes of memory, at most {MOST_MEMORY:,} are given; if"
            " it is a model, give its encoder fewer columns or levels (max_levels)"
        )

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = dict(pairs)
        if len(keys) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            twice = counts.most_common(1)[0][0]
            raise ModelFileError(f"its {what} has the key {twice!r} twice; it is damaged or forged")
        return keys

    def number(digits: str) -> float:
        if not isfinite(value := float(digits)):
            raise ModelFileError(f"its {what} holds the number {digits[:20]}; expected finite ones")
        return value

    try:
        parsed = json.loads(text, object_pairs_hook=once, parse_float=number, parse_constant=number)
    except json.JSONDecodeError as error:
        raise ModelFileError(f"it is damaged: its {what} is no JSON ({error})") from None
    if not isinstance(parsed, dict):
        raise ModelFileError(f"its {what} is a {type(parsed).__name__}; expected an object")
    return parsed


def _check_tensors(tensors: dict[str, Any], size: int) -> None:
    """Raise unless the tensors fill `size` bytes, without gap or overlap."""
    if len(tensors) > MOST_TENSORS:
        raise ModelFileError(f"it has {len(tensors):,} tensors; at most {MOST_TENSORS:,} are read")
    spans = []
    for name, tensor in tensors.items():
        if tensor.keys() != {"dtype", "shape", "data_offsets"} or tensor["dtype"] not in DTYPES:
            raise ModelFileError(f"its tensor {name!r} is declared as {str(tensor)[:80]}")
        shape, span = tensor["shape"], tensor["data_offsets"]
        whole = all(type(n) is int and 0 <= n < 2**63 for n in [*shape, *span])
        if len(span) != 2 or len(shape) > MOST_AXES or not whole:
            raise ModelFileError(f"its tensor {name!r} is declared as {str(tensor)[:80]}")
        wanted = prod(shape) * SIZES[tensor["dtype"]]
        if max(wanted, *shape, 0) > size or span[1] - span[0] != wanted:
            raise ModelFileError(
                f"its tensor {name!r} of shape {shape} would take {wanted:,} bytes; {size:,} are"
                " there for all: the file is cut short or damaged"
            )
        spans.append(span)
    end = 0
    for begin, after in sorted(spans):
        if begin != end:
            raise ModelFileError(f"its tensors leave a gap or overlap at byte {min(begin, end):,}")
        end = after
    if end != size:
        what = "cut short" if end > size else "too long"
        raise ModelFileError(
            f"it is {what}: {size:,} bytes of tensors, {end:,} declared; copy again"
        )


def check_sum(header: Header, blocks: Iterable[bytes]) -> None:
    """Raise unless the file's SHA-256 is the one it states; `blocks` follow the header."""
    digest = hashlib.sha256(header.content[: header.sum.start])
    digest.update(NO_SUM.encode())
    digest.update(header.content[header.sum.stop :])
    for block in blocks:
        digest.update(block)
    if digest.hexdigest().encode() != header.content[header.sum]:
        raise ModelFileError("its SHA-256 is wrong: it was changed or damaged; copy it again")
