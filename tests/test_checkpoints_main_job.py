"""Checkpoints of the main job: estimators and `chainrule train`, ended and gone on with."""

import json
import os
import re
import signal
from datetime import datetime
from pathlib import Path

import pytest

from chainrule import (
    Checkpoints,
    MLPClassifier,
    MLPRegressor,
    Network,
    __version__,
    load_model,
    save_model,
)
from chainrule.callbacks import OnEpoch, ProgressBar
from chainrule.checkpoints import CheckpointFailed
from refusals import LABELS, NUMBERS, X, command, csv, refused

TABLE = csv({"a": X[:, 0], "b": X[:, 1], "y": ["yes" if label else "no" for label in LABELS]})
TRAIN = ("train", "t.csv", "--target", "y", "--epochs", "9", "--hidden", "4", "--batch-size", "8")
KEPT = ("--checkpoint", "kept", "--every", "2")


def crash_after(epoch):
    def crash(record):
        if record["epoch"] == epoch:
            raise KeyboardInterrupt

    return [OnEpoch(crash)]


ESTIMATORS = {
    "classifier": lambda **p: MLPClassifier((4,), early_stopping=True, dropout=0.2, **p),
    "regressor": lambda **p: MLPRegressor(
        hidden_layer_sizes=(4,), ema_decay=0.9, scale_X="standard", **p
    ),
    "adaptive": lambda **p: MLPRegressor(
        hidden_layer_sizes=(4,), solver="sgd", learning_rate="adaptive", **p
    ),
    "lbfgs": lambda **p: MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", **p),
}


def learnt(model):
    records = [{k: v for k, v in r.items() if k != "seconds"} for r in model.history_]
    weights = [part.tobytes() for part in [*model.coefs_, *model.intercepts_]]
    return weights, repr(records), model.stop_reason_, model.best_epoch_, repr(model.loss_curve_)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.filterwarnings("ignore:(Stochastic|lbfgs|Training)")
def test_every_estimator_goes_on_exactly(name, tmp_path):
    y = LABELS if name == "classifier" else NUMBERS
    settings = {"max_iter": 9, "random_state": 3}
    expected = learnt(ESTIMATORS[name](**settings).fit(X, y))
    for epoch in (1, 4, 7):
        place = Checkpoints(tmp_path / str(epoch), 2)
        ended = ESTIMATORS[name](callbacks=crash_after(epoch), **settings)
        ended.fit(X, y, checkpoint=place)
        assert ended.stop_reason_ == f"interrupted after {epoch} epochs"
        place.resume = True
        model = ESTIMATORS[name](**settings).fit(X, y, checkpoint=place)
        assert learnt(model) == expected


@pytest.mark.filterwarnings("ignore:Stochastic")
def test_members_have_folders_of_their_own(tmp_path):
    place = Checkpoints(tmp_path, 3, resume=True)
    settings = {"max_iter": 7, "random_state": 3, "n_estimators": 2, "hidden_layer_sizes": (4,)}
    expected = learnt(MLPClassifier(**settings).fit(X, LABELS))
    for _ in range(2):
        assert learnt(MLPClassifier(**settings).fit(X, LABELS, checkpoint=place)) == expected
    assert sorted(os.listdir(tmp_path)) == ["member-1", "member-2"]
    for member in ("member-1", "member-2"):
        assert (tmp_path / member / "LATEST").read_text() == "epoch-00000007.checkpoint\n"


@pytest.mark.filterwarnings("ignore:Stochastic")
def test_another_seed_is_told(tmp_path):
    place = Checkpoints(tmp_path, resume=True)
    MLPClassifier((4,), max_iter=3, random_state=0).fit(X, LABELS, checkpoint=place)
    with pytest.raises(ValueError, match=r"another training: seed is \d+ and was \d+; resume with"):
        MLPClassifier((4,), max_iter=3, random_state=1).fit(X, LABELS, checkpoint=place)


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Write TABLE, and run the command line beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("chainrule.report.write_report", lambda *given, **named: [])
    Path("t.csv").write_text(TABLE)
    return lambda *words: command(monkeypatch, capsys, *words)


def interrupt_at(monkeypatch, look, act):
    """Have `act` called at the progress bar's look of that number, counted over all trainings."""
    looks = []

    def counted(self, network, history):
        looks.append(self)
        if len(looks) == look:
            act()

    monkeypatch.setattr(ProgressBar, "on_epoch_end", counted)


def ctrl_c():
    raise KeyboardInterrupt


def weights_of(path):
    return [part.tobytes() for part in load_model(path)[-1].coefs_]


@pytest.mark.parametrize("look", [1, 9, 14])  # in the first of two trainings, the second
def test_the_command_line_goes_on_exactly(look, run, monkeypatch, tmp_path):
    code, _, _ = run(*TRAIN, "-o", "whole.chainrule")
    assert code == 0
    with monkeypatch.context() as patch:
        interrupt_at(patch, look, ctrl_c)
        said = "so far are in t.chainrule; go on with --checkpoint kept --resume --force"
        refused(run(*TRAIN, *KEPT), said, code=130)
    code, _, err = run(*TRAIN, *KEPT, "--resume", "--force", "--json")
    assert (code, err) == (0, "")
    assert weights_of("t.chainrule") == weights_of("whole.chainrule")
    assert sorted(os.listdir("kept")) == ["dropout-0", "dropout-0.4"]


def test_sigterm_ends_as_ctrl_c_does(run, monkeypatch, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    interrupt_at(monkeypatch, 4, lambda: os.kill(os.getpid(), signal.SIGTERM))
    refused(run(*TRAIN), "interrupted; the best weights so far are in t.chainrule", code=143)
    assert 3 <= len(load_model("t.chainrule")[-1].history_) <= 9
    assert signal.getsignal(signal.SIGTERM) is before
    monkeypatch.setattr("chainrule.tables.read_table", lambda path: os.kill(os.getpid(), 15))
    refused(run(*TRAIN, "--force"), "interrupted", code=143)
    monkeypatch.setattr("chainrule.tables.read_table", lambda path: ctrl_c())
    refused(run(*TRAIN, "--force"), "interrupted", code=130)


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["--resume"], "--resume needs a folder; expected --checkpoint DIR", 2),
        (["--every", "3"], "--every needs a folder; expected --checkpoint DIR", 2),
        (["--checkpoint", "kept", "--every", "0"], "--every=0; expected a whole number >= 1", 2),
        (["--checkpoint", "t.csv"], "t.csv is a file; choose another folder: --checkpoint", 1),
        (["--checkpoint", "used"], "used holds something already; go on from it with --resume", 1),
    ],
)
def test_words_that_cannot_be(words, said, code, run, tmp_path):
    Path("used").mkdir()
    Path("used/mine").write_text("mine")
    refused(run(*TRAIN, *words), said, code=code)
    assert sorted(os.listdir()) == ["t.csv", "used"]


def test_what_has_changed_is_told(run, tmp_path):
    assert run(*TRAIN, *KEPT)[0] == 0
    again = [*TRAIN, *KEPT, "--resume", "--force"]
    refused(run(*again, "--learning-rate", "0.5"), r"optimizer is Adam\(rate=0.5, .*and was Adam")
    Path("t.csv").write_text(TABLE.replace("no", "yes", 1))
    refused(run(*again), "another training: the values of .* are others; resume with what it began")
    assert run(*TRAIN, *KEPT, "--force")[0] == 0


def test_inspect_tells_what_is_kept(run, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_at(patch, 14, ctrl_c)  # in the second of two trainings
        assert run(*TRAIN, *KEPT)[0] == 130
    code, out, err = run("inspect", "kept", "--json")
    assert (code, err) == (0, "")
    first, second = json.loads(out)["checkpoints"]
    assert [Path(each["path"]).parent.name for each in (first, second)] == [
        "dropout-0", "dropout-0.4",
    ]  # fmt: skip
    whole, part = sorted((first, second), key=lambda each: -each["epoch"])
    assert (whole["epoch"], whole["finished"], whole["stop_reason"]) == (
        9,
        True,
        "reached 9 epochs",
    )
    assert (part["epoch"], part["finished"], part["stop_reason"]) == (4, False, None)
    assert part["last"]["epoch"] == 4
    assert part["kept"] == ["epoch-00000004.checkpoint", "epoch-00000002.checkpoint"]
    for each in (first, second):
        assert each["bytes"] == os.path.getsize(each["path"])
        assert datetime.fromisoformat(each["written"]).timestamp() == pytest.approx(
            os.path.getmtime(each["path"]), abs=1
        )
        assert (each["format"], each["chainrule"]) == (1, __version__)
        plan = each["plan"]
        assert (plan["sizes"], plan["epochs"], plan["batch_size"]) == ("[2, 4, 1]", "9", "8")
    assert first["data"] == second["data"]
    assert len(first["data"]["validation Y"]) == 64
    code, out, _ = run("inspect", part["path"])
    assert code == 0
    assert re.search(r"^epoch +4 of 9", out, re.MULTILINE)
    assert re.search(r"^finished +False", out, re.MULTILINE)


def test_inspect_tells_of_damage(run):
    run(*TRAIN, *KEPT, "--dropout", "0")
    (folder,) = Path("kept").iterdir()
    older, path = sorted(folder.glob("*.checkpoint"))
    path.write_bytes(path.read_bytes()[:-1])
    (told,) = json.loads(run("inspect", "kept", "--json")[1])["checkpoints"]
    assert told["epoch"] == 8
    assert [re.search("cut short", damage) is not None for damage in told["damaged"]] == [True]
    refused(run("inspect", path), "09.checkpoint: it is cut short")
    older.write_bytes(b"")
    refused(run("inspect", "kept"), "09.checkpoint: .*cut short.*no other is whole")
    save_model(Network([1, 1]), path, force=True)
    refused(run("inspect", path), "it holds a 'Network'; expected a checkpoint")
    Path("nothing").mkdir()
    refused(run("inspect", "nothing"), "folder without checkpoints; expected a model file, or")
    refused(run("inspect", "no.checkpoint"), "no.checkpoint: it is not there")


def test_a_checkpoint_that_failed_is_a_note(run, monkeypatch, tmp_path):
    def fail(self, epoch, snapshot):
        import warnings

        warnings.warn(CheckpointFailed(f"no checkpoint of epoch {epoch}"), stacklevel=2)

    monkeypatch.setattr(Checkpoints, "keep", fail)
    code, out, _ = run(*TRAIN, *KEPT)
    assert code == 0
    assert "no checkpoint of epoch 2\n" in out
