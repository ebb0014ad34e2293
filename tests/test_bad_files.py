"""Bad files: every entry of the lists of files and of model files, given to the command line."""

import datetime
import errno
import gzip
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from chainrule import Network, save_model
from fuzz_model_files import join, parts, seal
from refusals import FAST, LABELS, X, command, csv, refused, without_pictures
from test_tables import REFUSED, SAME_TABLE

TABLE = csv({"a": X[:, 0], "b": X[:, 1], "y": ["yes" if label else "no" for label in LABELS]})


def save(model):
    """Return the bytes of a model file."""
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, f"{folder}/m")
        return Path(folder, "m").read_bytes()


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


def parquet(**more):
    """Return a Parquet file of the numbers of TABLE and more columns."""
    sink = io.BytesIO()
    pl.DataFrame({"a": X[:, 0], "b": X[:, 1]} | more).write_parquet(sink)
    return sink.getvalue()


NO_TABLE = REFUSED | {
    "truncated Parquet": (parquet()[:-9], "the Parquet file ends too early; copy"),
    "damaged Parquet": (b"PAR1" + b"\xff" * 99 + b"PAR1", "the Parquet file is damaged"),
    "Parquet of lists": (parquet(bad=[[1]] * 40), "column 'bad' (List) holds no plain values"),
    "Parquet of structs": (parquet(bad=[{"u": 1}] * 40), "column 'bad' (Struct)"),
    "Parquet of bytes": (parquet(bad=[b"x"] * 40), "column 'bad' (Binary)"),
    "a model": (save(Network([1, 1], seed=0)), "is a chainrule model; expected a table"),
}
TAKES_A_TABLE = ["train", "predict", "evaluate", "check", "diagnose", "explain"]


def on_a_table(name, table="t.csv"):
    """Return the words of a command that reads this table."""
    if name == "train":
        return "train", table, "--target", "y", "-o", "n.chainrule", *FAST
    return name, "m.chainrule", table


@pytest.mark.parametrize("name", TAKES_A_TABLE)
@pytest.mark.parametrize("entry", NO_TABLE)
def test_a_table_that_is_none(entry, name, run, tmp_path):
    content, reason = NO_TABLE[entry]
    (tmp_path / "t.csv").write_bytes(content)
    code, _, err = run(*on_a_table(name))
    assert (code, err.count("\n")) == (1, 1), err
    assert err.startswith("chainrule: t.csv: ")
    assert reason in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.chainrule", "t.csv"]


@pytest.mark.parametrize("name", TAKES_A_TABLE)
def test_a_table_that_is_not_there(name, run, tmp_path, monkeypatch):
    (tmp_path / "t.csv").mkdir()
    refused(run(*on_a_table(name)), "t.csv: is a folder; name a CSV or Parquet file in it")
    refused(run(*on_a_table(name, "u.csv")), "u.csv: no such file; near it: t.csv")
    refused(run(*on_a_table(name, "")), "'': no such file")
    (tmp_path / "u.csv").write_text(TABLE)
    opening = open

    def no(path, *more, **rest):
        if path == "u.csv":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return opening(path, *more, **rest)

    monkeypatch.setattr("builtins.open", no)
    refused(run(*on_a_table(name, "u.csv")), "u.csv: may not be read; ask for read permission")
    assert sorted(os.listdir()) == ["m.chainrule", "t.csv", "u.csv"]


def test_parquet_of_many_types(run, tmp_path):
    """Decimal, timestamp, dictionary, time and duration: read, and used or named in a note."""
    days = [datetime.datetime(2024, 1, 1) + datetime.timedelta(i) for i in range(40)]
    more = {
        "decimal": [Decimal(f"{i}.5") for i in range(40)], "stamp": days,
        "kind": pl.Series(["u", "v"] * 20, dtype=pl.Categorical),
        "span": [day - days[0] for day in days], "time": [datetime.time(1, i) for i in range(40)],
    }  # fmt: skip
    (tmp_path / "t.parquet").write_bytes(parquet(**more, y=LABELS.astype(str)))
    code, out, err = run(*on_a_table("train", "t.parquet"), "--json")
    assert (code, err) == (0, "")
    notes = " ".join(json.loads(out)["notes"])
    assert all(name in notes for name in more), notes
    code, _, err = run("predict", "n.chainrule", "t.parquet", "-o", "p.parquet")
    assert (code, err) == (0, "p.parquet: 40 rows, 11 columns\n")
    assert pl.read_parquet(tmp_path / "p.parquet")["kind"].to_list() == ["u", "v"] * 20


@pytest.mark.parametrize("entry", [*SAME_TABLE, "decimal commas"])
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
        "decimal commas": lambda text: text.replace(",", ";").replace(".", ",").encode(),
        "quoted": lambda text: re.sub(r"[^,\n]+", r'"\g<0>"', text).encode(),
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


def test_row_labels_and_quoted_newlines(run, tmp_path):
    """A first column without a name, as pandas writes its index, is left out as an id."""
    rows = [f"{i},{line}" for i, line in enumerate(TABLE.splitlines()[1:])]
    text = "\n".join([",a,b,y", *rows]).replace("yes", '"y\ns"') + "\n"
    (tmp_path / "t.csv").write_text(text)
    code, out, err = run(*on_a_table("train"), "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["classes"] == ["no", "y\ns"]
    assert any("'unnamed'" in note for note in told["notes"])
    code, out, err = run("predict", "n.chainrule", "t.csv")
    assert (code, err) == (0, "")
    answers = pl.read_csv(io.StringIO(out))
    assert answers["y"].to_list() == [["no", "y\ns"][label] for label in LABELS]


@pytest.mark.slow
def test_20_000_columns(run, tmp_path):
    names = [f"c{i}" for i in range(20_000)]
    rows = np.random.default_rng(0).normal(size=(40, 20_000)).round(2).astype(str)
    lines = [",".join([*row, str(label)]) for row, label in zip(rows, LABELS, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join([",".join([*names, "y"]), *lines]))
    code, out, err = run(*on_a_table("train"), "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["sizes"][0] == 20_000
    code, _, err = run("predict", "n.chainrule", "t.csv", "-o", "p.csv")
    assert (code, err) == (0, "p.csv: 40 rows, 20004 columns\n")


NAMES = ["two words.csv", "größe-🙂.csv", "-leading.csv", "~x", "a'b.csv"]


@pytest.mark.parametrize("name", NAMES)
def test_paths_that_shells_dislike(name, run, tmp_path):
    (tmp_path / name).write_text(TABLE)
    code, _, err = run("predict", "m.chainrule", "--", name)
    assert (code, err) == (0, "")
    code, _, err = run("train", "--target", "y", *FAST, "--", name)
    assert (code, err) == (0, "")
    made = f"{name.split('.')[0]}.chainrule"
    code, _, err = run("inspect", "--", made)
    assert (code, err) == (0, "")


def test_a_leading_dash_without_the_two(run, tmp_path):
    """What looks like an option and is a file is told how to be written."""
    (tmp_path / "-v.csv").write_text(TABLE)
    said = r"No such option:? '?-v'?; -v.csv is a file: write \./-v.csv; see"
    refused(run("predict", "m.chainrule", "-v.csv"), said, code=2)
    assert run("predict", "m.chainrule", "./-v.csv")[0] == 0


@pytest.mark.skipif(os.name == "nt", reason="there are no such files")
@pytest.mark.parametrize("table", ["-", "/dev/stdin", pytest.param("pipe", marks=pytest.mark.slow)])
def test_tables_out_of_pipes(table, run, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    program = "from chainrule.cli import main; main()"
    (tmp_path / "t.csv").write_text(TABLE)
    words = f'cat t.csv {"> pipe &" if table == "pipe" else "|"} "$@"'
    command = [sys.executable, "-c", program, "predict", "m.chainrule", table]
    done = subprocess.run(["sh", "-c", words, "sh", *command], cwd=tmp_path, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == run("predict", "m.chainrule", "t.csv")[1]


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


@pytest.mark.skipif(os.name == "nt", reason="there are no such files")
def test_a_pipe_or_a_device_is_never_replaced(run, tmp_path):
    """Not with --force either: by root, /dev/null itself would become a model."""
    (tmp_path / "t.csv").write_text(TABLE)
    for name in ("p.chainrule", "p.png", "p.csv", "p.html", "p.json"):
        os.mkfifo(tmp_path / name)
    before = sorted(os.listdir())
    for words in (
        ("train", "t.csv", "--target", "y", "-o", "p.chainrule"),
        ("predict", "m.chainrule", "t.csv", "-o", "p.csv"),
        ("evaluate", "m.chainrule", "t.csv", "--picture", "p.png"),
        ("explain", "m.chainrule", "t.csv", "--html", "p.html"),
        ("export", "m.chainrule", "--to", "json", "--out", "p.json"),
    ):
        refused(run(*words, "--force"), r"p\.\w+: is a pipe or a device; name a file")
    assert sorted(os.listdir()) == before
    assert all((tmp_path / name).is_fifo() for name in before if name.startswith("p."))


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("there", [True, False], ids=["a file", "nowhere"])
def test_output_through_a_link(there, run, tmp_path):
    """It is asked about as a file is, and what it leads to is written."""
    (tmp_path / "t.csv").write_text(TABLE)
    (tmp_path / "far").mkdir()
    if there:
        (tmp_path / "far" / "p.csv").write_text("mine")
    (tmp_path / "p.csv").symlink_to("far/p.csv")
    words = ("predict", "m.chainrule", "t.csv", "-o", "p.csv")
    refused(run(*words), "p.csv exists already; choose another name")
    assert run(*words, "--force")[0] == 0
    assert (tmp_path / "p.csv").is_symlink()
    assert pl.read_csv(tmp_path / "far" / "p.csv").height == 40
    assert os.listdir("far") == ["p.csv"]


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


@pytest.mark.parametrize("name", [*TAKES_A_TABLE[1:], "inspect", "export"])
@pytest.mark.parametrize("entry", MODELS)
def test_a_model_that_is_none(entry, name, model, run, tmp_path):
    damage, words, inspected = MODELS[entry]
    (tmp_path / "m.chainrule").write_bytes(damage(model))
    (tmp_path / "t.csv").write_text(TABLE)
    more = {"inspect": [], "export": ["--to", "json"]}.get(name, ["t.csv"])
    given = run(name, "m.chainrule", *more)
    if name == "inspect" and not inspected:  # it keeps no weights, and makes no model
        assert given[0] == 0
    else:
        refused(given, f"m.chainrule: .*({words})")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.chainrule", "t.csv"]


@pytest.mark.parametrize("name", [*TAKES_A_TABLE[1:], "inspect", "export"])
def test_a_model_that_is_not_there(name, run, tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text(TABLE)
    (tmp_path / "folder").mkdir()
    more = {"inspect": [], "export": ["--to", "json"]}.get(name, ["t.csv"])
    refused(run(name, "no.chainrule", *more), "no.chainrule: it is not there; check the name")
    refused(run(name, "folder", *more), "folder: it is a folder.*; expected a model file")
    opening = open

    def no(path, *rest, **named):
        if str(path) == "m.chainrule":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return opening(path, *rest, **named)

    monkeypatch.setattr("builtins.open", no)
    refused(run(name, "m.chainrule", *more), "m.chainrule: it cannot be read: Permission denied")
    assert sorted(os.listdir()) == ["folder", "m.chainrule", "t.csv"]


def test_a_model_of_no_table(run, tmp_path):
    save_model(Network([2, 1], seed=0), tmp_path / "net.chainrule")
    (tmp_path / "t.csv").write_text(TABLE)
    refused(run("predict", "net.chainrule", "t.csv"), "holds a Network, no model of a table")
