"""Rows of a price file -> a series in the order of time: newest first reversed, repeated rows dropped, cut to the part that is used."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from closes.reasons import MAX_EXAMPLES, SAME_ROW, UNKNOWN_DAY, Bad, LeftOut, too_many_bad
from closes.rows import Rows
from closes.series import DAY_SECONDS, INTRADAY_GAP, SOURCE_NAMES, Floats, median_gap
from errors import DataUnavailableError, InvalidClosesError

TWICE = "appears twice, with different closes"
Seconds = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """Which closes of a file are used.

    Attributes:
        start: first day, ISO date; None: from the first.
        end: last day, ISO date; None: to the last.
        newest: only this many closes at the end.
        before: this many closes before `start` are used too.
        shown: this many closes at the end are returned for a chart; they are not used.
    """

    start: str | None = None
    end: str | None = None
    newest: int | None = None
    before: int = 0
    shown: int = 0


@dataclass
class Series:
    """Closes in the order of time.

    Attributes:
        seconds: (n,) int64, seconds since 1970.
        prices: (n,) float64.
        ranges: (n, 3) float64; None if there are none.
        bad: rows with wrong values.
        guesses: a sentence for each guess.
    """

    seconds: Seconds
    prices: Floats
    ranges: Floats | None
    bad: list[Bad]
    guesses: list[str] = field(default_factory=list)

    def dates(self, used: slice) -> NDArray[np.datetime64]:
        """Return the days of a part, (n,) datetime64[D]."""
        return (self.seconds[used] // DAY_SECONDS).astype("datetime64[D]")

    def is_daily(self, used: slice) -> bool:
        """Return whether the rows of a part are days: none is within another's day."""
        days = self.seconds[used] // DAY_SECONDS
        return not len(days) or bool((np.diff(days) > 0).all())

    def is_used(self, bad: Bad, used: slice, part: Part) -> bool:
        """Return whether a row with a wrong value is among those that are used.

        A close that is not a number shows that the file is not understood, so it must lie outside the days that the user asked for.
        """
        seconds = self.seconds[used]
        if not len(seconds) or bad.seconds == UNKNOWN_DAY:
            return True
        if part.start is not None:
            first = int(seconds[0]) if part.before else _day(part.start) * DAY_SECONDS
        else:
            first = int(seconds[0]) if part.newest is not None and bad.is_number else bad.seconds
        last = bad.seconds if part.end is None else (_day(part.end) + 1) * DAY_SECONDS - 1
        return first <= bad.seconds <= last


def arrange(rows: Rows, dated: bool, name: str) -> Series:
    """Return the collected rows in the order of time.

    Raises:
        InvalidClosesError: they are in no order; the details name the first lines.
    """
    seconds, prices = np.frombuffer(rows.seconds, np.int64), np.frombuffer(rows.prices, np.float64)
    ranges = np.frombuffer(rows.ranges, np.float64).reshape(-1, 3) if len(rows.ranges) else None
    series = Series(seconds, prices, ranges, rows.bad)
    if not dated:
        return series
    if rows.n_rises and rows.n_falls:
        raise _no_order(rows, name)
    if rows.n_falls:
        series = Series(seconds[::-1], prices[::-1], None if ranges is None else ranges[::-1], rows.bad)
        series.guesses.append("The rows are newest first; their order is reversed.")
    return _without_repeats(series, rows, name)


def _no_order(rows: Rows, name: str) -> InvalidClosesError:
    """Return the error for rows that go forward and back."""
    wrong = rows.rises if rows.n_falls > rows.n_rises else rows.falls
    order = "newest" if rows.n_falls > rows.n_rises else "oldest"
    details = [
        f"line {step.line}: {iso(step.seconds)} comes after {iso(step.before)}; sort the rows by date, {order} first" for step in wrong
    ]
    return InvalidClosesError(f"{name} has rows that are not in the order of their dates.", details)


def _without_repeats(series: Series, rows: Rows, name: str) -> Series:
    """Return the series without rows that repeat the row before them. A repeated day with another close is a wrong row."""
    if not rows.repeats:
        return series
    gap = median_gap(series.seconds)
    unit = 1 if gap is not None and gap < INTRADAY_GAP else DAY_SECONDS
    times = series.seconds if unit == 1 else series.seconds // unit
    again, different = np.zeros(len(times), bool), np.zeros(len(times), bool)
    again[1:] = times[1:] == times[:-1]
    different[1:] = again[1:] & (series.prices[1:] != series.prices[:-1])
    repeats = [step for step in rows.repeats if step.before // unit == step.seconds // unit]
    bad = [Bad(step.seconds, step.line, f"{iso(step.seconds)} {TWICE}", is_number=True) for step in repeats if not step.same]
    if np.count_nonzero(different) > len(bad):
        raise too_many_bad(name, [str(one) for one in bad[:MAX_EXAMPLES]])
    if not again.any():
        return series
    same = np.count_nonzero(again & ~different)
    if same:
        rows.left_out[SAME_ROW] = LeftOut(int(same), [step.line for step in repeats if step.same][:MAX_EXAMPLES])
    ranges = None if series.ranges is None else series.ranges[~again]
    bad = sorted([*series.bad, *bad], key=lambda one: one.line)
    return Series(series.seconds[~again], series.prices[~again], ranges, bad, series.guesses)


def cut(series: Series, part: Part, symbol: str) -> slice:
    """Return which closes of a series are used.

    Raises:
        DataUnavailableError: there are closes, but not in this part.
    """
    days = series.seconds
    first = 0 if part.start is None else max(int(np.searchsorted(days, _day(part.start) * DAY_SECONDS)) - part.before, 0)
    last = len(days) if part.end is None else int(np.searchsorted(days, (_day(part.end) + 1) * DAY_SECONDS))
    if part.newest is not None:
        first = max(first, last - part.newest)
    is_late = part.start is not None and len(days) > 0 and days[-1] < _day(part.start) * DAY_SECONDS
    if len(days) and (first >= last or is_late):
        since = f"from {part.start or iso(days[0])}" + (f" to {part.end}" if part.end else " on")
        raise DataUnavailableError(f"{symbol} has no closes {since}; {SOURCE_NAMES['csv']} has {iso(days[0])} to {iso(days[-1])}.")
    return slice(first, last)


def _day(text: str) -> int:
    """Return an ISO date as days since 1970."""
    return int(np.datetime64(text, "D").astype(np.int64))


def iso(seconds: int) -> str:
    """Return the date of a time, ISO 8601."""
    return str(np.datetime64(int(seconds) // DAY_SECONDS, "D"))
