"""GET /mlflow: a redirect to the MLflow UI, or an explanation of how to open it."""

import ipaddress

from flask import current_app, redirect, render_template, request
from flask.typing import ResponseReturnValue

from api.answers import error_answer
from api.errors import RequestError
from settings import Settings
from tracking import ui

START_SECONDS = 30  # that the MLflow UI needs to start


def link(settings: Settings) -> ResponseReturnValue:
    """Redirect to MLFLOW_UI_URL if it is set, otherwise to MLFLOW_UI_PORT on the host of the request.

    If no UI answers, or the requester could not reach it, the answer is 503 and says what to do: a page for a browser, JSON for a program.
    """
    if settings.mlflow_ui_url:
        return redirect(settings.mlflow_ui_url)
    listener = ui.find_listener(settings)
    if listener == "none":
        return _explain(RequestError(503, "The MLflow UI does not answer on this machine.", _start_advice(settings), START_SECONDS))
    if listener == "other":
        port = settings.MLFLOW_UI_PORT
        advice = ["Set MLFLOW_UI_PORT to a free port and restart the service, or set MLFLOW_UI_URL to a running MLflow."]
        return _explain(RequestError(503, f"Another program uses MLFLOW_UI_PORT={port}, so the MLflow UI could not start.", advice))
    if _is_loopback(settings.MLFLOW_UI_HOST) and not _is_loopback(request.remote_addr or ""):
        return _explain(RequestError(503, "The MLflow UI is open to its own machine only.", _reach_advice(settings)))
    host = request.host.rsplit(":", 1)[0] if not request.host.endswith("]") else request.host
    return redirect(f"{request.scheme}://{host}:{settings.MLFLOW_UI_PORT}/")


def _explain(error: RequestError) -> ResponseReturnValue:
    """Return an error as JSON, or as a page if the client prefers HTML."""
    response = current_app.make_response(error_answer(error))
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
        response.set_data(render_template("noMlflow.html", error=error, details=error.details))
        response.mimetype = "text/html"
    response.vary.add("Accept")
    return response


def _start_advice(settings: Settings) -> list[str]:
    """Return how to start the MLflow UI."""
    if not ui.is_installed():
        return ["MLflow is not installed. Run pip install -r requirements.txt, or set MLFLOW_UI_URL to a running MLflow."]
    if settings.MLFLOW_UI == "off":
        return ["MLFLOW_UI is off. Start the UI with python -m tracking.ui, or set MLFLOW_UI_URL to a running MLflow."]
    return ["It needs half a minute to start. If it does not, read the log of python app.py."]


def _reach_advice(settings: Settings) -> list[str]:
    """Return how to make the MLflow UI reachable from other machines."""
    port = settings.MLFLOW_UI_PORT
    return [
        f"From your machine: ssh -L {port}:127.0.0.1:{port} SERVER, then open http://127.0.0.1:{port}/.",
        "For everyone: set MLFLOW_UI_HOST=0.0.0.0 behind a firewall, or MLFLOW_UI_URL to the address of a proxy.",
    ]


def _is_loopback(host: str) -> bool:
    """Return whether a host is reachable from its own machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
