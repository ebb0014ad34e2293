"""Own: what the user gives as plain functions, held to the shape of what they are given."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from chainrule.arrays import Array

Function = Callable[..., Any]


def is_pair(value: Any) -> bool:
    """Tell whether this is a tuple of two functions, neither of which is a class.

    >>> is_pair((abs, round)), is_pair(("relu", "tanh"))
    (True, False)
    """
    several = isinstance(value, tuple) and len(value) == 2
    return several and all(callable(f) and not isinstance(f, type) for f in value)


def arguments(function: Function) -> int | None:
    """Return how many arguments a function must be given; None where it does not tell."""
    if isinstance(function, np.ufunc):
        return function.nin
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # built in, without a signature
        return None
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in places and p.default is p.empty for p in parameters)


@lru_cache(256)
def takes_two(function: Function) -> bool:
    """Tell whether a function must be given two arguments."""
    return arguments(function) == 2


def as_pair(pair: Any, what: str, of: tuple[str, str]) -> tuple[Function, Function]:
    """Return the two functions; raise ValueError for one that cannot be called as promised.

    `of` says what each is a function of: "z", "(a, y)", or a choice, "z or (z, a)".
    """
    for name, function, expected in zip(("first", "second"), pair, of, strict=True):
        counts = [option.count(",") + 1 for option in expected.split(" or ")]
        given = arguments(function)
        if given is not None and given not in counts:
            raise ValueError(
                f"{what}: the {name} of the two functions needs {given} arguments; expected a"
                f" function of {expected}"
            )
    return tuple(pair)


def evaluate(function: Function, what: str, *given: Array) -> Array:
    """Return function(*given) as an array with the shape and dtype of the first.

    What is given cannot be written to, nor does the result share its memory. Raises ValueError
    where the result is no array of real numbers of that shape.
    """
    views = [each.view() for each in given]
    for view in views:
        view.flags.writeable = False
    first, result = given[0], np.asarray(function(*views))
    if result.shape != first.shape or result.dtype.kind not in "fiub":
        raise ValueError(
            f"your {what} {getattr(function, '__name__', '')!r} gave {result.dtype} of shape"
            f" {result.shape} for {first.shape}; expected a real number for each element: take"
            " NumPy's functions, and no sum or mean"
        )
    shared = any(np.may_share_memory(result, view) for view in views)
    return np.array(result, first.dtype, copy=True if shared else None)
