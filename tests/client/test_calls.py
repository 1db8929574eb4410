"""Every call of the client against a real server."""

import asyncio
import gzip
import io
import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pytest
import requests

from closes.snapshot import read_snapshot
from stock_forecast_client import (
    AsyncClient,
    AuthenticationError,
    Client,
    Interval,
    InvalidInputError,
    InvalidValuesError,
    NotFoundError,
    RateLimitedError,
    Step,
)

pytestmark = pytest.mark.slow
SNAPSHOT = read_snapshot("MSFT")
CLOSES = SNAPSHOT.prices[-60:].tolist()
FIRST_DAYS = itertools.count(100, 200)  # each test that needs windows of its own takes the next
CSV = "Date,Close\n" + "".join(f"{day},{price}\n" for day, price in zip(SNAPSHOT.dates[-70:], SNAPSHOT.prices[-70:], strict=True))


@pytest.fixture
def call(ask, service):
    """Call a method at the shared service."""
    return lambda method, *arguments, **options: ask(method, *arguments, url=service.url, **options)


@pytest.fixture
def posted(service):
    """What the service answers without the client."""
    return lambda **body: requests.post(f"{service.url}/predict", json=body, timeout=30).json()


def test_one_window_is_what_the_service_answers(call, posted):
    forecast, raw = call("predict", CLOSES), posted(predict=CLOSES)
    assert forecast.predicted_price == raw["predicted_price"]
    assert forecast.last_close == CLOSES[-1]
    assert forecast.intervals == {float(level): tuple(bounds) for level, bounds in raw["intervals"].items()}
    assert forecast.intervals[80].low < forecast.predicted_price < forecast.intervals[80].high
    assert (forecast.model_version, forecast.model_symbol) == (raw["model_version"], None)
    assert (forecast.path, forecast.probability_above, forecast.warnings) == ((), (), ())
    assert forecast.response_time_sec > 0
    assert forecast.memory_usage_percent > 0


def test_newest_60_of_more_closes_are_used(call):
    assert call("predict", [1.0, *CLOSES]).predicted_price == call("predict", CLOSES).predicted_price


def test_options_of_one_window(call, posted):
    high, low = [close * 1.01 for close in CLOSES], [close * 0.99 for close in CLOSES]
    options = {"horizon": 3, "levels": [50, 97.5], "above": [230, 240], "open": CLOSES, "high": high, "low": low, "symbol": "MSFT"}
    forecast, raw = call("predict", CLOSES, **options), posted(predict=CLOSES, **options)
    assert list(forecast.intervals) == [50, 97.5]
    assert forecast.intervals[97.5] == Interval(*raw["intervals"]["97.5"])
    assert list(forecast.probability_above) == raw["probability_above"]
    last = raw["path"][2]
    bounds = {float(level): Interval(*interval) for level, interval in last["intervals"].items()}
    assert forecast.path[2] == Step(3, last["price"], bounds, None, tuple(last["probability_above"]))


def test_warning_has_code_day_and_text(call):
    warnings = {warning.code: warning for warning in call("predict", [*CLOSES[:-1], CLOSES[-2] / 2]).warnings}
    assert warnings["possible_split"].day is None
    assert warnings["possible_split"].text.endswith(".")


def test_batch_is_in_order(call):
    windows = [CLOSES, [close / 2 for close in CLOSES]]
    batch = call("predict_batch", windows, levels=[50], symbol="MSFT")
    assert [one.last_close for one in batch.predictions] == [window[-1] for window in windows]
    assert [list(one.intervals) for one in batch.predictions] == [[50], [50]]
    assert (len(batch.model_versions), batch.model_symbol, batch.labels) == (1, None, (0, 1))


def test_more_than_1024_windows_are_split(call, service):
    before = len(service.log.read_text().splitlines())
    windows = [[100 + number / 100 + day / 10 for day in range(60)] for number in range(1030)]
    batch = call("predict_batch", windows)
    assert [one.last_close for one in batch.predictions] == [window[-1] for window in windows]
    assert len(service.log.read_text().splitlines()) == before + 2


@pytest.mark.parametrize("form", ["path", "text path", "bytes", "open", "text", "gzip"])
def test_price_file_in_any_form(call, form, tmp_path):
    (tmp_path / "prices.csv").write_text(CSV)
    (tmp_path / "prices.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    files = {
        "path": tmp_path / "prices.csv",
        "text path": str(tmp_path / "prices.csv"),
        "bytes": CSV.encode(),
        "open": io.BytesIO(CSV.encode()),
        "text": io.StringIO(CSV),
        "gzip": tmp_path / "prices.csv.gz",
    }
    forecast = call("predict_file", files[form])
    assert forecast.as_of == date.fromisoformat(str(SNAPSHOT.dates[-1]))
    assert forecast.last_close == CLOSES[-1]
    assert (forecast.total, forecast.used, forecast.closes, forecast.guesses) == (70, 60, (), ())


def test_options_of_a_price_file(call):
    file = CSV.replace("Close", "Plain") + "2022-12-29,\n"
    options = {"horizon": 2, "levels": [50, 97.5], "above": [230], "closes": 2, "column": "Plain", "symbol": "MSFT"}
    forecast = call("predict_file", file.encode(), **options)
    assert list(forecast.intervals) == [50, 97.5]
    assert [step.step for step in forecast.path] == [1, 2]
    assert len(forecast.probability_above) == 1
    assert list(forecast.closes) == CLOSES[-2:]
    assert [str(day) for day in forecast.dates] == [str(day) for day in SNAPSHOT.dates[-2:]]
    assert forecast.columns == {"date": "Date", "close": "Plain"}
    assert [(row.rows, row.lines) for row in forecast.left_out] == [(1, (72,))]


def test_forecast_of_a_symbol(call, service):
    options = {"horizon": 2, "levels": [80, 97.5], "above": [150, 160], "closes": 3}
    forecast = call("forecast", "acme", **options)
    raw = requests.get(f"{service.url}/forecast/ACME?horizon=2&levels=80,97.5&above=150,160&closes=3", timeout=30).json()
    assert (forecast.symbol, forecast.source, forecast.calendar) == ("ACME", "yahoo", raw["calendar"])
    assert forecast.predicted_price == raw["predicted_price"]
    assert forecast.as_of.isoformat() == raw["as_of"]
    assert [step.date.isoformat() for step in forecast.path] == [step["date"] for step in raw["path"]]
    assert list(forecast.closes) == raw["closes"]
    assert [day.isoformat() for day in forecast.dates] == raw["dates"]
    assert forecast.calibration.own_scores == raw["calibration"]["own_scores"]
    assert list(forecast.calibration.pooled_symbols) == raw["calibration"]["pooled_symbols"]


def test_track_record_of_a_symbol_with_enough_closes(call, yahoo, monkeypatch):
    monkeypatch.setattr(yahoo, "dates", [date.fromisoformat(str(day)) for day in SNAPSHOT.dates[-1000:]])
    monkeypatch.setattr(yahoo, "closes", SNAPSHOT.prices[-1000:].tolist())
    monkeypatch.setattr(yahoo, "adjusted", yahoo.closes)
    forecast = call("forecast", "LONG")
    assert forecast.warnings[0].code == "old_data"
    assert forecast.warnings[0].day == forecast.as_of == forecast.track_record.last_date
    assert forecast.track_record.days == 250
    assert forecast.track_record.held[80] < forecast.track_record.held[95] <= 250
    assert 0 < forecast.track_record.median_width[80] < forecast.track_record.median_width[95]
    assert 0 < forecast.probability_of_rise < 1


def test_symbol_with_signs_reaches_the_service(call):
    assert call("forecast", "M&M.NS").symbol == "M&M.NS"
    assert call("forecast", "^GSPC").symbol == "^GSPC"


def test_unknown_symbol_is_not_found(call, yahoo):
    yahoo.known = {"ACME"}
    with pytest.raises(NotFoundError, match="NOSUCH") as caught:
        call("forecast", "NOSUCH")
    yahoo.known = None
    assert caught.value.status == 404


def test_backtest_of_the_published_model(call, service):
    backtest = call("backtest")
    rows = requests.get(f"{service.url}/backtest", timeout=30).text.splitlines()
    assert len(backtest.days) == len(rows) - 1
    day, cells = backtest.days[0], rows[1].split(",")
    assert [day.date.isoformat(), day.actual, day.predicted] == [cells[0], float(cells[1]), float(cells[2])]
    assert day.intervals == {80: tuple(map(float, cells[3:5])), 95: tuple(map(float, cells[5:7]))}
    assert (backtest.model_version, backtest.model_symbol, day.pit) == (None, None, None)
    with_pit = call("backtest", pit=True)
    assert len(with_pit.days) == len(rows) - 1
    assert all(0 <= day.pit <= 1 for day in with_pit.days)


def test_backtest_of_a_symbol(call):
    backtest = call("backtest", "ACME", days=3)
    assert len(backtest.days) == 3
    assert backtest.model_version == call("ready").model_version
    assert {day.pit for day in call("backtest", "ACME", days=3, pit=True).days} != {None}


def test_models(call):
    listed = call("models")
    assert [(model.symbol, model.default) for model in listed.models] == [("MSFT", True)]
    assert listed.models[0].created_at.tzinfo is UTC
    assert listed.models[0].last_date == date(2022, 12, 28)
    assert listed.models[0].metrics["n_days"] == 642
    assert listed.problems == ()


def test_monitor_health_and_ready(call):
    call("predict", CLOSES, symbol="KO")
    monitor = call("monitor", 1)
    newest = monitor.responses[-1]
    assert len(monitor.responses) == 1
    assert (newest.status, newest.symbol, newest.last_close, newest.horizon) == (200, "KO", CLOSES[-1], 1)
    assert abs((datetime.now(UTC) - newest.timestamp).total_seconds()) < 60
    assert monitor.summary.by_status[200] > 0
    assert monitor.summary.workers == 1
    assert monitor.summary.latency_seconds.p50 > 0
    assert monitor.summary.drift.needed > 0
    assert monitor.cpu_percent >= 0
    assert monitor.memory_percent > 0
    assert call("health") is True
    assert call("ready").problem is None


def test_live_accuracy_after_a_day_by_day_series(call):
    first = next(FIRST_DAYS)
    for day in range(first, first + 26):
        call("predict", SNAPSHOT.prices[day : day + 60], symbol=f"LIVE{first}")
    live = call("monitor", 1).summary.live_accuracy
    assert live.by_symbol[f"LIVE{first}"].n == 25
    assert live.n >= 25
    assert live.rmse > 0
    assert 0 <= live.coverage_80 <= live.coverage_95 <= 1
    assert live.first <= live.last
    assert live.caught_up


def test_error_of_the_service_has_status_message_details_and_request_id(call):
    with pytest.raises(InvalidValuesError) as caught:
        call("predict", CLOSES[:59], horizon=99)
    error = caught.value
    assert error.status == 422
    assert error.message == 'The body must have the form {"predict": [60 closes], "horizon": 1 to 20}.'
    assert len(error.details) == 2
    assert str(error) == " ".join([error.message, *error.details])
    assert error.request_id


@pytest.mark.parametrize(
    ("method", "arguments", "options", "message"),
    [
        ("predict", [[*CLOSES[:5], float("nan"), *CLOSES[6:]]], {}, r"closes\[5\] is nan"),
        ("predict", [[*CLOSES, None]], {}, r"closes\[60\] is not a number: None"),
        ("predict", [[CLOSES, CLOSES]], {}, "predict_batch"),
        ("predict", [CLOSES], {"above": ["much"]}, r"above\[0\] is not a number"),
        ("predict", [CLOSES], {"high": [float("inf")] * 60}, r"high\[0\] is inf"),
        ("predict", [5], {}, "closes must be a list, not 5"),
        ("predict", [[10**400] * 60], {}, r"closes\[0\] is not a number"),
        ("predict", [CLOSES], {"levels": 80}, "levels must be a list, not 80"),
        ("predict_batch", [5], {}, "windows must be a list, not 5"),
        ("predict_batch", [CLOSES], {}, r"windows\[0\] must be a list"),
        ("predict_batch", [[]], {}, "no windows"),
        ("predict_file", [CSV], {}, r"content of a file, not its path\. Pass it as bytes"),
        ("predict_file", [None], {}, "must be a path, bytes, an open file or a DataFrame, not NoneType"),
        ("forecast", [None], {}, "None is not a symbol"),
        ("predict_batch", [[CLOSES, ["x"] * 60]], {}, r"windows\[1\]\[0\]"),
        ("predict_file", ["no/such/file.csv"], {}, "no/such/file.csv cannot be read: No such file"),
        ("predict_file", [b"x" * (2 * 1024 * 1024 + 1)], {}, "2,097,153 bytes; the service takes 2,097,152"),
        ("forecast", ["../models"], {}, "'../models' is not a symbol"),
        ("backtest", [""], {}, "'' is not a symbol"),
        ("backtest", [], {"days": 5}, "days needs a symbol"),
    ],
)
def test_invalid_input_is_refused_before_a_request(ask, method, arguments, options, message):
    with pytest.raises(InvalidInputError, match=message):
        ask(method, *arguments, url="http://127.0.0.1:1", **options)


@pytest.fixture(scope="module")
def guarded(start):
    """A service with a key, a rate limit, and a prefix in its addresses."""
    return f"{start(API_KEY='secret', RATE_LIMIT='12/hour', SCRIPT_NAME='/stocks').url}/stocks"


def test_api_key_as_argument_and_from_the_environment(ask, guarded, monkeypatch):
    with pytest.raises(AuthenticationError, match="API key") as caught:
        ask("models", url=guarded)
    assert caught.value.status == 401
    assert ask("models", url=guarded, client={"api_key": "secret"}).models
    monkeypatch.setenv("STOCK_FORECAST_API_KEY", "secret")
    monkeypatch.setenv("STOCK_FORECAST_URL", f"{guarded}/")
    assert ask("models", url=None).models


def test_long_rate_limit_is_an_error_that_says_when_to_try_again(guarded):
    with Client(guarded, "secret") as client:
        outcomes = [caught(client.models) for _ in range(13)]
    assert outcomes[-1]
    assert (outcomes[-1].retry_after or 0) > 30


def caught(function):
    """The error that a function raises."""
    try:
        function()
    except RateLimitedError as error:
        return error
    return None


def test_url_and_key_are_checked_and_the_key_is_not_shown():
    for url in ("127.0.0.1:8010", "ftp://host", "http://", "http://host:x"):
        with pytest.raises(InvalidInputError, match="is not an address such as"):
            Client(url)
    with pytest.raises(InvalidInputError, match="API key"):
        Client(api_key="secret\n")
    with Client(api_key="secret") as client:
        assert repr(client) == "Client('http://127.0.0.1:8010')"


def test_client_is_shared_by_threads_and_by_tasks(service):
    with Client(service.url) as client, ThreadPoolExecutor(8) as pool:
        by_threads = list(pool.map(lambda number: client.predict([number + close for close in CLOSES]).last_close, range(40)))

    async def asking():
        async with AsyncClient(service.url) as client:
            return await asyncio.gather(*(client.predict([number + close for close in CLOSES]) for number in range(40)))

    by_tasks = [forecast.last_close for forecast in asyncio.run(asking())]
    assert by_threads == by_tasks == [number + CLOSES[-1] for number in range(40)]
