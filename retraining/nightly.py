"""One nightly run: train if a trading day is final that the last run did not have, and write the result to training.json.

    run_nightly(Job("default", ["MSFT"], model_dir), train)

The published model stays whatever fails.
"""

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from cli import interruption
from closes.age import age_warnings
from closes.series import Closes, last_final_day
from errors import DataUnavailableError
from models.gate import NotPromotedError
from monitoring.training import (
    DEFAULT,
    FAILED,
    INTERRUPTED,
    NOT_PROMOTED,
    SOME_FAILED,
    SUCCESS,
    SYMBOLS,
    TrainingRecord,
    read_trainings,
    write_training,
)
from retraining.lock import one_at_a_time
from retraining.schedule import due_symbols, newest_trading_day, now_utc

log = logging.getLogger(__name__)

Check = Callable[[Closes], None]  # raises an error if a download must not be trained on
Train = Callable[[str, Check], dict[str, str]]  # takes the last day to train on; returns why symbols failed


class NothingNewError(Exception):
    """The download has no newer close than the last training had."""


@dataclass(frozen=True)
class Job:
    """What to train.

    Attributes:
        models: DEFAULT or SYMBOLS.
        symbols: in capitals; the default model has one.
        model_dir: MODEL_DIR.
    """

    models: str
    symbols: list[str]
    model_dir: Path

    @classmethod
    def of(cls, symbol: str, symbols: list[str] | None, model_dir: Path) -> "Job":
        """Return the job of the command's options."""
        return cls(SYMBOLS, symbols, model_dir) if symbols else cls(DEFAULT, [symbol.upper()], model_dir)

    def last(self) -> TrainingRecord:
        """Return what the last run left."""
        return read_trainings(self.model_dir).get(self.models, TrainingRecord())


def run_nightly(job: Job, train: Train) -> dict[str, str]:
    """Train if it is due. Return why symbols failed, by symbol.

    Args:
        job: what to train.
        train: trains and publishes. A NotPromotedError from it is a success: the published model is the better one.

    Raises:
        BusyError: another nightly training of the folder is running; training.json stays as it is.
        ForecastError, OSError: `train` failed; training.json has the reason.
        KeyboardInterrupt: on SIGINT or SIGTERM.
    """
    with _stopped_by_sigterm(), one_at_a_time(job.model_dir):
        final = last_final_day()
        if not due_symbols(job.symbols, job.last().trained_until, final):
            log.info("%s", _nothing_new(job, final))
            return {}
        return Run(job, final).run(train)


def _nothing_new(job: Job, final: str) -> str:
    """Return a sentence on why there is nothing to train."""
    newest = max(newest_trading_day(symbol, final) for symbol in job.symbols)
    what = job.symbols[0] if job.models == DEFAULT else f"{len(job.symbols)} symbols"
    return f"Nothing to train: the last training of {what} had the newest final trading day, {newest}."


class Run:
    """A run that is due."""

    def __init__(self, job: Job, final: str) -> None:
        self._job, self._final, self._before = job, final, job.last()
        self._used: dict[str, str] = {}  # last date of each download
        self._started = now_utc()

    def run(self, train: Train) -> dict[str, str]:
        """Train, and write the result; see run_nightly."""
        if self._before.running_since:
            log.warning("The run of %s ended without a result: its process was killed.", self._before.running_since)
        self._write(replace(self._before, running_since=_iso(self._started)))
        try:
            failures = train(self._final, self._check)
        except NothingNewError as error:
            self._write(replace(self._before, running_since=""))
            log.info("%s", error)
            return {}
        except NotPromotedError as error:
            self._write_success(NOT_PROMOTED, str(error))
            log.info("%s", error)
            return {}
        except KeyboardInterrupt:
            self._write_failure(INTERRUPTED, "The run was interrupted.")
            raise
        except BaseException as error:
            self._write_failure(FAILED, "; ".join([str(error) or type(error).__name__, *getattr(error, "details", [])]))
            raise
        self._write_outcome(failures)
        return failures

    def _check(self, closes: Closes) -> None:
        """Raise an error if a download is too old, or has nothing new for the default model.

        Raises:
            DataUnavailableError: the newest close is some trading days old.
            NothingNewError: the last training had the newest close.
        """
        for warning in age_warnings(closes):
            raise DataUnavailableError(f"Yahoo Finance has no new closes of {closes.symbol}. {warning.text}")
        self._used[closes.symbol] = closes.last_date
        if self._job.models == DEFAULT and closes.last_date <= self._before.trained_until.get(closes.symbol, ""):
            raise NothingNewError(f"Nothing to train: Yahoo Finance has no close of {closes.symbol} after {closes.last_date} yet.")

    def _write_outcome(self, failures: dict[str, str]) -> None:
        """Write the result of a training that came to its end.

        Raises:
            DataUnavailableError: all symbols failed.
        """
        count = len(self._job.symbols)
        if not failures:
            self._write_success(SUCCESS, f"Trained on closes up to {max(self._used.values(), default=self._final)}.")
        elif len(failures) < count:
            self._write_success(SOME_FAILED, f"{len(failures)} of {count} symbols failed.", failures)
        else:
            self._write_failure(FAILED, f"All {count} symbols failed.", failures)
            raise DataUnavailableError(f"All {count} symbols failed.")

    def _write_success(self, result: str, message: str, failures: dict[str, str] | None = None) -> None:
        """Write the result of a successful run. A symbol that failed is due again on the next trading day, not before."""
        done = {symbol: day for symbol, day in self._used.items() if symbol not in (failures or {})}
        days = {symbol: done.get(symbol) or newest_trading_day(symbol, self._final) for symbol in self._job.symbols}
        ended = self._record(result, message, failures)
        self._write(replace(ended, trained_at=ended.ended_at, trained_until=days))

    def _write_failure(self, result: str, message: str, failures: dict[str, str] | None = None) -> None:
        """Write the result of a failed run: it is due again. A disk that is full must not hide the reason of the failure."""
        try:
            self._write(self._record(result, message, failures))
        except OSError as error:
            log.warning("The result of this run is not saved: %s.", error)

    def _record(self, result: str, message: str, failures: dict[str, str] | None) -> TrainingRecord:
        """Return the record of this run. It keeps the fields of the last successful run."""
        now = now_utc()
        return replace(
            self._before,
            result=result,
            message=message,
            started_at=_iso(self._started),
            ended_at=_iso(now),
            seconds=round((now - self._started).total_seconds(), 1),
            failed_symbols=failures or {},
            running_since="",
        )

    def _write(self, training: TrainingRecord) -> None:
        """Write the record of the job's models."""
        write_training(self._job.model_dir, self._job.models, training)


def _iso(moment: datetime) -> str:
    """Return a time as ISO 8601, to the second."""
    return moment.isoformat(timespec="seconds")


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """Handle SIGTERM as Ctrl-C: the training stops, removes what it staged and writes its result."""
    before = signal.signal(signal.SIGTERM, interruption.on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
