"""Checkpoints: a training that was ended anywhere and goes on is the one that never was."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from chainrule import Network, load_model, read_header, train
from chainrule.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    HistogramRecorder,
    JSONLLogger,
    LearningRateScheduler,
    ModelCheckpoint,
    OnEpoch,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from chainrule.checkpoints import CheckpointFailed, Checkpoints
from chainrule.engine import ENGINES
from chainrule.initializers import Uniform
from chainrule.model_file import ModelFileError
from chainrule.optimizers import OPTIMIZERS, SGD, get_optimizer
from chainrule.schedules import SCHEDULES, ReduceOnPlateau

EPOCHS = 5


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    return request.param


@pytest.fixture(autouse=True)
def no_disk(monkeypatch):
    """Nothing here loses power."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


class CrashAfter(Callback):
    """Ends the training when an epoch is over, before its checkpoint is made."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, network, history):
        if history.records[-1]["epoch"] == self.epoch:
            raise KeyboardInterrupt


def start(seed=1, dtype="float64"):
    return Network([2, 4, 3, 1], "tanh", initializers=Uniform(), seed=seed, dtype=dtype)


def table(n=23):
    X = np.random.default_rng(0).normal(size=(n, 2))
    return X, X[:, :1] * X[:, 1:] + 0.1


def timeless(history):
    return [{k: v for k, v in r.items() if k != "seconds"} for r in history.records]


def outcome(network, history):
    told = vars(history) | {"_records": None, "_blocks": None}
    return network.theta.tobytes(), repr(timeless(history)), told


def run(make_callbacks=tuple, rows=None, dtype="float64", seed=1, **settings):
    network = start(seed, dtype)
    X, Y = rows or table()
    history = train(network, X, Y, callbacks=list(make_callbacks()), **settings)
    return outcome(network, history)


def interrupted_at(folder, epoch, make_callbacks=tuple, every=1, **settings):
    """Train with checkpoints until `epoch` is over, then go on in a fresh network."""
    crashing = [*make_callbacks(), CrashAfter(epoch)]
    with suppress(KeyboardInterrupt):
        run(lambda: crashing, checkpoint=Checkpoints(folder, every), **settings)
    return run(make_callbacks, checkpoint=Checkpoints(folder, every, resume=True), **settings)


def assert_goes_on(folder, make_callbacks=tuple, epochs=EPOCHS, every=1, **settings):
    """Whenever it is ended, it ends up where the undisturbed training does."""
    settings |= {"epochs": epochs}
    undisturbed = run(make_callbacks, **settings)
    assert run(make_callbacks, checkpoint=Checkpoints(folder / "all"), **settings) == undisturbed
    for epoch in range(1, epochs + 1):
        place = folder / str(epoch)
        assert interrupted_at(place, epoch, make_callbacks, every, **settings) == undisturbed


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_on_exactly(engine, name, tmp_path):
    batch = None if get_optimizer(name).full_batch else 5
    assert_goes_on(tmp_path, engine=engine, optimizer=name, batch_size=batch)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_goes_on_exactly(engine, name, tmp_path):
    assert_goes_on(tmp_path, engine=engine, schedule=name, optimizer=SGD(0.1), batch_size=5)


SETTINGS = {
    "dropout": {"dropout": 0.3, "input_dropout": 0.1},
    "clipping": {"clip_norm": 0.05, "clip_value": 0.02},
    "accumulation": {"gradient_accumulation_steps": 2},
    "average": {"ema_decay": 0.9},
    "weight decay": {"weight_decay": 0.01, "optimizer": "adamw"},
    "penalty": {"l1": 0.001, "l2": 0.01},
    "held out": {"validation": 0.3, "metric": lambda y, a: -float(np.abs(a - y).mean())},
    "last weights": {"validation": 0.3, "restore_best_weights": False},
    "patience": {"patience": 1, "min_delta": 10.0},
    "threshold": {"stop_below": 0.35},
    "every row": {"stop_below": 0.01, "stop_rule": "every_row"},
    "few records": {"record_every": 3},
    "best by loss": {"restore_best_weights": True},
    "weights": {"weights": np.arange(23.0)},
    "in order": {"shuffle": False},
    "plateau": {"schedule": ReduceOnPlateau(0.5, patience=1, min_delta=1.0), "validation": 0.3},
    "float32": {"dtype": "float32"},
    "sparse": {"rows": (sparse.csr_array(table()[0]), table()[1])},
    "lbfgs, held out": {"optimizer": "lbfgs", "batch_size": None, "validation": 0.3},
    "own loss": {
        "loss": (lambda a, y: (a - y) ** 2, lambda a, y: 2 * (a - y)), "engine": "reference",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_goes_on_exactly(engine, name, tmp_path):
    usual = {"engine": engine, "batch_size": 5, "optimizer": "adam", "every": 2}
    assert_goes_on(tmp_path, **usual | SETTINGS[name])


def _halve(epoch, rate):
    return rate * 0.75


CALLBACKS = {
    "early stopping": lambda: [EarlyStopping("loss", 1.0, 2)],
    "early stopping, keeping none": lambda: [EarlyStopping("loss", 1.0, 2, False)],
    "plateau": lambda: [ReduceLROnPlateau("loss", 0.5, 2, min_delta=1.0, cooldown=1)],
    "scheduler": lambda: [LearningRateScheduler(_halve)],
    "by batch": lambda: [ByBatch()],
    "no number": lambda: [TerminateOnNaN(), OnEpoch(lambda record: None)],
}


class ByBatch(Callback):
    """Changes the rate by what it counted, and remembers the count."""

    def __init__(self):
        self.batches = 0

    def state(self):
        return {"batches": self.batches}

    def on_train_batch_end(self, network, history, batch):
        self.batches += 1
        self.training.rate = 0.01 / self.batches


@pytest.mark.parametrize("name", CALLBACKS)
def test_every_callback_goes_on_exactly(engine, name, tmp_path):
    settings = {"optimizer": "sgd", "batch_size": 5, "engine": engine, "every": 2}
    assert_goes_on(tmp_path, CALLBACKS[name], **settings)


@pytest.mark.parametrize("epoch", range(1, EPOCHS + 1))
def test_files_and_recordings_go_on_too(engine, epoch, tmp_path):
    """What callbacks leave behind is what an undisturbed training leaves."""

    def callbacks_of(folder):
        return [
            CSVLogger(folder / "log.csv"), JSONLLogger(folder / "log.jsonl"),
            HistogramRecorder(table()[0], bins=5),
            ModelCheckpoint(folder / "best-{epoch}", "loss", save_best_only=True),
        ]  # fmt: skip

    settings = {"epochs": EPOCHS, "engine": engine, "batch_size": 5}
    whole, ours = callbacks_of(tmp_path / "whole"), callbacks_of(tmp_path / "parts")
    expected = run(lambda: whole, **settings)
    place = tmp_path / "checkpoints"
    with pytest.raises(KeyboardInterrupt):
        run(
            lambda: [*callbacks_of(tmp_path / "parts"), CrashAfter(epoch)],
            checkpoint=Checkpoints(place, 2), **settings,
        )  # fmt: skip
    assert run(lambda: ours, checkpoint=Checkpoints(place, 2, resume=True), **settings) == expected
    for name in ("log.csv", "log.jsonl"):
        lines = [(tmp_path / each / name).read_text().splitlines() for each in ("whole", "parts")]
        assert len(lines[0]) == len(lines[1])
    assert repr(whole[2].records) == repr(ours[2].records)
    assert (whole[3].best, whole[3].latest.name) == (ours[3].best, ours[3].latest.name)
    assert (load_model(ours[3].latest).theta == load_model(whole[3].latest).theta).all()


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(sorted(ENGINES)),
    st.sampled_from([name for name in OPTIMIZERS if not get_optimizer(name).full_batch]),
    st.sampled_from(sorted(SCHEDULES)),
    st.integers(1, 30),
    st.integers(1, 3),
    st.integers(1, 6),
    st.integers(1, 8),
    st.sampled_from([0.0, 0.4]),
    st.sampled_from([None, 0.9]),
    st.sampled_from([None, 0.3]),
    st.sampled_from([None, 0, 2]),
)
def test_whatever_is_set_goes_on_exactly(
    tmp_path_factory, engine, optimizer, schedule, batch_size, steps, every, epoch, dropout, ema,
    validation, patience,
):  # fmt: skip
    chosen = {
        "engine": engine, "optimizer": optimizer, "schedule": schedule, "batch_size": batch_size,
        "gradient_accumulation_steps": steps, "dropout": dropout, "ema_decay": ema,
        "validation": validation, "patience": patience, "epochs": 8,
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("checkpoints")
    assert interrupted_at(folder, epoch, every=every, **chosen) == run(**chosen)


def test_time_that_is_over_ends_nothing_for_good(engine, tmp_path, monkeypatch):
    """A training in slices of time, cut within its epochs, is the one without a limit."""
    settings = {"epochs": 4, "engine": engine, "batch_size": 1, "optimizer": "adam"}
    expected = run(**settings)
    place, parts = tmp_path / "parts", 0
    while True:
        limit = 0.0005 * (parts + 1)
        checkpoint = Checkpoints(place, resume=True)
        got = run(checkpoint=checkpoint, time_limit=limit, **settings)
        parts += 1
        if not got[2]["stop_reason"].startswith("time_limit"):
            break
    assert got == expected


def test_lbfgs_goes_on_without_its_costs_and_gradients(tmp_path, monkeypatch):
    """Those that had no room are computed again; others than were met are refused."""
    from chainrule import lbfgs

    room = 5 * start().theta.nbytes
    settings = {"optimizer": "lbfgs", "epochs": 12}
    for most in (0, room):
        monkeypatch.setattr(lbfgs.Tape, "most", most)
        folder = tmp_path / str(most)
        assert interrupted_at(folder, 9, every=4, **settings) == run(**settings)
    folder = tmp_path / "other"
    monkeypatch.setattr(lbfgs.Tape, "most", room)
    with pytest.raises(KeyboardInterrupt):
        run(lambda: [CrashAfter(9)], checkpoint=Checkpoints(folder, 4), **settings)
    evaluate = lbfgs.Objective.evaluate
    monkeypatch.setattr(
        lbfgs.Objective, "evaluate", lambda self, theta: evaluate(self, theta + 1e-12)
    )
    with pytest.raises(ValueError, match="its first 8 iterations, repeated, came out otherwise"):
        run(checkpoint=Checkpoints(folder, 4, resume=True), **settings)


def test_a_training_that_had_ended_is_not_repeated(engine, tmp_path):
    seen = []
    settings = {"epochs": 6, "engine": engine, "checkpoint": Checkpoints(tmp_path, resume=True)}
    first = run(**settings)
    again = run(lambda: [OnEpoch(lambda record: seen.append(record))], **settings)
    assert (again, seen) == (first, [])


def test_the_last_two_are_kept(tmp_path):
    for epoch in (4, 9):
        run(checkpoint=Checkpoints(tmp_path, 2, force=True), epochs=epoch)
        names = sorted(path.name for path in tmp_path.iterdir())
        assert names == [
            "LATEST", f"epoch-{(epoch - 1) // 2 * 2:08d}.checkpoint",
            f"epoch-{epoch:08d}.checkpoint",
        ]  # fmt: skip
        assert (tmp_path / "LATEST").read_text() == f"{names[2]}\n"


def test_one_too_old_that_outlived_a_crash_is_removed(tmp_path):
    """Killed between LATEST and the removal of the oldest, in the end."""
    run(checkpoint=Checkpoints(tmp_path, 1), epochs=6)
    names = sorted(path.name for path in tmp_path.iterdir())
    (tmp_path / "epoch-00000004.checkpoint").write_bytes((tmp_path / names[1]).read_bytes())
    run(checkpoint=Checkpoints(tmp_path, 1, resume=True), epochs=6)
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def damage(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def test_a_damaged_one_is_passed_over(engine, tmp_path):
    settings = {"epochs": 9, "engine": engine}
    expected = run(**settings)
    with pytest.raises(KeyboardInterrupt):
        run(lambda: [CrashAfter(7)], checkpoint=Checkpoints(tmp_path, 3), **settings)
    damage(tmp_path / "epoch-00000006.checkpoint")
    with pytest.warns(CheckpointFailed, match=r"06.checkpoint: its SHA-256.*from epoch-00000003"):
        assert run(checkpoint=Checkpoints(tmp_path, 3, resume=True), **settings) == expected


@pytest.mark.parametrize("latest", ["", "epoch-99999999.checkpoint\n", "../x", "é", None])
def test_latest_is_only_a_hint(latest, tmp_path):
    expected = run(epochs=9)
    with pytest.raises(KeyboardInterrupt):
        run(lambda: [CrashAfter(7)], checkpoint=Checkpoints(tmp_path, 3), epochs=9)
    (tmp_path / "LATEST").unlink()
    if latest is not None:
        (tmp_path / "LATEST").write_text(latest, "utf-8")
    assert run(checkpoint=Checkpoints(tmp_path, 3, resume=True), epochs=9) == expected


def test_nothing_whole_is_no_begin(tmp_path):
    run(checkpoint=Checkpoints(tmp_path, 3), epochs=6)
    for path in tmp_path.glob("*.checkpoint"):
        damage(path)
    with pytest.raises(ModelFileError, match=r"SHA-256 is wrong.*; no other is whole: begin anew"):
        run(checkpoint=Checkpoints(tmp_path, 3, resume=True), epochs=6)


def test_a_folder_in_use_is_not_begun_anew(tmp_path):
    run(checkpoint=Checkpoints(tmp_path), epochs=3)
    with pytest.raises(FileExistsError, match="holds checkpoints of a training; go on with it"):
        run(checkpoint=Checkpoints(tmp_path), epochs=3)
    expected = run(checkpoint=Checkpoints(tmp_path, force=True), epochs=3, seed=5)
    assert run(checkpoint=Checkpoints(tmp_path, resume=True), epochs=3, seed=5) == expected


X, Y = table()
CHANGES = {
    "epochs is 5 and was 4": {"epochs": 5},
    "optimizer is Adam(rate=0.002": {"optimizer": OPTIMIZERS["adam"](0.002)},
    "optimizer is SGD": {"optimizer": "sgd"},
    "schedule is Cosine": {"schedule": "cosine"},
    "batch_size is 7 and was 5": {"batch_size": 7},
    "dropout is [0.0, 0.5, 0.5] and was []": {"dropout": 0.5},
    "loss is Huber": {"loss": "huber"},
    "dtype is 'float32'": {"dtype": "float32"},
    "engine is 'reference' and was 'native'": {"engine": "reference"},
    "metric is len and was None": {"metric": len},
    "callbacks is [EarlyStopping(": {"patience": 3},
    "the values of X are others": {"rows": (X + 1e-9, Y)},
    "the values of Y are others": {"rows": (X, -Y)},
    "the values of weights are others": {"weights": np.ones(23)},
    "the values of validation Y are others": {"validation": (X, Y + 1)},
}


@pytest.mark.parametrize("told", CHANGES)
def test_what_has_changed_is_told(told, tmp_path):
    if len(ENGINES) < 2 and told.startswith("engine"):
        pytest.skip("there is one engine only")
    settings = {"epochs": 4, "batch_size": 5}
    if "validation" in CHANGES[told]:
        settings["validation"] = (X, Y)
    run(checkpoint=Checkpoints(tmp_path), **settings)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    changed = {"rows": (X, Y)} | settings | CHANGES[told]
    rows, network = changed.pop("rows"), start(dtype=changed.pop("dtype", "float64"))
    with pytest.raises(ValueError, match="checkpoints of another training") as caught:
        train(network, *rows, checkpoint=Checkpoints(tmp_path, resume=True), **changed)
    assert told in str(caught.value)
    assert (network.theta == start(dtype=network.dtype).theta).all()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_callback_that_had_failed_stays_out(tmp_path):
    class Fails(ByBatch):
        def on_epoch_end(self, network, history):
            if history.records[-1]["epoch"] == 2:
                raise OSError("no more room")

    settings = {"epochs": 6, "batch_size": 5}
    with pytest.warns(RuntimeWarning, match="no more room"):
        expected = run(lambda: [Fails()], **settings)
    with (
        pytest.warns(RuntimeWarning, match="no more room"),
        pytest.raises(KeyboardInterrupt),
    ):
        run(lambda: [Fails(), CrashAfter(5)], checkpoint=Checkpoints(tmp_path, 2), **settings)
    again = Checkpoints(tmp_path, 2, resume=True)
    assert run(lambda: [Fails()], checkpoint=again, **settings) == expected


@pytest.mark.parametrize("every", [0, -1, 1.5, "2", True])
def test_a_bad_rhythm_is_refused(every):
    with pytest.raises(ValueError, match="must be a whole number >= 1"):
        Checkpoints("x", every)


def test_only_checkpoints_are_taken():
    with pytest.raises(ValueError, match=r"checkpoint='x' must be Checkpoints\(folder\), or None"):
        run(checkpoint="x")


def test_a_checkpoint_is_no_model(tmp_path):
    run(checkpoint=Checkpoints(tmp_path), epochs=1)
    for read in (load_model, read_header):
        with pytest.raises(ModelFileError, match=r"a checkpoint of a training.*: resume=True"):
            read(tmp_path / "epoch-00000001.checkpoint")
