"""The classic systems: what they published is reached or beaten, told and drawn."""

import json
from pathlib import Path

import numpy as np
import pytest

from chainrule import ACTIVATIONS, CLASSICS, run_classic
from chainrule.classics import four_equations, half_adder
from chainrule.classics.pictures import draw_kinds
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


def lies_within(figure):
    """Whether all that is drawn is within the picture."""
    width, height = figure.get_size_inches()
    box = figure.get_tightbbox()  # inches
    return min(box.x0, box.y0) > 0 and box.x1 < width and box.y1 < height


def test_what_is_drawn_lies_within_the_margins_of_its_pictures(adder):
    for name, draw in adder.drawings.items():
        assert lies_within(draw().figure), name


@pytest.mark.parametrize("kinds", range(6))
def test_the_tables_of_failures_lie_within_theirs_however_many(kinds):
    X, Y = half_adder.X, half_adder.Y
    failures = [(Y + 0.123, 1_000 - kind) for kind in range(kinds)]
    assert lies_within(draw_kinds(failures, X, Y, ("sum", "carry")).figure)


def test_kinds_of_failure_are_counted_once(adder):
    nets = [half_adder.original_network(s) for s in (0, 1, 0)]
    alike = half_adder.kinds_of_failure([nets[0], nets[0], nets[0].copy()])
    assert [count for _, count in alike] == [3]
    assert sum(count for _, count in half_adder.kinds_of_failure(nets)) == 3


# Bare network -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bare():
    return run_classic("bare-network", epochs=20)


def test_thirty_lines_give_what_the_library_gives(bare):
    obtained = numbers(bare, "obtained")
    assert obtained["gradients_apart"] < 1e-12
    assert obtained["weights_apart"] < 1e-12
    assert bare.holds
    assert len(bare.listing.split("def forward")[1].splitlines()) < 45


def test_thirty_lines_agree_with_measured_derivatives():
    """Every weight moved a little both ways, for each activation the original has."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(3, 5)), rng.normal(size=(2, 5))
    W = [rng.normal(size=(4, 3)), rng.normal(size=(2, 4))]
    b = [rng.normal(size=(4, 1)), rng.normal(size=(2, 1))]
    for name in ("sigmoid", "relu", "identity"):
        sigma = [ACTIVATIONS[name]] * 2

        def cost(sigma=sigma):
            return ((four_equations.forward(W, b, sigma, x)[1][-1] - y) ** 2).sum() / 10

        dW, db = four_equations.backward(W, sigma, y, *four_equations.forward(W, b, sigma, x))
        for parameter, derived in zip([*W, *b], [*dW, *db], strict=True):
            for place in np.ndindex(parameter.shape):
                was = parameter[place]
                parameter[place] = was + 1e-6
                above = cost()
                parameter[place] = was - 1e-6
                measured = (above - cost()) / 2e-6
                parameter[place] = was
                assert derived[place] == pytest.approx(measured, abs=1e-8)


def test_each_slip_is_shown_and_prevented(bare):
    published, ours = numbers(bare, "published"), numbers(bare, "ours")
    assert numbers(bare, "obtained")["updates_per_epoch"] == 1
    assert ours["updates_per_epoch"] == 20
    assert np.isnan(numbers(bare, "obtained")["sigmoid_1000"])
    assert ours["sigmoid_1000"] == 1.0
    assert ours["unknown_activation"] == "refused: did you mean 'relu'?"
    assert ours["relu_slope"] == 0.0
    assert ours["sign"] == 1.0
    slips = {"updates_per_epoch", "unknown_activation", "sigmoid_1000", "relu_slope", "sign"}
    assert slips <= published.keys()
    assert all(bare.figure(key).holds for key in slips)


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
