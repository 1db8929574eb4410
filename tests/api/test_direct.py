"""The direct path answers, logs and counts as Flask does."""

import csv
import gc
import json
import time

import pytest
from pydantic import SecretStr

from api.body import PredictOne
from app import create_app
from closes.snapshot import read_snapshot
from forecast.forecaster import Forecaster
from monitoring.accesslog import AccessLog
from server.head import Head
from settings import Settings

CLOSES = read_snapshot("MSFT").prices[-60:].tolist()
BODY = json.dumps({"predict": CLOSES})
MEASURED = ("response_time_sec", "memory_usage_percent")


@pytest.fixture
def settings(tmp_path):
    return Settings(REQUEST_LOG=tmp_path / "log.csv")


@pytest.fixture
def app(settings):
    return create_app(settings)


def ask(app, body=BODY, key="", is_last=False, forwarded_for=""):
    """Status line, headers and content of the direct path's answer."""
    content = body.encode()
    answer = app.extensions["direct"].answer(
        Head(len(content), key, is_last, forwarded_for), content, "127.0.0.1", is_last, time.perf_counter()
    )
    line, *headers = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    return line, dict(header.split(": ", 1) for header in headers), json.loads(answer.partition(b"\r\n\r\n")[2])


def without_measurements(answer):
    return {name: value for name, value in answer.items() if name not in MEASURED}


def rows(settings):
    """The lines of the request log, without what depends on the time."""
    with settings.REQUEST_LOG.open() as file:
        return [
            {name: row[name] for name in row if name not in ("timestamp", "response_time", "memory_usage")} for row in csv.DictReader(file)
        ]


BODIES = [
    (BODY, 200),
    (json.dumps({"predict": CLOSES, "horizon": 2}), 200),
    (json.dumps({"predict": CLOSES, "horizon": 1}), 200),
    (json.dumps({"predict": [CLOSES]}), 200),
    ("{", 400),
    ("", 400),
    ("[1]", 422),
    (json.dumps({"predict": CLOSES[1:]}), 422),
    (json.dumps({"predict": [*CLOSES[1:], -1]}), 422),
    (json.dumps({"predict": [*CLOSES[1:], 1e90]}), 422),
    (json.dumps({"predict": CLOSES, "more": 1}), 422),
    (json.dumps({"predict": CLOSES, "horizon": 21}), 422),
    (json.dumps({"predict": CLOSES, "horizon": 10**400}), 422),
]


@pytest.mark.parametrize(("body", "status"), BODIES)
def test_direct_path_answers_and_logs_as_flask_does(app, settings, body, status):
    line, headers, content = ask(app, body)
    flask = app.test_client().post("/predict", data=body, content_type="application/json")
    assert line.startswith(f"HTTP/1.1 {status} ")
    assert flask.status_code == status
    assert without_measurements(content) == without_measurements(flask.json)
    assert list(content) == list(flask.json)
    own = {name: headers[name] for name in ("Server", "Date", "Connection", "Content-Length", "X-Request-ID")}
    assert headers == dict(flask.headers) | own
    assert (own["Server"], own["Connection"]) == ("gunicorn", "keep-alive")
    first, second = rows(settings)
    assert first == second
    assert first["status"] == str(status)


@pytest.mark.parametrize("proxies", [0, 1, 2])
@pytest.mark.parametrize("forwarded", ["", "1.2.3.4", "6.6.6.6, 1.2.3.4", "6.6.6.6, 1.2.3.4, ::1", '"1.2.3.4"', ",", "1.2.3.4,", "a b"])
def test_client_behind_proxies_is_the_one_that_flask_sees(tmp_path, monkeypatch, proxies, forwarded):
    clients = []
    monkeypatch.setattr(AccessLog, "write", lambda _self, info, *_: clients.append(info.client))
    app = create_app(Settings(REQUEST_LOG=tmp_path / "log.csv", TRUSTED_PROXIES=proxies))
    ask(app, forwarded_for=forwarded)
    app.test_client().post("/predict", data=BODY, content_type="application/json", headers={"X-Forwarded-For": forwarded})
    assert clients == [clients[0]] * 2


def test_rate_limit_of_the_direct_path_counts_clients_behind_a_proxy(tmp_path):
    app = create_app(Settings(REQUEST_LOG=tmp_path / "log.csv", TRUSTED_PROXIES=1, RATE_LIMIT="1/minute"))
    statuses = [ask(app, forwarded_for=client)[0].split()[1] for client in ("1.2.3.4", "6.6.6.6, 5.6.7.8", "9.9.9.9, 1.2.3.4")]
    assert statuses == ["200", "200", "429"]


def test_direct_path_counts_its_requests(app):
    ask(app)
    ask(app, "{")
    text = app.test_client().get("/metrics").text
    assert 'http_requests_total{method="POST",route="/predict",status="200"} 1.0' in text
    assert 'http_requests_total{method="POST",route="/predict",status="400"} 1.0' in text


def test_last_answer_closes_the_connection(app):
    assert ask(app, is_last=True)[1]["Connection"] == "close"


def test_date_header_follows_the_clock(app, monkeypatch):
    for second, date in [(0, "Thu, 01 Jan 1970 00:00:00 GMT"), (86400, "Fri, 02 Jan 1970 00:00:00 GMT")]:
        monkeypatch.setattr("api.answers.time.time", lambda second=second: second + 0.9)
        assert ask(app)[1]["Date"] == date


@pytest.mark.parametrize(("key", "status"), [("", 401), ("secreT", 401), ("secret", 200)])
def test_direct_path_checks_the_api_key(settings, key, status):
    app = create_app(settings.model_copy(update={"API_KEY": SecretStr("secret")}))
    line, _, content = ask(app, key=key)
    assert line.startswith(f"HTTP/1.1 {status} ")
    flask = app.test_client().post("/predict", data=BODY, content_type="application/json", headers={"X-API-Key": key})
    assert flask.status_code == status
    assert without_measurements(content) == without_measurements(flask.json)


def test_unexpected_failure_is_500_and_logged(app, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("inside")

    monkeypatch.setattr("forecast.forecaster.Forecaster.forecast", fail)
    line, headers, content = ask(app)
    assert line == "HTTP/1.1 500 Internal Server Error"
    assert content == {"error": "The server failed. Its log has the reason.", "details": [f"request {headers['X-Request-ID']}"]}
    assert caplog.text.count("RuntimeError: inside") == 1


def test_invalid_http_is_rejected_and_counted_but_not_logged(app, settings):
    answer = app.extensions["direct"].refuse(400, "127.0.0.1")
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"\r\nConnection: close\r\n" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"error": "The request is not valid HTTP.", "details": []}
    assert rows(settings) == []
    assert 'http_requests_total{method="other",route="unmatched",status="400"} 1.0' in app.test_client().get("/metrics").text


def test_parsed_body_is_freed_before_the_forecast(app, monkeypatch):
    """A worker with many connections has as many requests that wait for their batch."""
    parsed: list[PredictOne] = []
    forecast_one = Forecaster.forecast_one

    def noted(self, *arguments):
        parsed.extend(one for one in gc.get_objects() if type(one) is PredictOne)
        return forecast_one(self, *arguments)

    monkeypatch.setattr(Forecaster, "forecast_one", noted)
    assert ask(app)[0] == "HTTP/1.1 200 OK"
    assert parsed == []
