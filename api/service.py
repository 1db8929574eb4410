"""What one worker answers with, whatever brings the request: forecast, answer, log, count.

app.py speaks HTTP through Flask, fastPredict.py without it; both call this.
"""

import logging
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from api.access import Gatekeeper
from api.batching import Batcher
from api.threads import in_gevent, in_threads, run_in_thread
from closes.newest import NewestCloses
from closes.series import Floats
from errors import ModelUnavailableError
from models.holder import ModelHolder
from monitoring.accesslog import AccessLog, Asked
from monitoring.accuracy import LiveAccuracy
from monitoring.drift import drift
from monitoring.gauge import Gauge
from monitoring.metrics import Metrics
from monitoring.requestlog import RequestLog, window_hashes
from settings import Settings

log = logging.getLogger(__name__)
COMPUTING_THREADS = 2  # in a worker: more batches at a time would only take the small requests' turns


@dataclass(frozen=True)
class Answer:
    """An answer to /predict, and what the log keeps of it by column."""

    content: dict[str, Any]
    logged: dict[str, Any]


class ForecastService:
    """Model, log, metrics and gauge of one worker.

    Attributes:
        settings: of the service.
        models: the model that serves.
        newest: the newest closes of symbols.
        request_log: log_predictions.csv.
        metrics: what Prometheus collects.
        gauge: CPU and memory.
        gate: who may ask.
        access_log: one line per request on stderr.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.models = ModelHolder(settings.MODEL_DIR)
        self.newest = NewestCloses(settings, in_threads(1))  # yfinance keeps files open in each thread that it was in
        self.request_log = open_request_log(settings)
        if self.request_log.problem:
            log.error("Requests are not logged to %s: %s.", settings.REQUEST_LOG, self.request_log.problem)
        self.metrics = Metrics(self.models)
        self.gauge = Gauge()
        self._compute = in_threads(COMPUTING_THREADS)
        self.access_log = AccessLog(settings.ACCESS_LOG == "on")
        self._live, self._live_lock = LiveAccuracy(self.request_log), threading.Lock()
        self._batcher = Batcher(self.models) if in_gevent() else None
        self.gate = Gatekeeper(settings)

    def answer_one(self, closes: Sequence[float] | Floats, horizon: int, with_path: bool, started: float) -> Answer:
        """Forecast one window.

        Args:
            closes: 60, oldest first, any currency.
            horizon: trading days ahead, 1 to 20.
            with_path: whether the answer has the forecast of each day.
            started: time.perf_counter() when the request came.

        Raises:
            InvalidClosesError: closes that no forecast can be made from.
            ModelUnavailableError: there is no model that can be trusted.
        """
        window = np.asarray(closes, np.float64)
        if horizon == 1 and self._batcher is not None:
            forecaster, forecast, row = self._batcher.forecast(window)
        else:
            forecaster, row = self.models.current(), 0
            forecast = self._compute(forecaster.forecast, window[None], horizon)
        content = forecast.as_dict(row)
        logged = _logged(content, window)
        if with_path:
            content["path"] = forecast.path(row)
        return self._answer(content, logged, 1, horizon, forecaster.version, started)

    def answer_many(self, windows: Sequence[Sequence[float]], started: float) -> Answer:
        """Forecast the next close of each window of a batch; arguments and errors as for `answer_one`."""
        forecaster = self.models.current()
        forecast = self._compute(forecaster.forecast, np.array(windows, np.float64))
        content = {"predictions": [forecast.as_dict(row) for row in range(len(windows))]}
        return self._answer(content, {}, len(windows), 1, forecaster.version, started)

    def _answer(
        self, content: dict[str, Any], logged: dict[str, Any], windows: int, horizon: int, version: str, started: float
    ) -> Answer:  # fmt: skip
        """Content and log of an answer, with what both always have."""
        content["response_time_sec"] = time.perf_counter() - started
        content["memory_usage_percent"] = self.gauge.read()[1]
        content["model_version"] = version
        return Answer(content, {"windows": windows, "horizon": horizon, "model_version": version} | logged)

    def record(self, route: str, asked: Asked, status: int, started: float) -> None:
        """Count an answered request, and write its line to stderr."""
        seconds = time.perf_counter() - started
        self.metrics.count(route, asked.method, status, seconds)
        self.access_log.write(asked, status, seconds)

    def log(self, status: int, started: float, logged: dict[str, Any]) -> None:
        """Log an answered request to /predict."""
        row = {
            "timestamp": datetime.now(UTC).isoformat(),
            "response_time": time.perf_counter() - started,
            "memory_usage": self.gauge.read()[1],
            "status": status,
        }
        if not self.request_log.append(row | logged):
            self.metrics.lost_lines.inc()

    def live(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Live accuracy and drift; while another request reads the log on, as that one's predecessor left them."""
        if self._live_lock.acquire(blocking=False):
            try:
                run_in_thread(self._live.catch_up)
            finally:
                self._live_lock.release()
        try:
            trained = self.models.current().metadata["training"]["daily_return_quantiles"]
        except (ModelUnavailableError, KeyError):
            trained = None
        return self._live.accuracy, drift(self._live.returns, trained)


def open_request_log(settings: Settings) -> RequestLog:
    """The request log, rotated as the settings say."""
    return RequestLog(settings.REQUEST_LOG, settings.REQUEST_LOG_MAX_BYTES, settings.REQUEST_LOG_PARTS)


def _logged(content: dict[str, Any], window: Floats) -> dict[str, Any]:
    """What the log keeps of one window's forecast."""
    (low_80, high_80), (low_95, high_95) = content["intervals"]["80"], content["intervals"]["95"]
    later, earlier = window_hashes(window)
    return {
        "last_close": content["last_close"], "predicted_price": content["predicted_price"],
        "low_80": low_80, "high_80": high_80, "low_95": low_95, "high_95": high_95,
        "closes_2_60": later, "closes_1_59": earlier, "last_return": math.log(window[-1] / window[-2]),
    }  # fmt: skip
