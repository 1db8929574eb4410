"""What the exports of exports.py are made of: a file with made-up prices, its right outcome, and where its look is described."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from price_files import ROWS

Row = Callable[[date, float], str]


@dataclass(frozen=True)
class Export:
    """A file and its right outcome.

    Attributes:
        source: where the look of the export is described or shown.
        content: the file.
        column: the column of closes that is read.
        said: words of the guesses, reasons and warnings together.
        scale: of the closes, relative to ROWS.
        options: column or symbol that must be chosen.
        refused: words of the error without the options; empty: the file is accepted without them.
    """

    source: str
    content: bytes
    column: str
    said: tuple[str, ...] = ()
    scale: float = 1.0
    options: tuple[tuple[str, str], ...] = ()
    refused: str = ""


def lines(before: list[str], row: Row, *after: str, newest_first: bool = False, encoding: str = "utf-8") -> bytes:
    rows = ROWS[::-1] if newest_first else ROWS
    return "\r\n".join([*before, *(row(day, close) for day, close in rows), *after, ""]).encode(encoding)


def comma(value: float) -> str:
    """A number with a decimal comma and points between thousands."""
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


def nanoseconds(day: date) -> int:
    return (day - date(1970, 1, 1)).days * 86_400 * 10**9


def around(close: float, sep: str = ",", form: str = "{:.4f}") -> str:
    """Open, high, low."""
    return sep.join(form.format(value) for value in (close * 1.001, close * 1.01, close * 0.99))
