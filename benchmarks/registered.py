"""Registers the published model in MLflow, as a training does at its end."""

from closes.snapshot import read_snapshot
from forecast.metadata import Metadata
from models.store import read_published
from processData import WINDOW
from settings import Settings
from tracking.kept import RunRecord
from tracking.log import log_run
from tracking.names import CHAMPION, REGISTERED_MODEL

LATER = ("mlflow_run_id", "files", "previous_version")  # of the metadata: written after a run is logged


def register_published(settings: Settings) -> None:
    """Log the published model as a run, register it, and point the alias at it."""
    import mlflow

    published = read_published(settings.MODEL_DIR)
    content = {name: value for name, value in published.metadata.items() if name not in LATER}
    example = read_snapshot("MSFT").prices[None, -WINDOW:]
    log_run(RunRecord(Metadata.model_validate(content), {}, {}, published.folder, example), settings)
    mlflow.MlflowClient().set_registered_model_alias(REGISTERED_MODEL, CHAMPION, "1")
