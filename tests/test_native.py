"""The native engine: it equals the reference, whatever the network, the settings and the moment."""

import dataclasses
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from chainrule.activations import ACTIVATIONS, Relu
from chainrule.engine import (
    ENGINES,
    Data,
    NoNativeEngine,
    Plan,
    State,
    _warn_once,
    choose_engine,
)
from chainrule.engine.contract import COLUMNS, EPOCH, LOSS, RATE, UPDATES, WORST_ROW
from chainrule.engine.native import NativeEngine, threads_for
from chainrule.engine.reference import ReferenceEngine
from chainrule.initializers import Uniform
from chainrule.loop import Diverged
from chainrule.losses import (
    LOSSES,
    AbsoluteError,
    OfClasses,
    OfLabels,
    Quantile,
    Quantiles,
    SquaredError,
    with_label_smoothing,
)
from chainrule.native import HERE, Library, Unusable, find, load
from chainrule.native.emit import Untranslatable, header, members, read_modules
from chainrule.network import Network
from chainrule.optimizers import LBFGS, OPTIMIZERS, SGD, Adam, AdamW
from chainrule.penalties import Penalty
from chainrule.randomness import row_order
from chainrule.schedules import SCHEDULES, Constant, InverseScaling
from chainrule.training import train
from strategies import NAMES, seeds, targets

MODULES = read_modules(HERE.parent)
STEPPING = sorted(set(OPTIMIZERS) - {"lbfgs"})
built = pytest.mark.skipif("native" not in ENGINES, reason="there is no native engine")
SETS = find().instruction_sets if isinstance(find(), Library) else ("base",)


def test_the_library_is_there_where_it_is_required():
    if os.environ.get("CI"):
        assert isinstance(find(), Library), find()


class AllWide(NativeEngine):
    """The native engine with the steps for any width, which tiny networks don't take."""

    wide = True


@dataclasses.dataclass
class Case:
    """A plan, a network and its data, and how to run both engines on copies of them."""

    plan: Plan
    network: Network
    data: Data
    instruction_set: str
    native: type[NativeEngine] = NativeEngine

    @property
    def smooth(self):
        """The case without L1, at whose kink many steps make much of rounding."""
        smooth = dataclasses.replace(self.plan.penalty, l1=0.0)
        return dataclasses.replace(self, plan=dataclasses.replace(self.plan, penalty=smooth))

    def engines(self):
        """Return both engines, each with a network and a state of its own."""
        reference, native = self.network.copy(), self.network.copy()
        return (
            (ReferenceEngine(self.plan, reference, self.data), State.start(self.plan, reference)),
            (
                self.native(self.plan, native, self.data, None, self.instruction_set),
                State.start(self.plan, native),
            ),
        )


def mild(name):
    """Return an optimizer that doesn't make a large step of the rounding of a gradient near 0."""
    made = OPTIMIZERS[name](rate=1e-3)
    return dataclasses.replace(made, epsilon=1e-3) if hasattr(made, "epsilon") else made


@st.composite
def cases(draw, activation=None, optimizer=None, schedule=None, loss=None, dtype="float64"):
    """Draw a training that doesn't blow up: mild weights, rates and penalties."""
    rng = np.random.default_rng(draw(seeds))
    most, native = draw(st.sampled_from([(70, NativeEngine), (16, NativeEngine), (16, AllWide)]))
    sizes = draw(st.lists(st.integers(1, most), min_size=2, max_size=4))
    hidden = activation or draw(st.sampled_from(NAMES))
    loss = LOSSES[loss or draw(st.sampled_from(sorted(LOSSES)))]()
    if isinstance(loss, OfLabels | OfClasses):
        loss = with_label_smoothing(loss, draw(st.sampled_from([0.0, 0.2])))
    sizes[-1] += loss.rows_sum_to_one and sizes[-1] == 1
    lasts = [loss.output, "sigmoid", "softmax", "increasing"]
    lasts += ["softplus"] * (loss.domain[1] > 1)  # beyond 1 a cross-entropy is no number
    if loss.domain[1] == 1:
        lasts.remove("increasing")
    optimizer = mild(optimizer or draw(st.sampled_from(STEPPING)))
    # Rprop would go by the sign of what is left of 1 − 1, of a column or of a row of softmax.
    balanced = optimizer.full_batch and isinstance(loss, AbsoluteError | Quantile | Quantiles)
    if balanced:
        lasts.remove("softmax")
    last = draw(st.sampled_from(lasts))
    scale = 0.5 / max(sizes) ** 0.5
    network = Network(
        sizes, [hidden] * (len(sizes) - 2) + [last], initializers=Uniform(-scale, scale),
        seed=int(rng.integers(2**32)), dtype=dtype,
    )  # fmt: skip
    n = draw(st.integers(1, 80) | st.sampled_from([264, 265, 600]))
    if isinstance(optimizer, SGD):
        optimizer = SGD(1e-3, draw(st.sampled_from([0.0, 0.9])), draw(st.booleans()))
    weights = None
    if draw(st.booleans()) or balanced:
        weights = (rng.uniform(0, 2, n) * (rng.uniform(size=n) < 0.8)).astype(dtype)
        weights[int(rng.integers(n))] = 1.0
    none = st.just(None)
    plan = Plan(
        loss=loss,
        optimizer=optimizer,
        schedule=SCHEDULES[schedule or draw(st.sampled_from(sorted(SCHEDULES)))](),
        penalty=draw(
            st.sampled_from([Penalty(), Penalty(l2=0.1), Penalty(1e-3, 0.01, 0.3, biases=True)])
        ),
        batch_size=n if optimizer.full_batch else draw(st.integers(1, n)),
        epochs=100,
        seed=draw(st.integers(0, 2**64)),
        shuffle=draw(st.booleans()),
        dropout=tuple(draw(st.sampled_from([0.0, 0.3])) for _ in sizes[1:]),
        clip_value=draw(none | st.sampled_from([1e-3, 1.0])),
        clip_norm=draw(none | st.sampled_from([1e-2, 1e3])),
        weight_decay=draw(st.sampled_from([0.0, 0.0, 3.0])),
        gradient_accumulation_steps=draw(st.sampled_from([1, 1, 2, 7])),
        ema_decay=draw(none | st.sampled_from([0.3, 0.999])),
        stop_rule=draw(st.sampled_from(["mean", "every_row"])),
        stop_below=1e-30,
    )
    X = rng.normal(size=(n, sizes[0])).astype(dtype)
    full = draw(st.sampled_from([None, None, 0.0, 0.1, 0.6]))
    if full is not None:
        X = sparse.csr_array(X * (rng.uniform(size=X.shape) < full).astype(dtype))
    Y = targets(loss, rng, n, sizes[-1]).astype(dtype)
    return Case(plan, network, Data(X, Y, weights), draw(st.sampled_from(SETS)), native)


def assert_near(actual, expected, rel):
    """Compare two vectors, relative to their largest number: sums may cancel in small ones.

    Where all of it is below 1e-4 it may be what is left of numbers that did cancel.
    """
    expected = np.asarray(expected, dtype=np.float64)
    actual = np.asarray(actual, dtype=np.float64)
    scale = np.abs(expected).max(initial=1e-4)
    assert np.abs(actual - expected).max(initial=0.0) / scale < rel


def assert_same(reference, native, rel):
    """Compare two engines with their states after as many updates.

    Clipping can leave of a gradient what is a thousand times smaller, and so are the slots.
    """
    (one, state), (other, its) = reference, native
    assert (state.t, state.epoch, state.batch) == (its.t, its.epoch, its.batch)
    assert_near(other.network.theta, one.network.theta, rel)
    if state.raw is not None:
        assert_near(its.raw, state.raw, rel)
    for slot, twin in zip(state.slots, its.slots, strict=True):
        assert_near(twin, slot, 1e3 * rel)
    sums = ("loss_sum", "weight_sum", "worst_row", "epoch_updates")
    assert_near([getattr(its, s) for s in sums], [getattr(state, s) for s in sums], rel)
    assert_near(its.norm_squares, state.norm_squares, rel)


def assert_steps(case, rel):
    """Do one update, a slice of no time; batches without weight don't count."""
    pair = case.engines()
    for engine, state in pair:
        while state.t == 0 and state.epoch == 0:
            event = engine.advance(state, 1, 0.0)
            assert event.kind in ("time", "epochs")
    assert_same(*pair, rel)


def assert_epochs(case, epochs, rel):
    pair = case.engines()
    records = [engine.advance(state, epochs, 60.0).records for engine, state in pair]
    assert_same(*pair, rel)
    for one, other in zip(*records, strict=True):
        assert (one[[EPOCH, UPDATES]] == other[[EPOCH, UPDATES]]).all()
        assert_near(other[[LOSS, WORST_ROW]], one[[LOSS, WORST_ROW]], rel)
        assert other[RATE] == pytest.approx(one[RATE], rel=1e-12)
        assert_near(other[len(COLUMNS) :], one[len(COLUMNS) :], rel)


@built
@pytest.mark.parametrize("activation", NAMES)
@pytest.mark.parametrize("loss", sorted(LOSSES))
@settings(max_examples=5)
@given(draw=st.data())
def test_one_step_equals_the_reference(activation, loss, draw):
    assert_steps(draw.draw(cases(activation, loss=loss)), 1e-12)


@built
@pytest.mark.parametrize("optimizer", STEPPING)
@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
@settings(max_examples=5)
@given(draw=st.data())
def test_epochs_equal_the_reference(optimizer, schedule, draw):
    assert_epochs(draw.draw(cases(None, optimizer, schedule)).smooth, 3, 1e-10)


@built
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_layer_whose_optimizer_state_stays_in_its_place_equals_the_reference(
    optimizer, dtype, threads
):
    """Beyond wide.h's FEW parameters; the widths fill the last panel, or leave some of it."""
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(9, 3)).astype(dtype), rng.normal(size=(9, 2)).astype(dtype)
    for sizes in ([3, 740, 713, 2], [3, 720, 736, 2]):
        assert (sizes[1] + 1) * sizes[2] > 2**19
        network = Network(sizes, "tanh", dtype=dtype)
        plan = Plan(
            LOSSES["squared_error"](), mild(optimizer), SCHEDULES["constant"](), Penalty(l2=0.1),
            batch_size=4, epochs=2, shuffle=False,
        )  # fmt: skip
        case = Case(plan, network, Data(X, Y, None), SETS[-1])
        (reference, at), (native, there) = case.engines()
        native.n_threads = native.job.threads = threads
        for _ in range(2):  # the second goes on from what the first left
            reference.advance(at, 1, np.inf)
            native.advance(there, 1, np.inf)
        rel = 1e-9 if dtype == "float64" else 1e-3
        assert_near(native.network.theta, reference.network.theta, rel)
        for slot, other in zip(there.slots, at.slots, strict=True):
            np.testing.assert_allclose(slot, other, rtol=0, atol=rel * abs(other).max())


def other_settings(member):
    """Return a member of the same class with all of its numbers changed."""
    changed = {f.name: getattr(member, f.name) for f in dataclasses.fields(member)}
    for name, value in changed.items():
        if name != "rate":  # which the test chooses
            changed[name] = changed_number(value)
    if "grow" in changed:
        changed["grow"] = 1.4  # which must be above 1
    return dataclasses.replace(member, **changed)


def changed_number(value):
    if isinstance(value, tuple):
        return tuple(map(changed_number, value))
    if isinstance(value, int):
        return not value if isinstance(value, bool) else value + 2
    return abs(value) * 0.6 + 0.1


def members_with_settings(entries):
    made = [entry() if isinstance(entry, type) else entry for entry in entries]
    return [m for m in dict.fromkeys(made) if dataclasses.fields(m) and not isinstance(m, LBFGS)]


@built
@pytest.mark.parametrize(
    ("part", "member"),
    [
        (part, other_settings(member))
        for part, table in [
            ("activation", ACTIVATIONS),
            ("loss", LOSSES),
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
        ]
        for member in members_with_settings(table.values())
    ],
)
def test_settings_of_your_own_reach_the_native_engine(part, member):
    rng = np.random.default_rng(0)
    plan = Plan(SquaredError(), SGD(1e-2), Constant(), Penalty(0.01, 0.02, 0.03, True), 12, 9)
    activation, outputs, last = "tanh", rng.uniform(size=(12, 3)), "sigmoid"
    if part == "activation":
        activation = member
    else:
        plan = dataclasses.replace(plan, **{part: member})
    if part == "loss" and member.rows_sum_to_one:
        outputs, last = outputs / outputs.sum(axis=1, keepdims=True), "softmax"
    net = Network([4, 5, 3], [activation, last], seed=3)
    assert_epochs(Case(plan, net, Data(rng.normal(size=(12, 4)), outputs), SETS[-1]), 9, 1e-10)


@built
@pytest.mark.parametrize("optimizer", STEPPING)
@settings(max_examples=10)
@given(draw=st.data())
def test_a_hundred_steps_equal_the_reference(optimizer, draw):
    case = draw.draw(cases(optimizer=optimizer)).smooth
    per_epoch = -(-case.data.n // case.plan.batch_size)
    steps = 10 if optimizer == "rprop" else 100  # at a minimum it goes by the sign of rounding
    assert_epochs(case, -(-steps // per_epoch), 1e-9)


@built
@settings(max_examples=40)
@given(case=cases(dtype="float32"))
def test_float32_stays_near_the_reference(case):
    quiet = dataclasses.replace(case.plan, optimizer=SGD(1e-2))
    pair = dataclasses.replace(case, plan=quiet).engines()
    for engine, state in pair:
        engine.advance(state, 1, 60.0)
    assert_near(pair[1][0].network.theta, pair[0][0].network.theta, 2e-3)


@built
@settings(max_examples=40)
@given(case=cases(), other=st.integers(1, 300))
def test_evaluation_and_full_gradient_equal_the_reference(case, other):
    rng = np.random.default_rng(other)
    rows = Data(
        rng.normal(size=(other, case.network.sizes[0])),
        targets(case.plan.loss, rng, other, case.network.sizes[-1]),
        rng.uniform(0.1, 1, other) if other % 2 else None,
    )
    (reference, _), (native, _) = case.engines()
    assert_near(native.evaluate(rows)[0], reference.evaluate(rows)[0], 1e-11)
    assert_near(native.evaluate(rows)[1], reference.evaluate(rows)[1], 1e-11)
    (cost, g), (its_cost, its_g) = reference.cost_and_gradient(), native.cost_and_gradient()
    assert its_cost == pytest.approx(cost, rel=1e-11, abs=1e-14)
    assert_near(its_g.flat, g.flat, 1e-10)


@built
@settings(max_examples=30)
@given(
    case=cases(optimizer="adam", activation="silu"), turns=st.lists(st.integers(0, 1), max_size=9)
)
def test_either_engine_goes_on_where_the_other_stopped(case, turns):
    """In mid-epoch too: a state is plain numbers, and both read it alike."""
    (alone, state), (native, _) = case.engines()
    both = ReferenceEngine(case.plan, native.network, case.data), native
    its = State.start(case.plan, native.network)
    for turn in turns:
        both[turn].advance(its, 1, 0.0)
    while state.t < its.t or (state.epoch, state.batch) < (its.epoch, its.batch):
        alone.advance(state, 1, 0.0)
    assert_near(its.slots[1], state.slots[1], 1e-8)
    assert_near(native.network.theta, alone.network.theta, 1e-6)


@built
@settings(max_examples=20)
@given(case=cases(), pauses=st.lists(st.integers(1, 2), min_size=1, max_size=3))
def test_runs_and_slices_change_no_bit(case, pauses):
    once, sliced = (case.engines()[1] for _ in range(2))
    once[0].advance(once[1], sum(pauses), 60.0)
    done = 0
    while done < sum(pauses):
        done += len(sliced[0].advance(sliced[1], 1, 0.0).records)
    assert once[0].network.theta.tobytes() == sliced[0].network.theta.tobytes()
    assert [s.tobytes() for s in once[1].slots] == [s.tobytes() for s in sliced[1].slots]


@built
@settings(max_examples=25)
@given(case=cases(), threads=st.integers(2, 5))
def test_the_number_of_threads_changes_no_bit(case, threads):
    """Pieces of work are claimed by whoever is free; what they compute does not depend on it."""
    alone, many = (case.engines()[1] for _ in range(2))
    alone[0].job.threads, many[0].job.threads = 1, threads
    for engine, state in (alone, many):
        engine.advance(state, 2, 60.0)
    assert alone[0].network.theta.tobytes() == many[0].network.theta.tobytes()
    assert alone[1].norm_squares == many[1].norm_squares
    gradients = [engine.cost_and_gradient()[1].flat.tobytes() for engine, _ in (alone, many)]
    assert gradients[0] == gradients[1]
    outputs = [engine.evaluate(case.data)[1].tobytes() for engine, _ in (alone, many)]
    assert outputs[0] == outputs[1]


@built
def test_threads_are_taken_where_they_pay_and_never_more_than_asked():
    few, wide = Network([4, 8, 1]), Network([100, 256, 256, 1])
    for network, n, most, expected in [
        (few, 2000, 8, 1),
        (wide, 2000, 1, 1),
        (wide, 2000, 3, 3),
        (wide, 200, 8, 8),
        (wide, 20, 8, 1),
    ]:
        plan = Plan(SquaredError(), SGD(), Constant(), Penalty(), 200, 1)
        data = Data(np.zeros((n, network.sizes[0])), np.zeros((n, 1)))
        assert threads_for(plan, network, data, most) == expected


@built
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_trains_on():
    """The pool's threads stay behind with the parent; the child starts its own."""
    plan = Plan(SquaredError(), SGD(1e-3), Constant(), Penalty(), 200, 1)
    data = Data(np.ones((400, 100)), np.ones((400, 1)))
    engine = NativeEngine(plan, Network([100, 256, 256, 1]), data)
    engine.job.threads = 2
    engine.advance(State.start(plan, engine.network), 1, 60.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # NumPy's own threads are asleep
        child = os.fork()
    if child == 0:
        event = engine.advance(State.start(plan, engine.network), 1, 60.0)
        os._exit(0 if event.kind == "epochs" else 1)
    assert os.waitpid(child, 0)[1] == 0


@built
@pytest.mark.parametrize("n", [2, 3, 32, 33, 300, 5000, 70_000])
def test_the_order_of_rows_is_that_of_randomness(n):
    plan = Plan(SquaredError(), SGD(1e-3), Constant(), Penalty(), n - 1, 2, seed=7)
    net = Network([1, 1], ["identity"])
    native = NativeEngine(plan, net, Data(np.ones((n, 1)), np.ones((n, 1))))
    state = State.start(plan, net)
    for epoch in range(2):
        native.advance(state, 1, 60.0)
        assert (native.order[:n] == row_order(7, epoch, n)).all()


def sigmoid(x):
    e = np.exp(-abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


FUNCTIONS = {  # each with its range, a truth where it is not NumPy's own, and its bound in ulp
    "exp": (-700, 700, np.exp, 2.0),
    "expm1": (-50, 700, np.expm1, 2.0),
    "log": (1e-300, 1e300, np.log, 2.0),
    "log1p": (-0.999, 1e6, np.log1p, 2.0),
    "tanh": (-20, 20, np.tanh, 2.0),
    "exp_falling": (-700, 0, np.exp, 2.0),
    "expm1_falling": (-50, 0, np.expm1, 2.0),
    "sigmoid": (-700, 700, sigmoid, 2.4),  # a formula of ours: e, 1 + e and their ratio round
}


@built
@pytest.mark.parametrize("isa", range(len(SETS)))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_exact_to_rounding(name, dtype, isa):
    """At most 2 units in the last place from the truth, everywhere; NaN and limits as NumPy's."""
    if dtype is np.float64 and np.finfo(np.longdouble).nmant < 63:
        pytest.skip("no wider type to compare with")
    low, high, function, bound = FUNCTIONS[name]
    limit = 80.0 if dtype is np.float32 else 1e300
    rng = np.random.default_rng(5)
    x = rng.uniform(max(low, -limit), min(high, limit), 200_001)
    near = rng.choice([-1, 1], x.size) * 10.0 ** rng.uniform(-30, 0.5, x.size)
    near = np.concatenate([near, 1 + near])
    x = np.concatenate([x, near[(near > low) & (near < high)]]).astype(dtype)
    wide = np.float64 if dtype is np.float32 else np.longdouble
    truth = function(x.astype(wide))
    error = np.abs(apply(isa, name, x) - truth) / np.spacing(np.abs(truth.astype(dtype)))
    assert error.max() < bound
    edges = np.array([0.0, np.inf, -np.inf, np.nan, -2.0, -1.0, 1e4, -1e4], dtype)
    edges = edges[~(edges > high)] if name.endswith("_falling") else edges
    with np.errstate(all="ignore"):
        expected = function(edges)
    assert apply(isa, name, edges) == pytest.approx(expected, rel=1e-6, nan_ok=True)


def apply(isa, name, x):
    y = np.empty_like(x)
    call = find().calls.chainrule_apply
    call(isa, list(FUNCTIONS).index(name), x.itemsize, x.ctypes.data, y.ctypes.data, x.size)
    return y


@pytest.mark.parametrize(
    ("formula", "falling"),
    [
        ("exp(-abs(z))", True),
        ("expm1(minimum(z, 0))", True),
        ("exp(-abs(z) + 1)", False),
        ("exp(-z)", False),
        ("exp(minimum(z, 1))", False),
        ("log1p(-abs(z))", False),
    ],
)
def test_the_shorter_form_of_a_function_is_taken_where_its_argument_is_never_positive(
    formula, falling
):
    text = "    def value(self, z: Array) -> Array:\n        return "
    changed = MODULES["activations"].replace(f"{text}tanh(z)", f"{text}{formula}")
    tanh = header(MODULES | {"activations": changed}).split("struct Tanh")[1].split("struct")[0]
    assert ("_falling(" in tanh) == falling


@built
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_nan_does_not_get_lost_in_an_activation(name):
    net = Network([2, 3, 2], [name, "identity"])
    net.theta[0] = np.nan
    plan = Plan(SquaredError(), SGD(), Constant(), Penalty(), 4, 1)
    outputs = NativeEngine(plan, net, Data(np.ones((4, 2)), np.ones((4, 2)))).evaluate(
        Data(np.ones((4, 2)), np.ones((4, 2)))
    )[1]
    assert np.isnan(outputs).all()


@built
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("rate", [1e30, 1e200, 1e308])
def test_a_divergence_is_told_as_by_the_reference(rate, dtype):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(20, 3)), rng.normal(size=(20, 1))
    told = []
    for engine in ("reference", "native"):
        net = Network([3, 5, 4, 1], "softplus", seed=1, dtype=dtype)
        with pytest.raises(Diverged) as error:
            train(net, X, Y, optimizer=SGD(rate), epochs=50, batch_size=7, engine=engine)
        told.append(str(error.value))
    assert told[0] == told[1]


@built
def test_what_is_not_built_in_goes_to_the_reference_and_says_so():
    class Mine(Relu):
        """max(z, 0), under another name."""

    X, Y = np.ones((4, 2)), np.ones((4, 1))
    history = train(Network([2, 3, 1], Mine()), X, Y, epochs=1)
    assert history.engine == "reference"
    assert history.engine_reason == "Mine is not among its formulas"
    with pytest.raises(ValueError, match="engine='native' cannot run this: Mine is not") as error:
        train(Network([2, 3, 1], Mine()), X, Y, epochs=1, engine="native")
    assert "\n" not in str(error.value)
    for name in ("auto", "native"):
        history = train(Network([2, 3, 1]), X, Y, epochs=1, engine=name)
        assert (history.engine, history.engine_reason) == ("native", "")
    history = train(Network([2, 3, 1]), X, Y, epochs=1, engine="reference")
    assert (history.engine, history.engine_reason) == (
        "reference",
        "engine='reference' was asked for",
    )


def test_a_missing_library_is_told_once_with_the_remedy(monkeypatch):
    """Not for what it could not run anyway, nor where the reference engine is asked for."""
    monkeypatch.delenv("CHAINRULE_ENGINE", raising=False)
    monkeypatch.setattr("chainrule.engine.find", lambda: "this installation has no library; do x")
    _warn_once.cache_clear()

    def histories():
        return [
            train(Network([2, 3, 1]), np.ones((4, 2)), np.ones((4, 1)), epochs=1, engine=name)
            for name in ("reference", "auto", "auto")
        ]

    with pytest.warns(NoNativeEngine, match="has no library. Install chainrule again") as told:
        after = histories()
    assert len(told) == 1
    assert "\n" not in str(told[0].message)
    assert told[0].filename == __file__
    assert [history.engine for history in after] == ["reference"] * 3
    assert after[1].engine_reason == "this installation has no library; do x"
    _warn_once.cache_clear()
    monkeypatch.setenv("CHAINRULE_ENGINE", "reference")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        histories()
    _warn_once.cache_clear()


def test_the_environment_can_force_the_reference(monkeypatch):
    monkeypatch.setenv("CHAINRULE_ENGINE", "reference")
    plan = Plan(SquaredError(), SGD(), Constant(), Penalty(), 4, 1)
    data = Data(np.ones((4, 2)), np.ones((4, 1)))
    engine, reason = choose_engine("auto", plan, Network([2, 3, 1]), data)
    assert engine.name == "reference"
    assert reason == "CHAINRULE_ENGINE=reference is set"


def test_a_library_that_is_missing_or_of_other_sources_is_not_used(tmp_path, monkeypatch):
    with pytest.raises(Unusable, match="no native library"):
        load(tmp_path / "libchainrule.so")
    (tmp_path / "no.so").write_bytes(b"nothing")
    with pytest.raises(Unusable, match="cannot be loaded"):
        load(tmp_path / "no.so")
    if isinstance(find(), Library):
        monkeypatch.setattr("chainrule.native.digest", lambda: "another")
        with pytest.raises(Unusable, match="built from other sources"):
            load(find().path)


@pytest.mark.parametrize(
    ("module", "old", "new", "emitted"),
    [
        ("activations", "return z / (1 + abs(z))", "return z / (2 + abs(z))", "T(2.0) + m::abs(z)"),
        ("activations", "slope: float = 0.01", "slope: float = 0.03", "double slope = 0.03"),
        ("losses", "TINY = 1e-7", "TINY = 1e-9", "T(1e-09)"),
        ("optimizers", "s = s + g * g", "s = s + 3 * g * g", "(T(3.0) * g) * g"),
        ("schedules", "return 1 / t**self.power", "return 2 / t**self.power", "2.0 / m::power(t"),
        ("penalties", "* abs(w) + 0.5", "* abs(w) + 0.25", "T((0.25 * "),
    ],
)
def test_a_formula_changed_in_its_one_place_changes_the_native_engine(module, old, new, emitted):
    assert old in MODULES[module]
    assert emitted not in header(MODULES)
    changed = MODULES | {module: MODULES[module].replace(old, new)}
    assert emitted in header(changed)


def test_what_the_translator_does_not_know_is_refused_by_name():
    changed = MODULES["activations"].replace("return tanh(z)", "return arctan(z)")
    with pytest.raises(Untranslatable, match="arctan"):
        header(MODULES | {"activations": changed})


def test_every_member_of_every_table_is_emitted():
    found = members(MODULES)
    for table, entries in [
        ("ACTIVATIONS", {type(a) for a in ACTIVATIONS.values()}),
        ("LOSSES", set(LOSSES.values())),
        ("OPTIMIZERS", set(OPTIMIZERS.values()) - {LBFGS}),
        ("SCHEDULES", set(SCHEDULES.values())),
    ]:
        assert set(found[table]) == {entry.__name__ for entry in entries}


@built
def test_the_library_tells_of_itself():
    done = subprocess.run(
        [sys.executable, "-m", "chainrule.native"], capture_output=True, text=True, check=True
    )
    assert SETS[-1] in done.stdout
    assert "Softmax" in done.stdout
    assert next(iter(ENGINES)) == "native"


@built
def test_memory_does_not_grow_with_the_rows():
    plan = Plan(SquaredError(), AdamW(), InverseScaling(), Penalty(), 50, 1)
    sizes = []
    for n in (100, 100_000):
        data = Data(np.ones((n, 4)), np.ones((n, 1)))
        sizes.append(NativeEngine(plan, Network([4, 8, 1]), data).arena.size)
    assert sizes[0] == sizes[1]
    assert Path(find().path).stat().st_size < 2_000_000
    assert Adam().slots == AdamW().slots
