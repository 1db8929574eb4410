"""The project's experiment in MLflow, and its page in the MLflow UI. MLflow is not imported, so workers can use this.

The page is the table of the runs with the columns of VIEW, which MLflow calls a shared view: an experiment's tag has the columns, and the
address of the page names the tag.
"""

import base64
import http.client
import json
import sqlite3
import threading
import urllib.request
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

from settings import SQLITE, Settings

EXPERIMENT = "stock-forecast"
VIEW_NAME = "test-scores"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW_NAME}"
METRICS = ("test/rmse_ratio", "rmse", "persistence/rmse", "mape", "test/coverage_80", "test/coverage_95", "val_loss")
PARAMETERS = ("symbol", "last_date", "epochs", "units")
COLUMNS = [*(f"metrics.`{name}`" for name in METRICS), *(f"params.`{name}`" for name in PARAMETERS), "attributes.`Duration`"]
FIRST_COLUMNS = ["attributes.`Run Name`", "runDateAndNestInfo"]  # which MLflow always shows: the name, and when the run was created
VIEW = json.dumps({"selectedColumns": COLUMNS, "columnOrder": FIRST_COLUMNS + COLUMNS})
READ_LOCK_SECONDS = 0.1  # that a request waits for a locked SQLite file
LOOKUP_SECONDS = 0.5  # that a request waits for a tracking server; a later answer serves the next request


def without_credentials(uri: str) -> tuple[str, dict[str, str]]:
    """Return the address of a tracking server without its user and password, and the header that has them."""
    parts = urlsplit(uri)
    user, at, host = parts.netloc.rpartition("@")
    headers = {"Authorization": f"Basic {base64.b64encode(unquote(user).encode()).decode()}"} if at else {}
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", "")), headers


@dataclass(frozen=True)
class Experiment:
    """The experiment: its id, and whether it has the tag of the view."""

    id: str
    has_view: bool


def runs_page(ui: str, settings: Settings) -> str:
    """Return the address of the experiment's runs in an MLflow UI; the start page if the experiment is not known.

    Args:
        ui: the address of the UI. With a fragment, it is returned as it is.
        settings: where MLflow is.
    """
    found = None if "#" in ui else find_experiment(settings)
    if found is None:
        return ui
    view = {"viewStateShareKey": VIEW_NAME} if found.has_view else {}
    query = urlencode({"workflowType": "machine_learning"} | view)
    return f"{ui.rstrip('/')}/#/experiments/{quote(found.id)}/runs?{query}"


def find_experiment(settings: Settings) -> Experiment | None:
    """Return the experiment; None if MLflow does not have it yet or does not answer in LOOKUP_SECONDS."""
    database = database_of(settings)
    if database is not None:
        return _read_database(database)
    if settings.MLFLOW_TRACKING_URI.startswith(("http://", "https://")):
        return _server(settings.MLFLOW_TRACKING_URI).find()
    return None


def database_of(settings: Settings) -> Path | None:
    """Return MLflow's SQLite file; None for a server."""
    uri = settings.MLFLOW_TRACKING_URI
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def opened(database: Path, seconds: float) -> closing[sqlite3.Connection]:
    """Open MLflow's SQLite file to read it. A file that does not exist is not created.

    Args:
        database: the file.
        seconds: to wait for a lock.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    return closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True, timeout=seconds))


def _read_database(database: Path) -> Experiment | None:
    """Return the experiment of a SQLite file; None if there is none, or the file cannot be read at once."""
    with suppress(sqlite3.Error), opened(database, READ_LOCK_SECONDS) as connection:
        row = connection.execute(
            "SELECT e.experiment_id, t.value FROM experiments e LEFT JOIN experiment_tags t "
            "ON t.experiment_id = e.experiment_id AND t.key = ? WHERE e.name = ? AND e.lifecycle_stage = 'active'",
            (VIEW_TAG, EXPERIMENT),
        ).fetchone()
        return row and Experiment(str(row[0]), row[1] is not None)
    return None


class _Server:
    """A tracking server that is asked in a thread, so that no request waits long. Its answer is kept until the process ends."""

    def __init__(self, uri: str) -> None:
        self._uri, self._lock = uri, threading.Lock()
        self._found: Experiment | None = None
        self._thread: threading.Thread | None = None

    def find(self) -> Experiment | None:
        """Return the experiment, None if it is not known yet."""
        with self._lock:
            if self._found is None and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._ask, daemon=True)
                self._thread.start()
        if self._found is None and self._thread is not None:
            self._thread.join(LOOKUP_SECONDS)
        return self._found

    def _ask(self) -> None:
        """Ask the server for the experiment."""
        base, headers = without_credentials(self._uri)
        address = f"{base}/api/2.0/mlflow/experiments/get-by-name?{urlencode({'experiment_name': EXPERIMENT})}"
        with suppress(OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            request = urllib.request.Request(address, headers=headers)  # noqa: S310 - http or https, see find_experiment
            with urllib.request.urlopen(request, timeout=10 * LOOKUP_SECONDS) as answer:  # noqa: S310
                experiment: dict[str, Any] = json.load(answer)["experiment"]
            self._found = Experiment(str(experiment["experiment_id"]), VIEW_TAG in {tag["key"] for tag in experiment.get("tags", [])})


@lru_cache(maxsize=8)
def _server(uri: str) -> _Server:
    """Return the tracking server at an address."""
    return _Server(uri)
