"""Protocol: scikit-learn's callbacks, by `set_callbacks` of 1.9 and later, hear of every epoch.

The protocol is scikit-learn's own (sklearn.callback, experimental): contexts form a tree of tasks,
here a "fit" with an "epoch" for each epoch. Before 1.9 there is no `set_callbacks`, and nothing of
this has any effect. Without callbacks set a fit costs nothing more.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any

from chainrule.callbacks import Callback, CallbackFailed
from chainrule.history import History
from chainrule.network import Network

try:
    from sklearn import callback as protocol
except ImportError:  # before scikit-learn 1.9
    protocol = None


class _NoCallbacks:
    """Stands where scikit-learn has no callbacks yet."""


#: Gives an estimator `set_callbacks`, where scikit-learn has it.
CallbackSupport: type = _NoCallbacks if protocol is None else protocol.CallbackSupportMixin


def with_callbacks(fit: Callable[..., Any]) -> Callable[..., Any]:
    """Return a `fit` after which scikit-learn's callbacks are taken down, whatever happens.

    A callback that fails at that loses no model: a `CallbackFailed` warning tells of it.
    """
    if protocol is None:
        return fit

    @wraps(fit)
    def managed(estimator: Any, *args: Any, **kwargs: Any) -> Any:
        fitted: list[Any] = []
        around = protocol.with_callbacks(lambda self: fitted.append(fit(self, *args, **kwargs)))
        try:
            around(estimator)
        except Exception as error:
            if not fitted:
                raise
            why = " ".join(f"{type(error).__name__}: {error}".split())
            warning = CallbackFailed(f"a callback's teardown failed; the model is fitted: {why}")
            warning.__cause__ = error
            warnings.warn(warning, stacklevel=2)
        return fitted[0]

    return managed


class ProtocolCallbacks(Callback):
    """Calls the callbacks of scikit-learn's protocol that are set on an estimator.

    Parameters
    ----------
    estimator : estimator
        Under way in a `fit` that `with_callbacks` wraps.
    X, y, sample_weight : array-like
        As given to fit. `fitted_estimator` is the estimator as if the training had ended with the
        epoch, and is made only for callbacks that ask for it: `Training.model` makes it.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> None:
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.given = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self._fit: Any = None  # contexts
        self._epoch: Any = None

    def check(self) -> None:
        """Have each callback set itself up, which raises what is wrong with its settings."""
        estimator = self.given["estimator"]
        self._fit = estimator._init_callback_context(max_subtasks=self.training.epochs)

    def on_train_begin(self, network: Network, history: History) -> None:
        self._fit.call_on_fit_task_begin(**self.given)

    def on_epoch_begin(self, network: Network, history: History, epoch: int) -> None:
        self._epoch = self._fit.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self.given)

    def on_epoch_end(self, network: Network, history: History) -> bool:
        return bool(self._end(self._epoch))

    def on_train_end(self, network: Network, history: History) -> None:
        self._end(self._fit)

    def _end(self, task: Any) -> Any:
        """Tell of a task's end; True is a callback's wish to stop."""
        model = self.training.model
        return task.call_on_fit_task_end(
            **self.given, reconstruction_attributes=lambda: vars(model())
        )


def protocol_callbacks(estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> list[Callback]:
    """Return what calls the estimator's callbacks of scikit-learn's protocol, if it has any."""
    if not getattr(estimator, "_skl_callbacks", None):
        return []
    return [ProtocolCallbacks(estimator, X, y, sample_weight)]
