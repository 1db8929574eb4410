import gzip
import logging
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from closes.files import read_csv
from closes.series import MAX_CLOSE, MIN_CLOSE, Closes, last_final_day, split_warnings
from closes.snapshot import SNAPSHOT, read_snapshot, snapshot_symbols
from closes.symbols import check_symbol, symbol_of
from errors import DataUnavailableError, InvalidClosesError, InvalidSymbolError
from processData import WINDOW, fit_scaler, load_closes, make_windows, relative_to_last
from settings import PROJECT_DIR, Settings

TWO_DAYS = ["2020-01-01", "2020-01-02"]
SYMBOLS = sorted("AAPL AMD BAC BBY CVX GE HD JNJ JPM KO LLY MRK MSFT PEP PFE PG RRC UNH WMT XOM".split())  # noqa: SIM905


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "closes.csv"


# CSV files


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
def test_csv_gives_dates_and_adjusted_closes(file, content):
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
def test_an_invalid_csv_file_is_rejected_in_one_printable_line(file, content, named, ending):
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
def test_wrong_row_is_refused_naming_it(file, content, details):
    file.write_text(f"date,close\n{content}\n")
    with pytest.raises(InvalidClosesError) as caught:
        read_csv(file)
    assert caught.value.details == details


def test_of_many_wrong_rows_five_are_named_and_all_counted(file):
    file.write_text("date,close\n" + "2020-01-01,x\n" * 100)
    with pytest.raises(InvalidClosesError, match="100 rows") as caught:
        read_csv(file)
    assert len(caught.value.details) == 5


@pytest.mark.parametrize(("name", "why"), [("none.csv", "No such file or directory"), (".", "Is a directory")])
def test_file_that_cannot_be_read_is_refused_naming_it(tmp_path, name, why):
    with pytest.raises(DataUnavailableError) as caught:
        read_csv(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: {why}."


# Series


def series(prices: list[float]) -> Closes:
    return Closes("X", "csv", np.arange(len(prices)).astype("datetime64[D]"), np.array(prices))


def csv_of(tmp_path: Path, days: list[str], prices: list[float]) -> Path:
    path = tmp_path / "closes.csv"
    path.write_text("date,close\n" + "".join(f"{day},{price}\n" for day, price in zip(days, prices, strict=True)))
    return path


@pytest.mark.parametrize(("ratio", "warned"), [(0.5, True), (2.0, True), (1 / 3, True), (0.1, True), (0.7, False), (1.3, False)])
def test_jump_like_a_split_is_warned_of_once(caplog, tmp_path, ratio, warned):
    load_closes("X", csv_path=csv_of(tmp_path, [f"2020-01-0{day}" for day in (1, 2, 3, 6)], [100, 101, 101 * ratio, 101 * ratio]))
    assert caplog.text.count("X: The close of 2020-01-03 is") == warned
    assert [warning.text.split(" times")[0] for warning in split_warnings(np.array([100, 100 * ratio]))] == [
        f"Close 2 is {ratio:.3g}"
    ] * warned


@pytest.mark.parametrize(("second", "warned"), [("2020-01-08", False), ("2020-01-09", True), ("2021-01-01", True)])
def test_a_gap_is_warned_of(caplog, tmp_path, second, warned):
    load_closes(csv_path=csv_of(tmp_path, ["2020-01-01", second], [1.0, 1.0]))
    assert (f"no closes between 2020-01-01 and {second}" in caplog.text) == warned


def test_flat_series_is_accepted_without_warning(caplog, tmp_path):
    assert len(load_closes(csv_path=csv_of(tmp_path, ["2020-01-01", "2020-01-02"], [5.0, 5.0]))) == 2
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_csv_counts_to_its_last_row_and_says_what_the_start_leaves_out(caplog, tmp_path):
    caplog.set_level(logging.INFO, "processData")
    closes = load_closes("acme", csv_path=csv_of(tmp_path, ["2009-12-31", "2010-01-01", "2099-01-01"], [1.0, 2.0, 3.0]))
    assert closes.last_date == "2099-01-01"
    assert closes.symbol == "ACME"
    assert "2 of 3 closes, 2010-01-01 to 2099-01-01" in caplog.text


@pytest.mark.parametrize("price", [MIN_CLOSE, MAX_CLOSE])
def test_prices_at_the_limits_are_accepted(price):
    assert series([price, price]).prices[0] == price


@pytest.mark.parametrize("price", [np.nan, np.inf, -np.inf, 0.0, -1.0, MIN_CLOSE / 10, MAX_CLOSE * 10])
def test_price_that_is_none_is_refused(price):
    with pytest.raises(InvalidClosesError) as caught:
        series([1.0, price])
    assert caught.value.details[0].startswith("1970-01-02 has the close ")


def test_between_includes_both_ends():
    part = series([1.0] * 10).between("1970-01-03", "1970-01-05")
    assert part.dates.astype(str).tolist() == ["1970-01-03", "1970-01-04", "1970-01-05"]


def test_between_without_closes_names_the_range_there_is():
    with pytest.raises(DataUnavailableError, match="X has no closes from 1980-01-01 to 1980-12-31; the file has 1970-01-01 to 1970-01-10"):
        series([1.0] * 10).between("1980-01-01", "1980-12-31")


# Sources


def test_snapshot_has_twenty_symbols_and_is_small():
    assert snapshot_symbols() == SYMBOLS
    assert SNAPSHOT.stat().st_size < 400_000


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_snapshot_has_every_day_of_each_symbol(symbol):
    closes = read_snapshot(symbol)
    assert (closes.symbol, closes.source, len(closes)) == (symbol, "snapshot", 3270)
    assert (closes.first_date, closes.last_date) == ("2010-01-04", "2022-12-28")


def test_snapshot_begins_with_the_known_close_of_msft():
    assert read_snapshot("MSFT").prices[0] == 23.572


def test_symbol_that_the_snapshot_has_not_is_refused_naming_those_it_has():
    with pytest.raises(DataUnavailableError, match="NOPE is not in the embedded snapshot") as caught:
        read_snapshot("NOPE")
    assert ", ".join(SYMBOLS) in str(caught.value)


def test_source_csv_reads_the_file_between_the_dates(file):
    file.write_text("date,close\n2020-01-01,1\n2020-01-02,1.1\n2020-01-03,1.2\n")
    closes = load_closes("MINE", "2020-01-02", "2020-01-03", source="csv", csv_path=file)
    assert (closes.symbol, closes.source, closes.prices.tolist()) == ("MINE", "csv", [1.1, 1.2])


def test_source_csv_without_a_file_is_an_error():
    with pytest.raises(DataUnavailableError, match="--csv PATH"):
        load_closes(source="csv")


def test_load_logs_what_it_used(caplog):
    caplog.set_level(logging.INFO, "processData")
    load_closes("KO", "2022-01-01", source="snapshot", settings=Settings())
    assert caplog.messages == ["KO: 249 closes, 2022-01-03 to 2022-12-28, from snapshot."]


@pytest.mark.parametrize("symbol", ["MSFT", "BRK-B", "^GSPC", "PETR4.SA", "EURUSD=X", "0700.HK", "A" * 15, "x"])
def test_symbol_is_accepted(symbol):
    check_symbol(symbol)


@pytest.mark.parametrize("symbol", ["", ".", "..", "../x", "/etc/passwd", "BRK/B", "A" * 16, "A B", "A\n", "A\0", "é", "²", "A;B", "A%2f"])
def test_symbol_that_is_none_is_refused_naming_it(symbol):
    with pytest.raises(InvalidSymbolError) as caught:
        check_symbol(symbol)
    assert repr(symbol) in str(caught.value)


@pytest.mark.parametrize(
    ("zone", "now", "last"),
    [
        ("Pacific/Auckland", "2026-11-23T19:30:00", "2026-11-22"),  # the 24th there, and New York still trades on the 23rd
        ("UTC", "2026-11-24T00:00:01", "2026-11-23"),
        ("America/Los_Angeles", "2026-11-24T00:00:01", "2026-11-23"),  # the 23rd there, and New York has closed
    ],
)
def test_the_last_final_day_does_not_depend_on_the_servers_clock(monkeypatch, zone, now, last):
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return moment.astimezone(tz or ZoneInfo(zone))

    monkeypatch.setattr("closes.series.datetime", Clock)
    assert last_final_day() == last


@pytest.mark.parametrize(("start", "warned"), [("1990-01-01", True), ("2010-01-01", False), ("2010-01-08", False)])
def test_series_that_begins_later_than_requested_is_warned_of(caplog, start, warned):
    load_closes("MSFT", start, source="snapshot")
    assert (f"the snapshot begins on 2010-01-04, later than the requested start, {start}" in caplog.text) == warned


# Windows


@pytest.mark.parametrize(("n", "horizon", "count"), [(61, 1, 1), (100, 1, 40), (80, 20, 1), (100, 5, 36)])
def test_windows_have_their_shapes(n, horizon, count):
    windows, targets = make_windows(np.arange(1.0, n + 1), horizon)
    assert (windows.shape, targets.shape) == ((count, WINDOW), (count, horizon))


@pytest.mark.parametrize("horizon", [1, 3])
def test_target_of_a_window_is_the_close_after_it(horizon):
    prices = np.arange(1.0, 101)
    windows, targets = make_windows(prices, horizon)
    for i, (window, target) in enumerate(zip(windows, targets, strict=True)):
        np.testing.assert_array_equal(window, prices[i : i + 60])
        np.testing.assert_array_equal(target, prices[i + 60 : i + 60 + horizon])
    assert targets[-1, -1] == prices[-1]


def test_windows_are_copies():
    prices = np.ones(100)
    make_windows(prices)[0][:] = 2
    assert prices.max() == 1


@pytest.mark.parametrize(("n", "horizon", "needed"), [(60, 1, 61), (0, 1, 61), (79, 20, 80)])
def test_too_few_closes_for_a_window_are_refused_naming_how_many_it_takes(n, horizon, needed):
    with pytest.raises(InvalidClosesError, match=f"{n} closes are too few.* need {needed}"):
        make_windows(np.ones(n), horizon)


def test_relative_windows_end_in_one_in_any_currency():
    windows = np.random.default_rng(0).uniform(1, 2, (5, WINDOW))
    relative = relative_to_last(windows)
    assert relative[:, -1].tolist() == [1.0] * 5
    np.testing.assert_allclose(relative_to_last(windows * 1000), relative, rtol=1e-14)


def test_scaler_maps_the_training_windows_to_zero_and_one():
    relative = np.random.default_rng(0).uniform(0.5, 1.5, (20, WINDOW))
    scaled = fit_scaler(relative).transform(relative.reshape(-1, 1))
    assert (scaled.min(), scaled.max()) == (pytest.approx(0), pytest.approx(1))


# Imports


@pytest.mark.parametrize("module", ["processData", "modelPredict", "models.holder", "app"])
def test_serving_modules_import_nothing_heavy(module):
    code = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_DIR, capture_output=True, text=True, check=True).stdout.split()
    assert "numpy" in loaded
    assert not {"pandas", "sklearn", "tensorflow", "keras", "yfinance", "mlflow", "onnx", "joblib", "scipy", "matplotlib"} & set(loaded)


@pytest.mark.parametrize(
    ("name", "symbol"), [("msft.csv", "MSFT"), ("BRK-B.csv", "BRK-B"), ("my closes.csv", "CSV"), ("prices_2024_final.csv", "CSV")]
)
def test_a_csv_file_is_called_by_its_name_where_that_can_be_a_symbol(name, symbol):
    assert symbol_of(Path("some") / name) == symbol
