"""Downloads from Yahoo Finance into the cache. yfinance and pandas are imported on use: most commands and workers need neither."""

import logging
import time

import numpy as np

from closes.cache import read_cache, write_cache
from closes.series import FIRST_DAY, Closes, are_valid, last_final_day
from closes.snapshot import snapshot_symbols
from closes.symbols import check_symbol, with_dash
from errors import ForecastError, UnknownSymbolError
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
        UnknownSymbolError: Yahoo Finance does not have the symbol. For one such as BRK.B, the message names BRK-B if that exists.
        DataUnavailableError: Yahoo Finance could not be asked.
        InvalidClosesError: its closes are not a valid series.
    """
    check_symbol(symbol)
    started = time.monotonic()
    try:
        return _download(symbol, start, end, settings, seconds, newest)
    except UnknownSymbolError as error:
        left = seconds - (time.monotonic() - started) if seconds else settings.YAHOO_TIMEOUT
        other = with_dash(symbol)
        if other and (_is_on_disk(other, settings) or _is_at_yahoo(other, start, end, settings, left, newest)):
            raise UnknownSymbolError(f"{error} {other} exists: use that symbol.") from None
        raise


def _is_on_disk(symbol: str, settings: Settings) -> bool:
    """Return whether the cache or the snapshot has a symbol."""
    try:
        return len(read_cache(symbol, settings)) > 0
    except ForecastError:
        return symbol in snapshot_symbols()


def _is_at_yahoo(symbol: str, start: str, end: str, settings: Settings, seconds: float, newest: int | None) -> bool:
    """Return whether Yahoo Finance has closes of a symbol and answers within `seconds`. They are cached for the next request."""
    try:
        return seconds > 0 and len(_download(symbol, start, end, settings, seconds, newest)) > 0
    except ForecastError:
        return False


def _download(symbol: str, start: str, end: str, settings: Settings, seconds: float | None, newest: int | None) -> Closes:
    """Download and cache the closes of a symbol that is well-formed, see download_closes."""
    from closes.yahoo import fetch_history

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
