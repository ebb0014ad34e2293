"""Prediction and derivatives for the inputs: compiled code equals the reference, whatever comes."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from chainrule import MLPClassifier, MLPRegressor
from chainrule.activations import ACTIVATIONS, Relu
from chainrule.engine import ENGINES
from chainrule.losses import LOSSES
from chainrule.native import Library, find
from chainrule.native.predict import Passage
from chainrule.network import Network
from strategies import NAMES, seeds, targets

built = pytest.mark.skipif("native" not in ENGINES, reason="there is no native engine")
SETS = find().instruction_sets if isinstance(find(), Library) else ("base",)
ROWS = st.integers(1, 20) | st.sampled_from([191, 192, 193, 300])
rng = np.random.default_rng(0)


def passage(network, instruction_set=None):
    layers = network.layers
    parameters = [p for layer in layers for p in (layer.W, layer.b)]
    return Passage(parameters, [layer.activation for layer in layers], instruction_set)


def random_network(draw, last, dtype="float64"):
    sizes = draw.draw(st.lists(st.integers(1, 70), min_size=2, max_size=4))
    hidden = [draw.draw(st.sampled_from(NAMES)) for _ in sizes[2:]]
    network = Network(sizes, [*hidden, last], seed=draw.draw(seeds), dtype=dtype)
    mild = 0.3 / max(sizes) ** 0.5  # so that e^(e^z) does not make much of rounding
    drawn = np.random.default_rng(len(network.theta))
    network.theta[:] = drawn.normal(0, mild, network.theta.size)
    return network


def rows(network, n, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, network.sizes[0]))
    return X.astype(network.dtype)


def reference(monkeypatch, call):
    """Return what `call` gives on NumPy."""
    with monkeypatch.context() as forced:
        forced.setenv("CHAINRULE_ENGINE", "reference")
        return call()


def assert_near(actual, expected, rel):
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    scale = np.abs(expected).max(initial=1e-300)
    assert np.abs(actual - expected).max(initial=0.0) <= rel * scale


@built
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("last", NAMES)
@settings(max_examples=6)
@given(draw=st.data(), n=ROWS, isa=st.sampled_from(SETS), threads=st.integers(1, 3))
def test_outputs_equal_the_reference(last, dtype, draw, n, isa, threads):
    network = random_network(draw, last, dtype)
    X, way = rows(network, n), passage(network, isa)
    way._threads = lambda n, most: threads
    way.cost += 10**9 * (threads > 1)  # as if the network were so large that threads pay
    expected = network.forward(X).A[-1]
    outputs = way.predict(X)
    assert_near(outputs, expected, 1e-12 if dtype == "float64" else 3e-5)
    one_by_one = np.concatenate([way.predict(X[i : i + 1]) for i in range(n)])
    assert one_by_one.tobytes() == outputs.tobytes()
    assert_near(network.predict(X), expected, 1e-12 if dtype == "float64" else 3e-5)


@built
@pytest.mark.parametrize("sizes", [[1500, 3], [3, 700, 2], [513, 16, 1], [1, 1], [40, 300, 33]])
@pytest.mark.parametrize("n", [1, 3, 7, 8, 200])
def test_wide_layers_equal_the_reference(sizes, n):
    network = Network(sizes, "tanh", seed=1)
    X = rows(network, n)
    assert_near(passage(network).predict(X), network.forward(X).A[-1], 1e-12)


@built
@pytest.mark.parametrize("last", NAMES)
@settings(max_examples=4)
@given(draw=st.data(), n=st.integers(1, 9) | st.just(200))
def test_the_jacobian_equals_the_reference(last, draw, n):
    network = random_network(draw, last)
    X = rows(network, n)
    for isa in SETS:
        J = passage(network, isa).pull_back(X, None)
        with pytest.MonkeyPatch.context() as forced:
            expected = reference(forced, lambda: network.jacobian(X))
        assert_near(J, expected, 1e-12)
    assert_near(network.jacobian(X), expected, 1e-12)


@pytest.mark.parametrize("forced", ["", "reference"])
@pytest.mark.parametrize("last", NAMES)
def test_the_jacobian_is_the_slope_of_the_outputs(last, forced, monkeypatch):
    monkeypatch.setenv("CHAINRULE_ENGINE", forced)
    network = Network([3, 5, 4], ["tanh", last], seed=5)
    X, h = rows(network, 6, 3), 1e-6
    J = network.jacobian(X)
    assert J.shape == (6, 4, 3)
    for j in range(3):
        step = h * np.eye(3)[j]
        slope = (network.predict(X + step) - network.predict(X - step)) / (2 * h)
        assert J[:, :, j] == pytest.approx(slope, rel=1e-6, abs=1e-8)


def test_the_jacobian_is_pytorchs():
    torch = pytest.importorskip("torch")
    network = Network([4, 9, 3], ["silu", "softmax"], seed=2)
    W, b = ([torch.tensor(np.array(p)) for p in ps] for ps in (network.W, network.b))

    def outputs(x):
        hidden = torch.nn.functional.silu(x @ W[0] + b[0])
        return torch.softmax(hidden @ W[1] + b[1], dim=-1)

    X = rows(network, 5)
    expected = [torch.autograd.functional.jacobian(outputs, torch.tensor(x)).numpy() for x in X]
    assert_near(network.jacobian(X), np.array(expected), 1e-12)


@built
def test_a_jacobian_of_more_outputs_than_go_at_once():
    network = Network([3, 5, 400], ["tanh", "softmax"], seed=1)
    X = rows(network, 3)
    pulled = network.layers[-1].activation.pullback
    trace = network.forward(X)
    for k in (0, 191, 192, 399):
        G = np.tile(np.eye(400)[k], (3, 1))
        g = pulled(G, trace.Z[1], trace.A[2]) @ network.W[1].T
        expected = (g * (1 - trace.A[1] ** 2)) @ network.W[0].T
        assert network.jacobian(X)[:, k] == pytest.approx(expected, rel=1e-11, abs=1e-16)


@pytest.mark.parametrize("forced", ["", "reference"])
@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("weighted", [False, True])
def test_the_input_gradient_is_that_of_backward(loss, weighted, forced, monkeypatch):
    monkeypatch.setenv("CHAINRULE_ENGINE", forced)
    for last in {LOSSES[loss]().output, "sigmoid", "softmax"}:
        network = Network([4, 7, 3], ["tanh", last], seed=3)
        X, Y = rows(network, 11), targets(LOSSES[loss](), rng, 11, 3)
        weights = rng.uniform(0.1, 2, 11) if weighted else None
        expected = network.backward(network.forward(X), Y, loss, weights=weights).dX
        assert_near(network.input_gradient(X, Y, loss, weights=weights), expected, 1e-12)


@pytest.mark.parametrize("forced", ["", "reference"])
@pytest.mark.parametrize("loss", ["binary_cross_entropy", "binary_focal", "cross_entropy", "focal"])
def test_a_canonical_pair_is_exact_where_outputs_are_rounded(loss, forced, monkeypatch):
    """Where every output is certain and wrong, the cost is |z| or a gap of z, and δ is a − y."""
    monkeypatch.setenv("CHAINRULE_ENGINE", forced)
    network = Network([3, 5, 4, 2], ["sigmoid", "tanh", LOSSES[loss]().output], seed=1)
    network.b[-1][:] = [60.0, -60.0]
    X, Y = rows(network, 4), np.tile([0.0, 1.0], (4, 1))
    trace = network.forward(X)
    z = trace.Z[-1]
    assert (trace.A[-1].round(15) == 1 - Y).all()
    wrong = abs(z).sum(axis=1) if "binary" in loss else z[:, 0] - z[:, 1]
    assert network.cost(X, Y, loss) == pytest.approx(wrong.mean(), rel=1e-13)
    grads = network.backward(trace, Y, loss)
    assert grads.delta[-1] == pytest.approx((1 - 2 * Y) / 4, rel=1e-13)
    assert abs(grads.dX).max() > 1e-3
    assert_near(network.input_gradient(X, Y, loss), grads.dX, 1e-12)


@built
def test_compiled_code_serves_what_it_can(monkeypatch):
    """Without a pass in NumPy; and a plain array without a look at it."""
    monkeypatch.setenv("CHAINRULE_ENGINE", "")
    network = Network([4, 7, 3], ["tanh", "sigmoid"], seed=3)
    X, losses = rows(network, 5), ["huber", "binary_cross_entropy"]
    Y = rng.uniform(size=(5, 3))
    trace = network.forward(X)
    expected = [trace.A[-1], reference(monkeypatch, lambda: network.jacobian(X))]
    expected += [network.backward(trace, Y, loss).dX for loss in losses]
    monkeypatch.setattr("chainrule.network.propagate", None)  # were it called, this would show
    for same in (X, X.tolist(), X.astype("float32")):
        found = [network.predict(same), network.jacobian(same)]
        found += [network.input_gradient(same, Y, loss) for loss in losses]
        for ours, theirs in zip(found, expected, strict=True):
            assert_near(ours, theirs, 1e-12 if same is X else 1e-6)
    monkeypatch.setattr("chainrule.network.as_matrix", None)
    assert_near(network.predict(X), expected[0], 1e-12)


@pytest.mark.parametrize("forced", ["", "reference"])
def test_answers_are_of_the_networks_precision(forced, monkeypatch):
    monkeypatch.setenv("CHAINRULE_ENGINE", forced)
    double = Network([4, 7, 3], "tanh", seed=3)
    network = double.copy("float32")
    X, Y = rows(double, 5), np.ones((5, 3))
    for ask in (
        lambda net, x: net.predict(x),
        lambda net, x: net.jacobian(x),
        lambda net, x: net.input_gradient(x, Y),
    ):
        for same in (X, X.tolist(), X.astype("float32")):
            assert_near(ask(network, same), ask(double, X).astype("float32"), 1e-5)


@pytest.mark.parametrize("forced", ["", "reference"])
def test_rows_that_do_not_fit_are_refused(forced, monkeypatch):
    from scipy import sparse

    monkeypatch.setenv("CHAINRULE_ENGINE", forced)
    network = Network([2, 3, 1])
    dense = [network.jacobian, lambda X: network.input_gradient(X, [[1.0]])]
    shapes = [
        ([[1.0]], "X has 1 columns; expected 2"),
        ([[1.0, np.nan]], "X holds NaN or infinity"),
        ([1.0, 2.0], r"X has shape \(2,\); expected two dimensions"),
    ]
    thin = sparse.csr_array(np.ones((1, 2)))
    kinds = [(thin, r"X is a sparse matrix; expected a dense array: X\.toarray\(\)$")]
    for call in (network.forward, network.predict, *dense):
        for X, words in shapes + kinds * (call in dense):
            with pytest.raises(ValueError, match=f"^{words}") as error:
                call(X)
            assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="Y has 2 rows; expected 1"):
        network.input_gradient([[1.0, 2.0]], [[1.0], [2.0]])


def test_an_activation_of_your_own_is_predicted_on_numpy():
    class Mine(Relu):
        """max(z, 0), under another name."""

    network, twin = Network([3, 4, 2], Mine(), seed=1), Network([3, 4, 2], "relu", seed=1)
    X = rows(network, 5)
    assert network._passage() is None
    assert_near(network.predict(X), twin.predict(X), 1e-14)
    assert_near(network.jacobian(X), twin.jacobian(X), 1e-14)
    Y = np.ones((5, 2))
    assert_near(network.input_gradient(X, Y), twin.input_gradient(X, Y), 1e-14)


@pytest.mark.filterwarnings("ignore")  # one iteration is not many
def test_predictions_follow_the_weights():
    """In a network and an estimator: written to, replaced by others, or of another layout."""
    network = Network([3, 4, 2], "tanh", seed=1)
    X = rows(network, 3)
    for _ in range(2):
        network.theta += 0.5
        assert_near(network.predict(X), network.forward(X).A[-1], 1e-14)

    y = X[:, 0]
    model = MLPRegressor(hidden_layer_sizes=(4,), activation="tanh", max_iter=1, solver="lbfgs")
    model.fit(X, y)
    twin = pickle.loads(pickle.dumps(model))

    def textbook(m):
        (V, W), (b, c) = m.coefs_, m.intercepts_
        return (np.tanh(X @ V + b) @ W + c)[:, 0]

    for m in (model, twin, copy.deepcopy(model)):
        assert m.predict(X) == pytest.approx(textbook(m), rel=1e-12)
        m.coefs_[0][:] += 1.0
        assert m.predict(X) == pytest.approx(textbook(m), rel=1e-12)
        for change in (np.asfortranarray, lambda W: W * 2, lambda W: W.astype("float32")):
            m.coefs_ = [change(W) for W in m.coefs_]
            assert m.predict(X) == pytest.approx(textbook(m), rel=1e-5)
        m.intercepts_[1] = m.intercepts_[1] + 3.0
        assert m.predict(X) == pytest.approx(textbook(m), rel=1e-5)
        m.activations_[0] = "identity"
        assert m.predict(X) != pytest.approx(textbook(m), rel=1e-5)
    assert not hasattr(clone(model), "coefs_")


@built
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("classes", [2, 3])
def test_estimators_predict_what_numpy_does(classes, dtype, monkeypatch):
    X = rng.normal(size=(60, 4)).astype(dtype)
    model = MLPClassifier((5,), max_iter=3).fit(X, np.arange(60) % classes)
    wide = X * 200  # where 1 − σ(z) is nothing but rounding
    for values in (X, X[:1], wide, X.tolist(), np.asfortranarray(X), X[::2]):
        for call in (model.predict, model.predict_proba):
            ours, expected = call(values), reference(monkeypatch, lambda: call(values))  # noqa: B023
            assert ours.dtype == expected.dtype
            assert ours == pytest.approx(expected, rel=1e-10 if dtype == "float64" else 1e-4)
    one = model.predict_proba(X[:1])
    assert one.tobytes() == model.predict_proba(X)[:1].tobytes()


#: Ways to the same rows that need no look at them.
WAYS = {
    "as fitted": lambda X: X,
    "lists": lambda X: X.tolist(),
    "float32": lambda X: X.astype("float32"),
    "whole numbers": lambda X: np.rint(X).astype("int32"),
}
SETTINGS = {
    "members": {"n_estimators": 3},
    "scaled": {"scale_X": "standard"},
    "gaps": {"scale_X": "robust", "missing": "indicator"},
    "members, scaled": {"scale_X": "standard", "n_estimators": 2},
    "plain": {},
}


@built
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", SETTINGS)
def test_rows_that_need_no_look_are_predicted_as_if_looked_at(name, way, monkeypatch):
    """The short way gives what scikit-learn's checks and the encoder, column by column, give."""
    X = rng.normal(size=(40, 3)) * 5
    if name == "gaps":
        X[::4, 1] = np.nan
    model = MLPClassifier((5,), max_iter=3, **SETTINGS[name]).fit(X, np.arange(40) % 3)
    rows = WAYS[way](np.nan_to_num(X) if way == "whole numbers" else X)
    if name == "plain" or "scale_X" not in SETTINGS[name] or way == "as fitted":
        assert model._outputs_of_raw(rows, True) is not None
    with monkeypatch.context() as patch:
        patch.setattr(MLPClassifier, "_outputs_of_raw", lambda self, X, both: None)
        expected = model.predict_proba(rows)
    found = model.predict_proba(rows)
    assert found.dtype == expected.dtype == np.float64
    assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_rows_that_need_a_look_get_one():
    X = rng.normal(size=(20, 3))
    scaled = MLPRegressor(max_iter=2, scale_X="standard").fit(X, X[:, 0])
    plain = MLPRegressor(max_iter=2, n_estimators=2).fit(X, X[:, 0])
    gap, infinite = X.copy(), X.copy()
    gap[3, 1], infinite[4, 2] = np.nan, np.inf
    for rows, words in [
        (gap, "NaN"), (infinite, "infinit"), (X[:, :2], "2 features"), (X[:0], "0 sample"),
        (X[0], "1D|dim"), ([1, 2, 3], "1D|dim"),
        ([[1, 2, 3], [1, 2]], "length|inhomogeneous|sequence"),
    ]:  # fmt: skip
        for model in (scaled, plain):
            with pytest.raises(ValueError, match=words):
                model.predict(rows)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_estimators_refuse_what_they_refused():
    X = rng.normal(size=(20, 3))
    model = MLPRegressor(hidden_layer_sizes=(4,), activation="identity", max_iter=2)
    with pytest.raises(ValueError, match="not fitted"):
        model.predict(X)
    model.fit(X, X[:, 0])
    model.predict(X)
    for wrong, words in (
        (X[:, :2], "2 features"),
        (np.where(X > 2, np.nan, X) * np.nan, "NaN"),
        (X[0], "1D array|dimension"),
        (X[:0], "0 sample"),
        (np.ma.masked_greater(X, 0), "masked"),
        (X * 1j, "Complex"),
    ):
        with pytest.raises(ValueError, match=words):
            model.predict(wrong)
    huge = X.copy()
    huge[7] = 1e300
    model.coefs_[0] *= 1e20
    with pytest.raises(ValueError, match="the prediction for row 7 of X is not a finite number"):
        model.predict(huge)


@built
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_eight_threads_predict_with_one_estimator():
    X = rng.normal(size=(400, 6))
    model = MLPRegressor(hidden_layer_sizes=(30,), max_iter=2).fit(X, X[:, 0])
    expected = model.predict(X)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: model.predict(X[i : i + 3]), range(390)))
    for i, answer in enumerate(answers):
        assert answer.tobytes() == expected[i : i + 3].tobytes()


@built
def test_every_activation_of_the_table_is_predicted_in_compiled_code():
    if isinstance(find(), Library):
        for name in ACTIVATIONS:
            assert Network([2, 3, 2], [name, name])._passage() is not None
