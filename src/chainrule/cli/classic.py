"""Classic: the command that runs a teaching system beside what it published."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from chainrule.classics import CLASSICS, Result, run_classic, settings_of
from chainrule.classics.drawing import Drawer
from chainrule.cli import options
from chainrule.cli.streams import print_json

VERDICT = {True: "[green]yes[/green]", False: "[red]no[/red]", None: ""}


@click.command(cls=options.Command)
@options.argument(
    "name",
    type=options.one_of(CLASSICS),
    required=False,
    help=f"One of {', '.join(CLASSICS)}; without it they are listed.",
)
@options.folder("--out", default="chainrule-classics", help="Pictures go to DIR/NAME.")
@options.folder(
    "--data", help="Where MNIST's files are; without it they are looked for, or fetched."
)
@options.hidden()
@options.flag("--quick", help="A short form, of fewer seeds and epochs, where there is one.")
@options.engine
@options.as_json
@options.force
def classics(
    name: str | None,
    out: Path,
    data: Path | None,
    hidden: tuple[int, ...] | None,
    quick: bool,
    engine: str,
    as_json: bool,
    force: bool,
) -> None:
    """Run a classic system beside what it published."""
    if name is None:
        _tell_list(as_json)
        return
    settings = _settings(name, data=data, hidden=hidden, quick=quick or None)
    folder = out / name
    options.check_folder(folder, "--out", force)
    if "draw" in settings_of(name):
        with Drawer(folder, force=force) as drawer:
            result = run_classic(name, engine=engine, draw=drawer.draw, **settings)
            pictures = drawer.finish()
    else:
        result = run_classic(name, engine=engine, **settings)
        pictures = result.draw(folder, force=force)
    if as_json:
        print_json(result.facts(pictures))
        return
    _tell(result)
    drawn = ", ".join(path.name for path in pictures)
    print(f"{result.seconds:.1f} s; pictures: {folder}{os.sep} ({drawn})")


def _settings(name: str, **given: Any) -> dict[str, Any]:
    """Return the options that were given; refuse those that the system has not."""
    known = settings_of(name)
    settings: dict[str, Any] = {"progress": True} if "progress" in known else {}
    for option, value in given.items():
        if value is not None:
            if option not in known:
                raise click.UsageError(f"--{option}: {name} has no such option; leave it out")
            settings[option] = value
    return settings


def _tell_list(as_json: bool) -> None:
    if as_json:
        print_json({name: classic.title for name, classic in CLASSICS.items()})
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, classic in CLASSICS.items():
        table.add_row(name, escape(classic.title))
    Console(soft_wrap=True).print(table)


def _tell(result: Result) -> None:
    """Print the figures: published, with the original's settings, with ours, and whether the
    published one is reached."""
    table = Table(title=result.name, title_justify="left", box=SIMPLE, pad_edge=False)
    table.add_column("")
    for heading in ("published", "original", "ours"):
        table.add_column(heading, justify="right")
    table.add_column("reached")
    for each in result.figures:
        values = (each.published, each.obtained, each.ours)
        said = [escape(each.say(value)) for value in values]
        table.add_row(escape(each.what), *said, VERDICT[each.holds])
    console = Console()
    if result.listing:
        from rich.syntax import Syntax  # Pygments

        look = Syntax("", "python", background_color="default")
        console.print(look.highlight(result.listing.strip()), soft_wrap=True)  # lines stay whole
    console.print(table)
    for note in result.notes:
        console.print(escape(note))
