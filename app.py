"""The service over HTTP: routes, create_app(), and the command that serves.

    python app.py       serves http://127.0.0.1:8010 with gunicorn, and the MLflow UI on 8020

Only this module, requestBody.py, answers.py and fastPredict.py know HTTP. Every answer to a program is JSON, every error
{"error": "<one sentence>", "details": [...]}.
"""

import argparse
import hashlib
import logging
import os
import re
import socket
import sys
import time
from functools import lru_cache, partial

import numpy as np
from flask import Flask, Response, current_app, g, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_compress import Compress
from werkzeug.exceptions import HTTPException

from api.answers import HTTP_ERRORS, SECURITY_HEADERS, error_answer, json_answer, refuse
from api.body import MAX_BODY_BYTES, PredictMany, RequestError, Room, check_body, read_body
from api.direct import FastPredict
from api.page import OpeningForecast, embedded
from api.service import COMPUTING_THREADS, ForecastService, open_request_log
from api.threads import run_in_thread
from closes.newest import MAX_CLOSES
from closes.series import split_warnings
from errors import ForecastError, InvalidClosesError, ModelUnavailableError
from forecast.intervals import MAX_HORIZON
from models.store import BACKTEST_FILE
from monitoring import metrics
from monitoring.accesslog import ID_HEADER, Asked
from monitoring.requestlog import SUMMARY_ROWS, summarise
from processData import WINDOW
from server import slots
from settings import PROJECT_DIR, SettingError, Settings
from tracking import ui

log = logging.getLogger(__name__)
MAX_MONITOR_ROWS = 1000
MLFLOW_SECONDS = 30  # that its UI takes to start
settings_of_all: Settings | None = None  # of workers that gunicorn.conf.py starts: files that they come from may change meanwhile
NEEDS_KEY = frozenset({"predict", "forecast", "monitor"})
SWAGGER_ROUTES = ("/apidocs", "/apidocs/index.html", "/apispec_1.json", "/flasgger_static/<path:filename>")


def create_app(settings: Settings | None = None) -> Flask:
    """The application, with its model loaded.

    Raises:
        SettingError: a setting does not fit.
    """
    app = Flask(__name__)
    app.url_map.strict_slashes = False
    settings = settings or settings_of_all or Settings.from_environment()
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    service = ForecastService(settings)
    app.extensions["service"] = service
    app.extensions["room"] = Room(COMPUTING_THREADS)
    app.extensions["openingForecast"] = OpeningForecast()
    if not service.gate.has_limit:
        app.extensions["fastPredict"] = FastPredict(service)  # gunicornWorker.py asks it first
    app.extensions["refuse"] = partial(refuse, service)  # and this where it can make out no request
    app.before_request(_begin)
    app.after_request(_finish)
    app.teardown_request(_give_back)
    for error in (HTTPException, RequestError, ForecastError, Exception):
        app.register_error_handler(error, error_answer)
    app.add_url_rule("/predict", view_func=predict, methods=["POST"])
    app.add_url_rule("/predict", view_func=page, methods=["GET"])
    app.add_url_rule("/forecast/<symbol>", view_func=forecast)
    app.add_url_rule("/", view_func=page, methods=["GET"])
    app.add_url_rule("/backtest", view_func=backtest)
    app.add_url_rule("/monitor", view_func=monitor)
    app.add_url_rule("/metrics", endpoint="metrics", view_func=prometheus)
    app.add_url_rule("/mlflow", view_func=mlflow)
    app.add_url_rule("/notebook", view_func=notebook)
    app.add_url_rule("/health", view_func=health)
    app.add_url_rule("/ready", view_func=ready)
    for route in SWAGGER_ROUTES:
        app.add_url_rule(route, view_func=documentation)
    _add_compression(app)
    _open_to_others(app, settings)
    return app


def predict() -> Response:
    """Forecast the next closes of one window, or of each window of a batch.

    :raise 400: the body is not JSON.
    :raise 401: the API key is missing or wrong.
    :raise 415: it is not declared as JSON.
    :raise 422: it is not a window of 60 positive closes.
    :raise 503: there is no model that can be trusted.
    """
    body, room = read_body(), current_app.extensions["room"]
    with room.turn(len(body)):
        asked = check_body(body)
        if isinstance(asked, PredictMany):
            answer = _service().answer_many(asked.predict, g.started)
        else:
            answer = _service().answer_one(asked.predict, asked.horizon, "horizon" in asked.model_fields_set, g.started)
        g.logged = answer.logged
        return json_answer(answer.content)


def forecast(symbol: str) -> Response:
    """Forecast the next closes of a symbol from its newest closes, as /predict does.

    :raise 401: the API key is missing or wrong.
    :raise 404: there is no such symbol.
    :raise 422: a wrong symbol, horizon or number of closes, or a symbol with too few closes.
    :raise 503: there is no model, or no source of closes.
    """
    horizon, shown = _from_query("horizon", 1, MAX_HORIZON, default=1), _from_query("closes", 0, MAX_CLOSES, default=0)
    service = _service()
    newest = service.newest.of(symbol)
    closes = newest.closes
    if len(closes) < WINDOW:
        raise InvalidClosesError(f"{closes.symbol} has {len(closes)} closes; a forecast takes {WINDOW}.")
    window, days = closes.prices[-WINDOW:], closes.dates[-WINDOW:]
    answer = service.answer_one(window, horizon, "horizon" in request.args, g.started).content
    dated = dict(zip(split_warnings(window), split_warnings(window, days), strict=True))  # who asks for a symbol has not counted closes
    answer["warnings"] = newest.warnings + [dated.get(warning, warning) for warning in answer["warnings"]]
    answer = {"symbol": closes.symbol, "as_of": closes.last_date, "source": closes.source} | answer
    if shown:
        answer |= {"dates": np.datetime_as_string(closes.dates[-shown:]).tolist(), "closes": closes.prices[-shown:].tolist()}
    return json_answer(answer)


def page() -> str:
    """The web page, with the forecast that it opens with."""
    service, opening = _service(), current_app.extensions["openingForecast"]
    try:
        forecaster = service.models.current()
    except ModelUnavailableError as error:
        return render_template("index.html", model=None, problem=str(error), opening=None, **embedded())
    shown = opening.by(forecaster) | {"key_needed": not service.gate.admits("")}
    return render_template("index.html", model=forecaster.metadata, opening=shown, **embedded())


def backtest() -> Response:
    """The backtest of the model that serves: a CSV file that does not change as long as its version.

    :raise 404: this version was published without one.
    :raise 503: there is no model that can be trusted.
    """
    service = _service()
    forecaster = service.models.current()
    version, sums = forecaster.version, forecaster.metadata["files"]
    try:
        content = (service.settings.MODEL_DIR / "versions" / version / BACKTEST_FILE).read_bytes()
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
    limit, service = _from_query("limit", 0, MAX_MONITOR_ROWS, default=100), _service()
    cpu, memory = service.gauge.read()
    rows = service.request_log.tail(max(limit, SUMMARY_ROWS))
    newest = rows[-limit:] if limit else []
    accuracy, drifted = service.live()
    summary = summarise(rows[-SUMMARY_ROWS:]) | {"workers": slots.count(), "live_accuracy": accuracy, "drift": drifted}
    return json_answer({"CURRENT CPU": cpu, "MEMORY %": memory, "RESPONSES": newest, "SUMMARY": summary})


def prometheus() -> Response:
    """Metrics of all workers for Prometheus."""
    service = _service()
    return Response(service.metrics.text(metrics.LiveCollector(*service.live())), content_type=metrics.CONTENT_TYPE)


def mlflow() -> ResponseReturnValue:
    """Redirect to the MLflow UI.

    :raise 503: none runs; the answer says how to start it, to a browser as a page.
    """
    settings = _service().settings
    if settings.mlflow_ui_url:
        return redirect(settings.mlflow_ui_url)
    if not ui.is_answering(settings):
        return _no_mlflow(RequestError(503, "The MLflow UI does not answer on this machine.", _mlflow_advice(settings), MLFLOW_SECONDS))
    host = request.host.rsplit(":", 1)[0] if not request.host.endswith("]") else request.host
    return redirect(f"{request.scheme}://{host}:{settings.MLFLOW_UI_PORT}/")


def notebook() -> Response:
    """The notebook that walks through data, baseline, network and result, as a file."""
    content = (PROJECT_DIR / "jupyter" / "forecast.ipynb").read_bytes()
    headers = {"Content-Disposition": "attachment; filename=forecast.ipynb"}
    return Response(content, headers=headers, content_type="application/x-ipynb+json")


def documentation(**_: str) -> ResponseReturnValue:
    """Swagger UI, its files and the contract that it shows."""
    response = Response.from_app(run_in_thread(_swagger_app), request.environ)
    if response.status_code >= 400:  # in its own words, for its own page
        response.close()
        raise RequestError(response.status_code, HTTP_ERRORS.get(response.status_code, response.status))
    return response


def health() -> Response:
    """The process lives."""
    return json_answer({"status": "ok"})


def ready() -> Response:
    """A valid model is loaded.

    :raise 503: there is none.
    """
    models = _service().models
    return json_answer({"status": "ready", "model_version": models.current().version, "problem": models.problem})


def _from_query(name: str, low: int, high: int, default: int) -> int:
    """A whole number from the query."""
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
        raise RequestError(422, f"{name} must be a whole number from {low} to {high}.")
    return int(text)


def _no_mlflow(error: RequestError) -> ResponseReturnValue:
    """The error as any other, but as a page for who would rather read HTML."""
    response = current_app.make_response(error_answer(error))
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
        response.set_data(render_template("noMlflow.html", error=error, details=error.details))
        response.mimetype = "text/html"
    response.vary.add("Accept")
    return response


def _mlflow_advice(settings: Settings) -> list[str]:
    """How to get the MLflow UI."""
    if not ui.is_installed():
        return ["MLflow is not installed here: pip install -r requirements.txt, or set MLFLOW_UI_URL to a running one."]
    if settings.MLFLOW_UI == "off":
        return ["MLFLOW_UI is off: start it with python -m tracking.ui, or set MLFLOW_UI_URL to a running one."]
    return ["It takes half a minute to start: try again. If it stays away, see the log of python app.py."]


def _service() -> ForecastService:
    """What this worker answers with."""
    service: ForecastService = current_app.extensions["service"]
    return service


def _begin() -> None:
    """Start the clock, name the request, and see whether it may be made.

    :raise 401: the header X-API-Key is missing or wrong.
    :raise 429: this client has asked too often.
    """
    g.started = time.perf_counter()
    request_id = _service().access_log.id_for(request.headers.get(ID_HEADER, ""))
    g.asked = Asked(request_id, request.remote_addr or "", request.method, request.path)
    if request.endpoint not in NEEDS_KEY or request.method == "OPTIONS":
        return
    gate = _service().gate
    if seconds := gate.seconds_to_wait(g.asked.client):  # first, so that keys cannot be guessed quickly
        raise RequestError(429, f"Too many requests; ask again in {seconds} s.", retry_after=seconds)
    if not gate.admits(request.headers.get("X-API-Key", "")):
        raise RequestError(401, "The API key is missing or wrong: send it in the header X-API-Key.")


def _finish(response: Response) -> Response:
    """Count every request, and log those to /predict whatever came of them."""
    service, rule = _service(), request.url_rule
    if rule is not None and rule.endpoint == "predict" and request.method == "POST":
        service.log(response.status_code, g.started, g.get("logged", {}))
    service.record(rule.rule if rule else "unmatched", g.asked, response.status_code, g.started)
    response.headers.update(SECURITY_HEADERS | {ID_HEADER: g.asked.id})
    return response


def _give_back(_: BaseException | None) -> None:
    """The request's body is not needed any more."""
    room: Room = current_app.extensions["room"]
    room.give_back(g.pop("held", 0))


@lru_cache(maxsize=1)
def _swagger_app() -> Flask:
    """Swagger UI of swagger.yaml from local files, as an application of its own: imported when it is first asked for, not at the start."""
    from flasgger import Swagger

    app = Flask(__name__)
    app.url_map.strict_slashes = False
    app.config["SWAGGER"] = {"openapi": "3.0.3", "title": "Stock forecasts", "uiversion": 3, "doc_expansion": "list"}
    config = Swagger.DEFAULT_CONFIG | {"specs_route": SWAGGER_ROUTES[0], "auth": {}}
    Swagger(app, config=config, template_file=str(PROJECT_DIR / "swagger.yaml"))
    return app


def _add_compression(app: Flask) -> None:
    """Compressed answers for clients that ask for them."""
    app.config["COMPRESS_ALGORITHM_STREAMING"] = ["zstd", "br", "gzip", "deflate"]  # static files; gzip is not among the defaults
    Compress(app).compress_mimetypes_set.add("text/csv")


def _open_to_others(app: Flask, settings: Settings) -> None:
    """Allow pages of other origins and trust proxy headers, as far as the settings say."""
    if settings.CORS_ORIGINS:
        from flask_cors import CORS

        exposed = [ID_HEADER, "Retry-After"]
        origins = [origin if origin == "*" else re.compile(re.escape(origin) + r"\Z") for origin in settings.CORS_ORIGINS.split(",")]
        CORS(app, origins=origins, allow_headers=["Content-Type", "X-API-Key"], expose_headers=exposed, max_age=600)
    if settings.TRUSTED_PROXIES:
        from werkzeug.middleware.proxy_fix import ProxyFix

        n = settings.TRUSTED_PROXIES
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=n, x_proto=n, x_host=n)  # type: ignore[method-assign] # from Flask's documentation


def _check_start(settings: Settings) -> None:
    """End with one line that names the setting where the service could not start."""
    six = ":" in settings.HOST
    family, both = (socket.AF_INET6, socket.has_dualstack_ipv6()) if six else (socket.AF_INET, False)
    try:
        with socket.create_server((settings.HOST, settings.PORT), family=family, dualstack_ipv6=both):
            pass
    except OSError as error:
        sys.exit(f"error: HOST={settings.HOST} PORT={settings.PORT}: {error.strerror}; choose another address or end what uses it.")
    request_log = open_request_log(settings)
    request_log.close()
    if request_log.problem:
        sys.exit(f"error: REQUEST_LOG={settings.REQUEST_LOG}: {request_log.problem}; choose a file that can be written.")


def _run_gunicorn() -> None:
    """Become gunicorn's master. Workers share what this process has imported, so they start fast."""
    import gunicorn.__main__
    from gunicorn.app.wsgiapp import WSGIApplication

    sys.argv = [gunicorn.__main__.__file__, "-c", str(PROJECT_DIR / "gunicorn.conf.py")]
    WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]", prog="gunicorn").run()


def main() -> None:
    """Serve: gunicorn where it runs, else Flask's threaded server."""
    about = "\n".join(f"  {name:22} {field.description}" for name, field in Settings.model_fields.items())
    argparse.ArgumentParser(
        description="Serve the forecasts until it is interrupted. It takes no arguments; its settings are environment variables:",
        epilog=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    try:
        settings = Settings.from_environment()
    except SettingError as error:
        sys.exit(f"error: {error}")
    _check_start(settings)
    if os.name == "posix":
        _run_gunicorn()
        return
    child = ui.start(settings)
    try:
        create_app(settings).run(settings.HOST, settings.PORT, threaded=True)
    finally:
        ui.stop(child)


if __name__ == "__main__":
    main()
