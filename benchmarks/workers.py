"""Workers: each library in one process of its own, told what to do by lines of JSON.

The program holds a `Worker` for each; the process it starts runs `main`, below. A worker waits on
its pipe, and so uses no processor, while others are measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from benchmarks.cases import Case, Run
from benchmarks.peers import PEERS

ROOT = Path(__file__).parents[1]


class PeerError(RuntimeError):
    """What a library could not do, in its own words."""


class Worker:
    """One library in a process of its own."""

    def __init__(self, peer: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.workers", peer],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def prepare(self, key: str, what: str, case: Case, variant: dict[str, Any]) -> float | None:
        """Prepare `what` (train, predict, multiply) under a key; return seconds of compilation."""
        return self._ask(do="prepare", key=key, what=what, case=case.as_json(), variant=variant)

    def run(self, key: str, count: int) -> tuple[float, int]:
        """Run what was prepared so many times; return seconds, and units of work done."""
        seconds, units = self._ask(do="run", key=key, count=count)
        return seconds, units

    def call(self, what: str, **arguments: Any) -> Any:
        """Call a function of the peer's; return what it returns."""
        return self._ask(do="call", what=what, arguments=arguments)

    def forget(self) -> None:
        """Drop all that was prepared."""
        self._ask(do="forget")

    def close(self) -> None:
        """End the process."""
        with self.process:
            self.process.stdin.close()

    def _ask(self, **request: Any) -> Any:
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the empty answer tells
        line = self.process.stdout.readline()
        if not line:
            raise PeerError(f"the process ended with status {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer["answer"]


class Workers(dict[str, Worker]):
    """The workers by library; leaving the `with` block ends them all."""

    def __init__(self, peers: Iterable[str]) -> None:
        super().__init__({peer: Worker(peer) for peer in peers})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        for worker in self.values():
            worker.close()


def answer(runs: dict[str, Run], peer: Any, request: dict[str, Any]) -> Any:
    """Do what one line asks for."""
    if request["do"] == "run":
        return runs[request["key"]](request["count"])
    if request["do"] == "forget":
        runs.clear()
        return None
    make = getattr(peer, request["what"])
    if request["do"] == "call":
        return make(**request["arguments"])
    run, seconds = make(Case.from_json(request["case"]), **request["variant"])
    runs[request["key"]] = run
    return seconds


def main(peer: str) -> None:
    """Answer each line on standard input by one line, until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    module = import_module(f"benchmarks.peers.{PEERS[peer][0]}")
    runs: dict[str, Run] = {}
    for line in sys.stdin:
        try:
            reply = {"answer": answer(runs, module, json.loads(line))}
        except Exception as error:  # the program goes on without this one, and tells
            reply = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
