"""Ticker symbols."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from errors import InvalidSymbolError

if TYPE_CHECKING:
    pass

SYMBOL = re.compile(r"[A-Za-z0-9^=-][A-Za-z0-9.^=-]{0,14}")


def check_symbol(symbol: str) -> None:
    """Check that a symbol is one: it also names files and is part of addresses.

    Raises:
        InvalidSymbolError: naming it.
    """
    if not SYMBOL.fullmatch(symbol):
        raise InvalidSymbolError(
            f"{symbol[:40]!r} is not a symbol: 1 to 15 letters, digits and . ^ = - (not a dot first), for example MSFT or BRK-B."
        )


def symbol_of(path: Path) -> str:
    """The default symbol of a CSV file: MSFT for msft.csv, CSV if the file name is not a valid symbol."""
    return path.stem.upper() if SYMBOL.fullmatch(path.stem) else "CSV"
