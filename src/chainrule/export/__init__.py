"""Export: a fitted model as a file that runs where there is no chainrule.

Encoder, network, labels and probabilities are in it, so that it takes the rows that the model
takes and says what the model says. A format is one entry in `FORMATS`, and a room with a function
`write`.

| room | what it is |
|---|---|
| `parts` | a model taken apart: what there is to write, whatever the format |
| `onnx/` | one ONNX graph; its formulas are traced from those in `activations` |
| `code` | a model as a program: the names it needs, and the outputs it gives |
| `script/` | one Python file that needs NumPy alone, with the very lines of `activations` |
| `plain` | JSON |
| `pytorch` | torch.nn.Sequential, to and from |
| `scikit_learn` | what scikit-learn's MLP has learnt |
| `c/` | one C header; its formulas are translated from those in `activations` |
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.files import write_whole
from chainrule.names import look_up

if TYPE_CHECKING:
    from chainrule.export.parts import Parts


@dataclass(frozen=True)
class Format:
    """A format: what its files end in, a title of one line, and the room whose `write` makes them.

    `write` takes `Parts` and returns bytes or text. What a format cannot hold it refuses with a
    ValueError that says why.
    """

    suffix: str
    title: str
    room: str

    def write(self, parts: Parts) -> bytes:
        """Return the content of the file."""
        content = import_module(f"{__name__}.{self.room}").write(parts)
        return content.encode() if isinstance(content, str) else bytes(content)


#: The one table of formats, by name. The command line and the tests read it when used.
FORMATS: dict[str, Format] = {
    "onnx": Format(".onnx", "an ONNX graph, for ONNX Runtime and whatever else reads it", "onnx"),
    "c": Format(".h", "a C99 header that allocates nothing, for microcontrollers", "c"),
    "numpy": Format(".py", "a Python file that needs NumPy alone, to be read", "script"),
    "json": Format(".json", "sizes, activations, weights and names as JSON", "plain"),
}


def export_model(
    model: Any,
    path: str | os.PathLike[str],
    to: str = "onnx",
    *,
    dtype: Any = None,
    about: dict[str, Any] | None = None,
    force: bool = False,
) -> None:
    """Write a fitted model to a file of another format, whole or not at all.

    Parameters
    ----------
    model : MLPClassifier, MLPRegressor, Pipeline or Network
        Fitted. A Pipeline has two steps: TableEncoder, then MLPClassifier or MLPRegressor.
    path : str or path
        By custom it ends as the format's files do, in ``FORMATS[to].suffix``. Programs take their
        names from it.
    to : str
        A name in FORMATS.
    dtype : str, optional
        "float32" or "float64"; by default that of the network.
    about : dict, optional
        Facts of your own, such as the target's name, for formats that have room for them.
    force : bool
        Whether to write over a file that is there.

    Raises
    ------
    ValueError
        For an unknown format, a model that is not fitted or no model, and what the format cannot
        hold, with the reason.
    FileExistsError, OSError
        When the file exists and not `force`, or cannot be written; an old file is then whole.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from chainrule import Network
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "net.onnx"
    >>> export_model(Network([2, 3, 1], seed=0), path)
    >>> path.stat().st_size > 0
    True
    """
    form = look_up(FORMATS, to, "to")
    from chainrule.export.parts import take_apart  # scikit-learn, which the table is read without

    parts = take_apart(model, dtype, about, Path(path).stem)
    write_whole(Path(path), form.write(parts), force=force)
