"""Rows of price files: wrong ones, lost fields, notes."""

from pathlib import Path

import numpy as np
import pytest
from price_files import table_of

from closes.files import Part, read_prices
from errors import InvalidClosesError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "closes.csv"


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
    content = table_of([f"{np.datetime64('2024-01-01') + i},{row(i)}" for i in ROWS], header)
    if is_read:
        assert read_prices(content).total == len(ROWS)
        return
    with pytest.raises(InvalidClosesError, match=r"has whole closes, each with \d digits after the next comma, such as .*decimal point"):
        read_prices(content)


@pytest.mark.parametrize("error", ["#DIV/0!", "#REF!", "#VALUE!", "#NUM!", "#NAME?", "#NULL!"])
def test_error_of_a_spreadsheet_is_a_day_without_a_close(error):
    file = read_prices(table_of(["2020-01-01,1.5", f"2020-01-02,{error}", "2020-01-03,1.5"]))
    assert file.left_out == [{"rows": 1, "reason": "no close on that day", "lines": [3]}]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2020-01-01,0x10", "The input has 1 row with wrong values, so it may be misread. Fix or remove it."),
        ("2020-01-03,0", "The input has 1 row with wrong values among the closes that are used. Fix or remove it."),
    ],
)
def test_wrong_row_is_refused_with_the_reason(row, message):
    rows = ["2019-01-01,1", row, *[f"2020-01-0{day},1" for day in range(4, 9)]]
    with pytest.raises(InvalidClosesError) as caught:
        read_prices(table_of(rows), part=Part(newest=6))
    assert str(caught.value) == message


def test_many_wrong_rows_are_counted_and_five_named(file):
    file.write_text("date,close\n" + "2020-01-01,x\n" * 100)
    with pytest.raises(InvalidClosesError, match="100 rows") as caught:
        read_prices(file)
    assert len(caught.value.details) == 5


@pytest.mark.parametrize(("notes", "is_read"), [(20, True), (21, False)])
def test_lines_that_are_not_rows_are_left_out_if_they_are_few(notes, is_read):
    content = table_of(["2020-01-01,1", "2020-01-02,1", *["2020-01-03;1"] * notes])
    if is_read:
        assert read_prices(content).left_out == [{"rows": 20, "reason": "neither a date nor a close", "lines": [4, 5, 6, 7, 8]}]
        return
    with pytest.raises(InvalidClosesError, match=r"has 21 lines with neither a date nor a close, from line 4 on\. They may have another"):
        read_prices(content)


def test_row_that_lost_a_field_is_wrong():
    rows = [f"2020-01-0{day},9,1.5,7" for day in range(1, 9)]
    with pytest.raises(InvalidClosesError) as caught:
        read_prices(table_of([*rows, "2020-01-09,1.5,7"], "date,open,close,volume"))
    assert caught.value.details == ["line 10: has 3 fields, other rows have 4 or more"]
    with pytest.raises(InvalidClosesError, match="1 row with wrong values"):
        read_prices(
            table_of([f"2020-01-{day:02},9,1.5,7," for day in range(1, 29)] + ["2020-01-29,1.5,7,"], "date,open,close,volume,notes")
        )
    notes = read_prices(table_of([*rows, "2020-01-09,9,1.5,7,note"], "date,open,close,volume,notes"))
    assert notes.total == 9


def test_file_with_wrong_rows_only_is_rejected_early(file):
    file.write_text("date,close\n" + "2020-01-01,x\n" * 20_000)
    with pytest.raises(InvalidClosesError, match="more than 10000 rows"):
        read_prices(file)
    file.write_text("date,close\n" + "x\n" * 20_000)
    with pytest.raises(InvalidClosesError, match="more than 10000 lines with neither a date nor a close"):
        read_prices(file)


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
    file = read_prices(table_of([*rows, footer]))
    assert (file.total, file.left_out[0]["reason"], file.left_out[0]["lines"][0]) == (2, "neither a date nor a close", 4)


@pytest.mark.parametrize("row", ["Average,160.2\n2020-01-03,1", "2020-01-0x,1.5", ",1.5", "\n".join(["Average,1.5"] * 6)])
def test_rows_that_are_no_notes_are_wrong(row):
    with pytest.raises(InvalidClosesError, match="with wrong values, so it may be misread"):
        read_prices(table_of(["2020-01-01,1.5", row]))
