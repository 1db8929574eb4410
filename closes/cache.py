"""The cache of downloads: one CSV file per symbol in DATA_CACHE_DIR, read without pandas.

    date,close,open,high,low,exchange=NMS
    2026-11-27,512.3,508.1,513.9,507.7

Files of earlier versions have only the first two columns.
"""

from pathlib import Path

import numpy as np

from closes.series import RANGE_COLUMNS, Closes
from closes.symbols import check_symbol
from errors import DataUnavailableError, InvalidClosesError
from settings import Settings
from storage import write_atomic

EXCHANGE = "exchange="  # in the header


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
        header, *rows = file.read_text().splitlines()
        dates, prices, *ranges = zip(*(row.split(",") for row in rows), strict=True)
        if len(ranges) not in (0, len(RANGE_COLUMNS)):
            raise ValueError
        exchange = header.partition(EXCHANGE)[2]
        days = np.array(dates, "datetime64[D]")
        return Closes(symbol, "cache", days, np.array(prices, np.float64), np.array(ranges, np.float64).T if ranges else None, exchange)
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
    ranges = closes.ranges if closes.ranges is not None else np.empty((len(closes), 0))
    names = ["date", "close", *RANGE_COLUMNS[: ranges.shape[1]], f"{EXCHANGE}{closes.exchange}"]
    rows = [",".join(map(str, row)) for row in zip(closes.dates, closes.prices.tolist(), *ranges.T.tolist(), strict=True)]
    write_atomic(file, "\n".join([",".join(names), *rows, ""]).encode(), durable=False, unlocked=True)
