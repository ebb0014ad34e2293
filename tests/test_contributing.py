"""CONTRIBUTING: its worked example, taken from the page and used in every place it promises."""

import re
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from chainrule import MLPClassifier, MLPRegressor, Network, activations, check_gradients, cli
from chainrule.model_file import load_model, save_model

PAGE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text("utf-8")
THE_CLASS, THE_LINE, THE_TRUTHS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
NAME = re.search(r'"(\w+)"', THE_LINE)[1]


@pytest.fixture
def added(monkeypatch):
    """Do what the page says, for the length of a test: the class, and the line in the table."""
    room = dict(vars(activations))
    exec(THE_CLASS, room)
    entry = eval("{" + THE_LINE + "}", room)
    assert not set(entry) & set(activations.ACTIVATIONS), "the page adds what is there already"
    for name, activation in entry.items():
        monkeypatch.setitem(activations.ACTIVATIONS, name, activation)
    return activations.ACTIVATIONS[NAME]


@pytest.fixture
def rows():
    X = np.random.default_rng(0).normal(size=(60, 3))
    return X, np.where(X[:, 0] * X[:, 1] > 0, "same", "other")


def run(monkeypatch, *words):
    """Run the command line; return its exit code."""
    monkeypatch.setattr(sys, "argv", ["chainrule", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


def test_page_is_short():
    assert len(PAGE.splitlines()) < 80


def test_estimator_takes_it(added, rows, tmp_path):
    X, y = rows
    settings = {"activation": NAME, "solver": "lbfgs", "max_iter": 100, "random_state": 0}
    model = MLPClassifier((8,), **settings).fit(X, y)
    hidden = added.value(X @ model.coefs_[0] + model.intercepts_[0])
    logit = (hidden @ model.coefs_[1] + model.intercepts_[1])[:, 0]
    assert model.predict_proba(X)[:, 1] == pytest.approx(1 / (1 + np.exp(-logit)), rel=1e-9)
    assert model.score(X, y) > 0.9
    save_model(model, tmp_path / "model.chainrule")
    loaded = load_model(tmp_path / "model.chainrule")
    assert (loaded.predict_proba(X) == model.predict_proba(X)).all()


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_estimators_name_it_among_the_known(added, rows, estimator):
    with pytest.raises(ValueError, match=rf"did you mean '{NAME}'") as error:
        estimator(activation=f"{NAME}x").fit(rows[0], rows[0][:, 0] > 0)
    assert all(name in str(error.value) for name in activations.ACTIVATIONS)


def test_gradient_check_passes(added, rows):
    X, y = rows
    net = Network([3, 5, 4, 1], activations=[NAME, NAME, "sigmoid"], seed=0)
    report = check_gradients(net, X, (y == "same")[:, None] * 1.0, loss="binary_cross_entropy")
    assert report.passed


def test_it_is_what_the_textbook_and_pytorch_say(added):
    """Each line of the page's last block, for the file that it names, agrees with the class."""
    of_decimals, of_tensors = THE_TRUTHS.splitlines()
    assert "test_activations" in of_decimals
    z = np.linspace(-3, 3, 25)
    textbook = eval("{" + of_decimals + "\n}", {"D": Decimal})[NAME]
    assert added.value(z) == pytest.approx([float(textbook(Decimal(v))) for v in z], rel=1e-15)
    torch = pytest.importorskip("torch")
    assert "test_against_pytorch" in of_tensors
    theirs = eval("{" + of_tensors + "\n}", {"torch": torch})[NAME]
    assert added.value(z) == pytest.approx(theirs(torch.tensor(z)).numpy(), rel=1e-15)


def test_command_line_takes_it(added, rows, monkeypatch, tmp_path, capsys):
    X, y = rows
    lines = [f"{a},{b},{c},{answer}" for (a, b, c), answer in zip(X, y, strict=True)]
    table, model = tmp_path / "table.csv", tmp_path / "model.chainrule"
    table.write_text("\n".join(["a,b,c,answer", *lines]), "utf-8")
    words = ["train", table, "--target", "answer", "--output", model, "--epochs", "1"]
    assert run(monkeypatch, *words, "--activation", NAME) == 0
    assert load_model(model)[-1].activation == NAME
    capsys.readouterr()
    assert run(monkeypatch, *words, "--force", "--activation", f"{NAME}x") == 2
    assert f"did you mean '{NAME}'" in capsys.readouterr().err


def test_command_line_does_not_know_it_before(monkeypatch, capsys):
    words = ["train", "table.csv", "--target", "answer", "--activation", NAME]
    assert run(monkeypatch, *words) == 2
    assert f"{NAME!r} is unknown" in capsys.readouterr().err
