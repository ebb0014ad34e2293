"""MNIST: where the tests find its files, and the mark of those that need them."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from chainrule import datasets

ROOT = Path(__file__).parents[1]
MNIST = Path(os.environ.get("CHAINRULE_DATA", ROOT.parent / "shared" / "data")) / "mnist"

needs_mnist = pytest.mark.skipif(
    not MNIST.is_dir(), reason=f"no MNIST in {MNIST}; set CHAINRULE_DATA to a folder that has mnist"
)


def idx(values):
    """Return values 0 to 255 as a file of MNIST's format holds them."""
    values = np.asarray(values, np.uint8)
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def write_small(folder):
    """Write scikit-learn's 1,797 digits of 8 × 8 under MNIST's names, each fourth to test on."""
    digits, folder = load_digits(), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    test = np.arange(len(digits.target)) % 4 == 3
    images = digits.images / 16 * 255
    parts = {"X": images[~test], "y": digits.target[~test]}
    parts |= {"X_test": images[test], "y_test": digits.target[test]}
    for part, values in parts.items():
        (folder / datasets.MNIST[part]).write_bytes(idx(values))
    return folder
