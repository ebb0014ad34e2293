"""Kill: a training that is killed at any moment goes on to the very weights it would have had."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.mark.parametrize("count", [8, pytest.param(200, marks=pytest.mark.slow)])
def test_kill_at_random_moments(count, tmp_path):
    script = Path(__file__).with_name("killed.py")
    words = [sys.executable, str(script), str(count), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert (seen["killed"], seen["others"]) == (count, [])
    assert len(set(seen["epochs"])) > min(count, 20) / 3  # early and late
