"""The loop: what one update does, whatever the batches, weights, penalties and time slices."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from chainrule.callbacks import Callback
from chainrule.data import split
from chainrule.engine import ENGINES, Data, Plan, State
from chainrule.engine.contract import EPOCH, LOSS, SECONDS
from chainrule.history import History
from chainrule.initializers import Uniform
from chainrule.losses import SquaredError
from chainrule.many import DEFAULTS
from chainrule.network import Network
from chainrule.optimizers import LBFGS, SGD, Adam
from chainrule.penalties import Penalty
from chainrule.randomness import dropout_mask, row_order
from chainrule.schedules import Constant, InverseScaling
from chainrule.training import make_loop, train


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    """Every engine of this installation in turn: the loop's promises hold for each."""
    return request.param


def start(sizes=(3, 4, 2), activation="tanh", **options):
    return Network(sizes, activation, initializers=Uniform(), seed=1, **options)


def table(n=11, outputs=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)), rng.normal(size=(n, outputs))


def descend(net, X, Y, batches, rate, **cost):
    """Do plain gradient descent by `Network.backward`; return each batch's cost before it."""
    costs = []
    for rows in batches:
        costs.append(net.cost(X[rows], Y[rows], **cost))
        net.theta -= rate * net.backward(net.forward(X[rows]), Y[rows], **cost).flat
    return costs


@pytest.mark.parametrize("batch_size", [1, 4, 11, 50])
def test_an_epoch_is_one_step_per_batch_in_the_order_of_its_seed(engine, batch_size):
    """The last batch is smaller; the epoch's loss weighs each batch by its rows."""
    X, Y = table()
    net, expected = start(), start()
    history = train(
        net, X, Y, optimizer=SGD(0.1), batch_size=batch_size, epochs=2, seed=5, engine=engine
    )
    for epoch in range(2):
        order = row_order(5, epoch, 11)
        cut = [order[k : k + batch_size] for k in range(0, 11, batch_size)]
        costs = descend(expected, X, Y, cut, 0.1)
        mean = np.average(costs, weights=[len(rows) for rows in cut])
        assert history["loss"][epoch] == pytest.approx(mean, rel=1e-10)
        assert history["updates"][epoch] == (epoch + 1) * len(cut)
    assert net.theta == pytest.approx(expected.theta, rel=1e-10)


def test_without_shuffling_rows_come_as_they_are(engine):
    X, Y = table()
    net, expected = start(), start()
    train(net, X, Y, optimizer=SGD(0.1), batch_size=4, epochs=1, shuffle=False, engine=engine)
    descend(expected, X, Y, [slice(0, 4), slice(4, 8), slice(8, 11)], 0.1)
    assert net.theta == pytest.approx(expected.theta, rel=1e-11)


def test_penalties_act_and_are_part_of_the_loss(engine):
    X, Y = table()
    penalty = Penalty(l1=0.05, l2=0.1, alpha=2.0, biases=True)
    net, expected = start(), start()
    options = {"optimizer": SGD(0.1), "epochs": 1, "shuffle": False, "engine": engine}
    history = train(net, X, Y, penalty=penalty, batch_size=6, **options)
    costs = descend(expected, X, Y, [slice(0, 6), slice(6, 11)], 0.1, penalty=penalty)
    assert net.theta == pytest.approx(expected.theta, rel=1e-11)
    assert history["loss"] == pytest.approx([(6 * costs[0] + 5 * costs[1]) / 11])
    short = start()
    train(short, X, Y, l1=0.05, l2=0.1, **options)
    descend(expected := start(), X, Y, [slice(0, 11)], 0.1, penalty=Penalty(0.05, 0.1))
    assert short.theta == pytest.approx(expected.theta, rel=1e-11)


@pytest.mark.parametrize("optimizer", [SGD(0.1, 0.5), Adam(0.05), LBFGS()])
def test_weights_are_repeated_rows(engine, optimizer):
    X, Y = table()
    times = np.arange(11) % 3
    weighted, repeated = start(), start()
    options = {"optimizer": optimizer, "epochs": 8, "l2": 0.1, "engine": engine}
    once = train(weighted, X, Y, weights=times, batch_size=11, **options)
    rows = np.repeat(np.arange(11), times)
    again = train(repeated, X[rows], Y[rows], batch_size=len(rows), **options)
    assert weighted.theta == pytest.approx(repeated.theta, rel=1e-6)
    assert once["loss"] == pytest.approx(again["loss"], rel=1e-8)


def test_a_batch_without_weight_is_no_step(engine):
    """Its rows neither move the weights nor count as an update, nor wake the momentum."""
    X, Y = table(9)
    weights = np.array([1.0] * 3 + [0] * 3 + [2.0] * 3)
    net, expected = start(), start()
    options = {"optimizer": SGD(0.1, 0.9), "batch_size": 3, "epochs": 2, "shuffle": False}
    history = train(net, X, Y, weights=weights, engine=engine, **options)
    kept = weights > 0
    train(expected, X[kept], Y[kept], weights=weights[kept], engine=engine, **options)
    assert net.theta == pytest.approx(expected.theta, rel=1e-11)
    assert history["updates"] == [2, 4]


def test_clipping_by_value_then_by_norm(engine):
    X, Y = table()
    g = start().backward(start().forward(X), Y).flat
    for options, expected in [
        ({"clip_value": 0.1}, np.clip(g, -0.1, 0.1)),
        ({"clip_norm": 0.5}, g * 0.5 / np.linalg.norm(g)),
        ({"clip_norm": 1e3}, g),
    ]:
        net = start()
        history = train(net, X, Y, optimizer=SGD(1.0), epochs=1, engine=engine, **options)
        assert start().theta - net.theta == pytest.approx(expected, rel=1e-10, abs=1e-14)
        assert history["gradient_norm"] == pytest.approx([np.linalg.norm(g)])  # before clipping
    net = start()
    train(net, X, Y, optimizer=SGD(1.0), epochs=1, clip_value=0.1, clip_norm=0.2, engine=engine)
    both = np.clip(g, -0.1, 0.1)
    assert start().theta - net.theta == pytest.approx(both * 0.2 / np.linalg.norm(both), rel=1e-10)


def test_dropout_masks_what_hidden_layers_feed(engine):
    """The masks of step 1 are those of (seed, step, layer); the rest is the chain rule."""
    X, Y = table()
    net, free = start((3, 6, 5, 2)), start((3, 6, 5, 2))
    masks = [dropout_mask(9, 1, l, (11, (6, 5)[l - 1]), 0.4 / l) for l in (1, 2)]
    options = {"optimizer": SGD(1.0), "epochs": 1, "shuffle": False, "engine": engine}
    train(net, X, Y, dropout=[0.4, 0.2], seed=9, **options)
    A1 = np.tanh(X @ free.W[0] + free.b[0]) * masks[0]
    A2 = np.tanh(A1 @ free.W[1] + free.b[1]) * masks[1]
    delta = (A2 @ free.W[2] + free.b[2] - Y) / 11
    assert free.W[2] - net.W[2] == pytest.approx(A2.T @ delta, rel=1e-9, abs=1e-13)
    slope = masks[1] - A2**2 / np.where(masks[1], masks[1], 1)
    delta = (delta @ free.W[2].T) * slope
    assert free.W[1] - net.W[1] == pytest.approx(A1.T @ delta, rel=1e-9, abs=1e-13)


@settings(max_examples=20, deadline=None)
@given(
    pauses=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    dropout=st.sampled_from([(), (0.0, 0.3)]),
    rule=st.sampled_from(["mean", "every_row"]),
)
@pytest.mark.parametrize("name", sorted(ENGINES))
def test_slices_of_time_and_epochs_change_no_bit(name, pauses, dropout, rule):
    """Advance in slices of no time at all, in several engines: as in one go."""
    X, Y = table()
    weights = np.linspace(0, 2, 11)
    epochs = sum(pauses)
    plan = Plan(
        loss=SquaredError(),
        optimizer=Adam(0.05),
        schedule=InverseScaling(0.3),
        penalty=Penalty(l2=0.1),
        batch_size=3,
        epochs=epochs,
        seed=4,
        dropout=dropout,
        stop_below=1e-9,
        stop_rule=rule,
    )
    nets = [start(), start()]
    states = [State.start(plan, net) for net in nets]
    data = Data(X, Y, weights)
    for state, net in zip(states, nets, strict=True):
        state.best_theta = net.theta.copy()
    engine, sliced = ENGINES[name](plan, nets[0], data, None), []
    records = engine.advance(states[0], epochs, 60.0).records
    for pause in pauses:
        engine = ENGINES[name](plan, nets[1], data, None)
        wanted = len(sliced) + pause
        while len(sliced) < wanted:
            sliced += [*engine.advance(states[1], wanted - len(sliced), 0.0).records]
    assert nets[0].theta.tobytes() == nets[1].theta.tobytes()
    assert [s.tobytes() for s in states[0].slots] == [s.tobytes() for s in states[1].slots]
    assert np.delete(records, SECONDS, 1).tolist() == np.delete(sliced, SECONDS, 1).tolist()
    best = int(np.argmin(records[:, LOSS]))
    for state in states:
        assert (state.best, state.best_epoch) == (records[best, LOSS], best + 1)
    assert states[0].best_theta.tobytes() == states[1].best_theta.tobytes()


@settings(max_examples=20, deadline=None)
@given(
    every=st.integers(1, 9),
    calls=st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=5),
    batch_size=st.sampled_from([4, 10]),
)
@pytest.mark.parametrize("name", sorted(ENGINES))
def test_thin_records_are_every_so_many_th_and_the_last_of_each_call(
    name, every, calls, batch_size
):
    X, Y = table(10)
    nets = [start(), start()]
    plan = make_loop(nets[0], Data(X, Y), None, DEFAULTS | {"batch_size": batch_size}).plan
    states = [State.start(plan, net) for net in nets]
    engines = [ENGINES[name](plan, net, Data(X, Y), None) for net in nets]
    whole = engines[0].advance(states[0], 60, 60.0).records
    for epochs, paused in calls:
        before = states[1].epoch
        records = engines[1].advance(states[1], epochs, 0.0 if paused else 60.0, every).records
        done = whole[before : states[1].epoch]
        kept = [row for row in done if row[EPOCH] % every == 0 or row[EPOCH] == states[1].epoch]
        kept = np.array(kept).reshape(-1, whole.shape[1])
        assert np.delete(records, SECONDS, 1).tolist() == np.delete(kept, SECONDS, 1).tolist()
        assert (records[:, SECONDS] > 0).all()


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_sparse_rows_are_rows(optimizer):
    X, Y = table(30)
    X[abs(X) < 0.7] = 0
    dense, thin = start(), start()
    options = {"optimizer": optimizer, "epochs": 5, "validation": 0.2}
    train(dense, X, Y, **options)
    for kind in (sparse.csr_matrix, sparse.coo_array):
        thin.theta[:] = start().theta
        train(thin, kind(X), Y, **options)
        assert thin.theta == pytest.approx(dense.theta, rel=1e-7, abs=1e-12)
    assert thin.predict(sparse.csc_array(X)) == pytest.approx(dense.predict(X), rel=1e-7)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rprop", "lbfgs"])
def test_float32_stays_near_float64(engine, optimizer):
    X, Y = table()
    double, single = start(), start(dtype="float32")
    for net in (double, single):
        history = train(net, X, Y, optimizer=optimizer, epochs=5, engine=engine)
    assert single.theta.dtype == np.float32
    assert all(isinstance(loss, float) for loss in history["loss"])
    assert single.theta == pytest.approx(double.theta, rel=1e-3, abs=1e-4)


def test_the_callers_arrays_are_left_alone(engine):
    X, Y = table()
    w = np.ones(11)
    copies = X.copy(), Y.copy(), w.copy()
    train(start(), X, Y, weights=w, epochs=2, validation=(X, Y), engine=engine)
    assert all((a == b).all() for a, b in zip((X, Y, w), copies, strict=True))


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_history_is_plain(engine, optimizer):
    X, Y = table(20)
    mine = History()
    history = train(
        start(),
        X,
        Y,
        optimizer=optimizer,
        epochs=3,
        validation=0.25,
        metric=lambda y, a: -np.abs(a - y).max(),
        history=mine,
        engine=engine,
    )
    assert history is mine
    assert json.loads(json.dumps(history.records, allow_nan=False)) == history.records
    assert history["epoch"] == [1, 2, 3]
    assert history.engine == engine
    assert len(history.records[0]["layer_gradient_norms"]) == 2
    norms = np.linalg.norm(history["layer_gradient_norms"], axis=1)
    assert history["gradient_norm"] == pytest.approx(norms)


def test_validation_rows_of_your_own_with_and_without_weights(engine):
    X, Y = table(20)
    V, T = table(6, seed=8)
    w = np.arange(6.0)
    for validation, expected in [
        ((V, T), lambda net: net.cost(V, T)),
        ((V, T, w), lambda net: net.cost(V, T, weights=w)),
        ((V, T, None), lambda net: net.cost(V, T)),
    ]:
        net = start()
        history = train(net, X, Y, l2=0.3, epochs=3, validation=validation, engine=engine)
        assert min(history["validation_loss"]) == pytest.approx(expected(net), rel=1e-11)


def test_a_share_is_held_out_and_never_trained_on(engine):
    X, Y = table(20)
    _, held_out = split(20, 0.3, 2)
    spoilt = Y.copy()
    spoilt[held_out] += 100.0
    nets = [start(), start()]
    options = {"validation": 0.3, "seed": 2, "epochs": 1, "engine": engine}
    losses = [train(net, X, t, **options) for net, t in zip(nets, (Y, spoilt), strict=True)]
    assert nets[0].theta.tobytes() == nets[1].theta.tobytes()
    assert losses[0]["loss"] == losses[1]["loss"]
    cost = nets[0].cost(X[held_out], Y[held_out])
    assert losses[0]["validation_loss"] == pytest.approx([cost])


PROGRAM = """
import numpy as np
from chainrule.network import Network
from chainrule.training import make_loop, train
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
net = Network([3, 8, 8, 2], "gelu", seed=3)
train(net, X, Y, epochs=4, batch_size=7, dropout=0.2, seed=3, validation=0.1, l1=1e-3, ENGINE)
print(net.theta.tobytes().hex())
"""


def test_same_seed_same_bits_in_another_process(engine):
    program = PROGRAM.replace("ENGINE", f"engine={engine!r}")
    runs = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True
        )
        for _ in range(2)
    ]
    assert [run.stderr for run in runs] == ["", ""]
    assert runs[0].stdout == runs[1].stdout
    assert len(runs[0].stdout) > 1000


def test_hooks_are_called_in_order(engine):
    class Diary(Callback):
        def __init__(self):
            self.pages = []

        def on_train_begin(self, network, history):
            self.pages.append("begin")

        def on_epoch_end(self, network, history):
            self.pages.append(len(history))

        def on_train_end(self, network, history):
            self.pages.append("end")

    diary = Diary()
    history = train(start(), *table(), epochs=3, callbacks=[diary], engine=engine)
    assert diary.pages == ["begin", 1, 2, 3, "end"]
    assert history.stop_reason == "reached 3 epochs"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs=0 must be a whole number >= 1"),
        ({"epochs": 2.5}, "epochs=2.5 must be a whole number"),
        ({"batch_size": True}, "batch_size=True must be a whole number"),
        ({"batch_size": -3}, "batch_size=-3"),
        ({"clip_norm": 0}, "clip_norm=0 must be a number > 0"),
        ({"clip_value": float("nan")}, "clip_value=nan"),
        ({"stop_below": -1}, "stop_below=-1"),
        ({"stop_below": 1, "stop_rule": "row"}, "stop_rule='row' must be 'mean' or 'every_row'"),
        ({"l1": -1}, "l1=-1 must be a finite number >= 0"),
        ({"l2": float("inf")}, "l2=inf"),
        ({"l2": 1.0, "penalty": Penalty(l1=1.0)}, "both given"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1 must be a finite number >= 0"),
        (
            {"weight_decay": 5, "optimizer": SGD(0.5)},
            "weight_decay=5 at a learning rate of 0.5 takes more.* expected at most 2",
        ),
        ({"gradient_accumulation_steps": 0}, "steps=0 must be a whole number >= 1"),
        ({"ema_decay": 1.0}, "ema_decay=1.0 must be a share > 0 and < 1, such as 0.999"),
        ({"ema_decay": 0}, "ema_decay=0 must be a share"),
        ({"input_dropout": 1.0}, "input_dropout=1.0 must be a share >= 0 and < 1"),
        ({"input_dropout": [0.1]}, r"input_dropout=\[0.1\] must be a share"),
        ({"time_limit": 0}, "time_limit=0 must be a number > 0, or None"),
        ({"restore_best_weights": 1}, "restore_best_weights=1 must be True, False, or None"),
        ({"patience": -1}, "patience=-1 must be a whole number >= 0"),
        ({"dropout": 1.0}, "dropout=1.0 must be a share >= 0 and < 1"),
        ({"dropout": [0.1, 0.1]}, "one for each of the 1 hidden layers"),
        ({"loss": "mse"}, "loss='mse' is unknown"),
        ({"optimizer": "adma"}, "did you mean 'adam"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"engine": "refrence"}, "did you mean 'reference'"),
        ({"n_threads": 0}, "n_threads=0 must be >= 1"),
        ({"optimizer": "rprop", "batch_size": 2}, "RProp needs full batches"),
        (
            {"optimizer": "rprop", "batch_size": 2, "gradient_accumulation_steps": 5},
            "RProp needs full batches",
        ),
        ({"optimizer": "lbfgs", "dropout": 0.5}, "dropout=0.5 cannot act"),
        ({"optimizer": "lbfgs", "dropout": [0.5]}, r"dropout=\[0.5\] cannot act"),
        ({"optimizer": "lbfgs", "input_dropout": 0.5}, "input_dropout=0.5 cannot act"),
        ({"optimizer": "lbfgs", "weight_decay": 0.5}, "weight_decay=0.5 cannot act"),
        ({"optimizer": "lbfgs", "ema_decay": 0.5}, "ema_decay=0.5 cannot act"),
        ({"optimizer": "lbfgs", "clip_norm": 0.5}, "clip_norm=0.5 cannot act"),
        ({"optimizer": "lbfgs", "gradient_accumulation_steps": 2}, "steps=2 cannot act"),
        ({"optimizer": "lbfgs", "schedule": "cosine"}, "schedule='cosine' cannot act"),
        ({"validation": 1.5}, "validation=1.5 of 11 rows"),
        ({"validation": 0.01}, "leaves no row on one side"),
        ({"validation": ([[1.0, 2, 3]],)}, "validation has 1 entries; expected"),
        ({"validation": [1, 2]}, "validation is a list; expected a share"),
        ({"validation": ([[1.0, 2]], [[1.0, 1]])}, "X has 2 columns; expected 3"),
        ({"weights": np.zeros(11)}, "all weights are zero"),
        ({"weights": np.eye(11)[split(11, 0.3, 0)[0][0]], "validation": 0.3}, "validation rows"),
    ],
)
def test_bad_settings_are_refused_in_one_line(options, message):
    net = start()
    with pytest.raises(ValueError, match=message) as error:
        train(net, *table(), **options)
    assert "\n" not in str(error.value)
    assert (net.theta == start().theta).all()


def test_the_constant_schedule_goes_with_lbfgs():
    train(start(), *table(), optimizer="lbfgs", schedule=Constant(), epochs=2)


def test_a_divergence_in_the_first_epoch_gives_the_first_weights_back():
    net = Network([3, 4, 2], seed=0)
    before = net.theta.copy()
    X = np.random.default_rng(0).normal(size=(50, 3)) * 1e150
    with pytest.raises(ValueError, match="diverged"):
        train(net, X, np.ones((50, 2)), optimizer=SGD(1e150), batch_size=5)
    assert np.array_equal(net.theta, before)


def test_a_float32_gradient_of_1e20_is_clipped_and_not_lost():
    rng = np.random.default_rng(0)
    net = Network([3, 20, 2], seed=0, dtype="float32")
    before = net.theta.copy()
    X, Y = rng.normal(size=(20, 3)) * 1e10, rng.normal(size=(20, 2)) * 1e10
    train(net, X, Y, optimizer=SGD(0.01), clip_norm=1.0, epochs=1)
    assert np.linalg.norm(net.theta - before) == pytest.approx(0.01, rel=1e-3)
