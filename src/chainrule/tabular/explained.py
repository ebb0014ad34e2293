"""Explained: rows of a table, or of the half adder, on their way through a model and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.explanation import Explanation, explain
from chainrule.initializers import Uniform
from chainrule.model_file import load_model, read_header
from chainrule.network import Network
from chainrule.optimizers import SGD
from chainrule.tabular import TableModel
from chainrule.tabular.targets import known_target

if TYPE_CHECKING:
    import polars as pl

HALF_ADDER = {(0, 0): (0, 0), (0, 1): (1, 0), (1, 0): (1, 0), (1, 1): (0, 1)}


def explain_half_adder(rows: Sequence[int] = (3,), **how: Any) -> Explanation:
    """Tell rows of the half adder: two bits go in, their sum and carry are to come out.

    Examples
    --------
    >>> told = explain_half_adder()
    >>> told.features, told.outputs, told.rows
    (('bit 0', 'bit 1'), ('sum', 'carry'), ('3',))
    """
    X, Y = (np.array([*side], float) for side in (HALF_ADDER, HALF_ADDER.values()))
    chosen = _rows_of(len(X), rows)
    net = Network([2, 2, 2], ["sigmoid", "sigmoid"], initializers=Uniform(-1, 1), seed=4)
    return explain(
        net, X[chosen], Y[chosen], optimizer=SGD(0.5), features=["bit 0", "bit 1"],
        outputs=["sum", "carry"], rows=[str(r) for r in chosen], **how,
    )  # fmt: skip


def explain_file(
    path: str | Path, frame: pl.DataFrame, rows: Sequence[int], target: str | None, **how: Any
) -> Explanation:
    """Tell rows of a table on their way through the model in a file.

    A table model knows its target; for another, `target` names it, one column or several with
    commas between them, by default the last.
    """
    frame_rows = _rows_of(frame.height, rows)
    names = [str(r) for r in frame_rows]
    about = read_header(path).get("about") or {}
    if {"target", "task"} <= set(about):
        model = TableModel.load(path)
        chosen = frame[frame_rows]
        if model.target not in frame.columns:
            raise ValueError(
                f"the table has no column {model.target!r}, the model's target; give rows"
                " with known answers: the derivatives start from how wrong the model is"
            )
        if chosen[model.target].null_count():
            raise ValueError(f"target {model.target!r} is empty in a row of {names}")
        y = known_target(chosen, model.target, model.task, model.classes)
        features = chosen.drop(model.target)
        return explain(model.pipeline, features, y, rows=names, **how)
    model = load_model(path)
    outputs = target.split(",") if target else frame.columns[-1:]
    if missing := sorted(set(outputs) - set(frame.columns)):
        raise ValueError(
            f"the table has no column {missing[0]!r}; it has {', '.join(frame.columns)}"
        )
    chosen = frame[frame_rows]
    X, Y = chosen.drop(outputs), chosen.select(outputs).to_numpy()
    columns = X.columns if isinstance(model, Network) else None
    y = Y if isinstance(model, Network) or len(outputs) > 1 else Y[:, 0]
    return explain(model, X.to_numpy(), y, rows=names, features=columns, **how)


def _rows_of(height: int, rows: Sequence[int]) -> list[int]:
    """Return the rows; raise ValueError for one that the table does not have."""
    for row in rows:
        if row >= height:
            raise ValueError(
                f"row {row} is beyond the table's {height} rows; expected 0 to {height - 1}"
            )
    return list(rows)
