"""The registered model in Spark, as docs/how-to/spark.md describes it: a real master and two workers. Needs `make spark`."""

import json
import subprocess
import sys
import time

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from training import copy_empty_database

import sparkCluster
from closes.snapshot import read_snapshot
from forecast.bulk import FIELDS, WARNINGS
from modelPredict import main
from processData import make_windows
from settings import PROJECT_DIR, Settings
from tracking.champion import set_champion

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(bool(sparkCluster.missing()), reason=sparkCluster.missing()),
    pytest.mark.timeout(900),
]
SYMBOLS = ("MSFT", "AAPL", "KO", "XOM", "JNJ", "PG", "WMT")  # 22,000 windows


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """An MLflow database with the published model as its champion."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    copy_empty_database(tmp_path)
    settings = Settings.from_environment()
    set_champion(settings.MODEL_DIR, settings)
    return settings


def test_spark_forecasts_what_the_command_forecasts(settings, tmp_path):
    windows = np.concatenate([make_windows(read_snapshot(symbol).prices)[0] for symbol in SYMBOLS])
    windows[5, 7] = -1.0
    source, parts = tmp_path / "windows.parquet", tmp_path / "windows"
    content = pa.table({"id": np.arange(len(windows)), "window": pa.array(list(windows))})
    pq.write_table(content, source)
    parts.mkdir()
    for number in range(4):  # Spark reads one small file as one task
        share = len(windows) // 4 + 1
        pq.write_table(content.slice(number * share, share), parts / f"{number}.parquet")
    out, folder = tmp_path / "forecasts.parquet", tmp_path / "spark"
    with sparkCluster.cluster(folder) as master:
        words = ["--master", master, "--in", str(parts), "--out", str(tmp_path / "spark.parquet")]
        command = [sys.executable, str(PROJECT_DIR / "benchmarks" / "sparkScoring.py"), *words]
        done = subprocess.run(command, cwd=tmp_path, env=sparkCluster.environment(folder), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        assert len(list(folder.glob("*/app-*/*"))) == 2, "both workers take part"
    assert json.loads(done.stdout.splitlines()[-1])["rows"] == len(windows)
    main(["--in", str(source), "--out", str(out)])
    by_command, by_spark = pq.read_table(out), pq.read_table(tmp_path / "spark.parquet").sort_by("id")
    assert by_spark["predicted_price"].to_numpy()[5] != by_spark["predicted_price"].to_numpy()[5]
    by_spark = by_spark.filter(pa.array(np.arange(len(windows)) != 5))
    assert by_spark["id"].equals(by_command["id"])
    for name in FIELDS:
        if name == WARNINGS:
            assert by_spark[name].to_pylist() == by_command[name].to_pylist()
        else:
            np.testing.assert_allclose(by_spark[name].to_numpy(), by_command[name].to_numpy(), rtol=1e-6)


def test_cluster_leaves_no_process(tmp_path):
    with sparkCluster.cluster(tmp_path, workers=1):
        started = psutil.Process().children(recursive=True)
        assert len([process for process in started if process.name() == "java"]) == 2
    deadline = time.monotonic() + 20
    while any(process.is_running() and process.name() == "java" for process in started):
        assert time.monotonic() < deadline
        time.sleep(0.1)
