"""The classic systems: what they published is reached or beaten, told and drawn."""

import json
from pathlib import Path

import numpy as np
import pytest

from chainrule import CLASSICS, run_classic
from chainrule.classics import half_adder
from chainrule.engine import ENGINES
from refusals import command, refused

NATIVE = "native" in ENGINES
compiled = pytest.mark.skipif(not NATIVE, reason="takes minutes without the native engine")


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *words: command(monkeypatch, capsys, *words)


def numbers(result, column):
    return {f.key: getattr(f, column) for f in result.figures if getattr(f, column) is not None}


# Half-adder -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def adder():
    return run_classic("half-adder", starts=40 if NATIVE else 1)


def test_the_half_adder_follows_the_published_run(adder):
    published, obtained = numbers(adder, "published"), numbers(adder, "obtained")
    assert published["cost_20000"] == 0.000562
    for key in ("cost_0", "cost_5000", "cost_12000", "cost_20000"):
        assert obtained[key] == pytest.approx(published[key], rel=0.07)
    assert obtained["cost_20000"] <= 0.000562
    assert obtained["gradient_difference"] < 1e-10
    assert adder.holds


def test_its_costs_are_those_of_plain_numpy():
    """Ten epochs of the four equations, written out for two layers, sample in columns."""
    net = half_adder.original_network(half_adder.SEED)
    (W1, W2), (b1, b2) = [W.T.copy() for W in net.W], [b[:, None].copy() for b in net.b]
    x, t = half_adder.X.T, half_adder.Y.T
    for _ in range(10):
        a1 = 1 / (1 + np.exp(-W1 @ x - b1))
        a2 = 1 / (1 + np.exp(-W2 @ a1 - b2))
        d2 = (a2 - t) * a2 * (1 - a2)
        d1 = (W2.T @ d2) * a1 * (1 - a1)
        W2 -= 0.5 * d2 @ a1.T / 4
        b2 -= 0.5 * d2.mean(axis=1, keepdims=True)
        W1 -= 0.5 * d1 @ x.T / 4
        b1 -= 0.5 * d1.mean(axis=1, keepdims=True)
    half_adder.train(net, half_adder.X, half_adder.Y, **half_adder.ORIGINAL | {"epochs": 10})
    assert net.W[0] == pytest.approx(W1.T, rel=1e-12)
    assert net.W[1] == pytest.approx(W2.T, rel=1e-12)


@compiled
def test_ours_arrives_from_every_start(adder):
    ours = numbers(adder, "ours")
    assert ours["converged"] == 40
    assert 25 < numbers(adder, "obtained")["converged"] < 40
    assert ours["cost_20000"] < 1e-6


def test_kinds_of_failure_are_counted_once(adder):
    nets = [half_adder.original_network(s) for s in (0, 1, 0)]
    alike = half_adder.kinds_of_failure([nets[0], nets[0], nets[0].copy()])
    assert [count for _, count in alike] == [3]
    assert sum(count for _, count in half_adder.kinds_of_failure(nets)) == 3


# The command ------------------------------------------------------------------------------------


def test_the_command_lists_the_systems(run):
    code, out, _ = run("classics")
    assert code == 0
    assert all(name in out and classic.title in out for name, classic in CLASSICS.items())
    assert json.loads(run("classics", "--json")[1]).keys() == CLASSICS.keys()


def test_the_command_tells_and_draws(run, tmp_path, monkeypatch):
    monkeypatch.setattr(
        half_adder.run, "__kwdefaults__", half_adder.run.__kwdefaults__ | {"starts": 1}
    )
    code, out, _ = run("classics", "half-adder", "--out", "drawn")
    assert code == 0
    assert "0.000562" in out
    pictures = sorted(path.name for path in (tmp_path / "drawn" / "half-adder").iterdir())
    assert pictures == ["cost.png", "failures.png", "starts.png"]
    refused(run("classics", "half-adder", "--out", "drawn"), "exists already.*--force", code=1)
    code, out, _ = run("classics", "half-adder", "--out", "drawn", "--force", "--json")
    facts = json.loads(out)
    assert {"name", "published", "obtained", "ours", "seconds", "pictures"} <= facts.keys()
    assert facts["name"] == "half-adder"
    assert [Path(path).name for path in facts["pictures"]] == [
        "cost.png",
        "starts.png",
        "failures.png",
    ]
    assert facts["holds"]["cost_20000"] is True


def test_an_unknown_system_is_refused_with_the_nearest(run):
    refused(run("classics", "half-ader"), "did you mean 'half-adder'", code=2)
    with pytest.raises(ValueError, match="did you mean 'half-adder'"):
        run_classic("half_adder")
