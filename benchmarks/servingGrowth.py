"""Measures how serving grows: one and two workers, models of symbols, and two replicas behind nginx, in one run.

    python benchmarks/servingGrowth.py      about 3 minutes; prints a table in Markdown

Each setup gets /predict with one window on kept-alive connections. The rounds alternate between the setups, and each figure is the median
over the rounds. nginx spreads requests over the replicas in turns, without sticky sessions. The requests per CPU second of the service
hardly depend on what else the machine does; the requests/s do, and wrk and nginx need a share of the cores too.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from load import BenchError, Load, call, free_port, wait_until_ready, wrk
from models.store import SYMBOLS
from servers import Question
from settings import PROJECT_DIR

ROUNDS = 3
SECONDS = 3.0  # of each measurement
CONNECTIONS = (8, 64)
SYMBOL = "MSFT"  # with a model of its own in one setup
USUAL_HEADERS = "proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;"

NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log warn; worker_processes 1;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; client_max_body_size 2m;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; keepalive_requests 1000000;
  upstream replicas {{ {replicas} keepalive 64; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://replicas; proxy_http_version 1.1; proxy_set_header Connection ""; {headers} }}
  }}
}}
"""


@dataclass(frozen=True)
class Setup:
    """What is started: replicas of the service with some workers each, and nginx in front if there are several.

    Attributes:
        symbol: of the request, empty for none; it has a model of its own.
        headers: lines of nginx's configuration, for example for further headers.
    """

    workers: int
    replicas: int = 1
    symbol: str = ""
    headers: str = ""


@dataclass
class Figures:
    """What was measured in the rounds.

    Attributes:
        loads: by the number of connections.
        per_cpu_second: requests per CPU second of the service, at the most connections.
        cores: that the service and nginx used together, at the most connections.
        nginx_share: of these, how much nginx used.
        busiest: the share of all requests that the busiest replica answered.
    """

    loads: dict[int, list[Load]] = field(default_factory=lambda: {connections: [] for connections in CONNECTIONS})
    per_cpu_second: list[float] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)
    nginx_share: list[float] = field(default_factory=list)
    busiest: list[float] = field(default_factory=list)


SETUPS = {
    "1 worker": Setup(1),
    "2 workers": Setup(2),
    "2 workers, a symbol's own model": Setup(2, symbol=SYMBOL),
    "2 replicas of 1 worker behind nginx": Setup(1, replicas=2),
    "the same with X-Forwarded headers": Setup(1, replicas=2, headers=USUAL_HEADERS),
}


def measure(rounds: int = ROUNDS, seconds: float = SECONDS) -> dict[str, Figures]:
    """Measure each setup in each round.

    Raises:
        BenchError: wrk or nginx is missing, or a request failed.
    """
    if not shutil.which("nginx"):
        raise BenchError("nginx is missing. As root: apt-get install nginx-light")
    figures = {name: Figures() for name in SETUPS}
    with tempfile.TemporaryDirectory() as folder:
        models = copy_models(Path(folder))
        for number in range(rounds):
            turns = list(SETUPS.items())
            for name, setup in turns[number:] + turns[:number]:  # no setup is always the first
                place = Path(tempfile.mkdtemp(dir=folder))
                measure_once(setup, place, models, seconds, figures[name])
                rates = ", ".join(f"{loads[-1].rate:,.0f}" for loads in figures[name].loads.values())
                print(f"round {number + 1} of {rounds}: {name}: {rates}", file=sys.stderr)
    return figures


def copy_models(folder: Path) -> Path:
    """Return a model folder with the published model, also as SYMBOL's own one."""
    models = folder / "modelFiles"
    hidden = shutil.ignore_patterns(".*", SYMBOLS)
    shutil.copytree(PROJECT_DIR / "modelFiles", models, ignore=hidden)
    shutil.copytree(PROJECT_DIR / "modelFiles", models / SYMBOLS / SYMBOL, ignore=hidden)
    return models


def measure_once(setup: Setup, folder: Path, models: Path, seconds: float, figures: Figures) -> None:
    """Start a setup, load it, stop it, and add what was measured."""
    body = folder / "body.json"
    content = json.loads(Question().body) | ({"symbol": setup.symbol} if setup.symbol else {})
    body.write_text(json.dumps(content))
    with ExitStack() as stack:
        ports = [free_port() for _ in range(setup.replicas)]
        services = [stack.enter_context(service(port, folder, models, setup.workers)) for port in ports]
        fronts = [stack.enter_context(nginx(ports, folder, setup.headers))] if setup.replicas > 1 else []
        port = fronts[0][1] if fronts else ports[0]
        status, answer = call(port, "POST", "/predict", body.read_bytes())
        if status != 200 or json.loads(answer)["model_symbol"] != (setup.symbol or None):
            raise BenchError(f"wrong answer: {status} {answer[:200]!r}")
        processes, proxies = [family(process) for process in services], [family(process) for process, _ in fronts]
        for connections, loads in figures.loads.items():
            started, before, front_before = time.monotonic(), cpu_seconds(processes), cpu_seconds(proxies)
            loads.append(wrk(f"http://127.0.0.1:{port}/predict", connections, seconds, body))
            passed = time.monotonic() - started
        used, used_by_nginx = cpu_seconds(processes) - before, cpu_seconds(proxies) - front_before  # by the last load
        figures.per_cpu_second.append(loads[-1].rate * passed / used)
        figures.cores.append((used + used_by_nginx) / passed)
        figures.nginx_share.append(used_by_nginx / (used + used_by_nginx))
        lines = [(folder / f"{port}.csv").read_bytes().count(b"\n") for port in ports]
        figures.busiest.append(max(lines) / sum(lines))


@contextmanager
def service(port: int, folder: Path, models: Path, workers: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a replica of the service."""
    own = {"PORT": str(port), "REQUEST_LOG": str(folder / f"{port}.csv"), "MODEL_DIR": str(models), "WEB_CONCURRENCY": str(workers)}
    environment = os.environ | own | {"MLFLOW_UI": "off", "ACCESS_LOG": "off"}
    nowhere = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, "app.py"], cwd=PROJECT_DIR, env=environment, stdout=nowhere, stderr=nowhere)
    try:
        wait_until_ready(port)
        yield process
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def nginx(ports: list[int], folder: Path, headers: str) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """Run nginx in front of replicas; yield its process and port."""
    port = free_port()
    replicas = " ".join(f"server 127.0.0.1:{replica};" for replica in ports)
    folder.chmod(0o755)  # nginx's worker is another user
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, replicas=replicas, headers=headers))
    process = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL)
    try:
        wait_until_ready(port)
        yield process, port
    finally:
        process.terminate()
        process.wait(30)


def family(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    """Return a process and its children."""
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def cpu_seconds(families: list[list[psutil.Process]]) -> float:
    """Return the CPU time of processes, in seconds."""
    return sum(sum(process.cpu_times()[:2]) for processes in families for process in processes)


def table(figures: dict[str, Figures]) -> str:
    """Return the medians as a table in Markdown."""
    heads = [f"requests/s, {connections} connections | p99, ms" for connections in CONNECTIONS]
    further = "requests per CPU second of the service | cores used | by nginx | busiest replica"
    lines = [f"| setup | {' | '.join(heads)} | {further} |", "| --- |" + " ---: |" * 8]
    for name, found in figures.items():
        loads = [
            f"{statistics.median(load.rate for load in loads):,.0f} | {statistics.median(load.p99 for load in loads):.3g}"
            for loads in found.loads.values()
        ]
        per_cpu, cores, by_nginx, busiest = map(statistics.median, (found.per_cpu_second, found.cores, found.nginx_share, found.busiest))
        lines.append(f"| {name} | {' | '.join(loads)} | {per_cpu:,.0f} | {cores:.2f} | {by_nginx:.0%} | {busiest:.0%} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    try:
        print(table(measure()))
    except BenchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
