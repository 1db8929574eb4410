"""Prices as text -> float64: decimal points and commas, thousands separators, currencies, exponents, and what means "no close"."""

import math
import re
from collections.abc import Iterable

from errors import InvalidClosesError

MISSING = frozenset({"", "null", "nan", "na", "n/a", "#n/a", "#n/a n/a", "none", "nil", "nat", "-", "--", "—", "."})  # no close

_EXPONENT = r"(?:[eE][+-]?[0-9]{1,3})?"
_PLAIN = {sign: re.compile(rf"[+-]?(?:[0-9]+[{sign}]?[0-9]*|[{sign}][0-9]+){_EXPONENT}") for sign in ".,"}  # without separators
_SIGNS = "$€£¥₹₩"
_POINT = re.compile(
    rf"[+-]?(?:[0-9]{{1,3}}(?:,[0-9]{{2,3}})*,[0-9]{{3}}|[0-9]{{1,3}}(?:[\s'\u2019][0-9]{{3}})+|[0-9]*)(?:\.[0-9]*)?{_EXPONENT}"
)
_COMMA = re.compile(rf"[+-]?(?:[0-9]{{1,3}}(?:[.\s'\u2019][0-9]{{3}})+|[0-9]*)(?:,[0-9]*)?{_EXPONENT}")
_CURRENCY = re.compile(rf"(?:[A-Z]{{0,3}}[{_SIGNS}]|(?:USD|EUR|BRL|GBP|JPY|CHF|INR|CAD|AUD)(?![A-Z]))")
_SEPARATORS = re.compile(r"[\s'\u2019]")
_MAX_LENGTH = 60  # characters of a price

# What a single number says about its file. A number such as 1,234 fits both forms and says nothing.
_ONLY_POINT = re.compile(
    r"[+-]?(?:[0-9,]*[0-9],[0-9]{3}\.[0-9]*|[0-9]*\.(?:[0-9]{0,2}|[0-9]{4,})|[0-9]{4,}\.[0-9]+|0*\.[0-9]+)(?:[eE].*)?|[0-9]*\.[0-9]+[eE].*"
)
_ONLY_COMMA = re.compile(r"[+-]?(?:[0-9.]*[0-9]\.[0-9]{3},[0-9]*|[0-9]*,(?:[0-9]{0,2}|[0-9]{4,})|[0-9]{4,},[0-9]+|0*,[0-9]+)(?:[eE].*)?")


_DOTTED = re.compile(r"[1-9][0-9]{0,2}(?:\.[0-9]{3})+")  # 1.234 is a number in both forms
_PORTUGUESE = frozenset({"último", "ultimo", "fechamento"})  # names of a column of closes


class NumberFormat:
    """How a file writes its prices.

    Attributes:
        decimal: the decimal sign, "." or ",".
    """

    def __init__(self, decimal: str = ".") -> None:
        self.decimal = decimal
        self._form, self._plain = _POINT if decimal == "." else _COMMA, _PLAIN[decimal].fullmatch

    def parse(self, text: str) -> float:
        """Return a price as float64; NaN if the text means that there is none.

        Raises:
            ValueError: the text is not a number in this format.
        """
        bare = text[1:] if text[:1] in _SIGNS else text
        if self._plain(bare) and len(bare) <= _MAX_LENGTH:  # the usual form, in less time
            return float(bare if self.decimal == "." else bare.replace(",", "."))
        text = text.strip()
        if text.lower() in MISSING:
            return math.nan
        text = without_currency(text)
        if len(text) > _MAX_LENGTH or not self._form.fullmatch(text):
            raise ValueError(text[:40])
        thousands = "," if self.decimal == "." else "."
        return float(_SEPARATORS.sub("", text.replace(thousands, "")).replace(",", "."))


def without_currency(text: str) -> str:
    """Return a number without a currency's sign or code."""
    return _CURRENCY.sub("", text, count=1).strip()


def find_format(samples: Iterable[str], delimiter: str, name: str, close: str = "") -> tuple[NumberFormat, list[str]]:
    """Find how a file writes its prices.

    Args:
        samples: prices of the file's first rows.
        delimiter: of the file's fields. Where a semicolon is usual, so is the decimal comma.
        name: of the file, for messages.
        close: name of the column. In a Portuguese export the point separates thousands.

    Returns:
        The format, and a sentence for each guess.

    Raises:
        InvalidClosesError: some prices have a decimal comma and others a decimal point.
    """
    points, commas, either, dotted, whole = "", "", "", "", ""
    for sample in samples:
        text = without_currency(sample.strip()[:_MAX_LENGTH])
        text = _SEPARATORS.sub("", text)[:_MAX_LENGTH]
        if not any(sign in text for sign in ".,"):
            whole = whole or (text if text.isdigit() else "")
            continue
        if _ONLY_COMMA.fullmatch(text):
            commas = commas or text
        elif _ONLY_POINT.fullmatch(text):
            points = points or text
        elif "," in text:
            either = either or text
        elif _DOTTED.fullmatch(text):
            dotted = dotted or text
    if points and commas:
        raise InvalidClosesError(f"{name} has prices with a decimal point ({points}) and with a decimal comma ({commas}). Use one form.")
    if dotted and not (points or commas or either):
        if whole or dotted.count(".") > 1 or close.strip().lower() in _PORTUGUESE:
            return NumberFormat(","), [f"The point is read as a separator of thousands, for example in {dotted}."]
        return NumberFormat("."), [f"The point is read as the decimal sign, for example in {dotted}."]
    if commas or (either and not points and delimiter == ";"):
        return NumberFormat(","), [f"The comma is read as the decimal sign, for example in {commas or either}."]
    if either and not points:
        return NumberFormat("."), [f"The comma is read as a separator of thousands, for example in {either}."]
    return NumberFormat("."), []
