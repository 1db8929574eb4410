"""GET /metrics: what Prometheus collects, summed over all workers.

Every worker counts into files of one shared folder (prometheus_client's multiprocess mode), and whichever worker is asked adds them up. The
files are named by the worker's slot, not by its process: a worker that takes a dead one's place counts on in its files, so nothing counted
is lost and the folder does not grow. gunicorn.conf.py makes the folder and gives out the slots; without it there is one process, which
counts in memory. So does a worker whose files find no room: on a full disk, writing to a mapped file that is not there in full is death.
"""

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest, multiprocess, values
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from errors import ModelUnavailableError
from forecast.intervals import LEVELS
from models.holder import ModelHolder
from server import slots

CONTENT_TYPE = CONTENT_TYPE_LATEST
PREFIX = "stock-forecast-"
FILE_BYTES = 256 * 1024  # more than all routes, methods and statuses take
METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
LATENCY_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # upper bounds of the histogram
log = logging.getLogger(__name__)
_folder: Path | None = None  # where the workers count; None: in memory, in one process
_lock: TextIO | None = None  # held while they do
_slot = 0  # this worker's, in the names of its files


def share() -> None:
    """Count in files of a folder of its own from now on, before the workers start; a second call, at a reload, changes nothing."""
    global _folder, _lock  # noqa: PLW0603
    if _folder is None:
        _remove_abandoned()
        _folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        _lock = _locked(_folder)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_folder)
        values.ValueClass = values.MultiProcessValue(lambda: _slot)


def _locked(folder: Path) -> TextIO | None:
    """A file that says that somebody counts in a folder, for as long as this process or a fork of it lives; None where another one does."""
    import fcntl  # gunicorn is there, so this is

    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    return lock


def _remove_abandoned() -> None:
    """Remove the folders of this user's masters that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            is_ours = not folder.is_symlink() and folder.stat().st_uid == os.getuid() and (folder / "lock").exists()
            if is_ours and (lock := _locked(folder)) is not None:
                shutil.rmtree(folder)
                lock.close()


def remove_shared() -> None:
    """Remove what `share` made."""
    if _folder is not None:
        shutil.rmtree(_folder, ignore_errors=True)


def use_slot(slot: int) -> None:
    """Count as this worker from now on; no two living workers may have the same slot."""
    global _slot  # noqa: PLW0603
    _slot = slot


def _reserve() -> bool:
    """Make this worker's files, on the disk in full; whether there is room for them."""
    files = [Path(f"{_folder}/{kind}_{_slot}.db") for kind in ("counter", "histogram")]
    try:
        for file in files:
            with file.open("ab") as descriptor:
                os.posix_fallocate(descriptor.fileno(), 0, FILE_BYTES)
    except OSError as error:
        log.error("This worker's requests are not counted in /metrics: no room in %s (%s).", _folder, error.strerror)
        for file in files:
            with suppress(OSError):
                if file.stat().st_size < FILE_BYTES:  # else a dead worker's, which counts on
                    file.unlink()
        return False
    return True


def free_slot(taken: Iterable[int]) -> int:
    """The lowest slot that no living worker has."""
    taken = set(taken)
    return next(slot for slot in range(len(taken) + 1) if slot not in taken)


class Metrics:
    """The metrics of one worker."""

    def __init__(self, models: ModelHolder) -> None:
        """Begin to count; `models` tells what serves."""
        if not (_folder is None or _reserve()):
            values.ValueClass = values.MutexValue
        self._own = CollectorRegistry()
        self._requests = Counter("http_requests", "Answered requests.", ("route", "method", "status"), registry=self._own)
        self._seconds = Histogram(
            "http_request_duration_seconds", "Time from a request's arrival to its answer.", ("route",),
            buckets=LATENCY_SECONDS, registry=self._own,
        )  # fmt: skip
        self.lost_lines = Counter("request_log_lost_lines", "Requests whose line the disk did not take.", registry=self._own)
        self._state = StateCollector(models)
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answered request of a route, for example "/predict"."""
        key = (route, method, status)
        found = self._known.get(key)
        if found is None:
            found = self._requests.labels(route, method if method in METHODS else "other", status), self._seconds.labels(route)
            if method in METHODS:  # methods may be anything: what is kept stays bounded
                self._known[key] = found
        found[0].inc()
        found[1].observe(seconds)

    def text(self, *further: Collector) -> bytes:
        """All metrics of all workers, and those of further collectors, in Prometheus' text format."""
        registry = self._own
        if _folder is not None:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry, str(_folder))
        return b"".join(generate_latest(collector) for collector in (registry, self._state, *further))


class StateCollector(Collector):
    """What serves, told when it is asked: the worker that answers follows what is published, as all others do."""

    def __init__(self, models: ModelHolder) -> None:
        self._models = models

    def collect(self) -> Iterator[Metric]:
        """The number of workers; the model's version, age and soundness."""
        yield GaugeMetricFamily("forecast_workers", "Workers that live and do not hang.", slots.count())
        info = GaugeMetricFamily("forecast_model_info", "The model that serves.", labels=("version", "symbol", "last_date"))
        age = GaugeMetricFamily("forecast_model_age_seconds", "Time since the model that serves was trained.")
        ready = GaugeMetricFamily("forecast_model_ready", "1 while a valid model serves, else 0.")
        refused = GaugeMetricFamily("forecast_model_refused", "1 while the newest published model cannot be trusted, else 0.")
        try:
            metadata = self._models.current().metadata
        except ModelUnavailableError:
            ready.add_metric((), 0)
        else:
            ready.add_metric((), 1)
            info.add_metric((str(metadata["model_version"]), str(metadata["symbol"]), str(metadata["last_date"])), 1)
            age.add_metric((), time.time() - datetime.fromisoformat(metadata["created_at"]).timestamp())
        refused.add_metric((), float(self._models.problem is not None))
        yield from (info, age, ready, refused)


class LiveCollector(Collector):
    """How good the forecasts were and whether the closes have changed; all workers read the same log, so nothing is summed."""

    def __init__(self, accuracy: Mapping[str, Any], drift: Mapping[str, Any]) -> None:
        self._accuracy, self._drift = accuracy, drift

    def collect(self) -> Iterator[Metric]:
        """Figures that there are too few closes for have no sample."""
        live, drift = self._accuracy, self._drift
        gauges = (
            ("forecast_live_samples", "Forecasts whose close is known.", live["n"]),
            ("forecast_live_caught_up", "1 once the request log is read to its end, else 0.", float(live["caught_up"])),
            ("forecast_live_rmse", "Root mean squared error of the forecast log returns.", live["rmse"]),
            ("forecast_live_naive_rmse", "The same of repeating the last close.", live["naive_rmse"]),
            ("forecast_drift_samples", "Daily returns that drift is judged on.", drift["n"]),
            ("forecast_drift_distance", "Kolmogorov-Smirnov distance from the training's returns.", drift["ks_distance"]),
            ("forecast_drift_threshold", "Distance above which there is drift.", drift["threshold"]),
        )
        for name, text, value in gauges:
            family = GaugeMetricFamily(name, text)
            if value is not None:
                family.add_metric((), value)
            yield family
        coverage = GaugeMetricFamily("forecast_live_coverage", "Share of closes within the interval.", labels=("level",))
        for level in LEVELS:
            if (share := live[f"coverage_{level}"]) is not None:
                coverage.add_metric((str(level),), share)
        yield coverage
