"""Drop-in: what scikit-learn's MLPClassifier and MLPRegressor have and do, ours have and do."""

import inspect
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

import chainrule

NAMES = ["MLPClassifier", "MLPRegressor"]
IRIS_X, IRIS_y = load_iris(return_X_y=True)
IRIS_X = scale(IRIS_X)
TABLES = {
    "two classes": (scale(load_breast_cancer().data), load_breast_cancer().target),
    "three classes": (IRIS_X, IRIS_y),
    "labels": (IRIS_X, np.eye(3, dtype=int)[IRIS_y]),
    "numbers": tuple(map(scale, load_diabetes(return_X_y=True))),
    "several numbers": (IRIS_X[:, :2], IRIS_X[:, 2:]),
    "counts": (IRIS_X, IRIS_y.astype(float)),
}
CLASSIFIED = ["two classes", "three classes", "labels"]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def ours_and_theirs(name):
    return getattr(chainrule, name), getattr(neural_network, name)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_in_their_order_with_their_defaults(name):
    ours, theirs = (list(inspect.signature(c).parameters.values()) for c in ours_and_theirs(name))
    for mine, other in zip(ours, theirs, strict=False):
        assert (mine.name, mine.default, mine.kind) == (other.name, other.default, other.kind)
    assert len(ours) > len(theirs)
    assert {each.kind for each in ours[len(theirs) :]} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("name", NAMES)
def test_methods_with_their_arguments(name):
    ours, theirs = ours_and_theirs(name)
    public = {n for n in dir(theirs) if not n.startswith("_") and callable(getattr(theirs, n))}
    assert {"fit", "partial_fit", "predict", "score", "get_params"} <= public
    for method in sorted(public):
        mine = list(inspect.signature(getattr(ours, method)).parameters.values())
        other = list(inspect.signature(getattr(theirs, method)).parameters.values())
        if method.endswith("_request"):  # routed arguments, one by one, in any order
            assert {each.name for each in other} <= {each.name for each in mine}
            continue
        shared = [(each.name, each.default) for each in mine[: len(other)]]
        assert shared == [(each.name, each.default) for each in other], method


@pytest.mark.parametrize("name", NAMES)
def test_docstring_tells_each_parameter_and_attribute(name):
    ours, theirs = ours_and_theirs(name)
    for parameter in inspect.signature(ours).parameters:
        assert re.search(rf"^    {parameter} : .+\n        \S", ours.__doc__, re.MULTILINE)
    X, y = TABLES["three classes"]
    attributes = [a for a in vars(theirs(max_iter=1).fit(X, y)) if re.match(r"[a-zA-Z].*_$", a)]
    for attribute in [*attributes, "feature_names_in_"]:
        assert re.search(rf"\b{attribute}\b", ours.__doc__), attribute


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
@pytest.mark.parametrize("table", TABLES)
def test_attributes_after_fit(table, solver, early_stopping):
    name = NAMES[table not in CLASSIFIED]
    X, y = TABLES[table]
    given = {"solver": solver, "early_stopping": early_stopping, "max_iter": 5, "random_state": 0}
    if table == "counts":
        given["loss"] = "poisson"
    mine, other = (each((6, 4), **given) if name == NAMES[0] else
                   each(hidden_layer_sizes=(6, 4), **given)
                   for each in ours_and_theirs(name))  # fmt: skip
    mine.fit(X, y)
    other.fit(X, y)
    learnt = [a for a in vars(other) if re.match(r"[a-zA-Z].*_$", a)]
    assert set(learnt) <= set(vars(mine))
    for attribute in learnt:
        a, b = getattr(mine, attribute), getattr(other, attribute)
        kinds = {"loss_": (float, np.floating), "best_loss_": (float, np.floating)}
        assert isinstance(a, kinds.get(attribute, type(b))) or a is b, attribute
    for attribute in ("n_features_in_", "n_layers_", "n_outputs_", "out_activation_", "classes_"):
        same = np.array_equal(getattr(mine, attribute, None), getattr(other, attribute, None))
        assert same, attribute
    for a, b in ((mine.coefs_, other.coefs_), (mine.intercepts_, other.intercepts_)):
        assert [(each.shape, each.dtype) for each in a] == [(each.shape, each.dtype) for each in b]
    if solver != "lbfgs":
        assert mine.n_iter_ == other.n_iter_ == len(mine.loss_curve_)
        assert abs(mine.t_ / other.t_ - 1) < 0.03  # as many rows are held out, or nearly
        assert (mine.validation_scores_ is None) == (other.validation_scores_ is None)


@pytest.mark.parametrize(
    "given",
    [
        {"solver": "sgd"},
        {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.5, "alpha": 0.5},
        {"solver": "sgd", "momentum": 0, "activation": "tanh", "batch_size": 7},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 2},
        {"solver": "adam", "batch_size": 64},
        {"solver": "adam", "beta_1": 0.5, "beta_2": 0.9, "alpha": 0},
        {"solver": "adam", "activation": "logistic", "batch_size": 64},
        {"solver": "adam", "activation": "identity", "weighted": True, "batch_size": 33},
        {"solver": "lbfgs", "activation": "tanh", "alpha": 0.5},
    ],
    ids=str,
)
@pytest.mark.parametrize("table", TABLES)
def test_the_same_weights_as_scikit_learn_from_the_same_start(table, given):
    """Adam's ε is next to nothing here, as theirs is added before the bias correction."""
    X, y = TABLES[table]
    given = {"max_iter": 7, "learning_rate_init": 0.02, "shuffle": False, "warm_start": True,
             "random_state": 0, "tol": 1e-7, "epsilon": 1e-30, **given}  # fmt: skip
    weights = np.linspace(0.2, 3, len(X)) if given.pop("weighted", False) else None
    if table not in CLASSIFIED:
        given["loss"] = "poisson" if table == "counts" else "squared_error"
    mine, other = (
        each(hidden_layer_sizes=(6, 4), **given)
        for each in ours_and_theirs(NAMES[table not in CLASSIFIED])
    )
    if given["solver"] == "lbfgs" and table == "several numbers":
        pytest.skip("theirs minimises another number than its gradient is of")
    for each in (mine, other):
        each.set_params(max_iter=1).fit(X, y, weights)
    mine.coefs_ = [W.copy() for W in other.coefs_]
    mine.intercepts_ = [b.copy() for b in other.intercepts_]
    other.best_loss_, other._no_improvement_count = np.inf, 0  # of the fit that gave the start
    for each in (mine, other):
        each.set_params(max_iter=given["max_iter"]).fit(X, y, weights)
    assert mine.n_iter_ == other.n_iter_
    loose = given["solver"] == "lbfgs"  # its line search leaps: differences of rounding grow
    for a, b in zip(mine.coefs_ + mine.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert np.allclose(a, b, rtol=1e-4 if loose else 1e-8, atol=1e-4 if loose else 1e-10)
    assert np.allclose(mine.predict(X), other.predict(X), atol=1e-3 if loose else 1e-8)
    if not loose and weights is None and table != "several numbers":
        # Theirs weighs batches by rows, and halves the mean over outputs too.
        assert np.allclose(mine.loss_curve_[1:], other.loss_curve_[1:], rtol=1e-8)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_verbose_prints_their_lines(name, early_stopping, capsys):
    printed = []
    for each in ours_and_theirs(name):
        model = each(hidden_layer_sizes=4, solver="sgd", tol=10.0, n_iter_no_change=2, verbose=True,
                     early_stopping=early_stopping, random_state=0)  # fmt: skip
        model.fit(IRIS_X, IRIS_y)
        lines = capsys.readouterr().out.splitlines()
        printed.append([re.sub(r"-?\d+\.\d{6,}(?! for)", "#", line) for line in lines])
    assert printed[0] == printed[1]
    assert printed[0][0] == "Iteration 1, loss = #"
    assert printed[0][-1].endswith("for 2 consecutive epochs. Stopping.")


def test_verbose_tells_a_lower_learning_rate(capsys):
    printed = []
    for each in ours_and_theirs("MLPClassifier"):
        model = each(4, solver="sgd", learning_rate="adaptive", tol=10.0, n_iter_no_change=2,
                     verbose=True, random_state=0)  # fmt: skip
        model.fit(IRIS_X, IRIS_y)
        lines = capsys.readouterr().out.splitlines()
        printed.append([line for line in lines if not line.startswith("Iteration")])
    assert "Setting learning rate to" in printed[0][0]
    assert printed[0] == printed[1]


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("name", NAMES)
def test_too_few_epochs_are_warned_of_with_what_to_try(name, solver):
    model = getattr(chainrule, name)(max_iter=3, solver=solver, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"(?s)3.*max_iter.*learning rate|3.*max_iter"):
        model.fit(IRIS_X, IRIS_y)


def test_a_warning_stands_at_the_line_that_called_fit():
    pipe = make_pipeline(StandardScaler(), chainrule.MLPClassifier(max_iter=2, random_state=0))
    for model in (pipe[-1], pipe):
        with pytest.warns(ConvergenceWarning) as warned:
            model.fit(IRIS_X, IRIS_y)
        assert [each.filename for each in warned] == [__file__]


def test_a_loss_that_rose_is_not_said_to_have_fallen():
    X = 1e4 * IRIS_X  # one wild step, then another
    model = chainrule.MLPRegressor(max_iter=2, learning_rate_init=1.0, random_state=0)
    with pytest.warns(ConvergenceWarning) as warned:
        model.fit(X, IRIS_y)
    before, after = model.loss_curve_
    moved = "fell" if after < before else "rose"
    assert f"the loss {moved} by {abs(after - before):.3g} to" in str(warned[0].message)
    assert moved == "rose"


def test_warm_start_goes_on():
    for each in ours_and_theirs("MLPRegressor"):
        model = each(hidden_layer_sizes=3, max_iter=4, warm_start=True, random_state=0)
        model.fit(IRIS_X, IRIS_y)
        first = model.loss_
        model.fit(IRIS_X, IRIS_y)
        assert model.loss_ < first
        assert (model.n_iter_, len(model.loss_curve_), model.t_) == (4, 8, 8 * 150)


@pytest.mark.parametrize("name", NAMES)
def test_partial_fit_goes_on(name):
    for each in ours_and_theirs(name):
        model = each(hidden_layer_sizes=3, random_state=0)
        more = {"classes": [0, 1, 2]} if name == NAMES[0] else {}
        for _ in range(3):
            model.partial_fit(IRIS_X, IRIS_y, **more)
        assert (model.n_iter_, len(model.loss_curve_), model.t_) == (1, 3, 3 * 150)
        assert model.loss_curve_[-1] < model.loss_curve_[0]


def test_partial_fit_refuses_other_classes():
    model = chainrule.MLPClassifier(random_state=0)
    model.partial_fit([[3, 2]], [0], classes=[0, 1])
    model.partial_fit([[3, 2]], [0], classes=[0, 1])
    with pytest.raises(ValueError, match=r"classes=\[1, 2\] .*\[0, 1\]"):
        model.partial_fit([[3, 2]], [1], classes=[1, 2])


def test_one_class_is_predicted():
    X = IRIS_X[:10]
    model = chainrule.MLPClassifier(max_iter=5, random_state=0).fit(X, ["a"] * 10)
    assert set(model.predict(X)) == {"a"}
    assert np.array_equal(model.predict_proba(X), np.ones((10, 1)))
    assert np.array_equal(model.predict_log_proba(X), np.zeros((10, 1)))
    assert model.score(X, ["a"] * 10) == 1


def test_a_class_too_rare_to_hold_out_is_named():
    model = chainrule.MLPClassifier(early_stopping=True)
    with pytest.raises(ValueError, match=r"have only 1 member.*too few members are: \['b'\]"):
        model.fit([[1, 2], [2, 3], [3, 4], [4, 5]], ["a", "a", "a", "b"])


def test_weights_set_by_hand_are_gone_on_from():
    model = chainrule.MLPRegressor(hidden_layer_sizes=2, solver="sgd", learning_rate_init=1e-9)
    model.coefs_ = [np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])]
    model.intercepts_ = [np.array([0.5, 0.5]), np.array([1.0])]
    model.n_features_in_ = 1
    model.partial_fit([[1.0]], [2.0])
    assert model.predict([[1.0]]) == pytest.approx(1.5 * 3 + 2.5 * 4 + 1, abs=1e-4)


def test_divergence_raises_and_says_what_to_try():
    model = chainrule.MLPRegressor(learning_rate_init=1e300, solver="sgd", random_state=0)
    with pytest.raises(ValueError, match=r"(?s)non-finite parameter weights.*learning rate below"):
        model.fit(IRIS_X, IRIS_y)


def test_divergence_beside_held_out_rows_warns_and_keeps_the_best():
    model = chainrule.MLPRegressor(
        hidden_layer_sizes=100, activation="identity", solver="sgd", learning_rate_init=1,
        early_stopping=True, max_iter=20, random_state=0,
    )  # fmt: skip
    with pytest.warns(ConvergenceWarning, match="learning rate below 1"):
        model.fit(IRIS_X, IRIS_y)
    assert np.isnan(model.validation_scores_[-1])
    assert np.isfinite(model.predict(IRIS_X)).all()
    assert "diverged" in model.stop_reason_


def test_the_migration_page_names_every_parameter_and_attribute():
    page = (Path(__file__).parents[1] / "docs" / "migration.md").read_text("utf-8")
    X, y = load_iris(return_X_y=True)
    for cls in (neural_network.MLPClassifier, neural_network.MLPRegressor):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = cls(max_iter=1).fit(X, y)
        attributes = [name for name in vars(fitted) if name.endswith("_") and name[0] != "_"]
        missing = [n for n in (*cls().get_params(), *attributes) if f"`{n}`" not in page]
        assert missing == []
