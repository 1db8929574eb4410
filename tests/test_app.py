"""HTTP: what each call answers, and what it refuses, on the published model."""

import csv
import json
import re
import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pydantic import SecretStr

import mlflowUI
from app import MAX_BODY_BYTES, create_app
from processData import read_snapshot
from settings import PROJECT_DIR, Settings

CLOSES = read_snapshot("MSFT").prices[-60:].tolist()


@pytest.fixture
def settings(tmp_path):
    nowhere = "http://127.0.0.1:1"  # nothing listens on port 1
    return Settings(REQUEST_LOG=tmp_path / "log.csv", MLFLOW_UI_PORT=1, YAHOO_URL=nowhere, DATA_CACHE_DIR=tmp_path / "cache")


@pytest.fixture
def client(settings):
    return create_app(settings).test_client()


def logged(settings):
    with settings.REQUEST_LOG.open() as file:
        return list(csv.DictReader(file))


def test_predict_answers_one_window(client):
    answer = client.post("/predict", json={"predict": CLOSES})
    assert answer.status_code == 200
    body = answer.json
    assert set(body) == {
        "predicted_price", "last_close", "intervals", "warnings", "response_time_sec", "memory_usage_percent", "model_version",
    }  # fmt: skip
    assert body["last_close"] == CLOSES[-1]
    (low_80, high_80), (low_95, high_95) = body["intervals"]["80"], body["intervals"]["95"]
    assert low_95 < low_80 < body["predicted_price"] < high_80 < high_95
    assert body["warnings"] == []
    assert 0 < body["response_time_sec"] < 60
    assert 0 < body["memory_usage_percent"] <= 100


def test_predict_gives_a_path_whose_first_step_is_the_answer(client):
    body = client.post("/predict", json={"predict": CLOSES, "horizon": 20}).json
    assert [step["step"] for step in body["path"]] == list(range(1, 21))
    assert body["path"][0] == {"step": 1, "price": body["predicted_price"], "intervals": body["intervals"]}
    widths = [high - low for low, high in (step["intervals"]["80"] for step in body["path"])]
    assert widths[0] < widths[4] < widths[19]


def test_predict_answers_a_batch_as_it_answers_its_windows(client):
    prices = read_snapshot("AAPL").prices
    windows = [prices[i : i + 60].tolist() for i in range(0, 3000, 10)]  # 300: more than the network takes at once
    batch = client.post("/predict", json={"predict": windows}).json
    for window, prediction in zip(windows, batch["predictions"], strict=True):
        alone = client.post("/predict", json={"predict": window}).json
        assert set(prediction) == {"predicted_price", "last_close", "intervals", "warnings"}
        assert prediction == {name: alone[name] for name in prediction}


def test_predict_works_in_any_currency(client):
    dollars = client.post("/predict", json={"predict": CLOSES}).json
    cents = client.post("/predict", json={"predict": [100 * close for close in CLOSES]}).json
    assert cents["predicted_price"] == pytest.approx(100 * dollars["predicted_price"], rel=1e-6)
    np.testing.assert_allclose(cents["intervals"]["95"], np.multiply(100, dollars["intervals"]["95"]), rtol=1e-6)


def test_predict_warns_of_a_window_unlike_those_it_was_trained_on(client):
    wild = [100.0 if i % 2 else 40.0 for i in range(60)]
    warnings = client.post("/predict", json={"predict": wild}).json["warnings"]
    assert any("unlike" in warning for warning in warnings)
    assert any("split" in warning for warning in warnings)


def with_close(close):
    return [*CLOSES[:30], close, *CLOSES[31:]]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"predict": CLOSES[:59]}, "at least 60"),
        ({"predict": [*CLOSES, 1.0]}, "at most 60"),
        ({"predict": []}, "predict"),
        ({"predict": with_close("12")}, "predict[30]"),
        ({"predict": with_close(True)}, "predict[30]"),
        ({"predict": with_close(None)}, "predict[30]"),
        ({"predict": with_close(0)}, "predict[30]"),
        ({"predict": with_close(-1.5)}, "predict[30]"),
        ({"predict": with_close(1e-310)}, "close 31"),
        ({"predict": with_close(1e308)}, "close 31"),
        ({"predict": with_close(1e30)}, "smallest"),
        ({"predict": with_close([1.0])}, "predict[30]"),
        ({"predict": "text"}, "predict"),
        ({"predict": None}, "predict"),
        ({"predict": {}}, "predict"),
        ({}, "predict"),
        ({"predict": CLOSES, "horizon": 0}, "horizon"),
        ({"predict": CLOSES, "horizon": 21}, "horizon"),
        ({"predict": CLOSES, "horizon": 1.5}, "horizon"),
        ({"predict": CLOSES, "horizon": True}, "horizon"),
        ({"predict": CLOSES, "symbol": "MSFT"}, "symbol"),
        ({"predict": [CLOSES, CLOSES[:59]]}, "predict[1]"),
        ({"predict": [CLOSES, 1.0]}, "predict[1]"),
        ({"predict": [CLOSES], "horizon": 2}, "horizon"),
        ({"predict": [CLOSES] * 1025}, "at most 1024"),
    ],
)
def test_predict_refuses_wrong_values_and_names_their_place(client, body, named):
    answer = client.post("/predict", json=body)
    assert answer.status_code == 422
    assert set(answer.json) == {"error", "details"}
    assert named in " ".join(answer.json["details"])


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e400", "9" * 4000])
def test_predict_refuses_numbers_that_json_parsers_let_through(client, literal):
    text = json.dumps({"predict": with_close(123456.5)}).replace("123456.5", literal)
    answer = client.post("/predict", data=text, content_type="application/json")
    assert answer.status_code == 422
    assert answer.json["details"]


@pytest.mark.parametrize("text", ["", "{", '{"predict": [1, 2', "not json", "\xff", "[" * 100_000])
def test_predict_refuses_what_is_not_json(client, text):
    answer = client.post("/predict", data=text.encode("latin-1"), content_type="application/json")
    assert answer.status_code == 400
    assert answer.json["error"] == "The body is not JSON."


@pytest.mark.parametrize("text", ["[]", "1", '"text"', "null"])
def test_predict_refuses_json_that_is_no_object(client, text):
    assert client.post("/predict", data=text, content_type="application/json").status_code == 422


def test_predict_without_content_type_is_refused_with_a_hint(client):
    answer = client.post("/predict", data=json.dumps({"predict": CLOSES}), content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 415
    assert "-H 'Content-Type: application/json'" in answer.json["details"][0]


def test_predict_refuses_a_body_over_2_mib(client):
    answer = client.post("/predict", data=b" " * (MAX_BODY_BYTES + 1), content_type="application/json")
    assert answer.status_code == 413
    assert "2 MiB" in answer.json["error"]


def test_predict_limits_the_details_of_a_body_with_many_problems(client):
    answer = client.post("/predict", json={"predict": [[None] * 60] * 1000})
    assert answer.status_code == 422
    assert len(answer.json["details"]) <= 6
    assert len(answer.data) < 2000


def test_errors_are_json_and_say_where_to_look(client):
    missing, method = client.get("/nothing"), client.delete("/predict")
    assert (missing.status_code, method.status_code) == (404, 405)
    assert "/apidocs" in missing.json["error"]
    assert "/apidocs" in method.json["error"]


def test_an_unexpected_failure_tells_nothing_of_the_inside(client, monkeypatch, caplog):
    def fail(*arguments):
        raise ZeroDivisionError("secret path /srv/x")

    monkeypatch.setattr(client.application.extensions["service"].models, "current", fail)
    answer = client.post("/predict", json={"predict": CLOSES})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "secret" in caplog.text


def test_every_predict_request_is_a_line_of_the_log(client, settings):
    good = client.post("/predict", json={"predict": CLOSES})
    client.post("/predict", json={"predict": CLOSES[:5]})
    client.post("/predict", data="x")
    client.post("/predict", json={"predict": [CLOSES, CLOSES]})
    client.get("/predict")
    rows = logged(settings)
    assert [row["status"] for row in rows] == ["200", "422", "415", "200"]
    assert list(rows[0])[:3] == ["timestamp", "response_time", "memory_usage"]
    first = rows[0]
    assert datetime.fromisoformat(first["timestamp"]).utcoffset() is not None
    assert float(first["predicted_price"]) == good.json["predicted_price"]
    assert float(first["last_close"]) == CLOSES[-1]
    assert [float(first["low_80"]), float(first["high_80"])] == good.json["intervals"]["80"]
    assert [float(first["low_95"]), float(first["high_95"])] == good.json["intervals"]["95"]
    assert first["model_version"] == good.json["model_version"]
    assert rows[3]["windows"] == "2"


def test_the_log_links_tomorrows_window_to_todays(client, settings):
    prices = read_snapshot("MSFT").prices
    client.post("/predict", json={"predict": prices[-61:-1].tolist()})
    client.post("/predict", json={"predict": (prices[-60:] * 0.97).tolist()})  # as after a dividend
    today, tomorrow = logged(settings)
    assert today["closes_2_60"] == tomorrow["closes_1_59"]
    assert today["closes_1_59"] != tomorrow["closes_2_60"]


@pytest.fixture
def with_yahoo(settings, yahoo):
    """A client of a service that reaches the stub of Yahoo Finance, whose last close is yesterday's."""
    yahoo.end_on(datetime.now(UTC).date() - timedelta(days=1))
    return create_app(settings.model_copy(update={"YAHOO_URL": yahoo.url, "YAHOO_TIMEOUT": 1.0})).test_client()


def test_forecast_answers_as_predict_does_on_the_newest_closes(with_yahoo, yahoo, settings):
    answer = with_yahoo.get("/forecast/acme?horizon=3")
    assert answer.status_code == 200
    body = answer.json
    assert (body["symbol"], body["as_of"], body["source"]) == ("ACME", yahoo.dates[-1].isoformat(), "yahoo")
    same = with_yahoo.post("/predict", json={"predict": yahoo.adjusted[-60:], "horizon": 3}).json
    assert set(body) == {"symbol", "as_of", "source", *same}
    assert body["warnings"] == same["warnings"]
    assert [body[field] for field in ("predicted_price", "last_close")] == pytest.approx([same["predicted_price"], same["last_close"]])
    assert [step["price"] for step in body["path"]] == pytest.approx([step["price"] for step in same["path"]])
    assert len(logged(settings)) == 1  # the log is of /predict


def test_forecast_has_a_path_and_closes_only_where_they_are_asked_for(with_yahoo, yahoo):
    plain = with_yahoo.get("/forecast/ACME").json
    assert not {"path", "dates", "closes"} & set(plain)
    assert len(with_yahoo.get("/forecast/ACME?horizon=1").json["path"]) == 1
    shown = with_yahoo.get("/forecast/ACME?closes=5").json
    assert shown["dates"] == [day.isoformat() for day in yahoo.dates[-5:]]
    assert shown["closes"] == pytest.approx(yahoo.adjusted[-5:])
    assert len(with_yahoo.get("/forecast/ACME?closes=1000").json["closes"]) == len(yahoo.dates)
    assert yahoo.calls == 1


def test_forecast_says_what_it_uses_where_yahoo_fails(client):
    answer = client.get("/forecast/MSFT")
    assert answer.status_code == 200
    assert (answer.json["source"], answer.json["as_of"], answer.json["last_close"]) == ("snapshot", "2022-12-28", CLOSES[-1])
    failed, old = answer.json["warnings"]
    assert failed == "Yahoo Finance: it cannot be reached. These closes are from the snapshot and end on 2022-12-28."
    assert old.startswith("The last close is of 2022-12-28, ")
    assert client.get("/forecast/MSFT").json["predicted_price"] == client.post("/predict", json={"predict": CLOSES}).json["predicted_price"]


@pytest.mark.parametrize("symbol", [".MSFT", "A" * 16, "MS FT", "%00", "é", "A;B", "<b>"])
def test_forecast_refuses_what_is_no_symbol_and_says_what_is_one(client, symbol):
    answer = client.get(f"/forecast/{symbol}")
    assert answer.status_code == 422
    assert "1 to 15 letters, digits and . ^ = -" in answer.json["error"]


@pytest.mark.parametrize(
    ("query", "named"),
    [*((f"horizon={wrong}", "horizon") for wrong in ("0", "21", "-1", "1.5", "x", "", "9" * 5000, "٣")), ("closes=1001", "closes")],
)
def test_forecast_refuses_a_wrong_query_before_anything_is_asked(with_yahoo, yahoo, query, named):
    answer = with_yahoo.get(f"/forecast/MSFT?{query}")
    assert answer.status_code == 422
    assert named in answer.json["error"]
    assert yahoo.paths == []


def test_forecast_of_an_unknown_symbol_is_404(with_yahoo, yahoo):
    yahoo.behave("not found")
    for _ in range(2):
        answer = with_yahoo.get("/forecast/NOSUCH")
        assert answer.status_code == 404
        assert "no closes of NOSUCH" in answer.json["error"]
    assert with_yahoo.get("/forecast/BRK/B").status_code == 404


def test_forecast_without_any_source_says_when_to_try_again(client):
    answer = client.get("/forecast/ACME")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert ["reached" in answer.json["details"][0], "cache" in answer.json["details"][1], "snapshot" in answer.json["details"][2]] == [
        True
    ] * 3


def test_forecast_of_a_symbol_with_too_few_closes_is_refused(with_yahoo, yahoo):
    yahoo.dates, yahoo.closes, yahoo.adjusted = yahoo.dates[-59:], yahoo.closes[-59:], yahoo.adjusted[-59:]
    answer = with_yahoo.get("/forecast/NEWCO")
    assert answer.status_code == 422
    assert answer.json["error"] == "NEWCO has 59 closes; a forecast takes 60."


def test_forecasts_are_counted_by_their_route(client):
    client.get("/forecast/MSFT")
    assert 'route="/forecast/<symbol>"' in client.get("/metrics").text


def test_monitor_shows_the_newest_requests_oldest_first(client):
    for _ in range(3):
        client.post("/predict", json={"predict": CLOSES})
    client.post("/predict", json={"predict": []})
    body = client.get("/monitor?limit=2").json
    assert set(body) == {"CURRENT CPU", "MEMORY %", "RESPONSES", "SUMMARY"}
    assert [row["status"] for row in body["RESPONSES"]] == [200, 422]
    assert body["SUMMARY"]["by_status"] == {"200": 3, "422": 1}
    assert body["SUMMARY"]["latency_seconds"]["p50"] > 0


def test_monitor_is_sound_before_the_first_request(client):
    body = client.get("/monitor").json
    assert body["RESPONSES"] == []
    summary = body["SUMMARY"]
    assert (summary["requests"], summary["by_status"], summary["latency_seconds"]) == (0, {}, None)
    assert (summary["live_accuracy"]["n"], summary["live_accuracy"]["rmse"], summary["live_accuracy"]["caught_up"]) == (0, None, True)
    assert summary["drift"]["verdict"] == "Not enough data: 0 of 20 closes."


def test_monitor_tells_live_accuracy_and_drift_across_the_cut(settings):
    client = create_app(settings.model_copy(update={"REQUEST_LOG_MAX_BYTES": 4000})).test_client()
    prices = read_snapshot("MSFT").prices
    for end in range(60, 100):
        for _ in range(2):
            assert client.post("/predict", json={"predict": prices[end - 60 : end].tolist(), "horizon": 2}).status_code == 200
    assert settings.REQUEST_LOG.with_name("log.csv.2").exists()
    body = client.get("/monitor?limit=80").json
    assert len(body["RESPONSES"]) == 80
    live, drift = body["SUMMARY"]["live_accuracy"], body["SUMMARY"]["drift"]
    assert (live["n"], drift["n"], live["caught_up"]) == (39, 40, True)
    assert live["naive_rmse"] == pytest.approx(np.sqrt(np.mean(np.diff(np.log(prices[59:99])) ** 2)), rel=1e-9)
    assert "daily returns" in drift["verdict"]


def test_drift_without_a_model_says_so(settings, tmp_path):
    client = create_app(settings.model_copy(update={"MODEL_DIR": tmp_path / "none"})).test_client()
    assert "No model" in client.get("/monitor").json["SUMMARY"]["drift"]["verdict"]
    assert client.get("/metrics").status_code == 200


@pytest.mark.parametrize("limit", ["-1", "x", "10001", "1e3", "", "9" * 5000, "٣"])
def test_monitor_refuses_an_absurd_limit(client, limit):
    answer = client.get("/monitor", query_string={"limit": limit})
    assert answer.status_code == 422
    assert "limit" in answer.json["error"]


def test_mlflow_says_how_to_start_the_ui_where_none_runs(client):
    answer = client.get("/mlflow")
    assert answer.status_code == 503
    assert "does not answer" in answer.json["error"]
    assert answer.json["details"]


@pytest.mark.parametrize("name", ["MLFLOW_UI_URL", "MLFLOW_TRACKING_URI"])
def test_mlflow_redirects_to_the_set_url_or_to_the_tracking_servers_own_ui(settings, name):
    own = settings.model_copy(update={name: "https://mlflow.example.org/ui"})
    assert mlflowUI.start(own) is None
    client = create_app(own).test_client()
    answer = client.get("/mlflow")
    assert (answer.status_code, answer.location) == (302, "https://mlflow.example.org/ui")


@pytest.mark.parametrize("host", ["example.org:8010", "example.org", "[::1]:8010", "[::1]"])
def test_mlflow_redirects_to_the_requesters_own_host(settings, host, unused_listener):
    client = create_app(settings.model_copy(update={"MLFLOW_UI_PORT": unused_listener})).test_client()
    answer = client.get("/mlflow", headers={"Host": host})
    assert answer.location == f"http://{re.sub(':8010$', '', host)}:{unused_listener}/"


@pytest.fixture
def unused_listener():
    """The port of a listening socket: stands where the MLflow UI would (a real one is in e2e/)."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_an_api_key_is_asked_for_where_one_is_set(settings):
    client = create_app(settings.model_copy(update={"API_KEY": SecretStr("key-1")})).test_client()
    for headers in ({}, {"X-API-Key": "key-2"}, {"X-API-Key": ""}, {"X-API-Key": "schlüssel"}):
        answer = client.post("/predict", json={"predict": CLOSES}, headers=headers)
        assert answer.status_code == 401
        assert "X-API-Key" in answer.json["error"]
        assert client.get("/monitor", headers=headers).status_code == client.get("/forecast/MSFT", headers=headers).status_code == 401
    assert client.post("/predict", json={"predict": CLOSES}, headers={"X-API-Key": "key-1"}).status_code == 200
    assert client.get("/monitor", headers={"X-API-Key": "key-1"}).status_code == 200
    assert client.get("/forecast/MSFT", headers={"X-API-Key": "key-1"}).status_code == 200
    assert client.get("/health").status_code == client.get("/ready").status_code == client.get("/").status_code == 200
    assert [row["status"] for row in logged(settings)] == ["401"] * 4 + ["200"]
    assert "key-1" not in settings.REQUEST_LOG.read_text() + repr(settings.model_copy(update={"API_KEY": SecretStr("key-1")}))


def test_health_and_ready(client):
    assert client.get("/health").json == {"status": "ok"}
    ready = client.get("/ready").json
    version = json.loads((PROJECT_DIR / "modelFiles" / "metadata.json").read_text())["model_version"]
    assert ready == {"status": "ready", "model_version": version, "problem": None}


def test_without_a_model_the_service_lives_and_says_what_to_do(settings, tmp_path):
    client = create_app(settings.model_copy(update={"MODEL_DIR": tmp_path / "none"})).test_client()
    for answer in (client.post("/predict", json={"predict": CLOSES}), client.get("/ready")):
        assert answer.status_code == 503
        assert "python modelTrain.py" in answer.json["error"]
    assert client.get("/health").status_code == 200
    assert client.get("/").status_code == 200


def test_a_corrupt_model_is_refused(settings, tmp_path):
    folder = shutil.copytree(PROJECT_DIR / "modelFiles", tmp_path / "modelFiles")
    (onnx_file,) = folder.glob("versions/*/my_model.onnx")
    onnx_file.write_bytes(onnx_file.read_bytes()[:-1])
    client = create_app(settings.model_copy(update={"MODEL_DIR": folder})).test_client()
    answer = client.get("/ready")
    assert answer.status_code == 503
    assert "my_model.onnx" in answer.json["details"][0]


def test_apidocs_needs_no_other_host(client):
    page = client.get("/apidocs").text
    loaded = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="([^"]+)"', page)
    assert loaded
    assert all(address.startswith("/") for address in loaded)
    for address in loaded:
        with client.get(address) as answer:
            assert answer.status_code == 200


def test_answers_are_compressed_for_clients_that_ask(client):
    answer = client.get("/apispec_1.json", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"


def published_backtest():
    version = json.loads((PROJECT_DIR / "modelFiles" / "metadata.json").read_text())["model_version"]
    return PROJECT_DIR / "modelFiles" / "versions" / version / "backtest.csv"


def test_backtest_answers_the_file_of_the_model_that_serves(client):
    answer = client.get("/backtest")
    assert (answer.status_code, answer.mimetype) == (200, "text/csv")
    assert answer.data == published_backtest().read_bytes()
    assert answer.text.startswith("date,actual,predicted,low_80,high_80,low_95,high_95\n")
    assert "Content-Disposition" not in answer.headers


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "identity"])
def test_backtest_is_compressed_and_sent_once(client, encoding):
    headers = {"Accept-Encoding": encoding}
    answer = client.get("/backtest", headers=headers)
    assert answer.headers.get("Content-Encoding", "identity") == encoding
    assert client.get("/ready").json["model_version"] in answer.headers["ETag"]
    again = client.get("/backtest", headers=headers | {"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert client.get("/backtest", headers=headers | {"If-None-Match": '"of another model"'}).status_code == 200


def test_backtest_is_refused_where_there_is_none(settings, model_dir):
    (model_dir / published_backtest().relative_to(PROJECT_DIR / "modelFiles")).unlink()
    without_file = create_app(settings.model_copy(update={"MODEL_DIR": model_dir})).test_client().get("/backtest")
    assert without_file.status_code == 404
    assert "has no backtest" in without_file.json["error"]
    assert "python modelTrain.py" in without_file.json["error"]
    without_model = create_app(settings.model_copy(update={"MODEL_DIR": model_dir / "none"})).test_client().get("/backtest")
    assert without_model.status_code == 503
    assert "python modelTrain.py" in without_model.json["error"]


def test_page_of_a_model_that_was_published_before_there_was_a_backtest_is_whole(client):
    model = client.application.extensions["service"].models.current().metadata
    model.pop("coverage")
    for name in [name for name in model["metrics"] if name.startswith(("naive_coverage", "naive_winkler", "dm_"))]:
        model["metrics"].pop(name)
    page = client.get("/")
    assert page.status_code == 200
    assert 'id="coverage"' not in page.text


def test_a_backtest_that_is_not_as_published_is_not_served(settings, model_dir):
    (backtest,) = model_dir.glob("versions/*/backtest.csv")
    backtest.write_text(backtest.read_text().replace("2020-06-12", "2020-06-11"))
    answer = create_app(settings.model_copy(update={"MODEL_DIR": model_dir})).test_client().get("/backtest")
    assert answer.status_code == 503
    assert "not as published" in answer.json["error"]


def test_405_says_what_is_allowed_and_a_last_slash_does_no_harm(client):
    assert "POST" in client.delete("/predict").headers["Allow"]
    assert client.get("/apidocs/").status_code == client.get("/monitor/").status_code == 200


@pytest.mark.parametrize("horizon", [True, 1.0, "1", 2])
def test_a_batch_is_as_strict_about_its_horizon_as_a_window(client, horizon):
    assert client.post("/predict", json={"predict": [CLOSES], "horizon": horizon}).status_code == 422
