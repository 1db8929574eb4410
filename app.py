"""The service over HTTP: routes, one place that maps errors to statuses, create_app().

    python app.py       serves on http://127.0.0.1:8010 with gunicorn, the MLflow UI on 8020 beside it

Only this module and requestBody.py know HTTP. Every answer to a program is JSON, every error {"error": "<one sentence>", "details": [...]}.
"""

import hashlib
import hmac
import logging
import math
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import psutil
from flasgger import Swagger
from flask import Flask, Response, current_app, g, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_compress import Compress
from gevent import get_hub, monkey
from pydantic_core import to_json
from werkzeug.exceptions import HTTPException

import metrics
import mlflowUI
from drift import drift
from liveAccuracy import LiveAccuracy
from metrics import Metrics
from modelBatch import Batcher
from modelHolder import ModelHolder
from modelPredict import Forecaster
from modelStore import BACKTEST_FILE
from processData import WINDOW, Floats, ForecastError, InvalidClosesError, ModelUnavailableError, read_snapshot
from requestBody import MAX_BODY_BYTES, PredictMany, PredictOne, RequestError, read_body
from requestLog import SUMMARY_ROWS, RequestLog, summarise, window_hashes
from settings import PROJECT_DIR, SettingError, Settings

log = logging.getLogger(__name__)

Done = TypeVar("Done")

MAX_MONITOR_ROWS = 10_000
NEEDS_KEY = frozenset({"predict", "monitor"})
MIN_COMPRESSED_BYTES = 500  # a smaller answer fits one packet as it is
GAUGE_SECONDS = 1.0  # how old a reading of CPU and memory may be


class Gauge:
    """CPU and memory of the machine in percent, read at most once a second."""

    def __init__(self) -> None:
        self._read_at = 0.0
        self._cpu, self._memory = psutil.cpu_percent(), psutil.virtual_memory().percent

    def read(self) -> tuple[float, float]:
        """CPU and memory in percent."""
        now = time.monotonic()
        if now - self._read_at >= GAUGE_SECONDS:
            self._read_at = now
            self._cpu, self._memory = psutil.cpu_percent(), psutil.virtual_memory().percent
        return self._cpu, self._memory


@dataclass(frozen=True)
class Parts:
    """What the views share: one of each in a worker."""

    settings: Settings
    models: ModelHolder
    batcher: Batcher | None  # where gevent serves
    request_log: RequestLog
    metrics: Metrics
    gauge: Gauge
    live: LiveAccuracy
    live_lock: threading.Lock
    compress: Compress
    api_key: bytes


def create_app(settings: Settings | None = None) -> Flask:
    """The application, with its model loaded.

    Raises:
        SettingError: a setting does not fit.
    """
    app = Flask(__name__)
    app.url_map.strict_slashes = False
    settings = settings or Settings.from_environment()
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    models = ModelHolder(settings.MODEL_DIR)
    request_log = _request_log(settings)
    app.extensions["parts"] = Parts(
        settings, models, Batcher(models) if _in_gevent() else None, request_log, Metrics(models), Gauge(),
        LiveAccuracy(request_log), threading.Lock(), _compression(app),
        settings.API_KEY.get_secret_value().encode(),
    )  # fmt: skip
    app.before_request(_begin)
    app.after_request(_finish)
    for error in (HTTPException, RequestError, ForecastError, Exception):
        app.register_error_handler(error, _answer_error)
    app.add_url_rule("/predict", view_func=predict, methods=["POST"])
    app.add_url_rule("/predict", view_func=page, methods=["GET"])
    app.add_url_rule("/", view_func=page, methods=["GET"])
    app.add_url_rule("/backtest", view_func=backtest)
    app.add_url_rule("/monitor", view_func=monitor)
    app.add_url_rule("/metrics", endpoint="metrics", view_func=prometheus)
    app.add_url_rule("/mlflow", view_func=mlflow)
    app.add_url_rule("/health", view_func=health)
    app.add_url_rule("/ready", view_func=ready)
    _add_documentation(app)
    return app


def predict() -> Response:
    """Forecast the next closes of one window, or of each window of a batch.

    :raise 400: the body is not JSON.
    :raise 401: the API key is missing or wrong.
    :raise 415: it is not declared as JSON.
    :raise 422: it is no window of 60 positive closes.
    :raise 503: there is no model that can be trusted.
    """
    body = read_body()
    if isinstance(body, PredictMany):
        windows = np.array(body.predict, np.float64)
        forecaster = _parts().models.current()
        forecast = _beside(forecaster.forecast, windows)
        answer: dict[str, Any] = {"predictions": [forecast.as_dict(row) for row in range(len(windows))]}
        g.logged = {"windows": len(windows)}
    else:
        window = np.array(body.predict, np.float64)
        forecaster, answer = _forecast_one(window, body)
        g.logged = {"windows": 1, **_logged_forecast(answer, window)}
    g.logged |= {"horizon": body.horizon, "model_version": forecaster.version}
    answer["response_time_sec"] = time.perf_counter() - g.started
    answer["memory_usage_percent"] = _parts().gauge.read()[1]
    answer["model_version"] = forecaster.version
    return _json(answer)


def page() -> str:
    """The web page."""
    try:
        model = _parts().models.current().metadata
    except ModelUnavailableError:
        model = None
    return render_template("index.html", model=model, example=_example())


def backtest() -> Response:
    """The backtest of the model that serves: a CSV file that does not change as long as its version.

    :raise 404: this version was published without one.
    :raise 503: there is no model that can be trusted.
    """
    parts = _parts()
    forecaster = parts.models.current()
    version, sums = forecaster.version, forecaster.metadata["files"]
    try:
        content = (parts.settings.MODEL_DIR / "versions" / version / BACKTEST_FILE).read_bytes()
    except FileNotFoundError:
        raise RequestError(404, f"Model {version} has no backtest; a new training makes one: python modelTrain.py") from None
    if hashlib.sha256(content).hexdigest() != sums.get(BACKTEST_FILE):
        raise ModelUnavailableError(f"The backtest of model {version} is not as published; a new training makes one: python modelTrain.py")
    response = Response(content, mimetype="text/csv")
    response.set_etag(version)
    response.make_conditional(request)
    return response


def monitor() -> Response:
    """CPU, memory, the newest requests, a summary of them, and how good the forecasts were."""
    limit, parts = _monitor_limit(), _parts()
    cpu, memory = parts.gauge.read()
    rows = parts.request_log.tail(max(limit, SUMMARY_ROWS))
    newest = rows[-limit:] if limit else []
    accuracy, drifted = _live()
    summary = summarise(rows[-SUMMARY_ROWS:]) | {"live_accuracy": accuracy, "drift": drifted}
    return _json({"CURRENT CPU": cpu, "MEMORY %": memory, "RESPONSES": newest, "SUMMARY": summary})


def prometheus() -> Response:
    """Metrics of all workers for Prometheus."""
    return Response(_parts().metrics.text(metrics.LiveCollector(*_live())), content_type=metrics.CONTENT_TYPE)


def mlflow() -> ResponseReturnValue:
    """Redirect to the MLflow UI.

    :raise 503: none runs; the answer says how to start it.
    """
    settings = _parts().settings
    if settings.MLFLOW_UI_URL:
        return redirect(settings.MLFLOW_UI_URL)
    if not mlflowUI.is_answering(settings):
        raise RequestError(503, "The MLflow UI does not answer on this machine.", _mlflow_advice(settings))
    host = request.host.rsplit(":", 1)[0] if not request.host.endswith("]") else request.host
    return redirect(f"{request.scheme}://{host}:{settings.MLFLOW_UI_PORT}/")


def health() -> Response:
    """The process lives."""
    return _json({"status": "ok"})


def ready() -> Response:
    """A valid model is loaded.

    :raise 503: there is none.
    """
    models = _parts().models
    return _json({"status": "ready", "model_version": models.current().version, "problem": models.problem})


def _monitor_limit() -> int:
    """The query's `limit`: how many requests to show."""
    text = request.args.get("limit", "100")
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= MAX_MONITOR_ROWS):
        raise RequestError(422, f"limit must be a whole number from 0 to {MAX_MONITOR_ROWS}.")
    return int(text)


def _mlflow_advice(settings: Settings) -> list[str]:
    """How to get the MLflow UI."""
    if not mlflowUI.is_installed():
        return ["MLflow is not installed here: pip install -r requirements.txt, or set MLFLOW_UI_URL to a running one."]
    if settings.MLFLOW_UI == "off":
        return ["MLFLOW_UI is off: start it with python mlflowUI.py, or set MLFLOW_UI_URL to a running one."]
    return ["It takes half a minute to start: try again. If it stays away, see the log of python app.py."]


def _forecast_one(window: Floats, body: PredictOne) -> tuple[Forecaster, dict[str, Any]]:
    """The forecast of one window: the model that made it, and the answer."""
    parts = _parts()
    if body.horizon == 1 and parts.batcher is not None:
        row = parts.batcher.forecast(window)
        forecaster, forecast, number = row.forecaster, row.forecast, row.row
    else:
        forecaster, number = parts.models.current(), 0
        forecast = _beside(forecaster.forecast, window[None], body.horizon)
    answer = forecast.as_dict(number)
    if "horizon" in body.model_fields_set:
        answer["path"] = forecast.path(number)
    return forecaster, answer


def _logged_forecast(answer: dict[str, Any], window: Floats) -> dict[str, Any]:
    """What the log keeps of one window's forecast."""
    (low_80, high_80), (low_95, high_95) = answer["intervals"]["80"], answer["intervals"]["95"]
    later, earlier = window_hashes(window)
    return {
        "last_close": answer["last_close"], "predicted_price": answer["predicted_price"],
        "low_80": low_80, "high_80": high_80, "low_95": low_95, "high_95": high_95,
        "closes_2_60": later, "closes_1_59": earlier, "last_return": math.log(window[-1] / window[-2]),
    }  # fmt: skip


@lru_cache(maxsize=1)
def _example() -> dict[str, Any]:
    """The last 60 closes of the embedded snapshot, for the page."""
    closes = read_snapshot("MSFT")
    return {"symbol": closes.symbol, "as_of": closes.last_date, "closes": closes.prices[-WINDOW:].tolist()}


def _parts() -> Parts:
    """The parts of the application that answers."""
    parts: Parts = current_app.extensions["parts"]
    return parts


def _in_gevent() -> bool:
    """Whether gevent serves: one thread, one loop, many connections."""
    return bool(monkey.is_module_patched("socket"))


def _beside(work: Callable[..., Done], *arguments: Any) -> Done:
    """Do long work in a thread of its own, so that a gevent worker goes on answering others meanwhile."""
    if not _in_gevent():
        return work(*arguments)  # Flask's own server: this is a thread
    done: Done = get_hub().threadpool.apply(work, arguments)
    return done


def _live() -> tuple[dict[str, Any], dict[str, Any]]:
    """Live accuracy and drift; while another request reads the log on, as that one's predecessor left them."""
    parts = _parts()
    if parts.live_lock.acquire(blocking=False):
        try:
            _beside(parts.live.catch_up)
        finally:
            parts.live_lock.release()
    try:
        trained = parts.models.current().metadata["training"]["daily_return_quantiles"]
    except (ModelUnavailableError, KeyError):
        trained = None
    return parts.live.accuracy, drift(parts.live.returns, trained)


def _json(content: dict[str, Any], status: int = 200) -> Response:
    """A JSON answer; floats in full."""
    return Response(to_json(content), status, content_type="application/json")


def _begin() -> None:
    """Start the clock, and ask for the API key where one is set.

    :raise 401: the header X-API-Key is missing or wrong.
    """
    g.started = time.perf_counter()
    key = _parts().api_key
    if key and request.endpoint in NEEDS_KEY and not hmac.compare_digest(request.headers.get("X-API-Key", "").encode(), key):
        raise RequestError(401, "The API key is missing or wrong: send it in the header X-API-Key.")


def _finish(response: Response) -> Response:
    """Log a /predict request whatever came of it, count every request, compress an answer that is worth it."""
    parts, rule, method = _parts(), request.url_rule, request.method
    seconds = time.perf_counter() - g.started
    if rule is not None and rule.endpoint == "predict":
        row = {
            "timestamp": datetime.now(UTC).isoformat(),
            "response_time": seconds,
            "memory_usage": parts.gauge.read()[1],
            "status": response.status_code,
        }
        if not parts.request_log.append(row | g.get("logged", {})):
            parts.metrics.lost_lines.inc()
    parts.metrics.count(rule.rule if rule else "unmatched", method, response.status_code, seconds)
    if response.is_streamed or response.content_length is None or response.content_length >= MIN_COMPRESSED_BYTES:
        response = parts.compress.after_request(response)
    return response


def _answer_error(error: Exception) -> ResponseReturnValue:
    """The one place that maps errors to statuses."""
    headers: list[tuple[str, str]] = []
    if isinstance(error, RequestError):
        status, details = error.status, error.details
    elif isinstance(error, InvalidClosesError):
        status, details = 422, error.details
    elif isinstance(error, ForecastError):
        status, details = 503, error.details
    elif isinstance(error, HTTPException):
        if error.code is None or error.code < 400:
            return error
        status, details = error.code, []
        headers = [(name, value) for name, value in error.get_headers() if name == "Allow"]
        error = RequestError(status, HTTP_ERRORS.get(status, error.name + "."))
    else:
        log.exception("Unexpected error")
        status, details, error = 500, [], RequestError(500, "The server failed; its log has the reason.")
    response = _json({"error": str(error), "details": details}, status)
    response.headers.extend(headers)
    return response


HTTP_ERRORS = {
    404: "There is nothing at this address; the calls are listed at /apidocs.",
    405: "This address does not take this method; the calls are listed at /apidocs.",
    413: f"The body is larger than {MAX_BODY_BYTES // 1024 // 1024} MiB.",
}


def _add_documentation(app: Flask) -> None:
    """Swagger UI of swagger.yaml at /apidocs, from local files."""
    app.config["SWAGGER"] = {"openapi": "3.0.3", "title": "Stock forecasts", "uiversion": 3, "doc_expansion": "list"}
    config = Swagger.DEFAULT_CONFIG | {"specs_route": "/apidocs", "auth": {}}
    Swagger(app, config=config, template_file=str(PROJECT_DIR / "swagger.yaml"))


def _request_log(settings: Settings) -> RequestLog:
    """The request log, rotated as the settings say."""
    return RequestLog(settings.REQUEST_LOG, settings.REQUEST_LOG_MAX_BYTES, settings.REQUEST_LOG_PARTS)


def _compression(app: Flask) -> Compress:
    """Compressed answers for clients that ask for them; _finish applies it where there is enough to save."""
    app.config["COMPRESS_ALGORITHM_STREAMING"] = ["zstd", "br", "gzip", "deflate"]  # static files; gzip is not among the defaults
    app.config["COMPRESS_REGISTER"] = False
    compress = Compress(app)
    compress.compress_mimetypes_set.add("text/csv")
    return compress


def _check_start(settings: Settings) -> None:
    """End with one line that names the setting where the service could not start."""
    try:
        with socket.create_server((settings.HOST, settings.PORT)):
            pass
    except OSError as error:
        sys.exit(f"error: HOST={settings.HOST} PORT={settings.PORT}: {error.strerror}; choose another address or end what uses it.")
    try:
        _request_log(settings).close()
    except OSError as error:
        sys.exit(f"error: REQUEST_LOG={settings.REQUEST_LOG}: {error.strerror}; choose a file that can be written.")


def _run_gunicorn() -> None:
    """Become gunicorn's master; what this process has imported is shared with the workers, which start in no time."""
    import gunicorn.__main__
    from gunicorn.app.wsgiapp import WSGIApplication

    sys.argv = [gunicorn.__main__.__file__, "-c", str(PROJECT_DIR / "gunicorn.conf.py")]
    WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]", prog="gunicorn").run()


def main() -> None:
    """Serve: gunicorn where it runs, else Flask's threaded server."""
    try:
        settings = Settings.from_environment()
    except SettingError as error:
        sys.exit(f"error: {error}")
    _check_start(settings)
    if os.name == "posix":
        _run_gunicorn()
        return
    child = mlflowUI.start(settings)
    try:
        create_app(settings).run(settings.HOST, settings.PORT, threaded=True)
    finally:
        mlflowUI.stop(child)


if __name__ == "__main__":
    main()
