"""Explaining: the command that tells a row's way through a model and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from chainrule.cli import options
from chainrule.cli.streams import print_json


def _place(parts: int) -> options.Word:
    """Return the type of 0,1,2 or 0,b,2, which are 3 `parts`, or of 0,5."""
    expected = "layer,i,j such as 0,1,2 (or 0,b,2)" if parts == 3 else "layer,unit such as 0,5"

    def read(text: str, option: str) -> tuple[Any, ...]:
        each = [word.strip() for word in text.split(",")]
        if len(each) == parts and all(w.isdecimal() or (w == "b" and parts == 3) for w in each):
            return tuple(int(w) if w.isdecimal() else w for w in each)
        raise ValueError(f"{option}={text}; expected {expected}, counted from 0")

    return options.Word("L,I,J" if parts == 3 else "L,J", read)


@click.command(cls=options.Command)
@options.argument("model", type=Path, required=False, help="A .chainrule file.")
@options.argument("table", required=False, help="CSV or Parquet; - is standard input.")
@click.option(
    "--row", type=options.whole(0), multiple=True, help="Row, counted from 0; again for a batch."
)
@click.option("--weight", type=_place(3), help="Weight to follow, W[L][I, J]; L,b,J for a bias.")
@click.option(
    "--unit", type=_place(2), multiple=True, help="Unit to tell in a large network; repeatable."
)
@click.option(
    "--target",
    metavar="COLUMNS",
    help="Target, where the model file does not name it; by default the last column, if"
    " there are more than inputs.",
)
@options.file("--html", help="Write a page instead.")
@options.flag("--demo", help="Explain the half adder; needs no model.")
@options.as_json
@options.force
def explain(
    model: Path | None,
    table: str | None,
    row: tuple[int, ...],
    weight: tuple[Any, ...] | None,
    unit: tuple[tuple[int, int], ...],
    target: str | None,
    html: Path | None,
    demo: bool,
    as_json: bool,
    force: bool,
) -> None:
    """Tell a row's way through a model and, where its target is known, back."""
    from chainrule.explanation.terminal import show
    from chainrule.files import refuse_overwrite, write_whole
    from chainrule.tables import read_table
    from chainrule.tabular.explained import explain_half_adder, read_question

    how: dict[str, Any] = {"weight": weight, "units": unit}
    if html is not None:
        options.refuse_same(html, "--html", *(each for each in (model, table) if each))
        refuse_overwrite(html, force)
    if demo:
        if model is not None:
            raise click.UsageError("--demo explains the half adder; leave out MODEL or --demo")
        told = explain_half_adder(row or (3,), **how)
    elif model is None or table is None:
        raise click.UsageError("MODEL and TABLE are missing; give both, or --demo")
    else:
        question = read_question(model, read_table(table), row or (0,), target)
        if weight and question.lacking:
            given = ",".join(map(str, weight))
            raise click.UsageError(
                f"--weight={given} follows a derivative, which needs the answer, and"
                f" {question.lacking}; leave --weight out, or give rows with answers"
            )
        told = question.explain(**how)
    if html is not None:
        write_whole(html, told.to_html().encode(), force=force)
    if as_json:
        print_json(told.to_dict())
    elif html is None:
        show(told)
    else:
        what = "the way forward" if told.cost is None else f"{told.cost:.6g} is the cost"
        print(f"{html}: {what}; open it in a browser")
