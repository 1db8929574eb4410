"""The rows of a price file -> days, closes and ranges, in the file's order, and what was left out and why."""

import math
from array import array
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from closes.columns import Columns
from closes.days import DayFormat, joined
from closes.label import Label
from closes.numbers import NumberFormat
from closes.reasons import EVENT, MAX_BAD, MAX_EXAMPLES, NO_CLOSE, NO_ROW, OTHER_STOCK, UNKNOWN_DAY, Bad, LeftOut, too_many_bad
from closes.series import DAY_SECONDS, MAX_CLOSE, MIN_CLOSE, is_jump
from closes.table import several_stocks
from errors import InvalidClosesError

MAX_NOTES = 20  # lines of notes in a file of prices
MAX_STOCKS = 10  # that are named
MAX_FOOTER = 5  # lines of notes after all rows that may look like rows
MAX_SHOWN = 40  # characters of a field in a message
FIRST_ROW = -719_162 * DAY_SECONDS  # 0001-01-01, the day of the first row if the dates are unknown


@dataclass(frozen=True)
class Step:
    """Two rows that follow each other in the file: times in seconds, line of the second, and whether their closes are equal."""

    before: int
    seconds: int
    line: int
    same: bool = False


class Rows:
    """What was collected from the rows of a file, in their order.

    Attributes:
        seconds: time of each close, seconds since 1970.
        prices: closes.
        ranges: open, high and low of each close one after the other, adjusted as the closes; empty if there are none.
        bad: rows with wrong values; they are not in the arrays.
        left_out: rows without a close, by reason.
        rises, falls, repeats: the first steps between rows that go forward, go back, or stay within a day.
        only_stock: the stock that all rows name; empty if they name none or several.
        n_rises, n_falls: how many there are.
        suspicious: times at which the adjusted closes jump and the plain ones do not.
    """

    def __init__(
        self, columns: Columns, date: int | None, numbers: NumberFormat, days: DayFormat, symbol: str, fields: int = 0
    ) -> None:  # fmt: skip
        """Start empty. `date` is the column of the dates, `symbol` the stock to read from a file with several.

        A row of less than `fields` fields has lost some, so its close may be in another column.
        """
        self._fields = fields
        self._columns, self._date, self._number, self._day, self._symbol = columns, date, numbers.parse, days.parse, symbol.upper()
        self._stocks: dict[str, None] = {}
        self._chosen: str | None = None
        self.only_stock = ""
        self.left_out: dict[str, LeftOut] = defaultdict(LeftOut)
        self._clear()

    def _clear(self) -> None:
        self.seconds, self.prices, self.ranges = array("q"), array("d"), array("d")
        self.bad: list[Bad] = []
        self.rises: list[Step] = []
        self.falls: list[Step] = []
        self.repeats: list[Step] = []
        self.suspicious: list[int] = []
        self.n_rises = self.n_falls = 0
        self._plain_before = math.nan
        self._last_line = 0  # of a row with a close

    def collect(self, rows: Iterable[tuple[int, list[str]]], name: str) -> None:
        """Add rows, each with its line.

        Raises:
            InvalidClosesError: too many rows are wrong.
        """
        stock, junk = self._columns.stock, self.left_out[NO_ROW]
        for line, row in rows:
            if stock is not None and not self._is_wanted(row, stock, line):
                continue
            self._add(row, line)
            if len(self.bad) > MAX_BAD:
                raise too_many_bad(name, [str(bad) for bad in self.bad[:MAX_EXAMPLES]])
            if junk.count > MAX_BAD:
                raise InvalidClosesError(
                    f"{name} has more than {MAX_BAD} lines with neither a date nor a close, so it is not a table of prices."
                )

    def check_lines(self, name: str) -> None:
        """Check that most lines are rows.

        Raises:
            InvalidClosesError: many lines are not; they are more than a note at the end.
        """
        junk = self.left_out[NO_ROW]
        if junk.count > max(MAX_NOTES, len(self.prices) // 10):
            raise InvalidClosesError(
                f"{name} has {junk.count} lines with neither a date nor a close, from line {junk.lines[0]} on. "
                "They may have another delimiter or other dates. Change or remove them."
            )

    def leave_out_footer(self) -> None:
        """Leave out a few lines of notes after all rows, such as `Average,160.2`."""
        footer = [bad for bad in self.bad if bad.is_note and bad.line > self._last_line]
        if self.prices and len(footer) <= MAX_FOOTER:
            self.bad = [bad for bad in self.bad if bad not in footer]
            for bad in footer:
                self.left_out[NO_ROW].add(bad.line)
            self.left_out[NO_ROW].lines.sort()

    def check_stocks(self, label: Label) -> None:
        """Check that the rows are of one stock.

        Raises:
            InvalidClosesError: there are several, and none is chosen.
        """
        if len(self._stocks) > 1 and self._chosen is None:
            raise several_stocks(list(self._stocks), label)
        self.only_stock = next(iter(self._stocks)) if len(self._stocks) == 1 else ""

    def _is_wanted(self, row: list[str], column: int, line: int) -> bool:
        """Return whether a row is of the stock that is read: the one asked for if the file has it, or else the only one."""
        stock = row[column].strip() if column < len(row) else ""
        if not stock:
            return True
        if len(self._stocks) <= MAX_STOCKS:
            self._stocks[stock] = None
        if self._chosen is None and stock.upper() == self._symbol:
            self._chosen = stock
            if next(iter(self._stocks)) != stock:  # what was read is of another one
                self.left_out[OTHER_STOCK].count += len(self.prices)
                self._clear()
        wanted = self._chosen or next(iter(self._stocks))
        if stock != wanted:
            self.left_out[OTHER_STOCK].add(line)
        return stock == wanted

    def _add(self, row: list[str], line: int) -> None:
        """Add one row."""
        columns, day = self._columns, ""
        if len(row) > len(columns.names) and any(text.strip() for text in row[len(columns.names) :]):
            self._add_bad(row, line, "has more fields than the header; a comma within a field needs quotes around it")
            return
        close = row[columns.close] if columns.close < len(row) else ""
        try:
            price = self._number(close)
        except ValueError:
            self._add_unreadable(row, line, close)
            return
        try:
            if self._date is None:
                seconds = FIRST_ROW if not self.seconds else self.seconds[-1] + DAY_SECONDS
            else:
                day = self._text_of_day(row)
                seconds = self._day(day)
        except (ValueError, OverflowError):
            if not math.isnan(price):
                self._add_bad(row, line, f"date {day[:MAX_SHOWN]!r}, close {close[:MAX_SHOWN]!r}")
            elif any(text.strip() for text in row):
                self.left_out[NO_ROW].add(line)
            return
        if math.isnan(price):
            self._add_empty(row, line)
        elif len(row) < self._fields:
            self._add_bad(row, line, f"has {len(row)} fields, other rows have {self._fields} or more", seconds)
        elif not MIN_CLOSE <= price <= MAX_CLOSE:
            text = f"{day.strip()[:MAX_SHOWN]} has the close {price!r}; a close must be a positive finite number"
            self._add_bad(row, line, text, seconds, is_number=True)
        else:
            self._add_close(row, line, seconds, price)

    def _text_of_day(self, row: list[str], *, with_clock: bool = True) -> str:
        """Return the date of a row, with the time of day if it has a column of its own; empty if the row has none."""
        day = row[self._date] if self._date is not None and self._date < len(row) else ""
        clock = self._columns.clock
        return joined(day, row[clock]) if with_clock and clock is not None and clock < len(row) else day

    def _add_empty(self, row: list[str], line: int) -> None:
        """Count a day without a close. Without dates, an empty line is not a day."""
        if any(text.strip() for text in row):
            events = len(row) <= self._columns.close and any(word in " ".join(row[1:]).lower() for word in ("dividend", "split"))
            self.left_out[EVENT if events else NO_CLOSE].add(line)

    def _add_unreadable(self, row: list[str], line: int, close: str) -> None:
        """Add a row whose close is not a number. If its date is not one either, it is not a row of the table."""
        day = self._text_of_day(row)
        try:
            seconds = self._day(day)
        except (ValueError, OverflowError):
            if self._date is not None:
                self.left_out[NO_ROW].add(line)
                return
            seconds = None
        if "dividend" in close.lower() or "split" in close.lower():
            self.left_out[EVENT].add(line)
            return
        self._add_bad(row, line, f"date {day[:MAX_SHOWN]!r}, close {close[:MAX_SHOWN]!r}", seconds)

    def _add_bad(self, row: list[str], line: int, text: str, seconds: int | None = None, *, is_number: bool = False) -> None:
        """Remember a row with a wrong value. Without a date of its own, it is next to the row before it."""
        if seconds is None:
            try:
                seconds = self._day(self._text_of_day(row)) if self._date is not None else self.seconds[-1]
            except (ValueError, IndexError, OverflowError):
                seconds = self.seconds[-1] if self.seconds else None
        if seconds is None:
            seconds = UNKNOWN_DAY
        day = self._text_of_day(row, with_clock=False)
        is_note = any(letter.isalpha() for letter in day) and not any(letter.isdigit() for letter in day)
        self.bad.append(Bad(seconds, line, "".join(letter if letter.isprintable() else " " for letter in text), is_number, is_note))

    def _add_close(self, row: list[str], line: int, seconds: int, price: float) -> None:
        """Add a close and its ranges, and compare it with the row before it."""
        columns = self._columns
        plain = math.nan
        if columns.plain is not None:
            plain = price if row[columns.plain : columns.plain + 1] == [row[columns.close]] else self._or_nan(row, columns.plain)
        if self.prices:
            before = self.seconds[-1]
            if seconds // DAY_SECONDS == before // DAY_SECONDS and len(self.repeats) < MAX_BAD:
                self.repeats.append(Step(before, seconds, line, price == self.prices[-1]))
            if seconds > before:
                self.n_rises += 1
                if self.n_rises <= MAX_EXAMPLES:
                    self.rises.append(Step(before, seconds, line))
            elif seconds < before:
                self.n_falls += 1
                if self.n_falls <= MAX_EXAMPLES:
                    self.falls.append(Step(before, seconds, line))
            if not math.isnan(plain) and is_jump(price / self.prices[-1]) and not is_jump(plain / self._plain_before):
                self.suspicious.append(max(seconds, before))
        self.seconds.append(seconds)
        self.prices.append(price)
        self._last_line = line
        self._plain_before = plain if plain > 0 else math.nan
        if columns.ranges:
            scale = 1.0 if columns.plain is None else price / plain if plain > 0 else math.nan
            self.ranges.extend(self._ranges_of(row, columns.ranges, scale))

    def _ranges_of(self, row: list[str], columns: tuple[int, int, int], scale: float) -> tuple[float, float, float]:
        """Return open, high and low, NaN if one of them is missing."""
        number, (first, second, third) = self._number, columns
        try:
            return number(row[first]) * scale, number(row[second]) * scale, number(row[third]) * scale
        except (ValueError, IndexError):
            return math.nan, math.nan, math.nan

    def _or_nan(self, row: list[str], index: int) -> float:
        """Return a number next to the close, NaN if there is none."""
        try:
            return self._number(row[index])
        except (ValueError, IndexError):
            return math.nan
