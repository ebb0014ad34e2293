"""Scores: how good answers are, beside the best constant answer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = dict[str, float]


def class_scores(
    y: NDArray[Any],
    predicted: NDArray[Any],
    probabilities: NDArray[Any],
    classes: NDArray[Any],
    seen: NDArray[Any],
) -> tuple[Scores, Scores]:
    """Return scores of predicted classes, and those of the class shares among `seen`.

    Parameters
    ----------
    y, predicted : (n,)
        True and predicted classes.
    probabilities : (n, classes)
        Predicted, in the order of `classes`.
    seen : (m,)
        Classes that the constant answer is learnt from.

    Examples
    --------
    >>> classes = np.array(["no", "yes"])
    >>> y, p = np.array(["no", "yes"]), np.array([[0.9, 0.1], [0.2, 0.8]])
    >>> scores, baseline = class_scores(y, y, p, classes, seen=y)
    >>> scores["accuracy"], baseline["accuracy"], scores["auc"]
    (1.0, 0.5, 1.0)
    """
    from sklearn import metrics

    counts = np.array([(seen == label).sum() for label in classes])
    shares = np.tile(np.maximum(counts / counts.sum(), 1e-12), (len(y), 1))
    commonest = np.full(len(y), classes[counts.argmax()], dtype=y.dtype)
    found = []
    for answers, p in ((predicted, probabilities), (commonest, shares)):
        scores = {
            "accuracy": float((answers == y).mean()),
            "balanced_accuracy": _balanced_accuracy(y, answers),
            "log_loss": float(metrics.log_loss(y, p, labels=classes)),
        }
        if len(classes) == 2 and len(np.unique(y)) == 2:
            scores["auc"] = float(metrics.roc_auc_score(y == classes[1], p[:, 1]))
        found.append(scores)
    return found[0], found[1]


def never_predicted(
    predicted: NDArray[Any], probabilities: NDArray[Any], classes: NDArray[Any], y: NDArray[Any]
) -> list[str]:
    """Return a note on each class that occurs in `y` and is never the answer."""
    return [
        f"{str(label)!r} is never the most probable class ({(y == label).mean():.1%} of the"
        f" validation rows are; its largest probability is {probabilities[:, k].max():.2f}):"
        f" rank rows by probability_{label}, or choose a threshold on it"
        for k, label in enumerate(classes)
        if (y == label).any() and not (predicted == label).any()
    ]


def number_scores(
    y: NDArray[Any], predicted: NDArray[Any], seen: NDArray[Any]
) -> tuple[Scores, Scores]:
    """Return R², root mean square and mean absolute error, and those of the mean of `seen`.

    Examples
    --------
    >>> y = np.array([1.0, 2.0, 3.0])
    >>> scores, baseline = number_scores(y, y, seen=y)
    >>> scores["r2"], baseline["r2"]
    (1.0, 0.0)
    """
    mean = (seen / len(seen)).sum()  # divided first: the sum of 1e308s has no float
    return _errors(y, predicted), _errors(y, np.full(len(y), mean))


def _errors(y: NDArray[Any], predicted: NDArray[Any]) -> Scores:
    from sklearn import metrics

    k = int(np.frexp(max(np.abs(y).max(), np.abs(predicted).max()))[1])
    y, predicted = np.ldexp(y, -k), np.ldexp(predicted, -k)  # the square of 1e200 has no float
    r2 = metrics.r2_score(y, predicted) if len(y) > 1 and np.ptp(y) > 0 else np.nan
    return {
        "r2": float(r2),
        "rmse": float(np.ldexp(np.sqrt(np.mean((y - predicted) ** 2)), k)),
        "mae": float(np.ldexp(np.mean(np.abs(y - predicted)), k)),
    }


def _balanced_accuracy(y: NDArray[Any], predicted: NDArray[Any]) -> float:
    """Return the mean over the classes in y of the share that is found."""
    return float(np.mean([(predicted[y == label] == label).mean() for label in np.unique(y)]))
