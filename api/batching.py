"""Batching: windows that arrive at the same time are forecast together.

The network takes four windows in little more time than two, and numpy's overhead is paid once. A gevent worker reads everything that has
arrived before it runs the batch, so no request waits for a batch to fill. A row of a batch equals its window alone, to the last bit.
"""

from dataclasses import dataclass, field
from typing import NamedTuple, cast

import gevent
import numpy as np
from gevent.event import AsyncResult

from closes.series import Floats
from forecast.forecaster import Forecast, Forecaster, check_windows
from forecast.runtime import MANY
from models.holder import ModelHolder

MAX_BATCH = MANY - 1  # windows; the network runs this many without threads, and they fit into the processor's cache


class Row(NamedTuple):
    """The forecast of one window: the model, the batch, and the row of the window in it."""

    forecaster: Forecaster
    forecast: Forecast
    row: int


@dataclass(frozen=True, eq=False)
class Request:
    """A window that waits for its Row."""

    window: Floats
    row: AsyncResult = field(default_factory=AsyncResult)


class Batcher:
    """The batches of one gevent worker. A batch is run by its first request, or by the one that fills it."""

    def __init__(self, models: ModelHolder) -> None:
        self._models = models
        self._waiting: list[Request] = []

    def forecast(self, window: Floats) -> Row:
        """Forecast the next close after one window (60,), together with the other windows that have arrived.

        Raises:
            InvalidClosesError: the closes cannot be forecast.
            ModelUnavailableError: there is no model.
        """
        check_windows(window[None])  # before it joins a batch: an error there would fail the other requests
        request = Request(window)
        self._waiting.append(request)
        try:
            if len(self._waiting) == MAX_BATCH:
                self._run()
            elif self._waiting[0] is request:
                gevent.sleep(0)  # lets the other greenlets read and join
                if not request.row.ready():
                    self._run()
            return cast(Row, request.row.get())
        except BaseException:
            self._leave(request)
            raise

    def _leave(self, request: Request) -> None:
        """Remove a request whose greenlet ends. If it was to run the batch, another greenlet does."""
        if request in self._waiting:
            self._waiting.remove(request)
            if self._waiting:
                gevent.spawn(self._run)

    def _run(self) -> None:
        """Forecast the windows that wait."""
        batch, self._waiting = self._waiting, []
        if not batch:
            return
        try:
            forecaster = self._models.current()
            forecast = forecaster.forecast(np.array([request.window for request in batch]))
        except BaseException as error:
            for request in batch:
                request.row.set_exception(error)
            raise
        for number, request in enumerate(batch):
            request.row.set(Row(forecaster, forecast, number))
