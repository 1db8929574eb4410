"""The MLflow UI: a child of the API that runs at a low priority, is restarted if it dies, and ends with the API.

    python -m tracking.ui      runs the UI alone until interrupted; its port and its database are settings

gunicorn's master starts this module. It watches its parent and stops the UI when the parent is gone.
"""

import preflight

if __name__ == "__main__":
    preflight.check()
    preflight.check_training()

import argparse
import http.client
import importlib.util
import logging
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Literal

import psutil

from settings import PROJECT_DIR, Settings

LOW_PRIORITY = 10  # niceness
WATCH_SECONDS = 0.5  # between two looks at the UI and the parent
STOP_SECONDS = 5.0  # for the UI to stop on SIGTERM, then on SIGKILL
MAX_WAIT_SECONDS = 60.0  # between two restarts
LONG_RUN_SECONDS = 30.0  # a UI that ran longer is restarted at once
HOSTS_VARIABLE = "MLFLOW_SERVER_ALLOWED_HOSTS"  # MLflow's own
ORIGINS_VARIABLE = "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"
PROBE_SECONDS = 0.5  # for the program on the UI's port to answer

log = logging.getLogger("mlflow-ui")


def is_installed() -> bool:
    """Return whether MLflow is installed. The serving requirements leave it out."""
    return importlib.util.find_spec("mlflow") is not None


def find_listener(settings: Settings) -> Literal["ui", "other", "none"]:
    """Return what listens on the UI's port of this machine: an MLflow UI, another program, or nothing.

    A program that accepts the connection and is slow to answer counts as the UI: it runs at a low priority.
    """
    connection = _connection(settings)
    try:
        connection.connect()
    except OSError:
        return "none"
    try:
        connection.request("GET", "/version")  # MLflow answers with its version
        return "ui" if re.fullmatch(rb"\d+\.\d+\S*", connection.getresponse().read(100)) else "other"
    except TimeoutError:
        return "ui"
    except (OSError, http.client.HTTPException):
        return "other"
    finally:
        connection.close()


def refuses(settings: Settings, host: str) -> bool:
    """Return whether the UI answers 403 to a browser that opens it at a host.

    MLflow compares the headers Host and Origin with the hosts that it allows, before it looks for the address.

    Args:
        settings: the settings.
        host: with its port, as in the header Host.
    """
    connection = _connection(settings)
    try:
        connection.request("POST", "/ajax-api/none", headers={"Host": host, "Origin": f"http://{host}"})
        return connection.getresponse().status == http.HTTPStatus.FORBIDDEN
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _connection(settings: Settings) -> http.client.HTTPConnection:
    """Return a connection to the UI's port of this machine, not yet open."""
    host = "127.0.0.1" if settings.MLFLOW_UI_HOST in ("0.0.0.0", "::") else settings.MLFLOW_UI_HOST  # noqa: S104
    return http.client.HTTPConnection(host, settings.MLFLOW_UI_PORT, timeout=PROBE_SECONDS)


def port_problem(settings: Settings) -> str | None:
    """Return why the UI cannot listen on its port, with what to do; None if it can."""
    host, port = settings.MLFLOW_UI_HOST, settings.MLFLOW_UI_PORT
    if port == settings.PORT:
        return f"MLFLOW_UI_PORT={port} is also PORT. Set MLFLOW_UI_PORT to a free port, or MLFLOW_UI=off."
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            return None
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        return f"MLFLOW_UI_HOST={host} MLFLOW_UI_PORT={port}: {reason}. Set MLFLOW_UI_PORT to a free port, or MLFLOW_UI=off."


def start(settings: Settings) -> "subprocess.Popen[bytes] | None":
    """Start this module as a child process. Return None if the UI is off or elsewhere, or cannot start, which is logged."""
    if settings.MLFLOW_UI == "off" or settings.mlflow_ui_url:
        return None
    if not is_installed():
        log.warning("No MLflow UI: MLflow is not installed. Run pip install -r requirements.txt, or set MLFLOW_UI=off.")
        return None
    if problem := port_problem(settings):
        log.warning("No MLflow UI: %s", problem)
        return None
    # MLflow uses prometheus_client too. Its counts must not get into the API's folder.
    environment = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
    arguments = [sys.executable, "-m", "tracking.ui", "--parent", str(os.getpid())]
    return subprocess.Popen(arguments, cwd=PROJECT_DIR, env=environment, stdin=subprocess.DEVNULL)


def stop(child: "subprocess.Popen[bytes] | None") -> None:
    """Stop what `start` returned, and wait for it."""
    if child is None:
        return
    child.terminate()
    try:
        child.wait(STOP_SECONDS + 1)
    except subprocess.TimeoutExpired:
        child.kill()


def command(settings: Settings) -> list[str]:
    """Return the command of the UI: one worker, on the database that training writes."""
    from tracking.connection import tracking_folder  # not in the image, which has no UI

    folder = tracking_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    return [
        sys.executable, "-m", "mlflow", "server",
        "--backend-store-uri", settings.MLFLOW_TRACKING_URI,
        "--artifacts-destination", str(folder / "artifacts"),
        "--host", settings.MLFLOW_UI_HOST,
        "--port", str(settings.MLFLOW_UI_PORT),
        "--workers", "1",
        *_allowed(settings),
    ]  # fmt: skip


def _allowed(settings: Settings) -> list[str]:
    """Return MLflow's options for the values of the headers Host and Origin that it allows.

    By default, MLflow allows the hosts localhost and private addresses, but only localhost as an origin. The pages of the UI send their
    origin too, so this machine's addresses are added. MLFLOW_UI_ALLOWED_HOSTS replaces both lists.
    """
    named, theirs = (list(filter(None, text.split(","))) for text in (settings.MLFLOW_UI_ALLOWED_HOSTS, os.environ.get(HOSTS_VARIABLE, "")))
    if not named and ORIGINS_VARIABLE in os.environ:
        return []
    names = ["localhost", *_own_addresses(), *named]
    hosts = [host for name in names for host in (name, f"{name}:{settings.MLFLOW_UI_PORT}")]  # without a port: behind a proxy
    known = [host.strip() for host in theirs if not named and "*" not in host.removesuffix(":*")]
    origins = [f"{scheme}://{host}" for host in [*hosts, *known] for scheme in ("http", "https")]
    return ["--cors-allowed-origins", ",".join(origins), *(["--allowed-hosts", ",".join(hosts)] if named else [])]


def _own_addresses() -> list[str]:
    """Return the addresses of this machine, as in an URL; none if the system does not tell."""
    try:
        interfaces = psutil.net_if_addrs()
    except OSError:  # a sandbox without AF_NETLINK
        return []
    addresses = [(own.family, own.address) for interface in interfaces.values() for own in interface]
    fours = [address for family, address in addresses if family == socket.AF_INET]
    sixes = [f"[{address}]" for family, address in addresses if family == socket.AF_INET6 and "%" not in address]
    return [*fours, *sixes]


def supervise(settings: Settings, parent: int | None) -> None:
    """Run the UI, and restart it if it dies, until the parent is gone or a signal arrives."""
    stopping = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    wait = 1.0
    while not stopping.is_set():
        started = time.monotonic()
        server = subprocess.Popen(
            command(settings), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )
        while server.poll() is None and not stopping.wait(WATCH_SECONDS):
            if parent is not None and os.getppid() != parent:
                stopping.set()
        _end_group(server)
        if stopping.is_set():
            return
        wait = 1.0 if time.monotonic() - started > LONG_RUN_SECONDS else min(wait * 2, MAX_WAIT_SECONDS)
        log.warning("The MLflow UI ended with code %s. It is restarted in %.0f s.", server.returncode, wait)
        stopping.wait(wait)


def _end_group(server: "subprocess.Popen[bytes]") -> None:
    """Stop all processes of the UI."""
    for number, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
        try:
            os.killpg(server.pid, number)
            server.wait(patience)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def main() -> None:
    """Run the UI until interrupted."""
    from tracking.connection import is_new, repoint_if_moved  # not in the image, which has no UI

    parser = argparse.ArgumentParser(description="Run the MLflow UI until it is interrupted. Its settings are environment variables.")
    parser.add_argument("--parent", type=int, help=argparse.SUPPRESS)  # the UI stops when this process is gone
    parent = parser.parse_args().parent
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stderr)
    settings = Settings.from_environment()
    if problem := port_problem(settings):
        sys.exit(f"error: {problem}")
    os.nice(LOW_PRIORITY)
    try:
        repoint_if_moved(settings)
        if is_new(settings):  # a training that starts at the same time would break the file, see connect()
            subprocess.run([sys.executable, "-m", "tracking.connection"], cwd=PROJECT_DIR, stdin=subprocess.DEVNULL, check=False)
    except (OSError, sqlite3.Error) as error:
        log.warning("MLflow's database cannot be checked: %s.", error)
    log.info("The MLflow UI starts on http://%s:%d. It needs half a minute.", settings.MLFLOW_UI_HOST, settings.MLFLOW_UI_PORT)
    with _published_run(settings):
        supervise(settings, parent)


@contextmanager
def _published_run(settings: Settings) -> Iterator[None]:
    """Log the run of the model that serves if MLflow does not have it, in a process of its own, so that the UI does not open empty."""
    from tracking.published import is_missing  # not in the image, which has no UI

    child = None
    if is_missing(settings):
        child = subprocess.Popen([sys.executable, "-m", "tracking.published"], cwd=PROJECT_DIR, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        stop(child)


if __name__ == "__main__":
    main()
