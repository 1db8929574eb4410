"""Ticker symbols: which texts are symbols, and the symbol of a price file."""

import re
from pathlib import Path

from errors import InvalidSymbolError

SYMBOL = re.compile(r"[A-Za-z0-9^=-][A-Za-z0-9.^=-]{0,14}")
UNNAMED = "CSV"  # symbol of a file whose name is not a symbol


def check_symbol(symbol: str) -> None:
    """Check that a text is a symbol. Symbols also name files and are part of addresses.

    Raises:
        InvalidSymbolError: it is not; the message says what a symbol is.
    """
    if not SYMBOL.fullmatch(symbol):
        raise InvalidSymbolError(
            f"{symbol[:40]!r} is not a symbol. A symbol has 1 to 15 letters, digits and . ^ = - (not a dot first), such as MSFT or BRK-B."
        )


def symbol_of(csv_path: Path) -> str:
    """Return the symbol that a file is named after: MSFT for msft.csv, CSV if its name is not a symbol."""
    return csv_path.stem.upper() if SYMBOL.fullmatch(csv_path.stem) else UNNAMED
