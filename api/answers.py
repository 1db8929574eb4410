"""How answers look: JSON, an error for whatever goes wrong, the headers that all have, and whole answers in bytes for those without Flask.

The policy lets the page load from its own server alone, and run no script or style that stands in the page itself. Nobody may show the
page in a frame, interpret an answer as another content type, or see the address that a link was followed from.
"""

import logging
import time
from http import HTTPStatus
from typing import Any

from flask import Response, g
from flask.typing import ResponseReturnValue
from pydantic_core import to_json
from werkzeug.exceptions import HTTPException
from werkzeug.http import http_date

from api.body import MAX_BODY_BYTES, RequestError
from api.service import ForecastService
from closes.newest import RETRY_SECONDS
from errors import DataUnavailableError, ForecastError, InvalidClosesError, InvalidSymbolError, UnknownSymbolError
from monitoring.accesslog import ID_HEADER, Asked

MODEL_SECONDS = 10  # after which a model may have been published
log = logging.getLogger(__name__)
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
_ALWAYS = "".join(f"{name}: {value}\r\n" for name, value in SECURITY_HEADERS.items()).encode()
_ANSWER = (
    b"HTTP/1.1 %d %b\r\nServer: gunicorn\r\nDate: %b\r\nConnection: %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
    b"Vary: Accept-Encoding\r\n" + _ALWAYS + ID_HEADER.encode() + b": %b\r\n\r\n%b"
)
_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}
HTTP_ERRORS = {
    400: "The request is not sound HTTP.",
    404: "There is nothing at this address; the calls are listed at /apidocs.",
    405: "This address does not take this method; the calls are listed at /apidocs.",
    408: "The request did not arrive in time.",
    413: f"The body is larger than {MAX_BODY_BYTES // 1024 // 1024} MiB.",
    417: "Only the expectation 100-continue is supported.",
    431: "The headers are too many or too long.",
    500: "The server failed; its log has the reason.",
    501: "This transfer coding is not supported.",
}


def json_answer(content: dict[str, Any], status: int = 200) -> Response:
    """A JSON answer; floats in full."""
    return Response(to_json(content), status, content_type="application/json")


def error_answer(error: Exception) -> ResponseReturnValue:
    """The one place that maps errors to statuses."""
    headers: list[tuple[str, str]] = []
    if isinstance(error, RequestError):
        status, details = error.status, error.details
        headers = [("Retry-After", str(error.retry_after))] if error.retry_after else []
    elif isinstance(error, InvalidClosesError | InvalidSymbolError):
        status, details = 422, error.details
    elif isinstance(error, UnknownSymbolError):
        status, details = 404, error.details
    elif isinstance(error, DataUnavailableError):
        status, details, headers = 503, error.details, [("Retry-After", f"{RETRY_SECONDS:.0f}")]
    elif isinstance(error, ForecastError):
        status, details, headers = 503, error.details, [("Retry-After", str(MODEL_SECONDS))]
    elif isinstance(error, HTTPException):
        if error.code is None or error.code < 400:
            return error
        status, details = error.code, []
        headers = [(name, value) for name, value in error.get_headers() if name == "Allow"]
        error = RequestError(status, HTTP_ERRORS.get(status, error.name + "."))
    else:
        log.exception("Request %s failed", g.asked.id)
        status, details, error = 500, [f"request {g.asked.id}"], RequestError(500, HTTP_ERRORS[500])
    response = json_answer({"error": str(error), "details": details}, status)
    response.headers.extend(headers)
    return response


def refuse(service: ForecastService, status: int, client: str) -> bytes:
    """The complete answer to invalid HTTP. Counts the request and writes its line of the access log."""
    asked = Asked(service.access_log.id_for(), client, "", "")
    service.record("unmatched", asked, status, time.perf_counter())
    content = to_json({"error": HTTP_ERRORS.get(status, HTTP_ERRORS[400]), "details": [f"request {asked.id}"] if status == 500 else []})
    return raw_answer(status, content, asked.id, is_last=True)


def raw_answer(status: int, content: bytes, request_id: str, *, is_last: bool) -> bytes:
    """A whole answer of JSON.

    Args:
        status: of HTTP.
        content: the JSON.
        request_id: of the request.
        is_last: whether the connection ends with this answer.
    """
    connection = b"close" if is_last else b"keep-alive"
    return _ANSWER % (status, _PHRASES[status], _date(), connection, len(content), request_id.encode(), content)


class _Clock:
    """The header Date, written once a second."""

    second, text = -1, b""


def _date() -> bytes:
    second = int(time.time())
    if second != _Clock.second:
        _Clock.second, _Clock.text = second, http_date(second).encode()
    return _Clock.text
