"""Script: a model as one Python file that needs NumPy alone, to be read from top to bottom.

The forward pass comes first, as in the textbook; what was learnt, the weights, stands at the end.
Formulas are the very lines of `activations`.
"""

from __future__ import annotations

from typing import Any

from chainrule.export.code import Program
from chainrule.export.parts import Parts, take_apart
from chainrule.export.script.file import File


def to_numpy(model: Any, name: str = "model", *, dtype: Any = None) -> str:
    """Return a model as the text of a Python file that imports NumPy and nothing else.

    It has the functions `predict`, and `predict_proba` or `predict_quantiles` where the model has
    them, for rows in the order of the file's INPUTS. Weights are exact; outputs are the model's to
    rounding. Scaling, gaps, categories and dates of a TableEncoder are inside.

    Parameters
    ----------
    model : MLPClassifier, MLPRegressor, Pipeline or Network
        Fitted. A Pipeline has two steps: TableEncoder, then MLPClassifier or MLPRegressor.
    name : str
        What the file calls the model.
    dtype : str, optional
        "float32" or "float64"; by default that of the network.

    Raises
    ------
    ValueError
        For a model that is not fitted or no model, and what a script cannot hold, with the reason.

    Examples
    --------
    >>> from chainrule import Network
    >>> print(to_numpy(Network([2, 1], ["tanh"], initializers="zeros"), "tiny"))
    \"\"\"tiny: a fully connected network of 2 → 1 tanh, in NumPy alone.
    <BLANKLINE>
    Written by chainrule 0.1.0. Layer l has W[l] (n_in, n_out) and b[l] (n_out,).
    \"\"\"
    <BLANKLINE>
    import numpy as np
    <BLANKLINE>
    INPUTS = ['x0', 'x1']
    <BLANKLINE>
    <BLANKLINE>
    def predict(X):
        \"\"\"Return the outputs (n, 1) of rows X (n, 2).\"\"\"
        return forward(np.asarray(X, dtype=np.float64))
    <BLANKLINE>
    <BLANKLINE>
    def forward(X):
        \"\"\"Return the outputs (n, 1) of features X (n, 2).\"\"\"
        return tanh(X @ W[0] + b[0])
    <BLANKLINE>
    <BLANKLINE>
    def tanh(z):
        \"\"\"σ(z) = tanh z.\"\"\"
        return np.tanh(z)
    <BLANKLINE>
    <BLANKLINE>
    W = [
        np.array([[0.0], [0.0]], dtype=np.float64),
    ]
    b = [
        np.array([0.0], dtype=np.float64),
    ]
    <BLANKLINE>
    """
    return write(take_apart(model, dtype, name=name))


def write(parts: Parts) -> str:
    """Return the file for the parts of a model."""
    return File(Program(parts)).text()
