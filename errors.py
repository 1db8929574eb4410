"""Errors that a user can act on. api/errors.py maps them to HTTP statuses; commands exit with code 1.

ForecastError
+- InvalidClosesError          the closes cannot be forecast: HTTP 422
|   +- ChoiceError             a price file does not say which stock or column to read
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


class ChoiceError(InvalidClosesError):
    """A price file does not say which stock or column to read. The sentence is that of a command.

    Attributes:
        fault: what is wrong, without advice.
        over_http: the advice with a query parameter in place of a command's option.
    """

    fault = over_http = ""

    @classmethod
    def of(cls, fault: str, advice: str, option: str, value: str) -> "ChoiceError":
        """Return the error of a fault; the advice names the option `symbol` or `column` with a value."""
        error = cls(f"{fault} {advice}: --{option} {value}.")
        error.fault, error.over_http = fault, f"{advice}: {option}={value}."
        return error


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
