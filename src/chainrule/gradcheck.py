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


@dataclass(frozen=True)
class Difference:
    """A central difference: step h, the costs at h, −h, 2h and −2h, the slope, its rounding."""

    step: float
    costs: tuple[float, ...]
    slope: float
    rounding: float


@dataclass(frozen=True)
class ParameterCheck:
    """One derivative beside its difference; None where kinks lie too close to measure it."""

    derivative: float
    difference: Difference | None
    error: float | None  #: relative
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the derivative could be measured, and agrees."""
        return self.error is not None and self.error < self.tolerance


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
    cost = _Cost.of(network, X, Y, get_loss(loss), weights, penalty)
    if directions is None and cost.net.theta.size > max_parameters:
        directions = 20
    rng = np.random.default_rng(seed)
    layers = [
        _check_layer(cost, l, directions, rng, tolerance) for l in range(len(cost.net.layers))
    ]
    return GradientReport(layers, tolerance, directions)


def check_parameter(
    network: Network,
    X: Any,
    Y: Any,
    layer: int,
    index: tuple[int, int] | int,
    *,
    loss: str | Loss = "squared_error",
    weights: Any = None,
    penalty: Penalty = NO_PENALTY,
    tolerance: float = TOLERANCE,
) -> ParameterCheck:
    """Compare the derivative of one weight, or bias, with a central difference, in float64.

    Parameters
    ----------
    layer : int
        Counted from 0, as in `network.W`.
    index : (int, int) or int
        Of the weight in `network.W[layer]`, or of the bias in `network.b[layer]`.
    network, X, Y, loss, weights, penalty, tolerance
        As in `check_gradients`, which also says what the error is relative to, and what is raised.

    Examples
    --------
    >>> from chainrule import Network
    >>> net = Network([2, 3, 1], "tanh", seed=1)
    >>> check_parameter(net, [[0.1, 0.2]], [[1.0]], layer=0, index=(1, 2)).passed
    True
    """
    cost = _Cost.of(network, X, Y, get_loss(loss), weights, penalty)
    W, b = np.zeros_like(cost.net.W[layer]), np.zeros_like(cost.net.b[layer])
    grads = cost.grads
    if isinstance(index, tuple):
        W[index], slope = 1.0, float(grads.dW[layer][index])
    else:
        b[index], slope = 1.0, float(grads.db[layer][index])
    differences = _differences(cost, layer, (W, b))
    found = _compare(slope, differences, tolerance)
    if found is None:
        return ParameterCheck(slope, None, None, tolerance)
    return ParameterCheck(slope, found[1], found[0], tolerance)


@dataclass(frozen=True)
class _Cost:
    """The cost as a function of a network's parameters, and its derivatives where they are."""

    net: Network
    trace: Trace
    grads: Gradients
    Y: Array
    share: Array
    n: float
    loss: Loss
    penalty: Penalty

    @classmethod
    def of(
        cls, network: Network, X: Any, Y: Any, loss: Loss, weights: Any, penalty: Penalty
    ) -> _Cost:
        """Return the cost of a float64 copy; raise ValueError where it is not finite."""
        net = network.copy("float64")
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused below
            trace = net.forward(X)
            grads = net.backward(trace, Y, loss, weights=weights, penalty=penalty)
        targets, share, n = net.check_targets(trace, Y, loss, weights)
        new = cls(net, trace, grads, targets, share, n, loss, penalty)
        with np.errstate(all="ignore"):
            here = total_cost(net.layers, trace, targets, loss, share, penalty, n)
        if not (np.isfinite(grads.flat).all() and np.isfinite(here)):
            raise ValueError(
                "the network's cost or gradients on these rows are not finite; take rows of smaller"
                " numbers, or a network that has not diverged"
            )
        return new

    def measure(self) -> tuple[float, Array]:
        """Return the cost, and on which side of every kink it lies."""
        net = self.net
        point = propagate(net.layers, self.trace.A[0])
        cost = total_cost(net.layers, point, self.Y, self.loss, self.share, self.penalty, self.n)
        return cost, _sides(net, point, self.Y, self.loss, self.penalty)


def _check_layer(
    cost: _Cost, l: int, directions: int | None, rng: np.random.Generator, tolerance: float
) -> LayerCheck:
    checked, kinks, largest, grads = 0, 0, 0.0, cost.grads
    layer = cost.net.layers[l]
    for direction in _directions(layer, directions, rng):
        slope = float((grads.dW[l] * direction[0]).sum() + grads.db[l] @ direction[1])
        found = _compare(slope, _differences(cost, l, direction), tolerance)
        if found is None:
            kinks += 1
        else:
            checked, largest = checked + 1, max(largest, found[0])
    return LayerCheck(l + 1, layer.W.shape, checked, kinks, largest)


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


def _compare(
    slope: float, differences: Iterable[Difference], tolerance: float
) -> tuple[float, Difference] | None:
    """Return the relative error of `slope`, and the difference that tells it; None when no
    difference can be trusted.
    """
    error, before = 0.0, None
    for each in differences:
        if before is not None and abs(each.slope - before.slope) < 0.5 * abs(slope - before.slope):
            return error, before  # the step before was small enough already
        scale = max(abs(slope), abs(each.slope), each.rounding / tolerance, 1e-300)
        error, before = abs(slope - each.slope) / scale, each
        if error < tolerance:
            return error, each
    return None


def _differences(cost: _Cost, l: int, direction: tuple[Array, Array]) -> Iterator[Difference]:
    """Yield differences along `direction` in layer l, by ever smaller steps across which there is
    no kink.
    """
    layer, reach = cost.net.layers[l], _reach(cost.trace, l)
    for step in STEPS:
        h = step / reach
        points = [_measure_at(layer, direction, k * h, cost.measure) for k in (1, -1, 2, -2)]
        costs = [cost for cost, _ in points]
        if all(np.array_equal(side, points[0][1]) for _, side in points):
            slope = (8 * (costs[0] - costs[1]) - (costs[2] - costs[3])) / (12 * h)
            rounding = 8 * np.finfo(float).eps * max(map(abs, costs)) / h
            yield Difference(h, tuple(costs), slope, rounding)


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
