"""A training run in MLflow: parameters, metrics, loss curves, plots, files and the registered model.

    python -m tracking.runs mlruns/unlogged/<model_version>     logs a run that MLflow did not accept during the training; takes several
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
import os
import shlex
import shutil
import time
from contextlib import nullcontext, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from filelock import Timeout

import cli
from forecast.metadata import Metadata
from models.publishing import record_run
from models.store import METADATA_FILE, ONNX_FILE, symbol_folder
from settings import PROJECT_DIR, Settings
from storage import json_of, locked, sha256
from tracking.champion import set_champion
from tracking.client import log_files, log_metrics, log_params, start_run
from tracking.connection import HTTP_SECONDS, RETRIES_VARIABLE, TrackingError, connect, one_sentence, tracking_folder, wait_for_database
from tracking.kept import PLOTS, RunRecord, keep, read_kept
from tracking.names import CHAMPION, MODEL_FILES, MODEL_FOLDER, REGISTERED_MODEL

UNLOGGED = "unlogged"  # folder of the runs that MLflow has not accepted yet
PYFUNC_CODE = ["errors.py", "settings.py", "storage.py", "processData.py", "closes", "forecast"]  # what pyfunc.py imports
PYFUNC_PARAMETERS = ("intervals", "skip_invalid")  # of its predict
PYFUNC_REQUIREMENTS = [f"{name}=={version(name)}" for name in ("mlflow", "filelock", "numpy", "onnxruntime", "pydantic")]

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


def log_run(record: RunRecord, settings: Settings) -> str:
    """Log a run and register its model. Return the run's id.

    Raises:
        TrackingError: MLflow failed.
    """
    with one_sentence(settings, "did not accept the run"):
        import mlflow

        experiment, client = connect(settings), mlflow.MlflowClient()
        logged_before = _logged_before(record, experiment, client)
        if logged_before:
            return logged_before
        searched = (record.metadata.tuning or {}).get("mlflow_run_id")
        run_id = start_run(client, experiment, record.version, record.parent_run_id or searched)
        try:
            _fill_run(run_id, record, client)
            if not record.parent_run_id:
                _register(run_id, record)
            client.set_terminated(run_id)
        except BaseException:
            _mark_failed(run_id, client, settings)
            raise
        return run_id


def _logged_before(record: RunRecord, experiment: str, client: Any) -> str | None:
    """The complete run of a model, even if the process that logged it was killed before it noted the run. Marks partial runs as failed."""
    complete = None
    for run in client.search_runs([experiment], f"attributes.run_name = '{record.version}'"):
        if run.info.status == "FINISHED":
            complete = str(run.info.run_id)
        elif run.info.status == "RUNNING":
            client.set_terminated(run.info.run_id, "FAILED")
    return complete


def _fill_run(run_id: str, record: RunRecord, client: Any) -> None:
    """Log parameters, metrics, tags and files of a run."""
    from mlflow.entities import RunTag

    verdict = record.metadata.promotion
    params = {name: value for name, value in record.metadata.as_dict().items() if not isinstance(value, dict)}
    params |= {f"version_{name}": number for name, number in record.metadata.versions.items()}
    tags = {"promotion": "published" if verdict.publish else "refused", "promotion_reason": verdict.reason} if verdict else {}
    metrics = [(name, value, 0) for name, value in _figures(record.metadata).items()]
    metrics += [(name, value, epoch) for name, values in record.losses.items() for epoch, value in enumerate(values, start=1)]
    log_params(client, run_id, params.items())
    client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
    log_metrics(client, run_id, metrics, time.time_ns() // 1_000_000)
    for name in MODEL_FILES:
        if name != METADATA_FILE:
            client.log_artifact(run_id, str(record.folder / name), MODEL_FOLDER)
    log_files(client, run_id, {METADATA_FILE: _published_form(run_id, record)}, MODEL_FOLDER)
    log_files(client, run_id, record.plots, PLOTS)


def _published_form(run_id: str, record: RunRecord) -> bytes:
    """Return the metadata.json of a run with what its publication adds: the run and the checksums, so that tracking/fetch.py can verify."""
    sums = {name: sha256(record.folder / name) for name in sorted(MODEL_FILES) if name != METADATA_FILE}
    return json_of(record.metadata.changed(mlflow_run_id=run_id, files=sums).as_dict())


def _figures(metadata: Metadata) -> dict[str, float]:
    """Return the metrics of a model by their names in MLflow."""
    figures = {name: value for name, value in metadata.metrics.model_dump().items() if value is not None}
    for group, parts in metadata.coverage.items():
        for name, values in parts.items():
            figures |= {f"{measure}_{group}_{name}": value for measure, value in values.items() if measure != "n_days"}
    if metadata.promotion:
        for model, scores in (("new", metadata.promotion.new), ("published", metadata.promotion.published)):
            figures |= {f"gate_{model}_{name}": value for name, value in (scores or {}).items()}
    return figures


def _register(run_id: str, record: RunRecord) -> None:
    """Log and register the model of a run."""
    import mlflow
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec

    Model.log(  # pyfunc.log_model uses a global run, and ending that waits for a locked database again
        artifact_path=None,
        name="model",
        flavor=mlflow.pyfunc,
        run_id=run_id,
        registered_model_name=REGISTERED_MODEL,
        await_registration_for=HTTP_SECONDS,
        python_model=str(PROJECT_DIR / "tracking" / "pyfunc.py"),
        artifacts={"network": str(record.folder / ONNX_FILE), "metadata": str(record.folder / METADATA_FILE)},
        code_paths=[str(PROJECT_DIR / name) for name in PYFUNC_CODE],
        signature=ModelSignature(
            inputs=Schema([TensorSpec(np.dtype(np.float64), (-1, record.example.shape[1]))]),
            outputs=Schema([TensorSpec(np.dtype(np.float64), (-1,))]),
            params=ParamSchema([ParamSpec(name, "boolean", False) for name in PYFUNC_PARAMETERS]),
        ),
        input_example=record.example,
        pip_requirements=PYFUNC_REQUIREMENTS,
    )


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


def _shown(path: Path) -> str:
    """Return a path relative to the project's folder, where commands run."""
    return str(path.relative_to(PROJECT_DIR) if path.is_relative_to(PROJECT_DIR) else path)


def main(arguments: list[str] | None = None) -> None:
    """Log the saved runs that are named, and point the alias at the model that serves."""
    parser = argparse.ArgumentParser(
        description="Log a run that MLflow did not take when it was trained, and point MLflow's alias champion at the model that serves."
    )
    parser.add_argument("folders", type=Path, nargs="*", help="where runs are kept: mlruns/unlogged/<model_version>")
    parser.add_argument("--model-dir", type=Path, help="folder of the published model; MODEL_DIR if not given")
    options = parser.parse_args(arguments)
    settings = Settings.from_environment()
    model_dir = options.model_dir or settings.MODEL_DIR
    serves = model_dir.resolve() == settings.MODEL_DIR.resolve()
    if not (options.folders or serves):
        parser.error("the alias follows the model in MODEL_DIR alone: set that, or name the folder of a run")
    published = [log_later(folder, model_dir, settings) for folder in options.folders]
    if serves and (any(published) or not published):
        log.info("The alias %r points at version %s.", CHAMPION, set_champion(model_dir, settings))


if __name__ == "__main__":
    cli.run(main)
