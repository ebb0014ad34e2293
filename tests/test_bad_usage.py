"""Bad usage: wrong words, files that are in the way, Ctrl-C, a closed pipe; and strict JSON."""

import json
import subprocess
import sys

import click
import numpy as np
import pytest

from chainrule import load_model
from chainrule.callbacks import ProgressBar
from chainrule.engine.reference import ReferenceEngine
from refusals import LABELS, N, X, command, csv, refused, without_pictures

TABLE = csv({"a": X[:, 0], "b": X[:, 1], "y": ["yes" if label else "no" for label in LABELS]})
#: click's hint, from 8.4 on
NEAR = ". Did you mean 'train'\\?" if hasattr(click.exceptions, "NoSuchCommand") else ""
TRAIN = ("train", "t.csv", "--target", "y", "--epochs", "3", "--hidden", "4")


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Write TABLE, and run the command line beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text(TABLE)
    return lambda *words: command(monkeypatch, capsys, *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "No command is given; expected one of those above"),
        (["trian"], f"No such command 'trian'{NEAR}"),
        ([*TRAIN, "--epoch", "2"], "No such option:? '?--epoch'?[. ].*--epochs"),
        ([*TRAIN, "--foo"], "No such option:? '?--foo'?"),
        (["train", "t.csv"], "Missing option '--target'"),
        (["train", "t.csv", "--target"], "Option '--target' requires an argument"),
        (["train"], "Missing"),
        (["predict", "m.chainrule"], "Missing argument"),
        (["predict", "m.chainrule", "t.csv", "more.csv"], "unexpected extra argument"),
        (
            [*TRAIN, "--solver", "lbfgs", "--clip-norm", "1"],
            "--clip-norm=1 cannot act on --solver lbfgs.*leave it out, or take --solver adam",
        ),
        (
            [*TRAIN, "--solver", "lbfgs", "--schedule", "cosine"],
            "--schedule=cosine cannot act on --solver lbfgs.*leave it out, or take --solver adam",
        ),
        ([*TRAIN, "--activation", "rleu"], "--activation='rleu' is unknown; did you mean 'relu'"),
        (["explain", "m", "t.csv", "--row", "-1"], "--row=-1; expected a whole number >= 0"),
        (["explain", "m", "t.csv", "--row", "a"], "--row=a; expected a whole number >= 0"),
        (["explain", "m", "t.csv", "--unit", "1"], "--unit=1; expected layer,unit such as 0,5"),
        (["explain", "m", "t.csv", "--weight", ""], "--weight=; expected layer,i,j such as 0,1,2"),
        (["explain"], "chainrule: MODEL and TABLE are missing; give both, or --demo"),
        (["classics", "half-ader"], "chainrule: NAME='half-ader' is unknown.*mean 'half-adder'"),
        (["export", "m", "--to", "onxx"], "--to='onxx' is unknown; did you mean 'onnx'"),
    ],
)
def test_wrong_usage(words, said, run, tmp_path):
    known = words[:1] if words[:1] != ["trian"] else []
    where = " ".join(["chainrule", *known, "--help"])  # that of the command, which has its options
    refused(run(*words), f"{said}.*; see: {where}$", code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_no_command_shows_the_help(run):
    _, out, _ = run()
    assert all(name in out for name in ("train", "predict", "evaluate", "check", "demo"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([*TRAIN, "-o", "there"], "there exists already; choose another name .*--force"),
        ([*TRAIN, "-o", "no/m.chainrule"], "folder no does not exist; create it"),
        ([*TRAIN, "-o", "folder", "--force"], "folder is a folder; name a file in it"),
        ([*TRAIN, "-o", "."], "is a folder; name a file in it"),
        ([*TRAIN, "-o", "t.csv", "--force"], "t.csv is the input; choose another name"),
        ([*TRAIN, "--report", "there"], "there is a file; choose another folder"),
        ([*TRAIN, "--report", "there/x"], "there is a file; choose another folder: --report DIR"),
        ([*TRAIN, "--checkpoint", "there/x"], "there is a file; choose another folder: --check"),
        ([*TRAIN, "-o", ""], "is a folder; name a file in it"),
        ([*TRAIN[:3], "z", "-o", "z.chainrule"], r"no column 'z' in the table.*Columns: a, b, y"),
        (["train", "no.csv", "--target", "y"], "no.csv: no such file"),
        (["predict", "no.chainrule", "t.csv"], "no.chainrule: .*not there; check the name"),
        (["predict", "t.csv", "t.csv"], "t.csv: it is no chainrule model"),
        (["demo", "--folder", "there"], "there is a file; choose another folder"),
        (["demo", "--folder", "there/x"], "there is a file; choose another folder: --folder DIR"),
    ],
)
def test_files_in_the_way(words, said, run, tmp_path):
    (tmp_path / "there").write_text("mine")
    (tmp_path / "folder").mkdir()
    before = {path.name for path in tmp_path.iterdir()}
    refused(run(*words), said)
    assert {path.name for path in tmp_path.iterdir()} == before
    assert (tmp_path / "there").read_text() == "mine"
    assert (tmp_path / "t.csv").read_text() == TABLE


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["evaluate", "--picture", "t.csv"], "output t.csv is the input; .*: --picture FILE"),
        (["evaluate", "--picture", "there"], "there: the suffix must be .png"),
        (["evaluate", "--picture", "there.png"], "there.png exists already"),
        (["evaluate", "--picture", "no/x.png"], "there is no folder no; create it"),
        (["explain", "--html", "t.csv"], "output t.csv is the input; .*: --html FILE"),
        (["explain", "--html", "t.chainrule"], "output t.chainrule is the input"),
        (["explain", "--html", "there"], "there exists already"),
        (["explain", "--html", "no/x.html"], "there is no folder no; create it"),
        (["explain", "--html", "folder"], "folder .*is a folder|folder exists already"),
    ],
)
def test_pictures_and_pages_that_are_in_the_way(words, said, run, monkeypatch, tmp_path):
    without_pictures(monkeypatch)
    assert run(*TRAIN)[0] == 0
    for name in ("there", "there.png"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "folder").mkdir()
    before = contents(tmp_path)
    name, *options = words
    forced = [["--force"]] if "input" in said else []
    for more in ([], *forced):
        refused(run(name, "t.chainrule", "t.csv", *options, *more), said)
    assert contents(tmp_path) == before


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "t.csv", "--force"], "t.csv is the input"),
        (["-o", "t.chainrule", "--force"], "t.chainrule is the input"),
        (["-o", "there.csv"], "there.csv exists already"),
        (["-o", "no/out.csv"], "there is no folder no; create it"),
        (["-o", "out.xlsx"], "out.xlsx: the suffix must be .csv"),
    ],
)
def test_predictions_that_are_in_the_way(words, said, run, tmp_path):
    (tmp_path / "there.csv").write_text("mine")
    assert run(*TRAIN)[0] == 0
    model = (tmp_path / "t.chainrule").read_bytes()
    refused(run("predict", "t.chainrule", "t.csv", *words), said)
    assert (tmp_path / "there.csv").read_text() == "mine"
    assert (tmp_path / "t.csv").read_text() == TABLE
    assert (tmp_path / "t.chainrule").read_bytes() == model


def test_json_is_strict_and_alone_on_standard_output(run):
    for words in (
        [*TRAIN, "--json"],
        ["evaluate", "t.chainrule", "t.csv", "--json"],
        ["check", "t.chainrule", "t.csv", "--json"],
        ["inspect", "t.chainrule", "--json"],
    ):
        code, out, err = run(*words)
        assert (code, err) == (0, "")
        assert out.count("\n") == 1
        json.loads(out, parse_constant=pytest.fail)


@pytest.mark.parametrize("epoch", [1, 2])
def test_ctrl_c_keeps_the_best_weights(epoch, run, monkeypatch, tmp_path):
    """At the end of an epoch; the model is the one of the best epoch before."""

    def interrupt(self, network, history):
        if len(history) == epoch:
            raise KeyboardInterrupt

    monkeypatch.setattr(ProgressBar, "on_epoch_end", interrupt)
    refused(run(*TRAIN), "interrupted; the best weights so far are in t.chainrule", code=130)
    model = load_model(tmp_path / "t.chainrule")[-1]
    losses = [record["validation_loss"] for record in model.history_]
    assert len(losses) == epoch
    assert model.best_epoch_ == np.argmin(losses) + 1
    monkeypatch.undo()


def test_ctrl_c_in_the_first_epoch(run, monkeypatch, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(ReferenceEngine, "_step", interrupt)
    refused(run(*TRAIN, "--engine", "reference"), "interrupted", code=130)
    model = load_model(tmp_path / "t.chainrule")[-1]
    assert "interrupted after 0 epochs" in model.stop_reason_
    assert all(np.isfinite(W).all() for W in model.coefs_)


@pytest.mark.parametrize(
    "place",
    ["chainrule.tables.read_table", "chainrule.callbacks.progress.ProgressBar.on_train_begin"],
)
def test_ctrl_c_outside_of_the_training_writes_nothing(place, run, monkeypatch, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(place, interrupt)
    refused(run(*TRAIN), "interrupted", code=130)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_a_bug_is_one_line_too(run, monkeypatch):
    def broken(*_):
        raise KeyError("surprise")

    monkeypatch.setattr("chainrule.tables.read_table", broken)
    refused(run(*TRAIN), "KeyError: 'surprise'; this is a bug of chainrule: report it .*--debug")


def test_debug_shows_the_traceback(run, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["chainrule", "train", "no.csv", "--target", "y", "--debug"])
    from chainrule import cli

    with pytest.raises(SystemExit):
        cli.main()
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.slow
def test_a_closed_pipe_is_quiet(run, tmp_path):
    """As in `chainrule predict … | head -1`, with more rows than a pipe holds, and with few."""
    assert run(*TRAIN)[0] == 0
    header, *rows = TABLE.splitlines(keepends=True)
    for copies in (1, 50):
        (tmp_path / "new.csv").write_text("".join([header, *rows * copies]))
        program = "from chainrule.cli import main; main()"
        with subprocess.Popen(
            [sys.executable, "-c", program, "predict", "t.chainrule", "new.csv"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path,
        ) as process:  # fmt: skip
            process.stdout.close()
            error = process.stderr.read()
        assert (process.returncode, error) == (141, b""), N * copies
