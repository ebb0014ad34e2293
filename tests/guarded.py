"""Guarded memory: what a native call may touch, placed against pages that nobody may touch.

`install` puts every array of every call there; a read or write beyond one then ends the process.
Run as a program it trains a family of networks so, and compares the bits with unguarded ones.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import BinaryIO

import numpy as np

from chainrule import Network
from chainrule.engine import native
from chainrule.engine.contract import COLUMNS
from chainrule.native.job import Job, Layer
from chainrule.native.predict import Passage

PAGE, CANARY = mmap.PAGESIZE, 0xA5
ALIGNED = {"arena": 64}  # the rest lies as close to the page as its numbers' size lets it


def parameters(job: Job) -> int:
    """Return how many weights and biases a job's network has."""
    return sum((layer.n_in + 1) * layer.n_out for layer in job.layers[: job.n_layers])


def numbers(job: Job) -> int:
    """Return how many numbers X holds: all of dense rows, what is not zero of sparse ones."""
    if not job.starts:
        return job.rows * job.layers[0].n_in
    return (ctypes.c_int64 * (job.rows + 1)).from_address(job.starts)[job.rows]


#: What a job points at, and how many bytes of it the library may touch: the contract of job.h.
BYTES: dict[str, Callable[[Job, int, int], int]] = {
    "layers": lambda job, epochs, arena: job.n_layers * ctypes.sizeof(Layer),
    "X": lambda job, epochs, arena: numbers(job) * job.width,
    "starts": lambda job, epochs, arena: (job.rows + 1) * 8,
    "columns": lambda job, epochs, arena: numbers(job) * 4,
    "Y": lambda job, epochs, arena: job.rows * job.layers[job.n_layers - 1].n_out * job.width,
    "weights": lambda job, epochs, arena: job.rows * job.width,
    "theta": lambda job, epochs, arena: parameters(job) * job.width,
    "gradient": lambda job, epochs, arena: parameters(job) * job.width,
    "slots": lambda job, epochs, arena: parameters(job) * job.width,
    "average": lambda job, epochs, arena: parameters(job) * job.width,
    "best_theta": lambda job, epochs, arena: parameters(job) * job.width,
    "norm_squares": lambda job, epochs, arena: job.n_layers * 8,
    "records": lambda job, epochs, arena: epochs * (len(COLUMNS) + job.n_layers) * 8,
    "arena": lambda job, epochs, arena: arena,
    "order": lambda job, epochs, arena: job.rows * 4 * 8 if job.shuffle else 0,
}


def pointers(job: Job) -> Iterator[tuple[str, int, int]]:
    """Yield name, place in the structure and value of every pointer that is not null."""
    for name, kind in Job._fields_:
        count = getattr(kind, "_length_", 1)
        inner = getattr(kind, "_type_", kind) if count > 1 else kind
        if inner is not ctypes.c_void_p and not issubclass(kind, ctypes._Pointer):
            continue
        for i in range(count):
            at = getattr(Job, name).offset + 8 * i
            value = ctypes.c_uint64.from_buffer(job, at).value
            if value:
                yield name, at, value


def regions(calls: object, job: Job, epochs: int = 0) -> Iterator[tuple[str, int, int, int]]:
    """Yield name, place, address and bytes of all that a job points at."""
    probe = Job.from_buffer_copy(job)
    arena = calls.chainrule_arena_bytes(probe)
    for name, at, value in pointers(job):
        yield name, at, value, BYTES[name](job, epochs, arena)


class Place:
    """A copy of some bytes with a page that nobody may touch right after, or right before, them."""

    def __init__(self, address: int, size: int, name: str, after: bool) -> None:
        self.address, self.size = address, size
        room = -(-max(size, 1) // PAGE) * PAGE
        self.map = mmap.mmap(-1, room + PAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        self.start, self.room = start + (0 if after else PAGE), room
        self.copy = self.start if not after else self.start + room - size
        assert self.copy % ALIGNED.get(name, 1) == 0, f"{name} takes {size} bytes"
        ctypes.memset(self.start, CANARY, room)
        ctypes.memmove(self.copy, address, size)
        if protect(start + (room if after else 0), PAGE, 0):
            raise OSError("mprotect failed")

    def check_and_write_back(self, name: str) -> None:
        """See to it that nothing beside the copy changed; bring the copy home."""
        before = self.copy - self.start
        page = ctypes.string_at(self.start, self.room)
        beside = page[:before] + page[before + self.size :]
        assert beside == bytes([CANARY]) * len(beside), f"something wrote beside {name}"
        ctypes.memmove(self.address, self.copy, self.size)


@cache
def system() -> ctypes.CDLL:
    """Return the system's own library, looked up when first asked for: Windows has none so."""
    return ctypes.CDLL(None)


def protect(address: int, size: int, rights: int) -> int:
    """Call mprotect."""
    return system().mprotect(ctypes.c_void_p(address), ctypes.c_size_t(size), ctypes.c_int(rights))


class Guarded:
    """The library's calls, each with all its memory moved against guard pages for that long."""

    def __init__(self, calls: object, after: bool, stolen: int = 0) -> None:
        self.calls, self.after, self.stolen = calls, after, stolen

    def __getattr__(self, name: str) -> Callable[..., object]:
        call = getattr(self.calls, name)
        if name not in ("chainrule_advance", "chainrule_cost_and_gradient", "chainrule_evaluate"):
            return call
        return lambda job, *rest: self.guard(name, call, job, *rest)

    def guard(self, name: str, call: Callable[..., object], job: Job, *rest: object) -> object:
        """Move all that the job points at, call, look for damage, and bring it all back."""
        moved, places = Job.from_buffer_copy(job), []
        epochs = rest[0] if name == "chainrule_advance" else 0
        for what, at, address, size in regions(self.calls, job, epochs):
            size -= self.stolen if what == "arena" else 0
            place = Place(address, size, what, self.after)
            ctypes.c_uint64.from_buffer(moved, at).value = place.copy
            places.append((what, at, place))
        if name == "chainrule_evaluate":
            size = job.rows * job.layers[job.n_layers - 1].n_out * job.width
            places.append(("outputs", None, Place(rest[0], size, "outputs", self.after)))
            rest = (places[-1][2].copy,)
        result = call(moved, *rest)
        for what, at, place in places:
            place.check_and_write_back(what)
            if at is not None:
                ctypes.c_uint64.from_buffer(moved, at).value = place.address
        ctypes.memmove(ctypes.byref(job), ctypes.byref(moved), ctypes.sizeof(Job))
        return result


class Recorder:
    """The library's calls, each written to a file for tests/native/replay.cpp first."""

    RESULTS = ("theta", "slots", "gradient", "norm_squares", "average", "best_theta")
    CALLS = ("chainrule_advance", "chainrule_cost_and_gradient", "chainrule_evaluate")

    def __init__(self, calls: object, file: BinaryIO) -> None:
        self.calls, self.file = calls, file

    def __getattr__(self, name: str) -> Callable[..., object]:
        call = getattr(self.calls, name)
        if name not in self.CALLS:
            return call
        return lambda job, *rest: (self.record(name, job, rest), call(job, *rest))[1]

    def record(self, name: str, job: Job, rest: Sequence[int]) -> None:
        """Write the job and all that it points at."""
        epochs = rest[0] if name == "chainrule_advance" else 0
        size = job.rows * job.layers[job.n_layers - 1].n_out * job.width
        outputs = size if name == "chainrule_evaluate" else 0
        found = list(regions(self.calls, job, epochs))
        head = (self.CALLS.index(name), epochs, outputs, ctypes.sizeof(Job), len(found))
        self.file.write(struct.pack("5Q", *head) + bytes(job))
        for what, at, address, size in found:
            self.file.write(struct.pack("3Q", at, size, what in self.RESULTS))
            self.file.write(ctypes.string_at(address, size))


def install(wrap: Callable[[object], object]) -> None:
    """Wrap the calls of every native engine to come."""
    build = native.NativeEngine.__init__

    def wrapped(self: native.NativeEngine, *arguments: object, **named: object) -> None:
        build(self, *arguments, **named)
        self.calls = wrap(self.calls)

    native.NativeEngine.__init__ = wrapped


def predicts_alike(seed: int, after: bool) -> bool:
    """Predict and differentiate with all arrays against guard pages, and without; compare."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 40, rng.integers(2, 5)).tolist()
    n, dtype = int(rng.integers(1, 30)), ("float32", "float64")[seed % 2]
    network = Network(sizes, "tanh", output_activation="sigmoid", seed=seed, dtype=dtype)
    parameters = [each for layer in network.layers for each in (layer.W, layer.b)]
    X, G = (rng.normal(size=(n, k)).astype(dtype) for k in (sizes[0], sizes[-1]))
    moved, places = [], []
    for array in (*parameters, X, G):
        places.append(Place(array.__array_interface__["data"][0], array.nbytes, "array", after))
        buffer = (ctypes.c_char * array.nbytes).from_address(places[-1].copy)
        moved.append(np.frombuffer(buffer, dtype).reshape(array.shape))
    results = []
    for *layers, x, g in ([*parameters, X, G], moved):
        passage = Passage(layers, network.activations)
        results.append(
            (passage.predict(x), passage.pull_back(x, g[:, None]), passage.pull_back(x, None))
        )
    return all((one == other).all() for one, other in zip(*results, strict=True))


def main(where: str, command: str, *rest: str) -> int:
    """Install the guards `after` or `before` everything, then train, or run pytest."""
    stolen = 64 if command == "steal" else 0

    def guard(calls: object) -> Guarded:
        return Guarded(calls, where == "after", stolen)

    if command == "pytest":
        import pytest

        install(guard)
        return pytest.main(["-q", "-p", "no:cacheprovider", *rest])
    import family  # the networks of tests/family.py

    if command == "predict":
        return int(not all(predicts_alike(seed, where == "after") for seed in range(int(rest[0]))))
    plain = [family.bits(seed) for seed in range(int(rest[0]))]
    install(guard)
    return int(plain != [family.bits(seed) for seed in range(int(rest[0]))])


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
