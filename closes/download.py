"""Downloads from Yahoo Finance into the cache."""

import logging

from closes.cache import write_cache
from closes.files import _as_arrays
from closes.series import FIRST_DAY, Closes, last_final_day
from closes.symbols import check_symbol
from errors import DataUnavailableError
from settings import Settings

log = logging.getLogger(__name__)


def download_closes(symbol: str, start: str, end: str, settings: Settings, seconds: float | None = None) -> Closes:
    """Adjusted closes from Yahoo Finance, from `start` to `end`, both included; `seconds` limits all calls together.

    Downloads and caches the whole series since FIRST_DAY, because a short download would replace a long one in the cache.

    Raises:
        UnknownSymbolError: Yahoo Finance has none.
        DataUnavailableError: it could not be asked.
    """
    check_symbol(symbol)
    try:
        from closes.yahoo import fetch_history
    except ModuleNotFoundError as error:
        raise DataUnavailableError(
            f"Yahoo Finance cannot be asked: {error.name} is not installed here (pip install -r requirements.txt)."
        ) from None
    frame = fetch_history(symbol, min(start, FIRST_DAY), max(end, last_final_day()), settings, seconds)
    closes = Closes(symbol, "yahoo", *_as_arrays(frame["date"], frame["close"]))
    try:
        write_cache(closes, settings)
    except OSError as error:
        log.warning("Not cached: %s: %s.", settings.DATA_CACHE_DIR, error.strerror)
    return closes.between(start, end)
