"""Errors that a user can act on. api/errors.py maps them to HTTP statuses; commands exit with code 1.

ForecastError
+- InvalidClosesError          the closes cannot be forecast: HTTP 422
+- DataUnavailableError        no source has the closes: HTTP 503
|   +- InvalidSymbolError      the text is not a symbol: HTTP 422
|   +- UnknownSymbolError      Yahoo Finance does not have the symbol: HTTP 404
|   +- NoAnswerError           Yahoo Finance refuses, is too slow or cannot be reached, for any symbol
+- ModelUnavailableError       there is no published model that can be trusted: HTTP 503
+- BusyError                   another process does the same work: commands only
"""

from collections.abc import Sequence


class ForecastError(Exception):
    """Base of all errors that a user can act on. `details` has one sentence per problem."""

    def __init__(self, message: str, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.details = list(details)


class InvalidClosesError(ForecastError):
    """The closes cannot be forecast."""


class DataUnavailableError(ForecastError):
    """No source has the closes."""


class InvalidSymbolError(DataUnavailableError):
    """The text is not a symbol."""


class UnknownSymbolError(DataUnavailableError):
    """Yahoo Finance does not have the symbol, or has no closes of it."""


class NoAnswerError(DataUnavailableError):
    """Yahoo Finance refuses, is too slow or cannot be reached, for any symbol."""


class ModelUnavailableError(ForecastError):
    """There is no published model that can be trusted."""


class BusyError(ForecastError):
    """Another process holds the lock of this work."""
