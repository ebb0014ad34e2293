"""Fitted: an estimator fitted to a table, the same way for each library that has estimators."""

from __future__ import annotations

import warnings
from time import perf_counter
from typing import Any

from benchmarks.datasets import split


def fit_and_score(
    classifier: Any, regressor: Any, table: str, seed: int, settings: dict[str, Any]
) -> dict[str, Any]:
    """Return score on the held-out rows, seconds of `fit`, and its epochs and last loss.

    The seed chooses the rows held out, and the estimator's own random numbers.
    """
    data = split(table, seed)
    model = (classifier if data.classes else regressor)(random_state=seed, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that max_iter ends the training is no surprise
        started = perf_counter()
        model.fit(data.X, data.y)
        seconds = perf_counter() - started
    return {
        "score": float(model.score(data.X_test, data.y_test)),
        "seconds": seconds,
        "epochs": int(model.n_iter_),
        "loss": float(model.loss_),
    }
