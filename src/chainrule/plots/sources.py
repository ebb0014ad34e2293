"""Sources: what is drawn, found in a Network, a History, a fitted estimator or plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from chainrule.arrays import Array

Records = Sequence[Mapping[str, Any]]
#: Records of epochs, or what has them: a `History` or a fitted estimator.
HasRecords: TypeAlias = Any


def records_of(source: HasRecords) -> Records:
    """Return the records of epochs; raise ValueError when there are none.

    >>> records_of([{"epoch": 1, "loss": 0.5}])
    [{'epoch': 1, 'loss': 0.5}]
    """
    records: Any = getattr(source, "history_", getattr(source, "records", source))
    if hasattr(records, "records"):
        records = records.records
    if not isinstance(records, Sequence):
        raise ValueError(
            f"records are a {type(records).__name__}; expected a list of dicts, one per epoch, a"
            " History, or a fitted estimator with history_"
        )
    if not len(records):
        raise ValueError("records is empty; expected one record per epoch, as after a training")
    if any("epoch" not in record for record in records):
        raise ValueError("a record lacks 'epoch'; expected dicts with 'epoch', 'loss', …")
    found: Records = records
    return found


def parameters_of(model: Any) -> tuple[list[Array], list[Array]]:
    """Return W and b of each layer, of the first member where there are several.

    Raises ValueError for what is no Network and no fitted estimator.

    >>> from chainrule import Network
    >>> W, b = parameters_of(Network([2, 3, 1]))
    >>> [w.shape for w in W]
    [(2, 3), (3, 1)]
    """
    if hasattr(model, "coefs_"):
        W, b = model.coefs_, model.intercepts_
    elif hasattr(model, "W") and hasattr(model, "b"):
        W, b = model.W, model.b
    else:
        raise ValueError(
            f"model={type(model).__name__} has no weights; expected a Network or a fitted estimator"
        )
    return [np.asarray(w) for w in W], [np.asarray(each) for each in b]


def outputs_of(model: Any, X: Array) -> Array:
    """Return what a function of rows, a Network or an estimator answers to X: (n, outputs).

    A classifier answers with its probabilities.
    """
    for name in ("predict_proba", "predict"):
        if hasattr(model, name):
            model = getattr(model, name)
            break
    if not callable(model):
        raise ValueError(
            f"{type(model).__name__} gives no answers; expected a function of rows (n, 2), a"
            " Network or a fitted estimator"
        )
    answers = np.asarray(model(X), np.float64)
    return answers.reshape(len(X), -1)
