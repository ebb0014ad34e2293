"""Inputs: a raw table becomes the features that the network is fed, inside the model.

Nothing happens here unless `scale_X`, `missing` or `categorical_features` ask for it: then a
`TableEncoder` is fitted with the network, and every later X passes through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from chainrule.data import in_one_line

if TYPE_CHECKING:
    from chainrule.preprocessing import TableEncoder


def has_encoder(estimator: Any) -> bool:
    """Tell whether a fitted estimator's X passes through an encoder, whatever was set since."""
    return "encoder_" in vars(estimator)


def input_names(estimator: Any) -> list[str] | None:
    """Return what the columns that the network is fed are called, where they have names."""
    if has_encoder(estimator):
        return [str(name) for name in estimator.encoder_.get_feature_names_out()]
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def encodes(p: dict[str, Any]) -> bool:
    """Tell whether the parameters ask for an encoder."""
    return (
        p["scale_X"] != "none" or p["missing"] != "error" or p["categorical_features"] is not None
    )


def encode(estimator: Any, X: Any, learn: bool, weights: Any = None) -> Any:
    """Return the features (n, features) for a table, by an encoder that is fitted if `learn`.

    Raises ValueError for a sparse X, for gaps where `missing` is "error", and for columns that hold
    no numbers where `categorical_features` does not name them.
    """
    from chainrule.preprocessing.columns import as_array

    if sparse.issparse(X):
        raise ValueError(
            "X is sparse; scale_X, missing and categorical_features expect a dense table: leave"
            " them out, or X.toarray()"
        )
    with in_one_line():
        if not hasattr(X, "columns"):
            X = check_array(as_array(X), dtype=None, ensure_all_finite=False, estimator=estimator)
        validate_data(estimator, X, reset=learn, skip_check_array=True)
    places = marked_places(estimator)
    table = _marked(X, places)
    if learn:
        estimator.encoder_ = _fitted(estimator, table, weights)
    features = estimator.encoder_.transform(table)
    if estimator.missing == "error":
        _refuse_gaps(estimator.encoder_, table)
    return features


def encode_plain(estimator: Any, X: Any) -> Any:
    """Return the features of an array of nothing but numbers; None for an X that needs a look."""
    named = estimator.categorical_features
    if not (named is None or isinstance(named, str)) or "feature_names_in_" in vars(estimator):
        return None
    features = estimator.encoder_._of_numbers(X)
    gaps = features is not None and estimator.missing == "error" and np.isnan(X).any()
    return None if gaps else features


def _fitted(estimator: Any, table: Any, weights: Any) -> TableEncoder:
    from chainrule.preprocessing import TableEncoder

    encoder = TableEncoder(
        numbers=estimator.scale_X,
        missing="impute" if estimator.missing == "error" else estimator.missing,
        drop_ids=False,
        dtype=_precision(table),
    ).fit(table, sample_weight=weights)
    if estimator.categorical_features is None:
        for record, label in zip(encoder.columns_, _labels(encoder), strict=True):
            if record["kind"] not in ("number", "flag", "dropped"):
                raise ValueError(
                    f"column {label} holds no numbers ({record['kind']}); take"
                    " categorical_features='from_dtype', or leave the column out"
                )
    return encoder


def _precision(table: Any) -> str:
    """Return "float32" if all of the table is in it, as scikit-learn's check of arrays decides."""
    if not hasattr(table, "columns"):
        return "float32" if table.dtype == np.float32 else "float64"
    import narwhals.stable.v1 as nw

    kinds = nw.from_native(table, eager_only=True).schema.dtypes()
    return "float32" if all(kind == nw.Float32 for kind in kinds) else "float64"


def _refuse_gaps(encoder: TableEncoder, table: Any) -> None:
    gaps = {name: count for name, count in encoder.count_gaps(table).items() if count}
    if gaps:
        name, count = next(iter(gaps.items()))
        raise ValueError(
            f"Input X contains NaN: column {name!r} has {count} gaps, which"
            " missing='indicator' fills and tells of"
        )


def _labels(encoder: TableEncoder) -> list[str]:
    return [
        repr(record["name"]) if record["name"] is not None else f"x{place}"
        for place, record in enumerate(encoder.columns_)
    ]


def marked_places(estimator: Any) -> list[int]:
    """Return the places of the columns that are categories whatever they hold."""
    named = estimator.categorical_features
    if named is None or isinstance(named, str):
        return []
    known: Sequence[str] = list(getattr(estimator, "feature_names_in_", ()))
    places = []
    for each in named:
        if isinstance(each, str) and each in known:
            places.append(known.index(each))
        elif not isinstance(each, str) and -estimator.n_features_in_ <= each < (
            estimator.n_features_in_
        ):
            places.append(int(each) % estimator.n_features_in_)
        else:
            raise ValueError(
                f"categorical_features names {each!r}, which is no column of X; expected among"
                f" {list(known) or f'0 to {estimator.n_features_in_ - 1}'}"
            )
    return places


def _marked(X: Any, places: list[int]) -> Any:
    """Return the table with the columns at `places` as text, which are categories then."""
    if not places:
        return X
    import narwhals.stable.v1 as nw

    if hasattr(X, "columns"):
        frame = nw.from_native(X, eager_only=True)
        names = [frame.columns[place] for place in places]
        marked = [frame[name].cast(nw.String).cast(nw.Categorical).alias(name) for name in names]
        return frame.with_columns(*marked).to_native()
    array = np.array(X, dtype=object)
    for place in places:
        array[:, place] = [_as_level(value) for value in array[:, place]]
    return array


def _as_level(value: Any) -> Any:
    """Return a category's value as text that is no number to the encoder; gaps stay gaps."""
    return None if value is None or value != value else f"={value}"
