"""GET /metrics: what Prometheus collects, summed over all workers (see counters.py). Without gunicorn, one process counts in memory."""

import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from errors import ModelUnavailableError
from forecast.intervals import LEVELS
from models.holder import ModelHolder
from monitoring.counters import FOLDER_VARIABLE
from server import slots

CONTENT_TYPE = CONTENT_TYPE_LATEST
METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})  # all others are counted together
LATENCY_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # upper bounds of the histogram


class Metrics:
    """The metrics of one worker."""

    def __init__(self, models: ModelHolder, *states: Collector) -> None:
        """Start to count; `models` knows which model serves, `states` collect what all workers read from the same files."""
        self._folder = os.environ.get(FOLDER_VARIABLE)
        self._own = CollectorRegistry()
        self._requests = Counter("http_requests", "Answered requests.", ("route", "method", "status"), registry=self._own)
        self._seconds = Histogram(
            "http_request_duration_seconds", "Time from the arrival of a request to its answer.", ("route",),
            buckets=LATENCY_SECONDS, registry=self._own,
        )  # fmt: skip
        self.lost_lines = Counter("request_log_lost_lines", "Requests that could not be written to the request log.", registry=self._own)
        self.symbol_answers = Counter("forecast_symbol_model_answers", "Forecasts by a symbol's own model.", registry=self._own)
        self.symbol_loads = Counter("forecast_symbol_model_loads", "Loads of symbols' own models on demand.", registry=self._own)
        self.untrusted_answers = Counter(
            "forecast_untrusted_model_answers", "Forecasts by another model, as the symbol's published one cannot be trusted.",
            registry=self._own,
        )  # fmt: skip
        self._states = (StateCollector(models), *states)
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answered request of a route, for example "/predict"."""
        key = (route, method, status)
        found = self._known.get(key)
        if found is None:
            found = self._requests.labels(route, method if method in METHODS else "other", status), self._seconds.labels(route)
            if method in METHODS:  # a client can send any method; the cache stays bounded
                self._known[key] = found
        found[0].inc()
        found[1].observe(seconds)

    def text(self, *further: Collector) -> bytes:
        """Return the metrics of all workers, and those of further collectors, in Prometheus' text format."""
        registry = self._own
        if self._folder is not None:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry, self._folder)
        return b"".join(generate_latest(collector) for collector in (registry, *self._states, *further))


class StateCollector(Collector):
    """The workers and the model that serves. The worker that answers describes its own model; all workers follow the same publication."""

    def __init__(self, models: ModelHolder) -> None:
        self._models = models

    def collect(self) -> Iterator[Metric]:
        """Yield the number of workers, and the model's version, age and validity."""
        yield GaugeMetricFamily("forecast_workers", "Workers that live and are not stuck.", slots.workers.count())
        info = GaugeMetricFamily("forecast_model_info", "The model that serves.", labels=("version", "symbol", "last_date"))
        age = GaugeMetricFamily("forecast_model_age_seconds", "Time since the model that serves was trained.")
        ready = GaugeMetricFamily("forecast_model_ready", "1 while a valid model serves, otherwise 0.")
        refused = GaugeMetricFamily("forecast_model_refused", "1 while the published model cannot be trusted, otherwise 0.")
        try:
            metadata = self._models.current().metadata
        except ModelUnavailableError:
            ready.add_metric((), 0)
        else:
            ready.add_metric((), 1)
            info.add_metric((metadata.model_version, metadata.symbol, str(metadata.last_date)), 1)
            age.add_metric((), time.time() - metadata.created_at.timestamp())
        refused.add_metric((), float(self._models.problem is not None))
        yield from (info, age, ready, refused)


class LiveCollector(Collector):
    """Live accuracy and drift. All workers read the same log, so these figures are not summed."""

    def __init__(self, accuracy: Mapping[str, Any], drift: Mapping[str, Any]) -> None:
        self._accuracy, self._drift = accuracy, drift

    def collect(self) -> Iterator[Metric]:
        """Yield the figures. A figure that needs more closes than there are has no sample."""
        live, drift = self._accuracy, self._drift
        gauges = (
            ("forecast_live_samples", "Forecasts whose actual close is known.", live["n"]),
            ("forecast_live_caught_up", "1 once the request log is read to its end, otherwise 0.", float(live["caught_up"])),
            ("forecast_live_rmse", "Root mean squared error of the forecast log returns.", live["rmse"]),
            ("forecast_live_naive_rmse", "Root mean squared error of persistence, which repeats the last close.", live["naive_rmse"]),
            ("forecast_drift_samples", "Daily returns that drift is judged on.", drift["n"]),
            ("forecast_drift_distance", "Kolmogorov-Smirnov distance from the returns in training.", drift["ks_distance"]),
            ("forecast_drift_threshold", "Distance above which there is drift.", drift["threshold"]),
        )
        for name, text, value in gauges:
            family = GaugeMetricFamily(name, text)
            if value is not None:
                family.add_metric((), value)
            yield family
        coverage = GaugeMetricFamily("forecast_live_coverage", "Share of actual closes within the interval.", labels=("level",))
        for level in LEVELS:
            if (share := live[f"coverage_{level}"]) is not None:
                coverage.add_metric((str(level),), share)
        yield coverage
