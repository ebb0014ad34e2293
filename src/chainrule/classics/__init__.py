"""Classics: the teaching systems that chainrule comes from, run again beside what they published.

    room            what is in it
    half_adder      sum and carry of two bits, 2-2-2; the gradient check; a thousand starts
    surfaces        three functions of two inputs, 2-3-5-8-1, by three trainings; two stopping rules
    regression_ladder  linear, logistic and softmax regression without a hidden layer; then N
    digits_5_8      two handwritten digits told apart; why a larger network did worse
    digits          all ten, by softmax, beside PyTorch
    bare_network    the four equations as a reader writes them, and the slips around them
    four_equations  those, in thirty lines
    result          what was published beside what came out
    race            accuracy against seconds of training, here and in PyTorch
    handwriting     MNIST's digits as rows and targets, and their pictures
    pictures        those that only these systems need
    drawing         a second process that draws them

Each is trained with its original settings and with ours. `CLASSICS` lists them; `run_classic` runs
one, as `chainrule classics NAME` does.

>>> result = run_classic("half-adder", starts=1)
>>> result.figure("cost_20000").published, result.holds
(0.000562, True)
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from chainrule.classics.result import Figure as Figure
from chainrule.classics.result import Result as Result
from chainrule.names import look_up


@dataclass(frozen=True)
class Classic:
    """A classic system: what it is, and the room whose `run` runs it."""

    title: str
    room: str


#: The one table of classic systems, by their names on the command line.
CLASSICS: dict[str, Classic] = {
    "half-adder": Classic("sum and carry of two bits, from 1,000 starts", "half_adder"),
    "surfaces": Classic("three functions of two inputs, true and learned in 3-D", "surfaces"),
    "regression-ladder": Classic("from linear regression to N layers", "regression_ladder"),
    "digits-5-8": Classic("handwritten 5 against 8, and a larger network", "digits_5_8"),
    "digits": Classic("all ten handwritten digits, beside PyTorch", "digits"),
    "bare-network": Classic("the four equations in thirty lines, and the slips", "bare_network"),
}


def run_classic(name: str, **settings: Any) -> Result:
    """Run a classic system with its original settings and with ours.

    `settings` are those of `run` in its room, such as `engine`. Raises ValueError for an unknown
    name, with the nearest.
    """
    result: Result = _room(name).run(**settings)
    return result


def settings_of(name: str) -> list[str]:
    """Return the names of the settings that a classic system's `run` takes.

    >>> settings_of("half-adder")
    ['starts', 'seed', 'engine', 'draw']
    """
    return [*inspect.signature(_room(name).run).parameters]


def _room(name: str) -> ModuleType:
    return import_module(f"chainrule.classics.{look_up(CLASSICS, name, 'classic').room}")
