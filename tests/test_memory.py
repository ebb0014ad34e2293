"""Memory: what a fit takes at its most, what it refuses, and that it leaves nothing behind."""

import gc
import json
import os
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from chainrule import (
    EarlyStopping,
    LearningRateScheduler,
    MLPClassifier,
    MLPRegressor,
    ModelCheckpoint,
    Network,
    check_gradients,
    fit_many,
    learning_rate_test,
    memory,
    train,
)
from chainrule.callbacks import Callback
from chainrule.engine import ENGINES
from chainrule.loop import Diverged

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 3)), RNG.normal(size=(40, 1))
y = Y[:, 0]
LABELS = np.array(["no", "yes"])[(y > 0).astype(int)]


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    return request.param


def breaking(hook, error):
    """Return a kind of callback that raises at a hook."""

    def fail(self, *arguments):
        raise error()

    return type("Breaking", (Callback,), {hook: fail})


class Batches(Callback):
    def on_train_batch_end(self, network, history, batch):
        return False


Fails = breaking("on_epoch_end", RuntimeError)


def net():
    return Network([3, 4, 1], "tanh")


def fails(kind, work):
    """Do what raises an error of that kind."""
    try:
        work()
    except kind:
        return
    raise AssertionError(f"expected {kind.__name__}")


def trains(**settings):
    return lambda engine, room: train(net(), X, Y, epochs=3, engine=engine, **settings)


def with_callback(make):
    return lambda engine, room: train(
        net(), X, Y, epochs=3, engine=engine, callbacks=[make(room)], validation=0.2
    )


def diverges(**settings):
    return lambda engine, room: fails(
        Diverged, lambda: train(net(), X, Y * 1e200, engine=engine, **settings)
    )


def breaks(hook, error):
    kind = breaking(hook, error)
    return lambda engine, room: fails(
        error, lambda: train(net(), X, Y, engine=engine, callbacks=[kind()])
    )


def fits(model, *data, **more):
    return lambda engine, room: model(max_iter=3, engine=engine, **more).fit(*data)


def steps(engine, room):
    model = MLPClassifier(engine=engine)
    for _ in range(2):
        model.partial_fit(X, LABELS, classes=["no", "yes"])
    model.predict_proba(X)


def an_estimator_diverges(engine, room):
    model = MLPRegressor(engine=engine, solver="sgd", early_stopping=True)
    fails(ValueError, lambda: model.fit(X * 1e200, y * 1e200))


#: Work after which no reference cycle may be left, by engine and a folder to write to.
WORK = {
    "train": trains(),
    "lbfgs": trains(optimizer="lbfgs"),
    "averaged": trains(ema_decay=0.9, dropout=0.2, gradient_accumulation_steps=2, batch_size=5),
    "early stopping": with_callback(lambda room: EarlyStopping()),
    "schedule": with_callback(lambda room: LearningRateScheduler(lambda epoch, rate: rate)),
    "checkpoint": with_callback(lambda room: ModelCheckpoint(room / "a.chainrule")),
    "batches": with_callback(lambda room: Batches()),
    "a callback that fails": with_callback(lambda room: Fails()),
    "divergence": diverges(),
    "divergence of lbfgs": diverges(optimizer="lbfgs"),
    "refused": breaks("check", ValueError),
    "interrupted": breaks("on_epoch_end", KeyboardInterrupt),
    "interrupted at once": breaks("on_train_begin", KeyboardInterrupt),
    "regressor": fits(MLPRegressor, X, y),
    "classifier": fits(MLPClassifier, X, LABELS, early_stopping=True, monitor="accuracy"),
    "members": fits(MLPRegressor, X, y, n_estimators=3, early_stopping=True),
    "estimator's callback": fits(MLPRegressor, X, y, callbacks=[EarlyStopping("loss")]),
    "partial_fit": steps,
    "an estimator diverges": an_estimator_diverges,
    "many": lambda engine, room: fit_many([net(), net()], X, Y, epochs=3, engine=engine),
    "range test": lambda engine, room: learning_rate_test(net(), X, Y, engine=engine),
    "gradient check": lambda engine, room: check_gradients(net(), X, Y),
    "predictions": lambda engine, room: (net().predict(X), net().jacobian(X)),
}


@pytest.mark.parametrize("name", WORK)
def test_no_reference_cycle_is_left(name, engine, tmp_path):
    """What a training used is freed when the last who knows it goes, not some time later."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        WORK[name](engine, tmp_path)  # imports and caches are made once
        WORK[name](engine, tmp_path)
        gc.freeze()  # what is there already is not looked at, which would take long
        gc.disable()
        try:
            WORK[name](engine, tmp_path)
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            left = Counter(type(each).__name__ for each in gc.garbage)
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
            gc.unfreeze()
    assert not left


# What it takes at its most ----------------------------------------------------------------------

linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="not Linux")


def peaks(*words):
    """Return what peaks.py tells; memory that it gives back is given back at once."""
    done = subprocess.run(
        [sys.executable, "peaks.py", *words], cwd=Path(__file__).parent, text=True,
        capture_output=True, env=os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


#: Vectors of as many numbers as there are parameters, but for the optimizer's: the network's, the
#: best so far, and the gradient; in compiled code, for that, W and its transpose in panels.
VECTORS = {"reference": 3, "native": 4}
CONSTANT = 5 * 2**20  # rows under way, records, what is imported late


def check_peaks(engine, dtype):
    for name, told in peaks(engine, dtype).items():
        vectors = (VECTORS[engine] + told["slots"]) * told["parameters"]
        assert told["peak"] <= told["data"] + vectors + CONSTANT, name
        if "wide" in name:  # and they are those: a fit that took less would be a mistaken measure
            assert told["peak"] >= 0.7 * vectors, name


@linux
def test_a_fit_takes_its_rows_its_vectors_and_a_constant(engine):
    """The rows count once, in the network's dtype: where they are given so, for those held out."""
    check_peaks(engine, "float64")


@linux
@pytest.mark.slow
def test_a_fit_takes_half_of_that_in_float32(engine):
    check_peaks(engine, "float32")


# What it refuses ---------------------------------------------------------------------------------


@linux
def test_what_cannot_fit_is_refused_before_it_begins(engine):
    """In a process that may take 130 MiB more; NumPy's own error would come half-way."""
    for name, said in peaks(engine, "float64", "130").items():
        remedy = "a smaller batch_size, or smaller" if name == "batch" else "fewer or smaller"
        if engine == "native" and name == "batch":  # whose rows are never all there
            assert said == ""
        else:
            assert said.endswith(f"iB are free: take {remedy} layers"), name


@pytest.mark.parametrize(
    ("engine", "settings", "needed"),
    [
        ("reference", {}, "2.0 GiB"),  # gradient, best, and Adam's two
        ("reference", {"optimizer": "sgd"}, "1.5 GiB"),
        ("reference", {"ema_decay": 0.9, "gradient_accumulation_steps": 2}, "3.0 GiB"),
        ("native", {}, "3.0 GiB"),
        ("native", {"clip_norm": 1.0}, "3.5 GiB"),
        ("native", {"optimizer": "lbfgs"}, "17 GiB"),
    ],
)
def test_a_training_is_told_what_it_needs(engine, settings, needed, monkeypatch):
    if engine not in ENGINES:
        pytest.skip("there is no native engine")
    network = net()
    monkeypatch.setattr(memory, "free_memory", lambda: 2**30)
    monkeypatch.setattr(network, "theta", np.broadcast_to(0.0, 2**26))
    with pytest.raises(MemoryError, match=rf"training Network.* takes {needed} .*; 1.0 GiB are"):
        train(network, X, Y, engine=engine, **settings)


def test_rows_that_cannot_be_held_out_twice_are_refused(monkeypatch):
    network = net()
    monkeypatch.setattr(memory, "free_memory", lambda: 100)
    monkeypatch.setattr(memory, "SMALL", 100)
    with pytest.raises(MemoryError, match=r"hold out rows of \(40, 3\) takes .* give `valid"):
        train(network, X, Y, validation=0.5)


def test_free_memory_is_what_the_system_tells(monkeypatch, tmp_path):
    assert memory.free_memory() > 2**20
    files = {
        "/proc/meminfo": "MemTotal: 99 kB\nMemAvailable: 5 kB\nSwapFree: 2 kB",
        "/sys/fs/cgroup/memory.max": "7000",
        "/sys/fs/cgroup/memory.current": "1000",
        "/sys/fs/cgroup/memory.stat": "anon 1\ninactive_file 96",
    }

    class Told(type(Path())):
        def read_text(self):
            if str(self) in files:
                return files[str(self)]
            raise OSError

    monkeypatch.setattr(memory, "Path", Told)
    assert memory.free_memory() == 6096  # of a container
    files["/sys/fs/cgroup/memory.max"] = "max"
    assert memory.free_memory() == 7 * 1024  # of the machine
    del files["/proc/meminfo"]
    if hasattr(os, "sysconf"):
        assert memory.free_memory() == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert memory.free_memory() == float("inf")
