"""Peers: how each library is driven; a module is imported in a process of its own, and only there.

Each has `train(case, **variant)`, which prepares a case and returns a `Run` with the seconds it
took to compile (None where nothing is); some have `predict` beside it. Those with estimators have
`fit`, which fits one to a table and tells score and seconds.
"""

from __future__ import annotations

from importlib.util import find_spec

#: Worker -> its module here, and the packages it needs.
PEERS = {
    "chainrule": ("ours", ("chainrule",)),
    "scikit-learn": ("scikit", ("sklearn",)),
    "PyTorch": ("pytorch", ("torch",)),
    "JAX": ("jitted", ("jax",)),
    "NumPy": ("product", ("numpy",)),
}


def installed(peer: str) -> bool:
    """Return whether the packages of a peer are there; nothing is imported."""
    return all(find_spec(package) is not None for package in PEERS[peer][1])
