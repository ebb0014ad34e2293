"""Diagnosis: every check sees what it is there for, and is silent on healthy runs."""

import contextlib
import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    make_friedman1,
    make_moons,
)
from sklearn.preprocessing import scale

from chainrule import (
    SGD,
    Activation,
    Adam,
    Diverged,
    History,
    InverseScaling,
    MLPClassifier,
    MLPRegressor,
    Network,
    Uniform,
    diagnose,
    train,
)
from chainrule.diagnosis import CHECKS
from chainrule.diagnosis.evidence import FITS, constant_cost, is_squashing, steepest
from chainrule.diagnosis.words import OF_COMMANDS, OF_ESTIMATORS, OF_OWN_SOLVERS, OF_TRAIN, SPEECH
from chainrule.losses import LOSSES, get_loss

OUTPUTS = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}
KINDS = [check.look.__name__ for check in CHECKS]


def one_hot(y):
    return np.eye(int(y.max()) + 1)[y]


def digits(rows=900):
    X, y = load_digits(return_X_y=True)
    return scale(X)[:rows], one_hot(y)[:rows], "cross_entropy"


def diabetes():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    return scale(X), scale(y)[:, None], "squared_error"


def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X), y[:, None] * 1.0, "binary_cross_entropy"


def friedman():
    X, y = make_friedman1(1000, noise=0.5, random_state=0)
    return scale(X), scale(y)[:, None], "squared_error"


def iris():
    X, y = load_iris(return_X_y=True)
    return scale(X), one_hot(y), "cross_entropy"


def moons():
    X, y = make_moons(400, noise=0.15, random_state=0)
    return X, y[:, None] * 1.0, "binary_cross_entropy"


def build(data, hidden, activation, *, seed=0, **settings):
    X, Y, loss = data
    sizes = [X.shape[1], *hidden, Y.shape[1]]
    output = OUTPUTS.get(loss, "identity")
    return Network(sizes, activation, output_activation=output, seed=seed, **settings)


def examined(data, hidden, activation, optimizer, *, initializers="auto", held=None, **settings):
    """Train and diagnose; a training that diverges is diagnosed, too."""
    X, Y, loss = data
    seed, history = settings.pop("seed", 0), History()
    settings = {"epochs": 50} | settings
    network = build(data, hidden, activation, seed=seed, initializers=initializers)
    with contextlib.suppress(Diverged):
        train(network, X, Y, loss=loss, optimizer=optimizer, seed=seed, history=history, **settings)
    known = {name: settings[name] for name in ("batch_size", "clip_norm") if name in settings}
    return diagnose(
        network, X, Y, loss=loss, optimizer=optimizer, history=history, held_out=held, **known
    )


WAIT = {"patience": 10, "min_delta": 1e-4}
HEALTHY = {
    "digits relu": (digits, [100], "relu", Adam(), {"epochs": 100} | WAIT),
    "digits three layers": (digits, [50] * 3, "relu", Adam(), WAIT),
    "digits tanh": (digits, [50, 50], "tanh", Adam(), {"epochs": 100} | WAIT),
    "digits momentum": (digits, [100], "relu", SGD(0.1, momentum=0.9), WAIT),
    "digits validation": (digits, [100], "relu", Adam(), {"validation": 0.2} | WAIT),
    "softmax regression": (digits, [], "relu", Adam(1e-2), {"epochs": 100} | WAIT),
    "regression": (friedman, [64, 32], "silu", Adam(), {"epochs": 200}),
    "small regression": (diabetes, [50], "relu", Adam(), {"epochs": 100}),
    "linear regression": (diabetes, [], "relu", SGD(0.05), {"epochs": 200}),
    "regression by L-BFGS": (diabetes, [10], "tanh", "lbfgs", {"epochs": 100, "l2": 0.01}),
    "two classes": (cancer, [50], "relu", Adam(), {"epochs": 100}),
    "logistic regression": (cancer, [], "relu", Adam(1e-2), {"epochs": 100, "l2": 1e-3}),
    "iris by L-BFGS": (iris, [16], "tanh", "lbfgs", {"epochs": 200}),
    "moons": (moons, [32], "tanh", Adam(1e-2), {"epochs": 100}),
}


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("run", HEALTHY)
def test_healthy_runs_have_no_warning(run, seed):
    data, hidden, activation, optimizer, settings = HEALTHY[run]
    found = examined(data(), hidden, activation, optimizer, seed=seed, **settings)
    assert found.healthy, f"\n{found}"
    assert "healthy" in str(found)
    assert set(found.kinds) <= {
        "stopped", "constant_inputs", "update_size", "saturated_units", "vanishing_gradients",
    }  # fmt: skip


# What provokes each kind: a function that returns a diagnosis.


def with_column(data, column):
    X, Y, loss = data
    return np.column_stack([X, column]), Y, loss


def untrained(data, hidden=(10,), activation="relu", **settings):
    X, Y, loss = data
    names = {k: settings.pop(k) for k in ("feature_names", "class_names") if k in settings}
    return diagnose(build(data, hidden, activation, **settings), X, Y, loss=loss, **names)


def blown_up():
    data = diabetes()
    network = build(data, [5], "relu")
    network.W[0][:] = 1e200
    return diagnose(network, data[0], data[1])


def spoilt(column):
    X, Y, loss = friedman()
    return untrained(with_column((X, Y, loss), column(Y[:, 0])))


def flat_targets():
    X, Y, loss = friedman()
    return untrained((X, np.zeros_like(Y), loss))


def far_targets():
    X, Y, loss = diabetes()
    return examined((X, 77 * Y + 152, loss), [20], "relu", Adam())


def negative_targets_for_relu():
    X, Y, _ = friedman()
    return diagnose(Network([10, 5, 1], output_activation="relu"), X, Y)


def rare():
    X, Y, loss = cancer()
    rows = np.r_[np.flatnonzero(Y[:, 0] == 1), np.flatnonzero(Y[:, 0] == 0)[:3]]
    return untrained((X[rows], Y[rows], loss), class_names=["malignant", "benign"])


def outnumbered():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1000, 5)), rng.random(1000) < 0.03
    return examined((X, y[:, None] * 1.0, "binary_cross_entropy"), [], "relu", Adam(1e-2))


def overfitted(**settings):
    X, y = load_digits(return_X_y=True)
    y = np.random.default_rng(0).integers(0, 4, len(y))
    X, Y = scale(X), one_hot(y)
    settings |= {"validation": (X[100:400], Y[100:400])}
    return examined((X[:100], Y[:100], "cross_entropy"), [100], "relu", Adam(1e-2), **settings)


@cache
def deep_sigmoids():
    return examined(digits(), [50] * 6, "sigmoid", SGD(0.1), epochs=30)


SICK = {
    "not_finite": blown_up,
    "target_among_features": lambda: spoilt(lambda y: 3 * y - 1),
    "unscaled_inputs": lambda: spoilt(lambda y: 1e5 * np.random.default_rng(0).normal(size=len(y))),
    "constant_inputs": lambda: spoilt(np.ones_like),
    "unscaled_targets": far_targets,
    "constant_target": flat_targets,
    "unreachable_targets": negative_targets_for_relu,
    "rare_classes": rare,
    "rate_too_high": lambda: examined(digits(), [100], "relu", Adam(3.0)),
    "rate_too_low": lambda: examined(digits(), [100], "relu", Adam(1e-5)),
    "identical_units": lambda: examined(
        digits(), [20], "tanh", Adam(), initializers="zeros", epochs=5
    ),
    "vanishing_gradients": deep_sigmoids,
    "exploding_gradients": lambda: untrained(digits(), [50] * 6, "relu", initializers=Uniform()),
    "update_size": lambda: examined(digits(), [100], "relu", SGD(1e-5)),
    "clipped": lambda: examined(digits(), [100], "relu", SGD(0.01), clip_norm=1e-3),
    "dead_units": lambda: examined(
        (load_digits().data / 16, one_hot(load_digits().target), "cross_entropy"),
        [30],
        "relu",
        Adam(1.0),
    ),
    "saturated_units": lambda: examined(
        (1000 * digits()[0], *digits()[1:]), [50], "tanh", Adam(), epochs=20
    ),
    "never_predicted": outnumbered,
    "learned_nothing": deep_sigmoids,
    "overfitting": overfitted,
    "stopped": lambda: examined(digits(), [100], "relu", Adam(), epochs=8),
}
SICK = {kind: cache(provoke) for kind, provoke in SICK.items()}
NOTES = {"constant_inputs", "overfitting"}  # the best weights were kept


def test_every_check_is_provoked():
    assert list(SICK) == KINDS


@pytest.mark.parametrize("kind", SICK)
def test_what_is_wrong_is_found(kind):
    found = SICK[kind]()
    finding = found[kind]
    assert finding.severity == ("note" if kind in NOTES else "warning"), f"\n{found}"
    assert re.search(r"\d", finding.sentence)
    assert finding.numbers
    assert finding.remedy.endswith(".")
    assert found.healthy == all(each.severity == "note" for each in found.findings)
    assert kind.replace("_", " ") in str(found)


def test_findings_bear_the_names_of_their_checks():
    for kind, provoke in list(SICK.items())[:9]:
        assert set(provoke().kinds) <= set(KINDS), kind


# That the numbers are right.


def test_dead_units_are_counted():
    data = digits()
    network = build(data, [8, 6], "relu")
    network.b[0][:3] = -1e3
    network.b[1][:] = -1e3
    finding = diagnose(network, *data[:2], loss=data[2])["dead_units"]
    assert finding.numbers == {"dead": {1: 3, 2: 6, 3: 0}, "units": {1: 8, 2: 6, 3: 10}} or (
        finding.numbers == {"dead": {1: 3, 2: 6}, "units": {1: 8, 2: 6}}
    )
    assert finding.layer == 2
    assert "3 of 8 relu units (38 %) in layer 1" in finding.sentence


class Gate(Activation):
    """An activation of one's own, flat on both sides: z / √(1 + z⁴)."""

    def value(self, z):
        return z / (1 + z**4) ** 0.5

    def derivative(self, z, a):
        return (1 - z**4) / (1 + z**4) ** 1.5


def test_activations_of_ones_own_saturate():
    data = digits()
    network = build(data, [8], Gate())
    network.b[0][:6] = 50.0
    finding = diagnose(network, *data[:2], loss=data[2])["saturated_units"]
    assert finding.numbers["saturated"] == {1: 6}
    assert finding.severity == "warning"


def test_squashing_is_seen_in_the_derivative():
    from chainrule.activations import ACTIVATIONS

    flat = {name for name, sigma in ACTIVATIONS.items() if is_squashing(sigma)}
    assert flat == {"sigmoid", "logistic", "tanh", "softsign", "hard_sigmoid", "relu6"}
    assert steepest(ACTIVATIONS["softplus"]) == pytest.approx(0.98, abs=0.01)


def test_error_norms_are_those_of_the_four_equations():
    X, Y, loss = digits()
    network = build((X, Y, loss), [9, 8], "tanh")
    delta = network.backward(network.forward(X), Y, loss).delta
    norms = np.array([np.linalg.norm(each) for each in delta])
    found = diagnose(network, X, Y, loss=loss)
    assert [each["error"] for each in found.layers] == pytest.approx(norms / norms[-1], rel=1e-12)


def test_vanishing_tells_slopes_from_weights():
    """Halving the weights halves their factor per layer, and leaves that of σ′ where it was."""
    X, Y, loss = digits()
    data = (X[:200] * 1e-3, Y[:200], loss)  # where all is linear
    numbers = []
    for size in (1e-2, 5e-3):
        network = build(data, [30] * 4, "sigmoid", initializers=Uniform(-size, size))
        numbers.append(diagnose(network, *data[:2], loss=loss)["vanishing_gradients"].numbers)
    assert numbers[0]["factor_of_slopes"] == pytest.approx(0.25, rel=1e-2)
    assert numbers[1]["factor_of_slopes"] == pytest.approx(0.25, rel=1e-2)
    ratio = numbers[1]["factor_of_weights"] / numbers[0]["factor_of_weights"]
    assert ratio == pytest.approx(0.5, rel=0.02)


def test_what_mends_vanishing_gradients():
    """The remedy is true: the same network, rows, rate and epochs with relu learn."""
    sick = deep_sigmoids()
    assert "activations='relu'" in sick["vanishing_gradients"].remedy
    assert "optimizer='adam'" in sick["update_size"].remedy
    assert sick.skill < 0.01
    mended = examined(digits(), [50] * 6, "relu", SGD(0.1), epochs=30)
    assert mended.healthy
    assert mended.skill > FITS


def test_what_mends_a_rate():
    low = examined(digits(), [100], "relu", SGD(1e-5))["rate_too_low"]
    rate = float(re.search(r"SGD\(([\d.e-]+)\)", low.remedy)[1])
    assert 1e-3 <= rate <= 1e-2
    assert examined(digits(), [100], "relu", SGD(1e-5)).skill < -0.2
    assert examined(digits(), [100], "relu", SGD(rate)).skill > 0.2
    high = SICK["rate_too_high"]()["rate_too_high"]
    assert "optimizer=Adam(0.3)" in high.remedy


def test_a_schedule_that_lowered_the_rate_is_named():
    data = digits()
    found = examined(data, [20], "relu", SGD(1e-3), schedule=InverseScaling(1.0), epochs=30)
    assert "The schedule had lowered it" in found["rate_too_low"].sentence
    assert "schedule='constant'" in found["rate_too_low"].remedy


def test_updates_of_gradient_descent_are_rate_times_gradient():
    X, Y, loss = diabetes()
    network = build((X, Y, loss), [7], "tanh")
    found = diagnose(network, X, Y, loss=loss, optimizer=SGD(0.1), batch_size=len(X))
    grads = network.backward(network.forward(X), Y, loss)
    expected = [
        0.1 * np.linalg.norm(dW) / np.linalg.norm(W)
        for dW, W in zip(grads.dW, network.W, strict=True)
    ]
    assert [each["update_ratio"] for each in found.layers] == pytest.approx(expected, rel=1e-9)


def test_adams_updates_are_its_rate_on_equal_gradients():
    """On full batches at one point every gradient is the same, and each step the rate."""
    X, Y, loss = diabetes()
    network = build((X, Y, loss), [7], "tanh")
    found = diagnose(network, X, Y, loss=loss, optimizer=Adam(1e-3), batch_size=len(X))
    expected = [1e-3 * W.size**0.5 / np.linalg.norm(W) for W in network.W]
    assert [each["update_ratio"] for each in found.layers] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", LOSSES)
def test_baseline_is_the_best_constant(name):
    """No other constant is better, by a search of an output bias on rows of zeros."""
    rng = np.random.default_rng(0)
    loss, w = get_loss(name), rng.random(50)
    Y = rng.dirichlet(np.ones(3), 50) if loss.rows_sum_to_one else rng.random((50, 2))
    Y = np.repeat(Y, loss.outputs_per_target, axis=1)
    best = constant_cost(loss, Y, w)
    output = "identity" if name == "poisson" else loss.output
    network = Network([1, Y.shape[1]], output_activation=output)
    if name == "poisson":
        network.b[0][:] = 0.5
    kwargs = {"loss": loss, "weights": w, "optimizer": "lbfgs", "epochs": 500}
    train(network, np.zeros((50, 1)), Y, engine="reference", **kwargs)
    searched = network.cost(np.zeros((50, 1)), Y, loss, weights=w)
    assert best == pytest.approx(searched, rel=2e-2)


def test_skill_is_r2():
    X, Y, loss = friedman()
    found = examined((X, Y, loss), [20], "tanh", Adam())
    network = build((X, Y, loss), [20], "tanh")
    train(network, X, Y, loss=loss, optimizer=Adam(), epochs=50)
    r2 = 1 - ((network.predict(X) - Y) ** 2).sum() / ((Y - Y.mean()) ** 2).sum()
    assert found.skill == pytest.approx(r2, rel=1e-9)


# Features and targets, one by one.


def test_columns_are_named():
    X, Y, loss = friedman()
    names = [*(f"x{j}" for j in range(10)), "price in cents"]
    data = with_column((X, Y, loss), 100 * Y)
    finding = untrained(data, feature_names=names)["target_among_features"]
    assert "column 'price in cents' is the target" in finding.sentence
    assert finding.numbers["columns"] == [10]


def test_names_of_a_data_frame_are_known():
    pandas = pytest.importorskip("pandas")
    X, Y, _ = friedman()
    frame = pandas.DataFrame(X).add_prefix("x").assign(copy=Y)
    network = Network([11, 4, 1])
    assert "'copy'" in diagnose(network, frame, Y)["target_among_features"].sentence


@pytest.mark.parametrize(
    ("make", "severity"),
    [
        (lambda y: np.exp(y), "warning"),  # the same order, another scale
        (lambda y: -(y**3), "warning"),
        (lambda y: y + 1e-4 * np.random.default_rng(1).normal(size=len(y)), "warning"),
        (lambda y: y + 0.1 * np.random.default_rng(1).normal(size=len(y)), None),
    ],
)
def test_copies_of_a_number(make, severity):
    X, Y, loss = friedman()
    found = untrained(with_column((X, Y, loss), make(Y[:, 0])))
    seen = {each.kind: each.severity for each in found.findings}
    assert seen.get("target_among_features") == severity


@pytest.mark.parametrize(
    ("make", "severity"),
    [
        (lambda y: np.array([7, 3, 5])[y], "warning"),  # a number for each class
        (lambda y: y == 1, "warning"),  # one class's column
        (lambda y: y + 0.4 * np.random.default_rng(1).random(len(y)), "note"),  # by intervals
        (lambda y: y + np.random.default_rng(1).normal(size=len(y)), None),
        (lambda y: np.arange(len(y)) % 7, None),
    ],
)
def test_copies_of_a_class(make, severity):
    X, Y, loss = iris()
    found = untrained(with_column((X, Y, loss), make(Y.argmax(axis=1))))
    seen = {each.kind: each.severity for each in found.findings}
    assert seen.get("target_among_features") == severity


def test_a_single_input_is_no_copy():
    x = np.linspace(-1, 1, 50)[:, None]
    assert "target_among_features" not in diagnose(Network([1, 5, 1]), x, 2 * x).kinds


@pytest.mark.parametrize(
    ("column", "key"),
    [
        (lambda rng: 1000 * rng.normal(size=500), "large"),
        (lambda rng: 1e-3 * rng.normal(size=500), "small"),
        (lambda rng: 2000 + 10 * rng.normal(size=500), "far_from_zero"),
    ],
)
def test_unscaled_columns(column, key):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(500, 4)), rng.normal(size=(500, 1))
    finding = untrained(with_column((X, y, "squared_error"), column(rng)))["unscaled_inputs"]
    assert 4 in finding.numbers[key]
    assert finding.numbers["columns"] == [4]
    assert "column 4" in finding.sentence


@pytest.mark.parametrize("p", [0.5, 0.1, 0.004])
@pytest.mark.parametrize("standardised", [False, True])
def test_columns_of_zeros_and_ones_are_scaled(p, standardised):
    rng = np.random.default_rng(0)
    flags = (rng.random((500, 3)) < p) * 1.0
    flags[0] = 1
    flags[1] = 0
    X = np.column_stack([rng.normal(size=500), scale(flags) if standardised else flags])
    y = rng.normal(size=(500, 1))
    assert "unscaled_inputs" not in untrained((X, y, "squared_error")).kinds


def test_raw_tables_are_unscaled():
    for load in (load_breast_cancer, load_diabetes):
        X, y = load(return_X_y=True)
        assert "unscaled_inputs" in untrained((X, scale(y)[:, None], "squared_error")).kinds


def test_classes_of_equal_size_are_not_rare():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(800, 3)), np.arange(800) % 200
    found = untrained((X, one_hot(y), "cross_entropy"))
    assert "rare_classes" not in found.kinds
    tiny = [[0, 0], [0, 1], [1, 0], [1, 1]]
    xor = diagnose(Network([2, 3, 1], output_activation="sigmoid"), tiny, [[0], [1], [1], [0]],
                   loss="binary_cross_entropy")  # fmt: skip
    assert "rare_classes" not in xor.kinds


def test_rare_classes_are_counted_and_named():
    finding = rare()["rare_classes"]
    assert "'malignant' has 3 of 360 rows" in finding.sentence
    assert "weights=" in finding.remedy


@pytest.mark.parametrize(
    ("output", "loss", "expected"),
    [("sigmoid", "squared_error", True), ("tanh", "squared_error", True),
     ("identity", "squared_error", False), ("softplus", "squared_error", True),
     ("leaky_relu", "squared_error", False)],
)  # fmt: skip
def test_targets_out_of_reach(output, loss, expected):
    X, Y, _ = friedman()  # Y from about −2.5 to 2.5
    network = Network([10, 5, 1], output_activation=output)
    assert ("unreachable_targets" in diagnose(network, X, Y, loss=loss).kinds) == expected


# How it went.


def course(losses, **entries):
    """Return a history with these losses, and an untrained network's diagnosis of it."""
    records = [
        {"epoch": i + 1, "updates": i + 1, "loss": loss, "validation_loss": None, "metric": None,
         "rate": 0.1, "gradient_norm": 1.0, "layer_gradient_norms": [1.0, 1.0], "seconds": 0.0}
        for i, loss in enumerate(losses)
    ]  # fmt: skip
    for key, values in entries.items():
        for record, value in zip(records, values, strict=True):
            record[key] = value
    history = History(records)
    history.stop_reason = f"reached {len(records)} epochs"
    return history


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        (np.geomspace(0.6, 0.2, 40), False),
        (0.3 + 0.2 * (-1.0) ** np.arange(40), True),  # up and down
        (np.r_[np.linspace(0.6, 0.2, 20), np.linspace(0.2, 0.5, 20)], True),  # down, and up again
        (0.3 + 1e-3 * (-1.0) ** np.arange(40), False),  # the noise of batches
        (np.r_[50.0, np.full(39, 0.51)], True),  # thrown out in the first epoch
    ],
)
def test_a_rate_too_high_is_read_off_the_losses(losses, expected):
    X, Y, _ = diabetes()
    found = diagnose(Network([10, 4, 1]), X, Y, history=course(losses), optimizer=SGD(0.1))
    assert ("rate_too_high" in found.kinds) == expected


def test_divergence_is_told_from_the_reason():
    found = examined((1e3 * diabetes()[0], *diabetes()[1:]), [20], "relu", SGD(10.0))
    assert "diverged" in found["rate_too_high"].sentence
    assert "optimizer=SGD(1)" in found["rate_too_high"].remedy
    assert found["stopped"].severity == "warning"


def test_overfitting_is_told_by_the_gap_to_rows_never_seen():
    X, y = load_digits(return_X_y=True)
    y = np.random.default_rng(0).integers(0, 4, len(y))
    X, Y = scale(X), one_hot(y)
    data = (X[:100], Y[:100], "cross_entropy")
    found = examined(data, [100], "relu", Adam(1e-2), held=(X[100:400], Y[100:400]))
    finding = found["overfitting"]
    assert finding.severity == "warning"
    assert finding.numbers["held_out_loss"] > 5 * finding.numbers["loss"]
    assert "a constant answer does better" in finding.sentence


def test_no_overfitting_where_both_go_down():
    falling = np.geomspace(0.6, 0.2, 40)
    X, Y, _ = diabetes()
    history = course(falling, validation_loss=list(falling * 1.05))
    assert "overfitting" not in diagnose(Network([10, 4, 1]), X, Y, history=history).kinds
    rising = [*np.linspace(0.5, 0.3, 20), *np.linspace(0.3, 0.4, 20)]
    history = course(falling, validation_loss=rising)
    finding = diagnose(Network([10, 4, 1]), X, Y, history=history)["overfitting"]
    assert finding.severity == "warning"
    assert finding.numbers["best_epoch"] in (20, 21)
    assert "patience=10" in finding.remedy


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("reached 40 epochs", "all the epochs"),
        ("loss fell below 0.1 (mean)", "asked for"),
        ("loss did not improve by more than 0.0001 for 10 epochs", "cost time"),
        ("interrupted after 3 epochs", "were kept"),
        ("the learning rate reached its lowest value on a plateau", "got anywhere"),
        ("the time limit of 3 s was reached", "used up"),
        ("time_limit=3 seconds were over after 7 epochs", "used up"),
        ("L-BFGS: convergence: norm of projected gradient <= pgtol", "a minimum"),
        ("L-BFGS: convergence: relative reduction of f <= factr*epsmch", "cannot be lowered"),
        ("L-BFGS: stop: total no. of iterations reached limit", "it was given"),
        ("L-BFGS: abnormal: ", "line search"),
        ("training diverged: a number that is not finite at update 3. Try it", "were kept"),
        ("a callback stopped it", "a callback"),
        ("something of one's own", "something of one's own"),
    ],
)
def test_why_it_stopped(reason, words):
    X, Y, _ = diabetes()
    history = course([0.4, 0.4])
    history.stop_reason = reason
    finding = diagnose(Network([10, 4, 1]), X, Y, history=history)["stopped"]
    assert words in finding.sentence
    assert finding.numbers["reason"] == reason
    assert "Try it" not in finding.sentence


@pytest.mark.parametrize(
    ("monitor", "validation", "early"),
    [
        ("metric", np.linspace(0.8, 0.5, 40), True),
        ("balanced_accuracy", np.linspace(0.8, 0.5, 40), True),
        ("metric", np.linspace(0.5, 0.8, 40), False),
        ("metric", np.full(40, 0.5), False),
        ("validation_loss", np.linspace(0.8, 0.5, 40), False),
    ],
)
def test_a_metric_that_stood_still_stopped_it_too_early(monitor, validation, early):
    """Rows of the commonest class alone are right for long, while probabilities get better."""
    X, Y, _ = diabetes()
    history = course(np.linspace(0.8, 0.5, 40), validation_loss=validation)
    history.stop_reason = f"{monitor} did not improve by more than 0.0001 for 10 epochs"
    finding = diagnose(Network([10, 4, 1]), X, Y, history=history, speaks="estimator")["stopped"]
    assert ("still falling" in finding.sentence) == early == (finding.severity == "warning")
    assert ("cost time" in finding.sentence) == (not early)
    assert ("monitor='validation_loss'" in finding.remedy) == early


def test_why_it_stopped_in_the_loops_own_words():
    """Every reason that the package writes is one that has a meaning."""
    from chainrule.diagnosis.ending import ENDINGS

    sources = Path(__file__).parents[1].joinpath("src", "chainrule").rglob("*.py")
    text = "\n".join(path.read_text("utf-8") for path in sources if "diagnosis" not in str(path))
    reasons = re.findall(r'stop_reason = (?:history\.stop_reason or )?\(?\s*f?"([^"]+)', text)
    assert len(reasons) >= 7
    for reason in reasons:
        plain = re.sub(r"\{[^}]*\}", "1", reason)
        known = [each for each in ENDINGS if re.search(each.pattern, plain, re.IGNORECASE)]
        assert known or plain.startswith("1"), reason


# What it may be asked of.


def test_any_network_can_be_looked_at():
    """Without history, optimizer or hidden layer; sparse; in float32; softmax inside."""
    X, Y, loss = digits(300)
    bare = diagnose(build((X, Y, loss), [], "relu"), X, Y, loss=loss)
    assert {each.kind for each in bare.findings} <= {"constant_inputs", "never_predicted"}
    small = build((X, Y, loss), [5], "relu", dtype="float32")
    assert diagnose(small, sparse.csr_array(X), Y, loss=loss).rows == 300
    diagnose(build((X, Y, loss), [5], "softmax"), X, Y, loss=loss)
    one = diagnose(build((X, Y, loss), [5], "relu"), X[:1], Y[:1], loss=loss)
    assert one.rows == 1


@pytest.mark.parametrize("engine", ["reference", "auto"])
def test_both_engines_records_are_read(engine):
    found = examined(digits(), [30], "relu", Adam(), engine=engine, **WAIT)
    assert found.healthy
    assert found.epochs == 50


def test_rows_are_sampled_by_the_seed_and_classes_counted_on_all():
    X, Y, loss = digits()
    network = build((X, Y, loss), [5], "relu")
    runs = [diagnose(network, X, Y, loss=loss, most_rows=200, seed=s) for s in (0, 0, 1)]
    assert [run.rows for run in runs] == [200] * 3
    assert runs[0].to_dict() == runs[1].to_dict()
    assert runs[0].loss != runs[2].loss
    keep = np.r_[0, np.flatnonzero(Y[:, 0] == 0)]
    finding = diagnose(network, X[keep], Y[keep], loss=loss, most_rows=50)["rare_classes"]
    assert finding.numbers["counts"][0] == 1


def test_rows_of_weight_zero_do_not_count():
    X, Y, loss = digits()
    network, w = build((X, Y, loss), [5], "relu"), (np.arange(len(X)) < 500) * 1.0
    weighted = diagnose(network, X, Y, loss=loss, weights=w)
    assert weighted.to_dict() == diagnose(network, X[:500], Y[:500], loss=loss).to_dict()


def test_nothing_is_changed():
    X, Y, loss = digits()
    network = build((X, Y, loss), [5], "relu")
    before = network.theta.copy(), X.copy(), Y.copy()
    diagnose(network, X, Y, loss=loss, optimizer="adam")
    for old, new in zip(before, (network.theta, X, Y), strict=True):
        assert (old == new).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"most_rows": 0}, "most_rows=0 must be a whole number >= 1"),
        ({"seed": -1}, "seed=-1 must be a whole number >= 0"),
        ({"speaks": "estimators"}, "did you mean 'estimator'"),
        ({"loss": "squared"}, "loss='squared' is unknown"),
        ({"optimizer": "adams"}, "optimizer='adams' is unknown"),
        ({"held_out": np.ones((3, 2))}, "held_out is a ndarray; expected a pair"),
        ({"feature_names": ["a"]}, "feature_names has 1 names; expected 2"),
        ({"X": np.ones((3, 2))}, "X has 3 rows and Y has 4; expected as many"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(settings, message):
    X, Y = np.ones((4, 2)), np.ones((4, 1))
    given = {"X": X, "Y": Y} | settings
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        diagnose(Network([2, 1]), given.pop("X"), given.pop("Y"), **given)
    assert "\n" not in str(error.value)


def test_an_unknown_kind_says_what_was_found():
    with pytest.raises(KeyError, match="there is: not_finite"):
        blown_up()["dead_units"]


# How it is told.


def test_machines_get_plain_data():
    for found in (SICK["dead_units"](), rare(), blown_up()):
        told = found.to_dict()
        assert json.loads(json.dumps(told)) == told
        assert told["healthy"] is False
        assert [each["kind"] for each in told["findings"]] == found.kinds


def test_report_is_short_and_narrow():
    report = str(SICK["vanishing_gradients"]())
    lines = report.splitlines()
    assert len(lines) < 60
    assert max(map(len, lines)) <= 96
    assert lines[0] == "Diagnosis: 4 warnings, 2 notes"
    assert report.index("WARNING") < report.index("NOTE")
    html = SICK["rare_classes"]()._repr_html_()
    assert html.startswith("<pre>")
    assert "&#x27;malignant&#x27;" in html


def test_all_vocabularies_say_everything_and_nothing_else():
    assert all(set(words) == set(OF_TRAIN) for words in SPEECH.values())
    rooms = Path(__file__).parents[1].joinpath("src", "chainrule", "diagnosis").glob("*.py")
    text = "\n".join(path.read_text("utf-8") for path in rooms)
    said = set(re.findall(r"""say\(['"](\w+)['"]""", text)) | set(
        re.findall(r"\{(\w+)\}", text.partition("ENDINGS = (")[2].partition("\n)\n")[0])
    )
    assert said == set(OF_TRAIN)


def test_estimators_words_are_parameters_of_theirs():
    known = set(MLPClassifier().get_params()) | set(MLPRegressor().get_params())
    for text in [*OF_ESTIMATORS.values(), *OF_OWN_SOLVERS.values(), *OF_COMMANDS.values()]:
        assert set(re.findall(r"(\w+)=", text)) <= known


def test_words_of_the_command_line_are_options_of_it():
    from chainrule.cli import app

    options = {name for each in app.commands["train"].params for name in each.opts}
    told = {name for text in OF_COMMANDS.values() for name in re.findall(r"--[\w-]+", text)}
    assert len(told) > 8
    assert told <= options
