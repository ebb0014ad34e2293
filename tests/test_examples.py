"""The examples: each runs from top to bottom, and prints what its reader is promised."""

import runpy
from pathlib import Path

import pytest

from chainrule.engine import ENGINES
from mnist import write_small

EXAMPLES = Path(__file__).parents[1] / "examples"
#: What each prints, among other things.
PRINTS = {
    "regression_ladder.py": ["apart from the normal equations':", "hidden layers (32, 16, 8): 9"],
    "surfaces.py": ["saddle: ours from wide weights: error 0.", "rule 'every_row'"],
    "bare_network.py": ["weights apart after 10,000 updates:", "points on the right side: 8"],
    "digits.py": ["test accuracy 9", "the network is in digits.chainrule"],
    "digits_5_8.py": ["larger, all sigmoid: 4", "The gradient vanishes", "batches of 128: 9"],
    "half_adder.py": ["cost at first: 0.2", "passed", "of 100 starts arrive"],
}


@pytest.mark.skipif("native" not in ENGINES, reason="takes minutes without the native engine")
@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_example(name, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    write_small(tmp_path / "data" / "mnist")  # few rows of few pixels, under MNIST's names
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "data"))
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    out = capsys.readouterr().out
    assert all(words in out for words in PRINTS[name]), out


def test_examples_use_what_is_public():
    """So that a reader can use it too: nothing of a room inside, but the pictures."""
    for path in EXAMPLES.glob("*.py"):
        for line in path.read_text("utf-8").splitlines():
            if line.startswith(("from chainrule", "import chainrule")):
                assert line.split()[1] in {"chainrule", "chainrule.plots", "chainrule.datasets"}
