"""The benchmarks: their arithmetic, their files, their program. How long things take is no test."""

import ast
import json
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule
from chainrule.engine import ENGINES

cases = pytest.importorskip("benchmarks.cases", reason="not in the source distribution")
first = pytest.importorskip("benchmarks.first")
many = pytest.importorskip("benchmarks.many")
measure = pytest.importorskip("benchmarks.measure")
pictures = pytest.importorskip("benchmarks.pictures")
program = pytest.importorskip("benchmarks.__main__")
scaling = pytest.importorskip("benchmarks.scaling")
workers = pytest.importorskip("benchmarks.workers")

ROOMS = sorted((Path(__file__).parents[1] / "benchmarks").rglob("*.py"))
SMALL = cases.NETWORKS[0]
FACTORS = st.floats(1e-9, 1e9)


def label(path):
    return path.name


@pytest.mark.parametrize("path", ROOMS, ids=label)
def test_rooms_are_as_small_as_the_package_s(path):
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    assert len(text.splitlines()) <= 400
    assert (ast.get_docstring(tree) or "").split(":")[0].isidentifier()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 50, node.name


@given(st.lists(st.integers(1, 30), min_size=2, max_size=6), st.integers(1, 40))
def test_flops_are_those_of_the_products_of_a_step(sizes, rows):
    """Two for each term of each product: forward, dW, and δ of every layer but the inputs."""
    counted = 0
    for l, (n_in, n_out) in enumerate(pairwise(sizes)):
        x, W, delta = np.ones((rows, n_in)), np.ones((n_in, n_out)), np.ones((rows, n_out))
        products = [(x, W), (x.T, delta)] + [(delta, W.T)] * (l > 0)
        counted += sum(2 * int((left @ right).sum()) for left, right in products)
    case = SMALL.of(sizes=tuple(sizes), batch=rows)
    assert case.flops == counted


def test_flops_by_hand():
    """784-196-1, batch 128: 2·128·(784·196 + 196) forward, as many for dW, 2·128·196 for δ."""
    forward = 2 * 128 * (784 * 196 + 196)
    assert cases.NETWORKS[4].flops == 2 * forward + 2 * 128 * 196


@given(st.floats(-3, 3), FACTORS, st.lists(st.integers(1, 10**6), min_size=2, unique=True))
def test_slope_of_a_power_law_is_its_exponent(p, c, x):
    found, factor = measure.slope(x, [c * value**p for value in x])
    assert found == pytest.approx(p, abs=1e-5)
    assert np.log(factor) == pytest.approx(np.log(c), abs=1e-3)


@given(FACTORS, FACTORS)
def test_intercept_of_a_line_is_its_beginning(a, b):
    x = [1, 2, 5, 10, 20, 50, 100]
    found = measure.intercept(x, [a + b * value for value in x])
    scale = 1e-9 * (a + b)
    assert found == (pytest.approx(a, rel=1e-6, abs=scale), pytest.approx(b, rel=1e-6, abs=scale))


@pytest.mark.parametrize("case", cases.NETWORKS, ids=lambda case: case.name)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_data_fits_its_network_and_is_the_same_everywhere(case, dtype):
    case = cases.Case.from_json(json.loads(json.dumps(case.of(dtype=dtype, batches=1).as_json())))
    X, Y = cases.make_data(case)
    again = cases.make_data(case)
    assert (again[0] == X).all()
    assert (again[1] == Y).all()
    assert X.dtype == Y.dtype == dtype
    assert X.shape == (case.batch, case.sizes[0])
    assert Y.shape == (case.batch, case.sizes[-1])
    if case.loss == "cross_entropy":
        assert (Y.sum(axis=1) == 1).all()
        assert (Y.argmax(axis=1) == cases.estimator_targets(case, Y)).all()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("k", [1, 4, 5])  # one for each loss
def test_the_jitted_network_learns_what_ours_learns(k, optimizer):
    """Same first weights, same batches: the same weights after two epochs."""
    if find_spec("jax") is None:
        pytest.skip("JAX is not installed")
    from benchmarks.peers import jitted, ours

    sizes = tuple(min(size, 7) for size in cases.NETWORKS[k].sizes)
    case = cases.NETWORKS[k].of(
        sizes=sizes, optimizer=optimizer, dtype="float64", batch=4, batches=2
    )
    jitted.jax.config.update("jax_enable_x64", True)
    X, Y = cases.make_data(case)
    net = chainrule.Network(
        case.sizes, case.hidden, output_activation=case.output, initializers="zeros"
    )
    state = jitted.first_state(case)
    for layer, (W, b) in zip(net.layers, state[0], strict=True):
        layer.W[:], layer.b[:] = W, b
    settings = ours.make_settings(case) | {"shuffle": False}
    chainrule.train(net, X, Y, epochs=2, engine="reference", **settings)
    for rows in np.tile(np.arange(8).reshape(2, 4), (2, 1)):
        slopes = jitted.jax.grad(lambda p, rows=rows: jitted.cost(case, p, X[rows], Y[rows]))(
            state[0]
        )
        state = jitted.update(case, state, slopes)
    for layer, (W, b) in zip(net.layers, state[0], strict=True):
        np.testing.assert_allclose(W, layer.W, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(b, layer.b, rtol=1e-7, atol=1e-9)


def test_a_worker_tells_what_fails_and_goes_on():
    reference = {"engine": "reference", "n_threads": None}
    case = SMALL.of(batch=3, batches=4)
    with workers.Workers(["chainrule"]) as started:
        worker = started["chainrule"]
        worker.prepare("bad", "train", case, {"engine": "abacus", "n_threads": None})
        with pytest.raises(workers.PeerError, match="abacus"):
            worker.run("bad", 1)
        worker.prepare("good", "train", case, reference)
        seconds, steps = worker.run("good", 3)
        assert seconds > 0
        assert steps == 12
        each = [
            measure.Contestant("bad", "chainrule", case, variant=reference | {"engine": "abacus"}),
            measure.Contestant("good", "chainrule", case, variant=reference),
        ]
        measure.measure(started, each, rounds=3, seconds=1e-3)
    assert "abacus" in each[0].as_json()["error"]
    assert len(each[1].as_json()["rounds"]) == 3


def test_a_fresh_process_holds_at_least_its_data():
    case = SMALL.of(sizes=(1000, 2), batch=10_000, dtype="float64")
    found = first.fresh("NumPy", {}, case)
    assert found["peak_bytes"] > 8 * 1000 * 10_000
    assert found["wall"] > 0


def test_many_counts_those_that_learnt(monkeypatch):
    def fit_many(networks, X, Y, *, record_every, **settings):
        for network in networks[:-1]:
            chainrule.train(network, X, Y, **settings | {"engine": "reference"})

    monkeypatch.setattr(chainrule, "fit_many", fit_many, raising=False)
    found = many.main(2, 2000)
    assert found["share_right"] == 0.5  # the last was not trained
    assert (found["trainings"], found["epochs"]) == (2, 2000)


def power_law(exponent):
    """Return curves of cost as `scaling.run` does, of a law known beforehand."""
    curves = {}
    for name, (make, low, high) in scaling.CURVES.items():
        values = np.geomspace(low, high, 6).astype(int).tolist()
        points = [measure.Contestant(str(v), "chainrule", make(v), rounds=[1.0]) for v in values]
        told = [scaling.describe(name, each) for each in points]
        told = [each | {"seconds": 3e-9 * each["work"] ** exponent} for each in told]
        case = points[-1].case.as_json()
        curves[name] = {"case": case, "points": told, "errors": {}, "fit": scaling.fit(told)}
    return curves


def test_curves_show_their_slopes(tmp_path):
    curves = power_law(0.9)
    for curve in curves.values():
        assert curve["fit"]["slope"] == pytest.approx(0.9)
        assert curve["fit"]["decades"] > 2.5
    results = {"parts": {"scaling": curves}, "machine": {"cores": 2}}
    assert pictures.draw(results, tmp_path) == [tmp_path / "scaling.png"]
    figure = pictures.draw_scaling(curves, {})
    texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert texts.count("slope 0.90") == len(scaling.CURVES)


@pytest.mark.slow
@pytest.mark.skipif("native" not in ENGINES, reason="there is no native engine")
def test_the_program_measures_prints_and_writes(tmp_path, capsys):
    words = ["--quick", "--only", "steps,small", "--rounds", "2", "--seconds", "0.002"]
    words += ["--networks", "1", "--peers", "chainrule,scikit-learn", "--out", str(tmp_path)]
    assert program.main(words) == 0
    table = capsys.readouterr().out
    assert SMALL.name in table
    assert (tmp_path / "speed.png").stat().st_size > 10_000
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert results["command"].startswith("python -m benchmarks --quick")
    assert {"date", "load_before", "load_after", "seconds", "settings"} <= set(results)
    assert {"processor", "cores", "versions", "blas", "native"} <= set(results["machine"])
    assert {"python", "numpy", "chainrule", "scikit-learn"} <= set(results["machine"]["versions"])
    (entry,) = results["parts"]["steps"]
    assert entry["flops"] == SMALL.flops
    for name in ("reference", "scikit-learn"):
        each = entry["contestants"][name]
        assert len(each["rounds"]) == 2
        assert each["median"] == pytest.approx(sum(each["rounds"]) / 2)
        assert each["count"] >= 1
    assert set(results["parts"]["small"]) == {"fixed_cost", "one_row"}
    assert program.main(["--redraw", str(tmp_path / "results.json"), "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split("written")[0] == table.split("written")[0]


def test_an_unknown_part_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        program.main(["--only", "speed"])
    assert ended.value.code == 2
    assert "unknown: speed; expected some of steps" in capsys.readouterr().err
