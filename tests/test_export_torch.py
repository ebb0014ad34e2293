"""PyTorch: networks there and here say the same, forward and back."""

import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import from_torch, to_torch
from chainrule.activations import ACTIVATIONS, Activation
from chainrule.network import Network
from exported import DTYPES, estimators, network, networks, rows, saying
from strategies import seeds

torch = pytest.importorskip("torch")
nn = torch.nn


def close(dtype):
    """What rounding may make of a comparison in this precision."""
    return {"rel": 3e-5, "abs": 3e-6} if dtype == np.float32 else {"rel": 1e-11, "abs": 1e-13}


def assert_there_and_back(net):
    """To PyTorch, compare outputs and derivatives; back from there, compare all."""
    X = rows(net)
    there, x = to_torch(net), torch.tensor(X, requires_grad=True)
    outputs = there(x)
    assert outputs.detach().numpy() == pytest.approx(net.predict(X), **close(net.dtype))
    back = from_torch(there)
    assert back.sizes == net.sizes
    assert back.dtype == net.dtype
    assert back.activations == net.activations
    assert (back.theta == net.theta).all()


@pytest.mark.parametrize("name", networks())
def test_every_activation_there_and_back(name):
    assert_there_and_back(networks()[name])


@given(seeds, st.sampled_from(DTYPES))
@settings(max_examples=30)
def test_any_network_there_and_back(seed, dtype):
    assert_there_and_back(network(seed, dtype))


@pytest.mark.parametrize("name", [name for name in networks() if "float64" in name])
def test_their_derivatives_are_ours(name):
    """Of Σ over outputs of ½ (a − y)², by their autograd and by our four equations."""
    net = networks()[name]
    X, there = rows(net), to_torch(net)
    Y = np.random.default_rng(1).normal(size=(len(X), net.sizes[-1]))
    x = torch.tensor(X, requires_grad=True)
    (0.5 * ((there(x) - torch.tensor(Y)) ** 2).sum() / len(X)).backward()
    ours = net.backward(net.forward(X), Y, "squared_error")
    linear = [each for each in there if isinstance(each, nn.Linear)]
    scale = abs(ours.flat).max() + 1e-12
    # PyTorch has the slope 1/6 of hard_sigmoid as a float32
    rough = 1e-7 if "hard_" in name else 1e-10
    for layer, dW, db in zip(linear, ours.dW, ours.db, strict=True):
        theirs = layer.weight.grad.numpy().T
        assert theirs == pytest.approx(dW, rel=rough, abs=rough * scale)
        assert layer.bias.grad.numpy() == pytest.approx(db, rel=rough, abs=rough * scale)
    assert x.grad.numpy() == pytest.approx(ours.dX, rel=rough, abs=rough * scale)


SEVERAL = [name for name in estimators() if "members" in name]
ENCODED = [name for name in estimators() if hasattr(estimators()[name], "encoder_")]


@pytest.mark.parametrize("name", sorted(set(estimators()) - set(SEVERAL)))
def test_estimators(name):
    model = estimators()[name]
    X = rows(model)
    features = model.encoder_.transform(X) if name in ENCODED else X
    said = saying(model)(X)
    there = to_torch(model)(torch.tensor(features)).detach().numpy()
    if there.shape[1] == 1 and said.shape[1] == 2:  # the second of two classes
        said = said[:, 1:]
    if name == "classes that do not sum to one":
        there = there / there.sum(axis=1, keepdims=True)
    assert there == pytest.approx(said, rel=1e-10, abs=1e-12)


def test_what_precedes_the_last_activation_are_logits():
    model = estimators()["three classes"]
    X = rows(model)
    logits = to_torch(model)[:-1](torch.tensor(X))
    assert torch.softmax(logits, 1).detach().numpy() == pytest.approx(model.predict_proba(X))


def test_a_module_is_kept_by_torch_save():
    net = Network([2, 6], ["increasing"], seed=0)
    file = io.BytesIO()
    torch.save(to_torch(net), file)
    file.seek(0)
    again = torch.load(file, weights_only=False)
    X = torch.tensor(rows(net))
    assert (again(X) == to_torch(net)(X)).all()
    assert "increasing" in repr(again)


def test_a_sequential_of_theirs():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Flatten(),
        nn.Sequential(nn.Linear(4, 5, bias=False), nn.Dropout(0.5), nn.LeakyReLU(0.2)),
        nn.Linear(5, 3), nn.Softplus(), nn.Linear(3, 3), nn.Linear(3, 2), nn.Softmax(dim=1),
    ).eval()  # fmt: skip
    net = from_torch(module)
    X = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    assert net.predict(X) == pytest.approx(module(torch.tensor(X)).detach().numpy(), rel=1e-5)
    assert [a.name for a in net.activations] == ["LeakyRelu", "softplus", "identity", "softmax"]
    assert from_torch(nn.Linear(4, 2).double()).dtype == np.float64


@pytest.mark.parametrize(
    ("module", "says"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), "module 1: BatchNorm1d has no equal"),
        (nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.PReLU())), "module 0.1: PReLU has no"),
        (nn.Sequential(nn.ReLU(), nn.Linear(2, 2)), "module 0: ReLU stands at the beginning"),
        (nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Tanh()), "Tanh stands after another"),
        (nn.Sequential(nn.Linear(2, 2), nn.GELU()), "GELU(approximate='none') has no equal here"),
        (nn.Sequential(nn.Linear(2, 2), nn.ELU(0.5)), "ELU(alpha=0.5) has no equal here"),
        (nn.Sequential(nn.Linear(2, 2), nn.Softmax(dim=0)), "Softmax(dim=0) has no equal here"),
        (nn.Sequential(nn.Linear(2, 2), nn.Softplus(threshold=2)), "far from softplus"),
        (nn.Sequential(nn.Linear(2, 2), nn.Linear(3, 2)), "takes 3 inputs after one of 2"),
        (nn.Linear(2, 2).half(), "is of torch.float16; expected float32 or float64"),
        (nn.Sequential(), "Sequential holds no Linear"),
        (nn.ReLU(), "ReLU stands at the beginning"),
    ],
)
def test_what_is_no_network_here_is_refused_by_name(module, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        from_torch(module)


class Cubed(Activation):
    def value(self, z):
        return z * z * z


def test_what_has_no_module_there_is_refused():
    with pytest.raises(ValueError, match=r"'Cubed' has no equal in torch\.nn"):
        to_torch(Network([2, 1], [Cubed()]))
    with pytest.raises(ValueError, match="the mean of 3 members"):
        to_torch(estimators()["members"])
    assert set(ACTIVATIONS) >= {"exp", "increasing"}  # modules of our own


def test_without_pytorch_the_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(
        ImportError, match=r"to_torch needs PyTorch.*pip install chainrule\[torch\]"
    ):
        to_torch(Network([2, 1]))
