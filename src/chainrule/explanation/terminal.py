"""Terminal: an explanation as text, aligned, in few colours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import StringIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from chainrule.explanation.parts import Check, Explanation, Line, Step, WeightStory, summary
from chainrule.explanation.unicode import number_text, text

CHECK_DIGITS = 12  # of costs, whose difference is small
SOFT, RESULT, HEAD = "dim", "bold cyan", "bold"
#: Chapters of an explanation, and the steps that each tells.
CHAPTERS = (
    ("Forward", ("z", "a")),
    ("Answer", ("answer",)),
    ("Loss", ("target", "loss", "cost")),
    ("Back", ("delta", "dW", "db")),
    ("Update", ("update",)),
)
BY_LAYER = ("Forward", "Back", "Update")  # chapters that go layer by layer


def as_text(told: Explanation, width: int) -> str:
    """Return the explanation as plain text, `width` columns wide."""
    console = Console(
        file=StringIO(), width=width, color_system=None, legacy_windows=False, force_jupyter=False
    )
    console.print(rendered(told))
    file = console.file
    assert isinstance(file, StringIO)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def show(told: Explanation) -> None:
    """Print the explanation, in colours where the terminal has them."""
    console = Console(highlight=False)
    console.print(rendered(told))


def rendered(told: Explanation) -> RenderableType:
    """Return what rich prints."""
    parts: list[RenderableType] = [*_opening(told)]
    for name, kinds in CHAPTERS:
        steps = [step for step in told.steps if step.kind in kinds]
        if not steps:
            continue
        parts += ["", Rule(Text(name, HEAD), align="left", style=SOFT)]
        before: int | None = -1
        for step in steps:
            if name in BY_LAYER and step.layer != before:
                parts.append(Text(f"\n{layer_title(told, step.layer or 0)}", HEAD))
            before = step.layer
            parts += ["", *_step(step, told.digits)]
    if told.cost is not None and told.cost_after is not None:
        parts += ["", _after(told.cost, told.cost_after, told.digits)]
    if told.weight is not None:
        parts += ["", Rule(Text("One derivative, path by path", HEAD), align="left", style=SOFT)]
        parts += _story(told.weight, told)
    return Group(*parts)


def layer_title(told: Explanation, l: int) -> str:
    """Return what a layer is called: its number, what it joins, its activation."""
    n_in, n_out = told.sizes[l], told.sizes[l + 1]
    return f"Layer {l} of {len(told.activations)}: {n_in} → {n_out}, {told.activations[l]}"


def opening(told: Explanation) -> tuple[str, str]:
    """Return the title, and the facts in a line."""
    n = len(told.rows)
    what = f"Row {told.rows[0]}" if n == 1 else f"{n} rows"
    facts = [" → ".join(map(str, told.sizes)), ", ".join(dict.fromkeys(told.activations))]
    if told.loss is None or told.cost is None:
        return f"{what} through the network", " · ".join(facts)
    facts += [told.loss.replace("_", " "), f"C = {number_text(told.cost, told.digits)}"]
    return f"{what} through the network and back", " · ".join(facts)


def _opening(told: Explanation) -> Iterator[RenderableType]:
    title, facts = opening(told)
    yield Text(title, HEAD)
    yield Text(facts)
    yield Text("counted from 0, as in Python: w[0]₁₂ is net.W[0][1, 2]", SOFT)
    for note in told.notes:
        yield Text(f"note: {note}", SOFT)
    if len(told.rows) == 1 and told.sizes[0] <= 64:
        names = told.features or [f"a[0]{text_index(i)}" for i in range(told.sizes[0])]
        values = [number_text(float(v), told.digits) for v in told.X[0]]
        yield Padding(_named("input", names, values), (1, 0, 0, 0))
        if told.Y is not None:
            names = told.outputs or [f"y{text_index(k)}" for k in range(told.sizes[-1])]
            yield _named("target", names, [number_text(float(v), told.digits) for v in told.Y[0]])


def text_index(i: int) -> str:
    """Return an index as it stands below a letter."""
    from chainrule.explanation.unicode import SUBSCRIPTS

    return str(i).translate(SUBSCRIPTS)


def _named(what: str, names: Sequence[str], values: Sequence[str]) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=7, style=SOFT)
    grid.add_column()
    told = Text()
    for name, value in zip(names, values, strict=True):
        told.append(f"{name} ", SOFT).append(value).append("   ")
    grid.add_row(what, told)
    return grid


def _step(step: Step, digits: int) -> Iterator[RenderableType]:
    yield Padding(Text(f"{step.title}", "italic"), (0, 0, 0, 2))
    sign = "←" if step.kind == "update" else "="
    formulas = [*step.where, *([step.formula] if step.formula else [])]
    for left, right in formulas:
        yield Padding(Text(f"{text(left)} {sign} {text(right)}", SOFT), (0, 0, 0, 2))
    for note in step.notes:
        yield Padding(Text(f"({note})", SOFT), (0, 0, 0, 2))
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True, justify="right")
    grid.add_column(ratio=1)
    grid.add_column(no_wrap=True, justify="right", style=RESULT)
    common = shared_lines(step.lines)
    for line in common:
        _add(grid, line, digits, sign, SOFT)
    for line in step.lines:
        for each in line.where:
            if each not in common:
                _add(grid, each, digits, sign, SOFT)
        _add(grid, line, digits, sign, "")
    yield Padding(grid, (0, 0, 0, 4))
    if step.untold and step.values is not None:
        yield Padding(Text(untold(step, digits), SOFT), (0, 0, 0, 4))


def untold(step: Step, digits: int) -> str:
    """Return what to say of the numbers of a step that have no line of their own."""
    assert step.values is not None
    s = summary(step.values)
    said = ", ".join(f"{key} {number_text(s[key], digits)}" for key in ("min", "mean", "max"))
    zeros = f", {s['zeros']:.0%} are 0" if s["zeros"] else ""
    return f"and {step.untold:,} more in {step.code}: in all {said}{zeros}"


def shared_lines(lines: Sequence[Line]) -> list[Line]:
    """Return what all lines build on alike, such as the learning rate: it is told once."""
    if len(lines) < 2:
        return []
    return [each for each in lines[0].where if all(each in line.where for line in lines[1:])]


def _add(grid: Table, line: Line, digits: int, sign: str, style: str) -> None:
    value = number_text(line.value, digits)
    numbers = text(line.numbers, digits)
    middle = "" if numbers == value else f"{sign} {numbers}"
    grid.add_row(Text(text(line.what), style), Text(middle, style), Text(f"= {value}"))


def _after(before: float, after: float, digits: int) -> Text:
    change = after - before
    return Text.assemble(
        "  After the update these rows cost ",
        (number_text(after, digits + 2), RESULT),
        f", before {number_text(before, digits + 2)}:"
        f" {'less' if change < 0 else 'more'} by {number_text(abs(change), digits)}",
    )


def _story(story: WeightStory, told: Explanation) -> Iterator[RenderableType]:
    digits = told.digits
    paths = "one path" if story.count == 1 else f"{story.count:,} paths"
    yield Text(f"\n  {text(story.what)} reaches the output on {paths}\n")
    grid = Table.grid(padding=(0, 1))
    grid.add_column()
    grid.add_column()
    grid.add_column(justify="right", no_wrap=True, style=RESULT)
    for path in story.paths:
        grid.add_row(
            Text(text(path.line.symbols), SOFT), f"= {text(path.line.numbers, digits)}",
            f"= {number_text(path.value, digits)}",
        )  # fmt: skip
    if story.count > len(story.paths):
        more = f"{story.count - len(story.paths):,} smaller ones together"
        grid.add_row(Text(more, SOFT), "", f"= {number_text(story.rest, digits)}")
    if story.penalty is not None:
        line = story.penalty
        grid.add_row(
            Text(f"penalty: {text(line.symbols)}", SOFT), f"= {text(line.numbers, digits)}",
            f"= {number_text(line.value, digits)}",
        )  # fmt: skip
    yield Padding(grid, (0, 0, 0, 4))
    yield Padding(
        Text.assemble(f"\n{text(story.total.what)} = ", (number_text(story.derivative, 12), RESULT),
                      "   their sum, as backpropagation has it"), (0, 0, 0, 4),
    )  # fmt: skip
    yield Padding(Group(*_check(story.check)), (0, 0, 0, 4))


def _check(check: Check | None) -> Iterator[RenderableType]:
    if check is None:
        yield Text("measured: not to be had, since a kink lies too close to this weight")
        return
    yield Text.assemble("measured ", (number_text(check.line.value, 12), RESULT),
                        f"   relative difference {number_text(check.error, 2)}")  # fmt: skip
    yield Text(f"  {text(check.line.symbols)}   h = {number_text(check.step)}", SOFT)
    yield Text(f"  = {text(check.line.numbers, CHECK_DIGITS)}", SOFT)
