"""A series of daily closes, checked when it is created, and warnings about it.

Code that holds a `Closes` can rely on it: the days are in order and unique, the prices are finite and positive.
"""

import hashlib
import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from closes.warnings import FUTURE_DATES, MISSING_DAYS, NOT_DAILY, POSSIBLE_SPLIT, POSSIBLE_UNIT_CHANGE, SeriesWarning
from errors import DataUnavailableError, InvalidClosesError

log = logging.getLogger(__name__)

Floats = NDArray[np.float64]

SOURCE_NAMES = {"yahoo": "Yahoo Finance", "cache": "the cache", "snapshot": "the snapshot", "csv": "the file"}  # in messages
FIRST_DAY = "2010-01-01"  # downloads start here or earlier, so that the cache can answer for every later start
RANGE_COLUMNS = ("open", "high", "low")  # of Closes.ranges
MIN_CLOSE, MAX_CLOSE = 1e-100, 1e100  # any currency; arithmetic on prices overflows outside this range
MAX_RANGE = 1e6  # largest close of a window divided by its smallest
MAX_GAP_DAYS = 7  # calendar days between two trading days; New York closed for 6 after 9/11
SPLIT_JUMP = 0.45  # relative move in one day; an unadjusted 2-for-1 split moves by 0.5
UNIT_JUMP = (80.0, 125.0)  # a close divided by the one before it, or the inverse, if pounds change to pence
DAY_SECONDS = 86_400
MAX_GAPS = 100_000  # of which the median is taken
MIN_GAPS = 5  # fewer say nothing about how often there is a close
INTRADAY_GAP, DAILY_GAP = 0.75, 1.5  # days; the median gap of daily closes is between them
GAP_NAMES = ((6, 8, "weekly"), (27, 32, "monthly"), (88, 93, "quarterly"), (360, 370, "yearly"))  # days
MAX_WARNINGS = 3  # of one kind for one series
MAX_PROBLEMS = 5  # of one kind in an error's details


@dataclass(frozen=True)
class Closes:
    """Daily closes of one symbol, oldest first.

    Attributes:
        symbol: ticker, for example "MSFT".
        source: where the closes come from: yahoo, cache, snapshot or csv.
        dates: (n_days,) datetime64[D], strictly increasing.
        prices: (n_days,) float64, adjusted, one currency, positive.
        ranges: (n_days, 3) float64, open, high and low of each day, adjusted as the closes; a day without them has NaN. None if no day has
            them. They are not checked: forecast/volatility.py decides which can be used.
        exchange: Yahoo Finance's name of the exchange, empty if unknown.
        daily: whether each close is of another day; false for the hours of a price file.

    Raises:
        InvalidClosesError: some days are wrong; the details name the first of them.
    """

    symbol: str
    source: str
    dates: NDArray[np.datetime64]
    prices: Floats
    ranges: Floats | None = None
    exchange: str = ""
    daily: bool = True

    def __post_init__(self) -> None:
        check_series(self.dates, self.prices, daily=self.daily)
        if self.ranges is not None and self.ranges.shape != (len(self.prices), 3):
            raise InvalidClosesError(f"There are {len(self.prices)} closes, but the ranges have the shape {self.ranges.shape}.")

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

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of dates and closes. It is equal for the same data from different sources."""
        digest = hashlib.sha256(self.dates.astype("datetime64[D]").astype(np.int64).tobytes())
        digest.update(np.ascontiguousarray(self.prices, np.float64).tobytes())
        return digest.hexdigest()

    def between(self, start: str, end: str) -> "Closes":
        """Return the closes from `start` to `end`, both included (ISO dates).

        Raises:
            DataUnavailableError: there are none.
        """
        keep = (self.dates >= np.datetime64(start)) & (self.dates <= np.datetime64(end))
        if not keep.any():
            raise DataUnavailableError(
                f"{self.symbol} has no closes from {start} to {end}; {SOURCE_NAMES[self.source]} has {self.first_date} to {self.last_date}."
            )
        return self.part(keep)

    def part(self, keep: slice | NDArray[np.bool_]) -> "Closes":
        """Return some of the days, as a copy."""
        ranges = None if self.ranges is None else self.ranges[keep].copy()
        return replace(self, dates=self.dates[keep].copy(), prices=self.prices[keep].copy(), ranges=ranges)


def last_final_day() -> str:
    """Return the last day whose close is final, ISO 8601.

    That is yesterday in UTC, whatever the server's time zone: New York has closed by then.
    """
    return (datetime.now(UTC).date() - timedelta(days=1)).isoformat()


def check_series(dates: NDArray[np.datetime64], prices: Floats, *, daily: bool = True) -> None:
    """Check that dates increase strictly and that prices are finite and positive.

    Args:
        dates: (n_days,) datetime64[D].
        prices: (n_days,) float64.
        daily: whether a day may appear only once.

    Raises:
        InvalidClosesError: some days are wrong; the details name the first of them.
    """
    if len(prices) == 0:
        raise InvalidClosesError("There are no closes.")
    problems = []
    shortest = np.timedelta64(1 if daily else 0, "D")
    for index in np.flatnonzero(np.diff(dates) < shortest)[:MAX_PROBLEMS] + 1:
        same = dates[index] == dates[index - 1]
        what = "appears twice" if same else f"comes after {dates[index - 1]}; sort the rows by date, oldest first"
        problems.append(f"{dates[index]} {what}")
    for index in np.flatnonzero(~are_valid(prices))[:MAX_PROBLEMS]:
        problems.append(f"{dates[index]} has the close {float(prices[index])!r}; a close must be a positive finite number")
    if problems:
        raise InvalidClosesError("The closes are not a valid daily series.", problems)


def are_valid(prices: Floats) -> NDArray[np.bool_]:
    """Return which prices, of any shape, can be closes: positive and finite."""
    valid: NDArray[np.bool_] = (prices >= MIN_CLOSE) & (prices <= MAX_CLOSE)
    return valid


def warn_suspicious(closes: Closes) -> None:
    """Log moves that look like an unadjusted split or a change of the unit, and gaps without closes. None is an error."""
    for warning in jump_warnings(closes.prices, closes.dates) + gap_warnings(closes):
        log.warning("%s: %s", closes.symbol, warning.text)


def is_jump(move: float | Floats) -> bool | NDArray[np.bool_]:
    """Return whether a close divided by the one before it looks like an unadjusted split, or is even further from 1."""
    return (move < 1 - SPLIT_JUMP) | (move > 1 / (1 - SPLIT_JUMP))


def is_unit_change(move: float | Floats) -> bool | NDArray[np.bool_]:
    """Return whether a close divided by the one before it looks like a change between pounds and pence."""
    low, high = UNIT_JUMP
    return ((low <= move) & (move <= high)) | ((1 / high <= move) & (move <= 1 / low))


def jump_warnings(prices: Floats, dates: NDArray[np.datetime64] | None = None) -> list[SeriesWarning]:
    """Find closes that are half or twice the close before them, or even further from it: an unadjusted split or another unit.

    Args:
        prices: (n_days,) float64, oldest first.
        dates: (n_days,) datetime64[D], or None if they are unknown; the text then counts the closes from 1.

    Returns:
        At most MAX_WARNINGS warnings.
    """
    moves = prices[1:] / prices[:-1]
    jumps = np.flatnonzero(is_jump(moves))[:MAX_WARNINGS]
    warnings = []
    for index in jumps:
        day = None if dates is None else str(dates[index + 1])
        name = f"Close {index + 2}" if day is None else f"The close of {day}"
        code, advice = _explain_jump(float(moves[index]))
        warnings.append(SeriesWarning(code, day, f"{name} is {moves[index]:.3g} times the close before it. {advice}"))
    return warnings


def _explain_jump(move: float) -> tuple[str, str]:
    """Return the code of a jump, and what to do about it."""
    if is_unit_change(move):
        return POSSIBLE_UNIT_CHANGE, "The prices may change between two units, such as pounds and pence. Convert all of them to one unit."
    return POSSIBLE_SPLIT, "If this is a split, use adjusted closes."


def gap_warnings(closes: Closes) -> list[SeriesWarning]:
    """Find gaps of more than MAX_GAP_DAYS days between two daily closes; at most MAX_WARNINGS warnings."""
    if not_daily_warnings(closes.dates.astype("datetime64[s]").astype(np.int64)):
        return []
    gaps = np.flatnonzero(np.diff(closes.dates) > np.timedelta64(MAX_GAP_DAYS, "D"))[:MAX_WARNINGS]
    days = [(str(closes.dates[index]), str(closes.dates[index + 1])) for index in gaps]
    return [SeriesWarning(MISSING_DAYS, after, f"There are no closes between {before} and {after}.") for before, after in days]


def median_gap(seconds: NDArray[np.int64]) -> float | None:
    """Return the median time between two closes in days, of the newest MAX_GAPS; None if there are too few.

    Args:
        seconds: (n,) int64, time of each close in seconds, oldest first.
    """
    gaps = np.diff(seconds[-MAX_GAPS:])
    gaps = gaps[gaps > 0]
    return float(np.median(gaps)) / DAY_SECONDS if len(gaps) >= MIN_GAPS else None


def _duration(days: float) -> str:
    """Return a time in days for a message, in days, hours or minutes."""
    unit, per_day = ("day", 1) if days >= INTRADAY_GAP else ("hour", 24) if days * 24 >= 1 else ("minute", 24 * 60)
    number = f"{days * per_day:.3g}"
    return f"{number} {unit}" + ("" if number == "1" else "s")


def not_daily_warnings(seconds: NDArray[np.int64]) -> list[SeriesWarning]:
    """Return a warning if closes are not daily.

    Args:
        seconds: (n,) int64, time of each close since 1970, oldest first.
    """
    gap = median_gap(seconds)
    if gap is None or INTRADAY_GAP <= gap <= DAILY_GAP:
        return []
    kind = next((f"They look {name}: the" for low, high, name in GAP_NAMES if low <= gap <= high), "The")
    shown = _duration(gap)
    text = f"The closes are not daily. {kind} median time between two is {shown}. The forecast is of the next such close, not of a day."
    return [SeriesWarning(NOT_DAILY, None, text)]


def file_warnings(closes: Closes, seconds: NDArray[np.int64]) -> list[SeriesWarning]:
    """Return warnings about the dates of a price file: closes that are not daily, days in the future.

    Args:
        closes: of the file.
        seconds: (n_days,) int64, time of each close, since 1970.
    """
    warnings = not_daily_warnings(seconds)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
    if closes.dates[-1] > np.datetime64(tomorrow):
        text = f"The last close is of {closes.last_date}, which is in the future. Check how the dates are written."
        warnings.append(SeriesWarning(FUTURE_DATES, closes.last_date, text))
    return warnings
