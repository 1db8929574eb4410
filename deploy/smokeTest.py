"""Smoke test of a deployed service: a few real requests. Needs only the standard library.

    python3 deploy/smokeTest.py http://127.0.0.1:8010
    sudo python3 deploy/smokeTest.py --env-file /etc/stock-forecast-service.env http://127.0.0.1:8010

Waits up to a minute for /ready. Exits with code 1 and one line on stderr at the first wrong answer. Adds three lines to the request log of
the service. If the service needs an API key, the test sends the first key of API_KEY or API_KEY_FILE. It reads them from the
environment, or from the file with the service's settings.
"""

import argparse
import http.client
import json
import os
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

WAIT_SECONDS = 60.0
EXIT_INTERRUPTED = 130
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


def read(path: str) -> str:
    """Return the text of a file, or exit with the reason why it cannot be read."""
    try:
        return Path(path).read_text()
    except (OSError, UnicodeError) as error:
        sys.exit(f"error: {path} cannot be read: {getattr(error, 'strerror', None) or 'it is not a text file'}")


def find_key(env_file: str | None) -> str | None:
    """Return the first key of API_KEY or API_KEY_FILE, or None. The lines NAME=value of `env_file` win over the environment."""
    settings = dict(os.environ)
    for line in read(env_file).splitlines() if env_file else ():
        name, _, value = line.strip().partition("=")
        settings[name] = value.strip("\"'")
    keys = settings.get("API_KEY", "").split(",")
    if settings.get("API_KEY_FILE"):
        keys += read(settings["API_KEY_FILE"]).splitlines()
    return next((key.strip() for key in keys if key.strip()), None)


def read_arguments() -> argparse.Namespace:
    """Return the address of the service and the file with its settings."""
    parser = argparse.ArgumentParser(description="Smoke test of a deployed service.")
    parser.add_argument("--env-file", help="file with the service's settings, one NAME=value per line; API_KEY or API_KEY_FILE is read")
    parser.add_argument("url", metavar="http://HOST:PORT", help="address of the service")
    arguments = parser.parse_args()
    if not urlsplit(arguments.url).hostname:
        parser.error(f"{arguments.url!r} is not an address such as http://127.0.0.1:8010")
    return arguments


def check_forecasts(base: str, key: dict[str, str]) -> None:
    """Check a forecast, two rejected requests, and that the request log has all three. `key` is the header of the API key."""
    closes = [400.0 + day % 7 + day / 10 for day in range(60)]
    body = json.dumps({"predict": closes})
    status, text = ask(base, "POST", "/predict", body, JSON_TYPE | key)
    if status == 401:
        sys.exit(f"error: {json.loads(text)['error']} Set API_KEY or API_KEY_FILE, or use --env-file.")
    expect("POST /predict answers 200", status == 200, text)
    forecast = json.loads(text)
    ordered = all(forecast["intervals"][level][0] < forecast["predicted_price"] < forecast["intervals"][level][1] for level in ("80", "95"))
    expect("the price lies within its 80% and 95% intervals", ordered, forecast)
    expect("the forecast starts from the last close", forecast["last_close"] == closes[-1], forecast)

    status, text = ask(base, "POST", "/predict", body, {"Content-Type": "application/x-www-form-urlencoded"} | key)
    expect("a body that is not declared as JSON gets 415", status == 415 and "error" in json.loads(text), (status, text))
    status, text = ask(base, "POST", "/predict", json.dumps({"predict": closes[1:]}), JSON_TYPE | key)
    expect("59 closes get 422", status == 422 and "error" in json.loads(text), (status, text))
    status, text = ask(base, "GET", "/monitor?limit=3", headers=key)
    expect("the three requests are in /monitor", status == 200 and len(json.loads(text)["RESPONSES"]) == 3, (status, text))


def check_pages(base: str) -> None:
    """Check what opens in a browser."""
    status, text = ask(base, "GET", "/mlflow")
    is_helpful = status == 302 or (status == 503 and bool(json.loads(text)["details"]))
    expect("/mlflow redirects, or explains how to get the UI", is_helpful, (status, text))
    status, text = ask(base, "GET", "/apidocs")
    expect("/apidocs shows the documentation", status == 200 and "swagger" in text.lower(), (status, text))
    status, text = ask(base, "GET", "/")
    expect("the page answers", status == 200, (status, text))


def main() -> None:
    """Run the checks in order."""
    arguments = read_arguments()
    base = arguments.url.rstrip("/")
    key = find_key(arguments.env_file)
    wait_until_ready(base)
    check_forecasts(base, {"X-API-Key": key} if key else {})
    check_pages(base)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
