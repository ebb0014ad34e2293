"""Layout: rooms small enough to read at one sitting, each with its purpose, and light to import."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import FunctionType

import pytest

import chainrule
from chainrule.activations import ACTIVATIONS
from chainrule.initializers import INITIALIZERS
from chainrule.losses import LOSSES
from chainrule.optimizers import OPTIMIZERS
from chainrule.schedules import SCHEDULES

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
ROOMS = sorted(SOURCE.rglob("*.py"))
NATIVE = sorted(p for p in SOURCE.rglob("*") if p.suffix in {".h", ".hpp", ".cpp"})
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 400, 50
MEMBERS = {
    f"{family}[{name!r}]": member
    for family, table in [
        ("ACTIVATIONS", ACTIVATIONS),
        ("LOSSES", LOSSES),
        ("OPTIMIZERS", OPTIMIZERS),
        ("SCHEDULES", SCHEDULES),
        ("INITIALIZERS", INITIALIZERS),
    ]
    for name, member in table.items()
}


def label(path):
    return path.relative_to(SOURCE / "chainrule").as_posix()


def module_of(path):
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return importlib.import_module(".".join(p for p in parts if p != "__init__"))


def lines_of(function):
    """Return how many lines a function takes, its docstring not counted."""
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is not None:
        lines -= function.body[0].end_lineno - function.body[0].lineno + 1
    return lines


def is_public(name):
    return not name.startswith("_")


@pytest.mark.parametrize("path", ROOMS + NATIVE, ids=label)
def test_a_room_is_read_at_one_sitting(path):
    assert len(path.read_text("utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", ROOMS, ids=label)
def test_functions_are_short(path):
    tree = ast.parse(path.read_text("utf-8"))
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    lengths = {function.name: lines_of(function) for function in functions}
    assert {k: n for k, n in lengths.items() if n > MOST_LINES_OF_A_FUNCTION} == {}


@pytest.mark.parametrize("path", ROOMS, ids=label)
def test_a_room_says_why_it_exists(path):
    """One line: the word of the field, a colon, and a sentence or a question."""
    first = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n")[0]
    assert re.fullmatch(r"[\w-]+( [\w-]+)*: \S.*[.?]", first), first


@pytest.mark.parametrize("path", ROOMS, ids=label)
def test_what_is_public_says_what_it_does(path):
    """A method may have its docstring from a class above it, or from a protocol of its room."""
    room = module_of(path)
    own = {
        name: thing
        for name, thing in vars(room).items()
        if is_public(name) and getattr(thing, "__module__", None) == room.__name__
    }
    things = {k: v for k, v in own.items() if inspect.isclass(v) or inspect.isfunction(v)}
    classes = [thing for thing in things.values() if inspect.isclass(thing)]
    silent = [name for name, thing in things.items() if not says_something(name, thing)]
    for cls in classes:
        protocols = [c for c in classes if getattr(c, "_is_protocol", False)]
        silent += [
            f"{cls.__name__}.{name}"
            for name, member in vars(cls).items()
            if is_public(name)
            and isinstance(member, property | classmethod | staticmethod | FunctionType)
            and not any(inspect.getdoc(getattr(c, name, None)) for c in [cls, *protocols])
        ]
    assert silent == []


def says_something(name, thing):
    """Return whether there is a docstring, other than the signature that a dataclass writes."""
    doc = inspect.getdoc(thing) or ""
    return bool(doc) and not doc.startswith(f"{name}(")


@pytest.mark.parametrize("member", MEMBERS)
def test_table_members_show_their_formula_or_paper(member):
    """In the member's own docstring: a sign that only mathematics has, or (Author 1993, …)."""
    thing = MEMBERS[member]
    own = vars(thing if inspect.isclass(thing) else type(thing)).get("__doc__") or ""
    assert re.search(r"[=←−·²½Σ√|α-ω]|\b0\b|\[.*\)|\([A-Z].* \d{4}\b", own), own


def test_public_names_resolve():
    stub = ast.parse((SOURCE / "chainrule" / "__init__.pyi").read_text("utf-8"))
    named = [a.asname for n in stub.body if isinstance(n, ast.ImportFrom) for a in n.names]
    assert sorted(named) == sorted(chainrule.__all__)
    assert sorted(set(named)) == sorted(named)
    for name in named:
        thing = getattr(chainrule, name)
        assert thing is not None
        assert name in dir(chainrule)


def test_the_command_line_begins_without_what_its_commands_need():
    script = """
import sys, chainrule.cli
late = {"sklearn", "polars", "matplotlib", "pandas", "torch", "onnx", "scipy"}
assert not late & sys.modules.keys(), late & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_command_line_tells_its_help_with_few_packages():
    """Some that read words from annotations import a dozen more, at every command."""
    script = """
import sys
before = set(sys.modules)
from chainrule import cli
sys.argv = ["chainrule", "train", "--help"]
try:
    cli.main()
except SystemExit as end:
    assert not end.code
from importlib.metadata import packages_distributions
loaded = {name.partition(".")[0] for name in sys.modules.keys() - before}
others = loaded & packages_distributions().keys() - {"chainrule"}
assert others <= {"click", "lazy_loader", "numpy", "rich", "threadpoolctl"}, others
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def contract(name):
    config = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = config["tool"]["importlinter"]["contracts"]
    return next(each for each in contracts if name in each["name"])


def test_network_level_imports_nothing_heavy():
    heavy = contract("network level")["forbidden_modules"]
    assert {"sklearn", "polars", "matplotlib", "rich", "click"} <= set(heavy)
    suspects = [*heavy, "pandas", "scipy", "torch"]
    script = f"""
import sys, chainrule
def loaded():
    return [name for name in {suspects} if name in sys.modules]
assert not loaded(), ("import chainrule", loaded())
net = chainrule.Network([2, 3, 1], activations=["tanh", "identity"], seed=0)
X, Y = [[0.0, 1.0], [1.0, 0.0]], [[1.0], [0.0]]
net.backward(net.forward(X), Y, loss="squared_error")
assert chainrule.check_gradients(net, X, Y, loss="squared_error").passed
assert not loaded(), ("backward and check_gradients", loaded())
chainrule.train(net, X, Y, loss="squared_error", epochs=1)
assert set(loaded()) <= {{"scipy.optimize"}}, ("train", loaded())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_room_has_its_floor():
    """The contract names each room once, so a new one can't be forgotten."""
    floors = contract("Imports go down")
    assert floors["exhaustive"]
    named = [room for floor in floors["layers"] for room in floor.split(" | ")]
    package = SOURCE / "chainrule"
    rooms = {p.stem for p in package.glob("*.py")} | {
        p.parent.name for p in package.glob("*/__init__.py")
    }
    assert sorted(named) == sorted(rooms - {"__init__"})


def test_no_path_of_one_machine_is_written_down():
    """Neither a home, a mount nor a drive: what is tracked must mean the same everywhere."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    machine = re.compile(rb"(?<![\w.<>}])/(?:home|Users|root|opt|work|mnt|tmp)/\w|\b[A-Z]:\\\w")
    found = [
        f"{name}: {hit[0].decode()}"
        for name in listed.stdout.split("\0")[:-1]
        if (ROOT / name).is_file()
        for hit in machine.finditer((ROOT / name).read_bytes())
    ]
    assert found == []
