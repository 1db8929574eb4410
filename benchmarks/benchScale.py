"""Benchmark of scale: symbols trained per hour with 1 process, with 2, and on a Dask cluster of 2 workers of this machine.

    python benchmarks/benchScale.py                            8 symbols, 15 epochs: about 15 minutes on two cores
    python benchmarks/benchScale.py --symbols 4 --epochs 1     a quick one

`make bench-bulk` measures scoring.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from closes.snapshot import snapshot_symbols
from load import free_port

WORKERS = 2
CLOSING = re.compile(r"Peak memory: (\d+) worker process(?:es)? of at most (\d+) MB, this process (\d+) MB\. CPU: (\d+) s and (\d+) s\.")


@dataclass(frozen=True)
class Measured:
    """One run of the command.

    Attributes:
        seconds: of wall time, with the start of all processes.
        busy: share of the machine's cores that was in use, by this and by everything else, 0 to 1.
        worker_cpu, own_cpu: seconds of CPU of the workers' steps and of the command itself.
        worker_mb, own_mb: peak memory of a worker and of the command.
    """

    seconds: float
    busy: float
    worker_cpu: float
    own_cpu: float
    worker_mb: float
    own_mb: float


def measure(symbols: list[str], epochs: int) -> dict[str, Measured]:
    """Train the symbols in each of the three ways, one after the other."""
    ways = {"1 process": ["--jobs", "1"], "2 processes": ["--jobs", "2"], f"Dask, {WORKERS} workers": None}
    measured = {}
    for way, where in ways.items():
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            place = where or ["--dask", stack.enter_context(cluster(folder))]
            measured[way] = run(symbols, epochs, place, folder)
        print(f"{way}: {measured[way].seconds:.0f} s", file=sys.stderr, flush=True)
    return measured


def run(symbols: list[str], epochs: int, where: list[str], folder: str) -> Measured:
    """Run the command once, in a folder of its own.

    Raises:
        RuntimeError: it failed.
    """
    command = [
        sys.executable, "modelTrain.py", "--symbols", ",".join(symbols), "--source", "snapshot", "--epochs", str(epochs),
        "--model-dir", f"{folder}/modelFiles", *where,
    ]  # fmt: skip
    own = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    psutil.cpu_percent()  # starts its clock
    started = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=own, stderr=subprocess.PIPE, text=True, check=False)
    seconds, busy = time.monotonic() - started, psutil.cpu_percent() / 100
    found = CLOSING.search(done.stderr)
    if done.returncode or not found:
        raise RuntimeError(done.stderr[-2000:])
    _, worker_mb, own_mb, worker_cpu, own_cpu = map(float, found.groups())
    return Measured(seconds, busy, worker_cpu, own_cpu, worker_mb, own_mb)


def table(measured: dict[str, Measured], n_symbols: int, epochs: int) -> str:
    """Return the results in Markdown."""
    slowest = next(iter(measured.values())).seconds
    lines = [
        f"| {n_symbols} symbols, {epochs} epochs, and the global model | s | symbols per hour | times 1 process | CPU s, workers | "
        "CPU s, command | peak MB, worker | peak MB, command | cores in use |",
        "| --- |" + " ---: |" * 8,
    ]
    lines += [
        f"| {way} | {found.seconds:.0f} | {n_symbols / found.seconds * 3600:.0f} | {slowest / found.seconds:.2f} | "
        f"{found.worker_cpu:.0f} | {found.own_cpu:.0f} | {found.worker_mb:.0f} | {found.own_mb:.0f} | {found.busy:.0%} |"
        for way, found in measured.items()
    ]
    return "\n".join(lines) + "\n\nA fair comparison needs a quiet machine: about 50% of two cores in use with 1 process."


@contextmanager
def cluster(folder: str) -> Iterator[str]:
    """Start a Dask scheduler and WORKERS workers on this machine, and give the scheduler's address."""
    from distributed import Client

    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    starts = [["dask_scheduler", "--host", "127.0.0.1", "--port", str(port)]]
    starts += [["dask_worker", address, "--nthreads", "1", "--local-directory", f"{folder}/{n}", "--no-nanny"] for n in range(WORKERS)]
    commands = [[sys.executable, "-m", f"distributed.cli.{name}", *options, "--no-dashboard"] for name, *options in starts]
    processes = [subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=folder) for command in commands]
    try:
        with Client(address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(WORKERS, timeout=60)
        yield address
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Measure how many symbols are trained per hour.")
    parser.add_argument("--symbols", type=int, default=8, help="how many of the snapshot's 20 stocks to train (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=15, help="of each fit (default: %(default)s)")
    options = parser.parse_args()
    symbols = snapshot_symbols()[: options.symbols]
    print(table(measure(symbols, options.epochs), len(symbols), options.epochs))


if __name__ == "__main__":
    main()
