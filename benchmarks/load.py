"""Load on a server: wrk, clients that send a byte a second, and a plain client for single calls."""

import http.client
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path

HERE = Path(__file__).parent
START_SECONDS = 60.0
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
PERCENTILE = re.compile(r"^\s+(50|75|90|99)%\s+([\d.]+)(us|ms|s|m)\s*$", re.MULTILINE)
RATE = re.compile(r"^Requests/sec:\s+([\d.]+)", re.MULTILINE)
FAILURES = re.compile(r"^\s+(?:Socket errors: .*[1-9].*|Non-2xx or 3xx responses: .*)$", re.MULTILINE)


class BenchError(Exception):
    """The benchmark cannot go on; the message says why."""


def free_port() -> int:
    """Return a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass(frozen=True)
class Load:
    """What one run of wrk measured: requests a second, and percentiles of the latency in milliseconds."""

    rate: float
    p50: float
    p75: float
    p90: float
    p99: float


def median(runs: Sequence[Load]) -> Load:
    """Each figure's median over runs."""
    return Load(*(statistics.median(getattr(run, field.name) for run in runs) for field in fields(Load)))


def wrk(url: str, connections: int, seconds: float, body: Path | None = None, keep_alive: bool = True) -> Load:
    """Run wrk on one thread, which leaves the servers what two cores have.

    Raises:
        BenchError: wrk is missing, or any answer was not 2xx, or any connection failed.
    """
    if not shutil.which("wrk"):
        raise BenchError("wrk is missing: make wrk (Debian's package, needs root).")
    options = ["-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "30s", "--latency", "-s", str(HERE / "post.lua")]
    arguments = [str(body or ""), "keep" if keep_alive else "close"]
    done = subprocess.run(["wrk", *options, url, "--", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"wrk failed on {url}: {done.stderr.strip() or done.stdout.strip()}")
    try:
        return parse(done.stdout)
    except BenchError as error:
        raise BenchError(f"{url} at {connections} connections: {error}") from None


def parse(output: str) -> Load:
    """The figures of wrk's output.

    Raises:
        BenchError: some requests failed, or the output is not wrk's with --latency.
    """
    if failures := FAILURES.findall(output):
        raise BenchError("; ".join(line.strip() for line in failures))
    percentiles = {name: float(value) * UNITS[unit] for name, value, unit in PERCENTILE.findall(output)}
    rate = RATE.search(output)
    if rate is None or float(rate[1]) == 0 or len(percentiles) != 4:
        raise BenchError(f"wrk saw no answers: {output.strip()!r}")
    return Load(float(rate[1]), *(percentiles[name] for name in ("50", "75", "90", "99")))


@contextmanager
def slow_clients(port: int, count: int) -> Iterator[None]:
    """Clients that each send a byte of a valid request a second, while the block runs.

    Raises:
        BenchError: not all of them were still connected at the block's end.
    """
    command = [sys.executable, str(HERE / "slowClients.py"), str(port), str(count)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    try:
        process.stdout.readline()  # all are connected and have sent their first byte
        yield
        process.stdin.close()  # asks how many are left
        left = process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
    if left != str(count):
        raise BenchError(f"Of {count} slow clients {left or 'none'} were still connected.")


def call(port: int, method: str, path: str, body: bytes | None = None, timeout: float = 60) -> tuple[int, bytes]:
    """One call on a connection of its own: status and content."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def wait_until_ready(port: int) -> None:
    """Wait until a server has a model.

    Raises:
        BenchError: it does not within a minute.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError):
            if call(port, "GET", "/ready")[0] == 200:
                return
        time.sleep(0.1)
    raise BenchError(f"The server on port {port} does not answer.")
