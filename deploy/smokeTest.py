"""Smoke test of a deployed service: a few real requests. Needs only the standard library.

    python3 deploy/smokeTest.py http://127.0.0.1:8010

Waits up to a minute for /ready. Exits with code 1 and one line on stderr at the first wrong answer. Sends no API key, and adds three
lines to the request log of the service.
"""

import http.client
import json
import sys
import time
from typing import Any
from urllib.parse import urlsplit

WAIT_SECONDS = 60.0
JSON_TYPE = {"Content-Type": "application/json"}


def ask(base: str, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Send a request and return the status and the text. Does not follow redirects."""
    parts = urlsplit(base)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def wait_until_ready(base: str) -> None:
    """Wait until /ready answers 200, or exit with the last problem after WAIT_SECONDS."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            status, text = ask(base, "GET", "/ready")
            problem = f"/ready answers {status}: {text[:300]}"
        except OSError as error:
            status, problem = 0, f"{base} cannot be reached: {error}"
        if status == 200:
            return
        if time.monotonic() > deadline:
            sys.exit(f"error: {problem}")
        time.sleep(0.2)


def expect(what: str, holds: bool, answer: Any) -> None:
    """Print that a check passed, or exit with the answer that failed it."""
    if not holds:
        sys.exit(f"error: {what}: got {str(answer)[:500]}")
    print(f"ok  {what}")


def main() -> None:
    """Run the checks in order."""
    if len(sys.argv) != 2 or not urlsplit(sys.argv[1]).hostname:
        sys.exit("usage: smokeTest.py http://HOST:PORT")
    base = sys.argv[1].rstrip("/")
    wait_until_ready(base)
    closes = [400.0 + day % 7 + day / 10 for day in range(60)]
    body = json.dumps({"predict": closes})

    status, text = ask(base, "POST", "/predict", body, JSON_TYPE)
    expect("POST /predict answers 200", status == 200, text)
    forecast = json.loads(text)
    ordered = all(forecast["intervals"][level][0] < forecast["predicted_price"] < forecast["intervals"][level][1] for level in ("80", "95"))
    expect("the price lies within its 80% and 95% intervals", ordered, forecast)
    expect("the forecast starts from the last close", forecast["last_close"] == closes[-1], forecast)

    status, text = ask(base, "POST", "/predict", body, {"Content-Type": "application/x-www-form-urlencoded"})
    expect("a body that is not declared as JSON gets 415", status == 415 and "error" in json.loads(text), (status, text))
    status, text = ask(base, "POST", "/predict", json.dumps({"predict": closes[1:]}), JSON_TYPE)
    expect("59 closes get 422", status == 422 and "error" in json.loads(text), (status, text))

    status, text = ask(base, "GET", "/monitor?limit=3")
    expect("the three requests are in /monitor", status == 200 and len(json.loads(text)["RESPONSES"]) == 3, (status, text))
    status, text = ask(base, "GET", "/mlflow")
    is_helpful = status == 302 or (status == 503 and bool(json.loads(text)["details"]))
    expect("/mlflow redirects, or explains how to get the UI", is_helpful, (status, text))
    status, text = ask(base, "GET", "/apidocs")
    expect("/apidocs shows the documentation", status == 200 and "swagger" in text.lower(), (status, text))
    status, text = ask(base, "GET", "/")
    expect("the page answers", status == 200, (status, text))


if __name__ == "__main__":
    main()
