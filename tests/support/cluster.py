"""MLflow as a cluster runs it: its database is PostgreSQL, its artifacts are in an S3 store. Needs `make cluster`."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from serving import answers, free_port, listens, wait_until

from settings import PROJECT_DIR

BIN = PROJECT_DIR / ".venv-cluster" / "bin"
BUCKET = "mlflow"
POSTGRES = "postgres"  # PostgreSQL refuses to run as root; Debian's package has this user


@dataclass(frozen=True)
class Cluster:
    """Addresses of the servers."""

    mlflow: str
    database: str
    store: str

    def rows(self, query: str) -> list[str]:
        """Return the rows of a query to MLflow's database."""
        done = subprocess.run([_postgres("psql"), "-XtAc", query, self.database], capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    def objects(self) -> str:
        """Return the S3 store's list of objects, XML."""
        return requests.get(f"{self.store}/{BUCKET}", timeout=30).text


def missing() -> str:
    """Return what is not installed; empty if nothing is."""
    if not (BIN / "moto_server").exists() or not _postgres("initdb"):
        return "MLflow with PostgreSQL and S3 is not installed: make cluster"
    return ""


@contextmanager
def cluster(environment: dict[str, str]) -> Iterator[Cluster]:
    """Run PostgreSQL, an S3 store and MLflow's server, which gets further environment variables."""
    with ExitStack() as stack:
        database, store = stack.enter_context(_database()), stack.enter_context(_store())
        port = free_port()
        own = os.environ | environment | _variables(database, store)
        command = [str(BIN / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        stack.enter_context(_running(command, lambda: answers(f"http://127.0.0.1:{port}/health"), env=own))
        yield Cluster(f"http://127.0.0.1:{port}", database, store)


def _variables(database: str, store: str) -> dict[str, str]:
    """Return what deploy/kubernetes takes from the secret `mlflow`."""
    return {
        "MLFLOW_BACKEND_STORE_URI": database,
        "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{BUCKET}/artifacts",
        "MLFLOW_S3_ENDPOINT_URL": store,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@contextmanager
def _database() -> Iterator[str]:
    """Run a new PostgreSQL."""
    user: dict[str, Any] = {"user": POSTGRES, "group": POSTGRES, "extra_groups": []} if os.geteuid() == 0 else {}
    folder, port = Path(tempfile.mkdtemp(prefix="stock-forecast-postgres-")), free_port()
    try:
        if user:
            shutil.chown(folder, POSTGRES)
        data = str(folder / "data")
        made = [_postgres("initdb"), "-D", data, "-U", "mlflow", "-A", "trust", "--no-sync"]
        subprocess.run(made, cwd=folder, check=True, capture_output=True, **user)
        settings = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"]
        command = [_postgres("postgres"), "-D", data, *(word for setting in settings for word in ("-c", setting))]
        with _running(command, lambda: listens(port), signal.SIGINT, cwd=folder, **user):
            yield f"postgresql://mlflow@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _store() -> Iterator[str]:
    """Run a new S3 store with one bucket."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    with _running([str(BIN / "moto_server"), "-H", "127.0.0.1", "-p", str(port)], lambda: listens(port)):
        requests.put(f"{url}/{BUCKET}", timeout=30).raise_for_status()
        yield url


@contextmanager
def _running(command: list[str], up: Callable[[], object], stop: int = signal.SIGTERM, **how: Any) -> Iterator[None]:
    """Run a server from when it is up to the end of the block."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, **how)
        try:
            wait_until(lambda: process.poll() is not None or up(), 180, f"{command[0]} up")
            output.seek(0)
            assert process.poll() is None, output.read()[-3000:]
            yield
        finally:
            process.send_signal(stop)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _postgres(name: str) -> str:
    """Return the path of a program of PostgreSQL, empty if it is not installed. Debian keeps the servers outside PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name) or ""
