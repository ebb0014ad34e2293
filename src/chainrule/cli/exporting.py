"""Exporting: the command that writes a model in another format."""

from __future__ import annotations

from pathlib import Path

import click

from chainrule.cli import options
from chainrule.export import FORMATS


@click.command(cls=options.Command)
@options.model
@click.option(
    "--to",
    required=True,
    type=options.one_of(FORMATS),
    help="; ".join(f"{name}: {form.title}" for name, form in FORMATS.items()) + ".",
)
@options.output("--out", help="By default MODEL with the format's ending, here.")
@click.option(
    "--dtype",
    type=options.one_of(("float32", "float64")),
    metavar="float32|float64",
    help="Type of the numbers; by default that of the model.",
)
@options.force
def export(model: Path, to: str, output: Path | None, dtype: str | None, force: bool) -> None:
    """Write a model in another format, such as ONNX."""
    from chainrule.export import export_model
    from chainrule.model_file import load_model, read_header

    out = output or Path(f"{model.stem}{FORMATS[to].suffix}")
    options.refuse_same(out, "--output", model)
    about = read_header(model)["about"]
    export_model(load_model(model), out, to, dtype=dtype, about=about, force=force)
    print(f"{out}: {out.stat().st_size:,} bytes, {FORMATS[to].title}")
