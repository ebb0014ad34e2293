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
    "-Wall",
    "-Wextra",
    "-Wno-unused-parameter",
]
#: The instruction sets of each kind of processor: name, compiler's name, bytes of a vector.
INSTRUCTION_SETS = {
    "x86_64": (("base", "x86_64", 16), ("v3", "x86_64_v3", 32)),
    "aarch64": (("base", "baseline", 16),),
}
SUFFIXES = {"Windows": ".dll", "Darwin": ".dylib"}


def library_name() -> str:
    """Return the file name of the library on this system."""
    return f"libchainrule{SUFFIXES.get(platform.system(), '.so')}"


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


def compile_library(folder: Path, package: Path = HERE.parent) -> Path:
    """Build the library into `folder` and return its path.

    Raises OSError for a processor that is not known, and for a compiler that is missing or fails.
    """
    if processor() not in INSTRUCTION_SETS:
        raise OSError(f"there are no kernels for the processor {processor()!r}")
    emit = load_emit(package)
    with tempfile.TemporaryDirectory() as room:
        formulas = Path(room, "formulas.h")
        formulas.write_text(emit.header(emit.read_modules(package)), "utf-8")
        objects, defined = [], [f'-DSOURCES="{digest(package)}"']
        for name, target, width in INSTRUCTION_SETS[processor()]:
            objects.append(Path(room, f"{name}.o"))
            defined.append(f"-DHAS_{name.upper()}")
            kind = [f"-mcpu={target}", f"-DVECTOR_BYTES={width}", f"-DKERNELS=kernels_{name}"]
            _compiler(room, *kind, "-c", str(HERE / "kernels.cpp"), "-o", str(objects[-1]))
        oldest = f"-mcpu={INSTRUCTION_SETS[processor()][0][1]}"
        library = folder / library_name()
        fresh = Path(room, library.name)
        parts = [str(HERE / "library.cpp"), str(HERE / "pool.cpp"), *map(str, objects)]
        _compiler(room, oldest, *defined, "-shared", "-nostdlib++", *parts, "-o", str(fresh))
        folder.mkdir(parents=True, exist_ok=True)
        beside = folder / f"{library.name}.new"  # never write into a library that is in use
        beside.write_bytes(fresh.read_bytes())
        beside.replace(library)
    return library


def _compiler(room: str, *arguments: str) -> None:
    """Run the compiler; raise OSError with what it said when it fails."""
    caches = {name: str(Path(room, "cache")) for name in ("ZIG_GLOBAL_CACHE_DIR",
                                                          "ZIG_LOCAL_CACHE_DIR")}  # fmt: skip
    fixed = [] if platform.system() == "Windows" else ["-fPIC"]
    command = [sys.executable, "-m", "ziglang", "c++", *FLAGS, *fixed, f"-I{room}", *arguments]
    done = subprocess.run(command, env=caches | dict(os.environ), capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"the compiler failed: {done.stderr.strip()[-2000:]}")
