"""Training: the user's words become a plan, and the plan is carried out.

`loop` tells the story of a training from its first update to its last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np

from chainrule.arrays import is_number, is_whole
from chainrule.callbacks import Callback, EarlyStopping, check_callbacks
from chainrule.data import as_matrix, as_targets, as_weights, said_of, split
from chainrule.derivatives import check_own
from chainrule.engine import Data, Plan
from chainrule.history import History
from chainrule.loop import Loop, Metric
from chainrule.losses import Loss, get_loss
from chainrule.memory import refuse_beyond_memory
from chainrule.network import NO_PENALTY, Network
from chainrule.optimizers import LBFGS, Optimizer, get_optimizer
from chainrule.penalties import Penalty
from chainrule.schedules import Constant, Schedule, get_schedule
from chainrule.snapshots import Keeper
from chainrule.sparse import is_sparse


def train(
    network: Network,
    X: Any,
    Y: Any,
    *,
    loss: Any = "squared_error",
    optimizer: str | Optimizer | LBFGS = "adam",
    schedule: str | Schedule = "constant",
    epochs: int = 200,
    batch_size: int | None = None,
    shuffle: bool = True,
    seed: int = 0,
    weights: Any = None,
    l1: float = 0.0,
    l2: float = 0.0,
    penalty: Penalty | None = None,
    dropout: float | Sequence[float] = 0.0,
    input_dropout: float = 0.0,
    weight_decay: float = 0.0,
    clip_value: float | None = None,
    clip_norm: float | None = None,
    gradient_accumulation_steps: int = 1,
    ema_decay: float | None = None,
    validation: float | tuple[Any, ...] | None = None,
    metric: Metric | None = None,
    patience: int | None = None,
    min_delta: float = 0.0,
    stop_below: float | None = None,
    stop_rule: Literal["mean", "every_row"] = "mean",
    restore_best_weights: bool | None = None,
    time_limit: float | None = None,
    callbacks: Iterable[Callback] = (),
    checkpoint: Keeper | None = None,
    engine: str = "auto",
    n_threads: int | None = None,
    history: History | None = None,
    record_every: int = 1,
) -> History:
    """Train `network` in place on rows X (n, inputs) and targets Y (n, outputs).

    Parameters
    ----------
    network : Network
        Changed in place.
    X, Y : array-like
        Converted to the network's dtype. X may be sparse, and is never
        filled up.
    loss, optimizer, schedule : str or object
        A name from the tables `LOSSES`, `OPTIMIZERS`, `SCHEDULES`, or an entry with your
        settings: ``SGD(0.4, momentum=0.6)`` has the learning rate 0.4. "squared_error" is
        ½·mean over rows of the sum over outputs. Targets of "cross_entropy" are one-hot. A loss may
        be your own two functions, value(a, y) and gradient(a, y), elementwise. Your own formulas
        are checked against finite differences when first used.
    epochs : int
        Most passes over the data; with L-BFGS, most iterations.
    batch_size : int, optional
        Rows per update; by default min(200, n), or all for full-batch optimizers. The last
        batch of an epoch may be smaller.
    shuffle, seed : bool, int
        Whether the order of rows is random: a pure function of (seed, epoch), as dropout is of
        (seed, step, layer). A validation share is drawn from the seed too. A batch of all rows
        is not shuffled: their order would change its sums by rounding only.
    weights : array-like (n,), optional
        Sample weights.
    l1, l2, penalty : float, or Penalty
        ``l1·Σ|w| + ½·l2·Σw²`` over the weights; or a `Penalty` with more choices instead.
    dropout : float or sequence of float
        Share of hidden units that drop out: one for all hidden layers, or one for each.
    input_dropout : float
        Share of the inputs that drop out.
    weight_decay : float
        Decoupled decay w ← w − η·weight_decay·w, with the rate η of the update, before the
        optimizer's rule (Loshchilov and Hutter 2019): of weights, not of biases, and no part of
        the loss. It comes on top of what an `AdamW` of your own does, which acts on biases too.
    clip_value, clip_norm : float, optional
        Limits on each component of the gradient, then on its norm.
    gradient_accumulation_steps : int
        Batches whose gradients are averaged, by their weight, for one update: what comes out is
        that of batches so many times as large, but for rounding, in the memory of one. The last
        update of an epoch may have fewer.
    ema_decay : float, optional
        Share of the past, such as 0.999, in a moving average of the parameters over the updates
        (`optimizers.averaged` tells how it starts). The averaged ones are those that callbacks
        see, that are measured on validation rows, restored, and left in the network; training
        goes on from those that move, and the training loss is theirs.
    validation : float, (X, Y) or (X, Y, weights), optional
        A share of the rows to hold out, or rows of your own. The best weights by validation
        loss are restored at the end, unless `restore_best_weights` is False.
    metric : function (targets, outputs) -> float, optional
        Recorded per epoch, on the validation rows where there are any; larger is better.
    patience, min_delta : int, float
        Stop when the (validation) loss has not improved by `min_delta` for `patience` epochs.
    stop_below, stop_rule : float, {"mean", "every_row"}
        Stop when the epoch's mean loss, or the loss of every row as met in the epoch, is below.
    restore_best_weights : bool, optional
        True ends with the weights of the best epoch without validation rows too, then by the
        training loss; False with the last in any case.
    time_limit : float, optional
        Seconds after which to stop, in the middle of an epoch too, but never of an update.
    callbacks : iterable of Callback
        More hooks; see `chainrule.callbacks`.
    checkpoint : Checkpoints, optional
        Keep where the training stands in a folder, and go on from there: see `Checkpoints`.
    engine, n_threads : str, int
        "native" (compiled), "reference" (NumPy), or "auto", which is native where that can run
        this; most cores to use. The same seed gives the same bits; of the reference engine, on
        the same number of cores, as NumPy's products of very wide layers differ between numbers.
    history : History, optional
        Filled as the training goes on, and returned; yours survives an exception.
    record_every : int
        Keep the record of every so many epochs, and of the last; all are made and looked at.

    Returns
    -------
    History
        Plain records, one per epoch, the reason for stopping, and the best epoch.

    Raises
    ------
    ValueError
        For data or settings that do not fit, with what was expected.
    Diverged
        At the first number that is not finite, naming update and layer. The network then has
        its best weights so far, as after KeyboardInterrupt.

    Examples
    --------
    >>> from chainrule import Network, train
    >>> net = Network([2, 4, 1], "tanh", seed=3)
    >>> X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [[0], [1], [1], [0]]
    >>> history = train(net, X, Y, optimizer="lbfgs", epochs=100)
    >>> net.predict(X).round(2).ravel() + 0.0
    array([0., 1., 1., 0.])
    """
    settings = locals()
    loop = make_loop(network, *read_data(network, X, Y, settings), settings)
    return loop.run(engine, n_threads)


def make_loop(
    network: Network,
    data: Data,
    validation: Data | float | None,
    settings: dict[str, Any],
    plan: Plan | None = None,
) -> Loop:
    """Return the training that `train`'s settings describe, for data as `read_data` gives it.

    The plan may be there already, from a network of the same make.
    """
    held_out = validation
    if isinstance(validation, float):
        data, held_out = _hold_out(data, validation, settings["seed"])
    assert not isinstance(held_out, float)
    history = History() if settings["history"] is None else settings["history"]
    plan = plan or _make_plan(network, data.n, settings)
    loop = Loop(plan, network, data, held_out, settings["metric"], history)
    loop.record_every, loop.time_limit = settings["record_every"], settings["time_limit"]
    loop.restore_best, loop.checkpoint = settings["restore_best_weights"], settings["checkpoint"]
    if settings["patience"] is not None:
        stopping = EarlyStopping("auto", settings["min_delta"], settings["patience"], False)
        loop.callbacks.append(stopping)
    loop.callbacks.extend(check_callbacks(settings["callbacks"]))
    return loop


def read_data(
    network: Network, X: Any, Y: Any, settings: dict[str, Any]
) -> tuple[Data, Data | float | None]:
    """Return the rows, and those to validate on or their share, checked and converted."""
    loss, validation = get_loss(settings["loss"]), settings["validation"]
    data = _as_data(network, X, Y, settings["weights"], loss)
    if validation is None:
        return data, None
    if isinstance(validation, tuple):
        if len(validation) not in (2, 3):
            raise ValueError(
                f"validation has {len(validation)} entries; expected (X, Y) or (X, Y, weights)"
            )
        X, Y, weights = validation if len(validation) == 3 else (*validation, None)
        with said_of("validation"):
            return data, _as_data(network, X, Y, weights, loss)
    if not is_number(validation):
        raise ValueError(
            f"validation is a {type(validation).__name__}; expected a share of the rows, such as"
            " 0.1, or a tuple (X, Y) or (X, Y, weights)"
        )
    return data, float(validation)


def _hold_out(data: Data, share: float, seed: int) -> tuple[Data, Data]:
    """Return the rows to train on and a share to validate on, drawn from the seed."""
    sides = split(data.n, share, seed)
    kept = data.X.nnz if is_sparse(data.X) else data.X.size
    refuse_beyond_memory(
        kept, data.X.dtype, "to hold out rows of", data.X.shape, remedy="give `validation` rows"
    )
    w = data.weights
    parts = [Data(data.X[r], data.Y[r], None if w is None else w[r]) for r in sides]
    for name, part in zip(("training", "validation"), parts, strict=True):
        if part.weights is not None and not part.weights.any():
            raise ValueError(f"all weights of the {name} rows are zero; choose another seed")
    return parts[0], parts[1]


def _as_data(network: Network, X: Any, Y: Any, weights: Any, loss: Loss) -> Data:
    X = as_matrix(X, "X", network.dtype, network.sizes[0])
    Y = as_targets(Y, loss, network.dtype, network.sizes[-1])
    if X.shape[0] != Y.shape[0]:
        raise ValueError(f"X has {X.shape[0]} rows and Y has {Y.shape[0]}; expected as many")
    return Data(X, Y, as_weights(weights, X.shape[0], network.dtype))


def _make_plan(network: Network, n: int, settings: dict[str, Any]) -> Plan:
    """Return the plan that `train`'s settings describe for n rows; refuse what cannot be."""
    optimizer = get_optimizer(settings["optimizer"])
    schedule = get_schedule(settings["schedule"])
    batch_size = settings["batch_size"]
    if batch_size is None:
        batch_size = n if optimizer.full_batch else min(200, n)
    _check_settings(settings, batch_size, n, optimizer, schedule)
    loss = get_loss(settings["loss"])
    check_own(network.activations, loss)
    return Plan(
        loss=loss,
        optimizer=optimizer,
        schedule=schedule,
        penalty=settings["penalty"] or _penalty(settings["l1"], settings["l2"]),
        batch_size=int(batch_size),
        epochs=int(settings["epochs"]),
        seed=int(settings["seed"]),
        shuffle=bool(settings["shuffle"]),
        dropout=dropout_rates(settings["input_dropout"], settings["dropout"], len(network.layers)),
        clip_value=settings["clip_value"],
        clip_norm=settings["clip_norm"],
        weight_decay=float(settings["weight_decay"]),
        gradient_accumulation_steps=int(settings["gradient_accumulation_steps"]),
        ema_decay=settings["ema_decay"],
        stop_below=settings["stop_below"],
        stop_rule=settings["stop_rule"],
    )


def _penalty(l1: float, l2: float) -> Penalty:
    return Penalty(l1, l2) if l1 or l2 else NO_PENALTY


def _check_settings(
    settings: dict[str, Any],
    batch_size: Any,
    n: int,
    optimizer: Optimizer | LBFGS,
    schedule: Schedule,
) -> None:
    """Raise ValueError for the first setting that cannot be, alone or beside the others."""
    settings = settings | {"batch_size": batch_size}
    for names, accepts, expected in SETTINGS:
        for name in names:
            if not accepts(value := settings[name]):
                raise ValueError(f"{name}={value!r} must be {expected}")
    if settings["penalty"] and (settings["l1"] or settings["l2"]):
        raise ValueError("penalty and l1 or l2 are both given; expected one, such as penalty alone")
    per_update = batch_size * settings["gradient_accumulation_steps"]
    if optimizer.full_batch and per_update < n:
        raise ValueError(
            f"{type(optimizer).__name__} needs full batches, got batch_size={batch_size} for"
            f" {n} rows; leave batch_size out, or take another optimizer, such as 'adam'"
        )
    if isinstance(optimizer, Optimizer) and optimizer.rate * settings["weight_decay"] > 1:
        raise ValueError(
            f"weight_decay={settings['weight_decay']!r} at a learning rate of {optimizer.rate:g}"
            f" takes more from a weight than there is; expected at most {1 / optimizer.rate:g}"
        )
    if isinstance(optimizer, LBFGS):
        acts = {k: np.asarray(settings[k], object) != idle for k, idle in NOT_FOR_LBFGS.items()}
        given = [k for k, anywhere in acts.items() if np.any(anywhere)]
        if type(schedule) not in (Schedule, Constant):
            given.append("schedule")
        if settings["stop_rule"] == "every_row":
            given.append("stop_rule")
        if given:
            raise ValueError(
                f"L-BFGS chooses its own steps and needs an exact cost; {given[0]}="
                f"{settings[given[0]]!r} cannot act. Leave it out, or take optimizer='adam'"
            )


#: Settings that act on single steps, which L-BFGS does not take, and the value that is none.
NOT_FOR_LBFGS: dict[str, Any] = {
    "dropout": 0.0,
    "input_dropout": 0.0,
    "weight_decay": 0.0,
    "clip_value": None,
    "clip_norm": None,
    "gradient_accumulation_steps": 1,
    "ema_decay": None,
}

#: What settings of one kind may be, and that in words.
SETTINGS: tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...] = (
    (
        ("epochs", "batch_size", "record_every", "gradient_accumulation_steps"),
        lambda v: is_whole(v, 1),
        "a whole number >= 1",
    ),
    (("seed",), is_whole, "a whole number >= 0"),
    (("l1", "l2", "weight_decay", "min_delta"), lambda v: is_number(v, 0), "a finite number >= 0"),
    (
        ("clip_value", "clip_norm", "stop_below", "time_limit"),
        lambda v: v is None or is_number(v, above=0),
        "a number > 0, or None",
    ),
    (("input_dropout",), lambda v: is_number(v, 0) and v < 1, "a share >= 0 and < 1"),
    (
        ("ema_decay",),
        lambda v: v is None or (is_number(v, above=0) and v < 1),
        "a share > 0 and < 1, such as 0.999, or None",
    ),
    (
        ("restore_best_weights",),
        lambda v: v is None or isinstance(v, bool),
        "True, False, or None for where there are validation rows",
    ),
    (("patience",), lambda v: v is None or is_whole(v), "a whole number >= 0, or None"),
    (("stop_rule",), lambda v: v in ("mean", "every_row"), "'mean' or 'every_row'"),
    (("penalty",), lambda v: v is None or isinstance(v, Penalty), "a Penalty, or None"),
    (("checkpoint",), lambda v: v is None or hasattr(v, "keep"), "Checkpoints(folder), or None"),
    (("metric",), lambda v: v is None or callable(v), "a function of (targets, outputs), or None"),
)


def dropout_rates(inputs: float, dropout: float | Sequence[float], depth: int) -> tuple[float, ...]:
    """Return the share that drops out of what each of `depth` layers is fed, or () for none.

    >>> dropout_rates(0.1, 0.5, depth=3)
    (0.1, 0.5, 0.5)
    """
    hidden = [dropout] * (depth - 1) if not isinstance(dropout, Iterable) else list(dropout)
    if len(hidden) != depth - 1 or not all(is_number(rate, 0) and rate < 1 for rate in hidden):
        raise ValueError(
            f"dropout={dropout!r} must be a share >= 0 and < 1, or one for each of the"
            f" {depth - 1} hidden layers"
        )
    rates = (float(inputs), *map(float, hidden))
    return rates if any(rates) else ()
