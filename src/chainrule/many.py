"""Many networks at once: folds, seeds, grids and members, trained side by side over the cores.

Each network trains on one thread, by a loop of its own, so what comes out is what `train` gives
one by one. The native engine runs while Python does something else; the reference engine gains
little, because it is Python.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import monotonic
from typing import Any, TypeVar

import numpy as np

from chainrule.arrays import is_whole
from chainrule.engine.contract import COLUMNS
from chainrule.history import History
from chainrule.loop import Diverged, Loop
from chainrule.memory import refuse_beyond_memory
from chainrule.names import nearest
from chainrule.native import cores
from chainrule.network import Network
from chainrule.together import Make, make_of, run_together
from chainrule.training import read_data, train

#: What `train` takes by name, with its defaults.
DEFAULTS = {
    name: each.default
    for name, each in inspect.signature(train).parameters.items()
    if each.kind is each.KEYWORD_ONLY
}
TOGETHER = 16  # most networks with brief trainings that share a call of the library
Outcome = TypeVar("Outcome")
Cancelled = Callable[[], bool]  # tells whether to stop
OWN = ("history", "callbacks", "checkpoint")  # settings that belong to one network


def fit_many(
    networks: Iterable[Network],
    X: Any,
    Y: Any,
    *,
    seeds: Sequence[int] | None = None,
    n_threads: int | None = None,
    record_every: int = 1,
    **settings: Any,
) -> list[History]:
    """Train each of `networks` in place on the same rows, over the cores, one thread for each.

    The results are those of `train`, bit for bit, whatever the number of threads.

    Parameters
    ----------
    networks : iterable of Network
        Changed in place. They may differ in sizes, activations and dtype.
    X, Y : array-like
        As in `train`; checked and converted once for each dtype.
    seeds : sequence of int, optional
        A seed of the training for each network; by default all have the setting `seed`.
    n_threads : int, optional
        Most networks at a time; by default as many as there are cores.
    record_every : int
        As in `train`. The records of many networks over many epochs take more memory than
        anything else.
    **settings
        All else that `train` takes by name but `callbacks`, `checkpoint` and `history`, which
        belong to one network: `optimizer`, `epochs`, `patience`, … `time_limit` is that of all
        together; a network whose turn comes after it is left as it is.

    Returns
    -------
    list of History
        One for each network. A network that diverges stops no other: it gets its best weights so
        far, and its history's `stop_reason` tells.

    Raises
    ------
    ValueError
        For data or settings that do not fit one of the networks, before any is trained.
    Diverged
        When all of the networks did.
    MemoryError
        Before anything is trained, when the records cannot fit.
    KeyboardInterrupt
        Within a tenth of a second after Ctrl-C; each network then is as `train` leaves it.

    Examples
    --------
    >>> from chainrule import Adam, Network, fit_many
    >>> X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [[0], [1], [1], [0]]
    >>> nets = [Network([2, 4, 1], "tanh", seed=seed) for seed in range(8)]
    >>> histories = fit_many(nets, X, Y, optimizer=Adam(0.05), epochs=400, record_every=100)
    >>> sum(history["loss"][-1] < 0.01 for history in histories) >= 4
    True
    """
    nets, settings = _check(networks, seeds, n_threads, settings)
    if not nets:
        return []
    settings["record_every"] = record_every
    some = _one_of_each(nets)
    rows = {_kind(net): read_data(net, X, Y, settings) for net in some}
    makes = {make_of(net): Make(net, rows[_kind(net)], settings) for net in some}
    _refuse_records(nets, settings["epochs"], record_every)
    natives = {key: make.native for key, make in makes.items() if make.native}
    brief = len(natives) == len(makes)
    groups = _groups(len(nets), TOGETHER if brief else 1, n_threads or cores())
    started = monotonic()

    def fit(group: int, cancelled: Cancelled) -> list[tuple[History, Diverged | None]]:
        loops = []
        for place in groups[group]:
            make, seed = makes[make_of(nets[place])], None if seeds is None else seeds[place]
            loops.append(make.loop(nets[place], seed))
            loops[-1].cancelled, loops[-1].started = cancelled, started
        if brief:
            errors = run_together(loops, [natives[make_of(loop.network)] for loop in loops])
        else:
            errors = [_run(loop, settings["engine"]) for loop in loops]
        return [(loop.history, error) for loop, error in zip(loops, errors, strict=True)]

    done = [each for group in side_by_side(fit, len(groups), n_threads) for each in group]
    if all(error for _, error in done):
        raise Diverged(f"all {len(done)} networks diverged; the first: {done[0][1]}")
    return [history for history, _ in done]


def side_by_side(
    work: Callable[[int, Cancelled], Outcome], count: int, n_threads: int | None = None
) -> list[Outcome]:
    """Return what `work` gives for 0 to `count` - 1, called over the cores, a thread for each.

    Its second argument tells, when asked, whether to stop: after Ctrl-C, and after an error of
    another, which is then raised.

    >>> side_by_side(lambda place, cancelled: place * place, 4)
    [0, 1, 4, 9]
    """
    stop = Event()
    most = min(n_threads or cores(), count)
    with ThreadPoolExecutor(most, "side_by_side") as pool:
        try:
            return list(pool.map(lambda place: work(place, stop.is_set), range(count)))
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _run(loop: Loop, engine: str) -> Diverged | None:
    """Run a network's loop on one thread; return the error if it diverges."""
    try:
        loop.run(engine, 1)
    except Diverged as error:
        return error
    return None


def _groups(count: int, most: int, threads: int) -> list[range]:
    """Return the places 0 to `count` - 1 in groups, enough of them to keep all threads busy."""
    size = max(1, min(most, count // (4 * threads)))
    return [range(first, min(first + size, count)) for first in range(0, count, size)]


def _check(
    networks: Iterable[Network], seeds: Any, n_threads: Any, settings: dict[str, Any]
) -> tuple[list[Network], dict[str, Any]]:
    """Return the networks as a list, and all settings of `train`; refuse what cannot be."""
    nets = list(networks)
    for place, net in enumerate(nets):
        if not isinstance(net, Network):
            raise ValueError(f"networks[{place}] is a {type(net).__name__}; expected a Network")
    if len({id(net) for net in nets}) < len(nets):
        raise ValueError("networks holds one network twice; expected copies: network.copy()")
    if seeds is not None and not (len(seeds) == len(nets) and all(map(is_whole, seeds))):
        raise ValueError(f"seeds must be {len(nets)} whole numbers >= 0, one for each network")
    if not (n_threads is None or is_whole(n_threads, 1)):
        raise ValueError(f"n_threads={n_threads!r} must be >= 1, or None for all cores")
    for name in settings:
        if name in OWN:
            raise ValueError(f"{name} belongs to one network; leave it out, or take train")
        if name not in DEFAULTS:
            raise TypeError(f"{name!r} is no setting of train{nearest(name, DEFAULTS)}")
    return nets, DEFAULTS | settings


def _kind(network: Network) -> tuple[Any, ...]:
    """Return what data must be like for a network."""
    return network.dtype, network.sizes[0], network.sizes[-1]


def _one_of_each(networks: list[Network]) -> list[Network]:
    """Return a network of each make, the first."""
    return list({make_of(net): net for net in reversed(networks)}.values())


def _refuse_records(networks: list[Network], epochs: int, every: int) -> None:
    """Raise MemoryError when the records of all networks cannot fit."""
    columns = sum(len(COLUMNS) + len(net.layers) for net in networks)
    refuse_beyond_memory(
        (epochs // every + 1) * columns,
        np.dtype(np.float64),
        f"the records of {epochs:,} epochs of {len(networks):,} networks",
        remedy=f"keep fewer, as by record_every={every * 1000}",
    )
