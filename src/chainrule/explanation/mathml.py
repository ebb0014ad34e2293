"""MathML: a formula as browsers set it, without a script or a font of its own."""

from __future__ import annotations

from html import escape

from chainrule.explanation.expressions import (
    Add,
    Call,
    Divide,
    Expr,
    Largest,
    Multiply,
    Negative,
    Number,
    Power,
    Rest,
    Sum,
    Symbol,
    is_spelt,
)
from chainrule.explanation.unicode import ATOM, POWER, PRODUCT, SUM, number_text

APPLY, TIMES, INVISIBLE = "<mo>&#x2061;</mo>", "<mo>·</mo>", "<mo>&#x2062;</mo>"
MARKED = {"Wᵀ": ("W", "⊤"), "Aᵀ": ("A", "⊤"), "σ′": ("σ", "′"), "P′": ("P", "′")}
DERIVATIVES = {"dW": "w", "db": "b"}  # of elements; of matrices they are called as in the code


def math(expr: Expr, digits: int = 4, block: bool = False) -> str:
    """Return the formula as a `math` element.

    >>> math(Add((Symbol("b", (0,), 1), Number(2.0))))
    '<math><mrow><msubsup><mi>b</mi><mn>0</mn><mn>[1]</mn></msubsup><mo>+</mo><mn>2</mn></mrow></math>'
    """
    display = ' display="block"' if block else ""
    return f"<math{display}>{_Writer(digits).write(expr, SUM)}</math>"


def equation(left: Expr, right: Expr, sign: str = "=") -> str:
    """Return left = right as a `math` element of its own line."""
    writer = _Writer(digits=4)
    sides = f"<mo>{sign}</mo>".join(writer.write(side, SUM) for side in (left, right))
    return f'<math display="block"><mrow>{sides}</mrow></math>'


def pieces(expr: Expr, digits: int, before: str = "=") -> str:
    """Return = expr as `math` elements, a long sum in several, between which a line may end."""
    writer, start = _Writer(digits), f"<mo>{before}</mo>" if before else ""
    element = "<math displaystyle='true'><mrow>{}</mrow></math>"
    if not isinstance(expr, Add) or len(expr.terms) < 3:
        return element.format(start + writer.write(expr, SUM))
    parts = [element.format(start + writer.write(expr.terms[0], SUM))]
    for term in expr.terms[1:]:
        of = term.of if isinstance(term, Negative) else term
        minus = "−" if isinstance(term, Negative) else "+"
        # the empty row makes the sign one between two terms, with the space of one
        sign = f"<mrow></mrow><mo form='infix'>{minus}</mo>"
        parts.append(element.format(sign + writer.write(of, PRODUCT)))
    return " ".join(parts)


def symbol(it: Symbol) -> str:
    """Return a symbol with its indices below and its layer above, in brackets."""
    if it.letter in DERIVATIVES and it.sub:
        of = Symbol(DERIVATIVES[it.letter], it.sub, it.layer)
        above, below = "<mo>∂</mo><mi>C</mi>", f"<mo>∂</mo>{symbol(of)}"
        return f"<mfrac><mrow>{above}</mrow><mrow>{below}</mrow></mfrac>"

    letter, mark = MARKED.get(it.letter, (it.letter, ""))
    base = f"<mi>{escape(letter)}</mi>"
    comma = any(isinstance(i, int) for i in it.sub) and len(it.sub) > 1
    parts = [f"<mn>{i}</mn>" if isinstance(i, int) else f"<mi>{i}</mi>" for i in it.sub]
    below = ("<mo>,</mo>" if comma else "").join(parts)
    below = f"<mrow>{below}</mrow>" if len(parts) > 1 else below
    above = "" if it.layer is None else f"<mn>[{it.layer}]</mn>"
    if mark:
        above = f"<mrow><mo>{mark}</mo>{above}</mrow>"
    if below and above:
        return f"<msubsup>{base}{below}{above}</msubsup>"
    if below:
        return f"<msub>{base}{below}</msub>"
    return f"<msup>{base}{above}</msup>" if above else base


def number(value: float, digits: int) -> str:
    """Return a number, its power of ten set as one."""
    words = number_text(value, digits)
    minus = "<mo>−</mo>" if words.startswith("−") else ""
    mantissa, dot, power = words.lstrip("−").partition("·")
    if not dot and mantissa.startswith("10") and mantissa[2:3] in tuple("⁻⁰¹²³⁴⁵⁶⁷⁸⁹"):
        mantissa, power = "", mantissa
    body = f"<mn>{mantissa}</mn>" if mantissa else ""
    if power:
        exponent = power[2:].translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "−0123456789"))
        sign = "<mo>−</mo>" if exponent.startswith("−") else ""
        above = f"<mrow>{sign}<mn>{exponent.lstrip('−')}</mn></mrow>"
        body += f"{TIMES if mantissa else ''}<msup><mn>10</mn>{above}</msup>"
    return f"<mrow>{minus}{body}</mrow>" if minus or power else body


class _Writer:
    def __init__(self, digits: int) -> None:
        self.digits = digits

    def write(self, expr: Expr, level: int) -> str:
        """Return the elements, in parentheses where the node holds together less than `level`."""
        words, holds = self.words(expr)
        return f"<mrow><mo>(</mo>{words}<mo>)</mo></mrow>" if holds < level else words

    def words(self, expr: Expr) -> tuple[str, int]:
        match expr:
            case Number(value):
                text = number_text(value, self.digits)
                holds = SUM if text.startswith("−") else PRODUCT if "·" in text else ATOM
                return number(value, self.digits), holds
            case Symbol():
                return symbol(expr), ATOM
            case Rest(count, value):
                inside = f"<mtext>{count:,} more: </mtext>{number(value, self.digits)}"
                return f'<mrow class="rest"><mo>(</mo>{inside}<mo>)</mo></mrow>', ATOM
            case Add(terms):
                return self.sum(terms), SUM
            case Negative(of):
                return f"<mrow><mo>−</mo>{self.write(of, PRODUCT)}</mrow>", SUM
            case Multiply(factors):
                return self.product(factors), PRODUCT
            case Divide(over, under):
                sides = self.write(over, SUM) + self.write(under, SUM)
                return f"<mfrac>{sides}</mfrac>", PRODUCT
            case Power(Symbol(_, _, int()) as base, exponent):  # its place above is taken
                raised = self.write(exponent, SUM)
                return f"<msup><mrow><mo>(</mo>{symbol(base)}<mo>)</mo></mrow>{raised}</msup>", ATOM
            case Power(base, exponent):
                return f"<msup>{self.write(base, ATOM)}{self.write(exponent, SUM)}</msup>", POWER
            case Sum(index, body):
                inner = self.write(body, PRODUCT)
                return f"<mrow><munder><mo>∑</mo><mi>{index}</mi></munder>{inner}</mrow>", PRODUCT
            case Largest(index, body):
                inner = self.write(body, PRODUCT)
                return f"<mrow><munder><mo>max</mo><mi>{index}</mi></munder>{inner}</mrow>", PRODUCT
            case Call():
                return self.call(expr)
        raise TypeError(f"{expr!r} is no formula")

    def call(self, expr: Call) -> tuple[str, int]:
        match expr:
            case Call("abs", (argument,)):
                return f"<mrow><mo>|</mo>{self.write(argument, SUM)}<mo>|</mo></mrow>", ATOM
            case Call("sqrt", (argument,)):
                return f"<msqrt>{self.write(argument, SUM)}</msqrt>", ATOM
            case Call("⊙", (left, right)):
                sides = f"{self.write(left, POWER)}<mo>⊙</mo>{self.write(right, POWER)}"
                return f"<mrow>{sides}</mrow>", PRODUCT
        given = "<mo>,</mo>".join(self.write(each, SUM) for each in expr.arguments)
        return f"<mrow>{symbol(Symbol(expr.name))}{APPLY}<mo>(</mo>{given}<mo>)</mo></mrow>", ATOM

    def sum(self, terms: tuple[Expr, ...]) -> str:
        words = self.write(terms[0], SUM)
        for term in terms[1:]:
            if isinstance(term, Negative):
                words += f"<mo>−</mo>{self.write(term.of, PRODUCT)}"
            else:
                words += f"<mo>+</mo>{self.write(term, PRODUCT)}"
        return f"<mrow>{words}</mrow>"

    def product(self, factors: tuple[Expr, ...]) -> str:
        words, before = "", factors[0]
        for k, factor in enumerate(factors):
            if k:
                words += TIMES if is_spelt(before) and is_spelt(factor) else INVISIBLE
            level = PRODUCT if k == len(factors) - 1 and isinstance(factor, Sum) else POWER
            level = PRODUCT if isinstance(factor, Divide) else level
            level = PRODUCT if k == 0 and isinstance(factor, Number) else level
            words += self.write(factor, level)
            before = factor
        return f"<mrow>{words}</mrow>"
