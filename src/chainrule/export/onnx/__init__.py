"""ONNX: encoder, network, labels and probabilities in one graph, which any of its runtimes runs.

| room | what it is |
|---|---|
| `graph` | nodes, constants, inputs and outputs, collected |
| `traced` | a value on which NumPy's functions leave nodes, and the tables of operators |
| `columns`, `layers`, `outputs` | encoder, network, and what is said in the end |
"""

from __future__ import annotations

import json
from typing import Any

from chainrule.arrays import is_whole
from chainrule.export.parts import Parts, take_apart

OPSET, OLDEST = 17, 13
LARGEST = 2**31 - 2**16  # bytes; protobuf holds no more in one message


def to_onnx(
    model: Any, opset: int = OPSET, *, dtype: Any = None, about: dict[str, Any] | None = None
) -> Any:
    """Return a fitted model as an ONNX model that takes its rows and says what it says.

    **Inputs.** A network, and a model fitted to numbers, takes `X` (n, columns). A model with an
    encoder, fitted to a table whose columns have names or hold text, takes one input (n, 1) for
    each column it uses, of the column's name: text for categories (an empty one is a gap), numbers
    for the rest (NaN is a gap), dates as float64 seconds since 1970 UTC.

    **Outputs.** A classifier's are `label` (n,), and `probabilities` (n, classes) in the order of
    the metadata's `classes`, calibrated where the model is; of several labels `label` is (n,
    labels), 0 or 1. A regressor's is `variable` (n, targets), in y's units, and with several
    quantiles `quantiles`, as `predict_quantiles` has them. A network's is `variable`.

    Where the model raises an error, the graph cannot: for a gap in a column that had none, its
    numbers are NaN, or the gap is filled, as the Pipeline does.

    Parameters
    ----------
    model : MLPClassifier, MLPRegressor, Pipeline or Network
        Fitted. A Pipeline has two steps: TableEncoder, then MLPClassifier or MLPRegressor.
    opset : int
        Version of ONNX's operators, from 13 to the newest that the installed onnx knows.
    dtype : str, optional
        "float32" or "float64"; by default that of the network.
    about : dict, optional
        Facts of your own, such as the target's name; they go to the metadata, as JSON.

    Returns
    -------
    onnx.ModelProto
        Checked. Its metadata holds the version (chainrule), kind, about, columns, classes and
        quantiles; all but the first two as JSON. `model.SerializeToString()` are the bytes of a
        file.

    Raises
    ------
    ImportError
        Where onnx is not installed: the extra `chainrule[onnx]` brings it.
    ValueError
        For what is no fitted model of ours, an opset or dtype that is not known, an activation of
        your own that has no ONNX form, with the reason, and a model beyond 2 GiB.

    Examples
    --------
    >>> from chainrule import MLPClassifier, to_onnx
    >>> model = MLPClassifier((4,), solver="lbfgs", random_state=1)
    >>> onnx = to_onnx(model.fit([[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]))
    >>> [each.name for each in onnx.graph.input], [each.name for each in onnx.graph.output]
    (['X'], ['label', 'probabilities'])
    >>> from onnx.reference import ReferenceEvaluator  # onnxruntime.InferenceSession is faster
    >>> import numpy as np
    >>> ReferenceEvaluator(onnx).run(["label"], {"X": np.array([[0.5], [2.5]])})
    [array(['low', 'high'], dtype=object)]
    """
    return _model(take_apart(model, dtype, about), opset)


def write(parts: Parts) -> bytes:
    """Return the parts of a model as an ONNX file."""
    content: bytes = _model(parts, OPSET).SerializeToString()
    return content


def _model(parts: Parts, opset: int) -> Any:
    _check(parts, opset)
    from chainrule.export.onnx.columns import features
    from chainrule.export.onnx.graph import Graph
    from chainrule.export.onnx.outputs import write_outputs

    graph = Graph(opset)
    write_outputs(parts, features(graph, parts))
    facts = {
        "about": parts.about,
        "columns": parts.names,
        "classes": None if parts.classes is None else parts.classes.tolist(),
        "quantiles": parts.quantiles,
    }
    metadata = {"chainrule": parts.version, "kind": parts.kind}
    for name, fact in facts.items():
        if fact:
            metadata[name] = json.dumps(fact, ensure_ascii=False)
    return graph.model(parts.kind, metadata)


def _check(parts: Parts, opset: int) -> None:
    """Refuse what cannot be written, before the work."""
    try:
        from onnx.defs import onnx_opset_version
    except ImportError as error:
        raise ImportError(
            "onnx is not installed; it comes with the extra: pip install 'chainrule[onnx]'"
        ) from error
    newest = onnx_opset_version()
    if not is_whole(opset, OLDEST) or opset > newest:
        raise ValueError(
            f"opset={opset!r} is not supported; expected a whole number from {OLDEST} to {newest},"
            " the newest that the installed onnx knows"
        )
    size = sum(d.W.nbytes + d.b.nbytes for layers in parts.members for d in layers)
    if size > LARGEST:
        raise ValueError(
            f"the weights take {size / 2**30:.1f} GiB, an ONNX file holds 2; take dtype='float32',"
            " fewer members, or smaller layers"
        )
