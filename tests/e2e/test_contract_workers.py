"""The contract on both worker classes: the custom worker with the direct path, and gunicorn's own gevent worker with Flask alone."""

import csv
import json
import signal
import socket

import pytest
import requests
from serving import starting, wait_until

from closes.snapshot import read_snapshot

CLOSES = read_snapshot("MSFT").prices[-60:].tolist()
MEASURED = ("response_time_sec", "memory_usage_percent")
KEY = {"X-API-Key": "secret"}
JSON = {"Content-Type": "application/json"}
REQUESTS = {
    "one window": ("POST", "/predict", KEY | JSON, json.dumps({"predict": CLOSES}), 200),
    "path": ("POST", "/predict", KEY | JSON, json.dumps({"predict": CLOSES, "horizon": 3}), 200),
    "batch": ("POST", "/predict", KEY | JSON, json.dumps({"predict": [CLOSES, CLOSES]}), 200),
    "not JSON": ("POST", "/predict", KEY | JSON, "{", 400),
    "no key": ("POST", "/predict", JSON, json.dumps({"predict": CLOSES}), 401),
    "wrong key": ("GET", "/monitor", {"X-API-Key": "guess"}, None, 401),
    "nothing there": ("GET", "/nothing", {}, None, 404),
    "wrong method": ("DELETE", "/predict", KEY, None, 405),
    "too large": ("POST", "/predict", KEY | JSON, "[" + " " * (2 * 1024 * 1024), 413),
    "not declared as JSON": ("POST", "/predict", KEY, json.dumps({"predict": CLOSES}), 415),
    "wrong shape": ("POST", "/predict", KEY | JSON, json.dumps({"predict": CLOSES[1:]}), 422),
    "not positive": ("POST", "/predict", KEY | JSON, json.dumps({"predict": [*CLOSES[1:], -1]}), 422),
    "wrong symbol": ("GET", "/forecast/.X", KEY, None, 422),
    "backtest": ("GET", "/backtest", {}, None, 200),
    "health": ("GET", "/health", {}, None, 200),
    "ready": ("GET", "/ready", {}, None, 200),
    "contract": ("GET", "/apispec_1.json", {}, None, 200),
}


@pytest.fixture(scope="module", params=["direct", "stock"])
def service(request, tmp_path_factory):
    generator = starting(tmp_path_factory.mktemp(request.param))
    start = next(generator)
    yield start(SERVER_WORKER=request.param, API_KEY="secret", ACCESS_LOG="on")
    for _ in generator:
        pass


@pytest.fixture(scope="module")
def answers(service):
    """The service's answer to each request."""
    return {
        name: requests.request(method, service.url + path, headers=headers, data=body, timeout=30)
        for name, (method, path, headers, body, _) in REQUESTS.items()
    }


@pytest.mark.parametrize("name", REQUESTS)
def test_requests_get_the_documented_status_and_form(answers, name):
    answer = answers[name]
    status = REQUESTS[name][-1]
    assert answer.status_code == status
    assert answer.headers["X-Request-ID"]
    if status >= 400:
        assert set(answer.json()) == {"error", "details"}


def test_worker_classes_give_equal_answers(answers):
    """Compared with the application in this process, which no worker serves."""
    from pydantic import SecretStr

    from app import create_app
    from settings import Settings

    client = create_app(Settings(API_KEY=SecretStr("secret"), REQUEST_LOG="/dev/null")).test_client()
    for name, (method, path, headers, body, _) in REQUESTS.items():
        if name == "too large":
            continue  # Werkzeug's client has no socket that could be closed
        expected, answer = client.open(path, method=method, headers=headers, data=body), answers[name]
        assert answer.headers["Content-Type"] == expected.headers["Content-Type"]
        if "json" in answer.headers["Content-Type"] and name != "contract":
            assert without_measurements(answer.json()) == without_measurements(expected.json), name
        else:
            assert answer.content == expected.data


def without_measurements(content):
    return {name: value for name, value in content.items() if name not in MEASURED}


def test_requests_are_logged_and_counted(service, answers):
    with service.log.open() as file:
        statuses = [row["status"] for row in csv.DictReader(file)]
    logged = [(method, path, status) for method, path, _, _, status in REQUESTS.values() if path.startswith(("/predict", "/forecast"))]
    expected = [str(status) for method, path, status in logged if (method, path) == ("POST", "/predict") or path.startswith("/forecast")]
    assert statuses == expected
    metrics = requests.get(f"{service.url}/metrics", timeout=30).text
    assert f'http_requests_total{{method="POST",route="/predict",status="200"}} {expected.count("200")}.0' in metrics
    monitor = requests.get(f"{service.url}/monitor", headers=KEY, timeout=30).json()
    assert [row["status"] for row in monitor["RESPONSES"]] == [int(status) for status in expected]
    wait_until(lambda: workers_of(service) == 2, 30, "signs of life of both workers")
    assert service.said().count('"path":"/predict"') >= len(expected)


def workers_of(service):
    return requests.get(f"{service.url}/monitor?limit=0", headers=KEY, timeout=30).json()["SUMMARY"]["workers"]


def test_request_without_headers_is_answered_and_logged(service):
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while received := connection.recv(65536):
            answer += received
    assert answer.startswith(b"HTTP/1.1 4")
    request_id = answer.lower().partition(b"x-request-id: ")[2].partition(b"\r\n")[0].decode()
    wait_until(lambda: request_id in service.said(), 10, "the line of the access log")


def test_invalid_http_is_answered_with_json_and_not_quoted(service):
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.sendall(b"GET /ready HTTP/1.1\r\nX-API-Key: sec ret\x00\r\n\r\n")
        answer = b""
        while received := connection.recv(65536):
            answer += received
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert set(json.loads(body)) == {"error", "details"}
    assert b"sec ret" not in answer
    assert "sec ret" not in service.said()


def test_reload_and_stop_are_clean(service):
    before = {child.pid for child in service.children()}
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: service.children() and not before & {child.pid for child in service.children()}, 60, "new workers")
    assert requests.post(f"{service.url}/predict", json={"predict": CLOSES}, headers=KEY, timeout=30).status_code == 200
    children = service.children()
    assert service.stop() == 0
    assert not [child for child in children if child.is_running()]


@pytest.mark.parametrize("worker", ["direct", "stock"])
def test_both_worker_classes_answer_with_and_without_the_path_prefix(start, worker):
    service = start(SERVER_WORKER=worker, SCRIPT_NAME="/stocks", WEB_CONCURRENCY="1")
    for prefix in ("", "/stocks"):
        forecast = requests.post(f"{service.url}{prefix}/predict", json={"predict": CLOSES}, timeout=30)
        assert (forecast.status_code, forecast.json()["last_close"]) == (200, CLOSES[-1])
        assert requests.get(f"{service.url}{prefix}/health", timeout=30).json() == {"status": "ok"}
    for path in ("/stocksandmore", "/nothing", "/stocks/nothing"):
        missing = requests.get(service.url + path, timeout=30)
        assert (missing.status_code, missing.json()["error"][-17:]) == (404, " /stocks/apidocs.")
    assert "Traceback" not in service.said()
