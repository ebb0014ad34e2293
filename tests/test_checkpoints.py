"""Checkpoints: a training that was ended anywhere and goes on is the one that never was."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from chainrule import Network, load_model, train
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
from chainrule.optimizers import LBFGS, OPTIMIZERS, SGD, get_optimizer
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
    try:
        run(lambda: crashing, checkpoint=Checkpoints(folder, every), **settings)
    except KeyboardInterrupt:
        pass
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
