"""Faults: whatever call the disk refuses, what was there is whole and nothing lies about."""

import os
import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

from chainrule import Network, load_model, save_model, train, write_table
from chainrule.checkpoints import CheckpointFailed, Checkpoints
from chainrule.explanation import explain
from chainrule.export import export_model
from chainrule.files import write_whole
from chainrule.plots.saving import save_figure
from chainrule.report import write_report
from chainrule.settings import Settings
from chainrule.tabular import train_table
from faults import KINDS, every_fault, refusal
from refusals import LABELS, X, command, csv

TABLE = pl.DataFrame({"a": [1.0, 2.5, None], "b": ["x", "", "é"]})


@pytest.fixture
def no_drawing(monkeypatch):
    """A picture's bytes, without the time that it takes to draw them."""
    monkeypatch.setattr(
        Figure, "savefig", lambda self, content, **how: content.write(b"a picture" * 99)
    )


def to_html(path):
    told = explain(Network([1, 1], seed=0), [[1.0]], [[2.0]])
    write_whole(path, told.to_html().encode(), force=True)


WRITERS = {
    "model": lambda path: save_model(Network([2, 3, 1], seed=0), path, force=True),
    "table.csv": lambda path: write_table(TABLE, path, force=True),
    "table.csv.gz": lambda path: write_table(TABLE, path, force=True),
    "table.parquet": lambda path: write_table(TABLE, path, force=True),
    "picture.png": lambda path: save_figure(Figure(), path, force=True),
    "explanation.html": to_html,
}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("there", [True, False], ids=["old file", "no file"])
def test_a_file_is_old_or_new_whatever_fails(name, there, tmp_path, no_drawing):
    path = tmp_path / name

    def before():
        path.unlink(missing_ok=True)
        if there:
            path.write_bytes(b"what was there")

    def work():
        WRITERS[name](path)

    before()
    old = contents(tmp_path)
    work()
    new = contents(tmp_path)
    assert new[name] != b"what was there"
    met = 0
    for fault, disk, where in every_fault(work, before):
        with disk.failing(*where):
            said = refusal(work)
        assert contents(tmp_path) == (old if said else new), fault
        assert not said or str(path) in said, fault
        assert disk.failed, fault
        met += 1
    assert met == 2 * 3 + 5 + 2 * 3 + 3  # opens, a write, flushes, a rename


def test_an_export_is_old_or_new_too(tmp_path):
    pytest.importorskip("onnx")
    path, net = tmp_path / "net.onnx", Network([1, 1], seed=0)
    path.write_bytes(b"what was there")
    for fault, disk, where in every_fault(lambda: export_model(net, path, force=True)):
        path.write_bytes(b"what was there")
        with disk.failing(*where):
            said = refusal(lambda: export_model(net, path, force=True))
        assert not said or str(path) in said, fault
        assert (path.read_bytes() == b"what was there") == bool(said), fault
        assert [each.name for each in tmp_path.iterdir()] == ["net.onnx"], fault


@pytest.fixture(scope="module")
def table_model():
    frame = pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": LABELS})
    return train_table(frame, "y", Settings(hidden=(4,), epochs=2, dropout=0.0))


@pytest.mark.slow
def test_a_report_is_made_of_whole_files(table_model, tmp_path, no_drawing):
    folder = tmp_path / "report"

    def before():
        shutil.rmtree(folder, ignore_errors=True)

    def work():
        write_report(table_model, folder, force=True)

    work()
    whole = contents(folder)
    for fault, disk, where in every_fault(work, before):
        if where[2] in ("EIO", "EACCES"):  # as ENOSPC, which the files by themselves show above
            continue
        with disk.failing(*where):
            said = refusal(work)
        assert not said or str(folder) in said, fault
        found = contents(folder)
        assert found.items() <= whole.items(), fault


def learn(folder, resume=False):
    """Return the parameters after 3 epochs, with a checkpoint after each."""
    net, rng = Network([2, 3, 1], "tanh", seed=0), np.random.default_rng(0)
    rows = rng.normal(size=(9, 2))
    keeping = None if folder is None else Checkpoints(folder, 1, resume)
    train(net, rows, rows[:, :1], epochs=3, batch_size=4, patience=9, checkpoint=keeping)
    return net.theta.tobytes()


@pytest.mark.parametrize(
    "kinds", [("ENOSPC", "short"), pytest.param(KINDS["write"], marks=pytest.mark.slow)]
)
def test_no_fault_ends_a_training_or_spoils_its_checkpoints(kinds, tmp_path):
    """It is told, the training goes on, and what was kept is enough to go on from."""
    folder, expected, told = tmp_path / "kept", learn(None), 0

    def before():
        shutil.rmtree(folder, ignore_errors=True)

    for fault, disk, where in every_fault(lambda: learn(folder), before):
        if where[2] not in kinds:
            continue
        with disk.failing(*where), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            ended = []
            said = refusal(lambda ended=ended: ended.append(learn(folder)))
        assert ended == ([] if said else [expected]), fault
        if said:  # before the first update
            assert str(folder) in said, fault
            assert not list(folder.iterdir()), fault
        for each in caught:
            assert each.category is CheckpointFailed, fault
            assert str(folder) in str(each.message), fault
            told += 1
        names = [path.name for path in folder.iterdir()]
        assert not [name for name in names if name.endswith(".part")], fault
        assert len(names) <= 4, fault  # LATEST, two, and one that LATEST does not name yet
        assert learn(folder, resume=True) == expected, fault
    assert told > 20


def test_a_disk_that_is_full_for_good_ends_no_training(tmp_path, monkeypatch):
    def full(descriptor, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert learn(tmp_path) == learn(None)
    said = [str(each.message) for each in caught]
    assert said[0].startswith(f"no checkpoint of epoch 1; the training goes on: {tmp_path}")
    assert len(said) == 3
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_command_line_tells_of_a_disk_in_one_line(tmp_path, monkeypatch, capsys, no_drawing):
    """A fault ends `train` with exit code 1 and a path, or with a model that is whole."""
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text(csv({"a": X[:, 0], "b": X[:, 1], "y": LABELS}))
    words = ["train", "t.csv", "--target", "y", "--epochs", "2", "--hidden", "4", "--dropout", "0"]

    def work():
        return command(monkeypatch, capsys, *words, "--checkpoint", "kept")

    def before():
        for path in tmp_path.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != "t.csv":
                path.unlink()

    failed = 0
    for fault, disk, where in every_fault(work, before):
        if where[2] != "ENOSPC":
            continue
        with disk.failing(*where):
            code, _, said = work()
        assert code in (0, 1), fault
        if code:
            failed += 1
            assert re.fullmatch(r"chainrule: \S+: .*\(No space left on device\).*\n", said), fault
        if Path("t.chainrule").exists():
            load_model("t.chainrule")
        names = [path.name for path in tmp_path.rglob("*")]
        assert not [name for name in names if name.endswith(".part")], fault
    assert failed > 10
