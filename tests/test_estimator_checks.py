"""Every check of scikit-learn's estimator contract, with no expected failure.

A quick set in which every setting occurs, and, marked slow, a ninth of the grid of all settings.
`GRID` in place of `GRID[::9]` runs all of it, which takes ten minutes.
"""

from functools import partial
from itertools import product

import pytest
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from chainrule import MLPClassifier, MLPRegressor
from chainrule.engine import ENGINES
from chainrule.optimizers import OPTIMIZERS
from single import SingleClassifier, SingleRegressor

#: With these, each solver learns the checks' small tables.
QUICK = {"hidden_layer_sizes": 20, "learning_rate_init": 0.03, "max_iter": 60, "random_state": 0}
SOLVERS = {name: {"solver": name} for name in sorted(OPTIMIZERS)} | {
    "lbfgs": {"solver": "lbfgs", "max_iter": 30},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.1, "clip_norm": 1.0},
}
VARIANTS = {
    "plain": {},
    "early stopping": {"early_stopping": True, "learning_rate_init": 0.1},
    "no hidden layer": {"hidden_layer_sizes": (), "learning_rate_init": 0.1},
    "dropout": {"dropout": 0.05, "input_dropout": 0.01, "hidden_layer_sizes": (40, 30)},
    "members": {"n_estimators": 2},
    "scaled": {"scale_X": "standard"},
    "monitored": {"early_stopping": True, "monitor": "validation_loss"},
    "calibrated": {"calibration_fraction": 0.2},
}


def estimators(settings, kinds=(MLPClassifier, MLPRegressor)):
    """Return a classifier and a regressor for each of several settings."""
    settings = list(settings)
    return [kind(**QUICK | given) for kind in kinds for given in settings]


REPRESENTATIVE = [
    *(kind(max_iter=60, random_state=0) for kind in (MLPClassifier, MLPRegressor)),
    *estimators(
        [
            SOLVERS["lbfgs"],
            SOLVERS["rprop"] | {"activation": "tanh", "engine": "reference"},
            SOLVERS["sgd"] | {"learning_rate": "adaptive", "hidden_layer_sizes": (5, 4)},
            SOLVERS["adamw"] | VARIANTS["early stopping"],
            SOLVERS["lbfgs"] | VARIANTS["early stopping"] | {"engine": "reference"},
            VARIANTS["no hidden layer"],
            VARIANTS["dropout"],
            VARIANTS["members"] | {"scale_X": "robust"},
        ]
    ),
    MLPRegressor(scale_y="robust", **QUICK),
]
GRID = estimators(
    SOLVERS[solver] | variant | {"engine": engine}
    for engine, solver, (name, variant) in product(sorted(ENGINES), SOLVERS, VARIANTS.items())
    if not (solver == "lbfgs" and name == "dropout")
)

SINGLE = partial(estimators, kinds=(SingleClassifier, SingleRegressor))

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
]


@parametrize_with_checks(REPRESENTATIVE, xfail_strict=True)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(GRID[::9], xfail_strict=True)
def test_scikit_learn_contract_in_every_setting(estimator, check):
    check(estimator)


@pytest.fixture
def to_single_precision(monkeypatch):
    """Compare as closely as scikit-learn's `assert_allclose` compares float32 by itself."""
    compare = partial(estimator_checks.assert_allclose_dense_sparse, rtol=1e-4, atol=1e-6)
    monkeypatch.setattr(estimator_checks, "assert_allclose_dense_sparse", compare)


@parametrize_with_checks(SINGLE([{}]), xfail_strict=True)
def test_scikit_learn_contract_in_float32(estimator, check, to_single_precision):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    SINGLE(
        [
            *(SOLVERS[name] for name in ("lbfgs", "rprop", "sgd")),
            *(
                {"engine": "reference", "hidden_layer_sizes": 30} | each
                for each in VARIANTS.values()
            ),
        ]
    ),
    xfail_strict=True,
)
def test_scikit_learn_contract_in_float32_in_every_variant(estimator, check, to_single_precision):
    check(estimator)
