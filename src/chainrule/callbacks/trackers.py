"""Trackers: the numbers of a training to the programs that draw and compare many of them.

Their libraries are no requirement of ours. They are imported when a callback is made, so a missing
one is told before the training, not after it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from chainrule.arrays import is_whole
from chainrule.callbacks.base import Callback, look
from chainrule.history import History, Record
from chainrule.network import Network

#: Where TensorBoard's files come from: module, and what in it makes a writer for a folder.
WRITERS = (("tensorboardX", "SummaryWriter"), ("tensorboard.summary", "Writer"))


@dataclass
class Tracker(Callback):
    """What both trackers share: which epochs they tell of."""

    every: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        if not is_whole(self.every, 1):
            kind = type(self).__name__
            raise ValueError(f"{kind}: every={self.every!r} must be a whole number >= 1")

    def tell(self, record: Record) -> None:
        """Pass the epoch's numbers on."""
        raise NotImplementedError

    def next_look(self) -> float:
        """Never: it needs nothing but the records."""
        return look(self, Tracker)

    def on_epoch_end(self, network: Network, history: History) -> None:
        record = history.records[-1]
        if record["epoch"] % self.every == 0:
            self.tell(record)


@dataclass
class TensorBoard(Tracker):
    """Write event files for TensorBoard: ``tensorboard --logdir LOG_DIR``.

    Parameters
    ----------
    log_dir : str or path
        Made where it is missing. As Keras does, the curves of training and of validation are runs
        of their own, "train" and "validation", whose `epoch_loss` are drawn over each other;
        `epoch_metric`, `epoch_rate` and `epoch_gradient_norm` are there beside them.
    every : int
        Tell of every so many epochs.

    It writes with tensorboardX, or else with TensorBoard itself.

    Raises
    ------
    ImportError
        When neither is installed, with the line that installs one.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from chainrule import Network, TensorBoard, train
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> history = train(Network([1, 1]), [[1.0]], [[2.0]], epochs=2,
    ...                 callbacks=[TensorBoard(folder)])
    >>> [path.name[:19] for path in (folder / "train").iterdir()]
    ['events.out.tfevents']
    """

    log_dir: str | os.PathLike[str] = "logs"
    _writers: dict[str, Any] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        _writer()

    def on_train_begin(self, network: Network, history: History) -> None:
        writer, folder = _writer(), Path(self.log_dir)
        runs = ["train"]
        if "validation_loss" in self.training.measured:
            runs.append("validation")
        self._writers = {run: writer(str(folder / run)) for run in runs}

    def tell(self, record: Record) -> None:
        train, held_out = self._writers["train"], self._writers.get("validation")
        _add(train, record, loss="loss", rate="rate", gradient_norm="gradient_norm")
        if held_out is None:
            _add(train, record, metric="metric")
        else:
            _add(held_out, record, loss="validation_loss", metric="metric")

    def on_train_end(self, network: Network, history: History) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}


def _writer() -> Callable[[str], Any]:
    """Return what makes a writer of event files for a folder."""
    for module, name in WRITERS:
        try:
            writer: Callable[[str], Any] = getattr(import_module(module), name)
        except ImportError:
            continue
        return writer
    raise ImportError(
        "TensorBoard needs a package that writes its files, and none is installed; expected"
        " tensorboardX or tensorboard: pip install tensorboardX"
    )


def _add(writer: Any, record: Record, **tags: str) -> None:
    for tag, key in tags.items():
        if record[key] is not None:
            writer.add_scalar(f"epoch_{tag}", record[key], record["epoch"])


@dataclass
class MLflow(Tracker):
    """Log parameters and metrics to the active MLflow run, or to one of its own.

    Parameters
    ----------
    every : int
        Tell of every so many epochs; each is a request to a server.

    At the begin it logs what was planned: sizes, activations, loss, optimizer and the rest, as
    text; at every epoch loss, validation loss, metric, rate and gradient norm, with the epoch as
    step; at the end the tag "stop_reason". A run that is under way stays open; without one, a run
    is begun, and ended with the training.

    Raises
    ------
    ImportError
        When MLflow is not installed, with the line that installs it.

    Examples
    --------
    >>> from chainrule import MLPClassifier, MLflow
    >>> with mlflow.start_run():  # doctest: +SKIP
    ...     MLPClassifier(callbacks=[MLflow()]).fit(X, y)
    """

    _own_run: bool = field(init=False, repr=False, default=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        _mlflow()

    def on_train_begin(self, network: Network, history: History) -> None:
        mlflow = _mlflow()
        self._own_run = mlflow.active_run() is None
        if self._own_run:
            mlflow.start_run()
        mlflow.log_params(_parameters(self.training.plan, network))

    def tell(self, record: Record) -> None:
        keys = ("loss", "validation_loss", "metric", "rate", "gradient_norm")
        numbers = {key: record[key] for key in keys if record[key] is not None}
        _mlflow().log_metrics(numbers, step=record["epoch"])

    def on_train_end(self, network: Network, history: History) -> None:
        mlflow = _mlflow()
        if mlflow.active_run() is not None:
            mlflow.set_tag("stop_reason", history.stop_reason)
        if self._own_run:
            mlflow.end_run()
        self._own_run = False


def _mlflow() -> Any:
    try:
        return import_module("mlflow")
    except ImportError as error:
        raise ImportError("MLflow is not installed; expected mlflow: pip install mlflow") from error


def _parameters(plan: Any, network: Network) -> dict[str, str]:
    """Return what was planned as MLflow keeps it: short texts."""
    facts = {"sizes": network.sizes, "dtype": network.dtype.name}
    facts |= {"activations": [each.name for each in network.activations]}
    facts |= {name: value for name, value in vars(plan).items() if value not in (None, ())}
    return {name: str(value)[:500] for name, value in facts.items()}
