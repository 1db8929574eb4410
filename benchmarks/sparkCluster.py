"""A Spark cluster of one master and several workers on this machine, for the benchmark and the test of docs/how-to/spark.md."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from load import free_port

HOST = "127.0.0.1"
START_SECONDS = 180  # a busy machine takes a minute
ROLES = "org.apache.spark.deploy"


def missing() -> str:
    """Return what is not installed for Spark, as a sentence; empty if nothing is missing."""
    lacks = [name for name, is_there in (("Java", shutil.which("java")), ("pyspark", find_spec("pyspark"))) if not is_there]
    return f"{' and '.join(lacks)} not installed: make spark" if lacks else ""


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of Spark's processes. All files that they write are in `folder`."""
    spec = find_spec("pyspark")
    home = Path(spec.origin).parent if spec and spec.origin else Path()
    own = {"SPARK_HOME": home, "SPARK_LOCAL_IP": HOST, "SPARK_LOCAL_DIRS": folder, "PYSPARK_PYTHON": sys.executable}
    return os.environ | {name: str(value) for name, value in own.items()}


@contextmanager
def cluster(folder: Path, workers: int = 2, memory: str = "1g") -> Iterator[str]:
    """Run a master and workers with one core each. Gives the master's address.

    Args:
        folder: for logs and temporary files.
        workers: how many.
        memory: of each.

    Raises:
        TimeoutError: they do not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port, web = free_port(), free_port()
    address = f"spark://{HOST}:{port}"
    commands = [["master.Master", "--host", HOST, "--port", str(port), "--webui-port", str(web)]]
    commands += [
        [
            "worker.Worker",
            address,
            "--host",
            HOST,
            "--cores",
            "1",
            "--memory",
            memory,
            "--webui-port",
            "0",
            "--work-dir",
            f"{folder}/{number}",
        ]
        for number in range(workers)
    ]
    processes = []
    try:
        for number, (role, *options) in enumerate(commands):
            processes.append(_start([f"{ROLES}.{role}", *options], folder, number))
        _wait(f"http://{HOST}:{web}/json/", workers)
        yield address
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait()


def _start(command: list[str], folder: Path, number: int) -> "subprocess.Popen[bytes]":
    """Start a process of Spark, with its log in `folder`."""
    own = environment(folder)
    with (folder / f"process-{number}.log").open("wb") as log:
        return subprocess.Popen([f"{own['SPARK_HOME']}/bin/spark-class", *command], env=own, stdout=log, stderr=log)


def _wait(url: str, workers: int) -> None:
    """Wait until the master knows all workers."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if json.load(answer)["aliveworkers"] == workers:
                    return
        except (OSError, ValueError):
            pass
        time.sleep(0.1)
    raise TimeoutError(f"Spark's master and {workers} workers did not start within {START_SECONDS} s.")
