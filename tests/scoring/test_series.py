"""modelPredict.py --in with a close per row: windows of each symbol, rejected rows, --newest."""

import json
import logging
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from closes.snapshot import read_snapshot
from errors import InvalidClosesError
from modelPredict import main
from models.loading import load_forecaster
from processData import WINDOW
from scoring.columns import find_form
from scoring.prepare import Prepared
from scoring.reading import Block
from scoring.series import SeriesWindows
from settings import PROJECT_DIR
from tests.scoring.test_score import assert_forecasts, score, write

SERIES = {symbol: read_snapshot(symbol).part(slice(0, days)) for symbol, days in {"MSFT": 150, "AAPL": 60, "KO": 300}.items()}


@pytest.fixture(scope="module")
def forecaster():
    return load_forecaster(PROJECT_DIR / "modelFiles")


DAY = pa.date32()


def table(series=SERIES, dates=DAY):
    symbols = [symbol for symbol, closes in series.items() for _ in range(len(closes))]
    days = np.concatenate([closes.dates for closes in series.values()])
    closes = np.concatenate([closes.prices for closes in series.values()])
    return pa.table({"symbol": symbols, "date": pa.array(days).cast(dates), "close": closes})


def changed(rows, changes):
    """The table with other cells: {(row, name): value}, rows counted from 1."""
    content = rows.to_pylist()
    for (row, name), value in changes.items():
        content[row - 1][name] = value
    return pa.Table.from_pylist(content, schema=rows.schema)


def windows_of(prices):
    return np.lib.stride_tricks.sliding_window_view(prices, WINDOW).copy()


EXPECTED = np.concatenate([windows_of(closes.prices) for closes in SERIES.values()])
ENDS = [(symbol, day) for symbol, closes in SERIES.items() for day in closes.dates[WINDOW - 1 :].tolist()]


@pytest.mark.parametrize("block", [8192, 64, 7])
@pytest.mark.parametrize("name", ["in.parquet", "in.csv"])
def test_every_day_from_the_60th_on_has_a_forecast(tmp_path, forecaster, monkeypatch, caplog, name, block):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("scoring.reading.BLOCK", block)
    out, rejects = score(write(tmp_path / name, table()))
    assert_forecasts(out, EXPECTED, forecaster)
    assert rejects == {}
    assert [(symbol, str(day)) for symbol, day in zip(out["symbol"].to_pylist(), out["date"].to_pylist(), strict=True)] == [
        (symbol, str(day)) for symbol, day in ENDS
    ]
    assert f"510 rows = {len(ENDS)} forecasts + 0 rejected + {3 * 59} rows without a window of their own." in caplog.messages


@pytest.mark.parametrize("block", [8192, 7])
def test_newest_gives_the_last_window_of_each_symbol(tmp_path, forecaster, monkeypatch, caplog, block):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("scoring.reading.BLOCK", block)
    short = SERIES | {"XOM": read_snapshot("XOM").part(slice(0, 59))}
    out, rejects = score(write(tmp_path / "in.parquet", table(short)), "--newest")
    assert out["symbol"].to_pylist() == ["MSFT", "AAPL", "KO"]
    assert out["date"].to_pylist() == [closes.dates[-1].item() for closes in SERIES.values()]
    assert_forecasts(out, np.stack([closes.prices[-WINDOW:] for closes in SERIES.values()]), forecaster)
    assert rejects == {569: "XOM has 59 valid closes, a window 60"}
    assert "569 rows = 3 forecasts + 1 rejected + 565 rows without a window of their own." in caplog.messages


@pytest.mark.parametrize("block", [8192, 7])
def test_wrong_rows_are_rejected_and_windows_continue_over_them(tmp_path, forecaster, monkeypatch, block):
    monkeypatch.setattr("scoring.reading.BLOCK", block)
    closes = SERIES["MSFT"]
    rows = table({"MSFT": closes}, pa.string())
    wrong = {
        (70, "close"): None, (71, "close"): -1.0, (90, "date"): "03/01/2020", (91, "date"): rows["date"][88].as_py(), (100, "symbol"): None,
    }  # fmt: skip
    out, rejects = score(write(tmp_path / "in.parquet", changed(rows, wrong)))
    assert {row: reason.partition(",")[0] for row, reason in rejects.items() if row < 100} == {
        70: "close is missing",
        71: "close is -1.0",
        90: "the date is missing or not like 2020-01-31",
        91: "the date is not after that of the row before it",
    }
    assert rejects[100] == "the symbol is missing"
    assert set(range(101, 151)) < set(rejects)  # the rows of MSFT are not together any more
    assert rejects[101] == "the rows of MSFT are not together; sort the file by symbol and date"
    used = np.delete(closes.prices[:99], [69, 70, 89, 90])
    assert_forecasts(out, windows_of(used), forecaster)


def test_symbol_that_appears_again_is_rejected_row_by_row(tmp_path, forecaster):
    again = pa.concat_tables([table(), table({"MSFT": SERIES["MSFT"]})])
    out, rejects = score(write(tmp_path / "in.parquet", again))
    assert_forecasts(out, EXPECTED, forecaster)
    assert list(rejects) == list(range(511, 661))


def test_file_without_symbols_is_one_series(tmp_path, forecaster):
    out, _ = score(write(tmp_path / "in.csv", table({"KO": SERIES["KO"]}).drop_columns(["symbol"])))
    assert out.column_names[0] == "date"
    assert_forecasts(out, windows_of(SERIES["KO"].prices), forecaster)


def test_text_in_place_of_a_close_is_named(tmp_path):
    rows = table({"KO": SERIES["KO"]})
    texts = rows.set_column(2, "close", rows["close"].cast(pa.string()))
    _, rejects = score(write(tmp_path / "in.csv", changed(texts, {(80, "close"): "n.v."})))
    assert rejects == {80: "close is not a number: 'n.v.'"}


def test_newest_is_refused_for_a_window_per_row(tmp_path):
    source = write(tmp_path / "in.parquet", pa.table({"window": EXPECTED.tolist()}))
    with pytest.raises(InvalidClosesError, match="--newest is for files with a close per row"):
        main(["--in", str(source), "--out", str(tmp_path / "out.csv"), "--newest"])


@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("cut", [1, 59, 60, 149, 150, 151, 209, 210, 400])
def test_state_of_a_part_continues_where_the_part_ends(newest, cut):
    """What a killed run saves is enough: the same windows and rejects as without the kill."""
    rows = table().combine_chunks().to_batches()[0]
    form = find_form(rows.schema, "in")

    def blocks(*parts):
        given: list[Prepared] = []
        state: list[dict[str, Any]] = []
        for first, last in parts:
            windows = SeriesWindows(form, newest=newest)
            windows.restore(json.loads(json.dumps(state)))
            numbers = np.arange(first + 1, last + 1)
            given.append(windows.prepare(Block(rows.slice(first, last - first), numbers)))
            state.append(given[-1].state)
        given.append(windows.finish(rows.schema))
        return given

    whole, resumed = blocks((0, 510)), blocks((0, cut), (cut, 510))
    joined = [np.concatenate([block.windows for block in given]) for given in (whole, resumed)]
    np.testing.assert_array_equal(joined[0], joined[1])
    rejects = [[reject for block in given for reject in block.rejects] for given in (whole, resumed)]
    assert rejects[0] == rejects[1]
    assert sum(block.without for block in whole) == sum(block.without for block in resumed)
    carried = [pa.Table.from_batches([block.carried for block in given]) for given in (whole, resumed)]
    assert carried[0].equals(carried[1])
