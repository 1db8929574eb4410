"""Trainings during faults and other trainings: no trained model is lost, and none is published in part."""

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from disks import can_mount_alone
from training import EMPTY_DATABASE, PART, PRELOADED, SMALL, after, arguments, begin, copy_empty_database, environment, how

from closes.snapshot import read_snapshot
from forecast.split import split_in_time
from models.loading import load_forecaster
from models.store import KERAS_FILE, SCALER_FILE, read_published
from processData import make_windows
from settings import PROJECT_DIR
from storage import sha256
from tracking.kept import read_kept

pytestmark = pytest.mark.slow


def published_whole(folder):
    """The metadata of what is published, of which the copies are too."""
    published = read_published(folder / "modelFiles")
    for name in (KERAS_FILE, SCALER_FILE):
        assert sha256(folder / "modelFiles" / name) == published.metadata["files"][name]
    assert json.loads((published.folder / "metadata.json").read_text()) == published.metadata
    assert load_forecaster(folder / "modelFiles").version == published.version
    return published.metadata


def log_it_later(said):
    """Run the command that a training has said, to the letter, from a shell without settings."""
    bare = {name: value for name, value in os.environ.items() if name not in ("MODEL_DIR", "MLFLOW_TRACKING_URI")}
    bare["PATH"] = f"{Path(PRELOADED.python()).parent}{os.pathsep}{bare['PATH']}"
    given = re.findall(r"Log it later: (.*)", said)[0]
    done = subprocess.run(given, shell=True, cwd=PROJECT_DIR, env=bare, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def champion(folder):
    """The run of the registered model that the alias points at, and what it forecasts."""
    windows, _ = make_windows(read_snapshot("AAPL").prices)
    np.save(folder / "windows.npy", windows[:5])
    code = (
        "import json, mlflow, numpy, sys\n"
        "run = mlflow.MlflowClient().get_model_version_by_alias('stock-forecast', 'champion').run_id\n"
        "model = mlflow.pyfunc.load_model('models:/stock-forecast@champion')\n"
        f"print(json.dumps([run, model.predict(numpy.load({str(folder / 'windows.npy')!r})).tolist()]))"
    )
    command = PRELOADED.command("-c", code)
    done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=True)
    run_id, forecasts = json.loads(done.stdout.splitlines()[-1])
    assert forecasts == load_forecaster(folder / "modelFiles").forecast(windows[:5]).prices[:, 0].tolist()
    return run_id


@contextmanager
def locked_database(folder):
    """MLflow's database, locked by another program."""
    with closing(sqlite3.connect(folder / "mlflow.db", isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield


def tags(folder, name):
    """The value of a tag of each run by the version of its model."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        query = (
            "SELECT version.value, tags.value FROM runs JOIN tags USING (run_uuid) JOIN tags AS version USING (run_uuid) "
            "WHERE version.key = 'model_version' AND tags.key = ? AND runs.status = 'FINISHED'"
        )
        return dict(connection.execute(query, [name]).fetchall())


def test_database_locked_during_the_run_loses_nothing(tmp_path):
    training = begin(tmp_path, *PART, "--promote", "always")
    after(training, "epoch")
    with locked_database(tmp_path):
        said = training.communicate(timeout=120)[1]
    assert training.returncode == 0, said
    assert "Traceback" not in said
    metadata = published_whole(tmp_path)
    assert metadata["mlflow_run_id"] is None
    log_it_later(said)
    metadata = published_whole(tmp_path)
    assert champion(tmp_path) == metadata["mlflow_run_id"]
    assert list((tmp_path / "unlogged").iterdir()) == []


def test_rejected_model_is_kept_while_the_database_is_locked(trained_part, tmp_path):
    shutil.copytree(trained_part, tmp_path, dirs_exist_ok=True)
    before = published_whole(tmp_path)
    closes = read_snapshot("MSFT").between("2019-06-01", "2022-12-28")
    lure = np.exp(0.02 * np.minimum(np.arange(len(closes)), split_in_time(len(closes)).calibration + 60))  # a rise that ends after the fit
    rows = "".join(f"{day},{price!r}\n" for day, price in zip(closes.dates, (closes.prices * lure).tolist(), strict=True))
    (tmp_path / "closes.csv").write_text("date,close\n" + rows)
    training = begin(tmp_path, "--csv", str(tmp_path / "closes.csv"), *SMALL, "--epochs", "2")
    after(training, "epoch")
    with locked_database(tmp_path):
        said = training.communicate(timeout=120)[1]
    assert training.returncode == 3, said
    assert "Traceback" not in said
    (kept,) = (tmp_path / "unlogged").iterdir()
    record = read_kept(kept)
    assert record.metadata.promotion is not None
    assert not record.metadata.promotion.publish
    assert len(record.plots) == 4
    assert published_whole(tmp_path) == before
    log_it_later(said)
    assert tags(tmp_path, "promotion") == {before["model_version"]: "published", kept.name: "refused"}
    assert published_whole(tmp_path) == before
    assert champion(tmp_path) == before["mlflow_run_id"]


def test_failing_matplotlib_loses_only_the_plots(tmp_path):
    (tmp_path / "matplotlibrc").write_text("figure.dpi: 10000000\n")
    training = begin(tmp_path, *PART, env=environment(tmp_path) | {"MATPLOTLIBRC": str(tmp_path / "matplotlibrc")})
    said = training.communicate(timeout=200)[1]
    assert training.returncode == 0, said
    assert "There are no plots of this run: matplotlib failed (Image size of " in said
    assert "Traceback" not in said
    assert published_whole(tmp_path)["mlflow_run_id"] == champion(tmp_path)


@pytest.mark.skipif(not can_mount_alone(), reason="a small disk of its own takes a mount, which is not allowed here")
@pytest.mark.parametrize("promote", ["always", "never"])
def test_full_disk_under_mlflow_loses_nothing(tmp_path, promote):
    disk, go = tmp_path / "disk", tmp_path / "go"
    disk.mkdir()
    copy_empty_database(disk)  # for the time without the small disk
    fill = f"(while [ ! -e {go} ]; do sleep 0.1; done; head -c 100m /dev/zero > {disk}/full) 2>/dev/null &"
    words = shlex.join(PRELOADED.command(*arguments(tmp_path, *PART, "--promote", promote)))
    script = f"mount -t tmpfs -o size=8m none {disk} && cp {EMPTY_DATABASE} {disk}/mlflow.db && {fill} exec {words}"
    own = environment(tmp_path) | {"MLFLOW_TRACKING_URI": f"sqlite:///{disk}/mlflow.db"}
    training = subprocess.Popen(["unshare", "-rm", "sh", "-c", script], **(how(tmp_path) | {"env": own}))
    after(training, "epoch")
    go.touch()
    said = training.communicate(timeout=120)[1]
    assert training.returncode == 0, said
    assert "Traceback" not in said
    assert "did not accept the run: " in said
    assert f"It cannot be saved in {disk}/unlogged (No space left on device). The run is saved" in said
    (kept,) = (tmp_path / "modelFiles" / "unlogged").iterdir()
    assert read_kept(kept).version == kept.name
    if promote == "always":
        assert published_whole(tmp_path)["model_version"] == kept.name
    log_it_later(said)  # the disk is gone, and there is room where it was
    assert not kept.exists()


# Two at once


@pytest.mark.parametrize("promote", ["always", "if-better"])
def test_concurrent_trainings_leave_one_complete_model_and_both_runs(tmp_path, promote):
    trainings = [begin(tmp_path, *PART, "--promote", promote, "--seed", str(seed)) for seed in (1, 2)]
    endings = [(training.communicate(timeout=200)[1], training.returncode) for training in trainings]
    for said, code in endings:
        assert "Traceback" not in said, said
        assert code == 0 or (code == 3 and promote == "if-better" and said.splitlines()[-1].startswith("Not published. ")), said
    metadata = published_whole(tmp_path)
    runs = tags(tmp_path, "promotion")
    assert len(runs) == 2, endings
    assert metadata["model_version"] in runs
    assert champion(tmp_path) == metadata["mlflow_run_id"]
    versions = {path.name for path in (tmp_path / "modelFiles" / "versions").iterdir()}
    assert versions <= set(runs)
    assert len(versions) == [code for _, code in endings].count(0)
    assert {path.name for path in (tmp_path / "modelFiles").iterdir() if path.name[0] == "."} == {".lock"}
    assert list((tmp_path / "unlogged").iterdir()) == []
