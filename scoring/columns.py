"""The columns of an input file: which have the closes, and which are carried to the output.

A file has one of three forms:

    a window per row, in one column      `window` or `closes`: 60 numbers each, as a Parquet list or as text such as "[1.5, 2.5, ...]"
    a window per row, in 60 columns      names that end in consecutive numbers, such as c0 ... c59; or 60 columns and no other
    a close per row                      one symbol, date and close, by the names of closes/columns.py
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import pyarrow as pa

from closes.columns import MAX_NAMED, find_columns, shorten, simplified
from closes.label import NO_OPTIONS, Label
from errors import InvalidClosesError
from forecast.bulk import FIELDS
from processData import WINDOW

LIST_NAMES = ("window", "closes")
_NUMBERED = re.compile(r"(.*?)([0-9]{1,6})")


class Kind(Enum):
    """How a file has its closes."""

    LIST = "a window per row, in one column"
    COLUMNS = f"a window per row, in {WINDOW} columns"
    SERIES = "a close per row"


@dataclass(frozen=True)
class Form:
    """What the columns of a file are.

    Attributes:
        kind: how the file has its closes.
        closes: the columns with closes: 60, oldest first, or one.
        carried: the columns that the output has too.
        symbol: the column of the symbols of Kind.SERIES; None: all rows are of one symbol.
        date: the column of the dates of Kind.SERIES.
    """

    kind: Kind
    closes: tuple[str, ...]
    carried: tuple[str, ...]
    symbol: str | None = None
    date: str = ""


def find_form(schema: pa.Schema, name: str) -> Form:
    """Find out what the columns of a file are.

    Args:
        schema: of the file.
        name: of the file, for messages.

    Raises:
        InvalidClosesError: the columns have none of the forms, or their names are not unique.
    """
    names = list(schema.names)
    repeated = sorted({shorten(column) for column in names if names.count(column) > 1})
    if repeated:
        raise InvalidClosesError(f"{name} has several columns of the same name: {', '.join(repeated[:MAX_NAMED])}. Rename them.")
    form = _windows(names) or _series(names, name)
    if form is None:
        raise InvalidClosesError(
            f"{name} has no windows of closes. It needs a column 'window' with lists of {WINDOW} closes, {WINDOW} columns "
            f"such as c0 to c{WINDOW - 1}, or the columns symbol, date and close.",
            [f"its columns are {', '.join(shorten(column) for column in names[:MAX_NAMED])}{', ...' if len(names) > MAX_NAMED else ''}"],
        )
    taken = [column for column in form.carried if column in FIELDS]
    if taken:
        raise InvalidClosesError(f"{name} has a column {taken[0]!r}, which is the name of a column of the output. Rename or remove it.")
    return form


def _windows(names: list[str]) -> Form | None:
    """Return the form of a file with a window per row."""
    lists = [column for known in LIST_NAMES for column in names if simplified(column) == known]
    if lists:
        return Form(Kind.LIST, (lists[0],), _others(names, lists[:1]))
    numbered = _numbered(names)
    closes = numbered or (names if len(names) == WINDOW else None)
    return Form(Kind.COLUMNS, tuple(closes), _others(names, closes)) if closes else None


def _numbered(names: Sequence[str]) -> list[str] | None:
    """Return 60 columns whose names differ in consecutive numbers alone, by number; None if there are none."""
    groups: dict[str, dict[int, str]] = defaultdict(dict)
    for column in names:
        match = _NUMBERED.fullmatch(column.strip())
        if match:
            groups[match[1].lower()][int(match[2])] = column
    for group in groups.values():
        numbers = sorted(group)
        if len(numbers) == WINDOW and numbers[-1] - numbers[0] == WINDOW - 1:
            return [group[number] for number in numbers]
    return None


def _series(names: list[str], name: str) -> Form | None:
    """Return the form of a file with a close per row."""
    columns = find_columns(names, None, Label(name, NO_OPTIONS))
    if columns is None or not columns.dates:
        return None
    symbol = None if columns.stock is None else names[columns.stock]
    date, close = names[columns.dates[0]], names[columns.close]
    return Form(Kind.SERIES, (close,), (date,) if symbol is None else (symbol, date), symbol, date)


def _others(names: Sequence[str], used: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that are not used."""
    return tuple(column for column in names if column not in used)
