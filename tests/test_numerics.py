"""Numerics: whatever the numbers, what comes out is finite, or an error that names the place."""

import itertools
import re
import warnings

import numpy as np
import pytest

from chainrule import Network, train
from chainrule.engine import ENGINES
from chainrule.loop import Diverged
from chainrule.losses import LOSSES, get_loss
from strategies import NAMES

PLACE = r"a number that is not finite at update \d+ \(epoch \d+\), in the .+\. Try .+"
N = 24


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    return request.param


def targets(loss, outputs=3):
    """Return targets (N, outputs) of any kind that the loss allows."""
    classes = np.eye(outputs)[np.arange(N) % outputs]
    return classes if get_loss(loss).targets[1] == 1 else classes + 0.25


def rows(kind, dtype):
    """Return X (N, 4) of a kind that is hard."""
    X = np.random.default_rng(0).normal(size=(N, 4))
    tiny = float(np.finfo(dtype).smallest_subnormal)
    if kind == "large":  # logits of ±10⁴
        X = np.where(X > 0, 1e4, -1e4)
    elif kind == "denormal":
        X = np.where(X > 0, 3 * tiny, -tiny)
    elif kind == "constant":
        X = np.full_like(X, 7.0)
    elif kind == "scales":
        X = X * [1e-12, 1e-4, 1e4, 1.0]
    return X.astype(dtype)


def network(activation, loss, dtype, kind):
    output = get_loss(loss).canonical or "identity"
    net = Network([4, 5, 3], activation, output_activation=output, seed=1, dtype=dtype)
    if kind == "weights":  # over twelve orders of magnitude
        net.theta[:] *= np.logspace(-9, 3, net.theta.size)
    return net


KINDS = ("large", "denormal", "constant", "zero variance", "scales", "weights")


def learns_or_tells(net, X, Y, **settings):
    """Train; then all is finite, or the error tells where it is not."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            history = train(net, X, Y, epochs=2, batch_size=8, optimizer="sgd", **settings)
        except Diverged as error:
            assert np.isfinite(net.theta).all()
            return str(error)
    assert np.isfinite(history["loss"]).all()
    assert np.isfinite(net.theta).all()
    return ""


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_hard_numbers_end_in_finite_ones_or_a_named_place(loss, dtype, engine):
    for activation, kind in itertools.product(NAMES, KINDS):
        X, Y = rows(kind, dtype), targets(loss)
        if kind == "zero variance":
            Y = np.tile(Y[:1], (N, 1))
        net = network(activation, loss, dtype, kind)
        told = learns_or_tells(net, X, Y, loss=loss, engine=engine)
        assert not told or re.search(PLACE, told), told
        assert not (told and kind == "denormal"), (activation, told)
