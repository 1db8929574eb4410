"""The forecast service of one worker: forecast, log and count requests. app.py and api/direct.py put it into HTTP."""

import logging
import math
import threading
import time
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from cachetools import LRUCache

from api.access import Gatekeeper
from api.batching import Batcher
from api.body import PredictMany, check_body
from api.symbol import SymbolRecord, content_of, forecast_symbol, record_of
from api.threads import every, in_gevent, in_threads, run_in_thread
from closes.download import download_closes
from closes.downloader import Downloader
from closes.newest import NewestCloses
from closes.series import Closes, Floats
from errors import ModelUnavailableError
from forecast.backtest import Backtest
from forecast.forecaster import Forecast, Question
from forecast.intervals import LEVELS
from forecast.track import track
from models.holder import ModelHolder
from models.listing import Listed, Listing
from models.symbols import Serving, SymbolModels
from monitoring.accesslog import AccessLog, RequestInfo
from monitoring.accuracy import LiveAccuracy
from monitoring.drift import detect_drift
from monitoring.gauge import Gauge
from monitoring.metrics import Metrics
from monitoring.overlap import window_keys
from monitoring.requestlog import RequestLog
from monitoring.training import TrainingCollector
from processData import WINDOW
from settings import Settings
from storage import sha256_of

log = logging.getLogger(__name__)

COMPUTING_THREADS = 2  # for batches and long horizons; more would slow down single windows
REFRESH_SECONDS = 1.0  # between two looks for a new model
PREDICT_ROUTE = "/predict"
MAX_RECORDS = 256  # of symbols, 32 kB each; the least recently used one is evicted


class RequestContext(NamedTuple):
    """A request that is being answered: what the access log says of it, and when it began (time.perf_counter(), seconds)."""

    info: RequestInfo
    started: float


class Result(NamedTuple):
    """The answer to a forecast request: the JSON object, and the columns of its line in the request log."""

    content: dict[str, Any]
    logged: dict[str, Any]


class ForecastService:
    """Model, logs, metrics and access control of one worker.

    Attributes:
        settings: the settings.
        models: the default model.
        symbols: the models of symbols, and which model answers.
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
        download = Downloader().download if in_gevent() else download_closes  # a worker does not import pandas
        self.newest = NewestCloses(settings, in_threads(1), download)  # one download at a time
        self.request_log = open_request_log(settings)
        if self.request_log.problem:
            log.error("Requests are not logged to %s: %s.", settings.REQUEST_LOG, self.request_log.problem)
        self.metrics = Metrics(self.models, TrainingCollector(settings.MODEL_DIR))
        self.symbols = SymbolModels(self.models, settings.MODEL_DIR, settings.MAX_MODELS, run_in_thread, self.metrics.symbol_loads.inc)
        every(REFRESH_SECONDS, self.symbols.refresh)
        self._listing, self._list = Listing(settings.MODEL_DIR), in_threads(1)
        self.gauge = Gauge()
        self.access_log = AccessLog(settings.ACCESS_LOG == "on")
        self.compute = in_threads(COMPUTING_THREADS)
        self._records: LRUCache[tuple[str | None, ...], SymbolRecord] = LRUCache(MAX_RECORDS)
        self._records_lock = threading.Lock()  # LRUCache is not thread-safe
        self._batcher = Batcher() if in_gevent() else None
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
            windows, question, symbol = np.array(asked.predict, np.float64), Question(asked.levels), asked.symbol
            del asked  # the parsed body takes five times the memory of the array
            return self._forecast_many(windows, question, context.started, symbol)
        question = Question(asked.levels, asked.above, "horizon" in asked.model_fields_set)
        window, horizon, symbol = np.array(asked.predict, np.float64), asked.horizon, asked.symbol
        ranges = None if asked.open is None else np.array([asked.open, asked.high, asked.low], np.float64).T
        del asked  # so that parsing the next request reuses this memory, which is still in the cache
        return self.forecast_one(window, horizon, question, context.started, ranges, symbol)

    def forecast_one(
        self, window: Floats, horizon: int, question: Question, started: float, ranges: Floats | None = None, symbol: str | None = None
    ) -> Result:  # fmt: skip
        """Forecast one window.

        Args:
            window: (60,) float64, oldest first, any currency.
            horizon: trading days ahead, 1 to 20.
            question: what the answer has.
            started: time.perf_counter() when the request began.
            ranges: (60, 3) float64, open, high and low of the same days.
            symbol: whose own model answers, if it has one; None for the default model.

        Raises:
            InvalidClosesError: the closes cannot be forecast.
            ModelUnavailableError: there is no model that can be trusted.
        """
        serving = self.symbols.of(symbol)
        if ranges is None and horizon == 1 and self._batcher is not None:
            forecast, row = self._batcher.forecast(serving.forecaster, window)
        else:
            forecast, row = self.compute(serving.forecaster.forecast_one, window, horizon, ranges), 0
        content = forecast.as_dict(row, question)
        content["warnings"] += [warning.as_dict() for warning in serving.warnings]
        logged = _logged(forecast, row, window) | _named(symbol)
        return self._result(content, logged, 1, horizon, serving, started)

    def forecast_symbol(self, closes: Closes, horizon: int, question: Question, shown: int, started: float) -> Result:
        """Forecast the closes that follow a symbol's newest closes (at least 60), in the form of /forecast.

        The intervals are calibrated on the symbol as well. The answer has the newest `shown` closes.
        """
        serving = self.symbols.of(closes.symbol)
        record = self._record_of(serving, closes)
        forecast = self.compute(forecast_symbol, serving.forecaster, record, closes, horizon)
        content = content_of(forecast, record, closes, question, shown)
        content["warnings"] += [warning.as_dict() for warning in serving.warnings]
        logged = _logged(forecast, 0, closes.prices[-WINDOW:]) | {"symbol": closes.symbol}
        return self._result(content, logged, 1, horizon, serving, started)

    def track(self, closes: Closes, days: int) -> tuple[Backtest, Serving]:
        """Return what the symbol's model would have forecast on each of its last days, and which model that is.

        Raises:
            InvalidClosesError: there are too few closes.
            ModelUnavailableError: there is no model that can be trusted.
        """
        serving = self.symbols.of(closes.symbol)
        return self.compute(track, serving.forecaster, closes, days), serving

    def published(self) -> Listed:
        """Return the list of the published models."""
        listed: Listed = self._list(self._listing.read)
        return listed

    def _record_of(self, serving: Serving, closes: Closes) -> SymbolRecord:
        """Return a symbol's record, which is made once for each model and each change of the closes or ranges."""
        ranges = "" if closes.ranges is None else sha256_of(closes.ranges.tobytes())
        key = (serving.symbol, serving.forecaster.version, closes.symbol, closes.source, closes.fingerprint, ranges)
        with self._records_lock:
            record = self._records.get(key)
        if record is None:
            record = self.compute(record_of, serving.forecaster, closes)
            with self._records_lock:
                self._records[key] = record
        return record

    def _forecast_many(self, windows: Floats, question: Question, started: float, symbol: str | None) -> Result:
        """Forecast the next close of each window (n, 60) by one model."""
        serving = self.symbols.of(symbol)
        predictions = self.compute(serving.forecaster.forecast, windows).as_dicts(question)
        if warnings := [warning.as_dict() for warning in serving.warnings]:
            for prediction in predictions:
                prediction["warnings"] += warnings
        return self._result({"predictions": predictions}, _named(symbol), len(windows), 1, serving, started)

    def _result(
        self, content: dict[str, Any], logged: dict[str, Any], windows: int, horizon: int, serving: Serving, started: float
    ) -> Result:  # fmt: skip
        """Return a result with the fields that every answer and every line of the log has."""
        content["response_time_sec"] = time.perf_counter() - started
        content["memory_usage_percent"] = self.gauge.read()[1]
        content["model_version"] = version = serving.forecaster.version
        content["model_symbol"] = serving.symbol
        logged |= {"windows": windows, "horizon": horizon, "model_version": version}
        if serving.warnings:
            self.metrics.untrusted_answers.inc()
        if serving.symbol is not None:
            self.metrics.symbol_answers.inc()
            logged["model_symbol"] = serving.symbol
        return Result(content, logged)

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


def _named(symbol: str | None) -> dict[str, str]:
    """Return the column of the request log for the symbol that a request names, if it names one."""
    return {} if symbol is None else {"symbol": symbol.upper()}


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
