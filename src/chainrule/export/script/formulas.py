"""Formulas in Python: the very lines of their definitions, with nothing of the package around them.

What is changed: settings become the numbers they are, NumPy's functions get their `np.`, another
activation's value is called by its name. Comments stay, since they are for who reads the lines.

>>> from chainrule.activations import LeakyRelu
>>> sources = Sources()
>>> sources.of(LeakyRelu(0.2))
'leaky_relu'
>>> print(sources.texts["leaky_relu"])
def leaky_relu(z):
    \"\"\"σ(z) = max(z, 0) + s·min(z, 0).\"\"\"
    return np.maximum(z, 0) + 0.2 * np.minimum(z, 0)
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import numpy as np

from chainrule.export.code import word
from chainrule.units import Activation

Edit = tuple[ast.expr, str]


@dataclass
class Sources:
    """Python functions, each written when first asked for, after those that it calls."""

    texts: dict[str, str] = field(default_factory=dict)
    _names: dict[Any, str] = field(default_factory=dict)

    def of(self, activation: Activation) -> str:
        """Return the name of the function for σ."""
        if activation not in self._names:
            says = " ".join((type(activation).__doc__ or "").split("\n\n")[0].split())
            says = re.split(r"[,;] (?=σ′|∂)", says)[0].rstrip(".") + "."
            name = self._free(word(activation))
            self._names[activation] = name
            self.texts[name] = self.written(type(activation).value, name, says, activation)
        return self._names[activation]

    def plain(self, function: Callable[..., Any]) -> str:
        """Return the name of the function, which stands here as it is in its module."""
        name = function.__name__.lstrip("_")
        if name not in self.texts:
            self.texts[name] = self.written(function, name, inspect.getdoc(function) or "")
        return name

    def written(self, function: Any, name: str, says: str, owner: Any = None) -> str:
        """Return a function under a new name, `owner` being what it calls self."""
        source = textwrap.dedent(inspect.getsource(function))
        node = ast.parse(source).body[0]
        assert isinstance(node, ast.FunctionDef)
        arguments = [a.arg for a in node.args.args if a.arg != "self"]
        module = vars(sys.modules[function.__module__])
        body = node.body[1:] if ast.get_docstring(node) else node.body
        edits = list(self.edits(body, name, owner, module))
        text = edited(source, edits, body[0].lineno)
        head = [f"def {name}({', '.join(arguments)}):"]
        says = textwrap.fill(f'"""{says}"""', 96, subsequent_indent="") if says else ""
        return "\n".join([*head, *textwrap.indent(says, "    ").splitlines(), text])

    def edits(
        self, body: list[ast.stmt], name: str, owner: Any, module: dict[str, Any]
    ) -> Iterator[Edit]:
        """Yield what is to be written for what in a function's body."""
        for node in (each for statement in body for each in ast.walk(statement)):
            match node:
                case ast.Attribute(ast.Name("self"), attribute):
                    value = getattr(owner, attribute)
                    yield node, self.own(value, name) if callable(value) else repr(value)
                case ast.Attribute(ast.Call(ast.Name(cls), args=[]), "value"):
                    yield node, self.of(module[cls]())
                case ast.Name(known) if known in module:
                    value = module[known]
                    if getattr(np, known, None) is value:
                        yield node, f"np.{known}"
                    elif isinstance(value, FunctionType):
                        yield node, self.plain(value)
                    elif isinstance(value, int | float):
                        yield node, repr(value)

    def own(self, method: Any, name: str) -> str:
        """Return the name of the function that stands for a method of an activation."""
        name = f"{name}{method.__name__}"
        if name not in self.texts:
            says = inspect.getdoc(method) or ""
            self.texts[name] = self.written(method.__func__, name, says, method.__self__)
        return name

    def _free(self, name: str) -> str:
        """Return the name, or with a number where another activation has it: leaky_relu_2."""
        taken = set(self._names.values())
        each = (f"{name}_{k}" for k in range(2, len(taken) + 3))
        return name if name not in taken else next(other for other in each if other not in taken)


def edited(source: str, edits: list[Edit], first: int) -> str:
    """Return the lines of a source from the `first` on, with texts in the place of some nodes."""
    lines = [line.encode() for line in source.splitlines()]
    for node, text in sorted(edits, key=lambda edit: (edit[0].lineno, edit[0].col_offset))[::-1]:
        line, end = lines[node.lineno - 1], node.end_col_offset
        lines[node.lineno - 1] = line[: node.col_offset] + text.encode() + line[end:]
    return "\n".join(line.decode() for line in lines[first - 1 :])
