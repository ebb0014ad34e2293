"""Estimators: MLPClassifier and MLPRegressor in scikit-learn's contract.

This room is the contract: what comes in, what is learnt, what goes out. `parameters` turns the
constructor's words into a plan, `fitting` and `training` carry it out.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from chainrule.arrays import Array
from chainrule.data import as_numbers, refuse_mixed
from chainrule.estimators.fitting import MLP, refuse_infinite, store, trains_in_steps
from chainrule.estimators.parameters import Parameter, describe
from chainrule.losses import LOSSES, BinaryCrossEntropy, CrossEntropy, Loss, get_loss


@describe
class MLPClassifier(ClassifierMixin, MLP):
    """Classify with a fully connected network: two classes, many, or many labels.

    Softmax outputs with cross-entropy for many classes; sigmoid outputs with binary cross-entropy
    for two, and for each label of a multilabel target. Parameters, defaults and attributes are
    those of scikit-learn's class, and more.

    Parameters
    ----------
    {parameters}

    {attributes}
    classes_ : ndarray
        The labels, in the order of the columns of `predict_proba`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from chainrule import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((16,), solver="lbfgs", alpha=0.1, max_iter=500, random_state=0)
    >>> model.fit(X, y).score(X, y) > 0.97
    True
    """

    classes_: Any
    _kind: str

    def __init__(
        self, hidden_layer_sizes: Any = (100,), activation: Any = "relu", *, solver: Any = "adam",
        alpha: float = 0.0001, batch_size: Any = "auto", learning_rate: Any = "constant",
        learning_rate_init: float = 0.001, power_t: float = 0.5, max_iter: int = 200,
        shuffle: bool = True, random_state: Any = None, tol: float = 1e-4, verbose: bool = False,
        warm_start: bool = False, momentum: float = 0.9, nesterovs_momentum: bool = True,
        early_stopping: bool = False, validation_fraction: float = 0.1, beta_1: float = 0.9,
        beta_2: float = 0.999, epsilon: float = 1e-8, n_iter_no_change: float = 10,
        max_fun: int = 15000, dropout: float = 0.0,
        clip_norm: float | None = None, monitor: str = "metric", callbacks: Any = None,
        engine: str = "auto", n_threads: int | None = None,
    ) -> None:  # fmt: skip
        store(self, locals())

    @available_if(trains_in_steps)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one more epoch; `classes` names all labels at the first call."""
        return self._partial_fit(X, y, sample_weight, classes)

    def _look_at_targets(self, y: Any) -> None:
        refuse_mixed(y)

    def _learn_targets(self, y: Any, weights: Array | None, classes: Any) -> None:
        check_classification_targets(y)
        self._kind = "labels" if type_of_target(y).startswith("multilabel") else "classes"
        if self._kind == "labels":
            self.classes_ = np.arange(y.shape[1])
            return
        if classes is not None:
            refuse_mixed(classes, "classes")
        self.classes_ = np.unique(y if classes is None else classes)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{'y' if classes is None else 'classes'} holds one class only,"
                f" {self.classes_.tolist()[0]!r}; expected at least two classes to tell apart"
            )

    def _targets(self, y: Any) -> Array:
        if self._kind == "labels":
            return np.asarray(y.toarray() if hasattr(y, "toarray") else y)
        if y.ndim != 1:
            raise ValueError(
                f"y has shape {y.shape}; expected (n,) classes, or (n, outputs) labels 0 and 1"
            )
        if new := sorted(set(np.unique(y).tolist()) - set(self.classes_.tolist())):
            raise ValueError(
                f"y holds class {new[0]!r}, which is not among the known classes"
                f" {self.classes_.tolist()}; name all in partial_fit(classes=), or fit anew"
            )
        columns = np.searchsorted(self.classes_, y)
        k = len(self.classes_)
        return (columns == 1)[:, None] if k == 2 else np.eye(k)[columns]

    def _loss_and_output(self) -> tuple[Loss, str]:
        if self._kind == "classes" and len(self.classes_) > 2:
            return CrossEntropy(), "softmax"
        return BinaryCrossEntropy(), "sigmoid"

    def _metric(self, Y: Array, outputs: Array) -> float:
        if outputs.shape[1] > 1 and self._kind == "classes":
            return float((outputs.argmax(axis=1) == Y.argmax(axis=1)).mean())
        return float(((outputs > 0.5) == (Y > 0.5)).all(axis=1).mean())

    def _strata(self, Y: Array) -> Any:
        if self._kind == "labels":
            return None
        return Y.argmax(axis=1) if Y.shape[1] > 1 else Y[:, 0]

    def predict(self, X: Any) -> Any:
        """Return the most probable class of each row (n,), or 0/1 labels (n, outputs)."""
        outputs = self._outputs(X)
        if self._kind == "labels":
            return (outputs > 0.5).astype(int)
        most = outputs.argmax(axis=1) if outputs.shape[1] > 1 else (outputs[:, 0] > 0.5).astype(int)
        return self.classes_[most]

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class (n, classes), in the order of `classes_`.

        Small ones keep their precision, and none is exactly 0.
        """
        probability = self._outputs(X, both=True)
        return np.asarray(np.maximum(probability, np.finfo(probability.dtype).tiny))

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of `predict_proba` (n, classes); always finite."""
        return np.asarray(np.log(self.predict_proba(X)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


_OF_REGRESSION = {
    "loss": Parameter(
        "What is minimised; 'poisson' has an exponential output and needs y >= 0.",
        lambda v: isinstance(v, Loss) or (isinstance(v, str) and v in _regression_losses()),
        "a loss for numbers, or a Loss",
        lambda: _regression_losses(),
    ),
    "scale_y": Parameter(
        "Whether the network learns (y - mean) / standard deviation; predictions are in y's units.",
        lambda v: isinstance(v, str) and v in ("none", "standard"),
        "'none' or 'standard'",
        lambda: ("none", "standard"),
    ),
}


def _regression_losses() -> list[str]:
    return sorted(n for n, each in LOSSES.items() if each.targets[1] != 1 and n != "quantiles")


def _numbers(y: Any) -> Array:
    if hasattr(y, "toarray"):
        raise TypeError("y is a sparse matrix; expected a dense array: y.toarray()")
    expected = "numbers; for classes take MLPClassifier"
    return as_numbers(y, "y", np.float64, expected).reshape(len(y), -1)


@describe
class MLPRegressor(RegressorMixin, MLP):
    """Predict one number or several with a fully connected network.

    The loss is ½·mean over rows of the sum over outputs for squared error; what is reported is
    what is minimised. Parameters, defaults and attributes are those of scikit-learn's class, and
    more.

    Parameters
    ----------
    {parameters}

    {attributes}

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from chainrule import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = MLPRegressor(
    ...     hidden_layer_sizes=(), solver="lbfgs", alpha=0, tol=1e-6, max_iter=5000,
    ...     scale_y="standard", random_state=0,
    ... )
    >>> round(float(model.fit(X, y).score(X, y)), 3)  # no hidden layer: linear regression
    0.518
    """

    _own: ClassVar[dict[str, Parameter]] = _OF_REGRESSION
    y_mean_: Array
    y_scale_: Array

    def __init__(
        self, loss: Any = "squared_error", hidden_layer_sizes: Any = (100,),
        activation: Any = "relu", *, solver: Any = "adam", alpha: float = 0.0001,
        batch_size: Any = "auto", learning_rate: Any = "constant",
        learning_rate_init: float = 0.001, power_t: float = 0.5, max_iter: int = 200,
        shuffle: bool = True, random_state: Any = None, tol: float = 1e-4, verbose: bool = False,
        warm_start: bool = False, momentum: float = 0.9, nesterovs_momentum: bool = True,
        early_stopping: bool = False, validation_fraction: float = 0.1, beta_1: float = 0.9,
        beta_2: float = 0.999, epsilon: float = 1e-8, n_iter_no_change: float = 10,
        max_fun: int = 15000, dropout: float = 0.0,
        clip_norm: float | None = None, monitor: str = "metric", callbacks: Any = None,
        engine: str = "auto", n_threads: int | None = None, scale_y: str = "none",
    ) -> None:  # fmt: skip
        store(self, locals())

    def _learn_targets(self, y: Any, weights: Array | None, classes: Any) -> None:
        Y = _numbers(y)
        self.y_mean_, self.y_scale_ = np.zeros(Y.shape[1]), np.ones(Y.shape[1])
        if self.scale_y == "standard":
            if self._loss_and_output()[1] != "identity":
                raise ValueError(
                    f"scale_y='standard' does not fit loss={self.loss!r}; take scale_y='none'"
                )
            # On Y / 2^k with |Y| < 2^k: the squares of 1e200 and of 1e-200 have no float.
            k = np.frexp(np.abs(Y).max(axis=0))[1]
            small = np.ldexp(Y, -k)
            mean = np.average(small, axis=0, weights=weights)
            spread = np.sqrt(np.average((small - mean) ** 2, axis=0, weights=weights))
            self.y_mean_ = np.ldexp(mean, k)
            self.y_scale_ = np.where(spread > 0, np.maximum(np.ldexp(spread, k), 5e-324), 1.0)

    def _targets(self, y: Any) -> Array:
        Y = _numbers(y)
        if Y.shape[1] != len(self.y_mean_):
            raise ValueError(f"y has {Y.shape[1]} outputs; the fitted network {len(self.y_mean_)}")
        with np.errstate(over="ignore"):
            scaled = (Y - self.y_mean_) / self.y_scale_
        if not np.isfinite(scaled).all():
            raise ValueError(
                f"y holds {Y.min():g} and {Y.max():g}, whose distance has no float64; expected"
                " smaller numbers: divide them by a power of ten"
            )
        return np.asarray(scaled)

    def _loss_and_output(self) -> tuple[Loss, str]:
        loss = get_loss(self.loss)
        return loss, loss.canonical or "identity"

    def _metric(self, Y: Array, outputs: Array) -> float:
        return float(r2_score(Y, outputs)) if np.isfinite(outputs).all() else -np.inf

    def predict(self, X: Any) -> Array:
        """Return the predicted number of each row (n,), or numbers (n, outputs)."""
        outputs = self._outputs(X)
        with np.errstate(over="ignore"):
            Y = outputs * self.y_scale_.astype(outputs.dtype) + self.y_mean_.astype(outputs.dtype)
        refuse_infinite(Y)
        return Y[:, 0] if Y.shape[1] == 1 else Y

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
