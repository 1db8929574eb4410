"""Publishes the champion, the model that MLflow's alias names, in MODEL_DIR, from MLflow's tracking server.

    python -m tracking.fetch                 once
    python -m tracking.fetch --every 60      every minute, until SIGTERM
    python -m tracking.fetch --if-any        once; a registry without a champion is no error

So machines that serve share only the tracking server, see docs/how-to/kubernetes.md. MLflow's REST API is called without MLflow itself,
which the serving image does not have.
"""

import preflight

if __name__ == "__main__":
    preflight.check()

import argparse
import http.client
import json
import logging
import shutil
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import cli
from errors import ForecastError, ModelUnavailableError
from models.publishing import publish, staging_folder
from models.store import METADATA_FILE, PublishedModel, problems_of, read_json, read_published, version_folder
from settings import Settings
from tracking.experiment import without_credentials
from tracking.names import CHAMPION, MODEL_FILES, MODEL_FOLDER, REGISTERED_MODEL

ALIAS_CALL = "mlflow/registered-models/alias"
TIMEOUT_SECONDS = 10.0  # for each call
PROXIED = "mlflow-artifacts:"  # scheme of artifacts that the tracking server reads for its clients
NOT_FOUND = "RESOURCE_DOES_NOT_EXIST"  # no registered model
INVALID = "INVALID_PARAMETER_VALUE"  # no such alias

log = logging.getLogger(__name__)


class FetchError(ForecastError):
    """The champion cannot be fetched; what was published before stays."""


class NoChampionError(FetchError):
    """The registry has no champion."""


class TrackingServer:
    """MLflow's tracking server, through its REST API."""

    def __init__(self, settings: Settings) -> None:
        """Take the address from MLFLOW_TRACKING_URI, with a user and a password if it has them.

        Raises:
            FetchError: it is not the address of a server.
        """
        if urlsplit(settings.MLFLOW_TRACKING_URI).scheme not in ("http", "https"):
            raise FetchError("MLFLOW_TRACKING_URI is not a tracking server. Set it to an address such as http://mlflow:8020")
        self._shown = settings.mlflow_shown
        self._base, self._headers = without_credentials(settings.MLFLOW_TRACKING_URI)

    def champion_run(self) -> str:
        """Return the run of the champion.

        Raises:
            NoChampionError: the registry has none.
            FetchError: the server failed.
        """
        return self._ask(ALIAS_CALL, ("model_version", "run_id"), name=REGISTERED_MODEL, alias=CHAMPION)

    def model_folder(self, run_id: str) -> str:
        """Return where the server has the model files of a run.

        Raises:
            FetchError: the server failed, or clients must read its artifacts from the store themselves.
        """
        location = self._ask("mlflow/runs/get", ("run", "info", "artifact_uri"), run_id=run_id)
        if not location.startswith(PROXIED):
            raise FetchError(f"MLflow at {self._shown} does not serve artifacts. Start it with --artifacts-destination.", [location])
        return f"{urlsplit(location).path.strip('/')}/{MODEL_FOLDER}"

    def read(self, folder: str, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            FetchError: the server failed, or does not have the file.
        """
        return self._get(f"mlflow-artifacts/artifacts/{quote(f'{folder}/{name}')}")

    def _ask(self, call: str, names: Sequence[str], **query: str) -> str:
        """Return the text in the JSON answer of a call that is found by names, from the outside in."""
        found: Any = None
        try:
            found = json.loads(self._get(f"{call}?{urlencode(query)}"))
            for name in names:
                found = found[name]
        except (ValueError, KeyError, TypeError):
            found = None
        if not isinstance(found, str):
            raise FetchError(f"The server at {self._shown} answers {call} in another way than MLflow. Check MLFLOW_TRACKING_URI.")
        return found

    def _get(self, path: str) -> bytes:
        request = urllib.request.Request(f"{self._base}/api/2.0/{path}", headers=self._headers)  # noqa: S310 - http or https, see __init__
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            raise self._refusal(error, path) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise FetchError(f"MLflow at {self._shown} does not answer: {reason}.") from None

    def _refusal(self, error: urllib.error.HTTPError, path: str) -> FetchError:
        """Return what an error status means."""
        try:
            said = json.loads(error.read())
        except (OSError, ValueError):
            said = {}
        code = said.get("error_code") if isinstance(said, dict) else None
        if code in (NOT_FOUND, INVALID) and path.startswith(ALIAS_CALL):
            return NoChampionError(f"MLflow at {self._shown} has no {REGISTERED_MODEL}@{CHAMPION} yet. Train a model: python modelTrain.py")
        return FetchError(f"MLflow at {self._shown} answers {error.code} to {path.partition('?')[0]}.")


def fetch_champion(model_dir: Path, server: TrackingServer) -> PublishedModel | None:
    """Publish the champion in a folder. None if it is published there already and its files are valid.

    Raises:
        NoChampionError: the registry has none.
        FetchError: the server failed, or the files are not those that were logged; nothing changes.
        OSError: the folder cannot be written.
    """
    run_id = server.champion_run()
    with suppress(ModelUnavailableError):
        if read_published(model_dir).metadata.get("mlflow_run_id") == run_id:
            return None
    with staging_folder(model_dir) as staged:
        location = server.model_folder(run_id)
        for name in MODEL_FILES:
            (staged / name).write_bytes(server.read(location, name))
        metadata = _checked(staged, run_id)
        shutil.rmtree(version_folder(model_dir, metadata["model_version"]), ignore_errors=True)  # older files of the same version
        return publish(model_dir, metadata, staged)


def _checked(staged: Path, run_id: str) -> dict[str, Any]:
    """Return the metadata of fetched files after their checksums are verified.

    Raises:
        FetchError: the files are not those that were logged.
    """
    try:
        metadata = read_json(staged / METADATA_FILE)
        problems = problems_of(staged, dict(metadata["files"]), only=[name for name in MODEL_FILES if name != METADATA_FILE])
        version_folder(staged, metadata["model_version"])
    except (ModelUnavailableError, KeyError, TypeError, ValueError) as error:
        raise FetchError(f"The {METADATA_FILE} of run {run_id} is incomplete. Train again: python modelTrain.py", [repr(error)]) from None
    if problems:
        raise FetchError(f"The files of run {run_id} are not those that were logged.", problems)
    return metadata | {"mlflow_run_id": run_id}


def follow(model_dir: Path, server: TrackingServer, seconds: float) -> None:
    """Fetch the champion again and again. A failure is logged once, until something changes."""
    said = None
    while True:
        try:
            _fetch_and_say(model_dir, server)
            said = None
        except (ForecastError, OSError) as error:
            text = "; ".join([str(error), *getattr(error, "details", [])])
            if text != said:
                log.error("%s", text)
            said = text
        time.sleep(seconds)


def _fetch_and_say(model_dir: Path, server: TrackingServer) -> None:
    """Fetch the champion, and log its version if it is new."""
    published = fetch_champion(model_dir, server)
    if published:
        log.info("Version %s is published in %s.", published.version, model_dir)


def main(arguments: list[str] | None = None) -> None:
    """Fetch the champion once, or follow it."""
    parser = argparse.ArgumentParser(description="Publish MLflow's champion in MODEL_DIR. MLFLOW_TRACKING_URI names the tracking server.")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--every", type=cli.positive_int, metavar="SECONDS", help="fetch again and again, until SIGTERM")
    how.add_argument("--if-any", action="store_true", help="exit with 0 if the registry has no champion yet")
    options = parser.parse_args(arguments)
    settings = Settings.from_environment()
    server = TrackingServer(settings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # process 1 of a container has no default handler
    if options.every:
        follow(settings.MODEL_DIR, server, options.every)
    try:
        _fetch_and_say(settings.MODEL_DIR, server)
    except NoChampionError as error:
        if not options.if_any:
            raise
        log.info("%s", error)


if __name__ == "__main__":
    cli.run(main)
