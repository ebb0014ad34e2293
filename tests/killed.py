"""Killed: trainings that are ended by `kill -9` at random moments, and then go on.

python killed.py train|cli|chainrule COUNT FOLDER. For `train`, and `cli`, the command line, one
process imports everything once, and each training that is to be killed runs in a child of its own;
`chainrule` is the command line in a new process each time. Prints what was seen as JSON.
"""

import hashlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from chainrule import cli, load_model, train
from chainrule.checkpoints import Checkpoints
from chainrule.engine import ENGINES
from chainrule.network import Network

X = np.random.default_rng(0).normal(size=(60, 3))
Y = X[:, :1] * X[:, 1:2]
EPOCHS = 80
started = []  # processes that are waited for by their number


@dataclass
class Way:
    """A training that keeps checkpoints in a folder, and goes on from what is there.

    `begin` starts it in a process, whose number it returns when there is something to be harmed;
    `finish` lets it come to its end, and returns a digest of what was learnt. Within a share
    `spread` of the time that it takes it is killed.
    """

    begin: Callable[[Path], int]
    finish: Callable[[Path], str]
    spread: float = 1.0


def digest(weights, records, *more):
    seen = repr(([{k: v for k, v in r.items() if k != "seconds"} for r in records], *more))
    return hashlib.sha256(b"".join(w.tobytes() for w in weights) + seen.encode()).hexdigest()


# Within Python ------------------------------------------------------------------------------------


def learn(engine, folder):
    """Train, with a checkpoint after every epoch, going on from what is there; return a digest."""
    net = Network([3, 8, 1], "tanh", seed=1)
    history = train(
        net, X, Y, epochs=25, engine=engine, batch_size=16, validation=0.2, dropout=0.2,
        patience=99, schedule="cosine", ema_decay=0.9,
        checkpoint=Checkpoints(folder, 1, resume=True),
    )  # fmt: skip
    return digest([net.theta], history.records, history.stop_reason, history.best_epoch)


def in_a_child(engine, folder):
    child = os.fork()
    if not child:
        try:
            learn(engine, folder)
        finally:
            os._exit(0)
    return child


# The command line ---------------------------------------------------------------------------------


def command(fresh, table, folder):
    """Start a training of that table, in a new process or in a fork; return its number."""
    words = f"train t.csv --target y --epochs {EPOCHS} --patience 99 --dropout 0.2 --batch-size 8"
    words = [
        *words.split(),
        *["--hidden", "8", "--force", "--every", "1", "--resume", "--checkpoint"],
        str(folder),
    ]
    if fresh:
        words = [sys.executable, "-m", "chainrule", *words]
        started.append(subprocess.Popen(words, cwd=table.parent, stdout=subprocess.DEVNULL))
        return started[-1].pid
    child, code = os.fork(), 1
    if not child:
        try:
            os.chdir(table.parent)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.argv = ["chainrule", *words]
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        finally:
            os._exit(code)
    return child


def start_command(fresh, table, folder):
    """Return the number of a process that has come to an epoch, whichever, or to its end."""
    epoch, process = random.randint(1, EPOCHS), command(fresh, table, folder)
    while max(map(newest, what_is_kept(folder)), default=0) < epoch and not os.waitid(
        os.P_PID, process, os.WEXITED | os.WNOWAIT | os.WNOHANG
    ):
        time.sleep(0.003)
    return process


def run_command(fresh, table, folder):
    assert os.waitpid(command(fresh, table, folder), 0)[1] == 0
    model = load_model(table.with_suffix(".chainrule"))[-1]
    weights = [*model.coefs_, *model.intercepts_]
    return digest(weights, model.history_, model.stop_reason_, model.best_epoch_)


def ways_of(name, folder):
    if name == "train":
        return {each: Way(partial(in_a_child, each), partial(learn, each)) for each in ENGINES}
    table = folder / "t.csv"
    rows = (f"{a},{b},{c},{'yes' if a * b > 0 else 'no'}" for a, b, c in X)
    table.write_text("\n".join(["a,b,c,y", *rows]))
    fresh = name == "chainrule"
    return {
        name: Way(partial(start_command, fresh, table), partial(run_command, fresh, table), 0.02)
    }


# Both ---------------------------------------------------------------------------------------------


def kill_within(way, folder, seconds):
    """Begin, and kill after so long; return None, or the seconds it took if it was done before."""
    process, start = way.begin(folder), time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        if os.waitpid(process, os.WNOHANG)[0]:
            return passed
        time.sleep(min(0.01, seconds - passed))
    os.kill(process, signal.SIGKILL)
    return None if os.WIFSIGNALED(os.waitpid(process, 0)[1]) else passed


def main(name, count, folder):
    moments, seen = random.Random(), {"killed": 0, "litter": 0, "others": [], "epochs": []}
    ways, place = ways_of(name, folder), folder / "killed"
    expected, took = {}, {}
    for each, way in ways.items():
        start = time.perf_counter()
        expected[each] = way.finish(folder / each)
        took[each] = time.perf_counter() - start
    turns = itertools.cycle(ways)
    while seen["killed"] < count:
        each = next(turns)
        way = ways[each]
        for _ in range(min(moments.choice([1, 1, 2]), count - seen["killed"])):
            whole = kill_within(way, place, moments.uniform(0, way.spread * took[each]))
            if whole is not None:
                took[each] = min(took[each], whole)  # the machine was busier before
                break
            seen["killed"] += 1
            seen["litter"] += any(path.name.endswith(".part") for path in place.rglob("*"))
            seen["epochs"].append(max(map(newest, what_is_kept(place)), default=0))
        if way.finish(place) != expected[each]:
            seen["others"].append(each)
        seen["others"] += [str(kept) for kept in what_is_kept(place) if len(kept) != 3]
        shutil.rmtree(place)
    print(json.dumps(seen))


def newest(kept):
    return int(kept[-1][6:14])


def what_is_kept(place):
    """Return the files of each training: LATEST and two checkpoints, when all went well."""
    folders = {path.parent for path in place.rglob("*.checkpoint")}
    return [sorted(path.name for path in folder.iterdir()) for folder in folders]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]).resolve())
