"""Prices as text -> float64: decimal points and commas, thousands separators, currencies, exponents, and what means "no close"."""

import math
import re
import statistics
from collections import Counter
from collections.abc import Iterable

from closes.columns import simplified
from errors import InvalidClosesError

MISSING = frozenset({
    "", "null", "nan", "na", "n/a", "#n/a", "#n/a n/a", "none", "nil", "nat", "-", "--", "—", ".",
    "#div/0!", "#ref!", "#value!", "#num!", "#name?", "#null!",  # of spreadsheets
})  # no close  # fmt: skip

_EXPONENT = r"(?:[eE][+-]?[0-9]{1,3})?"
_PLAIN = {sign: re.compile(rf"[+-]?(?:[0-9]+[{sign}]?[0-9]*|[{sign}][0-9]+){_EXPONENT}") for sign in ".,"}  # without separators
_SIGNS = "$€£¥₹₩"
_SIGN_NAMES = {".": "point", ",": "comma"}
_POINT = re.compile(
    rf"[+-]?(?:[0-9]{{1,3}}(?:,[0-9]{{2,3}})*,[0-9]{{3}}|[0-9]{{1,3}}(?:[\s'\u2019][0-9]{{3}})+|[0-9]*)(?:\.[0-9]*)?{_EXPONENT}"
)
_COMMA = re.compile(rf"[+-]?(?:[0-9]{{1,3}}(?:[.\s'\u2019][0-9]{{3}})+|[0-9]*)(?:,[0-9]*)?{_EXPONENT}")
_CURRENCY = re.compile(rf"(?:[A-Z]{{0,3}}[{_SIGNS}]|(?:USD|EUR|BRL|GBP|JPY|CHF|INR|CAD|AUD)(?![A-Z]))")
_SEPARATORS = re.compile(r"[\s'\u2019]")
_MAX_LENGTH = 60  # characters of a price
_WHOLE, _AFTER_COMMA = re.compile(r"[0-9]+"), re.compile(r"[0-9]{2,4}(?:\.[0-9]*)?")
_RARE = 50  # times as many numbers that fit both forms: a decimal sign as rare as that is ignored
_MIN_ROWS = 10  # fewer say nothing about a comma within the closes
_SAME_PRICE = (0.5, 2.0)  # another price of a day divided by the close

# What a single number says about its file. A number such as 1,234 fits both forms and says nothing.
_ONLY_POINT = re.compile(
    r"[+-]?(?:[0-9,]*[0-9],[0-9]{3}\.[0-9]*|[0-9]*\.(?:[0-9]{0,2}|[0-9]{4,})|[0-9]{4,}\.[0-9]+|0*\.[0-9]+)(?:[eE].*)?|[0-9]*\.[0-9]+[eE].*"
)
_ONLY_COMMA = re.compile(r"[+-]?(?:[0-9.]*[0-9]\.[0-9]{3},[0-9]*|[0-9]*,(?:[0-9]{0,2}|[0-9]{4,})|[0-9]{4,},[0-9]+|0*,[0-9]+)(?:[eE].*)?")


_LIKE_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}([.,])[0-9]{3}")  # 1.234 and 1,234 are numbers in both forms
_SEVERAL_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}(?:(?:,[0-9]{2,3})+,[0-9]{3}|(?:\.[0-9]{3}){2,})")
# Names of a column of closes in languages with a decimal comma, with a decimal point, and with either.
_COMMA_NAMES = frozenset({
    "fechamento", "preco de fechamento", "preco fechamento", "preco", "preult", "cotacao", "schlusskurs", "schluss", "zuletzt", "cloture",
    "cours de cloture", "dernier", "chiusura", "slotkoers", "laatste", "zamkniecie",
})  # fmt: skip
_POINT_NAMES = frozenset({"終値", "調整後終値", "收盘", "收盘价", "收盤價", "종가"})
_EITHER_NAMES = frozenset({"ultimo", "ultimo preco", "cierre"})


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


def find_format(
    samples: Iterable[str], delimiter: str, name: str, close: str = "", others: Iterable[str] = ()
) -> tuple[NumberFormat, list[str]]:  # fmt: skip
    """Find how a file writes its prices.

    Args:
        samples: prices of the file's first rows.
        delimiter: of the file's fields.
        name: of the file, for messages.
        close: name of the column, which tells the language of the file.
        others: other fields of the first rows. They decide if all prices fit both forms.

    Returns:
        The format, and a sentence for each guess.

    Raises:
        InvalidClosesError: some prices have a decimal comma and others a decimal point, or all fit both forms and nothing decides.
    """
    seen = _seen(samples)
    points, commas = seen.get("."), seen.get(",")
    if points and commas:
        raise InvalidClosesError(f"{name} has prices with a decimal point ({points}) and with a decimal comma ({commas}). Use one form.")
    example = points or commas or seen.get("either", "")
    if not example or (points and not _SEVERAL_THOUSANDS.fullmatch(points)):
        return NumberFormat("."), []
    decimal = "." if points else "," if commas else _decide(seen, others, delimiter, close)
    if decimal is None:
        sign, (whole, rest) = "comma" if "," in example else "point", re.split("[.,]", example)
        raise InvalidClosesError(
            f"{name} has prices such as {example}, in which the {sign} may be the decimal sign or separate thousands. "
            f"Write {example} as {whole}.{rest}0 or as {whole}{rest}."
        )
    if decimal in example:
        return NumberFormat(decimal), [f"The {_SIGN_NAMES[decimal]} is read as the decimal sign, for example in {example}."]
    other = "," if decimal == "." else "."
    return NumberFormat(decimal), [f"The {_SIGN_NAMES[other]} is read as a separator of thousands, for example in {example}."]


def _seen(samples: Iterable[str]) -> dict[str, str]:
    """Return an example of each kind of number: `.` and `,` are decimal signs, `either` fits both, `whole` is less than a thousand.

    A decimal sign in very few of many numbers that fit both forms is a damaged number, not an example.
    """
    seen: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for sample in samples:
        text = _SEPARATORS.sub("", without_currency(sample.strip()[:_MAX_LENGTH])).lstrip("+-")
        if not any(sign in text for sign in ".,"):
            kind = "whole" if text.isdigit() and 0 < int(text) < 1000 else ""
        elif len(text) == 1:
            kind = ""
        elif found := _SEVERAL_THOUSANDS.fullmatch(text):
            kind = "." if "," in found[0] else ","
        elif _LIKE_THOUSANDS.fullmatch(text):
            kind = "either" if seen.get("either", text).count(",") == text.count(",") else "both"
        else:
            kind = "," if _ONLY_COMMA.fullmatch(text) else "." if _ONLY_POINT.fullmatch(text) else ""
        seen.setdefault(kind, text)
        counts[kind] += 1
    return {kind: text for kind, text in seen.items() if kind not in (".", ",") or counts["either"] < _RARE * counts[kind]}


def _decide(seen: dict[str, str], others: Iterable[str], delimiter: str, close: str) -> str | None:
    """Return the decimal sign of prices that fit both forms, or None if nothing decides."""
    sign = "," if "," in seen["either"] else "."
    if "both" in seen:  # 1.234 and 1,234
        return None
    if "whole" in seen:
        return "." if sign == "," else ","
    found = _seen(text.strip().rstrip("%KMBkmb") for text in others)
    if ("." in found) != ("," in found):
        return "." if "." in found else ","
    word = simplified(close)
    if word in _EITHER_NAMES or (word in _COMMA_NAMES and sign == "."):
        return None
    if word in _COMMA_NAMES:
        return ","
    return "." if sign == "." or delimiter == "," or word in _POINT_NAMES else None


def refuse_lost_decimals(sample: list[list[str]], close: int, name: str) -> None:
    """Refuse rows in which a comma within the close may have been taken for a delimiter, such as 2024-05-31,150,43.

    Then each close is whole, and the next field has as many digits in all rows. A volume varies in length, another price is near the close.

    Args:
        sample: the file's first rows.
        close: the column of the closes.
        name: of the file, for messages.

    Raises:
        InvalidClosesError: a comma may be within the closes.
    """
    pairs = [(row[close].strip(), row[close + 1].strip()) for row in sample if len(row) > close + 1 and row[close].strip()]
    lengths = {len(after.partition(".")[0]) for _, after in pairs}
    is_split = len(lengths) == 1 and all(_WHOLE.fullmatch(price) and _AFTER_COMMA.fullmatch(after) for price, after in pairs)
    if len(pairs) < _MIN_ROWS or not is_split:
        return
    ratio = statistics.median(float(after) / max(float(price), 1.0) for price, after in pairs)
    if any(after.startswith("0") for _, after in pairs) or not _SAME_PRICE[0] < ratio < _SAME_PRICE[1]:
        price, after = pairs[0]
        raise InvalidClosesError(
            f"{name} has whole closes, each with {lengths.pop()} digits after the next comma, such as {price},{after}. "
            f"If that is one number, write it with a decimal point or quote it. If not, write the closes with decimals, {price}.0."
        )
