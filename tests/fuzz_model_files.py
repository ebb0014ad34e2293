"""Fuzz model files: files that were damaged at random are refused, or load, and nothing else.

    python tests/fuzz_model_files.py [N] [--seed S] [--keep FOLDER]

Half of the files keep the checksum of the file that they were made from: those must be refused.
The others have it computed anew, as a forger would: those load, or raise ModelFileError. Whatever
else comes, a second of the processor's time, or more memory than the file's size and 64 MiB, is a
failure, and its file is kept in FOLDER. Case i of a seed is the same on every machine.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import resource
import sys
from collections.abc import Collection, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import model_file
from chainrule.model_file import ModelFileError
from chainrule.model_file.container import explained
from chainrule.model_file.header import read_start
from fuzzing import (
    Damage,
    Found,
    at_most,
    edited,
    flipped,
    main,
    refused,
    spliced,
    truncated,
    try_all,
)

ZOO = Path(__file__).with_name("zoo")
SUM = re.compile(rb'\\"sha256\\":\\"([0-9a-f]{64})\\"')
ROOM = 64 * 2**20  # bytes of memory beside the file's size
LONGEST = 1.0  # seconds of the processor for one file
#: Values that programs stumble over.
ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, 10**30, 0.5, -1e308, 5e-324, "", "x", "relu",
    "\0", "é" * 50, [], {}, [[]], [None], [0] * 50, {"$": "eval"}, {"$": []},
    *({"$": "float", "value": value} for value in ("nan", "inf", "1")), {"$": "bytes", "hex": "z"},
    {"$": "tuple", "items": []}, {"$": "dict", "items": [[[], 1]]},
    *({"$": "array", "dtype": dtype, "values": values} for dtype, values in (
        ("<U99999999", ["a"]), ("O", [1]), ("<M8[D]", [2**62]), ("<i1", [300]), ("<f8", [1, 1]))),
    *({"$": kind, "dtype": "<f8", "tensor": "layer.0.weights"} for kind in ("array", "column")),
    {"$": "column", "tensor": "layer.0.weights"}, {"$": "column", "tensor": "history.loss"},
    {"$": "history", "count": 10**12, "columns": {"a": None}},
    {"$": "activation", "name": "tanh", "settings": {}},
    {"$": "optimizer", "name": "adam", "settings": {}},
]  # fmt: skip
DTYPES = ["F64", "F32", "F16", "BF16", "BOOL", "I64", "I8", "U64", "U8", "F8", "", 7]


def seal(content: bytes) -> bytes:
    """Return the file with its checksum computed anew, as it is where none is found."""
    found = SUM.search(content[:4096])
    if found is None:
        return content
    begin, end = found.span(1)
    digest = hashlib.sha256(content[:begin] + b"0" * 64 + content[end:]).hexdigest()
    return content[:begin] + digest.encode() + content[end:]


def parts(content: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Return description, tensors, and the tensors' bytes."""
    n = int.from_bytes(content[:8], "little")
    tensors = json.loads(content[8 : 8 + n])
    description = json.loads(tensors.pop("__metadata__")["chainrule"])
    return description, tensors, content[8 + n :]


def join(description: str, tensors: Any, data: bytes) -> bytes:
    """Return a file of these parts; its header is written as ours is."""
    text = json.dumps({"__metadata__": {"chainrule": description}} | tensors, separators=(",", ":"))
    header = text.encode("utf-8", "surrogatepass")
    return len(header).to_bytes(8, "little") + header + data


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return (container, key) of everything inside a value."""
    found, left = [], [value]
    while left and len(found) < 2000:
        inside = left.pop()
        keys = list(inside) if isinstance(inside, dict) else range(len(inside))
        for key in keys:
            found.append((inside, key))
            if isinstance(inside[key], dict | list):
                left.append(inside[key])
    return found


# What may happen to such a file -------------------------------------------------------------------


def length_forged(content: bytes, rng: random.Random, other: bytes) -> bytes:
    """Claim another length of the header."""
    n = int.from_bytes(content[:8], "little")
    claimed = rng.choice([n + rng.randint(-9, 9), 2**25, 2**25 + 1, 2**32, 2**63, 2**64 - 1, 0, 1])
    return claimed.to_bytes(8, "little") + content[8:]


def tensors_forged(content: bytes, rng: random.Random, other: bytes) -> bytes:
    """Change what the header says of a tensor: its name, type, shape or place."""
    description, tensors, data = parts(content)
    description["sha256"] = "0" * 64
    name = rng.choice(list(tensors) or ["none"])
    tensor = tensors.setdefault(name, {"dtype": "F64", "shape": [0], "data_offsets": [0, 0]})
    what = rng.randrange(6)
    if what == 0:
        tensor["dtype"] = rng.choice(DTYPES)
    elif what == 1:
        shape = tensor["shape"]
        tensor["shape"] = rng.choice(
            [shape[::-1], [*shape, 1], [0, *shape], [2**62, 4], [-1, *shape], [1] * 9, 3, None,
             [0, 2**40], [len(data)], [True], [0.5], [2**64], [*shape, 0]]
        )  # fmt: skip
    elif what == 2:
        begin, end = tensor["data_offsets"]
        tensor["data_offsets"] = rng.choice(
            [
                [end, begin],
                [begin + 8, end + 8],
                [begin, end + 8],
                [0, len(data)],
                [-8, end],
                [begin],
            ]
        )
    elif what == 3:
        tensors[rng.choice([*tensors, "new", "é", "", "a" * 200])] = tensors.pop(name)
    elif what == 4:
        tensors = dict(rng.sample(list(tensors.items()), len(tensors)))
        one, two = rng.choice(list(tensors)), rng.choice(list(tensors))
        tensors[one], tensors[two] = tensors[two], tensors[one]
    else:
        tensors.pop(name)
        data = data[: len(data) // 2] if rng.random() < 0.3 else data
    return join(json.dumps(description, separators=(",", ":")), tensors, data)


def description_forged(content: bytes, rng: random.Random, other: bytes) -> bytes:
    """Replace, remove, rename, move, borrow or multiply values of the description."""
    description, tensors, data = parts(content)
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        inside, key = rng.choice(places({k: v for k, v in description.items() if k != "format"}))
        inside = description if key in description and inside.keys() == {key} else inside
        what = rng.randrange(7)
        if what <= 1:
            inside[key] = json.loads(json.dumps(rng.choice(ODD)))
        elif what == 2:
            there, name = rng.choice(places(description))
            inside[key] = json.loads(json.dumps(there[name]))
        elif what == 3:
            there, name = rng.choice(places(parts(other)[0]))
            inside[key] = json.loads(json.dumps(there[name]))
        elif what == 4 and isinstance(inside, dict):
            inside[rng.choice([*inside, "$", "x", "__class__", "_kind", "coefs_"])] = inside.pop(
                key
            )
        elif what == 5 and isinstance(inside[key], list) and len(str(inside[key])) < 5000:
            inside[key] = inside[key] * rng.choice([0, 2, 100])
        elif isinstance(inside, dict):
            inside.pop(key)
        if not isinstance(description.get("about", {}), dict | None):
            break
    description = {"format": 1, "sha256": "0" * 64} | {
        k: v for k, v in description.items() if k not in ("format", "sha256")
    }
    return join(json.dumps(description, separators=(",", ":")), tensors, data)


def keys_repeated(content: bytes, rng: random.Random, other: bytes) -> bytes:
    """Write a key of the description or the header twice, or the keys in another order."""
    description, tensors, data = parts(content)
    description["sha256"] = "0" * 64
    if rng.random() < 0.5:
        rest = list(description.items())[2:]
        reordered = dict([*list(description.items())[:2], *rng.sample(rest, len(rest))])
        return join(json.dumps(reordered, separators=(",", ":")), tensors, data)
    text = join(json.dumps(description, separators=(",", ":")), tensors, b"")[8:].decode()
    keys = [m for m in re.finditer(r'\\?"([\w.$]+)\\?":', text) if m.start() > 150]
    key, onto = rng.choice(keys), rng.choice(keys)
    header = (text[: onto.start(1)] + key[1] + text[onto.end(1) :]).encode()
    return len(header).to_bytes(8, "little") + header + data


DAMAGES: list[Damage] = [
    truncated, flipped, edited, spliced, length_forged, tensors_forged, description_forged,
    description_forged, description_forged, keys_repeated,
]  # fmt: skip


def cases(seed: int, count: int, files: list[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield names of damages and files that have them: first every truncation."""
    rng = random.Random(seed)
    cuts = ((content, end) for content in files for end in range(len(content)))
    for content, end in cuts:
        if count <= 0 or (count < 200_000 and rng.random() > 0.05):
            break
        count -= 1
        yield "truncated at every byte", content[:end]
    for _ in range(count):
        content, other = rng.choice(files), rng.choice(files)
        damage = rng.choice(DAMAGES)
        changed = damage(content, rng, other)
        sealed = rng.random() < 0.5
        name = damage.__name__ + (", sealed anew" if sealed else "")
        yield name, seal(changed) if sealed else changed


def read(content: bytes) -> Any:
    """Do with bytes what load_model and read_header do with a file."""
    with explained("fuzzed"):
        model_file._summary(read_start(BytesIO(content), len(content)), len(content))
        return model_file._from_bytes(content)[0]


def use(model: Any) -> None:
    """Ask a model that was read for its numbers."""
    weights = getattr(model, "coefs_", None) or getattr(model, "W", [])
    assert all(np.isfinite(each).all() for each in weights), "weights that are not finite"


def fence(size: int | None) -> None:
    """Let this process take no more memory than it has, and `size` bytes; with None, all it can."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_bytes().split()[0])
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        soft = hard if size is None else pages * resource.getpagesize() + size
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def outcome(name: str, content: bytes, whole: Collection[bytes]) -> str:
    """Return "refused" or "loaded"; only what is `whole` or sealed anew may load."""
    try:
        with at_most(LONGEST):
            model = read(content)
    except ModelFileError as error:
        return refused(error, 700)
    sound = name.endswith("anew") or content in whole
    assert sound, "accepted, though its checksum is that of another file"
    use(model)
    return "loaded"


def fuzz(count: int, seed: int = 0, keep: Path | None = None) -> Found:
    """Read `count` damaged files; return how often what came of them, and the failures."""
    files = [path.read_bytes() for path in sorted(ZOO.rglob("*.chainrule"))]
    whole = set(files)
    for content in files:
        read(content)  # imports what reading imports

    def fenced() -> Iterator[tuple[str, bytes]]:
        for number, case in enumerate(cases(seed, count, files)):
            if number % 100 == 0:
                fence(ROOM + max(map(len, files)))
            yield case

    try:
        return try_all(fenced(), lambda name, content: outcome(name, content, whole), seed, keep)
    finally:
        fence(None)


if __name__ == "__main__":
    sys.exit(main(__doc__, fuzz))
