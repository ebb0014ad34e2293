"""Tabular: the main job, from a table and the name of its target to a model and its answers.

A `TableModel` is a scikit-learn pipeline of encoder and network, with what is known about the
table it came from. Command line and demo are thin layers over this room.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from chainrule.callbacks import Callback
from chainrule.checkpoints import CheckpointFailed, Checkpoints
from chainrule.diagnosis import Diagnosis
from chainrule.estimators import MLPClassifier, MLPRegressor
from chainrule.estimators.checkup import check_up
from chainrule.estimators.outputs import fitted_network
from chainrule.gradcheck import GradientReport, check_gradients
from chainrule.model_file import load_model, read_header, save_model
from chainrule.optimizers import LBFGS, OPTIMIZERS
from chainrule.penalties import Penalty
from chainrule.preprocessing import TableEncoder, fit_on_rows
from chainrule.settings import Settings
from chainrule.tabular.scores import class_scores, never_predicted, number_scores
from chainrule.tabular.targets import (
    explain_task,
    known_target,
    read_target,
    rows_with_target,
    split_rows,
)

if TYPE_CHECKING:
    import polars as pl

DEFAULT = Settings()
DROPOUTS = (0.4, 0.0)  # tried when none is given, the cautious first
MOST_FAILURES = 3  # of checkpoints that are told
MARGIN = 1.05  # the cautious network is kept unless its validation loss is 5 % worse


@dataclass
class TableModel:
    """A fitted pipeline, what it predicts, and how it did on rows it had not seen."""

    pipeline: Pipeline
    target: str
    task: str
    notes: list[str] = field(default_factory=list)  # what a user should know, a sentence each
    baseline: dict[str, float] = field(default_factory=dict)  # scores of a constant answer
    scores: dict[str, float] = field(default_factory=dict)  # on the validation rows
    interrupted: bool = False  # by Ctrl-C; the best weights until then are kept
    truth: Any = None  # of the validation rows, and what was predicted for them:
    predicted: Any = None
    diagnosis: Diagnosis | None = None  # of the training, where it was just done

    @property
    def encoder(self) -> Any:
        """The fitted TableEncoder."""
        return self.pipeline[0]

    @property
    def classes(self) -> Any:
        """The classes, in the order of the network's outputs; None for a number."""
        return self.network.classes_ if self.task == "class" else None

    @property
    def network(self) -> Any:
        """The fitted MLPClassifier or MLPRegressor."""
        return self.pipeline[-1]

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the model file."""
        about = {
            "target": self.target, "task": self.task, "notes": self.notes,
            "scores": self.scores, "baseline": self.baseline,
        }  # fmt: skip
        save_model(self.pipeline, path, about=about, force=force)

    @classmethod
    def load(cls, path: str | Path) -> TableModel:
        """Read a model file that `save` wrote.

        Raises ValueError for one that holds no table model.
        """
        about = read_header(path).get("about") or {}
        pipeline = load_model(path)
        if not isinstance(pipeline, Pipeline) or not {"target", "task"} <= set(about):
            raise ValueError(
                f"{path} holds a {type(pipeline).__name__}, no model of a table; make one with:"
                " chainrule train TABLE --target COLUMN"
            )
        known = {key: about[key] for key in ("target", "task", "notes", "scores", "baseline")}
        return cls(pipeline, **known)


def train_table(
    frame: pl.DataFrame,
    target: str,
    settings: Settings = DEFAULT,
    callbacks: Sequence[Callback] = (),
    checkpoint: Checkpoints | None = None,
) -> TableModel:
    """Fit a model of column `target` on the other columns of `frame`.

    With `checkpoint` each training is kept in a folder of its own, and may go on from there.

    Raises ValueError, in one sentence, for a target or rows from which nothing can be learnt.

    Examples
    --------
    >>> import polars as pl
    >>> x = [i % 7 for i in range(60)]
    >>> table = pl.DataFrame({"x": x, "big": ["yes" if i > 3 else "no" for i in x]})
    >>> model = train_table(table, "big", Settings(learning_rate=0.01))
    >>> model.task, model.scores["accuracy"]
    ('class', 1.0)
    """
    frame, notes = rows_with_target(frame, target)
    y, task = read_target(frame[target].to_numpy(), target, settings.task)
    if settings.task is None:
        notes.insert(0, explain_task(y, target, task))
    _refuse_class_weight(settings.class_weight, task, target)
    X = frame.drop(target)
    _refuse_infinite(X)
    train, held = split_rows(y, task, target, settings.validation, settings.seed)
    encoder = fit_on_rows(TableEncoder(), X, train)
    held_out = (encoder.transform(X[held]), y[held]) if len(held) else None
    features, fitted = encoder.transform(X[train]), []
    tries, clock = _dropouts(settings), Clock(settings.time_limit)
    for i, dropout in enumerate(tries):
        network = _estimator(task, settings, dropout, len(train), callbacks)
        keeper = None if checkpoint is None else checkpoint.within(f"dropout-{dropout:g}")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")  # what they say is in stop_reason_, told to the user
            warnings.simplefilter("always", CheckpointFailed)
            network.fit(
                features, y[train], eval_set=held_out, checkpoint=keeper,
                time_limit=clock.share(len(tries) - i),
            )  # fmt: skip
        notes += dict.fromkeys(str(each.message) for each in caught[:MOST_FAILURES])
        fitted.append(network.set_params(callbacks=None))
        if network.stop_reason_.startswith("interrupted"):
            break
    lowest = min(map(_best_loss, fitted))
    best = next(network for network in fitted if _best_loss(network) <= MARGIN * lowest)
    pipeline = Pipeline([("encoder", encoder), ("network", best)])
    notes += [
        *_tell_kinds(encoder),
        *encoder.notes_,
        f"{len(train)} rows to train on, {len(held)} to validate on",
    ]
    model = TableModel(pipeline, target, task, notes + _tell_tries(fitted, best))
    model.interrupted = fitted[-1].stop_reason_.startswith("interrupted")
    if held_out is not None:
        _measure(model, held_out[0], y[held], y[train])
    model.diagnosis = _diagnosis(model, features, y[train], held_out)
    return model


def predict_table(model: TableModel, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Return the frame with prediction and probabilities, and notes on what was unusual."""
    import polars as pl

    X = frame.drop(model.target, strict=False)
    encoded = model.encoder.transform(X)
    columns = {"prediction": model.network.predict(encoded)}
    if model.task == "class":
        probabilities = model.network.predict_proba(encoded)
        for label, column in zip(model.network.classes_, probabilities.T, strict=True):
            columns[f"probability_{label}"] = column
    new = {_free_name(name, frame.columns): values for name, values in columns.items()}
    return frame.with_columns(**{k: pl.Series(k, v) for k, v in new.items()}), _oddities(model, X)


def evaluate_table(model: TableModel, frame: pl.DataFrame) -> TableModel:
    """Return the model with truth, predictions and scores on the rows of `frame`."""
    frame, notes = rows_with_target(frame, model.target)
    X = frame.drop(model.target)
    y = known_target(frame, model.target, model.task, model.classes)
    encoded = model.encoder.transform(X)
    result = TableModel(model.pipeline, model.target, model.task, [*notes, *_oddities(model, X)])
    _measure(result, encoded, y, y)
    return result


def check_table(model: TableModel, frame: pl.DataFrame, rows: int, seed: int) -> GradientReport:
    """Check the gradients of the model's network on some real rows."""
    frame, _ = rows_with_target(frame, model.target)
    y = known_target(frame, model.target, model.task, model.classes)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(y))[:rows])
    X = model.encoder.transform(frame.drop(model.target)[chosen])
    net = fitted_network(model.network).copy("float64")
    Y = model.network._targets(y[chosen])
    loss, _ = model.network._loss_and_output()
    penalty = Penalty(alpha=model.network.alpha)
    return check_gradients(net, X, Y, loss=loss, penalty=penalty, seed=seed)


KIND_WORDS = {
    "number": "numbers", "category": "categories", "flag": "true/false", "time": "dates",
    "duration": "durations",
}  # fmt: skip


def diagnose_table(model: TableModel, frame: pl.DataFrame) -> Diagnosis:
    """Tell what is wrong with a model on rows with known answers, best those it was trained on."""
    frame, _ = rows_with_target(frame, model.target)
    y = known_target(frame, model.target, model.task, model.classes)
    return _diagnosis(model, model.encoder.transform(frame.drop(model.target)), y)


def _diagnosis(
    model: TableModel, X: Any, y: NDArray[Any], held_out: tuple[Any, Any] | None = None
) -> Diagnosis:
    names = list(map(str, model.encoder.get_feature_names_out()))
    return check_up(model.network, X, y, eval_set=held_out, feature_names=names, speaks="command")


def _tell_kinds(encoder: TableEncoder) -> list[str]:
    """Say what each column was taken for, and which have gaps."""
    by_kind: dict[str, list[str]] = {}
    for column in encoder.columns_:
        if column["kind"] != "dropped":
            by_kind.setdefault(column["kind"], []).append(column["name"])
    parts = [f"{KIND_WORDS[kind]}: {_some(names)}" for kind, names in by_kind.items()]
    gaps = [column["name"] for column in encoder.columns_ if column.get("missing")]
    return [f"columns read as {'; '.join(parts)}", *([f"gaps in {_some(gaps)}"] if gaps else [])]


def _some(names: list[str]) -> str:
    most = ", ".join(names[:8])
    return most if len(names) <= 8 else f"{most}, … ({len(names)} in all)"


def _measure(model: TableModel, X: Any, y: NDArray[Any], seen: NDArray[Any]) -> None:
    """Predict encoded rows; keep truth, answers and scores, and note a class never predicted."""
    model.truth, model.predicted = y, model.network.predict(X)
    if model.task == "number":
        model.scores, model.baseline = number_scores(y, model.predicted, seen)
        return
    p, classes = model.network.predict_proba(X), model.classes
    model.scores, model.baseline = class_scores(y, model.predicted, p, classes, seen)
    model.notes += never_predicted(model.predicted, p, classes, y)


def _dropouts(s: Settings) -> Sequence[float]:
    """Return the shares of dropout to try."""
    if s.dropout is not None:
        return (s.dropout,)
    exact = OPTIMIZERS[s.solver] is LBFGS  # its line search needs a cost without chance in it
    return DROPOUTS if s.validation > 0 and s.hidden and not exact else (0.0,)


class Clock:
    """Shares the seconds of a time limit out, if there is one."""

    def __init__(self, seconds: float | None) -> None:
        self.end = None if seconds is None else monotonic() + seconds

    def share(self, tries: int) -> float | None:
        """Return the seconds of the next of so many tries that are left; a moment, if it is late.

        >>> Clock(None).share(2) is None, round(Clock(60.0).share(2)), Clock(1e-9).share(1)
        (True, 30, 0.001)
        """
        return None if self.end is None else max(0.001, (self.end - monotonic()) / tries)


def _best_loss(network: Any) -> float:
    """Return the validation loss of the kept epoch; infinity where none was measured."""
    losses = [record["validation_loss"] for record in network.history_]
    return min((loss for loss in losses if loss is not None), default=np.inf)


def _tell_tries(fitted: list[Any], best: Any) -> list[str]:
    if len(fitted) < 2:
        return []
    tries = " and ".join(f"{each.dropout:g} ({_best_loss(each):.4g})" for each in fitted)
    within = f", as the other is not {MARGIN - 1:.0%} better"
    why = within if _best_loss(best) > min(map(_best_loss, fitted)) else ""
    return [f"dropout tried, with validation loss: {tries}; kept {best.dropout:g}{why}"]


def _estimator(
    task: str, s: Settings, dropout: float, n: int, callbacks: Sequence[Callback]
) -> Any:
    """Return the network for a task.

    Its L2 penalty weighs as much as half a row without dropout, and two rows with 0.4, so that it
    fades as tables grow.
    """
    optimizer = OPTIMIZERS[s.solver]
    usual = n if optimizer.full_batch else min(256, max(32, n // 100))
    batch_size = min(s.batch_size or usual, n)
    exact = optimizer is LBFGS
    kind = MLPClassifier if task == "class" else MLPRegressor
    own: dict[str, Any] = {"scale_y": "standard"}
    if task == "class":
        own = {"class_weight": s.class_weight}
    return kind(
        hidden_layer_sizes=s.hidden, activation=s.activation, solver=s.solver,
        alpha=(0.5 + 4 * dropout) * batch_size / n, batch_size=batch_size, learning_rate=s.schedule,
        learning_rate_init=s.learning_rate, max_iter=s.epochs, random_state=s.seed,
        tol=1e-5 if exact else 0.0, dropout=dropout,
        early_stopping=s.validation > 0, n_iter_no_change=s.patience, monitor="validation_loss",
        clip_norm=s.clip_norm, callbacks=list(callbacks), engine=s.engine, n_threads=s.n_threads,
        **own,
    )  # fmt: skip


def _oddities(model: TableModel, X: pl.DataFrame) -> list[str]:
    unseen, gaps = model.encoder.count_unseen(X), model.encoder.count_gaps(X)
    return [
        *(
            f"column {c!r}: {n} value{'s' * (n > 1)} never seen in training"
            for c, n in unseen.items()
            if n
        ),
        *(
            f"column {c!r}: {n} gap{'s' * (n > 1)} filled; training had none"
            for c, n in gaps.items()
            if n
        ),
    ]


def _free_name(name: str, taken: Sequence[str]) -> str:
    """Return `name`, with underscores added until no column has it."""
    while name in taken:
        name += "_"
    return name


def _refuse_class_weight(given: str | None, task: str, target: str) -> None:
    if given is not None and task != "class":
        raise ValueError(
            f"class_weight={given!r} weighs classes, and target {target!r} is read as a number;"
            " leave it out, or say that it is a class: --task class"
        )


def _refuse_infinite(X: pl.DataFrame) -> None:
    """Raise ValueError for infinite numbers, by the row that the user can look up."""
    for column in X.iter_columns():
        if column.dtype.is_float() and (infinite := column.is_infinite().fill_null(False)).any():
            raise ValueError(
                f"column {column.name!r} holds infinite numbers: {infinite.sum()}, the first in row"
                f" {infinite.arg_max()} (counted from 0, without rows that have no target);"
                " replace them, or leave the field empty"
            )
