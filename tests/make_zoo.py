"""Write the zoo of model files for the version that is installed; read again for ever after.

    python tests/make_zoo.py

makes the folder tests/zoo/VERSION with a model file of every kind and, beside each, a JSON file
with rows and what the model answers for them. It refuses where the folder exists: what a released
version wrote is never written again. tests/test_zoo.py reads all of them.
"""

from __future__ import annotations

import hashlib
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.pipeline import Pipeline

import chainrule as cr
from chainrule.activations import Increasing, OverRows
from chainrule.losses import Quantiles, get_loss
from chainrule.settings import Settings
from chainrule.tabular import predict_table, train_table

ZOO = Path(__file__).with_name("zoo")
RNG = np.random.default_rng(0)
X = np.round(RNG.normal(size=(24, 3)), 3)
NUMBERS = np.round(np.abs(X @ [1.0, 2.0, 3.0]), 3)
WORDS = np.array(["no", "yes"])[(X[:, 0] > 0) * 1]
THREE = np.arange(24) % 3
LABELS = np.c_[X[:, 0] > 0, X[:, 1] > 0, X[:, 2] > -1] * 1
SMALL: dict[str, Any] = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
TABLE: dict[str, list[Any]] = {
    "size": [1.0, 2.5, None, 4.0] * 6,
    "town": ["Bern", "Zürich", "Genève", None] * 6,
    "flag": [True, False, None, True, False] * 4 + [True] * 4,
    "when": [f"2020-01-{day:02d}" for day in range(1, 25)],
    "constant": [1] * 24,
}


def answers(model: Any, rows: Any) -> dict[str, Any]:
    """Return what a model says about rows, by the name of the method."""
    names = ["predict", "predict_proba", "transform"]
    found = {name: getattr(model, name)(rows) for name in names if hasattr(model, name)}
    return {name: np.asarray(value).tolist() for name, value in found.items()}


def networks() -> Iterator[tuple[str, Any]]:
    """Yield networks: each activation, and both precisions."""
    names = sorted(name for name, a in cr.ACTIVATIONS.items() if not isinstance(a, OverRows))
    yield "network-activations", cr.Network([3] * (len(names) + 1), names, seed=0)
    yield "network-float32", cr.Network([3, 4, 2], ["tanh", "softmax"], seed=0, dtype="float32")
    own = [cr.LeakyRelu(0.2), Increasing(2)]
    yield "network-settings", cr.Network([3, 5, 4], own, seed=0)


def classifiers() -> Iterator[tuple[str, Any]]:
    """Yield classifiers: two classes, several, labels, and every loss of theirs."""
    yield "classifier-binary", cr.MLPClassifier(**SMALL).fit(X, WORDS)
    yield "classifier-multiclass", cr.MLPClassifier(**SMALL).fit(X, THREE)
    yield "classifier-multilabel", cr.MLPClassifier(**SMALL).fit(X, LABELS)
    yield "classifier-focal", cr.MLPClassifier(loss="focal", **SMALL).fit(X, THREE)
    balanced = cr.MLPClassifier(loss="focal", class_weight="balanced", **SMALL)
    yield "classifier-balanced", balanced.fit(X, WORDS)
    for loss, y in (
        ("cross_entropy", THREE),
        ("binary_cross_entropy", WORDS),
        ("binary_focal", WORDS),
    ):
        yield f"classifier-{loss}", cr.MLPClassifier(loss=get_loss(loss), **SMALL).fit(X, y)
    dates = np.array(["2020-01-01", "2021-01-01"], "M8[D]")[(X[:, 0] > 0) * 1]
    yield "classifier-dates", cr.MLPClassifier(calibration_fraction=0.3, **SMALL).fit(X, dates)


def regressors() -> Iterator[tuple[str, Any]]:
    """Yield regressors: one target and several, every loss of theirs, members, intervals."""
    for loss in ("squared_error", "absolute_error", "huber", "poisson", "quantile"):
        yield f"regressor-{loss}", cr.MLPRegressor(loss, **SMALL).fit(X, NUMBERS)
    yield "regressor-own-quantiles", cr.MLPRegressor(Quantiles((0.2, 0.8)), **SMALL).fit(X, NUMBERS)
    several = cr.MLPRegressor("quantile", quantile=[0.1, 0.5, 0.9], **SMALL)
    yield "regressor-quantiles", several.fit(X, NUMBERS)
    two = cr.MLPRegressor(scale_y="standard", calibration_fraction=0.3, **SMALL)
    yield "regressor-outputs", two.fit(X, np.c_[NUMBERS, X[:, 0]])
    yield "regressor-members", cr.MLPRegressor(n_estimators=3, **SMALL).fit(X, NUMBERS)


def trainings() -> Iterator[tuple[str, Any]]:
    """Yield trainings under way: each optimizer with its state, each schedule, early stopping."""
    schedules = sorted(cr.SCHEDULES)
    for name in sorted(cr.OPTIMIZERS):
        model = cr.MLPRegressor(solver=name, **SMALL)
        if name == "lbfgs":
            yield "solver-lbfgs", model.fit(X, NUMBERS)
            continue
        model.set_params(learning_rate=schedules.pop())
        yield f"solver-{name}", model.partial_fit(X, NUMBERS).partial_fit(X, NUMBERS)
    for name in schedules:
        yield f"schedule-{name}", cr.MLPRegressor(learning_rate=name, **SMALL).fit(X, NUMBERS)
    stopped = cr.MLPClassifier(
        early_stopping=True, ema_decay=0.9, dropout=0.1, solver=cr.SGD(0.1, momentum=0.5),
        learning_rate=cr.ReduceOnPlateau(0.5, patience=1), **SMALL,
    )  # fmt: skip
    yield "early-stopping", stopped.fit(X, WORDS)
    averaged = cr.MLPClassifier(ema_decay=0.9, random_state=np.random.RandomState(0))
    averaged.set_params(hidden_layer_sizes=(4, 3), activation=["tanh", cr.LeakyRelu(0.2)])
    yield "average", averaged.partial_fit(X, WORDS, classes=["no", "yes"])


def tables() -> Iterator[tuple[str, Any]]:
    """Yield what reads tables: an encoder, an estimator with one, a pipeline."""
    frame = pl.DataFrame(TABLE)
    yield "encoder", cr.TableEncoder(max_levels=2, dtype="float32").fit(frame)
    raw = cr.MLPClassifier(missing="indicator", categorical_features=["town"], **SMALL)
    yield "classifier-raw-table", raw.fit(frame, THREE)
    pipeline = Pipeline([("table", cr.TableEncoder()), ("network", cr.MLPRegressor(**SMALL))])
    yield "pipeline", pipeline.fit(frame, NUMBERS)


def keep(folder: Path, name: str, save: Callable[[Path], None], rows: Any, said: Any) -> None:
    """Save a model, and beside it the rows, the answers and the file's SHA-256."""
    path = folder / f"{name}.chainrule"
    save(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    record = {"sha256": digest, "rows": rows, "answers": said}
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), default=str)
    path.with_suffix(".json").write_text(text + "\n", "utf-8")


def make(folder: Path) -> None:
    """Write all models into a new folder."""
    few = {name: column[:6] for name, column in TABLE.items()}
    models = [*networks(), *classifiers(), *regressors(), *trainings(), *tables()]
    table = train_table(pl.DataFrame(TABLE | {"y": NUMBERS}), "y", Settings(epochs=3, hidden=(4,)))
    folder.mkdir(parents=True)
    for name, model in models:
        read_tables = name in ("encoder", "classifier-raw-table", "pipeline")
        said = answers(model, pl.DataFrame(few) if read_tables else X[:6])
        rows = few if read_tables else X[:6].tolist()
        keep(folder, name, lambda path, model=model: cr.save_model(model, path), rows, said)
    said = {"predict_table": predict_table(table, pl.DataFrame(few))[0]["prediction"].to_list()}
    keep(folder, "table-model", table.save, few, said)


if __name__ == "__main__":
    folder = ZOO / cr.__version__
    if folder.exists():
        sys.exit(f"{folder} exists: raise chainrule's version first; no zoo is written twice")
    warnings.simplefilter("ignore")  # three epochs are few
    make(folder)
    size = sum(path.stat().st_size for path in folder.iterdir())
    said = " ".join(str(cr.read_header(path)) for path in folder.glob("*.chainrule"))
    for table in (cr.ACTIVATIONS, cr.OPTIMIZERS, cr.SCHEDULES, cr.LOSSES):
        if absent := [name for name in table if name not in said and name != "logistic"]:
            print(f"in no file: {', '.join(absent)}")
    print(f"{folder}: {len(list(folder.iterdir()))} files, {size:,} bytes")
