"""The newest closes of a symbol, for GET /forecast: from the worker's memory, the cache that all workers share, or Yahoo Finance.

    newest = NewestCloses(settings, run_in_thread=lambda work, *arguments: work(*arguments))
    newest.of("MSFT").closes.prices[-60:]

A download is cached for FORECAST_TTL seconds, for all workers. A worker runs one download at a time, and only one worker downloads a
symbol; requests that wait share its result. If Yahoo Finance fails, the service falls back to an older download or to the embedded
snapshot, with a warning, and does not ask again for a minute. A download takes at most 5 seconds and an answer at most 10, including the
wait for other downloads (the first download in a worker also imports pandas and yfinance).
"""

import logging
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TextIO

import numpy as np

from closes.cache import cache_file, read_cache
from closes.download import download_closes
from closes.series import FIRST_DAY, Closes, last_final_day
from closes.snapshot import read_snapshot
from closes.symbols import check_symbol
from errors import DataUnavailableError, ForecastError, NoAnswerError, UnknownSymbolError
from settings import Settings

log = logging.getLogger(__name__)
MAX_SYMBOLS = 256  # in a worker's memory; the least recently used symbol is evicted
MAX_CLOSES = 1000  # per symbol: 16 kB
ANSWER_SECONDS = 10.0  # limit of an answer, including the wait for other downloads
YAHOO_SECONDS = 5.0  # limit of all calls of a download
POLL_SECONDS = 0.05  # between two attempts to get another worker's lock
RETRY_SECONDS = 60.0  # pause after a failure of Yahoo Finance
UNKNOWN_SECONDS = 300.0  # for which an unknown symbol is cached
OLD_DAYS = 5  # normal age of a last close: a weekend with holidays on both sides


@dataclass(frozen=True)
class Newest:
    """The newest closes of a symbol, up to MAX_CLOSES, and warnings about their source and age."""

    closes: Closes
    warnings: list[str]


@dataclass(frozen=True)
class Kept:
    """A cached result for a symbol: closes or an error, valid until `until` (time.monotonic(), seconds)."""

    outcome: Newest | ForecastError
    until: float


class NewestCloses:
    """The newest closes of symbols, cached in one worker."""

    def __init__(self, settings: Settings, run_in_thread: Callable[..., "Kept"]) -> None:
        """Remember nothing yet; `run_in_thread(work, *arguments)` does work that takes long, in a gevent worker in a thread of its own."""
        self._settings, self._run_in_thread = settings, run_in_thread
        self._turn = threading.Lock()  # created in the worker, so a gevent worker gets gevent's lock, which does not block the loop
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._silent = ("", 0.0)  # last failure of Yahoo Finance, and until when it is not asked again (time.monotonic())

    def of(self, symbol: str) -> Newest:
        """The newest closes of a symbol.

        Raises:
            InvalidSymbolError: the symbol is malformed.
            UnknownSymbolError: Yahoo Finance has no closes of it.
            DataUnavailableError: no source is available now.
        """
        check_symbol(symbol)
        symbol = symbol.upper()
        kept = self._recall(symbol)
        if kept is None:
            with self._turn_for(symbol) as mine:
                kept = self._recall(symbol)
                if kept is None:
                    kept = self._run_in_thread(self._look, symbol, mine)
                    self._keep(symbol, kept)
        if isinstance(kept.outcome, ForecastError):
            raise type(kept.outcome)(str(kept.outcome), kept.outcome.details)
        return kept.outcome

    def _recall(self, symbol: str) -> Kept | None:
        """The cached result for a symbol, or None if there is none or it has expired."""
        kept = self._kept.get(symbol)
        if kept is None or kept.until <= time.monotonic():
            return None
        with suppress(KeyError):  # another thread has just evicted it
            self._kept.move_to_end(symbol)
        return kept

    def _keep(self, symbol: str, kept: Kept) -> None:
        """Cache the result for a symbol and evict the least recently used symbols."""
        self._kept[symbol] = kept
        self._kept.move_to_end(symbol)
        while len(self._kept) > MAX_SYMBOLS:
            self._kept.popitem(last=False)

    @contextmanager
    def _turn_for(self, symbol: str) -> Iterator[bool]:
        """Wait for other downloads in this worker, and of this symbol in others. Yields whether there is time left for a download."""
        ends = time.monotonic() + ANSWER_SECONDS
        if not self._turn.acquire(timeout=ANSWER_SECONDS):
            yield False
            return
        try:
            with _locked(symbol, self._settings, ends):
                yield ends - time.monotonic() >= YAHOO_SECONDS
        finally:
            self._turn.release()

    def _look(self, symbol: str, may_download: bool) -> Kept:
        """Get the closes of a symbol. Reads files and calls Yahoo Finance, so it runs in a thread."""
        fresh = self._read_fresh(symbol)
        if fresh is not None:
            return fresh
        problem: ForecastError
        problem, seconds = DataUnavailableError("Yahoo Finance: other downloads are still running."), 0.0
        if may_download:
            try:
                return Kept(self._download(symbol), time.monotonic() + self._settings.FORECAST_TTL)
            except UnknownSymbolError as error:
                problem, seconds = error, UNKNOWN_SECONDS
            except ForecastError as error:
                problem, seconds = error, RETRY_SECONDS
        log.warning("%s: %s", symbol, problem)
        return Kept(_older(symbol, problem, self._settings), time.monotonic() + seconds)

    def _read_fresh(self, symbol: str) -> Kept | None:
        """The cached download, if it is younger than FORECAST_TTL: another worker's, or from before a restart."""
        try:
            age = time.time() - cache_file(symbol, self._settings).stat().st_mtime
            if abs(age) >= self._settings.FORECAST_TTL:  # a file from the future has a wrong clock
                return None
            closes = read_cache(symbol, self._settings)
            return Kept(_newest(closes, "yahoo"), time.monotonic() + self._settings.FORECAST_TTL - age)
        except (OSError, ForecastError):
            return None

    def _download(self, symbol: str) -> Newest:
        """The closes from Yahoo Finance, unless it failed less than RETRY_SECONDS ago."""
        why, until = self._silent
        if until > time.monotonic():
            raise NoAnswerError(why)
        try:
            return _newest(download_closes(symbol, FIRST_DAY, last_final_day(), self._settings, YAHOO_SECONDS), "yahoo")
        except NoAnswerError as error:
            self._silent = (str(error), time.monotonic() + RETRY_SECONDS)
            raise


def _older(symbol: str, problem: ForecastError, settings: Settings) -> Newest | ForecastError:
    """Fall back to an older download or the embedded snapshot, with a warning. Without both, return an error with all failures."""
    failures = [str(problem), *problem.details]
    for read in (partial(read_cache, symbol, settings), partial(read_snapshot, symbol)):
        try:
            closes = read()
            return _newest(closes, closes.source, str(problem))
        except ForecastError as error:
            failures.append(str(error))
    if isinstance(problem, UnknownSymbolError):
        return UnknownSymbolError(str(problem))
    return DataUnavailableError(f"No source has closes of {symbol} now.", failures)


def _newest(closes: Closes, source: str, problem: str = "") -> Newest:
    """The newest final closes, with warnings if they are a fallback or old."""
    final = closes.between(closes.first_date, last_final_day())
    final = Closes(closes.symbol, source, final.dates[-MAX_CLOSES:].copy(), final.prices[-MAX_CLOSES:].copy())
    warnings = [f"{problem} These closes are from the {source} and end on {final.last_date}."] if problem else []
    return Newest(final, warnings + age_warnings(final))


def age_warnings(closes: Closes) -> list[str]:
    """A warning about the age of the last close, if it is older than OLD_DAYS."""
    days = int((np.datetime64(datetime.now(UTC).date()) - closes.dates[-1]) // np.timedelta64(1, "D"))
    return [f"The last close is from {closes.last_date}, {days:,} days ago."] if days > OLD_DAYS else []


@contextmanager
def _locked(symbol: str, settings: Settings, ends: float) -> Iterator[None]:
    """Lock the symbol against downloads of other workers. Waits for a running one, at most until `ends` (time.monotonic()).

    Each symbol is a byte of one file, so requests for many names leave no files. The lock belongs to the process, which is enough, because
    a worker runs one download at a time.
    """
    try:
        settings.DATA_CACHE_DIR.mkdir(parents=True, exist_ok=True)
        file = (settings.DATA_CACHE_DIR / ".lock").open("w")
    except OSError:  # downloads cannot be cached either, so no lock is needed
        yield
        return
    with file:
        while not _try_lock(file, zlib.crc32(symbol.encode())) and time.monotonic() < ends:
            time.sleep(POLL_SECONDS)
        yield


def _try_lock(file: TextIO, byte: int) -> bool:
    """Try to lock a byte of a file, and return whether it succeeded. Closing the file or ending the process releases the lock."""
    try:
        import fcntl  # not on Windows, where there is one process
    except ImportError:
        return True
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a file system without locks
        return True
    return True
