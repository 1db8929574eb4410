"""Reads the list of symbols that --symbols names.

read_symbols("MSFT,AAPL")      the symbols themselves
read_symbols("snapshot")       the 20 embedded stocks
read_symbols("@list.txt")      a file: one per line or separated by commas; # begins a comment
"""

import re
from pathlib import Path

from closes.snapshot import snapshot_symbols
from closes.symbols import RULE, is_symbol
from errors import InvalidSymbolError

MAX_NAMED = 5  # wrong symbols in a message


def read_symbols(given: str) -> list[str]:
    """Return the symbols in their order, in capitals, each once.

    Raises:
        InvalidSymbolError: some are not symbols, the file cannot be read, or there are none; the message names them.
    """
    if given.strip().lower() == "snapshot":
        return snapshot_symbols()
    text = _read_list(Path(given.strip()[1:])) if given.strip().startswith("@") else given
    words = [word for line in text.splitlines() for word in re.split(r"[,;\s]+", line.partition("#")[0]) if word]
    wrong = [word for word in dict.fromkeys(words) if not is_symbol(word)]
    if wrong:
        named = ", ".join(repr(word[:40]) for word in wrong[:MAX_NAMED]) + (
            f" and {len(wrong) - MAX_NAMED} more" * (len(wrong) > MAX_NAMED)
        )
        raise InvalidSymbolError(f"not symbols: {named}. {RULE}")
    if not words:
        raise InvalidSymbolError(f"{given[:60]!r} names no symbol. Give MSFT,AAPL, snapshot, or @FILE with one symbol per line")
    return list(dict.fromkeys(word.upper() for word in words))


def _read_list(path: Path) -> str:
    """Return the content of a list file."""
    try:
        return path.expanduser().read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidSymbolError(f"{path}: {error.strerror}") from None
    except UnicodeError:
        raise InvalidSymbolError(f"{path} is not a text file in UTF-8") from None
