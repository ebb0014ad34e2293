"""Hidden activations and logits: those of the trace, from compiled code and from NumPy."""

import numpy as np
import pytest
from scipy import sparse

from chainrule.activations import Activation
from chainrule.hidden import hidden_activations, hidden_layer, logits
from chainrule.network import Network

X = np.random.default_rng(0).normal(size=(30, 4))


class Mine(Activation):
    def value(self, z):
        return z**3

    def derivative(self, z, a):
        return 3 * z**2


def net(activation="tanh", dtype="float64", output="softmax"):
    return Network([4, 7, 5, 6, 3], activation, output_activation=output, seed=1, dtype=dtype)


@pytest.mark.parametrize("activation", ["tanh", "relu", "softmax", Mine()])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("forced", [False, True])
def test_they_are_those_of_the_trace(activation, dtype, forced, monkeypatch):
    if forced:
        monkeypatch.setenv("CHAINRULE_ENGINE", "reference")
    network = net(activation, dtype)
    trace = network.forward(X)
    near = {"rtol": 1e-12, "atol": 1e-14} if dtype == "float64" else {"rtol": 1e-4, "atol": 1e-6}
    for layer in (1, 2, 3):
        for number in (layer, layer - 4):
            H = hidden_activations(network.layers, X, number)
            np.testing.assert_allclose(H, trace.A[layer], **near)
            assert H.dtype == dtype
    np.testing.assert_allclose(logits(network.layers, X), trace.Z[-1], **near)


def test_writing_to_the_weights_counts_at_once():
    network = net()
    before = hidden_activations(network.layers, X)
    network.theta *= 2
    assert not np.allclose(hidden_activations(network.layers, X), before)


def test_sparse_rows():
    network, S = net(), sparse.csr_array(np.where(X > 0, X, 0))
    np.testing.assert_allclose(
        hidden_activations(network.layers, S, 2), network.forward(S.toarray()).A[2], rtol=1e-12
    )


def test_logits_of_an_output_that_rounds_to_1_keep_their_size():
    network = Network([1, 1], ["sigmoid"])
    network.W[0][:] = 1.0
    assert network.predict([[50.0]]).item() == 1
    assert logits(network.layers, [[50.0]]).item() == 50


@pytest.mark.parametrize("layer", [0, 4, -4, 1.0, True, None, "first"])
def test_what_is_no_hidden_layer_is_refused(layer):
    with pytest.raises(ValueError, match=r"is no hidden layer; expected a whole number from 1, th"):
        hidden_activations(net().layers, X, layer)


def test_a_network_without_hidden_layers_has_none():
    with pytest.raises(ValueError, match="is no hidden layer: the network has none"):
        hidden_layer(-1, 1)


def test_rows_of_another_width_are_refused():
    with pytest.raises(ValueError, match="X has 3 columns; expected 4"):
        hidden_activations(net().layers, X[:, :3])
