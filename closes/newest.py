"""The newest closes of any symbol, for GET /forecast: from the worker's memory, from the cache, or downloaded.

    newest = NewestCloses(settings, lambda work, *arguments: work(*arguments), download_closes)
    newest.of("MSFT").closes.prices[-60:]

A download is used for FORECAST_TTL seconds, by all workers through the cache on disk. A worker makes one download at a time, and all
workers together make one download of a symbol at a time; the others wait and use its result. If Yahoo Finance fails, the closes fall back
to an older download or the embedded snapshot, with a warning, and Yahoo Finance is not asked again for a minute. A download takes 5 seconds
at most and an answer 10, including the wait for other downloads. (The first download also imports pandas and yfinance, see downloader.py.)
"""

import logging
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from cachetools import TLRUCache

from closes.age import age_warnings
from closes.cache import cache_file, read_cache
from closes.series import FIRST_DAY, Closes, last_final_day, not_daily_warnings
from closes.snapshot import read_snapshot
from closes.symbols import check_symbol
from closes.warnings import SOURCE_FALLBACK, SeriesWarning
from errors import DataUnavailableError, ForecastError, NoAnswerError, UnknownSymbolError
from settings import Settings

log = logging.getLogger(__name__)

MAX_SYMBOLS = 256  # in a worker's memory; the least recently used symbol is evicted
MAX_CLOSES = 1000  # of a symbol in memory, 16 kB
ANSWER_SECONDS = 10.0  # for the wait and the download together
YAHOO_SECONDS = 5.0  # for all calls of a download
RETRY_SECONDS = 60.0  # before Yahoo Finance is asked again after a failure
UNKNOWN_SECONDS = 300.0  # for which an unknown symbol is cached
LOCK_FILES = 64  # shared by all symbols, so that the number of files stays bounded


# A download: download_closes(symbol, start, end, settings, seconds, newest), here or in another process.
Download = Callable[[str, str, str, Settings, float, int], Closes]


@dataclass(frozen=True)
class Newest:
    """The newest MAX_CLOSES closes of a symbol, and warnings if they are old or not from Yahoo Finance."""

    closes: Closes
    warnings: list[SeriesWarning]


@dataclass(frozen=True)
class Lookup:
    """The result of looking for a symbol's closes, and when it expires (time.monotonic(), seconds)."""

    outcome: Newest | ForecastError
    expires: float


class NewestCloses:
    """The newest closes of symbols, cached in one worker."""

    def __init__(self, settings: Settings, run_in_thread: Callable[..., Lookup], download: Download) -> None:
        """Start empty.

        Args:
            settings: of the downloads and their cache.
            run_in_thread: `run_in_thread(work, *arguments)` runs blocking work without blocking the worker.
            download: downloads and caches the closes of a symbol.
        """
        self._settings, self._run_in_thread, self._download_closes = settings, run_in_thread, download
        self._downloading = threading.Lock()  # created in the worker, so gevent's lock in a gevent worker
        self._lookups: TLRUCache[str, Lookup] = TLRUCache(MAX_SYMBOLS, ttu=lambda _symbol, lookup, _now: lookup.expires)
        self._lookups_lock = threading.Lock()  # TLRUCache is not thread-safe
        self._failure = ("", 0.0)  # why Yahoo Finance is not asked, and until when (time.monotonic())

    def of(self, symbol: str) -> Newest:
        """Return the newest closes of a symbol.

        Raises:
            InvalidSymbolError: the text is not a symbol.
            UnknownSymbolError: Yahoo Finance has no closes of the symbol.
            DataUnavailableError: no source has them now.
        """
        check_symbol(symbol)
        symbol = symbol.upper()
        lookup = self._keep(symbol, self._recall(symbol) or self._run_in_thread(self._read_fresh, symbol) or self._wait_and_look(symbol))
        if isinstance(lookup.outcome, ForecastError):
            raise type(lookup.outcome)(str(lookup.outcome), lookup.outcome.details)
        return lookup.outcome

    def _recall(self, symbol: str) -> Lookup | None:
        """Return the symbol's lookup from memory, if there is one that has not expired."""
        with self._lookups_lock:
            return self._lookups.get(symbol)

    def _keep(self, symbol: str, lookup: Lookup) -> Lookup:
        """Keep a lookup in memory until it expires or is evicted. Return it, or the one that another request has kept meanwhile."""
        with self._lookups_lock:
            kept: Lookup = self._lookups.setdefault(symbol, lookup)
            return kept

    def _wait_and_look(self, symbol: str) -> Lookup:
        """Wait for other downloads, then look again: one of them may have fetched this symbol."""
        deadline = time.monotonic() + ANSWER_SECONDS
        if not self._downloading.acquire(timeout=ANSWER_SECONDS):
            return self._run_in_thread(self._look, symbol, deadline)
        try:
            return self._recall(symbol) or self._run_in_thread(self._look, symbol, deadline)
        finally:
            self._downloading.release()

    def _look(self, symbol: str, deadline: float) -> Lookup:
        """Find the closes of a symbol on disk or at Yahoo Finance. Runs in a thread."""
        with _locked(symbol, self._settings, deadline):
            fresh = self._read_fresh(symbol)
            if fresh is not None:
                return fresh
            if deadline - time.monotonic() < YAHOO_SECONDS:
                return self._fall_back(symbol, DataUnavailableError("Yahoo Finance: other downloads take too long."), 0.0)
            try:
                return Lookup(self._download(symbol), time.monotonic() + self._settings.FORECAST_TTL)
            except UnknownSymbolError as error:
                return self._fall_back(symbol, error, UNKNOWN_SECONDS)
            except ForecastError as error:
                return self._fall_back(symbol, error, RETRY_SECONDS)

    def _read_fresh(self, symbol: str) -> Lookup | None:
        """Return the cached download if it is younger than FORECAST_TTL: another worker's, or from before a restart."""
        try:
            age = time.time() - cache_file(symbol, self._settings).stat().st_mtime
            if abs(age) >= self._settings.FORECAST_TTL:  # a file from the future has a wrong clock
                return None
            closes = read_cache(symbol, self._settings)
            return Lookup(_newest(closes, "yahoo"), time.monotonic() + self._settings.FORECAST_TTL - age)
        except (OSError, ForecastError):
            return None

    def _download(self, symbol: str) -> Newest:
        """Download the closes of a symbol, unless Yahoo Finance failed less than RETRY_SECONDS ago."""
        why, until = self._failure
        if until > time.monotonic():
            raise NoAnswerError(why)
        try:
            return _newest(self._download_closes(symbol, FIRST_DAY, last_final_day(), self._settings, YAHOO_SECONDS, MAX_CLOSES), "yahoo")
        except NoAnswerError as error:
            self._failure = (str(error), time.monotonic() + RETRY_SECONDS)
            raise

    def _fall_back(self, symbol: str, problem: ForecastError, seconds: float) -> Lookup:
        """Return older closes of a symbol, to be used for `seconds`, with a warning that names the problem; or the problem itself."""
        log.warning("%s: %s", symbol, problem)
        expires = time.monotonic() + seconds
        failures = list(problem.details)
        for read in (partial(read_cache, symbol, self._settings), partial(read_snapshot, symbol)):
            try:
                closes = read()
                return Lookup(_newest(closes, closes.source, str(problem)), expires)
            except ForecastError as error:
                failures.append(str(error))
        if isinstance(problem, UnknownSymbolError):
            return Lookup(UnknownSymbolError(str(problem)), expires)
        return Lookup(DataUnavailableError(f"{problem} No other source has closes of {symbol}.", failures), expires)


def _newest(closes: Closes, source: str, problem: str = "") -> Newest:
    """Return the newest final closes, with warnings if they are a fallback or old."""
    final = closes.between(closes.first_date, last_final_day())
    final = replace(final.part(slice(-MAX_CLOSES, None)), source=source)
    warnings = []
    if problem:
        text = f"{problem} These closes are from the {source} and end on {final.last_date}."
        warnings.append(SeriesWarning(SOURCE_FALLBACK, final.last_date, text))
    seconds = final.dates.astype("datetime64[s]").astype(np.int64)
    return Newest(final, warnings + age_warnings(final) + not_daily_warnings(seconds))


@contextmanager
def _locked(symbol: str, settings: Settings, deadline: float) -> Iterator[None]:
    """Hold the lock of a symbol over all workers; wait for it until `deadline` (time.monotonic()), then go on without it."""
    from filelock import FileLock, Timeout  # 2.6 MB, only in workers that download

    folder = settings.DATA_CACHE_DIR
    lock = FileLock(folder / f".lock-{zlib.crc32(symbol.encode()) % LOCK_FILES}", timeout=max(0.0, deadline - time.monotonic()))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except (OSError, Timeout, NotImplementedError):  # the folder cannot be written, or its file system has no locks
        pass
    try:
        yield
    finally:
        lock.release()
