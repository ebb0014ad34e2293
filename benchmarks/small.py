"""Small: what is paid once, however little there is to do: a call of `train`, one row's answer."""

from __future__ import annotations

from statistics import median
from typing import Any

from benchmarks.cases import NETWORKS, Case
from benchmarks.measure import Contestant, intercept, measure
from benchmarks.settings import Settings
from benchmarks.workers import Workers

EPOCHS = (1, 2, 5, 10, 20, 50, 100)
REPEATS = 20  # calls for each number of epochs in a round; the median counts
ONE_THREAD = {"engine": "native", "n_threads": 1}


def fixed_cost(workers: Workers, settings: Settings) -> dict[str, Any]:
    """Return what a call of `train` costs over its steps: where the line over epochs begins.

    The half adder, four rows, plain SGD.
    """
    settings.tell("fixed cost of a call of train")
    worker, rounds = workers["chainrule"], []
    worker.prepare("fixed", "train", NETWORKS[0].of(dtype="float64"), ONE_THREAD)
    worker.run("fixed", 100)
    for _ in range(settings.rounds):
        times = {
            epochs: median(worker.run("fixed", epochs)[0] for _ in range(REPEATS))
            for epochs in EPOCHS
        }
        cost, per_epoch = intercept(list(times), list(times.values()))
        rounds.append({"seconds": times, "fixed": cost, "per_epoch": per_epoch})
    worker.forget()
    return {
        "fixed": median(each["fixed"] for each in rounds),
        "per_epoch": median(each["per_epoch"] for each in rounds),
        "rounds": rounds,
    }


def one_row(workers: Workers, settings: Settings) -> dict[str, Any]:
    """Return what `predict` takes for one row: below the estimator, through it, scikit-learn's."""
    settings.tell("one-row predict")
    regressor = NETWORKS[2].of(batches=8, dtype="float64")
    classifier = Case(
        "20-64-64-3 relu", (20, 64, 64, 3), "relu", "softmax", "cross_entropy", 64, 8,
        dtype="float64",
    )  # fmt: skip
    each = [
        Contestant("Network", "chainrule", regressor, "predict", {"estimator": False}),
        Contestant("MLPRegressor", "chainrule", regressor, "predict", {"estimator": True}),
        Contestant("scikit-learn's MLPRegressor", "scikit-learn", regressor, "predict"),
        Contestant("MLPClassifier", "chainrule", classifier, "predict", {"estimator": True}),
        Contestant("scikit-learn's MLPClassifier", "scikit-learn", classifier, "predict"),
    ]
    each = [one for one in each if one.peer in workers]
    measure(workers, each, settings.rounds, min(settings.seconds, 0.1))
    return {one.name: one.as_json() for one in each}
