"""Refusals: how the tests of bad input ask the library and the command line, and what they accept.

A bad input is refused in one line, or gives the same as its *truth*, the input as it was meant.
"""

import re
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from chainrule import MLPClassifier, MLPRegressor, Network, check_gradients, cli, train
from chainrule.preprocessing import TableEncoder

N = 40
X = np.random.default_rng(0).normal(size=(N, 3))
LABELS = (X[:, 0] > 0).astype(int)
NUMBERS = X @ [1.0, 2.0, 3.0]
FAST = ("--epochs", "2", "--hidden", "4")


@dataclass
class Truth:
    """What the bad input must give the same result as; None: anything that is finite."""

    value: object = None


def fit_classifier(X, y=LABELS, weights=None, **parameters):
    settings = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0} | parameters
    model = MLPClassifier(**settings).fit(X, y, weights)
    return np.concatenate([W.ravel() for W in model.coefs_])


def fit_regressor(X, y=NUMBERS, weights=None, **parameters):
    settings = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0} | parameters
    model = MLPRegressor(**settings).fit(X, y, weights)
    return np.concatenate([W.ravel() for W in model.coefs_])


def network(**options):
    return Network([3, 3, 1], "tanh", seed=0, **options)


def train_network(X, Y=NUMBERS[:, None], weights=None, **options):
    net = network()
    train(net, X, Y, weights=weights, **{"epochs": 2} | options)
    return net.theta


def check_network(X, Y=NUMBERS[:, None], weights=None, **options):
    report = check_gradients(network(), X, Y, weights=weights, **options)
    assert report.passed
    return np.array([layer.checked for layer in report.layers])


def encode(table):
    return TableEncoder().fit_transform(table)


LIBRARY = {
    "MLPClassifier": fit_classifier,
    "MLPRegressor": fit_regressor,
    "train": train_network,
    "check_gradients": check_network,
}


def hold(function, bad, expected):
    """Assert that `function` refuses `bad` in one line, or gives what the truth gives."""
    if isinstance(expected, str):
        with pytest.raises((ValueError, TypeError, MemoryError), match=expected) as error:
            function(bad)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 700
        return
    result = function(bad)
    assert np.isfinite(result).all()
    if expected.value is not None:
        np.testing.assert_allclose(result, function(expected.value), rtol=1e-12)


def command(monkeypatch, capsys, *words):
    """Run the command line in this process; return exit code, output and errors."""
    monkeypatch.setattr(sys, "argv", ["chainrule", *map(str, words)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        cli.main()
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return stop.value.code or 0, out, err


def without_pictures(monkeypatch):
    """Let `train` draw nothing, which takes it most of its time on a small table."""
    monkeypatch.setattr("chainrule.report.write_report", lambda *_, **__: [])


def refused(result, words, code=1):
    """Assert that a command ended with one line on standard error that holds `words`."""
    given, _, err = result
    assert given == code, err
    lines = err.splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("chainrule: "), err
    assert re.search(words, err), err


def csv(columns):
    """Return the text of a CSV file with these columns, name -> values."""
    rows = zip(*columns.values(), strict=True)
    return "\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n"
