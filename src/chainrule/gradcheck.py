"""Gradient check: is the derived derivative the measured one?

Every parameter, or a random direction through a layer's parameters, is moved by a small step and
the cost measured on both sides. The fourth-order central difference

    f′ ≈ (8 (f(h) − f(−h)) − (f(2h) − f(−2h))) / 12h

has an error of order h⁴, so that h may be large enough for rounding not to matter.

Where a kink of relu, or a jump of a loss's gradient, lies between the points, a difference says
nothing. The check sees this, because the sign of z (or of the residual) differs between the
points; it then tries smaller steps. It also does so where a difference contradicts the derivative,
because a sharp bend may be to blame, such as a logarithm's near zero: the derivative is held wrong
when two differences are nearer to each other than to it. A parameter for which no step is small
enough is left out, and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.arrays import Array, is_number, is_whole
from chainrule.losses import Loss, get_loss
from chainrule.network import NO_PENALTY, Dense, Gradients, Network, Trace, propagate, total_cost
from chainrule.penalties import Penalty

STEPS = (1e-3, 1e-4, 1e-5, 1e-6)  # relative to the size of what the parameter multiplies
TOLERANCE = 1e-6


@dataclass(frozen=True)
class LayerCheck:
    """How well a layer's derivatives agree with differences."""

    layer: int  #: counted from 1, the first after the input
    shape: tuple[int, int]
    checked: int
    kinks: int  #: left out, because a kink or a sharp bend lies too close
    largest_error: float


@dataclass(frozen=True)
class GradientReport:
    """The result of `check_gradients`; print it for a table."""

    layers: list[LayerCheck]
    tolerance: float
    directions: int | None  #: random directions per layer, or None when each parameter was moved

    @property
    def largest_error(self) -> float:
        """The largest relative error over all layers."""
        return max(layer.largest_error for layer in self.layers)

    @property
    def kinks(self) -> int:
        """How many derivatives were left out."""
        return sum(layer.kinks for layer in self.layers)

    @property
    def checked(self) -> int:
        """How many derivatives were compared."""
        return sum(layer.checked for layer in self.layers)

    @property
    def passed(self) -> bool:
        """Whether in every layer some derivatives could be compared, and all agree."""
        return all(each.checked for each in self.layers) and self.largest_error < self.tolerance

    def __str__(self) -> str:
        what = "parameters" if self.directions is None else "directions"
        lines = [f"layer  shape        {what:>10}  kinks  largest relative error"]
        for each in self.layers:
            shape = f"{each.shape[0]} → {each.shape[1]}"
            lines.append(
                f"{each.layer:>5}  {shape:<11}  {each.checked:>10}  {each.kinks:>5}"
                f"  {each.largest_error:.1e}"
            )
        verdict = f"{'passed' if self.passed else 'FAILED'}: tolerance {self.tolerance:g}"
        if silent := [str(each.layer) for each in self.layers if not each.checked]:
            verdict += f"; at kinks everywhere, so not compared: layer {', '.join(silent)}"
        return "\n".join([*lines, verdict])


def check_gradients(
    network: Network,
    X: Any,
    Y: Any,
    *,
    loss: Any = "squared_error",
    weights: Any = None,
    penalty: Penalty = NO_PENALTY,
    directions: int | None = None,
    max_parameters: int = 2_000,
    tolerance: float = TOLERANCE,
    seed: int = 0,
) -> GradientReport:
    """Compare the derivatives of backpropagation with central differences, in float64.

    The relative error of a derivative is |a − n| / max(|a|, |n|, r / tolerance), where r is the
    rounding error of the difference: a derivative too small to be resolved is compared on the
    scale of the smallest that can be.

    Parameters
    ----------
    network : Network
        Left as it is; a float64 copy is checked.
    X, Y : array-like (n, inputs), (n, outputs)
        Rows to take the cost over.
    loss, weights, penalty
        As in `Network.cost`.
    directions : int, optional
        Check this many random directions per layer instead of every parameter. By default
        every parameter of networks of up to `max_parameters`, and 20 directions beyond.
    tolerance : float
        Largest relative error that passes.
    seed : int
        Of the random directions.

    Returns
    -------
    GradientReport
        Per layer: how many were checked, how many left out at kinks, the largest error.

    Raises
    ------
    ValueError
        For data or settings that do not fit, or outputs that are not finite.

    Examples
    --------
    >>> from chainrule import Network, check_gradients
    >>> net = Network([2, 3, 1], "tanh", seed=1)
    >>> check_gradients(net, [[0.1, 0.2], [0.3, -0.4]], [[1.0], [0.0]]).passed
    True
    """
    for name, value in (("directions", directions), ("max_parameters", max_parameters)):
        if not (is_whole(value, 1) or (value is None and name == "directions")):
            raise ValueError(f"{name}={value!r} must be a whole number >= 1")
    if not is_number(tolerance, above=0):
        raise ValueError(f"tolerance={tolerance!r} must be a number > 0, such as {TOLERANCE:g}")
    if not is_whole(seed):
        raise ValueError(f"seed={seed!r} must be a whole number >= 0")
    net = network.copy("float64")
    loss = get_loss(loss)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused below
        trace = net.forward(X)
        grads = net.backward(trace, Y, loss, weights=weights, penalty=penalty)
    if directions is None and net.theta.size > max_parameters:
        directions = 20

    targets, share, n = net.check_targets(trace, Y, loss, weights)
    with np.errstate(all="ignore"):
        cost = total_cost(net.layers, trace, targets, loss, share, penalty, n)
    if not (np.isfinite(grads.flat).all() and np.isfinite(cost)):
        raise ValueError(
            "the network's cost or gradients on these rows are not finite; take rows of smaller"
            " numbers, or a network that has not diverged"
        )

    def measure() -> tuple[float, Array]:
        point = propagate(net.layers, trace.A[0])
        cost = total_cost(net.layers, point, targets, loss, share, penalty, n)
        return cost, _sides(net, point, targets, loss, penalty)

    rng = np.random.default_rng(seed)
    layers = [
        _check_layer(net, grads, l, _reach(trace, l), directions, rng, measure, tolerance)
        for l in range(len(net.layers))
    ]
    return GradientReport(layers, tolerance, directions)


def _check_layer(
    net: Network,
    grads: Gradients,
    l: int,
    reach: float,
    directions: int | None,
    rng: np.random.Generator,
    measure: Callable[[], tuple[float, Array]],
    tolerance: float,
) -> LayerCheck:
    checked, kinks, largest = 0, 0, 0.0
    for direction in _directions(net.layers[l], directions, rng):
        slope = float((grads.dW[l] * direction[0]).sum() + grads.db[l] @ direction[1])
        differences = _differences(net.layers[l], direction, reach, measure)
        error = _relative_error(slope, differences, tolerance)
        if error is None:
            kinks += 1
        else:
            checked, largest = checked + 1, max(largest, error)
    return LayerCheck(l + 1, net.layers[l].W.shape, checked, kinks, largest)


def _directions(
    layer: Dense, directions: int | None, rng: np.random.Generator
) -> Iterator[tuple[Array, Array]]:
    """Yield unit changes of (W, b): of one parameter at a time, or in random directions."""
    size = layer.W.size + layer.b.size
    for k in range(size if directions is None else directions):
        flat = np.zeros(size) if directions is None else rng.normal(size=size)
        if directions is None:
            flat[k] = 1.0
        flat /= np.linalg.norm(flat)
        yield flat[: layer.W.size].reshape(layer.W.shape), flat[layer.W.size :]


def _relative_error(
    slope: float, differences: Iterable[tuple[float, float]], tolerance: float
) -> float | None:
    """Return the relative error of `slope`, or None when no difference can be trusted."""
    error, before = 0.0, None
    for numeric, rounding in differences:
        if before is not None and abs(numeric - before) < 0.5 * abs(slope - before):
            return error  # the step before was small enough already
        scale = max(abs(slope), abs(numeric), rounding / tolerance, 1e-300)
        error, before = abs(slope - numeric) / scale, numeric
        if error < tolerance:
            return error
    return None


def _differences(
    layer: Dense,
    direction: tuple[Array, Array],
    reach: float,
    measure: Callable[[], tuple[float, Array]],
) -> Iterator[tuple[float, float]]:
    """Yield the cost's slope along `direction` and its rounding error, by ever smaller steps
    across which there is no kink.
    """
    for step in STEPS:
        h = step / reach
        points = [_measure_at(layer, direction, k * h, measure) for k in (1, -1, 2, -2)]
        costs = [cost for cost, _ in points]
        if all(np.array_equal(side, points[0][1]) for _, side in points):
            slope = (8 * (costs[0] - costs[1]) - (costs[2] - costs[3])) / (12 * h)
            yield slope, 8 * np.finfo(float).eps * max(map(abs, costs)) / h


def _measure_at(
    layer: Dense,
    direction: tuple[Array, Array],
    distance: float,
    measure: Callable[[], tuple[float, Array]],
) -> tuple[float, Array]:
    """Return what `measure` gives with the layer moved that far along `direction`."""
    W, b = layer.W.copy(), layer.b.copy()
    try:
        layer.W[:], layer.b[:] = W + distance * direction[0], b + distance * direction[1]
        return measure()
    finally:
        layer.W[:], layer.b[:] = W, b


def _sides(net: Network, trace: Trace, Y: Array, loss: Loss, penalty: Penalty) -> Array:
    """Tell on which side of every kink each z, residual and penalised weight lies."""
    parts = [
        (z > kink).ravel()
        for z, sigma in zip(trace.Z, net.activations, strict=True)
        for kink in sigma.kinks
    ]
    if not loss.pairs_with(net.activations[-1]):
        parts.append((loss.switch(trace.A[-1], loss.target(Y)) > 0).ravel())
    for layer in net.layers if penalty.l1 else ():
        parts.append((layer.W > 0).ravel())
        if penalty.biases:
            parts.append(layer.b > 0)
    return np.concatenate(parts) if parts else np.empty(0, dtype=bool)


def _reach(trace: Trace, l: int) -> float:
    """Return how far a unit change of layer l's parameters can move its z, at least 1."""
    fed = abs(trace.A[l])
    return max(1.0, float(fed.max()))
