"""The MLflow UI as a child of the API: started after it, at a low priority, restarted if it dies, ended with it.

    python -m tracking.ui      runs the UI alone, until it is interrupted; its port and its database are settings

The API's master process starts this module; it watches its parent and ends the UI when the parent is gone, however that ended.
"""

import argparse
import importlib.util
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from types import FrameType

from settings import PROJECT_DIR, Settings

LOW_PRIORITY = 10  # niceness
WATCH_SECONDS = 0.5
STOP_SECONDS = 5.0
LONGEST_WAIT = 60.0  # seconds between two restarts
QUICK_DEATH = 30.0  # seconds; a UI that ran longer is restarted at once
log = logging.getLogger("mlflow-ui")


def is_installed() -> bool:
    """Whether MLflow is there at all; the serving requirements leave it out."""
    return importlib.util.find_spec("mlflow") is not None


def is_answering(settings: Settings) -> bool:
    """Whether something listens on the UI's port of this machine."""
    host = "127.0.0.1" if settings.MLFLOW_UI_HOST in ("0.0.0.0", "::") else settings.MLFLOW_UI_HOST  # noqa: S104
    try:
        with socket.create_connection((host, settings.MLFLOW_UI_PORT), timeout=0.2):
            return True
    except OSError:
        return False


def start(settings: Settings) -> "subprocess.Popen[bytes] | None":
    """Start this module as a child process; None where the UI is off or elsewhere, and, with a log line, where MLflow is missing."""
    if settings.MLFLOW_UI == "off" or settings.mlflow_ui_url:
        return None
    if not is_installed():
        log.warning("No MLflow UI: MLflow is not installed. pip install -r requirements.txt, or set MLFLOW_UI=off.")
        return None
    # MLflow counts with prometheus_client too; in a folder of its own, or not at all.
    environment = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
    command = [sys.executable, "-m", "tracking.ui", "--parent", str(os.getpid())]
    return subprocess.Popen(command, cwd=PROJECT_DIR, env=environment, stdin=subprocess.DEVNULL)


def stop(child: "subprocess.Popen[bytes] | None") -> None:
    """End what `start` started, and wait for it."""
    if child is None:
        return
    child.terminate()
    try:
        child.wait(STOP_SECONDS + 1)
    except subprocess.TimeoutExpired:
        child.kill()


def command(settings: Settings) -> list[str]:
    """The command of the UI: one worker, on the database that training writes."""
    folder = PROJECT_DIR / "mlruns"
    folder.mkdir(exist_ok=True)
    return [
        sys.executable, "-m", "mlflow", "server",
        "--backend-store-uri", settings.MLFLOW_TRACKING_URI,
        "--artifacts-destination", str(folder / "artifacts"),
        "--host", settings.MLFLOW_UI_HOST,
        "--port", str(settings.MLFLOW_UI_PORT),
        "--workers", "1",
    ]  # fmt: skip


def supervise(settings: Settings, parent: int | None) -> None:
    """Keep the UI running until the parent is gone or a signal asks to end."""
    asked_to_end = threading.Event()

    def ask_to_end(number: int, frame: FrameType | None) -> None:
        asked_to_end.set()

    signal.signal(signal.SIGTERM, ask_to_end)
    signal.signal(signal.SIGINT, ask_to_end)
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    wait = 1.0
    while not asked_to_end.is_set():
        started = time.monotonic()
        server = subprocess.Popen(
            command(settings), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )
        while server.poll() is None and not asked_to_end.wait(WATCH_SECONDS):
            if parent is not None and os.getppid() != parent:
                asked_to_end.set()
        _end_group(server)
        if asked_to_end.is_set():
            return
        wait = 1.0 if time.monotonic() - started > QUICK_DEATH else min(wait * 2, LONGEST_WAIT)
        log.warning("The MLflow UI ended with code %s; it starts again in %.0f s.", server.returncode, wait)
        asked_to_end.wait(wait)


def _end_group(server: "subprocess.Popen[bytes]") -> None:
    """End the UI's processes, all of them."""
    for number, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
        try:
            os.killpg(server.pid, number)
            server.wait(patience)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def main() -> None:
    """Supervise the UI."""
    parser = argparse.ArgumentParser(description="Run the MLflow UI until it is interrupted. Its settings are environment variables.")
    parser.add_argument("--parent", type=int, help=argparse.SUPPRESS)  # the process whose end is the UI's too
    parent = parser.parse_args().parent
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stderr)
    settings = Settings.from_environment()
    os.nice(LOW_PRIORITY)
    log.info("The MLflow UI will answer on http://%s:%d in half a minute.", settings.MLFLOW_UI_HOST, settings.MLFLOW_UI_PORT)
    supervise(settings, parent)


if __name__ == "__main__":
    main()
