"""Price files without a header whose fields cannot be misunderstood: lists of closes, dates with closes, a few known exports."""

import csv
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from closes.columns import listed, shorten
from closes.days import is_day, is_written_date
from closes.numbers import find_format, without_currency
from errors import InvalidClosesError

YAHOO_TABLE = ["Date", "Open", "High", "Low", "Close", "Adj Close", "Volume"]  # as copied from finance.yahoo.com
METATRADER = ["Date", "Time", "Open", "High", "Low", "Close", "Volume"]  # bars that MetaTrader 4 exports
KLINES = [
    "Open time", "Open", "High", "Low", "Close", "Volume", "Close time", "Quote volume", "Trades", "Taker", "Taker quote", "Ignore",
]  # of Binance  # fmt: skip
UNIX_TIME = re.compile(r"1[0-9]{12}(?:[0-9]{3})?")  # milliseconds or microseconds
CLOCK = re.compile(r"[0-9]{2}:[0-9]{2}")
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
VOLUME = re.compile(r"[0-9]+(?:[.,'\s][0-9]{3})*|-*")
MAX_ADJUSTED = 1.01  # times the close; an adjusted close is not above it, but rounded
SEPARATED = re.compile(r"[0-9][0-9.,]*")
DECIMAL_COMMA = re.compile(r"[0-9]+,[0-9]{1,4}")
DELIMITERS = ("\t", ";", ",", "|")
MAX_JSON_CHARACTERS = 2 * 1024 * 1024  # JSON is read as a whole
JSON_KEY = "predict"  # as in the body of POST /predict


@dataclass(frozen=True)
class Form:
    """The form of a file without a header.

    Attributes:
        names: of its columns.
        delimiter: of its fields.
        guess: a sentence that says how the file is read.
        values: the closes, if they are not one per line; None if the lines are rows.
    """

    names: list[str]
    delimiter: str
    guess: str
    values: list[str] | None = None


def find_form(head: list[str], whole: bool, name: str) -> Form | None:
    """Return the form of a file without a header, or None if its fields can be misunderstood.

    Args:
        head: its first lines.
        whole: whether these are all.
        name: of the file.
    """
    filled = [line.strip() for line in head if line.strip()]
    if all(_is_price(line) for line in filled):
        return Form(["Close"], "\t", f"{name} has no header. Each line is read as a close.")
    if whole and (values := _listed(filled)):
        return Form(["Close"], "\t", f"{name} is read as a list of closes.", values)
    for delimiter in DELIMITERS:
        rows = [next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), []) for line in filled]
        if names := _known_columns(rows, delimiter, name):
            return Form(names, delimiter, f"{name} has no header. Its columns are read as {', '.join(names)}.")
    return None


def _is_price(line: str) -> bool:
    """Return whether a line can only be one price. With a currency, it may have separators of thousands."""
    bare = without_currency(line)
    return bool(NUMBER.fullmatch(bare) or (bare != line and SEPARATED.fullmatch(bare)))


def find_fault(lines: list[str]) -> str:
    """Return what keeps a file without a header from being read as a list of closes, and what to do; empty if it is not a list."""
    items = [item for item in re.split(r"[,;\s]+", " ".join(lines)) if item]
    wrong = [index for index, item in enumerate(items) if not NUMBER.fullmatch(item)]
    if all(DECIMAL_COMMA.fullmatch(line) for line in lines):
        number = lines[0].replace(",", ".")
        advice = f"If each line is one number with a decimal comma, write a decimal point: {number}."
        return f"{advice} If it has two columns, name them in a first line."
    if wrong:
        if all(without_currency(items[index]) == "" for index in wrong):
            return "If it is a list of closes, write them without a currency, with decimal points, and with spaces between them."
        is_list = 2 * len(wrong) < len(items) and not any(map(is_written_date, items))
        first = f"item {wrong[0] + 1} is {shorten(items[wrong[0]])!r}, which is not a number"
        count = f"; {len(wrong)} of {len(items)} items are not" if len(wrong) > 1 else ""
        return f"If it is a list of closes, {first}{count}." if is_list else ""
    if any(re.search(r"\d,\d", line) for line in lines) and any(re.search(r"[,;]\s|[,;]$", line) for line in lines):
        return "If it is a list of closes, write them with decimal points, without separators of thousands, and with spaces between them."
    return ""


def is_json(head: list[str]) -> bool:
    """Return whether the first lines of a file begin as JSON does."""
    return next((line.lstrip() for line in head if line.strip()), "").startswith(("[", "{"))


def read_json(lines: Iterator[str], name: str) -> Form:
    """Return the closes of a list in JSON, or of an object that has the list as `predict`.

    Raises:
        InvalidClosesError: it is neither.
    """
    text = ""
    for line in lines:
        text += line
        if len(text) > MAX_JSON_CHARACTERS:
            raise InvalidClosesError(f"{name} is JSON of more than {MAX_JSON_CHARACTERS // 1024**2} million characters. Save it as CSV.")
    try:
        content = json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        raise InvalidClosesError(f"{name} begins as JSON does, but is not valid JSON.") from None
    found = content.get(JSON_KEY) if isinstance(content, dict) else content
    if not isinstance(found, list) or not all(isinstance(value, str) or value is None for value in found):
        raise InvalidClosesError(f'{name} is JSON without a plain list of closes. It must be [60 closes] or {{"{JSON_KEY}": [60 closes]}}.')
    ignored = [key for key in content if key != JSON_KEY] if isinstance(content, dict) else []
    note = f" Its other keys are ignored: {listed(ignored)}." if ignored else ""
    return Form(["Close"], "\t", f"{name} is read as a list of closes.{note}", ["null" if value is None else value for value in found])


def _known_columns(rows: list[list[str]], delimiter: str, name: str) -> list[str] | None:
    """Return the names of the columns of an export that has no header, or None if it is not known."""
    if all(len(row) == len(METATRADER) and is_written_date(row[0]) and CLOCK.fullmatch(row[1]) for row in rows):
        return METATRADER
    if all(len(row) == len(KLINES) and UNIX_TIME.fullmatch(row[0]) and UNIX_TIME.fullmatch(row[6]) for row in rows):
        return KLINES
    long = sum(len(row) == len(YAHOO_TABLE) for row in rows)  # rows of dividends are shorter
    if 2 * long > len(rows) and all(row and is_written_date(row[0]) for row in rows) and _is_yahoo_table(rows, delimiter, name):
        return YAHOO_TABLE
    return ["Date", "Close"] if all(len(row) == 2 and is_day(row[0]) for row in rows) else None


def _is_yahoo_table(rows: list[list[str]], delimiter: str, name: str) -> bool:
    """Return whether rows of the length of Yahoo's table have its columns: ranges around the close, an adjusted close, a volume."""
    full = [row for row in rows if len(row) == len(YAHOO_TABLE)]
    form, _ = find_format([text for row in full for text in row[1:6]], delimiter, name)
    ratios = []
    try:
        for row in full:
            start, high, low, close, adjusted = (form.parse(text) for text in row[1:6])
            if math.isnan(close):
                continue
            if not (low <= min(start, close) and max(start, close) <= high and VOLUME.fullmatch(row[6].strip())):
                return False
            ratios.append(adjusted / close)
    except (ValueError, ZeroDivisionError):
        return False
    return bool(ratios) and 0 < max(ratios) <= min(MAX_ADJUSTED, 2 * min(ratios))


def is_row(fields: list[str]) -> bool:
    """Return whether the fields of a line are those of a row, not of a header."""
    return any(is_written_date(text) or NUMBER.fullmatch(text.strip()) for text in fields)


def _listed(filled: list[str]) -> list[str] | None:
    """Return the numbers of a list that is written in one line, or in several of which each but the last ends with a comma."""
    text = "\n".join(filled)
    if not all(line.rstrip().endswith((",", ";")) for line in filled[:-1]):
        return None
    if re.search(r"\d,\d", text) and re.search(r"[;\s]", text):  # 1,5 2,5 and 1,234, 1,235: a list, decimal commas or thousands?
        return None
    values = [value for value in re.split(r"[,;\s]+", text) if value]
    return values if len(values) > 1 and all(NUMBER.fullmatch(value) for value in values) else None
