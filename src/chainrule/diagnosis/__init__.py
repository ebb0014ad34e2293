"""Diagnosis: why does it not learn? One pass over the rows, told in words, numbers and remedies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.arrays import Array, is_whole
from chainrule.data import as_matrix, as_weights, check_targets
from chainrule.diagnosis import course, ending, features, gradients, targets, units
from chainrule.diagnosis.evidence import Evidence
from chainrule.diagnosis.findings import Diagnosis as Diagnosis
from chainrule.diagnosis.findings import Finding as Finding
from chainrule.diagnosis.words import SPEECH
from chainrule.engine.contract import fault_place, layer_name
from chainrule.history import History
from chainrule.losses import Loss, get_loss
from chainrule.names import look_up
from chainrule.network import Network
from chainrule.optimizers import LBFGS, Optimizer, get_optimizer
from chainrule.sparse import is_sparse


def not_finite(e: Evidence) -> Iterator[Finding]:
    """Outputs or gradients that are no numbers."""
    if not e.finite:
        place = fault_place(e.network, e.trace, e.gradients)
        rate = f"Train anew with {e.say('rate', e.rate / 10)}" if e.rate else "Train anew"
        yield Finding(
            "not_finite",
            "warning",
            None,
            f"The network gives numbers that are not finite on these rows, first {place}.",
            {"place": place},
            f"{rate}, with scaled inputs and targets, or {e.say('clip', 1)}.",
        )


#: What a check needs, each of it more: weights and history; rows; outputs and gradients on them
#: that are numbers.
HISTORY, ROWS, NUMBERS = range(3)


class Check(NamedTuple):
    """A look at the evidence, and what it needs to see."""

    look: Callable[[Evidence], Iterator[Finding]]
    needs: int = ROWS


#: The one table of checks, causes before what they lead to; a check's name is its findings' kind.
CHECKS: tuple[Check, ...] = (
    Check(not_finite),
    Check(features.target_among_features),
    Check(features.unscaled_inputs),
    Check(features.constant_inputs),
    Check(targets.unscaled_targets),
    Check(targets.constant_target),
    Check(targets.unreachable_targets),
    Check(targets.rare_classes),
    Check(course.rate_too_high, HISTORY),
    Check(course.rate_too_low, NUMBERS),
    Check(units.identical_units, HISTORY),
    Check(gradients.vanishing_gradients, NUMBERS),
    Check(gradients.exploding_gradients, NUMBERS),
    Check(gradients.update_size, NUMBERS),
    Check(gradients.clipped, HISTORY),
    Check(units.dead_units, NUMBERS),
    Check(units.saturated_units, NUMBERS),
    Check(targets.never_predicted, NUMBERS),
    Check(course.learned_nothing, NUMBERS),
    Check(course.overfitting, HISTORY),
    Check(ending.stopped, HISTORY),
)


def diagnose(
    network: Network,
    X: Any = None,
    Y: Any = None,
    *,
    loss: str | Loss = "squared_error",
    history: History | None = None,
    held_out: tuple[Any, Any] | None = None,
    optimizer: str | Optimizer | LBFGS | None = None,
    weights: Any = None,
    batch_size: int | None = None,
    clip_norm: float | None = None,
    dropout: Any = 0.0,
    feature_names: Sequence[str] | None = None,
    class_names: Sequence[Any] | None = None,
    speaks: str = "train",
    most_rows: int = 2000,
    seed: int = 0,
) -> Diagnosis:
    """Tell what is wrong with a network, its rows and its training, and what to do about it.

    One pass forward and back over the rows, or a sample of them, in float64; the network is not
    changed. Nothing is trained; a few gradients are tried out on a copy.

    Parameters
    ----------
    network : Network
        Trained, or not yet: what can be said of first weights and data is said then.
    X, Y : array-like
        Rows (n, inputs) as the network sees them, encoded and scaled, and targets (n, outputs):
        classes one-hot, or one column of 0 and 1. Best those it learnt from. Without them, only
        what history and weights tell is told.
    loss : str or Loss
        What was minimised.
    history : History, optional
        As `train` returned it; without it nothing is said of how the training went.
    held_out : (X, Y), optional
        Rows that were not learnt from, to see overfitting.
    optimizer, batch_size, clip_norm, dropout : optional
        As in `train`: to see the size of updates, and that a loss jumps by chance.
    weights : array-like (n,), optional
        Sample weights. Rows of weight 0 are left out.
    feature_names, class_names : sequence, optional
        How to call columns of X and classes; of a data frame its columns' names are known.
    speaks : {"train", "estimator", "own_solver", "command"}
        In whose words remedies are told: parameters of `train`, of the estimators, of estimators
        whose solver is an object, or options of the command line.
    most_rows, seed : int
        Most rows to look at, drawn from the seed. Classes are counted over all.

    Returns
    -------
    Diagnosis
        Print it for a report; `findings` for the parts, `healthy` for a yes or no.

    Raises
    ------
    ValueError
        For data that do not fit the network or the loss, as in `train`, and where there are
        neither rows nor a history.

    Examples
    --------
    >>> from chainrule import Network, diagnose
    >>> X = [[0, 0], [0, 1], [1, 0], [1, 1]]
    >>> net = Network([2, 3, 1], "tanh", initializers="zeros")
    >>> print(diagnose(net, X, [[0], [1], [1], [0]])["identical_units"].numbers)
    {'distinct': {1: 1}, 'units': {1: 3}}
    """
    if not isinstance(network, Network):
        raise ValueError(
            f"network is a {type(network).__name__}; expected a Network. A fitted estimator has"
            " this as a method: model.diagnose(X, y), or at the end of a Pipeline"
            " pipeline[-1].diagnose(pipeline[:-1].transform(X), y)"
        )
    if not is_whole(most_rows, 1):
        raise ValueError(f"most_rows={most_rows!r} must be a whole number >= 1")
    if not is_whole(seed):
        raise ValueError(f"seed={seed!r} must be a whole number >= 0")
    look_up(SPEECH, speaks, "speaks")
    loss = get_loss(loss)
    if feature_names is None and hasattr(X, "columns"):
        feature_names = [str(name) for name in X.columns]
    if X is None and not history:
        raise ValueError("there is nothing to look at: give rows X and Y, or history, or both")
    all_Y, taken = _rows(network, X, Y, loss, weights, most_rows, seed)
    evidence = Evidence(
        network.copy("float64"), *taken, all_Y, loss, history or History(),
        held_out=_held_out(network, held_out, loss, most_rows, seed),
        optimizer=None if optimizer is None else get_optimizer(optimizer),
        batch_size=batch_size, clip_norm=clip_norm, dropout=bool(np.any(dropout)),
        speaks=speaks, seed=seed,
        feature_names=_names(feature_names, network.sizes[0], "feature_names"),
        class_names=_names(class_names, max(2, network.sizes[-1]), "class_names"),
    )  # fmt: skip
    with np.errstate(all="ignore"):  # what overflows is found, and told
        return conclude(evidence)


def conclude(e: Evidence) -> Diagnosis:
    """Return what the checks say of the evidence."""
    seen = HISTORY if e.blind else NUMBERS if e.finite else ROWS
    looks = [check.look for check in CHECKS if check.needs <= seen]
    found = tuple(finding for look in looks for finding in look(e))
    return Diagnosis(
        _described(e.network),
        len(e.X),
        int(e.history["epoch"][-1]) if e.trained else 0,
        e.cost,
        e.baseline,
        e.skill,
        found,
        tuple(_layer(e, l) for l in range(len(e.network.layers))),
    )


def _described(network: Network) -> str:
    """Return a network in words, its activations named once where they are the same.

    >>> _described(Network([4, 8, 8, 3], "relu", output_activation="softmax"))
    '4 → 8 → 8 → 3 (relu, softmax)'
    """
    names = [sigma.name for sigma in network.activations]
    if len(set(names[:-1])) == 1:
        names = [names[0], names[-1]]
    return f"{' → '.join(map(str, network.sizes))} ({', '.join(names)})"


def _layer(e: Evidence, l: int) -> dict[str, Any]:
    """Return a layer's numbers, as `Diagnosis.layers` has them."""
    output = l == len(e.network.layers) - 1
    idle = None if output or not e.finite else units.idle(e, l)
    last, ratios = (e.error_norms[-1], e.update_ratios) if e.finite else (0.0, None)
    ratio = None if ratios is None or np.isnan(ratios[l]) else float(ratios[l])
    return {
        "layer": l + 1,
        "name": layer_name(e.network, l),
        "units": e.network.activations[l].name,
        "idle": None if idle is None else float(idle.mean()),
        "error": e.error_norms[l] / last if e.finite and last else None,
        "update_ratio": ratio,
    }


def _rows(
    network: Network, X: Any, Y: Any, loss: Loss, weights: Any, most: int, seed: int
) -> tuple[Array, tuple[Array, Array, Array]]:
    """Return all targets that count, and X, Y and weights of the rows to look at."""
    if X is None:
        X, Y = (np.empty((0, k)) for k in (network.sizes[0], network.sizes[-1]))
        return Y, (X, Y, np.empty(0))
    X = as_matrix(X, "X", np.float64, network.sizes[0])
    Y = as_matrix(Y, "Y", np.float64, network.sizes[-1])
    Y = Y.toarray() if is_sparse(Y) else Y
    if X.shape[0] != Y.shape[0]:
        raise ValueError(f"X has {X.shape[0]} rows and Y has {Y.shape[0]}; expected as many")
    check_targets(loss, Y)
    given = as_weights(weights, len(Y), np.float64)
    w = np.ones(len(Y)) if given is None else given
    counts = np.flatnonzero(w > 0)
    rows = counts
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    seen = X[rows]
    return Y[counts], (seen.toarray() if is_sparse(seen) else seen, Y[rows], w[rows])


def _held_out(
    network: Network, pair: tuple[Any, Any] | None, loss: Loss, most: int, seed: int
) -> tuple[Array, Array] | None:
    if pair is None:
        return None
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise ValueError(f"held_out is a {type(pair).__name__}; expected a pair (X, Y)")
    X, Y, _ = _rows(network, *pair, loss, None, most, seed)[1]
    return X, Y


def _names(given: Sequence[Any] | None, count: int, what: str) -> list[str] | None:
    if given is None:
        return None
    names = [str(name) for name in given]
    if len(names) != count:
        raise ValueError(f"{what} has {len(names)} names; expected {count}")
    return names
