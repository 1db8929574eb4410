"""A search for settings in MLflow: a parent run with its trials as a table and plots."""

import logging
import time
from dataclasses import dataclass
from typing import Any

from settings import Settings
from tracking.client import log_files, log_metrics, log_params, start_run
from tracking.connection import TrackingError, connect, one_sentence

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SearchRecord:
    """What MLflow keeps of a search.

    Attributes:
        name: of the study.
        params: settings and identity of the study.
        metrics: the outcome.
        ratios: (number, validation ratio) of each complete trial.
        files: the content of files by name.
        started: when it began, in milliseconds since 1970.
    """

    name: str
    params: dict[str, Any]
    metrics: dict[str, float]
    ratios: list[tuple[int, float]]
    files: dict[str, bytes]
    started: int


def log_search(record: SearchRecord, settings: Settings) -> str | None:
    """Log a search as a run and return the run's id. If MLflow fails, log a warning and return None; the study keeps the trials."""
    try:
        with one_sentence(settings, "did not accept the search", "The next --tune logs all of its trials."):
            return _log(record, settings)
    except TrackingError as error:
        log.warning("%s", error)
        return None


def _log(record: SearchRecord, settings: Settings) -> str:
    """Log a search as a run and return the run's id."""
    import mlflow

    experiment, client = connect(settings), mlflow.MlflowClient()
    run_id = start_run(client, experiment, f"search {record.name}", start=record.started)
    metrics = [(name, value, 0) for name, value in record.metrics.items()]
    metrics += [("validation/ratio", ratio, number) for number, ratio in record.ratios]
    log_params(client, run_id, record.params.items())
    log_metrics(client, run_id, metrics, time.time_ns() // 1_000_000)
    log_files(client, run_id, record.files)
    client.set_terminated(run_id)
    return run_id
