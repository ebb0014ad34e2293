"""Plan: the parameters of an estimator, in scikit-learn's names, become a network and a plan."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.activations import Activation, get_activation
from chainrule.engine import Plan
from chainrule.initializers import as_scikit_learn
from chainrule.losses import Loss
from chainrule.optimizers import LBFGS, SGD, AdamW, Optimizer, get_optimizer
from chainrule.own import is_pair
from chainrule.penalties import Penalty
from chainrule.schedules import Constant, InverseScaling, ReduceOnPlateau, Schedule, get_schedule

Parameters = dict[str, Any]
USUAL_SIZES = (100,)  # the constructor's hidden_layer_sizes: width and depth may stand in for them


def is_lbfgs(p: Parameters) -> bool:
    """Tell whether the solver chooses its own steps."""
    return bool(p["solver"] == "lbfgs") or isinstance(p["solver"], LBFGS)


def hidden_layers(p: Parameters) -> tuple[list[int], list[Activation]]:
    """Return sizes and activations of the hidden layers."""
    sizes = _sizes(p)
    given = p["activation"]
    one = isinstance(given, (str, Activation)) or is_pair(given)
    names = [given] * len(sizes) if one else list(given)
    if len(names) != len(sizes):
        raise ValueError(
            f"activation={given!r} names {len(names)} activations; expected {len(sizes)}, one per"
            f" hidden layer of {sizes}"
        )
    return sizes, [get_activation(name) for name in names]


def _sizes(p: Parameters) -> list[int]:
    width, depth, given = p["width"], p["depth"], p["hidden_layer_sizes"]
    sizes = [int(size) for size in np.atleast_1d(np.asarray(given, dtype=object))]
    if width is None and depth is None:
        return sizes
    if sizes != list(USUAL_SIZES):
        raise ValueError(
            f"hidden_layer_sizes={given!r} and width={width!r}, depth={depth!r} are both given;"
            " leave out one of them"
        )
    return [USUAL_SIZES[0] if width is None else int(width)] * (1 if depth is None else int(depth))


def initializers(p: Parameters, hidden: Sequence[Activation]) -> list[Any]:
    """Return what draws the first weights of each layer, the output layer's last.

    "auto" is scikit-learn's rule for the activations that it has.
    """
    given, depth = p["initializer"], len(hidden) + 1
    if isinstance(given, str) and given == "auto":
        given = as_scikit_learn(hidden)
    if isinstance(given, str) or callable(given):
        return [given] * depth
    if len(given) != depth:
        raise ValueError(
            f"initializer={given!r} names {len(given)} initializers; expected {depth}, one per"
            " layer, the output layer's last"
        )
    return list(given)


def make_plan(p: Parameters, loss: Loss, n: int, depth: int, seed: int) -> Plan:
    """Return the plan that scikit-learn's parameters describe, for n rows and `depth` layers."""
    optimizer = _optimizer(p)
    if isinstance(optimizer, LBFGS):
        _refuse_for_lbfgs(p)
    elif optimizer.rate * p["weight_decay"] > 1:
        raise ValueError(
            f"weight_decay={p['weight_decay']!r} at a learning rate of {optimizer.rate:g} takes"
            f" more from a weight than there is; expected at most {1 / optimizer.rate:g}"
        )
    return Plan(
        loss=loss,
        optimizer=optimizer,
        schedule=_schedule(p),
        penalty=Penalty(l1=float(p["l1"]), l2=float(p["l2"]), alpha=float(p["alpha"])),
        batch_size=_batch_size(p, optimizer, n),
        epochs=int(p["max_iter"]),
        seed=seed,
        shuffle=bool(p["shuffle"]),
        dropout=_dropout(p, depth),
        clip_norm=p["clip_norm"],
        weight_decay=float(p["weight_decay"]),
        gradient_accumulation_steps=int(p["gradient_accumulation_steps"]),
        ema_decay=p["ema_decay"],
    )


def _batch_size(p: Parameters, optimizer: Optimizer | LBFGS, n: int) -> int:
    if p["batch_size"] == "auto":
        return n if optimizer.full_batch else min(200, n)
    batch_size = int(p["batch_size"])
    if batch_size > n:
        warnings.warn(f"batch_size={batch_size} is more than the {n} rows: it is {n} now",
                      stacklevel=6)  # fmt: skip
    batch_size = n if isinstance(optimizer, LBFGS) else min(batch_size, n)
    if optimizer.full_batch and batch_size * int(p["gradient_accumulation_steps"]) < n:
        raise ValueError(
            f"solver={p['solver']!r} needs full batches, got batch_size={batch_size} for {n} rows;"
            " leave batch_size='auto', or take another solver, such as 'adam'"
        )
    return batch_size


#: What cannot act where the solver chooses its own steps, and what it is then.
STEPS_ONLY: dict[str, Any] = {
    "dropout": 0.0,
    "input_dropout": 0.0,
    "weight_decay": 0.0,
    "clip_norm": None,
    "gradient_accumulation_steps": 1,
    "ema_decay": None,
}


def _refuse_for_lbfgs(p: Parameters) -> None:
    for name, idle in STEPS_ONLY.items():
        acts = np.any(p[name]) if name == "dropout" else p[name] != idle
        if acts:
            raise ValueError(
                f"{name}={p[name]!r} does not fit solver='lbfgs', which chooses its own steps by an"
                f" exact cost; leave it {idle!r}, or take solver='adam'"
            )


def _dropout(p: Parameters, depth: int) -> tuple[float, ...]:
    """Return the share that drops out of what each layer is fed: of the inputs, then the units."""
    given, inputs = p["dropout"], float(p["input_dropout"])
    several = isinstance(given, (Sequence, np.ndarray))
    if several and len(given) != depth - 1:
        raise ValueError(
            f"dropout={given!r} has {len(given)} entries; expected {depth - 1}, one per hidden"
            " layer, or one number for all"
        )
    hidden = [float(rate) for rate in given] if several else [float(given)] * (depth - 1)
    if depth < 2 and not several and given:
        raise ValueError(
            f"dropout={given!r} has no hidden units to drop; set it to 0, or drop inputs:"
            " input_dropout"
        )
    return (inputs, *hidden) if inputs or any(hidden) else ()


def _optimizer(p: Parameters) -> Optimizer | LBFGS:
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
    if isinstance(optimizer, AdamW) and p["weight_decay"]:
        settings["weight_decay"] = 0.0  # once is enough: the plan's
    return replace(optimizer, **settings)


def _schedule(p: Parameters) -> Schedule:
    name = p["learning_rate"]
    if is_lbfgs(p):
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
