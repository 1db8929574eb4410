"""GET /mlflow: a redirect to the project's runs in the MLflow UI, or an explanation of how to open it."""

import ipaddress

from flask import current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue

from api.answers import error_answer, show_as_page
from api.errors import RequestError
from api.language import gettext
from api.proxies import is_through_unknown_proxy
from settings import HOST, Settings
from tracking import ui
from tracking.experiment import runs_page

START_SECONDS = 30  # that the MLflow UI needs to start


def link(settings: Settings) -> ResponseReturnValue:
    """Redirect to the runs of the project's experiment in the MLflow UI.

    The UI is at MLFLOW_UI_URL if that is set, otherwise at MLFLOW_UI_PORT on the host of the request. The experiment is that of
    MLFLOW_TRACKING_URI; while it is not known, the UI's start page opens.

    If no UI answers, or it would not open for the requester, the answer is 503 and says what to do: a page for a browser, JSON for a
    program. The UI speaks plain HTTP, even if a proxy offers the service over HTTPS.
    """
    if settings.mlflow_ui_url:
        return redirect(runs_page(settings.mlflow_ui_url, settings))
    host = request.host.rsplit(":", 1)[0] if not request.host.endswith("]") else request.host
    target = f"{host}:{settings.MLFLOW_UI_PORT}"
    problem = _missing(settings) or _unreachable(settings) or _refused(settings, host, target)
    return _explain(problem) if problem else redirect(runs_page(f"http://{target}/", settings))


def _missing(settings: Settings) -> RequestError | None:
    """Return what to do if no UI answers."""
    listener, port = ui.find_listener(settings), settings.MLFLOW_UI_PORT
    if listener == "none":
        return RequestError(503, "The MLflow UI does not answer on this machine.", _start_advice(settings), START_SECONDS)
    if listener == "other":
        advice = ["Set MLFLOW_UI_PORT to a free port and restart the service, or set MLFLOW_UI_URL to a running MLflow."]
        return RequestError(503, f"Another program uses MLFLOW_UI_PORT={port}, so the MLflow UI could not start.", advice)
    return None


def _unreachable(settings: Settings) -> RequestError | None:
    """Return what to do if the requester cannot reach the UI, or if the service does not know at which host it can."""
    through_unknown = is_through_unknown_proxy(settings)
    if _is_loopback(settings.MLFLOW_UI_HOST) and (through_unknown or not _is_loopback(request.remote_addr or "")):
        return RequestError(503, "The MLflow UI is open to its own machine only.", _reach_advice(settings))
    if through_unknown:
        advice = "Set TRUSTED_PROXIES to the number of proxies and restart the service, or set MLFLOW_UI_URL to the address of the UI."
        return RequestError(503, "The service is behind a proxy that it does not trust, so it does not know its own address.", [advice])
    return None


def _refused(settings: Settings, host: str, target: str) -> RequestError | None:
    """Return what to do if MLflow would answer 403 because it does not allow the host."""
    if not ui.refuses(settings, target):
        return None
    hosts = ",".join(filter(None, [settings.MLFLOW_UI_ALLOWED_HOSTS, host]))
    allow = [f"Set MLFLOW_UI_ALLOWED_HOSTS={hosts} and restart the service."] if HOST.fullmatch(host) else []
    advice = [*allow, "If the MLflow UI opens at another address, set MLFLOW_UI_URL to it."]
    return RequestError(503, f"MLflow does not allow requests to the host {host}.", advice)


def _explain(error: RequestError) -> ResponseReturnValue:
    """Return an error as JSON, or as a page if the client prefers HTML."""
    response = current_app.make_response(error_answer(error))
    show_as_page(response, gettext("Experiments (MLflow)"), str(error), error.details, again=url_for("mlflow"))
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
