"""Table: every parameter of the estimators, what it means and what it may be, once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.activations import ACTIVATIONS, Activation
from chainrule.arrays import is_number
from chainrule.engine import ENGINE_CHOICES
from chainrule.estimators.parameters import (
    Accepts,
    Parameter,
    either,
    flag,
    nothing,
    number,
    one_of,
    seed,
    several,
    share,
    whole,
)
from chainrule.initializers import INITIALIZERS
from chainrule.losses import LOSSES, Loss
from chainrule.optimizers import LBFGS, OPTIMIZERS, Optimizer
from chainrule.own import is_pair
from chainrule.schedules import SCHEDULES, Schedule


def _entry(kinds: type | tuple[type, ...], names: Callable[[], Sequence[str]]) -> Accepts:
    return lambda v: isinstance(v, kinds) or (isinstance(v, str) and v in names())


def _activation_names() -> list[str]:
    return sorted(ACTIVATIONS)


def _schedule_names() -> list[str]:
    return sorted({"invscaling", "adaptive", *SCHEDULES})


def _initializer_names() -> list[str]:
    return sorted({"auto", *INITIALIZERS})


def _losses_of_numbers() -> list[str]:
    of_numbers = [name for name, kind in LOSSES.items() if kind.targets[1] > 1]
    return sorted(set(of_numbers) - {"quantiles"})  # the parameter `quantile` says whether several


def _losses_of_classes() -> list[str]:
    return ["auto", "focal"]


def _scalings() -> list[str]:
    from chainrule.preprocessing.features import SCALINGS  # the table's readers are not light

    return sorted(SCALINGS)


def _is_scaling(value: Any) -> bool:
    return isinstance(value, str) and (value == "none" or value in _scalings())


def _is_scorer(value: Any) -> bool:
    from sklearn.metrics import get_scorer_names

    return isinstance(value, str) and value in get_scorer_names()


_is_activation = either(_entry(Activation, _activation_names), is_pair)
_is_initializer = either(one_of("auto", *INITIALIZERS), callable)
_SHARE, _FLAG, _NOT_NEGATIVE = "a number >= 0 and < 1", "True or False", "a finite number >= 0"
_POSITIVE_OR_NONE = "None or a finite number > 0"
_WHOLE, _WHOLE_OR_NONE = "a whole number >= 1", "None or a whole number >= 1"

#: What scikit-learn's estimators have too.
PARAMETERS: dict[str, Parameter] = {
    "hidden_layer_sizes": Parameter(
        "Units of each hidden layer; () is linear, logistic or softmax regression.",
        either(whole, several(whole)),
        "a whole number >= 1 or a sequence of them, such as (64, 32)",
    ),
    "activation": Parameter(
        "Activation of the hidden layers: a name, an Activation, or a pair of functions, σ(z) and"
        " its derivative; or a list of one per layer. Your own are checked against finite"
        " differences when first used.",
        either(_is_activation, several(_is_activation)),
        "a name in ACTIVATIONS, an Activation, a pair of functions, or a sequence of one per hidden"
        " layer",
        _activation_names,
    ),
    "solver": Parameter(
        "Optimizer: a name, or an object with settings of its own, such as RMSprop(0.01).",
        _entry((Optimizer, LBFGS), lambda: sorted(OPTIMIZERS)),
        "a name in OPTIMIZERS, or an optimizer",
        lambda: sorted(OPTIMIZERS),
    ),
    "alpha": Parameter(
        "L2 penalty on the weights, divided by the batch's total sample weight.",
        number(0),
        _NOT_NEGATIVE,
    ),
    "batch_size": Parameter(
        "Rows per update; 'auto' is min(200, n), or all for full-batch solvers.",
        either(whole, one_of("auto")),
        "'auto' or a whole number >= 1",
    ),
    "learning_rate": Parameter(
        "Schedule of the learning rate, for every solver but 'lbfgs': a name, or a Schedule.",
        _entry(Schedule, _schedule_names),
        "'constant', 'invscaling', 'adaptive', a name in SCHEDULES, or a Schedule",
        _schedule_names,
    ),
    "learning_rate_init": Parameter(
        "Learning rate that the schedule starts from.",
        number(0, open_low=True),
        "a finite number > 0, such as 0.001",
    ),
    "power_t": Parameter(
        "Exponent p of 'invscaling': η / tᵖ, with t counted in updates.", number(0), _NOT_NEGATIVE
    ),
    "max_iter": Parameter("Most epochs (for 'lbfgs', iterations).", whole, _WHOLE),
    "shuffle": Parameter("Whether each epoch takes the rows in a new order.", flag, _FLAG),
    "random_state": Parameter(
        "Seed of first weights, order of rows and validation split.",
        lambda v: v is None or isinstance(v, np.random.RandomState) or seed(v),
        "None, a whole number from 0 to 2**32 - 1, or a RandomState",
    ),
    "tol": Parameter("Improvement that counts as one.", number(0), _NOT_NEGATIVE),
    "verbose": Parameter(
        "Whether to print a line per epoch.",
        lambda v: flag(v) or (isinstance(v, (int, np.integer)) and bool(v >= 0)),
        _FLAG,
    ),
    "warm_start": Parameter("Whether `fit` goes on from the last weights.", flag, _FLAG),
    "momentum": Parameter("Momentum of 'sgd'.", number(0, 1), "a number from 0 to 1"),
    "nesterovs_momentum": Parameter("Whether it is Nesterov's.", flag, _FLAG),
    "early_stopping": Parameter(
        "Whether to hold out rows (or take `eval_set`), stop when `monitor` no longer improves on"
        " them, and keep the best weights.",
        flag,
        _FLAG,
    ),
    "validation_fraction": Parameter(
        "Share of the rows that is held out; stratified by class.", share, _SHARE
    ),
    "beta_1": Parameter("Decay of Adam's mean.", share, _SHARE),
    "beta_2": Parameter("Decay of Adam's square.", share, _SHARE),
    "epsilon": Parameter("Adam's ε.", number(0, open_low=True), "a finite number > 0"),
    "n_iter_no_change": Parameter(
        "Epochs without improvement to wait before stopping.",
        lambda v: whole(v) or (is_number_or_inf(v) and v == np.inf),
        "a whole number >= 1, or inf",
    ),
    "max_fun": Parameter("Most evaluations for 'lbfgs'.", whole, _WHOLE),
}


def is_number_or_inf(value: Any) -> bool:
    """Tell whether `value` is one number, infinity too."""
    return is_number(value) or (isinstance(value, (float, np.floating)) and not np.isnan(value))


#: What its users asked for.
PARAMETERS |= {
    "output_activation": Parameter(
        "Activation of the output layer; 'auto' is what the loss pairs with.",
        either(one_of("auto"), _is_activation),
        "'auto', a name in ACTIVATIONS, an Activation, or a pair of functions",
        lambda: ["auto", *_activation_names()],
    ),
    "initializer": Parameter(
        "First weights: a name or a function (rng, n_in, n_out), or one per layer, output included;"
        " 'auto' is scikit-learn's rule, and for activations that it has not, what suits each.",
        either(_is_initializer, several(_is_initializer)),
        "'auto', a name in INITIALIZERS, a function, or a sequence of one per layer",
        _initializer_names,
    ),
    "dropout": Parameter(
        "Share of the hidden units that drops out in each update: one, or one per hidden layer.",
        either(share, several(share)),
        "a number >= 0 and < 1, or a sequence of one per hidden layer",
    ),
    "input_dropout": Parameter("Share of the inputs that drops out.", share, _SHARE),
    "l1": Parameter("Penalty l1·Σ|w|, whatever the batch's size.", number(0), _NOT_NEGATIVE),
    "l2": Parameter(
        "Penalty ½·l2·Σw², whatever the batch's size; `alpha` is scikit-learn's, which is divided"
        " by it.",
        number(0),
        _NOT_NEGATIVE,
    ),
    "weight_decay": Parameter(
        "Decoupled decay (Loshchilov and Hutter 2019): w ← w − η·weight_decay·w before each update,"
        " for every solver that takes steps.",
        number(0),
        _NOT_NEGATIVE,
    ),
    "clip_norm": Parameter(
        "Most that the gradient's norm may be in an update; a larger one is scaled down.",
        either(nothing, number(0, open_low=True)),
        _POSITIVE_OR_NONE,
    ),
    "gradient_accumulation_steps": Parameter(
        "Batches whose gradients are averaged for one update.", whole, _WHOLE
    ),
    "ema_decay": Parameter(
        "Decay of an exponential moving average of the weights, such as 0.999: the averaged weights"
        " are those validated and kept.",
        either(nothing, lambda v: is_number(v, above=0) and bool(v < 1)),
        "None or a number between 0 and 1",
    ),
    "monitor": Parameter(
        "What early stopping and the best weights go by, on the held-out rows: 'metric' (accuracy"
        " or R², as scikit-learn), 'validation_loss', which is steadier, a scorer's name, a scorer"
        " (estimator, X, y) -> float, or a Loss.",
        either(
            one_of("metric", "validation_loss", *LOSSES),
            _is_scorer,
            callable,
            lambda v: isinstance(v, Loss),
        ),
        "'metric', 'validation_loss', a scorer or its name (sklearn.metrics.get_scorer_names()),"
        " or a Loss",
        lambda: ("metric", "validation_loss"),
    ),
    "restore_best_weights": Parameter(
        "Whether to end with the weights of the best epoch, by `monitor` on held-out rows, or by"
        " the loss where there are none; None is: with early stopping.",
        either(nothing, flag),
        "None, True or False",
    ),
    "callbacks": Parameter(
        "Callback objects; see `chainrule.callbacks`.",
        lambda v: v is None or (isinstance(v, Sequence) and not isinstance(v, str)),
        "None or a sequence of Callback objects",
    ),
    "width": Parameter(
        "Units of every hidden layer, in place of `hidden_layer_sizes`, for search tools.",
        either(nothing, whole),
        _WHOLE_OR_NONE,
    ),
    "depth": Parameter(
        "Number of hidden layers, in place of `hidden_layer_sizes`; 0 is none.",
        lambda v: v is None or whole(v) or (seed(v) and v == 0),
        "None or a whole number >= 0",
    ),
    "scale_X": Parameter(
        "Scaling of the features inside the model: 'standard', or 'robust', by quartiles, with"
        " outliers squashed.",
        _is_scaling,
        "'none', 'standard' or 'robust'",
        _scalings,
    ),
    "missing": Parameter(
        "What becomes of NaN and other gaps in X: an error, or filled in; with 'indicator' another"
        " feature tells where they were.",
        one_of("error", "indicator", "impute"),
        "'error', 'indicator' or 'impute'",
        lambda: ("error", "indicator", "impute"),
    ),
    "categorical_features": Parameter(
        "Columns that hold categories: 'from_dtype' takes those of text, categories, true/false and"
        " dates; a list names columns, or gives their places. None is none.",
        either(
            nothing,
            one_of("from_dtype"),
            several(lambda v: isinstance(v, (str, int, np.integer))),
        ),
        "None, 'from_dtype', or a list of column names or places",
        lambda: ("from_dtype",),
    ),
    "n_estimators": Parameter(
        "Networks trained side by side from other seeds, and averaged; see `predict_spread`.",
        whole,
        _WHOLE,
    ),
    "calibration_fraction": Parameter(
        "Share of the rows kept out of training, by which `calibrate` is called in the end.",
        share,
        _SHARE,
    ),
    "engine": Parameter(
        "What executes the steps: 'reference' (NumPy), 'native' (compiled), or 'auto', which is the"
        " native engine where it can run this.",
        one_of(*ENGINE_CHOICES),
        "'auto', 'native' or 'reference'",
        lambda: ENGINE_CHOICES,
    ),
    "n_threads": Parameter(
        "Most cores to use; None is all.", either(nothing, whole), _WHOLE_OR_NONE
    ),
}

#: What only a classifier has.
OF_CLASSIFICATION: dict[str, Parameter] = {
    "loss": Parameter(
        "What is minimised: 'auto' is cross-entropy, 'focal' puts weight on rows that are hard"
        " (Lin et al. 2017); a Loss; or a pair of functions of (a, y), loss and gradient.",
        either(_entry(Loss, _losses_of_classes), is_pair),
        "'auto', 'focal', a Loss, or a pair of functions",
        _losses_of_classes,
    ),
    "label_smoothing": Parameter(
        "Share s by which cross-entropy's targets are drawn to 1 / classes.", share, _SHARE
    ),
    "class_weight": Parameter(
        "Weight of each class: a dict, or 'balanced', which is n / (classes · rows of the class);"
        " 'metric' on held-out rows is weighed so, too.",
        lambda v: v is None or isinstance(v, dict) or v == "balanced",
        "None, 'balanced', or a dict of class: weight",
        lambda: ("balanced",),
    ),
}

#: What only a regressor has.
OF_REGRESSION: dict[str, Parameter] = {
    "loss": Parameter(
        "What is minimised; 'poisson' has an exponential output and needs y >= 0; 'quantile' goes"
        " with `quantile`; a Loss, or a pair of functions of (a, y), loss and gradient.",
        either(_entry(Loss, _losses_of_numbers), is_pair),
        "a loss for numbers, a Loss, or a pair of functions",
        _losses_of_numbers,
    ),
    "quantile": Parameter(
        "The quantile of loss='quantile', or several, which never cross: `predict` gives the one"
        " nearest to 0.5, `predict_quantiles` all.",
        lambda v: _is_quantile(v) or (several(_is_quantile)(v) and len(v) > 0),
        "a number between 0 and 1, or an increasing sequence of them",
    ),
    "scale_y": Parameter(
        "Whether the network learns (y - mean) / standard deviation, or, 'robust', (y - median) /"
        " (q75 - q25); predictions are in y's units.",
        _is_scaling,
        "'none', 'standard' or 'robust'",
        _scalings,
    ),
}


def _is_quantile(value: Any) -> bool:
    return is_number(value, above=0) and bool(value < 1)


_COMMON = """
    coefs_, intercepts_ : list of ndarray
        Weights (n_in, n_out) and biases (n_out,) of each layer, of the first member.
    loss_curve_, validation_curve_, validation_scores_ : list of float
        Of each epoch: the loss; with early stopping or `eval_set`, the loss and what `monitor`
        names on the held-out rows. None where nothing was held out.
    history_ : list of dict
        One plain record per epoch: loss, validation_loss, metric, rate, gradient_norm, seconds, …
    stop_reason_ : str
        Why the training ended.
    best_epoch_ : int or None
        The epoch whose weights were kept, where that was asked for.
    engine_, engine_reason_ : str
        What executed the steps, and why it was not the native engine.
    members_ : list of dict
        `coefs` and `intercepts` of each of several members.
    encoder_ : TableEncoder
        What turns X into features, where `scale_X`, `missing` or `categorical_features` ask for it.
    n_iter_, n_layers_, n_outputs_, t_, loss_, best_loss_, best_validation_score_, \
out_activation_, n_features_in_, feature_names_in_
        As in scikit-learn.
"""
ATTRIBUTES = f"""
    Attributes
    ----------{_COMMON}"""
