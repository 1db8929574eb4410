"""Answers in bytes, for those that answer without Flask, and the headers that every answer has.

The policy lets the page load from its own server alone, and run no script or style that stands in the page itself. Nobody may show the
page in a frame, take an answer for something else than it says it is, or learn from a link where its reader came from.
"""

import time
from http import HTTPStatus

from werkzeug.http import http_date

from accessLog import ID_HEADER

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
