"""The lines beside the formulas of docs/: each is there, and computes what the formula says."""

import ast
import importlib.util
import inspect
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from chainrule import Network, network

DOCS = Path(__file__).parents[1] / "docs"
SPEC = importlib.util.spec_from_file_location("source_lines", DOCS / "source_lines.py")
source_lines = importlib.util.module_from_spec(SPEC)
sys.modules["source_lines"] = source_lines
SPEC.loader.exec_module(source_lines)

FORMULA = re.compile(r"^```\{computed\} ?(.*)\n:lines: (.*)\n", re.MULTILINE)
SHOWN = [
    (page.name, *found)
    for page in sorted(DOCS.rglob("*.md"))
    for found in FORMULA.findall(page.read_text("utf-8"))
]


@pytest.mark.parametrize(("page", "name", "words"), SHOWN)
def test_every_line_is_in_the_source_where_the_page_says(page, name, words):
    for line in source_lines.find_lines(words):
        text = line.file.read_text("utf-8").splitlines()
        assert text[line.number - 1].strip() == line.text.splitlines()[0]


def without(line):
    """Return `backpropagate` with what one of its lines computes doubled."""
    room = dict(vars(network))
    tree = ast.parse(inspect.getsource(network))
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and node.lineno == line.number and hasattr(node, "value"):
            node.value = ast.BinOp(node.value, ast.Mult(), ast.Constant(2.0))
    functions = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name in ("backpropagate", "output_delta")
    ]
    future = ast.parse("from __future__ import annotations").body
    module = ast.fix_missing_locations(ast.Module([*future, *functions], []))
    exec(compile(module, "<doubled>", "exec"), room)
    return room["backpropagate"]


def gradients(backpropagate):
    net = Network([2, 3, 2], ["tanh", "sigmoid"], seed=0)
    X, Y, share = np.array([[0.5, -1.0]]), np.array([[0.0, 1.0]]), np.ones((1, 1))
    loss = network.get_loss("squared_error")
    trace = net.forward(X)
    grads = backpropagate(net.layers, trace, Y, loss, share, net.gradients())
    return {
        "δ, last": grads.delta[1], "δ, first": grads.delta[0],
        "dW": np.concatenate([dW.ravel() for dW in grads.dW]), "db": np.concatenate(grads.db),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("equation", "moves"),
    [
        ("BP1", {"δ, last", "δ, first", "dW", "db"}),
        ("BP2", {"δ, first", "dW", "db"}),
        ("BP3", {"db"}),
        ("BP4", {"dW"}),
    ],
)
def test_the_line_beside_an_equation_is_the_one_that_computes_it(equation, moves):
    """With the line's value doubled, its equation's result changes, and what follows from it."""
    shown = [words for page, name, words in SHOWN if name.startswith(equation)]
    assert len(shown) == 2  # with indices, and with matrices
    truth = gradients(network.backpropagate)
    for words in shown:
        lines = [
            line
            for line in source_lines.find_lines(words)
            if line.function == "network.backpropagate"
        ]
        assert lines
        for line in lines:
            doubled = gradients(without(line))
            changed = {name for name in truth if not np.allclose(truth[name], doubled[name])}
            assert changed == moves, line


@pytest.mark.parametrize("start", ["dX =", "into."])
def test_a_line_that_is_gone_or_not_the_only_one_stops_the_build(start):
    with pytest.raises(ValueError, match="lines that begin with"):
        source_lines.find_line("network.backpropagate", start)
