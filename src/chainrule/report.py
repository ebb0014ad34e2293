"""Report: a folder that shows how a training went, in pictures and in numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from chainrule import __version__, plots
from chainrule.facts import to_json
from chainrule.files import write_whole
from chainrule.history import Record
from chainrule.plots import look
from chainrule.tabular import TableModel

PICTURES = {
    "loss.png", "metric.png", "gradient_norms.png", "confusion_matrix.png", "prediction.png",
}  # fmt: skip


def write_report(
    model: TableModel,
    folder: str | Path,
    *,
    force: bool = False,
    extra: dict[str, Any] | None = None,
) -> list[Path]:
    """Write pictures and `report.json` into `folder`; return the files' paths.

    Pictures: the loss curves, the metric, the gradient's norm per layer, and the confusion
    matrix or predicted against true values on the validation rows.

    Raises FileExistsError when a file is there already, unless `force`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    records, best = model.network.history_, model.network.best_epoch_
    drawn = {}
    if records:
        drawn["loss.png"] = plots.plot_loss(records, best_epoch=best)
        drawn["loss.png"].set_xlabel(
            "epoch\n(training: as minimised, with dropout and penalty; validation: without)"
        )
        drawn["gradient_norms.png"] = plots.plot_gradient_norms(records)
        if records[0]["metric"] is not None:
            name = "accuracy" if model.task == "class" else "R²"
            drawn["metric.png"] = plots.plot_metric(
                records, name=f"validation {name}", best_epoch=best
            )
    drawn |= draw_answers(model, "validation rows")
    for name in PICTURES - set(drawn):  # of an earlier run, which they would pass off as this one
        if force:
            (folder / name).unlink(missing_ok=True)
    for name, axes in drawn.items():
        plots.save_figure(axes, folder / name, force=force)
    facts = summary(model) | (extra or {}) | {"pictures": sorted(drawn), "history": records}
    write_whole(folder / "report.json", (to_json(facts) + "\n").encode(), force=force)
    return [folder / name for name in sorted([*drawn, "report.json"])]


def draw_answers(model: TableModel, rows: str) -> dict[str, Any]:
    """Return the picture of predictions beside the truth, by file name; `rows` says of which."""
    if model.truth is None:
        return {}
    if model.task == "number":
        pairs = look.finite_or_nan(np.stack([model.truth, model.predicted]))
        if np.isnan(pairs).any(axis=0).all():  # too large to be drawn
            return {}
        axes = plots.plot_prediction(model.truth, model.predicted, name=model.target)
        name = "prediction.png"
    else:
        labels = model.network.classes_.tolist()
        axes = plots.plot_confusion_matrix(model.truth, model.predicted, labels)
        name = "confusion_matrix.png"
    look.write_title(axes, f"{rows}: {axes.get_title(loc='left')}")
    return {name: axes}


def summary(model: TableModel) -> dict[str, Any]:
    """Return what is known of a model as plain data."""
    network = model.network
    records: list[Record] = network.history_
    return {
        "chainrule": __version__,
        "target": model.target,
        "task": model.task,
        "classes": network.classes_.tolist() if model.task == "class" else None,
        "sizes": [network.coefs_[0].shape[0], *(W.shape[1] for W in network.coefs_)],
        "activations": [str(name) for name in network.activations_],
        "parameters": sum(part.size for part in [*network.coefs_, *network.intercepts_]),
        "engine": network.engine_,
        "epochs": len(records),
        "best_epoch": network.best_epoch_,
        "stop_reason": network.stop_reason_,
        "seconds": sum(record["seconds"] for record in records),
        "scores": model.scores,
        "baseline": model.baseline,
        "notes": model.notes,
        "diagnosis": None if model.diagnosis is None else model.diagnosis.to_dict(),
    }  # fmt: skip
