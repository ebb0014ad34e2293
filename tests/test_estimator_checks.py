"""Every check of scikit-learn's estimator contract, with no expected failure."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from chainrule import MLPClassifier, MLPRegressor

QUICK = {"max_iter": 60, "random_state": 0}
VARIANTS = [
    {},
    {"solver": "lbfgs", "max_iter": 30},
    {"hidden_layer_sizes": (), "learning_rate_init": 0.1},
    {"solver": "rprop", "activation": "tanh", "engine": "reference"},
    {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "hidden_layer_sizes": (5, 4),
        "learning_rate_init": 0.1,
    },
]
ESTIMATORS = [
    estimator(**(QUICK | variant))
    for estimator in (MLPClassifier, MLPRegressor)
    for variant in VARIANTS
] + [MLPRegressor(scale_y="standard", **QUICK)]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(ESTIMATORS, xfail_strict=True)
def test_scikit_learn_contract(estimator, check):
    check(estimator)
