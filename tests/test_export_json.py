"""JSON: with the numbers of the file alone, and the page that describes it, a reader gets there."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from chainrule import to_json
from chainrule.activations import ACTIVATIONS
from exported import estimators, networks, pipeline, rows, saying

PAGE = Path(__file__).parents[1] / "docs" / "export.md"


def read(text):
    """Read strict JSON."""

    def refuse(constant):
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse)


def predicted(said, X):
    """Return the outputs (n, outputs) that the numbers of a file give, as the page says."""
    dtype, every = np.dtype(said["dtype"]), []
    for member in said["members"]:
        a = X.astype(dtype)
        layers = zip(member["weights"], member["biases"], said["activations"], strict=True)
        for W, b, activation in layers:
            settings = {k: v for k, v in activation.items() if k != "name"}
            sigma = type(ACTIVATIONS[activation["name"]])(**settings)
            a = sigma.value(a @ np.array(W, dtype) + np.array(b, dtype))
        every.append(a)
    a = np.mean(every, axis=0)
    if said["task"] == "classes":
        a = np.hstack([1 - a, a]) if a.shape[1] == 1 else a / a.sum(axis=1, keepdims=True)
    if said["task"] == "numbers":
        each = a.shape[1] // len(said["mean"])
        a = a * np.repeat(said["scale"], each) + np.repeat(said["mean"], each)
    return a


@pytest.mark.parametrize("name", networks())
def test_networks(name):
    net, said = networks()[name], read(to_json(networks()[name]))
    X, close = rows(net), 3e-5 if net.dtype == np.float32 else 1e-11
    assert said["sizes"] == net.sizes
    assert predicted(said, X) == pytest.approx(net.predict(X), rel=close, abs=close)
    for W, mine in zip(said["members"][0]["weights"], net.W, strict=True):
        assert (np.array(W, net.dtype) == mine).all()  # exactly


@pytest.mark.parametrize("name", [n for n, m in estimators().items() if not hasattr(m, "encoder_")])
def test_estimators(name):
    model = estimators()[name]
    said, X = read(to_json(model)), rows(model)
    assert said["classes"] == (model.classes_.tolist() if said["task"] == "classes" else [])
    assert predicted(said, X) == pytest.approx(saying(model)(X), rel=1e-11, abs=1e-12)


def test_a_table_tells_what_was_learnt_of_each_column():
    model = pipeline(dates=True)
    said = read(to_json(model, "towns"))
    assert said["name"] == "towns"
    assert said["inputs"] == [record["name"] for record in said["columns"]]
    assert said["columns"] == [r for r in model[0].columns_ if r["kind"] != "dropped"]


def test_the_page_describes_every_key():
    described = set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE))
    assert set(read(to_json(networks()["relu float64"]))) <= described
