"""Memory: a training leaves nothing behind that only the garbage collector would free."""

import gc
import warnings
from collections import Counter

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
