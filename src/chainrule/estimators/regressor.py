"""Regressor: one number, several, or several quantiles of one, for each row."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from chainrule.activations import Activation, Identity, Increasing, get_activation
from chainrule.arrays import Array, is_number
from chainrule.data import as_numbers
from chainrule.estimators.fitting import MLP
from chainrule.estimators.monitoring import Rows
from chainrule.estimators.outputs import refuse_infinite
from chainrule.estimators.parameters import Parameter, describe, store
from chainrule.estimators.table import ATTRIBUTES, OF_REGRESSION, PARAMETERS
from chainrule.intervals import conformal_radius, cqr_offset, interval, quantile_pair
from chainrule.losses import Loss, Quantile, Quantiles, get_loss
from chainrule.spread import SPREADS


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
        output = self._loss_and_output()[1]
        if not isinstance(output, (Identity, Increasing)):
            raise ValueError(
                f"scale_y={self.scale_y!r} does not fit loss={self.loss!r}, whose output activation"
                f" is {output.name!r}; take scale_y='none'"
            )
        learnt = np.array([SPREADS[self.scale_y](column, weights) for column in Y.T])
        self.y_mean_, self.y_scale_ = learnt.T.copy()

    def _knows_targets(self) -> bool:
        return hasattr(self, "y_mean_")

    def _targets(self, y: Any) -> Array:
        Y = _numbers(y)
        if Y.shape[1] != len(self.y_mean_):
            raise ValueError(
                f"y has {Y.shape[1]} outputs; the fitted network {len(self.y_mean_)}: give as many,"
                " or fit anew"
            )
        with np.errstate(over="ignore"):
            scaled = (Y - self.y_mean_) / self.y_scale_
        if not np.isfinite(scaled).all():
            raise ValueError(
                f"y holds {Y.min():g} and {Y.max():g}, whose distance has no float64; expected"
                " smaller numbers: divide them by a power of ten"
            )
        return np.asarray(np.repeat(scaled, self._loss_and_output()[0].outputs_per_target, axis=1))

    def _loss_and_output(self) -> tuple[Loss, Activation]:
        loss = get_loss(self.loss)
        if isinstance(self.loss, str) and self.loss == "quantile":
            one = is_number(self.quantile)
            loss = Quantile(float(self.quantile)) if one else Quantiles(tuple(self.quantile))
        given = self.output_activation
        if isinstance(given, str) and given == "auto":
            return loss, loss.output
        if loss.outputs_per_target > 1:
            raise ValueError(
                f"output_activation={given!r} would let the quantiles cross; leave it 'auto'"
            )
        return loss, get_activation(given)

    def _quantiles(self) -> tuple[float, ...]:
        """Return the quantiles of each target that the network was fitted to; none is none."""
        loss = self._loss_and_output()[0]
        one = (loss.quantile,) if isinstance(loss, Quantile) else ()
        return loss.quantiles if isinstance(loss, Quantiles) else one

    def _middle(self) -> int:
        """Return which of several quantiles is nearest to 0.5."""
        return int(np.abs(np.subtract(self._quantiles(), 0.5)).argmin())

    def _each(self, outputs: Array) -> Array:
        """Return outputs as (n, targets, outputs of each)."""
        return outputs.reshape(len(outputs), len(self.y_mean_), -1)

    def _said(self, outputs: Array) -> Array:
        each = self._each(outputs)
        return each[:, :, 0] if each.shape[2] == 1 else each[:, :, self._middle()]

    def _metric(self, Y: Array, outputs: Array, weights: Array | None) -> float:
        if not np.isfinite(outputs).all():
            return -np.inf
        with np.errstate(over="ignore"):  # numbers too large to square are as bad as can be
            return float(r2_score(self._said(Y), self._said(outputs), sample_weight=weights))

    def predict(self, X: Any) -> Array:
        """Return the predicted number of each row (n,), or numbers (n, targets).

        Of several quantiles it is the one nearest to 0.5.
        """
        Y = self._said(self._in_units(self._outputs(X)))
        return Y[:, 0] if Y.shape[1] == 1 else Y

    def predict_quantiles(self, X: Any) -> Array:
        """Return the quantiles (n, quantiles), or (n, targets, quantiles), in rising order.

        Raises ValueError for a network that was not fitted with loss='quantile'.

        >>> from sklearn.datasets import load_diabetes
        >>> X, y = load_diabetes(return_X_y=True)
        >>> model = MLPRegressor("quantile", (), quantile=(0.1, 0.5, 0.9), scale_y="standard",
        ...                      learning_rate_init=0.05, random_state=0)
        >>> low, middle, high = model.fit(X, y).predict_quantiles(X).T
        >>> bool((low <= middle).all() and (middle <= high).all())
        True
        >>> bool(abs((y < low).mean() - 0.1) < 0.03 and abs((y > high).mean() - 0.1) < 0.03)
        True
        """
        outputs = self._outputs(X)
        if not self._quantiles():
            raise ValueError(
                f"loss={self.loss!r} fits no quantiles; fit with loss='quantile',"
                " quantile=(0.05, 0.5, 0.95)"
            )
        each = self._each(self._in_units(outputs))
        return each[:, 0] if each.shape[1] == 1 else each

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
        each = self._each(self._in_units(self._outputs(X)))
        low, high = self._ends(confidence) if each.shape[2] > 1 else (0, 0)
        known = self.__dict__.get("calibration_")
        if known is not None:
            offset = self._offset(known, low, high, confidence)
        elif low == high:
            raise ValueError(
                "predict_interval needs rows that were not trained on: call calibrate(X, y), or fit"
                " with calibration_fraction=0.2; or fit quantiles: loss='quantile',"
                " quantile=(0.05, 0.5, 0.95)"
            )
        else:
            self._refuse_other(confidence, low, high)
            offset = np.zeros(1)
        ends = interval(each[:, :, low], each[:, :, high], offset)
        return ends[:, 0] if ends.shape[1] == 1 else ends

    def _ends(self, confidence: float) -> tuple[int, int]:
        return quantile_pair(self._quantiles(), confidence)

    def _offset(self, known: dict[str, Any], low: int, high: int, confidence: float) -> Array:
        """Return by how much an interval is to be wider, on either side."""
        each, truth, weights = self._each(known["outputs"]), known["truth"], known["weights"]
        if low == high:
            return conformal_radius(truth - each[:, :, low], confidence, weights=weights)
        return cqr_offset(truth, each[:, :, low], each[:, :, high], confidence, weights=weights)

    def _refuse_other(self, confidence: float, low: int, high: int) -> None:
        q = self._quantiles()
        if abs(q[high] - q[low] - confidence) > 1e-6:
            tail = (1 - confidence) / 2
            raise ValueError(
                f"the quantiles {q[low]:g} and {q[high]:g} bound a confidence of"
                f" {q[high] - q[low]:g}, not {confidence:g}; call calibrate(X, y) first, or fit"
                f" quantile=({tail:.4g}, 0.5, {1 - tail:.4g})"
            )

    def _unit(self) -> Array:
        return np.repeat(self.y_scale_, self._loss_and_output()[0].outputs_per_target)

    def _explained(self, outputs: Array) -> Any:
        if outputs.shape[1] == 1:
            return 0
        if len(self.y_mean_) == 1:
            return self._middle()
        raise ValueError(
            f"there are {outputs.shape[1]} outputs; say which is to be explained: output=0"
        )

    def _in_units(self, outputs: Array) -> Array:
        """Return outputs (n, outputs) in the units of y."""
        each = outputs.shape[1] // len(self.y_mean_)
        scale, mean = (
            np.repeat(of_y, each).astype(outputs.dtype) for of_y in (self.y_scale_, self.y_mean_)
        )
        with np.errstate(over="ignore"):
            Y = outputs * scale + mean
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


describe(MLPRegressor, PARAMETERS | OF_REGRESSION, ATTRIBUTES)
