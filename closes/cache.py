"""The cache of downloaded closes."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from closes.series import Closes
from closes.symbols import check_symbol
from errors import DataUnavailableError, InvalidClosesError
from settings import Settings

if TYPE_CHECKING:
    pass


def read_cache(symbol: str, settings: Settings) -> Closes:
    """What was last downloaded of a symbol; read without pandas, which a server may not have.

    Raises:
        DataUnavailableError: nothing yet.
        InvalidClosesError: the file is not as write_cache left it.
    """
    path = cache_file(symbol, settings)
    try:
        _, *rows = path.read_text().splitlines()
        dates, prices = zip(*(row.split(",") for row in rows), strict=True)
        closes = Closes(symbol, "cache", np.array(dates, "datetime64[D]"), np.array(prices, np.float64))
    except FileNotFoundError:
        raise DataUnavailableError(f"No cached download of {symbol} in {settings.DATA_CACHE_DIR.name}/.") from None
    except OSError as error:
        raise DataUnavailableError(f"{settings.DATA_CACHE_DIR.name}/{path.name}: {error.strerror}.") from None
    except ValueError:
        raise InvalidClosesError(f"{settings.DATA_CACHE_DIR.name}/{path.name} is not as it was written; remove it.") from None
    return closes


def cache_file(symbol: str, settings: Settings) -> Path:
    """Where the last download of a symbol is kept."""
    check_symbol(symbol)
    return settings.DATA_CACHE_DIR / f"{symbol}.csv"


def write_cache(closes: Closes, settings: Settings) -> None:
    """Keep a download, whole or not at all, for the next time that Yahoo Finance does not answer."""
    path = cache_file(closes.symbol, settings)
    settings.DATA_CACHE_DIR.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=settings.DATA_CACHE_DIR, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, 0o644)  # mkstemp gives 0600; another user may read it
            file.write("date,close\n")
            file.writelines(f"{day},{price!r}\n" for day, price in zip(closes.dates, closes.prices.tolist(), strict=True))
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
