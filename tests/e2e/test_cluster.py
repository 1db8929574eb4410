"""Replicas that share only MLflow, on PostgreSQL and an S3 store, as docs/how-to/kubernetes.md describes it. Needs `make cluster`."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cluster as servers
import numpy as np
import pytest
import requests
import yaml
from serving import wait_until
from training import PRELOADED, SHORT

from closes.snapshot import read_snapshot
from forecast.metadata import Metadata
from models.publishing import publish, staging_folder
from models.store import METADATA_FILE, current_version, read_published
from settings import PROJECT_DIR, Settings
from tracking.champion import set_champion
from tracking.kept import RunRecord
from tracking.log import log_run
from tracking.names import MODEL_FILES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(bool(servers.missing()), reason=servers.missing()),
    pytest.mark.timeout(600),
]
CLOSES = read_snapshot("MSFT").prices[-60:].tolist()
ALIASES = "api/2.0/mlflow/registered-models/alias"


@pytest.fixture(scope="module")
def cluster():
    with servers.cluster(environment_of_mlflow()) as running:
        yield running


def environment_of_mlflow():
    """The variables that deploy/kubernetes gives MLflow, without those of its secret."""
    (deployment, *_) = yaml.safe_load_all((PROJECT_DIR / "deploy" / "kubernetes" / "mlflow.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {variable["name"]: variable["value"] for variable in container["env"]}


def run(cluster, model_dir, *words):
    own = {"MLFLOW_TRACKING_URI": cluster.mlflow, "MODEL_DIR": str(model_dir)}
    own["PATH"] = f"{Path(PRELOADED.python()).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(words, cwd=PROJECT_DIR, env=os.environ | own, capture_output=True, text=True, check=False)


def log_another(cluster, model_dir):
    """Log the published model as the run of another version, which becomes the champion."""
    published, settings = read_published(model_dir), Settings(MLFLOW_TRACKING_URI=cluster.mlflow, MODEL_DIR=model_dir)
    metadata = Metadata.model_validate(published.metadata).changed(model_version=f"{published.version}-again", mlflow_run_id=None)
    with staging_folder(model_dir) as staged:
        for name in MODEL_FILES:
            shutil.copy(published.folder / name, staged)
        (staged / METADATA_FILE).unlink()
        record = RunRecord(metadata, {}, {}, published.folder, np.array([CLOSES]))
        publish(model_dir, metadata.changed(mlflow_run_id=log_run(record, settings)).as_dict(), staged)
    return set_champion(model_dir, settings)


def training_script():
    """What the CronJob runs, with a short training from the embedded snapshot."""
    cronjob, _ = yaml.safe_load_all((PROJECT_DIR / "deploy" / "kubernetes" / "retrain.yaml").read_text())
    (container,) = cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    (script,) = container["args"]
    return [*container["command"], script.replace("modelTrain.py --nightly", f"modelTrain.py {' '.join(SHORT)}")]


def answered_by(service):
    answer = requests.post(f"{service.url}/predict", json={"predict": CLOSES}, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()["model_version"]


def test_host_of_the_cluster_is_allowed(cluster):
    call = f"{cluster.mlflow}/api/2.0/mlflow/experiments/get?experiment_id=0"
    for host, status in (("mlflow:8020", 200), ("mlflow.stock-forecast.svc:8020", 200), ("elsewhere.example", 403)):
        assert requests.get(call, headers={"Host": host}, timeout=30).status_code == status, host


def test_replicas_follow_the_champion(cluster, tmp_path, start):
    """A training elsewhere, a replica that starts, one that runs, and an alias that is set back."""
    trained, replica = tmp_path / "trained", tmp_path / "replica"
    done = run(cluster, trained, *training_script())
    assert done.returncode == 0, done.stderr
    first = current_version(trained)
    assert cluster.rows("SELECT count(*) FROM registered_model_aliases WHERE alias = 'champion'") == ["1"]
    assert "/artifacts/modelFiles/my_model.onnx</Key>" in cluster.objects()

    done = run(cluster, replica, "python", "-m", "tracking.fetch")
    assert done.stderr == f"Version {first} is published in {replica}.\n"
    service = start(MODEL_DIR=str(replica))
    assert answered_by(service) == first

    own = {"MLFLOW_TRACKING_URI": cluster.mlflow, "MODEL_DIR": str(replica)}
    follower = subprocess.Popen([sys.executable, "-m", "tracking.fetch", "--every", "1"], cwd=PROJECT_DIR, env=os.environ | own)
    try:
        second = log_another(cluster, trained)
        wait_until(lambda: answered_by(service) == second, 60, "the second version")
        names = {"name": "stock-forecast", "alias": "champion", "version": "1"}
        requests.post(f"{cluster.mlflow}/{ALIASES}", json=names, timeout=30).raise_for_status()
        wait_until(lambda: answered_by(service) == first, 60, "the first version again")
        follower.send_signal(signal.SIGTERM)
        assert follower.wait(30) == 0
    finally:
        follower.kill()
        follower.wait()
