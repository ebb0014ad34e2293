"""Classifier: which class, or which labels, a row has, and how probable each is."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted

from chainrule.activations import Activation, get_activation
from chainrule.arrays import Array
from chainrule.calibration import apply_temperature, fit_temperature, log_odds
from chainrule.data import as_weights, refuse_mixed
from chainrule.estimators.fitting import MLP, trains_in_steps
from chainrule.estimators.monitoring import Rows
from chainrule.estimators.parameters import Parameter, describe, store
from chainrule.estimators.table import ATTRIBUTES, OF_CLASSIFICATION, PARAMETERS
from chainrule.losses import Loss, get_loss, with_label_smoothing


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
    temperature_ : float
        What logits are divided by, once `calibrate` has found it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from chainrule import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((16,), solver="lbfgs", alpha=0.1, max_iter=500, random_state=0)
    >>> model.fit(X, y).score(X, y) > 0.97
    True
    """

    _own: ClassVar[dict[str, Parameter]] = OF_CLASSIFICATION
    classes_: Any
    temperature_: float
    _kind: str
    _class_weights: list[float]

    def __init__(
        self, hidden_layer_sizes: Any = (100,), activation: Any = "relu", *, solver: Any = "adam",
        alpha: float = 0.0001, batch_size: Any = "auto", learning_rate: Any = "constant",
        learning_rate_init: float = 0.001, power_t: float = 0.5, max_iter: int = 200,
        shuffle: bool = True, random_state: Any = None, tol: float = 1e-4, verbose: bool = False,
        warm_start: bool = False, momentum: float = 0.9, nesterovs_momentum: bool = True,
        early_stopping: bool = False, validation_fraction: float = 0.1, beta_1: float = 0.9,
        beta_2: float = 0.999, epsilon: float = 1e-8, n_iter_no_change: float = 10,
        max_fun: int = 15000, loss: Any = "auto", label_smoothing: float = 0.0,
        class_weight: Any = None, output_activation: Any = "auto", initializer: Any = "auto",
        dropout: Any = 0.0, input_dropout: float = 0.0, l1: float = 0.0, l2: float = 0.0,
        weight_decay: float = 0.0, clip_norm: float | None = None,
        gradient_accumulation_steps: int = 1, ema_decay: float | None = None,
        monitor: Any = "metric", restore_best_weights: bool | None = None, callbacks: Any = None,
        width: int | None = None, depth: int | None = None, scale_X: str = "none",
        missing: str = "error", categorical_features: Any = None, n_estimators: int = 1,
        calibration_fraction: float = 0.0, engine: str = "auto", n_threads: int | None = None,
    ) -> None:  # fmt: skip
        store(self, locals())

    @available_if(trains_in_steps)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None, eval_set: Any = None
    ) -> Self:
        """Train for one more epoch; `classes` names all labels at the first call.

        With early stopping, each call holds out rows of its own, or takes `eval_set`; `coefs_` are
        the best so far, and once there is no improvement for `n_iter_no_change` calls, further
        calls change nothing.
        """
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all rows at once, partial_fit sees some; expected a"
                " dict of class: weight"
            )
        if classes is not None and self._knows_targets() and self._kind == "classes":
            refuse_mixed(classes, "classes")
            if not np.array_equal(np.unique(classes), self.classes_):
                raise ValueError(
                    f"classes={np.unique(classes).tolist()} are not those of the first call to"
                    f" partial_fit, {self.classes_.tolist()}; leave them out, or fit anew"
                )
        return self._partial_fit(X, y, sample_weight, eval_set, classes)

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

    def _knows_targets(self) -> bool:
        return hasattr(self, "_kind")

    def _refuse_other_targets(self, y: Any) -> None:
        if not self._knows_targets() or self._kind == "labels":
            return
        found = np.unique(y)
        if not np.array_equal(found, self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call"
                f" to fit. Previously got {self.classes_}, `y` has {found}; fit anew with"
                " warm_start=False"
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
        return (columns == 1)[:, None] if k < 3 else np.eye(k)[columns]

    def _loss_and_output(self) -> tuple[Loss, Activation]:
        several = self._kind == "classes" and len(self.classes_) > 2
        if isinstance(self.loss, str):
            loss: Loss = get_loss(NAMED_LOSSES[self.loss][several])
        else:
            loss = get_loss(self.loss)
        if self.label_smoothing:
            loss = with_label_smoothing(loss, self.label_smoothing)
        columns = len(self.classes_) if several or self._kind == "labels" else 1
        usual = "softmax" if several else "sigmoid"
        if loss.canonical in ("sigmoid", "softmax"):
            usual = loss.canonical
        given = self.output_activation
        output = get_activation(usual if isinstance(given, str) and given == "auto" else given)
        _check_pairing(loss, output, columns, self._kind)
        return loss, output

    def _metric(self, Y: Array, outputs: Array, weights: Array | None) -> float:
        if outputs.shape[1] > 1 and self._kind == "classes":
            right = outputs.argmax(axis=1) == Y.argmax(axis=1)
        else:
            right = ((outputs > 0.5) == (Y > 0.5)).all(axis=1)
        return float(np.average(right, weights=weights))

    def _weigh(self, y: Any, weights: Array | None, first: bool) -> Array | None:
        if self.class_weight is None:
            return weights
        if self._kind == "labels":
            raise ValueError(
                f"class_weight={self.class_weight!r} does not fit several labels; expected None, or"
                " weights of rows: sample_weight"
            )
        if first or not hasattr(self, "_class_weights"):
            each = compute_class_weight(
                self.class_weight, classes=self.classes_, y=y, sample_weight=weights
            )
            self._class_weights = each.tolist()
        of_rows = np.asarray(self._class_weights)[np.searchsorted(self.classes_, y)]
        weighed = of_rows if weights is None else of_rows * weights
        return as_weights(weighed, len(y), weighed.dtype if weights is None else weights.dtype)

    def _strata(self, Y: Array) -> Any:
        if self._kind == "labels":
            return None
        return Y.argmax(axis=1) if Y.shape[1] > 1 else Y[:, 0].astype(int)

    def predict(self, X: Any) -> Any:
        """Return the most probable class of each row (n,), or 0/1 labels (n, outputs)."""
        outputs = self._outputs(X)
        if self._kind == "labels":
            return (outputs > 0.5).astype(int)
        if len(self.classes_) == 1:
            return self.classes_.repeat(len(outputs))
        most = outputs.argmax(axis=1) if outputs.shape[1] > 1 else (outputs[:, 0] > 0.5).astype(int)
        return self.classes_[most]

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class (n, classes), in the order of `classes_`.

        Small ones keep their precision, and none is exactly 0.
        """
        probability = self._outputs(X, both=True)
        if len(self.classes_) == 1:
            return np.ones_like(probability[:, :1])
        if self._kind == "classes" and not self._sums_to_one():
            probability = probability / np.maximum(probability.sum(axis=1, keepdims=True), 1e-300)
        probability = np.maximum(probability, np.finfo(probability.dtype).tiny)
        if hasattr(self, "temperature_"):
            tempered = apply_temperature(
                self._logits(probability), self.temperature_, loss=self._calibrated()
            )
            probability = np.maximum(
                tempered.astype(probability.dtype), np.finfo(probability.dtype).tiny
            )
        return np.asarray(probability)

    def calibrate(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Find the temperature of `predict_proba` on rows that were not trained on; return self.

        Logits are divided by it (Guo et al. 2017): above 1 the network was too sure. Predictions
        of classes do not change.

        >>> from sklearn.datasets import load_breast_cancer
        >>> X, y = load_breast_cancer(return_X_y=True)
        >>> model = MLPClassifier(scale_X="standard", solver="lbfgs", random_state=0)
        >>> model.fit(X[:300], y[:300]).calibrate(X[300:], y[300:]).temperature_ > 1
        True
        """
        check_is_fitted(self, "coefs_")
        self._calibrate(self._read(X, y, sample_weight, learn=False))
        return self

    def _calibrate(self, rows: Rows) -> None:
        self.__dict__.pop("temperature_", None)
        if len(self.classes_) == 1:
            return
        Y = rows.data.Y
        if self._kind == "classes" and Y.shape[1] == 1:
            Y = np.hstack([1 - Y, Y])
        self.temperature_ = fit_temperature(
            self._logits(self.predict_proba(rows.X)), Y, rows.weights, loss=self._calibrated()
        )

    def _sums_to_one(self) -> bool:
        """Tell whether the outputs of a row are the shares of its classes as they stand."""
        return len(self.classes_) <= 2 or self.activations_[-1] == "softmax"

    def _calibrated(self) -> str:
        """Return the loss by which probabilities are calibrated."""
        return "cross_entropy" if self._kind == "classes" else "binary_cross_entropy"

    def _logits(self, probability: Array) -> Array:
        """Return logits that give these probabilities."""
        p = probability.astype(np.float64)
        if self._kind == "classes":
            return np.asarray(np.log(p))
        return log_odds(p)

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of `predict_proba` (n, classes); always finite."""
        return np.asarray(np.log(self.predict_proba(X)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


#: What `loss` may say -> the loss of labels, and of two classes; that of several classes.
NAMED_LOSSES = {
    "auto": ("binary_cross_entropy", "cross_entropy"),
    "focal": ("binary_focal", "focal"),
}


def _check_pairing(loss: Loss, output: Activation, columns: int, kind: str) -> None:
    """Raise ValueError for a loss or an output activation that makes no probabilities of these."""
    what = f"{columns} labels" if kind == "labels" else f"{max(columns, 2)} classes"
    of_rows = loss.rows_sum_to_one
    if loss.outputs_per_target > 1 or (of_rows and (columns == 1 or kind == "labels")):
        raise ValueError(
            f"loss={loss!r} does not fit {what}; leave it 'auto', or take 'focal'"
            " (binary_cross_entropy or binary_focal as objects)"
        )
    z = np.linspace(-30, 30, 60 * columns).reshape(-1, columns, order="F")
    a = output.value(z)
    if not (np.isfinite(a).all() and a.min() >= 0 and a.max() <= 1 and np.ptp(a) > 0):
        raise ValueError(
            f"output_activation={output.name!r} gives no probabilities of {what}: from"
            f" {a.min():.3g} to {a.max():.3g} for z from -30 to 30; take 'auto'"
        )


describe(MLPClassifier, PARAMETERS | OF_CLASSIFICATION, ATTRIBUTES)
