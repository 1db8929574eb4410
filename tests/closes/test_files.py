"""CSV files of closes: which are read, and how an invalid one is rejected."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from closes.files import read_csv
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
    closes = read_csv(file)
    assert closes.dates.astype(str).tolist() == TWO_DAYS
    assert closes.prices.tolist() == [1.5, 1.25]
    assert closes.prices.dtype == np.float64


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"date;close\n2020-01-01;1.5\n", "It has 'date;close'"),
        (b"date;close\n2020-01-01;1,5\n", "more fields than its header"),
        (b"date,close\n2020-01-01,1.5,\n", "more fields than its header"),
        (b"day,price\n2020-01-01,1.5\n", "It has 'day', 'price'"),
        (b"", "No columns to parse from file"),
        (b"date,close\n", "There are no closes"),
        (bytes(range(256)) * 20, "is not a CSV file with a header"),
        (b"\0" * 100, "It has "),
        (gzip.compress(b"date,close\n2020-01-01,1.5\n"), "is not a CSV file with a header"),
        ("date,close\n2020-01-01,1.5\n".encode("utf-16"), "is not a CSV file with a header"),
        (b'date,close\n"2020-01-01,1.5\n', "EOF inside string"),
    ],
    ids=["semicolon", "decimal comma", "comma at the end", "names", "empty", "header only", "binary", "NUL", "gzip", "UTF-16", "quote"],
)
@pytest.mark.parametrize("ending", [".csv", ".gz", ".zip"])
def test_invalid_csv_file_is_rejected_in_one_printable_line(file, content, named, ending):
    file = file.with_suffix(ending)
    file.write_bytes(content)
    with pytest.raises(InvalidClosesError) as caught:
        read_csv(file)
    assert named in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("content", "details"),
    [
        ("2020-01-01,1\n2020-01-02,", ["line 3: date '2020-01-02', close ''"]),
        ("2020-01-01,abc", ["line 2: date '2020-01-01', close 'abc'"]),
        ("2020-01-01,nan", ["line 2: date '2020-01-01', close 'nan'"]),
        ("2020-01-01,True", ["line 2: date '2020-01-01', close 'True'"]),
        ('2020-01-01,"1,000.5"', ["line 2: date '2020-01-01', close '1,000.5'"]),
        (",1", ["line 2: date '', close '1'"]),
        ("02/01/2020,1", ["line 2: date '02/01/2020', close '1'"]),
        ("2020-02-30,1", ["line 2: date '2020-02-30', close '1'"]),
        ("2020-01-01x,1", ["line 2: date '2020-01-01x', close '1'"]),
        ("\n2020-01-01,1\n\n2020-01-02,x", ["line 5: date '2020-01-02', close 'x'"]),
        ("2020-01-01,inf", ["line 2: 2020-01-01 has the close inf; a close must be a positive finite number"]),
        ("2020-01-01,1\n2020-01-02,0", ["line 3: 2020-01-02 has the close 0.0; a close must be a positive finite number"]),
        ("\n2020-01-01,1\n\n2020-01-02,0", ["line 5: 2020-01-02 has the close 0.0; a close must be a positive finite number"]),
        ("2020-01-01,-1.5", ["line 2: 2020-01-01 has the close -1.5; a close must be a positive finite number"]),
        ("2020-01-01,1\n2020-01-01,1", ["line 3: 2020-01-01 appears twice"]),
        ("2020-01-02,1\n\n2020-01-01,1", ["line 4: 2020-01-01 comes after 2020-01-02; sort the rows by date, oldest first"]),
    ],
)
def test_invalid_row_is_rejected_naming_it(file, content, details):
    file.write_text(f"date,close\n{content}\n")
    with pytest.raises(InvalidClosesError) as caught:
        read_csv(file)
    assert caught.value.details == details


def test_many_invalid_rows_are_counted_and_five_named(file):
    file.write_text("date,close\n" + "2020-01-01,x\n" * 100)
    with pytest.raises(InvalidClosesError, match="100 rows") as caught:
        read_csv(file)
    assert len(caught.value.details) == 5


@pytest.mark.parametrize(("name", "why"), [("none.csv", "No such file or directory"), (".", "Is a directory")])
def test_unreadable_file_is_rejected_naming_it(tmp_path, name, why):
    with pytest.raises(DataUnavailableError) as caught:
        read_csv(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: {why}."
