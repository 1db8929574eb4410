"""Trading days by exchange."""

import numpy as np
import pytest

from closes.calendar import DAILY, HOLIDAYS, INDICES, SUFFIXES, WEEKDAYS, YAHOO_NAMES, calendar_of


def day(text: str) -> np.datetime64:
    return np.datetime64(text)


@pytest.mark.parametrize(
    ("symbol", "exchange", "name"),
    [
        ("MSFT", "", "XNYS"),
        ("BRK-B", "", "XNYS"),
        ("PETR4.SA", "", "BVMF"),
        ("7203.T", "", "XTKS"),
        ("^N225", "", "XTKS"),
        ("^GSPC", "SNP", "XNYS"),
        ("^XYZ", "PAR", "XPAR"),
        ("BTC-USD", "", DAILY),
        ("BTC-USD", "CCC", DAILY),
        ("MSFT", "NMS", "XNYS"),
        ("EURUSD=X", "CCY", WEEKDAYS),
        ("EURUSD=X", "", WEEKDAYS),
        ("^XYZ", "", WEEKDAYS),
        ("ABC.QQ", "", WEEKDAYS),
    ],
)
def test_calendar_follows_the_suffix_or_the_name_of_the_exchange(symbol, exchange, name):
    assert calendar_of(symbol, exchange).name == name


def test_days_after_leave_out_weekends_and_holidays():
    days = calendar_of("MSFT").days_after(day("2026-12-23"), 4)
    assert days.astype(str).tolist() == ["2026-12-24", "2026-12-28", "2026-12-29", "2026-12-30"]
    assert calendar_of("BTC-USD").days_after(day("2026-12-24"), 2).astype(str).tolist() == ["2026-12-25", "2026-12-26"]
    assert calendar_of("EURUSD=X").days_after(day("2026-12-24"), 1).astype(str).tolist() == ["2026-12-25"]


def test_days_after_a_day_without_trade_begin_with_the_next_trading_day():
    assert calendar_of("MSFT").days_after(day("2026-12-26"), 1).astype(str).tolist() == ["2026-12-28"]


def test_age_counts_trading_days():
    calendar = calendar_of("MSFT")
    assert calendar.age(day("2026-12-24"), day("2026-12-24")) == 0
    assert calendar.age(day("2026-12-24"), day("2026-12-28")) == 1  # Christmas and a weekend between
    assert calendar.age(day("2026-12-24"), day("2026-12-30")) == 3


def test_unknown_trading_days_are_said_to_be_unknown():
    assert calendar_of("MSFT").warning("MSFT", day("2026-12-28")) is None
    assert calendar_of("BTC-USD").warning("BTC-USD", day("2099-01-01")) is None
    unknown = calendar_of("ABC.QQ").warning("ABC.QQ", day("2026-12-28"))
    assert unknown is not None
    assert unknown.text == "The trading days of ABC.QQ are not known: the dates are weekdays, holidays included."
    late = calendar_of("MSFT").warning("MSFT", day("2099-01-01"))
    assert late is not None
    assert late.text.startswith("The holidays of XNYS are known until 20")


EXCHANGES = sorted({*SUFFIXES.values(), *YAHOO_NAMES.values(), *INDICES.values()} - {DAILY})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of pandas, in the library
@pytest.mark.parametrize("code", EXCHANGES)
def test_trading_days_are_those_of_exchange_calendars(code):
    """If this fails after an upgrade of the library, run data/makeHolidays.py again."""
    import exchange_calendars  # takes a second

    suffix = next((suffix for suffix, exchange in SUFFIXES.items() if exchange == code), None)
    own = calendar_of(f"X.{suffix}" if suffix else "X")
    assert own.name == code
    calendar = exchange_calendars.get_calendar(code, start="2022-01-01", end="2026-12-31")
    expected = calendar.sessions.to_numpy().astype("datetime64[D]")
    days = np.arange("2022-01-01", "2027-01-01", dtype="datetime64[D]")
    found = days[np.is_busday(days, busdaycal=own.days)]
    assert np.isin(found, expected).all()
    extra = expected[~np.isin(expected, found)]
    assert len(extra) <= 12, extra  # special sessions at a weekend


def test_table_is_small():
    assert HOLIDAYS.stat().st_size < 200_000
