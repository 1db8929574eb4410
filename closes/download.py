"""Downloads from Yahoo Finance into the cache. yfinance and pandas are imported on use: a server may not have them."""

import logging

import numpy as np

from closes.cache import write_cache
from closes.series import FIRST_DAY, Closes, are_valid, last_final_day
from closes.symbols import check_symbol
from errors import DataUnavailableError
from settings import Settings

log = logging.getLogger(__name__)


def download_closes(
    symbol: str, start: str, end: str, settings: Settings, seconds: float | None = None, newest: int | None = None
) -> Closes:  # fmt: skip
    """Download adjusted closes and ranges from `start` to `end`, both included (ISO dates).

    The download starts at FIRST_DAY or earlier and is cached in full: a short one must not replace a long one. Wrong closes before those
    that are used are left out and logged.

    Args:
        symbol: ticker.
        start: first day.
        end: last day.
        settings: Yahoo Finance's address, time limits and the cache folder.
        seconds: time limit for all calls together; None for the limits of the settings.
        newest: how many of the closes are used; None: all from `start` on.

    Raises:
        UnknownSymbolError: Yahoo Finance does not have the symbol.
        DataUnavailableError: Yahoo Finance could not be asked.
        InvalidClosesError: its closes are not a valid series.
    """
    check_symbol(symbol)
    try:
        from closes.yahoo import fetch_history
    except ModuleNotFoundError as error:
        raise DataUnavailableError(
            f"Yahoo Finance cannot be asked: {error.name} is not installed (pip install -r requirements.txt)."
        ) from None
    found = fetch_history(symbol, min(start, FIRST_DAY), max(end, last_final_day()), settings, seconds)
    first_used = np.searchsorted(found.dates, np.datetime64(start)) if newest is None else len(found.dates) - newest
    keep = are_valid(found.prices) | (np.arange(len(found.dates)) >= first_used)
    if not keep.all():
        days = found.dates[~keep]
        log.warning("%s: left out %d closes that are not positive, none of them used; the first is of %s.", symbol, len(days), days[0])
    closes = Closes(symbol, "yahoo", found.dates[keep], found.prices[keep], found.ranges[keep], found.exchange)
    try:
        write_cache(closes, settings)
    except OSError as error:
        log.warning("The download is not cached in %s: %s.", settings.DATA_CACHE_DIR, error.strerror)
    return closes.between(start, end)
