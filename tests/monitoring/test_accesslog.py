"""The access log: one line of JSON on stderr per request, and its request id."""

import json
import os
import re
import sys

import pytest
from pydantic import SecretStr

from app import STATE, create_app
from monitoring.accesslog import AccessLog, RequestInfo

CLOSES = [100.0 + day for day in range(60)]
INFO = RequestInfo("an-id", "127.0.0.1", "POST", "/predict")


@pytest.fixture
def access_log(tmp_path):
    with (tmp_path / "stderr").open("wb") as file:
        yield AccessLog(True, file.fileno())


def lines(tmp_path):
    return [json.loads(line) for line in (tmp_path / "stderr").read_text().split("\n") if line]


def test_line_names_client_request_and_status(access_log, tmp_path):
    access_log.write(INFO, 200, 0.00051239)
    (line,) = lines(tmp_path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {"id": "an-id", "client": "127.0.0.1", "method": "POST", "path": "/predict", "status": 200, "seconds": 0.000512}


def test_long_or_multiline_address_stays_one_short_line(access_log, tmp_path):
    access_log.write(INFO._replace(path='/"\n\x00\u2028' + "x" * 10_000), 404, 0.1)
    (line,) = lines(tmp_path)
    assert line["path"].startswith('/"\n\x00\u2028x')
    assert len(line["path"]) == 200


def test_ids_are_unique(tmp_path):
    logs = [AccessLog(True, -1), AccessLog(True, -1)]
    ids = [log.id_for() for log in logs for _ in range(1000)]
    assert len(set(ids)) == 2000
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]+", one) for one in ids)


@pytest.mark.parametrize("given", ["a", "8f3a9c01-1f", "0af7651916cd43dd8448eb211c80319c", "a.b_c-D", "x" * 64])
def test_valid_id_of_a_request_is_kept(given):
    assert AccessLog(True, -1).id_for(given) == given


@pytest.mark.parametrize("given", ["", " a", "a b", "x" * 65, 'a"b', "a\nb", "é", "a,b"])
def test_invalid_id_of_a_request_is_replaced(given):
    assert AccessLog(True, -1).id_for(given) != given


def test_failing_stderr_is_ignored():
    reader, writer = os.pipe()
    os.close(reader)
    AccessLog(True, writer).write(INFO, 200, 0.1)  # a broken pipe
    os.close(writer)
    AccessLog(True, -1).write(INFO, 200, 0.1)


@pytest.mark.timeout(20)
def test_full_stderr_drops_lines_and_the_next_one_counts_them():
    reader, writer = os.pipe()
    log = AccessLog(True, writer)
    for _ in range(2000):
        log.write(INFO, 200, 0.1)
    text = b""
    while text.count(b"\n") < 2 or not text.endswith(b"\n"):
        text += os.read(reader, 2**20)
    log.write(INFO, 200, 0.1)
    log.write(INFO, 200, 0.1)
    first, second = os.read(reader, 2**20).splitlines()
    assert json.loads(first)["lost"] == 2000 - text.count(b"\n") > 0
    assert "lost" not in json.loads(second)
    os.close(reader)
    os.close(writer)


@pytest.fixture
def asked(settings, tmp_path):
    """A client of a service whose lines go to a file, and the lines so far."""
    app = create_app(settings.model_copy(update={"API_KEY": SecretStr("secret-key")}))
    with (tmp_path / "stderr").open("wb") as file:
        app.extensions[STATE].service.access_log = AccessLog(True, file.fileno())
        yield app.test_client()


def test_every_request_has_a_line_with_the_id_of_its_answer(asked, tmp_path):
    headers = {"X-API-Key": "secret-key"}
    answers = [
        asked.post("/predict", json={"predict": CLOSES}, headers=headers),
        asked.post("/predict", json={"predict": []}, headers=headers),
        asked.post("/predict", json={"predict": CLOSES}),
        asked.get("/health", headers={"X-Request-ID": "given-1"}),
        asked.get("/static/icon.svg", buffered=True),
        asked.get("/nothing?key=secret-key"),
        asked.put("/predict"),
    ]
    told = lines(tmp_path)
    assert [(line["method"], line["path"], line["status"]) for line in told] == [
        ("POST", "/predict", 200),
        ("POST", "/predict", 422),
        ("POST", "/predict", 401),
        ("GET", "/health", 200),
        ("GET", "/static/icon.svg", 200),
        ("GET", "/nothing", 404),
        ("PUT", "/predict", 405),
    ]
    assert [line["id"] for line in told] == [answer.headers["X-Request-ID"] for answer in answers]
    assert told[3]["id"] == "given-1"
    assert all(0 < line["seconds"] < 60 and line["client"] == "127.0.0.1" for line in told)


def test_body_query_and_key_are_not_logged(asked, tmp_path):
    asked.post("/predict?token=secret-key", json={"predict": CLOSES}, headers={"X-API-Key": "secret-key"})
    text = (tmp_path / "stderr").read_text()
    assert "secret-key" not in text
    assert "159.0" not in text


def test_internal_error_has_its_request_id_in_answer_and_log(asked, tmp_path, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("inside")

    monkeypatch.setattr("api.service.ForecastService.forecast_one", fail)
    answer = asked.post("/predict", json={"predict": CLOSES}, headers={"X-API-Key": "secret-key", "X-Request-ID": "the-one"})
    assert answer.status_code == 500
    assert answer.json["details"] == ["request the-one"]
    assert "Request the-one failed" in caplog.text
    assert [line["status"] for line in lines(tmp_path)] == [500]


def test_access_log_can_be_turned_off(settings, capfd):
    quiet, told = create_app(settings.model_copy(update={"ACCESS_LOG": "off"})), create_app(settings)
    assert sys.__stderr__ is not None
    told.extensions[STATE].service.access_log = AccessLog(True, sys.__stderr__.fileno())
    quiet.test_client().get("/health")
    assert '"path":"/health"' not in capfd.readouterr().err
    told.test_client().get("/health")
    assert '"path":"/health"' in capfd.readouterr().err
