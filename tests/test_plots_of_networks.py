"""Pictures of networks: what stands on the Axes is what the network holds."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal

from chainrule import HistogramRecorder, MLPClassifier, MLPRegressor, Network, train
from chainrule.plots import (
    look,
    plot_decision_regions,
    plot_first_weights,
    plot_gradient_norms,
    plot_histograms,
    plot_loss,
    plot_network,
    plot_surface,
    plot_surfaces,
    save_figure,
)

SADDLE = [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]


@pytest.fixture
def written(tmp_path):
    """Write an Axes' figure; it must be more than an empty sheet."""

    def write(ax):
        save_figure(ax, tmp_path / "picture.png", force=True)
        assert (tmp_path / "picture.png").stat().st_size > 5_000

    return write


def collection(ax, label):
    return next(each for each in ax.collections if each.get_label() == label)


def title(ax):
    return ax.get_title(loc="left")


@pytest.fixture(scope="module")
def classifier():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    y = np.array(["left", "right"])[(X[:, 0] > 0).astype(int)]
    model = MLPClassifier((4,), solver="lbfgs", alpha=0.0, random_state=0, max_iter=300)
    return model.fit(X, y), X, y


# The diagram -------------------------------------------------------------------------------------


def test_the_diagram_draws_every_weight_by_sign_and_size(written):
    net = Network([2, 3, 1], seed=1)
    ax = plot_network(net)
    for l, W in enumerate(net.W):
        lines = collection(ax, f"weights {l + 1}")
        order = np.argsort(abs(W), axis=None)
        assert len(lines.get_segments()) == W.size
        widths = np.asarray(lines.get_linewidths())
        assert_allclose(widths, 0.2 + 3 * abs(W.ravel()[order]) / abs(W).max())
        colors = [to_rgba(look.BLUE if w >= 0 else look.VERMILLION)[:3] for w in W.ravel()[order]]
        assert_allclose(lines.get_colors()[:, :3], colors)
    assert title(ax) == "2 → 3 → 1: weights, and biases as the units' colour"
    written(ax)


def test_lines_join_the_units_that_the_weight_joins():
    net = Network([2, 2], ["identity"], initializers="zeros")
    net.W[0][0, 1] = 1.0  # from the first input to the second output, the only one of width
    lines = collection(plot_network(net), "weights 1")
    (start, end) = lines.get_segments()[int(np.argmax(lines.get_linewidths()))]
    assert_array_equal([start, end], [[0, 0.5], [1, -0.5]])


def test_units_wear_activations_or_deltas(written):
    net = Network([2, 3, 1], "tanh", seed=0)
    trace = net.forward([[0.5, -1.0], [0.0, 2.0]])
    ax = plot_network(net, values=trace, row=1, input_names=["a", "b$"], output_names=["y"])
    for l in range(3):
        assert_array_equal(collection(ax, f"units {l}").get_array(), trace.A[l][1])
    assert {"a", "b$", "y", f"{trace.A[1][1, 0]:.2g}"} <= {text.get_text() for text in ax.texts}
    grads = net.backward(trace, [[1.0], [0.0]])
    other = plot_network(net, values=grads, row=0)
    assert title(other) == "2 → 3 → 1: δ of row 0"
    assert_array_equal(collection(other, "units 0").get_array(), grads.dX[0])
    assert_array_equal(collection(other, "units 2").get_array(), grads.delta[1][0])
    written(other)


def test_wide_layers_are_drawn_by_their_ends(written):
    net = Network([784, 50, 10], seed=0)
    ax = plot_network(net, max_units=8)
    assert len(collection(ax, "weights 1").get_segments()) == 64
    assert sum(text.get_text() == "⋮" for text in ax.texts) == 3
    assert "inputs\n784" in [text.get_text() for text in ax.texts]
    shown = [0, 1, 2, 3, 46, 47, 48, 49]
    assert_array_equal(collection(ax, "units 1").get_array(), net.b[0][shown])
    written(ax)


def test_a_fitted_estimator_is_drawn_as_its_network(classifier):
    model, _, _ = classifier
    assert title(plot_network(model)).startswith("2 → 4 → 1")
    assert len(collection(plot_network(model), "weights 1").get_segments()) == 8


def test_the_diagram_refuses_what_it_cannot_draw():
    net = Network([2, 3, 1])
    with pytest.raises(ValueError, match=r"expected one array per column of \[2, 3, 1\]"):
        plot_network(net, values=[[1.0, 2.0]])
    with pytest.raises(ValueError, match="max_units=1"):
        plot_network(net, max_units=1)
    with pytest.raises(ValueError, match="expected a Network or a fitted estimator"):
        plot_network(3)


# Surfaces and regions ----------------------------------------------------------------------------


def test_surfaces_share_heights_and_tell_the_error(written):
    left, right = plot_surfaces(
        lambda X: X[:, 0] * X[:, 1], lambda X: X[:, 0] * X[:, 1] + 0.5, name="xy"
    )
    assert left.get_zlim() == right.get_zlim() == (-1.0, 1.5)
    assert (title(left), title(right)) == ("xy", "learned: error 25 % of the range")
    surface = left.collections[0]
    assert_allclose([surface.norm.vmin, surface.norm.vmax], [-1.0, 1.5])
    assert surface.get_array().min() == pytest.approx(-0.951, abs=1e-3)  # a face's mean height
    written(left)


def test_a_surface_asks_a_network_or_an_estimator():
    net = Network([2, 1], ["identity"], initializers="zeros")
    net.W[0][:], net.b[0][:] = [[2.0], [1.0]], 5.0
    assert plot_surface(net).get_zlim() == (2.0, 8.0)
    X = np.array(SADDLE)
    model = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=0.0).fit(X, X[:, 0])
    assert_allclose(plot_surface(model, bounds=((0, 1), (0, 1))).get_zlim(), (0, 1), atol=1e-3)


def test_surfaces_refuse_flat_axes_and_infinite_heights():
    with pytest.raises(ValueError, match="projection='3d'"):
        plot_surface(lambda X: X[:, 0], ax=Figure().subplots())
    with (
        pytest.raises(ValueError, match="not finite"),
        np.errstate(divide="ignore"),
    ):
        plot_surface(lambda X: np.log(abs(X[:, 0])))


def test_regions_are_the_models_answers(classifier, written):
    model, X, y = classifier
    ax = plot_decision_regions(model, X, y, resolution=50)
    image = ax.get_images()[0]
    left, right, bottom, top = image.get_extent()
    grid = np.meshgrid(np.linspace(left, right, 50), np.linspace(bottom, top, 50))
    answers = model.predict(np.column_stack([each.ravel() for each in grid])).reshape(50, 50)
    blue = image.get_array()[..., 2] > image.get_array()[..., 0]  # the first class's tint
    assert_array_equal(blue, answers == "left")
    for label in ("left", "right"):
        assert_allclose(collection(ax, label).get_offsets(), X[y == label])
    assert title(ax) == "accuracy 1: 60 of 60 right"
    written(ax)


def test_regions_of_networks_with_one_and_with_three_outputs(written):
    net = Network([2, 3], ["softmax"], initializers="zeros")
    net.W[0][:] = [[3, -3, 0], [0, 0, 3]]
    X = [[1.0, 0], [-1, 0], [0, 2], [1, 2]]
    ax = plot_decision_regions(net, X, np.eye(3)[[0, 1, 2, 0]], names=("u", "v"))
    assert title(ax) == "accuracy 0.75: 3 of 4 right"
    edges = collection(ax, "0").get_edgecolors()
    assert_allclose(edges, [to_rgba("white"), to_rgba(look.ink_of(ax))])  # right, wrong
    written(ax)
    with pytest.raises(ValueError, match="class 7"):
        plot_decision_regions(net, X, [0, 1, 2, 7])
    with pytest.raises(ValueError, match=r"expected \(n, 2\)"):
        plot_decision_regions(net, [[1.0]], [0])


# Weights ---------------------------------------------------------------------------------------


def test_images_are_the_units_weights(written):
    net = Network([6, 3, 1], seed=0)
    ax = plot_first_weights(net, shape=(2, 3), units=[2, 0])
    sheet = np.ma.filled(ax.get_images()[0].get_array(), np.nan)
    assert sheet.shape == (2, 7)
    assert_array_equal(sheet[:, :3], net.W[0][:, 2].reshape(2, 3))
    assert_array_equal(sheet[:, 4:], net.W[0][:, 0].reshape(2, 3))
    assert np.isnan(sheet[:, 3]).all()
    image = ax.get_images()[0]
    assert image.norm.vmax == -image.norm.vmin == np.nanmax(abs(sheet))
    written(ax)


def test_the_strongest_units_come_first():
    net = Network([4, 3, 1], seed=0)
    net.W[0][:] = np.array([1.0, 3.0, 2.0])
    sheet = plot_first_weights(net, units=2).get_images()[0].get_array()
    assert (sheet[0, 0], sheet[0, 3]) == (3.0, 2.0)
    with pytest.raises(ValueError, match="give shape"):
        plot_first_weights(Network([3, 2, 1]))
    with pytest.raises(ValueError, match="must name some of the 3 units"):
        plot_first_weights(net, units=[3])


def test_recorded_histograms_are_numpys(written):
    net, X = Network([2, 6, 1], "tanh", seed=0), np.array(SADDLE)
    before = net.copy()
    recorder = HistogramRecorder(X=X, every=2, bins=10)
    train(net, X, X[:, :1], epochs=6, callbacks=[recorder])
    assert [record["epoch"] for record in recorder.records] == [0, 2, 4, 6]
    for record, state in ((recorder.records[0], before), (recorder.records[-1], net)):
        for l in (0, 1):
            for what, values in (("weights", state.W), ("activations", state.forward(X).A[1:])):
                counts, edges = record[what][l]
                expected = np.histogram(values[l], bins=10)
                assert_array_equal(counts, expected[0])
                assert_array_equal(edges, expected[1])
    ax = plot_histograms(recorder, what="activations", layer=2)
    assert title(ax) == "activations of layer 2, epochs 0 to 6"
    share = ax.collections[0].get_array()
    assert_allclose(share.sum(axis=0), 1)  # each epoch's cells hold all its numbers
    assert_array_equal(ax.get_lines()[0].get_xdata(), [0, 2, 4, 6])
    written(ax)


def test_recording_changes_nothing_that_is_learnt():
    X = np.array(SADDLE)
    nets = [Network([2, 6, 1], seed=0) for _ in range(2)]
    train(nets[0], X, X[:, :1], epochs=5)
    train(nets[1], X, X[:, :1], epochs=5, callbacks=[HistogramRecorder(X=X)])
    assert_array_equal(nets[0].theta, nets[1].theta)


def test_the_median_of_a_layer_is_drawn():
    records = [{"epoch": e, "weights": [np.histogram([e, e, e + 1.0], 8)]} for e in (0, 1)]
    medians = plot_histograms(records).get_lines()[0].get_ydata()
    assert_allclose(medians, [0, 1], atol=1 / 8)


def test_histograms_refuse_what_was_not_recorded():
    recorder = HistogramRecorder()
    train(Network([1, 1]), [[1.0]], [[2.0]], epochs=1, callbacks=[recorder])
    with pytest.raises(ValueError, match="no activations of layer 1"):
        plot_histograms(recorder, what="activations")
    with pytest.raises(ValueError, match="every=0"):
        train(Network([1, 1]), [[1.0]], [[2.0]], callbacks=[HistogramRecorder(every=0)])
    with pytest.raises(ValueError, match="X has"):
        train(Network([1, 1]), [[1.0]], [[2.0]], callbacks=[HistogramRecorder(X=[[1.0, 2.0]])])


def test_curves_are_drawn_from_whatever_has_a_history():
    net = Network([1, 2, 1])
    history = train(net, [[1.0], [2.0]], [[2.0], [1.0]], epochs=4)
    for source in (history, history.records):
        assert_array_equal(plot_loss(source).get_lines()[0].get_ydata(), history["loss"])
    assert len(plot_gradient_norms(history).get_lines()) == 2
    model = MLPRegressor(hidden_layer_sizes=(3,), solver="lbfgs", random_state=0, max_iter=900)
    X = np.linspace(-1, 1, 50)[:, None]
    model.fit(X, X[:, 0])
    training = plot_loss(model).get_lines()[0].get_ydata()
    assert_allclose(training, [record["loss"] for record in model.history_])
    with pytest.raises(ValueError, match="expected a list of dicts"):
        plot_loss(3)


def test_a_number_that_no_circle_has_room_for_stands_below_it():
    net = Network([1, 1], ["identity"], seed=0)
    ax = plot_network(net, values=[np.array([0.25]), np.array([-1.25e-7])])
    below = {each.get_text(): each.xyann[1] for each in ax.texts if hasattr(each, "xyann")}
    assert below["0.25"] == 0
    assert below["-1.2e-07"] < 0
