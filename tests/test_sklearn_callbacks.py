"""scikit-learn's callback protocol: its own callbacks see every epoch, and can end the training."""

import builtins
import copy
import importlib.util
import warnings
from contextlib import nullcontext

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from chainrule import CallbackFailed
from chainrule.callbacks import OnEpoch
from chainrule.estimators import sklearn_callbacks
from chainrule.estimators.sklearn_callbacks import (
    CallbackSupport,
    protocol_callbacks,
    with_callbacks,
)
from chainrule.loop import Diverged
from chainrule.many import DEFAULTS
from chainrule.network import Network
from chainrule.optimizers import SGD
from chainrule.training import make_loop, read_data

sklearn_callback = pytest.importorskip("sklearn.callback", reason="scikit-learn is before 1.9")
X = np.random.default_rng(0).normal(size=(30, 2))
Y = X[:, 0] * X[:, 1]


class Net(CallbackSupport, RegressorMixin, BaseEstimator):
    """The least estimator that has the protocol."""

    def __init__(self, epochs=5, rate=1e-3):
        self.epochs, self.rate = epochs, rate

    @with_callbacks
    def fit(self, X, y, sample_weight=None):
        """Train for so many epochs."""
        network = self.network_ = Network([X.shape[1], 3, 1], "tanh", seed=0)
        words = DEFAULTS | {"epochs": self.epochs, "weights": sample_weight, "batch_size": 10}
        words["optimizer"] = SGD(self.rate)
        self.thetas_, self.asked_ = [], 0
        loop = make_loop(network, *read_data(network, X, y[:, None], words), words)
        loop.model = self.as_of_now
        loop.callbacks.extend(protocol_callbacks(self, X, y, sample_weight))
        loop.callbacks.append(OnEpoch(lambda record: self.thetas_.append(network.theta.copy())))
        self.history_ = loop.run()
        return self

    def as_of_now(self):
        self.asked_ += 1
        view = copy.copy(self)
        view.network_ = self.network_.copy()
        return view

    def predict(self, X):
        return self.network_.predict(X)[:, 0]


class Records:
    """A callback of the protocol that writes everything down."""

    def __init__(self, fails="", stops=99):
        self.calls, self.models, self.fails, self.stops = [], [], fails, stops

    def note(self, hook, context, **given):
        self.calls.append((hook, context.task_name, context.task_id))
        if hook == self.fails:
            raise KeyError("surprise")
        for key, expected in (("X", X), ("y", Y)):
            assert given.get(key) is None or given[key] is expected

    def setup(self, estimator, context):
        self.note("setup", context)
        assert context.max_subtasks == estimator.epochs

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.note("begin", context, X=X, y=y)
        self.metadata = metadata

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.note("end", context, X=X, y=y)
        self.models.append(fitted_estimator)
        return context.task_name == "epoch" and context.task_id + 1 == self.stops

    def teardown(self, estimator, context):
        self.note("teardown", context)


def test_every_epoch_is_a_task_of_the_fit():
    records, weights = Records(), np.ones(30)
    model = Net(epochs=2).set_callbacks(records).fit(X, Y, sample_weight=weights)
    assert records.calls == [
        ("setup", "fit", 0),
        ("begin", "fit", 0),
        ("begin", "epoch", 0), ("end", "epoch", 0),
        ("begin", "epoch", 1), ("end", "epoch", 1),
        ("end", "fit", 0),
        ("teardown", "fit", 0),
    ]  # fmt: skip
    assert records.metadata == {"sample_weight": weights}
    assert not [name for name in vars(model) if "callback_fit" in name]


def test_fitted_estimators_are_those_of_their_epoch():
    """Kept until the training is over, they still are."""
    records = Records()
    model = Net(epochs=3).set_callbacks(records).fit(X, Y)
    *epochs, last = records.models
    assert [m.network_.theta.tobytes() for m in epochs] == [t.tobytes() for t in model.thetas_]
    assert (last.predict(X) == model.predict(X)).all()
    assert len({m.predict(X).tobytes() for m in epochs}) == 3


def test_they_are_made_for_those_who_ask_only():
    class Asks(Records):
        def on_fit_task_end(self, estimator, context):
            return False

    assert Net().set_callbacks(Asks()).fit(X, Y).asked_ == 0


def test_true_stops_the_training():
    model = Net(epochs=9).set_callbacks(Records(stops=3)).fit(X, Y)
    assert len(model.history_) == 3
    assert model.history_.stop_reason == "a callback stopped it"


def test_a_fit_without_callbacks_has_none_of_it():
    assert protocol_callbacks(Net(), X, Y) == []
    assert protocol_callbacks(Net().set_callbacks(Records()).set_callbacks(), X, Y) == []


def test_what_comes_out_is_the_same_with_callbacks():
    plain, seen = Net().fit(X, Y), Net().set_callbacks(Records()).fit(X, Y)
    assert plain.network_.theta.tobytes() == seen.network_.theta.tobytes()


@pytest.mark.parametrize("hook", ["begin", "end", "teardown"])
def test_one_that_fails_loses_no_model(hook):
    plain, model = Net().fit(X, Y), Net().set_callbacks(Records(fails=hook))
    with pytest.warns(CallbackFailed, match="KeyError: 'surprise'") as told:
        assert model.fit(X, Y) is model
    assert all(isinstance(each.message.__cause__, KeyError) for each in told)
    assert (model.predict(X) == plain.predict(X)).all()
    assert len(model.history_) == 5


def test_one_that_cannot_be_set_up_is_told_before_the_training():
    records = Records(fails="setup")
    model = Net().set_callbacks(records)
    with pytest.raises(KeyError, match="surprise"):
        model.fit(X, Y)
    assert [call[0] for call in records.calls] == ["setup", "teardown"]
    assert not hasattr(model, "history_")


def test_a_fit_that_fails_takes_them_down_and_says_why():
    records = Records()
    with pytest.raises(Diverged):
        Net(rate=1e200).set_callbacks(records).fit(X, Y)
    assert records.calls[-1][0] == "teardown"


def test_scikit_learns_monitor_scores_every_epoch():
    monitor = sklearn_callback.ScoringMonitor(scoring="r2")
    model = Net(epochs=4, rate=0.1).set_callbacks(monitor).fit(X, Y)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    expected = []
    for theta in model.thetas_:
        view = model.as_of_now()
        view.network_.theta[:] = theta
        expected.append(view.score(X, Y))
    assert [row["r2"] for row in rows] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("outer", ["none", "pipeline", "grid"])
def test_scikit_learns_bar_goes_through_meta_estimators(outer, capfd):
    bar, net = sklearn_callback.ProgressBar(max_propagation_depth=None), Net(epochs=3)
    model = {
        "none": net,
        "pipeline": make_pipeline(StandardScaler(), net),
        "grid": GridSearchCV(net, {"rate": [0.1, 0.2]}, cv=2),
    }[outer]
    quiet = warnings.catch_warnings() if outer == "pipeline" else nullcontext()
    with quiet:
        if outer == "pipeline":  # of a scaler that knows no callbacks
            warnings.simplefilter("ignore", UserWarning)
        model.set_callbacks(bar).fit(X, Y)
    assert np.isfinite(model.predict(X)).all()
    assert "Net - fit" in capfd.readouterr().out


def test_before_scikit_learn_1_9_there_is_nothing_to_it(monkeypatch):
    found = builtins.__import__

    def older(name, *more, **words):
        module = found(name, *more, **words)
        if name == "sklearn" and "callback" in (more[2] or ()):
            raise ImportError("cannot import name 'callback' from 'sklearn'")
        return module

    spec = importlib.util.spec_from_file_location("older", sklearn_callbacks.__file__)
    room = importlib.util.module_from_spec(spec)
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "__import__", older)
        spec.loader.exec_module(room)
    assert room.protocol is None

    def fit(self):
        return self

    assert room.with_callbacks(fit) is fit
    assert not hasattr(room.CallbackSupport, "set_callbacks")
    assert room.protocol_callbacks(type("E", (room.CallbackSupport,), {})(), X, Y) == []
