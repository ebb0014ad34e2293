"""Ours: chainrule through its public functions, nothing reached around."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from benchmarks.cases import MOMENTUM, RATES, Case, Run, estimator_targets, make_data
from benchmarks.peers.fitted import fit_and_score
from chainrule import SGD, Adam, Network
from chainrule import train as train_network


def make_network(case: Case, seed: int = 0) -> Network:
    """Return the case's network with first weights."""
    return Network(
        case.sizes, case.hidden, output_activation=case.output, dtype=case.dtype, seed=seed
    )


def make_settings(case: Case) -> dict[str, Any]:
    """Return what `chainrule.train` is told about a case."""
    rate = RATES[case.optimizer]
    return {
        "loss": case.loss,
        "optimizer": Adam(rate) if case.optimizer == "adam" else SGD(rate, momentum=MOMENTUM),
        "batch_size": case.batch,
        "shuffle": not case.full_batch,
    }


def train(case: Case, engine: str, n_threads: int | None) -> tuple[Run, None]:
    """Train anew from the same first weights, so many epochs in one call."""
    X, Y = make_data(case)
    network, settings = make_network(case), make_settings(case)
    first = network.theta.copy()

    def run(epochs: int) -> tuple[float, int]:
        network.theta[:] = first
        started = perf_counter()
        train_network(network, X, Y, epochs=epochs, engine=engine, n_threads=n_threads, **settings)
        return perf_counter() - started, epochs * case.batches

    return run, None


def predict(case: Case, estimator: bool) -> tuple[Run, None]:
    """Predict one row, below the estimator or through it."""
    X, Y = make_data(case)
    model: Any = make_network(case)
    if estimator:
        from chainrule import MLPClassifier, MLPRegressor

        kind = MLPClassifier if case.loss.endswith("cross_entropy") else MLPRegressor
        model = kind(hidden_layer_sizes=case.sizes[1:-1], tol=1.0)
        model.fit(X, estimator_targets(case, Y))
    row = X[:1]

    def run(calls: int) -> tuple[float, int]:
        started = perf_counter()
        for _ in range(calls):
            model.predict(row)
        return perf_counter() - started, calls

    return run, None


def fit(table: str, seed: int, settings: dict[str, Any], n_threads: int | None) -> dict[str, Any]:
    """Fit an estimator to a table of `benchmarks.datasets`; return its score and its seconds."""
    from chainrule import MLPClassifier, MLPRegressor

    settings = settings | {"n_threads": n_threads}
    return fit_and_score(MLPClassifier, MLPRegressor, table, seed, settings)
