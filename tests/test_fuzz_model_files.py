"""Fuzzed model files: damaged ones are refused, forged ones take no more memory than they may."""

import hashlib
import json
import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import save

import fuzz_model_files
from chainrule import Network, load_model, read_header, save_model
from chainrule.model_file import ModelFileError, header
from fuzz_model_files import ROOM, join, parts, seal
from fuzzing import Hang, fuzzed


@pytest.mark.parametrize("count", [2000, pytest.param(30_000, marks=pytest.mark.slow)])
def test_damaged_files_are_refused_or_load(count):
    """In a process of its own, whose memory has a fence."""
    told = fuzzed(fuzz_model_files, count)
    for damage in fuzz_model_files.DAMAGES:
        assert f"{damage.__name__}: refused" in told


def test_the_fuzzer_notices_a_sum_that_nobody_checks(monkeypatch, tmp_path):
    monkeypatch.setattr("chainrule.model_file.check_sum", lambda *_: None)
    _, failures = fuzz_model_files.fuzz(150, seed=1, keep=tmp_path)
    assert any("accepted, though its checksum" in failure for failure in failures)
    assert len(list(tmp_path.glob("1-*"))) == len(failures)


def test_the_fuzzer_notices_crashes_hangs_and_greed(monkeypatch):
    """Each is a file that would do so."""

    def trouble(content):
        what = content.split()[0]
        if what == b"crash":
            raise KeyError("crash")
        return bytearray(4 * ROOM) if what == b"greed" else [None for _ in iter(int, 1)]

    monkeypatch.setattr(fuzz_model_files, "read", trouble)
    monkeypatch.setattr(fuzz_model_files, "LONGEST", 0.05)
    fuzz_model_files.fence(ROOM)
    try:
        for content, error in ((b"crash", KeyError), (b"greed", MemoryError), (b"hang", Hang)):
            with pytest.raises(error):
                fuzz_model_files.outcome("sealed anew", content, ())
    finally:
        fuzz_model_files.fence(None)


# Memory ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "net.chainrule"
    save_model(Network([2, 3, 1], seed=0), path)
    return path.read_bytes()


def forged(network, about, tensors=(), data=b""):
    """Return the file with that text of JSON as its `about`, and more tensors."""
    description, declared, old = parts(network)
    description |= {"sha256": "0" * 64, "about": "HERE"}
    text = json.dumps(description, separators=(",", ":")).replace('"HERE"', about)
    for name, dtype, shape, size in tensors:
        begin = max(t["data_offsets"][1] for t in declared.values())
        offsets = [begin, begin + size]
        declared[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
    return seal(join(text, declared, old + data))


def peak(function, path):
    """Return the most memory that a call took at a time, and its refusal or None."""
    refusal = None
    tracemalloc.start()
    try:
        function(path)
    except ModelFileError as error:
        refusal = str(error)
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return most, refusal


#: Lists of many small things, each of which is larger in memory than in the file.
FULL = {
    "empty lists": lambda i: "[]",
    "empty objects": lambda i: "{}",
    "objects": lambda i: '{"a":1}',
    "objects of more": lambda i: '{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6}',
    "objects of their own": lambda i: f'{{"{i}":{i}.5}}',
    "numbers": lambda i: f"{i}.5",
    "whole numbers": lambda i: f"{i + 1000}",
    "texts": lambda i: f'"{i:x}"',
    "long texts": lambda i: f'"{i:0200}"',
    "texts outside of ASCII": lambda i: f'"\\ud83d\\ude00{i}"',
    "lists in lists": lambda i: "[" * 90 + "]" * 90,
}


def filled(network, item, times):
    return forged(network, '{"x":[' + ",".join(map(item, range(times))) + "]}")


@pytest.mark.parametrize(
    "name",
    [name if name == "objects" else pytest.param(name, marks=pytest.mark.slow) for name in FULL],
)
def test_a_header_takes_no_more_memory_than_it_may(network, name, tmp_path):
    """As much of it as is read, and then a little more, which is refused."""
    item, path = FULL[name], tmp_path / "full.chainrule"
    each = sum(item(9999).count(sign) * cost for sign, cost in header.COSTS.items()) + 80
    most = min(header.MOST_MEMORY // each, header.LARGEST_HEADER // (len(item(10**6)) + 5)) - 100
    path.write_bytes(filled(network, item, int(most * 0.97)))
    for function in (load_model, read_header):
        taken, refusal = peak(function, path)
        assert refusal is None
        assert taken < path.stat().st_size + ROOM
    path.write_bytes(filled(network, item, int(most * 2.2)))
    taken, refusal = peak(load_model, path)
    assert "would take" in refusal or "its header claims" in refusal
    assert taken < path.stat().st_size + ROOM


def many(value, times=200):
    return json.dumps([value] * times)


WIDE = {"$": "array", "dtype": "<U250000", "values": ["a"]}
AGAIN = {"$": "array", "dtype": "<f8", "tensor": "more"}
COLUMN = {"$": "column", "tensor": "more"}
NULLS = {"$": "history", "count": 1000, "columns": {f"{i}": None for i in range(500)}}
EXPANDING = {
    "arrays of texts": (many(WIDE), "too large", []),
    "an array again and again": (many(AGAIN), "'more' twice", [("more", "F64", [1000], 8000)]),
    "rows of nothing": (many(COLUMN, 1), "is no column", [("more", "F64", [50, 0], 0)]),
    "small numbers": (many(COLUMN, 1), "is no column", [("more", "I8", [8000], 8000)]),
    "records of nothing": (
        json.dumps(NULLS | {"columns": NULLS["columns"] | {"a": COLUMN}}), "1000 records of 501",
        [("more", "F64", [1000], 8000)],
    ),
    "truth of 2": (many({"$": "array", "dtype": "|b1", "tensor": "more"}, 1), "neither 0 nor 1",
                   [("more", "BOOL", [1, 8], 8)]),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPANDING)
def test_nothing_becomes_much_larger_than_it_is_in_the_file(network, name, tmp_path):
    about, words, tensors = EXPANDING[name]
    path = tmp_path / "expanding.chainrule"
    path.write_bytes(forged(network, about, tensors, b"\2" * sum(size for *_, size in tensors)))
    taken, refusal = peak(load_model, path)
    assert words in refusal
    assert taken < path.stat().st_size + ROOM


@pytest.mark.parametrize("sizes", ['[2147483648,"x"]', '["x",2147483648,1]', "[null]", "2"])
def test_sizes_that_are_no_numbers_are_not_reckoned_with(network, sizes, tmp_path):
    """A text times two thousand million is a long one: found by the fuzzer."""
    content, path = forged(network, "null"), tmp_path / "sizes.chainrule"
    description, tensors, data = parts(content)
    description |= {"sha256": "0" * 64}
    description["network"]["sizes"] = json.loads(sizes)
    path.write_bytes(seal(join(json.dumps(description, separators=(",", ":")), tensors, data)))
    for function in (load_model, read_header):
        taken, refusal = peak(function, path)
        assert "a network of sizes" in refusal
        assert taken < path.stat().st_size + ROOM


def test_inspect_reads_a_large_file_block_by_block(network, tmp_path):
    """A sparse file of 100 MB: a sum over all of it, and no weight is kept."""
    size = 10**8
    path = tmp_path / "large.chainrule"
    content = forged(network, "null", [("more", "F64", [size // 8], size)])
    with open(path, "wb") as file:
        file.write(content)
        file.truncate(len(content) + size)
    digest = hashlib.sha256(path.read_bytes().replace(digits(content), b"0" * 64, 1)).hexdigest()
    with open(path, "r+b") as file:
        file.write(content.replace(digits(content), digest.encode(), 1))
    taken, refusal = peak(read_header, path)
    assert refusal is None
    assert taken < 10_000_000
    assert read_header(path)["tensors"]["more"] == {"dtype": "float64", "shape": [size // 8]}
    with open(path, "r+b") as file:
        file.seek(size // 2)
        file.write(b"\1")
    assert "SHA-256 is wrong" in peak(read_header, path)[1]


def digits(content):
    return json.loads(json.dumps(parts(content)[0]["sha256"])).encode()


def test_a_large_model_is_takes_little_beside_itself_and_its_file(tmp_path):
    """Both, and half of it more while a layer is made."""
    path = tmp_path / "large.chainrule"
    save_model(Network([1000, 1000, 1000], seed=0), path)
    load_model(path)
    taken, _ = peak(load_model, path)
    assert taken < 2.7 * path.stat().st_size


def test_other_writers_of_safetensors(network, tmp_path):
    """A file that safetensors itself wrote of the same parts, in another order, is read."""
    description, tensors, data = parts(network)
    description["sha256"] = "0" * 64
    text = json.dumps(description, separators=(",", ":"))
    arrays = {
        name: np.frombuffer(data, "<f8")[t["data_offsets"][0] // 8 :][: np.prod(t["shape"])]
        .reshape(t["shape"])
        for name, t in tensors.items()
    }  # fmt: skip
    path = tmp_path / "other.chainrule"
    path.write_bytes(seal(save(arrays, {"chainrule": text})))
    assert load_model(path).sizes == [2, 3, 1]
