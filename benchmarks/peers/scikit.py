"""Scikit: scikit-learn's own networks, as they are."""

from __future__ import annotations

import warnings
from time import perf_counter
from typing import Any

from sklearn.neural_network import MLPClassifier, MLPRegressor
from threadpoolctl import threadpool_limits

from benchmarks.cases import MOMENTUM, RATES, Case, Run, estimator_targets, make_data
from benchmarks.peers.fitted import fit_and_score

warnings.simplefilter("ignore")  # that training stops where we say so is no surprise


def make_model(case: Case, **settings: Any) -> MLPClassifier | MLPRegressor:
    """Return the estimator for a case: it stops where we say, and penalises nothing."""
    kind = MLPClassifier if case.loss.endswith("cross_entropy") else MLPRegressor
    return kind(
        hidden_layer_sizes=case.sizes[1:-1],
        activation=case.hidden.replace("sigmoid", "logistic"),
        solver=case.optimizer,
        learning_rate_init=RATES[case.optimizer],
        momentum=MOMENTUM,
        nesterovs_momentum=False,
        alpha=0.0,
        batch_size=case.batch,
        shuffle=not case.full_batch,
        tol=0.0,
        n_iter_no_change=10**9,
        **settings,
    )


def train(case: Case) -> tuple[Run, None]:
    """Fit so many epochs in one call. Sigmoid outputs of a regression are identity here."""
    X, Y = make_data(case)
    y = estimator_targets(case, Y)

    def run(epochs: int) -> tuple[float, int]:
        model = make_model(case, max_iter=epochs)
        started = perf_counter()
        model.fit(X, y)
        return perf_counter() - started, epochs * case.batches

    return run, None


def predict(case: Case) -> tuple[Run, None]:
    """Predict one row."""
    X, Y = make_data(case)
    model = make_model(case, max_iter=2).fit(X, estimator_targets(case, Y))
    row = X[:1]

    def run(calls: int) -> tuple[float, int]:
        started = perf_counter()
        for _ in range(calls):
            model.predict(row)
        return perf_counter() - started, calls

    return run, None


def fit(table: str, seed: int, settings: dict[str, Any], n_threads: int | None) -> dict[str, Any]:
    """Fit an estimator to a table of `benchmarks.datasets`; return its score and its seconds."""
    with threadpool_limits(n_threads):
        return fit_and_score(MLPClassifier, MLPRegressor, table, seed, settings)
