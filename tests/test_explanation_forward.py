"""Explanations of rows whose answers are not known: the way forward, and nothing beyond it."""

import json
import warnings
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from chainrule import MLPClassifier, MLPRegressor, Network, Penalty, explain, save_model
from chainrule.initializers import Uniform
from chainrule.preprocessing import TableEncoder
from chainrule.tabular.explained import read_question
from refusals import command, refused
from strategies import NAMES
from test_activations import TRUTH
from test_explanation import calculate, in_a_browser, lines_of


def softmax(z):
    e = np.exp(z)
    return e / e.sum(axis=1, keepdims=True)


def increasing(z):
    return np.cumsum(np.hstack([z[:, :1], np.log1p(np.exp(z[:, 1:]))]), axis=1)


SIGMA = {"softmax": softmax, "increasing": increasing} | {
    name: np.vectorize(lambda z, f=f: float(f(Decimal(float(z)))), otypes=[float])
    for name, f in TRUTH.items()
}


def forward(weights, biases, names, X):
    """Return every Z and A, in NumPy and nothing else."""
    Z, A = [], [np.asarray(X, float)]
    for W, b, name in zip(weights, biases, names, strict=True):
        Z.append(A[-1] @ W + b)
        A.append(SIGMA[name](Z[-1]))
    return Z, A


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_z_and_a_are_those_of_numpy_and_formulas_come_to_them(name, n):
    names = [name, "tanh", name]
    net = Network([3, 4, 2, 3], names, initializers=Uniform(-0.8, 0.8), seed=0)
    net.theta[:] += 0.05  # biases too
    X = np.random.default_rng(1).normal(size=(n, 3))
    told = explain(net, X)
    Z, A = forward(net.W, net.b, names, X)
    for l in range(3):
        np.testing.assert_allclose(told.step("z", l).values, Z[l], rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(told.step("a", l).values, A[l + 1], rtol=1e-9, atol=1e-15)
        assert len(told.step("a", l).lines) == A[l + 1].size
    np.testing.assert_array_equal(told.step("answer").values, told.A[3])
    for step, line in lines_of(told):
        found = calculate(line["numbers"])
        assert found == pytest.approx(line["value"], rel=1e-9, abs=1e-12), (step["kind"], line)
    ways = [(kind, l) for l in range(3) for kind in "za"]
    assert [(step.kind, step.layer) for step in told] == [*ways, ("answer", None)]


def test_what_starts_from_the_answer_is_none_and_the_keys_are_the_same():
    net, X = Network([2, 3, 1], "tanh", seed=0), [[1.0, 2.0]]
    told, whole = explain(net, X), explain(net, X, [[1.0]])
    nothing = ("Y", "loss", "delta", "cost", "cost_after", "weight")
    assert [getattr(told, name) for name in nothing] == [None] * 6
    assert None not in [getattr(whole, name) for name in nothing]
    data = json.loads(told.to_json())
    assert list(data) == list(whole.to_dict())
    assert {key for key, value in data.items() if value is None} == {*nothing} - {"delta"}
    for step, same in zip(data["steps"][:-1], whole.to_dict()["steps"], strict=False):
        assert step == same


@pytest.mark.parametrize(
    "word",
    [
        {"weight": (0, 0, 0)}, {"loss": "huber"}, {"weights": [1.0]},
        {"penalty": Penalty(alpha=0.1)}, {"optimizer": "adam"},
    ],
    ids=lambda word: next(iter(word)),
)  # fmt: skip
def test_what_needs_an_answer_is_refused_without(word):
    said = rf"{next(iter(word))} given without y; expected the rows' answers.*give y, or leave"
    with pytest.raises(ValueError, match=said):
        explain(Network([2, 2, 1], seed=0), [[1.0, 2.0]], **word)
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=said):
        fitted(MLPRegressor(), X, y).explain(X[:1], **word)


def test_outputs_that_are_not_finite_are_refused():
    net = Network([1, 1, 1], ["exp", "identity"], seed=0)
    net.theta[:] = 1.0
    with pytest.raises(
        ValueError, match="outputs on these rows are not finite; take rows of small"
    ):
        explain(net, [[1000.0]])


def test_of_a_large_network_the_largest_answer_of_each_layer_is_told():
    net = Network([3, 50, 40, 12], ["tanh", "relu", "identity"], seed=0)
    X = np.random.default_rng(0).normal(size=(2, 3))
    told, asked = explain(net, X), explain(net, X, units=[(0, 7)])
    _, A = forward(net.W, net.b, ["tanh", "relu", "identity"], X)
    for l in range(3):
        largest = abs(A[l + 1]).max(axis=0).argmax()
        assert {line.what.sub[1] for line in told.step("a", l).lines} == {largest}
    assert {line.what.sub[1] for line in asked.step("a", 0).lines} == {7}
    assert len(told.step("answer").lines) == 2 * 12  # all of what it answers


def fitted(model, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return clone(model).set_params(max_iter=5, random_state=0).fit(X, y)


@pytest.mark.parametrize(
    "model",
    [
        MLPClassifier((3,), scale_X="standard"),
        MLPClassifier((3,), alpha=0.1, dropout=0.1, weight_decay=0.1),
        MLPRegressor("squared_error", (3,), "tanh", scale_y="standard"),
        MLPRegressor("quantile", (3,), quantile=(0.1, 0.5, 0.9), scale_y="standard"),
        MLPRegressor("poisson", (), solver="lbfgs"),
    ],
    ids=["scaled", "penalised", "targets scaled", "quantiles", "not scaled"],
)
def test_estimators_tell_what_they_predict(model):
    X, y = load_iris(return_X_y=True)
    model = fitted(model, X, y)
    answer = model.explain(X[70:73]).step("answer")
    if isinstance(model, MLPClassifier):
        truth = model.predict_proba(X[70:73])
        assert "ŷ(72, 1)" in model.explain(X[72:75], rows=[72, 73, 74]).to_text()
    elif model.loss == "quantile":
        truth = model.predict_quantiles(X[70:73])
    else:
        truth = model.predict(X[70:73])[:, None]
    np.testing.assert_allclose(answer.values, truth, rtol=1e-9)
    for line in answer.to_dict(17)["lines"]:
        assert calculate(line["numbers"]) == pytest.approx(line["value"], rel=1e-12)
    scaled = getattr(model, "scale_y", None) == "standard"
    assert ("m and s are mean and spread" in model.explain(X[:1]).to_text()) == scaled


def test_notes_on_the_training_are_left_out_and_those_on_the_outputs_told():
    X, y = load_iris(return_X_y=True)
    model = fitted(
        MLPRegressor(alpha=0.1, dropout=0.1, weight_decay=0.1, n_estimators=2, scale_y="standard"),
        X, y,
    )  # fmt: skip
    assert model.explain(X[:1]).notes == (
        "this is the first of 2 members, whose outputs are averaged",
        "nothing drops out here; in training it does",
    )
    first = X[:1]
    for l, (W, b) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        first = first @ W + b
        first = np.maximum(first, 0) if l < len(model.coefs_) - 1 else first
    answer = model.explain(X[:1]).step("answer").values
    np.testing.assert_allclose(answer, first * y.std() + y.mean(), rtol=1e-9)


def test_a_pipeline_and_two_classes():
    X, y = load_iris(return_X_y=True, as_frame=True)
    y = np.where(y == 0, "other", "setosa")
    model = fitted(MLPClassifier((3,)), StandardScaler().fit_transform(X), y)
    whole = make_pipeline(StandardScaler().fit(X), model)
    told = explain(whole, X[:1])
    fed = ((X - X.mean()) / X.std(ddof=0)).to_numpy()[:1]
    np.testing.assert_allclose(told.X, fed, rtol=1e-9)
    assert told.features == tuple(X.columns)
    _, A = forward(model.coefs_, model.intercepts_, ["relu", "sigmoid"], fed)
    line = told.step("answer").to_dict(4)["lines"][0]
    assert line["what"] == "ŷ(setosa)"  # of which the one output is the probability
    assert line["value"] == pytest.approx(A[-1].item(), rel=1e-9)


def test_the_text_tells_the_way_forward_alone():
    net = Network([2, 2, 1], ["tanh", "sigmoid"], seed=3)
    told = explain(net, [[1.0, 0.5]], features=["a", "b"], outputs=["<one>"])
    text = told.to_text(90)
    assert text.startswith("Row 0 through the network\n2 → 2 → 1 · tanh, sigmoid\n")
    for word in ("back", "target", "loss", "δ", "dW", "update", "C ="):
        assert word not in text
    assert text.count("Layer 0 of 2") == text.count("Layer 1 of 2") == 1
    assert text.splitlines()[-1].split() == ["ŷ(<one>)", "=", f"{told.A[-1].item():.4g}"]


def test_the_page_in_a_browser(tmp_path):
    """No error in its console, nothing fetched, NumPy's numbers, and a diagram without δ."""
    net = Network([3, 4, 2], ["sigmoid", "sigmoid"], seed=0)
    X = np.random.default_rng(0).normal(size=(1, 3))
    told = explain(net, X, features=["<b>", "a & b", "c"], outputs=["<one>", "two"])
    page = told.to_html()
    assert "<svg" in page
    assert not any(word in page for word in ("δ", "→ <", "target", "Loss", "Update", "derivative"))
    assert page.count("<one>") == 0
    Z, A = forward(net.W, net.b, ["sigmoid", "sigmoid"], X)
    truth = {f"z[{l}]{'₀₁₂₃'[j]}": z for l in range(2) for j, z in enumerate(Z[l][0])}
    truth |= {f"a[{l}]{'₀₁₂₃'[j]}": a for l in (1, 2) for j, a in enumerate(A[l][0])}
    truth |= {"ŷ(<one>)": A[2][0, 0], "ŷ(two)": A[2][0, 1]}
    values, formulas = in_a_browser(told, tmp_path)
    assert values == pytest.approx(truth, rel=1e-10)
    assert min(formulas) > 0
    assert len(formulas) > 20


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *words: command(monkeypatch, capsys, *words)


def told_by(run, *words):
    code, out, err = run("explain", *words, "--json")
    assert code == 0, err
    return json.loads(out)


NOTE = "; derivatives need the answer, so only the way forward is told"


def test_the_command_line_on_a_table_model(run, tmp_path):
    rng = np.random.default_rng(0)
    table = pl.DataFrame({"x": rng.normal(size=60), "kind": ["a", "b"] * 30})
    table = table.with_columns(y=pl.col("x") * 2 + 10)
    new = table.drop("y")
    at = pl.int_range(60)
    gaps = table.with_columns(
        y=pl.when(at == 7).then(None).when(at == 8).then(np.nan).otherwise("y")
    )
    table.write_csv("t.csv")
    new.write_csv("new.csv")
    gaps.write_parquet("gaps.parquet")
    assert run("train", "t.csv", "--target", "y", "--epochs", 3, "--hidden", 4)[0] == 0
    assert run("predict", "t.chainrule", "new.csv", "-o", "answers.csv")[0] == 0
    predicted = pl.read_csv("answers.csv")["prediction"]

    told = told_by(run, "t.chainrule", "new.csv", "--row", 7)
    lacking = "the table has no column 'y', the model's target"
    assert told["notes"][0] == lacking + NOTE
    assert told["rows"] == ["7"]
    assert told["cost"] is None
    assert told["steps"][-1]["values"][0][0] == pytest.approx(predicted[7], rel=1e-5)
    for row in (7, 8):
        told = told_by(run, "t.chainrule", "gaps.parquet", "--row", 9, "--row", row)
        assert told["notes"][0] == f"target 'y' is empty in row {row}{NOTE}"
        assert told["steps"][-1]["values"][1][0] == pytest.approx(predicted[row], rel=1e-5)
    assert read_question("t.chainrule", gaps, [8], None).lacking == "target 'y' is empty in row 8"
    told = told_by(run, "t.chainrule", "gaps.parquet", "--row", 9)
    assert told["cost"] > 0
    assert not any(NOTE in note for note in told["notes"])

    code, out, _ = run("explain", "t.chainrule", "new.csv", "--unit", "0,2", "--html", "page.html")
    assert (code, out) == (0, "page.html: the way forward; open it in a browser\n")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "only the way forward is told" in page
    weight = ("explain", "t.chainrule", "new.csv", "--weight", "0,0,1")
    refused(run(*weight), f"--weight=0,0,1 follows a derivative.*{lacking}; leave --weight", code=2)


def test_the_command_line_on_another_model(run):
    """A table with as many columns as the model has inputs has no target, unless one is named."""
    X, y = load_iris(return_X_y=True)
    net = Network([4, 2, 1], ["tanh", "identity"], seed=0)
    save_model(net, "net.chainrule")
    save_model(fitted(MLPRegressor(hidden_layer_sizes=3), X, y), "model.chainrule")
    encoder = TableEncoder(numbers="none").fit(X)
    model = fitted(MLPRegressor(hidden_layer_sizes=3), encoder.transform(X), y)
    save_model(make_pipeline(encoder, model), "pipe.chainrule")
    columns = dict(zip("abcd", X.T, strict=True))
    pl.DataFrame(columns).write_csv("new.csv")
    pl.DataFrame(columns | {"y": y}).write_csv("known.csv")
    gaps = pl.DataFrame(columns | {"y": [None, *y[1:]]})
    gaps.write_csv("gaps.csv")
    gaps.select("y", *"abcd").write_csv("first.csv")
    for model in ("net", "model", "pipe"):
        model += ".chainrule"
        told = told_by(run, model, "new.csv", "--row", 3)
        inputs = "the table's 4 columns are the model's inputs, none its target"
        assert told["notes"][0] == inputs + NOTE
        assert told["X"] == [X[3].tolist()]
        assert told_by(run, model, "known.csv")["Y"] == [[0.0]]
        for words in (("gaps.csv",), ("gaps.csv", "--target", "y"), ("first.csv", "--target", "y")):
            told = told_by(run, model, *words)
            assert told["notes"][0] == f"target 'y' is empty in row 0{NOTE}"
            assert told["X"] == [X[0].tolist()]
        refused(run("explain", model, "gaps.csv", "--weight", "0,0,1"), "--weight=0,0,1", code=2)
        refused(run("explain", model, "new.csv", "--target", "y"), "the table has no column 'y'")
    named = run("explain", "net.chainrule", "new.csv", "--target", "d")
    refused(named, "X has 3 columns; expected 4")
    _, A = forward(net.W, net.b, ["tanh", "identity"], X[3:4])
    told = told_by(run, "net.chainrule", "new.csv", "--row", 3)
    assert told["features"] == [*"abcd"]
    assert told["steps"][-1]["values"] == pytest.approx(A[-1])
