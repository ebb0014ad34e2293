"""Bare network: the four equations as the reader writes them, and what goes wrong around them.

The original: layers 2-10-1, an activation for each layer, weights N(0, 1), `forward` that returns
all z and all a, `backward` that returns all dW and db. It published no figures, but slips that many
have made; each is run here as it stood, beside what chainrule does.
"""

from __future__ import annotations

import inspect
from time import perf_counter
from typing import Any

import numpy as np

from chainrule.activations import ACTIVATIONS, Activation, get_activation
from chainrule.arrays import Array
from chainrule.classics import four_equations
from chainrule.classics.result import Figure, Result
from chainrule.history import History
from chainrule.network import Network
from chainrule.optimizers import SGD, Adam
from chainrule.training import train

SIZES, BATCH, RATE, ROWS = [2, 10, 1], 20, 0.5, 400
CLOSE = 1e-12


def ring(rows: int = ROWS, seed: int = 0) -> tuple[Array, Array]:
    """Return points of a square (rows, 2), and whether each lies in a ring around its middle."""
    X = np.random.default_rng(seed).uniform(-1, 1, (rows, 2))
    radius = np.hypot(*X.T)
    return X, ((radius > 0.4) & (radius < 0.8)).astype(float)[:, None]


def normal_network(seed: int) -> Network:
    """Return the published network: weights and biases drawn from N(0, 1)."""
    return Network(SIZES, ["tanh", "sigmoid"], initializers=_normal, seed=seed)


def _normal(rng: np.random.Generator, n_in: int, n_out: int) -> tuple[Array, Array]:
    return rng.normal(size=(n_in, n_out)), rng.normal(size=n_out)


def run(*, seed: int = 0, epochs: int = 500, engine: str = "auto") -> Result:
    """Run the thirty lines and the library side by side, then each slip as it stood and mended."""
    started = perf_counter()
    X, Y = ring(seed=seed)
    net = normal_network(seed)
    W, b = [w.T.copy() for w in net.W], [each[:, None].copy() for each in net.b]
    figures = [_gradients(net, W, b, X, Y)]

    settings: dict[str, Any] = {"batch_size": BATCH, "epochs": epochs, "engine": engine}
    lap = perf_counter()
    four_equations.train(W, b, net.activations, X.T, Y.T, BATCH, epochs, RATE)
    bare_seconds, lap = perf_counter() - lap, perf_counter()
    history = train(net, X, Y, optimizer=SGD(RATE), shuffle=False, **settings)
    seconds = perf_counter() - lap
    apart = max(
        float(np.abs(w.T - v).max())
        for w, v in zip([*W, *b], [*net.W, *(each[None] for each in net.b)], strict=True)
    )
    ours = Network(SIZES, ["tanh", "sigmoid"], seed=seed)
    train(ours, X, Y, optimizer=Adam(0.02), loss="binary_cross_entropy", **settings)
    figures += [
        Figure("weights_apart", f"weights, {history.records[-1]['updates']:,} updates on",
               f"< {CLOSE:g}", apart, None, ".1e", apart < CLOSE),
        Figure("accuracy", f"rows right after {epochs} epochs", None, _accuracy(net, X, Y),
               _accuracy(ours, X, Y), ".1%"),
        Figure("seconds", f"seconds: these lines, {history.engine}", None, bare_seconds,
               seconds),
        *slips(net, X, Y, history),
    ]  # fmt: skip
    return Result(
        "bare-network",
        figures,
        perf_counter() - started,
        {
            "cost.png": lambda: _draw_cost(history),
            "regions.png": lambda: _draw_regions(ours, X, Y),
        },
        [],
        inspect.getsource(four_equations),
    )


def slips(net: Network, X: Array, Y: Array, history: History) -> list[Figure]:
    """Return each slip of the original: what it does, seen here, and what chainrule does."""
    large = np.array([1e3])
    with np.errstate(over="ignore", invalid="ignore"):
        overflown = float((np.exp(large) / (1 + np.exp(large)))[0])
    one = ACTIVATIONS["sigmoid"].value(large)[0]
    zero = np.zeros(1)
    slope = ACTIVATIONS["relu"].derivative(zero, zero)[0]
    per_epoch = len(range(0, X.T.shape[0], BATCH))  # its x is (inputs, n), cut along the inputs
    ours = history.records[0]["updates"]
    sign = _sign(net, X, Y)
    return [
        Figure("updates_per_epoch", f"updates per epoch, {len(X)} rows by {BATCH}",
               "1", per_epoch, ours, "d", ours == len(X) // BATCH),
        Figure("unknown_activation", "activation 'rleu'", "linear", None,
               *_refusal("rleu")),
        Figure("sigmoid_1000", "sigmoid(1000)", "NaN", overflown, float(one),
               ".3g", bool(one == 1.0)),
        Figure("sigmoid_extremes", "finite from −10⁴ to 10⁴", "no", None,
               *_finite_everywhere()),
        Figure("relu_slope", "relu′(0)", "1", 1.0, float(slope), "g", bool(slope == 0)),
        Figure("sign", "sign of dW / measured", "−1, added",
               -sign, sign, "+.0f", sign == 1),
    ]  # fmt: skip


def _gradients(net: Network, W: list[Array], b: list[Array], X: Array, Y: Array) -> Figure:
    """Compare the thirty lines' derivatives with the library's."""
    z, a = four_equations.forward(W, b, net.activations, X.T)
    dW, db = four_equations.backward(W, net.activations, Y.T, z, a)
    grads = net.backward(net.forward(X), Y)
    pairs = [*zip(dW, grads.dW, strict=True), *zip(db, grads.db, strict=True)]
    apart = max(float(np.abs(ours.T - theirs).max()) for ours, theirs in pairs)
    return Figure("gradients_apart", "dW, db less the library's", f"< {CLOSE:g}", apart,
                  None, ".1e", apart < CLOSE)  # fmt: skip


def _sign(net: Network, X: Array, Y: Array) -> float:
    """Return the sign of a derivative over that of a measured one, where it is largest."""
    grads, step = net.backward(net.forward(X), Y), 1e-4
    k = int(np.abs(grads.flat).argmax())
    moved = [net.copy(), net.copy()]
    moved[0].theta[k] += step
    moved[1].theta[k] -= step
    measured = (moved[0].cost(X, Y) - moved[1].cost(X, Y)) / (2 * step)
    return float(np.sign(grads.flat[k] * measured))


def _refusal(name: str) -> tuple[str, str, bool]:
    """Return what is said of an unknown activation, as a figure's value, form and verdict."""
    try:
        get_activation(name)
    except ValueError as error:
        said = str(error).split("Known")[0]
        return "refused: " + said[said.index("did you mean") :].strip(), "", True
    return "accepted", "", False


def _finite_everywhere() -> tuple[str, str, bool]:
    """Return whether each bounded activation and derivative is finite, as value, form, verdict."""
    z = np.concatenate([-np.logspace(4, -4, 500), [0.0], np.logspace(-4, 4, 500)])
    wild = [name for name, sigma in ACTIVATIONS.items() if name != "exp" and not _finite(sigma, z)]
    return ("yes" if not wild else f"not {', '.join(wild)}"), "", not wild


def _finite(sigma: Activation, z: Array) -> bool:
    a = sigma.value(z[:, None])
    return bool(np.isfinite(a).all() and np.isfinite(sigma.pullback(a, z[:, None], a)).all())


def _accuracy(net: Network, X: Array, Y: Array) -> float:
    return float(((net.predict(X) > 0.5) == (Y > 0.5)).mean())


def _draw_cost(history: History) -> Any:
    from chainrule.plots import plot_loss

    return plot_loss(history)


def _draw_regions(net: Network, X: Array, Y: Array) -> Any:
    from chainrule.plots import plot_decision_regions

    return plot_decision_regions(net, X, Y)
