"""Page: an explanation as one HTML file that needs no network, no script and no font.

Formulas are MathML. Every result stands in a `data` element: `value` has all its digits, and
`data-what` says what it is, as in z[0]₁, so that programs can read the page too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files

import numpy as np

from chainrule.arrays import Array
from chainrule.explanation.diagram import diagram
from chainrule.explanation.expressions import Symbol
from chainrule.explanation.mathml import equation, math, pieces
from chainrule.explanation.parts import Explanation, Line, Step, WeightStory
from chainrule.explanation.terminal import (
    BY_LAYER,
    CHAPTERS,
    CHECK_DIGITS,
    layer_title,
    opening,
    shared_lines,
    untold,
)
from chainrule.explanation.unicode import number_text, text

WIDEST = 24  # columns of a table of values
LONGEST = 64  # rows of one
#: Nothing may be fetched, nothing may run.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page(told: Explanation) -> str:
    """Return the whole page."""
    style = (files("chainrule.explanation") / "page.css").read_text("utf-8")
    title, facts = opening(told)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(title)}</h1>\n<p class='facts'>{escape(facts)}</p>\n"
        f"{''.join(_body(told))}</main>\n</body>\n</html>\n"
    )


def _body(told: Explanation) -> Iterator[str]:
    chapters = [(name, [s for s in told.steps if s.kind in kinds]) for name, kinds in CHAPTERS]
    names = [name for name, steps in chapters if steps]
    names += ["One derivative"] if told.weight else []
    links = (f'<a href="#{_anchor(name)}">{name}</a>' for name in names)
    yield f"<nav>{' '.join(links)}</nav>\n"
    yield _figure(told)
    for note in told.notes:
        yield f"<p class='note'>{escape(note)}</p>\n"
    yield _rows(told)
    for name, steps in chapters:
        if steps:
            yield f'<h2 id="{_anchor(name)}">{name}</h2>\n'
            yield from _chapter(told, name, steps)
    if told.weight is not None:
        yield '<h2 id="one-derivative">One derivative, path by path</h2>\n'
        yield _story(told.weight, told)


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")


def _figure(told: Explanation) -> str:
    row = "" if len(told.rows) == 1 else f" Values are those of row {escape(told.rows[0])}."
    marked = " The weight that is followed below is marked." if told.weight else ""
    back = "" if told.delta is None else ", δ below, targets at the right"
    return (
        f"<figure>{diagram(told)}<figcaption>Lines are weights, <span class='swatch'"
        " style='background:var(--plus)'></span> positive and <span class='swatch'"
        " style='background:var(--minus)'></span> negative, thicker where larger; circles hold"
        f" what units answer{back}.{row}{marked} Layers and units are counted from 0, as in Python:"
        f" {math(Symbol('w', (1, 2), 0))} is <code>net.W[0][1, 2]</code>.</figcaption></figure>\n"
    )


def _rows(told: Explanation) -> str:
    """Return inputs, and targets if known, as a table, where they are few enough to read."""
    if told.sizes[0] + told.sizes[-1] > WIDEST or len(told.rows) > LONGEST:
        return ""
    names = told.features or [f"x{i}" for i in range(told.sizes[0])]
    known = np.empty((len(told.rows), 0)) if told.Y is None else told.Y
    goals = (told.outputs or [f"y{k}" for k in range(told.sizes[-1])])[: known.shape[1]]
    head = "".join(f"<th>{escape(name)}</th>" for name in (*names, *(f"→ {g}" for g in goals)))
    body = ""
    for row, x, y in zip(told.rows, told.X, known, strict=True):
        cells = "".join(f"<td>{number_text(float(v))}</td>" for v in (*x, *y))
        body += f"<tr><th>{escape(row)}</th>{cells}</tr>"
    table = f"<table class='grid'><tr><th>row</th>{head}</tr>{body}</table>"
    return f"<div class='wide'>{table}</div>\n"


def _chapter(told: Explanation, name: str, steps: Sequence[Step]) -> Iterator[str]:
    before: int | None = -1
    for step in steps:
        if name in BY_LAYER and step.layer != before:
            yield f"<h3>{escape(layer_title(told, step.layer or 0))}</h3>\n"
        before = step.layer
        yield _step(step, told)
    if name == "Update" and told.cost is not None and told.cost_after is not None:
        yield (
            f"<p class='verdict'>After the update these rows cost"
            f" {_data('C after', told.cost_after, told.digits + 2)}, before"
            f" {_data('C before', told.cost, told.digits + 2)}.</p>\n"
        )


def _step(step: Step, told: Explanation) -> str:
    sign = "←" if step.kind == "update" else "="
    formulas = "".join(
        equation(left, right, sign)
        for left, right in (*step.where, *([step.formula] if step.formula else []))
    )
    if step.equation is not None:
        matrices = equation(*step.equation)
        formulas += matrices.replace("<math ", "<math class='matrices' ", 1)
    notes = "".join(f"<p class='note'>{escape(note)}</p>" for note in step.notes)
    return (
        f"<section class='step' data-kind='{step.kind}' data-layer='{step.layer}'>"
        f"<header><h4>{escape(step.title)}</h4><code>{escape(step.code)}</code></header>"
        f"<div class='formulas'>{formulas}</div>{notes}"
        f"{_lines(step.lines, told.digits, sign)}{_others(step, told)}</section>\n"
    )


def _lines(lines: Sequence[Line], digits: int, sign: str) -> str:
    common = shared_lines(lines)
    rows = [_line(each, digits, sign, "where") for each in common]
    for line in lines:
        own = [each for each in line.where if each not in common]
        rows += [
            _line(each, digits, sign, "where first" if not k else "where")
            for k, each in enumerate(own)
        ]
        rows.append(_line(line, digits, sign, ""))
    return f"<div class='wide'><table class='lines'>{''.join(rows)}</table></div>"


def _line(line: Line, digits: int, sign: str, look: str) -> str:
    value = number_text(line.value, digits)
    middle = "" if text(line.numbers, digits) == value else pieces(line.numbers, digits, sign)
    style = f" class='{look}'" if look else ""
    return (
        f"<tr{style}><th scope='row'>{math(line.what)}</th><td>{middle}</td>"
        f"<td class='value'>= {_data(text(line.what), line.value, digits)}</td></tr>"
    )


def _data(what: str, value: float, digits: int) -> str:
    shown = number_text(value, digits)
    return f"<data value='{value!r}' data-what='{escape(what)}' title='{value!r}'>{shown}</data>"


def _others(step: Step, told: Explanation) -> str:
    """Return the numbers that have no line, as a table, or what there is to say of them."""
    if not step.untold or step.values is None:
        return ""
    said = f"<p class='note'>{escape(untold(step, told.digits))}</p>"
    if step.values.ndim != 2 or step.values.shape[1] > WIDEST or len(step.values) > LONGEST:
        return said
    return f"<details><summary>all of {escape(step.code)}</summary>{_grid(step.values)}</details>"


def _grid(values: Array) -> str:
    head = "".join(f"<th>{j}</th>" for j in range(values.shape[1]))
    rows = "".join(
        f"<tr><th>{i}</th>{''.join(f'<td>{number_text(float(v))}</td>' for v in row)}</tr>"
        for i, row in enumerate(values)
    )
    return f"<div class='wide'><table class='grid'><tr><th></th>{head}</tr>{rows}</table></div>"


def _story(story: WeightStory, told: Explanation) -> str:
    digits = told.digits
    paths = "one path" if story.count == 1 else f"{story.count:,} paths"
    rows = [
        f"<tr><td>{math(path.line.symbols)}</td><td>{pieces(path.line.numbers, digits)}</td>"
        f"<td class='value'>= {_data(text(path.line.symbols), path.value, digits)}</td></tr>"
        for path in story.paths
    ]
    if story.count > len(story.paths):
        rows.append(
            f"<tr class='where'><td colspan='2'>{story.count - len(story.paths):,} smaller ones"
            f" together</td><td class='value'>= {_data('rest', story.rest, digits)}</td></tr>"
        )
    if story.penalty is not None:
        rows.append(
            f"<tr class='where'><td>the penalty's pull {math(story.penalty.symbols)}</td>"
            f"<td>{pieces(story.penalty.numbers, digits)}</td><td class='value'>="
            f" {_data('penalty', story.penalty.value, digits)}</td></tr>"
        )
    return (
        f"<section class='step' data-kind='weight'><header><h4>{math(story.what)} reaches the"
        f" output on {paths}: multiply along each, add over all</h4></header>"
        f"<div class='wide'><table class='lines'>{''.join(rows)}</table></div>"
        f"<p class='verdict'>{math(story.total.what)} ="
        f" {_data(text(story.total.what), story.derivative, 12)}"
        f" <span class='soft'>their sum, as backpropagation has it</span></p>{_check(story)}"
        "</section>\n"
    )


def _check(story: WeightStory) -> str:
    check = story.check
    if check is None:
        return "<p class='note'>A kink lies too close to this weight to measure it.</p>"
    ok = "equal" if check.passed else "DIFFERENT"
    return (
        f"<p class='verdict'>measured {_data('measured', check.line.value, 12)}"
        f" <span class='soft'>{ok}: relative difference"
        f" {number_text(check.error, 2)}</span></p>"
        f"<div class='formulas'>{math(check.line.symbols, block=True)}</div>"
        f"<p class='soft'>with h = {number_text(check.step)}:"
        f" {pieces(check.line.numbers, CHECK_DIGITS, '')}</p>"
    )
