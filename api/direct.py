"""The direct path: answers the usual request, one window to POST /predict, on the connection itself.

gunicorn's parser and Flask would cost as much as the forecast.

    head = read_head(b"POST /predict HTTP/1.1 ...")              None: not a usual request
    FastPredict(service).answer(head, body, ...)    None: Flask must answer

Any other request, and any request that cannot be answered with 200, goes to gunicorn and Flask unchanged, so only app.py decides what an
error says. Both paths give the same answer and the same line in the log (tests/api/test_direct.py).
"""

import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from pydantic_core import to_json

from api.answers import raw_answer
from api.body import PredictOne
from api.service import ForecastService
from closes.series import Floats
from monitoring.accesslog import Asked

REQUEST_LINE = b"POST /predict HTTP/1.1"
HEADER = re.compile(rb"([A-Za-z-]+):[ \t]*([\x21-\x7e]+(?:[ \t]+[\x21-\x7e]+)*)[ \t]*")
# Headers that do not change the meaning of a request, or that are handled here. A request with any other header goes to Flask.
KNOWN = frozenset({
    b"host", b"user-agent", b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"connection",
    b"content-type", b"content-length", b"x-api-key",
})  # fmt: skip
SMALL_BODY_BYTES = 10_000  # holds one window
LINE_BYTES = 8190  # of a header, as gunicorn takes them


class Head(NamedTuple):
    """What matters of a usual request's head: the body's length in bytes, the API key, whether the connection ends with the answer."""

    length: int
    key: str
    is_last: bool


@lru_cache(maxsize=256)  # a client's requests have the same
def read_head(head: bytes) -> Head | None:
    """Read a request's head, without the empty line behind it; None where the request is not usual."""
    line, *lines = head.split(b"\r\n")
    matches = [HEADER.fullmatch(line) for line in lines]
    headers = {match[1].lower(): match[2] for match in matches if match}
    length, connection = headers.get(b"content-length", b""), headers.get(b"connection", b"keep-alive").lower()
    is_usual = (
        line == REQUEST_LINE
        and len(headers) == len(lines)  # each is valid, none is repeated
        and max(map(len, lines)) <= LINE_BYTES
        and headers.keys() <= KNOWN
        and b"host" in headers
        and headers.get(b"content-type") == b"application/json"
        and length.isdigit()
        and len(length) < 10
        and int(length) <= SMALL_BODY_BYTES
        and connection in (b"keep-alive", b"close")
    )
    return Head(int(length), headers.get(b"x-api-key", b"").decode(), connection == b"close") if is_usual else None


class FastPredict:
    """The direct path of one worker."""

    def __init__(self, service: ForecastService) -> None:
        self._service = service

    def answer(self, head: Head, body: bytes, client: str, is_last: bool, started: float) -> bytes | None:
        """The whole answer to a usual request; None, with nothing logged or counted, where Flask is to answer.

        Args:
            head: of the request.
            body: of the request, whole.
            client: its address.
            is_last: whether the connection ends with this answer.
            started: time.perf_counter() when the request came.
        """
        service = self._service
        if not service.gate.admits(head.key):
            return None
        try:
            window = _window(body)
            if window is None:
                return None
            answer = service.answer_one(window, 1, False, started)
        except Exception:  # noqa: BLE001 - Flask meets it again and says what it is
            return None
        content = to_json(answer.content)
        service.log(200, started, answer.logged)
        asked = Asked(service.access_log.id_for(), client, "POST", "/predict")
        service.record("/predict", asked, 200, started)
        return raw_answer(200, content, asked.id, is_last=is_last)


def _window(body: bytes) -> Floats | None:
    """The window (60,) of a valid body; None if it has options. The parsed body is freed before the request waits for its forecast.

    Raises:
        ValidationError: it is not sound.
    """
    asked = PredictOne.model_validate_json(body)
    return None if "horizon" in asked.model_fields_set else np.array(asked.predict, np.float64)
