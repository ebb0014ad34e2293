"""Insight: what can be asked of fitted networks besides their predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from chainrule.arrays import Array
from chainrule.attribution import Attributions, integrated_gradients
from chainrule.diagnosis import Diagnosis
from chainrule.estimators.checkup import check_up, sweep_rates
from chainrule.estimators.explained import taken_apart
from chainrule.estimators.outputs import Outputs, fitted_layers, fitted_network, member_count
from chainrule.explanation import Explanation, explain
from chainrule.hidden import hidden_activations
from chainrule.network import Network
from chainrule.range_test import LearningRateTest


class Insight(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Outputs):
    """Hidden activations, derivatives, attributions, importances and spreads.

    Derivatives are of what the network is fed: where an encoder stands before it, of the features
    that ``encoder_.get_feature_names_out()`` names.
    """

    def transform(self, X: Any, layer: int = -1) -> Any:
        """Return what a hidden layer answers to X: (n, units), of all members side by side.

        `layer` is 1 for the first hidden layer, or counts from the last, which is -1. Without
        hidden layers it is what the output layer is fed, X itself.

        >>> from chainrule import MLPRegressor
        >>> X, y = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [1.0, 2.0, 3.0]
        >>> model = MLPRegressor(hidden_layer_sizes=(8, 3), solver="lbfgs", random_state=0)
        >>> model.fit(X, y).transform(X).shape, model.transform(X, layer=1).shape
        ((3, 3), (3, 8))
        """
        X = self._features(X)
        if len(self.coefs_) == 1 and layer == -1:
            return X
        members = range(member_count(self))
        return np.hstack([hidden_activations(fitted_layers(self, m), X, layer) for m in members])

    @property
    def _n_features_out(self) -> int:
        return int(self.coefs_[-1].shape[0]) * (member_count(self) if len(self.coefs_) > 1 else 1)

    def jacobian(self, X: Any) -> Array:
        """Return J (n, outputs, features), ∂ prediction / ∂ feature, for each row.

        Predictions are numbers in y's units, or probabilities: of two classes, that of the second.
        """
        return self._answers().jacobian(self._dense_features(X))

    def input_gradient(self, X: Any, y: Any) -> Array:
        """Return ∂C/∂X (n, features): in which direction the mean loss on X and y grows."""
        check_is_fitted(self, "coefs_")
        Y = self._read(X, y, None, learn=False).data.Y
        loss = self._loss_and_output()[0]
        X = self._dense_features(X)
        gradients = [
            fitted_network(self, m).input_gradient(X, Y, loss) for m in range(member_count(self))
        ]
        return np.asarray(np.mean(gradients, axis=0))

    def integrated_gradients(
        self, X: Any, baseline: Any = None, *, output: Any = None, steps: int = 64,
        tolerance: float = 1e-4,
    ) -> Attributions:  # fmt: skip
        """Return how much each feature made of each prediction (Sundararajan et al. 2017).

        `values` (n, features) add up to prediction − prediction at the `baseline`, which is the
        zero row by default; `error` says by how much they do not. `output` is the column that is
        explained; by default the only one, each row's most probable class, or the median. See
        `chainrule.attribution.integrated_gradients`.

        >>> from chainrule import MLPRegressor
        >>> X, y = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [1.0, 2.0, 3.0]
        >>> model = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=0, tol=1e-9)
        >>> model.fit(X, y).integrated_gradients(X).values.round(2) + 0.0
        array([[0., 1.],
               [2., 0.],
               [2., 1.]])
        """
        answers, X = self._answers(), self._dense_features(X)
        if output is None:
            output = self._explained(answers.predict(X))
        return integrated_gradients(
            answers, X, baseline, output=output, steps=steps, tolerance=tolerance
        )

    def permutation_importance(self, X: Any, y: Any, **settings: Any) -> Any:
        """Return how much worse the score is where a column of X is shuffled.

        It is `sklearn.inspection.permutation_importance`, whose `settings` it takes.
        """
        from sklearn.inspection import permutation_importance

        return permutation_importance(self, X, y, **settings)

    def diagnose(
        self, X: Any = None, y: Any = None, sample_weight: Any = None, eval_set: Any = None
    ) -> Diagnosis:
        """Tell why the network does not learn, or that it is healthy: in words, with remedies.

        Print it. It looks at dead and saturated units, gradients that vanish or explode, the size
        of updates, the learning rate, unscaled columns, copies of the target, rare classes,
        overfitting, and why the training stopped; see `chainrule.diagnose`, and docs/diagnosis.md.

        X and y are best those of `fit`; without them, only what the fit has recorded is looked at.
        `eval_set`, (X, y) of rows that were not learnt from, shows overfitting. Parameters are as
        they are set now; of several members, the first is looked at.

        >>> from sklearn.datasets import load_wine
        >>> from sklearn.exceptions import ConvergenceWarning
        >>> import warnings
        >>> from chainrule import MLPClassifier
        >>> X, y = load_wine(return_X_y=True)
        >>> model = MLPClassifier(learning_rate_init=1.0, random_state=0).fit(X, y)
        >>> model.diagnose(X, y).kinds[:2]
        ['unscaled_inputs', 'rate_too_high']
        >>> model = MLPClassifier(scale_X="standard", tol=1e-3, random_state=0).fit(X, y)
        >>> model.diagnose(X, y).healthy
        True
        """
        return check_up(self, X, y, sample_weight, eval_set)

    def explain(self, X: Any, y: Any = None, **how: Any) -> Explanation:
        """Tell rows' way through the network and back, step by step: z, a, loss, δ, dW, db, update.

        Without y, the way forward alone, up to what the network answers, in the units of y.
        Print the result; in a notebook it shows itself as a page. `how` is `weight`, `units` and
        whatever else `chainrule.explain` takes, which this is; loss, penalty and optimizer are the
        estimator's own.

        >>> from chainrule import MLPRegressor
        >>> X, y = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [1.0, 2.0, 3.0]
        >>> model = MLPRegressor(hidden_layer_sizes=2, solver="lbfgs", random_state=0).fit(X, y)
        >>> told = model.explain(X[:1], y[:1], weight=(0, 1, 0))
        >>> told.weight.check.passed
        True
        """
        return explain(self, X, y, **how)

    def predict_spread(self, X: Any) -> Array:
        """Return the standard deviation of the members' predictions (n,) or (n, outputs).

        Of numbers it is in y's units; of classes it is that of each probability (n, outputs).
        Raises ValueError where there is one member only.
        """
        check_is_fitted(self, "coefs_")
        if member_count(self) < 2:
            raise ValueError(
                f"predict_spread compares members, and n_estimators={member_count(self)} has one;"
                " take n_estimators=5"
            )
        every = [self._said(self._in_units(Y)) for Y in self._outputs_of_members(self._features(X))]
        spread = np.std(every, axis=0)
        return spread[:, 0] if spread.shape[1] == 1 else spread

    def lr_range_test(
        self, X: Any, y: Any, sample_weight: Any = None, *, low: float = 1e-6, high: float = 10.0,
        steps: int = 100,
    ) -> LearningRateTest:  # fmt: skip
        """Return which learning rate suits a new network with these parameters (Smith 2017).

        The rate rises from `low` to `high` in `steps` updates; this estimator stays as it is. Take
        `suggested` for `learning_rate_init`; `plot()` draws it. Raises ValueError for 'lbfgs',
        which has no rate.

        >>> from sklearn.datasets import load_iris
        >>> from chainrule import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> test = MLPClassifier((16,), scale_X="standard", random_state=0).lr_range_test(X, y)
        >>> 0.003 < test.suggested < 0.3
        True
        """
        return sweep_rates(self, X, y, sample_weight, (low, high), steps)

    def _taken_apart(self, X: Any, y: Any) -> tuple[Any, ...]:
        return taken_apart(self, X, y)

    def _explained(self, outputs: Array) -> Any:
        """Return which column is explained where nobody says it: each row's most probable."""
        return outputs.argmax(axis=1) if outputs.shape[1] > 1 else 0

    def _said(self, outputs: Array) -> Array:
        """Return those of the outputs (n, outputs) that are predicted: of quantiles, the middle."""
        return outputs

    def _in_units(self, outputs: Array) -> Array:
        """Return outputs (n, outputs) in the units of y."""
        return outputs

    def _unit(self) -> Array:
        """Return what an output's derivative is multiplied by to be in the units of y."""
        return np.ones(1)

    def _dense_features(self, X: Any) -> Array:
        X = self._features(X)
        if not isinstance(X, np.ndarray):
            raise ValueError("X is a sparse matrix; expected a dense array: X.toarray()")
        return X

    def _answers(self) -> Answers:
        check_is_fitted(self, "coefs_")
        networks = [fitted_network(self, m) for m in range(member_count(self))]
        return Answers(self, networks)


class Answers:
    """The mean of the members' predictions, in y's units, as a function of features."""

    def __init__(self, estimator: Insight, networks: list[Network]) -> None:
        self.estimator, self.networks = estimator, networks

    def predict(self, X: Any) -> Array:
        """Return the predictions (n, outputs)."""
        outputs = np.mean([network.predict(X) for network in self.networks], axis=0)
        return self.estimator._in_units(outputs)

    def jacobian(self, X: Any) -> Array:
        """Return ∂ prediction / ∂ feature (n, outputs, features)."""
        J = np.mean([network.jacobian(X) for network in self.networks], axis=0)
        return np.asarray(J * self.estimator._unit()[:, None])
