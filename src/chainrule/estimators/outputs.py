"""Outputs: what fitted layers say of rows, and what else can be read off them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from chainrule.activations import ACTIVATIONS, Activation, Sigmoid, get_activation
from chainrule.arrays import Array, is_whole
from chainrule.data import in_one_line, refuse_odd
from chainrule.estimators.inputs import encode, encode_plain, has_encoder
from chainrule.native.predict import Passage, Passages
from chainrule.network import Dense, Network, propagate

FITTED = ("coefs_", "intercepts_", "activations_")
_passages: WeakKeyDictionary[Any, list[Passages]] = WeakKeyDictionary()  # beside: it has no pickle


@lru_cache(64)
def _parameter_names(kind: Any, constructor: Any) -> tuple[str, ...]:
    """Return what the constructor takes; scikit-learn reads it anew for each look, in 200 µs."""
    above: Any = super(Outputs, kind)
    return tuple(above._get_param_names())


class Outputs(BaseEstimator):
    """What both estimators can tell once they are fitted."""

    engine: str
    n_threads: int | None
    coefs_: list[Array]
    intercepts_: list[Array]
    activations_: list[str | Activation]
    out_activation_: str

    @classmethod
    def _get_param_names(cls) -> list[str]:
        kind: Any = cls
        return list(_parameter_names(kind, kind.__init__))

    def _take(self, networks: list[Network]) -> None:
        """Take over the parameters of the members, the first of which is `coefs_`."""
        first = networks[0]
        self.coefs_, self.intercepts_ = list(first.W), list(first.b)
        self.activations_ = [
            a.name if ACTIVATIONS.get(a.name) == a else a for a in first.activations
        ]
        name = first.activations[-1].name
        self.out_activation_ = "logistic" if name == "sigmoid" else name  # scikit-learn's word
        self.__dict__.pop("members_", None)
        if len(networks) > 1:
            self.members_ = [{"coefs": list(n.W), "intercepts": list(n.b)} for n in networks]

    def _features(self, X: Any) -> Any:
        """Return X as the network is fed it (n, features), checked."""
        check_is_fitted(self, "coefs_")
        if has_encoder(self):
            return encode(self, X, learn=False)
        refuse_odd(X, "X")
        with in_one_line():
            X = validate_data(
                self, X, accept_sparse=["csr", "csc"], dtype=(np.float64, np.float32), reset=False
            )
        return sparse.csr_array(X) if sparse.issparse(X) else X

    def _outputs(self, X: Any, both: bool = False) -> Array:
        """Return the outputs (n, outputs) for X, all finite, or raise as scikit-learn asks.

        With `both`, where there is one output only, σ(−z) = 1 − σ(z) stands before it, which loses
        no digits to cancellation. Of several members it is the mean.
        """
        given = self.__dict__.get("_given")
        if given is not None and given[0] is X:
            outputs = given[1]
            return np.hstack([1 - outputs, outputs]) if both and outputs.shape[1] == 1 else outputs
        outputs = self._outputs_of_raw(X, both)
        if outputs is not None:
            return outputs
        X = self._features(X)
        every = self._outputs_of_members(X, both)
        return every[0] if len(every) == 1 else np.mean(every, axis=0)

    def _outputs_of_raw(self, X: Any, both: bool) -> Array | None:
        """Return the outputs for an X that needs no look, None for any other."""
        fitted = self.__dict__
        passage = self._passage()
        if passage is None or "feature_names_in_" in fitted:  # names that X would have to bear
            return None
        if has_encoder(self):
            X = encode_plain(self, X)
        elif fitted.get("n_features_in_") == passage.inputs:
            X = _as_plain(X, passage.dtype)
        else:
            return None
        if "members_" not in fitted:
            return passage.predict(X, both, self._threads())
        passages = [passage, *(self._passage(k) for k in range(1, member_count(self)))]
        every = [each.predict(X, both, self._threads()) for each in passages if each is not None]
        found = [outputs for outputs in every if outputs is not None]
        return np.mean(found, axis=0) if len(found) == len(passages) else None

    def _outputs_of_members(self, X: Any, both: bool = False) -> list[Array]:
        """Return each member's outputs (n, outputs) for features X."""
        return [self._outputs_of(member, X, both) for member in range(member_count(self))]

    def _outputs_of(self, member: int, X: Any, both: bool) -> Array:
        passage = self._passage(member)
        outputs = passage.predict(X, both, self._threads()) if passage is not None else None
        if outputs is not None:
            return outputs
        with np.errstate(over="ignore", invalid="ignore"):
            trace = propagate(fitted_layers(self, member), X)
        refuse_infinite(trace.A[-1])
        if not both or trace.A[-1].shape[1] > 1:
            return np.asarray(trace.A[-1])
        sigma, Z, A = get_activation(self.activations_[-1]), trace.Z[-1], trace.A[-1]
        return np.hstack([sigma.value(-Z) if isinstance(sigma, Sigmoid) else 1 - A, A])

    def _threads(self) -> int | None:
        return self.n_threads if is_whole(self.n_threads, 1) else None

    def _passage(self, member: int = 0) -> Passage | None:
        """Return the way through a member's layers in compiled code, where there is one."""
        fitted = self.__dict__
        if self.engine == "reference" or not all(name in fitted for name in FITTED):
            return None
        coefs, intercepts = member_parameters(self, member)
        activations = fitted["activations_"]
        if not len(coefs) == len(intercepts) == len(activations):
            return None
        known = _passages.get(self) or _passages.setdefault(self, [])
        while len(known) <= member:
            known.append(Passages())
        sigmas = [get_activation(a) for a in activations]
        parts = [*coefs, *intercepts, *sigmas]
        return known[member].of(parts, lambda: _new_passage(self, member))


def _as_plain(X: Any, dtype: Any) -> Any:
    """Return rows of whole numbers, or of fewer digits, in `dtype`; anything else as it is."""
    if type(X) is list:
        try:
            X = np.asarray(X)
        except ValueError:  # rows of several lengths, which are refused elsewhere
            return X
    if type(X) is np.ndarray and X.dtype.kind in "iuf" and X.dtype != dtype == np.float64:
        return X.astype(dtype) if np.can_cast(X.dtype, dtype) else X
    return X


def refuse_infinite(outputs: Array) -> None:
    """Raise ValueError for predictions (n, outputs) of which one is no finite number."""
    finite = np.isfinite(outputs).all(axis=1)
    if not finite.all():
        raise ValueError(
            f"the prediction for row {int(finite.argmin())} of X is not a finite number, as for"
            f" {int((~finite).sum())} rows in all; expected numbers as large as those in fit:"
            " scale or drop these rows"
        )


def member_count(estimator: Any) -> int:
    """Return how many members a fitted estimator has."""
    return len(getattr(estimator, "members_", ())) or 1


def member_parameters(estimator: Any, member: int) -> tuple[list[Array], list[Array]]:
    """Return a member's weights and biases; the first one's are `coefs_` and `intercepts_`."""
    if member == 0:
        return estimator.coefs_, estimator.intercepts_
    parts = estimator.members_[member]
    return parts["coefs"], parts["intercepts"]


def fitted_layers(estimator: Any, member: int = 0) -> list[Dense]:
    """Return the layers of a fitted estimator."""
    activations: list[str | Activation] = estimator.activations_
    parts = zip(*member_parameters(estimator, member), activations, strict=True)
    return [Dense(W, b, get_activation(a)) for W, b, a in parts]


def fitted_network(estimator: Any, member: int = 0) -> Network:
    """Return the network of a fitted estimator, in a vector of its own."""
    layers = fitted_layers(estimator, member)
    sizes = [layers[0].W.shape[0], *(layer.W.shape[1] for layer in layers)]
    network = Network(
        sizes,
        [layer.activation for layer in layers],
        initializers="zeros",
        dtype=layers[0].W.dtype,
    )
    for mine, fitted in zip(network.layers, layers, strict=True):
        mine.W[:], mine.b[:] = fitted.W, fitted.b
    return network


def _new_passage(estimator: Any, member: int) -> Passage:
    layers = fitted_layers(estimator, member)
    parameters = [p for layer in layers for p in (layer.W, layer.b)]
    return Passage(parameters, [layer.activation for layer in layers])
