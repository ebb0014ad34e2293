"""Compilation: one library from the C++ sources and the emitted formulas, by the Clang in ziglang.

`hatch_build.py` calls it when the package is installed. Only the standard library is needed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
FLAGS = [
    "-std=c++17",
    "-O3",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
    "-fno-exceptions",
    "-fno-rtti",
    "-fvisibility=hidden",
    "-falign-loops=32",  # else a loop's place, and its speed, changes with what is linked before it
    "-Wall",
    "-Wextra",
    "-Wno-unused-parameter",
]
#: The instruction sets of each kind of processor: name, compiler's name, bytes of a vector.
INSTRUCTION_SETS = {
    "x86_64": (("base", "x86_64", 16), ("v3", "x86_64_v3", 32)),
    "aarch64": (("base", "baseline", 16),),
}
#: For what else a library can be compiled here: the system, and the kind of processor.
TARGETS = ("linux-aarch64", "linux-x86_64", "macos-aarch64", "macos-x86_64", "windows-x86_64")
SUFFIXES = {"windows": ".dll", "macos": ".dylib"}
#: How a library is linked: without C++'s, and on Windows without C's, which take minutes to build.
LIBRARY = ("-shared", "-s", "-nostdlib++")
WINDOWS_LIBRARY = ("-shared", "-s", "-nostdlib", "-rtlib=compiler-rt", "-lkernel32", "-lucrtbase")


def system() -> str:
    """Return the operating system, by the name in TARGETS where it is known."""
    name = platform.system().lower()
    return {"darwin": "macos"}.get(name, name)


def library_name(of: str = "") -> str:
    """Return the file name of the library on a system, by default this one."""
    return f"libchainrule{SUFFIXES.get(of or system(), '.so')}"


def processor() -> str:
    """Return the kind of processor, by the name in INSTRUCTION_SETS where it is known."""
    machine = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)


def digest(package: Path = HERE.parent) -> str:
    """Return a sum over all that a library is made of, to know one made of other formulas."""
    emit = load_emit(package)
    texts = list(emit.read_modules(package).values())
    native = package / "native"
    sources = [p for p in native.iterdir() if p.suffix in {".h", ".cpp"}]
    sources += [native / "emit.py", native / "compile.py"]
    texts += [path.read_text("utf-8") for path in sorted(sources)]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:32]


def load_emit(package: Path) -> ModuleType:
    """Return the room `emit`, without importing the package, which a build cannot."""
    name = "chainrule.native.emit"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, package / "native" / "emit.py")
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


def compile_library(folder: Path, package: Path = HERE.parent, target: str = "") -> Path:
    """Build the library into `folder` and return its path.

    `target` is one of TARGETS, or nothing for this machine. Raises OSError for a processor that is
    not known, and for a compiler that is missing or fails.
    """
    to = target.partition("-")[0] or system()
    library = folder / library_name(to)
    with tempfile.TemporaryDirectory() as room:
        fresh = Path(room, library.name)
        link(fresh, WINDOWS_LIBRARY if to == "windows" else LIBRARY, (), package, target)
        folder.mkdir(parents=True, exist_ok=True)
        beside = folder / f"{library.name}.new"  # never write into a library that is in use
        beside.write_bytes(fresh.read_bytes())
        beside.replace(library)
    return library


def link(
    into: Path,
    linking: Sequence[str],
    compiling: Sequence[str] = (),
    package: Path = HERE.parent,
    target: str = "",
    more: Sequence[Path] = (),
) -> None:
    """Compile all sources, and `more`, with the flags `compiling`; link them into one file.

    Kernels are compiled once for each instruction set, the rest for the oldest; all at a time.
    """
    kind = target.partition("-")[2] or processor()
    if kind not in INSTRUCTION_SETS:
        raise OSError(f"there are no kernels for the processor {kind!r}")
    emit, native, sets = load_emit(package), package / "native", INSTRUCTION_SETS[kind]
    with tempfile.TemporaryDirectory() as room:
        formulas = Path(room, "formulas.h")
        formulas.write_text(emit.header(emit.read_modules(package)), "utf-8")
        always = [*for_target(target), *compiling]
        oldest = [f"-mcpu={sets[0][1]}", f'-DSOURCES="{digest(package)}"']
        oldest += [f"-DHAS_{name.upper()}" for name, _, _ in sets]
        jobs = [
            (native / "kernels.cpp",
             [f"-mcpu={cpu}", f"-DVECTOR_BYTES={width}", f"-DKERNELS=kernels_{name}"])
            for name, cpu, width in sets
        ]  # fmt: skip
        jobs += [(path, oldest) for path in (native / "library.cpp", native / "pool.cpp", *more)]

        def compile_one(number: int) -> str:
            source, flags = jobs[number]
            made = str(Path(room, f"{number}.o"))
            places = [f"-I{room}", f"-I{native}", "-c", str(source), "-o", made]
            _compiler(room, *always, *flags, *places)
            return made

        with ThreadPoolExecutor() as workers:
            objects = list(workers.map(compile_one, range(len(jobs))))
        _compiler(room, *always, f"-mcpu={sets[0][1]}", *objects, *linking, "-o", str(into))


def for_target(target: str) -> list[str]:
    """Return the compiler's flags for one of TARGETS, or for this machine."""
    name, _, kind = target.partition("-")
    fixed = [] if (name or system()) == "windows" else ["-fPIC"]
    library = "" if name == "macos" else "-gnu"
    return [*fixed, "-target", f"{kind}-{name}{library}"] if target else fixed


def _compiler(room: str, *arguments: str) -> None:
    """Run the compiler; raise OSError with what it said when it fails."""
    caches = {name: str(Path(room, "cache")) for name in ("ZIG_GLOBAL_CACHE_DIR",
                                                          "ZIG_LOCAL_CACHE_DIR")}  # fmt: skip
    command = [sys.executable, "-m", "ziglang", "c++", *FLAGS, *arguments]
    done = subprocess.run(command, env=caches | dict(os.environ), capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"the compiler failed: {done.stderr.strip()[-2000:]}")
