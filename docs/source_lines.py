"""Source lines: a line of the library, found in its source by what it computes.

The pages show it beside its formula. It is found by the syntax tree, without marks in the source; a
line that is gone, or not the only one, is an error, so that a page cannot show another.
"""

import ast
import importlib
import inspect
import textwrap
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SourceLine:
    """A statement of the library: its text, and where it stands."""

    text: str
    function: str  # within the package, such as network.backpropagate
    file: Path
    number: int

    @property
    def place(self):
        """Where a reader finds it."""
        name = self.function.partition(".")[2]
        return f"{self.file.name}, line {self.number}, in {name}"


def find_line(function, start):
    """Return the one statement of `function` that begins with `start`, as ast.unparse writes it.

    Raises ValueError where there is none, or several.
    """
    module, *names = function.split(".")
    found = importlib.import_module(f"chainrule.{module}")
    for name in names:
        found = getattr(found, name)
    lines, first = inspect.getsourcelines(found)
    statements = [
        node
        for node in ast.walk(ast.parse(textwrap.dedent("".join(lines))))
        if isinstance(node, ast.stmt)
        and not hasattr(node, "body")
        and ast.unparse(node).startswith(start)
    ]
    if len(statements) != 1:
        raise ValueError(
            f"{function} has {len(statements)} lines that begin with {start!r}; expected one: look"
            " how the line begins now, and change the page"
        )
    node = statements[0]
    text = textwrap.dedent("".join(lines[node.lineno - 1 : node.end_lineno])).rstrip()
    return SourceLine(text, function, Path(inspect.getfile(found)), first + node.lineno - 1)


def find_lines(words):
    """Return the lines of `function: start; start; function: start`."""
    function, found = "", []
    for each in words.split(";"):
        head, colon, start = each.strip().partition(":")
        if colon:
            function = head
        found.append(find_line(function, (start if colon else head).strip()))
    return found
