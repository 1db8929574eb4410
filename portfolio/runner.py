"""Runs tasks on this machine, in processes by joblib's loky. cluster.py runs the same tasks on a Dask cluster."""

import logging
import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from errors import ForecastError
from forecast.network import FitOptions
from portfolio.task import Failure, Outcome, work

log = logging.getLogger(__name__)

MAX_DEATHS = 3  # of worker processes without a result in between
PARENT_SECONDS = 1.0  # between two looks at whether the parent lives
IDLE_SECONDS = 300  # after which an idle process ends
CONTINUES = "Finished steps are saved; the same command continues."
AHEAD = 2  # tasks per process that are submitted before a result is read


class WorkersError(ForecastError):
    """Worker processes end without a result, or cannot be reached."""


@dataclass(frozen=True)
class Task:
    """One step for one name.

    Attributes:
        step: fit, pool or finish.
        name: the symbol; global for the global model.
        inputs: the files with the step's inputs.
    """

    step: str
    name: str
    inputs: tuple[Path, ...]


class Runner(Protocol):
    """Runs tasks in any order, several at the same time."""

    @property
    def described(self) -> str:
        """Where the tasks run, as the end of a sentence."""

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, bytes]]:
        """Yield each task with its pickled Outcome as soon as it is there.

        Raises:
            WorkersError: tasks cannot be run; those without an outcome are not done.
        """

    def close(self) -> None:
        """End the workers that this runner started, also those that are at work."""


class LocalRunner:
    """Runs tasks in `jobs` processes of this machine. TensorFlow has one thread in each."""

    def __init__(self, jobs: int, options: FitOptions) -> None:
        self._jobs, self._options = jobs, options
        self._pool: Any = None
        self._running = dict[Any, Task]()

    @property
    def described(self) -> str:
        """Where the tasks run."""
        return f"in {self._jobs} process{'es' * (self._jobs > 1)}"

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, bytes]]:
        """Yield each task with its pickled Outcome. If a process dies, its task runs again in a new one."""
        remaining, deaths = list(tasks), 0
        while remaining:
            try:
                for task, outcome in self._run_once(remaining):
                    remaining.remove(task)
                    deaths = 0
                    yield task, outcome
            except BrokenProcessPool as error:
                deaths += 1
                log.debug("a worker died", exc_info=True)
                if deaths == MAX_DEATHS:
                    raise WorkersError(
                        f"Worker processes died {deaths} times in a row, perhaps of too little memory. {CONTINUES} "
                        f"Try a smaller --jobs. ({next(iter(str(error).splitlines()), '')[:200]})"
                    ) from None
                log.warning("A worker process died. Its task runs again.")

    def _run_once(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, bytes]]:
        """Run tasks until one process dies."""
        self._pool = start_processes(self._jobs)
        waiting, running = list(tasks), self._running
        running.clear()
        while waiting or running:
            while waiting and len(running) < AHEAD * self._jobs:
                task = waiting.pop(0)
                running[self._pool.submit(work_on_files, task.step, self._options, task.inputs)] = task
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield running.pop(future), future.result()

    def close(self) -> None:
        """End the processes if they are at work. Idle ones wait for the next training, and end with this process."""
        if self._running:
            with _thread_errors_logged():
                self._pool.shutdown(wait=True, kill_workers=True)


@contextmanager
def _thread_errors_logged() -> Iterator[None]:
    """Log exceptions of other threads instead of printing them: loky's manager thread can fail while its processes are killed."""

    def log_error(failed: threading.ExceptHookArgs) -> None:
        log.debug("a thread failed while the workers were ended: %s: %s", failed.exc_type.__name__, failed.exc_value)

    before, threading.excepthook = threading.excepthook, log_error
    try:
        yield
    finally:
        threading.excepthook = before


def start_processes(jobs: int) -> Any:
    """Return loky's executor, which starts a process when a task needs one."""
    from joblib.externals.loky import get_reusable_executor

    return get_reusable_executor(jobs, initializer=prepare_worker, initargs=(os.getpid(),), timeout=IDLE_SECONDS)


def prepare_worker(parent: int) -> None:
    """Leave Ctrl-C to the parent, which ends its workers, and end with the parent if that is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def work_on_files(step: str, options: FitOptions, inputs: Sequence[Path]) -> bytes:
    """Do one step with inputs from files."""
    try:
        contents = [path.read_bytes() for path in inputs]
    except OSError as error:
        return pickle.dumps(Outcome(Failure(f"{error.filename}: {error.strerror}")))
    return work(step, options, contents)
