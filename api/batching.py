"""Batching: windows that arrive at the same time are forecast together.

The network takes four windows in little more time than two, and numpy's overhead is paid once. A gevent worker reads everything that has
arrived before it runs the batch, so no request waits for a batch to fill. A row of a batch equals its window alone, to the last bit. Each
batch is run by one model.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import gevent
import numpy as np
from gevent.event import AsyncResult

from closes.series import Floats
from errors import InvalidClosesError
from forecast.forecaster import Forecast, Forecaster, check_windows

MAX_BATCH = 16  # windows; more are no faster per window, and take more memory and a longer turn of the event loop


class Row(NamedTuple):
    """The forecast of one window: the batch, and the row of the window in it."""

    forecast: Forecast
    row: int


@dataclass(slots=True, eq=False)
class Request:
    """A window that waits for its Row."""

    window: Floats
    row: AsyncResult = field(default_factory=AsyncResult)


class Batcher:
    """The batches of one gevent worker, each of one model. A batch is run by its first request, or by the one that fills it."""

    def __init__(self) -> None:
        self._waiting: dict[Forecaster, list[Request]] = {}

    def forecast(self, forecaster: Forecaster, window: Floats) -> Row:
        """Forecast the next close after one window (60,), together with the other windows that have arrived for the same model.

        Raises:
            InvalidClosesError: the closes cannot be forecast.
        """
        request = Request(window)
        batch = self._waiting.setdefault(forecaster, [])
        batch.append(request)
        try:
            if len(batch) == MAX_BATCH:
                self._run(forecaster, batch)
            elif batch[0] is request:
                gevent.sleep(0)  # lets the other greenlets read and join
                if not request.row.ready():
                    self._run(forecaster, batch)
            return cast(Row, request.row.get())
        except BaseException:
            self._leave(forecaster, batch, request)
            raise
        finally:
            del request, batch  # the traceback of an error would hold the windows until the next garbage collection

    def _leave(self, forecaster: Forecaster, batch: list[Request], request: Request) -> None:
        """Remove a request whose greenlet ends from a batch that waits. If it was to run the batch, another greenlet does."""
        if self._waiting.get(forecaster) is batch:
            batch.remove(request)
            gevent.spawn(self._run, forecaster, batch)

    def _run(self, forecaster: Forecaster, batch: list[Request]) -> None:
        """Forecast the windows of a batch, unless another greenlet has done so. Later windows are of the next batch."""
        if self._waiting.get(forecaster) is not batch:
            return
        del self._waiting[forecaster]
        valid = _valid(batch)
        if not valid:
            return
        try:
            forecast = forecaster.forecast(np.array([request.window for request in valid]))
        except BaseException as error:
            for request in valid:
                request.row.set_exception(error)
            raise
        for number, request in enumerate(valid):
            request.row.set(Row(forecast, number))


def _valid(batch: list[Request]) -> list[Request]:
    """Return the requests whose windows can be forecast. The others get their errors, so that they do not fail the batch."""
    with suppress(InvalidClosesError):
        check_windows(np.array([request.window for request in batch]))  # one check for all is much faster
        return batch
    return [request for request in batch if _is_valid(request)]


def _is_valid(request: Request) -> bool:
    """Return whether the window of a request can be forecast. If it cannot, give the request the error."""
    try:
        check_windows(request.window[None])
    except InvalidClosesError as error:
        request.row.set_exception(error)
        return False
    return True
