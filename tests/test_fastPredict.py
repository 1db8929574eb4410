"""The road without Flask: what it takes, what it leaves to Flask, and that both say the same."""

import csv
import json

import pytest
from pydantic import SecretStr

import fastPredict
from app import create_app
from processData import read_snapshot
from settings import Settings

CLOSES = read_snapshot("MSFT").prices[-60:].tolist()
BODY = json.dumps({"predict": CLOSES})
USUAL = {"data": BODY, "content_type": "application/json"}


@pytest.fixture
def settings(tmp_path):
    return Settings(REQUEST_LOG=tmp_path / "log.csv")


@pytest.fixture
def app(settings):
    return create_app(settings)


@pytest.fixture
def to_flask(app, monkeypatch):
    """The paths of the requests that Flask got."""
    seen = []
    inner = app.wsgi_app._flask_app

    def noted(environ, start_response):
        seen.append(environ["PATH_INFO"])
        return inner(environ, start_response)

    monkeypatch.setattr(app.wsgi_app, "_flask_app", noted)
    return seen


def without_times(answer):
    return {name: value for name, value in answer.json.items() if name not in ("response_time_sec", "memory_usage_percent")}


def test_usual_request_does_not_reach_flask_and_is_answered_logged_and_counted_all_the_same(app, to_flask, settings):
    client = app.test_client()
    fast = client.post("/predict", **USUAL)
    assert to_flask == []
    slow = client.post("/predict", data=BODY, content_type="application/json; charset=utf-8")
    assert to_flask == ["/predict"]
    assert fast.status_code == slow.status_code == 200
    assert without_times(fast) == without_times(slow)
    assert list(fast.json) == list(slow.json)
    assert fast.content_type == slow.content_type
    with settings.REQUEST_LOG.open() as file:
        first, second = csv.DictReader(file)
    times = ("timestamp", "response_time", "memory_usage")
    assert {name: value for name, value in first.items() if name not in times} == {
        name: value for name, value in second.items() if name not in times
    }
    assert all(float(row["response_time"]) > 0 for row in (first, second))
    assert 'http_requests_total{method="POST",route="/predict",status="200"} 2.0' in client.get("/metrics").text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{", 400),
        ("", 400),
        ("[1]", 422),
        (json.dumps({"predict": CLOSES[1:]}), 422),
        (json.dumps({"predict": [*CLOSES[1:], -1]}), 422),
        (json.dumps({"predict": [*CLOSES[1:], 1e90]}), 422),
        (json.dumps({"predict": CLOSES, "more": 1}), 422),
        (json.dumps({"predict": CLOSES, "horizon": 21}), 422),
        (json.dumps({"predict": CLOSES, "horizon": 10**400}), 422),
        (json.dumps({"predict": CLOSES, "horizon": 2}), 200),
        (json.dumps({"predict": [CLOSES]}), 200),
        (BODY + " " * fastPredict.SMALL_BODY_BYTES, 200),
    ],
)
def test_whatever_is_not_usual_gets_flasks_answer_with_its_body_intact(app, to_flask, settings, body, status):
    answer = app.test_client().post("/predict", data=body, content_type="application/json")
    assert to_flask == ["/predict"]
    assert answer.status_code == status
    assert ("error" in answer.json) == (status != 200)
    assert settings.REQUEST_LOG.read_text().count("\n") == 2  # the header, and one line


@pytest.mark.parametrize(
    "request_", [{"method": "GET"}, {"method": "POST", "path": "/predict/"}, {"method": "POST", "content_type": "text/plain"}]
)
def test_other_methods_addresses_and_types_are_left_to_flask(app, to_flask, request_):
    app.test_client().open(**{"path": "/predict", "data": BODY, "content_type": "application/json"} | request_)
    assert len(to_flask) == 1


def test_api_key_is_asked_for_on_this_road_too(settings, monkeypatch):
    client = create_app(settings.model_copy(update={"API_KEY": SecretStr("secret")})).test_client()
    assert client.post("/predict", **USUAL).status_code == 401
    assert client.post("/predict", **USUAL, headers={"X-API-Key": "secreT"}).status_code == 401
    assert client.post("/predict", **USUAL, headers={"X-API-Key": "sécret"}).status_code == 401
    assert client.post("/predict", **USUAL, headers={"X-API-Key": "secret"}).status_code == 200


def test_failure_inside_is_answered_by_flask_and_told_once(app, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("inside")

    monkeypatch.setattr("modelPredict.Forecaster.forecast", fail)
    answer = app.test_client().post("/predict", **USUAL)
    assert answer.status_code == 500
    assert "inside" not in answer.text
    assert caplog.text.count("RuntimeError: inside") == 1
