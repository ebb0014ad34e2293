"""Explanations: every number is NumPy's, every formula with its numbers in comes to its result.

The formulas are tested as they are read: the line of text is turned into Python and evaluated.
"""

import json
import math
import re
import shutil
import sys
from html import unescape

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_iris

from chainrule import MLPClassifier, MLPRegressor, Network, explain
from chainrule.activations import ACTIVATIONS
from chainrule.explanation.reading import Unreadable, letter, read
from chainrule.losses import LOSSES
from chainrule.optimizers import OPTIMIZERS
from strategies import ELEMENTWISE, JUMPY_LOSSES, NAMES, SMOOTH_LOSSES, problems

STEPPING = sorted(set(OPTIMIZERS) - {"lbfgs"})
MEANING = {
    "max": max, "min": min, "log": math.log, "tanh": math.tanh, "e": math.e, "abs": abs,
    "sign": lambda x: (x > 0) - (x < 0), "sqrt": math.sqrt,
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)) if z > -700 else 0.0,
    "softplus": lambda z: math.log1p(math.exp(-abs(z))) + max(z, 0),
    "hardsigmoid": lambda z: min(max(z / 6 + 0.5, 0), 1),
    "logsigmoid": lambda z: -math.log1p(math.exp(-z)) if z > -700 else z,
}  # fmt: skip
UP = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


def calculate(words):
    """Return what a line of text comes to, read as a person would."""
    words = re.sub(r"(\d)·10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", lambda m: f"{m[1]}e{m[2].translate(UP)}", words)
    words = re.sub(r"(?<![\d.])10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", lambda m: f"1e{m[1].translate(UP)}", words)
    words = re.sub(r"([⁰¹²³⁴⁵⁶⁷⁸⁹]+)", lambda m: f"**{m[1].translate(UP)}", words)
    words = re.sub(r"\([\d,]+ more: ([^)]*)\)", r"(\1)", words)
    words = re.sub(r"\|([^|]*)\|", r"abs(\1)", words)
    words = re.sub(r"√([\d.e-]+)", r"sqrt(\1)", words.replace("√(", "sqrt("))
    words = words.replace("−", "-").replace("·", "*").replace("^", "**").replace("½", "0.5")
    return eval(words, {"__builtins__": {}}, MEANING)


def lines_of(told):
    for step in told.to_dict()["steps"]:
        for line in step["lines"]:
            yield from ((step, each) for each in (*line.get("where", []), line))


@given(data=st.data())
@settings(max_examples=40)
def test_formulas_with_numbers_come_to_their_results(data):
    name = data.draw(st.sampled_from(sorted({*SMOOTH_LOSSES, *JUMPY_LOSSES})))
    problem = data.draw(problems(data.draw(st.sampled_from(NAMES)), name))
    told = explain(
        problem.network, problem.X, problem.Y, **problem.cost,
        optimizer=data.draw(st.sampled_from(STEPPING)),
    )  # fmt: skip
    for step, line in lines_of(told):
        found = calculate(line["numbers"])
        assert found == pytest.approx(line["value"], rel=1e-9, abs=1e-12), (step["kind"], line)
    for path in told.to_dict()["weight"]["paths"]:
        assert calculate(path["numbers"]) == pytest.approx(path["value"], rel=1e-9, abs=1e-12)


def by_hand(net, X, Y):
    """Return both passes of a sigmoid network with squared error, in NumPy and nothing else."""
    A, n = [X], len(X)
    for W, b in zip(net.W, net.b, strict=True):
        A.append(1 / (1 + np.exp(-(A[-1] @ W + b))))
    delta = [(A[-1] - Y) / n * A[-1] * (1 - A[-1])]
    for l in range(len(net.W) - 1, 0, -1):
        delta.insert(0, delta[0] @ net.W[l].T * A[l] * (1 - A[l]))
    dW = [a.T @ d for a, d in zip(A, delta, strict=False)]
    cost = 0.5 * ((A[-1] - Y) ** 2).sum() / n
    return A, delta, dW, [d.sum(axis=0) for d in delta], cost


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 3), depth=st.integers(1, 3))
@settings(max_examples=15)
def test_numbers_are_those_of_numpy_by_hand(seed, n, depth):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 5, depth + 1).tolist()
    net = Network(sizes, ["sigmoid"] * depth, seed=seed % 1000)
    X, Y = rng.normal(size=(n, sizes[0])), rng.uniform(size=(n, sizes[-1]))
    told = explain(net, X, Y, optimizer="sgd")
    A, delta, dW, db, cost = by_hand(net, X, Y)
    assert told.cost == pytest.approx(cost, rel=1e-12)
    for l in range(depth):
        for kind, truth in (("a", A[l + 1]), ("delta", delta[l]), ("dW", dW[l]), ("db", db[l])):
            np.testing.assert_allclose(told.step(kind, l).values, truth, rtol=1e-10, atol=1e-15)
        after = np.concatenate([net.W[l] - 0.01 * dW[l], [net.b[l] - 0.01 * db[l]]])
        np.testing.assert_allclose(told.step("update", l).values, after, rtol=1e-11, atol=1e-15)
    assert told.weight.check.passed
    paths = sum(path.value for path in told.weight.paths) + told.weight.rest
    assert paths == pytest.approx(told.weight.derivative, rel=1e-9, abs=1e-15)


def test_paths_of_every_weight_add_up_to_its_derivative():
    rng = np.random.default_rng(0)
    net = Network([2, 3, 2, 2], ["tanh", "softmax", "sigmoid"], seed=3)
    X, Y = rng.normal(size=(2, 2)), rng.uniform(size=(2, 2))
    grads = net.backward(net.forward(X), Y)
    for l, dW in enumerate(grads.dW):
        for i, j in [*np.ndindex(*dW.shape), *(("b", j) for j in range(dW.shape[1]))]:
            story = explain(net, X, Y, weight=(l, i, j)).weight
            truth = grads.db[l][j] if i == "b" else dW[i, j]
            assert len(story.paths) == min(32, story.count)
            if story.count == len(story.paths):
                assert sum(path.value for path in story.paths) == pytest.approx(truth, rel=1e-10)
            assert story.check.passed


def test_the_largest_of_many_paths_are_told():
    net = Network([4, 30, 20, 3], ["tanh", "tanh", "identity"], seed=0)
    story = explain(net, np.ones((1, 4)), np.zeros((1, 3)), weight=(0, 2, 7)).weight
    trace = net.forward(np.ones((1, 4)))
    grads = net.backward(trace, np.zeros((1, 3)))
    slopes = [1 - A[0] ** 2 for A in trace.A[1:3]]
    every = slopes[0][7] * net.W[1][7][:, None] * slopes[1][:, None] * net.W[2] * grads.delta[2][0]
    assert story.count == every.size
    largest = np.sort(abs(every).ravel())[::-1][:32]
    told = sorted((abs(path.value) for path in story.paths), reverse=True)
    np.testing.assert_allclose(told, largest, rtol=1e-10)


FORMULAS = [
    *((sigma, "value") for sigma in ACTIVATIONS.values()),
    *((sigma, "derivative") for name, sigma in ACTIVATIONS.items() if name in ELEMENTWISE),
    *((kind(), method) for kind in LOSSES.values() for method in ("value", "gradient", "target")),
]


@pytest.mark.parametrize(
    ("member", "method"), FORMULAS, ids=[f"{type(m).__name__}.{name}" for m, name in FORMULAS]
)
def test_every_formula_of_the_tables_can_be_read(member, method):
    assert read(member, method).result is not None


@pytest.mark.parametrize("name", STEPPING)
def test_every_update_rule_can_be_read(name):
    formula = read(OPTIMIZERS[name](), "update", units=False)
    assert formula.result is not None
    assert not {letter(step) for step, _ in formula.steps} & formula.settings.keys()


def test_what_cannot_be_read_is_shown_by_its_name():
    from chainrule.activations import Activation

    class Odd(Activation):
        def value(self, z):
            for _ in range(2):
                z = z * 0.5
            return z

        def derivative(self, z, a):
            return z * 0 + 0.25

    with pytest.raises(Unreadable):
        read(Odd(), "value")
    told = explain(Network([2, 2, 1], [Odd(), "identity"], seed=0), [[1.0, 2.0]], [[1.0]])
    assert "Odd(z[0]ⱼ)" in told.step("a", 0).to_dict(4)["formula"]
    assert told.weight.check.passed


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"weight": (0, 9, 0)}, r"expected \(layer, i, j\) counted from 0"),
        ({"weight": (5, 0, 0)}, "is none of the network's"),
        ({"units": [(0, 77)]}, r"expected \(layer, unit\)"),
        ({"features": ["one"]}, "expected 2"),
    ],
)
def test_what_is_not_there_is_refused(words, expected):
    net = Network([2, 2, 1], seed=0)
    with pytest.raises(ValueError, match=expected):
        explain(net, [[1.0, 2.0]], [[1.0]], **words)


def run(monkeypatch, *words):
    from chainrule import cli

    monkeypatch.setattr(sys, "argv", ["chainrule", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0


def test_the_command_line(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "explain", "--demo") == 0
    assert "measured" in capsys.readouterr().out
    rng = np.random.default_rng(0)
    table = pl.DataFrame({"x": rng.normal(size=60), "kind": ["a", "b"] * 30})
    table.with_columns(y=pl.col("x") * 2).write_csv("t.csv")
    assert run(monkeypatch, "train", "t.csv", "--target", "y", "--epochs", 3, "--hidden", 4) == 0
    capsys.readouterr()
    words = ("explain", "t.chainrule", "t.csv", "--row", 7, "--weight", "0,0,1", "--json")
    assert run(monkeypatch, *words) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["rows"] == ["7"]
    assert facts["weight"]["index"] == [0, 1]
    assert run(monkeypatch, *words[:5], "--html", "page.html") == 0
    assert "<math" in (tmp_path / "page.html").read_text("utf-8")
    assert run(monkeypatch, *words[:3], "--row", 999) == 1
    assert run(monkeypatch, *words[:3], "--weight", "a,b") == 2
    assert run(monkeypatch, "explain") == 2


def in_a_browser(told, folder):
    """Return the page's `data` and its formulas' heights; assert it errs and fetches nothing."""
    chromium = shutil.which("chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if chromium is None:
        pytest.skip("there is no chromium; apt-get install chromium")
    page_file = folder / "page.html"
    page_file.write_text(told.to_html(), "utf-8")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page, said, fetched = browser.new_page(), [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: fetched.append(request.url))
        page.goto(page_file.as_uri())
        found = page.eval_on_selector_all(
            "data", "all => all.map(d => [d.dataset.what, parseFloat(d.value), d.textContent])"
        )
        formulas = page.evaluate(
            "[...document.querySelectorAll('math')].map(m => m.getBoundingClientRect().height)"
        )
        browser.close()
    assert said == []
    assert fetched == [page_file.as_uri()]
    for what, value, words in found:
        assert calculate(words) == pytest.approx(value, rel=1e-3), what
    return {what: value for what, value, _ in found}, formulas


def test_the_page_in_a_browser(tmp_path):
    """No error in its console, nothing fetched, and NumPy's numbers."""
    rng = np.random.default_rng(0)
    net = Network([3, 4, 2], ["sigmoid", "sigmoid"], seed=0)
    X, Y = rng.normal(size=(1, 3)), np.array([[1.0, 0.0]])
    told = explain(net, X, Y, features=["<b>", "a & b", "c"])
    A, delta, dW, db, cost = by_hand(net, X, Y)
    values, formulas = in_a_browser(told, tmp_path)
    assert min(formulas) > 0
    assert len(formulas) > 100
    down = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
    assert values["C"] == pytest.approx(cost, rel=1e-12)
    for l in range(2):
        for name, array in ((f"a[{l + 1}]", A[l + 1][0]), (f"δ[{l}]", delta[l][0]),
                            (f"dW[{l}]", dW[l]), (f"db[{l}]", db[l])):  # fmt: skip
            for at in np.ndindex(*array.shape):
                what = name + "".join(map(str, at)).translate(down)
                assert values[what] == pytest.approx(array[at], rel=1e-10), what


@pytest.mark.parametrize(
    "model",
    [
        MLPClassifier((3,), scale_X="standard", max_iter=5, random_state=0),
        MLPClassifier((3,), alpha=0.1, n_estimators=2, max_iter=5, random_state=0),
        MLPRegressor(
            activation="tanh", scale_y="standard", dropout=0.1, max_iter=5, random_state=0
        ),
        MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", max_iter=5),
    ],
    ids=["scaled", "penalised", "targets scaled", "L-BFGS"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_estimators_explain_themselves(model):
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = clone(model).fit(X, y)
    told = model.explain(X[70:72], y[70:72])
    assert told.to_dict() == explain(model, X[70:72], y[70:72]).to_dict()
    assert told.features == tuple(X.columns)
    member = np.asarray(told.A[-1])
    fed = (X - X.mean()) / X.std(ddof=0) if model.scale_X == "standard" else X
    a = fed.to_numpy()[70:72]
    for l, (W, b) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        z = a @ W + b
        last = l == len(model.coefs_) - 1
        a = z if last else np.tanh(z) if model.activation == "tanh" else np.maximum(z, 0)
    if isinstance(model, MLPClassifier):
        a = np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)
        assert told.outputs == ("0", "1", "2")
    np.testing.assert_allclose(member, a, rtol=1e-6)
    assert told.weight.check is None or told.weight.check.passed


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_two_classes_and_the_penalty_are_told_by_name_and_value():
    X, y = load_iris(return_X_y=True)
    y = np.where(y == 0, "other", "setosa")
    model = MLPClassifier((3,), alpha=0.1 + 0.2, max_iter=5, random_state=0).fit(X, y)
    told = model.explain(X[:1], y[:1])
    assert told.outputs == ("setosa",)  # of which the one output is the probability
    costs = 0.5 * 0.3 * sum(float((W**2).sum()) for W in model.coefs_)
    said = f"P = {costs:.4g} is what the weights cost, with alpha=0.3"
    assert told.step("cost", 1).notes == (said,)


def test_an_estimator_that_is_not_fitted_says_so():
    with pytest.raises(ValueError, match="fit it first"):
        MLPClassifier().explain([[1.0]], [0])


def test_a_notebook_shows_the_page():
    told = explain(Network([2, 2, 1], seed=0), [[1.0, 2.0]], [[1.0]], features=['"<b>"', "&"])
    frame = re.fullmatch(r'<iframe srcdoc="([^"]*)"[^>]*></iframe>', told._repr_html_())
    assert unescape(frame[1]) == told.to_html()


def test_the_text_is_plain_in_a_notebook_too(monkeypatch, capsys):
    told = explain(Network([2, 2, 1], seed=0), [[1.0, 2.0]], [[1.0]])
    text = told.to_text()
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert told.to_text() == text
    assert "reaches the output on one path" in text
    assert "\x1b" not in text
    assert capsys.readouterr().out == ""


def test_the_diagram_has_room_for_the_names_and_values_of_inputs():
    net = Network([2, 1], seed=0)
    names = ["first is missing", "second"]
    page = explain(net, [[-0.06324, 1.0]], [[2.0]], features=names).to_html()
    at = float(re.search(r'<text x="(\d+)" y="\d+" class="label" text-anchor="end">', page)[1])
    assert at > 0.6 * 12 * max(map(len, names))  # DejaVu Sans takes 0.6 em a letter, rather less
    assert 'class="a">−0.063</text>' in page  # seven letters would reach over the circle's edge


def test_the_diagram_has_room_for_the_target_and_its_name():
    net = Network([1, 1], seed=0)
    widths = []
    for names in ([], ["a"], ["a name of many words"]):
        told = explain(net, [[1.0]], [[2.0]], outputs=names)
        page = told.to_html()
        widths.append(int(re.search(r'viewBox="0 0 (\d+) ', page)[1]))
        assert page.count("→ 2</text>") == 1
    assert widths[0] < widths[1] < widths[2]
