"""Tabular: the main job, from a table and the name of its target to a model and its answers.

A `TableModel` is a scikit-learn pipeline of encoder and network, with what is known about the
table it came from. Command line and demo are thin layers over this room.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline

from chainrule.callbacks import Callback
from chainrule.estimators import MLPClassifier, MLPRegressor
from chainrule.fitting import fitted_layers
from chainrule.gradcheck import GradientReport, check_gradients
from chainrule.model_file import load_model, read_header, save_model
from chainrule.names import nearest
from chainrule.network import Network
from chainrule.optimizers import LBFGS, OPTIMIZERS
from chainrule.penalties import Penalty
from chainrule.preprocessing import TableEncoder, fit_on_rows
from chainrule.settings import Settings

if TYPE_CHECKING:
    import polars as pl

DEFAULT = Settings()
MOST_INTEGER_CLASSES = 20  # whole numbers with more different values than this are numbers
L2_ROWS = 2.0  # the penalty weighs as much as this many rows, so it fades as tables grow


@dataclass
class TableModel:
    """A fitted pipeline, what it predicts, and how it did on rows it had not seen."""

    pipeline: Pipeline
    target: str
    task: str
    notes: list[str] = field(default_factory=list)  # what a user should know, a sentence each
    baseline: dict[str, float] = field(default_factory=dict)  # scores of a constant answer
    scores: dict[str, float] = field(default_factory=dict)  # on the validation rows
    truth: Any = None  # of the validation rows, and what was predicted for them:
    predicted: Any = None

    @property
    def encoder(self) -> Any:
        """The fitted TableEncoder."""
        return self.pipeline[0]

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
) -> TableModel:
    """Fit a model of column `target` on the other columns of `frame`.

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
    frame, notes = _with_target(frame, target)
    y, task = read_target(frame[target].to_numpy(), target, settings.task)
    if settings.task is None:
        notes.insert(0, _explain_task(y, target, task))
    X = frame.drop(target)
    _refuse_infinite(X)
    train, held = _split(y, task, target, settings)
    encoder = fit_on_rows(TableEncoder(), X, train)
    network = _estimator(task, settings, len(train), callbacks)
    held_out = (encoder.transform(X[held]), y[held]) if len(held) else None
    network.fit(encoder.transform(X[train]), y[train], eval_set=held_out)
    network.set_params(callbacks=None)
    pipeline = Pipeline([("encoder", encoder), ("network", network)])
    model = TableModel(pipeline, target, task, [*notes, *encoder.notes_])
    if held_out is not None:
        model.truth, model.predicted = y[held], network.predict(held_out[0])
        model.scores, model.baseline = score_table(model, held_out[0], y[held], y[train])
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
    frame, notes = _with_target(frame, model.target)
    X = frame.drop(model.target)
    y = _known_target(frame, model)
    encoded = model.encoder.transform(X)
    result = TableModel(model.pipeline, model.target, model.task, [*notes, *_oddities(model, X)])
    result.truth, result.predicted = y, model.network.predict(encoded)
    result.scores, result.baseline = score_table(model, encoded, y, y)
    return result


def check_table(model: TableModel, frame: pl.DataFrame, rows: int, seed: int) -> GradientReport:
    """Check the gradients of the model's network on some real rows."""
    frame, _ = _with_target(frame, model.target)
    y = _known_target(frame, model)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(y))[:rows])
    X = model.encoder.transform(frame.drop(model.target)[chosen])
    layers = fitted_layers(model.network)
    sizes = [layers[0].W.shape[0], *(layer.W.shape[1] for layer in layers)]
    net = Network(sizes, [layer.activation for layer in layers], initializers="zeros")
    for mine, fitted in zip(net.layers, layers, strict=True):
        mine.W[:], mine.b[:] = fitted.W, fitted.b
    Y = model.network._targets(y[chosen])
    loss, _ = model.network._loss_and_output()
    penalty = Penalty(alpha=model.network.alpha)
    return check_gradients(net, X, Y, loss=loss, penalty=penalty, seed=seed)


def read_target(values: NDArray[Any], name: str, task: str | None) -> tuple[NDArray[Any], str]:
    """Return the target as classes or numbers, and which it is.

    Text and true/false are classes; so are whole numbers with at most 20 different values, if
    ten rows share each on average. `task` overrides.

    Raises ValueError, in one sentence, for a target from which nothing can be learnt.
    """
    distinct = np.unique(values.astype(str)) if values.dtype == object else np.unique(values)
    is_number = np.issubdtype(values.dtype, np.number)
    if task is None:
        whole = is_number and (values == np.floor(values)).all()
        few = len(distinct) <= min(MOST_INTEGER_CLASSES, max(2, len(values) // 10))
        task = "class" if not is_number or (whole and few) else "number"
    y = _convert(values, name, task)
    n, k = len(values), len(distinct)
    if k < 2:
        raise ValueError(
            f"target {name!r} is {distinct.tolist()[0]!r} in every row, so there is nothing to"
            " learn; expected at least two different values: choose another column"
        )
    if task == "class" and (k == n or k > max(2, n // 2)):
        raise ValueError(
            f"target {name!r} has {k} different values in {n} rows: too many to be classes;"
            " choose another column, or --task number if they are numbers"
        )
    return y, task


def _convert(values: NDArray[Any], name: str, task: str) -> NDArray[Any]:
    """Return a target as float64 numbers, or as classes: text, whole numbers or true/false."""
    is_number = np.issubdtype(values.dtype, np.number)
    if is_number and not np.isfinite(values).all():
        raise ValueError(f"target {name!r} holds infinite values; replace or drop those rows")
    if values.dtype.kind in "Mm":
        raise ValueError(
            f"target {name!r} holds dates or durations; expected classes or numbers: choose"
            " another column, or write them as numbers"
        )
    if task == "number":
        if not is_number and values.dtype != bool:
            raise ValueError(
                f"target {name!r} holds text such as {str(values[0])[:40]!r}; expected numbers:"
                " correct these rows, or train with --task class"
            )
        return values.astype(np.float64)
    if values.dtype == object:
        return values.astype(str)
    if values.dtype.kind != "f":
        return values
    whole = (values == np.floor(values)).all() and abs(values).max() < 2**53
    return values.astype(np.int64) if whole else values.astype(str)


def _known_target(frame: pl.DataFrame, model: TableModel) -> NDArray[Any]:
    """Return the target of rows to measure on, in the terms that the model knows."""
    return _as_known(_convert(frame[model.target].to_numpy(), model.target, model.task), model)


def score_table(
    model: TableModel, X: Any, y: NDArray[Any], seen: NDArray[Any]
) -> tuple[dict[str, float], dict[str, float]]:
    """Return scores on encoded rows, and those of the best constant learnt from `seen`."""
    from sklearn import metrics

    predicted = model.network.predict(X)
    if model.task == "class":
        most = Counter(seen.tolist()).most_common(1)[0][0]
        probabilities = model.network.predict_proba(X)
        scores = {
            "accuracy": float(metrics.accuracy_score(y, predicted)),
            "balanced_accuracy": _balanced_accuracy(y, predicted),
            "log_loss": float(metrics.log_loss(y, probabilities, labels=model.network.classes_)),
        }
        return scores, {"accuracy": float((y == np.asarray(most, dtype=y.dtype)).mean())}
    scores = _number_scores(y, predicted)
    return scores, _number_scores(y, np.full(len(y), (seen / len(seen)).sum()))


def _number_scores(y: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
    from sklearn import metrics

    k = int(np.frexp(max(np.abs(y).max(), np.abs(predicted).max()))[1])
    y, predicted = np.ldexp(y, -k), np.ldexp(predicted, -k)  # the square of 1e200 has no float
    r2 = metrics.r2_score(y, predicted) if len(y) > 1 and np.ptp(y) > 0 else np.nan
    return {
        "r2": float(r2),
        "rmse": float(np.ldexp(np.sqrt(np.mean((y - predicted) ** 2)), k)),
        "mae": float(np.ldexp(np.mean(np.abs(y - predicted)), k)),
    }


def _balanced_accuracy(y: NDArray[Any], predicted: NDArray[Any]) -> float:
    """Return the mean over the classes in y of the share that is found."""
    return float(np.mean([(predicted[y == label] == label).mean() for label in np.unique(y)]))


def _with_target(frame: pl.DataFrame, target: str) -> tuple[pl.DataFrame, list[str]]:
    """Return the rows that have a target, and a note on those that don't."""
    if target not in frame.columns:
        known = ", ".join(frame.columns[:12]) + (", …" if frame.width > 12 else "")
        raise ValueError(
            f"no column {target!r} in the table{nearest(target, frame.columns) or '.'}"
            f" Columns: {known}"
        )
    if frame.width < 2:
        raise ValueError(f"the table has no column but {target!r}; expected some to learn from")
    column = frame[target]
    gaps = column.is_null() | (column.is_nan() if column.dtype.is_float() else False)
    if gaps.all():
        raise ValueError(f"target {target!r} is empty in all {frame.height} rows")
    dropped = int(gaps.sum())
    notes = [f"{dropped} rows without target {target!r} left out"] if dropped else []
    return frame.filter(~gaps), notes


def _refuse_infinite(X: pl.DataFrame) -> None:
    """Raise ValueError for infinite numbers, by the row that the user can look up."""
    for column in X.iter_columns():
        if column.dtype.is_float() and (infinite := column.is_infinite().fill_null(False)).any():
            raise ValueError(
                f"column {column.name!r} holds infinite numbers: {infinite.sum()}, the first in row"
                f" {infinite.arg_max()} (counted from 0, without rows that have no target);"
                " replace them, or leave the field empty"
            )


def _explain_task(y: NDArray[Any], target: str, task: str) -> str:
    if task == "number":
        return (
            f"target {target!r} is read as a number ({y.min():g} to {y.max():g}); else --task class"
        )
    k = len(np.unique(y))
    return f"target {target!r} is read as one of {k} classes; if it is a number: --task number"


def _split(
    y: NDArray[Any], task: str, target: str, settings: Settings
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows to train on and rows to validate on, each class on both sides."""
    rows, share = np.arange(len(y)), settings.validation
    if share == 0:
        return rows, rows[:0]
    if task == "class":
        labels, counts = np.unique(y, return_counts=True)
        if counts.min() < 2:
            raise ValueError(
                f"class {str(labels[counts.argmin()])!r} of target {target!r} has only one row;"
                " expected two, to train and to validate on: drop or merge it, or --validation 0"
            )
    try:
        sides = train_test_split(
            rows,
            test_size=share,
            stratify=y if task == "class" else None,
            random_state=settings.seed,
        )
    except ValueError as error:
        raise ValueError(
            f"{len(y)} rows cannot be split with --validation {share:g}:"
            f" {str(error).splitlines()[0].rstrip('.')}; give more rows, another share, or"
            " --validation 0"
        ) from None
    return np.sort(sides[0]), np.sort(sides[1])


def _estimator(task: str, s: Settings, n: int, callbacks: Sequence[Callback]) -> Any:
    """Return the network for a task, its penalty fading with the number of rows n."""
    optimizer = OPTIMIZERS[s.solver]
    batch_size = n if optimizer.full_batch else min(s.batch_size, n)
    exact = optimizer is LBFGS  # its line search needs a cost without chance in it
    kind = MLPClassifier if task == "class" else MLPRegressor
    own: dict[str, Any] = {} if task == "class" else {"scale_y": "standard"}
    return kind(
        hidden_layer_sizes=s.hidden, activation=s.activation, solver=s.solver,
        alpha=L2_ROWS * batch_size / n, batch_size=batch_size, learning_rate=s.schedule,
        learning_rate_init=s.learning_rate, max_iter=s.epochs, random_state=s.seed,
        tol=1e-5 if exact else 0.0, dropout=0.0 if exact else s.dropout,
        early_stopping=s.validation > 0, n_iter_no_change=s.patience, monitor="validation_loss",
        callbacks=list(callbacks), engine=s.engine,
        n_threads=s.n_threads, **own,
    )  # fmt: skip


def _as_known(y: NDArray[Any], model: TableModel) -> NDArray[Any]:
    """Return labels in the type of the model's classes; refuse those it does not know."""
    if model.task == "number":
        return y
    classes = model.network.classes_
    if classes.dtype.kind == "U" or y.dtype.kind == "U":
        known = {str(label): label for label in classes}
        words = [str(label) for label in y]
        if new := sorted(set(words) - set(known)):
            raise ValueError(
                f"target {model.target!r} holds {new[0]!r}, which the model does not know; known"
                f" classes: {', '.join(known)}"
            )
        return np.array([known[word] for word in words], dtype=classes.dtype)
    if new := sorted(set(y.tolist()) - set(classes.tolist())):
        raise ValueError(
            f"target {model.target!r} holds {new[0]!r}, which the model does not know; known"
            f" classes: {', '.join(map(str, classes))}"
        )
    return y


def _oddities(model: TableModel, X: pl.DataFrame) -> list[str]:
    unseen, gaps = model.encoder.count_unseen(X), model.encoder.count_gaps(X)
    return [
        *(f"column {c!r}: {n} values never seen in training" for c, n in unseen.items() if n),
        *(f"column {c!r}: {n} gaps filled; training had none" for c, n in gaps.items() if n),
    ]


def _free_name(name: str, taken: Sequence[str]) -> str:
    """Return `name`, with underscores added until no column has it."""
    while name in taken:
        name += "_"
    return name
