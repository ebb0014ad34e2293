"""File: the NumPy script of one model, put together."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.activations import Identity, Sigmoid
from chainrule.arrays import Array
from chainrule.export.code import Program, exact
from chainrule.export.script.columns import Columns
from chainrule.export.script.formulas import Sources
from chainrule.trace import Dense

HEAD = '''\
"""{name}: a fully connected network of {layers}, in NumPy alone.

Written by chainrule {version}. Layer l has W[l] (n_in, n_out) and b[l] (n_out,).
"""

import numpy as np
'''


class File:
    """One file under way."""

    def __init__(self, program: Program) -> None:
        self.program, self.sources = program, Sources()
        self.type = f"np.{program.parts.dtype}"
        self.several = len(program.members) > 1

    def text(self) -> str:
        """Return the file."""
        program, encodes = self.program, self.program.columns is not None
        columns = Columns(program, self.sources)
        functions = [*self.answers(), self.forward()]
        functions += [columns.encode()] if encodes else []
        functions += [*columns.helpers.values(), *self.sources.texts.values()]
        head = HEAD.format(
            name=program.name, layers=program.layers(), version=program.parts.version
        )
        constants = [f"INPUTS = {listed(program.inputs)}"]
        if program.classes:
            constants.append(f"CLASSES = {classes(program)}")
        parts = [head + "\n" + "\n".join(constants), *functions, self.learnt()]
        return "\n\n\n".join(parts) + "\n"

    # What is asked ----------------------------------------------------------------------------

    def answers(self) -> list[str]:
        """Return predict, and what else the model has, in the order in which they are read."""
        program, n = self.program, self.program.n_outputs
        inside = "encode(X)" if program.columns is not None else f"np.asarray(X, dtype={self.type})"
        outputs = f"np.mean([forward({inside}, W, b) for W, b in MEMBERS], axis=0)"
        outputs = outputs if self.several else f"forward({inside})"
        rows = f"rows X (n, {len(program.inputs)})"
        task = program.parts.task
        if task == "outputs":
            return [function("predict(X)", f"the outputs (n, {n}) of {rows}", f"return {outputs}")]
        if task == "numbers":
            return self.numbers(outputs, rows)
        proba = ["p = " + outputs, "return p / p.sum(axis=1, keepdims=True)"]
        proba = [f"return {outputs}"] if program.sums_to_one else proba
        if task == "labels":
            labels = "return (predict_proba(X) > 0.5).astype(int)"
            return [
                function("predict(X)", f"labels 0 and 1 (n, {n}) of {rows}", labels),
                function("predict_proba(X)", f"the probability of each label (n, {n})", *proba),
            ]
        most = "return CLASSES[predict_proba(X).argmax(axis=1)]"
        return [
            function("predict(X)", f"the most probable class (n,) of {rows}", most),
            function("predict_proba(X)", f"the probability of each of CLASSES (n, {n})", *proba),
        ]

    def numbers(self, outputs: str, rows: str) -> list[str]:
        """Return what a regressor answers."""
        program, parts = self.program, self.program.parts
        units = f"{outputs} * SCALE + MEAN" if program.units else outputs
        targets, q = len(parts.mean), len(parts.quantiles)
        what = "the number (n,)" if targets == 1 else f"the numbers (n, {targets})"
        only = "[:, 0]" if targets == 1 else ""
        if not q:
            return [
                function(
                    "predict(X)",
                    f"{what} of {rows}",
                    f"return {self.in_type(units) if only else units}{only}",
                )
            ]
        shape = f"(n, {q})" if targets == 1 else f"(n, {targets}, {q})"
        cut = "" if targets == 1 else f".reshape(-1, {targets}, {q})"
        whole = self.in_type(units) if cut else units
        named = ", ".join(f"{each:g}" for each in parts.quantiles)
        return [
            function(
                "predict(X)", f"{what} of {rows}: the middle quantile",
                f"return predict_quantiles(X)[..., {parts.middle}]",
            ),
            function(
                "predict_quantiles(X)", f"the quantiles {named} {shape}", f"return {whole}{cut}"
            ),
        ]  # fmt: skip

    def in_type(self, units: str) -> str:
        """Return an expression so that what follows it applies to all of it."""
        return f"({units})" if " * " in units else units

    # The network ------------------------------------------------------------------------------

    def forward(self) -> str:
        """Return the forward pass: a line for each layer."""
        sizes, n = self.program.sizes, self.program.n_outputs
        layers = self.program.members[0]
        lines, a = [], "X"
        for l, layer in enumerate(layers[:-1]):
            lines.append(f"a = {self.activated(layer, f'{a} @ W[{l}] + b[{l}]')}")
            a = "a"
        z = f"{a} @ W[{len(layers) - 1}] + b[{len(layers) - 1}]"
        lines += (
            self.two_classes(layers[-1], z)
            if self.program.binary
            else [f"return {self.activated(layers[-1], z)}"]
        )
        head = "forward(X, W, b)" if self.several else "forward(X)"
        return function(head, f"the outputs (n, {n}) of features X (n, {sizes[0]})", *lines)

    def activated(self, layer: Dense, z: str) -> str:
        """Return σ(z) in Python."""
        if isinstance(layer.activation, Identity):
            return z
        return f"{self.sources.of(layer.activation)}({z})"

    def two_classes(self, layer: Dense, z: str) -> list[str]:
        """Return the lines that make two probabilities of one z."""
        if isinstance(layer.activation, Sigmoid):
            s = self.sources.of(layer.activation)
            last = f"return np.hstack([{s}(-z), {s}(z)])  # 1 - {s}(z), and loses no digits"
            return [f"z = {z}", last]
        return [f"a = {self.activated(layer, z)}", "return np.hstack([1 - a, a])"]

    # What was learnt --------------------------------------------------------------------------

    def learnt(self) -> str:
        """Return the weights, and what brings outputs into y's units."""
        parts, members = [], self.program.members
        if self.program.units:
            scale, mean = self.program.units
            parts += [f"SCALE = {self.array(scale)}", f"MEAN = {self.array(mean)}"]
        if not self.several:
            parts += [f"W = {self.arrays([d.W for d in members[0]])}"]
            parts += [f"b = {self.arrays([d.b for d in members[0]])}"]
            return "\n".join(parts)
        pairs = (
            f"({self.arrays([d.W for d in each])}, {self.arrays([d.b for d in each])}),"
            for each in members
        )
        return "\n".join([*parts, "MEMBERS = [", *pairs, "]"])

    def arrays(self, arrays: Sequence[Array]) -> str:
        """Return a list of arrays, one below the other."""
        lines = "\n".join(f"    {self.array(each)}," for each in arrays)
        return f"[\n{lines}\n]"

    def array(self, values: Array) -> str:
        """Return an array whose numbers are read back as they are."""
        dtype = self.program.parts.dtype
        rows = values.astype(dtype)
        text = nested(
            [list(map(exact, row)) for row in rows] if rows.ndim == 2 else list(map(exact, rows))
        )
        return f"np.array({text}, dtype={self.type})"


def function(head: str, returns: str, *lines: str) -> str:
    """Return a function with what it returns as its docstring."""
    body = textwrap.indent("\n".join([f'"""Return {returns}."""', *lines]), "    ")
    return f"def {head}:\n{body}"


def nested(values: Sequence[Any]) -> str:
    """Return a list of texts, or of such lists, in lines of some width.

    >>> nested([["1.0", "2.0"], ["3.0", "4.0"]])
    '[[1.0, 2.0], [3.0, 4.0]]'
    """
    line = f"[{', '.join(nested(v) if isinstance(v, list) else v for v in values)}]"
    if len(line) < 70 and "\n" not in line:
        return line
    if isinstance(values[0], list):
        return "[\n" + "".join(f"        {nested(row)},\n" for row in values) + "    ]"
    return textwrap.fill(line, 96, subsequent_indent=" " * 9)


def listed(texts: Sequence[str]) -> str:
    """Return a list of texts, one a line where they are many."""
    line = repr(list(texts))
    return line if len(line) < 80 else "[\n" + "".join(f"    {each!r},\n" for each in texts) + "]"


def classes(program: Program) -> str:
    """Return the classes as an array of their own type."""
    labels, given = program.plain_classes, program.parts.classes
    assert given is not None
    same = np.array(labels).dtype == given.dtype
    kind = "object" if given.dtype == object else f"{given.dtype.str!r}"
    return f"np.array({listed(labels) if same else f'{listed(labels)}, dtype={kind}'})"
