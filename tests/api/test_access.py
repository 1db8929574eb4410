"""API keys, rate limits, proxies and cross-origin calls."""

import json
import re
import time

import pytest
from pydantic import SecretStr

from api.access import Gatekeeper
from app import create_app
from server.head import Head
from settings import SettingError, Settings

CLOSES = [100.0 + day for day in range(60)]


def client(settings, **changes):
    return create_app(settings.model_copy(update=changes)).test_client()


def test_any_client_is_admitted_without_keys_and_rate_limit():
    gate = Gatekeeper(Settings())
    assert gate.admits("")
    assert gate.admits("anything")
    assert [gate.seconds_to_wait("127.0.0.1") for _ in range(1000)] == [0] * 1000


@pytest.mark.parametrize(
    ("key", "admitted"),
    [("new-key", True), ("old-key", True), ("", False), ("new-ke", False), ("new-keys", False), ("new-key,old-key", False)],
)
def test_only_configured_keys_are_admitted(key, admitted):
    assert Gatekeeper(Settings(API_KEY=SecretStr("new-key,old-key"))).admits(key) == admitted


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/predict", 401),
        ("GET", "/predict", 200),
        ("GET", "/forecast/MSFT", 401),
        ("GET", "/monitor", 401),
        ("HEAD", "/monitor", 401),
        ("GET", "/ready", 200),
        ("GET", "/metrics", 200),
    ],
)
def test_key_is_required_where_the_contract_says_so(settings, method, path, status):
    assert client(settings, API_KEY=SecretStr("key")).open(path, method=method).status_code == status


def test_client_over_the_rate_limit_gets_retry_after(settings):
    asked = client(settings, RATE_LIMIT="3/minute")
    answers = [asked.post("/predict", json={"predict": CLOSES}) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    seconds = int(answers[-1].headers["Retry-After"])
    assert 1 <= seconds <= 60
    assert answers[-1].json == {"error": f"Too many requests. Try again in {seconds} s.", "details": []}
    assert asked.get("/monitor").status_code == 429
    assert asked.get("/ready").status_code == 200
    assert settings.REQUEST_LOG.read_text().count(",429,") == 2
    other = asked.get("/monitor", environ_base={"REMOTE_ADDR": "10.0.0.9"})
    assert other.status_code == 200


def test_client_is_admitted_again_after_the_window(settings):
    asked = client(settings, RATE_LIMIT="1/second")
    assert [asked.get("/monitor?limit=0").status_code for _ in range(2)] == [200, 429]
    time.sleep(1.1)
    assert asked.get("/monitor?limit=0").status_code == 200


def test_wrong_keys_count_towards_the_rate_limit(settings):
    asked = client(settings, RATE_LIMIT="3/minute", API_KEY=SecretStr("key"))
    statuses = [asked.get("/monitor", headers={"X-API-Key": f"guess-{guess}"}).status_code for guess in range(4)]
    assert statuses == [401, 401, 401, 429]
    assert asked.get("/monitor", headers={"X-API-Key": "key"}).status_code == 429


def test_direct_path_and_flask_count_together(settings):
    app = create_app(settings.model_copy(update={"RATE_LIMIT": "3/minute"}))
    body = json.dumps({"predict": CLOSES}).encode()
    answers = [app.extensions["direct"].answer(Head(len(body), "", False), body, "127.0.0.1", False, time.perf_counter()) for _ in range(2)]
    assert [answer.split(b"\r\n")[0] for answer in answers] == [b"HTTP/1.1 200 OK"] * 2
    asked = app.test_client()
    assert [asked.post("/predict", json={"predict": CLOSES}).status_code for _ in range(2)] == [200, 429]
    refused = app.extensions["direct"].answer(Head(len(body), "", False), body, "127.0.0.1", False, time.perf_counter())
    assert refused.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
    assert b"\r\nRetry-After: " in refused
    assert settings.REQUEST_LOG.read_text().count(",429,") == 2


@pytest.mark.parametrize("storage", ["nonsense://x", "memcached", "redis://127.0.0.1:1"])
def test_unknown_storage_of_the_rate_limit_is_rejected(storage):
    with pytest.raises(SettingError, match=re.escape(f"RATE_LIMIT_STORAGE={storage!r}")):
        Gatekeeper(Settings(RATE_LIMIT="3/minute", RATE_LIMIT_STORAGE=storage))


@pytest.mark.parametrize(
    ("proxies", "forwarded", "client_address"),
    [
        (0, "1.2.3.4", "127.0.0.1"),
        (1, "1.2.3.4", "1.2.3.4"),
        (1, "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        (2, "6.6.6.6, 1.2.3.4, 5.6.7.8", "1.2.3.4"),
    ],
)
def test_forwarded_client_is_trusted_only_behind_configured_proxies(settings, proxies, forwarded, client_address):
    asked = client(settings, RATE_LIMIT="1/minute", TRUSTED_PROXIES=proxies)
    headers = {"X-Forwarded-For": forwarded}
    assert asked.get("/monitor?limit=0", headers=headers).status_code == 200
    counted = asked.get("/monitor?limit=0", environ_base={"REMOTE_ADDR": client_address})
    assert counted.status_code == 429


def test_cross_origin_calls_need_the_setting(settings):
    origin = {
        "Origin": "https://a.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, x-api-key",
    }
    closed = client(settings)
    assert not [name for name in closed.options("/predict", headers=origin).headers if name[0].startswith("Access-Control")]
    assert not [
        name for name in closed.post("/predict", json={"predict": CLOSES}, headers=origin).headers if name[0].startswith("Access-Control")
    ]
    open_ = client(settings, CORS_ORIGINS="https://a.example,https://b.example", API_KEY=SecretStr("key"))
    preflight = open_.options("/predict", headers=origin)
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://a.example"
    assert preflight.headers["Access-Control-Allow-Headers"].lower() == "content-type, x-api-key"
    answer = open_.post("/predict", json={"predict": CLOSES}, headers=origin | {"X-API-Key": "key"})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, "https://a.example")
    refused = open_.post("/predict", json={"predict": CLOSES}, headers=origin)
    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, "https://a.example")
    assert "Access-Control-Allow-Origin" not in open_.get("/ready", headers={"Origin": "https://evil.example"}).headers


def test_origin_must_match_exactly(settings):
    open_ = client(settings, CORS_ORIGINS="http://[::1]:3000,https://a.example")
    for origin, admitted in (
        ("http://[::1]:3000", True),
        ("https://a.example", True),
        ("http://1:3000", False),
        ("https://aXexample", False),
        ("https://a.example.evil.example", False),
        ("https://a.example:444", False),
    ):
        headers = open_.get("/ready", headers={"Origin": origin}).headers
        assert headers.get("Access-Control-Allow-Origin") == (origin if admitted else None)
