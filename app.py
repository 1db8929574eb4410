"""The service over HTTP: create_app(), the routes, and the command that serves.

    python app.py       serves on http://127.0.0.1:8010 with gunicorn, and the MLflow UI on 8020

Every answer to a program is JSON, and every error has the form {"error": "<one sentence>", "details": [...]}.
"""

import preflight

if __name__ == "__main__":
    preflight.check()

import argparse
import re
import sys
import time
from dataclasses import dataclass
from typing import cast

from flask import Flask, Response, current_app, g, request
from flask.typing import ResponseReturnValue
from flask_compress import Compress
from werkzeug.exceptions import HTTPException

from api import mlflowlink, proxies, startup, swagger
from api.answers import SECURITY_HEADERS, error_answer, json_answer
from api.assets import asset, asset_url
from api.body import CSV, BodyBudget, read_body
from api.direct import DirectPath
from api.errors import MAX_BODY_BYTES, RequestError
from api.language import add_texts, render, spoken
from api.page import OpeningForecast, embedded
from api.pricefile import forecast_file
from api.query import horizon_and_question, reading, shown_closes, whole_number
from api.service import COMPUTING_THREADS, PREDICT_ROUTE, ForecastService, RequestContext
from api.symbol import TRACK_DAYS, with_days
from closes.newest import MAX_CLOSES
from closes.symbols import is_symbol
from closes.warnings import together
from errors import ForecastError, InvalidClosesError, ModelUnavailableError
from forecast.backtest import backtest_csv
from forecast.pit import add_pit
from models.store import BACKTEST_FILE, version_folder
from monitoring import metrics
from monitoring.accesslog import ID_HEADER, RequestInfo
from monitoring.logreader import SUMMARY_ROWS, summarise
from monitoring.timeline import timeline
from processData import WINDOW
from server import slots
from settings import PROJECT_DIR, SettingError, Settings
from storage import sha256_of

MAX_MONITOR_ROWS = 1000
FORECASTS = frozenset({("predict", "POST"), ("forecast", "GET")})  # endpoints and methods in the request log
NEEDS_KEY = frozenset({"predict", "forecast", "symbol_backtest", "models", "monitor"})  # endpoints with access control
MODEL_HEADERS = ("X-Model-Version", "X-Model-Symbol")  # of GET /backtest/<symbol>
STATE = "stock-forecast"  # key of State in app.extensions


@dataclass(frozen=True)
class State:
    """What the routes of one application share."""

    service: ForecastService
    budget: BodyBudget
    opening: OpeningForecast


def create_app(settings: Settings | None = None) -> Flask:
    """Create the application and load its model.

    Args:
        settings: the settings; from the environment by default.

    Raises:
        SettingError: a setting is wrong.
    """
    app = Flask(__name__)
    app.url_map.strict_slashes = False
    add_texts(app)
    app.jinja_env.globals["asset_url"] = asset_url
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    settings = settings or Settings.from_environment()
    service = ForecastService(settings)
    app.extensions[STATE] = State(service, BodyBudget(COMPUTING_THREADS), OpeningForecast())
    app.extensions["direct"] = DirectPath(service, settings.TRUSTED_PROXIES)  # for server/worker.py
    app.before_request(_begin)
    app.after_request(_finish)
    app.teardown_request(_give_back)
    for error in (HTTPException, RequestError, ForecastError, Exception):
        app.register_error_handler(error, error_answer)
    _add_routes(app)
    _add_compression(app)
    _add_cors(app, settings)
    proxies.add_proxies(app, settings)
    return app


def _add_routes(app: Flask) -> None:
    """Add all routes."""
    app.add_url_rule("/", view_func=page, methods=["GET"])
    app.add_url_rule(PREDICT_ROUTE, view_func=predict, methods=["POST"])
    app.add_url_rule(PREDICT_ROUTE, view_func=page, methods=["GET"])
    app.add_url_rule("/forecast/<symbol>", view_func=forecast)
    app.add_url_rule("/backtest", view_func=backtest)
    app.add_url_rule("/backtest/<symbol>", view_func=symbol_backtest)
    app.add_url_rule("/models", view_func=models)
    app.add_url_rule("/monitor", view_func=monitor)
    app.add_url_rule("/metrics", endpoint="metrics", view_func=prometheus)
    app.add_url_rule("/mlflow", view_func=mlflow)
    app.add_url_rule("/notebook", view_func=notebook)
    app.add_url_rule("/favicon.ico", view_func=favicon)
    app.add_url_rule("/assets/<version>/<path:filename>", view_func=asset)
    app.add_url_rule("/health", view_func=health)
    app.add_url_rule("/ready", view_func=ready)
    for route in swagger.ROUTES:
        app.add_url_rule(route, view_func=swagger.documentation)


def predict() -> Response:
    """Forecast the next closes of one window or a price file, or the next close of each window of a batch.

    :raise 400: the body is not JSON.
    :raise 401: the API key is missing or wrong.
    :raise 415: the body is declared neither as JSON nor as CSV.
    :raise 422: the body is not 60 positive closes, or the file does not have them.
    :raise 429: too many requests.
    :raise 503: there is no model that can be trusted.
    """
    budget, service = _state().budget, _service()
    body = read_body(budget)
    with budget.turn(len(body)):
        if request.mimetype == CSV:
            result = forecast_file(service, body, reading(), *horizon_and_question(), g.context.started)
        else:
            result = service.predict(body, g.context)
        g.logged = result.logged
        return json_answer(result.content)


def forecast(symbol: str) -> Response:
    """Forecast the next closes of a symbol from its newest closes.

    :raise 401: the API key is missing or wrong.
    :raise 404: the symbol is unknown.
    :raise 422: a wrong symbol, horizon or number of closes, or a symbol with fewer than 60 closes.
    :raise 503: there is no model, or no source of closes.
    """
    horizon, question = horizon_and_question()
    shown, service = shown_closes(), _service()
    service.symbols.of(symbol)  # without a model, do not download
    newest = service.newest.of(symbol)
    closes = newest.closes
    if len(closes) < WINDOW:
        raise InvalidClosesError(f"{closes.symbol} has {len(closes)} closes; a forecast needs {WINDOW}.")
    result = service.forecast_symbol(closes, horizon, question, shown, g.context.started)
    answer, g.logged = result.content, result.logged
    answer["warnings"] = together(newest.warnings, with_days(answer["warnings"], closes))
    return json_answer(answer)


def page() -> Response:
    """The web page in the reader's language, with the forecast that it opens with."""
    service, opening = _service(), _state().opening
    symbol = request.args.get("symbol", "").strip().upper()
    asked = symbol if is_symbol(symbol) else ""
    try:
        forecaster = service.models.current()
    except ModelUnavailableError as error:
        return render("index.html", model=None, problem=str(error), opening=None, asked=asked, **embedded())
    shown = opening.by(forecaster) | {"key_needed": not service.gate.admits("")}
    shown["warnings"] = [warning | {"text": spoken().told(warning["text"])} for warning in shown["warnings"]]
    return render("index.html", model=forecaster.metadata, opening=shown, asked=asked, **embedded())


def backtest() -> Response:
    """The backtest of the model that serves, as CSV. Its ETag begins with the model's version.

    :raise 404: this version was published without a backtest.
    :raise 422: `pit` is neither 0 nor 1.
    :raise 503: there is no model that can be trusted.
    """
    pit, service = whole_number("pit", 0, 1, default=0), _service()
    forecaster = service.models.current()
    version, sums = forecaster.version, forecaster.metadata.files
    try:
        content = (version_folder(service.settings.MODEL_DIR, version) / BACKTEST_FILE).read_bytes()
    except FileNotFoundError:
        raise RequestError(404, f"Model {version} has no backtest. Train a model that has one: python modelTrain.py") from None
    if sha256_of(content) != sums.get(BACKTEST_FILE):
        raise ModelUnavailableError(f"The backtest of model {version} has changed since its publication. Train again: python modelTrain.py")
    response = Response(add_pit(content.decode(), forecaster) if pit else content, mimetype="text/csv")
    response.set_etag(f"{version}-pit" if pit else version)
    response.make_conditional(request)
    return response


def symbol_backtest(symbol: str) -> Response:
    """What the symbol's model would have forecast on each of its last days, as CSV. Headers say which model that is.

    :raise 401: the API key is missing or wrong.
    :raise 404: the symbol is unknown.
    :raise 422: a wrong symbol, number of days or `pit`, or a symbol with too few closes.
    :raise 503: there is no model, or no source of closes.
    """
    days, pit = whole_number("days", 1, MAX_CLOSES - WINDOW, default=TRACK_DAYS), whole_number("pit", 0, 1, default=0)
    service = _service()
    service.symbols.of(symbol)  # without a model, do not download
    result, serving = service.track(service.newest.of(symbol).closes, days)
    response = Response(backtest_csv(result, pit=bool(pit)), mimetype="text/csv")
    for name, value in zip(MODEL_HEADERS, (serving.forecaster.version, serving.symbol), strict=True):
        if value is not None:
            response.headers[name] = value
    return response


def models() -> Response:
    """The published models: the default model and those of symbols.

    :raise 401: the API key is missing or wrong.
    """
    listed = _service().published()
    response = Response(listed.content, content_type="application/json")
    response.set_etag(listed.etag)
    response.cache_control.no_cache = True
    response.make_conditional(request)
    return response


def monitor() -> Response:
    """CPU, memory, the newest requests, a summary of them, live accuracy and drift."""
    limit, service = whole_number("limit", 0, MAX_MONITOR_ROWS, default=100), _service()
    cpu, memory = service.gauge.read()
    rows = service.request_log.tail(max(limit, SUMMARY_ROWS))
    newest = rows[-limit:] if limit else []
    accuracy, drifted = service.live()
    summary = summarise(rows[-SUMMARY_ROWS:]) | {"timeline": timeline(rows[-SUMMARY_ROWS:]), "workers": slots.workers.count()}
    summary |= {"live_accuracy": accuracy, "drift": drifted}
    return json_answer({"CURRENT CPU": cpu, "MEMORY %": memory, "RESPONSES": newest, "SUMMARY": summary})


def prometheus() -> Response:
    """Metrics of all workers for Prometheus."""
    service = _service()
    return Response(service.metrics.text(metrics.LiveCollector(*service.live())), content_type=metrics.CONTENT_TYPE)


def mlflow() -> ResponseReturnValue:
    """Redirect to the MLflow UI.

    :raise 503: it does not run, or the requester cannot reach it; the answer says what to do.
    """
    return mlflowlink.link(_service().settings)


def notebook() -> Response:
    """The notebook on data, baseline, network and result, as a file."""
    content = (PROJECT_DIR / "jupyter" / "forecast.ipynb").read_bytes()
    headers = {"Content-Disposition": "attachment; filename=forecast.ipynb"}
    return Response(content, headers=headers, content_type="application/x-ipynb+json")


def favicon() -> Response:
    """The page's icon, for browsers that do not read the page's own link to it."""
    return current_app.send_static_file("favicon.ico")


def health() -> Response:
    """Answer 200: the process lives."""
    return json_answer({"status": "ok"})


def ready() -> Response:
    """Answer 200 if a valid model is loaded.

    :raise 503: there is none.
    """
    models = _service().models
    return json_answer({"status": "ready", "model_version": models.current().version, "problem": models.problem})


def _state() -> State:
    """Return the state of the current application."""
    return cast(State, current_app.extensions[STATE])


def _service() -> ForecastService:
    """Return the service of the current application."""
    return _state().service


def _begin() -> None:
    """Start the clock, give the request an id, and check its access.

    :raise 401: the header X-API-Key is missing or wrong.
    :raise 429: too many requests.
    """
    service = _service()
    request_id = service.access_log.id_for(request.headers.get(ID_HEADER, ""))
    g.info = RequestInfo(request_id, request.remote_addr or "", request.method, request.path)
    g.context = RequestContext(g.info, time.perf_counter())
    if request.endpoint in NEEDS_KEY and request.method != "OPTIONS":
        service.gate.check(g.info.client, request.headers.get("X-API-Key", ""))


def _finish(response: Response) -> Response:
    """Count the request and log it. Every request for a forecast is in the request log, also if it is refused."""
    rule = request.url_rule
    is_forecast = rule is not None and (rule.endpoint, request.method) in FORECASTS
    logged = (g.logged if "logged" in g else _asked_symbol()) if is_forecast else None
    _service().finish(rule.rule if rule else "unmatched", g.context, response.status_code, logged)
    response.headers.update(SECURITY_HEADERS | {ID_HEADER: g.info.id})
    return response


def _asked_symbol() -> dict[str, str]:
    """Return the columns of the request log for a refused request: the symbol that it asked for, if that is one."""
    symbol = (request.view_args or {}).get("symbol", "")
    return {"symbol": symbol.upper()} if is_symbol(symbol) else {}


def _give_back(_: BaseException | None) -> None:
    """Give the body's bytes back to the budget."""
    _state().budget.give_back(g.pop("held", 0))


def _add_compression(app: Flask) -> None:
    """Compress answers for clients that accept it."""
    app.config["COMPRESS_ALGORITHM_STREAMING"] = ["zstd", "br", "gzip", "deflate"]  # static files; the default leaves gzip out
    Compress(app).compress_mimetypes_set.add("text/csv")


def _add_cors(app: Flask, settings: Settings) -> None:
    """Answer the pages of other origins that CORS_ORIGINS names."""
    if settings.CORS_ORIGINS:
        from flask_cors import CORS

        exposed = [ID_HEADER, "Retry-After", *MODEL_HEADERS]
        origins = [origin if origin == "*" else re.compile(re.escape(origin) + r"\Z") for origin in settings.CORS_ORIGINS.split(",")]
        CORS(app, origins=origins, allow_headers=["Content-Type", "X-API-Key"], expose_headers=exposed, max_age=600)


def main() -> None:
    """Serve with gunicorn until interrupted."""
    about = "\n".join(f"  {name:22} {field.description}" for name, field in Settings.model_fields.items())
    argparse.ArgumentParser(
        description="Serve forecasts until interrupted. There are no arguments; the settings are environment variables:",
        epilog=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    try:
        settings = Settings.from_environment()
    except SettingError as error:
        sys.exit(f"error: {error}")
    startup.check_start(settings)
    startup.run_gunicorn()


if __name__ == "__main__":
    main()
