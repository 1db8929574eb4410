"""Ticker symbols: which texts are symbols, and the symbol of a price file."""

import re
from pathlib import Path

from errors import InvalidSymbolError

SYMBOL = re.compile(r"[A-Za-z0-9^=&_-][A-Za-z0-9.^=&_-]{0,31}")  # names files: no slash, and no dot first
EXCHANGE_SUFFIX = re.compile(r"\.[A-Za-z]{1,4}$")
RULE = "A symbol has 1 to 32 letters, digits and . ^ = - & _ (not a dot first), such as MSFT or BRK-B."
UNNAMED = "CSV"  # symbol of a file whose name is not a symbol


def is_symbol(text: str) -> bool:
    """Return whether a text is a symbol."""
    return bool(SYMBOL.fullmatch(text))


def check_symbol(symbol: str) -> None:
    """Check that a text is a symbol. Symbols also name files and are part of addresses.

    Raises:
        InvalidSymbolError: it is not; the message says what a symbol is.
    """
    if not is_symbol(symbol):
        raise InvalidSymbolError(f"{symbol[:40]!r} is not a symbol. {RULE}")


def symbol_of(csv_path: Path) -> str:
    """Return the symbol that a file is named after: MSFT for msft.csv, CSV if its name is not a symbol.

    An underscore separates words, as in prices_2024.csv, unless an exchange's suffix follows, as in NIFTY_FIN_SERVICE.NS.csv.
    """
    name = csv_path.stem
    is_named_after = is_symbol(name) and ("_" not in name or EXCHANGE_SUFFIX.search(name))
    return name.upper() if is_named_after else UNNAMED


def with_dash(symbol: str) -> str | None:
    """Return how Yahoo Finance may write a share class: BRK-B for BRK.B, RCI-B.TO for RCI.B.TO, None for a symbol without a dot."""
    *parts, last = symbol.split(".")
    if not parts:
        return None
    return f"{parts[0]}-{last}" if len(parts) == 1 else f"{'-'.join(parts)}.{last}"
