"""Activations: what a unit makes of its weighted input, and how fast that changes.

Each member holds σ(z) and σ′ side by side. Formulas use arithmetic, exp, expm1, log1p, tanh,
maximum, minimum, sign and abs only, and never branch on a value: any engine can run them, and
they stay finite and exact to rounding where |z| is large. The derivative may use a = σ(z) where
that saves work. At a kink, where reasonable people choose differently, relu′(0) = 0 here.

Add one: write the class, and name it in `ACTIVATIONS`. Everything else follows the table.

>>> import numpy as np
>>> relu = ACTIVATIONS["relu"]
>>> relu.value(np.array([-2.0, 0.0, 3.0]))
array([0., 0., 3.])
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from numpy import abs, exp, expm1, log1p, maximum, minimum, sign, tanh

from chainrule.arrays import Array, refuse_outside
from chainrule.names import look_up


class Activation:
    """What every activation offers: `value`, `derivative`, and `pullback` made of them."""

    kinks: ClassVar[tuple[float, ...]] = ()  #: where σ′ jumps: a numerical derivative fails there
    initializer: ClassVar[str] = "glorot_uniform"  #: first weights that suit this activation
    #: How a textbook writes what a method computes, where that is written otherwise to stay exact.
    textbook: ClassVar[Mapping[str, str]] = {}

    @property
    def name(self) -> str:
        """The name under which this activation stands in `ACTIVATIONS`, else its class's name."""
        same = (name for name, entry in ACTIVATIONS.items() if entry == self)
        return next(same, type(self).__name__)

    def value(self, z: Array) -> Array:
        """Return a = σ(z), elementwise; the shape of `z`."""
        raise NotImplementedError

    def derivative(self, z: Array, a: Array) -> Array:
        """Return σ′(z), elementwise, from z and a = σ(z); the shape of `z`."""
        raise NotImplementedError

    def pullback(self, g: Array, z: Array, a: Array) -> Array:
        """Return ∂C/∂z = ∂C/∂a ⊙ σ′(z), given g = ∂C/∂a; the shape of `z`."""
        return g * self.derivative(z, a)


@dataclass(frozen=True)
class Identity(Activation):
    """σ(z) = z, σ′ = 1."""

    initializer: ClassVar[str] = "lecun_uniform"

    def value(self, z: Array) -> Array:
        return z + 0.0

    def derivative(self, z: Array, a: Array) -> Array:
        return z * 0.0 + 1.0


@dataclass(frozen=True)
class Sigmoid(Activation):
    """σ(z) = 1 / (1 + e^−z), σ′ = a (1 − a)."""

    textbook: ClassVar[Mapping[str, str]] = {"value": "1 / (1 + exp(-z))"}

    def value(self, z: Array) -> Array:
        e = exp(-abs(z))  # never overflows; the numerator is 1 right of zero and e left of it
        return maximum(e, sign(z)) / (1 + e)

    def derivative(self, z: Array, a: Array) -> Array:
        return a * (1 - a)


@dataclass(frozen=True)
class Tanh(Activation):
    """σ(z) = tanh z, σ′ = 1 − a²."""

    def value(self, z: Array) -> Array:
        return tanh(z)

    def derivative(self, z: Array, a: Array) -> Array:
        return (1 - a) * (1 + a)


@dataclass(frozen=True)
class Relu(Activation):
    """σ(z) = max(z, 0), σ′ = 1 for z > 0, else 0 (Nair and Hinton 2010)."""

    kinks: ClassVar[tuple[float, ...]] = (0.0,)
    initializer: ClassVar[str] = "he_uniform"

    def value(self, z: Array) -> Array:
        return maximum(z, 0)

    def derivative(self, z: Array, a: Array) -> Array:
        return sign(a)


@dataclass(frozen=True)
class LeakyRelu(Activation):
    """σ(z) = max(z, 0) + s·min(z, 0), σ′ = 1 for z > 0, else s (Maas et al. 2013)."""

    slope: float = 0.01
    kinks: ClassVar[tuple[float, ...]] = (0.0,)
    initializer: ClassVar[str] = "he_uniform"

    def __post_init__(self) -> None:
        refuse_outside(self, slope="[0, 1]")

    def value(self, z: Array) -> Array:
        return maximum(z, 0) + self.slope * minimum(z, 0)

    def derivative(self, z: Array, a: Array) -> Array:
        return self.slope + (1 - self.slope) * sign(maximum(z, 0))


@dataclass(frozen=True)
class Elu(Activation):
    """σ(z) = max(z, 0) + e^min(z,0) − 1, σ′ = e^min(z,0) (Clevert et al. 2016, α = 1)."""

    initializer: ClassVar[str] = "he_uniform"

    def value(self, z: Array) -> Array:
        return maximum(z, 0) + expm1(minimum(z, 0))

    def derivative(self, z: Array, a: Array) -> Array:
        return exp(minimum(z, 0))


@dataclass(frozen=True)
class Selu(Activation):
    """σ(z) = λ (max(z, 0) + α (e^min(z,0) − 1)) (Klambauer et al. 2017); σ′ = λ or λ α e^z."""

    scale: float = 1.0507009873554805
    alpha: float = 1.6732632423543772
    kinks: ClassVar[tuple[float, ...]] = (0.0,)
    initializer: ClassVar[str] = "lecun_normal"

    def value(self, z: Array) -> Array:
        return self.scale * (maximum(z, 0) + self.alpha * expm1(minimum(z, 0)))

    def derivative(self, z: Array, a: Array) -> Array:
        right = sign(maximum(z, 0))  # 1 where z > 0
        return self.scale * (right + (1 - right) * self.alpha * exp(minimum(z, 0)))


@dataclass(frozen=True)
class Softplus(Activation):
    """σ(z) = log(1 + e^z), σ′ = sigmoid(z) (Dugas et al. 2001)."""

    initializer: ClassVar[str] = "he_uniform"
    textbook: ClassVar[Mapping[str, str]] = {"value": "log(1 + exp(z))"}

    def value(self, z: Array) -> Array:
        return maximum(z, 0) + log1p(exp(-abs(z)))

    def derivative(self, z: Array, a: Array) -> Array:
        return Sigmoid().value(z)


@dataclass(frozen=True)
class Gelu(Activation):
    """σ(z) = z·sigmoid(2u), u = √(2/π) (z + 0.044715 z³): the tanh form of GELU
    (Hendrycks and Gimpel 2016), since ½ (1 + tanh u) = sigmoid(2u) without cancellation.
    """

    initializer: ClassVar[str] = "he_uniform"

    def value(self, z: Array) -> Array:
        return z * Sigmoid().value(1.5957691216057308 * z * (1 + 0.044715 * z * z))

    def derivative(self, z: Array, a: Array) -> Array:
        s = Sigmoid().value(1.5957691216057308 * z * (1 + 0.044715 * z * z))
        return s + z * s * (1 - s) * 1.5957691216057308 * (1 + 0.134145 * z * z)


@dataclass(frozen=True)
class Silu(Activation):
    """σ(z) = z s with s = sigmoid(z), σ′ = s + a (1 − s) (Elfwing et al. 2018)."""

    initializer: ClassVar[str] = "he_uniform"

    def value(self, z: Array) -> Array:
        return z * Sigmoid().value(z)

    def derivative(self, z: Array, a: Array) -> Array:
        s = Sigmoid().value(z)
        return s + a * (1 - s)


@dataclass(frozen=True)
class Mish(Activation):
    """σ(z) = z t with t = tanh(softplus z), σ′ = t + z (1 − t²) sigmoid(z) (Misra 2019)."""

    initializer: ClassVar[str] = "he_uniform"

    def value(self, z: Array) -> Array:
        return z * tanh(Softplus().value(z))

    def derivative(self, z: Array, a: Array) -> Array:
        t = tanh(Softplus().value(z))
        return t + z * (1 - t * t) * Sigmoid().value(z)


@dataclass(frozen=True)
class Softsign(Activation):
    """σ(z) = z / (1 + |z|), σ′ = 1 / (1 + |z|)² (Bergstra et al. 2009)."""

    def value(self, z: Array) -> Array:
        return z / (1 + abs(z))

    def derivative(self, z: Array, a: Array) -> Array:
        d = 1 + abs(z)
        return 1 / (d * d)


@dataclass(frozen=True)
class Exponential(Activation):
    """σ(z) = e^z, σ′ = a: the output of a Poisson regression."""

    def value(self, z: Array) -> Array:
        return exp(z)

    def derivative(self, z: Array, a: Array) -> Array:
        return a + 0.0


@dataclass(frozen=True)
class Softmax(Activation):
    """σ(z)ᵢ = e^zᵢ / Σⱼ e^zⱼ over the units of a row.

    Its units depend on each other, so σ′ is a matrix, diag(a) − a·aᵀ, and `pullback` applies it.
    """

    textbook: ClassVar[Mapping[str, str]] = {"value": "exp(z) / exp(z).sum(axis=1)"}

    def value(self, z: Array) -> Array:
        e = exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def derivative(self, z: Array, a: Array) -> Array:
        raise TypeError("softmax has a matrix for a derivative; use pullback(g, z, a)")

    def pullback(self, g: Array, z: Array, a: Array) -> Array:
        return a * (g - (g * a).sum(axis=1, keepdims=True))


#: The one table of activations, by name. Estimators, command line and tests read it when used.
ACTIVATIONS: dict[str, Activation] = {
    "identity": Identity(),
    "sigmoid": Sigmoid(),
    "logistic": Sigmoid(),  # scikit-learn's name
    "tanh": Tanh(),
    "relu": Relu(),
    "leaky_relu": LeakyRelu(),
    "elu": Elu(),
    "selu": Selu(),
    "softplus": Softplus(),
    "gelu": Gelu(),
    "silu": Silu(),
    "mish": Mish(),
    "softsign": Softsign(),
    "exp": Exponential(),
    "softmax": Softmax(),
}


def get_activation(activation: str | Activation) -> Activation:
    """Return the activation of that name, or the one given; raise ValueError when unknown."""
    if isinstance(activation, Activation):
        return activation
    return look_up(ACTIVATIONS, activation, "activation")
