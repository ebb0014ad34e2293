"""Engines: ways to execute a training plan, one contract for all.

`reference` is NumPy, readable and observable. `native`, compiled, takes its place in `ENGINES`.
"""

from __future__ import annotations

from collections.abc import Callable

from chainrule.arrays import is_whole
from chainrule.engine.contract import (
    Data,
    Engine,
    EpochRecord,
    Event,
    Fault,
    Plan,
    State,
)
from chainrule.engine.reference import ReferenceEngine
from chainrule.names import look_up
from chainrule.network import Network

__all__ = [
    "ENGINES",
    "ENGINE_CHOICES",
    "Data",
    "Engine",
    "EpochRecord",
    "Event",
    "Fault",
    "Plan",
    "State",
    "choose_engine",
]

#: The one table of engines, fastest first.
ENGINES: dict[str, Callable[[Plan, Network, Data, int | None], Engine]] = {
    "reference": ReferenceEngine,
}
ENGINE_CHOICES = ("auto", "native", "reference")


def choose_engine(
    name: str, plan: Plan, network: Network, data: Data, n_threads: int | None = None
) -> tuple[Engine, str]:
    """Return the engine called `name`, and why it was taken if it is not the fastest kind.

    "auto" takes the fastest that is there. Raises ValueError for an unknown name or one that
    this installation lacks, and for a number of threads below 1.
    """
    look_up(dict.fromkeys(ENGINE_CHOICES), name, "engine")
    if not (n_threads is None or is_whole(n_threads, 1)):
        raise ValueError(f"n_threads={n_threads!r} must be >= 1, or None for all cores")
    chosen = next(iter(ENGINES)) if name == "auto" else name
    if chosen not in ENGINES:
        raise ValueError(f"engine={name!r} is not in this installation; take engine='auto'")
    lacking = "this installation has no native engine"
    reason = {"native": "", name: "it was asked for"}.get(chosen, lacking)
    return ENGINES[chosen](plan, network, data, n_threads), reason
