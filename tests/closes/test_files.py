"""CSV files of closes: which are read, and how an invalid one is rejected."""

import gzip
import re
import tracemalloc
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from closes.files import Part, read_prices
from closes.textlines import MAX_UNPACKED_BYTES
from errors import DataUnavailableError, InvalidClosesError

TWO_DAYS = ["2020-01-01", "2020-01-02"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "closes.csv"


@pytest.mark.parametrize(
    "content",
    [
        b"date,close\n2020-01-01,1.5\n2020-01-02,1.25\n",
        b"Date,Close\n2020-01-01,1.5\n2020-01-02,1.25\n",
        b"DATE,CLOSE\n2020-01-01,1.5\n2020-01-02,1.25",
        b"Date,Open,Close,Adj Close,Volume\n2020-01-01,9,3,1.5,7\n2020-01-02,9,3,1.25,7\n",
        b"adj_close,close,date\n1.5,3,2020-01-01\n1.25,3,2020-01-02\n",
        b"\xef\xbb\xbfdate,close\n2020-01-01,1.5\n2020-01-02,1.25\n",
        b'"Date","Close","Note"\n"2020-01-01","1.5","a, b"\n"2020-01-02","1.25",""\n',
        b"date,close\r\n2020-01-01,1.5\r\n2020-01-02,1.25\r\n",
        b"date , close\n 2020-01-01 , 1.5 \n2020-01-02,1.25\n",
        b"Date,Close\n2020-01-01 00:00:00-05:00,1.5\n2020-01-02T00:00:00Z,1.25\n",
        b"date,close\n\n2020-01-01,1.5\n\n\n2020-01-02,1.25e0\n\n",
    ],
    ids=["plain", "Yahoo", "upper", "adjusted last", "adjusted first", "BOM", "quoted", "CRLF", "spaces", "time", "blank lines"],
)
def test_csv_has_dates_and_adjusted_closes(file, content):
    file.write_bytes(content)
    closes = read_prices(file).closes
    assert closes.dates.astype(str).tolist() == TWO_DAYS
    assert closes.prices.tolist() == [1.5, 1.25]
    assert closes.prices.dtype == np.float64


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"day,value of it\n2020-01-01,1.5\n", "It has 'day', 'value of it'"),
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"date,close\n", "has no closes"),
        (bytes(range(256)) * 20, "is a binary file, not a CSV file"),
        (b"\0" * 100, "is a binary file, not a CSV file"),
        (b'date,close\n"2020-01-01,1.5\n', "a quote in line 2 that is not closed"),
        (b'date,note,close\n2020-01-01,"a\n' + b"2020-01-02,b,1\n" * 30, "a quote in line 2 that is not closed"),
        (b'date,note,close\n2020-01-01,"' + b"a" * 70_000 + b'",1\n', "has a line of more than 65536 characters"),
        (b"%PDF-1.7 ...", "is a PDF document"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "is an Excel workbook (.xls), not a CSV file. Save it as CSV"),
        (b"PK\x03\x04 mimetypeapplication/vnd.oasis.opendocument.spreadsheet", "is an OpenDocument spreadsheet"),
        (b"PK\x03\x04 prices.csv", "is a ZIP archive, not a CSV file. Unpack it"),
        (b"<!DOCTYPE html><html>", "is a web page or XML"),
        (b'{"predict": [1, 2}', "begins as JSON does, but is not valid JSON"),
        (b"[" * 60_000, "begins as JSON does, but is not valid JSON"),
        (b'{"closes": [1, 2]}', "is JSON without a plain list of closes"),
        (b"[[1], [2]]", "is JSON without a plain list of closes"),
        (b"[1,\n" + (b" " * 60_000 + b"\n") * 36 + b"2]", "is JSON of more than 2 million characters"),
        (gzip.compress(b"date,close\n2020-01-01,1.5\n", mtime=0)[:-9], "is a damaged gzip file"),
        (b"date,close\n2020-01-01,1.5\n2020-01-02,1,5\n", "1 row with wrong values"),
        (b'date,close\n2020-01-01,1.5\n2020-01-02,"1,5"\n', "a decimal point (1.5) and with a decimal comma (1,5)"),
        (b"date,close,adj factor\n2020-01-01,1.5,2\n", "'adj factor' that looks adjusted"),
        (b"date,symbol,close\n2020-01-01,A\tB,1\n2020-01-01,C,1\n", "has several stocks: A B, C. Choose one: --symbol A B"),
        (b"2020-01-01,1,2,3,4\n", "has no header: 1 line of 5 fields, the first is '2020-01-01,1,2,3,4'"),
    ],
)
def test_file_that_is_not_understood_is_rejected_in_one_printable_line(file, content, named):
    file.write_bytes(content)
    for source in (file, content):
        with pytest.raises(InvalidClosesError) as caught:
            read_prices(source)
        assert named in str(caught.value)
        assert str(caught.value).isprintable()


def test_newest_closes_for_a_chart_leave_out_a_wrong_row_before_those_that_are_used(file):
    file.write_bytes(b"date,close\n2020-01-01,1\n2020-01-02,-2\n2020-01-03,3\n2020-01-06,4\n2020-01-07,5\n")
    read = read_prices(file, part=Part(newest=2, shown=4))
    assert read.closes.prices.tolist() == [4, 5]
    assert read.shown is not None
    assert read.shown.prices.tolist() == [1, 3, 4, 5]
    assert read.shown.dates.astype(str).tolist() == ["2020-01-01", "2020-01-03", "2020-01-06", "2020-01-07"]


@pytest.mark.parametrize(
    ("content", "details"),
    [
        ("2020-01-01,abc", ["line 2: date '2020-01-01', close 'abc'"]),
        ("2020-01-01,True", ["line 2: date '2020-01-01', close 'True'"]),
        (",1", ["line 2: date '', close '1'"]),
        ("2020-02-30,1", ["line 2: date '2020-02-30', close '1'"]),
        ("2020-01-01x,1", ["line 2: date '2020-01-01x', close '1'"]),
        ("\n2020-01-01,1\n\n2020-01-02,x", ["line 5: date '2020-01-02', close 'x'"]),
        ("2020-01-01,1e400", ["line 2: 2020-01-01 has the close inf; a close must be a positive finite number"]),
        ("2020-01-01,1\n2020-01-02,0", ["line 3: 2020-01-02 has the close 0.0; a close must be a positive finite number"]),
        ("2020-01-01,-1\n2020-01-02,1", ["line 2: 2020-01-01 has the close -1.0; a close must be a positive finite number"]),
        ("2020-01-01,-1.5", ["line 2: 2020-01-01 has the close -1.5; a close must be a positive finite number"]),
        ("2020-01-01,1\n2020-01-01,2", ["line 3: 2020-01-01 appears twice, with different closes"]),
        (
            "2020-01-02,1\n2020-01-03,1\n\n2020-01-01,1",
            ["line 5: 2020-01-01 comes after 2020-01-03; sort the rows by date, oldest first"],
        ),
    ],
)
def test_wrong_row_is_rejected_naming_it(file, content, details):
    file.write_text(f"date,close\n{content}\n")
    with pytest.raises(InvalidClosesError) as caught:
        read_prices(file)
    assert caught.value.details == details


ROWS = range(70)


@pytest.mark.parametrize(
    ("header", "row", "is_read"),
    [
        ("date,close,volume", lambda i: f"150,{i % 100:02}", False),
        ("date,close,volume", lambda i: f"150,{43 + i % 5}", False),
        ("date,close,", lambda i: f"150,{i % 100:02}", False),
        ("date,close,volume", lambda i: f"15,{438 + i}", False),
        ("date,close,open,volume", lambda i: f"1,{504 + i}.38,100", False),
        ("date,close,open,volume", lambda i: f"150,{i % 100:02}3,100", False),
        ("date,close,volume", lambda i: f"1504,{95 + i}", True),
        ("date,close,volume", lambda i: f"1504,{i * 7919}", True),
        ("date,close,volume", lambda i: f"1504,{10_000 + i}", True),
        ("date,close,open,volume", lambda i: f"{150 + i},{151 + i},{i}", True),
        ("date,close,open,volume", lambda i: f"{150 + i},{151 + i}.5,{i}", True),
        ("date,close,volume", lambda i: f"150.5,{i % 100:02}", True),
        ("date,close", lambda i: f"{150 + i}", True),
    ],
)
def test_decimals_that_an_unquoted_comma_cuts_off_are_refused(header, row, is_read):
    content = days([f"{np.datetime64('2024-01-01') + i},{row(i)}" for i in ROWS], header)
    if is_read:
        assert read_prices(content).total == len(ROWS)
        return
    with pytest.raises(InvalidClosesError, match=r"has whole closes, each with \d digits after the next comma, such as .*decimal point"):
        read_prices(content)


@pytest.mark.parametrize("error", ["#DIV/0!", "#REF!", "#VALUE!", "#NUM!", "#NAME?", "#NULL!"])
def test_error_of_a_spreadsheet_is_a_day_without_a_close(error):
    file = read_prices(days(["2020-01-01,1.5", f"2020-01-02,{error}", "2020-01-03,1.5"]))
    assert file.left_out == [{"rows": 1, "reason": "no close on that day", "lines": [3]}]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2020-01-01,0x10", "The file has 1 row with wrong values, so it may be misread. Fix or remove it."),
        ("2020-01-03,0", "The file has 1 row with wrong values among the closes that are used. Fix or remove it."),
    ],
)
def test_wrong_row_is_refused_with_the_reason(row, message):
    rows = ["2019-01-01,1", row, *[f"2020-01-0{day},1" for day in range(4, 9)]]
    with pytest.raises(InvalidClosesError) as caught:
        read_prices(days(rows), part=Part(newest=6))
    assert str(caught.value) == message


def test_many_wrong_rows_are_counted_and_five_named(file):
    file.write_text("date,close\n" + "2020-01-01,x\n" * 100)
    with pytest.raises(InvalidClosesError, match="100 rows") as caught:
        read_prices(file)
    assert len(caught.value.details) == 5


@pytest.mark.parametrize(("notes", "is_read"), [(20, True), (21, False)])
def test_lines_that_are_not_rows_are_left_out_if_they_are_few(notes, is_read):
    content = days(["2020-01-01,1", "2020-01-02,1", *["2020-01-03;1"] * notes])
    if is_read:
        assert read_prices(content).left_out == [{"rows": 20, "reason": "neither a date nor a close", "lines": [4, 5, 6, 7, 8]}]
        return
    with pytest.raises(InvalidClosesError, match=r"has 21 lines with neither a date nor a close, from line 4 on\. They may have another"):
        read_prices(content)


def test_row_that_lost_a_field_is_wrong():
    rows = [f"2020-01-0{day},9,1.5,7" for day in range(1, 9)]
    with pytest.raises(InvalidClosesError) as caught:
        read_prices(days([*rows, "2020-01-09,1.5,7"], "date,open,close,volume"))
    assert caught.value.details == ["line 10: has 3 fields, other rows have 4 or more"]
    with pytest.raises(InvalidClosesError, match="1 row with wrong values"):
        read_prices(days([f"2020-01-{day:02},9,1.5,7," for day in range(1, 29)] + ["2020-01-29,1.5,7,"], "date,open,close,volume,notes"))
    notes = read_prices(days([*rows, "2020-01-09,9,1.5,7,note"], "date,open,close,volume,notes"))
    assert notes.total == 9


def test_dates_are_found_in_a_column_of_another_name():
    rows = ["1.5,20200102", "1.25,20200101"]
    for name in ("Index", "Giorno di borsa", ""):
        file = read_prices(days(rows, f"close,{name}"))
        assert (file.as_of, file.closes.prices.tolist()) == ("2020-01-02", [1.25, 1.5])
    assert not read_prices(b"Index,close\n0,1.5\n1,1.25\n").dated


def test_columns_of_two_stocks_or_of_one_name_need_a_choice():
    content = days(["2020-01-01,1,2"], "date,Close,Close")
    with pytest.raises(InvalidClosesError, match=r"several columns of closes: 'Close', 'Close'\. Choose one"):
        read_prices(content)


def test_file_with_wrong_rows_only_is_rejected_early(file):
    file.write_text("date,close\n" + "2020-01-01,x\n" * 20_000)
    with pytest.raises(InvalidClosesError, match="more than 10000 rows"):
        read_prices(file)
    file.write_text("date,close\n" + "x\n" * 20_000)
    with pytest.raises(InvalidClosesError, match="more than 10000 lines with neither a date nor a close"):
        read_prices(file)


@pytest.mark.parametrize(
    ("part", "first", "last", "is_wrong"),
    [
        (Part(), "", "", True),
        (Part(start="2020-01-04"), "2020-01-04", "2020-01-06", False),
        (Part(end="2020-01-02"), "2020-01-01", "2020-01-02", False),
        (Part(newest=2), "2020-01-05", "2020-01-06", False),
        (Part(newest=4), "", "", True),
        (Part(start="2020-01-05", before=1), "2020-01-04", "2020-01-06", False),
        (Part(start="2020-01-05", before=3), "", "", True),
    ],
)
def test_only_the_closes_that_are_used_must_be_right(part, first, last, is_wrong):
    content = b"date,close\n2020-01-01,1\n2020-01-02,1\n2020-01-03,0\n2020-01-04,1\n2020-01-05,1\n2020-01-06,1\n"
    if is_wrong:
        with pytest.raises(InvalidClosesError) as caught:
            read_prices(content, part=part)
        assert caught.value.details == ["line 4: 2020-01-03 has the close 0.0; a close must be a positive finite number"]
        return
    file = read_prices(content, part=part)
    assert (file.closes.first_date, file.closes.last_date) == (first, last)
    assert [(item["rows"], item["lines"]) for item in file.left_out] == [(1, [4])]
    assert "2020-01-03" in file.left_out[0]["reason"]


def test_part_without_closes_names_what_the_file_has():
    with pytest.raises(
        DataUnavailableError, match="MSFT has no closes from 2021-01-01 to 2021-02-01; the file has 2020-01-01 to 2020-01-02"
    ):
        read_prices(b"date,close\n2020-01-01,1\n2020-01-02,1\n", "MSFT", part=Part("2021-01-01", "2021-02-01"))


def days(rows, header="date,close"):
    """A file of rows that are given as text."""
    return "\n".join([header, *rows, ""]).encode()


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
    file = read_prices(days([f"{text},1.5" for text in texts]))
    assert file.closes.first_date == first
    assert (np.diff(file.closes.dates) > np.timedelta64(0, "D")).all()
    assert file.left_out == []


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%m-%d-%y"])
@pytest.mark.parametrize("step", [1, 3, 6])
@pytest.mark.parametrize("newest_first", [False, True])
def test_first_days_of_months_are_not_read_as_days_in_january(form, step, newest_first):
    months = [date(1990 + index // 12, index % 12 + 1, 1) for index in range(0, 70 * step, step)]
    ordered = months[::-1] if newest_first else months
    file = read_prices(days([f"{day.strftime(form)},1.5" for day in ordered]))
    assert file.closes.dates.astype(object).tolist() == months
    assert [warning.code for warning in file.warnings if warning.code != "future_dates"] == ["not_daily"]


@pytest.mark.parametrize("last", ["1993-01-01", "1993-05-01"])
def test_months_in_both_forms_are_refused(last):
    months = [date(1990 + index // 12, index % 12 + 1, 1) for index in range(70)]
    rows = [f"{day.strftime('%d/%m/%Y' if day < date.fromisoformat(last) else '%m/%d/%Y')},1.5" for day in months]
    with pytest.raises(
        InvalidClosesError, match=r"has dates such as 01/01/1990, in which the day or the month may be first.*Write the year first"
    ):
        read_prices(days(rows))


def test_months_after_dates_in_another_form_are_read_alike():
    months = [date(1990 + index // 4, index % 4 * 3 + 1, 1) for index in range(70)]
    file = read_prices(days([f"{day if day.year < 2006 else day.strftime('%d/%m/%Y')},1.5" for day in months]))
    assert file.closes.dates.astype(object).tolist() == months


@pytest.mark.parametrize(
    ("texts", "price"),
    [
        (["1.5"], 1.5),
        (["1,5"], 1.5),
        (["1.234,5"], 1234.5),
        (["1,234.5"], 1234.5),
        (["1,234,567"], 1234567),
        (["1,234"], 1234),
        (["1,234", "1,2"], 1.234),
        (["1 234,5"], 1234.5),
        (["1'234.5"], 1234.5),
        (["12,34,567.5"], 1234567.5),
        (["R$ 1.234,50"], 1234.5),
        (["150.44 USD"], 150.44),
        (["€1,50"], 1.5),
        ([".5"], 0.5),
        (["+1.5E+2"], 150),
    ],
)
def test_prices_are_read_in_usual_forms(texts, price):
    file = read_prices(days([f'2020-01-0{day},"{text}"' for day, text in enumerate(texts, 1)]))
    assert file.closes.prices[0] == price


@pytest.mark.parametrize("text", ["0x10", "1_0", "inf", "1.2.3", "1,2,3", "12 50", "1e", "--1", "1.5%", "1.5x", "\u0661"])
def test_other_texts_are_not_prices(text):
    with pytest.raises(InvalidClosesError, match="1 row with wrong values"):
        read_prices(days(["2020-01-01,1.25", f'2020-01-02,"{text}"']))


def test_header_chooses_the_adjusted_column_in_any_spelling():
    for name in (
        "Adj Close",
        "adjClose",
        "Adj. Close",
        "5. adjusted close",
        "close_adj",
        "Adjusted",
        "Fechamento Ajustado",
        "adjusted_close_price",
    ):
        file = read_prices(days(["2020-01-01,4,1"], f"date,close,{name}"))
        assert file.closes.prices.tolist() == [1], name
        assert file.columns["close"] == name


@pytest.mark.parametrize(
    "header",
    ["AAPL.Open,AAPL.High,AAPL.Low,AAPL.Close,AAPL.Volume,AAPL.Adjusted", "1. open,2. high,3. low,4. close,5. volume,6. adjusted close"],
)
def test_columns_of_r_and_alpha_vantage_are_known(header):
    file = read_prices(days(["2020-01-01,2,4,2,4,1,2"], f"date,{header}"))
    assert file.closes.prices.tolist() == [2]
    assert file.closes.ranges is not None
    assert file.closes.ranges.tolist() == [[1, 2, 1]]  # adjusted as the close


def test_column_can_be_chosen():
    content = days(["2020-01-01,4,1,3", "2020-01-02,4,1,3"], "date,Close,Adj Close,Mean of day")
    assert read_prices(content, column="Close").closes.prices.tolist() == [4, 4]
    assert read_prices(content, column="mean of day").closes.prices.tolist() == [3, 3]
    assert read_prices(content, column="mean_of_day").closes.prices.tolist() == [3, 3]
    with pytest.raises(InvalidClosesError, match=r"has no column 'Median'\. It has 'date', 'Close', 'Adj Close', 'Mean of day'"):
        read_prices(content, column="Median")


def test_ranges_that_do_not_belong_to_the_column_are_not_read():
    content = days(["2020-01-01,1,2,1,2,3"], "date,open,high,low,close,vwap")
    ranges = read_prices(content).closes.ranges
    assert ranges is not None
    assert ranges.tolist() == [[1, 2, 1]]
    assert read_prices(content, column="vwap").closes.ranges is None


def test_adjusted_column_that_jumps_alone_is_warned_of_by_name():
    rows = [f"2020-01-0{day},{4 + day / 10},{1 if day < 5 else 4}" for day in range(1, 8)]
    (warning,) = read_prices(days(rows, "date,Close,Adj Close")).warnings
    assert (warning.code, warning.day) == ("suspicious_column", "2020-01-05")
    assert "'Adj Close' jumps on 2020-01-05, and 'Close' does not" in warning.text


def test_several_stocks_in_columns_need_a_choice():
    content = b"Price,Close,Close\nTicker,AAPL,MSFT\nDate,,\n2020-01-01,1,2\n"
    assert read_prices(content, "MSFT").closes.prices.tolist() == [2]
    with pytest.raises(InvalidClosesError, match="several stocks: AAPL, MSFT"):
        read_prices(content)


def test_yahoo_table_leaves_out_dividends():
    row = "{}, 2024\t1.00\t1.50\t0.50\t1.50\t1.25\t22,911,300"
    content = "\n".join([row.format("May 31"), "May 30, 2024\t0.75 Dividend", row.format("May 29")]).encode()
    file = read_prices(content)
    assert file.closes.prices.tolist() == [1.25, 1.25]
    assert [(item["reason"], item["lines"]) for item in file.left_out] == [("dividends and splits", [2])]


@pytest.mark.parametrize(
    "content",
    [
        b"1.5\n1.25\n",
        b"1.5, 1.25",
        b"[1.5, 1.25]",
        b"[1.5,\n1.25]",
        b" \n[\n  1.5,\n  1.25\n]\n",
        b"[1.5," + b"\n" * 200 + b"1.25]",
        b"[1.5, null, 1.25]",
        b'{"horizon": 5, "predict": [1.5, 125e-2]}',
        "1.5, 1.25".encode("utf-16"),
        b"1.5 1.25",
        b"1.5;1.25",
        b"1.5;1.25;",
        b"1.5,\n1.25\n",
    ],
)
def test_list_of_closes_needs_no_header(content):
    file = read_prices(content)
    assert file.closes.prices.tolist() == [1.5, 1.25]
    assert not file.dated
    assert file.as_of is None
    assert len(file.guesses) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"1,234.50, 1,235.60, 1,236.70",
        b"1,234.50,\n1,235.60,\n1,236.70,\n",
        b"1,234, 1,235, 1,236",
        b"150,43, 151,20, 152,10",
        b"150,43; 151,20; 152,10",
        b"150,43;\n151,20;\n152,10",
        b"150,43 151,20",
    ],
)
def test_list_with_commas_within_numbers_is_refused(content):
    with pytest.raises(InvalidClosesError, match="has no header"):
        read_prices(content)


YAHOO_ROW = "2024-05-{:02},{open},{high},{low},{close},{adjusted},{volume}"
YAHOO_VALUES = {"open": 10, "high": 12, "low": 9, "close": 11, "adjusted": "10.5", "volume": 2000}


@pytest.mark.parametrize(
    ("change", "is_read"),
    [
        ({}, True),
        ({"volume": "-"}, True),
        ({"adjusted": 2000, "volume": "10.5"}, False),
        ({"adjusted": 20, "volume": 10}, False),
        ({"volume": "10.5"}, False),
        ({"high": 10}, False),
        ({"low": "10.5"}, False),
        ({"open": 11, "high": 2000, "low": 10, "close": 12, "adjusted": 9, "volume": 7}, True),
        ({"open": 11, "high": 2000, "low": 12, "close": 10, "adjusted": 9, "volume": 7}, False),
        ({"adjusted": "x"}, False),
    ],
)
def test_seven_columns_without_a_header_are_those_of_yahoo_only_if_their_values_fit(change, is_read):
    content = "\n".join(YAHOO_ROW.format(day, **(YAHOO_VALUES | change)) for day in range(1, 10)).encode()
    if is_read:
        assert read_prices(content).columns["close"] == "Adj Close"
        return
    with pytest.raises(InvalidClosesError, match="has no header: 9 lines of 7 fields"):
        read_prices(content)


def test_small_volumes_are_not_adjusted_closes():
    rows = [f"2024-05-{day:02},185,190,180,186,{volume},9" for day, volume in enumerate([120, 35, 80], 1)]
    with pytest.raises(InvalidClosesError, match="has no header: 3 lines of 7 fields"):
        read_prices("\n".join(rows).encode())


def test_compressed_content_is_limited(file):
    content = gzip.compress(b"date,close\n" + (b" " * 999 + b"\n") * (MAX_UNPACKED_BYTES // 1000 + 1) + b"2020-01-01,1\n")
    with pytest.raises(InvalidClosesError, match="larger than 2 MiB when it is unpacked"):
        read_prices(content)
    file.write_bytes(content)
    assert len(read_prices(file).closes) == 1


def test_memory_stays_near_that_of_the_closes(file):
    n = 20_000
    with file.open("w") as stream:
        stream.write("date,close,note\n")
        stream.writelines(f"{day},1.5,{'x' * 100}\n" for day in np.datetime64("1000-01-01") + np.arange(n))
    tracemalloc.start()
    closes = read_prices(file).closes
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(closes) == n
    assert peak < 1_600_000  # bytes; 16 per close, and the sample; the file has 2,400,000


@pytest.mark.parametrize(("name", "why"), [("none.csv", "No such file or directory"), (".", "Is a directory")])
def test_unreadable_file_is_rejected_naming_it(tmp_path, name, why):
    with pytest.raises(DataUnavailableError) as caught:
        read_prices(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: {why}."


POINT_IN, COMMA_IN = "The point is read as {}, for example in {}.", "The comma is read as {}, for example in {}."
DECIMAL, THOUSANDS = "the decimal sign", "a separator of thousands"


@pytest.mark.parametrize(
    ("header", "rows", "last", "guess"),
    [
        ("Data;Último;Var%", ["131.856;0,35%", "129.210;-1,20%"], 129210.0, POINT_IN.format(THOUSANDS, "131.856")),
        ("Data;Último;Var%", ["5.185;0.35%", "5.210;-1.20%"], 5.21, POINT_IN.format(DECIMAL, "5.185")),
        ("Data;Fechamento;Vol.", ["131.856;1.234.567", "129.210;1.234.567"], 129210.0, POINT_IN.format(THOUSANDS, "131.856")),
        ("date;close", ["988", "1.002"], 1002.0, POINT_IN.format(THOUSANDS, "1.002")),
        ("date;close", ["1.131.856", "1.129.210"], 1129210.0, POINT_IN.format(THOUSANDS, "1.131.856")),
        ("date;close", ["131.856", "129.210"], 129.21, POINT_IN.format(DECIMAL, "131.856")),
        ("Date;Close", ["1,110", "987"], 987.0, COMMA_IN.format(THOUSANDS, "1,110")),
        ("Date;Close", ["987", "1,110"], 1110.0, COMMA_IN.format(THOUSANDS, "1,110")),
        ("Date;Close", ["1,234,567", "1,234,568"], 1234568.0, COMMA_IN.format(THOUSANDS, "1,234,567")),
        ("Date;Close;Volume", ["1,110;1,234,567", "1,112;1,000,000"], 1112.0, COMMA_IN.format(THOUSANDS, "1,110")),
        ("Datum\tSchlusskurs", ["150,438", "150,492"], 150.492, COMMA_IN.format(DECIMAL, "150,438")),
        ("日付\t終値", ["1,110", "1,120"], 1120.0, COMMA_IN.format(THOUSANDS, "1,110")),
    ],
)
def test_sign_before_three_digits_is_read_by_its_surroundings_and_named(header, rows, last, guess):
    delimiter = "\t" if "\t" in header else ";"
    file = read_prices(days([f"2026-01-0{day}{delimiter}{row}" for day, row in enumerate(rows, start=1)], header))
    assert file.closes.prices[-1] == last
    assert file.guesses == [guess]


@pytest.mark.parametrize(
    ("header", "price"),
    [
        ("Data;Último", "5.185"),
        ("Data;Último", "5,185"),
        ("Fecha;Cierre", "5,185"),
        ("Data;Fechamento", "131.856"),
        ("Date;Close", "1,110"),
        ("Date\tClose", "150,438"),
    ],
)
def test_sign_before_three_digits_that_nothing_explains_is_refused(header, price):
    delimiter = "\t" if "\t" in header else ";"
    with pytest.raises(InvalidClosesError) as caught:
        read_prices(days([f"2026-01-01{delimiter}{price}", f"2026-01-02{delimiter}{price}"], header))
    whole, rest = re.split("[.,]", price)
    assert f"such as {price}, in which the {'comma' if ',' in price else 'point'} may be the decimal sign or separate thousands. " in str(
        caught.value
    )
    assert f"Write {price} as {whole}.{rest}0 or as {whole}{rest}." in str(caught.value)
    for written, value in ((f"{whole}.{rest}0", float(f"{whole}.{rest}")), (f"{whole}{rest}", float(whole + rest))):
        assert read_prices(days([f"2026-01-01{delimiter}{written}"], header)).closes.prices.tolist() == [value]


def test_prices_of_both_forms_that_fit_both_are_refused():
    with pytest.raises(InvalidClosesError, match=r"such as 1\.234, in which the point may be"):
        read_prices(days(["2026-01-01;1.234", "2026-01-02;1,234"], "date;close"))


def test_only_stock_of_a_file_is_named_if_it_is_another_one():
    file = read_prices(b"date,symbol,close\n2026-01-01,AAPL,1.5\n2026-01-02,AAPL,1.6\n", "MSFT")
    assert "The only stock of the file is AAPL, not MSFT. It is read." in file.guesses


@pytest.mark.parametrize(
    "footer",
    [
        "Source: Yahoo Finance, retrieved May 31, 2024, all rights reserved",
        "Average,160.2",
        "Average,160.2\nHighest,170.1\n\nNote: closes are adjusted, see the site",
    ],
)
def test_notes_after_all_rows_are_left_out(footer):
    rows = ["2020-01-01,1.5", "2020-01-02,1.25"]
    file = read_prices(days([*rows, footer]))
    assert (file.total, file.left_out[0]["reason"], file.left_out[0]["lines"][0]) == (2, "neither a date nor a close", 4)


@pytest.mark.parametrize("row", ["Average,160.2\n2020-01-03,1", "2020-01-0x,1.5", ",1.5", "\n".join(["Average,1.5"] * 6)])
def test_rows_that_are_no_notes_are_wrong(row):
    with pytest.raises(InvalidClosesError, match="with wrong values, so it may be misread"):
        read_prices(days(["2020-01-01,1.5", row]))


def test_midnight_at_the_end_of_a_day_belongs_to_the_day():
    file = read_prices(days(["2020-01-01 24:00,1", "2020-01-02 24:00:00,2", "2020-01-03 24:00,3"]))
    assert file.closes.dates.astype(str).tolist() == ["2020-01-01", "2020-01-02", "2020-01-03"]
    for clock in ("24:01", "24:00:01", "25:00", "12:60", "12:00:99"):
        with pytest.raises(InvalidClosesError, match="1 row with wrong values"):
            read_prices(days(["2020-01-01,1", f"2020-01-02 {clock},2"]))


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
    file = read_prices(days(rows, header) if header else "\n".join(rows).encode())
    assert file.closes.dates.astype(object).tolist() == [hour.date() for hour in HOURS]
    assert file.closes.prices[-1] == 1.69
    assert [warning.code for warning in file.warnings][:1] == ["not_daily"]
    assert any(guess.startswith("The time of day is read from") for guess in file.guesses)


def test_wrong_time_of_day_is_named():
    hours = [datetime(2024, 1, 1) + timedelta(hours=index) for index in range(2010)]
    rows = [f"{hour:%Y-%m-%d,%H:%M},1" for hour in hours]
    with pytest.raises(InvalidClosesError) as caught:
        read_prices(days([*rows, "2024-06-01,late,1"], "Date,Time,Close"))
    assert caught.value.details == ["line 2012: date '2024-06-01 late', close '1'"]


def test_turnover_is_not_a_close():
    rows = ["2020-01-01,1000000,1.5", "2020-01-02,1000000,1.25"]
    assert read_prices(days(rows, "Data,Valor,Cotação")).closes.prices.tolist() == [1.5, 1.25]
    with pytest.raises(InvalidClosesError, match="needs a column `date` and a column `close`"):
        read_prices(days(rows, "Data,Valor,Quantidade"))


def test_json_says_what_it_ignores_and_counts_missing_closes():
    file = read_prices(b'{"predict": [1.5, null, 1.25, null, NaN], "horizon": 5, "above": [2]}')
    assert (file.total, file.guesses) == (2, ["The file is read as a list of closes. Its other keys are ignored: 'horizon', 'above'."])
    assert file.left_out == [{"rows": 3, "reason": "no close on that day", "lines": [1]}]


def test_only_stock_of_a_header_of_three_rows_is_named_if_it_is_another_one():
    content = b"Price,Close\nTicker,AAPL\nDate,\n2020-01-01,1.5\n2020-01-02,1.25\n"
    assert read_prices(content, "xom").guesses == ["The only stock of the file is AAPL, not XOM. It is read."]
    assert read_prices(content, "aapl").guesses == read_prices(content).guesses == []


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (
            "150,43\n" * 60,
            "60 lines of 2 fields, the first is '150,43'. If each line is one number with a decimal comma, write a decimal point: 150.43.",
        ),
        ("1 2 3 x 4 5", "If it is a list of closes, item 4 is 'x', which is not a number."),
        ("1.5\n1.25\nabc\n1.5", "If it is a list of closes, item 3 is 'abc', which is not a number."),
        ("1,234.50, 1,235.60", "If it is a list of closes, write them with decimal points, without separators of thousands"),
        ("185.00;250\n" * 30, "Add a first line that names the columns, such as `date,close`."),
    ],
)
def test_text_without_a_header_is_refused_with_what_keeps_it_from_being_read(content, advice):
    with pytest.raises(InvalidClosesError) as caught:
        read_prices(content.encode())
    assert advice in str(caught.value)


@pytest.mark.parametrize("line", ["$ {}", "${}", "{} USD", "R$ {}"])
@pytest.mark.parametrize(("text", "price"), [("100.50", 100.5), ("1,100.50", 1100.5), ("100,50", 100.5)])
def test_lines_of_one_price_with_a_currency_are_closes(line, text, price):
    assert read_prices("\n".join([line.format(text)] * 3).encode()).closes.prices.tolist() == [price] * 3


def test_log_names_symbol_reason_and_line(caplog):
    caplog.set_level("INFO")
    read_prices(days(["2020-01-01,0", *[f"20{year}-01-01,1" for year in range(21, 29)]]), "aal", part=Part(newest=7)).log()
    assert "Left out 1 row (line 2): a wrong value on a day that is not used (2020-01-01 has the close 0.0; a close must be" in caplog.text
    assert "AAL: The closes are not daily. They look yearly" in caplog.text
    read_prices(days(["2020-01-02,1", "2020-01-01,1"])).log()
    assert "The rows are newest first; their order is reversed." in caplog.text


@pytest.mark.parametrize(("minutes", "shown"), [(60, "1 hour."), (90, "1.5 hours."), (5, "5 minutes."), (1, "1 minute.")])
def test_time_between_closes_is_given_in_a_usual_unit(minutes, shown):
    start = datetime(2024, 5, 20)
    file = read_prices(days([f"{start + timedelta(minutes=minutes * index)},1" for index in range(8)]))
    assert f"The median time between two is {shown}" in file.warnings[0].text.replace("the median", "The median")
