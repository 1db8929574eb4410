"""The forecast service of one worker: forecast, log and count requests. app.py and api/direct.py put it into HTTP."""

import logging
import math
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from cachetools import LRUCache

from api.access import Gatekeeper
from api.batching import Batcher
from api.body import PredictMany, check_body
from api.symbol import SymbolRecord, content_of, forecast_symbol, record_of
from api.threads import every, in_gevent, in_threads, run_in_thread
from closes.newest import NewestCloses
from closes.series import Closes, Floats
from errors import ModelUnavailableError
from forecast.backtest import Backtest
from forecast.forecaster import Forecast, Forecaster, Question
from forecast.intervals import LEVELS
from forecast.track import track
from models.holder import ModelHolder
from monitoring.accesslog import AccessLog, RequestInfo
from monitoring.accuracy import LiveAccuracy
from monitoring.drift import detect_drift
from monitoring.gauge import Gauge
from monitoring.metrics import Metrics
from monitoring.overlap import window_keys
from monitoring.requestlog import RequestLog
from processData import WINDOW
from settings import Settings
from storage import sha256_of

log = logging.getLogger(__name__)

COMPUTING_THREADS = 2  # for batches and long horizons; more would slow down single windows
REFRESH_SECONDS = 1.0  # between two looks for a new model
PREDICT_ROUTE = "/predict"
MAX_RECORDS = 256  # of symbols, 32 kB each; the least recently used one is evicted


@dataclass(frozen=True)
class RequestContext:
    """A request that is being answered: what the access log says of it, and when it began (time.perf_counter(), seconds)."""

    info: RequestInfo
    started: float


@dataclass(frozen=True)
class Result:
    """The answer to a forecast request: the JSON object, and the columns of its line in the request log."""

    content: dict[str, Any]
    logged: dict[str, Any]


class ForecastService:
    """Model, logs, metrics and access control of one worker.

    Attributes:
        settings: the settings.
        models: the model that serves.
        newest: the newest closes of symbols.
        request_log: log_predictions.csv.
        metrics: what Prometheus collects.
        gauge: CPU and memory.
        gate: API keys and rate limit.
        access_log: one line per request on stderr.
        compute: runs work that would block the event loop in a thread and returns its result.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.gate = Gatekeeper(settings)
        self.models = ModelHolder(settings.MODEL_DIR)
        every(REFRESH_SECONDS, self.models.refresh)
        self.newest = NewestCloses(settings, in_threads(1))  # yfinance keeps files open in every thread that it ran in
        self.request_log = open_request_log(settings)
        if self.request_log.problem:
            log.error("Requests are not logged to %s: %s.", settings.REQUEST_LOG, self.request_log.problem)
        self.metrics = Metrics(self.models)
        self.gauge = Gauge()
        self.access_log = AccessLog(settings.ACCESS_LOG == "on")
        self.compute = in_threads(COMPUTING_THREADS)
        self._records: LRUCache[tuple[str, str, str, str, str], SymbolRecord] = LRUCache(MAX_RECORDS)
        self._records_lock = threading.Lock()  # LRUCache is not thread-safe
        self._batcher = Batcher(self.models) if in_gevent() else None
        self._live, self._live_lock = LiveAccuracy(self.request_log), threading.Lock()

    def predict(self, body: bytes | bytearray, context: RequestContext) -> Result:
        """Answer the body of a /predict request.

        Raises:
            RequestError: the body is not JSON or has a wrong form.
            InvalidClosesError: the closes cannot be forecast.
            ModelUnavailableError: there is no model that can be trusted.
        """
        asked = check_body(body)
        if isinstance(asked, PredictMany):
            windows, question = np.array(asked.predict, np.float64), Question(asked.levels)
            del asked  # the parsed body takes five times the memory of the array
            return self._forecast_many(windows, question, context.started)
        question = Question(asked.levels, asked.above, "horizon" in asked.model_fields_set)
        window = np.array(asked.predict, np.float64)
        ranges = None if asked.open is None else np.array([asked.open, asked.high, asked.low], np.float64).T
        return self.forecast_one(window, asked.horizon, question, context.started, ranges)

    def forecast_one(
        self, window: Floats, horizon: int, question: Question, started: float, ranges: Floats | None = None
    ) -> Result:  # fmt: skip
        """Forecast one window.

        Args:
            window: (60,) float64, oldest first, any currency.
            horizon: trading days ahead, 1 to 20.
            question: what the answer has.
            started: time.perf_counter() when the request began.
            ranges: (60, 3) float64, open, high and low of the same days.

        Raises:
            InvalidClosesError: the closes cannot be forecast.
            ModelUnavailableError: there is no model that can be trusted.
        """
        if ranges is None and horizon == 1 and self._batcher is not None:
            forecaster, forecast, row = self._batcher.forecast(window)
        else:
            forecaster, row = self.models.current(), 0
            forecast = self.compute(forecaster.forecast_one, window, horizon, ranges)
        content = forecast.as_dict(row, question)
        logged = _logged(forecast, row, window)
        return self._result(content, logged, 1, horizon, forecaster.version, started)

    def forecast_symbol(self, closes: Closes, horizon: int, question: Question, shown: int, started: float) -> Result:
        """Forecast the closes after a symbol's newest ones, at least 60, as `forecast_one` does, in the form of /forecast.

        The intervals are calibrated on the symbol as well. The answer has the newest `shown` closes.
        """
        forecaster = self.models.current()
        record = self._record_of(forecaster, closes)
        forecast = self.compute(forecast_symbol, forecaster, record, closes, horizon)
        content = content_of(forecast, record, closes, question, shown)
        logged = _logged(forecast, 0, closes.prices[-WINDOW:]) | {"symbol": closes.symbol}
        return self._result(content, logged, 1, horizon, forecaster.version, started)

    def track(self, closes: Closes, days: int) -> Backtest:
        """Return what the model would have forecast on each of a symbol's last days.

        Raises:
            InvalidClosesError: there are too few closes.
            ModelUnavailableError: there is no model that can be trusted.
        """
        result: Backtest = self.compute(track, self.models.current(), closes, days)
        return result

    def _record_of(self, forecaster: Forecaster, closes: Closes) -> SymbolRecord:
        """Return a symbol's record, which is made once for each model and each change of the closes or ranges."""
        ranges = "" if closes.ranges is None else sha256_of(closes.ranges.tobytes())
        key = (forecaster.version, closes.symbol, closes.source, closes.fingerprint, ranges)
        with self._records_lock:
            record = self._records.get(key)
        if record is None:
            record = self.compute(record_of, forecaster, closes)
            with self._records_lock:
                self._records[key] = record
        return record

    def _forecast_many(self, windows: Floats, question: Question, started: float) -> Result:
        """Forecast the next close of each window (n, 60)."""
        forecaster = self.models.current()
        forecast = self.compute(forecaster.forecast, windows)
        content = {"predictions": forecast.as_dicts(question)}
        return self._result(content, {}, len(windows), 1, forecaster.version, started)

    def _result(
        self, content: dict[str, Any], logged: dict[str, Any], windows: int, horizon: int, version: str, started: float
    ) -> Result:  # fmt: skip
        """Return a result with the fields that every answer and every line of the log has."""
        content["response_time_sec"] = time.perf_counter() - started
        content["memory_usage_percent"] = self.gauge.read()[1]
        content["model_version"] = version
        return Result(content, {"windows": windows, "horizon": horizon, "model_version": version} | logged)

    def finish(self, route: str, context: RequestContext, status: int, logged: dict[str, Any] | None = None) -> None:
        """Count an answered request and write its line to the access log, and to the request log if `logged` is given."""
        seconds = time.perf_counter() - context.started
        if logged is not None:
            row = {
                "timestamp": datetime.now(UTC).isoformat(),
                "response_time": seconds,
                "memory_usage": self.gauge.read()[1],
                "status": status,
            }
            if not self.request_log.append(row | logged):
                self.metrics.lost_lines.inc()
        self.metrics.count(route, context.info.method, status, seconds)
        self.access_log.write(context.info, status, seconds)

    def live(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return live accuracy and drift. If another request is reading the log, return the figures from before."""
        if self._live_lock.acquire(blocking=False):
            try:
                run_in_thread(self._live.catch_up)
            finally:
                self._live_lock.release()
        try:
            trained = self.models.current().metadata.training.daily_return_quantiles
        except ModelUnavailableError:
            trained = None
        return self._live.accuracy, detect_drift(self._live.returns, trained)


def open_request_log(settings: Settings) -> RequestLog:
    """Open the request log with the rotation of the settings."""
    return RequestLog(settings.REQUEST_LOG, settings.REQUEST_LOG_MAX_BYTES, settings.REQUEST_LOG_PARTS)


def _logged(forecast: Forecast, row: int, window: Floats) -> dict[str, Any]:
    """Return the columns of the request log for the forecast of the next close of one window."""
    (low_80, high_80), (low_95, high_95) = (
        (float(low[row, 0]), float(high[row, 0])) for low, high in (forecast.bounds[level] for level in LEVELS)
    )
    later, earlier = window_keys(window)
    return {
        "last_close": float(forecast.last_closes[row]), "predicted_price": float(forecast.prices[row, 0]),
        "low_80": low_80, "high_80": high_80, "low_95": low_95, "high_95": high_95,
        "closes_2_60": later, "closes_1_59": earlier, "last_return": math.log(window[-1] / window[-2]),
    }  # fmt: skip
