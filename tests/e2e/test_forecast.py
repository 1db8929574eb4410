"""GET /forecast on real gunicorn workers, with a stub of Yahoo Finance."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psutil
import pytest
import requests
from serving import wait_until
from yahoo_stub import YahooStub


@pytest.fixture
def yahoo():
    with YahooStub() as stub:
        stub.end_on(datetime.now(UTC).date() - timedelta(days=1))
        yield stub


@pytest.fixture
def serve(start, tmp_path, yahoo):
    """Start services that share a cache, as the workers of one do."""

    def start_service(**environment):
        own = {"YAHOO_URL": yahoo.url, "DATA_CACHE_DIR": str(tmp_path / "cache"), "XDG_CACHE_HOME": str(tmp_path / "yfinance")}
        return start(**own | environment)

    return start_service


def ask(service, path="MSFT"):
    return requests.get(f"{service.url}/forecast/{path}", timeout=60)


def test_concurrent_calls_over_all_workers_make_one_download(serve, yahoo):
    services = [serve(WEB_CONCURRENCY="2"), serve(WEB_CONCURRENCY="1")]
    yahoo.behave("late")
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda number: ask(services[number % 2], "ACME?horizon=2"), range(20)))
    assert [answer.status_code for answer in answers] == [200] * 20
    bodies = [answer.json() for answer in answers]
    assert {(body["symbol"], body["source"], body["as_of"], len(body["path"])) for body in bodies} == {
        ("ACME", "yahoo", yahoo.dates[-1].isoformat(), 2)
    }
    assert len({body["predicted_price"] for body in bodies}) == 1
    assert yahoo.calls == 1


def test_others_are_answered_while_a_download_hangs(serve, yahoo):
    service = serve(WEB_CONCURRENCY="1")
    yahoo.behave("slow")
    with ThreadPoolExecutor(8) as pool:
        hanging = [pool.submit(ask, service, symbol) for symbol in ("MSFT", "MSFT", "KO", "PEP")]
        wait_until(lambda: yahoo.paths, 60, "a call to Yahoo Finance")
        for _ in range(10):
            assert requests.get(f"{service.url}/health", timeout=2).status_code == 200
        assert not all(one.done() for one in hanging)
        for one in hanging:
            answer = one.result(60)
            assert (answer.status_code, answer.json()["source"]) == (200, "snapshot")
            assert answer.json()["response_time_sec"] < 30
    assert any(
        "no answer within 5 s" in one.result().json()["warnings"][0]["text"] for one in hanging
    )  # a slow machine makes the others give up


def test_download_expires_and_is_the_fallback_when_yahoo_fails(serve, yahoo):
    service = serve(FORECAST_TTL="2")
    assert ask(service).json()["source"] == "yahoo"
    time.sleep(2.1)
    assert ask(service).json()["source"] == "yahoo"
    assert yahoo.calls == 2
    yahoo.behave("429")
    time.sleep(2.1)
    body = ask(service).json()
    assert body["source"] == "cache"
    why = "Yahoo Finance: the rate limit is exceeded (HTTP 429)."
    assert body["warnings"][0]["text"] == f"{why} These closes are from the cache and end on {yahoo.dates[-1]}."


def test_unknown_symbol_is_cached_and_a_malformed_one_not_requested(serve, yahoo):
    service = serve(WEB_CONCURRENCY="1")
    yahoo.behave("not found")
    assert [ask(service, "NOSUCH").status_code for _ in range(3)] == [404] * 3
    asked = yahoo.paths.count("/v8/finance/chart/NOSUCH")
    assert 1 <= asked <= 2
    answer = ask(service, "..%20x")
    assert (answer.status_code, "letters, digits" in answer.json()["error"]) == (422, True)
    assert yahoo.paths.count("/v8/finance/chart/NOSUCH") == asked


def test_hanging_download_does_not_delay_shutdown(serve, yahoo):
    service = serve(WEB_CONCURRENCY="1")
    yahoo.behave("slow")
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(ask, service)
        wait_until(lambda: yahoo.paths, 60, "a call to Yahoo Finance")
        children = service.children()
        assert service.stop(signal.SIGTERM) == 0
        assert hanging.result(60).status_code == 200
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive


def test_workers_download_in_a_process_that_ends_with_them(serve, yahoo):
    """pandas in a worker would take 80 MB each."""
    service = serve(WEB_CONCURRENCY="1")
    assert ask(service).json()["source"] == "yahoo"
    workers = [child for child in psutil.Process(service.pid).children() if "pandas" not in mapped(child)]
    assert len(workers) == 1
    (downloader,) = workers[0].children()
    assert "pandas" in mapped(downloader)
    assert ask(service, "KO").json()["source"] == "yahoo"
    assert workers[0].children() == [downloader]
    workers[0].send_signal(signal.SIGTERM)
    wait_until(lambda: not downloader.is_running(), 60, "the end of the downloader")


def mapped(process):
    """The paths of the libraries that a process has loaded."""
    return " ".join(file.path for file in process.memory_maps())
