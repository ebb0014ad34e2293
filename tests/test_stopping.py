"""Stopping: when a training ends, with which weights, and what it says about it."""

import numpy as np
import pytest

from chainrule.callbacks import Callback, EarlyStopping, OnEpoch
from chainrule.engine import ENGINES
from chainrule.history import History
from chainrule.initializers import Uniform
from chainrule.loop import Diverged
from chainrule.network import Network
from chainrule.optimizers import LBFGS, SGD, Adam
from chainrule.training import train


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    return request.param


def start(sizes=(2, 4, 1), activation="tanh", **options):
    return Network(sizes, activation, initializers=Uniform(), seed=1, **options)


def table(n=30, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, 2))
    return X, X[:, :1] * X[:, 1:]


class Weights(Callback):
    """Keeps the weights after every epoch."""

    def __init__(self):
        self.after = []

    def on_epoch_end(self, network, history):
        self.after.append(network.theta.copy())


@pytest.mark.parametrize("optimizer", [Adam(0.05), LBFGS()])
def test_best_weights_by_validation_loss_are_restored(engine, optimizer):
    """A network that learns noise by heart is best early on."""
    rng = np.random.default_rng(3)
    X, Y = rng.normal(size=(20, 2)), rng.normal(size=(20, 1))
    net, weights = start((2, 30, 1)), Weights()
    history = train(
        net,
        X,
        Y,
        optimizer=optimizer,
        epochs=60,
        validation=0.4,
        callbacks=[weights],
        engine=engine,
    )
    best = int(np.argmin(history["validation_loss"]))
    assert best < len(history) - 1
    assert history.best_epoch == best + 1
    assert (net.theta == weights.after[best]).all()


def test_without_validation_the_last_weights_stay(engine):
    net, weights = start(), Weights()
    history = train(net, *table(), epochs=5, callbacks=[weights], engine=engine)
    assert (net.theta == weights.after[-1]).all()
    assert history.best_epoch is None


@pytest.mark.parametrize("validation", [None, 0.3])
def test_patience_counts_epochs_without_improvement(engine, validation):
    """At a rate that changes nothing no epoch improves on the first: 1 + patience + 1 epochs."""
    history = train(
        start(),
        *table(),
        optimizer=SGD(1e-300),
        epochs=50,
        batch_size=30,
        patience=4,
        validation=validation,
        engine=engine,
    )
    assert len(history) == 6
    assert "did not improve by more than 0 for 4 epochs" in history.stop_reason


def test_early_stopping_on_a_share_held_out(engine):
    rng = np.random.default_rng(3)
    X, Y = rng.normal(size=(20, 2)), rng.normal(size=(20, 1))
    net = start((2, 30, 1))
    history = train(
        net, X, Y, optimizer=Adam(0.05), epochs=500, validation=0.4, patience=5, engine=engine
    )
    assert len(history) == history.best_epoch + 6 < 500
    assert min(history["validation_loss"]) == history["validation_loss"][history.best_epoch - 1]


def test_early_stopping_by_a_metric_that_is_to_rise(engine):
    seen = iter([0.1, 0.5, 0.4, 0.45, 0.5, 0.2])
    net, weights = start(), Weights()
    stopping = EarlyStopping("metric", patience=2)
    history = train(
        net, *table(), metric=lambda y, a: next(seen), callbacks=[weights, stopping], engine=engine
    )
    assert len(history) == 5
    assert history.best_epoch == 2
    assert (net.theta == weights.after[1]).all()


def test_monitoring_what_is_not_measured_is_refused():
    with pytest.raises(ValueError, match=r"monitor='metric' was not measured.*known: .*loss"):
        train(start(), *table(), callbacks=[EarlyStopping("metric")])


def test_the_mean_rule_stops_at_the_first_epoch_below(engine):
    options = {"optimizer": Adam(0.05), "batch_size": 5, "engine": engine}
    losses = train(start(), *table(), epochs=40, **options)["loss"]
    threshold = np.mean(losses[10:12])
    first = next(k for k, loss in enumerate(losses) if loss < threshold)
    history = train(start(), *table(), epochs=40, stop_below=threshold, **options)
    assert history["loss"] == losses[: first + 1]
    assert history.stop_reason == f"loss fell below {threshold:g} (mean)"


def test_the_older_rule_waits_for_every_row(engine):
    """Sample by sample, until each row's error, as met in the epoch, is under the threshold."""
    X, Y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0.0], [1], [1], [0]])
    net = start(activation="sigmoid", output_activation="sigmoid")
    twin = net.copy()
    options = {"optimizer": SGD(0.8, 0.8), "batch_size": 1, "shuffle": False, "engine": engine}
    history = train(net, X, Y, epochs=5000, stop_below=0.01, stop_rule="every_row", **options)
    assert history.stop_reason == "loss fell below 0.01 (every_row)"
    velocity, met = 0.0, []
    for _ in range(len(history)):
        met.append([])
        for x, y in zip(X, Y, strict=True):
            met[-1].append(twin.cost([x], [y]))
            velocity = 0.8 * velocity - 0.8 * twin.backward(twin.forward([x]), [y]).flat
            twin.theta += velocity
    worst = np.max(met, axis=1)
    assert worst[-1] < 0.01
    assert (worst[:-1] >= 0.01).all()
    assert np.mean(met[-1]) < 0.01
    assert any(np.mean(met, axis=1)[:-1] < 0.01)  # the mean rule would have stopped before


@pytest.mark.parametrize("optimizer", [Adam(), LBFGS()])
def test_a_callback_stops_by_value(engine, optimizer):
    stop = OnEpoch(lambda record: record["epoch"] == 3)
    history = train(start(), *table(), optimizer=optimizer, callbacks=[stop], engine=engine)
    assert len(history) == 3
    assert history.stop_reason == "a callback stopped it"


def test_lbfgs_says_that_the_threshold_was_reached(engine):
    history = train(start(), *table(), optimizer="lbfgs", stop_below=0.05, engine=engine)
    assert history["loss"][-1] < 0.05 <= history["loss"][-2]
    assert history.stop_reason == "loss fell below 0.05 (mean)"


def test_a_history_used_again_forgets_why_it_stopped(engine):
    history, net = History(), start()
    train(net, *table(), epochs=2, history=history, engine=engine)
    stop = OnEpoch(lambda record: True)
    train(net, *table(), epochs=2, callbacks=[stop], history=history, engine=engine)
    assert len(history) == 3
    assert history.stop_reason == "a callback stopped it"


@pytest.mark.parametrize("optimizer", [Adam(0.3), LBFGS()])
def test_ctrl_c_in_a_callback_keeps_the_best_weights_and_goes_on_up(engine, optimizer):
    class CtrlC(Weights):
        ended = False

        def on_epoch_end(self, network, history):
            super().on_epoch_end(network, history)
            if len(history) == 7:
                raise KeyboardInterrupt

        def on_train_end(self, network, history):
            self.ended = True

    net, user, history = start(), CtrlC(), History()
    with pytest.raises(KeyboardInterrupt):
        train(
            net,
            *table(),
            optimizer=optimizer,
            validation=0.3,
            callbacks=[user],
            history=history,
            engine=engine,
        )
    assert user.ended
    best = int(np.argmin(history["validation_loss"]))
    assert (net.theta == user.after[best]).all()
    assert history.stop_reason == "interrupted after 7 epochs"


def test_diverged_names_update_layer_and_what_to_try(engine):
    X, Y = table()
    net = start(activation="identity")
    with pytest.raises(Diverged, match="not finite at update") as error:
        train(net, X, 1e3 * Y, optimizer=SGD(100.0), batch_size=10, epochs=500, engine=engine)
    message = str(error.value)
    assert "\n" not in message
    assert "layer " in message
    assert "of 2 (" in message
    assert "learning rate below 100 (try 10)" in message
    assert "clip_norm=1" in message
    assert np.isfinite(net.theta).all()


def test_diverged_comes_at_once_and_keeps_the_best_epoch(engine):
    """The first epochs are sound; a callback then spoils a weight of layer 2."""
    net, weights, history = start(), Weights(), History()

    class Spoil(Callback):
        def on_epoch_end(self, network, history):
            if len(history) == 3:
                network.W[1][0] = np.inf

    with pytest.raises(Diverged, match=r"at update 10 \(epoch 4\), in the outputs of layer 2 of 2"):
        train(
            net,
            *table(),
            batch_size=10,
            callbacks=[weights, Spoil()],
            history=history,
            engine=engine,
        )
    assert len(history) == 3
    best = int(np.argmin(history["loss"]))
    assert (net.theta == weights.after[best]).all()
    assert history.best_epoch == best + 1
    assert history.stop_reason.startswith("training diverged")


@pytest.mark.parametrize("optimizer", [SGD(0.1), LBFGS()])
def test_a_loss_that_is_infinite_from_the_start_diverges(engine, optimizer):
    net = Network([1, 1], ["exp"], initializers="zeros")
    net.W[0][:] = 1e3
    with pytest.raises(Diverged, match=r"at update 1 \(epoch 1\)"):
        train(net, [[1.0]], [[1.0]], loss="poisson", optimizer=optimizer, engine=engine)
    assert np.isfinite(net.theta).all()


def test_a_validation_loss_that_is_not_finite_diverges(engine):
    net = Network([1, 1], ["exp"], initializers="zeros")
    validation = ([[1e5]], [[1.0]])
    with pytest.raises(Diverged, match=r"at update 1 \(epoch 1\), in the validation loss"):
        train(
            net,
            [[1.0]],
            [[2.0]],
            loss="poisson",
            optimizer=SGD(0.1),
            validation=validation,
            engine=engine,
        )
    assert np.isfinite(net.theta).all()


def test_on_time_slice_can_stop_within_an_epoch(monkeypatch, engine):
    """With slices of no time the loop looks up after every batch."""
    monkeypatch.setattr("chainrule.loop.SLICE", 0.0)
    seen = []

    class Watch(Callback):
        def on_time_slice(self, network, history, done):
            seen.append(done)
            return len(seen) == 4

    history = train(start(), *table(), batch_size=10, callbacks=[Watch()], engine=engine)
    if engine == "reference":  # which looks at the clock after every batch
        assert seen == pytest.approx([1 / 3, 2 / 3, 4 / 3, 5 / 3])
        assert len(history) == 1
        assert history.stop_reason == "a callback stopped it"
