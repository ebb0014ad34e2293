"""Options: what a word on the command line may be, and what is said of one that may not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite, nan
from pathlib import Path
from typing import Annotated, Any

import typer

from chainrule.activations import ACTIVATIONS
from chainrule.engine import ENGINE_CHOICES
from chainrule.files import refuse_overwrite
from chainrule.names import look_up
from chainrule.optimizers import LBFGS, OPTIMIZERS
from chainrule.schedules import SCHEDULES


def one_of(table: Mapping[str, Any] | tuple[str, ...], option: str) -> Callable[[str], str]:
    """Return a parser that accepts the names of a table as it is when the command runs."""

    def parse(name: str) -> str:
        names = table if isinstance(table, Mapping) else dict.fromkeys(table)
        try:
            look_up(names, name, option)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        return name

    parse.__name__ = "NAME"
    return parse


def _known(table: Mapping[str, Any]) -> str:
    """Return the help for an option that takes the names of a table."""
    return f"One of {', '.join(table)}."


def _sizes(text: str) -> tuple[int, ...]:
    """Read 64,32 as (64, 32), and an empty text as no hidden layer."""
    try:
        sizes = tuple(int(part) for part in text.split(",")) if text.strip() else ()
    except ValueError:
        sizes = (0,)
    if any(size < 1 or size > 10**6 for size in sizes):
        raise typer.BadParameter(
            f"--hidden={text!r}; expected whole numbers from 1 to 1000000 with commas between"
            " them, such as 64,32, or '' for no hidden layer"
        )
    return sizes


_sizes.__name__ = "SIZES"


def whole(option: str, low: int = 1, high: int | None = None) -> Callable[[Any], int]:
    """Return a parser of whole numbers from `low` to `high`."""
    expected = f"a whole number >= {low}" if high is None else f"a whole number {low} to {high}"

    def parse(text: Any) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low or (high is not None and value > high):
            raise typer.BadParameter(f"{option}={text}; expected {expected}")
        return value

    parse.__name__ = "N"
    return parse


def _number(option: str, expected: str, accepts: Callable[[float], bool]) -> Callable[[Any], float]:
    """Return a parser of numbers that are `expected`."""

    def parse(text: Any) -> float:
        try:
            value = float(text)
        except ValueError:
            value = nan
        if not (isfinite(value) and accepts(value)):
            raise typer.BadParameter(f"{option}={text}; expected {expected}")
        return value

    parse.__name__ = "X"
    return parse


def _named(table: Mapping[str, Any], option: str) -> Any:
    """Return an option that takes the names of a table, as it is when the command runs."""
    return typer.Option(parser=one_of(table, option), metavar="NAME", help=_known(table))


def _count(option: str, text: str) -> Any:
    return typer.Option(parser=whole(option), metavar="N", help=text)


def refuse_file(folder: Path, option: str) -> None:
    """Refuse a folder to write into that is a file, or would be in one."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), Path())
    if not there.is_dir():
        raise FileExistsError(f"{there} is a file; choose another folder: {option} DIR")


def check_folder(folder: Path, option: str, force: bool) -> None:
    """Refuse a folder to write into that is a file, or that holds something, unless `force`."""
    refuse_file(folder, option)
    if folder.is_dir() and any(folder.iterdir()):
        refuse_overwrite(folder, force)


def refuse_same(output: Path, option: str, *inputs: str | Path) -> None:
    """Refuse to write over what is read, which `force` does not mean."""
    for each in map(Path, inputs):
        if output.exists() and each.exists() and output.samefile(each):
            raise ValueError(f"output {output} is the input; choose another name: {option} FILE")


def refuse_beside(solver: str, schedule: str, clip_norm: float | None) -> None:
    """Refuse what acts on single steps beside an optimizer that chooses its own."""
    acting = [f"--schedule={schedule}"] if schedule != "constant" else []
    acting += [] if clip_norm is None else [f"--clip-norm={clip_norm:g}"]
    if OPTIMIZERS[solver] is LBFGS and acting:
        raise typer.BadParameter(
            f"{acting[0]} cannot act on --solver {solver}, which chooses its own steps;"
            " leave it out, or take --solver adam"
        )


Table = Annotated[
    str,
    typer.Argument(metavar="TABLE", help="CSV (gzip too) or Parquet file; - is standard input."),
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A .chainrule file.")]
ModelOrKept = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="A .chainrule file; or checkpoints, a file or --checkpoint's DIR."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]

Target = Annotated[str, typer.Option(metavar="COLUMN", help="Column to predict.")]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Model file; by default TABLE.chainrule, here."
    ),
]
Answers = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="CSV or Parquet; by default the screen."),
]
Report = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder for pictures and numbers; by default MODEL-report."),
]
Picture = Annotated[Path | None, typer.Option(metavar="FILE", help="PNG file for the picture.")]
Task = Annotated[
    str | None,
    typer.Option(
        parser=one_of(("class", "number"), "--task"),
        metavar="class|number",
        help="What the target is; found out by default.",
    ),
]
Hidden = Annotated[
    Any,
    typer.Option(parser=_sizes, metavar="SIZES", help="Units of each hidden layer; '' for none."),
]
Activation = Annotated[str, _named(ACTIVATIONS, "--activation")]
Solver = Annotated[str, _named(OPTIMIZERS, "--solver")]
Schedule = Annotated[str, _named(SCHEDULES, "--schedule")]
Rate = Annotated[
    float,
    typer.Option(
        parser=_number("--learning-rate", "a number > 0, such as 0.001", lambda x: x > 0),
        metavar="X",
        help="Where the schedule starts.",
    ),
]
Dropout = Annotated[
    float | None,
    typer.Option(
        parser=_number("--dropout", "a number >= 0 and < 1", lambda x: 0 <= x < 1),
        metavar="X",
        help="Share of hidden units to drop; by default 0.4, or 0 where that is 5 % better.",
    ),
]
Validation = Annotated[
    float,
    typer.Option(
        parser=_number("--validation", "a number from 0 to 0.9", lambda x: 0 <= x <= 0.9),
        metavar="X",
        help="Share of rows to hold out; 0 for none.",
    ),
]
Epochs = Annotated[int, _count("--epochs", "Most passes over the rows.")]
Patience = Annotated[int, _count("--patience", "Epochs without better validation loss to wait.")]
BatchSize = Annotated[
    int | None,
    _count("--batch-size", "Rows per update; by default a hundredth of them, 32 to 256."),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Folder in which the training is kept, to go on after a crash."
    ),
]
Every = Annotated[int | None, _count("--every", "Epochs between two checkpoints; by default 10.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on from --checkpoint DIR; begin where it is empty.")
]
Threads = Annotated[int | None, _count("--threads", "Most cores to use.")]
TimeLimit = Annotated[
    float | None,
    typer.Option(
        parser=_number("--time-limit", "a number > 0 of seconds", lambda x: x > 0),
        metavar="SECONDS",
        help="Stop training then, and keep the best so far.",
    ),
]
ClassWeight = Annotated[
    str | None,
    typer.Option(
        parser=one_of(("balanced",), "--class-weight"),
        metavar="balanced",
        help="Let rare classes weigh as much as frequent ones.",
    ),
]
ClipNorm = Annotated[
    float | None,
    typer.Option(
        parser=_number("--clip-norm", "a number > 0, such as 1", lambda x: x > 0),
        metavar="X",
        help="Shorten a gradient that is longer.",
    ),
]
Rows = Annotated[int, _count("--rows", "How many rows to take the cost over.")]
Seed = Annotated[
    int,
    typer.Option(parser=whole("--seed", 0, 2**32 - 1), metavar="N", help="Same seed, same model."),
]
Engine = Annotated[
    str,
    typer.Option(
        parser=one_of(ENGINE_CHOICES, "--engine"),
        metavar="NAME",
        help="auto (native where it can be), native (compiled) or reference (NumPy).",
    ),
]
