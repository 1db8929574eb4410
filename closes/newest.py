"""The newest closes of any symbol, for GET /forecast: what a worker remembers, what any worker has downloaded, else Yahoo Finance.

    newest = NewestCloses(settings, beside=lambda work, *arguments: work(*arguments))
    newest.of("MSFT").closes.prices[-60:]

A download serves for FORECAST_TTL seconds, in all workers through processData's cache. There is one download at a time in a worker, and
one for a symbol over all workers; who waits takes what the first one brought. Where Yahoo Finance fails, an older download or the embedded
snapshot answers with a warning, and it is left alone for a minute. A download takes 5 seconds at most, an answer 10, what it waits for
others included (the first download in a worker also imports pandas and yfinance).
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
MAX_SYMBOLS = 256  # that a worker remembers; whoever was asked for longest ago goes first
MAX_CLOSES = 1000  # of each: 16 kB
ANSWER_SECONDS = 10.0  # for others' downloads and the own one
YAHOO_SECONDS = 5.0  # for all calls of a download
POLL_SECONDS = 0.05  # how often the other workers' lock is tried
RETRY_SECONDS = 60.0  # that Yahoo Finance is left alone after a failure
UNKNOWN_SECONDS = 300.0  # that an unknown symbol is remembered
OLD_DAYS = 5  # age of a last close that is no surprise: a weekend with holidays on both sides


@dataclass(frozen=True)
class Newest:
    """The newest closes of a symbol, up to MAX_CLOSES, and sentences on why they may not be what was hoped for."""

    closes: Closes
    warnings: list[str]


@dataclass(frozen=True)
class Kept:
    """What came of looking for a symbol's closes, and until when (time.monotonic(), seconds) it need not be looked for again."""

    outcome: Newest | ForecastError
    until: float


class NewestCloses:
    """The newest closes that one worker knows."""

    def __init__(self, settings: Settings, beside: Callable[..., "Kept"]) -> None:
        """Remember nothing yet; `beside(work, *arguments)` does work that takes long, in a gevent worker in a thread of its own."""
        self._settings, self._beside = settings, beside
        self._turn = threading.Lock()  # made in the worker, so gevent's where gevent serves: who waits does not hold up the loop
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._silent = ("", 0.0)  # why Yahoo Finance is not asked about any symbol, and until when (time.monotonic())

    def of(self, symbol: str) -> Newest:
        """The newest closes of a symbol.

        Raises:
            InvalidSymbolError: it cannot be one.
            UnknownSymbolError: Yahoo Finance has no closes of it.
            DataUnavailableError: no source can be had now.
        """
        check_symbol(symbol)
        symbol = symbol.upper()
        kept = self._recall(symbol)
        if kept is None:
            with self._turn_for(symbol) as mine:
                kept = self._recall(symbol)
                if kept is None:
                    kept = self._beside(self._look, symbol, mine)
                    self._keep(symbol, kept)
        if isinstance(kept.outcome, ForecastError):
            raise type(kept.outcome)(str(kept.outcome), kept.outcome.details)
        return kept.outcome

    def _recall(self, symbol: str) -> Kept | None:
        """What is remembered of a symbol."""
        kept = self._kept.get(symbol)
        if kept is None or kept.until <= time.monotonic():
            return None
        with suppress(KeyError):  # another thread has just dropped it
            self._kept.move_to_end(symbol)
        return kept

    def _keep(self, symbol: str, kept: Kept) -> None:
        """Remember what came of looking for a symbol."""
        self._kept[symbol] = kept
        self._kept.move_to_end(symbol)
        while len(self._kept) > MAX_SYMBOLS:
            self._kept.popitem(last=False)

    @contextmanager
    def _turn_for(self, symbol: str) -> Iterator[bool]:
        """Wait until no one else in this worker downloads, and no other worker this symbol; whether there is time for a download then."""
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
        """Look for the closes of a symbol: it reads files and asks Yahoo Finance, so it runs beside the loop."""
        fresh = self._read_fresh(symbol)
        if fresh is not None:
            return fresh
        problem: ForecastError
        problem, seconds = DataUnavailableError("Yahoo Finance: other downloads from it take long."), 0.0
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
            if abs(age) >= self._settings.FORECAST_TTL:  # a file from the future has a wrong date
                return None
            closes = read_cache(symbol, self._settings)
            return Kept(_newest(closes, "yahoo"), time.monotonic() + self._settings.FORECAST_TTL - age)
        except (OSError, ForecastError):
            return None

    def _download(self, symbol: str) -> Newest:
        """The closes from Yahoo Finance, unless it was silent a moment ago."""
        why, until = self._silent
        if until > time.monotonic():
            raise NoAnswerError(why)
        try:
            return _newest(download_closes(symbol, FIRST_DAY, last_final_day(), self._settings, YAHOO_SECONDS), "yahoo")
        except NoAnswerError as error:
            self._silent = (str(error), time.monotonic() + RETRY_SECONDS)
            raise


def _older(symbol: str, problem: ForecastError, settings: Settings) -> Newest | ForecastError:
    """An older download, else the embedded snapshot, with a warning of what is wrong with Yahoo Finance; else what is wrong with all."""
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
    """The newest of these closes that are final, and warnings where they are not fresh or old."""
    final = closes.between(closes.first_date, last_final_day())
    final = Closes(closes.symbol, source, final.dates[-MAX_CLOSES:].copy(), final.prices[-MAX_CLOSES:].copy())
    warnings = [f"{problem} These closes are from the {source} and end on {final.last_date}."] if problem else []
    return Newest(final, warnings + age_warnings(final))


def age_warnings(closes: Closes) -> list[str]:
    """A sentence on how old the last close is, where that may surprise."""
    days = int((np.datetime64(datetime.now(UTC).date()) - closes.dates[-1]) // np.timedelta64(1, "D"))
    return [f"The last close is of {closes.last_date}, {days:,} days ago."] if days > OLD_DAYS else []


@contextmanager
def _locked(symbol: str, settings: Settings, ends: float) -> Iterator[None]:
    """Keep the other workers from downloading the symbol; wait for one that does, until `ends` (time.monotonic()) at most.

    Each symbol is a byte of one file, so that no file stays behind for every name that somebody asks for. Such a lock belongs to the
    process, which is enough, as a worker downloads one at a time.
    """
    try:
        settings.DATA_CACHE_DIR.mkdir(parents=True, exist_ok=True)
        file = (settings.DATA_CACHE_DIR / ".lock").open("w")
    except OSError:  # nor can a download be kept there: each worker for itself
        yield
        return
    with file:
        while not _try_lock(file, zlib.crc32(symbol.encode())) and time.monotonic() < ends:
            time.sleep(POLL_SECONDS)
        yield


def _try_lock(file: TextIO, byte: int) -> bool:
    """Lock a byte of a file; whether no other process has it. It goes with the file or the process."""
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
