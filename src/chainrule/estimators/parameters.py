"""Parameters of the estimators: what each means, what it may be, and the plan they make together.

scikit-learn's names stay outside this room; inside the package the field's own are used.
"""

from __future__ import annotations

import inspect
import textwrap
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from chainrule.activations import ACTIVATIONS, Activation, get_activation
from chainrule.arrays import is_number, is_whole
from chainrule.engine import ENGINE_CHOICES, Plan
from chainrule.losses import Loss
from chainrule.names import nearest
from chainrule.optimizers import LBFGS, OPTIMIZERS, SGD, Optimizer, get_optimizer
from chainrule.penalties import Penalty
from chainrule.schedules import (
    SCHEDULES,
    Constant,
    InverseScaling,
    ReduceOnPlateau,
    Schedule,
    get_schedule,
)

Described = TypeVar("Described")


@dataclass(frozen=True)
class Parameter:
    """One parameter: its text for the documentation, what it accepts, and that in words."""

    text: str
    accepts: Callable[[Any], bool]
    expected: str
    names: Callable[[], Sequence[str]] = tuple  # accepted names, to suggest the nearest


def _number(low: float, high: float = np.inf, *, open_low: bool = False) -> Callable[[Any], bool]:
    above = low if open_low else -np.inf
    return lambda value: is_number(value, low, above=above) and bool(value <= high)


def _whole(value: Any) -> bool:
    return is_whole(value, 1)


def _is_seed(value: Any) -> bool:
    return is_whole(value) and bool(value < 2**32)


def _sizes(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    several = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
    return all(map(_whole, value)) if several else _whole(value)


def _flag(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_))


def _one_of(*names: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in names


def _is_activation(value: Any) -> bool:
    return isinstance(value, Activation) or (isinstance(value, str) and value in ACTIVATIONS)


def _schedule_names() -> list[str]:
    return sorted({"invscaling", "adaptive", *SCHEDULES})


_SHARE = "a number >= 0 and < 1"
_FLAG = "True or False"

#: The one table of parameters that both estimators have.
PARAMETERS: dict[str, Parameter] = {
    "hidden_layer_sizes": Parameter(
        "Units of each hidden layer; () is linear, logistic or softmax regression.",
        _sizes,
        "a whole number >= 1 or a sequence of them, such as (64, 32)",
    ),
    "activation": Parameter(
        "Activation of the hidden layers: a name or an Activation, or a sequence of one per layer.",
        lambda v: (
            _is_activation(v)
            or (isinstance(v, Sequence) and not isinstance(v, str) and all(map(_is_activation, v)))
        ),
        "a name in ACTIVATIONS, an Activation, or a sequence of one per hidden layer",
        lambda: sorted(ACTIVATIONS),
    ),
    "solver": Parameter(
        "Optimizer: a name, or an object with settings of its own, such as RMSprop(0.01).",
        lambda v: isinstance(v, (Optimizer, LBFGS)) or (isinstance(v, str) and v in OPTIMIZERS),
        "a name in OPTIMIZERS, or an optimizer",
        lambda: sorted(OPTIMIZERS),
    ),
    "alpha": Parameter(
        "L2 penalty on the weights, divided by the batch's total sample weight.",
        _number(0),
        "a finite number >= 0",
    ),
    "batch_size": Parameter(
        "Rows per update; 'auto' is min(200, n), or all for full-batch solvers.",
        lambda v: _whole(v) or (isinstance(v, str) and v == "auto"),
        "'auto' or a whole number >= 1",
    ),
    "learning_rate": Parameter(
        "Schedule of the learning rate, for every solver but 'lbfgs': a name, or a Schedule.",
        lambda v: isinstance(v, Schedule) or (isinstance(v, str) and v in _schedule_names()),
        "'constant', 'invscaling', 'adaptive', a name in SCHEDULES, or a Schedule",
        _schedule_names,
    ),
    "learning_rate_init": Parameter(
        "Learning rate that the schedule starts from.",
        _number(0, open_low=True),
        "a finite number > 0, such as 0.001",
    ),
    "power_t": Parameter(
        "Exponent p of 'invscaling': η / tᵖ, with t counted in updates.",
        _number(0),
        "a finite number >= 0",
    ),
    "max_iter": Parameter("Most epochs (for 'lbfgs', iterations).", _whole, "a whole number >= 1"),
    "shuffle": Parameter("Whether each epoch takes the rows in a new order.", _flag, _FLAG),
    "random_state": Parameter(
        "Seed of first weights, order of rows and validation split.",
        lambda v: v is None or isinstance(v, np.random.RandomState) or _is_seed(v),
        "None, a whole number from 0 to 2**32 - 1, or a RandomState",
    ),
    "tol": Parameter("Improvement that counts as one.", _number(0), "a finite number >= 0"),
    "verbose": Parameter(
        "Whether to print a line per epoch.",
        lambda v: _flag(v) or (isinstance(v, (int, np.integer)) and bool(v >= 0)),
        _FLAG,
    ),
    "warm_start": Parameter("Whether `fit` goes on from the last weights.", _flag, _FLAG),
    "momentum": Parameter("Momentum of 'sgd'.", _number(0, 1), "a number from 0 to 1"),
    "nesterovs_momentum": Parameter("Whether it is Nesterov's.", _flag, _FLAG),
    "early_stopping": Parameter(
        "Whether to hold out rows, stop when `monitor` no longer improves on them, and keep the"
        " best weights.",
        _flag,
        _FLAG,
    ),
    "validation_fraction": Parameter(
        "Share of the rows that is held out; stratified by class.",
        lambda v: _number(0)(v) and v < 1,
        _SHARE,
    ),
    "beta_1": Parameter("Decay of Adam's mean.", lambda v: _number(0)(v) and v < 1, _SHARE),
    "beta_2": Parameter("Decay of Adam's square.", lambda v: _number(0)(v) and v < 1, _SHARE),
    "epsilon": Parameter("Adam's ε.", _number(0, open_low=True), "a finite number > 0"),
    "n_iter_no_change": Parameter(
        "Epochs without improvement to wait before stopping.",
        lambda v: _whole(v) or v == np.inf,
        "a whole number >= 1, or inf",
    ),
    "max_fun": Parameter("Most evaluations for 'lbfgs'.", _whole, "a whole number >= 1"),
    "dropout": Parameter(
        "Share of the hidden units that drops out in each update.",
        lambda v: _number(0)(v) and v < 1,
        _SHARE,
    ),
    "clip_norm": Parameter(
        "Most that the gradient's norm may be in an update; a larger one is scaled down.",
        lambda v: v is None or _number(0, open_low=True)(v),
        "None or a finite number > 0",
    ),
    "monitor": Parameter(
        "What early stopping watches on the held-out rows: 'metric' (accuracy or R², as"
        " scikit-learn) or 'validation_loss', which is steadier.",
        _one_of("metric", "validation_loss"),
        "'metric' or 'validation_loss'",
        lambda: ("metric", "validation_loss"),
    ),
    "callbacks": Parameter(
        "Callback objects; see `chainrule.callbacks`.",
        lambda v: v is None or (isinstance(v, Sequence) and not isinstance(v, str)),
        "None or a sequence of Callback objects",
    ),
    "engine": Parameter(
        "What executes the steps: 'reference' (NumPy), 'native' (compiled), or 'auto', which is the"
        " native engine where it can run this.",
        _one_of(*ENGINE_CHOICES),
        "'auto', 'native' or 'reference'",
        lambda: ENGINE_CHOICES,
    ),
    "n_threads": Parameter(
        "Most cores to use; None is all.",
        lambda v: v is None or _whole(v),
        "None or a whole number >= 1",
    ),
}


ATTRIBUTES = """
    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        Weights (n_in, n_out) and biases (n_out,) of each layer.
    loss_curve_, validation_scores_ : list of float
        Loss, and with early stopping the metric on the held-out rows, of each epoch.
    history_ : list of dict
        One plain record per epoch: loss, validation_loss, metric, rate, gradient_norm, seconds, …
    stop_reason_ : str
        Why the training ended.
    best_epoch_ : int or None
        The epoch whose weights were kept, where held-out rows decided.
    engine_, engine_reason_ : str
        What executed the steps, and why it was not the native engine.
    n_iter_, n_layers_, n_outputs_, t_, loss_, best_loss_, out_activation_, n_features_in_
        As in scikit-learn.
"""


def describe(estimator: type[Described]) -> type[Described]:
    """Fill {parameters}, with the defaults, and {attributes} into a class's docstring."""
    own: dict[str, Parameter] = getattr(estimator, "_own", {})
    table = PARAMETERS | own
    signature = inspect.signature(estimator)
    lines = []
    for name, parameter in signature.parameters.items():
        lines.append(f"    {name} : {table[name].expected}; default {parameter.default!r}")
        lines += textwrap.wrap(
            table[name].text, 92, initial_indent=" " * 8, subsequent_indent=" " * 8
        )
    text = (estimator.__doc__ or "").replace("{parameters}", "\n".join(lines).strip())
    estimator.__doc__ = text.replace("{attributes}", ATTRIBUTES.strip())
    return estimator


def check_parameters(given: dict[str, Any], own: dict[str, Parameter]) -> None:
    """Raise ValueError for the first parameter whose value is not accepted."""
    for name, parameter in (PARAMETERS | own).items():
        value = given[name]
        if not parameter.accepts(value):
            hint = nearest(value, parameter.names()) if isinstance(value, str) else ""
            known = f". Known: {', '.join(parameter.names())}" if parameter.names() else ""
            shown = " ".join(repr(value).split())[:100]
            raise ValueError(
                f"{name}={shown} is not valid{hint}{' Expected' if hint else '; expected'}"
                f" {parameter.expected}{known}"
            )


def hidden_layers(p: dict[str, Any]) -> tuple[list[int], list[Activation]]:
    """Return sizes and activations of the hidden layers."""
    sizes = p["hidden_layer_sizes"]
    sizes = [int(size) for size in np.atleast_1d(np.asarray(sizes, dtype=object))]
    given = p["activation"]
    names = [given] * len(sizes) if isinstance(given, (str, Activation)) else list(given)
    if len(names) != len(sizes):
        raise ValueError(
            f"activation={given!r} names {len(names)} activations; expected {len(sizes)}, one per"
            f" hidden layer of hidden_layer_sizes={p['hidden_layer_sizes']!r}"
        )
    return sizes, [get_activation(name) for name in names]


def make_plan(p: dict[str, Any], loss: Loss, n: int, depth: int, seed: int) -> Plan:
    """Return the plan that scikit-learn's parameters describe, for n rows and `depth` layers."""
    optimizer = _optimizer(p)
    if p["batch_size"] == "auto":
        batch_size = n if optimizer.full_batch else min(200, n)
    else:
        batch_size = int(p["batch_size"])
        if batch_size > n:
            warnings.warn(f"batch_size={batch_size} is more than the {n} rows: it is {n} now",
                          stacklevel=4)  # fmt: skip
        batch_size = n if isinstance(optimizer, LBFGS) else min(batch_size, n)
    if optimizer.full_batch and batch_size < n:
        raise ValueError(
            f"solver={p['solver']!r} needs full batches, got batch_size={batch_size} for {n} rows;"
            " leave batch_size='auto', or take another solver, such as 'adam'"
        )
    return Plan(
        loss=loss,
        optimizer=optimizer,
        schedule=_schedule(p),
        penalty=Penalty(alpha=float(p["alpha"])),
        batch_size=batch_size,
        epochs=int(p["max_iter"]),
        seed=seed,
        shuffle=bool(p["shuffle"]),
        dropout=_dropout(p, depth),
        clip_norm=p["clip_norm"],
    )


def _dropout(p: dict[str, Any], depth: int) -> tuple[float, ...]:
    """Return the share that drops out of what each layer is fed; inputs stay whole."""
    if not p["dropout"]:
        return ()
    if depth < 2:
        raise ValueError(f"dropout={p['dropout']!r} has no hidden units to drop; set it to 0")
    if p["solver"] == "lbfgs" or isinstance(p["solver"], LBFGS):
        raise ValueError(
            f"dropout={p['dropout']!r} does not fit solver='lbfgs', which needs an exact cost; take"
            " solver='adam'"
        )
    return (0.0,) + (float(p["dropout"]),) * (depth - 1)


def _optimizer(p: dict[str, Any]) -> Optimizer | LBFGS:
    """Return the solver with what the parameters say of it; an object's own settings stay."""
    optimizer = get_optimizer(p["solver"])
    if not isinstance(p["solver"], str):
        return optimizer
    if isinstance(optimizer, LBFGS):
        return LBFGS(int(p["max_fun"]), float(p["tol"]))
    settings: dict[str, Any] = {"rate": float(p["learning_rate_init"])}
    if isinstance(optimizer, SGD):
        settings |= {"momentum": float(p["momentum"]), "nesterov": bool(p["nesterovs_momentum"])}
    if hasattr(optimizer, "beta_1"):
        settings |= {name: float(p[name]) for name in ("beta_1", "beta_2", "epsilon")}
    return replace(optimizer, **settings)


def _schedule(p: dict[str, Any]) -> Schedule:
    name = p["learning_rate"]
    if p["solver"] == "lbfgs" or isinstance(p["solver"], LBFGS):
        if isinstance(name, str) and name in ("constant", "invscaling", "adaptive"):
            return Constant()  # scikit-learn's own are without effect there, too
        raise ValueError(
            f"learning_rate={name!r} cannot act on solver='lbfgs', which chooses its own steps;"
            " leave it 'constant', or take solver='adam'"
        )
    if isinstance(name, str) and name == "invscaling":
        return InverseScaling(float(p["power_t"]))
    if isinstance(name, str) and name == "adaptive":
        return ReduceOnPlateau(0.2, p["n_iter_no_change"], float(p["tol"]), 1e-6)
    return get_schedule(name)
