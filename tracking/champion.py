"""The alias `champion` in MLflow's model registry: it points at the version of the model that serves."""

import logging
from pathlib import Path
from typing import Any

from models.store import PublishedModel, current_version, read_published
from settings import Settings
from tracking.connection import TrackingError, connect, one_sentence, tracking_folder
from tracking.kept import UNLOGGED, read_kept
from tracking.log import log_run, run_of
from tracking.names import CHAMPION, REGISTERED_MODEL
from tracking.published import published_record

log = logging.getLogger(__name__)


def point_champion(model_dir: Path, settings: Settings) -> None:
    """Point the alias at the model that serves, or log a warning if that fails.

    Args:
        model_dir: folder of the published model.
        settings: where MLflow is.
    """
    try:
        set_champion(model_dir, settings)
    except TrackingError as error:
        log.warning("%s Set it later: python -m tracking.runs", error)


def set_champion(model_dir: Path, settings: Settings) -> str:
    """Point the alias at the model that serves, and return its version. If MLflow does not have its run, log that first.

    Raises:
        TrackingError: MLflow failed.
        ModelUnavailableError: no model serves.
    """
    published = read_published(model_dir)
    with one_sentence(settings, f"leaves the alias {CHAMPION!r} unchanged"):
        import mlflow

        experiment, client = connect(settings), mlflow.MlflowClient()
        registered = find_registered(published, experiment, client)
        if registered is None:
            log.info("MLflow does not have the run of %s. Logging it ...", published.version)
            kept = tracking_folder(settings) / UNLOGGED / published.version
            log_run(read_kept(kept) if kept.is_dir() else published_record(model_dir), settings)
            registered = find_registered(published, experiment, client)
        if registered is None:
            raise TrackingError(f"the run of {published.version} has no registered model")
        client.set_registered_model_alias(REGISTERED_MODEL, CHAMPION, registered)
    if current_version(model_dir) != published.version:  # another training has published, and may have set the alias before
        return set_champion(model_dir, settings)
    return published.version


def find_registered(published: PublishedModel, experiment: str, client: Any) -> str | None:
    """Return the registered version of a model, by the run that its metadata names or by the tag of its run; None if there is none."""
    for find in (lambda: published.metadata.get("mlflow_run_id"), lambda: run_of(published.version, experiment, client)):
        run_id = find()
        registered = client.search_model_versions(f"run_id='{run_id}'") if run_id else []
        if registered:
            return str(registered[0].version)
    return None
