"""Diagnosis of estimators: in their words, on real trainings, sick and healthy."""

import io
import json
import re
import warnings
from functools import cache

import numpy as np
import pytest
from rich.console import Console
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from chainrule import SGD, Adam, MLPClassifier, MLPRegressor, Network, Uniform, diagnose


def scaled(load):
    X, y = load(return_X_y=True)
    return scale(X), y


def normalized():
    X, y = load_diabetes(return_X_y=True)
    return scale(X), scale(y)


def xor():
    X = np.random.default_rng(0).normal(size=(400, 2))
    return X, (X.prod(axis=1) > 0).astype(int)


def four():
    return np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0, 1, 1, 0])


def trained(model, data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*data)


SCALES = {"scale_X": "standard", "scale_y": "standard"}
HEALTHY = {
    "digits": (lambda s: MLPClassifier(random_state=s), lambda: scaled(load_digits)),
    "digits, validated": (
        lambda s: MLPClassifier(random_state=s, early_stopping=True, dropout=0.2),
        lambda: scaled(load_digits),
    ),
    "breast cancer": (lambda s: MLPClassifier(random_state=s), lambda: scaled(load_breast_cancer)),
    "breast cancer, sgd": (
        lambda s: MLPClassifier(random_state=s, solver="sgd", learning_rate_init=0.05),
        lambda: scaled(load_breast_cancer),
    ),
    "wine, raw": (
        lambda s: MLPClassifier(random_state=s, scale_X="standard"),
        lambda: load_wine(return_X_y=True),
    ),
    "iris": (lambda s: MLPClassifier(random_state=s, max_iter=600), lambda: scaled(load_iris)),
    "diabetes": (lambda s: MLPRegressor(random_state=s), normalized),
    "diabetes, raw": (
        lambda s: MLPRegressor(random_state=s, **SCALES, early_stopping=True),
        lambda: load_diabetes(return_X_y=True, scaled=False),
    ),
    "diabetes, lbfgs": (
        lambda s: MLPRegressor(
            hidden_layer_sizes=(10,), random_state=s, **SCALES, solver="lbfgs", alpha=1.0
        ),
        lambda: load_diabetes(return_X_y=True),
    ),
    "xor": (lambda s: MLPClassifier(random_state=s, max_iter=500), xor),
    "xor, four rows": (
        lambda s: MLPClassifier((16,), "tanh", random_state=s, learning_rate_init=0.02), four
    ),
    "xor, lbfgs": (lambda s: MLPClassifier((8,), "tanh", random_state=s, solver="lbfgs"), four),
    "members": (
        lambda s: MLPClassifier(random_state=s, n_estimators=2), lambda: scaled(load_iris)
    ),
}  # fmt: skip


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("run", HEALTHY)
def test_healthy_runs_have_no_warning(run, seed):
    make, load = HEALTHY[run]
    data = load()
    model = trained(make(seed), data)
    for found in (model.diagnose(*data), model.diagnose()):
        assert found.healthy, f"\n{found}"
        assert "stopped" in found.kinds
        assert set(found.kinds) <= {
            "stopped", "constant_inputs", "update_size", "saturated_units", "dead_units",
            "vanishing_gradients",
        }  # fmt: skip


def noise(n, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 20)), rng.integers(0, 3, n)


def leaked():
    X, y = scaled(load_diabetes)
    return np.column_stack([X, 2 * y - 3]), y


def rare():
    X, y = scaled(load_breast_cancer)
    rows = np.r_[np.flatnonzero(y == 1), np.flatnonzero(y == 0)[:3]]
    return X[rows], np.array(["benign", "malignant"])[1 - y[rows]]


def on_digits(*sizes, unit=1.0, **settings):
    X, y = scaled(load_digits)
    return MLPClassifier(*sizes, random_state=0, **{"max_iter": 50} | settings), (unit * X, y)


RAW = load_diabetes(return_X_y=True, scaled=False)
DEEP = (50,) * 6
#: For each kind: a training that provokes it, and what the remedy must name.
SICK = {
    "dead_units": (
        lambda: (MLPClassifier((30,), learning_rate_init=1.0, max_iter=50, random_state=0),
                 (load_digits().data / 16, load_digits().target)),
        "activation='leaky_relu'",
    ),
    "saturated_units": (
        lambda: on_digits((50,), "logistic", unit=1000, max_iter=20), "scale_X='standard'",
    ),
    "vanishing_gradients": (
        lambda: on_digits(DEEP, "logistic", solver="sgd", learning_rate_init=0.1, max_iter=30),
        "activation='relu'",
    ),
    "exploding_gradients": (
        lambda: on_digits(DEEP, initializer=Uniform(), max_iter=5), "initializer='auto'",
    ),
    "update_size": (lambda: on_digits(solver="sgd", learning_rate_init=1e-5),
                    "learning_rate_init=0.0006"),
    "unscaled_inputs": (lambda: (MLPRegressor(random_state=0), RAW), "scale_X='standard'"),
    "unscaled_targets": (lambda: (MLPRegressor(random_state=0), RAW), "scale_y='standard'"),
    "rate_too_high": (lambda: on_digits(learning_rate_init=3.0), "learning_rate_init=0.3"),
    "rate_too_low": (lambda: on_digits(learning_rate_init=1e-5), "learning_rate_init=0.0001"),
    "rare_classes": (lambda: (MLPClassifier(random_state=0), rare()), "class_weight='balanced'"),
    "target_among_features": (lambda: (MLPRegressor(random_state=0), leaked()), "Drop it"),
    "overfitting": (
        lambda: (MLPClassifier(learning_rate_init=0.01, random_state=0), noise(100, 0)),
        "early_stopping=True",
    ),
    "stopped": (lambda: on_digits(max_iter=8), "max_iter=16"),
}  # fmt: skip


@cache
def sick(kind):
    model, data = SICK[kind][0]()
    model = trained(model, data)
    eval_set = noise(200, 1) if kind == "overfitting" else None
    return model.diagnose(*data, eval_set=eval_set)


@pytest.mark.parametrize("kind", SICK)
def test_what_is_wrong_is_found_and_told_in_the_estimators_words(kind):
    finding = sick(kind)[kind]
    assert finding.severity == "warning", str(sick(kind))
    assert re.search(r"\d", finding.sentence)
    assert finding.numbers
    assert SICK[kind][1] in finding.remedy


@pytest.mark.parametrize("seed", range(3))
def test_losses_that_jump_by_dropout_are_no_sign_of_a_rate(seed):
    """A rate of next to nothing, and losses that jump by chance, wide of a constant answer."""
    X, y = scaled(load_iris)
    model = MLPClassifier(
        (128, 64), "silu", solver="sgd", learning_rate_init=1e-6, dropout=0.4, batch_size=32,
        max_iter=20, initializer=Uniform(-0.4, 0.4), random_state=seed,
    )  # fmt: skip
    found = trained(model, (X, y)).diagnose(X, y)
    losses = np.array(model.loss_curve_)
    assert np.median(np.abs(np.diff(losses))) > 0.02 * found.baseline
    assert "rate_too_high" not in found.kinds
    assert "rate_too_high" not in model.diagnose().kinds
    assert found["update_size"].severity == "warning"
    model.set_params(dropout=0.0)
    assert "rate_too_high" in model.diagnose(X, y).kinds


def test_classes_are_called_by_name():
    assert "class 'malignant' has 3 of 360 rows" in sick("rare_classes")["rare_classes"].sentence


def test_rates_of_solvers_of_ones_own_are_told_as_theirs():
    X, y = scaled(load_digits)
    model = trained(MLPClassifier(solver=Adam(1e-5), max_iter=50, random_state=0), (X, y))
    assert "solver=Adam(0.0001)" in model.diagnose(X, y)["rate_too_low"].remedy


def test_it_is_the_diagnosis_of_the_network_with_the_parameters():
    """The same as `diagnose` by hand: rows, loss, weights, optimizer, batches and history."""
    X, y = scaled(load_digits)
    weights = np.random.default_rng(0).random(len(y))
    model = MLPClassifier(
        (9,), "tanh", solver="sgd", learning_rate_init=0.05, momentum=0.5, batch_size=50,
        max_iter=7, clip_norm=2.0, random_state=0,
    )  # fmt: skip
    trained(model, (X, y, weights))
    found = model.diagnose(X, y, weights)
    network = Network([64, 9, 10], "tanh", output_activation="softmax")
    for layer, W, b in zip(network.layers, model.coefs_, model.intercepts_, strict=True):
        layer.W[:], layer.b[:] = W, b
    expected = diagnose(
        network, X, np.eye(10)[y], loss="cross_entropy", weights=weights, batch_size=50,
        optimizer=SGD(0.05, momentum=0.5, nesterov=True), clip_norm=2.0,
    )  # fmt: skip
    assert found.layers == expected.layers
    assert found.loss == expected.loss
    assert found.baseline == expected.baseline
    assert found.epochs == 7


def test_class_weights_weigh():
    X, y = rare()
    model = trained(MLPClassifier(class_weight="balanced", random_state=0), (X, y))
    plain = trained(MLPClassifier(random_state=0), (X, y))
    assert model.diagnose(X, y).baseline == pytest.approx(np.log(2), rel=1e-6)
    assert plain.diagnose(X, y).baseline < 0.1


@pytest.mark.parametrize("pack", [sparse.csr_matrix, np.float32])
def test_rows_may_be_sparse_or_short(pack):
    X, y = scaled(load_iris)
    model = trained(MLPClassifier(random_state=0, max_iter=600), (pack(X), y))
    assert model.diagnose(pack(X), y).healthy


def test_raw_tables_are_seen_as_the_network_sees_them():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(RAW[0], columns=load_diabetes().feature_names)
    frame["answer in cents"] = 100 * RAW[1]
    model = trained(MLPRegressor(random_state=0, max_iter=50, **SCALES), (frame, RAW[1]))
    found = model.diagnose(frame, RAW[1])
    assert "unscaled_inputs" not in found.kinds
    assert "column 'answer in cents'" in found["target_among_features"].sentence


def test_labels_and_several_numbers_are_looked_at():
    X, y = scaled(load_iris)
    labels = np.column_stack([y == 0, y > 0]) * 1
    assert trained(MLPClassifier(random_state=0, max_iter=400), (X, labels)).diagnose(X, labels)
    Y = np.column_stack([scale(y), -scale(y)])
    assert trained(MLPRegressor(random_state=0, max_iter=400), (X, Y)).diagnose(X, Y).healthy


def test_weights_set_by_hand_have_no_history():
    model = MLPRegressor(hidden_layer_sizes=(3,), random_state=0)
    model.partial_fit(*normalized())
    assert model.diagnose(*normalized()).epochs == 1
    del model.history_, model.stop_reason_
    assert "stopped" not in model.diagnose(*normalized()).kinds
    with pytest.raises(ValueError, match="nothing to look at"):
        model.diagnose()


def test_nothing_is_changed():
    X, y = scaled(load_iris)
    model = trained(MLPClassifier(random_state=0, class_weight="balanced"), (X, y))
    before = {name: np.copy(value) for name, value in vars(model).items() if name == "loss_curve_"}
    coefs, names = [W.copy() for W in model.coefs_], list(vars(model))
    model.diagnose(X, y, eval_set=(X[::2], y[::2]))
    assert list(vars(model)) == names
    assert all((a == b).all() for a, b in zip(coefs, model.coefs_, strict=True))
    assert (before["loss_curve_"] == model.loss_curve_).all()


def test_the_record_alone_tells_what_it_can():
    model, data = on_digits(learning_rate_init=3.0)
    found = trained(model, data).diagnose()
    assert found.kinds == ["rate_too_high", "stopped"]
    assert "Give X and y too" in str(found).replace("\n", " ")
    model, data = on_digits(learning_rate_init=1e-3)
    found = trained(model, data).diagnose()
    assert str(found).startswith("Diagnosis: nothing wrong in the record")
    assert json.loads(json.dumps(found.to_dict()))["rows"] == 0


def test_what_does_not_fit_is_refused():
    X, y = scaled(load_iris)
    with pytest.raises(NotFittedError):
        MLPClassifier().diagnose(X, y)
    model = trained(MLPClassifier(random_state=0, max_iter=5), (X, y))
    with pytest.raises(ValueError, match="X is given without y"):
        model.diagnose(X)
    with pytest.raises(ValueError, match="y is given without X"):
        model.diagnose(y=y)
    with pytest.raises(ValueError, match="eval_set is a ndarray"):
        model.diagnose(X, y, eval_set=X)
    with pytest.raises(ValueError, match="features"):
        model.diagnose(X[:, :2], y)


def test_rich_prints_what_str_says_in_colours():
    found = sick("rare_classes")
    out = io.StringIO()
    Console(file=out, force_terminal=True, width=200, highlight=False).print(found)
    text = out.getvalue()
    assert "\x1b[1;31mWARNING: rare classes" in text
    assert re.sub(r"\x1b\[[\d;]*m", "", text).rstrip() == str(found).rstrip()


def test_brackets_in_names_are_no_markup():
    pandas = pytest.importorskip("pandas")
    X, y = leaked()
    frame = pandas.DataFrame(X, columns=[*(f"x{j}" for j in range(10)), "price [/red]\\[b]"])
    model = trained(MLPRegressor(random_state=0, max_iter=30), (frame, y))
    out = io.StringIO()
    Console(file=out, width=200).print(model.diagnose(frame, y))
    assert "price [/red]" in out.getvalue()


def test_a_pipeline_is_told_where_to_ask():
    X, y = four()
    pipe = trained(make_pipeline(StandardScaler(), MLPClassifier((2,), max_iter=2)), (X, y))
    with pytest.raises(ValueError, match=r"network is a Pipeline; expected a Network.*\[-1\]"):
        diagnose(pipe, X, y)


def test_stopped_by_accuracy_on_rare_classes():
    """All rows are soon called by the commonest class, and the accuracy stands still."""
    rng = np.random.default_rng(0)
    y = (rng.uniform(size=700) < 0.15).astype(int)
    X = rng.normal(size=(700, 6)) + 0.5 * y[:, None]
    model = trained(MLPClassifier((32,), early_stopping=True, random_state=0), (X, y))
    finding = model.diagnose(X, y)["stopped"]
    assert finding.severity == "warning"
    assert "validation loss was still falling" in finding.sentence
    better = model.set_params(monitor="validation_loss", max_iter=500)
    assert model.score(X, y) < trained(better, (X, y)).score(X, y)
