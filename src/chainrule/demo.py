"""Demo: the whole of chainrule on real data that ships with it."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from chainrule.plots import save_figure
from chainrule.report import draw_answers, write_report
from chainrule.tables import read_table, write_table
from chainrule.tabular import (
    TableModel,
    check_table,
    evaluate_table,
    predict_table,
    train_table,
)

if TYPE_CHECKING:
    import polars as pl


def penguins() -> pl.DataFrame:
    """Return the Palmer penguins (Horst, Hill and Gorman 2020, CC0): 344 rows, gaps included."""
    with as_file(files("chainrule") / "datasets" / "penguins.csv") as path:
        return read_table(path)


def digits() -> pl.DataFrame:
    """Return scikit-learn's 1,797 handwritten digits, a column for each of 64 pixels."""
    import polars as pl
    from sklearn.datasets import load_digits

    data = load_digits()
    columns = {f"pixel_{i:02d}": data.data[:, i] for i in range(64)}
    return pl.DataFrame(columns | {"digit": data.target})


def run_demo(folder: Path) -> None:
    """Train, evaluate, predict, check gradients and draw, on penguins and on digits."""
    folder.mkdir(parents=True, exist_ok=True)
    _show("penguins", "species", penguins(), folder)
    _show("digits", "digit", digits(), folder)
    print(f"\nModels, predictions and pictures are in {folder}.")
    model = folder / "penguins"
    print(f"What does it compute? chainrule explain {model}.chainrule {model}-held-out.csv --row 0")
    print("Now with a table of your own: chainrule train TABLE.csv --target COLUMN")


def _show(name: str, target: str, frame: pl.DataFrame, folder: Path) -> None:
    """Go the whole way with one table; every fourth row is kept for the evaluation."""
    import polars as pl

    held_out = pl.int_range(frame.height, eager=True) % 4 == 3
    print(f"\n{name}: {frame.height} rows, {frame.width} columns, target {target!r}")
    started = perf_counter()
    model = train_table(frame.filter(~held_out), target)
    for note in model.notes:
        print(f"  {note}")
    print(
        f"  trained in {perf_counter() - started:.1f} s; kept epoch {model.network.best_epoch_} of"
        f" {len(model.network.history_)}; {model.network.stop_reason_}"
    )
    path = folder / f"{name}.chainrule"
    model.save(path, force=True)
    pictures = write_report(model, folder / f"{name}-report", force=True)
    loaded = TableModel.load(path)
    test = frame.filter(held_out)
    write_table(test, folder / f"{name}-held-out.csv", force=True)
    result = evaluate_table(loaded, test)
    baseline = result.baseline["accuracy"]
    print(
        f"  test accuracy {result.scores['accuracy']:.1%} on {len(result.truth)} rows never seen"
        f" (always the commonest: {baseline:.1%})"
    )
    for picture, axes in draw_answers(result, "test rows").items():
        save_figure(axes, folder / f"{name}-test-{picture}", force=True)
    answers, _ = predict_table(loaded, test)
    write_table(answers, folder / f"{name}-predictions.csv", force=True)
    checked = check_table(loaded, test, rows=20, seed=0)
    verdict = "equal finite differences" if checked.passed else "DIFFER from finite differences"
    print(
        f"  gradients {verdict}: {checked.checked} derivatives, largest relative error"
        f" {checked.largest_error:.0e}"
    )
    drawn = [path.name for path in pictures if path.suffix == ".png"]
    print(f"  drawn in {name}-report: {', '.join(drawn)}")
