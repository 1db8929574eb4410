"""The body of /predict: what it may be, and a sentence for each thing that it may not.

pydantic checks in microseconds what Flask's own JSON lets through: NaN, infinity, booleans, unknown keys, numbers too large.
"""

import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated

from flask import current_app, g, request
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
from pydantic_core import from_json
from werkzeug.exceptions import RequestEntityTooLarge

from forecast.intervals import MAX_HORIZON
from processData import WINDOW

MAX_BODY_BYTES = 2 * 1024 * 1024
MAX_WINDOWS = 1024
MAX_DETAILS = 5
MAX_HELD_BYTES = 16 * 1024 * 1024  # by the bodies of all requests that one worker is answering
LARGE_BYTES = 64 * 1024  # a body of this size or larger waits for its turn
READ_BYTES = 64 * 1024
RETRY_SECONDS = 1
Close = Annotated[FiniteFloat, Field(gt=0)]
Window = Annotated[list[Close], Field(min_length=WINDOW, max_length=WINDOW)]


class PredictOne(BaseModel):
    """Body of /predict for one window."""

    model_config = ConfigDict(strict=True, extra="forbid")
    predict: Window
    horizon: int = Field(1, ge=1, le=MAX_HORIZON)


class PredictMany(BaseModel):
    """Body of /predict for a batch."""

    model_config = ConfigDict(strict=True, extra="forbid")
    predict: Annotated[list[Window], Field(min_length=1, max_length=MAX_WINDOWS)]
    horizon: int = Field(1, ge=1, le=1)


class RequestError(Exception):
    """A request that cannot be answered: status, sentence, details, and after how many seconds it may be sent again."""

    def __init__(self, status: int, message: str, details: list[str] | None = None, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.details, self.retry_after = status, details or [], retry_after


class Room:
    """How many bytes the bodies of a worker's requests hold together: each counts from its arrival until it is answered.

    A parsed body takes five times its size, so a large body stays unparsed while it waits.
    """

    def __init__(self, turns: int, max_bytes: int = MAX_HELD_BYTES) -> None:
        """Have nothing yet; `turns` large bodies are worked at at a time."""
        self._max_bytes, self.held = max_bytes, 0
        self._turns = threading.Semaphore(turns)  # made in the worker, so gevent's where gevent serves

    def turn(self, size: int) -> AbstractContextManager[object]:
        """Wait until a body of this size may be read and answered. Small bodies do not wait."""
        return self._turns if size >= LARGE_BYTES else nullcontext()

    def take(self, size: int) -> None:
        """Count bytes that have arrived.

        Raises:
            RequestError: 503, there are too many; these are not counted.
        """
        if self.held + size > self._max_bytes:
            raise RequestError(503, "The server has too many large requests to answer; try again in a second.", retry_after=RETRY_SECONDS)
        self.held += size

    def give_back(self, size: int) -> None:
        """Count bytes no longer."""
        self.held -= size


def read_body() -> bytearray:
    """The body of /predict, reserved as it arrives: a slow client holds only the bytes that it has sent.

    app.py gives back the room that it holds, `g.held` bytes.
    """
    if request.mimetype != "application/json":
        hint = "Send the header Content-Type: application/json (curl: -H 'Content-Type: application/json')."
        raise RequestError(415, "The body must be declared as JSON.", [hint])
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise RequestError(
            415, "The body is compressed, which this service does not take.", ["Send it as it is, without Content-Encoding."]
        )
    room: Room = current_app.extensions["room"]
    body = bytearray()
    while received := request.stream.read(READ_BYTES):
        room.take(len(received))
        g.held = g.get("held", 0) + len(received)
        body += received
    if request.content_length is None and len(body) >= MAX_BODY_BYTES:  # sent in chunks: Werkzeug cuts it there
        raise RequestEntityTooLarge
    return body


def check_body(body: bytearray) -> PredictOne | PredictMany:
    """What a body asks for."""
    try:
        content = from_json(body)
    except ValueError as error:
        raise RequestError(400, "The body is not JSON.", [str(error)]) from None
    if not isinstance(content, dict):
        raise RequestError(422, f'The body must be an object like {{"predict": [{WINDOW} closes]}}.')
    closes = content.get("predict")
    kind = PredictMany if isinstance(closes, list) and closes and isinstance(closes[0], list) else PredictOne
    try:
        return kind.model_validate(content)
    except (ValidationError, OverflowError) as error:
        shape = f'{{"predict": [{WINDOW} closes], "horizon": 1 to {MAX_HORIZON}}}'
        if kind is PredictMany:
            shape = f'{{"predict": [[{WINDOW} closes], ...]}}, of up to {MAX_WINDOWS} windows and without a horizon'
        raise RequestError(422, f"The body does not have the form {shape}.", _problems(error)) from None


def _problems(error: ValidationError | OverflowError) -> list[str]:
    """The first problems of a body, each with its place; places are counted from 0, as in JSON."""
    if isinstance(error, OverflowError):
        return ["a number is too large"]
    found = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False)[:MAX_DETAILS]:
        place = "".join(f"[{part}]" if isinstance(part, int) else str(part)[:40] for part in problem["loc"])
        found.append(f"{place}: {problem['msg']}")
    if error.error_count() > MAX_DETAILS:
        found.append(f"and {error.error_count() - MAX_DETAILS} more")
    return found
