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
    """What a CSV file's closes are called where nobody says: MSFT for msft.csv, CSV for a name that is no symbol."""
    return path.stem.upper() if SYMBOL.fullmatch(path.stem) else "CSV"
