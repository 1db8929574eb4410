"""Runs tasks on a Dask cluster. The workers need the libraries of requirements.txt, and nothing of this project.

The code travels with the tasks, as a zip that each worker unpacks once. Each task runs in a fresh process of its worker, because Keras
does not always repeat a seed's results inside a Dask worker. The scheduler unpickles only what is built in or pickled by value: Dask
hangs if the scheduler cannot import a task's module.

Each input is a task of its own that returns it: the client sends it once, the scheduler gives it to workers that need it, and it is not
lost with a worker.
"""

import hashlib
import io
import logging
import pickle
import time
import uuid
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import Any

from forecast.network import FitOptions
from portfolio.remote import make_probe, make_run_in_child
from portfolio.runner import AHEAD, CONTINUES, Task, WorkersError
from portfolio.task import Failure, Outcome
from settings import PROJECT_DIR

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0  # for the scheduler and one worker to answer
RECONNECT_SECONDS = 60.0  # for a scheduler that was there to come back
RESULT_SECONDS = 60.0  # for an outcome, about a megabyte, to arrive
WATCH_SECONDS = 10.0  # between two looks at the number of workers
NO_WORKERS_SECONDS = 120.0  # until a cluster without workers is an error
RETRIES = 2  # of a task whose process ended with an error
CODE = ["errors.py", "settings.py", "storage.py", "preflight.py", "cli.py", "processData.py", "closes", "forecast", "models", "portfolio"]
DATA = ["data/closes.csv.gz", "data/ranges.csv.gz"]
MODULES = ("tensorflow", "keras", "numpy", "onnx", "onnxruntime", "sklearn", "scipy", "pydantic", "filelock", "joblib")
SAME_VERSIONS = ("tensorflow", "keras", "numpy")  # other versions may give other models


class _ConnectionLostError(Exception):
    """The scheduler has forgotten the tasks."""


class DaskRunner:
    """Runs tasks on the workers of a scheduler."""

    def __init__(self, address: str, options: FitOptions) -> None:
        """Connect, and check the workers.

        Raises:
            WorkersError: no scheduler, no worker, or workers that miss modules.
        """
        self._address, self._options = address, pickle.dumps(options)
        self._archive = make_archive()
        self._data: dict[str, Any] = {}
        self._client = self._connect(CONNECT_SECONDS)
        self._check_workers()

    @property
    def described(self) -> str:
        """Where the tasks run."""
        return f"on {len(self._client.ncores())} Dask workers of {self._address}"

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, bytes]]:
        """Yield each task with its pickled Outcome. If the connection is lost, connect again and submit what is left."""
        remaining = list(tasks)
        while remaining:
            try:
                for task, outcome in self._run_once(remaining):
                    remaining.remove(task)
                    yield task, outcome
            except _ConnectionLostError:
                log.debug("connection lost", exc_info=True)
                log.warning("The connection to the Dask scheduler is lost. Connecting again ...")
                self.close()
                self._client = self._connect(RECONNECT_SECONDS)
                self._check_workers(RECONNECT_SECONDS)
                log.warning("Connected again; %d tasks are submitted again.", len(remaining))

    def _run_once(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, bytes]]:
        """Run tasks until the connection is lost."""
        code = self._put(self._archive)
        waiting, running = list(tasks), dict[Any, Task]()
        while waiting or running:
            at_once = AHEAD * max(self._n_threads(), 1)
            while waiting and len(running) < at_once:
                task = waiting.pop(0)
                running[self._submit(task, code)] = task
            if self._client.status != "running":
                raise _ConnectionLostError(self._client.status)
            for future in self._wait(list(running)):
                task = running.pop(future)
                yield task, self._result(future)

    def _submit(self, task: Task, code: Any) -> Any:
        """Submit a task."""
        inputs = [self._put(path.read_bytes()) for path in task.inputs]
        options = self._put(self._options)
        key = f"{task.step}-{task.name}-{uuid.uuid4().hex}"
        with _connection():
            return self._client.submit(make_run_in_child(), code, task.step, options, *inputs, key=key, retries=RETRIES, pure=False)

    def _put(self, content: bytes) -> Any:
        """Return the future of bytes on the cluster. The same bytes are sent once."""
        name = f"data-{hashlib.sha256(content).hexdigest()[:24]}"
        if name not in self._data:
            with _connection():
                self._data[name] = self._client.submit(bytes, content, key=name)
        return self._data[name]

    def _wait(self, futures: list[Any]) -> list[Any]:
        """Return the futures that are done, at least one.

        Raises:
            WorkersError: the cluster has had no workers for NO_WORKERS_SECONDS.
        """
        alone_since = None
        while not (done := self._done(futures)):
            if self._client.status != "running":
                raise _ConnectionLostError(self._client.status)
            if self._n_threads():
                alone_since = None
                continue
            alone_since = alone_since or time.monotonic()
            log.warning("The Dask cluster has no workers. Waiting for one ...")
            if time.monotonic() - alone_since > NO_WORKERS_SECONDS:
                raise WorkersError(f"The Dask cluster {self._address} has no workers any more. {CONTINUES}")
        return done

    def _done(self, futures: list[Any]) -> list[Any]:
        """Wait for up to WATCH_SECONDS for one of the futures; return those that are done."""
        from distributed import wait

        with _connection():
            try:
                return list(wait(futures, timeout=WATCH_SECONDS, return_when="FIRST_COMPLETED").done)
            except TimeoutError:
                return []

    def _n_threads(self) -> int:
        """Return how many tasks the workers can run at a time."""
        with _connection():
            return sum(self._client.ncores().values())

    def _result(self, future: Any) -> bytes:
        """Return the outcome of a task that is done.

        Raises:
            _ConnectionLostError: the scheduler has forgotten it.
        """
        from concurrent.futures import CancelledError

        from distributed.scheduler import KilledWorker

        try:
            outcome: bytes = future.result(timeout=RESULT_SECONDS)
            return outcome
        except (CancelledError, OSError) as error:  # a TimeoutError is an OSError
            raise _ConnectionLostError(str(error)) from None
        except KilledWorker:
            return pickle.dumps(Outcome(Failure("The Dask workers that ran it died each time, perhaps of too little memory.")))
        except RuntimeError as error:  # of portfolio/remote.py
            return pickle.dumps(Outcome(Failure(str(error)[:300])))

    def _connect(self, seconds: float) -> Any:
        """Connect to the scheduler.

        Raises:
            WorkersError: it does not answer.
        """
        from distributed import Client

        self._data.clear()
        for name in ("distributed", "distributed.client", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what they say is said here in one sentence
        deadline = time.monotonic() + seconds
        while True:
            try:
                return Client(self._address, timeout=CONNECT_SECONDS)
            except (OSError, ValueError) as error:
                if time.monotonic() > deadline or seconds == CONNECT_SECONDS:
                    reason = next(iter(str(error).splitlines()), "") or type(error).__name__
                    raise WorkersError(f"The Dask scheduler {self._address} cannot be reached: {reason[:200]}. {CONTINUES}") from None

    def _check_workers(self, seconds: float = CONNECT_SECONDS) -> None:
        """Check that there is a worker, that all run this Python, and that they have all modules.

        Raises:
            WorkersError: something is missing; the message says what.
        """
        try:
            self._client.wait_for_workers(1, timeout=seconds)
        except TimeoutError:
            self.close()
            raise WorkersError(f"The Dask scheduler {self._address} has no workers. Start some: dask worker {self._address}") from None
        versions = self._client.get_versions()
        here = _python(versions["client"])
        for name, found in {"scheduler": versions["scheduler"], **versions["workers"]}.items():
            if _python(found) != here:
                self.close()
                raise WorkersError(f"Python is {_python(found)} on the Dask {_shown(name)}, and {here} here. They must be the same.")
        found = self._client.run(make_probe(), MODULES, SAME_VERSIONS)
        for address, (missing, installed) in found.items():
            if missing:
                self.close()
                raise WorkersError(f"The Dask {_shown(address)} misses {', '.join(missing)}: pip install -r requirements.txt there.")
            other = [f"{name} {number}" for name, number in installed.items() if number != version(name)]
            if other:
                log.warning(
                    "The Dask %s has %s, not the version of this machine: its models may differ.", _shown(address), ", ".join(other)
                )

    def close(self) -> None:
        """Cancel what is running on the cluster, and disconnect."""
        with suppress(Exception):
            self._client.cancel(list(self._client.futures.values()), force=True)
        with suppress(Exception):
            self._client.close(timeout=2)
        self._data.clear()


@contextmanager
def _connection() -> Iterator[None]:
    """Turn what a client raises that has lost its scheduler into a _ConnectionLostError."""
    from concurrent.futures import CancelledError

    try:
        yield
    except (CancelledError, OSError, RuntimeError, ValueError) as error:
        raise _ConnectionLostError(str(error)) from None


def make_archive() -> bytes:
    """Return a zip of the code and the data that a task needs."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in [*CODE, *DATA]:
            path = PROJECT_DIR / name
            for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
                member = zipfile.ZipInfo(str(file.relative_to(PROJECT_DIR)))  # without its time: the same code is the same archive
                archive.writestr(member, file.read_bytes())
    return content.getvalue()


def _python(versions: dict[str, Any]) -> str:
    """Return major and minor version of Python."""
    return ".".join(str(versions["host"]["python"]).split(".")[:2])


def _shown(name: str) -> str:
    """Return the name of a process of the cluster, for a message."""
    return name if name == "scheduler" else f"worker {name}"
