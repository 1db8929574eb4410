"""Fixtures that the tests of MLflow share."""

import json

import pytest

from closes.snapshot import read_snapshot
from forecast.metadata import Metadata
from models.store import current_version
from settings import PROJECT_DIR
from tracking.kept import RunRecord


@pytest.fixture
def record(model_dir):
    """The run of the model in git, as its training left it."""
    return record_of(model_dir)


@pytest.fixture(scope="module")
def record_to_read():
    """The same, whose files nobody changes."""
    return record_of(PROJECT_DIR / "modelFiles")


def record_of(model_dir):
    metadata = json.loads((model_dir / "metadata.json").read_text())
    metadata = {name: value for name, value in metadata.items() if name not in ("mlflow_run_id", "files", "previous_version")}
    folder = model_dir / "versions" / current_version(model_dir)
    example = read_snapshot("MSFT").prices[None, -60:]
    return RunRecord(
        Metadata.model_validate(metadata), {"loss": [0.5, 0.25], "val_loss": [0.75, 0.5]}, {"losses.png": b"\x89PNG"}, folder, example
    )
