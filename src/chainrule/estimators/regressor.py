"""Regressor: one number, several, or several quantiles of one, for each row."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from chainrule.arrays import Array
from chainrule.data import as_numbers
from chainrule.estimators.fitting import MLP
from chainrule.estimators.monitoring import Rows
from chainrule.estimators.outputs import refuse_infinite
from chainrule.estimators.parameters import Parameter, describe, store
from chainrule.estimators.table import ATTRIBUTES, OF_REGRESSION, PARAMETERS
from chainrule.intervals import conformal_radius, interval
from chainrule.losses import Loss, get_loss


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

    _own: ClassVar[dict[str, Parameter]] = OF_REGRESSION
    y_mean_: Array
    y_scale_: Array
    calibration_: dict[str, Any]

    def __init__(
        self, loss: Any = "squared_error", hidden_layer_sizes: Any = (100,),
        activation: Any = "relu", *, solver: Any = "adam", alpha: float = 0.0001,
        batch_size: Any = "auto", learning_rate: Any = "constant",
        learning_rate_init: float = 0.001, power_t: float = 0.5, max_iter: int = 200,
        shuffle: bool = True, random_state: Any = None, tol: float = 1e-4, verbose: bool = False,
        warm_start: bool = False, momentum: float = 0.9, nesterovs_momentum: bool = True,
        early_stopping: bool = False, validation_fraction: float = 0.1, beta_1: float = 0.9,
        beta_2: float = 0.999, epsilon: float = 1e-8, n_iter_no_change: float = 10,
        max_fun: int = 15000, quantile: Any = 0.5, output_activation: Any = "auto",
        initializer: Any = "auto", dropout: Any = 0.0, input_dropout: float = 0.0,
        l1: float = 0.0, l2: float = 0.0, weight_decay: float = 0.0,
        clip_norm: float | None = None, gradient_accumulation_steps: int = 1,
        ema_decay: float | None = None, monitor: Any = "metric",
        restore_best_weights: bool | None = None, callbacks: Any = None,
        width: int | None = None, depth: int | None = None, scale_X: str = "none",
        scale_y: str = "none", missing: str = "error", categorical_features: Any = None,
        n_estimators: int = 1, calibration_fraction: float = 0.0, engine: str = "auto",
        n_threads: int | None = None,
    ) -> None:  # fmt: skip
        store(self, locals())

    def _learn_targets(self, y: Any, weights: Array | None, classes: Any) -> None:
        Y = _numbers(y)
        self.y_mean_, self.y_scale_ = np.zeros(Y.shape[1]), np.ones(Y.shape[1])
        if self.scale_y == "none":
            return
        if self._loss_and_output()[1] != "identity":
            raise ValueError(
                f"scale_y={self.scale_y!r} does not fit loss={self.loss!r}; take scale_y='none'"
            )
        # On Y / 2^k with |Y| < 2^k: the squares of 1e200 and of 1e-200 have no float.
        k = np.frexp(np.abs(Y).max(axis=0))[1]
        small = np.ldexp(Y, -k)
        center, spread = SPREADS[self.scale_y](small, weights)
        self.y_mean_ = np.ldexp(center, k)
        self.y_scale_ = np.where(spread > 0, np.maximum(np.ldexp(spread, k), 5e-324), 1.0)

    def _knows_targets(self) -> bool:
        return hasattr(self, "y_mean_")

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

    def _loss_and_output(self) -> tuple[Loss, Any]:
        loss = get_loss(self.loss)
        return loss, loss.canonical or "identity"

    def _metric(self, Y: Array, outputs: Array, weights: Array | None) -> float:
        if not np.isfinite(outputs).all():
            return -np.inf
        with np.errstate(over="ignore"):  # numbers too large to square are as bad as can be
            return float(r2_score(Y, outputs, sample_weight=weights))

    def predict(self, X: Any) -> Array:
        """Return the predicted number of each row (n,), or numbers (n, outputs)."""
        Y = self._in_units(self._outputs(X))
        return Y[:, 0] if Y.shape[1] == 1 else Y

    def calibrate(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Remember how far off predictions are on rows that were not trained on; return self.

        `predict_interval` needs it: split conformal prediction (Lei et al. 2018).
        """
        check_is_fitted(self, "coefs_")
        self._calibrate(self._read(X, y, sample_weight, learn=False))
        return self

    def _calibrate(self, rows: Rows) -> None:
        truth = _numbers(rows.y)
        outputs = self._in_units(self._outputs(rows.X))
        weights = None if rows.weights is None else rows.weights.astype(np.float64)
        self.calibration_ = {"outputs": outputs, "truth": truth, "weights": weights}

    def predict_interval(self, X: Any, confidence: float = 0.9) -> Array:
        """Return lower and upper ends (n, 2), or (n, outputs, 2), that hold the truth so often.

        After `calibrate`, or with `calibration_fraction`, the coverage is at least `confidence`
        for rows like those, whatever the network (split conformal prediction; of several quantiles,
        conformalised quantile regression, Romano et al. 2019). Several quantiles that were not
        calibrated are the interval themselves.

        Raises ValueError where there is neither, for a confidence that no quantiles bound, and for
        too few rows to calibrate by.

        >>> from sklearn.datasets import load_diabetes
        >>> X, y = load_diabetes(return_X_y=True)
        >>> model = MLPRegressor(hidden_layer_sizes=(), scale_y="standard", solver="lbfgs")
        >>> low, high = model.fit(X[:200], y[:200]).calibrate(X[200:300], y[200:300]) \\
        ...     .predict_interval(X[300:]).T
        >>> bool(0.8 < ((low <= y[300:]) & (y[300:] <= high)).mean() < 1)
        True
        """
        outputs = self._in_units(self._outputs(X))
        known = self.__dict__.get("calibration_")
        if known is None:
            raise ValueError(
                "predict_interval needs rows that were not trained on: call calibrate(X, y), or fit"
                " with calibration_fraction=0.2; or fit quantiles: loss='quantile',"
                " quantile=(0.05, 0.5, 0.95)"
            )
        radius = conformal_radius(
            known["truth"] - known["outputs"], confidence, weights=known["weights"]
        )
        ends = interval(outputs, outputs, radius)
        return ends[:, 0] if ends.shape[1] == 1 else ends

    def _unit(self) -> Array:
        return self.y_scale_

    def _in_units(self, outputs: Array) -> Array:
        """Return outputs (n, outputs) in the units of y."""
        with np.errstate(over="ignore"):
            Y = outputs * self.y_scale_.astype(outputs.dtype) + self.y_mean_.astype(outputs.dtype)
        refuse_infinite(Y)
        return np.asarray(Y)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _numbers(y: Any) -> Array:
    if hasattr(y, "toarray"):
        raise TypeError("y is a sparse matrix; expected a dense array: y.toarray()")
    expected = "numbers; for classes take MLPClassifier"
    return as_numbers(y, "y", np.float64, expected).reshape(len(y), -1)


def _standard(Y: Array, weights: Array | None) -> tuple[Array, Array]:
    mean = np.average(Y, axis=0, weights=weights)
    return mean, np.sqrt(np.average((Y - mean) ** 2, axis=0, weights=weights))


def _robust(Y: Array, weights: Array | None) -> tuple[Array, Array]:
    """Return median and quartile distance; where that is 0, the standard deviation."""
    how: dict[str, Any] = {} if weights is None else {
        "weights": weights, "method": "inverted_cdf",
    }  # fmt: skip
    low, median, high = np.quantile(Y, [0.25, 0.5, 0.75], axis=0, **how)
    spread = high - low
    return median, np.where(spread > 0, spread, _standard(Y, weights)[1])


#: What `scale_y` takes for the middle and the spread of targets (n, outputs).
SPREADS = {"standard": _standard, "robust": _robust}

describe(MLPRegressor, PARAMETERS | OF_REGRESSION, ATTRIBUTES)
