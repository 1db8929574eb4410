"""Answers: JSON, the headers that all answers have, and complete HTTP answers for the direct path.

The content security policy lets the page load from its own server only, without inline scripts or styles. Other headers forbid to show the
page in a frame, to guess content types, and to send referrers.
"""

import time
from http import HTTPStatus
from typing import Any

from flask import Response, g, request
from flask.typing import ResponseReturnValue
from pydantic_core import to_json
from werkzeug.exceptions import HTTPException
from werkzeug.http import http_date

from api.errors import describe
from api.language import gettext, render
from monitoring.accesslog import ID_HEADER

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; manifest-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
_ALWAYS = "".join(f"{name}: {value}\r\n" for name, value in SECURITY_HEADERS.items()).encode()
_ANSWER = (
    b"HTTP/1.1 %d %b\r\nServer: gunicorn\r\nDate: %b\r\nConnection: %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
    b"Vary: Accept-Encoding\r\n%b" + _ALWAYS + ID_HEADER.encode() + b": %b\r\n\r\n%b"
)
_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}


def json_answer(content: dict[str, Any], status: int = 200) -> Response:
    """Return a JSON answer; floats have all their digits."""
    return Response(to_json(content), status, content_type="application/json")


def error_answer(error: Exception) -> ResponseReturnValue:
    """Return the answer to an error in a Flask request. Redirects, which Werkzeug raises too, stay as they are."""
    if isinstance(error, HTTPException) and (error.code is None or error.code < 400):
        return error
    answer = describe(error, g.info.id, request.script_root)
    response = json_answer(answer.content, answer.status)
    response.headers.extend(answer.headers)
    if request.url_rule is None:
        title = gettext("Not found") if answer.status == HTTPStatus.NOT_FOUND else gettext("Error")
        show_as_page(response, title, answer.sentence, answer.details)
    return response


def show_as_page(response: Response, title: str, sentence: str, details: list[str], again: str = "") -> None:
    """Turn an error's answer into a page if the client prefers HTML, as browsers do.

    Args:
        response: the answer as JSON.
        title: of the page, in its language.
        sentence: what is wrong, in English.
        details: one sentence each, in English.
        again: the address to try again; empty for no link.
    """
    response.vary.add("Accept")
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
        page = render("error.html", title=title, error=sentence, details=details, again=again)
        response.set_data(page.get_data())
        response.mimetype = "text/html"
        response.content_language.update(page.content_language)
        response.vary.update(page.vary)


def raw_answer(status: int, content: bytes, request_id: str, headers: list[tuple[str, str]], *, is_last: bool) -> bytes:
    """Return a complete HTTP answer.

    Args:
        status: HTTP status.
        content: JSON.
        request_id: of the X-Request-ID header.
        headers: further headers.
        is_last: whether the connection is closed after this answer.
    """
    connection = b"close" if is_last else b"keep-alive"
    further = "".join(f"{name}: {value}\r\n" for name, value in headers).encode()
    return _ANSWER % (status, _PHRASES[status], _clock.date(), connection, len(content), further, request_id.encode(), content)


class _Clock:
    """The Date header, formatted once a second."""

    def __init__(self) -> None:
        self._second, self._date = -1, b""

    def date(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second, self._date = second, http_date(second).encode()
        return self._date


_clock = _Clock()
