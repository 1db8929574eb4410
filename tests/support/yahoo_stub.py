"""A local server that speaks the part of Yahoo Finance's protocol that yfinance uses, well or badly.

    with YahooStub() as yahoo:
        yahoo.behave("429")
        load_closes("MSFT", source="yahoo", settings=Settings(YAHOO_URL=yahoo.url))

`closes` and `adjusted` differ, so that a test sees which were taken. `calls` counts the charts asked for with dates, that is the
attempts; `paths` has every path asked for. `known` has the symbols that exist; None: every symbol does.
"""

import json
import threading
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

BEHAVIOURS = (
    "normal",
    "429",
    "500",
    "401",  # as JSON without a chart
    "empty",  # no result at all
    "not found",  # Yahoo's answer for a symbol that does not exist
    "late",  # normal, after LATE_SECONDS a call
    "slow",  # longer than any YAHOO_TIMEOUT of a test
    "503",  # as a chart that says so
    "html",  # a page where JSON should be
    "html page",  # the same with status 200
    "half",  # the body ends before its Content-Length
    "fail once",  # 500 for the first chart, then normal
    "null",  # one day without a close
    "zero",  # one day with a close of zero
    "negative",  # one day with a close below zero
    "not a number",  # one day with a close of NaN, which JSON does not allow
    "text",  # one day with a word for a close
    "split",  # nothing is adjusted for a split in two on one day
    "twice",  # one day comes twice
    "backwards",  # the newest day first
    "uneven",  # one close less than days
    "other symbol",  # the closes of another stock
    "huge",  # three thousand times as many days, all the same
)
FIRST_DAY = date(2024, 1, 2)
N_DAYS = 120
LATE_SECONDS = 0.3
ODD_DAY = 40  # the one day that is odd
RANGE = {"open": 0.998, "high": 1.003, "low": 0.996}  # divided by the close
ADJUSTMENT = 0.9  # adjusted over plain close before the dividend, which is paid on the last ten days


def weekdays(first: date, count: int) -> list[date]:
    """The first `count` weekdays from `first` on."""
    days = (first + timedelta(days=i) for i in range(2 * count))
    return [day for day in days if day.weekday() < 5][:count]


class YahooStub:
    """The server; `url` goes into YAHOO_URL."""

    def __init__(self) -> None:
        self.dates = weekdays(FIRST_DAY, N_DAYS)
        self.closes = [100.0 + i + (i % 7) / 8 for i in range(N_DAYS)]
        self.adjusted = [close * (ADJUSTMENT if i < N_DAYS - 10 else 1) for i, close in enumerate(self.closes)]
        self.range, self.exchange = dict(RANGE), "NMS"
        self.known: set[str] | None = None
        self.paths: list[str] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.behave("normal")
        handler = type("Handler", (_Handler,), {"stub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def behave(self, behaviour: str) -> None:
        """From now on answer like this (see BEHAVIOURS), and count from zero."""
        assert behaviour in BEHAVIOURS, behaviour
        with self._lock:
            self.behaviour = behaviour
            self.calls = 0
            self.failures_left = 1 if behaviour == "fail once" else 0
            self.paths.clear()

    def end_on(self, last: date) -> None:
        """Let the closes end on this day, whatever day of the week it is."""
        self.dates = [last - (N_DAYS - 1 - i) * timedelta(days=1) for i in range(N_DAYS)]

    def serve(self, prices: list[float], days: list[date]) -> None:
        """Answer with these closes, and keep them for all symbols."""
        self.dates, self.closes, self.adjusted = days, prices, prices

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()  # wakes the slow ones
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def respond(self, path: str, query: dict[str, str]) -> tuple[int, str, bytes, int]:  # noqa: PLR0911
        """Status, content type, body and the length that the answer claims to have."""
        chart = path.startswith("/v8/finance/chart/")
        dated = chart and "period1" in query
        with self._lock:
            self.paths.append(path)
            self.calls += dated
            behaviour = self.behaviour
            if behaviour == "fail once" and chart:
                behaviour = "500" if self.failures_left else "normal"
                self.failures_left = 0
        if behaviour == "late":
            self._closing.wait(LATE_SECONDS)
        if behaviour == "slow":
            self._closing.wait(30)
        if behaviour == "429":
            return _text(429, "text/plain", "Too Many Requests\r\n")
        if behaviour == "500":
            return _text(500, "text/plain", "Internal Server Error")
        if behaviour == "401":
            return _json(401, {"finance": {"result": None, "error": {"code": "Unauthorized", "description": "Invalid Crumb"}}})
        if behaviour == "503" and chart:
            return _json(503, {"chart": {"result": None, "error": {"code": "Unavailable", "description": "Try again"}}})
        if behaviour in ("html", "html page"):
            return _text(503 if behaviour == "html" else 200, "text/html", "<html><body>Will return soon</body></html>")
        if path == "/v1/test/getcrumb":
            return _text(200, "text/plain", "stubCrumb01")
        if not chart:  # cookie and consent pages; anything else is not there
            return _text(200 if path in ("/", "") else 404, "text/html", "")
        symbol = unquote(path.rsplit("/", 1)[1])
        if behaviour == "not found" or (self.known is not None and symbol not in self.known):
            reason = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
            return _json(404, {"chart": {"result": None, "error": reason}})
        if behaviour == "empty":
            return _json(200, {"chart": {"result": [] if dated else [{"meta": self._meta(symbol)}], "error": None}})
        body = self._chart(symbol, query, behaviour) if dated else {"chart": {"result": [{"meta": self._meta(symbol)}], "error": None}}
        status, kind, content, length = _json(200, body)
        return (status, kind, content[: length // 2], length) if behaviour == "half" and dated else (status, kind, content, length)

    def _chart(self, symbol: str, query: dict[str, str], behaviour: str) -> dict[str, Any]:
        """The closes between two moments."""
        opens_at = [int(datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC).timestamp()) for day in self.dates]
        rows: list[Any] = list(zip(opens_at, self.closes, self.adjusted, strict=True))
        odd = {"null": None, "zero": 0.0, "negative": -1.0, "not a number": float("nan"), "text": "n/a"}
        if behaviour in odd:
            plain = None if behaviour == "null" else self.closes[ODD_DAY]
            rows[ODD_DAY] = (opens_at[ODD_DAY], plain, odd[behaviour])
        if behaviour == "split":
            rows = [(at, plain, adjusted * (2 if i < ODD_DAY else 1)) for i, (at, plain, adjusted) in enumerate(rows)]
        if behaviour == "twice":
            rows.insert(ODD_DAY, rows[ODD_DAY])
        if behaviour == "backwards":
            rows.reverse()
        if behaviour == "huge":
            rows += rows[-1:] * (3_000 * N_DAYS)
        rows = [row for row in rows if int(query["period1"]) <= row[0] < int(query["period2"])]
        closes = [row[1] for row in rows]
        quote: dict[str, list[Any]] = {"volume": [None if close is None else 1000 for close in closes]}
        for name, factor in self.range.items():
            quote[name] = [None if close is None else close * factor for close in closes]
        if behaviour == "uneven":
            closes = closes[1:]
        quote |= {"close": closes}
        result = {
            "meta": self._meta("OTHER" if behaviour == "other symbol" else symbol),
            "timestamp": [row[0] for row in rows],
            "indicators": {"quote": [quote], "adjclose": [{"adjclose": [row[2] for row in rows]}]},
        }
        if not rows:
            result["indicators"] = {"quote": [{}]}
        return {"chart": {"result": [result], "error": None}}

    def _meta(self, symbol: str) -> dict[str, Any]:
        return {
            "currency": "USD",
            "symbol": symbol,
            "exchangeName": self.exchange,
            "instrumentType": "EQUITY",
            "firstTradeDate": 511108200,
            "regularMarketTime": 1718000000,
            "gmtoffset": -14400,
            "timezone": "EDT",
            "exchangeTimezoneName": "America/New_York",
            "priceHint": 2,
            "dataGranularity": "1d",
            "range": "",
            "validRanges": ["1d", "5d", "1mo", "1y", "max"],
        }


class _Handler(BaseHTTPRequestHandler):
    stub: YahooStub

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        status, kind, body, length = self.stub.respond(parts.path, query)
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass  # a slow answer: the client has left
        self.close_connection = True

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


def _text(status: int, kind: str, text: str) -> tuple[int, str, bytes, int]:
    return status, kind, text.encode(), len(text.encode())


def _json(status: int, content: dict[str, Any]) -> tuple[int, str, bytes, int]:
    return _text(status, "application/json", json.dumps(content))
