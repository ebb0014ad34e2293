"""Initializers: first weights, of a size that lets signals pass through the layers undamped.

A layer of n_in inputs and n_out outputs gets weights (n_in, n_out) and biases (n_out,). The
variance rules draw weights of variance 2 / (n_in + n_out) (Glorot and Bengio 2010), 2 / n_in
(He et al. 2015) or 1 / n_in (LeCun et al. 1998), and leave the biases at zero. scikit-learn's own
rule, which the drop-in estimators keep, draws the biases too (`as_scikit_learn`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from chainrule.activations import Activation
from chainrule.arrays import Array
from chainrule.names import look_up

#: What draws a layer: (rng, n_in, n_out) -> weights, or (weights, biases). Yours may too.
Initializer: TypeAlias = Callable[[np.random.Generator, int, int], Any]


@dataclass(frozen=True)
class VarianceScaling:
    """Weights of mean 0 and variance `scale` / fan, with fan = `inputs`·n_in + `outputs`·n_out.

    Biases are zero, or with `biases` drawn as the weights are.
    """

    scale: float
    inputs: float = 1.0
    outputs: float = 0.0
    normal: bool = False
    biases: bool = False

    def __call__(self, rng: np.random.Generator, n_in: int, n_out: int) -> tuple[Array, Array]:
        """Draw weights (n_in, n_out) and biases (n_out,)."""
        deviation = np.sqrt(self.scale / (self.inputs * n_in + self.outputs * n_out))
        W = self._draw(rng, deviation, (n_in, n_out))
        return W, self._draw(rng, deviation, (n_out,)) if self.biases else np.zeros(n_out)

    def _draw(self, rng: np.random.Generator, deviation: float, shape: tuple[int, ...]) -> Array:
        if self.normal:
            return rng.normal(0.0, deviation, shape)
        bound = np.sqrt(3.0) * deviation  # a uniform variable on ±b has variance b² / 3
        return rng.uniform(-bound, bound, shape)


@dataclass(frozen=True)
class Uniform:
    """Weights and biases uniform in [low, high)."""

    low: float = -1.0
    high: float = 1.0

    def __call__(self, rng: np.random.Generator, n_in: int, n_out: int) -> tuple[Array, Array]:
        """Draw weights (n_in, n_out) and biases (n_out,)."""
        return (
            rng.uniform(self.low, self.high, (n_in, n_out)),
            rng.uniform(self.low, self.high, n_out),
        )


@dataclass(frozen=True)
class Zeros:
    """Weights and biases 0. In hidden layers all units then stay alike; fit for no hidden layer."""

    def __call__(self, rng: np.random.Generator, n_in: int, n_out: int) -> Array:
        """Return zeros (n_in, n_out)."""
        return np.zeros((n_in, n_out))


#: The one table of initializers, by name.
INITIALIZERS: dict[str, Initializer] = {
    "glorot_uniform": VarianceScaling(2.0, outputs=1.0),
    "glorot_normal": VarianceScaling(2.0, outputs=1.0, normal=True),
    "he_uniform": VarianceScaling(2.0),
    "he_normal": VarianceScaling(2.0, normal=True),
    "lecun_uniform": VarianceScaling(1.0),
    "lecun_normal": VarianceScaling(1.0, normal=True),
    "zeros": Zeros(),
    "uniform": Uniform(),
}


def get_initializer(initializer: str | Initializer, activation: Activation) -> Initializer:
    """Return the initializer of that name, the one that suits `activation` for "auto", or yours.

    >>> from chainrule.activations import ACTIVATIONS
    >>> get_initializer("auto", ACTIVATIONS["relu"]) is INITIALIZERS["he_uniform"]
    True
    """
    if callable(initializer):
        return initializer
    if initializer == "auto":
        initializer = activation.initializer
    return look_up(INITIALIZERS, initializer, "initializer")


#: Activations that scikit-learn's networks have -> the variance of their first weights, in 1 / fan.
_IN_SCIKIT_LEARN = {"identity": 2.0, "tanh": 2.0, "relu": 2.0, "sigmoid": 2.0 / 3.0}


def as_scikit_learn(hidden: Sequence[Activation]) -> str | Initializer:
    """Return what draws all layers of a network with these hidden activations in scikit-learn.

    Weights and biases, the output layer's too, are uniform on ±√(6 / (n_in + n_out)), and on
    ±√(2 / (n_in + n_out)) for sigmoid. For what scikit-learn hasn't, which is other activations and
    layers that differ, it is "auto".

    >>> from chainrule.activations import ACTIVATIONS
    >>> as_scikit_learn([ACTIVATIONS["relu"]])
    VarianceScaling(scale=2.0, inputs=1.0, outputs=1.0, normal=False, biases=True)
    >>> as_scikit_learn([ACTIVATIONS["relu"], ACTIVATIONS["gelu"]])
    'auto'
    """
    names = {activation.name for activation in hidden} or {"relu"}
    scale = _IN_SCIKIT_LEARN.get(names.pop()) if len(names) == 1 else None
    return "auto" if scale is None else VarianceScaling(scale, outputs=1.0, biases=True)


def first_weights(
    initializer: Initializer, rng: np.random.Generator, n_in: int, n_out: int
) -> tuple[Array, Array]:
    """Return weights (n_in, n_out) and biases (n_out,) as `initializer` draws them.

    Raises ValueError when the user's own function returns other shapes.
    """
    drawn = initializer(rng, n_in, n_out)
    pair = drawn if isinstance(drawn, tuple) else (drawn, np.zeros(n_out))
    shapes = tuple(np.shape(part) for part in pair)
    if shapes != ((n_in, n_out), (n_out,)):
        raise ValueError(
            f"initializer {initializer!r} returned shapes {shapes}; expected weights"
            f" ({n_in}, {n_out}), or a pair of weights and biases ({n_out},)"
        )
    if not all(np.isfinite(part).all() for part in pair):
        raise ValueError(f"initializer {initializer!r} returned NaN or infinity; expected numbers")
    return np.asarray(pair[0]), np.asarray(pair[1])
