"""Tables: classic systems on the terminal, what was published beside what came out."""

from __future__ import annotations

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from chainrule.classics import CLASSICS, Result

VERDICT = {True: "[green]yes[/green]", False: "[red]no[/red]", None: ""}


def tell_classics() -> None:
    """Print the classic systems and what they are."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, classic in CLASSICS.items():
        table.add_row(name, escape(classic.title))
    Console(soft_wrap=True).print(table)


def tell_result(result: Result) -> None:
    """Print a table of figures: published, with the original's settings, with ours, and whether the
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
    console.print(table)
    for note in result.notes:
        console.print(escape(note))
