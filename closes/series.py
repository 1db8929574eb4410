"""A checked series of daily closes."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from errors import DataUnavailableError, InvalidClosesError

log = logging.getLogger(__name__)
Floats = NDArray[np.float64]
MIN_CLOSE, MAX_CLOSE = 1e-100, 1e100  # any currency; outside of it arithmetic on prices overflows
MAX_RANGE = 1e6  # largest over smallest close of one window; float32 and the exponential hold far more
MAX_GAP_DAYS = 7  # between two trading days; 9/11 closed New York for 6
SPLIT_JUMP = 0.45  # an unadjusted 2-for-1 split is a move of one half
FIRST_DAY = "2010-01-01"  # downloads begin here at the latest, so that the cache serves every later start


@dataclass(frozen=True)
class Closes:
    """A checked series of daily closes, oldest first.

    Attributes:
        symbol: ticker, for example "MSFT".
        source: where they come from: yahoo, cache, snapshot or csv.
        dates: (n_days,) datetime64[D], strictly increasing.
        prices: (n_days,) float64, adjusted, one currency, positive.

    Raises:
        InvalidClosesError: naming the first days that are wrong.
    """

    symbol: str
    source: str
    dates: NDArray[np.datetime64]
    prices: Floats

    def __post_init__(self) -> None:
        check_series(self.dates, self.prices)

    def __len__(self) -> int:
        return len(self.prices)

    @property
    def first_date(self) -> str:
        """The date of the first close, ISO 8601."""
        return str(self.dates[0])

    @property
    def last_date(self) -> str:
        """The date of the last close, ISO 8601."""
        return str(self.dates[-1])

    def between(self, start: str, end: str) -> "Closes":
        """The part from `start` to `end`, both included (ISO dates)."""
        keep = (self.dates >= np.datetime64(start)) & (self.dates <= np.datetime64(end))
        if not keep.any():
            raise DataUnavailableError(
                f"{self.symbol}: no closes from {start} to {end}; the {self.source} has {self.first_date} to {self.last_date}."
            )
        return Closes(self.symbol, self.source, self.dates[keep], self.prices[keep])


def last_final_day() -> str:
    """The last day whose close is final, ISO 8601: yesterday in UTC, when even New York has closed, wherever the server's clock is set."""
    return (datetime.now(UTC).date() - timedelta(days=1)).isoformat()


def check_series(dates: NDArray[np.datetime64], prices: Floats, lines: Sequence[int] | None = None) -> None:
    """Check that dates increase strictly and that prices are finite and positive.

    Args:
        dates: (n_days,) datetime64[D].
        prices: (n_days,) float64.
        lines: where each day is in the file that they come from, if they do; an error names it.

    Raises:
        InvalidClosesError: with the first days that are wrong as details.
    """
    if len(prices) == 0:
        raise InvalidClosesError("There are no closes.")
    problems = []
    place = [f"line {line}: " for line in lines] if lines is not None else [""] * len(prices)
    for index in np.flatnonzero(np.diff(dates) <= np.timedelta64(0, "D"))[:5] + 1:
        same = dates[index] == dates[index - 1]
        what = "appears twice" if same else f"comes after {dates[index - 1]}; order the rows by date, oldest first"
        problems.append(f"{place[index]}{dates[index]} {what}")
    for index in np.flatnonzero(~((prices >= MIN_CLOSE) & (prices <= MAX_CLOSE)))[:5]:
        problems.append(f"{place[index]}{dates[index]} has the close {float(prices[index])!r}, which is not a positive finite number")
    if problems:
        raise InvalidClosesError("The closes are not a valid daily series.", problems)


def warn_of_oddities(closes: Closes) -> None:
    """Log suspicious data that is not an error: moves like a split, days without closes."""
    for warning in split_warnings(closes.prices, closes.dates):
        log.warning("%s: %s", closes.symbol, warning)
    for index in np.flatnonzero(np.diff(closes.dates) > np.timedelta64(MAX_GAP_DAYS, "D"))[:3]:
        log.warning("%s: no closes between %s and %s: are some missing?", closes.symbol, closes.dates[index], closes.dates[index + 1])


def split_warnings(prices: Floats, dates: NDArray[np.datetime64] | None = None) -> list[str]:
    """Say where closes move by about a half or a double in a day, as an unadjusted split would.

    Args:
        prices: (n_days,) float64, oldest first.
        dates: of the closes, where they are known; else the closes are counted from 1.
    """
    moves = prices[1:] / prices[:-1]
    jumps = np.flatnonzero((moves < 1 - SPLIT_JUMP) | (moves > 1 / (1 - SPLIT_JUMP)))[:3]
    names = [f"Close {i + 2}" if dates is None else f"The close of {dates[i + 1]}" for i in jumps]
    return [
        f"{name} is {moves[i]:.3g} times the one before: a split that is not adjusted? Use adjusted closes."
        for name, i in zip(names, jumps, strict=True)
    ]
