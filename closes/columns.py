"""The header of a price file -> which column has the dates, the closes, and the open, high and low of each day."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from closes.days import plain
from closes.label import Label
from closes.series import RANGE_COLUMNS
from errors import InvalidClosesError

# Names in lower case without accents, the preferred ones first. Other signs than letters and digits are spaces.
DATE_NAMES = (
    "date", "data", "trade date", "trading date", "tradedate", "exchange date", "quote date", "observation date", "effective date",
    "datadate", "dtyyyymmdd", "data do pregao", "data pregao", "datpre", "fecha", "datum", "日付", "日付け", "日期", "交易日期", "날짜",
    "일자", "day", "dia", "datetime", "date time", "timestamp", "time open", "timeopen", "time", "open time", "window start", "dt",
    "period", "unix",
)  # fmt: skip
CLOCK_NAMES = ("time", "hora", "hour", "uhrzeit", "heure", "ora", "時刻", "时间", "시간")
CLOSE_NAMES = (
    "close", "close last", "closing price", "close price", "price close", "close value", "closing value", "fechamento",
    "preco de fechamento", "preco fechamento", "cierre", "schlusskurs", "schluss", "cloture", "cours de cloture", "chiusura",
    "slotkoers", "zamkniecie", "終値", "收盘", "收盘价", "收盤價", "종가", "ultimo", "ultimo preco", "preult", "last", "last price",
    "last close", "px last", "latest", "zuletzt", "dernier", "laatste", "price", "preco", "cotacao", "settle",
    "close close price adjusted for splits", "close usd",
)  # fmt: skip
RANGE_NAMES = {
    "open": (
        "open", "opening price", "open price", "px open", "abertura", "preco de abertura", "preabe", "apertura", "eroffnung", "eroffn",
        "erster", "ouverture", "ouv", "otwarcie", "始値", "开盘", "开盘价", "開盤價", "시가",
    ),
    "high": (
        "high", "high price", "px high", "maxima", "maximo", "max", "massimo", "preco maximo", "premax", "hoch", "tageshoch", "plus haut",
        "hoog", "najwyzszy", "高値", "最高", "最高价", "最高價", "고가",
    ),
    "low": (
        "low", "low price", "px low", "minima", "minimo", "min", "preco minimo", "premin", "tief", "tagestief", "plus bas", "laag",
        "najnizszy", "安値", "最低", "最低价", "最低價", "저가",
    ),
}  # fmt: skip
LETTERS = {"t": "time", "o": "open", "h": "high", "l": "low", "c": "close"}  # names in the JSON of many APIs, if all are there
STOCK_NAMES = (
    "symbol", "ticker", "name", "stock", "codneg", "codigo", "instrument", "act symbol", "stock symbol", "ativo", "papel", "ts code",
    "secid", "permno", "tic", "paper", "股票代码",
)  # fmt: skip
MULTIPLE = ("ticker", "tickers", "symbol", "symbols", "price", "attributes", "")  # first fields of the rows of a header of three rows
MIN_OF_STOCK = 4  # columns that begin or end with the name of a stock
MAX_COLUMNS = 1000  # of a header; a line with more is not one
MAX_NAMED = 10  # columns in a message
MAX_NAME = 40  # characters of a column's name in a message

_ADJUSTED = r"(?:(?:split |back |dividend |div )?(?:adjusted|adj|ajustad[oa]|ajust|bereinigt))"
_PRICE = r"(?:close|closing|close price|closing price|price|last|last price|fechamento|preco|preco de fechamento|ultimo|cierre|value|valor)"
_ADJUSTED_CLOSE = re.compile(
    rf"{_ADJUSTED} ?{_PRICE}?(?: adjusted close price adjusted .*)?|{_PRICE} ?{_ADJUSTED}|調整後終値|复权收盘价?|수정종가|수정주가"
)
_ADJUSTED_OTHER = re.compile(rf"{_ADJUSTED} ?(?:open|high|low|vol|volume)|(?:open|high|low|vol|volume) ?{_ADJUSTED}")
_LOOKS_ADJUSTED = re.compile(r"\badj|adjusted|\bajust|bereinigt|調整|调整|复权|復權|수정")


@dataclass(frozen=True)
class Columns:
    """Which columns of a file are read. Numbers count fields from 0.

    Attributes:
        names: of all columns.
        dates: columns that may have the dates, the best one first; none: the dates are unknown.
        close: the closes.
        plain: the plain closes next to adjusted ones, if they are there.
        ranges: open, high and low; None if they are not there or do not belong to the closes.
        stock: the symbol of each row, if it is there.
        clock: the time of day, if it is not in the dates.
    """

    names: list[str]
    dates: list[int]
    close: int
    plain: int | None = None
    ranges: tuple[int, int, int] | None = None
    stock: int | None = None
    clock: int | None = None

    def as_dict(self, date: int | None) -> dict[str, str | None]:
        """Return the names of the columns that were read."""
        shown: dict[str, str | None] = {
            "date": None if date is None else shorten(self.names[date]),
            "close": shorten(self.names[self.close]),
        }
        if self.ranges:
            shown |= {kind: shorten(self.names[index]) for kind, index in zip(RANGE_COLUMNS, self.ranges, strict=True)}
        return shown


def shorten(name: str) -> str:
    """Return a column's name as it is shown: printable and not long."""
    return "".join(letter if letter.isprintable() else " " for letter in name.strip())[:MAX_NAME]


def simplified(name: str) -> str:
    """Return a column's name in lower case, without accents, numbers in front and signs: `5. Adj. Close**` is `adj close`."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.strip()[: 4 * MAX_NAME])
    name = re.sub(r"^\d+[.)] ", "", plain(name))
    return " ".join(re.sub(r"[\W_]+", " ", name).split())


def find_columns(header: Sequence[str], chosen: str | None, label: Label) -> Columns | None:
    """Return the columns to read, or None if the fields are not a header of prices.

    Args:
        header: the fields of a line.
        chosen: name of the column of closes; None: an adjusted one if there is one.
        label: of the file, for messages.

    Raises:
        InvalidClosesError: a column looks adjusted but is not understood.
    """
    if len(header) > MAX_COLUMNS or not any(letter.isalpha() for field in header for letter in field[:MAX_NAME]):
        return None
    names = [simplified(field) for field in header]
    if not any(names):
        return None
    if _first(names, CLOSE_NAMES) is None:
        names = _without_ticker(names)
    if LETTERS.keys() <= set(names):
        names = [LETTERS.get(text, text) for text in names]
    plain_close = _first(names, CLOSE_NAMES)
    adjusted = next((index for index, text in enumerate(names) if _ADJUSTED_CLOSE.fullmatch(text)), None)
    dates = [index for known in DATE_NAMES for index, text in enumerate(names) if text == known]
    if chosen is not None:
        close = _named(header, chosen)
        if close is None:
            return None
    elif adjusted is not None:
        close = adjusted
    elif plain_close is not None:
        close = plain_close
    else:
        return None
    if close in dates:
        dates.remove(close)
    if chosen is None:
        _refuse_several(header, names, close, label)
    if chosen is None and adjusted is None:
        _refuse_unclear(header, names, label)
    ranges = None if close not in (adjusted, plain_close) else _ranges(names)
    alongside = plain_close if close == adjusted and plain_close != close else None
    stock = _first(names, STOCK_NAMES)
    return Columns(list(header), dates, close, alongside, ranges, stock if stock != close else None)


def _first(names: Sequence[str], known: Sequence[str]) -> int | None:
    """Return the column with the first of the known names that is there."""
    return next((names.index(text) for text in known if text in names), None)


def _named(header: Sequence[str], chosen: str) -> int | None:
    """Return the column with a name that the user gave: as it is written, in any case, or in another spelling."""
    for form in (str.strip, lambda text: text.strip().lower(), simplified):
        names = [form(field) for field in header]
        if form(chosen) and form(chosen) in names:
            return names.index(form(chosen))
    return None


def _ranges(names: Sequence[str]) -> tuple[int, int, int] | None:
    """Return the columns of open, high and low, if all are there."""
    found = [_first(names, RANGE_NAMES[kind]) for kind in RANGE_COLUMNS]
    known = [index for index in found if index is not None]
    return (known[0], known[1], known[2]) if len(known) == len(RANGE_COLUMNS) else None


def _without_ticker(names: list[str]) -> list[str]:
    """Return the names without a word that at least four columns begin or end with, such as AAPL in `AAPL.Close`."""
    for place in (0, -1):
        words = Counter(text.split()[place] for text in names if " " in text)
        word, count = words.most_common(1)[0] if words else ("", 0)
        shorter = [" ".join(other for other in text.split() if other != word) if " " in text else text for text in names]
        if count >= MIN_OF_STOCK and len(set(shorter)) == len(set(names)):
            names = shorter
    return names


def _refuse_several(header: Sequence[str], names: Sequence[str], close: int, label: Label) -> None:
    """Refuse a file with the closes of several stocks in columns, such as `AAPL.Close` and `MSFT.Close`."""
    word = names[close]
    outer = Counter(part for text in names if " " in text for part in {text.split()[0], text.split()[-1]})
    alike = [index for index, text in enumerate(names) if text == word or _is_of_other_stock(text, word, outer)]
    if len(alike) > 1:
        fault = f"has several columns of closes: {listed([header[index] for index in alike])}."
        if len({header[index] for index in alike}) == 1:
            raise InvalidClosesError(f"{label} {fault} Give them other names, or keep one of them.")
        raise label.refusal(fault, "Choose one", "column", otherwise="Keep one of them.")


def _is_of_other_stock(text: str, close: str, outer: Counter[str]) -> bool:
    """Return whether a column has closes of a stock whose name is in front of, or after, at least four columns.

    `outer` counts the columns that begin or end with a word.
    """
    other = text.removesuffix(f" {close}") if text.endswith(f" {close}") else text.removeprefix(f"{close} ")
    if other == text or " " in other or other in DATE_NAMES:  # `timeClose` is a time
        return False
    return outer[other] >= MIN_OF_STOCK


def _refuse_unclear(header: Sequence[str], names: Sequence[str], label: Label) -> None:
    """Refuse a file whose plain closes may be the wrong ones."""
    for field, text in zip(header, names, strict=True):
        if _LOOKS_ADJUSTED.search(text) and not _ADJUSTED_OTHER.fullmatch(text):
            fault = f"has a column {shorten(field)!r} that looks adjusted, but it is not known whether it has adjusted closes."
            otherwise = "Name it 'adjusted close' if it has adjusted closes, or remove it."
            raise label.refusal(f"{fault} It has {listed(header)}.", "Choose the column of closes", "column", otherwise=otherwise)


def listed(header: Sequence[str]) -> str:
    """Return the names of columns for a message."""
    shown = ", ".join(repr(shorten(field)) for field in header[:MAX_NAMED])
    return shown + (f" and {len(header) - MAX_NAMED} more" if len(header) > MAX_NAMED else "")
