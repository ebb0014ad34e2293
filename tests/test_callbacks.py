"""Callbacks: which hooks are called when, what they may change, and what a failing one costs."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import Callback, CallbackFailed, MLPClassifier, loop
from chainrule.callbacks import EarlyStopping, LearningRateScheduler, OnEpoch
from chainrule.engine import ENGINES
from chainrule.history import History
from chainrule.initializers import Uniform
from chainrule.loop import Diverged
from chainrule.many import DEFAULTS
from chainrule.network import Network
from chainrule.optimizers import LBFGS, SGD, Adam
from chainrule.schedules import Cosine, ExponentialDecay, StepDecay
from chainrule.training import make_loop, read_data, train

HOOKS = [
    "on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end",
    "on_epoch_end", "on_train_end",
]  # fmt: skip


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    return request.param


@pytest.fixture(autouse=True)
def timeless_slices(monkeypatch):
    """However slow the machine, no call ends because its time is up."""
    monkeypatch.setattr(loop, "SLICE", np.inf)


def start(sizes=(2, 3, 1)):
    return Network(sizes, "tanh", initializers=Uniform(), seed=1)


def table(n=12):
    X = np.random.default_rng(0).normal(size=(n, 2))
    return X, X[:, :1] * X[:, 1:]


def timeless(history):
    return [{k: v for k, v in r.items() if k != "seconds"} for r in history.records]


class Recorder(Callback):
    """Writes down every hook that is called, with what it is given besides."""

    def __init__(self):
        self.calls = []

    def on_train_begin(self, network, history):
        self.calls.append("train begins")

    def on_epoch_begin(self, network, history, epoch):
        self.calls.append(f"epoch {epoch} begins")

    def on_train_batch_begin(self, network, history, batch):
        self.calls.append(f"batch {batch['epoch']}.{batch['batch']} begins")

    def on_train_batch_end(self, network, history, batch):
        self.calls.append(f"batch {batch['epoch']}.{batch['batch']} ends")

    def on_epoch_end(self, network, history):
        self.calls.append(f"epoch {history.records[-1]['epoch']} ends")

    def on_train_end(self, network, history):
        self.calls.append("train ends")


def test_hooks_come_in_keras_order(engine):
    recorder = Recorder()
    train(start(), *table(), epochs=2, batch_size=8, callbacks=[recorder], engine=engine)
    assert recorder.calls == [
        "train begins",
        "epoch 1 begins",
        "batch 1.1 begins", "batch 1.1 ends", "batch 1.2 begins", "batch 1.2 ends",
        "epoch 1 ends",
        "epoch 2 begins",
        "batch 2.1 begins", "batch 2.1 ends", "batch 2.2 begins", "batch 2.2 ends",
        "epoch 2 ends",
        "train ends",
    ]  # fmt: skip


def test_lbfgs_has_epochs_and_no_batches(engine):
    recorder = Recorder()
    options = {"optimizer": LBFGS(), "epochs": 2, "engine": engine}
    train(start(), *table(), callbacks=[recorder], **options)
    epochs = ["epoch 1 begins", "epoch 1 ends", "epoch 2 begins", "epoch 2 ends"]
    assert recorder.calls == ["train begins", *epochs, "train ends"]


def test_a_hook_that_waits_is_told_of_every_epoch(engine):
    """The engine does them all in one call; each has its begin before its end."""

    class Waits(Recorder):
        on_train_batch_begin = Callback.on_train_batch_begin
        on_train_batch_end = Callback.on_train_batch_end

        def next_look(self):
            return np.inf

    recorder = Waits()
    train(start(), *table(), epochs=2, callbacks=[recorder], engine=engine)
    assert recorder.calls[1:-1] == [
        "epoch 1 begins", "epoch 1 ends", "epoch 2 begins", "epoch 2 ends",
    ]  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(
    optimizer=st.sampled_from([SGD(0.1, 0.9), Adam(0.05)]),
    schedule=st.sampled_from([StepDecay(0.5, 2), Cosine()]),
    batch_size=st.sampled_from([1, 5, 12]),
    dropout=st.sampled_from([0.0, 0.3]),
    clip_norm=st.sampled_from([None, 0.1]),
    weighted=st.booleans(),
    shuffle=st.booleans(),
)
@pytest.mark.parametrize("name", sorted(ENGINES))
def test_batch_by_batch_changes_no_bit(
    name, optimizer, schedule, batch_size, dropout, clip_norm, weighted, shuffle
):
    weights = np.r_[np.zeros(5), np.arange(1.0, 8)] if weighted else None
    options = {
        "optimizer": optimizer, "schedule": schedule, "batch_size": batch_size, "dropout": dropout,
        "clip_norm": clip_norm, "weights": weights, "shuffle": shuffle, "engine": name,
    }  # fmt: skip
    nets = [start(), start()]
    histories = [
        train(net, *table(), epochs=4, callbacks=callbacks, **options)
        for net, callbacks in zip(nets, ([], [Recorder()]), strict=True)
    ]
    assert nets[0].theta.tobytes() == nets[1].theta.tobytes()
    assert timeless(histories[0]) == timeless(histories[1])


def test_a_batch_tells_the_mean_loss_so_far_and_its_rate(engine):
    """Against each batch's loss at the weights it began with."""
    X, Y = table()
    seen, losses = [], []

    class Measure(Callback):
        def on_train_batch_begin(self, network, history, batch):
            rows = slice(5 * (batch["batch"] - 1), 5 * batch["batch"])
            losses.append(0.5 * ((network.predict(X[rows]) - Y[rows]) ** 2).sum())
            self.rate = batch["rate"]
            assert batch["updates"] == len(seen)

        def on_train_batch_end(self, network, history, batch):
            assert batch["rate"] == self.rate
            seen.append(batch)

    decay = ExponentialDecay(0.5)
    options = {"optimizer": SGD(0.1), "schedule": decay, "shuffle": False, "engine": engine}
    history = train(start(), X, Y, epochs=2, batch_size=5, callbacks=[Measure()], **options)
    for epoch in (0, 1):
        sums = np.cumsum(losses[3 * epoch : 3 * epoch + 3])
        met = [batch["loss"] for batch in seen[3 * epoch : 3 * epoch + 3]]
        assert met == pytest.approx(sums / [5, 10, 12], rel=1e-12)
        assert met[-1] == history["loss"][epoch]
    assert [b["updates"] for b in seen] == [1, 2, 3, 4, 5, 6]
    assert [b["rate"] for b in seen] == [0.1 * decay.factor(t, 3, 6) for t in range(1, 7)]


def test_a_batch_can_end_the_training_within_an_epoch(engine):
    class Stop(Callback):
        def on_train_batch_end(self, network, history, batch):
            return batch["epoch"] == 2 and batch["batch"] == 1

    net, twin = start(), start()
    history = train(net, *table(), batch_size=4, callbacks=[Stop()], engine=engine)
    assert history["epoch"] == [1]
    assert history.stop_reason == "a callback stopped it"
    train(twin, *table(), batch_size=4, epochs=1, engine=engine)
    assert (net.theta != twin.theta).any()  # an update of the second epoch is in it


def test_nobody_pays_for_hooks_that_nobody_has(engine, monkeypatch):
    asked, advance = [], ENGINES[engine].advance

    def count(self, state, epochs, seconds, every):
        asked.append((epochs, seconds))
        return advance(self, state, epochs, seconds, every)

    monkeypatch.setattr(ENGINES[engine], "advance", count)
    options = {"epochs": 6, "batch_size": 12, "engine": engine}
    history = train(start(), *table(), callbacks=[Callback()], **options)
    assert asked == [(6, np.inf)]
    assert len(history._blocks) == 1  # the records as they came, in no dict yet
    asked.clear()
    train(start(), *table(), callbacks=[Recorder()], **options)
    assert len(asked) == 6


# What a failing callback costs


class Surprise(Exception):
    pass


def failing(hook, error):
    """Return a recorder whose hook fails when it is called for the second time, or at all."""

    def fail(self, *given):
        getattr(Recorder, hook)(self, *given)
        self.count += 1
        if self.count == (1 if hook in ("on_train_begin", "on_train_end") else 2):
            raise error

    return type("Fails", (Recorder,), {hook: fail, "count": 0})()


@pytest.mark.parametrize("optimizer", [Adam(0.05), LBFGS()])
@pytest.mark.parametrize("hook", HOOKS)
def test_a_callback_that_fails_loses_no_model(engine, hook, optimizer):
    if "batch" in hook and isinstance(optimizer, LBFGS):
        pytest.skip("has no batches")
    net, twin, after = start(), start(), Recorder()
    options = {"optimizer": optimizer, "epochs": 4, "validation": 0.3, "engine": engine}
    expected = train(twin, *table(), **options)
    fails = failing(hook, Surprise("out of\npaper"))
    told = rf"Fails\.{hook} failed (after epoch \d|in the first epoch) .*: Surprise: out of paper$"
    with pytest.warns(CallbackFailed, match=told) as warned:
        history = train(net, *table(), callbacks=[fails, after], **options)
    assert len(warned) == 1
    assert isinstance(warned[0].message.__cause__, Surprise)
    assert net.theta.tobytes() == twin.theta.tobytes()
    assert timeless(history) == timeless(expected)
    assert history.stop_reason == expected.stop_reason
    assert after.calls.count("epoch 4 ends") == 1
    assert after.calls[-1] == "train ends"
    assert (fails.calls[-1] == "train ends") == (hook != "on_train_begin")
    assert "training" not in vars(fails)
    if hook == "on_epoch_end":
        assert fails.calls.count("epoch 2 ends") == 1
        assert "epoch 3 ends" not in fails.calls


def test_a_failing_look_and_slice_lose_no_model_either(engine, monkeypatch):
    monkeypatch.setattr(loop, "SLICE", 0.0)

    class Fails(Callback):
        def on_epoch_end(self, network, history):
            return None

        def next_look(self):
            raise Surprise

        def on_time_slice(self, network, history, done):
            raise Surprise

    with pytest.warns(CallbackFailed, match="next_look failed in the first epoch"):
        history = train(start(), *table(), epochs=3, callbacks=[Fails()], engine=engine)
    assert history["epoch"] == [1, 2, 3]
    monkeypatch.setattr(Fails, "next_look", Callback.next_look)
    if engine == "reference":  # which looks at the clock after every batch
        with pytest.warns(CallbackFailed, match="on_time_slice failed"):
            train(start(), *table(), epochs=3, batch_size=4, callbacks=[Fails()], engine=engine)


def test_an_estimator_is_fitted_whatever_its_callbacks_do():
    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
    options = {"hidden_layer_sizes": 4, "max_iter": 5, "tol": 0.0, "random_state": 0}

    def broken(record):
        raise KeyError("no such column")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = MLPClassifier(**options).fit(X, y)
        model = MLPClassifier(callbacks=[OnEpoch(broken)], **options)
        model.fit(X, y)
    assert (model.predict_proba(X) == plain.predict_proba(X)).all()
    assert model.n_iter_ == plain.n_iter_


def test_a_filter_makes_the_failure_an_error_with_its_cause(engine):
    net, fails, after = start(), failing("on_epoch_end", Surprise()), Recorder()
    with warnings.catch_warnings():
        warnings.simplefilter("error", CallbackFailed)
        with pytest.raises(CallbackFailed) as error:
            train(net, *table(), callbacks=[fails, after], engine=engine)
    assert isinstance(error.value.__cause__, Surprise)
    assert after.calls[-1] == "train ends"


@pytest.mark.parametrize("hook", HOOKS[1:-1])
def test_ctrl_c_in_any_hook_is_the_users(engine, hook):
    net, history, after = start(), History(), Recorder()
    with pytest.raises(KeyboardInterrupt):
        train(
            net, *table(), callbacks=[failing(hook, KeyboardInterrupt()), after], epochs=9,
            batch_size=12, history=history, engine=engine,
        )  # fmt: skip
    assert history.stop_reason == f"interrupted after {len(history)} epochs"
    assert after.calls[-1] == "train ends"
    assert np.isfinite(net.theta).all()


def test_settings_are_refused_before_anything_is_done(engine):
    class Wrong(Callback):
        def check(self):
            raise ValueError(f"needs more than {self.training.rows} rows")

    net, first, before = start(), start().theta, Recorder()
    with pytest.raises(ValueError, match="needs more than 12 rows"):
        train(net, *table(), callbacks=[before, Wrong()], engine=engine)
    assert before.calls == []
    assert "training" not in vars(before)
    assert (net.theta == first).all()


@pytest.mark.parametrize(
    ("hook", "ours"),
    [
        (lambda self, epoch, logs=None: None, r"\(network, history\)"),
        (lambda self, logs=None: None, r"\(network, history\)"),
    ],
)
def test_keras_parameters_are_told_apart(hook, ours):
    wrong = type("Mine", (Callback,), {"on_epoch_end": hook})
    with pytest.raises(ValueError, match=rf"Mine\.on_epoch_end.*logs\).*expected {ours}"):
        train(start(), *table(), callbacks=[wrong()])


def test_a_training_leaves_nothing_of_itself_behind(engine):
    callbacks = [Recorder(), EarlyStopping(), LearningRateScheduler(max)]
    train(start(), *table(), epochs=2, callbacks=callbacks, engine=engine)
    for callback in callbacks:
        assert "training" not in vars(callback)
        assert repr(pickle.loads(pickle.dumps(copy.deepcopy(callback))))


# The learning rate


def test_both_engines_honour_a_rate_that_is_set():
    def run(engine):
        net, seen = start(), []

        class Change(Callback):
            def on_train_batch_begin(self, network, history, batch):
                seen.append(self.training.rate)
                if batch["batch"] == 2:
                    self.training.rate = 0.3 / batch["epoch"]

        history = train(
            net, *table(), optimizer=SGD(0.1, 0.5), schedule=ExponentialDecay(0.8), epochs=3,
            batch_size=4, callbacks=[Change()], engine=engine,
        )  # fmt: skip
        return net.theta, history["rate"], seen

    runs = [run(name) for name in sorted(ENGINES)]
    theta, rates, seen = runs[0]
    assert rates == pytest.approx([0.3 / epoch * 0.8 ** (1 / 3) for epoch in (1, 2, 3)], rel=1e-14)
    assert seen[1] == pytest.approx(0.1 * 0.8 ** (1 / 3), rel=1e-14)
    for other in runs[1:]:
        assert other[0] == pytest.approx(theta, rel=1e-12)
        assert other[1:] == (rates, seen)


def test_a_scheduler_is_as_the_schedule_of_that_formula(engine):
    nets = [start(), start()]
    halve = LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch % 3 == 0 < epoch else rate)
    options = {"optimizer": SGD(0.25, 0.5), "epochs": 8, "batch_size": 5, "engine": engine}
    callback = train(nets[0], *table(), callbacks=[halve], **options)
    schedule = train(nets[1], *table(), schedule=StepDecay(0.5, 3), **options)
    assert nets[0].theta.tobytes() == nets[1].theta.tobytes()
    assert callback["rate"] == schedule["rate"]


def test_a_scheduler_that_changes_nothing_changes_no_bit(engine):
    nets = [start(), start()]
    options = {"optimizer": Adam(0.07), "schedule": "cosine", "epochs": 9, "engine": engine}
    same = LearningRateScheduler(lambda epoch, rate: rate)
    histories = [
        train(net, *table(), callbacks=each, batch_size=5, **options)
        for net, each in zip(nets, ([], [same]), strict=True)
    ]
    assert nets[0].theta.tobytes() == nets[1].theta.tobytes()
    assert timeless(histories[0]) == timeless(histories[1])


def test_the_rate_is_a_part_of_the_state(engine):
    """A training that stops and goes on from its state, alone, ends as one that did not stop."""
    states, nets = [], [start(), start()]

    class Third(Callback):
        def on_epoch_end(self, network, history):
            if history.records[-1]["epoch"] == 2:
                self.training.rate /= 3
            states.append(copy.deepcopy(self.training.state))
            states[-1].theta = network.theta.copy()

    options = {"optimizer": Adam(0.1), "batch_size": 5, "epochs": 6, "engine": engine}
    whole = train(nets[0], *table(), callbacks=[Third()], **options)
    nets[1].theta[:] = states[3].theta
    words = DEFAULTS | options
    rest = make_loop(nets[1], *read_data(nets[1], *table(), words), words)
    rest.run(engine, None, states[3])
    assert nets[0].theta.tobytes() == nets[1].theta.tobytes()
    assert rest.history["rate"] == whole["rate"][4:] == [0.1 / 3] * 2


@pytest.mark.parametrize("rate", [-1.0, np.nan, "fast", True])
def test_a_rate_that_is_none_is_refused(rate):
    class Wrong(Callback):
        def on_train_begin(self, network, history):
            self.training.rate = rate

    with pytest.warns(CallbackFailed, match=r"the learning rate .* must be a finite number >= 0"):
        train(start(), *table(), epochs=1, callbacks=[Wrong()])


def test_lbfgs_has_no_rate():
    options = {"optimizer": "lbfgs", "callbacks": [LearningRateScheduler(max)]}
    with pytest.raises(ValueError, match=r"LearningRateScheduler needs a learning rate.*'adam'"):
        train(start(), *table(), **options)


def test_on_divergence_hears_of_the_number_that_is_not_finite(engine):
    heard = []

    class Hear(Callback):
        def on_divergence(self, network, history, error):
            heard.append((str(error), history.stop_reason))

    options = {"optimizer": SGD(1e3), "epochs": 500, "engine": engine}
    with pytest.raises(Diverged) as error:
        train(Network([2, 3, 1], "identity", seed=0), *table(), callbacks=[Hear()], **options)
    assert heard == [(str(error.value), str(error.value))]
