"""C: a model as one header for microcontrollers, in C99, that needs <math.h> and allocates nothing.

The header holds the weights as constants, the formulas of the model's own activations, and a
function from one row to its outputs. What is said in its first comment is measured here.
"""

from __future__ import annotations

from typing import Any

from chainrule.export.c.header import Header
from chainrule.export.code import Program
from chainrule.export.parts import Parts, take_apart
from chainrule.native.emit import Untranslatable


def to_c(model: Any, name: str = "model", *, dtype: Any = None) -> str:
    """Return a model as a C header with a function ``NAME_predict(const float *x, float *out)``.

    C99 with <math.h> alone; nothing is allocated, and the first comment says what flash and stack
    it needs. Outputs are what `predict_proba`, `predict` of a regressor (of several quantiles, all)
    or `Network.predict` give, to rounding. Scaling, gaps and categories of a TableEncoder are
    inside; dates are not.

    Parameters
    ----------
    model : MLPClassifier, MLPRegressor, Pipeline or Network
        Fitted. A Pipeline has two steps: TableEncoder, then MLPClassifier or MLPRegressor.
    name : str
        What all names in the header begin with.
    dtype : str, optional
        "float32" or "float64", which become float and double; by default that of the network.

    Raises
    ------
    ValueError
        For a model that is not fitted or no model, and what C cannot hold, with the reason.

    Examples
    --------
    >>> from chainrule import Network
    >>> header = to_c(Network([2, 3, 1], seed=0), "tiny", dtype="float32")
    >>> "static inline void tiny_predict(const float *x, float *out)" in header
    True
    """
    return write(take_apart(model, dtype, name=name))


def write(parts: Parts) -> str:
    """Return the header for the parts of a model."""
    try:
        return Header(Program(parts)).text()
    except Untranslatable as error:
        raise ValueError(f"the model has no equal in C: {error}") from None
