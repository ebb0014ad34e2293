"""Killed: trainings that are ended by `kill -9` at random moments, and then go on.

python killed.py COUNT FOLDER. One process imports everything once; each training that is to be
killed runs in a child of its own. Prints what was seen as JSON.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np

from chainrule import Network, train
from chainrule.checkpoints import Checkpoints
from chainrule.engine import ENGINES

X = np.random.default_rng(0).normal(size=(60, 3))
Y = X[:, :1] * X[:, 1:2]


def learn(engine, folder=None):
    """Train, with a checkpoint after every epoch, going on from what is there; return a digest."""
    net = Network([3, 8, 1], "tanh", seed=1)
    history = train(
        net, X, Y, epochs=25, engine=engine, batch_size=16, validation=0.2, dropout=0.2,
        patience=99, schedule="cosine", ema_decay=0.9,
        checkpoint=None if folder is None else Checkpoints(folder, 1, resume=True),
    )  # fmt: skip
    records = [{k: v for k, v in r.items() if k != "seconds"} for r in history.records]
    seen = repr((records, history.stop_reason, history.best_epoch))
    return hashlib.sha256(net.theta.tobytes() + seen.encode()).hexdigest()


def kill_within(engine, folder, seconds):
    """Train in a child, and kill it after so long; tell whether it was still at work."""
    child = os.fork()
    if not child:
        try:
            learn(engine, folder)
        finally:
            os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def main(count, folder):
    moments, seen = random.Random(), {"killed": 0, "litter": 0, "others": [], "epochs": []}
    expected = {engine: learn(engine) for engine in ENGINES}
    took = {}
    for engine in ENGINES:
        start = time.perf_counter()
        learn(engine, folder / engine)
        took[engine] = time.perf_counter() - start
    while seen["killed"] < count:
        engine = sorted(ENGINES)[seen["killed"] % len(ENGINES)]
        place = folder / "killed"
        if not kill_within(engine, place, moments.uniform(0, took[engine])):
            shutil.rmtree(place, ignore_errors=True)
            continue  # it was done
        seen["killed"] += 1
        names = [path.name for path in place.iterdir()] if place.is_dir() else []
        seen["litter"] += any(name.endswith(".part") for name in names)
        seen["epochs"].append(max([0, *(int(n[6:14]) for n in names if n.startswith("epoch-"))]))
        if learn(engine, place) != expected[engine]:
            seen["others"].append(names)
        left = sorted(path.name for path in place.iterdir())
        if left[0] != "LATEST" or len(left) != 3:
            seen["others"].append(left)
        shutil.rmtree(place)
    print(json.dumps(seen))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
