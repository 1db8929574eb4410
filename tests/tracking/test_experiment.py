"""The page of the project's runs in the MLflow UI, from a SQLite file and from a tracking server."""

import json
import sqlite3
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from settings import Settings
from tracking.experiment import COLUMNS, LOOKUP_SECONDS, VIEW, VIEW_TAG, runs_page

UI = "http://127.0.0.1:8020/"
RUNS = "http://127.0.0.1:8020/#/experiments/7/runs?workflowType=machine_learning"
WITH_VIEW = f"{RUNS}&viewStateShareKey=test-scores"


@pytest.fixture
def database(tmp_path):
    """A SQLite file with the tables of MLflow that are read, and an experiment without the view."""
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE experiments (experiment_id INTEGER, name TEXT, lifecycle_stage TEXT)")
        connection.execute("CREATE TABLE experiment_tags (experiment_id INTEGER, key TEXT, value TEXT)")
        connection.execute("INSERT INTO experiments VALUES (0, 'Default', 'active'), (7, 'stock-forecast', 'active')")
        connection.commit()
    return path


def page(uri, ui=UI):
    return runs_page(ui, Settings(MLFLOW_TRACKING_URI=uri))


def test_runs_of_a_database_are_found(database):
    assert page(f"sqlite:///{database}") == RUNS
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("INSERT INTO experiment_tags VALUES (7, ?, ?)", (VIEW_TAG, VIEW))
        connection.commit()
    assert page(f"sqlite:///{database}") == WITH_VIEW
    assert page(f"sqlite:///{database}", "https://mlflow.example/ui").startswith("https://mlflow.example/ui/#/experiments/7/runs?")
    assert page(f"sqlite:///{database}", "https://mlflow.example/#/models") == "https://mlflow.example/#/models"


def test_start_page_is_the_fallback(database, tmp_path):
    assert page(f"sqlite:///{tmp_path}/none.db") == UI
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "other.db").write_bytes(b"no database" * 100)
    assert page(f"sqlite:///{tmp_path}/other.db") == UI
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE experiments SET lifecycle_stage = 'deleted'")
        connection.commit()
    assert page(f"sqlite:///{database}") == UI
    assert page("postgresql://host/mlflow") == UI
    assert page("http://127.0.0.1:9") == UI


class Server(BaseHTTPRequestHandler):
    """Answers as MLflow's tracking server, once it may."""

    may_answer = threading.Event()

    def do_GET(self):
        assert self.path == "/mlflow/api/2.0/mlflow/experiments/get-by-name?experiment_name=stock-forecast"
        assert self.headers["Authorization"] == "Basic dXNlcjpwQHNz"
        self.may_answer.wait(30)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"experiment": {"experiment_id": "7", "tags": [{"key": VIEW_TAG, "value": VIEW}]}}).encode())

    def log_message(self, *_):
        pass


def test_slow_server_is_not_waited_for_and_its_answer_serves_later():
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://user:p%40ss@127.0.0.1:{server.server_port}/mlflow/"
        started = time.monotonic()
        assert page(uri) == UI
        assert time.monotonic() - started >= LOOKUP_SECONDS
        Server.may_answer.set()
        deadline = time.monotonic() + 30
        while page(uri) == UI and time.monotonic() < deadline:
            pass  # each call waits LOOKUP_SECONDS
        server.shutdown()
    assert page(uri) == WITH_VIEW


@pytest.mark.slow
def test_columns_of_the_view_are_what_runs_have(record, tmp_path, monkeypatch):
    from tracking.log import log_run

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    settings = Settings.from_environment()
    log_run(record, settings)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        (experiment,) = connection.execute("SELECT experiment_id FROM experiments WHERE name = 'stock-forecast'").fetchone()
        found = {f"{table}.`{key}`" for table in ("metrics", "params") for (key,) in connection.execute(f"SELECT key FROM {table}")}
    assert set(COLUMNS) - found == {"attributes.`Duration`"}
    assert runs_page(UI, settings) == WITH_VIEW.replace("/7/", f"/{experiment}/")
