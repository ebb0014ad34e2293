"""Pictures: what stands on the Axes, and that every one of them can be written."""

import io
import itertools
import subprocess
import sys

import matplotlib.colors
import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from sklearn.metrics import accuracy_score, confusion_matrix, r2_score, root_mean_squared_error

from chainrule.plots import (
    look,
    plot_confusion_matrix,
    plot_gradient_norms,
    plot_loss,
    plot_metric,
    plot_prediction,
    save_figure,
)

NAN, INF = float("nan"), float("inf")


@pytest.fixture
def png(tmp_path):
    """Write the figure of an Axes and give back its pixels (height, width)."""

    def write(ax):
        save_figure(ax, tmp_path / "picture.png", force=True)
        image = matplotlib.image.imread(tmp_path / "picture.png")
        assert image.std() > 0.01  # not an empty sheet
        return image.shape[:2]

    return write


def losses(training, validation=None, **more):
    columns = {"loss": training, "validation_loss": validation or [None] * len(training), **more}
    rows = zip(*columns.values(), strict=True)
    return [{"epoch": i, **dict(zip(columns, row, strict=True))} for i, row in enumerate(rows, 1)]


def norms(*rows):
    return [{"epoch": i, "layer_gradient_norms": row} for i, row in enumerate(rows, 1)]


def line(ax, label):
    return next(each for each in ax.get_lines() if each.get_label() == label)


def texts(ax):
    return [text.get_text() for text in ax.texts]


def title(ax):
    return ax.get_title(loc="left")


# Loss and metric ---------------------------------------------------------------------------------


def test_loss_draws_both_curves_and_marks_the_best_epoch(png):
    ax = plot_loss(losses([0.9, 0.5, 0.4], [1.0, 0.6, 0.7]))
    np.testing.assert_array_equal(line(ax, "training").get_xydata(), [[1, 0.9], [2, 0.5], [3, 0.4]])
    np.testing.assert_array_equal(line(ax, "validation").get_ydata(), [1.0, 0.6, 0.7])
    np.testing.assert_array_equal(line(ax, "_best").get_xydata(), [[2, 0.6]])
    assert {"training 0.4", "validation 0.7", "best: epoch 2"} == set(texts(ax))
    assert (ax.get_yscale(), ax.get_ylabel()) == ("linear", "loss")
    assert png(ax) == (630, 1020)


def test_given_best_epoch_wins_over_the_lowest_loss(png):
    ax = plot_loss(losses([3.0, 2.0, 1.0], [3.0, 1.0, 2.0]), best_epoch=3)
    assert title(ax) == "validation loss 2 at the best epoch, 3"
    ax = plot_loss(losses([3.0, 2.0, 1.0]), best_epoch=2)
    np.testing.assert_array_equal(line(ax, "_best").get_xydata(), [[2, 2.0]])
    png(ax)


def test_wide_loss_is_drawn_on_a_log_scale_and_a_negative_one_is_not(png):
    assert plot_loss(losses([100.0, 1.0])).get_yscale() == "log"
    assert plot_loss(losses([20.0, 1.0])).get_yscale() == "linear"
    ax = plot_loss(losses([100.0, 1.0, -1.0]))
    assert ax.get_yscale() == "linear"
    png(ax)


def test_ticks_of_small_numbers_are_whole_ones_times_a_power_of_ten(png):
    ax = plot_loss(losses([0.05, 5e-4]))
    png(ax)
    shown = [label.get_text() for label in ax.get_yticklabels(minor=True)]
    assert "0.02" in shown
    assert r"$\mathdefault{5\times10^{-4}}$" in shown


def test_zero_loss_on_a_log_scale_stands_on_a_line_named_0(png):
    ax = plot_loss(losses([1.0, 1e-3, 0.0], [1.0, 1e-2, 0.0]))
    y = line(ax, "training").get_ydata()
    assert ax.get_ylim()[0] < y[2] < 1e-3
    assert {"0", "training 0", "validation 0", "best: epoch 3"} == set(texts(ax))
    assert line(ax, "_best").get_ydata()[0] == y[2]
    png(ax)


@pytest.mark.parametrize("bad", [NAN, INF, -INF, 1e308])
def test_loss_that_stops_being_finite_ends_in_a_cross(bad, png):
    ax = plot_loss(losses([1.0, 2.0, bad, bad], [1.0, 3.0, bad, bad]))
    assert title(ax) == "loss not finite at epoch 3"
    crosses = [each for each in ax.get_lines() if each.get_label() == "_not finite after"]
    assert [cross.get_xydata().tolist() for cross in crosses] == [[[2, 2]], [[2, 3]]]
    assert ax.get_xlim()[1] > 4  # the epochs that failed are still on the axis
    png(ax)


@pytest.mark.parametrize(
    "records",
    [losses([0.7]), losses([0.0, 0.0]), losses([NAN], [NAN]), losses([1e-320, 1e199, 0.0])],
    ids=["one epoch", "all zero", "never finite", "extreme"],
)
def test_odd_losses_can_be_drawn(records, png):
    png(plot_loss(records))


def test_validation_measured_now_and_then_is_joined(png):
    ax = plot_loss(losses([3.0, 2.0, 1.0], [3.0, None, 2.0]))
    np.testing.assert_array_equal(line(ax, "validation").get_xydata(), [[1, 3.0], [3, 2.0]])
    png(ax)


def test_epoch_ticks_are_whole_numbers():
    for n in (1, 2, 7, 150):
        ticks = plot_loss(losses([1.0] * n)).get_xticks()
        assert (ticks == ticks.round()).all()


def test_labels_at_curve_ends_do_not_overlap(png):
    ax = plot_gradient_norms(norms([1.0] * 9, [1.0] * 9))
    png(ax)
    boxes = sorted((Text.get_window_extent(text) for text in ax.texts), key=lambda box: box.y0)
    assert len(boxes) == 9
    assert all(a.y1 <= b.y0 + 1 for a, b in itertools.pairwise(boxes))


def test_metric_is_named_and_keeps_shares_within_0_and_1(png):
    ax = plot_metric(losses([1.0] * 3, metric=[0.2, None, 1.0]), name="balanced accuracy")
    assert title(ax) == "balanced accuracy 1 after epoch 3"
    assert ax.get_ylabel() == "balanced accuracy"
    assert texts(ax) == ["balanced accuracy 1"]
    assert ax.get_ylim()[1] <= 1.01
    png(ax)
    png(plot_metric([{"epoch": 1, "metric": NAN}]))


# Gradient norms ----------------------------------------------------------------------------------


def test_gradient_norms_name_and_colour_each_layer_in_order(png):
    ax = plot_gradient_norms(norms([1e-4, 1e-2, 1.0], [2e-4, 1e-2, 0.5]))
    assert [each.get_label() for each in ax.get_lines()] == [
        "layer 1 (first)", "layer 2", "layer 3 (last)",
    ]  # fmt: skip
    np.testing.assert_array_equal(line(ax, "layer 1 (first)").get_ydata(), [1e-4, 2e-4])
    lightness = [np.mean(matplotlib.colors.to_rgb(each.get_color())) for each in ax.get_lines()]
    assert lightness == sorted(lightness)
    assert ax.get_yscale() == "log"
    png(ax)


def test_dead_layer_is_drawn_below_the_living(png):
    ax = plot_gradient_norms(norms([0.0, 1.0], [0.0, 0.5]))
    dead = line(ax, "layer 1 (first)").get_ydata()
    assert (dead < 0.5).all()
    assert (dead > ax.get_ylim()[0]).all()
    assert "0" in texts(ax)
    png(ax)


@pytest.mark.parametrize("row", [[1.0], [0.0, 0.0], [NAN, 1.0], [INF] * 3, [0.5] * 40])
def test_odd_gradient_norms_can_be_drawn(row, png):
    png(plot_gradient_norms(norms(row, row)))


# Confusion matrix --------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [2, 3, 10, 30])
def test_confusion_matrix_agrees_with_scikit_learn(k, png):
    rng = np.random.default_rng(k)
    names = np.array([f"{i:02d} of a long list of long names" for i in range(k)])
    true = np.concatenate([np.arange(k), rng.integers(0, k, 500)])
    predicted = np.where(rng.random(true.size) < 0.7, true, rng.integers(0, k, true.size))
    ax = plot_confusion_matrix(names[true], names[predicted])
    counts = confusion_matrix(true, predicted)
    drawn = np.zeros_like(counts)
    for text in ax.texts:
        column, row = text.get_position()
        drawn[row, column] = int(text.get_text().replace(",", ""))
    np.testing.assert_array_equal(drawn, counts)
    assert title(ax).startswith(f"accuracy {accuracy_score(true, predicted):.3g}: ")
    shown = [label.get_text() for label in ax.get_yticklabels()]
    assert len(set(shown)) == k
    assert all(len(label) <= look.LABEL_LENGTH and "…" in label for label in shown)
    png(ax)


def test_confusion_matrix_colours_by_share_of_the_row():
    ax = plot_confusion_matrix(
        ["a"] * 4 + ["b"] * 2, ["a"] * 4 + ["a", "b"], labels=["b", "a", "c"]
    )
    pixels = np.asarray(ax.images[0].get_array())
    assert to_hex(pixels[1, 1]).upper() == look.BLUE
    assert pixels[0, 0].mean() > pixels[1, 1].mean()
    np.testing.assert_array_equal(pixels[2, 0], pixels[2, 2])  # a class that never occurs
    assert [label.get_text() for label in ax.get_xticklabels()] == ["b", "a", "c"]


def test_one_class_is_a_matrix_too(png):
    ax = plot_confusion_matrix([True, True], [True, True])
    assert texts(ax) == ["2"]
    png(ax)


def test_labels_that_share_beginnings_stay_apart():
    assert look.shorten(["short", "quite a long label indeed"]) == ["short", "quite a long la…"]
    assert look.shorten(["the same beginning 1", "the same beginning 2"]) == [
        "the sam…inning 1", "the sam…inning 2",
    ]  # fmt: skip


def test_labels_are_shown_as_typed_and_missing_letters_as_boxes(png):
    labels = ["$5 to $10", "tab\there", "\U0001f984 unicorn", "猫", None, 3]
    ax = plot_confusion_matrix(np.array(labels, dtype=object), np.array(labels, dtype=object))
    shown = {label.get_text() for label in ax.get_xticklabels()}
    assert shown == {"$5 to $10", "tab here", "□ unicorn", "□", "None", "3"}
    ax.figure.savefig(io.BytesIO())  # no warning either when the user writes it
    png(ax)


# Predictions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(50,), (50, 1), (5000,), (60, 3), (60, 20)], ids=str)
def test_prediction_scores_agree_with_scikit_learn(shape, png):
    rng = np.random.default_rng(0)
    true = rng.normal(size=shape)
    predicted = true + 0.3 * rng.normal(size=shape)
    ax = plot_prediction(true, predicted, name="price")
    score, error = r2_score(true, predicted), root_mean_squared_error(true, predicted)
    assert title(ax).startswith("price")
    assert title(ax).endswith(f": R² {score:.3g}, RMSE {error:.3g}")
    assert ax.get_xlim() == ax.get_ylim()
    identity = ax.get_lines()[0].get_xydata()
    np.testing.assert_array_equal(identity[:, 0], identity[:, 1])
    drawn = ax.collections[0]
    if true.size > look.HEXBIN_FROM:
        assert drawn.get_array().sum() == true.size
    else:
        np.testing.assert_array_equal(drawn.get_offsets()[:, 0], true.ravel())
        np.testing.assert_array_equal(drawn.get_offsets()[:, 1], predicted.ravel())
    outputs = shape[1] if len(shape) > 1 else 1
    assert (ax.get_legend() is not None) == (outputs > 1)
    if outputs > 1:
        assert len(ax.get_legend().get_texts()) == outputs
        assert len(np.unique(drawn.get_facecolors(), axis=0)) == outputs
    png(ax)


def test_outputs_of_different_size_are_drawn_in_standard_deviations(png):
    true = np.random.default_rng(0).normal(size=(99, 2)) * [1, 1000]
    ax = plot_prediction(true, true * 1.1, name=["small $", "large"])
    assert ax.get_xlabel() == "true (standard deviations)"
    assert title(ax).endswith("standard deviations")
    assert ax.get_xlim()[1] < 10
    assert [t.get_text()[:5] for t in ax.get_legend().get_texts()] == ["small", "large"]
    png(ax)


def test_pairs_that_are_not_finite_are_left_out_and_counted(png):
    ax = plot_prediction([1.0, 2.0, 3.0, NAN], [1.0, 2.0, INF, 1.0])
    assert title(ax) == "target: R² 1, RMSE 0\n2 of 4 pairs not finite, left out"
    png(ax)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e190, 1e-190])
def test_constant_target_has_no_r2(value, png):
    ax = plot_prediction([value] * 3, [value] * 3)
    assert title(ax) == "target: R² nan, RMSE 0"
    png(ax)


# Errors, files and manners -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot_loss([]), "records is empty"),
        (lambda: plot_loss([{"loss": 1.0}]), "lacks 'epoch'"),
        (lambda: plot_loss([{"epoch": 1}]), "no record holds a loss"),
        (lambda: plot_loss(losses([1.0]), best_epoch=7), "best_epoch=7 is not among"),
        (lambda: plot_metric(losses([1.0])), "no record holds a metric"),
        (lambda: plot_gradient_norms([]), "records is empty"),
        (lambda: plot_gradient_norms(norms([])), "is empty; it needs one number per layer"),
        (lambda: plot_gradient_norms(norms([1.0], [1.0, 2.0])), "expected one per layer"),
        (lambda: plot_confusion_matrix([], []), "at least one"),
        (lambda: plot_confusion_matrix([1], [1, 2]), "expected as many in both"),
        (lambda: plot_confusion_matrix([1], [2], labels=[1]), "class 2 occurs"),
        (lambda: plot_confusion_matrix([1.0], [NAN]), "holds nan"),
        (lambda: plot_prediction([], []), "at least one row"),
        (lambda: plot_prediction([[1, 2]], [1, 2]), "expected the same"),
        (lambda: plot_prediction([NAN], [1]), "nothing to draw"),
        (lambda: plot_prediction([1], [1], name=["a", "b"]), "name holds 2 names"),
    ],
)
def test_errors_say_what_was_given_and_expected(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def test_files_are_not_overwritten_unasked(tmp_path):
    ax = plot_metric([{"epoch": 1, "metric": 0.5}])
    save_figure(ax.figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(FileExistsError, match="exists already"):
        save_figure(ax, tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"the suffix must be \.png"):
        save_figure(ax, tmp_path / "a.pdf")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_own_axes_are_used_on_light_and_dark_paper(png):
    figure = Figure(figsize=(10, 8), layout="constrained")
    axes = figure.subplots(2, 2).ravel()
    axes[0].set_facecolor("black")
    assert plot_loss(losses([2.0, 1.0]), ax=axes[0]) is axes[0]
    assert plot_gradient_norms(norms([1.0, 2.0]), ax=axes[1]) is axes[1]
    assert plot_confusion_matrix([1, 2], [1, 2], ax=axes[2]) is axes[2]
    assert plot_prediction([1, 2], [1, 2], ax=axes[3]) is axes[3]
    assert axes[0].xaxis.label.get_color() != axes[1].xaxis.label.get_color()
    png(axes[0])
    png(plot_loss(losses([2.0, 1.0]), ax=Figure().subplots()))


def test_user_title_with_missing_letters_can_be_saved(png):
    ax = plot_metric([{"epoch": 1, "metric": 0.5}])
    ax.set_title("猫")
    png(ax)


def test_settings_and_backend_of_the_user_are_left_alone():
    code = (
        "import sys, chainrule.plots as p; assert 'matplotlib' not in sys.modules\n"
        "import matplotlib as m; keys = set(m.rcParams) - {'backend'}\n"  # asking for it sets it
        "before = {key: m.rcParams[key] for key in keys}\n"
        "p.plot_loss([{'epoch': 1, 'loss': 1.0}]).figure.canvas.draw()\n"
        "assert before == {key: m.rcParams[key] for key in keys}\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
