"""Activations: what a unit makes of its weighted input, and how fast that changes.

Each member holds σ(z) and σ′ side by side. Formulas use arithmetic, exp, expm1, log1p, tanh,
maximum, minimum, sign and abs only, and never branch on a value: any engine can run them, and
they stay finite and exact to rounding where |z| is large. The derivative may use a = σ(z) where
that saves work. At a kink, where reasonable people choose differently, relu′(0) = 0 here. The two
at the end take the units of a row together; σ′ is then a matrix, and `pullback` applies it.

Add one: write the class, and name it in `ACTIVATIONS`. Everything else follows the table.

>>> import numpy as np
>>> relu = ACTIVATIONS["relu"]
>>> relu.value(np.array([-2.0, 0.0, 3.0]))
array([0., 0., 3.])
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from numpy import abs, cumsum, exp, expm1, log1p, maximum, minimum, sign, tanh

from chainrule.arrays import Array, is_whole, refuse_outside
from chainrule.names import look_up
from chainrule.own import as_pair, is_pair
from chainrule.units import Activation as Activation
from chainrule.units import OverRows
from chainrule.units import OwnActivation as OwnActivation
from chainrule.units import is_activation as is_activation


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
class Relu6(Activation):
    """σ(z) = min(max(z, 0), 6), σ′ = 1 for 0 < z < 6, else 0 (Krizhevsky 2010)."""

    kinks: ClassVar[tuple[float, ...]] = (0.0, 6.0)
    initializer: ClassVar[str] = "he_uniform"

    def value(self, z: Array) -> Array:
        return minimum(maximum(z, 0), 6)

    def derivative(self, z: Array, a: Array) -> Array:
        return sign(a) * sign(6 - a)


@dataclass(frozen=True)
class Elu(Activation):
    """σ(z) = max(z, 0) + e^min(z,0) − 1, σ′ = e^min(z,0) (Clevert et al. 2016, α = 1)."""

    initializer: ClassVar[str] = "he_uniform"

    def value(self, z: Array) -> Array:
        return maximum(z, 0) + expm1(minimum(z, 0))

    def derivative(self, z: Array, a: Array) -> Array:
        return exp(minimum(z, 0))


@dataclass(frozen=True)
class Celu(Activation):
    """σ(z) = max(z, 0) + α (e^min(z,0)/α − 1), σ′ = e^min(z,0)/α (Barron 2017)."""

    alpha: float = 1.0
    initializer: ClassVar[str] = "he_uniform"

    def __post_init__(self) -> None:
        refuse_outside(self, alpha="(0, inf)")

    def value(self, z: Array) -> Array:
        return maximum(z, 0) + self.alpha * expm1(minimum(z, 0) / self.alpha)

    def derivative(self, z: Array, a: Array) -> Array:
        return exp(minimum(z, 0) / self.alpha)


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
class LogSigmoid(Activation):
    """σ(z) = log sigmoid(z) = −softplus(−z), σ′ = sigmoid(−z)."""

    def value(self, z: Array) -> Array:
        return minimum(z, 0) - log1p(exp(-abs(z)))

    def derivative(self, z: Array, a: Array) -> Array:
        return Sigmoid().value(-z)


@dataclass(frozen=True)
class HardSigmoid(Activation):
    """σ(z) = min(max(z + 3, 0), 6) / 6, σ′ = 1/6 for |z| < 3, else 0 (Howard et al. 2019)."""

    kinks: ClassVar[tuple[float, ...]] = (-3.0, 3.0)

    def value(self, z: Array) -> Array:
        return minimum(maximum(z + 3, 0), 6) / 6

    def derivative(self, z: Array, a: Array) -> Array:
        return sign(a) * sign(1 - a) / 6


@dataclass(frozen=True)
class HardSwish(Activation):
    """σ(z) = z s with s = hard_sigmoid(z), σ′ = s + z s′ (Howard et al. 2019)."""

    kinks: ClassVar[tuple[float, ...]] = (-3.0, 3.0)
    initializer: ClassVar[str] = "he_uniform"

    def value(self, z: Array) -> Array:
        return z * HardSigmoid().value(z)

    def derivative(self, z: Array, a: Array) -> Array:
        s = HardSigmoid().value(z)
        return s + z * sign(s) * sign(1 - s) / 6


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
class Softmax(OverRows):
    """σ(z)ᵢ = e^zᵢ / Σⱼ e^zⱼ over the units of a row; σ′ = diag(a) − a·aᵀ."""

    textbook: ClassVar[Mapping[str, str]] = {"value": "exp(z) / exp(z).sum(axis=1)"}

    def value(self, z: Array) -> Array:
        e = exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def pullback(self, g: Array, z: Array, a: Array) -> Array:
        return a * (g - (g * a).sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Increasing(OverRows):
    """a₀ = z₀, aⱼ = aⱼ₋₁ + softplus(zⱼ) in each block of units, which so never cross.

    A block is that many units, or with 0 all of the layer's; the last may be shorter. It is the
    output for several quantiles of each target. ∂aᵢ/∂zⱼ = sigmoid(zⱼ) for i ≥ j ≥ 1, in a block.
    """

    block: int = 0
    initializer: ClassVar[str] = "lecun_uniform"
    textbook: ClassVar[Mapping[str, str]] = {
        "value": "a[j - 1] + log(1 + exp(z))",
        "pullback": "g[j:].sum(axis=1) / (1 + exp(-z))",
        "note": "a block's first unit has a = z, and after its last there is none",
    }

    def __post_init__(self) -> None:
        if not is_whole(self.block):
            raise ValueError(f"Increasing: block={self.block!r} must be a whole number >= 0")

    def _blocks(self, units: int) -> list[slice]:
        size = self.block or units
        return [slice(start, start + size) for start in range(0, units, size)]

    def value(self, z: Array) -> Array:
        a = Softplus().value(z)
        for block in self._blocks(z.shape[1]):
            a[:, block.start] = z[:, block.start]
            a[:, block] = cumsum(a[:, block], axis=1)
        return a

    def textbook_of(self, method: str, j: int, units: int) -> str:
        """Return the formula of unit j: the first of a block has no softplus, the last no next.

        >>> Increasing(2).textbook_of("pullback", 2, units=4)
        '(g[2] + g[3])'
        """
        block = next(range(units)[b] for b in self._blocks(units) if j in range(units)[b])
        if method == "value":
            return f"z[{j}]" if j == block[0] else f"a[{j - 1}] + log(1 + exp(z[{j}]))"
        after = " + ".join(f"g[{k}]" for k in range(j, block[-1] + 1))
        return f"({after})" if j == block[0] else f"({after}) / (1 + exp(-z[{j}]))"

    def pullback(self, g: Array, z: Array, a: Array) -> Array:
        slope, after = Sigmoid().value(z), g + 0.0
        for block in self._blocks(z.shape[1]):
            slope[:, block.start] = 1
            after[:, block] = cumsum(g[:, block][:, ::-1], axis=1)[:, ::-1]
        return slope * after


#: The one table of activations, by name. Estimators, command line and tests read it when used.
ACTIVATIONS: dict[str, Activation] = {
    "identity": Identity(),
    "sigmoid": Sigmoid(),
    "logistic": Sigmoid(),  # scikit-learn's name
    "tanh": Tanh(),
    "relu": Relu(),
    "leaky_relu": LeakyRelu(),
    "relu6": Relu6(),
    "elu": Elu(),
    "celu": Celu(),
    "selu": Selu(),
    "softplus": Softplus(),
    "log_sigmoid": LogSigmoid(),
    "hard_sigmoid": HardSigmoid(),
    "hard_swish": HardSwish(),
    "gelu": Gelu(),
    "silu": Silu(),
    "mish": Mish(),
    "softsign": Softsign(),
    "exp": Exponential(),
    "softmax": Softmax(),
    "increasing": Increasing(),
}
Activation.table = ACTIVATIONS


def get_activation(activation: Any) -> Activation:
    """Return the activation of that name, the one given, or one of the user's own two functions.

    Raises ValueError when it is unknown, or is no pair of functions (value, derivative).

    >>> square = get_activation((lambda z: z * z, lambda z: 2 * z))
    >>> import numpy as np
    >>> square.pullback(1.0, z := np.array([[-1.0, 3.0]]), square.value(z))
    array([[-2.,  6.]])
    """
    if isinstance(activation, Activation):
        return activation
    if is_pair(activation):
        return OwnActivation(*as_pair(activation, "activation", ("z", "z or (z, a)")))
    return look_up(ACTIVATIONS, activation, "activation")
