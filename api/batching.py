"""Requests that arrive together are forecast together.

The network takes four windows in little more than the time of two, and numpy's overhead is paid once. A gevent worker reads whatever has
arrived before it runs the batch, so nobody waits for a batch to fill; a row of a batch is the same, to the last bit, as its window alone.
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

MAX_BATCH = MANY - 1  # windows, which run at once: in a crowd they are still in the processor's cache, and threads are for larger batches


class Row(NamedTuple):
    """One window's forecast: the model that made it, the batch and the row in it."""

    forecaster: Forecaster
    forecast: Forecast
    row: int


@dataclass(frozen=True, eq=False)
class Request:
    """A window that waits for its forecast, which comes as a Row."""

    window: Floats
    row: AsyncResult = field(default_factory=AsyncResult)


class Batcher:
    """Gathers the windows of one gevent worker. The request that comes first runs the batch, or the one that fills it."""

    def __init__(self, models: ModelHolder) -> None:
        self._models = models
        self._waiting: list[Request] = []

    def forecast(self, window: Floats) -> Row:
        """Forecast the next close after one window (60,), together with whatever else has arrived.

        Raises:
            InvalidClosesError: closes that no forecast can be made from.
            ModelUnavailableError: there is no model.
        """
        check_windows(window[None])  # so that it cannot spoil the others' batch
        request = Request(window)
        self._waiting.append(request)
        try:
            if len(self._waiting) == MAX_BATCH:
                self._run()
            elif self._waiting[0] is request:
                gevent.sleep(0)
                if not request.row.ready():
                    self._run()
            return cast(Row, request.row.get())
        except BaseException:
            self._leave(request)
            raise

    def _leave(self, request: Request) -> None:
        """Wait no longer: the worker ends. Another must run the batch if this request was to."""
        if request in self._waiting:
            self._waiting.remove(request)
            if self._waiting:
                gevent.spawn(self._run)

    def _run(self) -> None:
        """Forecast what waits, if it still does."""
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
