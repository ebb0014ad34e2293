"""Explaining: the command that tells a row's way through a model and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from chainrule.cli import options
from chainrule.cli.streams import print_json

ModelFile = Annotated[
    Path | None, typer.Argument(metavar="[MODEL]", help="A .chainrule file.", show_default=False)
]
TableFile = Annotated[
    str | None,
    typer.Argument(metavar="[TABLE]", help="CSV or Parquet; - is standard input."),
]
RowNumbers = Annotated[
    list[int],
    typer.Option(
        "--row",
        metavar="N",
        parser=options.whole("--row", 0),
        help="Row, counted from 0; again for a batch.",
    ),
]
Weight = Annotated[
    str | None,
    typer.Option(metavar="L,I,J", help="Weight to follow, W[L][I, J]; L,b,J for a bias."),
]
Units = Annotated[
    list[str],
    typer.Option("--unit", metavar="L,J", help="Unit to tell in a large network; repeatable."),
]
Html = Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page instead.")]
TargetColumns = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMNS",
        help="Target, where the model file does not name it; by default the last column, if"
        " there are more than inputs.",
    ),
]
Demo = Annotated[bool, typer.Option("--demo", help="Explain the half adder; needs no model.")]


def explain(
    model: ModelFile = None,
    table: TableFile = None,
    row: RowNumbers = [],  # noqa: B006  typer copies it
    weight: Weight = None,
    unit: Units = [],  # noqa: B006
    target: TargetColumns = None,
    html: Html = None,
    demo: Demo = False,
    as_json: options.Json = False,
    force: options.Force = False,
) -> None:
    """Tell a row's way through a model and, where its target is known, back."""
    from chainrule.explanation.terminal import show
    from chainrule.files import refuse_overwrite, write_whole
    from chainrule.tables import read_table
    from chainrule.tabular.explained import explain_half_adder, read_question

    how: dict[str, Any] = {
        "weight": _place("--weight", weight, 3) if weight else None,
        "units": [_place("--unit", each, 2) for each in unit],
    }
    if html is not None:
        options.refuse_same(html, "--html", *(each for each in (model, table) if each))
        refuse_overwrite(html, force)
    if demo:
        if model is not None:
            raise typer.BadParameter("--demo explains the half adder; leave out MODEL or --demo")
        told = explain_half_adder(row or (3,), **how)
    elif model is None or table is None:
        raise typer.BadParameter("MODEL and TABLE are missing; give both, or --demo")
    else:
        question = read_question(model, read_table(table), row or (0,), target)
        if weight and question.lacking:
            raise typer.BadParameter(
                f"--weight={weight} follows a derivative, which needs the answer, and"
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


def _place(option: str, words: str, parts: int) -> tuple[Any, ...]:
    """Read 0,1,2 or 0,b,2 as numbers, counted from 0."""
    each = [word.strip() for word in words.split(",")]
    if len(each) == parts and all(w.isdecimal() or (w == "b" and parts == 3) for w in each):
        return tuple(int(w) if w.isdecimal() else w for w in each)
    expected = "layer,i,j such as 0,1,2 (or 0,b,2)" if parts == 3 else "layer,unit such as 0,5"
    raise typer.BadParameter(f"{option}={words}; expected {expected}, counted from 0")
