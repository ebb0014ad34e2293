"""Threads of the native engine: any number of callers, forks, joblib and memory that stays flat."""

import multiprocessing
import os
import subprocess
import sys
import threading
import warnings

import joblib
import numpy as np
import pytest
from sklearn.model_selection import cross_val_score

from chainrule import MLPClassifier
from chainrule.engine import ENGINES, Data, Plan, State
from chainrule.engine.native import NativeEngine
from chainrule.losses import SquaredError
from chainrule.network import Network
from chainrule.optimizers import Adam
from chainrule.penalties import Penalty
from chainrule.schedules import Constant

pytestmark = pytest.mark.skipif("native" not in ENGINES, reason="there is no native engine")
FORKS = hasattr(os, "fork")


def fit(seed=0, threads=2, epochs=2, dtype="float64"):
    """Train a network of some layers; return all the bits that come of it."""
    rng = np.random.default_rng(seed)
    plan = Plan(
        SquaredError(), Adam(1e-3), Constant(), Penalty(l2=0.1), 50, 9, dropout=(0.0, 0.2, 0.2)
    )
    net = Network([20, 70, 33, 2], "tanh", seed=seed, dtype=dtype)
    data = Data(
        rng.normal(size=(130, 20)).astype(dtype),
        rng.normal(size=(130, 2)).astype(dtype),
        rng.uniform(size=130).astype(dtype),
    )
    engine = NativeEngine(plan, net, data)
    engine.job.threads = threads
    state = State.start(plan, net)
    engine.advance(state, epochs, 60.0)
    loss, outputs = engine.evaluate(data)
    gradient = engine.cost_and_gradient()[1].flat.copy()
    return [loss, *(a.tobytes() for a in (net.theta, *state.slots, outputs, gradient))]


def in_child(work):
    """Run `work` in a forked child; tell whether it came back true."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that other threads exist: the point
        child = os.fork()
    if child == 0:
        os._exit(0 if work() else 1)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("callers", [2, 8])
def test_fits_of_many_threads_at_once_give_the_bits_of_one_alone(callers, threads):
    """More callers than helpers: a call takes those that are idle, or none, and never waits."""
    alone = [fit(seed, threads=1) for seed in range(callers)]
    together = [None] * callers
    start = threading.Barrier(callers)

    def call(seed):
        start.wait()
        results = [fit(seed, threads) for _ in range(5)]
        together[seed] = results[0] if all(r == results[0] for r in results) else "they differ"

    callers_at_work = [threading.Thread(target=call, args=(seed,)) for seed in range(callers)]
    for each in callers_at_work:
        each.start()
    for each in callers_at_work:
        each.join(60)
    assert not any(each.is_alive() for each in callers_at_work)
    assert together == alone


@pytest.mark.skipif(not FORKS, reason="no fork here")
def test_after_a_fork_both_sides_train_with_threads():
    right = fit(threads=1)
    assert fit(threads=3) == right
    for _ in range(3):
        assert in_child(lambda: fit(threads=3) == right and fit(threads=2) == right)
        assert fit(threads=3) == right


@pytest.mark.skipif(not FORKS, reason="no fork here")
def test_a_child_forked_in_the_middle_of_a_call_trains():
    """What the parent's threads held at that moment must not matter."""
    right, ended = fit(threads=1), threading.Event()

    def train_on():
        while not ended.is_set():
            fit(threads=3)

    busy = [threading.Thread(target=train_on) for _ in range(3)]
    for each in busy:
        each.start()
    try:
        assert all(in_child(lambda: fit(threads=3) == right) for _ in range(10))
    finally:
        ended.set()
        for each in busy:
            each.join(60)


@pytest.mark.skipif(not FORKS, reason="no fork here")
def test_a_grandchild_trains_too():
    right = fit(threads=2)
    assert in_child(lambda: fit(threads=2) == right and in_child(lambda: fit(threads=2) == right))


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_joblib_workers_give_the_bits_of_this_process(backend):
    if backend == "multiprocessing" and multiprocessing.get_start_method() == "fork":
        assert fit(threads=2)  # so that the workers are forked beside a pool
    jobs = [joblib.delayed(fit)(seed, 2) for seed in range(4)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert joblib.Parallel(2, backend=backend)(jobs) == [fit(seed, 1) for seed in range(4)]


def test_cross_validation_in_parallel_scores_as_one_by_one():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 6))
    y = X[:, 0] > 0
    model = MLPClassifier(
        (30,), engine="native", learning_rate_init=0.01, max_iter=40, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 40 epochs are few
        scores = [cross_val_score(model, X, y, cv=4, n_jobs=n, error_score="raise") for n in (1, 2)]
        with joblib.parallel_backend("threading"):
            scores.append(cross_val_score(model, X, y, cv=4, n_jobs=2, error_score="raise"))
    assert scores[0].tolist() == scores[1].tolist() == scores[2].tolist()
    assert scores[0].mean() > 0.8


MANY = """
import resource, time
import test_native_threads as here
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
for _ in range(100):
    here.fit(threads=2, epochs=1)
before = resident()
for _ in range(900):
    here.fit(threads=2, epochs=1)
grown = resident() - before
time.sleep(0.1)
before = time.process_time()
time.sleep(0.5)
print(grown, time.process_time() - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc here")
def test_a_thousand_fits_hold_memory_flat_and_leave_nobody_spinning():
    """A fit that lost its arena (300 KB) or a gradient (30 KB) would add tens of megabytes, and a
    helper that did not fall asleep would take half a second of a processor."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", MANY],
        capture_output=True, text=True, cwd=os.path.dirname(__file__), timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    grown, spent = map(float, done.stdout.split())
    assert grown < 2_000_000
    assert spent < 0.1
