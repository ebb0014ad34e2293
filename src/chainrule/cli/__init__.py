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
from typing import Any

import click

from chainrule import __version__
from chainrule.cli import keeping, options
from chainrule.cli.classic import classics
from chainrule.cli.explaining import explain
from chainrule.cli.exporting import export
from chainrule.cli.streams import prepare, print_csv, print_json
from chainrule.settings import Settings


@click.group(
    cls=options.Group,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"show_default": True},
    epilog="Add --debug to any command to see a traceback. Start with: chainrule demo",
)
@click.version_option(__version__, message="%(prog)s %(version)s", help="Print the version.")
@click.pass_context
def app(context: click.Context) -> None:
    """Train fully connected networks on tables, and see every derivative checked."""
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise click.UsageError("No command is given; expected one of those above.")


@app.command()
@options.table
@options.target
@options.output(help="Model file; by default TABLE.chainrule, here.")
@options.settings
@options.report
@options.checkpoint
@options.every
@options.resume
@options.as_json
@options.force
def train(
    table: str,
    target: str,
    output: Path | None,
    report: Path | None,
    checkpoint: Path | None,
    every: int | None,
    resume: bool,
    as_json: bool,
    force: bool,
    **given: Any,
) -> None:
    """Fit a network to a table; write model and report."""
    settings = Settings(**given)
    options.refuse_beside(settings)
    kept = keeping.checkpoints(checkpoint, every, resume, force)
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
@options.model
@options.table
@options.output(help="CSV or Parquet; by default the screen.")
@options.force
def predict(model: Path, table: str, output: Path | None, force: bool) -> None:
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
@options.model
@options.table
@options.file("--picture", help="PNG file for the picture.")
@options.as_json
@options.force
def evaluate(model: Path, table: str, picture: Path | None, as_json: bool, force: bool) -> None:
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
@options.argument(
    "model", type=Path, help="A .chainrule file; or checkpoints, a file or --checkpoint's DIR."
)
@options.as_json
def inspect(model: Path, as_json: bool) -> None:
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
@options.model
@options.table
@click.option(
    "--rows", type=options.whole(), default=20, help="How many rows to take the cost over."
)
@options.seed
@options.as_json
def check(model: Path, table: str, rows: int, seed: int, as_json: bool) -> None:
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
        raise click.exceptions.Exit(1)


app.add_command(explain)
app.add_command(export)
app.add_command(classics)


@app.command()
@options.model
@options.table
@options.as_json
def diagnose(model: Path, table: str, as_json: bool) -> None:
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
@options.folder("--folder", default="chainrule-demo", help="Where models and pictures go.")
@options.force
def demo(folder: Path, force: bool) -> None:
    """Do all of it on data that ships with chainrule."""
    from chainrule.demo import run_demo

    options.check_folder(folder, "--folder", force)
    run_demo(folder)


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
                code = _run(arguments)
        sys.stdout.flush()
        if output is not None and output.trouble is not None and code == 0:
            raise output.trouble
        sys.exit(code)
    except KeyboardInterrupt:
        _fail("interrupted", keeping.ended(), debug)
    except BrokenPipeError:  # the reader has seen enough, as `head` has
        sys.exit(141)
    except click.UsageError as error:
        text = error.format_message().rstrip(".") + "".join(map(_no_option, arguments))
        _fail(f"{text}; see: {_command(arguments)} --help", 2, debug)
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


def _run(arguments: list[str]) -> int:
    """Run a command, and return its exit code; Ctrl-C and a closed pipe are left to `main`."""
    try:
        with app.make_context("chainrule", [*arguments]) as context:
            app.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    return 0


def _command(arguments: list[str]) -> str:
    """Return the command that is asked for, as it was typed."""
    named = [name for name in arguments[:1] if name in app.commands]
    return " ".join(["chainrule", *named])


def _no_option(word: str) -> str:
    """Return a hint for a word that was taken for an option, where it is the name of a file."""
    named = word.startswith("-") and word != "-" and Path(word).exists()
    return f"; {word} is a file: write ./{word}" if named else ""


def _fail(message: str, code: int, debug: bool = False) -> None:
    if debug:
        traceback.print_exc()
    print(f"chainrule: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
