"""Parameters: how a constructor's words are described, and checked before anything is done.

What each word may be stands once, in `table`; scikit-learn's names stay outside this floor.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from chainrule.arrays import is_number, is_whole
from chainrule.names import nearest

Described = TypeVar("Described")
Accepts = Callable[[Any], bool]


@dataclass(frozen=True)
class Parameter:
    """One parameter: its text for the documentation, what it accepts, and that in words."""

    text: str
    accepts: Accepts
    expected: str
    names: Callable[[], Sequence[str]] = tuple  # accepted names, to suggest the nearest


def number(low: float, high: float = np.inf, *, open_low: bool = False) -> Accepts:
    """Return what accepts finite numbers from `low` (not itself, if open) to `high`."""
    above = low if open_low else -np.inf
    return lambda value: is_number(value, low, above=above) and bool(value <= high)


def share(value: Any) -> bool:
    """Accept a number >= 0 and < 1."""
    return is_number(value, 0) and bool(value < 1)


def whole(value: Any) -> bool:
    """Accept a whole number >= 1."""
    return is_whole(value, 1)


def seed(value: Any) -> bool:
    """Accept a whole number that is a seed."""
    return is_whole(value) and bool(value < 2**32)


def flag(value: Any) -> bool:
    """Accept True and False."""
    return isinstance(value, (bool, np.bool_))


def one_of(*names: str) -> Accepts:
    """Return what accepts these texts."""
    return lambda value: isinstance(value, str) and value in names


def several(each: Accepts) -> Accepts:
    """Return what accepts a sequence, though not a text, of what `each` accepts."""

    def accepts(value: Any) -> bool:
        if isinstance(value, np.ndarray):
            value = value.tolist()
        return isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and (
            all(map(each, value))
        )  # fmt: skip

    return accepts


def either(*choices: Accepts) -> Accepts:
    """Return what accepts whatever one of the choices does."""
    return lambda value: any(accepts(value) for accepts in choices)


def nothing(value: Any) -> bool:
    """Accept None."""
    return value is None


def describe(
    estimator: type[Described], table: Mapping[str, Parameter], attributes: str
) -> type[Described]:
    """Fill {parameters}, with the defaults, and {attributes} into a class's docstring."""
    signature = inspect.signature(estimator)
    lines = []
    for name, parameter in signature.parameters.items():
        lines.append(f"    {name} : {table[name].expected}; default {parameter.default!r}")
        lines += textwrap.wrap(
            table[name].text, 92, initial_indent=" " * 8, subsequent_indent=" " * 8
        )
    text = (estimator.__doc__ or "").replace("{parameters}", "\n".join(lines).strip())
    estimator.__doc__ = text.replace("{attributes}", attributes.strip())
    return estimator


def check_parameters(given: Mapping[str, Any], table: Mapping[str, Parameter]) -> None:
    """Raise ValueError for the first parameter whose value is not accepted."""
    for name, parameter in table.items():
        value = given[name]
        if not parameter.accepts(value):
            names = parameter.names()
            known = f". Known: {', '.join(names)}" if names else ""
            shown = " ".join(repr(value).split())[:100]
            hint = _hint(name, value, names, shown)
            raise ValueError(
                f"{name}={shown} is not valid{hint}{' Expected' if hint else '; expected'}"
                f" {parameter.expected}{known}"
            )


def _hint(name: str, value: Any, names: Sequence[str], shown: str) -> str:
    """Return what was probably meant, or an empty string."""
    if isinstance(value, str):
        return nearest(value, names)
    if name == "loss" and several(whole)(value):  # MLPRegressor((100,)): loss comes first
        return f"; did you mean hidden_layer_sizes={shown}?"
    if name == "learning_rate" and number(0, open_low=True)(value):  # a schedule here
        return f"; did you mean learning_rate_init={shown}?"
    if name == "callbacks" and hasattr(value, "on_epoch_end"):  # one, without a list
        return f"; did you mean callbacks=[{type(value).__name__}(…)]?"
    return "; did you mean 'standard'?" if name in ("scale_X", "scale_y") and value is True else ""


def store(estimator: Any, parameters: dict[str, Any]) -> None:
    """Do what a constructor of scikit-learn's does: store the parameters as they are."""
    for name, value in parameters.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)
