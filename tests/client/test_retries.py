"""Which requests the client repeats, how long it waits, and how it names connection problems: against a socket server that fails first."""

import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from failing import CLOSE, HANG, RESET, FailingServer, answer

from stock_forecast_client import (
    ConnectionFailedError,
    NotFoundError,
    RateLimitedError,
    StatusError,
    TimedOutError,
    UnavailableError,
    UnexpectedAnswerError,
)

CLOSES = [100.0 + day for day in range(60)]
OK = answer(200, {"status": "ok"})
FORECAST = answer(
    200,
    {
        "predicted_price": 159.5,
        "last_close": 159,
        "intervals": {"80": [150, 170]},
        "warnings": [],
        "response_time_sec": 0.001,
        "memory_usage_percent": 5,
        "model_version": "20261128-074023-de25e6",
        "model_symbol": None,
        "a_field_of_a_newer_service": 1,
    },
)
BUSY = answer(503, {"error": "Too many large requests are in progress.", "details": []}, Retry_After="0")
TOO_OFTEN = answer(429, {"error": "Too many requests.", "details": []}, Retry_After="0")
BAD_GATEWAY = answer(502, "<html>Bad Gateway</html>", "text/html")


@pytest.mark.parametrize("refusal", [BUSY, TOO_OFTEN, answer(503, "<html>", "text/html")], ids=["503", "429", "503 of a proxy"])
def test_forecast_is_repeated_if_the_service_refused_it(ask, refusal):
    with FailingServer(refusal, refusal, FORECAST) as server:
        assert ask("predict", CLOSES, url=server.url).predicted_price == 159.5
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("failure", "error"),
    [(CLOSE, ConnectionFailedError), (RESET, ConnectionFailedError), (HANG, TimedOutError), (BAD_GATEWAY, UnavailableError)],
)
@pytest.mark.parametrize(
    ("method", "arguments"), [("predict", [CLOSES]), ("predict_batch", [[CLOSES]]), ("predict_file", [b"1"]), ("forecast", ["MSFT"])]
)
def test_forecast_is_not_repeated_if_the_service_may_have_made_it(ask, method, arguments, failure, error):
    with FailingServer(failure) as server, pytest.raises(error):
        ask(method, *arguments, url=server.url, client={"timeout": 0.5})
    assert len(server.requests) == 1


@pytest.mark.parametrize("failure", [CLOSE, RESET, HANG, BAD_GATEWAY, BUSY])
def test_calls_that_are_not_logged_are_repeated_after_any_failure(ask, failure):
    with FailingServer(failure, OK) as server:
        assert ask("health", url=server.url, client={"timeout": 0.5})
    assert len(server.requests) == 2


def test_forecast_is_repeated_if_there_was_no_connection(ask):
    server = FailingServer(FORECAST, listening=False)  # connections are refused
    opening = threading.Timer(0.2, server.listen)
    opening.start()
    with server:
        assert ask("predict", CLOSES, url=server.url, client={"retries": 7}).predicted_price == 159.5
    opening.join()
    assert len(server.requests) == 1


def test_retries_end(ask):
    with FailingServer(BUSY, BUSY, BUSY, FORECAST) as server, pytest.raises(UnavailableError, match="Too many large requests") as caught:
        ask("predict", CLOSES, url=server.url)
    assert len(server.requests) == 3
    assert (caught.value.status, caught.value.retry_after) == (503, 0)


def test_no_retries(ask):
    with FailingServer(BUSY, FORECAST) as server, pytest.raises(UnavailableError):
        ask("predict", CLOSES, url=server.url, client={"retries": 0})
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 408, 413, 422, 500])
def test_other_statuses_are_not_repeated(ask, status):
    with FailingServer(answer(status, {"error": "No.", "details": []}), OK) as server, pytest.raises(StatusError, match=r"No\.") as caught:
        ask("health", url=server.url)
    assert caught.value.status == status
    assert len(server.requests) == 1


def test_retry_after_in_seconds_is_waited_for(ask):
    with FailingServer(answer(429, {"error": "Later.", "details": []}, Retry_After="1"), OK) as server:
        start = time.monotonic()
        assert ask("health", url=server.url)
    assert time.monotonic() - start >= 1


def test_retry_after_as_a_date_is_waited_for(ask):
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=3), usegmt=True)  # whole seconds, so at least two
    with FailingServer(answer(503, {"error": "Later.", "details": []}, Retry_After=date), OK) as server:
        start = time.monotonic()
        assert ask("health", url=server.url)
    assert time.monotonic() - start >= 1


def test_long_retry_after_is_an_error_at_once(ask):
    refusal = answer(429, {"error": "Later.", "details": []}, Retry_After="600")
    with FailingServer(refusal, OK) as server, pytest.raises(RateLimitedError) as caught:
        ask("health", url=server.url)
    assert caught.value.retry_after == 600
    assert len(server.requests) == 1


def test_batch_stops_at_the_request_that_failed(ask):
    with FailingServer(answer(404, {"error": "No.", "details": []}), FORECAST) as server, pytest.raises(NotFoundError):
        ask("predict_batch", [CLOSES] * 1025, url=server.url)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (HANG, "did not answer within 0.5 s. Set a longer timeout"),
        (CLOSE, "was lost before the answer was complete"),
        (OK[:-3], "was lost before the answer was complete"),
        (answer(200, "not compressed with gzip", Content_Encoding="gzip"), "was lost before the answer was complete"),
    ],
)
def test_connection_problem_is_a_sentence_that_names_the_address(ask, outcome, message):
    with FailingServer(outcome) as server, pytest.raises(ConnectionFailedError, match=message) as caught:
        ask("health", url=server.url, client={"retries": 0, "timeout": 0.5})
    assert server.url in str(caught.value)
    assert caught.value.status is None


def test_service_that_does_not_run_is_named(ask):
    with pytest.raises(ConnectionFailedError, match=r"http://127.0.0.1:1 cannot be reached .* Check that the service runs"):
        ask("health", url="http://127.0.0.1:1", client={"retries": 0})


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (answer(200, "<html>Log in</html>", "text/html"), "not from the forecast service"),
        (answer(200, {"status": 1, "other": 2}), "not from the forecast service"),
        (answer(200, [1]), "not from the forecast service"),
        (answer(404, "<html>", "text/html"), "status 404, but is not from the forecast service"),
        (answer(301, "", Location="https://host/ready"), "moved to https://host/ready"),
    ],
)
@pytest.mark.parametrize("method", ["ready", "models", "monitor", "backtest"])
def test_answer_of_something_else_is_named(ask, method, outcome, message):
    with FailingServer(outcome) as server, pytest.raises(UnexpectedAnswerError, match=message) as caught:
        ask(method, url=server.url)
    assert caught.value.status == int(outcome.split()[1])


def test_requests_say_which_client_sent_them_and_carry_the_key(ask):
    with FailingServer(OK) as server:
        ask("health", url=server.url, client={"api_key": "secret"})
    head = server.requests[0].lower()
    assert "user-agent: stock-forecast-client/" in head
    assert "x-api-key: secret" in head
