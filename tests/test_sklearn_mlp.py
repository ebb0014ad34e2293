"""scikit-learn's own tests of its MLP, with our classes in its place.

The installed `sklearn/neural_network/tests/test_mlp.py` is imported anew with our classes behind
scikit-learn's names; its tests are collected here as if they stood here.
"""

import importlib.util
import sys

import pytest
import sklearn.neural_network

import chainrule

#: Tests of scikit-learn's that fail here, with what, and why: they are expected to, strictly.
LEFT_OUT = {
    "test_gradient": (AttributeError, "calls the private _loss_grad_lbfgs; see test_gradcheck"),
    "test_learning_rate_warmstart": (
        AttributeError,
        "reads the private _optimizer, in which 'invscaling' counts rows; ours counts updates",
    ),
    "test_adaptive_learning_rate": (
        AttributeError,
        "reads the private _optimizer; see test_drop_in: weights are scikit-learn's under it",
    ),
    "test_n_iter_no_change": (
        AttributeError,
        "reads the private _no_improvement_count; see test_stopping",
    ),
    "test_n_iter_no_change_inf": (
        AttributeError,
        "reads the private _no_improvement_count, after all of its public asserts held",
    ),
    "test_early_stopping_stratified": (
        AssertionError,
        "wants the rare class 1 to be called 'True'; see test_drop_in: ours is named as in y",
    ),
    "test_mlp_partial_fit_after_fit": (
        pytest.fail.Exception,
        "wants early_stopping=True refused by partial_fit, where it works; see test_stopping",
    ),
}


def _theirs():
    """Return scikit-learn's module of tests, in which MLPClassifier and MLPRegressor are ours."""
    path = importlib.util.find_spec("sklearn.neural_network.tests.test_mlp")
    spec = importlib.util.spec_from_file_location("sklearn_tests_with_chainrule", path.origin)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLPClassifier", "MLPRegressor"):
            patch.setattr(sklearn.neural_network, name, getattr(chainrule, name))
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    return module


@pytest.fixture
def global_random_seed():
    """scikit-learn's fixture of this name."""
    return 42


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
for _name, _test in vars(_theirs()).items():
    if _name.startswith("test_"):
        if _name in LEFT_OUT:
            _error, _why = LEFT_OUT[_name]
            _test = pytest.mark.xfail(raises=_error, strict=True, reason=_why)(_test)
        globals()[_name] = _test


def test_all_that_are_left_out_exist():
    assert set(LEFT_OUT) <= {name for name in globals() if name.startswith("test_")}
