"""Reading: from what users give to checked rows, those to train on and those kept apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.validation import validate_data

from chainrule.activations import Activation
from chainrule.arrays import Array
from chainrule.data import as_weights, check_targets, in_one_line, refuse_odd, said_of
from chainrule.engine import Data
from chainrule.estimators.inputs import encode, encodes, has_encoder
from chainrule.estimators.insight import Insight
from chainrule.estimators.monitoring import Rows, check_eval_set, hold_out
from chainrule.losses import Loss


class Reading(Insight):
    """What both estimators share before they train: reading X and y, and dealing rows out."""

    def _look_at_targets(self, y: Any) -> None:
        """Refuse, before scikit-learn converts it, a y that would change in silence."""
        refuse_odd(y, "y")

    def _learn_targets(self, y: Any, weights: Array | None, classes: Any) -> None:
        """Learn what turns y into targets: classes, or mean and scale."""
        raise NotImplementedError

    def _targets(self, y: Any) -> Array:
        """Return targets (n, outputs) for y, by what was learnt."""
        raise NotImplementedError

    def _loss_and_output(self) -> tuple[Loss, Activation]:
        """Return what is minimised, and the activation of the output layer."""
        raise NotImplementedError

    def _metric(self, Y: Array, outputs: Array, weights: Array | None) -> float:
        """Return accuracy or R² of outputs (n, outputs)."""
        raise NotImplementedError

    def _strata(self, Y: Array) -> Any:
        """Return the class of each row, where a split is to keep their shares."""
        return None

    def _knows_targets(self) -> bool:
        """Tell whether targets were learnt; they were not where weights are set by hand."""
        raise NotImplementedError

    def _refuse_other_targets(self, y: Any) -> None:
        """Raise ValueError where a warm start cannot go on for targets of another kind."""

    def _weigh(self, y: Any, weights: Array | None, first: bool) -> Array | None:
        """Return the sample weights with those of the classes."""
        return weights

    def _calibrate(self, rows: Rows) -> None:
        """Learn from rows that were not trained on how sure the predictions are."""
        raise NotImplementedError

    def _read(self, X: Any, y: Any, sample_weight: Any, learn: bool, classes: Any = None) -> Rows:
        """Return features, targets (n, outputs) and weights, checked and of one dtype."""
        encoding = encodes(self.get_params(deep=False)) if learn else has_encoder(self)
        refuse_odd(X, "X", but="M" if encoding else "")
        self._look_at_targets(y)
        given = X
        if learn:
            self.__dict__.pop("encoder_", None)
        with in_one_line():
            if encoding:
                if y is None:
                    raise ValueError("fit requires y to be passed, but the target y is None")
                X = encode(self, X, learn, sample_weight)
                y = check_array(y, accept_sparse="csr", ensure_2d=False, dtype=None, input_name="y")
                check_consistent_length(X, y)
            else:
                X, y = validate_data(
                    self, X, y, accept_sparse=["csr", "csc"], multi_output=True,
                    dtype=(np.float64, np.float32), reset=learn,
                )  # fmt: skip
            X = sparse.csr_array(X) if sparse.issparse(X) else np.ascontiguousarray(X)
            if y.ndim == 2 and y.shape[1] == 1:
                y = column_or_1d(y, warn=True)
            weights = as_weights(sample_weight, X.shape[0], X.dtype)
            if learn:
                self._learn_targets(y, weights, classes)
            Y = np.ascontiguousarray(self._targets(y), dtype=X.dtype)
        check_targets(self._loss_and_output()[0], Y)
        weighed = self._weigh(y, weights, learn)
        weighed = None if weighed is None else weighed.astype(X.dtype, copy=False)
        raw = hasattr(given, "columns") or encodes(self.get_params(deep=False))
        return Rows(Data(X, Y, weighed), given if raw else X, y, weights)

    def _read_apart(self, eval_set: Any) -> Rows:
        """Return the rows of an `eval_set`; what is wrong with them is said to be so of it."""
        X, y, weights = check_eval_set(eval_set)
        with said_of("eval_set"):
            return self._read(X, y, weights, learn=False)

    def _split(
        self, rows: Rows, eval_set: Any, rng: Any, calibrates: bool = True
    ) -> tuple[Rows, Rows | None, Rows | None]:
        """Return the rows to train on, to validate on, and to calibrate by."""
        apart, held_out, names = None, None, getattr(self, "classes_", np.array([])).tolist()
        if calibrates and self.calibration_fraction:
            rows, apart = hold_out(
                rows, self.calibration_fraction, self._strata(rows.data.Y), rng,
                "calibration_fraction", "set it to 0", names,
            )  # fmt: skip
        if eval_set is not None:
            held_out = self._read_apart(eval_set)
        elif self.early_stopping:
            rows, held_out = hold_out(
                rows, self.validation_fraction, self._strata(rows.data.Y), rng,
                "validation_fraction", "set early_stopping=False", names,
            )  # fmt: skip
        return rows, held_out, apart

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        encoding = encodes(self.get_params(deep=False))
        tags.input_tags.sparse = not encoding
        tags.input_tags.allow_nan = self.missing != "error"
        tags.input_tags.categorical = tags.input_tags.string = self.categorical_features is not None
        return tags
