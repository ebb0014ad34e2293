"""Engines: ways to execute a training plan, one contract for all.

`reference` is NumPy, readable and observable. `native` is compiled, and in `ENGINES` where its
library was built. CHAINRULE_ENGINE=reference in the environment forces the reference engine.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from chainrule.arrays import is_whole
from chainrule.engine.contract import (
    Data,
    Engine,
    Event,
    Fault,
    Plan,
    State,
)
from chainrule.engine.native import NativeEngine, unsupported
from chainrule.engine.reference import ReferenceEngine
from chainrule.names import look_up
from chainrule.native import Library, find
from chainrule.network import Network

__all__ = [
    "ENGINES",
    "ENGINE_CHOICES",
    "Data",
    "Engine",
    "Event",
    "Fault",
    "Plan",
    "State",
    "choose_engine",
]

Maker = Callable[[Plan, Network, Data, int | None], Engine]

_native: dict[str, Maker] = {"native": NativeEngine} if isinstance(find(), Library) else {}

#: The one table of engines, fastest first.
ENGINES: dict[str, Maker] = _native | {"reference": ReferenceEngine}
ENGINE_CHOICES = ("auto", "native", "reference")


def choose_engine(
    name: str, plan: Plan, network: Network, data: Data, n_threads: int | None = None
) -> tuple[Engine, str]:
    """Return the engine called `name`, and why it was taken if it is not the fastest kind.

    "auto" takes the reference engine, until the native one has proved itself. Raises ValueError
    for an unknown name, an engine that cannot run this, and a number of threads below 1.
    """
    look_up(dict.fromkeys(ENGINE_CHOICES), name, "engine")
    if not (n_threads is None or is_whole(n_threads, 1)):
        raise ValueError(f"n_threads={n_threads!r} must be >= 1, or None for all cores")
    reason = _why_not_native(plan, network, data)
    if name == "native" and reason:
        raise ValueError(f"engine='native' cannot run this: {reason}; take engine='auto'")
    if name != "native":  # while it is young, nobody gets the native engine without asking
        reason = {"auto": reason or "the native engine is young: ask for it"}.get(
            name, "engine='reference' was asked for"
        )
    chosen = "reference" if reason else "native"
    return ENGINES[chosen](plan, network, data, n_threads), reason


def _why_not_native(plan: Plan, network: Network, data: Data) -> str:
    """Return why the native engine is not to be taken, or nothing."""
    library = find()
    if os.environ.get("CHAINRULE_ENGINE") == "reference":
        return "CHAINRULE_ENGINE=reference is set"
    return library if isinstance(library, str) else unsupported(library, plan, network, data)
