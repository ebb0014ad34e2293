"""Formulas stay formulas: few operations and no branch on a value, so that any engine can run them.

An engine in another language is to be emitted from these definitions. What a translator could not
take is found here, on the day it is written.
"""

import ast
import inspect
import textwrap

import pytest

from chainrule.activations import ACTIVATIONS, Increasing, Softmax
from chainrule.losses import LOSSES, CrossEntropy, Focal, Quantiles
from chainrule.optimizers import LBFGS, OPTIMIZERS
from chainrule.penalties import Penalty
from chainrule.schedules import SCHEDULES

OPERATIONS = {
    "abs", "cos", "exp", "expm1", "floor", "log", "log1p", "maximum", "minimum", "sign", "sqrt",
    "tanh", "float", "_log", "_log_derivative", "_pinball", "_pinball_slope", "_focus",
    "_focus_slope", "value", "derivative", "decayed",
}  # fmt: skip
FORMULAS = (
    "value", "derivative", "gradient", "target", "value_from_logits", "delta_from_logits", "update",
    "factor",
)  # fmt: skip
#: These take the units of a row together, which engines do by hand.
OVER_ROWS = (Softmax, Increasing, CrossEntropy, Focal, Quantiles)
BRANCHES = (ast.If, ast.For, ast.While, ast.Compare, ast.BoolOp, ast.Subscript)

MEMBERS = sorted(
    {type(activation) for activation in ACTIVATIONS.values()}
    | set(LOSSES.values())
    | (set(OPTIMIZERS.values()) - {LBFGS})
    | set(SCHEDULES.values())
    | {Penalty},
    key=lambda member: member.__name__,
)


def formulas(member):
    for name in FORMULAS:
        if name in vars(member):
            tree = ast.parse(textwrap.dedent(inspect.getsource(vars(member)[name])))
            yield name, tree


def called(node):
    return node.func.id if isinstance(node.func, ast.Name) else node.func.attr


@pytest.mark.parametrize("member", [m for m in MEMBERS if m not in OVER_ROWS])
def test_formulas_use_few_operations_and_never_branch_on_a_value(member):
    known = OPERATIONS | {type(activation).__name__ for activation in ACTIVATIONS.values()}
    known |= {"Adam", "update"}  # AdamW is Adam after a decay
    for name, tree in formulas(member):
        for node in ast.walk(tree):
            where = f"{member.__name__}.{name}: {ast.unparse(node)}"
            assert not isinstance(node, BRANCHES), where
            if isinstance(node, ast.Call):
                assert called(node) in known, where
            if isinstance(node, ast.IfExp):  # a setting may choose a formula, a value may not
                assert ast.unparse(node.test).startswith("self."), where


def test_every_family_has_formulas():
    assert all(list(formulas(member)) for member in MEMBERS if member.__name__ not in STATEFUL)


STATEFUL = ("Constant", "ReduceOnPlateau")  # their factor is Schedule's, and what memory says
