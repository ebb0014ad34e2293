"""Security: what reading and the commands do, as Python's audit events tell it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from refusals import LABELS, X, csv

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "security.md"

#: Events of sys.audit that running, starting, connecting, or unpickling something raises.
CODE = ("exec", "compile", "import", "pickle.", "marshal.", "ctypes.dlopen", "code.__new__")
PROCESS = ("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile")
NETWORK = ("socket.", "urllib.", "http.", "ftplib.", "smtplib.")

PROGRAM = """
import json, os, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
events, listening = [], False

def listen(event, arguments):
    if listening and not event.startswith(("object.", "os.listdir", "os.scandir", "sys._")):
        events.append((event, [str(each) for each in arguments[:3]]))

sys.addaudithook(listen)
from chainrule import ModelFileError, cli, load_model, read_header, read_table

def heard(act):
    global listening
    events.clear()
    listening = True
    try:
        act()
    finally:
        listening = False
    return list(events)

def read_all():
    for path in sorted(Path(sys.argv[1]).rglob("*.chainrule")):
        read_header(path), load_model(path)
    read_table("t.csv"), read_table("t.parquet")
    for path in ("forged.chainrule", "pickle.chainrule"):
        for read in (read_header, load_model):
            try:
                read(path)
            except ModelFileError:
                pass

def command(words):
    def act():
        sys.argv = ["chainrule", *words.split()]
        try:
            cli.main()
        except SystemExit as error:
            assert not error.code, words
    return act

told = {}
with open(os.devnull, "w") as sys.stdout:
    read_all()  # imports what reading needs
    told["reading"] = heard(read_all)
    for words in json.loads(sys.argv[2]):
        before = {str(path) for path in Path().rglob("*")}
        told[words] = heard(command(words))
        told["new " + words] = sorted({str(path) for path in Path().rglob("*")} - before)
sys.stdout = sys.__stdout__
print(json.dumps(told))
"""
COMMANDS = [
    "train t.csv --target y --epochs 2 --hidden 4 -o m.chainrule --report r",
    "predict m.chainrule t.csv", "predict m.chainrule t.csv -o out.csv",
    "evaluate m.chainrule t.csv", "inspect m.chainrule", "check m.chainrule t.csv",
    "diagnose m.chainrule t.csv", "explain m.chainrule t.csv --row 1",
]  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Return the events of reading and of each command, in a process of their own."""
    import pickle

    import polars as pl

    folder = tmp_path_factory.mktemp("audited")
    (folder / "t.csv").write_text(csv({"a": X[:, 0], "b": X[:, 1], "y": LABELS}))
    pl.DataFrame({"a": [1.5, 2.5], "t": ["x", "=1+1"]}).write_parquet(folder / "t.parquet")
    (folder / "pickle.chainrule").write_bytes(pickle.dumps(print))
    whole = (TESTS / "zoo" / "0.1.0" / "pipeline.chainrule").read_bytes()
    (folder / "forged.chainrule").write_bytes(whole.replace(b"MLPRegressor", b"os.system.id"))
    (folder / "program.py").write_text(PROGRAM)
    words = [sys.executable, "-B", "program.py", str(TESTS / "zoo"), json.dumps(COMMANDS)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def of(events, kinds):
    return [event for event in events if event[0].startswith(kinds)]


def writing(events):
    """Return what was opened to be written, but for what the system itself offers."""
    opened = [arguments for event, arguments in events if event == "open"]
    paths = [path for path, mode, flags in opened if set(mode or "") & set("wax+")]
    return [path for path in paths if not path.startswith("/dev/")]


def test_reading_runs_no_code(told):
    """Model files of every kind, tables, a forged file, a pickle."""
    events = told["reading"]
    assert of(events, ("open",))  # so there are events
    assert of(events, CODE + PROCESS + NETWORK) == []
    assert [path for path in writing(events) if "tmp" not in path.split("/")[1:2]] == []


def test_commands_use_no_network_and_start_no_process(told):
    for words in COMMANDS:
        assert of(told[words], ("open",))
        assert of(told[words], PROCESS + NETWORK + ("pickle.",)) == [], words


def test_commands_write_what_they_are_told_to(told):
    for words in COMMANDS:
        new = {path.split("/")[0] for path in told["new " + words]}
        expected = {"train": {"m.chainrule", "r"}, "predict": {"out.csv"} & set(words.split())}
        assert new == expected.get(words.split()[0], set()), words


def test_every_sentence_names_a_test_that_is_there():
    named = re.findall(r"`(test_\w+\.py)::(\w+)`", PAGE.read_text("utf-8"))
    assert len(named) > 20
    for file, name in named:
        assert f"def {name}(" in (TESTS / file).read_text("utf-8"), name
