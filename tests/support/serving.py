"""The service as its users run it, for the end-to-end tests."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
import requests
from preloaded import Preloaded

from settings import PROJECT_DIR

PRELOADED, DOWNLOADS = Preloaded("service"), Preloaded("download")
T = TypeVar("T")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_until(condition: Callable[[], T | None], seconds: float, what: str) -> T:
    """Wait until a condition is true, and return its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.1)
    pytest.fail(f"{what} not within {seconds} s")


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def has_certificate(port: int, authority: Path, host: str = "localhost") -> bool:
    """Return whether a server has a certificate of an authority. Caddy listens before it has one."""
    try:
        context = ssl.create_default_context(cafile=authority)
        with socket.create_connection(("127.0.0.1", port), timeout=5) as plain, context.wrap_socket(plain, server_hostname=host):
            return True
    except OSError:
        return False


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.RequestException:
        return False


# Becomes the command of its arguments, with the socket of the first argument as file descriptor 3.
PASS_SOCKET = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execvp(sys.argv[2], sys.argv[2:])
"""


class Service:
    """`python app.py`.

    Attributes:
        process: in a process group of its own. If preloaded, it is the launcher: see preloaded.py.
        pid: of gunicorn's master.
    """

    def __init__(
        self,
        folder: Path,
        command: Sequence[str] | None = None,
        stderr: int | None = None,
        listener: socket.socket | None = None,
        preloaded: bool = False,
        **environment: str,
    ) -> None:
        """Start it with its log and its stderr in a folder; with a command of its own, it is not preloaded."""
        preloaded = preloaded and command is None
        if preloaded:
            command = PRELOADED.command("app.py")
            environment = DOWNLOADS.with_children() | environment
        command = command or [sys.executable, "app.py"]
        if listener:  # passed on as systemd does
            command = [sys.executable, "-c", PASS_SOCKET, str(listener.fileno()), *command]
        self.port = int(environment.get("PORT", free_port()))
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "log.csv"
        self.stderr = (folder / "stderr.txt").open("a+")  # appended to, wherever said() reads meanwhile
        own = {"PORT": str(self.port), "REQUEST_LOG": str(self.log), "MLFLOW_UI": "off", "MLFLOW_UI_PORT": "1", "WEB_CONCURRENCY": "2"}
        self.process = subprocess.Popen(
            command,
            cwd=PROJECT_DIR,
            env=os.environ | own | environment,
            stderr=self.stderr if stderr is None else stderr,
            pass_fds=[listener.fileno()] if listener else [],
            start_new_session=True,
        )
        self.pid = PRELOADED.fork_of(self.process.pid) if preloaded else self.process.pid

    def wait(self) -> None:
        wait_until(lambda: answers(f"{self.url}/health"), 60, "an answer")

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.pid).children(recursive=True)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)

    def said(self) -> str:
        self.stderr.seek(0)
        return self.stderr.read()


def starting(folder: Path, preloaded: bool = True) -> Generator[Callable[..., Service]]:
    """Yield a function that starts services in a folder; afterwards, kill those that still run.

    Preloaded ones start with a third of the work, and a test that is not about processes sees no difference.
    """
    services: list[Service] = []

    def start_service(**environment: Any) -> Service:
        services.append(Service(folder, **{"preloaded": preloaded} | environment))
        services[-1].wait()
        return services[-1]

    try:
        yield start_service
    finally:
        for service in services:
            left = [*service.children(), psutil.Process(service.pid)] if service.process.poll() is None else []
            for process in left:
                process.kill()
            service.process.wait()
            service.stderr.close()
