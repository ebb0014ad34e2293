"""Names: what is typed from habit is answered by its meaning, what is misspelt by its letters."""

import numpy as np
import pytest

from chainrule import ACTIVATIONS, LOSSES, OPTIMIZERS, SCHEDULES, MLPClassifier, MLPRegressor
from chainrule.callbacks import EarlyStopping
from chainrule.initializers import INITIALIZERS
from chainrule.names import ELSEWHERE, nearest
from chainrule.preprocessing.features import SCALINGS

CLASSIFIER = dict.fromkeys(["auto", "focal"])
TABLES = [LOSSES, CLASSIFIER, ACTIVATIONS, OPTIMIZERS, SCHEDULES, INITIALIZERS, SCALINGS]


def test_every_answer_is_a_name_that_is_known_somewhere():
    known = set().union(*TABLES)
    assert {name for names in ELSEWHERE.values() for name in names} <= known


def test_no_key_is_a_name_of_ours_for_something_else():
    for word, names in ELSEWHERE.items():
        for table in TABLES:
            assert word not in table or not set(names) & set(table), word


# Said by the documentation of Keras, PyTorch and scikit-learn, which call the same formula so.
@pytest.mark.parametrize(
    ("table", "theirs", "ours"),
    [
        (LOSSES, "mse", "squared_error"),
        (LOSSES, "MeanSquaredError", "squared_error"),
        (LOSSES, "MSELoss", "squared_error"),
        (LOSSES, "mae", "absolute_error"),
        (LOSSES, "SmoothL1Loss", "huber"),
        (LOSSES, "binary_crossentropy", "binary_cross_entropy"),
        (LOSSES, "BCELoss", "binary_cross_entropy"),
        (LOSSES, "categorical_crossentropy", "cross_entropy"),
        (LOSSES, "CrossEntropyLoss", "cross_entropy"),
        (CLASSIFIER, "log_loss", "auto"),
        (CLASSIFIER, "sparse_categorical_crossentropy", "auto"),
        (ACTIVATIONS, "swish", "silu"),
        (ACTIVATIONS, "linear", "identity"),
        (ACTIVATIONS, "LeakyReLU", "leaky_relu"),
        (OPTIMIZERS, "momentum", "sgd"),
        (OPTIMIZERS, "L-BFGS", "lbfgs"),
        (OPTIMIZERS, "adamax", "adam"),
        (SCHEDULES, "CosineAnnealingLR", "cosine"),
        (SCHEDULES, "ReduceLROnPlateau", "reduce_on_plateau"),
        (INITIALIZERS, "xavier_uniform", "glorot_uniform"),
        (INITIALIZERS, "kaiming_normal", "he_normal"),
        ({"monthly_spend": 0, "age": 0}, "spend", "monthly_spend"),
    ],
)
def test_what_others_call_it(table, theirs, ours):
    assert nearest(theirs, table) == f"; did you mean {ours!r}?"


@pytest.mark.parametrize(
    ("table", "word"),
    [(SCHEDULES, "linear"), (INITIALIZERS, "orthogonal"), (LOSSES, "xy"), (ACTIVATIONS, "sin")],
)
def test_nothing_is_guessed_where_nothing_is_near(table, word):
    assert nearest(word, table) == ""


@pytest.mark.parametrize(
    ("estimator", "given", "hint"),
    [
        (MLPRegressor, {"loss": "mse"}, "did you mean 'squared_error'"),
        (MLPClassifier, {"loss": "categorical_crossentropy"}, "did you mean 'auto'"),
        (MLPClassifier, {"activation": "swish"}, "did you mean 'silu'"),
        (MLPClassifier, {"learning_rate": 0.01}, r"did you mean learning_rate_init=0.01\?"),
        (MLPClassifier, {"callbacks": EarlyStopping()}, r"mean callbacks=\[EarlyStopping\(…\)\]"),
        (MLPClassifier, {"scale_X": True}, "did you mean 'standard'"),
    ],
)
def test_an_estimator_says_what_was_meant(estimator, given, hint):
    with pytest.raises(ValueError, match=hint):
        estimator(**given).fit(np.eye(4), [0, 1, 0, 1])
