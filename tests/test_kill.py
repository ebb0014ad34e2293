"""Kill: a training that is killed at any moment goes on to the very weights it would have had."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def killed(name, count, folder):
    """Return what was seen of so many trainings that were killed."""
    script = Path(__file__).with_name("killed.py")
    words = [sys.executable, str(script), name, str(count), str(folder)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert (seen["killed"], seen["others"]) == (count, [])
    return seen


@pytest.mark.parametrize("count", [8, pytest.param(200, marks=pytest.mark.slow)])
def test_kill_at_random_moments(count, tmp_path):
    epochs = killed("train", count, tmp_path)["epochs"]
    assert len(set(epochs)) > min(count, 20) / 3  # early and late


@pytest.mark.parametrize(
    ("name", "count"),
    [
        pytest.param("cli", 2, marks=pytest.mark.slow),
        pytest.param("chainrule", 6, marks=pytest.mark.slow),
    ],
)
def test_kill_the_command_line_at_random_moments(name, count, tmp_path):
    """`chainrule train … --checkpoint DIR --every 1`, and then `--resume`."""
    epochs = killed(name, count, tmp_path)["epochs"]
    assert count < 6 or len(set(epochs)) > 1
