"""Peaks: how much memory a fit takes at its most, printed by a process of its own.

`python peaks.py ENGINE DTYPE` prints, for each case, the bytes beyond what was there before, those
of its rows, and of its parameters. With a number of MiB as third word it may take no more than so
many, and prints what the refusals say instead. Linux counts the pages.
"""

import json
import re
import sys
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np

from chainrule import MLPClassifier, MLPRegressor, Network, train

RNG = np.random.default_rng(0)
WIDE = {"wide": (60, 16, (1000, 1000)), "wider": (60, 16, (1400, 1400))}  # beyond native's FEW
LONG = {"long": (20_000, 100, (8,)), "longer": (40_000, 100, (8,))}  # rows, inputs, hidden units


def pages(key):
    """Return the bytes that the system tells of this process under a name."""
    return 1024 * int(re.search(rf"{key}:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def peak(work, *data):
    """Return the most bytes beyond those there before, while `work` is done on the data."""
    before = pages("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    work(*data)
    return pages("VmHWM") - before


def trained(engine, dtype, hidden, **settings):
    """Return what trains a network, made anew, for two epochs."""

    def work(X, Y):
        net = Network([X.shape[1], *hidden, 1], initializers="zeros", dtype=dtype)
        train(net, X, Y, engine=engine, epochs=2, batch_size=max(30, len(X) // 100), **settings)

    return work


def cases(engine, dtype):
    """Yield a name, the work, rows, inputs, hidden units, and the optimizer's vectors."""
    for size, shape in (WIDE | LONG).items():
        yield size, trained(engine, dtype, shape[2]), *shape, 2
    shape = WIDE["wide"]
    yield "wide by SGD", trained(engine, dtype, shape[2], optimizer="sgd"), *shape, 1
    pulled = {"l2": 1e-4, "weight_decay": 0.01, "optimizer": "sgd"}
    yield "wide, pulled to zero", trained(engine, dtype, shape[2], **pulled), *shape, 1
    shape = LONG["long"]
    yield "held out", trained(engine, dtype, shape[2], validation=0.2), *shape, 2
    estimator = {"engine": engine, "max_iter": 2, "hidden_layer_sizes": shape[2]}

    def classified(X, Y):
        MLPClassifier(early_stopping=True, **estimator).fit(X, Y[:, 0] > 0)

    yield "regressor", lambda X, Y: MLPRegressor(**estimator).fit(X, Y[:, 0]), *shape, 2
    yield "classifier", classified, *shape, 2


def measured(engine, dtype):
    wide = np.dtype(dtype).itemsize
    for name, work, n, inputs, hidden, slots in cases(engine, dtype):
        sizes = [inputs, *hidden, 1]
        X = RNG.random((n, inputs), dtype)
        Y = X[:, :1].copy()
        work(X[:40].copy(), Y[:40].copy())  # imports, caches, thread pools
        parameters = sum((a + 1) * b for a, b in pairwise(sizes)) * wide
        yield name, {
            "peak": peak(work, X, Y), "data": X.nbytes + Y.nbytes, "parameters": parameters,
            "slots": slots,
        }  # fmt: skip


def refused(engine, dtype, mebibytes):
    """Yield what is said where all that may be taken are so many more MiB."""
    import resource

    X = np.zeros((40, 50), dtype)
    trained(engine, dtype, (3,))(X, X[:, :1])
    small = Network([50, 100_000, 1], initializers="zeros", dtype=dtype)
    rows = np.zeros((20_000, 50), dtype)
    limit = pages("VmSize") + mebibytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for name, work in {
        "network": lambda: Network([50, 10**6, 1], dtype=dtype),
        "estimator": lambda: MLPRegressor(hidden_layer_sizes=10**9, engine=engine).fit(X, X[:, 0]),
        "training": lambda: train(small, X[:9], X[:9, :1], engine=engine, epochs=1),
        "lbfgs": lambda: train(small, X, X[:, :1], engine=engine, epochs=1, optimizer="lbfgs"),
        "batch": lambda: train(
            Network([50, 900, 1], dtype=dtype), rows, rows[:, :1], engine=engine, epochs=1,
            batch_size=len(rows),
        ),
    }.items():  # fmt: skip
        try:
            work()
        except MemoryError as error:
            yield name, str(error)
        else:
            yield name, ""


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    engine, dtype, *most = sys.argv[1:]
    told = refused(engine, dtype, int(most[0])) if most else measured(engine, dtype)
    print(json.dumps(dict(told)))
