"""Price files in random formats with random damage, and what may be read from each.

    file = MutatedFile(seed)
    file.content, file.true, file.damaged

`check` is the oracle: a damaged file gives an error, or the closes of its intact rows.
"""

import gzip
import random
from collections.abc import Callable
from datetime import date, timedelta

import numpy as np

from closes.files import Part, PriceFile, read_prices
from closes.series import gap_warnings, jump_warnings
from closes.warnings import NOT_DAILY
from errors import ForecastError, InvalidClosesError

DATE_FORMS = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%b-%Y", "%b %d, %Y", "%Y-%m-%d 00:00:00", "%d.%m.%y",
)  # fmt: skip
HEADERS = (
    ("Date", "Close"), ("date", "close"), ("Data", "Último"), ("Datum", "Schlusskurs"), ("Time", "Latest"), ("日付", "終値"),
    ("timestamp", "adj_close"),
)  # fmt: skip
COMMA_HEADERS, POINT_HEADERS = (("Datum", "Schlusskurs"), ("Data", "Último")), (("Date", "Close"), ("日付", "終値"))
MISSING = ("", "null", "NaN", "-", "#N/A")
OTHERS = ("Open", "Volume", "Note", "Change %", "")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16")
Rows = list[list[str]]


class MutatedFile:
    """A file of a known series.

    Attributes:
        true: close of each day, as it is written: only the digits that the file has.
        intact: days whose rows are not damaged.
        without: days without a close.
        content: the file.
        what: the format and the damage, for messages.
    """

    def __init__(self, seed: int, damages: int = 1) -> None:
        self._random = random.Random(seed)
        self._choose_format()
        days, prices = self._series()
        self.true = {day: round(price, self._digits) for day, price in zip(days, prices, strict=True)}
        self.without = {day for day in days[1:-1] if self._random.random() < self._missing}
        self.rows: Rows = [self._row(day) for day in days]
        self._days = days
        if self._newest_first:
            self.rows.reverse()
            self._days = days[::-1]
        self._lines: list[str | None] = [None] * len(self.rows)
        self._damaged: set[date] = set()
        self.what: list[str] = [f"{self._delimiter!r} {self._decimal} {self._form} {self._header}"]
        for _ in range(damages):
            self._damage()
        self.intact = set(days) - self._damaged - self.without
        self.content = self._encoded()

    @property
    def fits_both_forms(self) -> bool:
        """Whether prices such as 1,234 may have three decimals or thousands."""
        return self._digits == 3 or (self._digits == 0 and self._thousands)

    def _choose_format(self) -> None:
        choose = self._random.choice
        self._delimiter, self._decimal = choose([(",", "."), (";", ","), (";", "."), ("\t", "."), ("\t", ","), ("|", "."), (",", ",")])
        self._quoted = choose([False, True]) or (self._delimiter == "," and self._decimal == ",")
        self._thousands = choose([False, True]) and (self._quoted or self._delimiter != ",")
        self._form, self._digits = choose(DATE_FORMS), choose([0, 2, 3, 4])
        self._newest_first, self._header = choose([False, True]), choose(HEADERS)
        if self.fits_both_forms:  # the language of the header decides
            self._header = choose(COMMA_HEADERS if self._decimal == "," else POINT_HEADERS)
        self._before, self._after = [self._random.choices(OTHERS, k=choose([0, 0, 1, 2])) for _ in range(2)]
        self._missing = choose([0, 0, 0.05])

    def _series(self) -> tuple[list[date], list[float]]:
        count = self._random.randint(62, 90)
        start, months = self._random.randint(0, 300), self._random.choice([0, 0, 0, 1, 3])
        every = (date(2024, 1, 1) + timedelta(days=start + step) for step in range(2 * count))
        days = [day for day in every if day.weekday() < 5][:count]
        if months:
            days = [date(1990 + (start + months * step) // 12, (start + months * step) % 12 + 1, 1) for step in range(count)]
        price, prices = 150 * self._random.choice([0.05, 1, 1, 6.5, 30, 1000]), []
        for _ in days:
            price *= 1 + self._random.uniform(-0.03, 0.03)
            prices.append(price)
        return days, prices

    def _number(self, value: float) -> str:
        text = f"{value:,.{self._digits}f}" if self._thousands else f"{value:.{self._digits}f}"
        return text if self._decimal == "." else text.translate(str.maketrans(",.", ".,"))

    def _cell(self, name: str, day: date) -> str:
        if name == "Open":
            return self._number(self.true[day] * self._random.uniform(0.99, 1.01))
        if name == "Volume":
            return str(self._random.randint(1000, 10**7))
        return {"Note": self._random.choice(["", "ex dividend", "a"]), "Change %": f"0{self._decimal}5%"}.get(name, "")

    def _row(self, day: date) -> list[str]:
        close = self._random.choice(MISSING) if day in self.without else self._number(self.true[day])
        before, after = [self._cell(name, day) for name in self._before], [self._cell(name, day) for name in self._after]
        return [day.strftime(self._form), *before, close, *after]

    def _damage(self) -> None:
        """Damage one row, or all from one on."""
        at = self._random.randrange(len(self.rows))
        damage: Callable[[int], None] = self._random.choice(
            [
                self._delete_cell, self._duplicate_cell, self._swap_date_and_close, self._cut_line, self._other_delimiter,
                self._other_dates, self._duplicate_row, self._delete_row, self._swap_rows, self._garble, self._second_header, self._blank,
            ]
        )  # fmt: skip
        self.what.append(f"{damage.__name__} {at}")
        damage(at)

    def _hurt(self, *rows: int) -> None:
        self._damaged |= {self._days[row] for row in rows}

    def _delete_cell(self, at: int) -> None:
        if self.rows[at]:
            del self.rows[at][self._random.randrange(len(self.rows[at]))]
        self._hurt(at)

    def _duplicate_cell(self, at: int) -> None:
        if self.rows[at] and self.rows[at][-1].strip():
            cell = self._random.randrange(len(self.rows[at]))
            self.rows[at].insert(cell, self.rows[at][cell])
        self._hurt(at)

    def _swap_date_and_close(self, at: int) -> None:
        self.rows[at].reverse()
        self._hurt(at)

    def _cut_line(self, at: int) -> None:
        line = self._line(self.rows[at])
        self._lines[at] = line[: self._random.randint(0, len(line.rstrip('"')) // 2)].replace('"', "")
        self._hurt(at)

    def _other_delimiter(self, at: int) -> None:
        other = self._random.choice([sign for sign in ",;\t|" if sign != self._delimiter])
        for row in range(at, len(self.rows)):
            self._lines[row] = self._line(self.rows[row]).replace(self._delimiter, other)
        self._hurt(*range(at, len(self.rows)))

    def _other_dates(self, at: int) -> None:
        form = self._random.choice(DATE_FORMS)
        for row in range(at, len(self.rows)):
            if self._days[row] not in self._damaged:
                self.rows[row][0] = self._days[row].strftime(form)
        self._hurt(*range(at, len(self.rows)))

    def _duplicate_row(self, at: int) -> None:
        self.rows.insert(at, list(self.rows[at]))
        self._lines.insert(at, self._lines[at])
        self._days.insert(at, self._days[at])

    def _delete_row(self, at: int) -> None:
        self._hurt(at)
        del self.rows[at], self._lines[at], self._days[at]

    def _swap_rows(self, at: int) -> None:
        other = self._random.randrange(len(self.rows))
        self.rows[at], self.rows[other] = self.rows[other], self.rows[at]
        self._lines[at], self._lines[other] = self._lines[other], self._lines[at]
        self._days[at], self._days[other] = self._days[other], self._days[at]

    def _garble(self, at: int) -> None:
        if self.rows[at]:
            cell = self._random.randrange(len(self.rows[at]))
            self.rows[at][cell] += self._random.choice(["x", "\x00", "é", "?", "%", " 7x", "--", "[1]"])
        self._hurt(at)

    def _second_header(self, at: int) -> None:
        self.rows.insert(at, [self._header[0], *self._before, self._header[1], *self._after])
        self._lines.insert(at, None)
        self._days.insert(at, self._days[at])

    def _blank(self, at: int) -> None:
        close = 1 + len(self._before)
        if len(self.rows[at]) > close:
            self.rows[at][close] = self._random.choice(["", "n/a", "null", "--"])
        self._hurt(at)

    def _line(self, cells: list[str]) -> str:
        return self._delimiter.join(f'"{cell}"' if self._quoted or self._delimiter in cell else cell for cell in cells)

    def _encoded(self) -> bytes:
        choose = self._random.choice
        header = self._line([self._header[0], *self._before, self._header[1], *self._after])
        body = [self._line(row) if line is None else line for row, line in zip(self.rows, self._lines, strict=True)]
        before = choose([[], [], ["Prices of ACME"], ["https://example.com", ""]])
        after = choose([[], [], ["Downloaded from example.com"], ["", "Source: example"]])
        encoding = choose([*ENCODINGS, "cp932"]) if self._header[0] == "日付" else choose(ENCODINGS)
        text = choose(["\n", "\r\n", "\r"]).join([*before, header, *body, *after, ""])
        content = text.encode(encoding, "replace")
        return gzip.compress(content) if self._random.random() < 0.1 else content


def read(file: MutatedFile, part: Part | None = None) -> PriceFile | None:
    """Read a file; None if it is refused."""
    try:
        return read_prices(file.content, part=part)
    except ForecastError:
        return None


def check(file: MutatedFile, newest: int | None = None) -> None:
    """Check that nothing wrong is read in silence.

    The first days of months can be read as the first days of January. Then the answer says how dates are read and that they are not daily.

    Raises:
        AssertionError: a close is wrong and not warned of, or an intact row is missing and not named.
    """
    found = read(file, None if newest is None else Part(newest=newest))
    if found is None:
        return
    if not found.dated:
        raise AssertionError(f"dates are not seen: {file.what}")
    days = found.closes.dates.astype(object).tolist()
    pairs = dict(zip(days, found.closes.prices.tolist(), strict=True))
    wrong = {day: price for day, price in pairs.items() if not np.isclose(price, file.true.get(day, np.nan), rtol=1e-12)}
    if wrong and set(wrong.values()) <= set(file.true.values()) and _says_that_days_are_guessed(found):
        return
    if wrong and not jump_warnings(found.closes.prices) and not gap_warnings(found.closes):
        raise AssertionError(f"wrong closes {wrong}: {file.what}")
    left_out = sum(item["rows"] for item in found.left_out)
    first = min(days) if newest else min(file.true)
    missing = [day for day in file.intact if day not in pairs and day >= first]
    if len(missing) > left_out:
        raise AssertionError(f"missing {missing}: {file.what}")


def _says_that_days_are_guessed(found: PriceFile) -> bool:
    guessed = any(guess.startswith("Dates are read with") for guess in found.guesses)
    return guessed and any(warning.code == NOT_DAILY for warning in found.warnings)


def check_sound(file: MutatedFile) -> None:
    """Check that a file without damage is read as it was written, or refused because its prices fit two forms.

    Raises:
        AssertionError: it is refused for another reason, or a close differs.
    """
    try:
        found = read_prices(file.content)
    except InvalidClosesError as error:
        if "may be the decimal sign or separate thousands" in str(error) and file.fits_both_forms:
            return
        raise AssertionError(f"{file.what}: {error} {error.details}") from None
    pairs = dict(zip(found.closes.dates.astype(object).tolist(), found.closes.prices.tolist(), strict=True))
    expected = {day: price for day, price in file.true.items() if day not in file.without}
    if pairs.keys() != expected.keys() or not np.allclose(list(pairs.values()), list(expected.values()), rtol=1e-12):
        raise AssertionError(f"{file.what}: {found.guesses}")
