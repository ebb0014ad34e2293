"""Emission: the formulas, translated from their Python definitions into a C++ header.

Only the syntax tree is read, so a build needs no NumPy. What the translator does not know is
refused by name. A *number* (a setting, the rate, t) is a double; everything else, z or w or g, is
a T, and a number becomes a T where the two meet, as NumPy does it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

#: Table, its module, and the methods that are formulas; what the module's classes are made from.
FAMILIES = (
    ("ACTIVATIONS", "activations", ("value", "derivative")),
    (
        "LOSSES",
        "losses",
        ("target", "value", "gradient", "value_from_logits", "delta_from_logits"),
    ),
    ("OPTIMIZERS", "optimizers", ("update",)),
    ("SCHEDULES", "schedules", ("factor",)),
    ("PENALTIES", "penalties", ("value", "gradient")),
)
BASES = {"losses": "cost"}
#: What takes the units of a row together, in rows.h, and its formulas that don't.
BY_HAND: dict[str, tuple[str, ...]] = {
    "Softmax": (),
    "Increasing": (),
    "Quantiles": (),
    "CrossEntropy": ("value", "gradient"),
    "Focal": ("value", "gradient"),
}
NO_STEPS = ("LBFGS",)  # SciPy's steps, our cost and gradient
NUMBERS = (  # arguments that are one number for all
    "rate", "t", "n", "per_epoch", "total", "weight_decay", "ema_decay",
)  # fmt: skip
OWN = ("decayed", "averaged")  # functions of our own that the rules share, or the engine takes
FUNCTIONS = [
    "abs",
    "cos",
    "exp",
    "expm1",
    "floor",
    "log",
    "log1p",
    "maximum",
    "minimum",
    "sign",
    "sqrt",
    "tanh",
    "_log",
    "_log_derivative",
    "_focus",
    "_focus_slope",
    "_pinball",
    "_pinball_slope",
]
FALLING = ("exp", "expm1")  # maths.h has a shorter form of them for what is never positive
SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


class Untranslatable(ValueError):
    """A formula uses what the translator does not know."""


@dataclass
class Module:
    """The classes, functions and constants of one Python module, by name."""

    source: str
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    constants: dict[str, float] = field(default_factory=lambda: {"pi": 3.141592653589793})
    tables: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in ast.parse(self.source).body:
            if isinstance(node, ast.ClassDef):
                self.classes[node.name] = node
            elif isinstance(node, ast.FunctionDef):
                self.functions[node.name] = node
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                self._assigned(node)

    def _assigned(self, node: ast.Assign | ast.AnnAssign) -> None:
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        name, value = ast.unparse(target), node.value
        if isinstance(value, ast.Constant) and isinstance(value.value, int | float):
            self.constants[name] = value.value
        elif isinstance(value, ast.Dict):
            entries = (e.func if isinstance(e, ast.Call) else e for e in value.values)
            self.tables[name] = list(dict.fromkeys(map(ast.unparse, entries)))

    def line(self, name: str) -> Iterator[ast.ClassDef]:
        """Yield the class and those it derives from, nearest first."""
        while name in self.classes:
            yield self.classes[name]
            name = next(iter(map(ast.unparse, self.classes[name].bases)), "")

    def method(self, cls: str, name: str) -> ast.FunctionDef:
        """Return the method that an object of class `cls` has."""
        for each in self.line(cls):
            for node in each.body:
                if isinstance(node, ast.FunctionDef) and node.name == name:
                    return node
        raise Untranslatable(f"{cls} has no {name}")

    def settings(self, cls: str) -> dict[str, float]:
        """Return the fields of a dataclass with their defaults, in order."""
        return {
            ast.unparse(node.target): float(ast.literal_eval(node.value))
            for each in reversed(list(self.line(cls)))
            for node in each.body
            if isinstance(node, ast.AnnAssign)
            and node.value is not None
            and not ast.unparse(node.annotation).startswith("ClassVar")
        }


@dataclass
class Function:
    """One function under translation; `kinds` tells of each name whether it is a number."""

    module: Module
    node: ast.FunctionDef
    kinds: dict[str, str] = field(default_factory=dict)

    def text(self, result: str = "T") -> str:
        """Return the function in C++."""
        arguments = [a.arg for a in self.node.args.args if a.arg != "self"]
        known = {"slots": "Slots<T>"} | dict.fromkeys(NUMBERS, "double")
        self.kinds = {name: known.get(name, "T") for name in arguments}
        given = ", ".join(f"{kind} {name}" for name, kind in self.kinds.items())
        body = "\n".join(
            f"    {line}" for node in self.node.body for line in self.line(node, result)
        )
        return f"  INLINE {result} {self.node.name}({given}) const {{\n{body}\n  }}\n"

    def line(self, node: ast.stmt, result: str) -> Iterator[str]:
        """Yield a statement's lines in C++."""
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return  # the docstring
        if isinstance(node, ast.Raise):
            yield f"return {result}();  // not offered, and never called"
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
            w, slots = node.value.elts
            assert isinstance(slots, ast.Tuple)
            kept = ", ".join(self.array(slot) for slot in slots.elts)
            yield f"return {{{self.array(w)}, {{{{{kept}}}}}}};"
        elif isinstance(node, ast.Return) and node.value is not None:
            as_it_is = result == "double" or result.startswith("Step")
            yield f"return {self.of(node.value)[0] if as_it_is else self.array(node.value)};"
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            for i, name in enumerate(map(ast.unparse, node.targets[0].elts)):
                self.kinds[name] = "T"
                yield f"T {name} = {ast.unparse(node.value)}.each[{i}];"
        elif isinstance(node, ast.Assign):
            name, (value, kind) = ast.unparse(node.targets[0]), self.of(node.value)
            if self.kinds.setdefault(name, kind) != kind:
                raise Untranslatable(f"{self.node.name}: {name} is once a number, once not")
            fresh = name not in {a.arg for a in self.node.args.args} and self.first(name, node)
            yield f"{kind + ' ' if fresh else ''}{name} = {value};"
        else:
            raise Untranslatable(f"{self.node.name}: {ast.unparse(node)}")

    def first(self, name: str, node: ast.stmt) -> bool:
        """Tell whether `node` is the first statement that assigns `name`."""
        stores = (n for s in self.node.body for n in ast.walk(s) if isinstance(n, ast.Name))
        first = next(n for n in stores if isinstance(n.ctx, ast.Store) and n.id == name)
        return first in list(ast.walk(node))

    def array(self, node: ast.expr) -> str:
        """Return an expression as a T."""
        text, kind = self.of(node)
        return f"T({text})" if kind == "double" else text

    def of(self, node: ast.expr) -> tuple[str, str]:
        """Return an expression in C++, and whether it is a "double" or a "T"."""
        if isinstance(node, ast.Constant):
            return repr(float(ast.unparse(node))), "double"
        if isinstance(node, ast.Name) and node.id in self.kinds:
            return node.id, self.kinds[node.id]
        if isinstance(node, ast.Name) and node.id in self.module.constants:
            return repr(float(self.module.constants[node.id])), "double"
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self":
            return f"this->{node.attr}", "double"
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            text, kind = self.of(node.operand)
            return f"(-{text})", kind
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            return self.join([node.left, node.right], "m::power({})")
        if isinstance(node, ast.BinOp) and type(node.op) in SIGNS:
            return self.join([node.left, node.right], "({})", f" {SIGNS[type(node.op)]} ")
        if isinstance(node, ast.IfExp):
            text, kind = self.join([node.body, node.orelse], "{}", " : ")
            return f"({self.of(node.test)[0]} != 0 ? {text})", kind
        if isinstance(node, ast.Call):
            return self.call(node)
        raise Untranslatable(f"{self.node.name}: {ast.unparse(node)}")

    def join(self, nodes: list[ast.expr], form: str, between: str = ", ") -> tuple[str, str]:
        """Return expressions side by side, all of one kind."""
        kind = "T" if any(self.of(node)[1] == "T" for node in nodes) else "double"
        texts = [self.array(node) if kind == "T" else self.of(node)[0] for node in nodes]
        return form.format(between.join(texts)), kind

    def call(self, node: ast.Call) -> tuple[str, str]:
        """Return a call: of a function, of another member's formula, of a base class's."""
        if isinstance(node.func, ast.Name) and node.func.id == "float":
            return self.of(node.args[0])
        if isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
            falling = node.func.id in FALLING and never_positive(node.args[0])
            name = f"{node.func.id}_falling" if falling else node.func.id
            return self.join(node.args, f"m::{name}({{}})")
        if isinstance(node.func, ast.Name) and node.func.id in OWN:
            return f"m::{node.func.id}<T>({', '.join(self.of(each)[0] for each in node.args)})", "T"
        if isinstance(node.func, ast.Attribute):
            owner, name = node.func.value, node.func.attr
            if isinstance(owner, ast.Call) and not owner.args:  # Sigmoid().value(z)
                return self.join(node.args, f"{ast.unparse(owner.func)}<T>{{{{}}}}.{name}({{}})")
            own = ", ".join(f"this->{s}" for s in self.module.settings(ast.unparse(owner)))
            given = ", ".join(self.of(each)[0] for each in node.args[1:])  # Adam.update(self, …)
            return f"{ast.unparse(owner)}<T>{{{own}}}.{name}({given})", "T"
        raise Untranslatable(f"{self.node.name}: {ast.unparse(node)}")


def never_positive(node: ast.expr) -> bool:
    """Tell whether an expression is plainly <= 0 or NaN: -abs(…), or minimum(…, 0)."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
        return isinstance(node, ast.Call) and ast.unparse(node.func) == "abs"
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "minimum":
        return ast.unparse(node.args[1]) == "0"
    return False


def members(modules: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the classes of each table, in order; their places are the library's numbers.

    Those that are written by hand come last.
    """
    found = {}
    for table, name, _ in FAMILIES:
        module = Module(modules[name])
        entries = module.tables.get(table, ["Penalty"])
        entries = [entry for entry in entries if entry not in NO_STEPS]
        found[table] = sorted(entries, key=lambda entry: entry in BY_HAND)
    return found


def structure(module: Module, cls: str, methods: tuple[str, ...]) -> str:
    """Return one member of a table as a C++ structure."""
    settings = module.settings(cls)
    lines = [f"  double {name} = {default!r};\n" for name, default in settings.items()]
    given = ", ".join(f"p[{i}]" for i in range(len(settings)))
    lines.append(f"  static {cls} from(const double *p) {{ (void)p; return {{{given}}}; }}\n")
    for name in methods:
        result = {"update": "Step<T>", "factor": "double"}.get(name, "T")
        lines.append(Function(module, module.method(cls, name)).text(result))
    return f"template <class T> struct {cls} {{\n{''.join(lines)}}};\n"


def header(modules: Mapping[str, str]) -> str:
    """Return the C++ header of all formulas, given the text of each Python module."""
    parts = [
        "// Emitted from the Python definitions when the library is built. Do not edit.\n",
        "#pragma once\n",
    ]
    for table, name, methods in FAMILIES:
        module = Module(modules[name])
        for function in module.functions.values():
            if function.name.startswith("_") or function.name in OWN:
                text = Function(module, function).text().replace(") const {", ") {")
                parts.append(f"namespace m {{\ntemplate <class T>\n{text}}}\n")
        entries = members(modules)[table]
        emitted = [entry for entry in entries if entry not in BY_HAND]
        parts += [
            structure(module, entry, BY_HAND.get(entry, methods))
            for entry in entries
            if BY_HAND.get(entry, methods)
        ]
        listed = " ".join(f"X({i}, {entry})" for i, entry in enumerate(emitted))
        parts.append(f"#define {table}(X) {listed}\n")
        parts += [f"#define {e.upper()} {entries.index(e)}\n" for e in entries if e in BY_HAND]
    names = ";".join(f"{table} {' '.join(e)}" for table, e in members(modules).items())
    parts.append(f'#define FORMULA_NAMES "{names}"\n')
    return "".join(parts)


def read_modules(package: Path) -> dict[str, str]:
    """Return the text of the modules that hold formulas, from the package's folder."""
    rooms = {name: filter(None, [BASES.get(name), name]) for _, name, _ in FAMILIES}
    return {
        name: "\n".join((package / f"{room}.py").read_text("utf-8") for room in its)
        for name, its in rooms.items()
    }
