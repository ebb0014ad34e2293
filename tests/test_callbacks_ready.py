"""The ready-made callbacks, each against an independent truth."""

import csv
import io
import json
import os
import re
import struct
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import (
    Callback,
    CallbackFailed,
    CSVLogger,
    EarlyStopping,
    JSONLLogger,
    LearningRateScheduler,
    MLflow,
    ModelCheckpoint,
    ProgressBar,
    ReduceLROnPlateau,
    TensorBoard,
    TerminateOnNaN,
    TimeLimit,
    load_model,
    loop,
    read_header,
)
from chainrule.callbacks import progress, stopping, trackers
from chainrule.engine import ENGINES
from chainrule.history import History
from chainrule.initializers import Uniform
from chainrule.loop import Diverged
from chainrule.network import Network
from chainrule.optimizers import LBFGS, SGD, Adam
from chainrule.schedules import ReduceOnPlateau
from chainrule.training import train


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    return request.param


def start(sizes=(2, 3, 1)):
    return Network(sizes, "tanh", initializers=Uniform(), seed=1)


def table(n=12):
    X = np.random.default_rng(0).normal(size=(n, 2))
    return X, X[:, :1] * X[:, 1:]


class Every(Callback):
    """Has the loop look after every epoch, and keeps the weights."""

    def __init__(self):
        self.after = []

    def on_epoch_end(self, network, history):
        self.after.append(network.theta.copy())


def measured(numbers):
    """Return a metric that is these numbers, one after the other."""
    numbers = iter(numbers)
    return lambda targets, outputs: next(numbers)


# Rates


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.sampled_from([0.1, 0.2, 0.25, 0.3, 0.5, 1.0]), min_size=1, max_size=25),
    patience=st.integers(1, 4),
    cooldown=st.integers(0, 4),
    min_delta=st.sampled_from([0.0, 0.07]),
    min_lr=st.sampled_from([0.0, 0.02]),
    mode=st.sampled_from(["min", "max"]),
)
def test_reduce_lr_on_plateau_is_as_pytorchs(values, patience, cooldown, min_delta, min_lr, mode):
    """PyTorch reduces when more than `patience` epochs are bad, and its cooldown begins later."""
    torch = pytest.importorskip("torch")
    theirs = torch.optim.SGD([torch.zeros(1)], lr=0.5)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        theirs, mode, factor=0.3, patience=patience - 1, threshold=min_delta,
        threshold_mode="abs", cooldown=max(cooldown - 1, 0), min_lr=min_lr, eps=0.0,
    )  # fmt: skip
    expected = []
    for value in values:
        expected.append(theirs.param_groups[0]["lr"])
        scheduler.step(value)
    ours = ReduceLROnPlateau("metric", 0.3, patience, mode, min_delta, cooldown, min_lr)
    options = {"optimizer": SGD(0.5), "epochs": len(values), "metric": measured(values)}
    history = train(start(), *table(), callbacks=[ours], **options)
    assert history["rate"] == pytest.approx(expected, rel=1e-14)


@settings(max_examples=25, deadline=None)
@given(
    patience=st.integers(0, 4),
    cooldown=st.integers(0, 3),
    rate=st.sampled_from([0.3, 1.5]),
    min_delta=st.sampled_from([0.0, 0.01]),
)
@pytest.mark.parametrize("name", sorted(ENGINES))
def test_it_looks_no_more_often_than_it_must(name, patience, cooldown, rate, min_delta):
    """As if it looked after every epoch, bit for bit."""
    nets, histories = [start(), start()], []
    for net, more in zip(nets, ([], [Every()]), strict=True):
        plateau = ReduceLROnPlateau("loss", 0.5, patience, "auto", min_delta, cooldown)
        options = {"optimizer": SGD(rate, 0.9), "epochs": 40, "batch_size": 6, "engine": name}
        histories.append(train(net, *table(), callbacks=[plateau, *more], **options))
    assert nets[0].theta.tobytes() == nets[1].theta.tobytes()
    assert histories[0]["rate"] == histories[1]["rate"]


def test_both_ways_to_reduce_on_a_plateau_are_one(engine):
    """The schedule waits one epoch more by the same number."""
    nets = [start(), start()]
    options = {"optimizer": SGD(1.5, 0.9), "epochs": 60, "batch_size": 6, "engine": engine}
    callback = ReduceLROnPlateau("loss", 0.5, 4, min_delta=0.0)
    theirs = train(nets[0], *table(), callbacks=[callback], **options)
    schedule = ReduceOnPlateau(0.5, 3, min_delta=0.0, lowest=0.0)
    ours = train(nets[1], *table(), schedule=schedule, **options)
    assert len(set(theirs["rate"])) > 3
    assert theirs["rate"] == ours["rate"]
    assert nets[0].theta.tobytes() == nets[1].theta.tobytes()


# Stopping


def stopped(values, **words):
    """Return after how many epochs early stopping ends a training with these metrics."""
    words = {"monitor": "metric", "mode": "min", "restore_best_weights": False} | words
    options = {"epochs": len(values), "metric": measured(values)}
    return len(train(start(), *table(), callbacks=[EarlyStopping(**words)], **options))


def test_early_stopping_has_keras_further_settings():
    falls = [5, 4, 3, 2, 1, 0]
    assert stopped(falls, patience=1) == 6
    assert stopped(falls, patience=1, mode="max") == 3
    assert stopped(falls, patience=1, mode="auto") == 3  # a metric is to rise
    assert stopped(falls, patience=1, min_delta=1.5) == 3
    assert stopped(falls, patience=1, baseline=0.5) == 6  # each epoch improves on the last
    assert stopped([5, 4, 4, 3, 3], patience=1, baseline=0.5) == 3
    assert stopped(falls, patience=1, baseline=4.5) == 6
    assert stopped([-v for v in falls], patience=1, mode="max", baseline=-4.5) == 6
    assert stopped([1, 2, 3, 3, 3, 3, 2, 2, 2, 2], patience=2, start_from_epoch=3) == 10
    assert stopped([1, 2, 3, 3, 3, 3, 3, 3], patience=2, start_from_epoch=3) == 7


def test_weights_before_start_from_epoch_are_not_kept(engine):
    net, every = start(), Every()
    late = EarlyStopping("metric", patience=9, mode="min", start_from_epoch=2)
    options = {"metric": measured([0, 5, 2, 1, 3]), "epochs": 5, "engine": engine}
    history = train(net, *table(), callbacks=[every, late], **options)
    assert history.best_epoch == 4
    assert (net.theta == every.after[3]).all()


@pytest.mark.parametrize("name", ["validation_loss", "val_loss"])
def test_kerass_word_for_the_validation_loss_is_known(name):
    nets = [start(), start()]
    for net, monitor in zip(nets, ("auto", name), strict=True):
        options = {"validation": 0.3, "epochs": 9, "batch_size": 4}
        train(net, *table(), callbacks=[EarlyStopping(monitor)], **options)
    assert (nets[0].theta == nets[1].theta).all()


def clock(monkeypatch, room, step):
    """Have a room's clock go on by `step` seconds whenever it is looked at."""
    now = [0.0]

    def monotonic():
        now[0] += step
        return now[0]

    monkeypatch.setattr(room, "monotonic", monotonic)


def test_the_time_limit_ends_a_training(engine, monkeypatch):
    clock(monkeypatch, stopping, 1.0)
    monkeypatch.setattr(loop, "MOST_RECORDS", 1)
    history = train(start(), *table(), callbacks=[TimeLimit(6.5)], engine=engine)
    assert len(history) == 7  # the clock was looked at once before
    assert history.stop_reason == "the time limit of 6.5 s is over"


def test_the_time_limit_ends_a_training_within_an_epoch(monkeypatch):
    clock(monkeypatch, stopping, 1.0)
    monkeypatch.setattr(loop, "SLICE", 0.0)
    options = {"batch_size": 1, "engine": "reference"}
    history = train(start(), *table(), callbacks=[TimeLimit(6.5)], **options)
    assert len(history) == 0
    assert history.stop_reason == "the time limit of 6.5 s is over"


@pytest.mark.parametrize("optimizer", [Adam(), LBFGS()])
def test_the_time_limit_suits_every_optimizer(engine, optimizer, monkeypatch):
    clock(monkeypatch, stopping, 10.0)
    options = {"optimizer": optimizer, "engine": engine}
    history = train(start(), *table(), callbacks=[TimeLimit(1.0)], **options)
    assert "time limit" in history.stop_reason


def spoilt(**options):
    """Train a network in whose second layer an infinity appears after three epochs."""
    net, every, history = start(), Every(), History()

    class Spoil(Callback):
        def on_epoch_end(self, network, history):
            if len(history) == 3:
                network.W[1][0] = np.inf

    options["callbacks"] = [every, Spoil(), *options.get("callbacks", ())]
    train(net, *table(), batch_size=6, history=history, **options)
    return net, every, history


def test_terminate_on_nan_is_on_by_default_and_ends_by_value_when_asked(engine):
    with pytest.raises(Diverged) as error:
        spoilt(engine=engine)
    net, every, history = spoilt(callbacks=[TerminateOnNaN()], engine=engine)
    assert history.stop_reason == str(error.value)
    assert "update 7 (epoch 4), in the outputs of layer 2 of 2" in history.stop_reason
    best = int(np.argmin(history["loss"]))
    assert history.best_epoch == best + 1
    assert (net.theta == every.after[best]).all()


def test_terminate_on_nan_with_nothing_learnt_raises(engine):
    net = Network([1, 1], ["exp"], initializers="zeros")
    net.W[0][:] = 1e3
    with pytest.raises(Diverged, match=r"at update 1 \(epoch 1\)"):
        train(net, [[1.0]], [[1.0]], loss="poisson", callbacks=[TerminateOnNaN()], engine=engine)


# Files


def test_a_csv_log_gives_back_the_history(engine, tmp_path):
    path = tmp_path / "new" / "log.csv"
    options = {"epochs": 5, "validation": 0.3, "engine": engine}
    history = train(start(), *table(), callbacks=[CSVLogger(path)], **options)
    rows = list(csv.DictReader(lines(path)))
    assert len(rows) == 5
    for row, record in zip(rows, history.records, strict=True):
        norms = record.pop("layer_gradient_norms")
        assert [float(row.pop(f"layer_gradient_norms_{l}")) for l in (1, 2)] == norms
        assert {k: None if v == "" else float(v) for k, v in row.items()} == record


def test_a_csv_log_goes_on_or_begins_anew(tmp_path):
    path = tmp_path / "log.tsv"
    options = {"epochs": 2, "validation": 0.3}

    def run(net=(2, 3, 1), **words):
        train(start(net), *table(), callbacks=[CSVLogger(path, separator="\t", **words)], **options)
        return [line.split("\t")[0] for line in lines(path)]

    assert run() == ["epoch", "1", "2"]
    assert run(append=True) == ["epoch", "1", "2", "1", "2"]
    before = path.read_text("utf-8")
    with pytest.raises(ValueError, match=r"has the columns .*expected .*layer_gradient_norms_3"):
        run((2, 3, 3, 1), append=True)
    assert path.read_text("utf-8") == before
    assert run() == ["epoch", "1", "2"]


def test_a_log_is_there_while_the_training_goes_on(tmp_path):
    path, seen = tmp_path / "log.csv", []

    class Read(Every):
        def on_epoch_end(self, network, history):
            seen.append(len(lines(path)))

    train(start(), *table(), epochs=3, callbacks=[CSVLogger(path), Read()])
    assert seen == [2, 3, 4]


def lines(path):
    return path.read_text("utf-8").splitlines()


def test_a_json_log_gives_back_the_history(engine, tmp_path):
    path = tmp_path / "log.jsonl"
    options = {"epochs": 4, "metric": measured([0.5, np.nan, -np.inf, 1.0] * 2), "engine": engine}
    history = train(start(), *table(), callbacks=[JSONLLogger(path)], **options)
    records = [json.loads(line, parse_constant=pytest.fail) for line in lines(path)]
    assert [r.pop("metric") for r in records] == [0.5, None, None, 1.0]
    assert [{k: v for k, v in r.items() if k != "metric"} for r in history.records] == records
    train(start(), *table(), callbacks=[JSONLLogger(path, append=True)], **options)
    assert len(lines(path)) == 8


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no disk that is always full")
@pytest.mark.parametrize("logger", [CSVLogger, JSONLLogger])
def test_a_full_disk_loses_the_log_and_no_model(logger):
    nets = [start(), start()]
    train(nets[0], *table(), epochs=3)
    with pytest.warns(CallbackFailed, match="No space left"):
        train(nets[1], *table(), epochs=3, callbacks=[logger("/dev/full")])
    assert (nets[0].theta == nets[1].theta).all()


def test_checkpoints_hold_the_network_of_their_epoch(engine, tmp_path):
    every = Every()
    saving = ModelCheckpoint(tmp_path / "{epoch}" / "net-{val_loss:.6f}.chainrule", every=2)
    options = {"epochs": 5, "validation": 0.3, "engine": engine}
    history = train(start(), *table(), callbacks=[every, saving], **options)
    for epoch in (2, 4):
        record = history.records[epoch - 1]
        path = tmp_path / str(epoch) / f"net-{record['validation_loss']:.6f}.chainrule"
        assert (load_model(path).theta == every.after[epoch - 1]).all()
        about = read_header(path)["about"]
        assert about.items() <= record.items()
        assert about["epoch"] == epoch
    assert saving.latest == path
    assert sorted(p.name for p in tmp_path.iterdir()) == ["2", "4"]


def test_a_checkpoint_need_not_look_in_between(engine, monkeypatch, tmp_path):
    asked, advance = [], ENGINES[engine].advance
    monkeypatch.setattr(loop, "SLICE", np.inf)

    def count(self, state, epochs, seconds, every):
        asked.append(epochs)
        return advance(self, state, epochs, seconds, every)

    monkeypatch.setattr(ENGINES[engine], "advance", count)
    saving = ModelCheckpoint(tmp_path / "{epoch}", every=4)
    train(start(), *table(), epochs=10, callbacks=[saving], engine=engine)
    assert asked == [4, 4, 2]
    asked.clear()
    monkeypatch.setattr(loop, "MOST_RECORDS", 3)  # as where a slice of time ends in between
    every = Every()
    every.next_look = lambda: np.inf
    train(start(), *table(), epochs=10, callbacks=[saving, every], engine=engine)
    assert asked == [3, 1, 3, 1, 2]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["4", "8"]
    assert (load_model(tmp_path / "8").theta == every.after[7]).all()


def test_the_best_checkpoint_is_overwritten_by_better_ones_only(engine, tmp_path):
    path, every = tmp_path / "best.chainrule", Every()
    saving = ModelCheckpoint(path, "metric", save_best_only=True)
    options = {"metric": measured([1, 3, 2, 3, 0]), "epochs": 5, "engine": engine}
    train(start(), *table(), callbacks=[every, saving], **options)
    assert (load_model(path).theta == every.after[1]).all()
    assert read_header(path)["about"]["metric"] == 3


@pytest.mark.parametrize("path", ["{score}.chainrule", "{val_loss}.chainrule", "{epoch:q}", "{"])
def test_a_checkpoint_refuses_names_that_nothing_has(path):
    with pytest.raises(ValueError, match=r"filepath=.* cannot be filled in .*braces: epoch, "):
        train(start(), *table(), callbacks=[ModelCheckpoint(path)])


def test_a_checkpoint_saves_what_the_loop_calls_the_model(tmp_path):
    """As the estimators have it save themselves."""
    other = Network([5, 1], seed=3)

    class Other(ModelCheckpoint):
        def on_train_begin(self, network, history):
            self.training.model = lambda: other
            super().on_train_begin(network, history)

    train(start(), *table(), epochs=1, callbacks=[Other(tmp_path / "other")])
    assert (load_model(tmp_path / "other").theta == other.theta).all()


# People and programs


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_is_drawn_ten_times_a_second_and_leaves_nothing(engine, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    clock(monkeypatch, progress, 0.03)
    screen, described = Terminal(), []

    class Bar(ProgressBar):
        def on_train_begin(self, network, history):
            super().on_train_begin(network, history)
            update = self._bar.update
            self._bar.update = lambda *given, **new: described.append(new) or update(*given, **new)

    options = {"epochs": 30, "validation": 0.3, "metric": measured(range(30)), "engine": engine}
    history = train(start(), *table(), callbacks=[Bar(screen)], **options)
    looks = [each["completed"] for each in described if "description" in each]
    assert looks == list(range(4, 31, 4))
    record = history.records[3]
    expected = f"loss {record['loss']:.4g} validation {record['validation_loss']:.4g} metric 3"
    assert described[0]["description"] == expected
    assert "30" in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[2K") or "\x1b[1A\x1b[2K" in screen.getvalue()


def test_without_a_terminal_there_are_plain_lines(engine, monkeypatch):
    clock(monkeypatch, progress, 2.0)
    file = io.StringIO()
    options = {"epochs": 9, "engine": engine}
    history = train(start(), *table(), callbacks=[ProgressBar(file)], **options)
    expected = [f"epoch {k}/9 loss {history['loss'][k - 1]:.4g}" for k in (3, 6, 9)]
    assert file.getvalue().splitlines() == expected


def events(folder):
    """Return {tag: {step: value}} of the event files in a folder, read by their format."""
    proto = pytest.importorskip("tensorboardX.proto.event_pb2")
    scalars = {}
    for path in folder.iterdir():
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            event = proto.Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            for value in event.summary.value:
                scalars.setdefault(value.tag, {})[event.step] = value.simple_value
    return scalars


@pytest.mark.parametrize("validation", [None, 0.3])
def test_tensorboard_reads_back_the_history(engine, validation, tmp_path):
    pytest.importorskip("tensorboardX")
    options = {"epochs": 6, "metric": measured(range(6)), "engine": engine}
    board = TensorBoard(tmp_path, every=2)
    history = train(start(), *table(), validation=validation, callbacks=[board], **options)
    train_run = events(tmp_path / "train")
    pairs = [(train_run, "epoch_loss", "loss"), (train_run, "epoch_rate", "rate")]
    pairs.append((train_run, "epoch_gradient_norm", "gradient_norm"))
    if validation is None:
        pairs.append((train_run, "epoch_metric", "metric"))
        assert not (tmp_path / "validation").exists()
    else:
        held_out = events(tmp_path / "validation")
        pairs.append((held_out, "epoch_loss", "validation_loss"))
        pairs.append((held_out, "epoch_metric", "metric"))
    for scalars, tag, key in pairs:
        assert scalars[tag] == {k: pytest.approx(history[key][k - 1], rel=1e-6) for k in (2, 4, 6)}


def missing(monkeypatch, *names):
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)  # Python's word for: not to be found


def test_what_is_not_installed_is_told_before_the_training(monkeypatch):
    missing(monkeypatch, "tensorboardX", "tensorboard.summary", "mlflow")
    with pytest.raises(ImportError, match="pip install tensorboardX"):
        TensorBoard("logs")
    with pytest.raises(ImportError, match="pip install mlflow"):
        MLflow()


def test_tensorboards_own_writer_will_do(monkeypatch, tmp_path):
    class Writer:
        def __init__(self, folder):
            self.added = made.setdefault(folder, [])

        def add_scalar(self, tag, value, step):
            self.added.append((tag, step))

        def close(self):
            self.added.append("closed")

    made = {}
    missing(monkeypatch, "tensorboardX")
    monkeypatch.setitem(sys.modules, "tensorboard", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "tensorboard.summary", SimpleNamespace(Writer=Writer))
    train(start(), *table(), epochs=1, callbacks=[TensorBoard(tmp_path)])
    tags = ["epoch_loss", "epoch_rate", "epoch_gradient_norm"]
    assert made == {str(tmp_path / "train"): [*((tag, 1) for tag in tags), "closed"]}


class FakeMLflow(SimpleNamespace):
    """Keeps what MLflow's functions of the same names are given."""

    def __init__(self, active):
        self.run, self.parameters, self.metrics, self.tags, self.ended = active, {}, {}, {}, 0

    def active_run(self):
        return self.run

    def start_run(self):
        self.run = "of its own"

    def end_run(self):
        self.run, self.ended = None, self.ended + 1

    def log_params(self, parameters):
        self.parameters |= parameters

    def log_metrics(self, metrics, step):
        self.metrics[step] = metrics

    def set_tag(self, key, value):
        self.tags[key] = value


@pytest.mark.parametrize("active", ["the user's", None])
def test_mlflow_has_parameters_metrics_and_why_it_ended(engine, active, monkeypatch):
    fake = FakeMLflow(active)
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    options = {"epochs": 4, "validation": 0.3, "optimizer": Adam(0.02), "engine": engine}
    history = train(start(), *table(), callbacks=[MLflow(every=2)], **options)
    assert fake.parameters["sizes"] == "[2, 3, 1]"
    assert "Adam(rate=0.02" in fake.parameters["optimizer"]
    assert fake.parameters["epochs"] == "4"
    assert all(isinstance(v, str) and len(v) <= 500 for v in fake.parameters.values())
    keys = ("loss", "validation_loss", "rate", "gradient_norm")
    assert fake.metrics == {k: {key: history[key][k - 1] for key in keys} for k in (2, 4)}
    assert fake.tags == {"stop_reason": "reached 4 epochs"}
    assert (fake.run, fake.ended) == (active, 0 if active else 1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*:FutureWarning", "ignore:.*:DeprecationWarning")
def test_mlflow_itself(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    mlflow.set_experiment("mlp")
    with mlflow.start_run() as run:
        history = train(start(), *table(), epochs=3, callbacks=[MLflow()])
    client = mlflow.MlflowClient()
    data = client.get_run(run.info.run_id).data
    assert data.params["sizes"] == "[2, 3, 1]"
    assert data.tags["stop_reason"] == "reached 3 epochs"
    seen = {m.step: m.value for m in client.get_metric_history(run.info.run_id, "loss")}
    assert seen == dict(zip((1, 2, 3), history["loss"], strict=True))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: EarlyStopping(patience=-1), r"EarlyStopping: patience=-1 must be"),
        (lambda: EarlyStopping(mode="up"), r"EarlyStopping: mode='up' must be 'auto'"),
        (lambda: ReduceLROnPlateau(factor=1.0), r"ReduceLROnPlateau: factor=1\.0 must be"),
        (lambda: ModelCheckpoint("x", every=0), r"ModelCheckpoint: every=0 must be a whole"),
        (lambda: CSVLogger("x", separator=", "), r"separator=', ' must be one character"),
        (lambda: TimeLimit(0), r"TimeLimit: seconds=0 must be"),
        (lambda: TensorBoard(every=1.5), r"TensorBoard: every=1\.5 must be a whole"),
    ],
)
def test_settings_that_cannot_be_are_refused_at_once(make, told):
    with pytest.raises(ValueError, match=told) as error:
        make()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "callback",
    [EarlyStopping("speed"), ReduceLROnPlateau("speed"), ModelCheckpoint("x", "speed")],
)
def test_a_monitor_that_nothing_measures_is_refused_before_the_training(callback):
    net = start()
    first = net.theta.copy()
    with pytest.raises(ValueError, match=r"monitor='speed' was not measured.*known: .*loss"):
        train(net, *table(), callbacks=[callback])
    assert (net.theta == first).all()


def test_a_function_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"function=0\.5 must be a function of \(epoch, rate\)"):
        train(start(), *table(), callbacks=[LearningRateScheduler(0.5)])


def test_what_is_shown_is_plain():
    callbacks = TimeLimit(3), TerminateOnNaN(), ProgressBar(), trackers.Tracker(every=3)
    shown = [repr(each) for each in callbacks]
    assert all(re.fullmatch(r"\w+\(.*\)", text) for text in shown)
