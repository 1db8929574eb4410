"""The champion is fetched from a real tracking server, and published only if it is whole."""

import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest
import requests
from tracking_server import TrackingServer

from models.loading import load_forecaster
from models.publishing import publish, record_run, staging_folder
from models.store import SCALER_FILE, current_version, read_published
from settings import PROJECT_DIR, Settings
from tracking import fetch
from tracking.champion import set_champion
from tracking.fetch import FetchError, NoChampionError, fetch_champion
from tracking.log import log_run
from tracking.names import CHAMPION, MODEL_FILES, REGISTERED_MODEL

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
ALIASES = "api/2.0/mlflow/registered-models/alias"
NAMES = {"name": REGISTERED_MODEL, "alias": CHAMPION}


@pytest.fixture(scope="module")
def tracking(tmp_path_factory):
    server = TrackingServer(tmp_path_factory.mktemp("tracking") / "server")
    server.start()
    yield server
    server.signal(15)


@pytest.fixture
def settings(tracking, model_dir):
    return Settings(MLFLOW_TRACKING_URI=tracking.url, MODEL_DIR=model_dir)


@pytest.fixture
def champion(settings, record):
    """The run of the model in `settings.MODEL_DIR`, which the alias names."""
    run_id = log_run(record, settings)
    record_run(settings.MODEL_DIR, record.version, run_id)
    set_champion(settings.MODEL_DIR, settings)
    return run_id


@pytest.fixture
def replica(tmp_path):
    return tmp_path / "replica"


def server_of(settings):
    return fetch.TrackingServer(settings)


def artifact(tracking, run_id, name):
    (found,) = tracking.folder.glob(f"artifacts/*/{run_id}/artifacts/modelFiles/{name}")
    return found


def content(model_dir):
    published = read_published(model_dir)
    sums = {name: published.read(name) for name in published.metadata["files"]}
    return sums, {name: value for name, value in published.metadata.items() if name != "previous_version"}


def command(model_dir, url, *options):
    own = {"MODEL_DIR": str(model_dir), "MLFLOW_TRACKING_URI": url}
    words = [sys.executable, "-m", "tracking.fetch", *options]
    return subprocess.run(words, cwd=PROJECT_DIR, env=os.environ | own, capture_output=True, text=True, timeout=60, check=False)


def test_replica_publishes_what_the_training_published(settings, champion, replica):
    assert fetch_champion(replica, server_of(settings))
    assert content(replica) == content(settings.MODEL_DIR)
    assert set(content(replica)[0]) == set(MODEL_FILES) - {"metadata.json"}
    assert load_forecaster(replica)


def test_champion_that_is_published_already_changes_nothing(settings, champion, replica):
    server = server_of(settings)
    fetch_champion(replica, server)
    before = (replica / "metadata.json").stat()
    assert fetch_champion(replica, server) is None
    assert (replica / "metadata.json").stat() == before


def test_damaged_copy_is_fetched_again(settings, champion, replica):
    server = server_of(settings)
    fetch_champion(replica, server)
    (read_published(replica).folder / SCALER_FILE).write_bytes(b"damaged")
    assert fetch_champion(replica, server)
    assert load_forecaster(replica)


def test_alias_that_goes_back_is_followed(settings, champion, replica, record):
    server = server_of(settings)
    fetch_champion(replica, server)
    with staging_folder(replica) as staged:
        for name in MODEL_FILES:
            shutil.copy(record.folder / name, staged)
        publish(replica, record.metadata.changed(model_version="later", mlflow_run_id="1" * 32).as_dict(), staged)
    assert current_version(replica) == "later"
    assert fetch_champion(replica, server)
    assert current_version(replica) == record.version


def test_model_that_was_not_logged_as_it_is_stored_is_refused(settings, champion, replica, tracking):
    stored = artifact(tracking, champion, SCALER_FILE)
    stored.write_bytes(stored.read_bytes() + b" ")
    with pytest.raises(FetchError, match=rf"^The files of run {champion} are not those that were logged\.$") as caught:
        fetch_champion(replica, server_of(settings))
    assert caught.value.details == [f"{SCALER_FILE} has another SHA-256 than when it was published"]
    assert not (replica / "metadata.json").exists()
    assert not list((replica / "versions").iterdir())


def test_missing_file_is_named_without_a_traceback(settings, champion, replica, tracking):
    artifact(tracking, champion, SCALER_FILE).unlink()
    done = command(replica, tracking.url)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: MLflow at {tracking.url} answers ")
    assert done.stderr.endswith(f"/{champion}/artifacts/modelFiles/{SCALER_FILE}.\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("damage", [{}, {"files": {}}, {"model_version": "../../elsewhere"}], ids=["empty", "no sums", "path"])
def test_metadata_without_a_valid_version_is_refused(settings, champion, replica, tracking, damage):
    stored = artifact(tracking, champion, "metadata.json")
    stored.write_text(json.dumps(json.loads(stored.read_bytes()) | damage if damage else {}))
    with pytest.raises(FetchError):
        fetch_champion(replica, server_of(settings))
    assert not (replica / "metadata.json").exists()


def test_registry_without_a_champion_is_an_error_unless_it_is_expected(settings, champion, replica, tracking):
    requests.delete(f"{tracking.url}/{ALIASES}", json=NAMES, timeout=30).raise_for_status()
    with pytest.raises(NoChampionError):
        fetch_champion(replica, server_of(settings))
    said = f"MLflow at {tracking.url} has no {REGISTERED_MODEL}@{CHAMPION} yet. Train a model: python modelTrain.py\n"
    done, expected = command(replica, tracking.url), command(replica, tracking.url, "--if-any")
    assert (done.returncode, done.stderr) == (1, f"error: {said}")
    assert (expected.returncode, expected.stderr) == (0, said)


def test_new_registry_has_no_champion(tracking, replica, monkeypatch):
    monkeypatch.setattr(fetch, "REGISTERED_MODEL", "never-registered")
    with pytest.raises(NoChampionError):
        fetch_champion(replica, server_of(Settings(MLFLOW_TRACKING_URI=tracking.url)))


def test_server_that_does_not_answer_is_named(replica):
    done = command(replica, "http://user:secret@127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr == "error: MLflow at http://127.0.0.1:1 does not answer: [Errno 111] Connection refused.\n"


def test_address_of_a_file_is_refused():
    with pytest.raises(FetchError, match="MLFLOW_TRACKING_URI is not a tracking server"):
        server_of(Settings())


class Stub(BaseHTTPRequestHandler):
    """A server that is not MLflow."""

    seen: ClassVar[list[str | None]] = []

    def do_GET(self):
        self.seen.append(self.headers["Authorization"])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, *arguments):
        pass


def test_server_that_is_not_mlflow_is_said_and_gets_the_password(replica):
    with HTTPServer(("127.0.0.1", 0), Stub) as stub:
        threading.Thread(target=stub.serve_forever, daemon=True).start()
        settings = Settings(MLFLOW_TRACKING_URI=f"http://user:p%40ss@127.0.0.1:{stub.server_port}")
        with pytest.raises(FetchError, match="answers mlflow/registered-models/alias in another way than MLflow"):
            fetch_champion(replica, server_of(settings))
        stub.shutdown()
    assert Stub.seen == ["Basic dXNlcjpwQHNz"]
