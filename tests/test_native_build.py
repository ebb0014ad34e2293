"""The native library's build: here and for other systems, and what is said where there is none."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from chainrule import native
from chainrule.native import __main__ as command
from chainrule.native import find
from chainrule.native.compile import (
    INSTRUCTION_SETS,
    TARGETS,
    compile_library,
    library_name,
    processor,
    system,
)

BEGINS = {  # the first bytes of a library, by system
    "linux": b"\x7fELF",
    "macos": b"\xcf\xfa\xed\xfe",  # Mach-O, 64 bits
    "windows": b"MZ",
}
PROCESSOR = {  # where the processor's number stands, and which it is
    "linux-aarch64": (18, 183),
    "linux-x86_64": (18, 62),
    "macos-aarch64": (4, 0x0C),
    "macos-x86_64": (4, 0x07),
}
CALLS = ["advance", "apply", "arena_bytes", "cost_and_gradient", "evaluate", "formulas", "has",
         "job_bytes", "sources"]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("target", [t for t in TARGETS if t != f"{system()}-{processor()}"])
def test_libraries_for_other_systems_are_compiled_here(target, tmp_path, monkeypatch):
    """They cannot be run here: only format, processor and exported names are looked at."""
    pytest.importorskip("ziglang", reason="ziglang compiles them")
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", str(Path.home() / ".cache" / "zig"))
    words = ["--target", target, "--into", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "chainrule.native", *words], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    library = tmp_path / library_name(target.partition("-")[0])
    assert done.stdout.strip() == str(library)
    content = library.read_bytes()
    assert content.startswith(BEGINS[target.partition("-")[0]])
    if target in PROCESSOR:
        place, number = PROCESSOR[target]
        assert content[place] == number
    else:
        header = int.from_bytes(content[60:64], "little")
        assert content[header : header + 6] == b"PE\0\0" + (0x8664).to_bytes(2, "little")
    for call in CALLS:
        assert f"chainrule_{call}\0".encode() in content
    assert native.digest().encode() in content


CHANGED = """
import numpy as np
from chainrule import Network, train
X = np.array([[0.5, -2.0], [1.0, 3.0]])
for engine in ("reference", "native"):
    net = Network([2, 3, 1], "softsign", seed=0)
    train(net, X, X[:, :1], epochs=5, optimizer="sgd", engine=engine)
    print(repr(net.theta.tolist()))
"""


@pytest.mark.slow
def test_a_formula_changed_in_its_one_place_changes_both_engines(tmp_path, monkeypatch):
    """A copy of the package with another softsign: both its engines train alike, and otherwise."""
    pytest.importorskip("ziglang", reason="ziglang compiles it")
    package = tmp_path / "chainrule"
    left_out = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(native.HERE.parent, package, ignore=left_out)
    formulas = package / "activations.py"
    text = formulas.read_text("utf-8")
    for old, new in (("z / (1 + abs(z))", "z / (2 + abs(z))"),
                     ("d = 1 + abs(z)\n        return 1 / (d * d)",
                      "d = 2 + abs(z)\n        return 2 / (d * d)")):  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    formulas.write_text(text, "utf-8")
    kind = processor()  # one instruction set tells as much as all
    monkeypatch.setitem(INSTRUCTION_SETS, kind, INSTRUCTION_SETS[kind][:1])
    compile_library(package / "native", package=package)
    trained = []
    for folder in (tmp_path, native.HERE.parents[1]):
        done = subprocess.run(
            [sys.executable, "-c", CHANGED], env=os.environ | {"PYTHONPATH": str(folder)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        trained.append([json.loads(line) for line in done.stdout.splitlines()])
    for reference, compiled in trained:
        assert compiled == pytest.approx(reference, rel=1e-12)
    assert trained[0][0] != pytest.approx(trained[1][0], rel=1e-3)


def test_every_target_has_kernels_and_a_name_of_its_own():
    assert {target.partition("-")[2] for target in TARGETS} == set(INSTRUCTION_SETS)
    assert {library_name(target.partition("-")[0]) for target in TARGETS} == {
        "libchainrule.so", "libchainrule.dylib", "libchainrule.dll",
    }  # fmt: skip


@pytest.mark.skipif(isinstance(find(), str), reason=str(find()))
def test_the_command_tells_library_instruction_set_threads_and_formulas(capsys):
    assert command.main([]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["library"] == str(find().path)
    assert lines["instruction"].startswith(f"set  {find().instruction_sets[-1]} of ")
    assert lines["threads"] == f"at most {native.cores()}"
    assert int(lines["formulas"]) == sum(map(len, find().formulas.values()))


@pytest.mark.parametrize("broken", [None, b"nothing"])
def test_without_a_library_the_command_says_why_and_what_to_do(
    tmp_path, monkeypatch, capsys, broken
):
    if broken:
        (tmp_path / library_name()).write_bytes(broken)
    monkeypatch.setattr(native, "HERE", tmp_path)
    native.find.cache_clear()
    try:
        assert command.main([]) == 1
    finally:
        native.find.cache_clear()
    (line,) = capsys.readouterr().out.splitlines()
    assert "`python -m chainrule.native --build`" in line
    assert "ziglang" in line
    assert "the reference engine serves" in line


@pytest.mark.skipif(isinstance(find(), str), reason=str(find()))
def test_a_library_of_other_sources_says_how_to_build_it_anew(monkeypatch):
    monkeypatch.setattr(native, "digest", lambda: "another")
    with pytest.raises(native.Unusable, match=r"other sources.*chainrule\.native --build"):
        native.load(native.HERE / library_name())


def test_a_compiler_that_fails_is_told_in_one_line(tmp_path, monkeypatch, capsys):
    def refuse(*_, **__):
        raise OSError("the compiler failed: no such thing")

    monkeypatch.setattr(command, "compile_library", refuse)
    assert command.main(["--build"]) == 1
    assert command.main(["--target", "linux-aarch64", "--into", str(tmp_path)]) == 1
    for line in capsys.readouterr().err.splitlines():
        assert line == "cannot compile the native library: the compiler failed: no such thing"


def test_a_processor_without_kernels_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr("chainrule.native.compile.processor", lambda: "vax")
    with pytest.raises(OSError, match="'vax'"):
        compile_library(tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="hatchling is not here")
def test_the_wheel_names_the_platform_it_was_built_on():
    hook = Path(__file__).parents[1] / "hatch_build.py"
    spec = importlib.util.spec_from_file_location("hatch_build", hook)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    expected = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    assert module.platform_tag() == expected
