"""Sparse rows: both engines take them as they are, and make of them what dense ones become."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse

import family
from chainrule import SGD, Adam, Network, train
from chainrule.engine import ENGINES, Data, State
from chainrule.engine.native import NativeEngine
from chainrule.engine.reference import ReferenceEngine
from chainrule.native import Library, find
from chainrule.sparse import Rows, as_rows

built = pytest.mark.skipif("native" not in ENGINES, reason="there is no native engine")
SETS = find().instruction_sets if isinstance(find(), Library) else ("base",)


def rows(n=70, columns=50, density=0.1, seed=0, dtype="float64"):
    """Return sparse rows, some empty, with columns that are nowhere, and targets (n, 3)."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, columns)) * (rng.uniform(size=(n, columns)) < density)
    X[::7], X[-1], X[:, :4], X[:, -1] = 0, 0, 0, 0
    return sparse.csr_array(X.astype(dtype)), rng.normal(size=(n, 3)).astype(dtype)


def with_int64(X):
    made = X.copy()
    made.indices, made.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    assert made.indices.dtype == np.int64
    return made


def disordered(X):
    """Return the same rows, each column twice with half of the number, in falling order."""
    made, n = sparse.csr_array(X.shape), X.nnz
    twice = np.concatenate([np.arange(n), np.arange(n)])
    row = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))[twice]
    order = np.lexsort((-X.indices[twice], row))
    made.data, made.indices = X.data[twice][order] / 2, X.indices[twice][order]
    made.indptr = 2 * X.indptr
    return made


FORMS = {
    "csr matrix": sparse.csr_matrix,
    "csc array": sparse.csc_array,
    "csc matrix": sparse.csc_matrix,
    "coo": sparse.coo_array,
    "int64 indices": with_int64,
    "repeated and unordered": disordered,
}


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_of_sparse_rows_is_those_rows(form, engine):
    X, Y = rows()
    given = form(X)
    before = [a.copy() for a in (given.data, given.indices)] if hasattr(given, "indices") else []
    dense, thin = (Network([50, 20, 3], "tanh", seed=0) for _ in range(2))
    options = {"optimizer": Adam(), "epochs": 4, "batch_size": 32, "engine": engine}
    train(dense, X.toarray(), Y, validation=0.2, **options)
    history = train(thin, given, Y, validation=0.2, **options)
    assert thin.theta == pytest.approx(dense.theta, rel=1e-9, abs=1e-12)
    assert history.engine == engine
    assert not history.engine_reason or engine == "reference"
    assert thin.predict(given) == pytest.approx(dense.predict(X.toarray()), rel=1e-9)
    if before:  # what the caller gave stays as it was
        assert given.data.tolist() == before[0].tolist()
        assert given.indices.tolist() == before[1].tolist()


def pair(X, Y, sizes, instruction_set=None, **plan):
    """Return both engines and their states on the same rows, the native one with its own."""
    engine, _, _ = family.training(1)
    plan = dataclasses.replace(engine.plan, clip_value=None, **plan)
    made = []
    for kind, more in ((ReferenceEngine, ()), (NativeEngine, (None, instruction_set))):
        network = Network(sizes, "tanh", seed=0)
        plan = dataclasses.replace(plan, dropout=plan.dropout or (0.0,) * (len(sizes) - 1))
        made.append((kind(plan, network, Data(X, Y), *more), State.start(plan, network)))
    return made


@built
@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize(
    ("n", "size"), [(70, 70), (70, 9), (300, 300), (600, 290)], ids=lambda n: str(n)
)
@pytest.mark.parametrize("density", [0.0, 0.02, 0.4])
def test_steps_on_sparse_rows_equal_the_reference(n, size, density, dropout, isa):
    """Batches in one chunk and in several, an only batch, dropout of inputs, momentum at rest."""
    X, Y = rows(n, density=density)
    reference, native = pair(
        X, Y, [50, 20, 3], isa, batch_size=size, dropout=(dropout, 0.2), optimizer=SGD(0.01, 0.9),
        epochs=100, loss=family.LOSSES["squared_error"](),
    )  # fmt: skip
    for engine, state in (reference, native):
        engine.advance(state, 5, 60.0)
    theta = reference[0].network.theta
    assert native[0].network.theta == pytest.approx(theta, rel=1e-11, abs=1e-13)
    (one, gradient), (other, its) = (
        engine.cost_and_gradient() for engine, _ in (reference, native)
    )
    assert one == pytest.approx(other, rel=1e-12)
    assert its.flat == pytest.approx(gradient.flat, rel=1e-11, abs=1e-13)
    held_out = Data(*rows(90, density=density, seed=1))
    for data in (held_out, Data(held_out.X.toarray(), held_out.Y)):
        (one, A), (other, B) = (engine.evaluate(data) for engine, _ in (reference, native))
        assert one == pytest.approx(other, rel=1e-12)
        assert pytest.approx(A, rel=1e-11, abs=1e-13) == B


@built
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("isa", SETS)
def test_the_number_of_threads_changes_no_bit_on_sparse_rows(isa, dtype):
    X, Y = rows(500, 700, 0.03, dtype=dtype)
    results = []
    for threads in (1, 2, 4):
        network = Network([700, 40, 3], "relu", seed=0, dtype=dtype)
        plan = dataclasses.replace(family.training(1)[0].plan, batch_size=100, dropout=(0.2, 0.2))
        engine, state = NativeEngine(plan, network, Data(X, Y), 4, isa), State.start(plan, network)
        engine.job.threads = threads
        engine.advance(state, 3, 60.0)
        results.append((network.theta.tobytes(), engine.cost_and_gradient()[1].flat.tobytes()))
    assert results[0] == results[1] == results[2]


@built
@pytest.mark.parametrize("outputs", [1, 3, 4, 9, 40])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predictions_of_sparse_rows_are_those_of_dense_ones(outputs, dtype):
    X, _ = rows(400, 30, dtype=dtype)
    network = Network([30, outputs], "tanh", seed=0, dtype=dtype)
    expected = network.forward(X.toarray()).A[-1]
    near = {"rel": 1e-4, "abs": 1e-6} if dtype == "float32" else {"rel": 1e-11, "abs": 1e-14}
    assert network.predict(X) == pytest.approx(expected, **near)
    alone = np.vstack([network.predict(X[[i]]) for i in range(20)])
    assert (alone == network.predict(X)[:20]).all()  # to the last bit, whoever comes with it


BROKEN = {
    "a column beyond the last": ("indices", -1, 50),
    "a negative column": ("indices", 0, -1),
    "rows that end before they begin": ("indptr", 2, 10**6),
}


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_array])
@pytest.mark.parametrize(("part", "at", "value"), BROKEN.values(), ids=BROKEN)
def test_indices_that_lead_outside_are_refused(part, at, value, form):
    X, Y = rows(50)
    X = form(X)
    getattr(X, part)[at] = value
    network = Network([50, 3], seed=0)
    for call in (network.predict, lambda X: train(network, X, Y), lambda X: as_rows(X)):
        with pytest.raises(ValueError, match="broken sparse matrix"):
            call(X)


def test_rows_share_what_needs_no_change():
    X, _ = rows()
    shared = Rows.of(as_rows(X))
    assert np.shares_memory(shared.values, X.data)
    assert np.shares_memory(shared.columns, X.indices)


LARGE = """
import resource
import numpy as np, scipy.sparse as sparse
from chainrule import MLPRegressor, Network, train
engine = {engine!r}
n, columns = 20_000, 100_000
rng = np.random.default_rng(0)
X = sparse.random_array((n, columns), density=1e-4, rng=rng, dtype=np.float32, format="csr")
Y = rng.normal(size=(n, 1)).astype(np.float32)
net = Network([columns, 8, 1], seed=0, dtype="float32")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
history = train(net, X, Y, epochs=1, batch_size=2_000, engine=engine)
assert history.engine == engine, history.engine_reason
assert np.isfinite(net.predict(X)).all()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="kilobytes as Linux counts them")
@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_a_large_sparse_table_takes_no_dense_table_s_memory(engine):
    """8 GB if it were filled up; the weights are 3.2 MB, what is not zero 1.6 MB."""
    done = subprocess.run(
        [sys.executable, "-c", LARGE.format(engine=engine)], capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) < 100_000
