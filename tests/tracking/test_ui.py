"""The start of the MLflow UI. A real one runs in tests/e2e/test_service.py."""

import os
import socket
import subprocess
import sys

import pytest

from settings import PROJECT_DIR, Settings
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
