"""Options: what a word on the command line may be, and what is said of one that may not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from math import isfinite, nan
from pathlib import Path
from typing import Any

import click

from chainrule.activations import ACTIVATIONS
from chainrule.engine import ENGINE_CHOICES
from chainrule.files import refuse_overwrite
from chainrule.names import look_up
from chainrule.optimizers import LBFGS, OPTIMIZERS
from chainrule.schedules import SCHEDULES
from chainrule.settings import Settings

DEFAULT = Settings()


class Argument(click.Argument):
    """An argument that has help, as options have."""

    def __init__(self, *names: Any, help: str, **more: Any) -> None:
        super().__init__(*names, **more)
        self.about = help


class Command(click.Command):
    """A command whose help tells of its arguments, too."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the arguments, then the options."""
        mine = [each for each in self.params if isinstance(each, Argument)]
        if mine:
            with formatter.section("Arguments"):
                formatter.write_dl([(each.get_usage_pieces(ctx)[0], each.about) for each in mine])
        super().format_options(ctx, formatter)


class Group(click.Group):
    """A group that lists its commands in the order they are told in."""

    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(self.commands)


class Word(click.ParamType):  # type: ignore[type-arg]  # generic in some versions of click
    """What `read` makes of a word and the option it is given for; its ValueError is wrong usage."""

    def __init__(self, name: str, read: Callable[[Any, str], Any]) -> None:
        self.name, self.read = name, read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a word, or say what was expected."""
        option = param.opts[0] if isinstance(param, click.Option) else self.name
        try:
            return self.read(value, option)
        except ValueError as error:
            raise click.UsageError(str(error), ctx) from None


def one_of(names: Iterable[str]) -> Word:
    """Return the type of a name in a table, which is read when the command runs."""

    def read(name: str, option: str) -> str:
        look_up(dict.fromkeys(names), name, option)
        return name

    return Word("NAME", read)


def whole(low: int = 1, high: int | None = None) -> Word:
    """Return the type of whole numbers from `low` to `high`."""
    expected = f"a whole number >= {low}" if high is None else f"a whole number {low} to {high}"

    def read(text: Any, option: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low or (high is not None and value > high):
            raise ValueError(f"{option}={text}; expected {expected}")
        return value

    return Word("N", read)


def number(expected: str, accepts: Callable[[float], bool]) -> Word:
    """Return the type of numbers that are `expected`."""

    def read(text: Any, option: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = nan
        if not (isfinite(value) and accepts(value)):
            raise ValueError(f"{option}={text}; expected {expected}")
        return value

    return Word("X", read)


def _sizes(text: str, option: str) -> tuple[int, ...]:
    """Read 64,32 as (64, 32), and an empty text as no hidden layer."""
    try:
        sizes = tuple(int(part) for part in text.split(",")) if text.strip() else ()
    except ValueError:
        sizes = (0,)
    if any(size < 1 or size > 10**6 for size in sizes):
        raise ValueError(
            f"{option}={text!r}; expected whole numbers from 1 to 1000000 with commas between"
            " them, such as 64,32, or '' for no hidden layer"
        )
    return sizes


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


def refuse_beside(settings: Settings) -> None:
    """Refuse what acts on single steps beside an optimizer that chooses its own."""
    acting = [f"--schedule={settings.schedule}"] if settings.schedule != "constant" else []
    acting += [] if settings.clip_norm is None else [f"--clip-norm={settings.clip_norm:g}"]
    if OPTIMIZERS[settings.solver] is LBFGS and acting:
        raise click.UsageError(
            f"{acting[0]} cannot act on --solver {settings.solver}, which chooses its own steps;"
            " leave it out, or take --solver adam"
        )


argument = partial(click.argument, cls=Argument)
flag = partial(click.option, is_flag=True)
file = partial(click.option, type=Path, metavar="FILE")
folder = partial(click.option, type=Path, metavar="DIR")

table = argument("table", help="CSV (gzip too) or Parquet file; - is standard input.")
model = argument("model", type=Path, help="A .chainrule file.")
target = click.option("--target", required=True, metavar="COLUMN", help="Column to predict.")
output = partial(file, "--output", "-o")
report = folder("--report", help="Folder for pictures and numbers; by default MODEL-report.")
checkpoint = folder(
    "--checkpoint", help="Folder in which the training is kept, to go on after a crash."
)
every = click.option("--every", type=whole(), help="Epochs between two checkpoints; by default 10.")
resume = flag("--resume", help="Go on from --checkpoint DIR; begin where it is empty.")
as_json = flag("--json", "as_json", help="Print JSON for machines.")
force = flag("--force", help="Overwrite what is there.")
hidden = partial(
    click.option,
    "--hidden",
    type=Word("SIZES", _sizes),
    help="Units of each hidden layer; '' for none.",
)
seed = click.option(
    "--seed", type=whole(0, 2**32 - 1), default=DEFAULT.seed, help="Same seed, same model."
)
engine = click.option(
    "--engine",
    type=one_of(ENGINE_CHOICES),
    default=DEFAULT.engine,
    help="auto (native where it can be), native (compiled) or reference (NumPy).",
)


def _named(option: str, names: Iterable[str], default: str) -> Any:
    """Return an option that takes the names of a table."""
    about = f"One of {', '.join(names)}."
    return click.option(option, type=one_of(names), default=default, help=about)


SETTINGS = (
    click.option(
        "--task",
        type=one_of(("class", "number")),
        metavar="class|number",
        help="What the target is; found out by default.",
    ),
    hidden(default=",".join(map(str, DEFAULT.hidden))),
    _named("--activation", ACTIVATIONS, DEFAULT.activation),
    _named("--solver", OPTIMIZERS, DEFAULT.solver),
    _named("--schedule", SCHEDULES, DEFAULT.schedule),
    click.option(
        "--learning-rate",
        type=number("a number > 0, such as 0.001", lambda x: x > 0),
        default=DEFAULT.learning_rate,
        help="Where the schedule starts.",
    ),
    click.option(
        "--dropout",
        type=number("a number >= 0 and < 1", lambda x: 0 <= x < 1),
        help="Share of hidden units to drop; by default 0.4, or 0 where that is 5 % better.",
    ),
    click.option(
        "--epochs", type=whole(), default=DEFAULT.epochs, help="Most passes over the rows."
    ),
    click.option(
        "--patience",
        type=whole(),
        default=DEFAULT.patience,
        help="Epochs without better validation loss to wait.",
    ),
    click.option(
        "--batch-size",
        type=whole(),
        help="Rows per update; by default a hundredth of them, 32 to 256.",
    ),
    seed,
    click.option(
        "--validation",
        type=number("a number from 0 to 0.9", lambda x: 0 <= x <= 0.9),
        default=DEFAULT.validation,
        help="Share of rows to hold out; 0 for none.",
    ),
    engine,
    click.option("--threads", "n_threads", type=whole(), help="Most cores to use."),
    click.option(
        "--time-limit",
        type=number("a number > 0 of seconds", lambda x: x > 0),
        metavar="SECONDS",
        help="Stop training then, and keep the best so far.",
    ),
    click.option(
        "--class-weight",
        type=one_of(("balanced",)),
        metavar="balanced",
        help="Let rare classes weigh as much as frequent ones.",
    ),
    click.option(
        "--clip-norm",
        type=number("a number > 0, such as 1", lambda x: x > 0),
        help="Shorten a gradient that is longer.",
    ),
)


def settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a command with the options that are the fields of `Settings`."""
    for option in reversed(SETTINGS):
        command = option(command)
    return command
