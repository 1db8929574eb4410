"""The run of the model that serves, where MLflow does not have it, as after `git clone`: made from the files of the model.

    python -m tracking.published      logs it once, registers it, and points the alias `champion` at it; tracking/ui.py starts this

The loss curves are not among the files, so the run has none. It has plots if the closes are those of the embedded snapshot.
"""

import preflight

if __name__ == "__main__":
    preflight.check()
    preflight.check_training()

import csv
import logging
import sqlite3
from contextlib import suppress
from pathlib import Path

import numpy as np

import cli
from closes.snapshot import read_snapshot
from errors import ForecastError
from forecast.backtest import backtest
from forecast.metadata import Metadata
from models.evaluation import plots_of
from models.loading import load_forecaster
from models.store import BACKTEST_FILE, current_version, read_published
from processData import WINDOW
from settings import Settings
from storage import locked
from tracking.content import VERSION_TAG
from tracking.experiment import database_of, opened
from tracking.kept import RunRecord

LOCK = ".published.lock"  # in the folder of MLflow's database
OF_PUBLICATION = ("mlflow_run_id", "files", "previous_version")  # what the publication adds to metadata.json

log = logging.getLogger(__name__)


def is_missing(settings: Settings) -> bool:
    """Return whether a model serves whose run MLflow's SQLite file does not have. MLflow is not imported.

    With a tracking server, or a file that cannot be read, the answer is no, so the run is logged only on request.
    """
    database, version = database_of(settings), current_version(settings.MODEL_DIR)
    if database is None or version is None:
        return False
    with suppress(sqlite3.Error), opened(database, seconds=1) as connection:
        known = "SELECT 1 FROM tags JOIN runs USING (run_uuid) WHERE key = ? AND value = ? AND status = 'FINISHED'"
        return connection.execute(known, (VERSION_TAG, version)).fetchone() is None
    return False


def published_record(model_dir: Path) -> RunRecord:
    """Return the run of the model that serves, from its files.

    Raises:
        ModelUnavailableError: no model serves, or its files have changed.
    """
    published = read_published(model_dir)
    metadata = Metadata.model_validate({name: value for name, value in published.metadata.items() if name not in OF_PUBLICATION})
    if metadata.tuning:  # the run of the search is not in this MLflow
        metadata = metadata.changed(tuning=metadata.tuning | {"mlflow_run_id": None})
    with (published.folder / BACKTEST_FILE).open() as file:
        actual = [float(row["actual"]) for row in csv.DictReader(file)]
    return RunRecord(metadata, {}, _plots(metadata, model_dir), published.folder, np.array([actual[-WINDOW:]]))


def _plots(metadata: Metadata, model_dir: Path) -> dict[str, bytes]:
    """Return the plots of a model's test days; none if the embedded snapshot does not have its closes."""
    try:
        closes = read_snapshot(metadata.symbol).between(str(metadata.first_date), str(metadata.last_date))
    except ForecastError:
        return {}
    if closes.fingerprint != metadata.data_sha256:
        return {}
    result = backtest(load_forecaster(model_dir), closes, first=str(metadata.tested_from))
    return plots_of(result, {}, f"{closes.symbol}: closes of the test days and their forecasts")


def main() -> None:
    """Log the run of the model that serves, unless MLflow has it."""
    from tracking.champion import set_champion

    settings = Settings.from_environment()
    with locked((database_of(settings) or settings.MODEL_DIR).parent, name=LOCK):
        if is_missing(settings):
            set_champion(settings.MODEL_DIR, settings)


if __name__ == "__main__":
    cli.run(main)
