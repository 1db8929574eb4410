"""A training that logs to a real MLflow server of its own, as a team would run one."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import requests
from serving import answers, free_port, wait_until

from modelPredict import load_forecaster
from processData import make_windows, read_snapshot
from settings import PROJECT_DIR

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path):
    """The URL of a real tracking server with a database and artifacts of its own."""
    port = free_port()
    folder = tmp_path / "server"
    folder.mkdir()
    command = [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination", str(folder / "artifacts"), "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    url = f"http://127.0.0.1:{port}"

    try:
        wait_until(lambda: answers(f"{url}/health"), 180, "the tracking server")
        yield url
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)
        time.sleep(0.1)


def test_a_tracking_server_keeps_the_run_and_serves_the_champion(server, tmp_path):
    model_dir = tmp_path / "modelFiles"
    command = [
        sys.executable,
        "modelTrain.py",
        "--source",
        "snapshot",
        "--start",
        "2020-06-01",
        "--epochs",
        "1",
        "--model-dir",
        str(model_dir),
    ]
    subprocess.run(
        command,
        cwd=PROJECT_DIR,
        env=os.environ | {"MLFLOW_TRACKING_URI": server, "MODEL_DIR": str(model_dir)},
        check=True,
        capture_output=True,
    )
    metadata = json.loads((model_dir / "metadata.json").read_text())
    run = requests.get(f"{server}/api/2.0/mlflow/runs/get", params={"run_id": metadata["mlflow_run_id"]}, timeout=30).json()["run"]
    logged = {metric["key"]: metric["value"] for metric in run["data"]["metrics"]}
    assert logged["rmse"] == metadata["metrics"]["rmse"]
    assert logged["naive_rmse"] == metadata["metrics"]["naive_rmse"]
    windows, _ = make_windows(read_snapshot("AAPL").prices)
    np.save(tmp_path / "windows.npy", windows[:5])
    code = (
        "import mlflow, numpy, sys; print(mlflow.pyfunc.load_model('models:/stock-forecast@champion')"
        f".predict(numpy.load({str(tmp_path / 'windows.npy')!r})).tolist())"
    )
    # Away from the project: the model brings its own code.
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"MLFLOW_TRACKING_URI": server},
        check=True,
        capture_output=True,
        text=True,
    )
    expected = load_forecaster(model_dir).forecast(windows[:5]).prices[:, 0]
    assert json.loads(done.stdout.splitlines()[-1]) == expected.tolist()
