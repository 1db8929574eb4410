"""POST /predict with a price file: the forecast from the newest 60 closes of the file, and how the file was read."""

import time
from dataclasses import dataclass

import numpy as np

from api.service import ForecastService, Result
from api.symbol import with_days
from closes.age import age_warnings
from closes.files import Part, PriceFile, read_prices
from closes.label import INPUT
from closes.series import gap_warnings
from closes.symbols import UNNAMED
from closes.warnings import together
from errors import ForecastError, InvalidClosesError
from forecast.forecaster import Question
from processData import WINDOW


@dataclass(frozen=True)
class Reading:
    """How a request wants its file to be read: column of closes (None: an adjusted one), symbol, and how many closes to return."""

    column: str | None
    stock: str
    shown: int


def forecast_file(
    service: ForecastService, body: bytes | bytearray, reading: Reading, horizon: int, question: Question, started: float
) -> Result:  # fmt: skip
    """Forecast the closes after the newest 60 of a price file.

    Args:
        service: the service.
        body: the file.
        reading: how to read it.
        horizon: trading days ahead, 1 to 20.
        question: what the answer has.
        started: time.perf_counter() when the request began.

    Raises:
        InvalidClosesError: the file is not a table of prices, or has too few closes, or one that is used is wrong.
        ModelUnavailableError: there is no model that can be trusted.
    """
    symbol = None if reading.stock == UNNAMED else reading.stock
    service.symbols.of(symbol)  # without a model, do not read
    file = service.compute(_read, body, reading)
    if isinstance(file, ForecastError):
        raise file
    closes = file.closes
    if len(closes) < WINDOW:
        lines = "" if file.total == len(closes) else f" of {file.total}"
        noun = "close" if len(closes) == 1 and not lines else "closes"
        raise InvalidClosesError(f"{INPUT} has {len(closes)}{lines} {noun}; a forecast needs {WINDOW}.", file.guesses)
    result = service.forecast_one(closes.prices, horizon, question, started, closes.ranges, symbol)
    content = result.content
    about_file = file.warnings + (gap_warnings(closes) + age_warnings(closes) if file.dated else [])
    about_window = with_days(content["warnings"], closes) if file.dated else content["warnings"]
    content["warnings"] = together(about_file, about_window)
    content |= {"as_of": file.as_of, "columns": file.columns, "left_out": file.left_out, "guesses": file.guesses}
    content |= {"total": file.total, "used": len(closes)}
    if file.shown is not None:
        dates = np.datetime_as_string(file.shown.dates).tolist() if file.dated else []
        content |= {"dates": dates, "closes": file.shown.prices.tolist()}
    content["response_time_sec"] = time.perf_counter() - started
    return Result(content, result.logged)


def _read(body: bytes | bytearray, reading: Reading) -> PriceFile | ForecastError:
    """Read a file in a thread. An error is returned: gevent would log the traceback of one that is raised."""
    try:
        return read_prices(body, reading.stock, reading.column, Part(newest=WINDOW, shown=reading.shown))
    except ForecastError as error:
        return error
