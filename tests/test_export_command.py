"""The command line's `export`: every format of the table, as a user would ask for it."""

import json
import sys

import numpy as np
import polars as pl
import pytest
from sklearn.pipeline import make_pipeline

from chainrule import FORMATS, MLPClassifier, TableEncoder, cli, export_model, save_model

N = 40
FRAME = pl.DataFrame({"size": [i / 7 for i in range(N)], "town": ["Bern", "Zug"] * (N // 2)})


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run the command line in a folder that holds a model; return exit code, output, errors."""
    model = make_pipeline(TableEncoder(), MLPClassifier((3,), solver="lbfgs", max_iter=5))
    model.fit(FRAME, np.where(np.arange(N) > 20, "big", "small"))
    save_model(model, tmp_path / "town.chainrule", about={"target": "kind"})
    monkeypatch.chdir(tmp_path)

    def run_it(*words):
        monkeypatch.setattr(sys, "argv", ["chainrule", "export", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return (stop.value.code or 0, *capsys.readouterr())

    run_it.model = model
    return run_it


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("to", FORMATS)
def test_every_format(run, tmp_path, to):
    if to == "onnx":
        pytest.importorskip("onnx")
    form = FORMATS[to]
    written = tmp_path / f"town{form.suffix}"
    code, out, _ = run("town.chainrule", "--to", to)
    assert code == 0
    assert out == f"{written.name}: {written.stat().st_size:,} bytes, {form.title}\n"
    first = written.read_bytes()
    code, _, error = run("town.chainrule", "--to", to)
    assert (code, written.read_bytes()) == (1, first)
    assert "exists already" in error
    code, *_ = run("town.chainrule", "--to", to, "--force")
    assert (code, written.read_bytes()) == (0, first)  # the same model, the same bytes
    again = tmp_path / "again" / written.name  # of the same name, which programs take over
    again.parent.mkdir()
    export_model(run.model, again, to, about={"target": "kind"})
    assert again.read_bytes() == first


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_onnx_in_float32_elsewhere(run, tmp_path):
    onnx = pytest.importorskip("onnx")
    (tmp_path / "out").mkdir()
    code, *_ = run("town.chainrule", "--to", "onnx", "--dtype", "float32", "--out", "out/small")
    assert code == 0
    model = onnx.load(tmp_path / "out" / "small")
    assert {each.name: each.type.tensor_type.elem_type for each in model.graph.input} == {
        "size": onnx.TensorProto.FLOAT, "town": onnx.TensorProto.STRING,
    }  # fmt: skip
    about = next(each.value for each in model.metadata_props if each.key == "about")
    assert json.loads(about) == {"target": "kind"}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_goes_wrong_is_one_line(run, tmp_path, monkeypatch):
    for words, code, says in [
        (("town.chainrule",), 2, "--to"),
        (("town.chainrule", "--to", "onxn"), 2, "did you mean 'onnx'?"),
        (("town.chainrule", "--to", "onnx", "--dtype", "half"), 2, "--dtype"),
        (("absent.chainrule", "--to", "onnx"), 1, "absent.chainrule: it is not there"),
        (("town.chainrule", "--to", "onnx", "--out", "no/x.onnx"), 1, "there is no folder"),
        (("town.chainrule", "--to", "onnx", "--out", "town.chainrule", "--force"), 1, "the input"),
        (("town.chainrule", "--to", "c", "-o", "town.chainrule", "--force"), 1, "--output FILE"),
    ]:
        found, out, error = run(*words)
        assert (found, out) == (code, "")
        assert says in error
        assert error.count("\n") == 1
    monkeypatch.setitem(sys.modules, "onnx.defs", None)
    code, _, error = run("town.chainrule", "--to", "onnx")
    assert (code, error.count("\n")) == (1, 1)
    assert "pip install 'chainrule[onnx]'" in error
    assert [path.name for path in tmp_path.iterdir()] == ["town.chainrule"]
