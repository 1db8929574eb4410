"""Publishes a symbol's model: the promotion gate, the MLflow run, the folder."""

import logging
from pathlib import Path

from closes.series import Closes
from errors import ForecastError
from forecast.backtest import write_backtest
from forecast.metadata import Metadata, Rule
from models.evaluation import Evaluation
from models.gate import judge
from models.publishing import publish, staging_folder
from models.store import BACKTEST_FILE, METADATA_FILE, current_version, read_json, symbol_folder, version_folder
from portfolio.leaderboard import Row
from portfolio.task import Candidate, Finished
from settings import Settings
from storage import write_json
from tracking.connection import TrackingError, tracking_folder
from tracking.kept import UNLOGGED, RunRecord
from tracking.log import log_run
from tracking.runs import keep_somewhere

log = logging.getLogger(__name__)


class ChildRuns:
    """Logs the runs of symbols to MLflow. After MLflow has failed once, it saves them in folders.

    Attributes:
        kept: the folders of the runs that MLflow does not have.
    """

    def __init__(self, parent_run_id: str, model_dir: Path, settings: Settings) -> None:
        self._parent, self._model_dir, self._settings = parent_run_id, model_dir, settings
        self._failed: TrackingError | None = None
        self.kept: list[Path] = []

    def record(self, candidate: Candidate, finished: Finished, metadata: Metadata, folder: Path) -> RunRecord:
        """Return the run of a symbol whose files are in a folder."""
        example = finished.result.windows[-1:]
        return RunRecord(metadata, candidate.losses, {}, folder, example, self._parent)

    def log(self, record: RunRecord) -> str | None:
        """Log a run; None if it is saved instead."""
        if self._failed is None:
            try:
                return log_run(record, self._settings)
            except TrackingError as error:
                self._failed = error
                log.warning("%s The runs are saved instead.", error)
        folder, failures = keep_somewhere(record, [tracking_folder(self._settings) / UNLOGGED, self._model_dir / UNLOGGED])
        if folder is None:
            log.warning("The run of %s is not saved: %s", record.metadata.symbol, " ".join(failures))
        else:
            self.kept.append(folder)
        return None


def publish_symbol(finished: Finished, candidate: Candidate, closes: Closes, model_dir: Path, promote: Rule, runs: ChildRuns) -> Row:
    """Judge, log and publish a symbol's model. Return its row of the leaderboard.

    Args:
        finished: the results of the symbol's better model.
        candidate: the model.
        closes: the series that it was made from.
        model_dir: MODEL_DIR; the model goes to its folder of the symbol.
        promote: when to publish.
        runs: of MLflow.

    Raises:
        OSError: a full disk; the published model is unchanged.
    """
    place = symbol_folder(model_dir, closes.symbol)
    version = finished.content["model_version"]
    if current_version(place) == version:  # a kill came between the publication and its note in the journal
        content = read_json(version_folder(place, version) / METADATA_FILE)
        return _row(finished, closes.symbol, True, content["promotion"]["reason"], content.get("mlflow_run_id"))
    with staging_folder(place) as folder:
        for name, content_of in candidate.files.items():
            (folder / name).write_bytes(content_of)
        write_backtest(finished.result, folder / BACKTEST_FILE)
        published_before = current_version(place)
        verdict = judge(finished.result, closes, place, promote)
        metadata = Evaluation(finished.result, {}, finished.content).metadata(verdict)
        write_json(folder / METADATA_FILE, metadata.as_dict())
        run_id = runs.log(runs.record(candidate, finished, metadata, folder))
        reason, published = verdict.reason, promote != "never" and verdict.publish
        if published:
            try:
                after = ... if promote == "always" else published_before
                publish(place, metadata.changed(mlflow_run_id=run_id).as_dict(), folder, after=after)
            except ForecastError as error:
                reason, published = str(error), False
    return _row(finished, closes.symbol, published, "--promote never" if promote == "never" else reason, run_id)


def _row(finished: Finished, symbol: str, published: bool, reason: str, run_id: str | None) -> Row:
    """Return the row of the leaderboard."""
    metrics = finished.content["metrics"]
    return Row(
        symbol=symbol,
        model=finished.chosen,
        rmse_ratio=metrics["rmse_ratio"],
        coverage_80=metrics["coverage_80"],
        coverage_95=metrics["coverage_95"],
        crps_ratio=finished.crps_ratio,
        validation_own=finished.validation.get("own"),
        validation_global=finished.validation.get("global"),
        n_days=int(metrics["n_days"]),
        tested_from=str(finished.content["tested_from"]),
        model_version=finished.content["model_version"],
        published=published,
        reason=reason,
        mlflow_run_id=run_id,
    )
