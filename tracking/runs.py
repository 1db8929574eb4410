"""Runs that are saved until MLflow has them, and the command that logs them later.

    python -m tracking.runs mlruns/unlogged/<model_version>     logs runs that MLflow did not accept during the training
    python -m tracking.runs                                     points the alias `champion` at the model that serves

The registered model is a pyfunc that takes closes (n, 60) and returns the next closes (n,):

    mlflow.set_tracking_uri("sqlite:///mlruns/mlflow.db")
    mlflow.pyfunc.load_model("models:/stock-forecast@champion").predict(closes)

A run is saved to a folder before it is logged, and the folder is removed once MLflow has the run. So no failure of MLflow loses a run.
"""

import preflight

if __name__ == "__main__":
    preflight.check()
    preflight.check_training()

import argparse
import logging
import shlex
import shutil
from contextlib import nullcontext
from pathlib import Path

from filelock import Timeout

import cli
from models.publishing import record_run
from models.store import symbol_folder
from settings import PROJECT_DIR, Settings
from storage import locked
from tracking.champion import set_champion
from tracking.connection import TrackingError, tracking_folder
from tracking.kept import UNLOGGED, RunRecord, keep, read_kept
from tracking.log import log_run
from tracking.names import CHAMPION

log = logging.getLogger(__name__)


def log_or_keep(record: RunRecord, model_dir: Path, settings: Settings) -> str | None:
    """Log a run and register its model. If MLflow fails, log a warning that says how to log the run later.

    Args:
        record: the run.
        model_dir: folder of the published model; the run is saved there if it cannot be saved next to MLflow's database.
        settings: where MLflow is.

    Returns:
        The run's id; None if it is not logged.
    """
    kept, said = keep_somewhere(record, [tracking_folder(settings) / UNLOGGED, model_dir / UNLOGGED])
    try:
        with locked(kept) if kept else nullcontext():
            run_id = log_run(record, settings)
            if kept:
                shutil.rmtree(kept, ignore_errors=True)
    except (TrackingError, KeyboardInterrupt) as error:
        if kept:
            said.append(f"The run is saved. Log it later: {_later_command(kept, model_dir, settings)}")
        log.warning("%s", " ".join([str(error) or "Interrupted while the run was logged.", *said]))
        if isinstance(error, KeyboardInterrupt):
            raise
        return None
    return run_id


def keep_somewhere(record: RunRecord, places: list[Path]) -> tuple[Path | None, list[str]]:
    """Save a run in the first place that works. Return its folder, None if there is none, and a sentence on each place that failed."""
    failures: list[str] = []
    for place in places:
        try:
            return keep(record, place), failures
        except OSError as error:  # a full disk
            failures.append(f"It cannot be saved in {_shown(place)} ({error.strerror or error}).")
    return None, failures


def _later_command(kept: Path, model_dir: Path, settings: Settings) -> str:
    """Return the command that logs a saved run, with the settings that are not the defaults."""
    given, usual = settings.model_dump(), Settings.model_validate({}).model_dump()
    named = ["MODEL_DIR"] if settings.mlflow_shown != settings.MLFLOW_TRACKING_URI else ["MLFLOW_TRACKING_URI", "MODEL_DIR"]  # no password
    words = [f"{name}={shlex.quote(str(given[name]))}" for name in named if given[name] != usual[name]]
    words.append(f"python -m tracking.runs {shlex.quote(_shown(kept))}")
    if model_dir.resolve() != settings.MODEL_DIR.resolve():
        words.append(f"--model-dir {shlex.quote(str(model_dir))}")
    return " ".join(words)


def log_later(folder: Path, model_dir: Path, settings: Settings) -> bool:
    """Log a saved run, record its id in the metadata of its version, and remove the folder.

    Returns:
        Whether its model is the published default model.

    Raises:
        UnfitRecordError: the folder has no complete run.
        TrackingError: MLflow failed, or another process is logging the run; the folder stays.
    """
    record = read_kept(folder)
    try:
        with locked(folder, wait=False):
            run_id = log_run(record, settings)
            if record.parent_run_id:
                record_run(symbol_folder(model_dir, record.metadata.symbol), record.version, run_id)
                is_published = False  # the default model is another one
            else:
                is_published = record_run(model_dir, record.version, run_id)
            shutil.rmtree(folder)
    except Timeout:
        raise TrackingError(f"The run in {folder} is being logged by another process.") from None
    log.info("Version %s is MLflow run %s.", record.version, run_id)
    return is_published


def _shown(path: Path) -> str:
    """Return a path relative to the project's folder, where commands run."""
    return str(path.relative_to(PROJECT_DIR) if path.is_relative_to(PROJECT_DIR) else path)


def main(arguments: list[str] | None = None) -> None:
    """Log the saved runs that are named, and point the alias at the model that serves."""
    parser = argparse.ArgumentParser(
        description="Log a run that MLflow did not take when it was trained, and point MLflow's alias champion at the model that serves."
    )
    parser.add_argument("folders", type=Path, nargs="*", help="where runs are kept: mlruns/unlogged/<model_version>")
    settings = Settings.from_environment()
    cli.add_model_dir(parser, settings)
    options = parser.parse_args(arguments)
    model_dir = options.model_dir
    serves = model_dir.resolve() == settings.MODEL_DIR.resolve()
    if not (options.folders or serves):
        parser.error("the alias follows only the model in MODEL_DIR: set MODEL_DIR, or name the folder of a run")
    published = [log_later(folder, model_dir, settings) for folder in options.folders]
    if serves and (any(published) or not published):
        log.info("The alias %r points at version %s.", CHAMPION, set_champion(model_dir, settings))


if __name__ == "__main__":
    cli.run(main)
