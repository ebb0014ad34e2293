"""Networks of one make that share plan, engine and calls of the library: each as if alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from chainrule import loop
from chainrule.engine import ENGINES, State, advance_each
from chainrule.engine.contract import EPOCH
from chainrule.many import DEFAULTS
from chainrule.network import Network
from chainrule.together import Make, run_together
from chainrule.training import read_data, train
from test_loop import timeless

if "native" not in ENGINES:
    pytest.skip("there is no native engine", allow_module_level=True)

NOW = 60.0  # seconds, which are never reached


@pytest.fixture(autouse=True)
def timeless_slices(monkeypatch):
    """However slow the machine, no call ends because its time is up."""
    monkeypatch.setattr(loop, "SLICE", np.inf)


def table(n=12):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3)) * (rng.random((n, 3)) < 0.6)
    return X, rng.normal(size=(n, 1))


def new(seed, dtype="float64"):
    return Network([3, 5, 1], "tanh", seed=seed, dtype=dtype)


def make(network, X, Y, **options):
    setup = DEFAULTS | options
    return Make(network, read_data(network, X, Y, setup), setup)


@settings(max_examples=25, deadline=None)
@given(
    dtype=st.sampled_from(["float64", "float32"]),
    sparse=st.booleans(),
    batch_size=st.sampled_from([4, 12]),
    more=st.sampled_from([
        {}, {"dropout": 0.4}, {"optimizer": "lbfgs"}, {"validation": table(5)}, {"clip_norm": 0.1},
    ]),
    seeds=st.lists(st.integers(0, 9), min_size=1, max_size=5),
)  # fmt: skip
def test_twins_learn_what_each_learns_alone(dtype, sparse, batch_size, more, seeds):
    """Rows in an order of their own, and their own units dropped out."""
    X, Y = table()
    X = csr_array(X) if sparse else X
    options = {"epochs": 7, **more}
    if "optimizer" not in more:
        options["batch_size"] = batch_size
    kind = make(new(0, dtype), X, Y, **options)
    nets = [new(k, dtype) for k in range(len(seeds))]
    loops = [kind.loop(net, seed) for net, seed in zip(nets, seeds, strict=True)]
    assert run_together(loops, [kind.native] * len(loops)) == [None] * len(loops)
    for k, (each, seed) in enumerate(zip(loops, seeds, strict=True)):
        alone = new(k, dtype)
        history = train(alone, X, Y, seed=seed, engine="native", **options)
        assert each.network.theta.tobytes() == alone.theta.tobytes()
        assert timeless(each.history) == timeless(history)
        assert each.history.stop_reason == history.stop_reason


def test_an_error_of_one_ends_the_others_in_order():
    options = {"batch_size": 4, "metric": lambda targets, outputs: 0.0}  # looked at one by one
    kind = make(new(0), *table(), epochs=30, **options)
    loops = [kind.loop(new(k)) for k in range(3)]
    for each in loops:
        each.restore_best = True
    loops[1].cancelled = lambda: len(loops[1].history) == 6
    with pytest.raises(KeyboardInterrupt) as told:
        run_together(loops, [kind.native] * 3)
    assert told.tb  # which keeps alive what only falls away
    assert [each.history.stop_reason for each in loops] == [
        f"interrupted after {epochs} epochs" for epochs in (7, 7, 6)
    ]
    for k, each in enumerate(loops):  # all three had gone through seven, the last untold
        alone = new(k)
        history = train(alone, *table(), epochs=7, restore_best_weights=True, **options)
        assert each.history["loss"] == history["loss"][: len(each.history)]
        assert each.network.theta.tobytes() == alone.theta.tobytes()


def test_who_has_no_turn_in_the_time_does_nothing():
    kind = make(new(0), *table(), epochs=9)
    nets = [new(k) for k in range(3)]
    engines = [kind.native.twin(kind.plan, net) for net in nets]
    states = [State.start(kind.plan, net) for net in nets]
    events = advance_each(engines, [(state, 9, -1.0, 1) for state in states])
    assert [(event.kind, len(event.records)) for event in events] == [("time", 0)] * 3
    assert [net.theta.tobytes() for net in nets] == [new(k).theta.tobytes() for k in range(3)]
    events = advance_each(engines[:2], [(states[0], 2, NOW, 1), (states[1], 5, NOW, 1)])
    assert [event.records[:, EPOCH].tolist() for event in events] == [[1, 2], [1, 2, 3, 4, 5]]
    assert nets[2].theta.tobytes() == new(2).theta.tobytes()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"engine": "reference"}, "another engine"),
        ({"validation": 0.3}, "each draws its own rows to hold out"),
        ({"epochs": 10**6}, "long enough that Python's part does not count"),
    ],
)
def test_others_do_not_share_an_engine(options, why):
    assert make(new(0), *table()).native is not None
    assert make(new(0), *table(), **options).native is None, why
