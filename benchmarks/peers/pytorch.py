"""PyTorch: eager, modules and an optimizer as its tutorials have them, without a DataLoader."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise
from time import perf_counter

import torch

from benchmarks.cases import MOMENTUM, RATES, Case, Run, make_data

SIGMA = {"sigmoid": torch.nn.Sigmoid, "relu": torch.nn.ReLU}
COST = {  # the last two start from the logits
    "squared_error": torch.nn.MSELoss,
    "binary_cross_entropy": torch.nn.BCEWithLogitsLoss,
    "cross_entropy": torch.nn.CrossEntropyLoss,
}


def make_network(case: Case) -> torch.nn.Sequential:
    """Return the case's network; outputs are logits where the loss starts from them."""
    layers: list[torch.nn.Module] = []
    for n_in, n_out in pairwise(case.sizes):
        layers += [torch.nn.Linear(n_in, n_out), SIGMA[case.hidden]()]
    layers.pop()
    if case.loss == "squared_error" and case.output == "sigmoid":
        layers.append(torch.nn.Sigmoid())
    return torch.nn.Sequential(*layers).to(getattr(torch, case.dtype))


def make_optimizer(case: Case, network: torch.nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer in its fastest form, which is the fused one."""
    rate = RATES[case.optimizer]
    if case.optimizer == "adam":
        return torch.optim.Adam(network.parameters(), lr=rate, fused=True)
    return torch.optim.SGD(network.parameters(), lr=rate, momentum=MOMENTUM, fused=True)


def train(case: Case, n_threads: int) -> tuple[Run, None]:
    """Train anew from the same first weights; rows are gathered once per epoch."""
    X, Y = (torch.from_numpy(array) for array in make_data(case))
    first, cost = make_network(case), COST[case.loss]()

    def run(epochs: int) -> tuple[float, int]:
        torch.set_num_threads(n_threads)
        network = deepcopy(first)
        optimizer = make_optimizer(case, network)
        started = perf_counter()
        for _ in range(epochs):
            if case.full_batch:
                batches = [(X, Y)]
            else:
                order = torch.randperm(case.rows)
                parts = X[order].split(case.batch), Y[order].split(case.batch)
                batches = list(zip(*parts, strict=True))
            for x, y in batches:
                optimizer.zero_grad()
                cost(network(x), y).backward()
                optimizer.step()
        return perf_counter() - started, epochs * case.batches

    return run, None
