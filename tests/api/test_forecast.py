"""GET /forecast/<symbol>: forecasts of a symbol's newest closes, fallbacks and errors."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import numpy as np
import pytest
from log_rows import logged

from api.symbol import forecast_symbol, record_of
from app import STATE, create_app
from closes.calendar import calendar_of
from closes.series import Closes
from closes.snapshot import read_snapshot
from forecast.calibration import scores_of
from forecast.forecaster import Question
from forecast.track import own_distribution, track

CLOSES = read_snapshot("MSFT").prices[-60:].tolist()


@pytest.fixture
def with_yahoo(settings, yahoo):
    """A client of a service that reaches the stub of Yahoo Finance, whose last close is yesterday's."""
    yahoo.end_on(datetime.now(UTC).date() - timedelta(days=1))
    return create_app(settings.model_copy(update={"YAHOO_URL": yahoo.url, "YAHOO_TIMEOUT": 1.0})).test_client()


def test_forecast_equals_predict_on_the_newest_closes(with_yahoo, yahoo, settings):
    answer = with_yahoo.get("/forecast/acme?horizon=3")
    assert answer.status_code == 200
    body = answer.json
    assert (body["symbol"], body["as_of"], body["source"]) == ("ACME", yahoo.dates[-1].isoformat(), "yahoo")
    same = with_yahoo.post("/predict", json={"predict": yahoo.adjusted[-60:], "horizon": 3}).json
    assert set(body) == {"symbol", "as_of", "source", "calendar", "calibration", "track_record", "probability_of_rise", *same}
    assert body["warnings"] == same["warnings"]
    assert (body["calendar"], body["calibration"]["volatility"]) == ("XNYS", "ranges")
    days = calendar_of("ACME").days_after(np.datetime64(yahoo.dates[-1]), 3)
    assert [step["date"] for step in body["path"]] == days.astype(str).tolist()
    assert [body[field] for field in ("predicted_price", "last_close")] == pytest.approx([same["predicted_price"], same["last_close"]])
    assert [step["price"] for step in body["path"]] == pytest.approx([step["price"] for step in same["path"]])
    assert [row["symbol"] for row in logged(settings)] == ["ACME", ""]


def test_forecast_has_path_and_closes_only_on_request(with_yahoo, yahoo):
    plain = with_yahoo.get("/forecast/ACME").json
    assert not {"path", "dates", "closes"} & set(plain)
    assert len(with_yahoo.get("/forecast/ACME?horizon=1").json["path"]) == 1
    shown = with_yahoo.get("/forecast/ACME?closes=5").json
    assert shown["dates"] == [day.isoformat() for day in yahoo.dates[-5:]]
    assert shown["closes"] == pytest.approx(yahoo.adjusted[-5:])
    assert len(with_yahoo.get("/forecast/ACME?closes=1000").json["closes"]) == len(yahoo.dates)
    assert yahoo.calls == 1


def test_forecast_names_its_fallback_source_when_yahoo_fails(client):
    answer = client.get("/forecast/MSFT")
    assert answer.status_code == 200
    assert (answer.json["source"], answer.json["as_of"], answer.json["last_close"]) == ("snapshot", "2022-12-28", CLOSES[-1])
    failed, old = answer.json["warnings"]
    text = "Yahoo Finance: it cannot be reached. These closes are from the snapshot and end on 2022-12-28."
    assert failed == {"code": "source_fallback", "day": "2022-12-28", "text": text}
    assert (old["code"], old["day"]) == ("old_data", "2022-12-28")
    assert old["text"].startswith("The last close is from 2022-12-28, ")
    assert client.get("/forecast/MSFT").json["predicted_price"] == client.post("/predict", json={"predict": CLOSES}).json["predicted_price"]


def test_forecast_takes_levels_and_prices(client):
    body = client.get("/forecast/MSFT?horizon=2&levels=60,97.5&above=200,240").json
    assert list(body["intervals"]) == ["60", "97.5"]
    for step in [body, *body["path"]]:
        above_200, above_240 = step["probability_above"]
        assert 1 > above_200 > above_240 > 0


@pytest.mark.parametrize("query", ["levels=40", "levels=", "levels=80,80", "levels=x", "above=-1", "above=nan", "above=1,1"])
def test_forecast_rejects_invalid_levels_and_prices(client, query):
    answer = client.get(f"/forecast/MSFT?{query}")
    assert answer.status_code == 422
    name = query.partition("=")[0]
    assert answer.json["error"].startswith(f"{name} must be ")
    assert answer.json["details"][0].startswith(name)


def test_forecast_has_the_calibration_and_the_track_record_of_the_symbol(client):
    body = client.get("/forecast/AMD").json
    newest = read_snapshot("AMD")
    closes = Closes("AMD", "snapshot", newest.dates[-1000:], newest.prices[-1000:])
    forecaster = client.application.extensions[STATE].service.models.current()
    scores = scores_of(closes.prices)
    distribution = own_distribution(scores, forecaster.distribution)
    expected = forecaster.forecast(closes.prices[None, -60:]).calibrated(distribution).as_dict(0)
    assert body["intervals"] == expected["intervals"]
    assert body["intervals"] != client.post("/predict", json={"predict": closes.prices[-60:].tolist()}).json["intervals"]
    assert (body["calibration"]["own_scores"], len(body["calibration"]["pooled_symbols"])) == (len(scores), 20) == (921, 20)
    assert (body["calibration"]["own_from"], body["calibration"]["own_to"]) == (str(closes.dates[60]), "2022-12-28")
    result = track(forecaster, closes, 250)
    record = body["track_record"]
    assert (record["days"], record["first_date"], record["last_date"]) == (250, str(closes.dates[-250]), "2022-12-28")
    for level, (low, high) in result.bounds.items():
        assert record["held"][str(level)] == int(((low <= result.actual) & (result.actual <= high)).sum())
        widths = [(top - bottom) / close for bottom, top, close in zip(low, high, closes.prices[-251:-1], strict=True)]
        assert record["median_width"][str(level)] == pytest.approx(np.median(widths))
    assert record["rmse_ratio"] == pytest.approx(1, abs=0.01)


def test_probability_of_a_rise_is_that_of_a_close_above_the_last_one(client):
    plain = client.get("/forecast/AMD").json
    asked = client.get(f"/forecast/AMD?horizon=20&above={plain['last_close']}").json
    assert plain["probability_of_rise"] == asked["probability_of_rise"] == asked["probability_above"][0]
    assert 0.4 < plain["probability_of_rise"] < 0.6


def test_path_of_an_unknown_exchange_has_weekdays_and_says_so(with_yahoo, yahoo):
    yahoo.exchange = "QQQ"
    body = with_yahoo.get("/forecast/ABC.QQ?horizon=20").json
    assert body["calendar"] == "weekdays"
    assert all(np.is_busday(step["date"]) for step in body["path"])
    assert body["warnings"][-1]["code"] == "unknown_calendar"
    assert "unknown_calendar" not in [warning["code"] for warning in with_yahoo.get("/forecast/ABC.QQ").json["warnings"]]


def test_unusable_ranges_of_a_symbol_are_named(with_yahoo, yahoo):
    yahoo.range = dict.fromkeys(("open", "high", "low"), 1.0)
    body = with_yahoo.get("/forecast/ACME").json
    assert body["calibration"]["volatility"] == "closes"
    assert "unusable_ranges" in [warning["code"] for warning in body["warnings"]]


def test_symbol_record_is_computed_once(client, monkeypatch):
    first = client.get("/forecast/AMD").json
    monkeypatch.setattr("api.service.record_of", None)
    assert client.get("/forecast/AMD").json["track_record"] == first["track_record"]


def test_forecast_requests_are_logged_with_their_symbol(client, settings):
    answer = client.get("/forecast/amd?levels=60").json
    client.get("/forecast/AMD?horizon=99")
    client.get("/forecast/.AMD")
    client.get("/forecast/UNKNOWN")
    rows = logged(settings)
    assert [(row["status"], row["symbol"]) for row in rows] == [("200", "AMD"), ("422", "AMD"), ("422", ""), ("503", "UNKNOWN")]
    assert float(rows[0]["predicted_price"]) == answer["predicted_price"]
    assert float(rows[0]["low_80"]) < answer["intervals"]["60"][0]


def test_symbol_backtest_is_the_track_record_as_csv(client):
    answer = client.get("/backtest/AMD?days=30")
    assert (answer.status_code, answer.mimetype) == (200, "text/csv")
    header, *rows = answer.text.splitlines()
    assert header == "date,actual,predicted,low_80,high_80,low_95,high_95"
    assert (len(rows), rows[-1].partition(",")[0]) == (30, "2022-12-28")
    assert len(client.get("/backtest/AMD").text.splitlines()) == 251
    with_pit = client.get("/backtest/AMD?pit=1").text.splitlines()
    assert with_pit[0] == f"{header},pit"
    record = client.get("/forecast/AMD").json["track_record"]
    pit = [float(row.rpartition(",")[2]) for row in with_pit[1:]]
    assert {level: sum(abs(value - 0.5) <= int(level) / 200 for value in pit) for level in ("80", "95")} == record["held"]


@pytest.mark.parametrize(
    ("path", "status"), [("AMD?days=0", 422), ("AMD?days=941", 422), ("AMD?days=x", 422), ("AMD?pit=2", 422), (".AMD", 422), ("NONE", 503)]
)
def test_symbol_backtest_rejects_an_invalid_request(client, path, status):
    assert client.get(f"/backtest/{path}").status_code == status


@pytest.mark.parametrize("symbol", [".MSFT", "A" * 33, "MS FT", "%00", "é", "A;B", "<b>"])
def test_forecast_rejects_a_malformed_symbol(client, symbol):
    answer = client.get(f"/forecast/{symbol}")
    assert answer.status_code == 422
    assert "1 to 32 letters, digits and . ^ = - & _" in answer.json["error"]


@pytest.mark.parametrize(
    ("query", "named"),
    [*((f"horizon={wrong}", "horizon") for wrong in ("0", "21", "-1", "1.5", "x", "", "9" * 5000, "٣")), ("closes=1001", "closes")],
)
def test_forecast_rejects_an_invalid_query_before_any_download(with_yahoo, yahoo, query, named):
    answer = with_yahoo.get(f"/forecast/MSFT?{query}")
    assert answer.status_code == 422
    assert named in answer.json["error"]
    assert yahoo.paths == []


@pytest.mark.parametrize("factor", [0.5, 10.0])
def test_forecast_warns_of_an_unadjusted_split(with_yahoo, yahoo, factor):
    """Two new shares for one, or one for ten."""
    yahoo.adjusted[-7:] = [factor * close for close in yahoo.adjusted[-7:]]
    (split,) = [warning for warning in with_yahoo.get("/forecast/ACME").json["warnings"] if warning["code"] == "possible_split"]
    assert split["day"] == yahoo.dates[-7].isoformat()
    assert split["text"].startswith(f"The close of {yahoo.dates[-7]} is ")
    yahoo.adjusted[-7:] = [close / factor for close in yahoo.adjusted[-7:]]
    assert not [warning for warning in with_yahoo.get("/forecast/OTHER").json["warnings"] if warning["code"] == "possible_split"]


def test_weekly_closes_are_not_compared_with_the_daily_ones_of_training(with_yahoo, yahoo):
    yahoo.adjusted = [100 * 1.4 ** (index % 2) for index in range(len(yahoo.adjusted))]
    assert {"unlike_training_volatility"} <= {warning["code"] for warning in with_yahoo.get("/forecast/ACME").json["warnings"]}
    last = yahoo.dates[-1]
    yahoo.dates = [last - timedelta(days=7 * (len(yahoo.dates) - index)) for index in range(len(yahoo.dates))]
    codes = {warning["code"] for warning in with_yahoo.get("/forecast/OTHER").json["warnings"]}
    assert "not_daily" in codes
    assert not {code for code in codes if code.startswith("unlike_training")}


def test_forecast_warns_of_pounds_and_pence(with_yahoo, yahoo):
    yahoo.adjusted[-7:] = [close / 100 for close in yahoo.adjusted[-7:]]
    warnings = with_yahoo.get("/forecast/VOD.L").json["warnings"]
    (change,) = [warning for warning in warnings if warning["code"].startswith("possible_")]
    assert (change["code"], change["day"]) == ("possible_unit_change", yahoo.dates[-7].isoformat())
    assert "such as pounds and pence. Convert all of them to one unit." in change["text"]


def test_forecast_without_a_model_downloads_nothing(settings, yahoo, tmp_path):
    app = create_app(settings.model_copy(update={"MODEL_DIR": tmp_path / "none", "YAHOO_URL": yahoo.url}))
    answer = app.test_client().get("/forecast/ACME")
    assert answer.status_code == 503
    assert "No model is published yet" in answer.get_json()["error"]
    assert yahoo.paths == []


def test_forecast_of_an_unknown_symbol_is_404(with_yahoo, yahoo):
    yahoo.behave("not found")
    for _ in range(2):
        answer = with_yahoo.get("/forecast/NOSUCH")
        assert answer.status_code == 404
        assert "no closes of NOSUCH" in answer.json["error"]
    assert with_yahoo.get("/forecast/BRK/B").status_code == 404


@pytest.mark.parametrize("path", ["/forecast/brk.b", "/backtest/brk.b"])
def test_unknown_share_class_names_the_symbol_that_exists(with_yahoo, yahoo, path):
    yahoo.known = {"BRK-B"}
    for _ in range(2):
        answer = with_yahoo.get(path)
        assert answer.status_code == 404
        assert answer.json["error"].endswith(". BRK-B exists: use that symbol.")
    calls = yahoo.calls
    assert with_yahoo.get("/forecast/BRK-B").json["source"] == "yahoo"
    assert yahoo.calls == calls  # the download of the check is used


@pytest.mark.parametrize("symbol", ["M&M.NS", "NIFTY_FIN_SERVICE.NS", "EURUSD=X", "^N225", "B" * 32])
def test_symbols_of_every_kind_are_forecast_backtested_and_logged(with_yahoo, yahoo, settings, symbol):
    for path in (quote(symbol.lower()), symbol):
        assert with_yahoo.get(f"/forecast/{path}").json["symbol"] == symbol
        assert with_yahoo.get(f"/backtest/{path}?days=5").status_code == 200
    assert [row["symbol"] for row in logged(settings)] == [symbol, symbol]
    assert [path.name for path in settings.DATA_CACHE_DIR.glob("*.csv")] == [f"{symbol}.csv"]


def test_forecast_without_any_source_has_retry_after(client):
    answer = client.get("/forecast/ACME")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert answer.json["error"] == "Yahoo Finance: it cannot be reached. No other source has closes of ACME."
    assert ["cache" in answer.json["details"][0], "snapshot" in answer.json["details"][1]] == [True, True]


def test_forecast_of_a_symbol_with_too_few_closes_is_rejected(with_yahoo, yahoo):
    yahoo.dates, yahoo.closes, yahoo.adjusted = yahoo.dates[-59:], yahoo.closes[-59:], yahoo.adjusted[-59:]
    answer = with_yahoo.get("/forecast/NEWCO")
    assert answer.status_code == 422
    assert answer.json["error"] == "NEWCO has 59 closes; a forecast needs 60."


def test_forecasts_are_counted_by_their_route(client):
    client.get("/forecast/MSFT")
    assert 'route="/forecast/<symbol>"' in client.get("/metrics").text


def test_corrected_close_of_the_same_day_changes_the_intervals(client):
    service = client.application.extensions[STATE].service
    closes = read_snapshot("AMD").part(slice(-300, None))
    prices = closes.prices.copy()
    prices[-1] *= 1.1
    corrected = replace(closes, prices=prices)
    first, second = (service.forecast_symbol(series, 1, Question(), 0, 0.0).content for series in (closes, corrected))
    alone = record_of(service.models.current(), corrected)
    expected = forecast_symbol(service.models.current(), alone, corrected, 1).as_dict(0)["intervals"]
    assert second["intervals"] == expected != first["intervals"]
