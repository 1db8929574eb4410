"""A search for settings in MLflow: a parent run with its trials as a table and plots."""

import logging
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from settings import Settings
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
    """

    name: str
    params: dict[str, Any]
    metrics: dict[str, float]
    ratios: list[tuple[int, float]]
    files: dict[str, bytes]


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
    from mlflow.entities import Metric, Param
    from mlflow.tracking.context import registry

    experiment, client = connect(settings), mlflow.MlflowClient()
    run_id = str(client.create_run(experiment, run_name=f"tune-{record.name}", tags=registry.resolve_tags()).info.run_id)
    now = time.time_ns() // 1_000_000
    metrics = [Metric(name, value, now, 0) for name, value in record.metrics.items()]
    metrics += [Metric("validation_ratio", ratio, now, number) for number, ratio in record.ratios]
    client.log_batch(run_id, metrics=metrics[:1000], params=[Param(name, str(value)) for name, value in record.params.items()])
    with tempfile.TemporaryDirectory() as folder:
        for name, content in record.files.items():
            (Path(folder) / name).write_bytes(content)
        client.log_artifacts(run_id, folder)
    client.set_terminated(run_id)
    return run_id
