"""The loop's looks: however many epochs the engine does in a call, nobody can tell."""

import copy
import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import loop
from chainrule.callbacks import Callback, EarlyStopping, OnEpoch
from chainrule.data import batches
from chainrule.engine import ENGINES
from chainrule.history import History
from chainrule.initializers import Uniform
from chainrule.network import Network
from chainrule.optimizers import SGD, Adam
from chainrule.schedules import ReduceOnPlateau
from chainrule.training import train


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    return request.param


@pytest.fixture(autouse=True)
def timeless_slices(monkeypatch):
    """However slow the machine, no call ends because its time is up."""
    monkeypatch.setattr(loop, "SLICE", np.inf)


def start():
    return Network([2, 3, 1], "tanh", initializers=Uniform(), seed=1)


def table(n=12):
    X = np.random.default_rng(0).normal(size=(n, 2))
    return X, X[:, :1] * X[:, 1:]


class Every(Callback):
    """Asks to see every epoch, as a callback does unless it says otherwise."""

    def on_epoch_end(self, network, history):
        return None


def timeless(history):
    return [{k: v for k, v in r.items() if k != "seconds"} for r in history.records]


def calls_of(monkeypatch, name):
    """Return a list that will hold how many epochs each call of the engine was asked for."""
    asked, advance = [], ENGINES[name].advance

    def count(self, state, epochs, seconds, every):
        asked.append(epochs)
        return advance(self, state, epochs, seconds, every)

    monkeypatch.setattr(ENGINES[name], "advance", count)
    return asked


@settings(max_examples=25, deadline=None)
@given(
    patience=st.none() | st.integers(0, 6),
    min_delta=st.sampled_from([0.0, 1e-3, 0.05]),
    plateau=st.none() | st.sampled_from([0, 1, 3.5, np.inf]),
    lowest=st.sampled_from([0.0, 0.2]),
    rate=st.sampled_from([0.05, 0.3, 1.5]),
    batch_size=st.sampled_from([4, 12]),
    below=st.none() | st.floats(0.01, 0.3),
    every=st.integers(1, 4),
    most=st.integers(1, 9),
)
@pytest.mark.parametrize("name", sorted(ENGINES))
def test_epochs_in_one_call_are_as_epochs_one_by_one(
    name, patience, min_delta, plateau, lowest, rate, batch_size, below, every, most
):
    nets, histories = [start(), start()], []
    for net, callbacks in zip(nets, ([Every()], []), strict=True):
        if patience is not None:
            callbacks.append(EarlyStopping("loss", min_delta, patience, False))
        schedule = "constant"
        if plateau is not None:
            schedule = ReduceOnPlateau(0.5, plateau, min_delta, lowest)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "MOST_RECORDS", most)
            histories.append(
                train(
                    net,
                    *table(),
                    optimizer=SGD(rate, 0.9),
                    schedule=schedule,
                    epochs=30,
                    batch_size=batch_size,
                    callbacks=callbacks,
                    stop_below=below,
                    engine=name,
                    record_every=every,
                )
            )
    assert nets[0].theta.tobytes() == nets[1].theta.tobytes()
    assert timeless(histories[0]) == timeless(histories[1])
    assert histories[0].stop_reason == histories[1].stop_reason


def test_the_engine_is_asked_for_what_nobody_needs_to_see(monkeypatch, engine):
    asked = calls_of(monkeypatch, engine)
    options = {"optimizer": SGD(1e-300), "batch_size": 12, "epochs": 9, "engine": engine}
    for more, expected in [
        ({}, [9]),
        ({"epochs": 9000}, [4096, 4096, 808]),
        ({"callbacks": [Callback()]}, [9]),  # overrides no hook of an epoch
        ({"callbacks": [OnEpoch(lambda record: None)], "epochs": 2}, [1, 1]),
        ({"validation": 0.3, "epochs": 2}, [1, 1]),
        ({"metric": lambda y, a: 0.0, "epochs": 2}, [1, 1]),
        ({"callbacks": [EarlyStopping(patience=3)]}, [1] * 5),  # restores weights
        ({"patience": 3}, [1, 4]),  # no epoch improves on the first
        ({"schedule": ReduceOnPlateau(0.5, 3, lowest=0.0)}, [4, 4, 1]),
    ]:
        if more.get("epochs") == 9000 and engine == "reference":
            continue
        asked.clear()
        train(start(), *table(), **options | more)
        if "schedule" in more:  # whose first epoch improves on nothing seen
            assert asked[0] == 4
            assert sum(asked) >= 9
        else:
            assert asked == expected, more


def test_a_hook_of_your_own_sees_every_epoch_as_it_was(engine):
    """Whatever class it is derived from, and however it is put there."""

    seen = []

    def see(network, history):
        seen.append(network.theta.tobytes())

    class Mine(EarlyStopping):
        def on_epoch_end(self, network, history):
            see(network, history)
            return super().on_epoch_end(network, history)

    plain = Callback()
    plain.on_epoch_end = see
    for callback in (Mine("loss", 0.0, 50, False), plain):
        seen.clear()
        train(start(), *table(), epochs=6, callbacks=[callback], engine=engine)
        assert len(set(seen)) == 6


@pytest.mark.parametrize("optimizer", [SGD(0.3, 0.9), Adam(0.3)])
def test_the_engine_keeps_the_weights_of_the_best_epoch(monkeypatch, engine, optimizer):
    """As a user's Ctrl-C finds them, whichever epoch it comes in."""
    seen = []

    class Watch(Callback):
        def on_epoch_end(self, network, history):
            seen.append(network.theta.copy())

    options = {"optimizer": optimizer, "batch_size": 4, "epochs": 25, "engine": engine}
    losses = train(start(), *table(), callbacks=[Watch()], **options)["loss"]
    best = int(np.argmin(losses))
    advance = ENGINES[engine].advance

    def interrupted(self, state, epochs, seconds, every):
        event = advance(self, state, epochs, seconds, every)
        return type(event)("interrupt", event.records)

    monkeypatch.setattr(ENGINES[engine], "advance", interrupted)
    net, history = start(), History()
    with pytest.raises(KeyboardInterrupt):
        train(net, *table(), history=history, **options)
    assert history["loss"] == losses
    assert history.best_epoch == best + 1
    assert history.stop_reason == "interrupted after 25 epochs"
    assert net.theta.tobytes() == seen[best].tobytes()


def test_ctrl_c_in_the_middle_loses_no_epoch_that_is_complete():
    """The reference engine is Python: an interrupt may come in any of its steps."""

    class Interrupts(SGD):
        def update(self, w, g, slots, rate, t):
            if t == 20:
                raise KeyboardInterrupt
            return super().update(w, g, slots, rate, t)

    net, history = start(), History()
    with pytest.raises(KeyboardInterrupt):
        train(net, *table(), optimizer=Interrupts(0.1), batch_size=4, history=history)
    assert history["epoch"] == [1, 2, 3, 4, 5, 6]
    assert history.stop_reason == "interrupted after 6 epochs"
    assert history.best_epoch == 1 + int(np.argmin(history["loss"]))


def test_ctrl_c_among_epochs_of_one_call_leaves_none_out(engine):
    """A hook that needs no look hears of epochs that are long done."""

    class CtrlC(Callback):
        def next_look(self):
            return np.inf

        def on_epoch_end(self, network, history):
            if history.records[-1]["epoch"] == 3:
                raise KeyboardInterrupt

    history, options = History(), {"epochs": 9, "engine": engine}
    with pytest.raises(KeyboardInterrupt):
        train(start(), *table(), callbacks=[CtrlC()], history=history, **options)
    assert history["epoch"] == list(range(1, 10))
    assert history.stop_reason == "interrupted after 9 epochs"
    assert history.best_epoch == 1 + int(np.argmin(history["loss"]))


@settings(max_examples=20, deadline=None)
@given(every=st.integers(1, 40), epochs=st.integers(1, 30), seen=st.booleans())
@pytest.mark.parametrize("name", sorted(ENGINES))
def test_record_every_keeps_each_such_epoch_and_the_last(name, every, epochs, seen):
    latest = []
    watch = [OnEpoch(lambda record: latest.append(record["epoch"]))] if seen else []
    options = {"epochs": epochs, "engine": name, "batch_size": 12}
    whole = train(start(), *table(), **options)
    thin = train(start(), *table(), record_every=every, callbacks=watch, **options)
    kept = [r for r in timeless(whole) if r["epoch"] % every == 0 or r["epoch"] == epochs]
    assert timeless(thin) == kept
    assert latest == (whole["epoch"] if seen else [])
    train(start(), *table(), record_every=every, history=thin, **options)
    assert timeless(thin) == kept * 2  # what an earlier training left stays


def test_records_are_plain_whenever_they_are_looked_at(engine):
    def fresh():
        return train(start(), *table(), epochs=5, engine=engine, batch_size=4)

    looked, not_yet = fresh(), fresh()
    assert json.loads(json.dumps(looked.records)) == looked.records
    for key in ("epoch", "updates", "loss", "rate", "gradient_norm", "layer_gradient_norms"):
        assert not_yet[key] == looked[key] == [r[key] for r in looked.records]
    assert len(not_yet) == len(looked) == 5
    assert repr(not_yet) == repr(looked)
    assert pickle.loads(pickle.dumps(not_yet)) == not_yet
    twin = copy.deepcopy(looked)
    twin.records.append({"epoch": 6, "loss": 0.0})
    assert twin != looked
    assert twin["loss"][-1] == 0.0
    assert [type(v) for v in looked.records[-1].values()] == [
        int, int, float, type(None), type(None), float, float, list, float,
    ]  # fmt: skip


def test_a_batch_of_all_rows_is_not_shuffled(engine):
    X, Y = table()
    for size, alike in [(12, True), (50, True), (11, False)]:
        nets = [start(), start()]
        for net, shuffle in zip(nets, (True, False), strict=True):
            train(net, X, Y, batch_size=size, shuffle=shuffle, epochs=3, engine=engine)
        assert (nets[0].theta.tobytes() == nets[1].theta.tobytes()) == alike
        order = np.concatenate([*batches(12, size, seed=0, epoch=0, shuffle=True)])
        assert (order.tolist() == list(range(12))) == alike


def test_an_interrupt_beside_the_training_ends_it_in_order(engine, monkeypatch):
    """As Ctrl-C does that comes between two calls, when neither engine nor loop is at work."""

    class Interrupted:
        def __init__(self, story):
            self.story, self.sent = story, 0

        def send(self, event):
            self.sent += 1
            if self.sent == 6:
                raise KeyboardInterrupt
            return self.story.send(event)

        def close(self):
            self.story.close()

    story = loop.Loop.story
    monkeypatch.setattr(loop.Loop, "story", lambda *a, **k: Interrupted(story(*a, **k)))
    net, history = start(), History()
    options = {"metric": lambda targets, outputs: 0.0, "restore_best_weights": True}
    with pytest.raises(KeyboardInterrupt) as told:
        train(net, *table(), epochs=50, engine=engine, history=history, **options)
    assert told.tb  # which keeps alive what only falls away
    assert history.stop_reason == f"interrupted after {len(history)} epochs"
    assert len(history) == 4  # the fifth was trained and not yet told
    best = start()
    monkeypatch.undo()
    train(best, *table(), epochs=5, engine=engine, **options)
    assert net.theta.tobytes() == best.theta.tobytes()
