"""Code: what a model is when it is written as a program, whatever the language.

`parts` says what there is; here are the names that a program needs, and the outputs it gives.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.activations import ACTIVATIONS, Activation
from chainrule.arrays import Array
from chainrule.calibration import divide_logits
from chainrule.export.parts import Parts
from chainrule.trace import Dense
from chainrule.units import OwnActivation

#: Output activations of which a temperature divides the logits.
OF_LOGITS = ("sigmoid", "logistic", "softmax")


@dataclass(frozen=True)
class Program:
    """A model that is to be written as a program, whose outputs are those of `predict_proba`,
    `predict` of a regressor (of several quantiles, all of them), or `Network.predict`.

    Raises ValueError for what no program has: the user's own Python functions, or one class only.
    """

    parts: Parts

    def __post_init__(self) -> None:
        for activation in self.activations:
            if isinstance(activation, OwnActivation):
                raise ValueError(
                    f"activation {activation.name!r} is two Python functions of yours, which cannot"
                    " be exported; write it as a class, named in ACTIVATIONS, or take one of those"
                )
        if self.parts.task == "classes" and len(self.classes) == 1:
            raise ValueError(
                f"the model knows one class only, {self.classes[0]!r}, and always answers it; there"
                " is nothing to export"
            )

    @property
    def name(self) -> str:
        """A word for the model that any language takes for a name."""
        return identifier(self.parts.name)

    @property
    def activations(self) -> list[Activation]:
        """Of each layer."""
        return [layer.activation for layer in self.parts.members[0]]

    @property
    def sizes(self) -> list[int]:
        """Units per layer, features first."""
        first = self.parts.members[0]
        return [first[0].W.shape[0], *(layer.W.shape[1] for layer in first)]

    @cached_property
    def members(self) -> list[list[Dense]]:
        """The layers of each member, the last one's logits divided by the temperature."""
        T, output = self.parts.temperature, self.activations[-1].name
        if T is None:
            return self.parts.members
        if output not in OF_LOGITS or len(self.parts.members) > 1:
            several = f"the mean of {len(self.parts.members)} members"
            what = f"output activation {output!r}" if output not in OF_LOGITS else several
            raise ValueError(
                f"a temperature divides the logits of one network, and there is {what}; fit and"
                " calibrate with output_activation='auto' and n_estimators=1, or do not calibrate"
            )
        *first, last = self.parts.members[0]
        exact = Dense(last.W.astype(np.float64), last.b.astype(np.float64), last.activation)
        divide_logits([exact], T)
        dtype = self.parts.dtype
        return [[*first, Dense(exact.W.astype(dtype), exact.b.astype(dtype), last.activation)]]

    @property
    def columns(self) -> list[dict[str, Any]] | None:
        """What an encoder learnt of each of the `inputs`; None where they are the features.

        Columns that were left out have no place in a row, unless places are all that tells them.
        """
        encoder = self.parts.encoder
        if encoder is None:
            return None
        used = [record for record in encoder.columns_ if record["kind"] != "dropped"]
        return encoder.columns_ if self.parts.names is None else used

    @property
    def inputs(self) -> list[str]:
        """What a row holds, by name; x0, x1, … where the columns have none."""
        names, columns = self.parts.names, self.columns
        if names is None:
            return [f"x{i}" for i in range(self.sizes[0] if columns is None else len(columns))]
        return names if columns is None else [record["name"] for record in columns]

    @property
    def classes(self) -> list[Any]:
        """The classes, in the order of the outputs; none for another task."""
        return [] if self.parts.classes is None else list(self.parts.classes.tolist())

    @property
    def plain_classes(self) -> list[Any]:
        """The classes; ValueError for what is neither text, a number, nor true or false."""
        for label in self.classes:
            if not isinstance(label, str | int | float):
                raise ValueError(
                    f"class {label!r} is a {type(label).__name__}; a file of text holds classes"
                    " that are text, numbers, or true and false: fit with such labels"
                )
        return self.classes

    @property
    def binary(self) -> bool:
        """Whether the network's one output tells the probabilities of two classes."""
        return self.parts.task == "classes" and self.sizes[-1] == 1

    @property
    def n_outputs(self) -> int:
        """How many numbers a row gives."""
        return 2 if self.binary else self.sizes[-1]

    @property
    def sums_to_one(self) -> bool:
        """Whether the probabilities of the classes need not be divided by their sum."""
        several = self.parts.task == "classes" and not self.binary
        return not several or self.activations[-1].name == "softmax"

    @property
    def units(self) -> tuple[Array, Array] | None:
        """Scale and mean of each output: numbers are outputs · scale + mean; None for 1 and 0."""
        parts = self.parts
        if parts.task != "numbers" or ((parts.scale == 1).all() and (parts.mean == 0).all()):
            return None
        each = self.sizes[-1] // len(parts.mean)
        return np.repeat(parts.scale, each), np.repeat(parts.mean, each)

    @property
    def outputs(self) -> list[str]:
        """What each output is, in words."""
        parts = self.parts
        if parts.task in ("classes", "labels"):
            of = self.classes or range(self.sizes[-1])
            return [f"probability of {'label ' * (not self.classes)}{each}" for each in of]
        if parts.task == "outputs":
            return [f"output {k}" for k in range(self.sizes[-1])]
        targets = [f"number {t}" for t in range(len(parts.mean))]
        of_each = [f", quantile {q:g}" for q in parts.quantiles] or [""]
        return [target + word for target in targets for word in of_each]

    def layers(self) -> str:
        """Return sizes and activations in a line: 4 → 16 relu → 3 softmax."""
        return arrows(self.sizes, self.activations)


def arrows(sizes: Sequence[int], activations: Sequence[Activation]) -> str:
    """Return sizes and activations in a line."""
    pairs = zip(sizes[1:], activations, strict=True)
    return " → ".join([str(sizes[0]), *(f"{n} {word(sigma)}" for n, sigma in pairs)])


def identifier(name: str) -> str:
    """Return a name that a program may use, made of any text.

    >>> identifier("House prices (2024)"), identifier("3 classes"), identifier("")
    ('house_prices_2024', 'model_3_classes', 'model')
    """
    simple = re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_") or "model"
    return f"model_{simple}" if simple[0].isdigit() else simple


def word(activation: Activation) -> str:
    """Return what an activation is called, whatever its settings.

    >>> from chainrule.activations import LeakyRelu
    >>> word(LeakyRelu(0.2))
    'leaky_relu'
    """
    same = (name for name, entry in ACTIVATIONS.items() if type(entry) is type(activation))
    return next(same, None) or identifier(type(activation).__name__)


def exact(value: Any) -> str:
    """Return the shortest text that Python and NumPy read back as this very number.

    >>> exact(np.float32(0.1)), exact(np.float64(0.1))
    ('0.1', '0.1')
    """
    short = str(value)
    return short if type(value)(float(short)) == value else repr(float(value))
