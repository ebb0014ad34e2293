"""ONNX: what is exported says what the model says, in ONNX Runtime and in onnx's own evaluator."""

import warnings

import numpy as np
import pytest

from chainrule import ACTIVATIONS, Network, to_onnx

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

DTYPES = {"float64": 1e-10, "float32": 2e-5}


def answers(model, feeds):
    """Return {output: values} in ONNX Runtime, and in onnx's own evaluator."""
    from onnx.reference import ReferenceEvaluator

    session = onnxruntime.InferenceSession(model.SerializeToString())
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # 0 / 0 in a branch that is not taken
        reference = ReferenceEvaluator(model).run(None, feeds)
    names = [each.name for each in model.graph.output]
    return [dict(zip(names, each, strict=True)) for each in (session.run(None, feeds), reference)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_networks_say_the_same(name, dtype):
    rng = np.random.default_rng(0)
    net = Network([3, 5, 4], [name, name], seed=0, dtype=dtype)
    X = rng.normal(size=(50, 3)).astype(dtype)
    expected = net.predict(X)
    for each in answers(to_onnx(net), {"X": X}):
        assert each["variable"].dtype == dtype
        np.testing.assert_allclose(each["variable"], expected, DTYPES[dtype], DTYPES[dtype])
