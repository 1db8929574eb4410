"""Price files without a header whose fields cannot be misunderstood: a list of closes, dates with closes, Yahoo's table of a web page."""

import csv
import re
from dataclasses import dataclass

from closes.days import DayFormat, is_written_date

YAHOO_TABLE = ["Date", "Open", "High", "Low", "Close", "Adj Close", "Volume"]  # as copied from finance.yahoo.com
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
COMPACT = re.compile(r"(?:19|20)[0-9]{6}")
DELIMITERS = ("\t", ";", ",", "|")


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
    if all(NUMBER.fullmatch(line) for line in filled):
        return Form(["Close"], "\t", f"{name} has no header. Each line is read as a close.")
    if whole and (values := _listed(filled)):
        return Form(["Close"], "\t", f"{name} is read as a list of closes.", values)
    for delimiter in DELIMITERS:
        rows = [next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), []) for line in filled]
        long = sum(len(row) == len(YAHOO_TABLE) for row in rows)
        if 2 * long > len(rows) and all(row and is_written_date(row[0]) for row in rows):
            return Form(YAHOO_TABLE, delimiter, f"{name} has no header. Its columns are read as {', '.join(YAHOO_TABLE)}.")
        if all(len(row) == 2 and _is_day(row[0]) for row in rows):
            return Form(["Date", "Close"], delimiter, f"{name} has no header. Its columns are read as Date, Close.")
    return None


def is_row(fields: list[str]) -> bool:
    """Return whether the fields of a line are those of a row, not of a header."""
    return any(is_written_date(text) or NUMBER.fullmatch(text.strip()) for text in fields)


def _listed(filled: list[str]) -> list[str] | None:
    """Return the numbers of a list that is written in one line, or in several of which each but the last ends with a comma."""
    text = "\n".join(filled)
    is_json = text.startswith("[") and text.endswith("]")
    text = text[1:-1].strip() if is_json else text
    lines = text.split("\n")
    if not is_json and not all(line.rstrip().endswith((",", ";")) for line in lines[:-1]):
        return None
    if re.search(r"\d,\d", text) and re.search(r"\d[;\s]+\d", text):  # 1,5 2,5: decimal commas or a list?
        return None
    values = [value for value in re.split(r"[,;\s]+", text) if value]
    return values if len(values) > 1 and all(NUMBER.fullmatch(value) for value in values) else None


def _is_day(text: str) -> bool:
    """Return whether a field can only be a date, also without separators."""
    if not COMPACT.fullmatch(text.strip()):
        return is_written_date(text)
    try:
        DayFormat().parse(text)
    except ValueError:
        return False
    return True
