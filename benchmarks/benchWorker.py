"""Measures what each part of the custom worker gains: the service with and without it, in one run.

    python benchmarks/benchWorker.py        about 9 minutes; prints the table of docs/explanation/direct-path.md

Each server gets /predict with one window on kept-alive connections, and GET /ready, which Flask answers. The rounds alternate between the
servers, and each figure is the median over the rounds. The memory is a worker's own, some seconds after
the load and a batch of 1,024 windows.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from load import wait_until_ready, wrk
from servers import Question
from settings import PROJECT_DIR

ROUNDS = 3
SECONDS = 2.0  # of each measurement
CONNECTIONS = (1, 8, 128)
PARTS = ("direct path", "balance", "batching", "frozen objects", "memory settings")
REST_SECONDS = 11.0  # before memory is measured: the worker returns free memory every 10 s
CONFIGURATION = "benchmarks/withoutPart.py"


def start(port: int, log: Path, **environment: str) -> "subprocess.Popen[bytes]":
    """Start the service on a port."""
    own = {"PORT": str(port), "REQUEST_LOG": str(log), "MLFLOW_UI": "off", "ACCESS_LOG": "off", "WEB_CONCURRENCY": "2"}
    command = [sys.executable, "-m", "gunicorn", "-c", CONFIGURATION]
    path = os.pathsep.join([str(PROJECT_DIR), str(PROJECT_DIR / "benchmarks")])
    return subprocess.Popen(
        command,
        cwd=PROJECT_DIR,
        env=os.environ | own | {"PYTHONPATH": path} | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def own_megabytes(process: "subprocess.Popen[bytes]") -> float:
    """Return the memory of a service's workers that they share with no other process: the mean, in MB."""
    workers = psutil.Process(process.pid).children()
    return statistics.mean(worker.memory_full_info().uss for worker in workers) / 1e6


def main() -> None:
    """Measure, and print a table in Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "body.json"
        body.write_bytes(Question().body)
        batch = Path(folder) / "batch.json"
        batch.write_bytes(Question(1024).body)
        services = {
            "the whole service": {},
            **{f"without {part}": {"WITHOUT_PART": part} for part in PARTS},
            "`SERVER_WORKER=stock`": {"SERVER_WORKER": "stock"},
        }
        rates: dict[str, list[list[float]]] = {name: [] for name in services}
        for number in range(ROUNDS):
            turns = list(enumerate(services.items()))
            for index, (name, environment) in turns[number:] + turns[:number]:  # no server is always the first
                port = 18100 + index
                process = start(port, Path(folder) / f"{index}.csv", **environment)
                try:
                    wait_until_ready(port)
                    address = f"http://127.0.0.1:{port}"
                    loads = [wrk(f"{address}/predict", connections, SECONDS, body) for connections in CONNECTIONS]
                    row = [load.rate for load in loads]
                    wrk(f"{address}/predict", 2, SECONDS, batch)
                    row += [wrk(f"{address}/predict", 32, SECONDS, body, keep_alive=False).rate, wrk(f"{address}/ready", 8, SECONDS).rate]
                    time.sleep(REST_SECONDS)
                    row += [own_megabytes(process), loads[-1].p99]
                finally:
                    process.terminate()
                    process.wait(30)
                rates[name].append(row)
                print(f"round {number + 1} of {ROUNDS}: {name}: {', '.join(f'{rate:,.0f}' for rate in row)}", file=sys.stderr)
    heads = [f"{connections} kept alive" for connections in CONNECTIONS] + [
        "32, a new one per request",
        "8, GET /ready",
        "MB per worker",
        "p99 at 128, ms",
    ]
    print(f"| requests/s | {' | '.join(heads)} |\n| --- |{' ---: |' * len(heads)}")
    for name, rows in rates.items():
        print(f"| {name} | {' | '.join(f'{statistics.median(column):,.0f}' for column in zip(*rows, strict=True))} |")


if __name__ == "__main__":
    main()
