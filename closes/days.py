"""Dates as text -> seconds since 1970-01-01 00:00, as the file's own clock shows them; a time zone is ignored."""

import re
import unicodedata
from datetime import date

from closes.series import DAY_SECONDS

EPOCH = date(1970, 1, 1).toordinal()  # days
EXCEL_EPOCH = date(1899, 12, 30).toordinal()  # day 0 of a spreadsheet's serial numbers
CENTURY = 70  # years; a year of two digits from here on is in the 20th century
MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january janeiro ene enero janv janvier januar gen gennaio januari",
            "feb february fev fevereiro febrero fevr fevrier februar febbraio februari",
            "mar march marco marzo mars marz maart mrt",
            "apr april abr abril avr avril aprile",
            "may mai maio mayo mag maggio mei",
            "jun june junho junio juin juni giu giugno",
            "jul july julho julio juil juillet juli lug luglio",
            "aug august ago agosto aout augustus",
            "sep sept september set setembro septiembre septembre settembre",
            "oct october out outubro octubre okt oktober octobre ott ottobre",
            "nov november novembro noviembre novembre",
            "dec december dez dezembro dic diciembre dezember decembre dicembre",
        ),
        1,
    )
    for name in names.split()
}

_TIME = (
    r"(?:(?:[T,]|\s|T\s)\s*(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,]\d+)?)?\s*(?P<half>[AaPp]\.?[Mm]\.?)?"
    r"\s*(?:Z|[A-Z]{2,5}|(?:UTC|GMT)?[+-]\d\d(?::?\d\d)?)?)?"
)
_ISO = re.compile(r"(?P<y>\d{4})(?P<s>[-/.])(?P<m>\d{1,2})(?P=s)(?P<d>\d{1,2})" + _TIME, re.ASCII)
NUMERIC = re.compile(r"(?P<a>\d{1,2})(?P<s>[-/.])(?P<b>\d{1,2})(?P=s)(?P<y>\d{4}|\d{2})" + _TIME, re.ASCII)
_MONTH_FIRST = re.compile(r"(?P<name>[^\W\d_]{3,})\.? (?P<d>\d{1,2})(?:st|nd|rd|th)?,? (?P<y>\d{4})" + _TIME)
_DAY_FIRST = re.compile(r"(?P<d>\d{1,2})(?:\. ?| de |[- /])(?P<name>[^\W\d_]{3,})\.?(?: de |, |[- /])(?P<y>\d{4}|\d{2})" + _TIME)
_WEEKDAY = re.compile(r"[^\W\d_]{3,}\.?,? (?=\w)")
_COMPACT = re.compile(r"(?P<y>(?:1[6-9]|2[0-9])\d\d)(?P<m>\d\d)(?P<d>\d\d)" + _TIME, re.ASCII)
_COMPACT_DAY = re.compile(r"(?:19|20)[0-9]{6}")
_NUMBER = re.compile(r"(\d{5}|\d{9,10}|\d{12,13}|\d{15,16}|\d{18,19})(?:\.\d*)?", re.ASCII)
_COMPACT_CLOCK = re.compile(r"[0-9]{3,6}")
_CLOCK = re.compile(r"(?:[01]?[0-9]|2[0-4]):?[0-5][0-9](?::?[0-5][0-9])?(?:\s*[AaPp][Mm])?")
_LOOSE = re.compile(r"(?<=\d)([-/.]) (?=\d)")  # 2024- 05- 31
_EAST_ASIAN = re.compile(r"(\d{4})[年년] ?(\d{1,2})[月월] ?(\d{1,2})[日일]")
MAX_LENGTH = 60  # characters of a date
MAX_TIMES = 2000  # of a day that are remembered


class DayFormat:
    """How a file writes its dates.

    Attributes:
        day_first: whether 1/2/2024 is 1 February.
        separator: of such dates; with another separator they are not dates of the file. Empty: any.
    """

    def __init__(self, day_first: bool = False, separator: str = "") -> None:
        self.day_first, self.separator = day_first, separator
        self._clock: dict[str, int] = {}  # times of day that were read, in seconds; most files have few

    def parse(self, text: str) -> int:
        """Return a date, with its time of day if there is one, in seconds since 1970.

        Raises:
            ValueError: the text is not a date.
        """
        if text[4:5] == "-" and text[7:8] == "-" and text.isascii():  # the usual form, in less time
            clock = text[10:]
            if not clock or clock in self._clock:
                day = date.fromisoformat(text[:10]).toordinal() - EPOCH
                return day * DAY_SECONDS + (self._clock[clock] if clock else 0)
        seconds = self._parse(text)
        if text[4:5] == "-" and len(self._clock) < MAX_TIMES and _ISO.fullmatch(text) and text[9:10].isdigit():
            self._clock[text[10:]] = seconds % DAY_SECONDS
        return seconds

    def _parse(self, text: str) -> int:
        """Return a date in any form."""
        text = tidied(text)
        if len(text) > MAX_LENGTH:
            raise ValueError("too long")
        if found := _ISO.fullmatch(text) or _COMPACT.fullmatch(text):
            return _seconds(int(found["y"]), int(found["m"]), int(found["d"]), found)
        if found := NUMERIC.fullmatch(text):
            if self.separator not in ("", found["s"]):
                raise ValueError("another separator")
            first, second = int(found["a"]), int(found["b"])
            day, month = (first, second) if self.day_first else (second, first)
            return _seconds(_year(found["y"]), month, day, found)
        if found := _NUMBER.fullmatch(text):
            return _from_number(found[1])
        return _in_words(text)


def tidied(text: str) -> str:
    """Return a date with single spaces, and without those after a separator; 2024年5月31日 is 2024-5-31."""
    text = " ".join(text.split())
    if " " in text:
        text = _LOOSE.sub(r"\1", text)
    return text if text.isascii() else _EAST_ASIAN.sub(r"\1-\2-\3", text)


def _in_words(text: str) -> int:
    """Return a date with the name of its month."""
    found = _MONTH_FIRST.fullmatch(text) or _DAY_FIRST.fullmatch(text)
    if not found and (shorter := _WEEKDAY.sub("", text, count=1)) != text:
        found = _MONTH_FIRST.fullmatch(shorter) or _DAY_FIRST.fullmatch(shorter)
    name = plain(found["name"]) if found else ""
    if not found or name not in MONTHS:
        raise ValueError("not a date")
    return _seconds(_year(found["y"]), MONTHS[name], int(found["d"]), found)


def _seconds(year: int, month: int, day: int, found: "re.Match[str]") -> int:
    """Return seconds since 1970."""
    seconds = (date(year, month, day).toordinal() - EPOCH) * DAY_SECONDS
    if found["hour"] is None:
        return seconds
    hour = int(found["hour"])
    if found["half"]:
        hour = hour % 12 + (12 if found["half"][0] in "pP" else 0)
    minute, second = int(found["minute"]), int(found["second"] or 0)
    if (hour, minute, second) == (24, 0, 0):
        return seconds + DAY_SECONDS - 1  # the end of the day is within it
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("not a time")
    return seconds + hour * 3600 + minute * 60 + second


def _from_number(text: str) -> int:
    """Return a spreadsheet's serial number, or a Unix time in seconds, milli-, micro- or nanoseconds, as seconds."""
    number = int(text)
    if len(text) == 5:
        return (EXCEL_EPOCH + number - EPOCH) * DAY_SECONDS
    unit: int = 1000 ** ((len(text) - 9) // 3)
    return number // unit


def _year(text: str) -> int:
    """Return a year of two or four digits."""
    return int(text) if len(text) == 4 else int(text) + (1900 if int(text) >= CENTURY else 2000)


def plain(text: str) -> str:
    """Return a text in lower case and without accents."""
    if text.isascii():
        return text.lower()
    letters = "".join(letter for letter in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(letter))
    return unicodedata.normalize("NFC", letters)  # Korean syllables


def is_written_date(text: str) -> bool:
    """Return whether a text can only be a date: it has separators or the name of a month."""
    text = tidied(text)[: MAX_LENGTH + 1]
    for day_first in (False, True):
        if _COMPACT.fullmatch(text) or _NUMBER.fullmatch(text):
            return False
        try:
            DayFormat(day_first).parse(text)
        except ValueError:
            continue
        return True
    return False


def is_day(text: str) -> bool:
    """Return whether a field can only be a date, also without separators."""
    if not _COMPACT_DAY.fullmatch(text.strip()):
        return is_written_date(text)
    try:
        DayFormat().parse(text)
    except ValueError:
        return False
    return True


def joined(day: str, clock: str) -> str:
    """Return a date with a time of day from another field: 93000 is 09:30:00."""
    clock = clock.strip()
    if _COMPACT_CLOCK.fullmatch(clock):
        clock = clock.zfill(4) + "00" if len(clock) <= 4 else clock.zfill(6)
        clock = f"{clock[:2]}:{clock[2:4]}:{clock[4:]}"
    return f"{day.strip()} {clock}"


def is_clock(text: str) -> bool:
    """Return whether a field can only be a time of day."""
    return bool(_CLOCK.fullmatch(text.strip()))
