"""Header: the C header of one model, put together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chainrule.activations import Identity, Increasing, Sigmoid, Softmax, Softplus
from chainrule.arrays import Array
from chainrule.export.c.formulas import Functions
from chainrule.export.c.texts import (
    ARGMAX,
    DENSE,
    INCREASING,
    SOFTMAX,
    about,
    filled,
    literal,
    loop,
    quoted,
)
from chainrule.export.code import Program
from chainrule.preprocessing.features import scaled, squashed
from chainrule.trace import Dense


class Header:
    """One header under way."""

    def __init__(self, program: Program) -> None:
        self.program, self.name, self.dtype = program, program.name, program.parts.dtype
        self.functions = Functions(self.name, self.dtype)
        self.T = self.functions.type
        self.forms = {"name": self.name, "NAME": self.name.upper(), "T": self.T}
        self.arrays: list[str] = []  # constants, in C
        self.by_hand = {"dense": DENSE.format(**self.forms)}
        self.constants = self.stack = 0  # numbers that need flash, and stack

    def text(self) -> str:
        """Return the header."""
        NAME, kind = self.name.upper(), self.program.parts.task
        functions = [] if self.program.columns is None else [self.encode()]
        functions += [self.member(k) for k in range(len(self.program.members))]
        functions += [self.predict()]
        parts = [
            about(self.program, self.constants, self.stack),
            f"#ifndef {NAME}_H\n#define {NAME}_H\n\n#include <math.h>\n",
            f"#define {NAME}_INPUTS {len(self.program.inputs)}\n"
            f"#define {NAME}_OUTPUTS {self.program.n_outputs}\n",
            *self.labels(),
            *self.arrays,
            *(f"{text}\n" for text in self.functions.texts.values()),
            *self.by_hand.values(),
            *functions,
            *([ARGMAX.format(**self.forms)] if kind == "classes" else ()),
            f"#endif /* {NAME}_H */\n",
        ]
        return "\n".join(parts)

    # Constants --------------------------------------------------------------------------------

    def array(self, name: str, values: Array) -> str:
        """Write numbers as a constant array; return its name."""
        numbers = [literal(value, self.dtype) for value in values.ravel()]
        self.constants += len(numbers)
        name = f"{self.name}_{name}"
        lines = "\n".join(filled(numbers))
        self.arrays.append(f"static const {self.T} {name}[{len(numbers)}] = {{\n{lines}\n}};\n")
        return name

    def labels(self) -> list[str]:
        """Return the classes as an array of texts; nothing for another task."""
        if self.program.parts.task != "classes":
            return []
        texts = ",\n".join(f"    {quoted(str(label))}" for label in self.program.classes)
        head = f"static const char *const {self.name}_classes[{self.name.upper()}_OUTPUTS]"
        return [f"{head} = {{\n{texts}\n}};\n"]

    # Functions --------------------------------------------------------------------------------

    def member(self, number: int) -> str:
        """Return the function of one member: features to outputs."""
        layers, sizes = self.program.members[number], self.program.sizes
        several = len(self.program.members) > 1
        mark = f"{number}_" if several else ""
        places = ["x", *("even" if l % 2 == 0 else "odd" for l in range(len(layers) - 1))]
        places.append("out + 1" if self.program.binary else "out")
        lines = self.buffers({
            "even": max(sizes[1:-1:2], default=0), "odd": max(sizes[2:-1:2], default=0),
        })  # fmt: skip
        for l, layer in enumerate(layers):
            W, b = (self.array(f"{mark}{n}{l}", v) for n, v in (("W", layer.W), ("b", layer.b)))
            n_in, n_out = layer.W.shape
            lines.append(
                f"{self.name}_dense({n_in}, {n_out}, {W}, {b}, {places[l]}, {places[l + 1]});"
            )
            if l == len(layers) - 1 and self.program.binary:
                lines += self.two_classes(layer)
            else:
                lines += self.activate(layer, places[l + 1])
        return self.function(f"network{f'_{number}' if several else ''}", "x", "out", lines)

    def activate(self, layer: Dense, z: str) -> list[str]:
        """Return the lines that apply σ to the units of a layer, which lie at `z`."""
        sigma, n = layer.activation, layer.W.shape[1]
        if isinstance(sigma, Softmax):
            form = SOFTMAX.format(**self.forms, exp=self.functions.named("exp"))
            self.by_hand.setdefault("softmax", form)
            return [f"{self.name}_softmax({n}, {z});"]
        if isinstance(sigma, Increasing):
            form = INCREASING.format(**self.forms, softplus=self.functions.of(Softplus()))
            self.by_hand.setdefault("increasing", form)
            return [f"{self.name}_increasing({n}, {sigma.block or n}, {z});"]
        if isinstance(sigma, Identity):
            return []
        return [loop(n, f"{z}[k] = {self.functions.of(sigma)}({z}[k])")]

    def two_classes(self, layer: Dense) -> list[str]:
        """Return the lines that make two probabilities of the one z, which lies at out[1]."""
        if isinstance(layer.activation, Softmax | Increasing):  # of one unit
            raise ValueError(
                f"output activation {layer.activation.name!r} of one unit tells no two classes"
            )
        sigma = self.functions.of(layer.activation)
        if isinstance(layer.activation, Sigmoid):  # σ(−z) = 1 − σ(z), and loses no digits
            return [f"out[0] = {sigma}(-out[1]);", f"out[1] = {sigma}(out[1]);"]
        return [f"out[1] = {sigma}(out[1]);", "out[0] = 1 - out[1];"]

    def encode(self) -> str:
        """Return the function from a row's columns to features; see `preprocessing.features`."""
        fills, lines, place = not self.program.parts.refuses_gaps, [], 0
        for i, record in enumerate(self.program.columns or ()):
            for text in self.features(record, f"x[{i}]", fills):
                lines.append(f"features[{place}] = {text};")
                place += 1
        return self.function("encode", "x", "features", lines)

    def features(self, record: dict[str, Any], x: str, fills: bool) -> Iterator[str]:
        """Yield the features of a column as C expressions of its value `x`."""
        kind, constant = record["kind"], record.get("constant")
        if kind == "time":
            raise ValueError(
                f"column {record['name']!r} holds dates, whose calendar C lacks; leave it out, give"
                " its parts as numbers, or take another format: --to numpy"
            )
        if kind == "category" and not constant:
            levels = len(record["levels"]) + (record["rare"] != [])
            yield from (f"{x} == {k}" for k in range(levels))
        elif kind != "dropped" and not constant:
            yield self.scaled(record, self.or_fill(record, x) if fills else x)
        if record.get("missing"):
            yield f"!({x} >= 0)" if kind == "category" else f"isnan({x}) != 0"

    def or_fill(self, record: dict[str, Any], x: str) -> str:
        """Return x, or in its gaps what they are filled with."""
        return f"(isnan({x}) ? {literal(record['fill'], self.dtype)} : {x})"

    def scaled(self, record: dict[str, Any], x: str) -> str:
        """Return a number scaled as was learnt."""
        if record["kind"] == "flag" or (record["center"] == 0 and record["scale"] == 1):
            return x
        center, scale = (literal(record[name], self.dtype) for name in ("center", "scale"))
        z = f"{self.functions.plain(scaled)}({x}, {center}, {scale})"
        return f"{self.functions.plain(squashed)}({z})" if record["squash"] else z

    def predict(self) -> str:
        """Return the function of a whole row."""
        program, n, count = self.program, self.program.n_outputs, len(self.program.members)
        encodes, T = program.columns is not None, self.T
        lines = self.buffers({
            "features": program.sizes[0] * encodes, "each": n * (count > 1),
        })  # fmt: skip
        x = "features" if encodes else "x"
        lines += [f"{self.name}_encode(x, features);"] if encodes else []
        if count == 1:
            lines.append(f"{self.name}_network({x}, out);")
        else:
            lines.append(loop(n, "out[k] = 0"))
            for member in range(count):
                lines.append(f"{self.name}_network_{member}({x}, each);")
                lines.append(loop(n, f"out[k] += each[k] / {count}"))
        if not program.sums_to_one:
            least = literal(1e-300, self.dtype)
            lines += [
                f"{T} sum = 0;",
                loop(n, "sum += out[k]"),
                loop(n, f"out[k] /= {self.functions.named('maximum')}(sum, {least})"),
            ]
        if program.units:
            scale, mean = map(self.array, ("scale", "mean"), program.units)
            lines.append(loop(n, f"out[k] = out[k] * {scale}[k] + {mean}[k]"))
        return self.function("predict", "x", "out", lines)

    def buffers(self, sizes: dict[str, int]) -> list[str]:
        """Return the declaration of the arrays that have a size."""
        named = [f"{name}[{size}]" for name, size in sizes.items() if size]
        self.stack += sum(sizes.values())
        return [f"{self.T} {', '.join(named)};"] if named else []

    def function(self, name: str, given: str, into: str, lines: list[str]) -> str:
        """Return a function from one array to another."""
        body = "\n".join(f"    {line}" for line in lines)
        head = f"static inline void {self.name}_{name}(const {self.T} *{given}, {self.T} *{into})"
        return f"{head}\n{{\n{body}\n}}\n"
