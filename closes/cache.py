"""The cache of downloads: one CSV file per symbol in DATA_CACHE_DIR, read without pandas."""

from pathlib import Path

import numpy as np

from closes.series import Closes
from closes.symbols import check_symbol
from errors import DataUnavailableError, InvalidClosesError
from settings import Settings
from storage import write_atomic


def cache_file(symbol: str, settings: Settings) -> Path:
    """Return the cache file of a symbol; it need not exist."""
    check_symbol(symbol)
    return settings.DATA_CACHE_DIR / f"{symbol}.csv"


def read_cache(symbol: str, settings: Settings) -> Closes:
    """Return the last download of a symbol.

    Raises:
        DataUnavailableError: the symbol was never downloaded, or the file cannot be read.
        InvalidClosesError: the file is damaged.
    """
    file = cache_file(symbol, settings)
    try:
        _, *rows = file.read_text().splitlines()
        dates, prices = zip(*(row.split(",") for row in rows), strict=True)
        return Closes(symbol, "cache", np.array(dates, "datetime64[D]"), np.array(prices, np.float64))
    except FileNotFoundError:
        raise DataUnavailableError(f"{symbol} is not cached in {settings.DATA_CACHE_DIR.name}/.") from None
    except OSError as error:
        raise DataUnavailableError(f"{settings.DATA_CACHE_DIR.name}/{file.name}: {error.strerror}.") from None
    except ValueError:
        raise InvalidClosesError(f"{settings.DATA_CACHE_DIR.name}/{file.name} is damaged. Delete it.") from None


def write_cache(closes: Closes, settings: Settings) -> None:
    """Cache a download. It answers when Yahoo Finance fails.

    Raises:
        OSError: the file cannot be written; an older one is unchanged.
    """
    file = cache_file(closes.symbol, settings)
    settings.DATA_CACHE_DIR.mkdir(parents=True, exist_ok=True)
    rows = [f"{day},{price!r}\n" for day, price in zip(closes.dates, closes.prices.tolist(), strict=True)]
    write_atomic(file, "".join(["date,close\n", *rows]).encode(), durable=False, unlocked=True)
