"""The surfaces: learned under 2 % from sensible weights, and not at all from those published."""

import json
from pathlib import Path

import numpy as np
import pytest

from chainrule import run_classic, train
from chainrule.classics import surfaces
from chainrule.classics.surfaces import BELOW, OURS, SURFACES, error_share, network, rows_of
from chainrule.engine import ENGINES
from refusals import command

compiled = pytest.mark.skipif("native" not in ENGINES, reason="takes minutes without it")


@pytest.fixture(scope="module")
def result():
    return run_classic("surfaces", starts=2)


def by_hand(net, X, Y, updates):
    """The original in plain NumPy: v ← μ·v − η_t·(g + λ·w), w ← w + v, batches of 5 in turn."""
    W, b = [w.copy() for w in net.W], [each.copy() for each in net.b]
    v, speed = [np.zeros_like(w) for w in W], [np.zeros_like(each) for each in b]
    for t in range(1, updates + 1):
        batch = np.arange(5 * (t - 1), 5 * t) % len(X)
        A = [X[batch]]
        for l in range(4):
            z = A[l] @ W[l] + b[l]
            A.append(z if l == 3 else 1 / (1 + np.exp(-z)))
        delta, rate = (A[4] - Y[batch]) / 5, 0.4 / t**0.2
        for l in (3, 2, 1, 0):
            dW, db = A[l].T @ delta + 1e-4 * W[l], delta.sum(axis=0) + 1e-4 * b[l]
            delta = (delta @ W[l].T) * A[l] * (1 - A[l])
            v[l] = 0.6 * v[l] - rate * dW
            speed[l] = 0.6 * speed[l] - rate * db
            W[l] += v[l]
            b[l] += speed[l]
    return W, b


@pytest.mark.parametrize("first", [surfaces.ORIGINAL_FIRST, surfaces.WIDE_FIRST], ids=str)
def test_the_original_training_is_that_of_plain_numpy(first):
    X, Y = rows_of(SURFACES[1], rows=50)
    net = network(first, seed=3)
    W, b = by_hand(net, X, Y, updates=30)
    train(net, X, Y, **surfaces.ORIGINAL | {"epochs": 3})
    for ours, theirs in zip([*net.W, *net.b], [*W, *b], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-12)


def test_the_share_is_of_the_range():
    """Of a network that answers 0.5 everywhere, for x² − y² from −1 to 1."""
    net = network(surfaces.ORIGINAL_FIRST, seed=0)
    net.theta[:] = 0
    net.b[3][:] = 0.5
    line = np.linspace(-1, 1, 5)
    true = [x**2 - y**2 for x in line for y in line]
    off = (sum((0.5 - height) ** 2 for height in true) / 25) ** 0.5
    assert error_share(net, SURFACES[1], side=5) == pytest.approx(off / 2, rel=1e-12)


@compiled
def test_each_surface_is_learned_under_two_percent(result):
    for surface in SURFACES:
        error, wide = (result.figure(f"{surface.name}_{key}") for key in ("error", "wide_error"))
        assert error.ours < 0.02
        assert error.holds
        assert error.ours < wide.obtained < 0.05
        assert error.obtained > 0.2  # from weights that are alike it is a plane
    assert result.figure("passes").obtained == 1000
    assert all(f.holds is not False for f in result.figures if f.key != "train_seconds")
    assert "2 starts" in result.notes[0]
    assert "2 on cos x" in result.notes[0]


@compiled
def test_the_older_stopping_rule_is_the_stricter(result):
    for surface in SURFACES:
        mean, rows = (result.figure(f"{surface.name}_stop_{r}").ours for r in ("mean", "every_row"))
        assert 1 < mean < rows < OURS["epochs"]
        ended = surfaces.learn(surface, "ours", seed=surfaces.SEED, stop_below=BELOW)
        losses = ended.history["loss"]
        assert len(losses) == mean
        assert losses[-1] < BELOW <= min(losses[:-1])


@compiled
def test_the_command_tells_and_draws(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    usual = surfaces.run.__kwdefaults__
    monkeypatch.setattr(surfaces.run, "__kwdefaults__", usual | {"starts": 0})
    code, out, _ = command(monkeypatch, capsys, "classics", "surfaces", "--json")
    facts = json.loads(out)
    assert code == 0
    assert {"name", "published", "obtained", "ours", "seconds", "pictures"} <= facts.keys()
    names = [Path(name).name for name in facts["pictures"]]
    assert names == ["bowl.png", "saddle.png", "dome.png", "cost.png"]
    assert all((tmp_path / name).stat().st_size > 10_000 for name in facts["pictures"])
