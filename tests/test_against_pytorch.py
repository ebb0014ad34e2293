"""Against PyTorch, in float64: activations, losses, gradients, and ten steps of every optimizer."""

from inspect import signature

import numpy as np
import pytest
from scipy.optimize import fmin_l_bfgs_b

from chainrule.activations import ACTIVATIONS
from chainrule.initializers import Uniform
from chainrule.losses import LOSSES, BinaryCrossEntropy, BinaryFocal, CrossEntropy, Focal, Huber
from chainrule.network import Network
from chainrule.optimizers import LBFGS, OPTIMIZERS, SGD, Adagrad, Adam, AdamW, RMSprop, RProp
from chainrule.training import train
from strategies import NAMES, targets

torch = pytest.importorskip("torch")
F = torch.nn.functional

SIGMA = {
    "identity": lambda z: z * 1,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": F.leaky_relu,
    "relu6": F.relu6,
    "celu": F.celu,
    "hard_sigmoid": lambda z: F.relu6(z + 3) / 6,  # F.hardsigmoid's slope is a float32
    "hard_swish": F.hardswish,
    "log_sigmoid": F.logsigmoid,
    "elu": F.elu,
    "selu": F.selu,
    "softplus": lambda z: F.softplus(z, threshold=100),
    "gelu": lambda z: F.gelu(z, approximate="tanh"),
    "silu": F.silu,
    "mish": F.mish,
    "softsign": F.softsign,
    "exp": torch.exp,
    "softmax": lambda z: torch.softmax(z, dim=1),
    "increasing": lambda z: torch.cat([z[:, :1], F.softplus(z[:, 1:], threshold=100)], 1).cumsum(1),
}


def sum_each_row(function):
    """Give a PyTorch loss our reduction: a sum over the outputs of each row."""
    return lambda *arguments: function(*arguments, reduction="none").sum(dim=1)


def smoothed(y, s):
    return (1 - s) * y + s / 2


def sigmoid_focal(z, y, alpha, gamma):
    """torchvision's sigmoid_focal_loss, for each row."""
    p = torch.sigmoid(z)
    p_t, alpha_t = p * y + (1 - p) * (1 - y), alpha * y + (1 - alpha) * (1 - y)
    plain = F.binary_cross_entropy_with_logits(z, y, reduction="none")
    return (alpha_t * plain * (1 - p_t) ** gamma).sum(dim=1)


def softmax_focal(z, y, gamma):
    log_p = F.log_softmax(z, dim=1)
    return -(y * (1 - log_p.exp()) ** gamma * log_p).sum(dim=1)


def pinball(a, y, quantiles):
    q = torch.tensor(quantiles, dtype=torch.float64)
    return torch.maximum(q * (y - a), (q - 1) * (y - a)).sum(dim=1)


#: ours, its output activation, and PyTorch's loss of (z, a, y) for each row
COSTS = {
    "squared_error": ("identity", "squared_error", sum_each_row(F.mse_loss), 0.5),
    "squared_error of a sigmoid": ("sigmoid", "squared_error", sum_each_row(F.mse_loss), 0.5),
    "squared_error of a softmax": ("softmax", "squared_error", sum_each_row(F.mse_loss), 0.5),
    "absolute_error": ("identity", "absolute_error", sum_each_row(F.l1_loss), 1.0),
    "huber": ("tanh", Huber(0.5), lambda a, y: F.huber_loss(a, y, "none", 0.5).sum(1), 1.0),
    "poisson of a softplus": (
        "softplus",
        "poisson",
        lambda a, y: F.poisson_nll_loss(a, y, False, False, None, 0.0, None, "none").sum(1),
        1.0,
    ),
    "binary_cross_entropy of a softmax": (
        "softmax",
        "binary_cross_entropy",
        sum_each_row(F.binary_cross_entropy),
        1.0,
    ),
    "focal of a sigmoid": (
        "sigmoid",
        "focal",
        lambda a, y: -(y * (1 - a) ** 2 * a.log()).sum(1),
        1.0,
    ),
    "quantiles": ("increasing", "quantiles", lambda a, y: pinball(a, y, [0.1, 0.5, 0.9]), 1.0),
    "cross_entropy of a sigmoid": (
        "sigmoid",
        "cross_entropy",
        lambda a, y: F.nll_loss(a.log()[:, :, None], y.argmax(1)[:, None], reduction="none")[:, 0],
        1.0,
    ),
}
#: the canonical pairs, which PyTorch takes from the logits
FROM_LOGITS = {
    "poisson": ("exp", "poisson", lambda z, y: sum_each_row(F.poisson_nll_loss)(z, y), 1.0),
    "binary_cross_entropy": (
        "sigmoid",
        "binary_cross_entropy",
        sum_each_row(F.binary_cross_entropy_with_logits),
        1.0,
    ),
    "binary_cross_entropy, smoothed": (
        "sigmoid",
        BinaryCrossEntropy(0.2),
        lambda z, y: sum_each_row(F.binary_cross_entropy_with_logits)(z, smoothed(y, 0.2)),
        1.0,
    ),
    "cross_entropy": (
        "softmax",
        "cross_entropy",
        lambda z, y: F.cross_entropy(z, y, reduction="none"),
        1.0,
    ),
    "focal": ("softmax", Focal(1.5), lambda z, y: softmax_focal(z, y, 1.5), 1.0),
    "binary_focal": (
        "sigmoid",
        "binary_focal",
        lambda z, y: 2 * sigmoid_focal(z, y, 0.5, 2.0),
        1.0,
    ),
    "binary_focal, weighted": (
        "sigmoid",
        BinaryFocal(1.5, 0.25),
        lambda z, y: sigmoid_focal(z, y, 0.25, 1.5),
        1.0,
    ),
    "cross_entropy, smoothed": (
        "softmax",
        CrossEntropy(0.2),
        lambda z, y: F.cross_entropy(z, y, reduction="none", label_smoothing=0.2),
        1.0,
    ),
}


def tensors(net):
    """Return the network's weights and biases as PyTorch's, W[0], b[0], W[1], …"""
    pairs = zip(net.W, net.b, strict=True)
    return [torch.tensor(p.copy(), requires_grad=True) for pair in pairs for p in pair]


def forward(net, parameters, X):
    """Return PyTorch's z and a of the output layer."""
    z = a = torch.tensor(X)
    for W, b, sigma in zip(parameters[::2], parameters[1::2], net.activations, strict=True):
        z = a @ W + b
        a = SIGMA[sigma.name](z)
    return z, a


def flat(parameters, what=lambda p: p.detach()):
    """Return PyTorch's parameters, or their gradients, in our order."""
    return np.concatenate([what(p).numpy().ravel() for p in parameters])


def rows(loss, n=7):
    rng = np.random.default_rng(3)
    Y = np.eye(3)[rng.integers(0, 3, n)] if loss.targets[1] == 1 else targets(loss, rng, n, 3)
    return rng.normal(size=(n, 4)), Y, rng.uniform(0.1, 2, n)


def relative(ours, theirs):
    """Return the largest difference relative to the largest component."""
    return abs(ours - theirs).max() / abs(theirs).max()


def test_every_member_is_compared():
    assert sorted(SIGMA) == NAMES
    ours = {cost[1] for cost in [*COSTS.values(), *FROM_LOGITS.values()]}
    names = {each for each in ours if isinstance(each, str)} | {"huber", "quantile"}
    assert names == set(LOSSES)  # PyTorch has no quantile loss


@pytest.mark.parametrize("name", NAMES)
def test_activations_and_slopes(name):
    z = np.concatenate([[0.0], np.random.default_rng(0).normal(scale=3, size=299)]).reshape(100, 3)
    t = torch.tensor(z, requires_grad=True)
    a = SIGMA[name](t)
    g = np.random.default_rng(1).normal(size=z.shape)
    a.backward(torch.tensor(g))
    sigma = ACTIVATIONS[name]
    ours = sigma.value(z)
    assert ours == pytest.approx(a.detach().numpy(), rel=1e-12, abs=1e-14)
    assert sigma.pullback(g, z, ours) == pytest.approx(t.grad.numpy(), rel=1e-10, abs=1e-13)


@pytest.mark.parametrize("cost", [*COSTS, *FROM_LOGITS])
@pytest.mark.parametrize("hidden", NAMES)
def test_gradients_equal_to_1e_10(hidden, cost):
    output, loss, theirs, factor = {**COSTS, **FROM_LOGITS}[cost]
    net = Network([4, 5, 4, 3], [hidden, hidden, output], initializers=Uniform(-0.5, 0.5), seed=7)
    loss = LOSSES[loss]() if isinstance(loss, str) else loss
    X, Y, w = rows(loss)
    parameters = tensors(net)
    z, a = forward(net, parameters, X)
    row_costs = theirs(z if cost in FROM_LOGITS else a, torch.tensor(Y))
    (factor * (row_costs * torch.tensor(w / w.sum())).sum()).backward()
    grads = net.backward(net.forward(X), Y, loss, weights=w)
    assert relative(grads.flat, flat(parameters, lambda p: p.grad)) < 1e-10


#: ours, and PyTorch's with the same settings
UPDATES = {
    "sgd": (SGD(0.1), torch.optim.SGD, {"lr": 0.1}),
    "momentum": (SGD(0.1, 0.9), torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    "nesterov": (
        SGD(0.1, 0.9, nesterov=True),
        torch.optim.SGD,
        {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    ),
    "rmsprop": (RMSprop(0.02, 0.9), torch.optim.RMSprop, {"lr": 0.02, "alpha": 0.9}),
    "adagrad": (Adagrad(0.1), torch.optim.Adagrad, {"lr": 0.1}),
    "adam": (Adam(0.02, 0.8, 0.99), torch.optim.Adam, {"lr": 0.02, "betas": (0.8, 0.99)}),
    "adamw": (
        AdamW(0.02, weight_decay=0.3),
        torch.optim.AdamW,
        {"lr": 0.02, "weight_decay": 0.3},
    ),
    "rprop": (RProp(0.02), torch.optim.Rprop, {"lr": 0.02}),
}


@pytest.mark.parametrize("name", UPDATES)
def test_ten_steps_equal_to_1e_8(name):
    """From the same weights on the same batches: 5 epochs of a batch of 4 and one of 3 rows."""
    ours, theirs, settings = UPDATES[name]
    batch_size, epochs = (7, 10) if ours.full_batch else (4, 5)
    net = Network([4, 5, 3], ["tanh", "softmax"], initializers=Uniform(), seed=7)
    X, Y, _ = rows(CrossEntropy())
    parameters = tensors(net)
    optimizer = theirs(parameters, **settings)
    for _ in range(epochs):
        for start in range(0, 7, batch_size):
            batch = slice(start, start + batch_size)
            optimizer.zero_grad()
            z, _ = forward(net, parameters, X[batch])
            F.cross_entropy(z, torch.tensor(Y[batch])).backward()
            optimizer.step()
    train(
        net,
        X,
        Y,
        loss="cross_entropy",
        optimizer=ours,
        epochs=epochs,
        batch_size=batch_size,
        shuffle=False,
    )
    assert relative(net.theta, flat(parameters)) < 1e-8


def test_settings_are_by_default_pytorchs_and_scipys():
    w = [torch.nn.Parameter(torch.zeros(1))]
    names = "SGD", "RMSprop", "Adagrad", "Adam", "AdamW", "Rprop"
    sgd, rms, grad, adam, adamw, rprop = (getattr(torch.optim, each)(w).defaults for each in names)
    assert SGD() == SGD(0.01, sgd["momentum"], sgd["nesterov"])
    assert RMSprop() == RMSprop(rms["lr"], rms["alpha"], rms["eps"])
    assert Adagrad() == Adagrad(grad["lr"], grad["eps"])
    assert Adam() == Adam(adam["lr"], *adam["betas"], adam["eps"])
    assert AdamW() == AdamW(adamw["lr"], *adamw["betas"], adamw["eps"], adamw["weight_decay"])
    assert RProp() == RProp(rprop["lr"], *rprop["etas"], *rprop["step_sizes"])
    scipys = signature(fmin_l_bfgs_b).parameters
    assert LBFGS() == LBFGS(*(scipys[each].default for each in ("maxfun", "pgtol", "m")))


def test_every_optimizer_is_compared():
    assert {type(ours) for ours, _, _ in UPDATES.values()} | {LBFGS} == set(OPTIMIZERS.values())


def test_l2_is_pytorchs_weight_decay_on_weights():
    """PyTorch's weight_decay of SGD is ½·l2·Σw²; ours leaves biases out unless told."""
    net = Network([4, 5, 3], "tanh", initializers=Uniform(), seed=7)
    X, Y, _ = rows(LOSSES["squared_error"]())
    parameters = tensors(net)
    groups = [
        {"params": parameters[::2], "weight_decay": 0.1},
        {"params": parameters[1::2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.SGD(groups, lr=0.05, momentum=0.5)
    for _ in range(10):
        optimizer.zero_grad()
        _, a = forward(net, parameters, X)
        (0.5 * F.mse_loss(a, torch.tensor(Y), reduction="sum") / len(X)).backward()
        optimizer.step()
    train(net, X, Y, optimizer=SGD(0.05, 0.5), l2=0.1, epochs=10, batch_size=7)
    assert relative(net.theta, flat(parameters)) < 1e-8


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize(("decays", "averages"), [(0.3, None), (0.0, 0.8), (0.3, 0.999)])
def test_decay_of_weights_accumulation_and_averaging(steps, decays, averages):
    """PyTorch's AdamW, told to decay the weights alone, on gradients that add up over batches."""
    net = Network([4, 5, 3], "tanh", initializers=Uniform(), seed=7)
    X, Y, _ = rows(LOSSES["squared_error"]())
    parameters = tensors(net)
    groups = [
        {"params": parameters[::2], "weight_decay": decays},
        {"params": parameters[1::2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.05)

    def kept(t):
        return min(averages or 0.0, (1 + t) / (10 + t))

    mean, t = [p.detach().clone() for p in parameters], 0
    for _ in range(6):
        for first in range(0, 7, 2 * steps):
            optimizer.zero_grad()
            n = min(2 * steps, 7 - first)
            for start in range(first, first + n, 2):
                batch = slice(start, start + 2)
                _, a = forward(net, parameters, X[batch])
                (0.5 * F.mse_loss(a, torch.tensor(Y[batch]), reduction="sum") / n).backward()
            optimizer.step()
            t += 1
            mean = [kept(t) * m + (1 - kept(t)) * p for m, p in zip(mean, parameters, strict=True)]
    train(
        net, X, Y, optimizer=Adam(0.05), weight_decay=decays, ema_decay=averages, epochs=6,
        batch_size=2, gradient_accumulation_steps=steps, shuffle=False,
    )  # fmt: skip
    assert relative(net.theta, flat(mean if averages else parameters)) < 1e-8


def test_lbfgs_reaches_pytorchs_minimum():
    net = Network([4, 3], ["softmax"], initializers="zeros")
    X, Y, _ = rows(CrossEntropy(), n=40)
    parameters = tensors(net)
    optimizer = torch.optim.LBFGS(
        parameters,
        max_iter=300,
        tolerance_grad=1e-9,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimizer.zero_grad()
        z, _ = forward(net, parameters, X)
        cost = F.cross_entropy(z, torch.tensor(Y)) + 0.05 * (parameters[0] ** 2).sum()
        cost.backward()
        return cost

    optimizer.step(closure)
    train(net, X, Y, loss="cross_entropy", optimizer=LBFGS(tolerance=1e-9), l2=0.1, epochs=300)
    theirs = forward(net, parameters, X)[1].detach().numpy()
    assert net.predict(X) == pytest.approx(theirs, abs=1e-7)
