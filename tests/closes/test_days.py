"""Dates and times of day in price files."""

from datetime import date, datetime, timedelta

import numpy as np
import pytest
from price_files import table_of

from closes.files import SAMPLE_ROWS, read_prices
from errors import InvalidClosesError


def test_dates_are_found_in_a_column_of_another_name():
    rows = ["1.5,20200102", "1.25,20200101"]
    for name in ("Index", "Giorno di borsa", ""):
        file = read_prices(table_of(rows, f"close,{name}"))
        assert (file.as_of, file.closes.prices.tolist()) == ("2020-01-02", [1.25, 1.5])
    assert not read_prices(b"Index,close\n0,1.5\n1,1.25\n").dated


@pytest.mark.parametrize(
    ("texts", "first"),
    [
        (["31/01/2020", "01/02/2020"], "2020-01-31"),
        (["01/31/2020", "02/01/2020"], "2020-01-31"),
        (["31-01-20", "01-02-20"], "2020-01-31"),
        (["31-Jan-2020", "01-Feb-2020"], "2020-01-31"),
        (["31 janeiro 2020", "1 fevereiro 2020"], "2020-01-31"),
        (["31 de jan. de 2020", "1 de fev. de 2020"], "2020-01-31"),
        (['"Fri, Jan 31, 2020"', '"Sat, Feb 1, 2020"'], "2020-01-31"),
        (["2020-01-31T16:00:00-05:00", "2020-02-01T16:00:00-05:00"], "2020-01-31"),
        (["1/31/2020 4:00 PM", "2/1/2020 4:00 PM"], "2020-01-31"),
        (["1580428800", "1580515200"], "2020-01-31"),
        (["1580428800000", "1580515200000"], "2020-01-31"),
        (["1580428800000000", "1580515200000000"], "2020-01-31"),
        (["1580428800000000000", "1580515200000000000"], "2020-01-31"),
        (["31 janv. 2020", "1 févr. 2020"], "2020-01-31"),
        (["31. März 2020", "1. Mai 2020"], "2020-03-31"),
        (["31 lug 2020", "1 ago 2020"], "2020-07-31"),
        (["2020- 01- 31", "2020- 02- 01"], "2020-01-31"),
        (["2020年1月31日", "2020年2月1日"], "2020-01-31"),
        (["2020년 1월 31일", "2020년 2월 1일"], "2020-01-31"),
        (["43861", "43862"], "2020-01-31"),
        (["01/02/2020", "02/02/2020", "03/02/2020", "04/02/2020"], "2020-02-01"),
        (["01/02/2020", "01/03/2020", "01/06/2020", "02/03/2020", "02/04/2020"], "2020-01-02"),
    ],
)
def test_dates_are_read_in_usual_forms(texts, first):
    file = read_prices(table_of([f"{text},1.5" for text in texts]))
    assert file.closes.first_date == first
    assert (np.diff(file.closes.dates) > np.timedelta64(0, "D")).all()
    assert file.left_out == []


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%m-%d-%y"])
@pytest.mark.parametrize("step", [1, 3, 6])
@pytest.mark.parametrize("newest_first", [False, True])
def test_first_days_of_months_are_not_read_as_days_in_january(form, step, newest_first):
    months = [date(1990 + index // 12, index % 12 + 1, 1) for index in range(0, 70 * step, step)]
    ordered = months[::-1] if newest_first else months
    file = read_prices(table_of([f"{day.strftime(form)},1.5" for day in ordered]))
    assert file.closes.dates.astype(object).tolist() == months
    assert [warning.code for warning in file.warnings if warning.code != "future_dates"] == ["not_daily"]


@pytest.mark.parametrize("last", ["1993-01-01", "1993-05-01"])
def test_months_in_both_forms_are_refused(last):
    months = [date(1990 + index // 12, index % 12 + 1, 1) for index in range(70)]
    rows = [f"{day.strftime('%d/%m/%Y' if day < date.fromisoformat(last) else '%m/%d/%Y')},1.5" for day in months]
    with pytest.raises(
        InvalidClosesError, match=r"has dates such as 01/01/1990, in which the day or the month may be first.*Write the year first"
    ):
        read_prices(table_of(rows))


def test_months_after_dates_in_another_form_are_read_alike():
    months = [date(1990 + index // 4, index % 4 * 3 + 1, 1) for index in range(70)]
    file = read_prices(table_of([f"{day if day.year < 2006 else day.strftime('%d/%m/%Y')},1.5" for day in months]))
    assert file.closes.dates.astype(object).tolist() == months


@pytest.mark.parametrize("other", ["%d-%m-%Y", "%d.%m.%y"])
def test_dates_with_two_separators_are_refused(other):
    days = [date(2024, 1, 1) + timedelta(days=index) for index in range(70)]
    rows = [
        f"{day.strftime('%m/%d/%Y' if day.day <= 12 else other)},1.5" for day in days
    ]  # a spreadsheet leaves what it does not understand
    with pytest.raises(
        InvalidClosesError, match=r"has dates in two forms, such as 01/01/2024 and 13[-.]01[-.].*Write all dates with the year first"
    ):
        read_prices(table_of(rows))


def test_date_with_another_separator_after_the_first_rows_is_wrong():
    days = [date(2000, 1, 1) + timedelta(days=index) for index in range(SAMPLE_ROWS + 10)]
    rows = [f"{day.strftime('%m/%d/%Y' if index < SAMPLE_ROWS + 9 else '%d-%m-%Y')},1.5" for index, day in enumerate(days)]
    with pytest.raises(InvalidClosesError, match="1 row with wrong values"):
        read_prices(table_of(rows))


def test_midnight_at_the_end_of_a_day_belongs_to_the_day():
    file = read_prices(table_of(["2020-01-01 24:00,1", "2020-01-02 24:00:00,2", "2020-01-03 24:00,3"]))
    assert file.closes.dates.astype(str).tolist() == ["2020-01-01", "2020-01-02", "2020-01-03"]
    for clock in ("24:01", "24:00:01", "25:00", "12:60", "12:00:99"):
        with pytest.raises(InvalidClosesError, match="1 row with wrong values"):
            read_prices(table_of(["2020-01-01,1", f"2020-01-02 {clock},2"]))


HOURS = [datetime(2024, 5, 20, 9, 30) + timedelta(days=index // 7, hours=index % 7) for index in range(70)]


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>", "%Y%m%d,%H%M%S,1,2,1"),
        ("Date,Time,Open,High,Low,Close", "%d/%m/%Y,%H:%M,1,2,1"),
        ("Time,Date,Open,High,Low,Close", "%H%M,%Y-%m-%d,1,2,1"),
        ("Date,Time,Open,High,Low,Close", "%Y-%m-%d,%I:%M %p,1,2,1"),
        ("", "%Y.%m.%d,%H:%M,1,2,1"),  # MetaTrader 4
    ],
)
def test_time_of_day_in_a_column_of_its_own_belongs_to_the_date(header, form):
    rows = [f"{hour.strftime(form)},{1 + index / 100}{'' if header else ',7'}" for index, hour in enumerate(HOURS)]
    file = read_prices(table_of(rows, header) if header else "\n".join(rows).encode())
    assert file.closes.dates.astype(object).tolist() == [hour.date() for hour in HOURS]
    assert file.closes.prices[-1] == 1.69
    assert [warning.code for warning in file.warnings][:1] == ["not_daily"]
    assert any(guess.startswith("The time of day is read from") for guess in file.guesses)


def test_wrong_time_of_day_is_named():
    hours = [datetime(2024, 1, 1) + timedelta(hours=index) for index in range(2010)]
    rows = [f"{hour:%Y-%m-%d,%H:%M},1" for hour in hours]
    with pytest.raises(InvalidClosesError) as caught:
        read_prices(table_of([*rows, "2024-06-01,late,1"], "Date,Time,Close"))
    assert caught.value.details == ["line 2012: date '2024-06-01 late', close '1'"]
