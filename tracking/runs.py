"""A training run in MLflow: parameters, metrics, loss curves, plots, files and the registered model.

    python -m tracking.runs mlruns/unlogged/<model_version>     logs a run that MLflow did not take when it was trained
    python -m tracking.runs                                     points the alias `champion` at the model that serves

Any tracking server by MLFLOW_TRACKING_URI; the default is a SQLite file under mlruns/. The registered model is a pyfunc that takes closes
(n, 60) and gives the next closes (n,):

    mlflow.set_tracking_uri("sqlite:///mlruns/mlflow.db")
    mlflow.pyfunc.load_model("models:/stock-forecast@champion").predict(closes)

A run is kept in a folder before it is logged and removed from there once MLflow has it, so nothing that befalls MLflow, or the training
meanwhile, loses it. A SQLite file that another program has locked is waited for LOCK_SECONDS, a silent server HTTP_SECONDS a call.
"""

import argparse
import logging
import os
import shlex
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from filelock import Timeout

import cli
from errors import ForecastError
from models.publishing import record_run
from models.store import METADATA_FILE, ONNX_FILE, current_version, read_published
from settings import PROJECT_DIR, Settings
from storage import locked
from tracking.kept import MODEL_FILES, PLOTS, RunRecord, keep, read_kept

LOCK_SECONDS = 15.0  # MLflow itself waits 20 s at each of its calls
HTTP_SECONDS = 8  # for each of three attempts
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # 7 by default: minutes
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(HTTP_SECONDS))  # 120 by default
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
EXPERIMENT = "stock-forecast"
REGISTERED_MODEL = "stock-forecast"
UNLOGGED = "unlogged"  # folder of the runs that MLflow has not taken yet
CHAMPION = "champion"  # the alias of the version that serves
METRICS_AT_ONCE = 1000  # MLflow takes no more
PYFUNC_CODE = ["errors.py", "settings.py", "cli.py", "processData.py", "closes", "forecast"]
PYFUNC_REQUIREMENTS = [f"{name}=={version(name)}" for name in ("mlflow", "numpy", "onnxruntime", "pydantic")]
log = logging.getLogger(__name__)


class TrackingError(ForecastError):
    """MLflow's database or server does not do what it is asked for."""


def check_tracking(settings: Settings) -> None:
    """Make sure, before a long training, that MLflow's database or server answers.

    Raises:
        TrackingError: it does not.
    """
    with _one_sentence(settings, "does not answer", "Set MLFLOW_TRACKING_URI to one that does, or try again."):
        _connect(settings)


def log_or_keep(record: RunRecord, model_dir: Path, settings: Settings) -> str | None:
    """Log a run and register its model; the run's id, or None and a warning that says how to log it later.

    Args:
        record: of the run.
        model_dir: where its model is published; the run is saved there if it cannot be saved next to MLflow's database.
        settings: where MLflow is.
    """
    kept, said = _keep_somewhere(record, [_folder(settings) / UNLOGGED, model_dir / UNLOGGED])
    try:
        with locked(kept) if kept else nullcontext():
            run_id = log_run(record, settings)
            if kept:
                shutil.rmtree(kept, ignore_errors=True)
    except (TrackingError, KeyboardInterrupt) as error:
        if kept:
            said.append(f"The run is kept whole; log it later: {_later_command(kept, model_dir, settings)}")
        log.warning("%s", " ".join([str(error) or "Interrupted while MLflow took the run.", *said]))
        if isinstance(error, KeyboardInterrupt):
            raise
        return None
    return run_id


def _keep_somewhere(record: RunRecord, places: list[Path]) -> tuple[Path | None, list[str]]:
    """Where a run is kept now, None for nowhere, and a sentence on each place where it could not be."""
    failures: list[str] = []
    for place in places:
        try:
            return keep(record, place), failures
        except OSError as error:  # a full disk
            failures.append(f"It cannot be kept in {_shown(place)} ({error.strerror or error}).")
    return None, failures


def _later_command(kept: Path, model_dir: Path, settings: Settings) -> str:
    """The command that logs a kept run, with those settings that are not the defaults."""
    given, usual = settings.model_dump(), Settings.model_validate({}).model_dump()
    named = ["MODEL_DIR"] if settings.mlflow_shown != settings.MLFLOW_TRACKING_URI else ["MLFLOW_TRACKING_URI", "MODEL_DIR"]  # no password
    words = [f"{name}={shlex.quote(str(given[name]))}" for name in named if given[name] != usual[name]]
    words.append(f"python -m tracking.runs {shlex.quote(_shown(kept))}")
    if model_dir.resolve() != settings.MODEL_DIR.resolve():
        words.append(f"--model-dir {shlex.quote(str(model_dir))}")
    return " ".join(words)


def log_later(folder: Path, model_dir: Path, settings: Settings) -> bool:
    """Log a run that was kept, note its id in the metadata of its version, and remove the folder; whether its model is the published one.

    Raises:
        UnfitRecordError: there is no whole run in the folder.
        TrackingError: MLflow does not take it, or another process is logging it; the folder stays.
    """
    record = read_kept(folder)
    try:
        with locked(folder, wait=False):
            run_id = log_run(record, settings)
            is_published = record_run(model_dir, record.version, run_id)
            shutil.rmtree(folder)
    except Timeout:
        raise TrackingError(f"The run in {folder} is being logged by another process.") from None
    log.info("Version %s is MLflow run %s.", record.version, run_id)
    return is_published


def log_run(record: RunRecord, settings: Settings) -> str:
    """Log a run and register its model; the run's id.

    Raises:
        TrackingError: MLflow does not take it.
    """
    with _one_sentence(settings, "did not take the run"):
        import mlflow
        from mlflow.tracking.context import registry

        experiment, client = _connect(settings), mlflow.MlflowClient()
        logged_before = _logged_before(record, experiment, client)
        if logged_before:
            return logged_before
        run_id = str(client.create_run(experiment, run_name=record.version, tags=registry.resolve_tags()).info.run_id)
        try:
            _fill_run(run_id, record, client)
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
    """Parameters, metrics, tags and files of a run."""
    from mlflow.entities import Metric, Param, RunTag

    metadata, verdict = record.metadata, record.metadata["promotion"]
    params = {name: value for name, value in metadata.items() if not isinstance(value, dict)}
    params |= {f"version_{name}": number for name, number in metadata["versions"].items()}
    tags = {"promotion": "published" if verdict["publish"] else "refused", "promotion_reason": verdict["reason"]}
    now = time.time_ns() // 1_000_000
    metrics = [Metric(name, value, now, 0) for name, value in _figures(metadata).items()]
    metrics += [Metric(name, value, now, epoch) for name, values in record.losses.items() for epoch, value in enumerate(values, start=1)]
    client.log_batch(
        run_id,
        params=[Param(name, str(value)) for name, value in params.items()],
        tags=[RunTag(name, value) for name, value in tags.items()],
    )
    for start in range(0, len(metrics), METRICS_AT_ONCE):
        client.log_batch(run_id, metrics=metrics[start : start + METRICS_AT_ONCE])
    for name in MODEL_FILES:
        client.log_artifact(run_id, str(record.folder / name), "modelFiles")
    with tempfile.TemporaryDirectory() as folder:
        for name, content in record.plots.items():
            (Path(folder) / name).write_bytes(content)
        client.log_artifacts(run_id, folder, PLOTS)


def _figures(metadata: dict[str, Any]) -> dict[str, float]:
    """The metrics of a model by their names in MLflow."""
    figures = {name: value for name, value in metadata["metrics"].items() if value is not None}
    for group, parts in metadata["coverage"].items():
        for name, values in parts.items():
            figures |= {f"{measure}_{group}_{name}": value for measure, value in values.items() if measure != "n_days"}
    for model in ("new", "published"):
        figures |= {f"gate_{model}_{name}": value for name, value in (metadata["promotion"][model] or {}).items()}
    return figures


def _register(run_id: str, record: RunRecord) -> None:
    """Log and register the model of a run."""
    import mlflow
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    Model.log(  # pyfunc.log_model would take the run from a global state, whose end waits for a locked database once more
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
        ),
        input_example=record.example,
        pip_requirements=PYFUNC_REQUIREMENTS,
    )


def _mark_failed(run_id: str, client: Any, settings: Settings) -> None:
    """Mark a run that is in MLflow in part, unless that takes waiting: then it is marked when the run is logged after all."""
    retries = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
    before = os.environ[retries]
    os.environ[retries] = "0"
    try:
        with suppress(Exception):
            _wait_for_database(settings, seconds=0)
            client.set_terminated(run_id, "FAILED")
    finally:
        os.environ[retries] = before


def point_champion(model_dir: Path, settings: Settings) -> None:
    """Point the alias `champion` at the registered version of the model that serves; a warning where that cannot be done.

    Args:
        model_dir: where that model is published.
        settings: where MLflow is.
    """
    try:
        set_champion(model_dir, settings)
    except TrackingError as error:
        log.warning("%s Set it later: python -m tracking.runs", error)


def set_champion(model_dir: Path, settings: Settings) -> str:
    """As point_champion; the version that the alias points at.

    Raises:
        TrackingError: it cannot be done.
        ModelUnavailableError: no model serves.
    """
    published = read_published(model_dir)
    with _one_sentence(settings, f"leaves the alias {CHAMPION!r} where it was"):
        import mlflow

        run_id = published.metadata.get("mlflow_run_id")
        if not run_id:
            raise TrackingError(f"model {published.version} is not in it")
        _connect(settings)
        client = mlflow.MlflowClient()
        registered = client.search_model_versions(f"run_id='{run_id}'")
        if not registered:
            raise TrackingError(f"it does not know run {run_id}")
        client.set_registered_model_alias(REGISTERED_MODEL, CHAMPION, registered[0].version)
    if current_version(model_dir) != published.version:  # another training published meanwhile, and may have set the alias before
        return set_champion(model_dir, settings)
    return published.version


def _connect(settings: Settings) -> str:
    """Point MLflow at its database or server; the id of the experiment. With a SQLite file, artifacts are stored next to it."""
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # migrations, environment notes, and tracebacks of what is said here in one line
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # its retries
    mlflow.set_tracking_uri(settings.MLFLOW_TRACKING_URI)
    if _database(settings) is None:
        return str(mlflow.set_experiment(EXPERIMENT).experiment_id)
    folder = _folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    _wait_for_database(settings, LOCK_SECONDS)
    with locked(folder):  # MLflow makes its tables without a lock of its own: two that do it at once break them for good
        if mlflow.get_experiment_by_name(EXPERIMENT) is None:
            mlflow.create_experiment(EXPERIMENT, artifact_location=(folder / "artifacts").as_uri())
        return str(mlflow.set_experiment(EXPERIMENT).experiment_id)


def _wait_for_database(settings: Settings, seconds: float) -> None:
    """Wait until a SQLite file can be written: MLflow would wait for longer, and at every call.

    Raises:
        sqlite3.OperationalError: another program keeps it locked.
    """
    database = _database(settings)
    if database is not None:
        with closing(sqlite3.connect(database, timeout=seconds, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")


def _database(settings: Settings) -> Path | None:
    """MLflow's SQLite file; None where it is a server."""
    uri = settings.MLFLOW_TRACKING_URI
    return Path(uri.removeprefix("sqlite:///")).absolute() if uri.startswith("sqlite:///") else None


def _folder(settings: Settings) -> Path:
    """Where MLflow's SQLite file is, or would be if there were no server."""
    return (_database(settings) or PROJECT_DIR / "mlruns" / "mlflow.db").parent


def _shown(path: Path) -> str:
    """A path as commands take it in the project's folder."""
    return str(path.relative_to(PROJECT_DIR) if path.is_relative_to(PROJECT_DIR) else path)


@contextmanager
def _one_sentence(settings: Settings, what: str, remedy: str = "") -> Iterator[None]:
    """Make a TrackingError of whatever MLflow, its database, its server or the disk lets through.

    Raises:
        TrackingError: what MLflow does not do, and why.
    """
    try:
        yield
    except Exception as error:
        log.debug("MLflow failed", exc_info=True)
        said = next((line.strip(" .") for line in str(_origin(error)).splitlines() if line.strip()), type(error).__name__)
        raise TrackingError(f"MLflow at {settings.mlflow_shown} {what}: {said[:300]}. {remedy}".strip()) from None


def _origin(error: BaseException) -> BaseException:
    """The failure of the network, the database or the disk that is behind an error, if one is; else the error."""
    origin, inner = error, error.__cause__ or error.__context__
    while inner is not None:
        if isinstance(inner, OSError | sqlite3.Error):
            origin = inner
        inner = inner.__cause__ or inner.__context__
    return origin


def main(arguments: list[str] | None = None) -> None:
    """Log a run that was kept, if one is named, and let the alias follow the model that serves."""
    parser = argparse.ArgumentParser(
        description="Log a run that MLflow did not take when it was trained, and point MLflow's alias champion at the model that serves."
    )
    parser.add_argument("folder", type=Path, nargs="?", help="where the run is kept: mlruns/unlogged/<model_version>")
    parser.add_argument("--model-dir", type=Path, help="folder of the published model; MODEL_DIR if not given")
    options = parser.parse_args(arguments)
    settings = Settings.from_environment()
    model_dir = options.model_dir or settings.MODEL_DIR
    serves = model_dir.resolve() == settings.MODEL_DIR.resolve()
    if not (options.folder or serves):
        parser.error("the alias follows the model in MODEL_DIR alone: set that, or name the folder of a run")
    is_published = log_later(options.folder, model_dir, settings) if options.folder else True
    if is_published and serves:
        log.info("The alias %r points at version %s.", CHAMPION, set_champion(model_dir, settings))


if __name__ == "__main__":
    cli.run(main)
