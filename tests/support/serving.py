"""The service as its users run it, for the end-to-end tests."""

import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest
import requests

from settings import PROJECT_DIR


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.1)
    pytest.fail(f"{what} not within {seconds} s")


def answers(url):
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.RequestException:
        return False


class Service:
    """`python app.py` in a process group of its own."""

    def __init__(self, folder, command=(sys.executable, "app.py"), stderr=None, **environment):
        self.port = int(environment.get("PORT", free_port()))
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "log.csv"
        self.stderr = (folder / "stderr.txt").open("a+")  # appended to, wherever said() reads meanwhile
        own = {"PORT": str(self.port), "REQUEST_LOG": str(self.log), "MLFLOW_UI": "off", "WEB_CONCURRENCY": "2"}
        self.process = subprocess.Popen(
            command,
            cwd=PROJECT_DIR,
            env=os.environ | own | environment,
            stderr=self.stderr if stderr is None else stderr,
            start_new_session=True,
        )

    def wait(self):
        wait_until(lambda: answers(f"{self.url}/health"), 60, "an answer")

    def children(self):
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(30)

    def said(self):
        self.stderr.seek(0)
        return self.stderr.read()


def starting(folder):
    """Yield a function that starts services in a folder; afterwards, kill those that still run."""
    services = []

    def start_service(**environment):
        services.append(Service(folder, **environment))
        services[-1].wait()
        return services[-1]

    yield start_service
    for service in services:
        left = [*service.children(), psutil.Process(service.process.pid)] if service.process.poll() is None else []
        for process in left:
            process.kill()
        service.process.wait()
        service.stderr.close()
