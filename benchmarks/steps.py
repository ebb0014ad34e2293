"""Time per optimizer step, beside scikit-learn and PyTorch: python benchmarks/steps.py

Each network is trained with plain SGD by every library in turn, several rounds; medians and
ratios are printed, and single absolute times are not to be trusted on a shared machine. PyTorch is
tried with one and with two threads, the better counts; what is not installed is left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import warnings
from collections.abc import Callable
from itertools import pairwise
from time import perf_counter

import numpy as np

from chainrule import SGD, Network, train
from chainrule.engine import ENGINES

# sizes, hidden activation, output activation, loss, batch, batches per epoch
NETWORKS = {
    "2-2-2 sigmoid, 4": ([2, 2, 2], "sigmoid", "sigmoid", "squared_error", 4, 200),
    "2-3-5-8-1 sigmoid, 5": ([2, 3, 5, 8, 1], "sigmoid", "identity", "squared_error", 5, 200),
    "20-64-64-1 relu, 64": ([20, 64, 64, 1], "relu", "identity", "squared_error", 64, 100),
    "100-256-256-256-1 relu, 256": (
        [100, 256, 256, 256, 1], "relu", "identity", "squared_error", 256, 10,
    ),
    "784-196-1 sigmoid, 128": (
        [784, 196, 1], "sigmoid", "sigmoid", "binary_cross_entropy", 128, 20,
    ),
    "784-512-256-10 relu, 256": (
        [784, 512, 256, 10], "relu", "softmax", "cross_entropy", 256, 6,
    ),
}  # fmt: skip


def make_data(sizes: list[int], loss: str, rows: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, sizes[0])).astype(np.float32)
    if loss == "cross_entropy":
        return X, np.eye(sizes[-1], dtype=np.float32)[rng.integers(sizes[-1], size=rows)]
    return X, rng.integers(2, size=(rows, sizes[-1])).astype(np.float32)


def time_chainrule(sizes, hidden, output, loss, batch, steps, engine) -> Callable[[], float]:
    X, Y = make_data(sizes, loss, batch * steps)
    net = Network(sizes, hidden, output_activation=output, dtype="float32")

    def run() -> float:
        started = perf_counter()
        train(
            net, X, Y, loss=loss, optimizer=SGD(0.01, momentum=0.9), batch_size=batch, epochs=1,
            engine=engine,
        )  # fmt: skip
        return (perf_counter() - started) / steps

    return run


def time_sklearn(sizes, hidden, output, loss, batch, steps) -> Callable[[], float]:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    X, Y = make_data(sizes, loss, batch * steps)
    kind = MLPClassifier if loss.endswith("cross_entropy") else MLPRegressor
    y = Y.argmax(axis=1) if loss == "cross_entropy" else Y.squeeze()
    model = kind(
        hidden_layer_sizes=sizes[1:-1], activation=hidden.replace("sigmoid", "logistic"),
        solver="sgd", max_iter=1, batch_size=batch, learning_rate_init=0.01,
        nesterovs_momentum=False,
    )  # fmt: skip

    def run() -> float:
        started = perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, y)
        return (perf_counter() - started) / steps

    return run


def time_torch(sizes, hidden, output, loss, batch, steps, threads) -> Callable[[], float]:
    import torch

    X, Y = (torch.from_numpy(array) for array in make_data(sizes, loss, batch * steps))
    sigma = {"sigmoid": torch.nn.Sigmoid, "relu": torch.nn.ReLU}[hidden]
    layers: list[torch.nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [torch.nn.Linear(n_in, n_out), sigma()]
    if loss == "squared_error" and output == "sigmoid":
        layers[-1] = torch.nn.Sigmoid()
    else:
        layers.pop()  # the loss starts from the logits
    net = torch.nn.Sequential(*layers)
    cost = {
        "squared_error": torch.nn.MSELoss(),
        "binary_cross_entropy": torch.nn.BCEWithLogitsLoss(),
        "cross_entropy": torch.nn.CrossEntropyLoss(),
    }[loss]
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

    def run() -> float:
        torch.set_num_threads(threads)
        started = perf_counter()
        order = torch.randperm(len(X))
        for k in range(steps):
            rows = order[k * batch : (k + 1) * batch]
            optimizer.zero_grad()
            cost(net(X[rows]), Y[rows]).backward()
            optimizer.step()
        return (perf_counter() - started) / steps

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with_torch = importlib.util.find_spec("torch") is not None
    heads = f"{'reference':>10}{'native':>8}{'scikit-learn':>14}{'PyTorch':>9}"
    print(f"{'network, batch':<30}{heads}   µs per step; scikit-learn and PyTorch over native")
    for name, spec in NETWORKS.items():
        runs = {engine: time_chainrule(*spec, engine=engine) for engine in ENGINES}
        runs["scikit-learn"] = time_sklearn(*spec)
        if with_torch:
            runs |= {f"torch {k}": time_torch(*spec, threads=k) for k in (1, 2)}
        times: dict[str, list[float]] = {key: [] for key in runs}
        for _ in range(rounds + 1):
            for key, run in runs.items():
                times[key].append(run() * 1e6)
        medians = {key: statistics.median(each[1:]) for key, each in times.items()}
        best = min((each for key, each in medians.items() if "torch" in key), default=float("nan"))
        ours, theirs = medians.get("native", medians["reference"]), medians["scikit-learn"]
        print(
            f"{name:<30}{medians['reference']:>10.0f}{ours:>8.1f}{theirs:>14.0f}{best:>9.0f}"
            f"   {theirs / ours:>5.1f}x {best / ours:>5.1f}x"
        )


if __name__ == "__main__":
    main()
