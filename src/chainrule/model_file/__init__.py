"""Model files: a network, its encoder and what they learnt, in one file that any program can read.

A `*.chainrule` file is a safetensors file (https://github.com/huggingface/safetensors), so its
weights open in every program that reads those. It holds data only: reading it runs no code.

    bytes           content
    0 to 8          N, the length of the header, little-endian
    8 to 8 + N      the header, JSON in UTF-8, padded with spaces:
                        {"__metadata__": {"chainrule": DESCRIPTION}, name: TENSOR, …}
                    TENSOR is {"dtype": "F64", "shape": [3, 5], "data_offsets": [begin, end]}
    8 + N to end    the tensors' bytes, little-endian, rows first; offsets count from here

DESCRIPTION is JSON in ASCII, as a string in the header's JSON. Its keys, these two first and
written without spaces, so that they can be found before anything is parsed:

    format      1. A reader refuses what is newer
    sha256      SHA-256 of the whole file with these 64 digits as zeros, in small hex digits
    chainrule   the version that wrote the file
    about       a dict of the caller's, or null
    kind        what was saved, and one key more for each of its parts: see `model_state`

How a value that JSON cannot say is written (NaN, tuples, arrays, LeakyRelu(0.2)) stands in
`model_values`. A file is read only if every byte has its place: tensors follow each other without
gap or overlap to the end of the file, no key stands twice, none is unknown, the sum is right and
all weights are finite. Lengths and shapes are compared with the size of the file before memory is
taken for them; a header may take 8 MiB, and there may be 10,000 tensors. Whoever wants to deceive
can compute the sum anew: it guards against accidents, the checks behind it against crashes.

Not stored: callbacks, a Pipeline's memory, metadata routing, and the class of NumPy's numbers. A
RandomState is, and goes on where it was. The same model gives the same bytes.
"""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import Any

from chainrule.files import refuse_overwrite, write_whole
from chainrule.model_file.container import explained, opened, seal, unseal
from chainrule.model_file.header import DTYPES, FORMAT, Header, check_sum, read_start
from chainrule.model_file.state import KINDS, check_sizes, describe, rebuild, unknown_kind
from chainrule.model_file.values import ModelFileError, Packer, Unpacker, readable
from chainrule.model_file.versions import is_newer, upgrade
from chainrule.network import parameter_count

__all__ = ["FORMAT", "SUFFIX", "ModelFileError", "load_model", "read_header", "save_model"]

SUFFIX = ".chainrule"
BLOCK = 2**20  # bytes read at a time

#: What `read_header` says of a training -> the fitted attribute that holds it.
HISTORY = {
    "epochs": "n_iter_", "loss": "loss_", "best_loss": "best_loss_", "best_epoch": "best_epoch_",
    "best_validation_score": "best_validation_score_", "stop_reason": "stop_reason_",
    "engine": "engine_", "engine_reason": "engine_reason_",
}  # fmt: skip


def save_model(
    model: Any,
    path: str | os.PathLike[str],
    *,
    force: bool = False,
    about: dict[str, Any] | None = None,
) -> None:
    """Write a model to a file, whole or not at all, and only if it reads back the same.

    Parameters
    ----------
    model : MLPClassifier, MLPRegressor, TableEncoder, Network or Pipeline
        Fitted. A Pipeline has two steps: TableEncoder, then MLPClassifier or MLPRegressor.
    path : str or path
        By custom it ends in ``.chainrule``; any name will do, and none is changed.
    force : bool
        Whether to write over a file that is there.
    about : dict, optional
        Facts of your own, such as the target's name: text, numbers, lists, dicts.
        `read_header` gives them back.

    Raises
    ------
    ModelFileError
        For a model that is not fitted, of another class, with weights that are not finite, or
        holding what a file cannot (objects of classes that no table lists); a ValueError.
    FileExistsError, OSError
        When the file exists and not `force`, or cannot be written; an old file is then whole.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from chainrule import Network
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "net.chainrule"
    >>> save_model(Network([2, 3, 1], seed=0), path, about={"made for": "an example"})
    >>> load_model(path)
    Network([2, 3, 1], activations=['relu', 'identity'], 13 parameters, float64)
    >>> read_header(path)["about"]
    {'made for': 'an example'}
    """
    if about is not None and type(about) is not dict:
        raise ModelFileError(f"about={about!r} is a {type(about).__name__}; expected a dict")
    refuse_overwrite(Path(path), force)
    with explained(f"{os.fspath(path)} is not written"):
        content = _to_bytes(model, about)
        again = _to_bytes(*_from_bytes(content))
        if again != content:
            raise ModelFileError(f"the {type(model).__name__} would read back as another one")
    write_whole(Path(path), content, force=force)


def load_model(path: str | os.PathLike[str]) -> Any:
    """Return the model in a file: the same class, parameters, learnt attributes, predictions.

    Warm starts and `partial_fit` go on from there, with the optimizer as it was.

    Parameters
    ----------
    path : str or path
        A file that `save_model` wrote.

    Raises
    ------
    ModelFileError
        When there is no such file, or it is not a whole and sound model; a ValueError.
    """
    with opened(path) as (file, size):
        header = read_start(file, size)
        data = file.read()
        check_sum(header, [data])
        return _decode(header, data)[0]


def read_header(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what is in a model file, without making the model.

    The sum of the file is checked, a block at a time; the weights are not kept.

    Parameters
    ----------
    path : str or path
        A file that `save_model` wrote.

    Returns
    -------
    dict
        format, chainrule (version), kind, bytes; sizes, activations, dtype, n_parameters of the
        network; parameters, classes, history (a summary) of the estimator; columns, notes of the
        encoder; steps of the Pipeline; about; tensors: the dtype and shape of each by name.
        None where the kind has no such thing. Plain values; all but `about` as text, numbers and
        lists that are strict JSON.

    Raises
    ------
    ModelFileError
        As `load_model`, except for what only the weights tell.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from chainrule import MLPClassifier
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "xor.chainrule"
    >>> model = MLPClassifier((4,), "tanh", solver="lbfgs", random_state=1)
    >>> save_model(model.fit([[0, 0], [0, 1], [1, 0], [1, 1]], ["n", "y", "y", "n"]), path)
    >>> header = read_header(path)
    >>> header["kind"], header["sizes"], header["activations"], header["classes"]
    ('MLPClassifier', [2, 4, 1], ['tanh', 'sigmoid'], ['n', 'y'])
    """
    with opened(path) as (file, size):
        header = read_start(file, size)
        check_sum(header, iter(lambda: file.read(BLOCK), b""))
        return _summary(header, size)


# Writing -------------------------------------------------------------------------------------


def _to_bytes(model: Any, about: dict[str, Any] | None) -> bytes:
    packer = Packer()
    packed = packer.pack(about, "about")
    if packer.tensors:
        raise ModelFileError("about holds arrays; give lists instead")
    return seal({"about": packed} | describe(model, packer), packer)


# Reading -------------------------------------------------------------------------------------


def _decode(header: Header, data: bytes) -> tuple[Any, dict[str, Any] | None]:
    """Return the model and `about`; `data` is what follows the header."""
    version = str(header.description["chainrule"])
    rest, unpacker = unseal(header, data)
    about = unpacker.unpack(rest.pop("about"))
    if about is not None and type(about) is not dict:
        raise ModelFileError(f"its about is a {type(about).__name__}; expected an object")
    try:
        return rebuild(rest, unpacker), about
    except Exception as error:
        if is_newer(version):
            raise ModelFileError(f"{error}; {upgrade(version)}") from error
        raise


def _from_bytes(content: bytes) -> tuple[Any, dict[str, Any] | None]:
    """Return the model and `about` of a file's bytes, with all that reading checks."""
    file = BytesIO(content)
    header, data = read_start(file, len(content)), file.read()
    check_sum(header, [data])
    return _decode(header, data)


def _summary(header: Header, size: int) -> dict[str, Any]:
    """Return what `read_header` does."""
    said = header.description
    if said["kind"] not in KINDS:
        raise unknown_kind(said["kind"])
    network, estimator = (readable(said.get(part)) or {} for part in ("network", "estimator"))
    encoder, pipeline = (readable(said.get(part)) or {} for part in ("encoder", "pipeline"))
    fitted = estimator.get("fitted", {})
    if network:
        check_sizes(network["sizes"])
    tensors = {
        name: {"dtype": DTYPES[tensor["dtype"]], "shape": tensor["shape"]}
        for name, tensor in header.tensors.items()
    }
    summary: dict[str, Any] = {key: said[key] for key in ("format", "chainrule", "kind")}
    summary |= {"bytes": size, "about": Unpacker({}).unpack(said["about"])}
    summary |= {key: network.get(key) for key in ("sizes", "activations", "dtype")}
    summary["n_parameters"] = parameter_count(network["sizes"]) if network else None
    summary |= {"parameters": estimator.get("parameters"), "classes": fitted.get("classes_")}
    summary["history"] = (
        {key: fitted.get(name) for key, name in HISTORY.items()} if fitted else None
    )
    summary |= {"columns": encoder.get("columns"), "notes": encoder.get("notes")}
    return summary | {"steps": pipeline.get("steps"), "tensors": tensors}
