"""Words: what to type, in the parameters of `train` or in those of the estimators.

A check names a remedy by its key; these tables are the only place where a remedy's spelling
stands. Every key is in each.
"""

from __future__ import annotations

from typing import Any

#: For networks trained with `chainrule.train`.
OF_TRAIN = {
    "activation": "activations={value!r}",
    "averaging": "averaging the outputs of several networks",
    "balance": "weights=n / (classes · rows of its class) for each row",
    "clip": "clip_norm={value:g}",
    "depth": "fewer layers",
    "dropout": "dropout={value:g}",
    "epochs": "epochs={value}",
    "initializer": "initializers='auto'",
    "l2": "l2={value:g}",
    "less_clip": "no clip_norm, or clip_norm={value:.2g}",
    "monitor": "callbacks=[EarlyStopping(monitor='validation_loss')]",
    "optimizer": "optimizer={value!r}",
    "output": "output_activation={value!r}",
    "patience": "validation=0.2, patience={value}",
    "rate": "optimizer={optimizer}({value:.2g})",
    "scale_X": "(X - X.mean(axis=0)) / X.std(axis=0) as inputs, or TableEncoder",
    "scale_y": "(Y - Y.mean(axis=0)) / Y.std(axis=0) as targets",
    "schedule": "schedule={value!r}",
    "units": "more units",
}

#: For MLPClassifier and MLPRegressor.
OF_ESTIMATORS = OF_TRAIN | {
    "activation": "activation={value!r}",
    "averaging": "n_estimators=5",
    "balance": "class_weight='balanced'",
    "depth": "fewer entries in hidden_layer_sizes",
    "epochs": "max_iter={value}",
    "initializer": "initializer='auto'",
    "less_clip": "clip_norm=None, or clip_norm={value:.2g}",
    "l2": "l2={value:g} (or a larger alpha)",
    "monitor": "monitor='validation_loss'",
    "optimizer": "solver={value!r}",
    "patience": "early_stopping=True, n_iter_no_change={value}",
    "rate": "learning_rate_init={value:.2g}",
    "scale_X": "scale_X='standard', or StandardScaler or TableEncoder before the model",
    "scale_y": "scale_y='standard'",
    "schedule": "learning_rate={value!r}",
    "units": "larger hidden_layer_sizes",
}

#: For estimators whose solver is an object, which has the learning rate.
OF_OWN_SOLVERS = OF_ESTIMATORS | {"rate": "solver={optimizer}({value:.2g})"}

#: For the command line, which scales by itself; what it has no option for is done in Python.
OF_COMMANDS = (
    OF_ESTIMATORS
    | {
        "activation": "--activation {value}",
        "balance": "--class-weight balanced",
        "clip": "--clip-norm {value:g}",
        "depth": "fewer entries in --hidden",
        "dropout": "--dropout {value:g}",
        "epochs": "--epochs {value}",
        "less_clip": "no --clip-norm, or --clip-norm {value:.2g}",
        "optimizer": "--solver {value}",
        "patience": "--validation 0.2, --patience {value}",
        "rate": "--learning-rate {value:.2g}",
        "scale_X": "a table without outliers and typing errors",
        "schedule": "--schedule {value}",
        "units": "a larger --hidden",
    }
    | {
        key: f"{OF_ESTIMATORS[key]} in Python"
        for key in (
            "averaging",
            "initializer",
            "l2",
            "monitor",
            "output",
        )
    }
)

#: What the argument `speaks` of `diagnose` may be.
SPEECH: dict[str, dict[str, str]] = {
    "train": OF_TRAIN,
    "estimator": OF_ESTIMATORS,
    "own_solver": OF_OWN_SOLVERS,
    "command": OF_COMMANDS,
}


def listed(names: list[str], most: int = 5) -> str:
    """Return names in a sentence, the first of them where there are many.

    >>> listed(["a"]), listed(["a", "b", "c"]), listed(list("abcdef"), most=2)
    ('a', 'a, b and c', 'a, b and 4 more')
    """
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def share(part: float) -> str:
    """Return a share as a percentage: without decimals, unless it is small.

    >>> share(0.5), share(0.0123), share(0.0)
    ('50 %', '1.2 %', '0 %')
    """
    percent = 100 * part
    return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.2g} %"


def times(factor: float) -> str:
    """Return a factor as it is read in a sentence.

    >>> times(4021.7), times(3.14159), times(1.5e9)
    ('4,020', '3.1', '1.5e+09')
    """
    if factor >= 1e6:
        return f"{factor:.2g}"
    return f"{float(f'{factor:.3g}'):,.0f}" if factor >= 10 else f"{factor:.2g}"


def plain(value: Any) -> Any:
    """Return what JSON can hold: NumPy's numbers and arrays as Python's, keys as text."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return plain(value.tolist()) if hasattr(value, "tolist") else value
