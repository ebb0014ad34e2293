"""Surfaces: three functions of two inputs, learned by a network 2-3-5-8-1 and drawn in 3-D.

The original: sigmoid hidden layers, identity at the end, batches of 5, rate 0.4 / t^0.2 at update
t, momentum 0.6, L2 of 1e-4 on weights and biases, no shuffling, first weights uniform in
[0, 0.01). It published pairs of pictures. Units that start alike stay alike for long: from there
nothing is learned. From weights four times as wide as LeCun's, as σ′(0) = ¼ asks, it is, until
the L2 holds it back; Adam with a falling rate and without L2 halves the error once more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.classics.pictures import draw_curves, draw_learned
from chainrule.classics.result import Figure, Result
from chainrule.history import History
from chainrule.initializers import Initializer, Uniform, VarianceScaling
from chainrule.network import Network
from chainrule.optimizers import SGD, Adam
from chainrule.penalties import Penalty
from chainrule.schedules import InverseScaling
from chainrule.training import train

SIZES, ROWS, BATCH = [2, 3, 5, 8, 1], 400, 5
EPOCHS_AS_COUNTED = 200  # of as many updates as there are rows: BATCH passes each
AIM, SECONDS, BELOW = 0.02, 1.0, 1e-3
SEED = 7  # of the first ten, one from which both stopping rules end each training


@dataclass(frozen=True)
class Surface:
    """A function of two inputs, each from −1 to 1."""

    name: str
    formula: str
    height: Callable[[Array], Array]


SURFACES = [
    Surface("bowl", "x² + y²", lambda X: X[:, 0] ** 2 + X[:, 1] ** 2),
    Surface("saddle", "x² − y²", lambda X: X[:, 0] ** 2 - X[:, 1] ** 2),
    Surface("dome", "cos x · cos y", lambda X: np.cos(X[:, 0]) * np.cos(X[:, 1])),
]

ORIGINAL_FIRST, WIDE_FIRST = Uniform(0.0, 0.01), VarianceScaling(16.0)

ORIGINAL: dict[str, Any] = {
    "optimizer": SGD(0.4, momentum=0.6), "schedule": InverseScaling(0.2), "batch_size": BATCH,
    "epochs": EPOCHS_AS_COUNTED * BATCH, "penalty": Penalty(l2=1e-4, biases=True),
    "shuffle": False,
}  # fmt: skip
OURS: dict[str, Any] = {
    "optimizer": Adam(0.05), "schedule": "cosine", "batch_size": 10, "epochs": 400,
}  # fmt: skip

#: The trainings compared: their names, first weights and settings.
TRAININGS: dict[str, tuple[Initializer, dict[str, Any]]] = {
    "original": (ORIGINAL_FIRST, ORIGINAL),
    "original, wide weights": (WIDE_FIRST, ORIGINAL),
    "ours": (WIDE_FIRST, OURS),
}


def network(first: Initializer, seed: int) -> Network:
    """Return the published network with its first weights drawn by `first`.

    >>> bool(network(ORIGINAL_FIRST, seed=0).W[0].max() < 0.01)
    True
    """
    return Network(SIZES, ["sigmoid"] * 3 + ["identity"], initializers=first, seed=seed)


def rows_of(surface: Surface, seed: int = 0, rows: int = ROWS) -> tuple[Array, Array]:
    """Return points drawn from the square (rows, 2), and their heights (rows, 1)."""
    X = np.random.default_rng(seed).uniform(-1, 1, (rows, 2))
    return X, surface.height(X)[:, None]


def error_share(net: Network, surface: Surface, side: int = 41) -> float:
    """Return √(mean of (learned − true)²) on a grid, as a share of the range of the heights."""
    line = np.linspace(-1, 1, side)
    grid = np.column_stack([each.ravel() for each in np.meshgrid(line, line)])
    true = surface.height(grid)
    return float(np.sqrt(np.mean((net.predict(grid)[:, 0] - true) ** 2)) / np.ptp(true))


@dataclass(frozen=True)
class Learned:
    """What one of `TRAININGS` made of a surface."""

    net: Network
    history: History
    seconds: float
    error: float


def learn(surface: Surface, training: str, *, seed: int, **settings: Any) -> Learned:
    """Train on a surface; `settings` are those of `train`, over the training's own."""
    first, usual = TRAININGS[training]
    net = network(first, seed)
    lap = perf_counter()
    history = train(net, *rows_of(surface), seed=seed, **usual | settings)
    return Learned(net, history, perf_counter() - lap, error_share(net, surface))


def run(*, seed: int = SEED, starts: int = 8, engine: str = "auto") -> Result:
    """Run all trainings on all surfaces, ours with both stopping rules and from more starts too."""
    started = perf_counter()
    learn(SURFACES[0], "ours", seed=seed, epochs=1, engine=engine)  # loads what is loaded once
    runs = {
        surface.name: {name: learn(surface, name, seed=seed, engine=engine) for name in TRAININGS}
        for surface in SURFACES
    }
    passes = runs["bowl"]["original"].history.records[-1]["updates"] * BATCH / ROWS
    seconds = {name: sum(done[name].seconds for done in runs.values()) for name in TRAININGS}
    figures = [figure for each in SURFACES for figure in _errors(each, runs[each.name])]
    figures += [figure for each in SURFACES
                for figure in _stops(each, runs[each.name], seed, engine)]  # fmt: skip
    figures += [
        Figure("passes", "its 200 epochs, in passes over the rows", EPOCHS_AS_COUNTED, passes,
               OURS["epochs"], ",.0f", passes == EPOCHS_AS_COUNTED * BATCH),
        Figure("train_seconds",
               f"seconds for all three, {runs['bowl']['ours'].history.engine}; at most 1",
               None, seconds["original"], seconds["ours"], holds=seconds["ours"] < SECONDS),
    ]  # fmt: skip
    return Result(
        "surfaces",
        figures,
        perf_counter() - started,
        {f"{each.name}.png": _drawing(each, runs[each.name]) for each in SURFACES}
        | {"cost.png": lambda: _draw_cost(runs["saddle"])},
        [_starts_note(starts, engine)] if starts else [],
    )


def _errors(surface: Surface, done: dict[str, Learned]) -> list[Figure]:
    """Return the errors after each training."""
    ours = done["ours"].error
    return [
        Figure(f"{surface.name}_error", f"{surface.formula}: error / range, aim < {AIM:.0%}", None,
               done["original"].error, ours, ".2%", ours < AIM),
        Figure(f"{surface.name}_wide_error", "   its settings from wide weights", None,
               done["original, wide weights"].error, None, ".2%"),
    ]  # fmt: skip


def _stops(surface: Surface, done: dict[str, Learned], seed: int, engine: str) -> list[Figure]:
    """Return after how many epochs both stopping rules end a training."""
    figures = []
    lowest = min(done["original"].history["loss"])
    for rule, of in (("mean", "the mean loss"), ("every_row", "every row's loss")):
        ended = learn(surface, "ours", seed=seed, engine=engine, stop_below=BELOW, stop_rule=rule)
        epochs = len(ended.history)
        stopped = epochs < OURS["epochs"]
        figures.append(
            Figure(f"{surface.name}_stop_{rule}", f"{surface.formula}: epochs to {of} < {BELOW:g}",
                   None, "never" if lowest >= BELOW else None, epochs, ",d", stopped)
        )  # fmt: skip
    return figures


def _starts_note(starts: int, engine: str) -> str:
    """Tell from how many starts ours reaches the aim."""
    reached = [
        sum(learn(surface, "ours", seed=seed, engine=engine).error < AIM for seed in range(starts))
        for surface in SURFACES
    ]
    each = ", ".join(
        f"{count} on {surface.formula}" for count, surface in zip(reached, SURFACES, strict=True)
    )
    return f"of {starts} starts of ours under {AIM:.0%}: {each}"


def _drawing(surface: Surface, done: dict[str, Learned]) -> Callable[[], Any]:
    learned = {f"{name}: error {each.error:.1%}": each.net for name, each in done.items()}
    return lambda: draw_learned(surface.height, surface.formula, learned)


def _draw_cost(done: dict[str, Learned]) -> Any:
    return draw_curves({name: each.history for name, each in done.items()}, "x² − y²")
