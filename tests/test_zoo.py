"""Zoo: the model files of every version so far are read, and predict what they did."""

import hashlib
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from chainrule import load_model, read_header, save_model
from chainrule.engine import State
from chainrule.estimators import MLPClassifier, MLPRegressor
from chainrule.model_file.versions import ADDED, completed
from chainrule.preprocessing import TableEncoder
from chainrule.tabular import TableModel, predict_table

TESTS = Path(__file__).parent
FILES = sorted((TESTS / "zoo").rglob("*.chainrule"))
VERSIONS = sorted((TESTS / "zoo").iterdir())

each_file = pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name} {p.stem}")


def record(path):
    return json.loads(path.with_suffix(".json").read_text("utf-8"))


def rows(kept):
    return pl.DataFrame(kept) if isinstance(kept, dict) else np.array(kept)


def answer(path, method, given):
    if method == "predict_table":
        return predict_table(TableModel.load(path), given)[0]["prediction"].to_numpy()
    return getattr(load_model(path), method)(given)


@each_file
def test_it_predicts_what_it_did(path):
    """To the last digits but a few: another machine may sum in another order."""
    kept = record(path)
    for method, expected in kept["answers"].items():
        given = np.asarray(answer(path, method, rows(kept["rows"])))
        if given.dtype.kind != "f":
            assert given.tolist() == expected or given.astype(str).tolist() == expected
            continue
        tolerance = 1e-12 if given.dtype == np.float64 else 1e-5
        np.testing.assert_allclose(given, expected, rtol=tolerance, atol=tolerance / 100)


@each_file
def test_it_is_as_it_was_written(path):
    assert hashlib.sha256(path.read_bytes()).hexdigest() == record(path)["sha256"]
    header = read_header(path)
    assert header["chainrule"] == path.parent.name
    json.dumps(header, allow_nan=False)


@each_file
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_training_goes_on(path, tmp_path):
    model, kept = load_model(path), record(path)
    save_model(model, tmp_path / "again.chainrule")
    if hasattr(model, "_states"):
        X = rows(kept["rows"])
        y = getattr(model, "classes_", np.arange(2.0))[np.arange(len(X)) % 2]
        before = model.t_
        model.partial_fit(X, y)
        assert model.t_ == before + len(X)
        assert np.isfinite(model.loss_)


@pytest.mark.parametrize("folder", VERSIONS, ids=lambda folder: folder.name)
def test_a_version_wrote_every_kind(folder):
    names = {path.stem for path in folder.glob("*.chainrule")}
    assert {"network-float32", "classifier-binary", "classifier-multiclass", "pipeline", "encoder",
            "classifier-multilabel", "regressor-squared_error", "regressor-members", "table-model",
            "early-stopping", "average"} <= names  # fmt: skip
    assert sum(path.stat().st_size for path in folder.iterdir()) < 300_000


def test_no_version_is_written_twice():
    done = subprocess.run([sys.executable, TESTS / "make_zoo.py"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "no zoo is written twice" in done.stderr


def keys_of_parts(path):
    """Return what a file holds of each part that a later version may add to."""
    content = path.read_bytes()
    text = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    parts = json.loads(text["__metadata__"]["chainrule"])
    if "estimator" in parts:
        estimator = parts["estimator"]
        yield estimator["class"], estimator["parameters"].keys()
        for state in estimator["fitted"].get("_states", []):
            yield "State", state.keys()
    if "encoder" in parts:
        yield "TableEncoder", parts["encoder"]["params"].keys()


@each_file
def test_what_was_added_since_is_told_to_the_reader(path):
    """Whoever adds a parameter says in ADDED what files from before mean by lacking it."""
    now = {
        "MLPClassifier": set(MLPClassifier().get_params()),
        "MLPRegressor": set(MLPRegressor().get_params()),
        "TableEncoder": set(TableEncoder().get_params()),
        "State": {field.name for field in fields(State)} | {"theta"},
    }
    for what, keys in keys_of_parts(path):
        assert now[what] == keys | ADDED[what].keys(), what


def test_a_file_from_before_an_addition_is_read(monkeypatch):
    path = TESTS / "zoo" / "0.1.0" / "solver-adam.chainrule"
    monkeypatch.setitem(ADDED, "MLPRegressor", {"tol": 0.5, "alpha": 3.0})
    assert load_model(path).alpha == 1e-4  # which the file says itself
    assert completed({"alpha": 1.0}, "MLPRegressor") == {"alpha": 1.0, "tol": 0.5}
