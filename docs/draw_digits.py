"""Draw the README's picture: python docs/draw_digits.py"""

from pathlib import Path

import polars as pl
from matplotlib.figure import Figure

from chainrule import plots
from chainrule.demo import digits
from chainrule.tabular import evaluate_table, train_table

frame = digits()
held_out = pl.int_range(frame.height, eager=True) % 4 == 3
model = train_table(frame.filter(~held_out), "digit")
result = evaluate_table(model, frame.filter(held_out))

figure = Figure(figsize=(12, 5), layout="constrained")
left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
plots.plot_loss(model.network.history_, ax=left, best_epoch=model.network.best_epoch_)
plots.plot_confusion_matrix(result.truth, result.predicted, ax=right)
plots.save_figure(figure, Path(__file__).parent / "images" / "digits.png", force=True)
