"""Together: brief trainings of the native engine, several in each call of the library.

A network of a few units trains in a millisecond, and Python's part of that, plan, engine and call,
would take as long again. Networks of one make share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

from chainrule.engine import Data, Event, NativeEngine, advance_each, choose_engine
from chainrule.loop import Diverged, Loop
from chainrule.network import Network
from chainrule.training import make_loop

BRIEF = 3e7  # floating-point operations: some milliseconds, in which a tenth of one counts


def make_of(network: Network) -> tuple[Any, ...]:
    """Return what networks of one make have in common: all but their parameters."""
    return network.dtype, *network.sizes, *map(id, network.activations)  # yours may have no hash


class Make:
    """What the trainings of networks of one make have in common.

    Raises what `train` does for data and settings that do not fit.
    """

    def __init__(
        self, network: Network, rows: tuple[Data, Data | float | None], settings: dict[str, Any]
    ) -> None:
        self.rows, self.settings = rows, settings
        loop = make_loop(network, *rows, settings)
        self.plan = loop.plan
        engine, _ = choose_engine(settings["engine"], self.plan, network, loop.data, 1)
        operations = 6.0 * loop.data.n * network.theta.size * self.plan.epochs
        shared = loop.data is rows[0]  # no seed has drawn which are held out
        #: The engine that others can be made like, where that pays.
        self.native = (
            engine if isinstance(engine, NativeEngine) and shared and operations < BRIEF else None
        )

    def loop(self, network: Network, seed: int | None = None) -> Loop:
        """Return the training of a network of this make."""
        plan = self.plan if seed is None else replace(self.plan, seed=int(seed))
        return make_loop(network, *self.rows, self.settings | {"seed": plan.seed}, plan)


def run_together(loops: Sequence[Loop], likes: Sequence[NativeEngine]) -> list[Diverged | None]:
    """Run trainings on this thread; return the error of each that diverges."""
    engines = [like.twin(loop.plan, loop.network) for loop, like in zip(loops, likes, strict=True)]
    errors: list[Diverged | None] = [None] * len(loops)
    with ExitStack() as ending:  # an error of one ends the others in order
        stories = [
            ending.enter_context(closing(loop.story(engine)))
            for loop, engine in zip(loops, engines, strict=True)
        ]
        events: dict[int, Event | None] = dict.fromkeys(range(len(loops)))
        while True:
            calls = {}
            for k, event in events.items():
                try:
                    calls[k] = stories[k].send(event)
                except StopIteration:
                    pass
                except Diverged as error:
                    errors[k] = error
            if not calls:
                return errors
            answers = advance_each([engines[k] for k in calls], list(calls.values()))
            events = dict(zip(calls, answers, strict=True))
