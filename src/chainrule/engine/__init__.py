"""Engines: ways to execute a training plan, one contract for all.

`native` is compiled, and in `ENGINES` where its library was built. `reference` is NumPy, readable
and observable, and takes over what the native engine cannot run. CHAINRULE_ENGINE=reference in the
environment forces it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import cache

from chainrule.arrays import is_whole
from chainrule.engine.contract import (
    Data,
    Engine,
    Event,
    Fault,
    Plan,
    State,
)
from chainrule.engine.native import CHUNK, NativeEngine, advance_each, unsupported
from chainrule.engine.reference import ReferenceEngine
from chainrule.memory import refuse_beyond_memory
from chainrule.names import look_up
from chainrule.native import Library, find
from chainrule.network import Network
from chainrule.optimizers import LBFGS

__all__ = [
    "ENGINES",
    "ENGINE_CHOICES",
    "Data",
    "Engine",
    "Event",
    "Fault",
    "NativeEngine",
    "NoNativeEngine",
    "Plan",
    "State",
    "advance_each",
    "choose_engine",
]

Maker = Callable[[Plan, Network, Data, int | None], Engine]


def _forced() -> bool:
    """Tell whether the environment forces the reference engine."""
    return os.environ.get("CHAINRULE_ENGINE") == "reference"


_usable = isinstance(find(), Library) and not _forced()
_native: dict[str, Maker] = {"native": NativeEngine} if _usable else {}

#: The one table of engines, fastest first.
ENGINES: dict[str, Maker] = _native | {"reference": ReferenceEngine}
ENGINE_CHOICES = ("auto", "native", "reference")


class NoNativeEngine(RuntimeWarning):
    """The native engine was not built, or doesn't fit; training takes several times as long."""


def choose_engine(
    name: str, plan: Plan, network: Network, data: Data, n_threads: int | None = None
) -> tuple[Engine, str]:
    """Return the engine called `name`, and why it was taken if it is not the fastest kind.

    "auto" takes the native engine where it can run this, else the reference engine. Where the
    library is missing it warns, once in a process. Raises ValueError for an unknown name, an
    engine that cannot run this, and a number of threads below 1; MemoryError where what the
    training needs is more than there is.
    """
    look_up(dict.fromkeys(ENGINE_CHOICES), name, "engine")
    if not (n_threads is None or is_whole(n_threads, 1)):
        raise ValueError(f"n_threads={n_threads!r} must be >= 1, or None for all cores")
    reason = _why_not_native(plan, network, data)
    if name == "native" and reason:
        raise ValueError(f"engine='native' cannot run this: {reason}; take engine='auto'")
    if name == "reference":
        reason = "engine='reference' was asked for"
    elif isinstance(library := find(), str) and not _forced():
        _warn_once(library)
    chosen = "reference" if reason else "native"
    _refuse_what_cannot_fit(chosen, plan, network, data)
    return ENGINES[chosen](plan, network, data, n_threads), reason


def _why_not_native(plan: Plan, network: Network, data: Data) -> str:
    """Return why the native engine is not to be taken, or nothing."""
    library = find()
    if _forced():
        return "CHAINRULE_ENGINE=reference is set"
    return library if isinstance(library, str) else unsupported(library, plan, network, data)


def _refuse_what_cannot_fit(engine: str, plan: Plan, network: Network, data: Data) -> None:
    """Raise MemoryError where a training's vectors and the rows under way are more than fit.

    What the network and the data take is taken already.
    """
    native, wide = engine == "native", 8 / network.dtype.itemsize
    slots = len(getattr(plan.optimizer, "slots", ()))
    vectors: float = 2 + slots  # the gradient, the best parameters, what the optimizer remembers
    if native:  # in panels: W, its transpose, and a gradient that is looked at
        vectors += 2 + (plan.clip_norm is not None)
    vectors += (1 + native) * (plan.ema_decay is not None)
    vectors += plan.gradient_accumulation_steps > 1
    if isinstance(plan.optimizer, LBFGS):  # SciPy's pairs and scratch, in float64
        vectors += (2 * plan.optimizer.memory + 10) * wide
    rows = min(plan.batch_size, data.n, CHUNK if native else data.n)
    parameters = int(vectors * network.theta.size)
    values = rows * (network.sizes[0] + 3 * sum(network.sizes[1:]))  # Z, A and δ
    remedy = "take fewer or smaller layers"
    if values > parameters:
        remedy = "take a smaller batch_size, or smaller layers"
    refuse_beyond_memory(
        parameters + values, network.dtype, "training", network, "by", plan.optimizer, remedy=remedy
    )


@cache
def _warn_once(why: str) -> None:
    warnings.warn(
        f"chainrule trains on NumPy, which takes several times as long: {why.partition(';')[0]}."
        " Install chainrule again (pip install --force-reinstall chainrule), or set"
        " CHAINRULE_ENGINE=reference or engine='reference' to hear no more of it",
        NoNativeEngine,
        stacklevel=5,  # whoever called `train`
    )
