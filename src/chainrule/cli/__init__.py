"""Command line: one function for each command, from `train` to `demo`.

Thin: each command reads its words, calls `tabular`, and prints. An error is one line on standard
error that says what was given, what was expected and what to do; exit code 1 for a run that
failed, 2 for wrong usage, 130 for Ctrl-C, 143 for SIGTERM, which ends a command as that does.
"""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from chainrule import __version__
from chainrule.cli import keeping, options
from chainrule.cli.classic import classics
from chainrule.cli.explaining import explain
from chainrule.cli.exporting import export
from chainrule.cli.streams import prepare, print_csv, print_json
from chainrule.settings import Settings

# typer carries its own click and doesn't export the base of its usage errors
UsageError: type[typer.BadParameter] = typer.BadParameter.__mro__[1]

DEFAULT = Settings()
HIDDEN = ",".join(map(str, DEFAULT.hidden))

app = typer.Typer(
    name="chainrule",
    help="Train fully connected networks on tables, and see every derivative checked.",
    epilog="Add --debug to any command to see a traceback. Start with: chainrule demo",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def train(
    table: options.Table,
    target: options.Target,
    output: options.Output = None,
    task: options.Task = None,
    hidden: options.Hidden = HIDDEN,
    activation: options.Activation = DEFAULT.activation,
    solver: options.Solver = DEFAULT.solver,
    schedule: options.Schedule = DEFAULT.schedule,
    learning_rate: options.Rate = DEFAULT.learning_rate,
    dropout: options.Dropout = DEFAULT.dropout,
    epochs: options.Epochs = DEFAULT.epochs,
    patience: options.Patience = DEFAULT.patience,
    batch_size: options.BatchSize = DEFAULT.batch_size,
    seed: options.Seed = DEFAULT.seed,
    validation: options.Validation = DEFAULT.validation,
    engine: options.Engine = DEFAULT.engine,
    threads: options.Threads = None,
    time_limit: options.TimeLimit = None,
    class_weight: options.ClassWeight = None,
    clip_norm: options.ClipNorm = None,
    report: options.Report = None,
    checkpoint: options.Checkpoint = None,
    every: options.Every = None,
    resume: options.Resume = False,
    as_json: options.Json = False,
    force: options.Force = False,
) -> None:
    """Fit a network to a table; write model and report."""
    options.refuse_beside(solver, schedule, clip_norm)
    kept = keeping.checkpoints(checkpoint, every, resume, force)
    settings = Settings(
        task, hidden, activation, solver, learning_rate, schedule, dropout, epochs, patience,
        batch_size, seed, validation, engine, threads, time_limit, class_weight, clip_norm,
    )  # fmt: skip
    _train(table, target, output, report, settings, kept, as_json, force)


def _train(
    table: str,
    target: str,
    output: Path | None,
    report: Path | None,
    settings: Any,
    kept: Any,
    as_json: bool,
    force: bool,
) -> None:
    from chainrule import tabular
    from chainrule.callbacks import ProgressBar
    from chainrule.cli.progress import brief
    from chainrule.report import summary, write_report
    from chainrule.tables import read_table

    stem = Path(table).name.split(".")[0] if table != "-" else "stdin"
    output = output or Path(f"{stem or 'model'}.chainrule")
    report = report or output.parent / f"{output.stem}-report"
    _check_outputs(table, output, report, force)
    frame = read_table(table)
    say = _teller(as_json)
    say(f"{_named(table)}: {frame.height} rows, {frame.width} columns")
    progress = [] if as_json else [ProgressBar()]
    model = tabular.train_table(frame, target, settings, progress, kept)
    for note in model.notes:
        say(note)
    facts = summary(model)
    say(
        f"{facts['epochs']} epochs in {facts['seconds']:.1f} s, kept epoch"
        f" {facts['best_epoch'] or facts['epochs']}; stopped: {facts['stop_reason']}"
    )
    _tell_scores(model, say, "validation")
    model.save(output, force=force)
    files = write_report(model, report, force=force, extra={"model": str(output)})
    say(f"model: {output}   report: {report}{os.sep} ({', '.join(f.name for f in files)})")
    for line in brief(model.diagnosis, f"chainrule diagnose {output} {table}"):
        say(line)
    if as_json:
        print_json(facts | {"model": str(output), "report": str(report)})
    if model.interrupted:
        more = f"; go on with --checkpoint {kept.folder} --resume --force" if kept else ""
        _fail(f"interrupted; the best weights so far are in {output}{more}", keeping.ended())


@app.command()
def predict(
    model: options.Model,
    table: options.Table,
    output: options.Answers = None,
    force: options.Force = False,
) -> None:
    """Add prediction and probabilities to a table."""
    from chainrule import tabular
    from chainrule.tables import read_table, write_table

    if output is not None:
        options.refuse_same(output, "--output", table, model)
    frame, notes = tabular.predict_table(tabular.TableModel.load(model), read_table(table))
    for note in notes:
        _warn(note)
    if output is None:
        print_csv(frame.write_csv())
    else:
        write_table(frame, output, force=force)
        _warn(f"{output}: {frame.height} rows, {frame.width} columns")


@app.command()
def evaluate(
    model: options.Model,
    table: options.Table,
    picture: options.Picture = None,
    as_json: options.Json = False,
    force: options.Force = False,
) -> None:
    """Score a model on a table with known answers."""
    from chainrule import plots, tabular
    from chainrule.report import draw_answers
    from chainrule.tables import read_table

    if picture is not None:
        options.refuse_same(picture, "--picture", table, model)
    result = tabular.evaluate_table(tabular.TableModel.load(model), read_table(table))
    if picture is not None:
        for axes in draw_answers(result, table).values():
            plots.save_figure(axes, picture, force=force)
    say = _teller(as_json)
    for note in result.notes:
        say(note)
    _tell_scores(result, say, f"on {len(result.truth)} rows")
    if as_json:
        facts = {"rows": len(result.truth), "scores": result.scores, "baseline": result.baseline}
        print_json(facts | {"notes": result.notes})


@app.command()
def inspect(model: options.ModelOrKept, as_json: options.Json = False) -> None:
    """Tell what is in a model file, or in checkpoints."""
    from chainrule.checkpoints import read_checkpoints
    from chainrule.cli.progress import tell_checkpoints, tell_header
    from chainrule.model_file import read_header

    if model.is_dir() or model.suffix == ".checkpoint":
        found = read_checkpoints(model)
        if as_json:
            print_json({"checkpoints": found})
        else:
            tell_checkpoints(found)
        return
    header = read_header(model)
    if as_json:
        print_json(header)
    else:
        tell_header(header)


@app.command()
def check(
    model: options.Model,
    table: options.Table,
    rows: options.Rows = 20,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Compare derivatives with finite differences."""
    from dataclasses import asdict

    from chainrule import tabular
    from chainrule.tables import read_table

    trained = tabular.TableModel.load(model)
    result = tabular.check_table(trained, read_table(table), rows, seed)
    if as_json:
        print_json(asdict(result) | {"passed": result.passed})
    else:
        print(result)
    if not result.passed:
        raise typer.Exit(1)


app.command()(explain)
app.command()(export)
app.command()(classics)


@app.command()
def diagnose(model: options.Model, table: options.Table, as_json: options.Json = False) -> None:
    """Tell why a model does not learn, and what to try."""
    from chainrule import tabular
    from chainrule.cli.progress import tell_diagnosis
    from chainrule.tables import read_table

    result = tabular.diagnose_table(tabular.TableModel.load(model), read_table(table))
    if as_json:
        print_json(result.to_dict())
    else:
        tell_diagnosis(result)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where models and pictures go.")] = Path(
        "chainrule-demo"
    ),
    force: options.Force = False,
) -> None:
    """Do all of it on data that ships with chainrule."""
    from chainrule.demo import run_demo

    options.check_folder(folder, "--folder", force)
    run_demo(folder)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"chainrule {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise UsageError("No command is given; expected one of those above.")


def _teller(quiet: bool) -> Callable[[str], None]:
    return (lambda text: None) if quiet else print


def _warn(text: str) -> None:
    print(text, file=sys.stderr)


def _tell_scores(model: Any, say: Callable[[str], None], where: str) -> None:
    for name, value in model.scores.items():
        beside = f"(a constant answer: {_readable(model.baseline[name])})"
        say(f"{where}: {name.replace('_', ' ')} {_readable(value)}   {beside}")


def _readable(score: float) -> str:
    """Return a score as a person writes it: 112,324 or 0.9367.

    >>> _readable(112324.4), _readable(0.93671), _readable(-4e-05)
    ('112,324', '0.9367', '0.0')
    """
    return f"{score:,.0f}" if abs(score) >= 1000 else f"{round(score, 4) + 0.0:.4}"


def _named(table: str) -> str:
    return "standard input" if table == "-" else table


def _check_outputs(table: str, output: Path, report: Path, force: bool) -> None:
    """Refuse before the work what would be refused after it."""
    from chainrule.files import refuse_overwrite, refuse_unwritable

    options.refuse_same(output, "--output", table)
    if output.is_dir():
        raise IsADirectoryError(f"output {output} is a folder; name a file in it: --output FILE")
    if not output.parent.is_dir():
        raise FileNotFoundError(
            f"folder {output.parent} does not exist; create it or write elsewhere"
        )
    refuse_overwrite(output, force)
    options.check_folder(report, "--report", force)
    refuse_unwritable(output.parent)


def main() -> None:
    """Run the command line; the console script's entry point."""
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    output = prepare()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # commands say what a user should know
            with keeping.end_at_termination():
                code = app(arguments, standalone_mode=False) or 0
        if code == 130:  # typer's answer to Ctrl-C
            _fail("interrupted", keeping.ended(), debug)
        sys.stdout.flush()
        if output is not None and output.trouble is not None and code == 0:
            raise output.trouble
        sys.exit(code)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", keeping.ended(), debug)
    except BrokenPipeError:  # the reader has seen enough, as `head` has
        sys.exit(141)
    except UsageError as error:
        text = str(error) if str(error).startswith("--") else error.format_message()
        text = text.rstrip(".") + "".join(map(_no_option, arguments))
        _fail(f"{text}; see: {_command(error)} --help", 2, debug)
    except MemoryError as error:
        foreseen = "" if "allocate" in str(error) else str(error)  # NumPy's says nothing to do
        _fail(foreseen or "out of memory; take fewer rows or a smaller network", 1, debug)
    except OSError as error:
        full = output is not None and error is output.trouble
        name = "standard output" if full else error.filename
        where = f"{name}: {error.strerror}" if name else str(error)
        _fail(where, 1, debug)
    except (ImportError, ValueError) as error:
        _fail(str(error), 1, debug)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        _fail(f"{what}; this is a bug of chainrule: report it with what --debug shows", 1, debug)


def _command(error: Any) -> str:
    """Return the command that a usage error is of, as it was typed."""
    inner = error.ctx is not None and error.ctx.parent is not None
    return f"chainrule {error.ctx.info_name}" if inner else "chainrule"


def _no_option(word: str) -> str:
    """Return a hint for a word that was taken for an option, where it is the name of a file."""
    named = word.startswith("-") and word != "-" and Path(word).exists()
    return f"; {word} is a file: write ./{word}" if named else ""


def _fail(message: str, code: int, debug: bool = False) -> None:
    if debug:
        traceback.print_exc()
    print(f"chainrule: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
