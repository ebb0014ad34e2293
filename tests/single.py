"""Single: the estimators in single precision, whatever precision the rows they are given have.

In a room of its own, where pickle finds the classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if

from chainrule import MLPClassifier, MLPRegressor


def in_single(X: Any) -> Any:
    """Return matrices and columns of float64 in float32; what else there is, as it is."""
    if hasattr(X, "select_dtypes"):
        return X.astype(dict.fromkeys(X.select_dtypes(np.float64).columns, np.float32))
    if not issparse(X) and hasattr(X, "__array__") and not hasattr(X, "columns"):
        X = np.asanyarray(X)
    return X.astype(np.float32) if getattr(X, "dtype", None) == np.float64 else X


class Single:
    """What takes rows takes them in float32."""

    def fit(self, X: Any, y: Any, *rest: Any, **named: Any) -> Any:
        return super().fit(in_single(X), y, *rest, **named)

    @available_if(lambda self: self.solver != "lbfgs")
    def partial_fit(self, X: Any, y: Any, *rest: Any, **named: Any) -> Any:
        return super().partial_fit(in_single(X), y, *rest, **named)

    def predict(self, X: Any) -> Any:
        return super().predict(in_single(X))

    def score(self, X: Any, y: Any, *rest: Any, **named: Any) -> Any:
        return super().score(in_single(X), y, *rest, **named)

    def transform(self, X: Any, *rest: Any, **named: Any) -> Any:
        return super().transform(in_single(X), *rest, **named)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


class SingleClassifier(Single, MLPClassifier):
    """A classifier in float32."""

    def predict_proba(self, X: Any) -> Any:
        return super().predict_proba(in_single(X))

    def predict_log_proba(self, X: Any) -> Any:
        return super().predict_log_proba(in_single(X))


class SingleRegressor(Single, MLPRegressor):
    """A regressor in float32; of answers to several targets a check wants float64."""

    def predict(self, X: Any) -> Any:
        answers = super().predict(X)
        return answers.astype(np.float64) if answers.ndim == 2 else answers
