"""Models to export: every activation, kind of output, loss, precision and way of encoding."""

from __future__ import annotations

import warnings
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline

from chainrule.activations import Celu, Increasing, LeakyRelu
from chainrule.estimators import MLPClassifier, MLPRegressor
from chainrule.initializers import Uniform
from chainrule.network import Network
from chainrule.preprocessing import TableEncoder
from strategies import NAMES

DTYPES = ("float32", "float64")
WORDS = np.array(["no", 'a "quoted" ??/ one', "Zürich */ \\"])


def network(seed: int, dtype: str, activations: Any = None) -> Network:
    """Return a network of sizes and, if none are given, activations that its seed draws."""
    rng = np.random.default_rng(seed)
    depth = len(activations) if activations else int(rng.integers(1, 5))
    sizes = rng.integers(1, 9, depth + 1).tolist()
    drawn = activations or [NAMES[k] for k in rng.integers(len(NAMES), size=depth)]
    return Network(sizes, drawn, initializers=Uniform(-1, 1), seed=seed, dtype=dtype)


def rows(model: Any, n: int = 7) -> Any:
    """Return rows for a network or an estimator without names, in its precision."""
    network = isinstance(model, Network)
    width = model.sizes[0] if network else model.n_features_in_
    dtype = model.dtype if network else model.coefs_[0].dtype
    return np.random.default_rng(5).normal(size=(n, width)).astype(dtype)


@cache
def networks() -> dict[str, Network]:
    """Return networks with every activation inside and at the end, and settings of their own."""
    found = {}
    for number, dtype in enumerate(DTYPES):
        for place, name in enumerate(NAMES):
            found[f"{name} {dtype}"] = network(2 * place + number, dtype, [name, name, "identity"])
            found[f"{name} at the end {dtype}"] = network(50 + place, dtype, ["tanh", name])
        settings = [LeakyRelu(0.2), LeakyRelu(0.3), "leaky_relu", Celu(0.5), Increasing(2)]
        found[f"settings {dtype}"] = network(9, dtype, settings)
        found[f"one layer {dtype}"] = network(10, dtype, ["softmax"])
    return found


@cache
def estimators() -> dict[str, Any]:
    """Return fitted estimators: every kind of target, output, and what is done with outputs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return _estimators()


def _estimators() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5))
    y = X @ rng.normal(size=5)
    Y = X @ rng.normal(size=(5, 3))
    gaps = np.where(rng.uniform(size=X.shape) < 0.2, np.nan, X * 30 + 7)
    brief: dict[str, Any] = {"max_iter": 3, "random_state": 0}

    def classifier(**given: Any) -> Any:
        return MLPClassifier((6, 4), **brief | given)

    def regressor(**given: Any) -> Any:
        return MLPRegressor(hidden_layer_sizes=(6, 4), **brief | given)

    thirds, binary = np.digitize(y, [-1, 1]), y > 0
    return {
        "two classes": classifier().fit(X, WORDS[binary.astype(int)]),
        "three classes": classifier(activation="gelu").fit(X, WORDS[thirds]),
        "four numbers as classes": classifier().fit(X, thirds * 2 + 1),
        "labels": classifier(activation="tanh").fit(X, Y > 0),
        "two classes of a hard sigmoid": classifier(output_activation="hard_sigmoid").fit(
            X, binary
        ),
        "classes that do not sum to one": classifier(output_activation="sigmoid").fit(X, thirds),
        "calibrated": classifier().fit(X, thirds).calibrate(X, thirds),
        "two calibrated": classifier().fit(X, binary).calibrate(X, binary),
        "labels calibrated": classifier().fit(X, Y > 0).calibrate(X, Y > 0),
        "members": classifier(n_estimators=3).fit(X, thirds),
        "binary members": classifier(n_estimators=2).fit(X, binary),
        "sigmoid members": classifier(n_estimators=2, output_activation="sigmoid").fit(X, thirds),
        "number": regressor().fit(X, y),
        "numbers": regressor(scale_y="standard").fit(X, Y * 100 + 5),
        "number of members": regressor(scale_y="robust", n_estimators=2).fit(X, y * 1e4),
        "counts": regressor(loss="poisson").fit(X, np.abs(y)),
        "quantiles": regressor(loss="quantile", quantile=(0.1, 0.5, 0.9)).fit(X, y),
        "quantiles of several": regressor(
            loss="quantile", quantile=(0.2, 0.4, 0.7, 0.8), scale_y="standard"
        ).fit(X, Y),
        "one quantile": regressor(loss="quantile", quantile=0.3).fit(X, y),
        "no hidden layer": MLPRegressor("squared_error", (), **brief).fit(X, y),
        "scaled": regressor(scale_X="standard").fit(X * 50 + 3, y),
        "robust": regressor(scale_X="robust").fit(X * 50 + 3, y),
        "gaps": classifier(missing="indicator", scale_X="robust").fit(gaps, thirds),
        "gaps imputed": classifier(missing="impute").fit(gaps, binary),
    }


def saying(model: Any) -> Any:
    """Return the function of rows whose numbers (n, outputs) an export has to give."""
    if isinstance(model, Network):
        return model.predict
    if hasattr(model[-1] if isinstance(model, Pipeline) else model, "classes_"):
        return model.predict_proba
    network = model[-1] if isinstance(model, Pipeline) else model
    if len(network._quantiles()) > 1:
        return lambda X: model.predict_quantiles(X).reshape(len(X), -1)
    return lambda X: model.predict(X).reshape(len(X), -1)


def table(n: int, seed: int = 0, dates: bool = False) -> pl.DataFrame:
    """Return a table with every kind of column, gaps in most, a useless one, and odd names."""
    rng = np.random.default_rng(seed)

    def gaps(values: Any) -> list[Any]:
        return [
            None if gap else v for v, gap in zip(values, rng.uniform(size=n) < 0.2, strict=True)
        ]

    seconds = rng.integers(0, 3000, n).tolist()
    frame = pl.DataFrame({
        "size in m² */": gaps(rng.normal(50, 20, n).tolist()),
        "whole": rng.integers(0, 5, n).tolist(),
        "town": gaps(rng.choice(["Bern", "Zürich", "Zug", "x\"y"], n, p=[0.5, 0.3, 0.17, 0.03])),
        "open": gaps((rng.uniform(size=n) < 0.5).tolist()),
        "seen": [n - 7] * n,
        "id": [f"row {k}" for k in range(n)],
        "for": [timedelta(seconds=s) for s in seconds],
        "only gaps": gaps([3.0] * n),
        "grade": rng.choice(["low", "high"], n).tolist(),
    })  # fmt: skip
    moments = [datetime(2024, 1, 1) + timedelta(days=s / 5, hours=s) for s in seconds]
    return frame.with_columns(pl.Series("when", gaps(moments))) if dates else frame


def pipeline(dtype: str = "float64", dates: bool = False, **settings: Any) -> Any:
    """Return a fitted pipeline of encoder and network."""
    frame = table(300, dates=dates)
    encoder = TableEncoder(dtype=dtype, min_frequency=30, **settings)
    network = MLPClassifier((5,), "tanh", max_iter=3, random_state=0)
    steps = Pipeline([("encoder", encoder), ("network", network)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return steps.fit(frame, WORDS[np.arange(300) % 3])
