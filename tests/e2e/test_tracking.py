"""A training that logs to a real MLflow server of its own, as a team would run one."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import requests
from tracking_server import TrackingServer
from training import PART, PRELOADED, ROUGH_PLOTS

from closes.snapshot import read_snapshot
from models.loading import load_forecaster
from processData import make_windows
from settings import PROJECT_DIR

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path):
    started = TrackingServer(tmp_path / "server")
    try:
        started.start()
        yield started
    finally:
        if started.process.poll() is None:
            started.signal(signal.SIGCONT)
            started.signal(signal.SIGTERM)
        time.sleep(0.1)


def environment(server, model_dir):
    return os.environ | {"MLFLOW_TRACKING_URI": server.url, "MODEL_DIR": str(model_dir), "MATPLOTLIBRC": ROUGH_PLOTS}


def training(*options):
    return PRELOADED.command("modelTrain.py", *PART, *options)


def check_champion(server, model_dir, folder):
    """The registered model loads away from the project, as it brings its own code, and says what the published one says."""
    windows, _ = make_windows(read_snapshot("AAPL").prices)
    np.save(folder / "windows.npy", windows[:5])
    code = (
        "import mlflow, numpy, sys; print(mlflow.pyfunc.load_model('models:/stock-forecast@champion')"
        f".predict(numpy.load({str(folder / 'windows.npy')!r})).tolist())"
    )
    command = PRELOADED.command("-c", code)
    done = subprocess.run(command, cwd=folder, env=environment(server, model_dir), check=True, capture_output=True, text=True)
    expected = load_forecaster(model_dir).forecast(windows[:5]).prices[:, 0]
    assert json.loads(done.stdout.splitlines()[-1]) == expected.tolist()


def test_tracking_server_keeps_the_run_and_serves_the_champion(server, tmp_path):
    model_dir = tmp_path / "modelFiles"
    subprocess.run(training(), cwd=PROJECT_DIR, env=environment(server, model_dir), check=True, capture_output=True)
    metadata = json.loads((model_dir / "metadata.json").read_text())
    run = requests.get(f"{server.url}/api/2.0/mlflow/runs/get", params={"run_id": metadata["mlflow_run_id"]}, timeout=30).json()["run"]
    logged = {metric["key"]: metric["value"] for metric in run["data"]["metrics"]}
    assert logged["rmse"] == metadata["metrics"]["rmse"]
    assert logged["persistence/rmse"] == metadata["metrics"]["naive_rmse"]
    check_champion(server, model_dir, tmp_path)


@pytest.mark.parametrize(("number", "why"), [(signal.SIGKILL, "Connection refused"), (signal.SIGSTOP, "timed out")], ids=["gone", "silent"])
def test_tracking_server_that_stops_during_training_loses_nothing(server, tmp_path, number, why):
    """SIGSTOP: it hangs, so that calls are taken and never answered. MLflow's own retries would take a quarter of an hour."""
    model_dir = tmp_path / "modelFiles"
    own = environment(server, model_dir) | {"MLFLOW_HTTP_REQUEST_TIMEOUT": "3"}  # 8 in use, for each of three attempts
    process = subprocess.Popen(training("--promote", "always"), cwd=PROJECT_DIR, env=own, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch"):
            break
    server.signal(number)
    said = process.communicate(timeout=180)[1]
    assert process.returncode == 0, said
    assert "Traceback" not in said
    found = re.search(rf"^MLflow at {server.url} did not accept the run: .*{why}\. The run is saved\. Log it later: (.*)$", said, re.M)
    assert found, said
    assert json.loads((model_dir / "metadata.json").read_text())["mlflow_run_id"] is None
    assert load_forecaster(model_dir)
    if number == signal.SIGKILL:
        server.start()
    else:
        server.signal(signal.SIGCONT)
    bare = {name: value for name, value in os.environ.items() if name not in ("MODEL_DIR", "MLFLOW_TRACKING_URI")}
    bare["PATH"] = f"{Path(PRELOADED.python()).parent}{os.pathsep}{bare['PATH']}"
    subprocess.run(found[1], shell=True, cwd=PROJECT_DIR, env=bare, check=True, capture_output=True)
    run_id = json.loads((model_dir / "metadata.json").read_text())["mlflow_run_id"]
    run = requests.get(f"{server.url}/api/2.0/mlflow/runs/get", params={"run_id": run_id}, timeout=30).json()["run"]
    assert run["info"]["status"] == "FINISHED"
    check_champion(server, model_dir, tmp_path)
    assert not (PROJECT_DIR / found[1].split()[-1]).exists()
