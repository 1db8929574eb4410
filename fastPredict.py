"""The usual request, one window to POST /predict, answered without Flask's machinery: it would cost as much as the forecast.

Whatever is not usual, or cannot be answered with 200, goes to Flask as it came, so app.py alone decides what an error says. Both roads
give the same answer and the same line in the log (tests/test_fastPredict.py).
"""

import time
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING

from pydantic_core import to_json

from forecastService import ForecastService
from requestBody import PredictOne

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


SMALL_BODY_BYTES = 10_000  # holds one window


class FastPredict:
    """WSGI middleware in front of Flask."""

    def __init__(self, flask_app: "WSGIApplication", service: ForecastService) -> None:
        self._flask_app, self._service = flask_app, service

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer, or let Flask."""
        started = time.perf_counter()
        content = self._answer(environ, started) if self._is_usual(environ) else None
        if content is None:
            return self._flask_app(environ, start_response)
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
        self._service.record("/predict", "POST", 200, started)
        return [content]

    def _is_usual(self, environ: "WSGIEnvironment") -> bool:
        """Whether this is a small JSON body to POST /predict, from someone who may ask."""
        length = environ.get("CONTENT_LENGTH", "")
        return (
            environ["PATH_INFO"] == "/predict"
            and environ["REQUEST_METHOD"] == "POST"
            and environ.get("CONTENT_TYPE") == "application/json"
            and length.isdecimal()
            and int(length) <= SMALL_BODY_BYTES
            and self._service.admits(environ.get("HTTP_X_API_KEY", ""))
        )

    def _answer(self, environ: "WSGIEnvironment", started: float) -> bytes | None:
        """The answer to one window; None, with the body as it was, where Flask is to answer."""
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        try:
            asked = PredictOne.model_validate_json(body)
            if "horizon" not in asked.model_fields_set:
                answer = self._service.answer_one(asked.predict, 1, False, started)
                content = to_json(answer.content)
                self._service.log(200, started, answer.logged)
                return content
        except Exception:  # noqa: BLE001, S110 - Flask meets it again and says what it is
            pass
        environ["wsgi.input"] = BytesIO(body)
        return None
