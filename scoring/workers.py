"""Runs the network on blocks of windows: in this process, or in several processes with the results in order."""

import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from closes.series import Floats
from errors import ForecastError, ModelUnavailableError
from forecast.bulk import forecast_columns
from models.loading import PublishedForecaster, load_forecaster
from scoring.prepare import Prepared

WAITING = 2  # blocks per process that are computed or wait; more would only take memory

Columns = dict[str, NDArray[Any]]
Scored = tuple[Prepared, Columns]


class Worker:
    """What a worker process keeps between blocks."""

    forecaster: PublishedForecaster | None = None


def score_all(prepared: Iterable[Prepared], forecaster: PublishedForecaster, model_dir: Path, jobs: int) -> Iterator[Scored]:
    """Forecast blocks of windows, in order.

    Args:
        prepared: blocks of windows.
        forecaster: the model. It has one thread.
        model_dir: where other processes load it.
        jobs: processes.

    Raises:
        ForecastError: a worker process ended, or found another model.
    """
    if jobs == 1:
        return ((block, forecast_columns(forecaster, block.windows)) for block in prepared)
    return _in_processes(prepared, forecaster.version, model_dir, jobs)


def _in_processes(prepared: Iterable[Prepared], version: str, model_dir: Path, jobs: int) -> Iterator[Scored]:
    """Forecast blocks in worker processes. Only WAITING blocks per process are in memory."""
    executor = ProcessPoolExecutor(jobs, get_context("spawn"), _start_worker)
    waiting: deque[tuple[Prepared, Future[Columns]]] = deque()
    try:
        for block in prepared:
            waiting.append((block, executor.submit(_score, block.windows, model_dir, version)))
            if len(waiting) >= WAITING * jobs:
                yield _next(waiting)
        while waiting:
            yield _next(waiting)
    except BrokenProcessPool:
        raise ForecastError("A worker process ended unexpectedly, for example because memory ran out. Try fewer --jobs.") from None
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _next(waiting: deque[tuple[Prepared, "Future[Columns]"]]) -> Scored:
    """Wait for the oldest block."""
    block, future = waiting.popleft()
    return block, future.result()


def _start_worker() -> None:
    """Leave Ctrl-C to the main process, and end with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait until the main process has ended, then end this one."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _score(windows: Floats, model_dir: Path, version: str) -> Columns:
    """Forecast windows in a worker process."""
    if Worker.forecaster is None:
        Worker.forecaster = load_forecaster(model_dir, threads=1)
    if Worker.forecaster.version != version:
        raise ModelUnavailableError("Another model was published while the workers started. Run the command again.")
    return forecast_columns(Worker.forecaster, windows)
