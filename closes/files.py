"""Price files of any usual export -> a checked series of closes, and a report of how the file was read.

    file = read_prices(Path("prices.csv"), part=Part(newest=60))
    file.closes.prices, file.columns, file.left_out, file.guesses, file.warnings

The commands and POST /predict read files only with this module, so they read them the same way. It streams: a file takes the memory of its
closes. Only the closes that are used are checked; wrong rows before or after them are left out and named.
"""

import itertools
import logging
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from closes import dayfirst, days, numbers, order
from closes.columns import CLOCK_NAMES, Columns, shorten, simplified
from closes.label import INPUT, Label
from closes.order import Part, Series
from closes.reasons import BAD, MAX_EXAMPLES, LeftOut
from closes.rows import Rows
from closes.series import Closes, file_warnings
from closes.symbols import UNNAMED
from closes.table import Table, read_table
from closes.textlines import Source, lines_of
from closes.warnings import SUSPICIOUS_COLUMN, UNKNOWN_DATES, SeriesWarning
from errors import InvalidClosesError

log = logging.getLogger(__name__)

SAMPLE_ROWS = 2000  # from which the formats of dates and prices are found
FEW_ROWS = 50  # of the sample, from which the column of the dates is found, and the decimal sign of other columns
MAX_DATE_COLUMNS = 50  # only these are tried as dates
NEARLY_ALL = 0.95  # of the rows of a sample
BEFORE_HEADER = "lines before the header"

__all__ = ["Part", "PriceFile", "read_prices"]


@dataclass(frozen=True)
class PriceFile:
    """The closes of a file, and how it was read.

    Attributes:
        closes: the part of the closes that was asked for. If `dated` is false, their days are counted from 0001-01-01.
        shown: the newest closes of the part and before it, for a chart, if any were asked for. Wrong rows before the part are missing.
        total: how many closes the file has.
        dated: whether the file has dates.
        columns: names of the columns that were read: date (None if there is none), close, and perhaps open, high and low.
        left_out: rows that were left out: `rows` (how many), `reason`, and `lines` (the first of them).
        guesses: a sentence for each guess.
        warnings: reasons to trust a forecast from these closes less.
    """

    closes: Closes
    shown: Closes | None
    total: int
    dated: bool
    columns: dict[str, str | None]
    left_out: list[dict[str, Any]]
    guesses: list[str]
    warnings: list[SeriesWarning]

    @property
    def as_of(self) -> str | None:
        """The date of the last close, ISO 8601; None if the file has no dates."""
        return self.closes.last_date if self.dated else None

    def log(self) -> None:
        """Log how the file was read."""
        if any(name is None or name.strip().lower() != kind for kind, name in self.columns.items()):
            log.info("Columns: %s.", ", ".join(f"{kind} from {name!r}" for kind, name in self.columns.items() if name is not None))
        for guess in self.guesses:
            log.info("%s", guess)
        for item in self.left_out:
            rows, lines = item["rows"], ", ".join(map(str, item["lines"])) + (", ..." if item["rows"] > len(item["lines"]) else "")
            place = f" (line {lines})" if item["lines"] else ""
            log.info("Left out %d %s%s: %s.", rows, "row" if rows == 1 else "rows", place, item["reason"])
        for warning in self.warnings:
            log.warning("%s: %s", self.closes.symbol, warning.text)


def read_prices(source: Source, symbol: str = UNNAMED, column: str | None = None, part: Part | None = None) -> PriceFile:
    """Read the closes of a price file.

    Args:
        source: path, or content.
        symbol: of the closes; in a file with several stocks, the one to read.
        column: name of the column of closes; None: an adjusted one if there is one.
        part: which closes to use; None: all.

    Raises:
        DataUnavailableError: the file cannot be read, or has no closes in the part.
        InvalidClosesError: it is not a table of prices, or a row that is used is wrong; the details name the first lines.
    """
    label, symbol = Label(str(source)) if isinstance(source, Path) else INPUT, symbol.upper()
    with closing(lines_of(source, label.name)) as lines:
        table = read_table(lines, label, column, symbol)
        sample = list(itertools.islice(table.rows, SAMPLE_ROWS))
        date = _complete_columns(table, [row for _, row in sample])
        rows = _collect(table, sample, date, symbol, label)
    part = part or Part()
    series = order.arrange(rows, date is not None, label.name)
    used = order.cut(series, part, symbol)
    _check_used(series, used, part, label.name)
    shown = slice(max(0, used.stop - part.shown), used.stop) if part.shown else None
    return _report(table, rows, series, used, shown, symbol, date)


def _complete_columns(table: Table, sample: list[list[str]]) -> int | None:
    """Find the columns that the header does not tell, by a sample of rows. Return the column of the dates; None if there is none."""
    columns = _with_nameless(table, sample)
    date = _date_column(columns, sample)
    table.columns = replace(columns, clock=_clock_column(columns, date, sample))
    return date


def _with_nameless(table: Table, sample: list[list[str]]) -> Columns:
    """Return the columns with one more at the end if most rows have it and the header does not name it, as in exports of Euronext.

    Fields that are separated by commas may be a decimal comma instead.
    """
    columns, longer = table.columns, sum(len(row) == len(table.columns.names) + 1 for row in sample)
    if table.delimiter == "," or not columns.dates or 2 * longer <= len(sample):
        return columns
    return replace(columns, names=[*columns.names, ""])


def _date_column(columns: Columns, sample: list[list[str]]) -> int | None:
    """Return the column of the dates, by some rows of a sample; None if there is none."""
    some = sample[:: 1 + len(sample) // FEW_ROWS]

    def share(index: int, is_date: Any) -> float:
        texts = [row[index] for row in some if index < len(row) and row[index].strip()]
        return sum(is_date(text) for text in texts) / len(texts) if texts else 0.0

    def can_be_read(text: str) -> bool:
        for day_first in (False, True):
            try:
                days.DayFormat(day_first).parse(text)
            except (ValueError, OverflowError):
                continue
            return True
        return False

    shares = {index: share(index, can_be_read) for index in columns.dates[:MAX_DATE_COLUMNS]}
    if shares and max(shares.values()) > 0:
        return next(index for index, value in shares.items() if value > max(shares.values()) / 2)
    if columns.dates:
        return columns.dates[0]
    others = [index for index in range(len(columns.names)) if index != columns.close][:MAX_DATE_COLUMNS]
    return next((index for index in others if share(index, days.is_day) > 0.5), None)  # a column without a known name


def _clock_column(columns: Columns, date: int | None, sample: list[list[str]]) -> int | None:
    """Return the column of a time of day next to the dates, if its times differ: those of daily exports are all midnight."""
    for index, text in enumerate(columns.names):
        if date is None or index in (date, columns.close) or simplified(text) not in CLOCK_NAMES:
            continue
        times = {row[index] for row in sample if index < len(row) and row[index].strip()}
        in_dates = any(":" in row[date] for row in sample if date < len(row))
        if len(times) > 1 and not in_dates and all(days.is_clock(time) for time in times):
            return index
    return None


def _collect(table: Table, sample: list[tuple[int, list[str]]], date: int | None, symbol: str, label: Label) -> Rows:
    """Return the rows of a table, read in the formats that a sample has."""
    columns, fields, name = table.columns, [row for _, row in sample], label.name
    prices = (row[columns.close] for row in fields if columns.close < len(row) and len(row) <= len(columns.names) + 1)
    others = (text for row in fields[:FEW_ROWS] for index, text in enumerate(row) if index not in (date, columns.close))
    number_format, guesses = numbers.find_format(prices, table.delimiter, name, columns.names[columns.close], others)
    table.guesses += guesses
    day_format, guesses = dayfirst.find_format([row[date] for row in fields if date is not None and date < len(row)], name)
    table.guesses += guesses
    if table.delimiter == ",":
        numbers.refuse_lost_decimals(fields, columns.close, name)
    if columns.clock is not None:
        table.guesses.append(f"The time of day is read from {shorten(columns.names[columns.clock])!r}.")
    rows = Rows(columns, date, number_format, day_format, symbol, _usual_fields(fields, len(columns.names)))
    rows.collect(sample, name)
    fields.clear()
    sample.clear()  # the memory of a file is that of its closes
    rows.collect(table.rows, name)
    rows.leave_out_footer()
    rows.check_stocks(label)
    rows.check_lines(name)
    stock = rows.only_stock or table.stock
    if stock and symbol not in (UNNAMED, stock.upper()):
        table.guesses.append(f"The only stock is {shorten(stock)[:20]}, not {symbol}. It is read.")
    return rows


def _usual_fields(sample: list[list[str]], n_names: int) -> int:
    """Return the number of fields that a row needs, by a sample: as many as the header has if nearly all rows have them.

    Otherwise up to the last that most rows fill: a column of notes at the end may be left out.
    """
    if sum(len(row) >= n_names for row in sample) >= NEARLY_ALL * len(sample):
        return n_names
    filled = Counter(index for row in sample for index, text in enumerate(row) if text)
    return max((index + 1 for index, count in filled.items() if 2 * count > len(sample)), default=0)


def _check_used(series: Series, used: slice, part: Part, name: str) -> None:
    """Check that no row with a wrong value is among those that are used, and that no row shows that the file is misread."""
    wrong = [bad for bad in series.bad if series.is_used(bad, used, part)]
    if wrong:
        count, them = (f"{len(wrong)} rows", "them") if len(wrong) > 1 else ("1 row", "it")
        why = " among the closes that are used" if all(bad.is_number for bad in wrong) else ", so it may be misread"
        details = [str(bad) for bad in wrong[:MAX_EXAMPLES]]
        raise InvalidClosesError(f"{name} has {count} with wrong values{why}. Fix or remove {them}.", details)
    if not len(series.prices):
        raise InvalidClosesError(f"{name} has no closes.")


def _closes(series: Series, part: slice, symbol: str) -> Closes:
    """Return a part of a series."""
    ranges = None if series.ranges is None else series.ranges[part].copy()
    if ranges is not None and not np.isfinite(ranges).any():
        ranges = None
    return Closes(symbol, "csv", series.dates(part), series.prices[part].copy(), ranges, daily=series.is_daily(part))


def _report(table: Table, rows: Rows, series: Series, used: slice, shown: slice | None, symbol: str, date: int | None) -> PriceFile:
    """Return the closes that are used, those that are shown, and the report."""
    closes = _closes(series, used, symbol)
    left_out = {reason: found for reason, found in rows.left_out.items() if found.count}
    if table.lines_before:
        left_out = {BEFORE_HEADER: LeftOut(len(table.lines_before), table.lines_before[:MAX_EXAMPLES])} | left_out
    if series.bad:
        left_out[f"{BAD} ({series.bad[0].text})"] = LeftOut(len(series.bad), [bad.line for bad in series.bad[:MAX_EXAMPLES]])
    warnings = file_warnings(closes, series.seconds[used]) if date is not None else []
    if date is None:
        text = "There are no dates. The closes are used in their order, the oldest first."
        warnings.append(SeriesWarning(UNKNOWN_DATES, None, text))
    warnings += _suspicious(table.columns, rows, series, used)
    found = [{"rows": item.count, "reason": reason, "lines": item.lines} for reason, item in left_out.items()]
    guesses = table.guesses + series.guesses
    for_chart = _closes(series, shown, symbol) if shown else None
    total, columns = len(series.prices), table.columns.as_dict(date)
    return PriceFile(closes, for_chart, total, date is not None, columns, found, guesses, warnings)


def _suspicious(columns: Columns, rows: Rows, series: Series, used: slice) -> list[SeriesWarning]:
    """Return a warning if the adjusted closes jump on a day that is used, and the plain ones do not."""
    first, last = series.seconds[used][0], series.seconds[used][-1]
    jumps = [seconds for seconds in rows.suspicious if first < seconds <= last]
    if not jumps or columns.plain is None:
        return []
    day = order.iso(jumps[0])
    adjusted, plain = columns.names[columns.close].strip(), columns.names[columns.plain].strip()
    text = f"The column {adjusted!r} jumps on {day}, and {plain!r} does not. If {adjusted!r} is wrong, choose the other column."
    return [SeriesWarning(SUSPICIOUS_COLUMN, day, text)]
