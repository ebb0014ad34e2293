"""Parts: a fitted model taken apart into what any format must write."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from chainrule import __version__
from chainrule.arrays import Array
from chainrule.data import check_dtype
from chainrule.estimators import MLPClassifier, MLPRegressor
from chainrule.estimators.inputs import has_encoder, marked_places
from chainrule.estimators.outputs import fitted_layers, member_count
from chainrule.losses import Quantiles
from chainrule.network import Network
from chainrule.preprocessing import TableEncoder
from chainrule.trace import Dense

NONE = np.empty(0)


@dataclass(frozen=True)
class Parts:
    """What a model is made of: rows go through the encoder, the members, and what `task` says.

    Several members are networks of the same sizes, whose outputs are averaged.
    """

    kind: str  #: the class of the model
    task: str  #: "outputs" as they are; "classes", "labels" (0 or 1 each), or "numbers"
    members: list[list[Dense]]  #: the layers of each, in `dtype`
    dtype: np.dtype[Any]
    encoder: TableEncoder | None = None  #: makes features of the columns of a table
    marked: list[int] = field(default_factory=list)  #: places of columns made text before that
    refuses_gaps: bool = True  #: whether a gap is an error, not filled
    names: list[str] | None = None  #: of the input columns, where they have any
    classes: NDArray[Any] | None = None  #: of "classes" (k,), in the order of the outputs
    temperature: float | None = None  #: what logits are divided by for calibrated probabilities
    mean: Array = field(default_factory=lambda: NONE)  #: of "numbers" (targets,): mean + scale · a
    scale: Array = field(default_factory=lambda: NONE)
    quantiles: tuple[float, ...] = ()  #: several of each target; its outputs stand side by side
    name: str = "model"  #: what a program is to call it
    about: dict[str, Any] = field(default_factory=dict)
    version: str = __version__

    @property
    def inputs(self) -> int:
        """How many columns a row has."""
        return len(self.encoder.columns_) if self.encoder else self.members[0][0].W.shape[0]

    @property
    def outputs(self) -> int:
        """How many outputs the network has."""
        return int(self.members[0][-1].W.shape[1])

    @property
    def middle(self) -> int:
        """Which of several quantiles `predict` gives: the one nearest to 0.5."""
        return int(np.abs(np.subtract(self.quantiles, 0.5)).argmin()) if self.quantiles else 0


def take_apart(
    model: Any, dtype: Any = None, about: dict[str, Any] | None = None, name: str = "model"
) -> Parts:
    """Return the parts of a fitted model, its numbers in `dtype`, by default the network's own.

    Raises ValueError for what is not fitted, or not one of ours.

    >>> from chainrule import MLPClassifier
    >>> model = MLPClassifier((4,), solver="lbfgs").fit([[0.0], [1.0], [2.0]], ["a", "b", "b"])
    >>> parts = take_apart(model)
    >>> parts.task, parts.classes.tolist(), parts.members
    ('classes', ['a', 'b'], [[Dense(1 → 4, relu), Dense(4 → 1, sigmoid)]])
    """
    parts = replace(_parts(model), kind=type(model).__name__, name=name, about=dict(about or {}))
    wanted = parts.dtype if dtype is None else check_dtype(dtype)
    with np.errstate(over="ignore"):  # what is beyond it is refused
        members = [
            [Dense(d.W.astype(wanted), d.b.astype(wanted), d.activation) for d in each]
            for each in parts.members
        ]
    if not all(np.isfinite(p).all() for each in members for d in each for p in (d.W, d.b)):
        raise ValueError(f"some weights are no finite {wanted}; train the model anew")
    return replace(parts, members=members, dtype=wanted)


def _parts(model: Any) -> Parts:
    if type(model) is Network:
        return Parts("", "outputs", [model.layers], model.dtype)
    if type(model) is Pipeline and len(model.steps) == 2:
        encoder, estimator = model[0], model[-1]
        if type(encoder) is TableEncoder and type(estimator) in (MLPClassifier, MLPRegressor):
            check_is_fitted(encoder, "columns_")
            parts = _of_estimator(estimator)
            if parts.encoder is not None:
                raise ValueError(
                    "the Pipeline's network has an encoder of its own, behind the TableEncoder;"
                    " fit it with scale_X='none', missing='error', categorical_features=None"
                )
            return replace(parts, encoder=encoder, refuses_gaps=False, names=_names(encoder))
    if type(model) in (MLPClassifier, MLPRegressor):
        return _of_estimator(model)
    raise ValueError(
        f"a {type(model).__name__} cannot be exported; expected a fitted MLPClassifier or"
        " MLPRegressor, a Pipeline of TableEncoder and one of these, or a Network"
    )


def _of_estimator(model: Any) -> Parts:
    check_is_fitted(model, "coefs_")
    members = [fitted_layers(model, member) for member in range(member_count(model))]
    parts = Parts("", "numbers", members, members[0][0].W.dtype, names=_names(model))
    if has_encoder(model):
        parts = replace(
            parts,
            encoder=model.encoder_,
            marked=marked_places(model),
            refuses_gaps=model.missing == "error",
        )
    if type(model) is MLPRegressor:
        loss, _ = model._loss_and_output()
        quantiles = loss.quantiles if isinstance(loss, Quantiles) else ()
        return replace(parts, mean=model.y_mean_, scale=model.y_scale_, quantiles=quantiles)
    if model._kind == "labels":
        return replace(parts, task="labels", temperature=getattr(model, "temperature_", None))
    return replace(
        parts,
        task="classes",
        classes=model.classes_,
        temperature=getattr(model, "temperature_", None),
    )


def _names(model: Any) -> list[str] | None:
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else list(map(str, names))
