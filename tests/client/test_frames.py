"""pandas and NumPy in and out. pandas is not needed for anything else."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from closes.snapshot import read_snapshot
from settings import PROJECT_DIR
from stock_forecast_client import InvalidInputError

pytestmark = pytest.mark.slow
SNAPSHOT = read_snapshot("MSFT")
CLOSES = pd.Series(SNAPSHOT.prices[-90:], index=pd.to_datetime(SNAPSHOT.dates[-90:]), name="Close")
PRICES = pd.DataFrame({"Open": CLOSES * 0.999, "High": CLOSES * 1.01, "Low": CLOSES * 0.99, "Close": CLOSES, "Volume": 1})
RANGES = {name.lower(): PRICES[name] for name in ("Open", "High", "Low")}


@pytest.fixture
def call(ask, service):
    return lambda method, *arguments, **options: ask(method, *arguments, url=service.url, **options)


def bounds(forecast):
    return [forecast.predicted_price, *forecast.intervals[80], *forecast.intervals[95]]


@pytest.mark.parametrize(
    "closes",
    [CLOSES, CLOSES.iloc[::-1], CLOSES.to_numpy(), CLOSES.to_numpy().astype("float32"), tuple(CLOSES), CLOSES.to_frame()],
    ids=["Series", "newest first", "array", "float32", "tuple", "DataFrame"],
)
def test_closes_in_any_form_give_the_same(call, closes):
    assert bounds(call("predict", closes)) == pytest.approx(bounds(call("predict", list(CLOSES)[-60:])), rel=1e-6)


def test_ranges_of_a_frame_are_used(call):
    forecast = call("predict", PRICES)
    assert bounds(forecast) == bounds(call("predict", CLOSES, **RANGES))
    assert bounds(forecast) != bounds(call("predict", CLOSES))
    assert bounds(call("predict", PRICES.rename(columns=str.upper).iloc[::-1])) == bounds(forecast)


def test_adjusted_close_is_preferred_and_adjusts_the_ranges(call):
    factor = np.where(np.arange(90) < 60, 0.5, 1)
    raw = PRICES.drop(columns="Volume").div(factor, axis=0).assign(**{"Adj Close": PRICES["Close"]})
    assert bounds(call("predict", raw)) == pytest.approx(bounds(call("predict", PRICES)), rel=1e-12)


def test_columns_of_one_symbol_with_two_levels_as_yfinance_gives_them(call):
    two_levels = PRICES.set_axis(pd.MultiIndex.from_product([PRICES.columns, ["MSFT"]], names=["Price", "Ticker"]), axis=1)
    assert bounds(call("predict", two_levels)) == bounds(call("predict", PRICES))


def test_frame_of_several_symbols_is_refused_with_the_call_to_use(ask):
    with pytest.raises(InvalidInputError, match=r"no single column Close, but: MSFT, KO\. Use predict_batch"):
        ask("predict", pd.DataFrame({"MSFT": CLOSES, "KO": CLOSES}), url="http://127.0.0.1:1")


def test_missing_close_is_named(ask):
    with pytest.raises(InvalidInputError, match=r"closes\[89\] is nan\. Remove or fill"):
        ask("predict", CLOSES.where(CLOSES.index < CLOSES.index[-1]), url="http://127.0.0.1:1")


def test_each_column_of_a_batch_is_a_window(call):
    batch = call("predict_batch", pd.DataFrame({"MSFT": CLOSES, "HALF": CLOSES / 2}).iloc[::-1], levels=[80])
    frame = batch.to_frame()
    assert batch.labels == ("MSFT", "HALF")
    assert list(frame.index) == ["MSFT", "HALF"]
    assert list(frame.columns) == ["last_close", "price", "low_80", "high_80"]
    assert frame.loc["HALF", "last_close"] == CLOSES.iloc[-1] / 2
    assert frame.loc["HALF", "low_80"] == batch.predictions[1].intervals[80].low


def test_rows_of_an_array_are_windows(call):
    windows = np.lib.stride_tricks.sliding_window_view(CLOSES.to_numpy(), 60)
    batch = call("predict_batch", windows)
    assert [one.last_close for one in batch.predictions] == windows[:, -1].tolist()
    assert list(batch.to_frame().index) == list(range(31))


def test_frame_as_a_price_file(call):
    forecast = call("predict_file", PRICES, closes=90)
    assert forecast.as_of == CLOSES.index[-1].date()
    assert list(forecast.closes) == list(CLOSES)
    assert bounds(forecast) == bounds(call("predict", PRICES))


def test_path_as_a_frame(call):
    forecast = call("predict", CLOSES, horizon=3, levels=[80, 97.5], above=[230, 240])
    frame = forecast.to_frame()
    assert list(frame.columns) == ["price", "low_80", "high_80", "low_97.5", "high_97.5", "above_1", "above_2"]
    assert (frame.index.name, list(frame.index)) == ("step", [1, 2, 3])
    assert frame.loc[2, "high_97.5"] == forecast.path[1].intervals[97.5].high
    assert frame.loc[3, "above_2"] == forecast.path[2].probability_above[1]
    assert call("predict", CLOSES).to_frame().loc[1, "price"] == forecast.predicted_price


def test_path_of_a_symbol_has_dates(call):
    forecast = call("forecast", "ACME", horizon=2)
    assert list(forecast.to_frame()["date"]) == [pd.Timestamp(step.date) for step in forecast.path]


def test_backtest_models_and_monitor_as_frames(call):
    backtest = call("backtest", "ACME", days=3)
    frame = backtest.to_frame()
    assert list(frame.columns) == ["actual", "predicted", "low_80", "high_80", "low_95", "high_95"]
    assert list(frame.index) == [pd.Timestamp(day.date) for day in backtest.days]
    assert call("models").to_frame().loc[0, ["symbol", "n_days"]].tolist() == ["MSFT", 642]
    requests = call("monitor", 2).to_frame()
    assert (len(requests), requests.index.name, requests["status"].iloc[-1]) == (2, "timestamp", 200)
    assert call("monitor", 0).to_frame().empty


def test_client_works_without_pandas_and_numpy_and_names_what_is_missing():
    code = f"""
import sys
sys.path.insert(0, {str(PROJECT_DIR / "client")!r})
sys.modules["pandas"] = sys.modules["numpy"] = None  # importing them fails
import stock_forecast_client as client
forecast = client.Forecast(1.0, 1.0, {{80.0: client.Interval(0.9, 1.1)}}, (), 0.001, 5.0, "v", None)
try:
    forecast.to_frame()
except client.StockForecastError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "pandas is not installed. Run: pip install 'stock-forecast-client[pandas]'\n"
