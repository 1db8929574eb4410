"""Daily adjusted closes from Yahoo Finance, through yfinance.

yfinance hides failures behind an empty frame and remembers them; here every failure is a DataUnavailableError in one sentence, every
call has a time limit, and failed calls are tried again. YAHOO_URL sends the calls to another server that speaks the same
protocol.
"""

import logging
import time
import warnings
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import yfinance as yf
from curl_cffi import requests as curl
from yfinance.data import YfData
from yfinance.exceptions import YFPricesMissingError, YFRateLimitError, YFTickerMissingError

from processData import DataUnavailableError
from settings import Settings

log = logging.getLogger(__name__)


class BoundedSession(curl.Session):  # type: ignore[type-arg]
    """A browser-like session whose every call has the time limit, and goes to YAHOO_URL where that is set."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(impersonate="chrome")
        self.base_url = settings.YAHOO_URL
        self.limit = settings.YAHOO_TIMEOUT

    def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        """Send a request, as curl_cffi does."""
        if self.base_url:
            parts = urlsplit(url)
            url = self.base_url + parts.path + (f"?{parts.query}" if parts.query else "")
        kwargs["timeout"] = self.limit
        return super().request(method, url, *args, **kwargs)


def fetch_history(symbol: str, start: str, end: str, settings: Settings) -> pd.DataFrame:
    """Columns `date` (datetime64) and `close` (float64, adjusted), from `start` to `end`, both included, oldest first.

    Raises:
        DataUnavailableError: no answer after all attempts, or no closes of that symbol.
    """
    day_after = (date.fromisoformat(end) + timedelta(days=1)).isoformat()
    yf.config.debug.hide_exceptions = False
    warnings.filterwarnings("ignore", category=pd.errors.Pandas4Warning, module="yfinance")  # its use of pandas is not ours to mend
    problem = ""
    for attempt in range(settings.YAHOO_RETRIES + 1):
        if attempt:
            log.warning("Yahoo Finance: %s; attempt %d of %d.", problem, attempt + 1, settings.YAHOO_RETRIES + 1)
            time.sleep(min(2.0 ** (attempt - 1), settings.YAHOO_TIMEOUT))
        YfData().cache_get.cache_clear()  # it keeps failed answers too
        try:
            frame = yf.Ticker(symbol, session=BoundedSession(settings)).history(
                start=start, end=day_after, auto_adjust=True, actions=False, timeout=settings.YAHOO_TIMEOUT
            )
        except YFRateLimitError:
            problem = "it refuses further calls for now (429)"
        except curl.exceptions.Timeout:
            problem = f"no answer within {settings.YAHOO_TIMEOUT:g} s"
        except curl.exceptions.RequestException:
            problem = "it cannot be reached"
        except (YFPricesMissingError, YFTickerMissingError):
            raise DataUnavailableError(f"Yahoo Finance has no closes of {symbol} from {start} to {end}.") from None
        except Exception as error:  # yfinance lets whatever a broken answer causes through
            log.debug("yfinance failed", exc_info=True)
            problem = f"an answer that is not what it should be ({type(error).__name__})"
        else:
            return _closes_of(frame, symbol, start, end)
    raise DataUnavailableError(f"Yahoo Finance: {problem}; {settings.YAHOO_RETRIES + 1} attempts.")


def _closes_of(frame: pd.DataFrame, symbol: str, start: str, end: str) -> pd.DataFrame:
    """The dates and closes of yfinance's frame, without the days that have no close."""
    if "Close" not in frame or frame["Close"].dropna().empty:
        raise DataUnavailableError(f"Yahoo Finance has no closes of {symbol} from {start} to {end}.")
    closes = frame["Close"].dropna()
    dates = pd.DatetimeIndex(closes.index).tz_localize(None).normalize()
    return pd.DataFrame({"date": dates, "close": closes.to_numpy()})
