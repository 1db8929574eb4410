"""What can go wrong that a user can act on: one small tree. Only app.py knows which HTTP status belongs to each.

ForecastError
+- InvalidClosesError          closes that no forecast can be made from: HTTP 422, exit code 1
+- DataUnavailableError        no source has the closes that were asked for: HTTP 503, exit code 1
|   +- InvalidSymbolError      what was asked for cannot be a symbol: HTTP 422
|   +- UnknownSymbolError      Yahoo Finance has no such symbol: HTTP 404
|   +- NoAnswerError           Yahoo Finance refuses, is too slow or cannot be reached, whatever the symbol
+- ModelUnavailableError       no published model that can be trusted: HTTP 503, exit code 1
"""

from collections.abc import Sequence


class ForecastError(Exception):
    """Base of all errors that a user can act on; `details` has one sentence a problem."""

    def __init__(self, message: str, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.details = list(details)


class InvalidClosesError(ForecastError):
    """Closes that no forecast can be made from."""


class DataUnavailableError(ForecastError):
    """No source has the closes that were asked for."""


class InvalidSymbolError(DataUnavailableError):
    """What was asked for cannot be a symbol."""


class UnknownSymbolError(DataUnavailableError):
    """Yahoo Finance has no such symbol, or no closes of it."""


class NoAnswerError(DataUnavailableError):
    """Yahoo Finance refuses, is too slow or cannot be reached, whatever the symbol."""


class ModelUnavailableError(ForecastError):
    """There is no published model that can be trusted."""
