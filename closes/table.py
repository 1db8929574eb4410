"""The lines of a price file -> a table: delimiter, header, rows. Lines before the header are left out."""

import csv
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from closes import headerless
from closes.columns import DATE_NAMES, MULTIPLE, Columns, find_columns, listed, shorten, simplified
from closes.label import Label
from errors import InvalidClosesError

DELIMITERS: tuple[str, ...] = (",", ";", "\t", "|")
HEAD_LINES = 100  # in which the header is looked for
MAX_HEAD_FIELDS = 20_000  # in which the header is looked for
MAX_ROW_LINES = 20  # of one row, with line breaks in quotes
SEPARATOR = re.compile(r'"?sep=(.)"?\s*')  # a first line for spreadsheets


@dataclass
class Table:
    """A table of prices.

    Attributes:
        columns: which columns to read.
        delimiter: of the fields.
        rows: number of the first line of each row, and its fields.
        guesses: a sentence for each guess.
        stock: symbol of the only stock that the header names.
        lines_before: numbers of the lines before the header that are left out.
    """

    columns: Columns
    delimiter: str
    rows: Iterator[tuple[int, list[str]]]
    guesses: list[str] = field(default_factory=list)
    stock: str = ""
    lines_before: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Header:
    """A header that was found: number of its first line, counted from 0, number of lines, delimiter, columns, the only stock it names."""

    start: int
    length: int
    delimiter: str
    columns: Columns
    stock: str = ""


def read_table(lines: Iterator[str], label: Label, chosen: str | None, stock: str) -> Table:
    """Find the header of a file.

    Args:
        lines: of the file.
        label: of the file, for messages.
        chosen: the column of closes that the user asked for.
        stock: symbol, for a header with the columns of several stocks.

    Raises:
        InvalidClosesError: there is no header with a close column, and no other form that is known.
    """
    head = list(itertools.islice(lines, HEAD_LINES))
    if not any(line.strip() for line in head):
        raise InvalidClosesError(f"{label} is empty.")
    if headerless.is_json(head) and not chosen:
        return _of_form(headerless.read_json(itertools.chain(head, lines), label.name), iter(()), label)
    start, delimiters = 0, DELIMITERS
    if found := SEPARATOR.fullmatch(head[0]):
        start, delimiters = 1, (found[1],)
    header = _triple_header(head, label, chosen, stock) or _header(head, start, delimiters, label, chosen)
    if header is None:
        return _without_header(head[start:], lines, label, chosen)
    after = header.start + header.length
    rows = _rows(itertools.chain(head[after:], lines), header.delimiter, after, label.name)
    before = [index + 1 for index in range(start, header.start) if head[index].strip()]
    return Table(header.columns, header.delimiter, rows, stock=header.stock, lines_before=before)


def _header(head: list[str], start: int, delimiters: tuple[str, ...], label: Label, chosen: str | None) -> Header | None:
    """Return the first line with a close and a date column, or else the first with a close column."""
    best, seen = None, 0
    for index in range(start, len(head)):
        for delimiter in delimiters if seen < MAX_HEAD_FIELDS else ():
            fields = _fields(head[index], delimiter)
            seen += len(fields)
            columns = find_columns(fields, chosen, label)
            if columns and columns.dates:
                return Header(index, 1, delimiter, columns)
            if columns and (best is None or (best.start == index and len(columns.names) > len(best.columns.names))):
                best = Header(index, 1, delimiter, columns)
    return best


def _fields(line: str, delimiter: str) -> list[str]:
    """Return the fields of one line."""
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return []


def _triple_header(head: list[str], label: Label, chosen: str | None, stock: str) -> Header | None:
    """Return the header of three rows that pandas writes for yfinance: names, symbols, and the name of the index."""
    for start, delimiter in itertools.product(range(min(5, len(head) - 2)), DELIMITERS):
        one, two, index = (_fields(line, delimiter) for line in head[start : start + 3])
        is_triple = (
            len(one) == len(two) > 1
            and bool(index)
            and simplified(index[0]) in DATE_NAMES
            and not any(field.strip() for field in index[1:])
            and simplified(one[0]) in MULTIPLE
            and simplified(two[0]) in MULTIPLE
        )
        if not is_triple:
            continue
        for names, symbols in ((one, two), (two, one)):
            if find_columns(list(dict.fromkeys(names[1:])), None, label):
                wanted = _of_one_stock(names, symbols, label, stock)
                columns = find_columns(["Date", *wanted[1:]], chosen, label)
                only = next(iter(known)) if len(known := {text.strip() for text in symbols[1:]} - {""}) == 1 else ""
                return Header(start, 3, delimiter, columns, only) if columns else None
    return None


def _of_one_stock(names: list[str], symbols: list[str], label: Label, stock: str) -> list[str]:
    """Return the names of a header's columns, empty for those of other stocks."""
    known = list(dict.fromkeys(symbol.strip() for symbol in symbols[1:] if symbol.strip()))
    if len(known) <= 1:
        return names
    wanted = next((symbol for symbol in known if symbol.upper() == stock.upper()), None)
    if wanted is None:
        raise several_stocks(known, label)
    return [text if symbol.strip() == wanted else "" for text, symbol in zip(names, symbols, strict=True)]


def several_stocks(known: list[str], label: Label) -> InvalidClosesError:
    """Return the error for a file with several stocks of which none was chosen."""
    names = [shorten(symbol)[:20] for symbol in known[:10]]
    shown = ", ".join(names) + (" and more" if len(known) > 10 else "")
    return label.refusal(f"has several stocks: {shown}.", "Choose one", "symbol", names[0])


def _rows(lines: Iterator[str], delimiter: str, before: int, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows after `before` lines, each with the number of its first line."""
    last = [""]

    def watched() -> Iterator[str]:
        for line in lines:
            last[0] = line
            yield line

    reader = csv.reader(watched(), delimiter=delimiter, skipinitialspace=True)
    end = first = 0
    try:
        for row in reader:
            first, end = end + 1, reader.line_num
            if end - first >= MAX_ROW_LINES:
                raise csv.Error
            if any(row):  # not an empty line
                yield before + first, row
    except csv.Error:
        raise _open_quote(name, before + end + 1 if end - first < MAX_ROW_LINES else before + first) from None
    if (last[0].count('"') % 2 == 1) != (end > first):  # a row of several lines ends with a quote, one of a single line has none open
        raise _open_quote(name, before + first)


def _open_quote(name: str, line: int) -> InvalidClosesError:
    return InvalidClosesError(f"{name} has a quote in line {line} that is not closed. Close or remove it.")


def _without_header(head: list[str], lines: Iterator[str], label: Label, chosen: str | None) -> Table:
    """Return the table of a file without a header, if its fields cannot be misunderstood.

    Raises:
        InvalidClosesError: they can, or there is a header that is not understood.
    """
    rest = next(lines, None)
    whole = rest is None
    if rest is not None:
        lines = itertools.chain([rest], lines)
    form = None if chosen else headerless.find_form(head, whole, label.name)
    if form is None:
        raise _no_header(head, whole, label, chosen)
    return _of_form(form, itertools.chain(head, lines), label)


def _of_form(form: headerless.Form, lines: Iterator[str], label: Label) -> Table:
    """Return the table of a file without a header."""
    if form.values is not None:
        rows: Iterator[tuple[int, list[str]]] = iter([(1, [value]) for value in form.values])
    else:
        rows = _rows(lines, form.delimiter, 0, label.name)
    dates = [0] if len(form.names) > 1 else []
    columns = find_columns(form.names, None, label)
    if columns is None:
        raise AssertionError("the names of headerless forms are known")
    return Table(Columns(form.names, dates, columns.close, columns.plain, columns.ranges), form.delimiter, rows, [form.guess])


def _no_header(head: list[str], whole: bool, label: Label, chosen: str | None) -> InvalidClosesError:
    """Return the error for a file without a header that is understood. It says what was seen."""
    filled = [line for line in head if line.strip()]
    delimiter = max(DELIMITERS, key=lambda sign: len(_fields(filled[0], sign)))
    first = _fields(filled[0], delimiter)
    starts_with_number = headerless.is_row(filled[0].split()[:1])
    if not starts_with_number and any(re.search(r"[^\W\d_]{2}", text) for text in first) and not headerless.is_row(first):
        if chosen:
            return InvalidClosesError(f"{label} has no column {chosen[:40]!r}. It has {listed(first)}.")
        fault = f"needs a column `date` and a column `close` (or `Adj Close`). It has {listed(first)}."
        return label.refusal(fault, "Another column of closes can be chosen", "column")
    count = f"{len(filled)} line{'s' if len(filled) > 1 else ''}" if whole else f"more than {HEAD_LINES} lines"
    fields = f"{len(first)} fields" if len(first) > 1 else "one field"
    shown = filled[0].strip()[:60].replace("\t", " ")
    printable = "".join(letter if letter.isprintable() else "?" for letter in shown)
    advice = headerless.find_fault([line.strip() for line in filled]) or "Add a first line that names the columns, such as `date,close`."
    return InvalidClosesError(f"{label} has no header: {count} of {fields}, the first is {printable!r}. {advice}")
