"""Names: find a table's entry by what the user typed, or say what they probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

Entry = TypeVar("Entry")


#: What other libraries call it, in small letters alone -> our names for it, or for what is nearest.
ELSEWHERE: dict[str, tuple[str, ...]] = {
    # losses; a classifier's is 'auto'
    "mse": ("squared_error",),
    "rmse": ("squared_error",),
    "meansquarederror": ("squared_error",),
    "l2": ("squared_error",),
    "mae": ("absolute_error",),
    "meanabsoluteerror": ("absolute_error",),
    "l1": ("absolute_error",),
    "median": ("absolute_error",),
    "smoothl1": ("huber",),
    "pinball": ("quantile",),
    "logloss": ("auto", "binary_cross_entropy"),
    "neglogloss": ("auto", "binary_cross_entropy"),
    "bce": ("auto", "binary_cross_entropy"),
    "bcewithlogits": ("auto", "binary_cross_entropy"),
    "hinge": ("auto", "binary_cross_entropy"),
    "binarycrossentropy": ("auto", "binary_cross_entropy"),
    "logistic": ("auto", "binary_cross_entropy"),
    "nll": ("auto", "cross_entropy"),
    "kldiv": ("auto", "cross_entropy"),
    "crossentropy": ("auto", "cross_entropy"),
    "categoricalcrossentropy": ("auto", "cross_entropy"),
    "sparsecategoricalcrossentropy": ("auto", "cross_entropy"),
    "binaryfocalcrossentropy": ("focal", "binary_focal"),
    "categoricalfocalcrossentropy": ("focal",),
    # activations
    "swish": ("silu",),
    "linear": ("identity",),
    "none": ("identity", "constant"),
    "hardsilu": ("hard_swish",),
    "exponential": ("exp",),
    "expit": ("sigmoid",),
    "rectifier": ("relu",),
    "prelu": ("leaky_relu",),
    "lrelu": ("leaky_relu",),
    # optimizers
    "gd": ("sgd",),
    "gradientdescent": ("sgd",),
    "momentum": ("sgd",),
    "nesterov": ("sgd",),
    "adamax": ("adam",),
    "nadam": ("adam",),
    "radam": ("adam",),
    "lion": ("adamw",),
    "adadelta": ("rmsprop",),
    "newton": ("lbfgs",),
    "newtoncg": ("lbfgs",),
    "newtoncholesky": ("lbfgs",),
    # learning rates
    "cosineannealing": ("cosine",),
    "cosineannealinglr": ("cosine",),
    "cosinedecay": ("cosine",),
    "plateau": ("reduce_on_plateau",),
    "warmup": ("one_cycle",),
    # first weights
    "xavier": ("glorot_uniform",),
    "xavieruniform": ("glorot_uniform",),
    "xaviernormal": ("glorot_normal",),
    "kaiming": ("he_uniform",),
    "kaiminguniform": ("he_uniform",),
    "kaimingnormal": ("he_normal",),
    "glorot": ("glorot_uniform",),
    "he": ("he_uniform",),
    "lecun": ("lecun_uniform",),
    "random": ("uniform",),
    "randomuniform": ("uniform",),
    # scalings
    "zscore": ("standard",),
    "minmax": ("standard",),
}


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'relu'?"``, or an empty string when nothing known is near.

    What other libraries call it goes by its meaning (`ELSEWHERE`), all else by its letters.

    >>> nearest("rleu", ["relu", "tanh"])
    "; did you mean 'relu'?"
    >>> nearest("swish", ["mish", "silu"])
    "; did you mean 'silu'?"
    >>> nearest("xyzzy", ["relu", "tanh"])
    ''
    """
    names, bare = {_bare(name): name for name in known}, _bare(word)
    elsewhere = ELSEWHERE.get(bare) or ELSEWHERE.get(bare.removesuffix("loss"), ())
    meant = [_bare(name) for name in elsewhere if _bare(name) in names]
    spelt = difflib.get_close_matches(bare, names, n=1, cutoff=0.6)
    within = [name for name in names if len(bare) > 3 and bare in name]
    close = [*meant, *spelt, *within]
    return f"; did you mean {names[close[0]]!r}?" if close else ""


def _bare(word: str) -> str:
    """Return LeakyReLU, leaky-relu and leaky_relu as the same."""
    return re.sub(r"[-_ ]", "", word.casefold())


def look_up(table: Mapping[str, Entry], name: object, parameter: str) -> Entry:
    """Return ``table[name]``; raise a ValueError with the nearest and all known names otherwise.

    >>> look_up({"relu": 1, "tanh": 2}, "rleu", "activation")
    Traceback (most recent call last):
    ...
    ValueError: activation='rleu' is unknown; did you mean 'relu'? Known: relu, tanh
    """
    if isinstance(name, str) and name in table:
        return table[name]
    hint = nearest(name, table) if isinstance(name, str) else ""
    known = ", ".join(sorted(table))
    raise ValueError(f"{parameter}={name!r} is unknown{hint}{'' if hint else '.'} Known: {known}")
