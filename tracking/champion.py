"""The alias `champion` in MLflow's model registry: it points at the version of the model that serves."""

import logging
from pathlib import Path

from models.store import current_version, read_published
from settings import Settings
from tracking.connection import TrackingError, connect, one_sentence
from tracking.names import CHAMPION, REGISTERED_MODEL

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
    """Point the alias at the model that serves, and return its version.

    Raises:
        TrackingError: MLflow failed, or does not have the model.
        ModelUnavailableError: no model serves.
    """
    published = read_published(model_dir)
    with one_sentence(settings, f"leaves the alias {CHAMPION!r} unchanged"):
        import mlflow

        run_id = published.metadata.get("mlflow_run_id")
        if not run_id:
            raise TrackingError(f"model {published.version} has no run")
        connect(settings)
        client = mlflow.MlflowClient()
        registered = client.search_model_versions(f"run_id='{run_id}'")
        if not registered:
            raise TrackingError(f"run {run_id} is unknown")
        client.set_registered_model_alias(REGISTERED_MODEL, CHAMPION, registered[0].version)
    if current_version(model_dir) != published.version:  # another training has published, and may have set the alias before
        return set_champion(model_dir, settings)
    return published.version
