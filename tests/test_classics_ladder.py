"""The ladder: networks without a hidden layer are regressions, to 1e-6; then there are layers."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, softmax

from chainrule import run_classic
from chainrule.classics import regression_ladder as ladder
from chainrule.classics.regression_ladder import RUNGS
from refusals import command


@pytest.fixture(scope="module")
def result():
    return run_classic("regression-ladder", rows=300)


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.name)
def test_the_solution_is_where_the_cost_is_flat(rung):
    """By the formula of all three: Xᵀ(a − y) / n + α·W / n = 0, and the mean of a − y is 0."""
    X, y = (each[:400] for each in rung.read())
    net, _ = ladder.solve(rung, X, y)
    z = X @ net.W[0] + net.b[0]
    a = {"linear": lambda z: z, "logistic": expit, "softmax": lambda z: softmax(z, axis=1)}
    off = a[rung.name](z) - rung.targets(y)
    assert (X.T @ off + rung.alpha * net.W[0]) / len(X) == pytest.approx(0, abs=1e-7)
    assert off.mean(axis=0) == pytest.approx(0, abs=1e-7)


def test_the_normal_equations_are_least_squares():
    X, y = RUNGS[0].read()
    W, b, told = ladder.by_normal_equations(X, y)
    A = np.column_stack([X, np.ones(len(X))])
    expected = np.linalg.lstsq(A, y, rcond=None)[0]
    assert [*W[:, 0], *b] == pytest.approx(expected, abs=1e-10)
    assert told[:, 0] == pytest.approx(A @ expected, abs=1e-10)


def test_network_and_estimators_equal_closed_form_and_scikit_learn(result):
    keys = [
        f"{rung}_{what}_{truth}"
        for rung, truth in [("linear", "closed_form"), *((r.name, "scikit_learn") for r in RUNGS)]
        for what in ("coefficients", "predictions")
    ]
    for key in keys:
        figure = result.figure(key)
        assert figure.ours < 1e-6, key
        assert figure.ours < figure.obtained / 1000  # gradient descent is on its way
        assert figure.holds
    assert result.holds


@pytest.mark.slow
def test_they_do_on_all_rows():
    assert run_classic("regression-ladder").holds


def test_what_is_apart_is_seen():
    one = (np.zeros((2, 3)), np.array([1.0, 2.0, 3.0]), np.zeros((4, 3)))
    assert ladder.apart(one, (one[0], one[1] + 7, one[2])) == (0.0, 0.0)  # the same softmax
    moved = (one[0], np.array([1.0, 2.0, 6.0]), one[2] - 0.5)
    assert ladder.apart(one, moved) == (2.0, 0.5)
    single = (np.zeros((2, 1)), np.array([1.0]), np.zeros((4, 1)))
    assert ladder.apart(single, (single[0], single[1] + 7, single[2])) == (7.0, 0.0)


def test_layers_are_another_list_of_widths(result):
    for rung in RUNGS:
        scores = [result.figure(f"{rung.dataset}_{layers}").ours for layers in ladder.LADDER]
        assert min(scores) > (0.2 if rung.name == "linear" else 0.85)


def test_the_command_tells_and_draws(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ladder, "LADDER", {"none": (), "one": (4,)})
    monkeypatch.setattr(ladder.run, "__kwdefaults__", ladder.run.__kwdefaults__ | {"rows": 200})
    code, out, _ = command(monkeypatch, capsys, "classics", "regression-ladder", "--json")
    facts = json.loads(out)
    assert code == 0
    assert {"name", "published", "obtained", "ours", "seconds", "pictures"} <= facts.keys()
    names = [Path(name).name for name in facts["pictures"]]
    assert names == ["cost.png", "weights.png", "ladder.png"]
    assert all((tmp_path / name).stat().st_size > 5_000 for name in facts["pictures"])
