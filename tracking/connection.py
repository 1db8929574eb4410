"""The connection to MLflow's database or tracking server, and its failures as one sentence.

    python -m tracking.connection      connects, and creates the database if it is new

The default is a SQLite file under mlruns/; MLFLOW_TRACKING_URI can name another file or a server. A call waits up to
LOCK_SECONDS for a locked SQLite file, and up to HTTP_SECONDS for a server that does not answer.
"""

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from errors import ForecastError
from settings import PROJECT_DIR, Settings
from storage import locked
from tracking.experiment import EXPERIMENT, VIEW, VIEW_TAG, database_of
from tracking.moved import ARTIFACTS, repoint

LOCK_SECONDS = 15.0  # MLflow itself waits 20 s in each of its calls
HTTP_SECONDS = 8  # for each of three attempts
NO_ANSWER = ("does not answer", "Set MLFLOW_TRACKING_URI to one that does, or try again.")  # the problem and the advice
RETRIES_VARIABLE = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault(RETRIES_VARIABLE, "2")  # MLflow's default of 7 takes minutes
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(HTTP_SECONDS))  # MLflow's default is 120
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

log = logging.getLogger(__name__)


class TrackingError(ForecastError):
    """MLflow's database or server failed."""


def check_tracking(settings: Settings) -> None:
    """Check that MLflow's database or server answers, before a long training.

    Raises:
        TrackingError: it does not.
    """
    with one_sentence(settings, *NO_ANSWER):
        connect(settings)


def connect(settings: Settings) -> str:
    """Point MLflow at its database or server, and return the id of the experiment.

    With a SQLite file, artifacts are stored next to it. If it was moved or copied, its paths are changed first.
    """
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # migrations, notes, and tracebacks of what one_sentence says
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # its retries
    mlflow.set_tracking_uri(settings.MLFLOW_TRACKING_URI)
    database = database_of(settings)
    if database is None:
        return _open_experiment()
    folder = database.parent
    folder.mkdir(parents=True, exist_ok=True)
    wait_for_database(settings, LOCK_SECONDS)
    with locked(folder):  # MLflow creates its tables without a lock; two processes at the same time break them for good
        repoint(database, EXPERIMENT, LOCK_SECONDS)
        (folder / ARTIFACTS).mkdir(exist_ok=True)
        if mlflow.get_experiment_by_name(EXPERIMENT) is None:
            mlflow.create_experiment(EXPERIMENT, artifact_location=(folder / ARTIFACTS).as_uri())
        return _open_experiment()


def _open_experiment() -> str:
    """Make the experiment the current one, give it its view of the runs, and return its id."""
    import mlflow

    found = mlflow.set_experiment(EXPERIMENT)
    if found.tags.get(VIEW_TAG) != VIEW:
        mlflow.MlflowClient().set_experiment_tag(found.experiment_id, VIEW_TAG, VIEW)
    return str(found.experiment_id)


def repoint_if_moved(settings: Settings) -> None:
    """Change the paths of a SQLite file that was moved or copied, see tracking/moved.py. MLflow is not imported.

    Raises:
        OSError: the folder cannot be locked.
        sqlite3.Error: the file is locked, read-only or not a database.
    """
    database = database_of(settings)
    if database is not None and database.is_file():
        with locked(database.parent):
            repoint(database, EXPERIMENT, LOCK_SECONDS)


def is_new(settings: Settings) -> bool:
    """Return whether MLflow's SQLite file does not exist yet."""
    database = database_of(settings)
    return database is not None and not database.is_file()


def wait_for_database(settings: Settings, seconds: float) -> None:
    """Wait until a SQLite file can be written. MLflow would wait longer, in every call.

    Raises:
        sqlite3.OperationalError: another program keeps it locked.
    """
    database = database_of(settings)
    if database is not None:
        with closing(sqlite3.connect(database, timeout=seconds, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")


def tracking_folder(settings: Settings) -> Path:
    """Return the folder of MLflow's SQLite file; with a server, the folder of the default file."""
    return (database_of(settings) or PROJECT_DIR / "mlruns" / "mlflow.db").parent


@contextmanager
def one_sentence(settings: Settings, what: str, remedy: str = "") -> Iterator[None]:
    """Turn every failure of MLflow, its database, its server or the disk into a TrackingError.

    Raises:
        TrackingError: "MLflow at <address> <what>: <reason>. <remedy>"
    """
    try:
        yield
    except Exception as error:
        log.debug("MLflow failed", exc_info=True)
        reason = next((line.strip(" .") for line in str(_origin(error)).splitlines() if line.strip()), type(error).__name__)
        raise TrackingError(f"MLflow at {settings.mlflow_shown} {what}: {reason[:300]}. {remedy}".strip()) from None


def _origin(error: BaseException) -> BaseException:
    """Return the failure of the network, the database or the disk behind an error, or the error itself if there is none."""
    origin, inner = error, error.__cause__ or error.__context__
    while inner is not None:
        if isinstance(inner, OSError | sqlite3.Error):
            origin = inner
        inner = inner.__cause__ or inner.__context__
    return origin


if __name__ == "__main__":
    connect(Settings.from_environment())
