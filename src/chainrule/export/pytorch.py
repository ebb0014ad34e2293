"""PyTorch: networks go there and come from there, as torch.nn.Sequential.

Layer by layer: Linear, then the activation. PyTorch keeps W as (n_out, n_in), the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from chainrule.activations import ACTIVATIONS, Activation, Exponential, Increasing
from chainrule.arrays import Array
from chainrule.export.code import Program, word
from chainrule.export.parts import take_apart
from chainrule.network import Network

#: Our name -> the class in torch.nn, what it is given, and which of it is a setting of ours.
MODULES: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "identity": ("Identity", {}, {}),
    "sigmoid": ("Sigmoid", {}, {}),
    "tanh": ("Tanh", {}, {}),
    "relu": ("ReLU", {}, {}),
    "leaky_relu": ("LeakyReLU", {}, {"negative_slope": "slope"}),
    "relu6": ("ReLU6", {}, {}),
    "elu": ("ELU", {"alpha": 1.0}, {}),
    "celu": ("CELU", {}, {"alpha": "alpha"}),
    "selu": ("SELU", {}, {}),
    "softplus": ("Softplus", {"beta": 1.0}, {}),
    "log_sigmoid": ("LogSigmoid", {}, {}),
    "hard_sigmoid": ("Hardsigmoid", {}, {}),
    "hard_swish": ("Hardswish", {}, {}),
    "gelu": ("GELU", {"approximate": "tanh"}, {}),
    "silu": ("SiLU", {}, {}),
    "mish": ("Mish", {}, {}),
    "softsign": ("Softsign", {}, {}),
    "softmax": ("Softmax", {"dim": -1}, {}),
}
LINEAR_FROM = 50.0  # Softplus is z itself from here on, where e^−z is below any rounding
LEAST_LINEAR = 20.0  # PyTorch's own default: e^−20 is 2e-9
#: What has no effect on a trained network's rows, and is left out.
IDLE = ("Dropout", "Flatten", "Identity")


def to_torch(model: Any, *, dtype: Any = None) -> Any:
    """Return the network of a model as a torch.nn.Sequential that gives the same outputs.

    Its last layer is the output activation, so that outputs are probabilities as `predict_proba`
    gives them (of the second class alone, where there are two), or numbers in y's units;
    ``to_torch(model)[:-1]`` gives the logits that PyTorch's losses want. A temperature is in the
    last weights. It is fed features: ``model.encoder_.transform(X)`` where there is an encoder.

    Parameters
    ----------
    model : MLPClassifier, MLPRegressor, Pipeline or Network
        Fitted, of one member. Of a Pipeline it is the last step's network.
    dtype : str, optional
        "float32" or "float64"; by default that of the network.

    Raises
    ------
    ImportError
        Where PyTorch is not installed.
    ValueError
        For a model that is not fitted or no model, and what PyTorch has not.

    Examples
    --------
    >>> from chainrule import Network
    >>> to_torch(Network([2, 3, 1], "tanh"))  # doctest: +SKIP
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): Tanh()
      (2): Linear(in_features=3, out_features=1, bias=True)
      (3): Identity()
    )
    """
    torch = _torch("to_torch")
    program = Program(take_apart(model, dtype))
    if len(program.members) > 1:
        raise ValueError(
            f"the model is the mean of {len(program.members)} members, and a Sequential is one"
            " network; fit with n_estimators=1, or take another format: --to onnx"
        )
    modules = []
    for layer in program.members[0]:
        modules += [_linear(torch, layer.W, layer.b), _module(torch, layer.activation)]
    if program.units:  # one layer more, so that the network's own stay as they are
        scale, mean = (each.astype(program.parts.dtype) for each in program.units)
        modules.append(_linear(torch, np.diag(scale), mean))
    return torch.nn.Sequential(*modules)


def from_torch(module: Any) -> Network:
    """Return the network that a torch.nn.Sequential of Linear and activations is.

    Dropout, Identity and Flatten are left out: they change no row once a network is trained. A
    Linear without an activation after it gets "identity".

    Parameters
    ----------
    module : torch.nn.Sequential, or torch.nn.Linear
        Sequentials may hold Sequentials. Of float32 or float64.

    Raises
    ------
    ImportError
        Where PyTorch is not installed.
    ValueError
        For a module that a network here has not, by its name and place.
    """
    torch = _torch("from_torch")
    idle = [getattr(torch.nn, name) for name in IDLE]
    layers: list[tuple[Array, Array]] = []
    activations: list[Activation | None] = []
    for place, each in _flat(torch, module, ""):
        kind = type(each).__name__
        if type(each) is torch.nn.Linear:
            layers.append(_parameters(each, place))
            activations.append(None)
        elif type(each) not in idle:
            activation = _activation(torch, each, place)
            if not layers or activations[-1] is not None:
                before = "at the beginning" if not layers else "after another activation"
                raise ValueError(f"{place}: {kind} stands {before}; expected it after a Linear")
            activations[-1] = activation
    if not layers:
        raise ValueError(f"{type(module).__name__} holds no Linear; expected at least one")
    sizes = [layers[0][0].shape[0], *(W.shape[1] for W, _ in layers)]
    dtype = np.result_type(*(W for W, _ in layers))
    network = Network(
        sizes, [each or "identity" for each in activations], initializers="zeros", dtype=dtype
    )
    for mine, (W, b) in zip(network.layers, layers, strict=True):
        if mine.W.shape != W.shape:
            raise ValueError(
                f"a Linear takes {W.shape[0]} inputs after one of {mine.W.shape[0]} outputs;"
                " expected as many"
            )
        mine.W[:], mine.b[:] = W, b
    return network


def _torch(what: str) -> Any:
    try:
        return import_module("torch")
    except ImportError as error:
        raise ImportError(
            f"{what} needs PyTorch, which is not installed: pip install chainrule[torch]"
        ) from error


def _linear(torch: Any, W: Array, b: Array) -> Any:
    dtype = torch.float32 if W.dtype == np.float32 else torch.float64
    linear = torch.nn.Linear(*W.shape, dtype=dtype)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(W.T.copy()))
        linear.bias.copy_(torch.from_numpy(b.copy()))
    return linear


def _module(torch: Any, activation: Activation) -> Any:
    """Return PyTorch's module for σ; raise ValueError where there is none."""
    name = word(activation)
    if name in MODULES and type(activation) is type(ACTIVATIONS[name]):
        kind, fixed, settings = MODULES[name]
        given = {theirs: getattr(activation, ours) for theirs, ours in settings.items()}
        given |= {"threshold": LINEAR_FROM} if name == "softplus" else {}
        return getattr(torch.nn, kind)(**fixed, **given)
    if isinstance(activation, Exponential | Increasing):
        return own_module(activation)
    raise ValueError(
        f"activation {activation.name!r} has no equal in torch.nn; known: {', '.join(MODULES)}"
    )


def own_module(activation: Activation) -> Any:
    """Return a module for an activation that torch.nn lacks."""
    return _own_class()(activation)


@cache
def _own_class() -> Any:
    """Return the class of such modules, which is made only where PyTorch is there."""
    torch = _torch("to_torch")

    Module: Any = torch.nn.Module

    class Formula(Module):
        def __init__(self, activation: Activation) -> None:
            super().__init__()
            self.activation = activation

        def forward(self, z: Any) -> Any:
            if isinstance(self.activation, Exponential):
                return torch.exp(z)
            step = torch.nn.functional.softplus(z, threshold=LINEAR_FROM)
            block = getattr(self.activation, "block", 0) or z.shape[-1]
            parts = zip(z.split(block, -1), step.split(block, -1), strict=True)
            each = [torch.cat([z[..., :1], s[..., 1:]], -1).cumsum(-1) for z, s in parts]
            return torch.cat(each, -1)

        def extra_repr(self) -> str:
            return word(self.activation)

        def __reduce__(self) -> tuple[Any, ...]:  # so that torch.save finds it
            return own_module, (self.activation,)

    return Formula


def _flat(torch: Any, module: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yield each module with its place, Sequentials opened."""
    if type(module) is torch.nn.Sequential:
        for name, each in module.named_children():
            yield from _flat(torch, each, f"{place}.{name}" if place else name)
    else:
        yield f"module {place}" if place else "module", module


def _parameters(linear: Any, place: str) -> tuple[Array, Array]:
    W = linear.weight.detach().cpu()
    if str(W.dtype) not in ("torch.float32", "torch.float64"):
        raise ValueError(f"{place} is of {W.dtype}; expected float32 or float64: module.double()")
    W = W.numpy().T
    b = np.zeros(W.shape[1], W.dtype) if linear.bias is None else linear.bias.detach().cpu().numpy()
    return W, b


def _activation(torch: Any, module: Any, place: str) -> Activation:
    """Return our activation for a module; raise ValueError where there is none, by its name."""
    kind = type(module).__name__
    if isinstance(module, _own_class()):
        return module.activation
    for name, (theirs, fixed, settings) in MODULES.items():
        if theirs != kind or type(module) is not getattr(torch.nn, theirs):
            continue
        for setting, expected in fixed.items():
            value = getattr(module, setting)
            same = value == expected or (setting == "dim" and value == 1)
            if not same:
                raise ValueError(
                    f"{place}: {kind}({setting}={value!r}) has no equal here; expected"
                    f" {setting}={expected!r}"
                )
        if name == "softplus" and module.threshold < LEAST_LINEAR:
            raise ValueError(
                f"{place}: Softplus(threshold={module.threshold!r}) is far from softplus; expected"
                f" at least {LEAST_LINEAR:g}"
            )
        given = {ours: getattr(module, setting) for setting, ours in settings.items()}
        known: Any = ACTIVATIONS[name]
        return replace(known, **given)
    known = ", ".join(theirs for theirs, _, _ in MODULES.values())
    raise ValueError(
        f"{place}: {kind} has no equal here; expected Linear, {', '.join(IDLE)}, or {known}"
    )
