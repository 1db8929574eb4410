"""Trading days: the dates of a forecast's steps, and the age of closes in trading days.

    calendar = calendar_of("7203.T")
    calendar.days_after(closes.dates[-1], 5)

data/holidays.json has the days on which each exchange is closed. data/makeHolidays.py takes them from exchange_calendars, so that a server
needs neither that library nor pandas.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from closes.symbols import UNNAMED
from closes.warnings import UNKNOWN_CALENDAR, SeriesWarning
from settings import PROJECT_DIR

HOLIDAYS = PROJECT_DIR / "data" / "holidays.json"
DAILY, WEEKDAYS = "daily", "weekdays"  # names of the calendars that belong to no exchange
CURRENCY_PAIR = re.compile(r"[A-Z0-9]+-(USD|EUR|GBP|JPY|CAD|AUD|BTC|ETH|USDT)")  # of crypto, as Yahoo Finance names it: BTC-USD
LISTED_IN_US = re.compile(r"[A-Z0-9]+(-[A-Z]{1,3})?")  # without a suffix, such as MSFT or BRK-B

# Yahoo Finance's suffixes of symbols, and the ISO 10383 codes of the exchanges. exchange_calendars 4.13 cannot compute Athens and Tel Aviv.
SUFFIXES = {
    "AS": "XAMS", "AX": "XASX", "BA": "XBUE", "BD": "XBUD", "BK": "XBKK", "BO": "XBOM", "BR": "XBRU", "CL": "XBOG",
    "CO": "XCSE", "DE": "XETR", "DU": "XDUS", "F": "XFRA", "HE": "XHEL", "HK": "XHKG", "HM": "XHAM", "IC": "XICE", "IR": "XDUB",
    "IS": "XIST", "JK": "XIDX", "JO": "XJSE", "KL": "XKLS", "KQ": "XKRX", "KS": "XKRX", "L": "XLON", "LS": "XLIS", "MC": "XMAD",
    "MI": "XMIL", "MX": "XMEX", "NS": "XBOM", "NZ": "XNZE", "OL": "XOSL", "PA": "XPAR", "PR": "XPRA", "SA": "BVMF", "SI": "XSES",
    "SN": "XSGO", "SR": "XSAU", "SS": "XSHG", "ST": "XSTO", "SW": "XSWX", "SZ": "XSHG", "T": "XTKS", "TO": "XTSE",
    "TW": "XTAI", "TWO": "XTAI", "V": "XTSE", "VI": "XWBO", "WA": "XWAR",
}  # fmt: skip
# Yahoo Finance's names of exchanges, for symbols such as ^N225 that have no suffix.
YAHOO_NAMES = {
    "AMS": "XAMS", "ASE": "XNYS", "ASX": "XASX", "BRU": "XBRU", "BSE": "XBOM", "BTS": "XNYS", "CCC": DAILY, "CPH": "XCSE",
    "DJI": "XNYS", "FRA": "XFRA", "GER": "XETR", "HEL": "XHEL", "HKG": "XHKG", "HKSE": "XHKG", "IOB": "XLON", "ISE": "XDUB",
    "JNB": "XJSE", "JPX": "XTKS", "KLS": "XKLS", "KOE": "XKRX", "KSC": "XKRX", "LIS": "XLIS", "LSE": "XLON", "MCE": "XMAD", "MEX": "XMEX",
    "MIL": "XMIL", "NCM": "XNYS", "NGM": "XNYS", "NIM": "XNYS", "NMS": "XNYS", "NSI": "XBOM", "NYQ": "XNYS", "NYS": "XNYS", "NZE": "XNZE",
    "OQB": "XNYS", "OQX": "XNYS",
    "OSA": "XTKS", "OSL": "XOSL", "PAR": "XPAR", "PCX": "XNYS", "PNK": "XNYS", "SAO": "BVMF", "SES": "XSES", "SHH": "XSHG", "SHZ": "XSHG",
    "SNP": "XNYS", "STO": "XSTO", "TAI": "XTAI", "TOR": "XTSE", "TWO": "XTAI", "VIE": "XWBO", "WSE": "XWAR",
}  # fmt: skip
INDICES = {
    "^GSPC": "XNYS", "^DJI": "XNYS", "^IXIC": "XNYS", "^NDX": "XNYS", "^RUT": "XNYS", "^VIX": "XNYS", "^GSPTSE": "XTSE", "^BVSP": "BVMF",
    "^MXX": "XMEX", "^FTSE": "XLON", "^GDAXI": "XETR", "^FCHI": "XPAR", "^IBEX": "XMAD", "^AEX": "XAMS", "^SSMI": "XSWX", "^N225": "XTKS",
    "^HSI": "XHKG", "^KS11": "XKRX", "^TWII": "XTAI", "^STI": "XSES", "^AXJO": "XASX", "^NZ50": "XNZE", "^BSESN": "XBOM", "^NSEI": "XBOM",
}  # fmt: skip


@dataclass(frozen=True)
class TradingCalendar:
    """The days on which a symbol is traded.

    Attributes:
        name: the ISO 10383 code of an exchange, "daily", or "weekdays" if the exchange is unknown.
        days: the trading days.
        known_until: last day whose holidays are known; later weekdays count as trading days.
    """

    name: str
    days: np.busdaycalendar
    known_until: np.datetime64

    def days_after(self, day: np.datetime64, count: int) -> NDArray[np.datetime64]:
        """Return the next `count` trading days after a day, (count,) datetime64[D]."""
        following: NDArray[np.datetime64] = np.busday_offset(day, np.arange(1, count + 1), roll="backward", busdaycal=self.days)
        return following

    def age(self, day: np.datetime64, today: np.datetime64) -> int:
        """Return how many trading days ago a day was: 1 on the next trading day."""
        return int(np.busday_count(day, today, busdaycal=self.days))

    def warning(self, symbol: str, last: np.datetime64) -> SeriesWarning | None:
        """Return a warning if the trading days up to `last` are not known."""
        if self.name == WEEKDAYS:
            text = f"The trading days of {symbol} are not known: the dates are weekdays, holidays included."
            return SeriesWarning(UNKNOWN_CALENDAR, None, text)
        if last > self.known_until:
            text = f"The holidays of {self.name} are known until {self.known_until}: later dates are weekdays, holidays included."
            return SeriesWarning(UNKNOWN_CALENDAR, str(self.known_until), text)
        return None


def calendar_of(symbol: str, exchange: str = "") -> TradingCalendar:
    """Return the calendar of a symbol.

    Args:
        symbol: as Yahoo Finance writes it, in upper case; UNNAMED for a price file.
        exchange: Yahoo Finance's name of its exchange, if known. It is used if the symbol does not tell.
    """
    suffix = symbol.rpartition(".")[2] if "." in symbol else ""
    if suffix in SUFFIXES:
        return _calendar(SUFFIXES[suffix])
    if symbol in INDICES:
        return _calendar(INDICES[symbol])
    if CURRENCY_PAIR.fullmatch(symbol):
        return _calendar(DAILY)
    if exchange:
        return _calendar(YAHOO_NAMES.get(exchange, WEEKDAYS))
    return _calendar("XNYS" if LISTED_IN_US.fullmatch(symbol) and symbol != UNNAMED else WEEKDAYS)


@cache
def _calendar(name: str) -> TradingCalendar:
    """Return the calendar of an exchange, or one of the two others."""
    end_of_time = np.datetime64("9999-12-31")
    if name == DAILY:
        return TradingCalendar(name, np.busdaycalendar("1111111"), end_of_time)
    if name == WEEKDAYS:
        return TradingCalendar(name, np.busdaycalendar("1111100"), end_of_time)
    entry = _holidays()[name]
    holidays = np.array(entry["closed"], "datetime64[D]")
    return TradingCalendar(name, np.busdaycalendar(entry["weekmask"], holidays), np.datetime64(entry["until"]))


@cache
def _holidays() -> dict[str, dict[str, Any]]:
    """Return the content of data/holidays.json."""
    content: dict[str, dict[str, Any]] = json.loads(HOLIDAYS.read_text())["exchanges"]
    return content
