"""Explained: rows of a table, or of the half adder, on their way through a model and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.explanation import Explanation, explain
from chainrule.initializers import Uniform
from chainrule.model_file import load_model, read_header
from chainrule.network import Network
from chainrule.optimizers import SGD
from chainrule.tabular import TableModel
from chainrule.tabular.targets import gaps, known_target

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


@dataclass
class Question:
    """Rows of a table for a model in a file, with their answers where the table has them."""

    model: Any
    X: Any
    y: Any  #: None where an answer is not known
    rows: list[str]
    features: list[str] | None
    lacking: str | None  #: why there is no y

    def explain(self, **how: Any) -> Explanation:
        """Tell the rows' way through the model and back; without answers forward, with a note."""
        told = explain(self.model, self.X, self.y, rows=self.rows, features=self.features, **how)
        if self.lacking is None:
            return told
        note = f"{self.lacking}; derivatives need the answer, so only the way forward is told"
        return replace(told, notes=(note, *told.notes))


def read_question(
    path: str | Path, frame: pl.DataFrame, rows: Sequence[int], target: str | None
) -> Question:
    """Return rows of a table for the model in a file, with answers as far as the table has them.

    A table model knows its target; for another, `target` names it, one column or several with
    commas between them, by default the last, unless the table's columns are as many as the model's
    inputs.
    """
    frame_rows = _rows_of(frame.height, rows)
    chosen, names = frame[frame_rows], [str(r) for r in frame_rows]
    about = read_header(path).get("about") or {}
    if {"target", "task"} <= set(about):
        return _of_table_model(TableModel.load(path), chosen, names)
    return _of_other(load_model(path), chosen, names, target)


def _of_table_model(model: TableModel, chosen: pl.DataFrame, names: list[str]) -> Question:
    if model.target in chosen.columns:
        lacking = _lacking(chosen, [model.target], names)
    else:
        lacking = f"the table has no column {model.target!r}, the model's target"
    known = lacking is None
    y = known_target(chosen, model.target, model.task, model.classes) if known else None
    features = chosen.drop(model.target, strict=False)
    return Question(model.pipeline, features, y, names, None, lacking)


def _of_other(model: Any, chosen: pl.DataFrame, names: list[str], target: str | None) -> Question:
    net = isinstance(model, Network)
    inputs = model.sizes[0] if net else getattr(model, "n_features_in_", None)
    outputs = target.split(",") if target else chosen.columns[-1:]
    if missing := sorted(set(outputs) - set(chosen.columns)):
        raise ValueError(
            f"the table has no column {missing[0]!r}; it has {', '.join(chosen.columns)}"
        )
    lacking = _lacking(chosen, outputs, names)
    if not target and chosen.width == inputs:
        outputs = []
        lacking = f"the table's {inputs} columns are the model's inputs, none its target"
    X, Y = chosen.drop(outputs), chosen.select(outputs).to_numpy()
    y = None if lacking else Y if net or len(outputs) > 1 else Y[:, 0]
    return Question(model, X.to_numpy(), y, names, X.columns if net else None, lacking)


def _lacking(chosen: pl.DataFrame, targets: Sequence[str], names: Sequence[str]) -> str | None:
    """Return which row has no answer, in words; None where all have."""
    for target in targets:
        for name, empty in zip(names, gaps(chosen[target]), strict=True):
            if empty:
                return f"target {target!r} is empty in row {name}"
    return None


def _rows_of(height: int, rows: Sequence[int]) -> list[int]:
    """Return the rows; raise ValueError for one that the table does not have."""
    for row in rows:
        if row >= height:
            raise ValueError(
                f"row {row} is beyond the table's {height} rows; expected 0 to {height - 1}"
            )
    return list(rows)
