"""Datasets: what the classic systems learn from, from a folder, from scikit-learn, or downloaded.

room        what is in it
idx         the file format of MNIST
download    files from the network, checked by their sums
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array
from chainrule.datasets.download import fetch
from chainrule.datasets.idx import read_idx
from chainrule.names import look_up

#: The files of MNIST by what is in them, and the SHA-256 of each, unpacked.
MNIST = {
    "X": "train-images-idx3-ubyte",
    "y": "train-labels-idx1-ubyte",
    "X_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
SHA256 = {
    "X": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "y": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "X_test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "y_test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


@dataclass(frozen=True)
class Dataset:
    """Rows X (n, inputs) and their answers y (n,); test rows where those are official."""

    X: Array
    y: NDArray[Any]
    X_test: Array = field(default_factory=lambda: np.empty((0, 0)))
    y_test: NDArray[Any] = field(default_factory=lambda: np.empty(0))
    features: Sequence[str] = ()

    def __repr__(self) -> str:
        tests = f", {len(self.y_test):,} to test on" if len(self.y_test) else ""
        return f"Dataset({len(self.y):,} rows of {self.X.shape[1]} inputs{tests})"


def load_dataset(
    name: str,
    *,
    folder: str | Path | None = None,
    download: bool = True,
    progress: bool = True,
) -> Dataset:
    """Return a dataset that the classic systems learn from.

    Parameters
    ----------
    name : str
        "mnist": 60,000 handwritten digits of 28 × 28 pixels from 0 to 1 (LeCun et al. 1998), and
        10,000 to test on. "breast-cancer", "diabetes" and "digits" come with scikit-learn.
    folder : str or Path, optional
        Where the files are, packed by gzip or not. By default `mnist` in the folder that the
        environment variable CHAINRULE_DATA names, or in the user's cache.
    download : bool
        Whether files that are not in the default folder may be fetched and kept there.
    progress : bool
        Whether a download shows how far it is.

    Raises
    ------
    ValueError
        For an unknown name, with the nearest, or a file that is not what it should be.
    FileNotFoundError
        When a file is not in the folder, and may not be fetched.
    OSError
        When it cannot be fetched; the message says what to do without a network.

    Examples
    --------
    >>> load_dataset("diabetes")
    Dataset(442 rows of 10 inputs)
    """
    return look_up(DATASETS, name, "dataset")(folder, download, progress)


def home(name: str) -> Path:
    """Return the default folder of a dataset."""
    if chosen := os.environ.get("CHAINRULE_DATA"):
        return Path(chosen) / name
    cache = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return Path(cache or Path.home() / ".cache") / "chainrule" / name


def _mnist(folder: str | Path | None, download: bool, progress: bool) -> Dataset:
    there = home("mnist") if folder is None else Path(folder)
    found: dict[str, NDArray[np.uint8]] = {}
    for part, name in MNIST.items():
        path = next((p for p in (there / f"{name}.gz", there / name) if p.is_file()), None)
        if path is None:
            if folder is not None or not download:
                raise FileNotFoundError(
                    f"{there} holds no {name}, packed (.gz) or not; expected the files of MNIST:"
                    f" {', '.join(MNIST.values())}"
                )
            path = fetch(f"{name}.gz", MIRRORS, there, SHA256[part], progress)
        found[part] = read_idx(path)
    for X, y in (("X", "y"), ("X_test", "y_test")):
        if found[X].ndim != 3 or found[y].shape != (len(found[X]),):
            raise ValueError(
                f"{there}: {MNIST[X]} has shape {found[X].shape} and {MNIST[y]} {found[y].shape};"
                " expected images (n, height, width) and as many labels (n,)"
            )
    return Dataset(
        _pixels(found["X"]),
        found["y"].astype(np.int64),
        _pixels(found["X_test"]),
        found["y_test"].astype(np.int64),
    )


def _pixels(images: NDArray[np.uint8]) -> Array:
    """Return images (n, height, width) as rows (n, height · width) from 0 to 1."""
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


def _from_scikit_learn(name: str) -> Callable[..., Dataset]:
    """Return what loads one of scikit-learn's own datasets."""

    def load(folder: str | Path | None, download: bool, progress: bool) -> Dataset:
        from sklearn import datasets  # most of a second, so only where it is wanted

        found = getattr(datasets, f"load_{name}")()
        return Dataset(
            np.asarray(found.data, np.float64),
            found.target,
            features=[*map(str, found.feature_names)],
        )

    return load


#: The one table of datasets, by name.
DATASETS: dict[str, Callable[[str | Path | None, bool, bool], Dataset]] = {
    "breast-cancer": _from_scikit_learn("breast_cancer"),
    "diabetes": _from_scikit_learn("diabetes"),
    "digits": _from_scikit_learn("digits"),
    "mnist": _mnist,
}
