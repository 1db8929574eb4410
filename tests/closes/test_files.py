"""CSV files of closes: which are read, and how an invalid one is rejected."""

import gzip
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from price_files import table_of

from closes.files import Part, read_prices
from closes.textlines import MAX_UNPACKED_BYTES
from errors import DataUnavailableError, InvalidClosesError
from settings import PROJECT_DIR

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
        (b"date,symbol,close\n2020-01-01,A\tB,1\n2020-01-01,C,1\n", "has several stocks: A B, C."),
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


def test_compressed_content_is_limited(file):
    content = gzip.compress(b"date,close\n" + (b" " * 999 + b"\n") * (MAX_UNPACKED_BYTES // 1000 + 1) + b"2020-01-01,1\n")
    with pytest.raises(InvalidClosesError, match="larger than 2 MiB when it is unpacked"):
        read_prices(content)
    file.write_bytes(content)
    assert len(read_prices(file).closes) == 1


# Reads the file of its first argument. A process of its own, since threads of other tests allocate too.
MEASURE = """
import sys, tracemalloc
from pathlib import Path
from closes.files import read_prices
tracemalloc.start()
closes = read_prices(Path(sys.argv[1])).closes
print(len(closes), tracemalloc.get_traced_memory()[1])
"""


@pytest.mark.slow
def test_memory_stays_near_that_of_the_closes(file):
    n = 20_000
    with file.open("w") as stream:
        stream.write("date,close,note\n")
        stream.writelines(f"{day},1.5,{'x' * 100}\n" for day in np.datetime64("1000-01-01") + np.arange(n))
    done = subprocess.run([sys.executable, "-c", MEASURE, str(file)], cwd=PROJECT_DIR, check=True, capture_output=True, text=True)
    n_closes, peak = map(int, done.stdout.split())
    assert n_closes == n
    assert peak < 1_600_000  # bytes; 16 per close, and the sample; the file has 2,400,000


@pytest.mark.parametrize(("name", "why"), [("none.csv", "No such file or directory"), (".", "Is a directory")])
def test_unreadable_file_is_rejected_naming_it(tmp_path, name, why):
    with pytest.raises(DataUnavailableError) as caught:
        read_prices(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: {why}."


def test_log_names_symbol_reason_and_line(caplog):
    caplog.set_level("INFO")
    read_prices(table_of(["2020-01-01,0", *[f"20{year}-01-01,1" for year in range(21, 29)]]), "aal", part=Part(newest=7)).log()
    assert "Left out 1 row (line 2): a wrong value on a day that is not used (2020-01-01 has the close 0.0; a close must be" in caplog.text
    assert "AAL: The closes are not daily. They look yearly" in caplog.text
    read_prices(table_of(["2020-01-02,1", "2020-01-01,1"])).log()
    assert "The rows are newest first; their order is reversed." in caplog.text


@pytest.mark.parametrize(("minutes", "shown"), [(60, "1 hour."), (90, "1.5 hours."), (5, "5 minutes."), (1, "1 minute.")])
def test_time_between_closes_is_given_in_a_usual_unit(minutes, shown):
    start = datetime(2024, 5, 20)
    file = read_prices(table_of([f"{start + timedelta(minutes=minutes * index)},1" for index in range(8)]))
    assert f"The median time between two is {shown}" in file.warnings[0].text.replace("the median", "The median")
