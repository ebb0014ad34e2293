"""The estimators inside scikit-learn's tools: one test for each tool."""

import copy
import io
import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFE, SelectFromModel, SequentialFeatureSelector
from sklearn.inspection import PartialDependenceDisplay, permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import (
    ClassifierChain,
    MultiOutputClassifier,
    MultiOutputRegressor,
    RegressorChain,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, scale
from sklearn.utils import estimator_html_repr

from chainrule import MLPClassifier, MLPRegressor, ModelCheckpoint, load_model

IRIS = load_iris(return_X_y=True)
CANCER_X, CANCER_y = load_breast_cancer(return_X_y=True)
CANCER_X = scale(CANCER_X)
DIABETES_X, DIABETES_y = load_diabetes(return_X_y=True)
DIABETES_X, DIABETES_y = scale(DIABETES_X), scale(DIABETES_y)


def classifier(**given):
    settings = {"learning_rate_init": 0.03, "max_iter": 100, "random_state": 0, "n_threads": 1}
    return MLPClassifier((8,), **settings | given)


def regressor(**given):
    settings = {"learning_rate_init": 0.03, "max_iter": 60, "random_state": 0, "n_threads": 1}
    return MLPRegressor(hidden_layer_sizes=(6,), **settings | given)


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_pipeline():
    model = make_pipeline(StandardScaler(), classifier())
    assert model.fit(*IRIS).score(*IRIS) > 0.95
    model.set_params(mlpclassifier__hidden_layer_sizes=(4, 4)).fit(*IRIS)
    assert model[-1].n_layers_ == 4


@pytest.mark.parametrize("backend", ["loky", "threading"])
@pytest.mark.parametrize("search", [GridSearchCV, HalvingGridSearchCV])
def test_searches_in_parallel(search, backend):
    grid = {"hidden_layer_sizes": [(2,), (8,)], "alpha": [0.01, 1.0]}
    more = {"random_state": 0} if search is HalvingGridSearchCV else {}
    with joblib.parallel_backend(backend):
        parallel = search(classifier(), grid, cv=2, n_jobs=2, **more).fit(*IRIS)
    alone = search(classifier(), grid, cv=2, **more).fit(*IRIS)
    assert parallel.best_score_ > 0.9
    assert parallel.best_params_ == alone.best_params_
    scores = [each.cv_results_["mean_test_score"] for each in (parallel, alone)]
    assert np.array_equal(*scores)


def test_cross_validate():
    found = cross_validate(
        classifier(), *IRIS, cv=3, return_estimator=True, scoring=["accuracy", "neg_log_loss"]
    )
    assert found["test_accuracy"].min() > 0.9
    assert found["test_neg_log_loss"].min() > -0.5
    assert len({id(each) for each in found["estimator"]}) == 3


def test_cross_val_predict():
    probability = cross_val_predict(classifier(), *IRIS, cv=3, method="predict_proba")
    assert probability.shape == (150, 3)
    assert (probability.argmax(axis=1) == IRIS[1]).mean() > 0.9


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
def test_calibrated_classifier(method):
    model = CalibratedClassifierCV(classifier(), method=method, cv=3).fit(*IRIS)
    assert model.score(*IRIS) > 0.93
    assert np.allclose(model.predict_proba(IRIS[0]).sum(axis=1), 1)


@pytest.mark.parametrize(
    ("bagging", "data", "low"),
    [
        (BaggingClassifier(classifier(), 3, random_state=0), IRIS, 0.93),
        (BaggingRegressor(regressor(), 3, random_state=0), (DIABETES_X, DIABETES_y), 0.5),
    ],
    ids=["classifier", "regressor"],
)
def test_bagging(bagging, data, low):
    assert bagging.fit(*data).score(*data) > low


@pytest.mark.parametrize("voting", ["hard", "soft"])
def test_voting_classifier(voting):
    several = [("mlp", classifier()), ("linear", LogisticRegression(max_iter=1000))]
    assert VotingClassifier(several, voting=voting).fit(*IRIS).score(*IRIS) > 0.95


def test_voting_regressor():
    model = VotingRegressor([("mlp", regressor()), ("linear", Ridge())])
    assert model.fit(DIABETES_X, DIABETES_y).score(DIABETES_X, DIABETES_y) > 0.5


def test_stacking():
    several = [("mlp", classifier()), ("linear", LogisticRegression(max_iter=1000))]
    assert StackingClassifier(several, classifier(), cv=3).fit(*IRIS).score(*IRIS) > 0.95
    several = [("mlp", regressor()), ("linear", Ridge())]
    model = StackingRegressor(several, cv=3).fit(DIABETES_X, DIABETES_y)
    assert model.score(DIABETES_X, DIABETES_y) > 0.5


def test_multi_output_classifier():
    Y = np.c_[IRIS[1], IRIS[1] == 2, np.ones(150)]  # one of the targets has one class only
    model = MultiOutputClassifier(classifier()).fit(IRIS[0], Y)
    assert model.score(IRIS[0], Y) > 0.9


def test_multi_output_regressor_and_chain():
    Y = np.c_[DIABETES_y, -DIABETES_y]
    for several in (MultiOutputRegressor(regressor()), RegressorChain(regressor())):
        assert several.fit(DIABETES_X, Y).score(DIABETES_X, Y) > 0.5


def test_classifier_chain():
    Y = np.c_[IRIS[1] > 0, IRIS[1] > 1].astype(int)
    model = ClassifierChain(classifier(), order=[1, 0]).fit(IRIS[0], Y)
    assert (model.predict(IRIS[0]) == Y).mean() > 0.95


def test_one_vs_rest_and_one_vs_one():
    X, y = scale(IRIS[0]), IRIS[1]
    for several in (OneVsRestClassifier(classifier()), OneVsOneClassifier(classifier())):
        assert several.fit(X, y).score(X, y) > 0.93


def test_adaboost_gives_its_weights():
    model = AdaBoostClassifier(classifier(), n_estimators=3, random_state=0).fit(*IRIS)
    assert model.score(*IRIS) > 0.93
    model = AdaBoostRegressor(regressor(), n_estimators=3, random_state=0)
    assert model.fit(DIABETES_X, DIABETES_y).score(DIABETES_X, DIABETES_y) > 0.4


def test_transformed_target():
    y = np.exp(DIABETES_y)
    model = TransformedTargetRegressor(regressor(), func=np.log, inverse_func=np.exp)
    assert model.fit(DIABETES_X, y).predict(DIABETES_X).min() > 0


def test_permutation_importance():
    found = permutation_importance(
        classifier().fit(*IRIS), *IRIS, n_repeats=3, random_state=0, n_jobs=2
    )
    assert found.importances_mean[2:].min() > found.importances_mean[:2].max()


def test_partial_dependence():
    model = classifier().fit(CANCER_X[:, :4], CANCER_y)
    shown = PartialDependenceDisplay.from_estimator(model, CANCER_X[:, :4], [0, (1, 2)])
    assert shown.axes_.shape == (1, 2)
    shown = PartialDependenceDisplay.from_estimator(
        regressor().fit(DIABETES_X, DIABETES_y), DIABETES_X, [2], kind="both"
    )
    shown.figure_.clear()


def test_learning_curve():
    sizes, _, test = learning_curve(
        classifier(), *IRIS, train_sizes=[0.3, 1.0], cv=3, shuffle=True, random_state=0
    )
    assert len(sizes) == 2
    assert test[-1].mean() > 0.9


def test_learning_curve_with_partial_fit():
    model = MLPClassifier((8,), learning_rate_init=0.01, random_state=0)
    _, _, test = learning_curve(
        model, CANCER_X, CANCER_y, train_sizes=[0.5, 1.0], cv=2, exploit_incremental_learning=True
    )
    assert test.min() > 0.5


def test_feature_selection():
    chosen = SequentialFeatureSelector(classifier(max_iter=20), n_features_to_select=2, cv=2)
    assert chosen.fit(*IRIS).get_support().sum() == 2


def test_selection_by_the_first_weights():
    def importance(model):
        return np.abs(model.coefs_[0]).sum(axis=1)

    X = np.c_[IRIS[0], np.random.default_rng(0).normal(size=(150, 2))]
    chosen = SelectFromModel(classifier(), importance_getter=importance).fit(X, IRIS[1])
    assert set(chosen.get_support(indices=True)) & {2, 3}
    chosen = RFE(classifier(), n_features_to_select=2, importance_getter=importance)
    assert chosen.fit(X, IRIS[1]).support_.sum() == 2


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_set_output(output):
    model = make_pipeline(StandardScaler(), classifier()).set_output(transform=output)
    X = pd.DataFrame(IRIS[0], columns=list("abcd"))
    model.fit(X if output == "pandas" else pl.from_pandas(X), IRIS[1])
    assert model[-1].feature_names_in_.tolist() == list("abcd")


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_feature_names(frame):
    X = frame(dict(zip("abcd", IRIS[0].T, strict=True)))
    model = classifier(early_stopping=True).fit(X, IRIS[1])
    assert model.feature_names_in_.tolist() == list("abcd")
    assert np.array_equal(model.predict(X), model.predict(X))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(IRIS[0])
    renamed = frame(dict(zip("abcx", IRIS[0].T, strict=True)))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(renamed)


def test_mixed_frame_in_a_pipeline():
    X = pd.DataFrame({"number": IRIS[0][:, 2], "word": np.where(IRIS[0][:, 3] > 1, "wide", "thin")})
    encoded = make_column_transformer((StandardScaler(), ["number"]), (OneHotEncoder(), ["word"]))
    assert make_pipeline(encoded, classifier()).fit(X, IRIS[1]).score(X, IRIS[1]) > 0.9


def test_metadata_routing():
    weights = np.linspace(0.1, 2, 150)
    wanted = {"sample_weight": True}
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        model = classifier(early_stopping=True)
        line = make_pipeline(scaler, model.set_fit_request(**wanted, eval_set=True))
        line.fit(*IRIS, sample_weight=weights, eval_set=(scale(IRIS[0]), IRIS[1]))
        plain = classifier(early_stopping=True)
        plain.fit(scale(IRIS[0]), IRIS[1], weights, eval_set=(scale(IRIS[0]), IRIS[1]))
        assert np.allclose(line[-1].validation_scores_, plain.validation_scores_)
        model = classifier().set_fit_request(**wanted).set_score_request(**wanted)
        line = make_pipeline(scaler, model)
        found = cross_validate(line, *IRIS, cv=3, params={"sample_weight": weights})
        assert found["test_score"].min() > 0.9


def test_html_repr_is_short():
    model = classifier().fit(*IRIS)
    for shown in (estimator_html_repr(model), estimator_html_repr(make_pipeline(model))):
        assert "hidden_layer_sizes" in shown
        assert len(shown) - len(estimator_html_repr(LogisticRegression())) < 60_000
    assert len(repr(model)) < 200
    longest = max(map(len, estimator_html_repr(model).splitlines()))
    assert longest < 2000


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize("model", [classifier(), regressor()], ids=["class", "number"])
def test_copies_predict_and_train_alike(model, copied):
    model = clone(model).fit(*IRIS)
    again = copied(model)
    assert np.array_equal(again.predict(IRIS[0]), model.predict(IRIS[0]))
    for each in (model, again):
        each.set_params(warm_start=True).fit(*IRIS)
    assert np.array_equal(again.coefs_[0], model.coefs_[0])


def test_clone_has_the_parameters_and_nothing_learnt():
    model = classifier(alpha=0.3).fit(*IRIS)
    other = clone(model)
    assert other.get_params() == model.get_params()
    assert not hasattr(other, "coefs_")


def test_joblib(tmp_path):
    model = classifier().fit(*IRIS)
    joblib.dump(model, tmp_path / "model.joblib", compress=3)
    assert np.array_equal(
        joblib.load(tmp_path / "model.joblib").predict_proba(IRIS[0]), model.predict_proba(IRIS[0])
    )
    joblib.dump(model, tmp_path / "mapped.joblib")
    mapped = joblib.load(tmp_path / "mapped.joblib", mmap_mode="r")
    assert np.array_equal(mapped.predict(IRIS[0]), model.predict(IRIS[0]))


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (classifier(early_stopping=True), IRIS),
        (regressor(scale_y="standard"), (DIABETES_X, DIABETES_y)),
    ],
    ids=["classifier", "regressor"],
)
def test_skops(model, data):
    skops = pytest.importorskip("skops.io")
    model = clone(model).fit(*data)
    stored = skops.dumps(model)
    trusted = skops.get_untrusted_types(data=stored)
    assert all(name.startswith("chainrule.") for name in trusted)
    again = skops.loads(stored, trusted=trusted)
    assert np.array_equal(again.predict(data[0]), model.predict(data[0]))


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_array, sparse.coo_array])
def test_sparse_inputs(kind):
    X = np.where(np.abs(CANCER_X) > 1, CANCER_X, 0)
    dense, thin = classifier().fit(X, CANCER_y), classifier().fit(kind(X), CANCER_y)
    assert np.allclose(dense.predict_proba(X), thin.predict_proba(kind(X)), atol=1e-6)
    assert np.array_equal(thin.predict(kind(X)), thin.predict(X))


def test_a_model_in_an_open_file():
    model = classifier().fit(*IRIS)
    file = io.BytesIO()
    pickle.dump(model, file)
    file.seek(0)
    assert np.array_equal(pickle.load(file).predict(IRIS[0]), model.predict(IRIS[0]))


def test_callbacks_of_scikit_learn():
    protocol = pytest.importorskip("sklearn.callback", reason="scikit-learn is before 1.9")
    monitor = protocol.ScoringMonitor(scoring="accuracy")
    model = classifier(max_iter=7).set_callbacks(monitor).fit(*IRIS)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    scores = [classifier(max_iter=1 + k).fit(*IRIS).score(*IRIS) for k in range(7)]
    assert [row["accuracy"] for row in rows] == scores
    assert not hasattr(model, "_callback_fit_ctx")
    assert np.array_equal(model.coefs_[0], classifier(max_iter=7).fit(*IRIS).coefs_[0])


def test_progress_bar_of_scikit_learn_around_a_search(capfd):
    protocol = pytest.importorskip("sklearn.callback", reason="scikit-learn is before 1.9")
    search = GridSearchCV(regressor(max_iter=3), {"alpha": [0.1, 1]}, cv=2)
    search.set_callbacks(protocol.ProgressBar(max_propagation_depth=None))
    search.fit(DIABETES_X, DIABETES_y)
    assert "MLPRegressor - fit" in capfd.readouterr().out


def test_a_checkpoint_is_an_estimator(tmp_path):
    saving = ModelCheckpoint(tmp_path / "best.chainrule", monitor="loss", save_best_only=False)
    model = classifier(max_iter=5, callbacks=[saving]).fit(*IRIS)
    stored = load_model(saving.latest)
    assert np.array_equal(stored.predict_proba(IRIS[0]), model.predict_proba(IRIS[0]))
    assert stored.n_iter_ == 5
