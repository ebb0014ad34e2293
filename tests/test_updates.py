"""Updates: decay apart from the gradient, gradients over several batches, averaged parameters."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from chainrule.callbacks import Callback
from chainrule.engine import ENGINES, Data, Plan, State
from chainrule.engine.contract import SECONDS
from chainrule.history import History
from chainrule.initializers import Uniform
from chainrule.loop import Diverged, Loop
from chainrule.losses import SquaredError
from chainrule.network import Network
from chainrule.optimizers import LBFGS, OPTIMIZERS, SGD, Adam
from chainrule.penalties import Penalty
from chainrule.randomness import dropout_mask
from chainrule.schedules import Constant, InverseScaling
from chainrule.training import train

STEPPING = sorted(set(OPTIMIZERS) - {"lbfgs"})
SIZES = [(3, 4, 2), (3, 20, 2), (3, 2)]  # tiny, of any width, without hidden layer


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    return request.param


def start(sizes=(3, 4, 2), activation="tanh", **options):
    return Network(sizes, activation, initializers=Uniform(), seed=1, **options)


def table(n=31, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)), rng.normal(size=(n, 2))


class Watch(Callback):
    """Keeps the parameters after every epoch."""

    def __init__(self):
        self.after = []

    def on_epoch_end(self, network, history):
        self.after.append(network.theta.copy())


@pytest.mark.parametrize("optimizer", STEPPING)
@pytest.mark.parametrize("outputs", [2, 20])
def test_without_a_gradient_weights_decay_geometrically_and_biases_stay(engine, optimizer, outputs):
    """Inputs of 0 give the biases, which are the targets: nothing is left to learn."""
    net = Network([3, outputs], ["identity"], initializers=Uniform(), seed=1)
    before, rates = net.copy(), 0.2 / np.sqrt(np.arange(1, 6))
    optimizer = OPTIMIZERS[optimizer](rate=0.2)
    if hasattr(optimizer, "weight_decay"):  # AdamW's own acts on biases, which then are no targets
        optimizer = type(optimizer)(0.2, weight_decay=0.0)
    X, Y = np.zeros((6, 3)), np.tile(net.b[0], (6, 1))
    options = {"schedule": InverseScaling(0.5), "batch_size": 6, "epochs": 5, "engine": engine}
    history = train(net, X, Y, optimizer=optimizer, weight_decay=0.7, **options)
    assert history["loss"] == [0.0] * 5  # it is no part of the loss
    assert net.b[0].tobytes() == before.b[0].tobytes()
    assert net.W[0] == pytest.approx(before.W[0] * np.prod(1 - 0.7 * rates), rel=1e-13)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "adagrad"])
@pytest.mark.parametrize("sizes", SIZES)
def test_without_epsilon_only_a_parameter_can_divide_by_zero(sizes, optimizer):
    """What pads the native engine's vectors has no gradient, and is nobody's fault."""
    X, Y = table()
    nets = [start(sizes) for _ in ENGINES]
    for net, engine in zip(nets, ENGINES, strict=True):
        rule = OPTIMIZERS[optimizer](rate=0.01, epsilon=0.0)
        train(net, X, Y, optimizer=rule, batch_size=8, epochs=5, engine=engine)
    for net in nets[1:]:
        assert net.theta == pytest.approx(nets[0].theta, rel=1e-9)


def test_weight_decay_comes_before_the_rule_and_after_the_gradient(engine):
    X, Y = table()
    net, old = start(), start()
    train(net, X, Y, optimizer=SGD(0.1), weight_decay=0.5, batch_size=31, epochs=1, engine=engine)
    grads = old.backward(old.forward(X), Y)
    for new, layer, dW, db in zip(net.layers, old.layers, grads.dW, grads.db, strict=True):
        decayed = (1 - 0.1 * 0.5) * layer.W
        assert new.W == pytest.approx(decayed - 0.1 * dW, rel=1e-12)  # noqa: SIM300
        assert new.b == pytest.approx(layer.b - 0.1 * db, rel=1e-12)


@pytest.mark.parametrize("optimizer", STEPPING)
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("weighted", [False, True])
def test_batches_that_are_averaged_are_one_large_batch(engine, optimizer, sizes, weighted):
    """31 rows: updates of 12, 12 and 7. A batch without weight changes none of it."""
    X, Y = table()
    weights = np.linspace(0, 2, 31)
    weights[4:8] = 0.0
    weights[-7:] = 0.0 if optimizer == "sgd" else 1.0  # in a whole update
    full = OPTIMIZERS[optimizer].full_batch
    few, many = ({"batch_size": 8, "gradient_accumulation_steps": 4}, {"batch_size": 31}) if full \
        else ({"batch_size": 4, "gradient_accumulation_steps": 3}, {"batch_size": 12})  # fmt: skip
    options = {
        "optimizer": OPTIMIZERS[optimizer](rate=1e-3),
        "schedule": "cosine",
        "epochs": 4,
        "penalty": Penalty(1e-3, 0.01, 0.3, biases=True),
        "weights": weights if weighted else None,
        "dropout": 0.3,
        "input_dropout": 0.2,
        "clip_norm": 0.5,
        "shuffle": weighted and optimizer != "sgd",
        "engine": engine,
    }
    nets = [start(sizes), start(sizes)]
    one, other = (
        train(net, X, Y, **options, **more) for net, more in zip(nets, (few, many), strict=True)
    )
    assert nets[0].theta == pytest.approx(nets[1].theta, rel=1e-9, abs=1e-12)
    assert one["updates"] == other["updates"]
    assert one["rate"] == other["rate"]
    for key in ("loss", "gradient_norm"):
        assert one[key] == pytest.approx(other[key], rel=1e-10)


def test_gradients_are_averaged_by_weight_then_clipped(engine):
    """By `Network.backward`, batch by batch; the penalty counts once, for all of the weight."""
    X, Y = table(10)
    w = np.linspace(0.5, 2, 10)
    net, old, penalty = start(), start(), Penalty(l2=0.1, alpha=0.4)
    batches = [slice(0, 4), slice(4, 8), slice(8, 10)]
    parts = [old.backward(old.forward(X[b]), Y[b], weights=w[b]).flat.copy() for b in batches]
    g = old.gradients(np.average(parts, axis=0, weights=[w[b].sum() for b in batches]))
    for dW, W in zip(g.dW, old.W, strict=True):
        dW += penalty.gradient(W, w.sum())
    norm = np.linalg.norm(g.flat)
    history = train(
        net, X, Y, weights=w, penalty=penalty, optimizer=SGD(0.1), batch_size=4, shuffle=False,
        gradient_accumulation_steps=5, clip_norm=norm / 3, epochs=1, engine=engine,
    )  # fmt: skip
    assert old.theta - net.theta == pytest.approx(0.1 * g.flat / 3, rel=1e-10, abs=1e-15)
    assert history["updates"] == [1]
    assert history["gradient_norm"] == pytest.approx([norm], rel=1e-11)


def test_the_worst_row_is_found_in_whichever_batch(engine):
    X, Y = table(9)
    Y[4] += 10.0
    options = {"optimizer": SGD(1e-300), "batch_size": 2, "shuffle": False, "epochs": 1}
    worst = max(start().cost([x], [y]) for x, y in zip(X, Y, strict=True))
    for below, stops in [(worst * 1.01, True), (worst * 0.99, False)]:
        history = train(
            start(), X, Y, stop_below=below, stop_rule="every_row", engine=engine,
            gradient_accumulation_steps=3, **options,
        )  # fmt: skip
        assert history.stop_reason.startswith("loss fell below") == stops


def recomputed(thetas, first, decay):
    """Return the moving average after each of some updates, by its definition."""
    mean, means = first, []
    for t, theta in enumerate(thetas, start=1):
        d = min(decay, (1 + t) / (10 + t))
        mean = d * mean + (1 - d) * theta
        means.append(mean)
    return means


@pytest.mark.parametrize("optimizer", STEPPING)
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("decay", [0.5, 0.999])
def test_the_network_has_the_average_and_training_goes_on_from_what_moves(
    engine, optimizer, sizes, decay
):
    """One update an epoch: those without averaging are what is averaged, to the last bit."""
    X, Y = table()
    options = {
        "optimizer": OPTIMIZERS[optimizer](rate=0.02), "epochs": 20, "batch_size": 31, "l2": 0.1,
        "weight_decay": 0.1, "clip_norm": 0.3, "engine": engine,
    }  # fmt: skip
    plain, means = Watch(), Watch()
    one = train(start(sizes), X, Y, callbacks=[plain], **options)
    net = start(sizes)
    history = train(net, X, Y, callbacks=[means], ema_decay=decay, **options)
    assert history["loss"] == one["loss"]
    expected = recomputed(plain.after, start(sizes).theta, decay)
    assert np.array(means.after) == pytest.approx(np.array(expected), rel=1e-11, abs=1e-14)
    assert (net.theta == means.after[-1]).all()


def test_an_average_in_float32_is_near_that_in_float64(engine):
    nets = [start(), start(dtype="float32")]
    for net in nets:
        train(net, *table(), epochs=5, batch_size=4, ema_decay=0.9, engine=engine)
    assert nets[1].theta.dtype == np.float32
    assert nets[1].theta == pytest.approx(nets[0].theta, rel=1e-4, abs=1e-6)


def test_averaged_parameters_are_measured_and_the_best_of_them_restored(engine):
    X, Y = table()
    V, T = table(8, seed=5)
    net, watch = start((3, 30, 2)), Watch()
    history = train(
        net, X, Y, optimizer=Adam(0.1), epochs=60, batch_size=8, validation=(V, T), ema_decay=0.8,
        callbacks=[watch], metric=lambda y, a: -np.abs(y - a).max(), engine=engine,
    )  # fmt: skip
    for theta, loss, metric in list(
        zip(watch.after, history["validation_loss"], history["metric"], strict=True)
    )[::7]:
        twin = start((3, 30, 2))
        twin.theta[:] = theta
        assert loss == pytest.approx(twin.cost(V, T), rel=1e-11)
        assert metric == pytest.approx(-np.abs(T - twin.predict(V)).max(), rel=1e-10)
    best = int(np.argmin(history["validation_loss"]))
    assert history.best_epoch == best + 1 < 60
    assert (net.theta == watch.after[best]).all()


@pytest.mark.parametrize("decay", [None, 0.9])
def test_best_weights_by_training_loss_are_restored_when_asked_for(engine, decay):
    net, watch = start(), Watch()
    options = {"optimizer": SGD(1.0, 0.9), "epochs": 30, "batch_size": 10, "engine": engine}
    options |= {"ema_decay": decay}
    history = train(net, *table(), callbacks=[watch], restore_best_weights=True, **options)
    best = int(np.argmin(history["loss"]))
    assert history.best_epoch == best + 1 < 30
    assert (net.theta == watch.after[best]).all()
    unwatched = start()  # the engine then keeps them
    train(unwatched, *table(), restore_best_weights=True, **options)
    assert (unwatched.theta == net.theta).all()


def test_best_weights_of_lbfgs_by_training_loss(engine):
    net, watch = start(), Watch()
    history = train(
        net, *table(), optimizer="lbfgs", epochs=5, callbacks=[watch], restore_best_weights=True,
        engine=engine,
    )  # fmt: skip
    best = int(np.argmin(history["loss"]))
    assert history.best_epoch == best + 1
    assert (net.theta == watch.after[best]).all()


@pytest.mark.parametrize("optimizer", [Adam(0.1), LBFGS()])
def test_the_last_weights_stay_when_asked_for(engine, optimizer):
    rng, net, watch = np.random.default_rng(3), start((3, 30, 2)), Watch()
    X, Y = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    history = train(
        net, X, Y, optimizer=optimizer, epochs=60, validation=0.4, callbacks=[watch],
        restore_best_weights=False, engine=engine,
    )  # fmt: skip
    assert int(np.argmin(history["validation_loss"])) < len(history) - 1
    assert history.best_epoch is None
    assert (net.theta == watch.after[-1]).all()


@pytest.mark.parametrize("fails", ["diverges", "interrupted"])
def test_what_ends_badly_leaves_the_best_average(engine, fails):
    class Ends(Watch):
        def on_epoch_end(self, network, history):
            super().on_epoch_end(network, history)
            if len(history) == 6 and fails == "interrupted":
                raise KeyboardInterrupt
            if len(history) == 6:
                self.training.rate = 1e300

    net, watch, history = start(), Ends(), History()
    with pytest.raises((Diverged, KeyboardInterrupt)):
        train(
            net, *table(), optimizer=SGD(0.8, 0.9), batch_size=8, ema_decay=0.9, history=history,
            callbacks=[watch], engine=engine,
        )  # fmt: skip
    best = int(np.argmin(history["loss"]))
    assert history.best_epoch == best + 1
    assert len(history) == 6
    assert (net.theta == watch.after[best]).all()


def test_an_average_of_what_diverges_is_told_as_ever(engine):
    net = start(activation="identity")
    with pytest.raises(Diverged, match="not finite at update"):
        train(net, *table(), optimizer=SGD(1e9), ema_decay=0.9, batch_size=4, engine=engine)
    assert np.isfinite(net.theta).all()


def plan_of(**more):
    return Plan(
        SquaredError(), Adam(0.05), InverseScaling(0.3), Penalty(l2=0.1), 2, 9, dropout=(0.1, 0.3),
        weight_decay=0.3, gradient_accumulation_steps=2, ema_decay=0.9, **more,
    )  # fmt: skip


def test_a_state_that_goes_on_is_a_training_that_never_stopped(engine):
    """As partial fits do: the network has the average, and the state what moves."""
    data, plan = Data(*table(11)), plan_of()
    once, again = start(), start()
    Loop(plan, once, data, None, None, History()).run(engine)
    state = State.start(plan, again)
    for epoch in range(1, 10):
        loop = Loop(plan, again, data, None, None, History(), last_epoch=epoch)
        loop.run(engine, state=state)
    assert again.theta.tobytes() == once.theta.tobytes()
    assert state.raw.tobytes() != again.theta.tobytes()


@settings(max_examples=20, deadline=None)
@given(pauses=st.lists(st.integers(1, 3), min_size=1, max_size=4))
@pytest.mark.parametrize("name", sorted(ENGINES))
@pytest.mark.parametrize("sizes", SIZES[:2])
def test_slices_of_no_time_change_no_bit(name, sizes, pauses):
    data = Data(*table(11), np.linspace(0, 2, 11))
    plan, nets = plan_of(), [start(sizes), start(sizes)]
    states = [State.start(plan, net) for net in nets]
    records = ENGINES[name](plan, nets[0], data, None).advance(states[0], sum(pauses), 60.0).records
    sliced = []
    for pause in pauses:
        engine, wanted = ENGINES[name](plan, nets[1], data, None), len(sliced) + pause
        while len(sliced) < wanted:
            sliced += [*engine.advance(states[1], wanted - len(sliced), 0.0).records]
    assert nets[0].theta.tobytes() == nets[1].theta.tobytes()
    assert states[0].raw.tobytes() == states[1].raw.tobytes()
    assert np.delete(records, SECONDS, 1).tolist() == np.delete(sliced, SECONDS, 1).tolist()


@pytest.mark.parametrize("sizes", SIZES)
def test_engines_take_over_from_each_other_in_the_middle_of_an_epoch(sizes):
    """Slot by slot, mean by mean, as one of them alone."""
    data, plan = Data(*table(11)), plan_of()
    alone, shared = start(sizes), start(sizes)
    states = [State.start(plan, net) for net in (alone, shared)]
    ENGINES["reference"](plan, alone, data, None).advance(states[0], 9, 60.0)
    within = 0
    for turn in range(10**3):
        if states[1].epoch == 9:
            break
        name = sorted(ENGINES)[turn % len(ENGINES)]
        ENGINES[name](plan, shared, data, None).advance(states[1], 1, 0.0)
        within += states[1].batch > 0
    assert within >= 9
    assert states[1].t == states[0].t == 9 * 3
    assert shared.theta == pytest.approx(alone.theta, rel=1e-12, abs=1e-13)
    assert states[1].raw == pytest.approx(states[0].raw, rel=1e-12, abs=1e-13)
    for slot, other in zip(states[1].slots, states[0].slots, strict=True):
        assert slot == pytest.approx(other, rel=1e-12, abs=1e-13)


def test_averaging_begins_and_ends_between_two_trainings(engine):
    """What moves is the same all along; while nothing is averaged, the network has it."""
    data, averages = Data(*table(11)), plan_of()
    plain, nets = replace(averages, ema_decay=None), [start(), start()]
    states = [State.start(plain, net) for net in nets]
    for epoch, plan in enumerate([plain, averages, averages, plain], start=1):
        for net, state, own in zip(nets, states, (plan, plain), strict=True):
            Loop(own, net, data, None, None, History(), last_epoch=epoch).run(engine, state=state)
        moving = nets[0].theta if states[0].raw is None else states[0].raw
        assert (states[0].raw is not None) == (plan is averages)
        assert (moving == nets[1].theta).all()
        assert (nets[0].theta == nets[1].theta).all() == (plan is plain)


def test_a_training_that_fails_leaves_the_state_before_as_it_was(engine):
    """What moves is copied, as an estimator's last state must stay what it was."""
    data, net = Data(*table(11)), start()
    state = State.start(plan_of(), net)
    Loop(plan_of(), net, data, None, None, History(), last_epoch=2).run(engine, state=state)
    kept, before = state.raw, state.raw.copy()
    loop = Loop(
        replace(plan_of(), optimizer=Adam(1e300)), net, data, None, None, History(), last_epoch=5
    )
    with pytest.raises(Diverged):
        loop.run(engine, state=replace(state, slots=[s.copy() for s in state.slots]))
    assert (kept == before).all()


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_inputs_drop_out_of_the_first_layer(engine, sizes, kind):
    """The mask of step 1 is that of (seed, step, layer 0); the rest is the chain rule."""
    X, Y = table()
    net, old = start(sizes), start(sizes)
    train(net, kind(X), Y, optimizer=SGD(0.1), batch_size=31, epochs=1, input_dropout=0.4, seed=9,
          engine=engine)  # fmt: skip
    masked = X * dropout_mask(9, 1, 0, X.shape, 0.4)
    g = old.backward(old.forward(masked), Y).flat
    assert (masked == 0).mean() == pytest.approx(0.4, abs=0.15)
    assert old.theta - net.theta == pytest.approx(0.1 * g, rel=1e-10, abs=1e-14)


class Clock:
    """A clock that is a second later whenever somebody looks."""

    def __init__(self):
        self.time = 0.0

    def __call__(self):
        self.time += 1.0
        return self.time


@pytest.fixture
def ticking(monkeypatch):
    """Slices of no time, and a clock by which every look takes a second."""
    monkeypatch.setattr("chainrule.loop.SLICE", 0.0)
    monkeypatch.setattr("chainrule.loop.monotonic", Clock())


def limited(net, **options):
    history = History()
    plan = Plan(SquaredError(), options.pop("optimizer", SGD(0.1)), Constant(), Penalty(), 4, 50)
    loop = Loop(plan, net, Data(*table()), None, None, history)
    for name, value in options.items():
        setattr(loop, name, value)
    return loop


@pytest.mark.parametrize("optimizer", [SGD(0.05), LBFGS()])
def test_a_training_ends_when_its_time_is_up(engine, ticking, optimizer):
    """Within an epoch too: the reference engine takes one of 8 updates between two looks."""
    net, watch = start(), Watch()
    loop = limited(net, optimizer=optimizer, time_limit=20.0, started=0.0, callbacks=[watch])
    history = loop.run(engine)
    epochs = len(history)
    assert history.stop_reason == f"time_limit=20 seconds were over after {epochs} epochs"
    assert 0 < epochs < 21
    if isinstance(optimizer, LBFGS):
        assert (net.theta == watch.after[-1]).all()
    elif engine == "reference":
        assert loop.state.batch > 0
        assert (net.theta != watch.after[-1]).any()


def test_the_best_weights_are_restored_when_time_is_up(engine, ticking):
    net, watch = start(), Watch()
    loop = limited(
        net, optimizer=SGD(1.5, 0.9), time_limit=60.0, started=0.0, callbacks=[watch],
        restore_best=True,
    )  # fmt: skip
    history = loop.run(engine)
    assert history.stop_reason.startswith("time_limit=60 seconds were over")
    assert (net.theta == watch.after[int(np.argmin(history["loss"]))]).all()


def test_lbfgs_ends_between_two_evaluations_with_its_last_iterate(engine, monkeypatch):
    """The time is up in the search along the line that the second iteration would take."""
    net, watch = start(), Watch()
    evaluations = iter([1.0, 1.0, 1.0, 0.0])
    monkeypatch.setattr(Loop, "_left", lambda self: next(evaluations))
    loop = limited(net, optimizer=LBFGS(), time_limit=1.0, callbacks=[watch])
    history = loop.run(engine)
    assert history.stop_reason == f"time_limit=1 seconds were over after {len(history)} epochs"
    expected = watch.after[-1] if watch.after else start().theta
    assert (net.theta == expected).all()


def test_a_training_that_is_done_in_time_says_why_it_stopped(engine):
    history = train(start(), *table(), epochs=2, time_limit=1e6, engine=engine)
    assert history.stop_reason == "reached 2 epochs"
