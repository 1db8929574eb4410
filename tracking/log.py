"""Logs a training run to MLflow: parameters, metrics, loss curves, the data set, plots, files and the registered model."""

import os
from contextlib import suppress
from typing import Any

from models.store import METADATA_FILE
from settings import Settings
from storage import json_of, sha256
from tracking import content
from tracking.client import log_data_set, log_files, log_metrics, log_params, start_run
from tracking.connection import RETRIES_VARIABLE, connect, one_sentence, wait_for_database
from tracking.kept import PLOTS, RunRecord
from tracking.names import MODEL_FILES, MODEL_FOLDER
from tracking.registry import register


def log_run(record: RunRecord, settings: Settings) -> str:
    """Log a run and register its model. Return the run's id.

    Raises:
        TrackingError: MLflow failed.
    """
    with one_sentence(settings, "did not accept the run"):
        import mlflow

        experiment, client = connect(settings), mlflow.MlflowClient()
        logged_before = run_of(record.version, experiment, client)
        if logged_before:
            return logged_before
        searched = (record.metadata.tuning or {}).get("mlflow_run_id")
        start, end = content.run_times(record.metadata)
        parent = record.parent_run_id or searched
        run_id = start_run(client, experiment, content.run_name(record.metadata), parent, content.tags(record.metadata), start)
        try:
            _fill_run(run_id, record, client, end or start)
            if not record.parent_run_id:
                register(run_id, record)
            if end is None:
                client.update_run(run_id, status="FINISHED")  # without an end, so that MLflow shows no duration
            else:
                client.set_terminated(run_id, end_time=end)
        except BaseException:
            _mark_failed(run_id, client, settings)
            raise
        return run_id


def run_of(version: str, experiment: str, client: Any) -> str | None:
    """Return the complete run of a model; None if there is none. Mark partial runs, of a process that was killed, as failed."""
    complete = None
    for run in client.search_runs([experiment], f"tags.{content.VERSION_TAG} = '{version}'"):
        if run.info.status == "FINISHED":
            complete = str(run.info.run_id)
        elif run.info.status == "RUNNING":
            client.set_terminated(run.info.run_id, "FAILED")
    return complete


def _fill_run(run_id: str, record: RunRecord, client: Any, now: int) -> None:
    """Log parameters, metrics, the data set and files of a run."""
    metadata = record.metadata
    metrics = [(name, value, 0) for name, value in content.metrics(metadata).items()]
    metrics += [(name, value, epoch) for name, values in record.losses.items() for epoch, value in enumerate(values, start=1)]
    log_params(client, run_id, content.parameters(metadata).items())
    log_metrics(client, run_id, metrics, now)
    log_data_set(client, run_id, content.dataset(metadata))
    for name in MODEL_FILES:
        if name != METADATA_FILE:
            client.log_artifact(run_id, str(record.folder / name), MODEL_FOLDER)
    log_files(client, run_id, {METADATA_FILE: _published_form(run_id, record)}, MODEL_FOLDER)
    log_files(client, run_id, record.plots, PLOTS)
    log_files(client, run_id, content.tables(metadata))


def _published_form(run_id: str, record: RunRecord) -> bytes:
    """Return the metadata.json of a run with what its publication adds: the run and the checksums, so that tracking/fetch.py can verify."""
    sums = {name: sha256(record.folder / name) for name in sorted(MODEL_FILES) if name != METADATA_FILE}
    return json_of(record.metadata.changed(mlflow_run_id=run_id, files=sums).as_dict())


def _mark_failed(run_id: str, client: Any, settings: Settings) -> None:
    """Mark an incomplete run as failed, unless that would take long; then it is marked when the run is logged later."""
    retries = RETRIES_VARIABLE
    before = os.environ[retries]
    os.environ[retries] = "0"
    try:
        with suppress(Exception):
            wait_for_database(settings, seconds=0)
            client.set_terminated(run_id, "FAILED")
    finally:
        os.environ[retries] = before
