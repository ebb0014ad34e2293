"""Unicode: a formula as a line of text, for the terminal and for plain data."""

from __future__ import annotations

import math

from chainrule.explanation.expressions import (
    HALF,
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

SUBSCRIPTS = str.maketrans("0123456789−ijkmnr", "₀₁₂₃₄₅₆₇₈₉₋ᵢⱼₖₘₙᵣ")
SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
SUM, PRODUCT, POWER, ATOM = 1, 2, 3, 4  # how tightly a node holds together


def number_text(value: float, digits: int = 4) -> str:
    """Return a number as a person writes it.

    >>> number_text(-0.123456), number_text(2.0), number_text(3.2e-07), number_text(0.1, 17)
    ('−0.1235', '2', '3.2·10⁻⁷', '0.1')
    """
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: "−∞"}.get(value, "not a number")
    whole = digits >= 17  # the fewest digits that mean this number and no other
    plain = repr(float(value) + 0.0) if whole else f"{value + 0.0:.{digits}g}"
    plain = plain.removesuffix(".0")
    mantissa, _, exponent = plain.partition("e")
    if exponent:
        power = str(int(exponent)).translate(SUPERSCRIPTS)
        plain = f"10{power}" if mantissa == "1" else f"{mantissa}·10{power}"
    return plain.replace("-", "−")


def symbol_text(symbol: Symbol) -> str:
    """Return a symbol, such as w[0]₁₂: code's brackets for the layer, its indices below."""
    layer = "" if symbol.layer is None else f"[{symbol.layer}]"
    parts = [str(index).translate(SUBSCRIPTS) for index in symbol.sub]
    return f"{symbol.letter}{layer}{('' if all(len(p) == 1 for p in parts) else ',').join(parts)}"


def text(expr: Expr, digits: int = 4) -> str:
    """Return the formula as one line.

    >>> text(Divide(Number(1.0), Add((Number(1.0), Power(Symbol("e"), Negative(Symbol("z")))))))
    '1 / (1 + e^−z)'
    """
    return _Writer(digits).write(expr, SUM)


class _Writer:
    def __init__(self, digits: int) -> None:
        self.digits = digits

    def write(self, expr: Expr, level: int) -> str:
        """Return the text, in parentheses where the node holds together less than `level`."""
        words, holds = self.words(expr)
        return f"({words})" if holds < level else words

    def words(self, expr: Expr) -> tuple[str, int]:
        match expr:
            case Number(value):
                words = number_text(value, self.digits)
                return words, SUM if words.startswith("−") else PRODUCT if "·" in words else ATOM
            case Symbol():
                return symbol_text(expr), ATOM
            case Rest(count, value):
                return f"({count} more: {number_text(value, self.digits)})", ATOM
            case Add(terms):
                return self.sum(terms), SUM
            case Negative(of):
                return f"−{self.write(of, PRODUCT)}", SUM
            case Multiply(factors):
                return self.product(factors), PRODUCT
            case Divide() if expr == HALF:
                return "½", ATOM
            case Divide(over, under):
                return f"{self.write(over, PRODUCT)} / {self.write(under, POWER)}", PRODUCT
            case Power(base, exponent):
                return self.power(base, exponent), POWER
            case Sum(index, body):
                return f"Σ{index.translate(SUBSCRIPTS)} {self.write(body, PRODUCT)}", PRODUCT
            case Largest(index, body):
                return f"max{index.translate(SUBSCRIPTS)} {self.write(body, PRODUCT)}", PRODUCT
            case Call("⊙", (left, right)):
                return f"{self.write(left, PRODUCT)} ⊙ {self.write(right, PRODUCT)}", PRODUCT
            case Call("abs", (argument,)):
                return f"|{self.write(argument, SUM)}|", ATOM
            case Call("sqrt", (argument,)):
                return f"√{self.write(argument, ATOM)}", POWER
            case Call(name, arguments):
                return f"{name}({', '.join(self.write(a, SUM) for a in arguments)})", ATOM
        raise TypeError(f"{expr!r} is no formula")

    def sum(self, terms: tuple[Expr, ...]) -> str:
        words = self.write(terms[0], SUM)
        for term in terms[1:]:
            if isinstance(term, Negative):
                words += f" − {self.write(term.of, PRODUCT)}"
            else:
                words += f" + {self.write(term, PRODUCT)}"
        return words

    def product(self, factors: tuple[Expr, ...]) -> str:
        """Return factors side by side, with a point between numbers."""
        words, before = "", factors[0]
        for k, factor in enumerate(factors):
            # a sum inside a product would swallow what follows
            last = k == len(factors) - 1
            first = not k and isinstance(factor, Number)
            level = PRODUCT if first or (last and isinstance(factor, Sum)) else POWER
            if k:
                words += " · " if is_spelt(before) and is_spelt(factor) else " "
            words += self.write(factor, level)
            before = factor
        return words

    def power(self, base: Expr, exponent: Expr) -> str:
        below = self.write(base, ATOM)
        if isinstance(exponent, Number) and exponent.value == int(exponent.value) > 1:
            return below + str(int(exponent.value)).translate(SUPERSCRIPTS)
        simple = isinstance(exponent, Negative) and isinstance(exponent.of, (Symbol, Number))
        above = self.write(exponent, SUM if simple or isinstance(exponent, Number) else ATOM)
        return f"{below}^{above}"
