"""MLflow's tracking server, for tests."""

import os
import signal
import subprocess
from pathlib import Path

from serving import answers, free_port, wait_until
from training import PRELOADED, copy_empty_database


class TrackingServer:
    """A real tracking server, with a database and artifacts of its own: MLflow's command, and uvicorn, which the command starts."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        folder.mkdir()
        copy_empty_database(folder)

    def start(self) -> None:
        command = PRELOADED.command(
            "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db",
            "--artifacts-destination", str(self.folder / "artifacts"), "--port", str(self.port), "--workers", "1",
        )  # fmt: skip
        own = os.environ | PRELOADED.with_children() | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        self.process = subprocess.Popen(command, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        wait_until(lambda: answers(f"{self.url}/health"), 180, "the tracking server")

    def signal(self, number: int) -> None:
        for process in PRELOADED.forks_of(self.process.pid):
            os.kill(process, number)
        if number in (signal.SIGTERM, signal.SIGKILL):
            self.process.wait(30)
