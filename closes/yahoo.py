"""Daily adjusted closes and ranges from Yahoo Finance, through yfinance.

yfinance returns an empty frame for every failure and caches failures. Here each failure is a DataUnavailableError with one sentence that
distinguishes an unknown symbol from an unavailable server. Every call has a time limit, and failed calls are retried. YAHOO_URL
redirects the calls to another server that speaks the same protocol.
"""

import logging
import time
import warnings
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import yfinance as yf
from curl_cffi import CurlECode, CurlOpt
from curl_cffi import requests as curl
from numpy.typing import NDArray
from yfinance.data import YfData
from yfinance.exceptions import YFRateLimitError, YFTickerMissingError

from closes.series import Floats
from errors import DataUnavailableError, NoAnswerError, UnknownSymbolError
from settings import Settings

log = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 16 * 1024**2  # sixty years of a stock take about 2 MiB
UNKNOWN_SYMBOL_STATUSES = (400, 404)  # of the chart call; other errors are about Yahoo Finance, not the symbol


@dataclass(frozen=True)
class History:
    """What Yahoo Finance answered.

    Attributes:
        dates: (n,) datetime64[D], oldest first.
        prices: (n,) float64, adjusted closes.
        ranges: (n, 3) float64, adjusted open, high and low; NaN where it has none.
        exchange: its name of the exchange, for example "NMS"; empty if it gives none.
    """

    dates: NDArray[np.datetime64]
    prices: Floats
    ranges: Floats
    exchange: str


class BoundedSession(curl.Session):  # type: ignore[type-arg]
    """A browser-like HTTP session that limits every call in time and size, and redirects it to YAHOO_URL if that is set.

    Attributes:
        status: HTTP status of the last chart call.
    """

    def __init__(self, settings: Settings, seconds: float) -> None:
        """Limit each call to YAHOO_TIMEOUT and all calls together to `seconds`."""
        super().__init__(impersonate="chrome", curl_options={CurlOpt.MAXFILESIZE_LARGE: MAX_ANSWER_BYTES})
        self.base_url = settings.YAHOO_URL
        self.call_seconds = settings.YAHOO_TIMEOUT
        self.deadline = time.monotonic() + seconds
        self.status = 200

    def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        """Send a request, as curl_cffi does, within the limits."""
        if self.base_url:
            parts = urlsplit(url)
            url = self.base_url + parts.path + (f"?{parts.query}" if parts.query else "")
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise curl.exceptions.Timeout("no time is left")
        kwargs["timeout"] = min(self.call_seconds, left)
        response = super().request(method, url, *args, **kwargs)
        if "/finance/chart/" in url:
            self.status = response.status_code
        return response


def fetch_history(symbol: str, start: str, end: str, settings: Settings, seconds: float | None = None) -> History:
    """Fetch adjusted closes and ranges from `start` to `end`, both included (ISO dates).

    Args:
        symbol: ticker.
        start: first day.
        end: last day.
        settings: YAHOO_URL, YAHOO_TIMEOUT and YAHOO_RETRIES.
        seconds: time limit for all calls together, with a single attempt; None retries and limits each call only.

    Raises:
        UnknownSymbolError: Yahoo Finance has no closes of the symbol.
        NoAnswerError: every attempt was refused, timed out or failed to connect.
        DataUnavailableError: the answer was not a price history.
    """
    yf.config.debug.hide_exceptions = False
    for name in ("yfinance", "bs4"):  # they log each failure, which the error says in one sentence
        logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", category=pd.errors.Pandas4Warning, module="yfinance")  # in yfinance's own code
    attempts = 1 if seconds else settings.YAHOO_RETRIES + 1
    for attempt in range(1, attempts + 1):
        try:
            return _fetch_once(symbol, start, end, settings, seconds or float("inf"))
        except UnknownSymbolError:
            raise
        except DataUnavailableError as error:
            if attempt == attempts:
                raise type(error)(f"Yahoo Finance: {error}" + (f"; {attempts} attempts." if attempts > 1 else ".")) from None
            log.warning("Yahoo Finance: %s; attempt %d of %d.", error, attempt + 1, attempts)
            time.sleep(min(2.0 ** (attempt - 1), settings.YAHOO_TIMEOUT))
    raise AssertionError("there is at least one attempt")


def _fetch_once(symbol: str, start: str, end: str, settings: Settings, seconds: float) -> History:
    """Make one attempt of fetch_history. An error's message completes the sentence "Yahoo Finance: ..."."""
    day_after = (date.fromisoformat(end) + timedelta(days=1)).isoformat()
    session = BoundedSession(settings, seconds)
    unknown = UnknownSymbolError(f"Yahoo Finance has no closes of {symbol} from {start} to {end}.")
    YfData().cache_get.cache_clear()  # it caches failures too
    try:
        ticker = yf.Ticker(symbol, session=session)
        frame = ticker.history(start=start, end=day_after, auto_adjust=True, actions=False, timeout=settings.YAHOO_TIMEOUT)
    except Exception as error:  # noqa: BLE001 - yfinance raises whatever a malformed answer causes
        raise _explain(error, session, unknown, min(settings.YAHOO_TIMEOUT, seconds)) from None
    finally:
        session.close()
    if "Close" not in frame or frame["Close"].dropna().empty:
        raise unknown
    answered = str(ticker.history_metadata.get("symbol", symbol))
    if answered.upper() != symbol.upper():
        raise DataUnavailableError(f"asked for {symbol}, it answered with {answered[:20]!r}")
    frame = frame[frame["Close"].notna()]
    dates = pd.DatetimeIndex(frame.index).tz_localize(None).normalize().to_numpy().astype("datetime64[D]")
    ranges = frame.reindex(columns=["Open", "High", "Low"]).to_numpy(np.float64)
    exchange = str(ticker.history_metadata.get("exchangeName") or "")
    return History(dates, frame["Close"].to_numpy(np.float64), ranges, exchange if exchange.isalnum() else "")


def _explain(error: Exception, session: BoundedSession, unknown: UnknownSymbolError, seconds: float) -> DataUnavailableError:
    """Return the error to raise for a failure of yfinance or curl_cffi."""
    if isinstance(error, YFRateLimitError | curl.exceptions.Timeout):
        limited = isinstance(error, YFRateLimitError)
        return NoAnswerError("the rate limit is exceeded (HTTP 429)" if limited else f"no answer within {seconds:g} s")
    log.debug("yfinance failed", exc_info=error)
    if session.status in UNKNOWN_SYMBOL_STATUSES or (session.status < 400 and isinstance(error, YFTickerMissingError)):
        return unknown  # after a refused chart, yfinance makes other calls, whose errors say less
    if session.status >= 400:
        return NoAnswerError(f"it answered with HTTP {session.status}")
    if isinstance(error, curl.exceptions.RequestException) and error.code == CurlECode.FILESIZE_EXCEEDED:
        return DataUnavailableError(f"the answer is larger than {MAX_ANSWER_BYTES // 1024**2} MiB")
    if isinstance(error, curl.exceptions.RequestException):
        return NoAnswerError("it cannot be reached")
    return DataUnavailableError(f"the answer is not a price history ({type(error).__name__})")
