"""MNIST: where the tests find its files, and the mark of those that need them."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MNIST = Path(os.environ.get("CHAINRULE_DATA", ROOT.parent / "shared" / "data")) / "mnist"

needs_mnist = pytest.mark.skipif(
    not MNIST.is_dir(), reason=f"no MNIST in {MNIST}; set CHAINRULE_DATA to a folder that has mnist"
)
