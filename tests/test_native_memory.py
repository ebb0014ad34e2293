"""Memory of the native engine: nothing is touched that is not its own, by several checkers.

The quick form places all arrays against guard pages. With -m slow the whole of test_native.py runs
so, and with a library that stops at undefined behaviour; recorded calls are replayed without Python
under ThreadSanitizer, built by ziglang, and under valgrind where there is one.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import family
import guarded
from chainrule.engine import ENGINES, native
from chainrule.native import Library, find
from chainrule.native.compile import INSTRUCTION_SETS, LIBRARY, link, processor

HERE = Path(__file__).parent
pytestmark = [
    pytest.mark.skipif("native" not in ENGINES, reason="there is no native engine"),
    pytest.mark.skipif(os.name != "posix", reason="no mprotect here"),
]
FAMILY = 42  # seeds: every loss with every optimizer that takes steps


def run(*words, **more):
    """Run a command in a process of its own, beside this file."""
    return subprocess.run(
        [str(word) for word in words], cwd=HERE, capture_output=True, text=True, timeout=900,
        env=os.environ | more,
    )  # fmt: skip


def guard(*words):
    return run(sys.executable, "-X", "faulthandler", "guarded.py", *words)


@pytest.mark.parametrize("where", ["before", "after"])
def test_nothing_is_touched_beyond_an_array(where):
    done = guard(where, "train", FAMILY)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_prediction_touches_nothing_beyond_an_array(where):
    done = guard(where, "predict", 100)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("where", ["before", "after"])
def test_an_arena_too_small_by_one_line_is_noticed(where):
    """The guards bite: without the arena's last 64 bytes the same training ends its process."""
    assert guard(where, "steal", FAMILY).returncode != 0


@pytest.mark.slow
@pytest.mark.parametrize("where", ["before", "after"])
def test_nothing_is_touched_beyond_an_array_in_all_that_equals_the_reference(where):
    done = guard(where, "pytest", "test_native.py", "-k", "equal or bit or float32 or diverge")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


IN_LIBRARY = """
import chainrule.native as native, pytest
native.library_name = lambda: {library!r}
words = ["-q", "-p", "no:cacheprovider", "test_native.py", "-k", "equal or bit"]
raise SystemExit(pytest.main(words))
"""


@pytest.mark.slow
def test_no_undefined_behaviour(tmp_path):
    """A trap at the first overflow, bad shift, misaligned or wild access, bad conversion."""
    pytest.importorskip("ziglang", reason="ziglang compiles the checked library")
    library = tmp_path / "libchecked.so"
    checks = ["-O1", "-fsanitize=undefined", "-fsanitize-trap=undefined"]
    # Offsets from a null that is never read are formed where nothing drops out.
    link(library, LIBRARY, [*checks, "-fno-sanitize=pointer-overflow"])
    done = run(sys.executable, "-X", "faulthandler", "-c", IN_LIBRARY.format(library=str(library)))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.fixture
def record(tmp_path, monkeypatch):
    """Return a function that records the calls of some trainings, and says in which file."""

    def of(seeds, instruction_set):
        path = tmp_path / "calls"
        with path.open("wb") as file, monkeypatch.context() as patched:
            patched.setattr(native.NativeEngine, "__init__", native.NativeEngine.__init__)
            guarded.install(lambda calls: guarded.Recorder(calls, file))
            for seed in seeds:
                family.bits(seed, instruction_set)
        return path

    return of


@pytest.fixture
def oldest_set(monkeypatch):
    """Have kernels compiled for one instruction set alone, and return its name."""
    kind = processor()
    monkeypatch.setitem(INSTRUCTION_SETS, kind, INSTRUCTION_SETS[kind][:1])
    return INSTRUCTION_SETS[kind][0][0]


@pytest.mark.slow
def test_no_race_among_helpers_and_callers(tmp_path, record, monkeypatch, oldest_set):
    """Two calls at once, each of up to four threads: all as ThreadSanitizer saw it, in order."""
    pytest.importorskip("ziglang", reason="ziglang compiles ThreadSanitizer")
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", str(Path.home() / ".cache" / "zig"))  # its runtime
    program = tmp_path / "replay"
    flags = ["-O1", "-g", "-fsanitize=thread"]
    link(program, flags, flags, more=[HERE / "native" / "replay.cpp"])
    calls = record(range(12), oldest_set)
    for callers in (1, 2, 5):
        done = run(program, calls, callers, TSAN_OPTIONS="halt_on_error=1")
        assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="no valgrind; guard pages stand in")
def test_valgrind_sees_no_wrong_access(tmp_path, record, oldest_set):
    pytest.importorskip("ziglang", reason="ziglang compiles the program")
    program = tmp_path / "replay"
    flags = ["-O1", "-g", "-fno-sanitize=undefined"]
    link(program, [*flags, "-nostdlib++"], flags, more=[HERE / "native" / "replay.cpp"])
    calls = record(range(12), oldest_set)
    done = run("valgrind", "--error-exitcode=9", "-q", program, calls, 2)
    assert done.returncode == 0, done.stderr[-3000:]


#: What the library may call: clocks, threads, and C's memory moves and mathematics. No allocation.
ALLOWED = {
    "pthread_create", "pthread_detach", "pthread_self", "pthread_sigmask", "pthread_atfork",
    "__register_atfork", "pthread_mutex_lock", "pthread_mutex_unlock", "pthread_cond_wait",
    "pthread_cond_signal", "pthread_getaffinity_np", "pthread_setaffinity_np", "sched_getcpu",
    "sched_yield", "sigfillset", "sysconf", "clock_gettime", "pow", "cos", "floor",
    "memcpy", "memset", "memmove", "__sched_cpucount", "__stack_chk_fail",
}  # fmt: skip
WEAK = {"__gmon_start__", "_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable",
        "__cxa_finalize"}  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="reads an ELF file")
def test_no_call_allocates():
    """The library can't: it knows no function that does. So no step allocates."""
    assert isinstance(find(), Library)
    assert wanted(find().path.read_bytes()) <= ALLOWED | WEAK


def wanted(elf):
    """Return the names that a 64-bit ELF library leaves others to define."""

    def at(place, size):
        return int.from_bytes(elf[place : place + size], "little")

    sections, count = at(40, 8), at(60, 2)
    heads = [sections + 64 * i for i in range(count)]
    symbols = next(head for head in heads if at(head + 4, 4) == 11)  # SHT_DYNSYM
    start, size = at(symbols + 24, 8), at(symbols + 32, 8)
    names = at(heads[at(symbols + 40, 4)] + 24, 8)
    found = set()
    for entry in range(start, start + size, 24):
        name = names + at(entry, 4)
        if at(entry + 6, 2) == 0:  # SHN_UNDEF
            found.add(elf[name : elf.index(b"\0", name)].decode())
    return found - {""}
