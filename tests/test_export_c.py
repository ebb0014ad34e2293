"""C: what a compiler makes of a model's header says what the model says."""

import ctypes
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.pipeline import Pipeline

from chainrule.activations import Activation, Celu
from chainrule.estimators import MLPClassifier, MLPRegressor
from chainrule.export import export_model
from chainrule.export.c import to_c
from chainrule.export.c.texts import commented, literal, quoted
from chainrule.network import Network
from chainrule.preprocessing import TableEncoder
from exported import DTYPES, estimators, network, networks, pipeline, rows, saying, table
from strategies import seeds

STRICT = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"]
SYSTEMS = shutil.which("cc")
COMPILER = (  # what C leaves undefined is a crash
    [sys.executable, "-m", "ziglang", "cc", "-fsanitize-trap=undefined"]
    if importlib.util.find_spec("ziglang")
    else [SYSTEMS] if SYSTEMS else None
)  # fmt: skip
#: Python has the mathematics in it, where it may be left out of a library.
LINKING = ["-nostdlib"] if sys.platform == "linux" else ["-lm"]
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")


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
        [*compiler, *flags, "-O0", "-shared", "-fPIC", "all.c", "-o", library.name, *LINKING],
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


@needs_compiler
def test_every_activation_inside_and_at_the_end_in_both_precisions(tmp_path):
    assert_same_as_compiled(networks(), tmp_path)


@needs_compiler
@pytest.mark.parametrize("dtype", [None, "float32"])
def test_every_kind_of_target_and_output(dtype, tmp_path):
    assert_same_as_compiled(estimators(), tmp_path, dtype)


@needs_compiler
def test_a_table_of_numbers_flags_categories_and_gaps(tmp_path):
    models = {
        f"t{place}": pipeline(dtype, numbers=numbers, missing=missing)
        for place, (dtype, numbers, missing) in enumerate(
            [("float64", "robust", "indicator"), ("float32", "standard", "impute"),
             ("float64", "none", "indicator")]
        )
    }  # fmt: skip
    library = compiled({name: to_c(model, name) for name, model in models.items()}, tmp_path)
    frame = table(40, seed=1).with_columns(pl.lit("never seen").alias("grade"))
    frame = pl.concat([table(40, seed=2), frame])
    for name, model in models.items():
        dtype = model[-1].coefs_[0].dtype
        X = as_numbers(frame, model[0]).astype(dtype)
        found = run(library, name, X, 3)
        close = 1e-5 if dtype == np.float32 else 1e-12
        assert found == pytest.approx(model.predict_proba(frame), rel=close, abs=close)


def as_numbers(frame, encoder):
    """Return a table's rows as the header's comment asks for them."""
    columns = []
    for record in encoder.columns_:
        if record["kind"] == "dropped":
            continue
        values = frame[record["name"]].to_list()
        if record["kind"] == "category":
            places = {level: k for k, level in enumerate(record["levels"])}
            places |= dict.fromkeys(record["rare"], len(record["levels"]))
            values = [None if v is None else places.get(v, -1) for v in values]
        if record["kind"] == "duration":
            values = [v.total_seconds() for v in values]
        columns.append([np.nan if v is None else float(v) for v in values])
    return np.array(columns).T


@needs_compiler
@pytest.mark.slow
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(seeds, st.sampled_from(DTYPES)), min_size=15, max_size=15))
def test_any_network(tmp_path, drawn):
    models = {
        f"{seed} {dtype} {place}": network(seed, dtype) for place, (seed, dtype) in enumerate(drawn)
    }
    folder = Path(tempfile.mkdtemp(dir=tmp_path))  # a loaded library is not to be written over
    assert_same_as_compiled(models, folder)


@needs_compiler
@pytest.mark.parametrize("dtype", DTYPES)
def test_logits_that_overflow_a_power(dtype, tmp_path):
    """e^10000 has no number; the softmax of such logits has."""
    net = Network([2, 3], ["softmax"], initializers="zeros", dtype=dtype)
    net.b[0][:] = [-1e4, 1e4, 1e4 - 1]
    assert_same_as_compiled({"large": net}, tmp_path)


# Without a compiler ------------------------------------------------------------------------------


class Cubed(Activation):
    """σ(z) = z³."""

    def value(self, z):
        cube = z * z * z
        return cube + 0 * z**3


class Cosine(Activation):
    """σ(z) = arctan z."""

    def value(self, z):
        return np.arctan(z)


def test_an_activation_of_the_users_own_class_is_translated():
    header = to_c(Network([2, 1], [Cubed()]), "own")
    assert "static inline double own_cubed(double z)\n{\n    double cube = (z * z) * z;\n" in header
    assert "    return cube + (0.0 * pow(z, 3.0));\n}" in header


def square(z):
    return z * z


X4 = np.arange(8.0).reshape(4, 2)
DATES = pl.DataFrame({"when": [datetime(2024, 1, d) for d in (1, 2, 5, 9)], "x": [1, 2, 3, 5]})


def fitted(model, X=X4, y=(0, 1, 2, 2)):
    return model.set_params(solver="lbfgs", max_iter=2).fit(X, list(y))


def dated():
    encoder = TableEncoder()
    network = fitted(MLPRegressor(), encoder.fit_transform(DATES))
    return Pipeline([("encoder", encoder), ("network", network)])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Network([2, 1], [(square, lambda z: 2 * z)]), "'square' is two Python functions"),
        (lambda: Network([2, 1], [Cosine()]), "no equal in C: value: np.arctan(z)"),
        (lambda: fitted(MLPClassifier(), y=["a"] * 4), "knows one class only, 'a'"),
        (lambda: fitted(MLPClassifier(n_estimators=2)).calibrate(X4, [0, 1, 2, 2]), "2 members"),
        (
            lambda: fitted(MLPClassifier(output_activation="hard_sigmoid")).calibrate(
                X4, [0, 1, 2, 2]
            ),
            "'hard_sigmoid'; fit and calibrate with",
        ),
        (dated, "column 'when' holds dates"),
        (lambda: Network([2, 1], [Celu(1e300)], dtype="float32"), "1e+300 has no float32"),
        (TableEncoder, "a TableEncoder cannot be exported"),
    ],
)
def test_what_c_cannot_hold_is_refused_with_the_reason(make, says):
    with pytest.raises(ValueError, match=re.escape(says)) as error:
        to_c(make())
    assert "\n" not in str(error.value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_constant_is_read_back_as_the_number_it_is(value):
    assert float(literal(value, np.dtype("float64"))) == value
    if abs(value) < 3e38:
        single = np.float32(value)
        assert np.float32(literal(single, np.dtype("float32")).removesuffix("f")) == single


@given(st.text())
def test_texts_of_the_users_end_no_comment_and_no_string(text):
    assert "*/" not in commented(text)
    assert len(commented(text).splitlines()) <= 1
    inner = quoted(text)[1:-1]
    assert inner.isascii()
    assert inner.isprintable()
    bare = re.sub(r"\\([0-7]{3}|[\"\\?])", "", inner)
    assert not set(bare) & set('"\\?')


def test_the_comment_says_what_the_arrays_take():
    header = to_c(Network([4, 16, 8, 16, 3], "relu", output_activation="softmax"), "my net")
    assert "Flash: 411 constants of 8 bytes, 3,288 bytes in all" in header
    assert "Stack: 192 bytes for arrays" in header
    assert re.findall(r"double (even\[.*);", header) == ["even[16], odd[8]"]
    assert sum(map(int, re.findall(r"static const double \w+\[(\d+)\]", header))) == 411


def test_the_command_names_the_functions_by_the_file(tmp_path):
    path = tmp_path / "House prices.h"
    export_model(Network([2, 1]), path, "c", dtype="float32")
    assert "void house_prices_predict(const float *x, float *out)" in path.read_text("utf-8")
