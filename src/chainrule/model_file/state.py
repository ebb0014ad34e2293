"""State of a model: what a file must hold so that the same model comes back, and making it anew.

A description is a dict of JSON's values (see `model_values`), with what its kind needs of

    kind        "Network", "MLPClassifier", "MLPRegressor", "TableEncoder" or "Pipeline"
    network     sizes, activations, dtype; tensors layer.0.weights (n_in, n_out), layer.0.biases
                (n_out,), layer.1.weights, …
    estimator   class; parameters (of the constructor); fitted (the attributes that fit left, less
                those that follow from the network)
    encoder     params, columns, notes as in `TableEncoder.to_state`; output, see `set_output`
    pipeline    steps (the names of the encoder's and the estimator's), verbose, transform_input
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from itertools import pairwise
from typing import Any, NoReturn

import numpy as np
from sklearn.pipeline import Pipeline

from chainrule.activations import ACTIVATIONS, Activation
from chainrule.engine import State
from chainrule.estimators import MLPClassifier, MLPRegressor
from chainrule.estimators.outputs import fitted_network
from chainrule.estimators.parameters import check_parameters
from chainrule.estimators.table import PARAMETERS
from chainrule.model_file.values import ModelFileError, Packer, Unpacker
from chainrule.model_file.versions import completed
from chainrule.network import Network, parameter_count
from chainrule.preprocessing import TableEncoder
from chainrule.preprocessing.columns import Column, as_kind
from chainrule.preprocessing.features import KINDS as COLUMN_KINDS

Description = dict[str, Any]

#: Kind of model -> the parts of its description.
KINDS: dict[str, set[str]] = {
    "Network": {"network"},
    "MLPClassifier": {"network", "estimator"},
    "MLPRegressor": {"network", "estimator"},
    "TableEncoder": {"encoder"},
    "Pipeline": {"network", "estimator", "encoder", "pipeline"},
}
ESTIMATORS: dict[str, Any] = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}

#: Fitted attributes that follow from the network.
DERIVED = {
    "coefs_", "intercepts_", "activations_", "out_activation_", "n_layers_", "n_outputs_",
    "n_features_in_",
}  # fmt: skip
#: Fitted attributes that are packed in a way of their own.
WAYS: dict[str, Callable[[Packer, Any, str], Any]] = {
    "classes_": Packer.inline,
    "encoder_": lambda packer, encoder, where: packer.pack(_encoder_state(encoder), where),
    "history_": Packer.history,
    "loss_curve_": Packer.column,
    "validation_curve_": Packer.column,
    "validation_scores_": Packer.column,
}
PRIVATE = {"_class_weights", "_kind", "_seeds", "_states", "_stopping"}
LEARNT_NAME = re.compile(r"[a-zA-Z]\w*_")  # any other attribute is scikit-learn's way to name it
REQUIRED = {"history_", "loss_curve_", "n_iter_", "t_", "stop_reason_"}
REQUIRED_OF = {"MLPClassifier": {"classes_", "_kind"}, "MLPRegressor": {"y_mean_", "y_scale_"}}


def describe(model: Any, packer: Packer) -> Description:
    """Return the description of a model; its tensors are collected by the packer."""
    kind = type(model).__name__
    if type(model) is Pipeline:
        (first, encoder), (second, estimator) = _two_steps(model)
        rest = {"verbose": model.verbose, "transform_input": model.transform_input}
        pipeline = packer.pack({"steps": [first, second]} | rest, "pipeline")
        parts = describe(encoder, packer) | describe(estimator, packer)
        _check_width(encoder, estimator)
        return parts | {"kind": kind, "pipeline": pipeline}
    if type(model) is Network:
        return {"kind": kind, "network": _describe_network(model, packer)}
    if type(model) is TableEncoder:
        _check_fitted(model, "columns_")
        return {"kind": kind, "encoder": packer.pack(_encoder_state(model), "encoder")}
    if type(model) in ESTIMATORS.values():
        _check_fitted(model, "coefs_")
        network = _describe_network(fitted_network(model), packer)
        return {
            "kind": kind,
            "network": network,
            "estimator": _describe_estimator(model, packer),
        }
    raise ModelFileError(
        f"a {kind} cannot be saved; expected one of chainrule's own {', '.join(KINDS)}"
        " (a Pipeline of TableEncoder and MLPClassifier or MLPRegressor)"
    )


def unknown_kind(kind: Any) -> ModelFileError:
    """Return what to raise for a file that holds no model, but perhaps what one is made of."""
    if kind == "Checkpoint":
        return ModelFileError(
            "it holds a checkpoint of a training, which is no model: resume=True, --resume goes on"
            " from its folder, and makes one"
        )
    return ModelFileError(f"it holds a model of unknown kind {kind!r}; known: {', '.join(KINDS)}")


def rebuild(description: Description, unpacker: Unpacker) -> Any:
    """Return the model that `describe` was given; raise ModelFileError where it is none."""
    kind = description.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise unknown_kind(kind)
    if description.keys() != KINDS[kind] | {"kind"}:
        found = ", ".join(sorted(map(str, description)))
        raise ModelFileError(f"it describes a {kind} by {found}; expected {sorted(KINDS[kind])}")
    parts = {name: unpacker.unpack(description[name]) for name in KINDS[kind]}
    model: Any = None
    if "network" in parts:
        model = _rebuild_network(unpacker, **parts["network"])
    if "estimator" in parts:
        if kind != "Pipeline" and parts["estimator"]["class"] != kind:
            _refuse(f"a {kind} with an estimator that is a {parts['estimator']['class']!r}")
        model = _rebuild_estimator(model, parts["estimator"])
    if "encoder" in parts:
        encoder = _rebuild_encoder(parts["encoder"])
        model = _rebuild_pipeline(encoder, model, **parts["pipeline"]) if model else encoder
    if unpacker.unused:
        raise ModelFileError(f"tensor {min(unpacker.unused)!r} belongs to no part of the model")
    return model


# Networks ------------------------------------------------------------------------------------


def _describe_network(network: Network, packer: Packer) -> Any:
    for l, layer in enumerate(network.layers):
        for name, array in (("weights", layer.W), ("biases", layer.b)):
            _check_finite(array, f"layer {l}'s {name}")
            packer.tensor(array, f"layer.{l}.{name}")
    facts = {"sizes": network.sizes, "activations": network.activations}
    return packer.pack(facts | {"dtype": network.dtype.name}, "network")


def _rebuild_network(unpacker: Unpacker, sizes: Any, activations: Any, dtype: Any) -> Network:
    check_sizes(sizes)
    if dtype not in ("float64", "float32") or len(sizes) < 2:
        _refuse(f"a network of dtype {dtype!r} and sizes {sizes!r}")
    right = isinstance(activations, list) and len(activations) == len(sizes) - 1
    if not right or not all(isinstance(each, Activation) for each in activations):
        _refuse(f"a network of {len(sizes) - 1} layers whose activations are {activations!r}")
    tensors = []
    for l, (n_in, n_out) in enumerate(pairwise(sizes)):
        for name, shape in (("weights", (n_in, n_out)), ("biases", (n_out,))):
            array = unpacker.tensor(f"layer.{l}.{name}")
            if array.shape != shape or array.dtype.name != dtype:
                _refuse(
                    f"layer.{l}.{name} as {array.dtype} of shape {array.shape}, but sizes"
                    f" {sizes} and {dtype} ask for {shape}"
                )
            _check_finite(array, f"layer {l}'s {name}")
            tensors.append(array)
    network = Network(sizes, activations, initializers="zeros", dtype=dtype)
    for layer, W, b in zip(network.layers, tensors[::2], tensors[1::2], strict=True):
        layer.W[:], layer.b[:] = W, b
    return network


def check_sizes(sizes: Any) -> None:
    """Raise ModelFileError unless these are the sizes of a network, before they are reckoned with.

    A text times 2³¹ is eight gigabytes.
    """
    if not isinstance(sizes, list) or not all(type(n) is int and n >= 1 for n in sizes):
        _refuse(f"a network of sizes {sizes!r:.80}")


def _check_finite(array: Any, what: str) -> None:
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise ModelFileError(f"{what} hold {bad} values that are not finite; train the model anew")


# Estimators ----------------------------------------------------------------------------------


def _describe_estimator(model: Any, packer: Packer) -> Any:
    parameters = model.get_params(deep=False) | {"callbacks": None}
    for number, member in enumerate(getattr(model, "members_", ())):
        for array in [*member["coefs"], *member["intercepts"]]:
            _check_finite(array, f"member {number}'s parameters")
    fitted = {}
    for name in sorted(_fitted_names(model, parameters)):
        way = WAYS.get(name, Packer.pack)
        fitted[name] = way(packer, getattr(model, name), name.strip("_"))
    return {
        "class": type(model).__name__,
        "parameters": {name: packer.pack(value, name) for name, value in parameters.items()},
        "fitted": fitted,
    }


def _fitted_names(model: Any, parameters: dict[str, Any]) -> set[str]:
    """Return what fit left on the estimator; scikit-learn's own settings are not of it."""
    names = vars(model).keys() - parameters.keys() - DERIVED
    own = ("_sklearn", "_skl_callbacks", "_callback_fit_ctx", "_parent_callback", "_metadata_req")
    return {name for name in names if not name.startswith(own)}


def _rebuild_estimator(network: Network, estimator: dict[str, Any]) -> Any:
    name, parameters, fitted = (estimator.pop(k) for k in ("class", "parameters", "fitted"))
    if estimator or name not in ESTIMATORS:
        _refuse(f"an estimator of class {name!r} and further {sorted(estimator)}")
    cls, parameters = ESTIMATORS[name], completed(parameters, name)
    known = cls().get_params(deep=False)
    if parameters.keys() != known.keys():
        odd = min(parameters.keys() ^ known.keys())
        there = "lacks" if odd in known else "holds the unknown"
        raise ModelFileError(f"it {there} parameter {odd!r} of {name}")
    check_parameters(parameters, PARAMETERS | cls._own)
    model = cls(**parameters)
    _check_fitted_values(name, fitted, network)
    if "encoder_" in fitted:
        fitted["encoder_"] = _rebuild_encoder(fitted["encoder_"])
    for attribute, value in fitted.items():
        taken = hasattr(cls, attribute) or attribute in DERIVED or attribute in parameters
        if taken or not (attribute in PRIVATE or LEARNT_NAME.fullmatch(attribute)):
            _refuse(f"a fitted attribute {attribute!r}, which is no such thing of {name}")
        setattr(model, attribute, value)
    model.coefs_, model.intercepts_ = list(network.W), list(network.b)
    model.activations_ = [
        a.name if ACTIVATIONS.get(a.name) == a else a for a in network.activations
    ]
    model.n_features_in_, model.n_outputs_ = network.sizes[0], network.sizes[-1]
    if "encoder_" in fitted:
        _check_width(model.encoder_, model)
        model.n_features_in_ = model.encoder_.n_features_in_
    model.n_layers_, output = len(network.sizes), network.activations[-1].name
    model.out_activation_ = "logistic" if output == "sigmoid" else output
    return model


def _check_fitted_values(name: str, fitted: dict[str, Any], network: Network) -> None:
    """Raise ModelFileError for learnt things that do not belong to the network."""
    if lacking := (REQUIRED | REQUIRED_OF[name]) - fitted.keys():
        _refuse(f"a {name} without {min(lacking)}")
    outputs = network.sizes[-1]
    if name == "MLPClassifier":
        classes, kind = fitted["classes_"], fitted["_kind"]
        one_each = kind == "labels" or (kind == "classes" and outputs > 1)
        expected = outputs if one_each else 2
        if kind not in ("classes", "labels") or np.shape(classes) != (expected,):
            _refuse(f"{np.size(classes)} classes of kind {kind!r} for {outputs} outputs")
        if sorted(set(classes.tolist())) != classes.tolist():
            _refuse("classes that are not different ones in order")
    targets = outputs // (getattr(network.activations[-1], "block", 0) or 1)
    for each in REQUIRED_OF[name] & {"y_mean_", "y_scale_"}:
        if np.shape(fitted[each]) != (targets,) or not np.issubdtype(fitted[each].dtype, float):
            _refuse(f"{each} that is no float64 of shape ({targets},)")
        _check_finite(fitted[each], each)
    _check_members(fitted.get("members_", []), network)
    _check_under_way(fitted, network)
    for counter in {"t_", "n_iter_"} & fitted.keys():
        if type(fitted[counter]) is not int or fitted[counter] < 0:
            _refuse(f"{counter}={fitted[counter]!r}")
    if not all(isinstance(fitted[each], list) for each in ("history_", "loss_curve_")):
        _refuse("a history or loss curve that is no list")


def _check_members(members: Any, network: Network) -> None:
    """Raise ModelFileError for members that are not networks like this one."""
    if not isinstance(members, list) or not all(isinstance(member, dict) for member in members):
        _refuse("members that are no list of dicts")
    shapes = [(name, [np.shape(a) for a in arrays]) for name, arrays in _parameters(network)]
    for number, member in enumerate(members):
        if [(name, [np.shape(a) for a in arrays]) for name, arrays in member.items()] != shapes:
            _refuse(f"member {number} of other shapes than the network's")
        for array in [*member["coefs"], *member["intercepts"]]:
            if not isinstance(array, np.ndarray) or array.dtype != network.dtype:
                _refuse(f"member {number} in another dtype than {network.dtype}")
            _check_finite(array, f"member {number}'s parameters")


def _parameters(network: Network) -> list[tuple[str, list[Any]]]:
    return [("coefs", list(network.W)), ("intercepts", list(network.b))]


def _check_under_way(fitted: dict[str, Any], network: Network) -> None:
    """Raise ModelFileError for what partial_fit left, if it does not belong to the network."""
    if ("_states" in fitted) != ("_seeds" in fitted):
        _refuse("a training under way that lacks one of _states, _seeds")
    states, seeds = fitted.get("_states", []), fitted.get("_seeds", [])
    known = {field.name for field in fields(State)} | {"theta"}
    if not isinstance(states, list) or not isinstance(seeds, list) or len(states) != len(seeds):
        _refuse(f"{np.size(states)} states of training for {np.size(seeds)} seeds")
    if not all(type(seed) is int and seed >= 0 for seed in seeds):
        _refuse(f"_seeds={str(seeds)[:80]}")
    states[:] = [completed(s, "State") if isinstance(s, dict) else s for s in states]
    shape = (parameter_count(network.sizes),)
    for state in states:
        if not isinstance(state, dict) or state.keys() != known:
            _refuse("a state of training whose entries are not those of this version")
        slots = state["slots"] if isinstance(state["slots"], list) else [None]
        vectors = [*slots, state["theta"]]
        vectors += [state[name] for name in ("raw", "best_theta") if state[name] is not None]
        if any(np.shape(each) != shape or each.dtype != network.dtype for each in vectors):
            _refuse(f"optimizer slots or parameters that are not {network.dtype} of shape {shape}")
        for counter in ("t", "epoch"):
            if type(state[counter]) is not int or state[counter] < 0:
                _refuse(f"a state of training with {counter}={state[counter]!r}")


# Encoders and pipelines ----------------------------------------------------------------------


def _encoder_state(encoder: TableEncoder) -> Description:
    return encoder.to_state() | {"output": getattr(encoder, "_sklearn_output_config", {})}


def _rebuild_encoder(state: dict[str, Any]) -> TableEncoder:
    output = state.pop("output")
    if state.keys() != {"params", "columns", "notes"}:
        _refuse(f"an encoder by {sorted(state)}")
    state["params"] = completed(state["params"], "TableEncoder")
    if odd := state["params"].keys() ^ TableEncoder().get_params().keys():
        _refuse(f"an encoder that lacks or makes up the parameter {min(odd)!r}")
    encoder = TableEncoder.from_state(state)
    encoder._settings()  # raises for parameters that are none
    encoder.get_feature_names_out()
    for record in encoder.columns_:
        if record["kind"] != "dropped" and not record["constant"]:
            _try_column(record)
    if output:
        encoder.set_output(**output)
    return encoder


def _try_column(record: dict[str, Any]) -> None:
    """Encode a gap, which reads all that was learnt of the column; raise where that fails."""
    kind = COLUMN_KINDS[record["kind"]]
    for name in ("levels", "rare") if record["kind"] == "category" else ():
        known = record[name]
        texts = isinstance(known, list) and all(isinstance(level, str) for level in known)
        if not (texts or (known is None and name == "rare")):  # polars would panic, not refuse
            _refuse(f"column {record['name']!r} with {name} that are no list of texts")
    out = np.zeros((1, len(kind.features("", record))))
    kind.fill(as_kind(Column("", "number", np.full(1, np.nan)), record["kind"]), record, out)
    _check_finite(out, f"what was learnt of column {record['name']!r} does")


def _two_steps(model: Pipeline) -> Any:
    steps = model.steps
    kinds = [type(step) for _, step in steps]
    if len(steps) != 2 or kinds[0] is not TableEncoder or kinds[1] not in ESTIMATORS.values():
        raise ModelFileError(
            f"a Pipeline of {', '.join(kind.__name__ for kind in kinds)} cannot be saved;"
            " expected TableEncoder, then MLPClassifier or MLPRegressor"
        )
    return steps


def _rebuild_pipeline(
    encoder: TableEncoder, estimator: Any, steps: Any, verbose: Any, transform_input: Any
) -> Pipeline:
    names = steps if isinstance(steps, list) else []
    if len(set(names)) != 2 or not all(isinstance(n, str) and "__" not in n for n in names):
        _refuse(f"a Pipeline with steps {steps!r}")
    _check_width(encoder, estimator)
    pairs = list(zip(names, (encoder, estimator), strict=True))
    return Pipeline(pairs, verbose=verbose, transform_input=transform_input)


def _check_width(encoder: TableEncoder, estimator: Any) -> None:
    made, taken = len(encoder.get_feature_names_out()), estimator.coefs_[0].shape[0]
    if made != taken:
        raise ModelFileError(
            f"the encoder makes {made} features, the network takes {taken}; fit them together"
        )


def _check_fitted(model: Any, attribute: str) -> None:
    if not hasattr(model, attribute):
        raise ModelFileError(f"this {type(model).__name__} is not fitted yet; call fit first")


def _refuse(what: str) -> NoReturn:
    raise ModelFileError(f"it describes {what}")
