"""Measures how many requests a restart and a reload of the service lose under load.

    python benchmarks/benchRestart.py        about 5 minutes; prints the table of docs/decisions/0018-socket-activation.md

Each way is used CHANGES times while wrk sends /predict, once on kept-alive connections and once with a new connection per request. A
request is lost if its connection is refused, reset or closed before the answer, or if the answer is not 2xx.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from load import HERE, wait_until_ready
from servers import Question
from settings import PROJECT_DIR

CHANGES = 2  # in each measurement
PAUSE_SECONDS = 3.0  # of load before the first change and after each
CONNECTIONS = 16
STOP_SECONDS = 60.0  # at most, for a change
FIRST_SOCKET = 3  # file descriptor of the first socket that systemd passes
ERRORS = re.compile(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)")
NOT_2XX = re.compile(r"Non-2xx or 3xx responses: (\d+)")
TOTAL = re.compile(r"(\d+) requests in")
LATENCY = re.compile(r"Latency\s+\S+\s+\S+\s+(\S+)")


@dataclass(frozen=True)
class Outcome:
    """What wrk saw: answered requests, lost ones by reason, and the longest time to an answer."""

    answered: int
    lost: str
    longest: str


class Service:
    """The service on a port of its own. With `listening`, this process holds the socket and passes it on as systemd does."""

    def __init__(self, folder: Path, worker: str, *, listening: bool) -> None:
        """Start it, and wait until it is ready."""
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port = self.socket.getsockname()[1]
        self._ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ready.bind(address := tempfile.mktemp(dir=folder))
        self._ready.settimeout(STOP_SECONDS)
        self._listening = listening
        self._environment = {
            "HOST": "127.0.0.1", "PORT": str(self.port), "REQUEST_LOG": str(folder / "log.csv"), "MLFLOW_UI": "off", "ACCESS_LOG": "off",
            "WEB_CONCURRENCY": "2", "SERVER_WORKER": worker, "NOTIFY_SOCKET": address,
        }  # fmt: skip
        if not listening:
            self.socket.close()
        self.start()
        wait_until_ready(self.port)

    def start(self) -> None:
        """Start `python app.py`, and wait for READY=1, as systemd does."""
        command, passed = [sys.executable, "app.py"], list[int]()
        if self._listening:  # sh passes its process id on
            script = f'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" {FIRST_SOCKET}<&{self.socket.fileno()}'
            command, passed = ["sh", "-c", script, "sh", *command], [self.socket.fileno()]
        self.process = subprocess.Popen(
            command,
            cwd=PROJECT_DIR,
            env=os.environ | self._environment,
            pass_fds=passed,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.master = psutil.Process(self.process.pid)
        while not self._ready.recv(1000).startswith(b"READY=1"):
            pass

    def restart(self) -> None:
        """Stop and start, as `systemctl restart` does."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(STOP_SECONDS)
        self.start()

    def reload(self) -> None:
        """Send SIGHUP, as `systemctl reload` does, and wait for new workers."""
        before = set(self.master.children())
        self.master.send_signal(signal.SIGHUP)
        wait_for(lambda: not before & set(self.master.children()))

    def stop(self) -> None:
        """Kill what runs."""
        for process in (*self.master.children(recursive=True), self.master):
            process.kill()
        self.process.wait()
        self.socket.close()


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, for at most STOP_SECONDS."""
    end = time.monotonic() + STOP_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("A change did not end.")
        time.sleep(0.05)


def measure(service: Service, change: Callable[[], None], body: Path, connection: str) -> Outcome:
    """Return what wrk saw while the service changed CHANGES times."""
    options = ["-t1", f"-c{CONNECTIONS}", "-d10m", "--timeout", "60s", "-s", str(HERE / "post.lua")]
    command = ["wrk", *options, f"http://127.0.0.1:{service.port}/predict", "--", str(body), connection]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
        time.sleep(PAUSE_SECONDS)
        for _ in range(CHANGES):
            change()
            wait_until_ready(service.port)
            time.sleep(PAUSE_SECONDS)
        load.send_signal(signal.SIGINT)  # wrk then reports
        output, _ = load.communicate()
    found = ERRORS.search(output)
    errors = dict(zip(("refused", "closed", "not sent", "late"), found.groups(), strict=True)) if found else {}
    if refused := NOT_2XX.search(output):
        errors["not 2xx"] = refused[1]
    lost = ", ".join(f"{int(number):,} {name}" for name, number in errors.items() if number != "0")
    answered, longest = TOTAL.search(output), LATENCY.search(output)
    assert answered
    assert longest
    return Outcome(int(answered[1]), lost or "0", longest[1])


def main() -> None:
    """Measure, and print a table in Markdown."""
    ways: list[tuple[str, bool, Callable[[Service], None]]] = [
        ("restart", False, Service.restart),
        ("restart, socket of systemd", True, Service.restart),
        ("reload (SIGHUP)", False, Service.reload),
        ("reload (SIGHUP), socket of systemd", True, Service.reload),
    ]
    print("| way | worker | connections | answered | lost | longest answer |\n| --- | --- | --- | ---: | ---: | ---: |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "body.json"
        body.write_bytes(Question().body)
        for name, listening, way in ways:
            for worker in ("direct", "stock"):
                for connection, shown in (("keep", "kept alive"), ("close", "new per request")):
                    service = Service(Path(folder), worker, listening=listening)
                    try:
                        outcome = measure(service, partial(way, service), body, connection)
                    finally:
                        service.stop()
                    print(f"| {name} | {worker} | {shown} | {outcome.answered:,} | {outcome.lost} | {outcome.longest} |", flush=True)


if __name__ == "__main__":
    main()
