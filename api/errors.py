"""Errors as HTTP: which status each error has, and its sentence, details and headers.

Only this module maps errors to statuses. Every error answer has the form {"error": "<one sentence>", "details": [...]}.
"""

import logging
from typing import NamedTuple

from werkzeug.exceptions import HTTPException

from closes.newest import RETRY_SECONDS as SOURCE_SECONDS
from errors import DataUnavailableError, ForecastError, InvalidClosesError, InvalidSymbolError, UnknownSymbolError

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 2 * 1024 * 1024
MODEL_SECONDS = 10  # after which a client should try again if no model is available

# Status and Retry-After in seconds, by class of error; a subclass without an entry has that of its base.
STATUSES: dict[type[Exception], tuple[int, int | None]] = {
    InvalidClosesError: (422, None),
    InvalidSymbolError: (422, None),
    UnknownSymbolError: (404, None),
    DataUnavailableError: (503, round(SOURCE_SECONDS)),
    ForecastError: (503, MODEL_SECONDS),
}
# {root}: the path prefix of the service.
SENTENCES = {
    400: "The request is not valid HTTP.",
    404: "There is nothing at this address. The calls are listed at {root}/apidocs.",
    405: "This address does not accept this method. The calls are listed at {root}/apidocs.",
    408: "The request did not arrive in time.",
    413: f"The body is larger than {MAX_BODY_BYTES // 1024 // 1024} MiB.",
    414: "The address is too long.",
    417: "The only supported expectation is 100-continue.",
    431: "The headers are too many or too long.",
    500: "The server failed. Its log has the reason.",
    501: "This transfer coding is not supported.",
}


class RequestError(Exception):
    """A request that is refused, with its status.

    Attributes:
        status: HTTP status.
        details: one sentence per problem.
        retry_after: seconds after which the client may try again; None if retrying does not help.
    """

    def __init__(self, status: int, message: str, details: list[str] | None = None, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.details, self.retry_after = status, details or [], retry_after


class ErrorAnswer(NamedTuple):
    """An error as it is answered: status, sentence, details and further headers."""

    status: int
    sentence: str
    details: list[str]
    headers: list[tuple[str, str]]

    @property
    def content(self) -> dict[str, object]:
        """The JSON object."""
        return {"error": self.sentence, "details": self.details}


def describe(error: Exception, request_id: str, root: str = "") -> ErrorAnswer:
    """Return the answer to an error. An unexpected one is logged, and its answer has nothing but the request's id.

    Args:
        error: any exception.
        request_id: of the request.
        root: the path prefix of the service.
    """
    if isinstance(error, RequestError):
        return ErrorAnswer(error.status, str(error), error.details, _retry(error.retry_after))
    if isinstance(error, HTTPException) and error.code is not None:
        allow = [(name, value) for name, value in error.get_headers() if name == "Allow"]
        return ErrorAnswer(error.code, SENTENCES.get(error.code, f"{error.name}.").format(root=root), [], allow)
    if isinstance(error, ForecastError):
        status, retry_after = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
        return ErrorAnswer(status, str(error), error.details, _retry(retry_after))
    log.error("Request %s failed.", request_id, exc_info=error)
    return ErrorAnswer(500, SENTENCES[500], [f"request {request_id}"], [])


def _retry(seconds: int | None) -> list[tuple[str, str]]:
    """Return the Retry-After header."""
    return [] if seconds is None else [("Retry-After", str(seconds))]
