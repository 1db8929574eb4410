"""Daily adjusted closes from Yahoo Finance, through yfinance.

yfinance hides failures behind an empty frame and remembers them; here every failure is a DataUnavailableError in one sentence that tells
an unknown symbol from a Yahoo that did not answer, every call has a time limit, and failed calls are tried again. YAHOO_URL sends the
calls to another server that speaks the same protocol.
"""

import logging
import time
import warnings
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import yfinance as yf
from curl_cffi import CurlECode, CurlOpt
from curl_cffi import requests as curl
from yfinance.data import YfData
from yfinance.exceptions import YFRateLimitError, YFTickerMissingError

from errors import DataUnavailableError, NoAnswerError, UnknownSymbolError
from settings import Settings

log = logging.getLogger(__name__)
MAX_ANSWER_BYTES = 16 * 1024**2  # sixty years of a stock take some 2
NO_SUCH_SYMBOL = (400, 404)  # statuses of a chart that speak of the symbol; others from 400 on speak of Yahoo Finance


class BoundedSession(curl.Session):  # type: ignore[type-arg]
    """A browser-like session whose every call is bounded in time and size, and goes to YAHOO_URL where that is set.

    Attributes:
        status: of the last chart that was asked for.
    """

    def __init__(self, settings: Settings, seconds: float) -> None:
        """Give each call YAHOO_TIMEOUT, and all calls together `seconds`."""
        super().__init__(impersonate="chrome", curl_options={CurlOpt.MAXFILESIZE_LARGE: MAX_ANSWER_BYTES})
        self.base_url = settings.YAHOO_URL
        self.limit = settings.YAHOO_TIMEOUT
        self.ends = time.monotonic() + seconds
        self.status = 200

    def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        """Send a request, as curl_cffi does."""
        if self.base_url:
            parts = urlsplit(url)
            url = self.base_url + parts.path + (f"?{parts.query}" if parts.query else "")
        left = self.ends - time.monotonic()
        if left <= 0:
            raise curl.exceptions.Timeout("no time is left")
        kwargs["timeout"] = min(self.limit, left)
        response = super().request(method, url, *args, **kwargs)
        if "/finance/chart/" in url:
            self.status = response.status_code
        return response


def fetch_history(symbol: str, start: str, end: str, settings: Settings, seconds: float | None = None) -> pd.DataFrame:
    """Columns `date` (datetime64) and `close` (float64, adjusted), from `start` to `end`, both included, oldest first.

    With `seconds` there is one attempt, and all its calls together take no longer.

    Raises:
        UnknownSymbolError: Yahoo Finance has no closes of that symbol.
        NoAnswerError: it refused, was too slow or could not be reached, in all attempts.
        DataUnavailableError: it answered something else.
    """
    yf.config.debug.hide_exceptions = False
    warnings.filterwarnings("ignore", category=pd.errors.Pandas4Warning, module="yfinance")  # yfinance's own use of pandas
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


def _fetch_once(symbol: str, start: str, end: str, settings: Settings, seconds: float) -> pd.DataFrame:
    """One attempt at fetch_history; an error's message is what is wrong with Yahoo Finance."""
    day_after = (date.fromisoformat(end) + timedelta(days=1)).isoformat()
    session = BoundedSession(settings, seconds)
    unknown = UnknownSymbolError(f"Yahoo Finance has no closes of {symbol} from {start} to {end}.")
    YfData().cache_get.cache_clear()  # it keeps failed answers too
    try:
        ticker = yf.Ticker(symbol, session=session)
        frame = ticker.history(start=start, end=day_after, auto_adjust=True, actions=False, timeout=settings.YAHOO_TIMEOUT)
    except YFRateLimitError:
        raise NoAnswerError("it refuses further calls for now (HTTP 429)") from None
    except curl.exceptions.Timeout:
        raise NoAnswerError(f"no answer within {min(settings.YAHOO_TIMEOUT, seconds):g} s") from None
    except Exception as error:  # yfinance lets whatever a broken answer causes through
        log.debug("yfinance failed", exc_info=True)
        if session.status in NO_SUCH_SYMBOL or (session.status < 400 and isinstance(error, YFTickerMissingError)):
            raise unknown from None  # after a chart that is refused yfinance goes on to other calls, whose failures say less
        if session.status >= 400:
            raise NoAnswerError(f"it answers with HTTP {session.status}") from None
        if isinstance(error, curl.exceptions.RequestException) and error.code == CurlECode.FILESIZE_EXCEEDED:
            raise DataUnavailableError(f"an answer of more than {MAX_ANSWER_BYTES // 1024**2} MiB") from None
        if isinstance(error, curl.exceptions.RequestException):
            raise NoAnswerError("it cannot be reached") from None
        raise DataUnavailableError(f"an answer that is not what it should be ({type(error).__name__})") from None
    finally:
        session.close()
    if "Close" not in frame or frame["Close"].dropna().empty:
        raise unknown
    answered = str(ticker.history_metadata.get("symbol", symbol))
    if answered.upper() != symbol.upper():
        raise DataUnavailableError(f"asked for {symbol} it answers for {answered[:20]!r}")
    closes = frame["Close"].dropna()
    dates = pd.DatetimeIndex(closes.index).tz_localize(None).normalize()
    return pd.DataFrame({"date": dates, "close": closes.to_numpy()})
