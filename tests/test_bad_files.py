"""Bad files: every entry of the lists of files and of model files, given to the command line."""

import errno
import gzip
import json
import os

import numpy as np
import pytest

from chainrule import Network, save_model
from fuzz_model_files import join, parts, seal
from refusals import FAST, LABELS, X, command, csv, refused, without_pictures
from test_tables import REFUSED, SAME_TABLE

TABLE = csv({"a": X[:, 0], "b": X[:, 1], "y": ["yes" if label else "no" for label in LABELS]})


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Return the bytes of a model of TABLE."""
    from chainrule.settings import Settings
    from chainrule.tables import read_table
    from chainrule.tabular import train_table

    folder = tmp_path_factory.mktemp("trained")
    (folder / "t.csv").write_text(TABLE)
    trained = train_table(read_table(folder / "t.csv"), "y", Settings(epochs=2, hidden=(4,)))
    trained.save(folder / "m.chainrule")
    return (folder / "m.chainrule").read_bytes()


@pytest.fixture
def run(monkeypatch, capsys, tmp_path, model):
    """Return what runs the command line in a folder with a model in it."""
    monkeypatch.chdir(tmp_path)
    without_pictures(monkeypatch)
    (tmp_path / "m.chainrule").write_bytes(model)
    return lambda *words: command(monkeypatch, capsys, *words)


# Tables ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["train", "predict", "evaluate", "check", "diagnose", "explain"])
@pytest.mark.parametrize("entry", REFUSED)
def test_a_table_that_is_none(entry, name, run, tmp_path):
    content, reason = REFUSED[entry]
    (tmp_path / "t.csv").write_bytes(content)
    words = ["t.csv", "--target", "a", "-o", "n.chainrule"] if name == "train" else []
    code, _, err = run(name, *(words or ["m.chainrule", "t.csv"]))
    assert (code, err.count("\n")) == (1, 1), err
    assert reason in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.chainrule", "t.csv"]


@pytest.mark.parametrize("entry", SAME_TABLE)
def test_one_table_in_many_forms(entry, run, tmp_path):
    """The same predictions, whatever newline, mark, delimiter or packing."""
    change = {
        "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
        "lone CR": lambda text: text.replace("\n", "\r").encode(),
        "mixed newlines": lambda text: text.replace("\n", "\r\n", 5).encode(),
        "no newline at the end": lambda text: text.rstrip("\n").encode(),
        "UTF-8 mark": lambda text: text.encode("utf-8-sig"),
        "UTF-16": lambda text: text.encode("utf-16"),
        "UTF-32": lambda text: text.encode("utf-32"),
        "UTF-16, big end first": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
        "semicolons": lambda text: text.replace(",", ";").encode(),
        "tabs": lambda text: text.replace(",", "\t").encode(),
        "bars": lambda text: text.replace(",", "|").encode(),
        "blanks": lambda text: text.replace(",", " , ").encode(),
        "blank lines": lambda text: text.replace("\n", "\n\n").encode(),
        "gzip": lambda text: gzip.compress(text.encode()),
    }.get(entry, str.encode)
    (tmp_path / "t.csv").write_text(TABLE)
    (tmp_path / "u.csv").write_bytes(change(TABLE))
    assert run("predict", "m.chainrule", "u.csv") == run("predict", "m.chainrule", "t.csv")


def test_one_row(run, tmp_path):
    """To predict is fine; to learn from is not."""
    (tmp_path / "t.csv").write_text("".join(TABLE.splitlines(keepends=True)[:2]))
    assert run("predict", "m.chainrule", "t.csv")[0] == 0
    refused(run("train", "t.csv", "--target", "y", "-o", "n.chainrule", *FAST), "")


@pytest.mark.slow
def test_a_line_of_100_mb(run, tmp_path):
    with open(tmp_path / "t.csv", "w") as file:
        file.write("a,b,y\n1,2," + "x" * 100_000_000)
    assert run("predict", "m.chainrule", "t.csv", "-o", "out.csv")[0] == 0
    (tmp_path / "t.csv").write_text("x" * 100_000_000)
    refused(run("predict", "m.chainrule", "t.csv"), "single line")


@pytest.mark.parametrize("name", ["two words.csv", "größe-🙂.csv", "-leading.csv", "~x", "a'b.csv"])
def test_paths_that_shells_dislike(name, run, tmp_path):
    (tmp_path / name).write_text(TABLE)
    code, _, err = run("predict", "m.chainrule", "--", name)
    assert (code, err) == (0, "")


NO = {
    "a full disk": (errno.ENOSPC, "No space left on device"),
    "a read-only folder": (errno.EROFS, "Read-only file system"),
    "no permission": (errno.EACCES, "Permission denied"),
}


@pytest.mark.parametrize("entry", NO)
@pytest.mark.parametrize("name", ["train", "predict"])
def test_output_that_cannot_be_written(entry, name, run, tmp_path, monkeypatch):
    """It is said in one line with the path; for a training, before it starts."""
    (tmp_path / "t.csv").write_text(TABLE)
    (tmp_path / "out").mkdir()
    number, words = NO[entry]
    opening = os.open

    def no(path, flags, *more, **rest):
        if flags & os.O_CREAT and "out" in str(path):
            raise OSError(number, os.strerror(number), path)
        return opening(path, flags, *more, **rest)

    monkeypatch.setattr(os, "open", no)
    given = {
        "train": ("train", "t.csv", "--target", "y", "-o", "out/n.chainrule", *FAST),
        "predict": ("predict", "m.chainrule", "t.csv", "-o", "out/p.csv"),
    }[name]
    refused(run(*given), f"out.*{words}")
    assert os.listdir(tmp_path / "out") == []


# Model files -----------------------------------------------------------------------------------


def changed(content, change):
    """Return the file with a change of its parts, sealed as a forger would."""
    description, tensors, data = parts(content)
    description["sha256"] = "0" * 64
    data = change(description, tensors, bytearray(data)) or data
    return seal(join(json.dumps(description, separators=(",", ":")), tensors, bytes(data)))


def with_nan(description, tensors, data):
    begin = tensors["layer.0.weights"]["data_offsets"][0]
    data[begin : begin + 8] = np.float64(np.nan).tobytes()
    return data


def terabytes(description, tensors, data):
    tensors["layer.0.weights"]["shape"] = [2**20, 2**22]


def newer(description, tensors, data):
    description["format"] = 7


def renamed(description, tensors, data):
    description["estimator"]["parameters"]["beta"] = description["estimator"]["parameters"].pop(
        "tol"
    )


def twice(content):
    return content.replace(b'"layer.0.biases":', b'"layer.1.biases":', 1)


#: entry -> (what becomes of the file, what is said of it, whether inspect sees it)
MODELS = {
    "truncated": (lambda content: content[:-1], "cut short|too long", True),
    "truncated header": (lambda content: content[:100], "cut short", True),
    "a bit flipped": (lambda c: c[:50] + bytes([c[50] ^ 4]) + c[51:], "", True),
    "a weight changed": (lambda c: c[:-1] + bytes([c[-1] ^ 1]), "SHA-256 is wrong", True),
    "a newer version": (lambda c: changed(c, newer), "made by a newer chainrule.*upgrade", True),
    "a pickle": (lambda c: b"\x80\x04" + b"x" * 20, "a pickle, which chainrule never reads", True),
    "ONNX": (lambda c: b"\x08\x08" + b"x" * 20, "an ONNX model", True),
    "a zip": (lambda c: b"PK\x03\x04" + b"x" * 20, "a zip archive", True),
    "empty": (lambda c: b"", "is empty", True),
    "terabytes": (lambda c: changed(c, terabytes), "would take", True),
    "NaN weights": (lambda c: changed(c, with_nan), "not finite", False),
    "a renamed key": (lambda c: changed(c, renamed), "parameter '(beta|tol)'", False),
    "a key twice": (twice, "twice", True),
}  # fmt: skip


@pytest.mark.parametrize("name", ["inspect", "predict", "evaluate", "check", "diagnose", "explain"])
@pytest.mark.parametrize("entry", MODELS)
def test_a_model_that_is_none(entry, name, model, run, tmp_path):
    damage, words, inspected = MODELS[entry]
    (tmp_path / "m.chainrule").write_bytes(damage(model))
    (tmp_path / "t.csv").write_text(TABLE)
    given = run(name, "m.chainrule", *(["t.csv"] if name != "inspect" else []))
    if name == "inspect" and not inspected:  # it keeps no weights, and makes no model
        assert given[0] == 0
    else:
        refused(given, f"m.chainrule: .*({words})")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.chainrule", "t.csv"]


def test_a_model_of_no_table(run, tmp_path):
    save_model(Network([2, 1], seed=0), tmp_path / "net.chainrule")
    (tmp_path / "t.csv").write_text(TABLE)
    refused(run("predict", "net.chainrule", "t.csv"), "holds a Network, no model of a table")
