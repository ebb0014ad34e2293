"""Texts: the parts of a C header that are the same for every model, and how C writes values."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from chainrule.export.code import Program

WIDTH = 96  # characters of constants on a line
MOST_NAMES = 400  # names of inputs, or levels of one, that a comment lists

DENSE = """\
/* z = x W + b: each weight is read once, in the order in which they lie. */
static inline void {name}_dense(
    int n_in, int n_out, const {T} *W, const {T} *b, const {T} *x, {T} *z)
{{
    for (int j = 0; j < n_out; j++) z[j] = b[j];
    for (int i = 0; i < n_in; i++)
        for (int j = 0; j < n_out; j++) z[j] += *W++ * x[i];
}}
"""
SOFTMAX = """\
/* e^z over its sum; the largest is taken off first, so that no power overflows. */
static inline void {name}_softmax(int n, {T} *z)
{{
    {T} top = z[0], sum = 0;
    for (int k = 1; k < n; k++) top = z[k] > top || z[k] != z[k] ? z[k] : top;
    for (int k = 0; k < n; k++) sum += z[k] = {exp}(z[k] - top);
    for (int k = 0; k < n; k++) z[k] /= sum;
}}
"""
INCREASING = """\
/* In each block of units the first as it is; each next adds softplus(z), so that none cross. */
static inline void {name}_increasing(int n, int block, {T} *z)
{{
    for (int k = 0; k < n; k++)
        if (k % block != 0) z[k] = z[k - 1] + {softplus}(z[k]);
}}
"""
ARGMAX = """\
/* The place of the largest output: {name}_classes[{name}_argmax(out)] is the predicted class. */
static inline int {name}_argmax(const {T} *out)
{{
    int best = 0;
    for (int k = 1; k < {NAME}_OUTPUTS; k++)
        if (out[k] > out[best]) best = k;
    return best;
}}
"""


def literal(value: Any, dtype: np.dtype[Any]) -> str:
    """Return a number as a constant of C, which is read back as this very number.

    >>> literal(0.1, np.dtype("float32")), literal(1e22, np.dtype("float64"))
    ('0.1f', '1e+22')

    Raises ValueError for a number that is beyond the type's.
    """
    with np.errstate(over="ignore"):
        finite = np.isfinite(dtype.type(value))
    if not finite:
        raise ValueError(f"{value:g} has no {dtype}; export in float64: --dtype float64")
    return str(dtype.type(value)) + ("f" if dtype == np.float32 else "")


def tidy(text: str) -> str:
    """Return an expression without the parentheses that say nothing.

    >>> tidy("return (a * f(((b + c) * d)));")
    'return a * f((b + c) * d);'
    """
    opened, partner = [], {}
    for place, sign in enumerate(text):
        if sign == "(":
            opened.append(place)
        elif sign == ")":
            partner[opened.pop()] = place
    idle = {
        place
        for first, last in partner.items()
        if partner.get(first - 1) == last + 1
        or (text[:first].endswith((" = ", "return ")) and text[last + 1 :] == ";")
        for place in (first, last)
    }
    return "".join(sign for place, sign in enumerate(text) if place not in idle)


def loop(n: int, body: str) -> str:
    """Return a statement for each k < n."""
    return f"for (int k = 0; k < {n}; k++) {body};"


def filled(numbers: Sequence[str]) -> Iterator[str]:
    """Yield lines of constants."""
    return iter(
        textwrap.wrap(", ".join(numbers), WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 4)
    )


def quoted(text: str) -> str:
    """Return a text as C writes it: UTF-8, whatever is not plain ASCII as octal digits.

    >>> print(quoted('Zürich, "why?"'))
    "Z\\303\\274rich, \\"why\\?\\""
    """
    escapes = {b: f"\\{chr(b)}" for b in b'"\\?'}  # ? since ??/ and its like are C's trigraphs
    each = (
        escapes.get(b) or (chr(b) if 32 <= b < 127 else f"\\{b:03o}")
        for b in text.encode("utf-8", "replace")
    )
    return f'"{"".join(each)}"'


def commented(text: str) -> str:
    """Return a text of the user's so that it ends no comment, and begins none, nor a line.

    >>> commented("a */ b\\n/* c")
    'a * / b / * c'
    """
    plain = "".join(c if c.isprintable() else " " for c in text)
    return plain.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")


def about(program: Program, constants: int, stack: int) -> str:
    """Return the first comment: what the header does, what goes in and out, what it needs."""
    bytes_each, NAME = program.parts.dtype.itemsize, program.name.upper()
    T = "float" if bytes_each == 4 else "double"
    gaps = "is a gap, and filled" if not program.parts.refuses_gaps else "makes NaN of the outputs"
    weights = sum(layer.W.size for each in program.members for layer in each)
    lines = [
        f"{program.name}: a fully connected network, {program.layers()}, in {T}.",
        "",
        f"Written by chainrule {program.parts.version}. C99; needs <math.h> and nothing else,",
        "allocates nothing, keeps nothing between calls. x and out must not overlap.",
        "",
        f"    {T} x[{NAME}_INPUTS] = {{ ... }}, out[{NAME}_OUTPUTS];",
        f"    {program.name}_predict(x, out);",
        "",
        *inputs(program),
        f"NaN {gaps}.",
        "",
        *(f"out[{k}]  {commented(name)}" for k, name in enumerate(program.outputs[:MOST_NAMES])),
        "",
        f"Flash: {constants:,} constants of {bytes_each} bytes, {constants * bytes_each:,} bytes in"
        " all, and the code.",
        f"Stack: {stack * bytes_each:,} bytes for arrays, and some for calls. No other RAM.",
        f"Time: {weights:,} multiplications and additions.",
    ]
    body = "\n".join(f" * {line}".rstrip() for line in lines)
    return f"/*\n{body}\n */\n"


def inputs(program: Program) -> Iterator[str]:
    """Yield a line for each thing that a row holds."""
    columns = program.columns
    if columns is None and program.parts.names is None:
        yield f"x[0] to x[{len(program.inputs) - 1}]  as the network was trained on them"
        return
    records: Sequence[dict[str, Any]] = columns or [{"kind": "number"}] * len(program.inputs)
    pairs = list(zip(program.inputs, records, strict=True))
    for i, (name, record) in enumerate(pairs[:MOST_NAMES]):
        marked = i in program.parts.marked
        yield f"x[{i}]  {commented(f'{name}{values(record, marked)}')}"
    if len(pairs) > MOST_NAMES:
        yield f"x[{MOST_NAMES}] to x[{len(pairs) - 1}]  the columns that follow"


def values(record: dict[str, Any], marked: bool = False) -> str:
    """Return what a column's numbers mean, where they are not just numbers.

    The levels of a column that was `marked` as a category begin with a sign, which is left out.
    """
    kind = record["kind"]
    if kind == "dropped":
        return ": not used"
    if record.get("constant"):
        return ": only whether it is NaN"
    if kind == "category":
        levels = [level.removeprefix("=" * marked) for level in record["levels"]]
        words = [*levels, *(["a rare one"] if record["rare"] != [] else [])]
        numbered = ", ".join(f"{k} {level}" for k, level in enumerate(words))
        return f": {numbered}; -1 for any other, NaN for a gap"
    return {"flag": ": 1 or 0", "duration": ", in seconds"}.get(kind, "")
