"""C: what a compiler makes of a model's header says what the model says."""

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.pipeline import Pipeline

from chainrule.activations import ACTIVATIONS, Activation, Celu
from chainrule.estimators import MLPClassifier, MLPRegressor
from chainrule.export.c import to_c
from chainrule.export.c.texts import commented, literal, quoted
from chainrule.network import Network
from chainrule.preprocessing import TableEncoder
from exported import DTYPES, estimators, network, networks, pipelines, rows, saying
from strategies import seeds

STRICT = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"]
SYSTEMS = shutil.which("cc")
COMPILER = (
    [sys.executable, "-m", "ziglang", "cc"]
    if importlib.util.find_spec("ziglang")
    else [SYSTEMS] if SYSTEMS else None
)  # fmt: skip
pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")


def compiled(headers, folder, compiler=COMPILER, flags=STRICT):
    """Compile headers of several models, by name, into one library."""
    for name, header in headers.items():
        (folder / f"{name}.h").write_text(header, "utf-8")
    calls = (
        f'#include "{name}.h"\nvoid run_{name}(const void *x, void *out);\n'
        f"void run_{name}(const void *x, void *out) {{ {name}_predict(x, out); }}\n"
        for name in headers
    )
    (folder / "all.c").write_text("".join(calls))
    library = folder / "all.so"
    caches = {f"ZIG_{kind}_CACHE_DIR": str(folder / "cache") for kind in ("GLOBAL", "LOCAL")}
    done = subprocess.run(
        [*compiler, *flags, "-O1", "-shared", "-fPIC", "all.c", "-o", library.name, "-lm"],
        cwd=folder, env=os.environ | caches, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(library))


def run(library, name, X, n_outputs):
    """Return what a compiled model says of rows X, in X's own type."""
    X = np.ascontiguousarray(X)
    out = np.full((len(X), n_outputs + 1), 7, X.dtype)
    call = getattr(library, f"run_{name}")
    for x, o in zip(X, out, strict=True):
        call(ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(o.ctypes.data))
    assert (out[:, -1] == 7).all()  # nothing behind the outputs is written to
    return out[:, :-1]


def assert_same_as_compiled(models, folder, dtype=None):
    """Compile models, and compare what they and their headers say of rows, in `dtype` if given."""
    names = {f"m{place}": model for place, model in enumerate(models.values())}
    library = compiled({n: to_c(m, n, dtype=dtype) for n, m in names.items()}, folder)
    for (name, model), label in zip(names.items(), models, strict=True):
        X, said = rows(model), saying(model)
        X = X if dtype is None else X.astype(dtype)
        expected = said(X)
        found = run(library, name, X, expected.shape[1])
        single = X.dtype == np.float32
        close = {"rel": 3e-5, "abs": 3e-6} if single else {"rel": 1e-11, "abs": 1e-13}
        assert found == pytest.approx(expected, nan_ok=False, **close), label


def test_every_activation_inside_and_at_the_end_in_both_precisions(tmp_path):
    assert_same_as_compiled(networks(), tmp_path)


@pytest.mark.parametrize("dtype", [None, "float32"])
def test_every_kind_of_target_and_output(dtype, tmp_path):
    assert_same_as_compiled(estimators(), tmp_path, dtype)
