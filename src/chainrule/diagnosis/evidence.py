"""Evidence: what a diagnosis looks at, measured once: a pass forward and back over the rows.

Everything is computed in float64, where an error that vanishes in float32 still has digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.activations import Activation
from chainrule.arrays import Array
from chainrule.diagnosis.words import SPEECH
from chainrule.engine.reference import clip
from chainrule.history import History
from chainrule.losses import Loss
from chainrule.network import Gradients, Network, Trace, norm
from chainrule.optimizers import Optimizer

WARM_UP = 20  # batches from which an optimizer's momentum and averages are filled
#: Lengths of trial steps along the gradient, in lengths of the parameter vector.
TRIAL_STEPS = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
USUAL = 1e-3  # of updates over weights (Karpathy, CS231n notes on neural networks)
#: A network that leaves less than a tenth of what a constant answer leaves fits its rows: what
#: looks odd inside has done no harm.
FITS = 0.9
#: Below a tenth it has hardly learnt; a sum of squares of pure noise is met with less.
HARDLY = 0.1
FEWEST_EPOCHS = 5  # of which a course can be told
LAST = 10  # epochs that say whether the loss still falls
STEADY = 0.2  # share of them that may rise when it is said to fall
ROSE, ROSE_TIMES = 0.05, 1.1  # a validation loss from its lowest: in baselines, and how many times


@dataclass
class Evidence:
    """A network, the rows it is looked at on, and how it was trained."""

    network: Network  # in float64
    X: Array  # (n, inputs)
    Y: Array  # (n, outputs)
    weights: Array  # (n,)
    all_Y: Array  # (rows, outputs), of which Y may be a sample
    loss: Loss
    history: History
    held_out: tuple[Array, Array] | None = None
    optimizer: Any = None  # an Optimizer, LBFGS, or None where unknown
    batch_size: int | None = None
    clip_norm: float | None = None
    dropout: bool = False  # the training's losses have chance in them
    feature_names: list[str] | None = None
    class_names: list[str] | None = None
    speaks: str = "train"
    seed: int = 0

    def say(self, key: str, value: Any = None) -> str:
        """Return what to type for a remedy, in the caller's parameters."""
        optimizer = type(self.optimizer).__name__ if self.optimizer else "Adam"
        return SPEECH[self.speaks][key].format(value=value, optimizer=optimizer)

    @property
    def blind(self) -> bool:
        """Whether no rows were given: there are only weights and history."""
        return not len(self.X)

    def column(self, j: int) -> str:
        """Return how a message calls a column of X."""
        return f"column {self.feature_names[j]!r}" if self.feature_names else f"column {j}"

    @cached_property
    def trace(self) -> Trace:
        """Every Z and A."""
        return self.network.forward(self.X)

    @cached_property
    def gradients(self) -> Gradients:
        """Every δ, dW and db."""
        return self.network.backward(self.trace, self.Y, self.loss, weights=self.weights)

    @cached_property
    def cost(self) -> float:
        """The mean loss over the rows, without penalty; else what the history has as the last."""
        return float(self.losses[-1]) if self.blind else self._cost(self.network)

    def _cost(self, network: Network) -> float:
        return network.cost(self.X, self.Y, self.loss, weights=self.weights)

    @cached_property
    def finite(self) -> bool:
        """Whether there are cost and gradients, and they are numbers."""
        if self.blind:
            return False
        sizes = [self.cost, *self.error_norms]
        return bool(np.isfinite(sizes).all() and np.isfinite(self.gradients.flat).all())

    @cached_property
    def baseline(self) -> float:
        """The mean loss of the best answer that is the same for all rows.

        Without rows, the first epoch's loss stands for it, or that of all classes being as likely.
        """
        if not self.blind:
            return constant_cost(self.loss, self.Y, self.weights)
        first, k = float(self.losses[0]), self.network.sizes[-1]
        if self.loss.targets != (0.0, 1.0):
            return first
        even = np.full((1, k), 1 / k if self.loss.rows_sum_to_one else 0.5)
        return min(first, constant_cost(self.loss, even, np.ones(1)))

    @cached_property
    def unit(self) -> float:
        """The baseline as a scale for losses; never 0."""
        return max(self.baseline, 1e-300)

    @cached_property
    def skill(self) -> float:
        """The share of the baseline's loss that the network has taken away: R², for squares."""
        if self.baseline <= 0:
            return 1.0 if self.cost <= 1e-12 else 0.0
        return 1 - self.cost / self.baseline if np.isfinite(self.cost) else -np.inf

    @cached_property
    def fits(self) -> bool:
        """Whether the network fits its rows, whatever it looks like inside."""
        return self.skill >= FITS

    def slopes(self, l: int) -> Array | None:
        """Return |σ′| of layer l (n, units), as a share of σ's steepest; None for softmax."""
        sigma = self.network.activations[l]
        if not is_elementwise(sigma):
            return None
        slopes = np.abs(sigma.derivative(self.trace.Z[l], self.trace.A[l + 1]))
        return np.asarray(slopes / steepest(sigma))

    @cached_property
    def error_norms(self) -> list[float]:
        """‖δ‖ of each layer, over all rows and units."""
        return [norm(delta) for delta in self.gradients.delta]

    @cached_property
    def rate(self) -> float | None:
        """The learning rate as it was for half of the epochs, else the optimizer's."""
        rates = [rate for rate in self.history["rate"] if rate is not None] if self.trained else []
        if rates:
            return float(np.median(rates))
        return self.optimizer.rate if isinstance(self.optimizer, Optimizer) else None

    @cached_property
    def longer_rate(self) -> float:
        """The learning rate with which the largest update is as usual, to one digit."""
        assert self.rate is not None
        ratio = np.nanmax([*(self.update_ratios or ()), 0.0])
        longer = np.clip(USUAL / ratio, 10, 1000) if ratio else 10.0
        return float(f"{self.rate * longer:.1g}")

    @property
    def trained(self) -> int:
        """How many epochs were recorded."""
        return len(self.history)

    @cached_property
    def losses(self) -> Array:
        """The training loss of each epoch."""
        return np.array(self.history["loss"] if self.trained else [], dtype=float)

    @cached_property
    def validation_losses(self) -> Array:
        """The validation loss of each epoch; empty where it was not measured."""
        values = self.history["validation_loss"] if self.trained else []
        return np.array([] if None in values else values, dtype=float)

    @cached_property
    def validation_rise(self) -> tuple[int, float, float] | None:
        """The best epoch, its validation loss, and the last; None where it did not rise, or where
        the training loss rose too.
        """
        v = self.validation_losses
        if len(v) < FEWEST_EPOCHS:
            return None
        at = int(v.argmin())
        low, last = float(v[at]), float(v[-1])
        rose = last - low > ROSE * self.unit and last > ROSE_TIMES * low
        if not rose or self.losses[-1] >= self.losses[at]:
            return None
        return int(self.history["epoch"][at]), low, last

    @cached_property
    def update_ratios(self) -> list[float] | None:
        """Root mean square of each layer's next update of W, over that of W.

        The rule's slots are filled by the gradients of a few batches at these weights: the first
        step of Adam, all signs, is ten times as large as those that follow. None for rules that
        choose their steps themselves, and where the optimizer is unknown.
        """
        rule = self.optimizer
        if not isinstance(rule, Optimizer) or rule.full_batch or self.rate is None:
            return None
        theta, rng = self.network.theta, np.random.default_rng(self.seed)
        slots = tuple(np.full(theta.size, rule.first_slot(name)) for name in rule.slots)
        after, n = theta, len(self.X)
        size = min(self.batch_size or 200, n)
        for t in range(1, WARM_UP + 1):
            rows = rng.choice(n, size, replace=False) if size < n else slice(None)
            g = clip(self._gradient(rows), None, self.clip_norm)
            after, slots = rule.update(theta, g, slots, self.rate, t)
        steps = self.network.gradients(np.asarray(after - theta)).dW
        pairs = zip(steps, self.network.W, strict=True)
        return [norm(step) / norm(W) if W.any() else np.nan for step, W in pairs]

    def _gradient(self, rows: Any) -> Array:
        net, w = self.network, self.weights[rows]
        return net.backward(net.forward(self.X[rows]), self.Y[rows], self.loss, weights=w).flat

    @cached_property
    def trial_gain(self) -> float:
        """By how much one step along the gradient lowers the cost, at the best trial length."""
        g, twin = self.gradients.flat, self.network.copy()
        length = norm(g)
        if not length:
            return 0.0
        reach = max(norm(twin.theta), 1.0)
        costs = [self.cost]
        for step in TRIAL_STEPS:
            twin.theta[:] = self.network.theta - g * (step * reach / length)
            costs.append(self._cost(twin))
        return float(self.cost - np.nanmin(costs))


def falls(losses: Array) -> bool:
    """Tell whether the loss fell, nearly always, over the last epochs.

    >>> falls(np.array([5.0, 4, 3, 2])), falls(np.array([1.0, 2, 1, 2]))
    (True, False)
    """
    late = losses[-LAST - 1 :]
    return len(late) > 1 and bool(late[-1] < late[0] and (np.diff(late) > 0).mean() <= STEADY)


def late_fall(losses: Array) -> float:
    """Return by how much the loss fell in the last epochs."""
    return float(losses[max(0, len(losses) - LAST - 1)] - losses[-1])


def constant_cost(loss: Loss, Y: Array, weights: Array) -> float:
    """Return the lowest mean loss of an answer that is the same for all rows of Y (n, outputs).

    Where the targets of a row are probabilities it is their mean, which no constant betters; else
    it is looked for among means, quantiles and a grid, output by output.

    >>> from chainrule.losses import get_loss
    >>> Y = np.array([[0.0], [2.0], [4.0]])
    >>> round(constant_cost(get_loss("squared_error"), Y, np.ones(3)), 3)  # ½ variance
    1.333
    """
    target, portion = loss.target(Y), weights / weights.sum()
    answers = [portion @ target]
    if not loss.rows_sum_to_one:
        answers += list(np.quantile(target, np.linspace(0, 1, 21), axis=0))
        answers += list(np.linspace(target.min(axis=0), target.max(axis=0), 21))
    with np.errstate(all="ignore"):
        costs = [portion @ loss.value(np.broadcast_to(a, Y.shape), target) for a in answers]
    return float(np.nanmin(costs, axis=0).sum())


def is_elementwise(sigma: Activation) -> bool:
    """Tell whether σ′ is one number per unit: not softmax's, which is a matrix."""
    return type(sigma).pullback is Activation.pullback


def _derivative_at(sigma: Activation, z: Array) -> Array:
    z = z[:, None]
    with np.errstate(all="ignore"):
        return np.abs(np.asarray(sigma.derivative(z, sigma.value(z))))[:, 0]


def steepest(sigma: Activation) -> float:
    """Return the largest |σ′| for |z| ≤ 4, measured: so it is known for an activation of yours.

    >>> from chainrule.activations import ACTIVATIONS
    >>> steepest(ACTIVATIONS["sigmoid"]), steepest(ACTIVATIONS["tanh"])
    (0.25, 1.0)
    """
    return float(_derivative_at(sigma, np.linspace(-4, 4, 81)).max()) or 1.0


def is_squashing(sigma: Activation) -> bool:
    """Tell whether σ is flat far out on both sides, as sigmoid and tanh are, and relu is not.

    >>> from chainrule.activations import ACTIVATIONS
    >>> [is_squashing(ACTIVATIONS[name]) for name in ("sigmoid", "softsign", "relu", "gelu")]
    [True, True, False, False]
    """
    if not is_elementwise(sigma):
        return False
    far = _derivative_at(sigma, np.array([-100.0, 100.0]))
    return bool((far < 1e-3 * steepest(sigma)).all())
