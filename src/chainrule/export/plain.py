"""Plain: a model as JSON, all of it in numbers and words that any language reads.

`docs/export.md` says what each key holds. Numbers are the shortest that are read back as they are.
"""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from typing import Any

from chainrule.activations import Activation
from chainrule.export.code import Program, exact, word
from chainrule.export.parts import Parts, take_apart
from chainrule.facts import to_json as strict_json

SCHEMA = 1  # a reader refuses what is newer


def to_json(model: Any, name: str = "model", *, dtype: Any = None) -> str:
    """Return a model as JSON: sizes, activations, weights, biases, names, classes and scaling.

    Parameters
    ----------
    model : MLPClassifier, MLPRegressor, Pipeline or Network
        Fitted. A Pipeline has two steps: TableEncoder, then MLPClassifier or MLPRegressor.
    name : str
        What the model is called.
    dtype : str, optional
        "float32" or "float64"; by default that of the network.

    Raises
    ------
    ValueError
        For a model that is not fitted or no model, and what JSON cannot hold, with the reason.

    Examples
    --------
    >>> import json
    >>> from chainrule import Network
    >>> said = json.loads(to_json(Network([2, 1], ["tanh"], initializers="zeros")))
    >>> said["sizes"], said["activations"], said["members"]
    ([2, 1], [{'name': 'tanh'}], [{'weights': [[[0.0], [0.0]]], 'biases': [[0.0]]}])
    """
    return write(take_apart(model, dtype, name=name))


def write(parts: Parts) -> str:
    """Return the JSON for the parts of a model: a line for each key."""
    program = Program(parts)
    facts = {
        "schema": SCHEMA,
        "chainrule": parts.version,
        "name": program.name,
        "kind": parts.kind,
        "task": parts.task,
        "dtype": str(parts.dtype),
        "inputs": program.inputs,
        "columns": program.columns,
        "fills_gaps": not parts.refuses_gaps,
        "sizes": program.sizes,
        "activations": [_activation(each) for each in program.activations],
        "classes": program.plain_classes,
        "quantiles": list(parts.quantiles),
        "scale": [float(each) for each in parts.scale],
        "mean": [float(each) for each in parts.mean],
        "about": json.loads(strict_json(parts.about)),
        "members": [
            {"weights": [_numbers(d.W) for d in each], "biases": [_numbers(d.b) for d in each]}
            for each in program.members
        ],
    }
    lines = (f"{json.dumps(key)}: {_strict(value)}" for key, value in facts.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _strict(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _activation(activation: Activation) -> dict[str, Any]:
    settings: dict[str, Any] = asdict(activation) if is_dataclass(activation) else {}
    return {"name": word(activation)} | settings


def _numbers(values: Any) -> Any:
    """Return an array as lists, each number as short as it may be."""
    return [_numbers(each) for each in values] if values.ndim else float(exact(values[()]))
