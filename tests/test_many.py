"""Many networks at once: each as if it had been trained alone."""

import itertools
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.activations import Activation
from chainrule.callbacks import Callback
from chainrule.engine import ENGINES
from chainrule.loop import Diverged
from chainrule.many import fit_many
from chainrule.network import Network
from chainrule.optimizers import SGD
from chainrule.training import train
from test_loop import timeless


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    return request.param


def table(n=12, outputs=1):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 2)), rng.normal(size=(n, outputs))


AVERAGED = {"ema_decay": 0.9, "weight_decay": 0.1, "gradient_accumulation_steps": 2}


@settings(max_examples=15, deadline=None)
@given(
    hidden=st.lists(st.lists(st.integers(1, 20), max_size=2), min_size=1, max_size=6),
    copies=st.sampled_from([1, 7]),  # with 7, some share a call of the library
    threads=st.integers(1, 4),
    seeds=st.booleans(),
    validation=st.sampled_from([None, 0.3, table(5)]),
    optimizer=st.sampled_from([{"optimizer": "lbfgs"}, {"optimizer": "adam", "batch_size": 5}]),
    more=st.sampled_from(
        [{}, {"patience": 2}, {"record_every": 3}, {"restore_best_weights": True}, AVERAGED]
    ),
)
@pytest.mark.parametrize("name", sorted(ENGINES))
def test_together_as_one_by_one(name, hidden, copies, threads, seeds, validation, optimizer, more):
    nets = [
        Network([2, *sizes, 1], "tanh", seed=k, dtype=("float64", "float32")[k % 2])
        for k, sizes in enumerate(hidden * copies)
    ]
    alone = [net.copy() for net in nets]
    given_seeds = list(range(5, 5 + len(nets))) if seeds else None
    if optimizer["optimizer"] == "lbfgs" and more is AVERAGED:
        more = {}
    options = {"validation": validation, "epochs": 9, "engine": name} | optimizer | more
    together = fit_many(nets, *table(), seeds=given_seeds, n_threads=threads, **options)
    for k, (net, twin) in enumerate(zip(nets, alone, strict=True)):
        seed = {"seed": given_seeds[k]} if seeds else {}
        history = train(twin, *table(), n_threads=1, **options, **seed)
        assert net.theta.tobytes() == twin.theta.tobytes()
        assert timeless(together[k]) == timeless(history)
        assert together[k].stop_reason == history.stop_reason
        assert together[k].engine == history.engine == name


def test_one_that_diverges_stops_no_other(engine):
    nets = [Network([2, 4, 1], "relu", seed=k) for k in range(12)]
    for l in (0, 1):
        nets[2].W[l][:] = 1e200
    options = {"optimizer": SGD(1e-3), "epochs": 20, "engine": engine}
    histories = fit_many(nets, *table(), n_threads=1, **options)
    reasons = [history.stop_reason for history in histories]
    assert [k for k, why in enumerate(reasons) if why.startswith("training diverged")] == [2]
    assert set(reasons) == {reasons[2], "reached 20 epochs"}
    alone = Network([2, 4, 1], "relu", seed=3)
    train(alone, *table(), **options)
    assert nets[3].theta.tobytes() == alone.theta.tobytes()
    with pytest.raises(Diverged, match="all 1 networks diverged; the first: training diverged"):
        fit_many([nets[2]], *table(), **options)


def test_an_error_of_ones_own_stops_all_and_is_told(engine):
    def fails(targets, outputs):
        raise RuntimeError("no such metric")

    with pytest.raises(RuntimeError, match="no such metric"):
        fit_many([Network([2, 1]) for _ in range(3)], *table(), metric=fails, engine=engine)


def test_ctrl_c_stops_all_and_keeps_the_best_weights(engine, monkeypatch):
    """It comes while the main thread waits; the others hear of it after their slice."""
    waits, nets = threading.Event(), [Network([2, 3, 1], "tanh", seed=k) for k in range(4)]

    def interrupted(self, function, places):
        futures = [self.submit(function, place) for place in places]
        waits.wait(60)
        yield from ()
        raise KeyboardInterrupt(futures)

    def metric(targets, outputs):
        waits.set()
        return 0.0

    monkeypatch.setattr("chainrule.many.ThreadPoolExecutor.map", interrupted)
    before = [net.theta.copy() for net in nets]
    with pytest.raises(KeyboardInterrupt) as told:
        fit_many(nets, *table(), epochs=10**9, n_threads=2, metric=metric, engine=engine,
                 record_every=10**6)  # fmt: skip
    futures = told.value.args[0]
    assert all(future.done() for future in futures)
    assert (nets[0].theta != before[0]).any()
    assert (nets[3].theta == before[3]).all()  # its turn never came
    assert not any(thread.name.startswith("fit_many") for thread in threading.enumerate())


def test_records_that_cannot_fit_are_refused_with_the_remedy():
    nets = [Network([2, 1]) for _ in range(1000)]
    with pytest.raises(MemoryError, match=r"1,000 networks takes? .*record_every=1000") as error:
        fit_many(nets, *table(), epochs=10**10)
    assert "\n" not in str(error.value)
    assert (nets[0].theta == Network([2, 1]).theta).all()


def test_a_time_limit_is_that_of_all_together(engine, monkeypatch):
    """By a clock that is an hour later whenever somebody looks: no other network has its turn."""
    hours = itertools.count(step=3600.0)
    for room in ("loop", "many"):
        monkeypatch.setattr(f"chainrule.{room}.monotonic", lambda: next(hours))
    nets = [Network([2, 3, 1], seed=k) for k in range(5)]
    before = [net.theta.copy() for net in nets]
    options = {"epochs": 10**6, "time_limit": 1.5 * 3600, "record_every": 1000}
    histories = fit_many(nets, *table(), n_threads=1, engine=engine, **options)
    assert all("time_limit=5400 seconds were over" in h.stop_reason for h in histories)
    changed = [(net.theta != old).any() for net, old in zip(nets, before, strict=True)]
    assert changed == [True, False, False, False, False]


def test_activations_of_ones_own_need_no_hash():
    class Scaled(Activation):
        __hash__ = None

        def __init__(self, scale):
            self.scale = scale

        def value(self, z):
            return self.scale * z

        def derivative(self, z, a):
            return self.scale + 0 * z

    nets = [Network([2, 3, 1], [Scaled(k), "identity"], seed=int(k)) for k in (1.0, 2.0)]
    alone = [net.copy() for net in nets]
    for net, history in zip(alone, fit_many(nets, *table(), epochs=3), strict=True):
        assert history["loss"] == train(net, *table(), epochs=3)["loss"]


def test_no_networks_are_no_histories():
    assert fit_many([], *table()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": [1]}, "seeds must be 2 whole numbers >= 0, one for each network"),
        ({"seeds": [1, -1]}, "seeds must be 2 whole numbers"),
        ({"n_threads": 0}, "n_threads=0 must be >= 1"),
        ({"callbacks": [Callback()]}, "callbacks belongs to one network"),
        ({"history": None}, "history belongs to one network"),
        ({"epoch": 3}, "'epoch' is no setting of train; did you mean 'epochs'"),
        ({"epochs": 0}, "epochs=0 must be a whole number >= 1"),
        ({"record_every": 0}, "record_every=0 must be a whole number >= 1"),
        ({"dropout": [0.1, 0.1]}, "one for each of the 0 hidden layers"),
        ({"engine": "nativ"}, "did you mean 'native'"),
    ],
)
def test_what_cannot_be_is_refused_before_any_is_trained(options, message):
    nets = [Network([2, 3, 1], seed=1), Network([2, 1])]
    with pytest.raises((ValueError, TypeError), match=message) as error:
        fit_many(nets, *table(), **options)
    assert "\n" not in str(error.value)
    assert (nets[0].theta == Network([2, 3, 1], seed=1).theta).all()


def test_networks_that_are_none_or_the_same_or_do_not_fit_are_refused():
    net = Network([2, 1])
    for nets, message in [
        ([net, net], "networks holds one network twice"),
        ([net, "net"], r"networks\[1\] is a str; expected a Network"),
        ([net, Network([3, 1])], "X has 2 columns; expected 3"),
    ]:
        with pytest.raises(ValueError, match=message):
            fit_many(nets, *table())
    assert (net.theta == Network([2, 1]).theta).all()
