"""Layers: Z = A·W + b and a = σ(z), each σ traced from its own formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.activations import Activation
from chainrule.export.onnx.traced import KNOWN, Traced, Unsupported
from chainrule.trace import Dense
from chainrule.units import OwnActivation


def propagate(layers: Sequence[Dense], X: Traced) -> tuple[Traced, Traced]:
    """Return Z and A of the last layer for the rows of X."""
    A = Z = X
    for layer in layers:
        W, b = (X.graph.constant(each, X.dtype) for each in (layer.W, layer.b))
        name = X.graph.add("Add", X.graph.add("MatMul", A.name, W), b)
        Z = Traced(X.graph, name, X.dtype, layer.W.shape[1])
        A = activate(layer.activation, Z)
    return Z, A


def activate(activation: Activation, z: Traced) -> Traced:
    """Return a = σ(z); raise ValueError, with the reason, for a σ that has no ONNX form."""
    formula: Callable[[Any], Any] = activation.value
    if isinstance(activation, OwnActivation):
        formula = activation.function
    try:
        a = formula(Traced(z.graph, z.name, z.dtype, z.units))  # a formula may write into it
    except Unsupported as error:
        what = str(error)
    except Exception as error:  # a function of the user's own may fail in any way
        what = f"what fails on a value not known yet ({type(error).__name__}: {error})"
    else:
        if isinstance(a, Traced) and a.units == z.units and a.dtype == z.dtype:
            return a
        what = f"no formula that gives a {z.dtype} for each unit"
    raise ValueError(
        f"activation {activation.name!r} has no ONNX form: it uses {what}; expected arithmetic,"
        f" comparisons, and NumPy's {', '.join(KNOWN)}"
    )
