"""The direct path: what it answers, what it leaves to gunicorn and Flask, and that both give the same answer."""

import csv
import json
import time

import pytest
from pydantic import SecretStr

from api.direct import SMALL_BODY_BYTES, Head, read_head
from app import create_app
from closes.snapshot import read_snapshot
from settings import Settings

CLOSES = read_snapshot("MSFT").prices[-60:].tolist()
BODY = json.dumps({"predict": CLOSES})
LINE = "POST /predict HTTP/1.1"
LEAST = {"Host": "127.0.0.1:8010", "Content-Type": "application/json", "Content-Length": "500"}
USUAL = Head(500, "", is_last=False)


def head(line=LINE, **changes):
    """A head with other headers than the least, or without those that are None; underscores stand for hyphens."""
    headers = LEAST | {name.replace("_", "-"): value for name, value in changes.items()}
    return "\r\n".join([line, *(f"{name}: {value}" for name, value in headers.items() if value is not None)]).encode("latin-1")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, USUAL),
        ({"User_Agent": "curl/8.5.0 (x; y)", "Accept": "*/*", "Accept_Encoding": "gzip, deflate"}, USUAL),
        ({"Connection": "Keep-Alive"}, USUAL),
        ({"Connection": "close"}, USUAL._replace(is_last=True)),
        ({"X_API_Key": "secret"}, USUAL._replace(key="secret")),
        ({"Content_Length": "0"}, USUAL._replace(length=0)),
        ({"Content_Length": str(SMALL_BODY_BYTES)}, USUAL._replace(length=SMALL_BODY_BYTES)),
        ({"Content_Length": str(SMALL_BODY_BYTES + 1)}, None),
        ({"Content_Length": None}, None),
        ({"Content_Length": "-5"}, None),
        ({"Content_Length": "+5"}, None),
        ({"Content_Length": "5, 5"}, None),
        ({"Content_Length": "²"}, None),
        ({"Content_Length": "9" * 5000}, None),
        ({"content_length": "500"}, None),  # a second one
        ({"Content_Length ": "500"}, None),
        ({"Content_Type": None}, None),
        ({"Content_Type": "text/plain"}, None),
        ({"Content_Type": "application/json; charset=utf-8"}, None),
        ({"Transfer_Encoding": "chunked"}, None),
        ({"Content_Encoding": "gzip"}, None),
        ({"Expect": "100-continue"}, None),
        ({"Connection": "upgrade"}, None),
        ({"Connection": "close, keep-alive"}, None),
        ({"Host": None}, None),
        ({"Accept": "a\nTransfer-Encoding: chunked"}, None),
        ({"Accept": "a\rb"}, None),
        ({"Accept": "a\x00b"}, None),
        ({"Accept": "é"}, None),
        ({"Accept": ""}, None),
        ({"X_Forwarded_For": "1.2.3.4"}, None),
    ],
)
def test_a_head_is_usual_to_the_letter_or_not_at_all(changes, expected):
    assert read_head(head(**changes)) == expected


@pytest.mark.parametrize(
    "line",
    [
        "GET /predict HTTP/1.1",
        "post /predict HTTP/1.1",
        "POST /predict/ HTTP/1.1",
        "POST /predict?x=1 HTTP/1.1",
        "POST http://x/predict HTTP/1.1",
        "POST  /predict HTTP/1.1",
        "POST /predict HTTP/1.0",
        "POST /predict HTTP/1.1 ",
        "",
    ],
)
def test_any_other_request_line_is_not_usual(line):
    assert read_head(head(line)) is None


@pytest.mark.parametrize("broken", [b"\r\n folded: 1", b"\r\nname", b"\r\n: x", b"\r\nContent_Length: 5", b"\r\n", b"\r"])
def test_a_head_with_a_broken_header_is_not_usual(broken):
    assert read_head(head() + broken) is None


@pytest.fixture
def settings(tmp_path):
    return Settings(REQUEST_LOG=tmp_path / "log.csv")


@pytest.fixture
def app(settings):
    return create_app(settings)


def ask(app, body=BODY, key="", is_last=False):
    """The headers and the content of the direct path's answer; None if it leaves the request to Flask."""
    content = body.encode()
    answer = app.extensions["fastPredict"].answer(Head(len(content), key, is_last), content, "127.0.0.1", is_last, time.perf_counter())
    if answer is None:
        return None
    line, *headers = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert line == "HTTP/1.1 200 OK"
    return dict(header.split(": ", 1) for header in headers), answer.partition(b"\r\n\r\n")[2]


def without_times(answer):
    return {name: value for name, value in answer.items() if name not in ("response_time_sec", "memory_usage_percent")}


def test_both_paths_answer_log_and_count_alike(app, settings):
    headers, content = ask(app)
    client = app.test_client()
    flask = client.post("/predict", data=BODY, content_type="application/json")
    assert without_times(json.loads(content)) == without_times(flask.json)
    assert list(json.loads(content)) == list(flask.json)
    own = {name: headers[name] for name in ("Server", "Date", "Connection", "Content-Length", "X-Request-ID")}
    assert headers == dict(flask.headers) | own
    assert (own["Server"], own["Connection"], own["Content-Length"]) == ("gunicorn", "keep-alive", str(len(content)))
    with settings.REQUEST_LOG.open() as file:
        first, second = csv.DictReader(file)
    times = ("timestamp", "response_time", "memory_usage")
    assert {name: value for name, value in first.items() if name not in times} == {
        name: value for name, value in second.items() if name not in times
    }
    assert all(float(row["response_time"]) > 0 for row in (first, second))
    assert 'http_requests_total{method="POST",route="/predict",status="200"} 2.0' in client.get("/metrics").text


def test_the_last_answer_says_so(app):
    assert ask(app, is_last=True)[0]["Connection"] == "close"


def test_the_date_follows_the_clock(app, monkeypatch):
    for second, date in [(0, "Thu, 01 Jan 1970 00:00:00 GMT"), (86400, "Fri, 02 Jan 1970 00:00:00 GMT")]:
        monkeypatch.setattr("api.answers.time.time", lambda second=second: second + 0.9)
        assert ask(app)[0]["Date"] == date


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
        (json.dumps({"predict": CLOSES, "horizon": 1}), 200),
        (json.dumps({"predict": [CLOSES]}), 200),
    ],
)
def test_what_is_not_answered_here_is_not_logged_here_but_by_flask(app, settings, body, status):
    assert ask(app, body) is None
    answer = app.test_client().post("/predict", data=body, content_type="application/json")
    assert answer.status_code == status
    assert ("error" in answer.json) == (status != 200)
    assert settings.REQUEST_LOG.read_text().count("\n") == 2  # the header, and one line


@pytest.mark.parametrize(("key", "is_answered"), [("", False), ("secreT", False), ("secret", True)])
def test_the_api_key_is_asked_for_on_this_road_too(settings, key, is_answered):
    app = create_app(settings.model_copy(update={"API_KEY": SecretStr("secret")}))
    assert (ask(app, key=key) is not None) == is_answered
    assert (
        app.test_client().post("/predict", data=BODY, content_type="application/json", headers={"X-API-Key": key}).status_code == 200
    ) == is_answered


def test_a_failure_inside_is_answered_by_flask_and_told_once(app, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("inside")

    monkeypatch.setattr("forecast.forecaster.Forecaster.forecast", fail)
    assert ask(app) is None
    answer = app.test_client().post("/predict", data=BODY, content_type="application/json")
    assert answer.status_code == 500
    assert "inside" not in answer.text
    assert caplog.text.count("RuntimeError: inside") == 1
