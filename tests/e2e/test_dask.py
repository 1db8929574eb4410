"""Training on a real Dask cluster: a scheduler and worker processes on loopback, which do not have this project."""

import csv
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import psutil
import pytest
from preloaded import CHILDREN
from serving import free_port, listens, wait_until
from training import PART, PRELOADED, begin, train_here

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MANY = ["--symbols", "MSFT,AAPL", *PART]
START_SECONDS = 120.0
PRELOAD = f"import os, sys; sys.executable = os.environ['{CHILDREN}']"  # in a worker: the processes of its tasks are forks


class Cluster:
    """A scheduler and its workers. They run in an empty folder, so nothing of this project is importable."""

    def __init__(self, folder, n_workers, environment=None):
        self.folder, self.port = folder, free_port()
        (folder / "preload.py").write_text(PRELOAD)
        self.address = f"tcp://127.0.0.1:{self.port}"
        self._environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._environment |= PRELOADED.with_children() | (environment or {})
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", str(self.port))
        self.workers = [self.add_worker(number) for number in range(n_workers)]

    def add_worker(self, number):
        return self._start(
            "worker", self.address, "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--local-directory", f"{self.folder}/{number}",
            "--preload", f"{self.folder}/preload.py",
        )  # fmt: skip

    def _start(self, kind, *options):
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options, "--no-dashboard"],
            cwd=self.folder, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def wait_for_workers(self):
        from distributed import Client

        wait_until(lambda: listens(self.port), START_SECONDS, "the scheduler")
        with Client(self.address, timeout=START_SECONDS, set_as_default=False) as client:
            client.wait_for_workers(len(self.workers), timeout=START_SECONDS)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()


def leaderboard(folder):
    """The rows without what is new in each training."""
    with (folder / "modelFiles" / "symbols" / "leaderboard.csv").open() as lines:
        return [{name: row[name] for name in row if name not in ("model_version", "mlflow_run_id")} for row in csv.DictReader(lines)]


def launcher_of_task(worker):
    """The process that a worker has started for a task: the launcher of a preloaded one."""
    return next((child for child in psutil.Process(worker.pid).children() if "portfolio.child" in " ".join(child.cmdline())), None)


def test_killed_worker_loses_nothing_and_the_metrics_are_those_of_one_machine(trained_many, tmp_path):
    here, _ = trained_many
    there = tmp_path / "there"
    there.mkdir()
    with Cluster(tmp_path, 3) as cluster, ExitStack() as cleanup:
        cluster.wait_for_workers()
        training = begin(there, *MANY, "--dask", cluster.address)
        cleanup.callback(training.kill)
        victim = wait_until(lambda: next(filter(launcher_of_task, cluster.workers), None), START_SECONDS, "a worker that trains")
        launcher = launcher_of_task(victim)
        task = [launcher, psutil.Process(PRELOADED.fork_of(launcher.pid))]
        victim.send_signal(signal.SIGKILL)
        _, alive = psutil.wait_procs(task, timeout=60)
        assert not alive  # the process of the task ends with its worker
        said = training.communicate(timeout=600)[1]
    assert training.returncode == 0, said
    assert "on 3 Dask workers of" in said
    assert "Traceback" not in said
    assert leaderboard(there) == leaderboard(here)


def test_lost_scheduler_is_one_sentence_and_the_same_command_continues_without_it(tmp_path):
    with Cluster(tmp_path, 1) as cluster, ExitStack() as cleanup:
        cluster.wait_for_workers()
        training = begin(tmp_path, *MANY, "--dask", cluster.address)
        cleanup.callback(training.kill)
        assert training.stderr is not None
        for line in training.stderr:
            if line.startswith("["):
                break
        cluster.scheduler.kill()
        said = training.communicate(timeout=300)[1]
    assert training.returncode == 1
    assert "The connection to the Dask scheduler is lost. Connecting again ..." in said
    assert said.splitlines()[-1].startswith(f"error: The Dask scheduler {cluster.address} cannot be reached")
    assert "Traceback" not in said
    done = train_here(tmp_path, *MANY, "--jobs", "1")
    assert "Continuing the training" in done.stderr
    assert "[1/4]" in done.stderr  # of five steps, one is done
    assert len(leaderboard(tmp_path)) == 2


def test_unreachable_scheduler_is_an_error_within_ten_seconds(tmp_path):
    started = time.monotonic()
    done = train_here(tmp_path, *MANY, "--dask", f"tcp://127.0.0.1:{free_port()}", check=False)
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr.splitlines()[-1]
    assert time.monotonic() - started < 60  # ten seconds, and the imports of a busy machine


def test_scheduler_without_workers_is_an_error(tmp_path):
    with Cluster(tmp_path, 0) as cluster:
        wait_until(lambda: listens(cluster.port), START_SECONDS, "the scheduler")
        done = train_here(tmp_path, *MANY, "--dask", cluster.address, check=False)
    assert done.returncode == 1
    assert "has no workers. Start some: dask worker" in done.stderr.splitlines()[-1]


def test_missing_module_on_a_worker_is_named(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, package=None: None if name == 'keras' else find(name, package)\n"
    )
    with Cluster(tmp_path, 1, {"PYTHONPATH": str(tmp_path)}) as cluster:
        cluster.wait_for_workers()
        done = train_here(tmp_path, *MANY, "--dask", cluster.address, check=False)
    assert done.returncode == 1
    assert "misses keras: pip install -r requirements.txt there." in done.stderr.splitlines()[-1]
