"""The registered model in Spark, as docs/how-to/spark.md describes it: a real master and two workers. Needs `make spark`."""

import json
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from training import PRELOADED, copy_empty_database

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
SYMBOLS = ("MSFT", "KO")  # 6,400 windows
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # of each JVM: less compilation, which a job of seconds does not repay


class Scored(NamedTuple):
    """Windows that Spark and the command have scored, and the processes of the cluster, which is closed."""

    windows: np.ndarray
    by_command: pa.Table
    by_spark: pa.Table
    rows: int
    executors: list[Path]
    processes: list[psutil.Process]


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Score with the published model, which is the champion of an MLflow database."""
    folder = tmp_path_factory.mktemp("spark")
    windows = np.concatenate([make_windows(read_snapshot(symbol).prices)[0] for symbol in SYMBOLS])
    windows[5, 7] = -1.0
    source, parts = folder / "windows.parquet", folder / "windows"
    content = pa.table({"id": np.arange(len(windows)), "window": pa.array(list(windows))})
    pq.write_table(content, source)
    parts.mkdir()
    for number in range(4):  # Spark reads one small file as one task
        share = len(windows) // 4 + 1
        pq.write_table(content.slice(number * share, share), parts / f"{number}.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        patch.setenv("JAVA_TOOL_OPTIONS", QUICK)
        copy_empty_database(folder)
        settings = Settings.from_environment()
        set_champion(settings.MODEL_DIR, settings)
        with sparkCluster.cluster(folder / "spark") as master:
            processes = [process for process in psutil.Process().children(recursive=True) if process.name() == "java"]
            words = ["--master", master, "--in", str(parts), "--out", str(folder / "spark.parquet")]
            command = PRELOADED.command(str(PROJECT_DIR / "benchmarks" / "sparkScoring.py"), *words)
            own = sparkCluster.environment(folder / "spark") | {"PYSPARK_PYTHON": PRELOADED.python()}
            done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr[-3000:]
        rows, executors = json.loads(done.stdout.splitlines()[-1])["rows"], list((folder / "spark").glob("*/app-*/*"))
        main(["--in", str(source), "--out", str(folder / "forecasts.parquet")])
    by_spark = pq.read_table(folder / "spark.parquet").sort_by("id")
    return Scored(windows, pq.read_table(folder / "forecasts.parquet"), by_spark, rows, executors, processes)


def test_spark_forecasts_what_the_command_forecasts(scored):
    n, by_command, by_spark = len(scored.windows), scored.by_command, scored.by_spark
    assert len(scored.executors) == 2, "both workers take part"
    assert scored.rows == n
    assert by_spark["predicted_price"].to_numpy()[5] != by_spark["predicted_price"].to_numpy()[5]
    by_spark = by_spark.filter(pa.array(np.arange(n) != 5))
    assert by_spark["id"].equals(by_command["id"])
    for name in FIELDS:
        if name == WARNINGS:
            assert by_spark[name].to_pylist() == by_command[name].to_pylist()
        else:
            np.testing.assert_allclose(by_spark[name].to_numpy(), by_command[name].to_numpy(), rtol=1e-6)


def test_cluster_leaves_no_process(scored):
    assert len(scored.processes) == 3  # a master and two workers
    deadline = time.monotonic() + 20
    while any(process.is_running() and process.name() == "java" for process in scored.processes):
        assert time.monotonic() < deadline
        time.sleep(0.1)
