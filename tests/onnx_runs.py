"""Runs an ONNX model in ONNX Runtime and in onnx's own evaluator, beside the model it came from."""

import warnings

import numpy as np
import pytest

onnxruntime = pytest.importorskip("onnxruntime")
evaluator = pytest.importorskip("onnx.reference")

TOLERANCE = {"float64": 1e-10, "float32": 2e-5}
STRING = 8  # ONNX's number of text


def answers(model, feeds):
    """Return {output: values} of either evaluator."""
    names = [each.name for each in model.graph.output]
    session = onnxruntime.InferenceSession(model.SerializeToString())
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # 0 / 0 in a branch that is not taken
        reference = evaluator.ReferenceEvaluator(model).run(None, feeds)
    found = [dict(zip(names, each, strict=True)) for each in (session.run(None, feeds), reference)]
    for each in found:
        described(model, each)
    return found


def described(model, answer):
    """Hold values to the types and shapes that the model's outputs are said to have."""
    for output in model.graph.output:
        of = output.type.tensor_type
        shape = [axis.dim_value or None for axis in of.shape.dim]
        values = np.asarray(answer[output.name])
        assert len(shape) == values.ndim
        assert all(n in (None, m) for n, m in zip(shape, values.shape, strict=True))
        assert (of.elem_type == STRING) == (values.dtype.kind in "OU")


def same(answer, model, X, dtype):
    """Hold what a graph says of rows to what the model says of them."""
    close = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    if "label" in answer:
        np.testing.assert_array_equal(answer["label"], model.predict(X))
        P = model.predict_proba(X)
        assert answer["probabilities"].dtype == P.dtype
        np.testing.assert_allclose(answer["probabilities"], P, TOLERANCE[dtype], 0)
        return
    Y = model.predict(X)
    assert answer["variable"].dtype == Y.dtype
    np.testing.assert_allclose(answer["variable"], Y.reshape(len(Y), -1), **close)
    if "quantiles" in answer:
        np.testing.assert_allclose(answer["quantiles"], model.predict_quantiles(X), **close)
