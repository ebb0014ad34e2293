"""The main job gives useful models with no option but the target: median over five seeds."""

import json
import sys

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.model_selection import train_test_split

from chainrule import MLPRegressor, cli, tabular

SEEDS = range(5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("load", "score", "least"),
    [
        pytest.param(load_digits, "accuracy", 0.97, id="digits"),
        pytest.param(load_breast_cancer, "accuracy", 0.96, id="breast-cancer"),
        pytest.param(load_diabetes, "r2", 0.42, id="diabetes"),
    ],
)
def test_scores_on_rows_never_seen(load, score, least, tmp_path, monkeypatch, capsys):
    """A quarter of the rows, drawn anew for each seed, is kept from training."""
    data = load()
    names = [name.replace(" ", "_") for name in data.feature_names]
    table = pl.DataFrame(data.data, schema=names).with_columns(answer=pl.Series(data.target))
    classes = data.target if score == "accuracy" else None
    monkeypatch.chdir(tmp_path)
    scores = []
    for seed in SEEDS:
        sides = train_test_split(
            np.arange(len(data.target)), test_size=0.25, random_state=seed, stratify=classes
        )
        for name, rows in zip(("train", "test"), sides, strict=True):
            table[rows].write_csv(f"{name}.csv")
        run(monkeypatch, "train", "train.csv", "--target", "answer", "--force", "--seed", seed)
        capsys.readouterr()
        run(monkeypatch, "evaluate", "train.chainrule", "test.csv", "--json")
        scores.append(json.loads(capsys.readouterr().out)["scores"][score])
    assert np.median(scores) >= least, scores


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["chainrule", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert not stop.value.code


@pytest.mark.parametrize(
    ("losses", "kept", "why"),
    [
        ((0.4005, 0.3997), 0.4, ", as the other is not 5% better"),
        ((0.3997, 0.4005), 0.4, ""),
        ((0.5, 0.4), 0.0, ""),
    ],
)
def test_the_choice_of_dropout_is_told_with_its_reason(losses, kept, why):
    """0.4005 kept beside 0.3997 looks like a slip to those who are not told the rule."""
    tried = [MLPRegressor(dropout=share) for share in (0.4, 0.0)]
    for network, loss in zip(tried, losses, strict=True):
        network.history_ = [{"validation_loss": loss}]
    best = next(network for network in tried if network.dropout == kept)
    (said,) = tabular._tell_tries(tried, best)
    assert said.endswith(f"; kept {kept:g}{why}")
