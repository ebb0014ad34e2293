"""Features: what a network sees of a column, and what must be learnt from the column first.

One kind of column is one entry in KINDS: what is learnt stands beside what is done with it. What
is learnt is a plain dict, so it can be stored as JSON and read by people.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy import floor, hypot, maximum, sign

from chainrule.names import look_up
from chainrule.spread import LARGEST, quantile, robust, standard

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]
    Learnt = dict[str, Any]
    Weights = NDArray[np.floating[Any]] | None  # of each row

BEND = 3.0  # squashed numbers stay within ±BEND
MANY_RARE = 1000  # beyond as many rare levels, they are not remembered one by one
DAY = 86_400.0


# Numbers -------------------------------------------------------------------------------------


def _robust(x: Floats, weights: Weights) -> Learnt:
    median, distance = robust(x, weights)
    return {"center": median, "scale": distance, "fill": median, "squash": True}


def _standard(x: Floats, weights: Weights) -> Learnt:
    mean, deviation = standard(x, weights)
    return {"center": mean, "scale": deviation, "fill": mean, "squash": False}


def _none(x: Floats, weights: Weights) -> Learnt:
    return {"center": 0.0, "scale": 1.0, "fill": quantile(x, 0.5, weights), "squash": False}


SCALINGS: dict[str, Callable[[Floats, Weights], Learnt]] = {
    "robust": _robust,
    "standard": _standard,
    "none": _none,
}


def scaled(x: Floats, center: Any, scale: Any) -> Floats:
    """z = (x - center) / scale."""
    return (x - center) / scale


def squashed(z: Floats) -> Floats:
    """z / sqrt(1 + (z / 3)²), which stays within ±3."""
    return z / hypot(1.0, z / BEND)


def _as_learnt(x: Floats, learnt: Learnt) -> Floats:
    """Scale x, which has no NaN, and squash it where that was learnt."""
    with np.errstate(over="ignore"):
        z = scaled(x, learnt["center"], learnt["scale"])
    z = np.clip(z, -LARGEST, LARGEST)
    return squashed(z) if learnt["squash"] else z


def is_plain(X: Any) -> bool:
    """Tell whether this is an array (n, columns) of floats, with at least one."""
    return type(X) is np.ndarray and X.dtype.char in "fd" and X.ndim == 2 and X.size > 0


def of_numbers(columns: list[Learnt], X: NDArray[Any]) -> Floats | None:
    """Return the features of an array (n, columns) all at once, where all are made of numbers.

    They are those of `Number`, column by column, which takes more time than it takes to predict.
    None where there are others, and where X holds infinite numbers, which `Number` is not given.
    """
    places = [place for place, record in enumerate(columns) if record["kind"] != "dropped"]
    used = [columns[place] for place in places]
    bends = {record["squash"] for record in used if "squash" in record}
    if any(record["kind"] != "number" for record in used) or len(bends) > 1:
        return None
    x = (X if len(places) == len(columns) else X[:, places]).astype(np.float64)
    missing = np.isnan(x)
    if np.isinf(x).any():
        return None
    valued = [k for k, record in enumerate(used) if not record["constant"]]
    gaps = [k for k, record in enumerate(used) if record["missing"]]
    learnt: Learnt = {
        name: np.array([used[k][name] for k in valued]) for name in ("center", "scale", "fill")
    }
    learnt["squash"] = True in bends
    if len(valued) < len(used):
        z = _as_learnt(np.where(missing[:, valued], learnt["fill"], x[:, valued]), learnt)
    else:
        z = _as_learnt(np.where(missing, learnt["fill"], x), learnt)
    if not gaps:
        return z
    ends = np.cumsum([(not record["constant"]) + record["missing"] for record in used]) - 1
    out = np.empty((len(x), ends[-1] + 1))
    out[:, [ends[k] - used[k]["missing"] for k in valued]] = z
    out[:, ends[gaps]] = missing[:, gaps]
    return out


# Kinds ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Settings:
    """The parameters of the encoder that say what is learnt of a column."""

    numbers: str
    min_frequency: int | float | str
    max_levels: int


class Kind(Protocol):
    """What an encoder learns from the values of a column, and the features it makes of them."""

    def fit(self, values: Any, weights: Weights, settings: Settings) -> Learnt:
        """Learn from values of which at least two differ; no weight is 0."""

    def features(self, name: str, learnt: Learnt) -> list[str]:
        """Name the features."""

    def fill(self, values: Any, learnt: Learnt, out: Floats) -> Mask:
        """Write the features into `out` (n, features), which is zero; say what is missing."""


def _present(values: Floats, weights: Weights) -> tuple[Floats, Weights]:
    """Return the values that are no gaps, and their weights."""
    there = ~np.isnan(values)
    return values[there], None if weights is None else weights[there]


class Number:
    """Scaled numbers (and durations, in seconds); a gap stands at the center."""

    def fit(self, values: Floats, weights: Weights, settings: Settings) -> Learnt:
        return look_up(SCALINGS, settings.numbers, "numbers")(*_present(values, weights))

    def features(self, name: str, learnt: Learnt) -> list[str]:
        return [name]

    def fill(self, values: Floats, learnt: Learnt, out: Floats) -> Mask:
        missing = np.isnan(values)
        out[:, 0] = _as_learnt(np.where(missing, learnt["fill"], values), learnt)
        return missing


class Flag:
    """True is 1, false is 0; a gap is the share of true."""

    def fit(self, values: Floats, weights: Weights, settings: Settings) -> Learnt:
        present, weights = _present(values, weights)
        return {"fill": float(np.average(present, weights=weights))}

    def features(self, name: str, learnt: Learnt) -> list[str]:
        return [name]

    def fill(self, values: Floats, learnt: Learnt, out: Floats) -> Mask:
        missing = np.isnan(values)
        out[:, 0] = np.where(missing, learnt["fill"], values)
        return missing


class Category:
    """One column of 0 and 1 for each frequent level, one for all rare ones, none for others."""

    def fit(self, values: pl.Series, weights: Weights, settings: Settings) -> Learnt:
        counted = values.drop_nulls().value_counts(sort=False)
        words, counts = counted.get_column(values.name).to_list(), counted["count"].to_list()
        least = _fewest_rows(settings.min_frequency, len(values))
        order = sorted(range(len(words)), key=lambda i: (-counts[i], words[i]))
        kept = {words[i] for i in order[: settings.max_levels] if counts[i] >= least}
        rare = sorted(set(words) - kept)
        return {"levels": sorted(kept), "rare": None if len(rare) > MANY_RARE else rare}

    def features(self, name: str, learnt: Learnt) -> list[str]:
        rare = [] if learnt["rare"] == [] else [f"{name} is rare"]
        return [f"{name}={level}" for level in learnt["levels"]] + rare

    def codes(self, values: pl.Series, learnt: Learnt) -> NDArray[np.int64]:
        """The feature of each row's level; -1 for a level never seen, -2 for a gap."""
        levels, rare = learnt["levels"], learnt["rare"] or []
        places = list(range(len(levels))) + [len(levels)] * len(rare)
        unseen = -1 if learnt["rare"] is not None else len(levels)
        coded = values.replace_strict(levels + rare, places, default=unseen)
        codes = np.array(coded.to_numpy(), dtype=np.int64)
        codes[values.is_null().to_numpy()] = -2
        return codes

    def fill(self, values: pl.Series, learnt: Learnt, out: Floats) -> Mask:
        codes = self.codes(values, learnt)
        rows = np.flatnonzero(codes >= 0)
        out[rows, codes[rows]] = 1.0
        return np.asarray(codes < 0)


def _fewest_rows(min_frequency: int | float | str, n: int) -> int:
    """Rows that a level needs: a count, a share, or 1 in 100 rows and at most 10 ("auto")."""
    if isinstance(min_frequency, str):
        return min(10, math.ceil(n / 100))
    share = isinstance(min_frequency, float)
    return math.ceil(min_frequency * n) if share else int(min_frequency)


class Moment:
    """A date or time: seconds as a number, and sine and cosine of the cycles that it runs through.

    A cycle (year, week, day; UTC) is taken in where the dates cover half of it and differ in it.
    """

    def fit(self, values: Floats, weights: Weights, settings: Settings) -> Learnt:
        present, weights = _present(values, weights)
        span = np.ptp(present)
        turning = [
            name
            for name, (period, phase) in CYCLES.items()
            if span >= period / 2 and np.ptp(phase(present)) > 1e-9
        ]
        learnt = look_up(SCALINGS, settings.numbers, "numbers")(present, weights)
        return learnt | {"cycles": turning}

    def features(self, name: str, learnt: Learnt) -> list[str]:
        cycles = [f"{name} {cycle} {wave}" for cycle in learnt["cycles"] for wave in ("sin", "cos")]
        return [name, *cycles]

    def fill(self, values: Floats, learnt: Learnt, out: Floats) -> Mask:
        missing = np.isnan(values)
        filled = np.where(missing, learnt["fill"], values)
        out[:, 0] = _as_learnt(filled, learnt)
        for place, cycle in enumerate(learnt["cycles"]):
            angle = 2 * np.pi * CYCLES[cycle][1](filled)
            out[:, 2 * place + 1] = np.where(missing, 0.0, np.sin(angle))
            out[:, 2 * place + 2] = np.where(missing, 0.0, np.cos(angle))
        return missing


def _turn(x: Floats) -> Floats:
    """The part of the turn under way."""
    return x - floor(x)


def _first_day(year: Floats) -> Floats:
    """The days from 1 January 1970 to that of a year, leap years included (Gregorian)."""
    return 365 * year - floor(-year / 4) + floor(-year / 100) - floor(-year / 400) - 719_528


def _year_phase(seconds: Floats) -> Floats:
    """The part of its year that has passed, leap years included."""
    day = seconds / DAY
    year = floor((day + 719_528) / 365.2425)  # or the one before or after:
    year = year - maximum(sign(_first_day(year) - day), 0)
    year = year + 1 - maximum(sign(_first_day(year + 1) - day), 0)
    return (day - _first_day(year)) / (_first_day(year + 1) - _first_day(year))


def _week_phase(seconds: Floats) -> Floats:
    """The part of its week that has passed, from Thursday on."""
    return _turn(seconds / (7 * DAY))


def _day_phase(seconds: Floats) -> Floats:
    """The part of its day that has passed."""
    return _turn(seconds / DAY)


CYCLES: dict[str, tuple[float, Callable[[Floats], Floats]]] = {
    "year": (365.2425 * DAY, _year_phase),
    "week": (7 * DAY, _week_phase),
    "day": (DAY, _day_phase),
}

KINDS: dict[str, Kind] = {
    "number": Number(),
    "duration": Number(),
    "flag": Flag(),
    "category": Category(),
    "time": Moment(),
}


def features_of(record: Learnt, name: str) -> list[str]:
    """Name the features of a column of that name, given what was learnt from it."""
    if record["kind"] == "dropped":
        return []
    values = [] if record["constant"] else KINDS[record["kind"]].features(name, record)
    return values + ([f"{name} is missing"] if record["missing"] else [])
