"""Calibration: probabilities that are as often right as they say, by a temperature.

A network that fits its training rows well is sure of itself beyond what it knows. One number
mends most of it (Guo et al. 2017): its logits are divided by a temperature T, found on rows that
it was not trained on. T > 1 makes it less sure, T < 1 more; the order of the classes of a row
stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from typing import Any

import numpy as np

from chainrule.activations import ACTIVATIONS
from chainrule.arrays import Array, is_number, is_whole
from chainrule.data import as_matrix, as_weights, check_targets
from chainrule.losses import Loss, get_loss
from chainrule.trace import Dense

LOWEST, HIGHEST = 0.01, 100.0  # temperatures; where every row is right the best is 0


def fit_temperature(
    logits: Any, Y: Any, weights: Any = None, *, loss: str | Loss = "cross_entropy"
) -> float:
    """Return the temperature T that makes the loss of `logits` / T smallest.

    The loss is convex in 1 / T, and its slope there is Σ z (a − y), so that the minimum is where
    the slope is 0; it is looked for between 0.01 and 100. The loss at T never is above the loss
    at 1.

    Parameters
    ----------
    logits : array-like (n, outputs)
        Of rows that the network was not trained on, before softmax or sigmoid: `hidden.logits`.
        The logarithms of an ensemble's probabilities will do too.
    Y : array-like (n, outputs)
        Targets: one-hot for "cross_entropy", 0 and 1 for "binary_cross_entropy".
    weights : array-like (n,), optional
        Sample weights.
    loss : str or Loss
        "cross_entropy" for softmax over the outputs; "binary_cross_entropy" for a sigmoid of one
        output, or of each of several labels, which then share T.

    Raises
    ------
    ValueError
        For arrays that do not fit, and another loss.

    Examples
    --------
    >>> logits = [[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [0.0, 4.0]]  # sure of each, ¾ right
    >>> Y = [[1, 0], [1, 0], [0, 1], [0, 1]]
    >>> T = fit_temperature(logits, Y)
    >>> round(T, 4), apply_temperature(logits, T)[0].round(4)
    (3.641, array([0.75, 0.25]))
    """
    from scipy.optimize import brentq  # a third of a second that an import of this can do without

    loss = _probabilistic(loss)
    Z = as_matrix(logits, "logits", np.float64)
    Y = as_matrix(Y, "Y", np.float64, Z.shape[1])
    if len(Y) != len(Z):
        raise ValueError(f"Y has {len(Y)} rows; expected {len(Z)}, as the logits have")
    check_targets(loss, Y)
    w = as_weights(weights, len(Z), np.float64)
    target, sigma = loss.target(Y), ACTIVATIONS[loss.canonical or ""]
    share = np.full(len(Z), 1 / len(Z)) if w is None else w / w.sum()

    def slope(log_temperature: float) -> float:
        """Return the derivative for 1 / T."""
        a = sigma.value(Z * exp(-log_temperature))
        return float(share @ (Z * (a - target)).sum(axis=1))

    low, high = log(LOWEST), log(HIGHEST)
    if abs(slope(0.0)) <= 1e-15 * np.abs(Z).max():  # as with logits that are all equal
        return 1.0
    if slope(low) <= 0:
        return LOWEST
    if slope(high) >= 0:
        return HIGHEST
    return float(exp(brentq(slope, low, high, xtol=1e-13, rtol=1e-13)))


def apply_temperature(
    logits: Any, temperature: float, *, loss: str | Loss = "cross_entropy"
) -> Array:
    """Return the probabilities (n, outputs) that `logits` / `temperature` give.

    >>> apply_temperature([[2.0]], 2.0, loss="binary_cross_entropy").round(4)
    array([[0.7311]])
    """
    _check_temperature(temperature)
    sigma = ACTIVATIONS[_probabilistic(loss).canonical or ""]
    return np.asarray(sigma.value(as_matrix(logits, "logits", np.float64) / temperature))


def log_odds(p: Array) -> Array:
    """Return the logit log p − log(1 − p) of each probability, finite where p is 1.

    >>> log_odds(np.array([0.5, 1.0])).round(3)
    array([ 0.   , 36.737])
    """
    return np.log(p) - np.log1p(-np.minimum(p, 1 - 1e-16))


def divide_logits(layers: Sequence[Dense], temperature: float) -> None:
    """Divide the logits of a network by a temperature: W and b of its last layer, in place.

    From then on its probabilities are calibrated wherever they come from: compiled code, a file,
    an export.

    >>> from chainrule import Network
    >>> net = Network([2, 3, 1], output_activation="sigmoid", seed=0)
    >>> X = [[1.0, 2.0]]
    >>> before = net.forward(X).Z[-1]
    >>> divide_logits(net.layers, 2.0)
    >>> bool(np.allclose(net.forward(X).Z[-1], before / 2))
    True
    """
    _check_temperature(temperature)
    layers[-1].W[:] /= temperature
    layers[-1].b[:] /= temperature


def expected_calibration_error(
    Y: Any, P: Any, bins: int = 15, weights: Any = None, *, multilabel: bool = False
) -> float:
    """Return how far, on average, a network's certainty is from how often it is right.

    Rows are put into bins of equal width by the probability of their most probable class; the
    error is Σ over bins of their share of the rows times |share that is right − mean
    probability| (Naeini et al. 2015). 0 is best.

    Parameters
    ----------
    Y : array-like (n, classes), or (n, 1) for two classes
        Targets, one-hot or 0 and 1.
    P : array-like of the same shape
        Probabilities.
    bins : int
        Of equal width between 0 and 1.
    weights : array-like (n,), optional
        Sample weights.
    multilabel : bool
        Whether the columns are labels, each on its own; then every probability counts, against
        how often its label is 1.

    Examples
    --------
    >>> expected_calibration_error([[1], [1], [1], [0]], [[0.75], [0.75], [0.75], [0.75]])
    0.0
    >>> round(expected_calibration_error([[1, 0], [0, 1]], [[0.9, 0.1], [0.8, 0.2]], 1), 9)
    0.35
    """
    if not is_whole(bins, 1):
        raise ValueError(f"bins={bins!r} must be a whole number >= 1")
    P = as_matrix(P, "P", np.float64)
    Y = as_matrix(Y, "Y", np.float64)
    if Y.shape != P.shape:
        raise ValueError(f"Y has shape {Y.shape}; expected {P.shape}, as P has")
    if P.min() < 0 or P.max() > 1 + 1e-6:
        raise ValueError(f"P holds {P.min():g} to {P.max():g}; expected probabilities, 0 to 1")
    w = as_weights(weights, len(P), np.float64)
    w = np.ones(len(P)) if w is None else w
    if multilabel:
        sure, right, w = P.ravel(), Y.ravel(), np.repeat(w, P.shape[1])
    else:
        if P.shape[1] == 1:
            P, Y = np.hstack([P, 1 - P]), np.hstack([Y, 1 - Y])
        sure = P.max(axis=1)
        right = Y[np.arange(len(Y)), P.argmax(axis=1)]
    place = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = np.bincount(place, weights=w * (right - sure), minlength=bins)
    return float(np.abs(gaps).sum() / w.sum())


def _probabilistic(loss: str | Loss) -> Loss:
    known = get_loss(loss)
    if known.targets != (0.0, 1.0) or known.canonical is None:
        raise ValueError(
            f"loss={loss!r} has no probabilities to calibrate; expected 'cross_entropy' or"
            " 'binary_cross_entropy'"
        )
    return known


def _check_temperature(temperature: float) -> None:
    if not is_number(temperature, above=0):
        raise ValueError(f"temperature={temperature!r} must be a finite number > 0")
