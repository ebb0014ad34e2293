"""Explanations: every number is NumPy's, every formula with its numbers in comes to its result.

The formulas are tested as they are read: the line of text is turned into Python and evaluated.
"""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import explain
from chainrule.optimizers import OPTIMIZERS
from strategies import JUMPY_LOSSES, NAMES, SMOOTH_LOSSES, problems

STEPPING = sorted(set(OPTIMIZERS) - {"lbfgs"})
MEANING = {
    "max": max, "min": min, "log": math.log, "tanh": math.tanh, "e": math.e, "abs": abs,
    "sign": lambda x: (x > 0) - (x < 0), "sqrt": math.sqrt,
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)) if z > -700 else 0.0,
    "softplus": lambda z: math.log1p(math.exp(-abs(z))) + max(z, 0),
}  # fmt: skip
UP = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


def calculate(words):
    """Return what a line of text comes to, read as a person would."""
    words = re.sub(r"(\d)·10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", lambda m: f"{m[1]}e{m[2].translate(UP)}", words)
    words = re.sub(r"(?<![\d.])10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", lambda m: f"1e{m[1].translate(UP)}", words)
    words = re.sub(r"([⁰¹²³⁴⁵⁶⁷⁸⁹]+)", lambda m: f"**{m[1].translate(UP)}", words)
    words = re.sub(r"\([\d,]+ more: ([^)]*)\)", r"(\1)", words)
    words = re.sub(r"\|([^|]*)\|", r"abs(\1)", words)
    words = re.sub(r"√([\d.e-]+)", r"sqrt(\1)", words.replace("√(", "sqrt("))
    words = words.replace("−", "-").replace("·", "*").replace("^", "**").replace("½", "0.5")
    return eval(words, {"__builtins__": {}}, MEANING)


def lines_of(told):
    for step in told.to_dict()["steps"]:
        for line in step["lines"]:
            yield from ((step, each) for each in (*line.get("where", []), line))


@pytest.mark.parametrize("activation", NAMES)
@given(data=st.data())
@settings(max_examples=15)
def test_formulas_with_numbers_come_to_their_results(activation, data):
    name = data.draw(st.sampled_from(SMOOTH_LOSSES + JUMPY_LOSSES))
    problem = data.draw(problems(activation, name))
    told = explain(
        problem.network, problem.X, problem.Y, **problem.cost,
        optimizer=data.draw(st.sampled_from(STEPPING)),
    )  # fmt: skip
    for step, line in lines_of(told):
        found = calculate(line["numbers"])
        assert found == pytest.approx(line["value"], rel=1e-9, abs=1e-12), (step["kind"], line)
