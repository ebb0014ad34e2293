"""Exporting: the command that writes a model in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli import options
from chainrule.export import FORMATS

Format = Annotated[
    str,
    typer.Option(
        "--to",
        parser=options.one_of(FORMATS, "--to"),
        metavar="NAME",
        help="; ".join(f"{name}: {form.title}" for name, form in FORMATS.items()) + ".",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        "--out",
        metavar="FILE",
        help="By default MODEL with the format's ending, here.",
    ),
]
Dtype = Annotated[
    str | None,
    typer.Option(
        parser=options.one_of(("float32", "float64"), "--dtype"),
        metavar="float32|float64",
        help="Type of the numbers; by default that of the model.",
    ),
]


def export(
    model: options.Model,
    to: Format,
    output: Out = None,
    dtype: Dtype = None,
    force: options.Force = False,
) -> None:
    """Write a model in another format, such as ONNX."""
    from chainrule.export import export_model
    from chainrule.model_file import load_model, read_header

    out = output or Path(f"{model.stem}{FORMATS[to].suffix}")
    options.refuse_same(out, "--output", model)
    about = read_header(model)["about"]
    export_model(load_model(model), out, to, dtype=dtype, about=about, force=force)
    print(f"{out}: {out.stat().st_size:,} bytes, {FORMATS[to].title}")
