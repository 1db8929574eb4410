"""The start of the MLflow UI. A real one runs in tests/e2e/test_service.py."""

import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing

import psutil
import pytest
from serving import wait_until

from settings import PROJECT_DIR, Settings
from storage import locked
from tracking import ui


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_free_port_has_no_problem(taken_port):
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    assert ui.port_problem(Settings(MLFLOW_UI_PORT=free)) is None


def test_port_in_use_is_named_and_no_ui_is_started(taken_port, caplog):
    assert ui.start(Settings(MLFLOW_UI_PORT=taken_port)) is None
    (message,) = caplog.messages
    assert message.startswith(f"No MLflow UI: MLFLOW_UI_HOST=127.0.0.1 MLFLOW_UI_PORT={taken_port}: Address already in use.")
    assert message.endswith("Set MLFLOW_UI_PORT to a free port, or MLFLOW_UI=off.")


def test_port_of_the_api_is_rejected(caplog):
    assert ui.start(Settings(PORT=8020)) is None
    assert "MLFLOW_UI_PORT=8020 is also PORT." in caplog.text


def test_standalone_ui_exits_with_one_line_if_its_port_is_in_use(taken_port):
    own = os.environ | {"MLFLOW_UI_PORT": str(taken_port)}
    done = subprocess.run([sys.executable, "-m", "tracking.ui"], cwd=PROJECT_DIR, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: MLFLOW_UI_HOST=127.0.0.1 MLFLOW_UI_PORT={taken_port}: Address already in use.")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_new_database_is_created_with_the_lock_that_trainings_take(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    database = tmp_path / "mlflow.db"
    own = os.environ | {"MLFLOW_UI_PORT": str(free), "MLFLOW_TRACKING_URI": f"sqlite:///{database}"}
    with locked(tmp_path), subprocess.Popen([sys.executable, "-m", "tracking.ui"], cwd=PROJECT_DIR, env=own) as process:
        try:
            wait_until(database.is_file, 60, "the database that waits for the lock")
            assert ["tracking.connection" in child.cmdline() for child in psutil.Process(process.pid).children()] == [True]
            with closing(sqlite3.connect(database)) as connection:
                assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
        finally:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()


def test_machine_that_does_not_tell_its_addresses_has_a_ui(monkeypatch):
    def refused():
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(psutil, "net_if_addrs", refused)
    assert "http://localhost:8021" in options(Settings(MLFLOW_UI_PORT=8021))["--cors-allowed-origins"]


def options(settings):
    """The options of MLflow's command, by their names."""
    command = ui.command(settings)[4:]
    return {name: value.split(",") for name, value in zip(command[::2], command[1::2], strict=True)}


def test_addresses_of_this_machine_are_origins_of_the_ui(monkeypatch):
    for name in (ui.HOSTS_VARIABLE, ui.ORIGINS_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ui, "_own_addresses", lambda: ["192.168.1.5"])
    given = options(Settings(MLFLOW_UI_PORT=8021))
    assert {"http://localhost:8021", "http://192.168.1.5:8021"} <= set(given["--cors-allowed-origins"])
    assert "--allowed-hosts" not in given


def test_named_hosts_are_hosts_and_origins_of_the_ui(monkeypatch):
    monkeypatch.setenv(ui.HOSTS_VARIABLE, "other.example")
    monkeypatch.setenv(ui.ORIGINS_VARIABLE, "http://other.example")
    given = options(Settings(MLFLOW_UI_PORT=8021, MLFLOW_UI_ALLOWED_HOSTS="stocks.example,[2001:db8::1]"))
    assert {"localhost:8021", "127.0.0.1:8021", "stocks.example", "stocks.example:8021", "[2001:db8::1]:8021"} <= set(
        given["--allowed-hosts"]
    )
    assert {"http://stocks.example:8021", "https://stocks.example"} <= set(given["--cors-allowed-origins"])
    assert "other.example" not in str(given)


def test_variables_of_mlflow_keep_their_meaning(monkeypatch):
    monkeypatch.delenv(ui.ORIGINS_VARIABLE, raising=False)
    monkeypatch.setenv(ui.HOSTS_VARIABLE, "stocks.example:8020, other.example:*,*")
    given = options(Settings())
    assert "--allowed-hosts" not in given
    assert {"http://stocks.example:8020", "http://other.example:*"} <= set(given["--cors-allowed-origins"])
    assert "http://*" not in given["--cors-allowed-origins"]
    monkeypatch.setenv(ui.ORIGINS_VARIABLE, "https://stocks.example")
    assert "--cors-allowed-origins" not in options(Settings())
