"""Snapshots: where a training stands, in plain values, so that it goes on exactly from there.

Everything that changes while a network is trained is the parameters, the engine's state, the best
weights so far, the history, and what callbacks remember: a snapshot holds all of it. The plan and
the rows never change; what is kept of them tells whether they are still the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, fields, is_dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from chainrule.callbacks import Callback, remembers
from chainrule.engine import Data, Plan, State
from chainrule.network import Network
from chainrule.schedules import PlateauMemory
from chainrule.sparse import is_sparse

#: Plain values: numbers, text, None, lists, dicts with text for keys, and arrays.
Snapshot: TypeAlias = dict[str, Any]
#: What must not change between two parts of a training, in words, by name.
Facts: TypeAlias = dict[str, str]

HASHED_AT_ONCE = 2**24  # numbers, of which a copy may have to be made


class Keeper(Protocol):
    """Where the snapshots of a training are kept, such as `chainrule.checkpoints.Checkpoints`."""

    every: int  # epochs

    def within(self, name: str) -> Keeper:
        """Return a place of that name in this one, for one of several trainings."""
        ...

    def begin(self, plan: Facts, data: Facts) -> Snapshot | None:
        """Return the snapshot to go on from, if there is one; raise ValueError where it is of
        another plan or other rows, OSError where nothing can be kept."""
        ...

    def keep(self, epoch: int, snapshot: Snapshot) -> None:
        """Keep a snapshot, in which `epoch` epochs are complete."""
        ...


def values_of(state: State) -> Snapshot:
    """Return a state as plain values; `put_back` makes it of them again."""
    values = {each.name: getattr(state, each.name) for each in fields(State)}
    return values | {"plateau": asdict(state.plateau)}


def put_back(values: Snapshot, state: State) -> None:
    """Change a state of the same plan to what `values_of` kept, its vectors in place."""
    for name, value in values.items():
        if name == "plateau":
            state.plateau = PlateauMemory(**value)
        elif name == "slots":
            for slot, numbers in zip(state.slots, value, strict=True):
                slot[:] = numbers
        elif isinstance(value, np.ndarray):
            getattr(state, name)[:] = value
        else:
            setattr(state, name, value)


def plan_facts(plan: Plan, network: Network, callbacks: Sequence[Callback], **more: Any) -> Facts:
    """Return what a training is to do, each setting by its name."""
    facts = {each.name: getattr(plan, each.name) for each in fields(plan)}
    facts |= {"sizes": network.sizes, "activations": network.activations}
    facts |= {"dtype": network.dtype.name}
    facts |= {"callbacks": [each for each in callbacks if remembers(each)]} | more
    return {name: _told(value) for name, value in facts.items()}


def data_facts(data: Data, held_out: Data | None) -> Facts:
    """Return the SHA-256 of shape, dtype and bytes of each array that is learnt from or measured.

    >>> facts = data_facts(Data(np.zeros((2, 3)), np.ones((2, 1))), None)
    >>> facts["weights"], len(facts["Y"]), facts["X"] == facts["Y"]
    ('none', 64, False)
    """
    facts = {}
    for prefix, rows in (("", data), ("validation ", held_out)):
        for name in ("X", "Y", "weights"):
            values = None if rows is None else getattr(rows, name)
            facts[prefix + name] = "none" if values is None else _digest(values)
    return facts


def _digest(values: Any) -> str:
    """Return the SHA-256 of an array, or of a sparse matrix's parts, in small hex digits."""
    digest = hashlib.sha256(repr(values.shape).encode())
    for part in (values.data, values.indices, values.indptr) if is_sparse(values) else (values,):
        digest.update(f"{part.dtype.str} {part.shape}".encode())
        step = max(1, HASHED_AT_ONCE // max(1, part[:1].size))
        for first in range(0, len(part), step):
            digest.update(np.ascontiguousarray(part[first : first + step]).data)
    return digest.hexdigest()


def _told(value: Any) -> str:
    """Return a setting in words that are the same in every process: no address, no path.

    >>> from chainrule.optimizers import SGD
    >>> _told([SGD(0.4), np.float64(0.5), np.tanh, Data])
    '[SGD(rate=0.4, momentum=0.0, nesterov=False), 0.5, tanh, Data]'
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_told, value))}]"
    if value is None or isinstance(value, str | int | float):
        return repr(value)
    if isinstance(value, type):
        return value.__qualname__
    if is_dataclass(value):
        own = ((each.name, getattr(value, each.name)) for each in fields(value) if each.init)
        told = (f"{name}={_told(each)}" for name, each in own)
        return f"{type(value).__qualname__}({', '.join(told)})"
    return getattr(value, "__qualname__", type(value).__qualname__)
