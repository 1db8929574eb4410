"""Windows per second in bulk, with one and with two processes, and in Spark. Prints a Markdown table.

    python benchmarks/bulkScoring.py --windows 1000000

Spark is measured where `make spark` was run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

PROJECT_DIR = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT_DIR))

import sparkCluster
from processData import WINDOW
from settings import Settings
from tracking.champion import set_champion

WINDOWS = 1_000_000
ROWS_AT_ONCE = 100_000
POLL_SECONDS = 0.2  # between two looks at the memory


@dataclass(frozen=True)
class Rate:
    """The result of one run.

    Attributes:
        name: what ran.
        windows: how many were forecast.
        seconds: from the start of the command to its end.
        cpu_seconds: of all its processes; None if it is not known.
        peak_mb: the largest sum of the memory of its processes, which counts shared memory several times; None if it is not known.
    """

    name: str
    windows: int
    seconds: float
    cpu_seconds: float | None = None
    peak_mb: float | None = None

    def row(self) -> str:
        """Return a row of the table."""
        cpu = "" if self.cpu_seconds is None else f"{self.cpu_seconds / self.windows * 1000:.3f}"
        peak = "" if self.peak_mb is None else f"{self.peak_mb:.0f}"
        return f"| {self.name} | {self.windows / self.seconds:,.0f} | {self.seconds / self.windows * 1000:.3f} | {cpu} | {peak} |"


def measure(windows: int = WINDOWS, jobs: tuple[int, ...] = (1, 2)) -> Iterator[Rate]:
    """Score the same windows in each way, one after the other."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = make_source(folder / "windows.parquet", windows)
        for count in jobs:
            yield run_command(source, folder / "forecasts.parquet", windows, count)
        if not sparkCluster.missing():
            yield run_spark(source, folder, windows)


def make_source(path: Path, count: int) -> Path:
    """Write random walks as windows, with an id."""
    random = np.random.default_rng(0)
    walks = np.exp(random.normal(0, 0.015, (min(count, ROWS_AT_ONCE), WINDOW)).cumsum(axis=1))
    schema = pa.schema([("id", pa.int64()), ("window", pa.list_(pa.float64(), WINDOW))])
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as writer:
        for first in range(0, count, ROWS_AT_ONCE):
            part = walks[: count - first]
            prices = (part * random.uniform(5, 500, (len(part), 1))).round(4)
            cells = pa.FixedSizeListArray.from_arrays(prices.ravel(), WINDOW)
            writer.write_table(pa.table([pa.array(np.arange(first, first + len(part))), cells], schema=schema))
    return path


def run_command(source: Path, out: Path, windows: int, jobs: int) -> Rate:
    """Score a file with modelPredict.py."""
    command = [sys.executable, str(PROJECT_DIR / "modelPredict.py"), "--in", str(source), "--out", str(out), "--jobs", str(jobs)]
    before, start = os.times(), time.monotonic()
    process = subprocess.Popen(command, cwd=PROJECT_DIR, stderr=subprocess.DEVNULL)
    peaks = [0.0]
    watcher = threading.Thread(target=_watch, args=(process.pid, peaks))
    watcher.start()
    if process.wait():
        raise RuntimeError(f"modelPredict.py ended with code {process.returncode}.")
    seconds, after = time.monotonic() - start, os.times()
    watcher.join()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Rate(f"`modelPredict.py --jobs {jobs}`", windows, seconds, cpu, peaks[0])


def _watch(pid: int, peaks: list[float]) -> None:
    """Keep the largest memory of a process and its children, in MB."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            total = 0
            for each in (process, *process.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    total += each.memory_info().rss
            peaks[0] = max(peaks[0], total / 1e6)
            time.sleep(POLL_SECONDS)


def run_spark(source: Path, folder: Path, windows: int) -> Rate:
    """Score a file in Spark, on a master and two workers with one core each. The seconds are those of the job, without Spark's start."""
    settings = Settings(MLFLOW_TRACKING_URI=f"sqlite:///{folder}/mlflow.db")
    set_champion(settings.MODEL_DIR, settings)
    with sparkCluster.cluster(folder / "spark") as master:
        own = sparkCluster.environment(folder / "spark") | {"MLFLOW_TRACKING_URI": settings.MLFLOW_TRACKING_URI}
        words = ["--master", master, "--in", str(source), "--out", str(folder / "spark.parquet")]
        command = [sys.executable, str(PROJECT_DIR / "benchmarks" / "sparkScoring.py"), *words]
        done = subprocess.run(command, cwd=folder, env=own, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    answer = json.loads(done.stdout.splitlines()[-1])
    return Rate("Spark, two workers with one core each", windows, float(answer["seconds"]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Measure scoring in bulk and in Spark.")
    parser.add_argument("--windows", type=int, default=WINDOWS, help=f"how many (default: {WINDOWS:,})")
    options = parser.parse_args()
    print("| | windows per second | ms per window | CPU ms per window | peak MB |\n| --- | ---: | ---: | ---: | ---: |")
    for rate in measure(options.windows):
        print(rate.row(), flush=True)
    if sparkCluster.missing():
        print(f"Spark was not measured: {sparkCluster.missing()}", file=sys.stderr)


if __name__ == "__main__":
    main()
