"""The result of the nightly trainings in MODEL_DIR/training.json, and its metrics.

    {"default": {"result": "success", "trained_until": {"MSFT": "2026-11-27"}, ...}, "symbols": {...}}

"default" is the default model, "symbols" are the models of --symbols. `retraining/` writes the file, and each scrape of /metrics reads it.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import TypeAdapter

from closes.calendar import calendar_of
from closes.series import last_final_day
from storage import Identity, identity_of, write_json

TRAINING_FILE = "training.json"
DEFAULT, SYMBOLS = "default", "symbols"  # which models a run trains
SUCCESS, NOT_PROMOTED, SOME_FAILED, FAILED, INTERRUPTED = RESULTS = ("success", "not_promoted", "some_failed", "failed", "interrupted")


@dataclass(frozen=True)
class TrainingRecord:
    """The last nightly run of the default model or of a list of symbols. Times are ISO 8601, in UTC.

    Attributes:
        result: of the last run that ended, one of RESULTS; empty if none has.
        message: what it did, or why it failed, in a sentence.
        started_at, ended_at, seconds: when it ran.
        failed_symbols: why symbols failed, by symbol.
        running_since: start of the run that has not ended; also of one that was killed.
        trained_at: end of the last successful run. A model that was not promoted, and some failed symbols, are a success here.
        trained_until: the last close that the last successful run had, by symbol, ISO dates.
    """

    result: str = ""
    message: str = ""
    started_at: str = ""
    ended_at: str = ""
    seconds: float = 0.0
    failed_symbols: dict[str, str] = field(default_factory=dict)
    running_since: str = ""
    trained_at: str = ""
    trained_until: dict[str, str] = field(default_factory=dict)


TRAININGS = TypeAdapter(dict[str, TrainingRecord])


def read_trainings(model_dir: Path) -> dict[str, TrainingRecord]:
    """Return the last runs, by DEFAULT and SYMBOLS. A file that is missing or damaged has none."""
    try:
        return TRAININGS.validate_python(json.loads((model_dir / TRAINING_FILE).read_bytes()))
    except (OSError, ValueError):
        return {}


def write_training(model_dir: Path, models: str, training: TrainingRecord) -> None:
    """Replace one of the last runs. Only the process that holds the lock of nightly trainings writes.

    Raises:
        OSError: a full disk, or a folder that cannot be written.
    """
    known = {name: asdict(value) for name, value in read_trainings(model_dir).items()}
    write_json(model_dir / TRAINING_FILE, known | {models: asdict(training)})


class TrainingCollector(Collector):
    """The metrics of the nightly trainings. The file is parsed only after a change."""

    def __init__(self, model_dir: Path) -> None:
        self._model_dir = model_dir
        self._seen: Identity | None = None
        self._known: dict[str, TrainingRecord] = {}

    def collect(self) -> Iterator[Metric]:
        """Yield time, result, duration and failures of the last runs, and how many trading days the models lack."""
        trained = GaugeMetricFamily(
            "forecast_last_training_timestamp_seconds", "End of the last successful nightly training.", labels=("models",)
        )
        result = GaugeMetricFamily(
            "forecast_last_training_result", "1 for the result of the last nightly training, 0 for the others.", labels=("models", "result")
        )
        seconds = GaugeMetricFamily("forecast_last_training_duration_seconds", "Duration of the last nightly training.", labels=("models",))
        failed = GaugeMetricFamily(
            "forecast_last_training_failed_symbols", "Symbols that the last training failed for.", labels=("models",)
        )
        running = GaugeMetricFamily(
            "forecast_training_running", "1 while a nightly training runs, and after it was killed.", labels=("models",)
        )
        missed = GaugeMetricFamily("forecast_training_missed_days", "Final trading days after the last trained one.", labels=("models",))
        for models, training in self._read().items():
            running.add_metric((models,), float(bool(training.running_since)))
            if training.trained_at:
                trained.add_metric((models,), datetime.fromisoformat(training.trained_at).timestamp())
                missed.add_metric((models,), missed_days(training.trained_until))
            if training.result:
                seconds.add_metric((models,), training.seconds)
                failed.add_metric((models,), len(training.failed_symbols))
                for name in RESULTS:
                    result.add_metric((models, name), float(name == training.result))
        yield from (trained, result, seconds, failed, running, missed)

    def _read(self) -> dict[str, TrainingRecord]:
        """Return the last runs, from memory if the file is unchanged."""
        seen = identity_of(self._model_dir / TRAINING_FILE)
        if seen is None:
            return {}
        if seen != self._seen:
            self._seen, self._known = seen, read_trainings(self._model_dir)
        return self._known


def missed_days(trained_until: dict[str, str]) -> int:
    """Return how many final trading days are newer than the last training, of the symbol with the most."""
    tomorrow = np.datetime64(last_final_day()) + 1
    return max((calendar_of(symbol).age(np.datetime64(day) + 1, tomorrow) for symbol, day in trained_until.items()), default=0)
