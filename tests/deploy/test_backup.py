"""deploy/backup.py saves and restores what a server would lose, while others write."""

import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from backup import save
from publishing import publish_symbol

from models.store import problems_of, read_published
from monitoring.requestlog import RequestLog
from settings import PROJECT_DIR
from storage import locked


@pytest.fixture
def places(tmp_path):
    """The folders of a service that was trained and asked, as options of the command."""
    models, log, mlruns = tmp_path / "modelFiles", tmp_path / "log" / "log_predictions.csv", tmp_path / "mlruns"
    shutil.copytree(PROJECT_DIR / "modelFiles", models, ignore=shutil.ignore_patterns(".*"))
    publish_symbol(models, "KO", "v2")
    log.parent.mkdir()
    requests = RequestLog(log, max_bytes=500, parts=3)
    while not log.with_name("log_predictions.csv.3").exists():
        requests.append({"status": 200, "last_close": 400})
    artifact = mlruns / "artifacts" / "1" / "model.txt"
    artifact.parent.mkdir(parents=True)
    artifact.write_text("weights")
    return {"--models": models, "--log": log, "--mlruns": mlruns}


def run(command, file, places):
    options = [str(part) for pair in places.items() for part in pair]
    call = [sys.executable, "deploy/backup.py", command, str(file), *options]
    return subprocess.run(call, cwd=PROJECT_DIR, capture_output=True, text=True, check=False)


def contents(folder):
    """The files of a folder, without locks."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def forget(places):
    for path in (places["--models"], places["--log"].parent, places["--mlruns"]):
        shutil.rmtree(path)


def test_everything_comes_back_after_it_was_deleted(places, tmp_path):
    folders = [places["--models"], places["--log"].parent, places["--mlruns"]]
    before = [contents(folder) for folder in folders]
    assert len(before[1]) == 4  # the log and three older parts
    assert run("save", tmp_path / "b.tar.gz", places).returncode == 0
    forget(places)
    done = run("restore", tmp_path / "b.tar.gz", places)
    assert done.returncode == 0, done.stderr
    assert [contents(folder) for folder in folders] == before
    for model_dir in (places["--models"], places["--models"] / "symbols" / "KO"):
        published = read_published(model_dir)
        assert not problems_of(published.folder, published.metadata["files"])


def test_what_was_written_after_the_backup_is_gone(places, tmp_path):
    run("save", tmp_path / "b.tar.gz", places)
    extra = places["--log"].with_name("log_predictions.csv.4")
    extra.write_text("newer")
    (places["--mlruns"] / "newer.txt").write_text("newer")
    assert run("restore", tmp_path / "b.tar.gz", places).returncode == 0
    assert not extra.exists()
    assert not (places["--mlruns"] / "newer.txt").exists()


def test_database_is_copied_with_the_rows_that_are_only_in_its_write_ahead_log(places, tmp_path):
    file = places["--mlruns"] / "mlflow.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA wal_autocheckpoint=0")
        database.execute("CREATE TABLE runs (name TEXT)")
        database.execute("INSERT INTO runs VALUES ('finished')")
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO runs VALUES ('half a run')")
        assert run("save", tmp_path / "b.tar.gz", places).returncode == 0
        database.execute("ROLLBACK")
    forget(places)
    run("restore", tmp_path / "b.tar.gz", places)
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT name FROM runs").fetchall() == [("finished",)]
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_backup_waits_for_a_publication(places, tmp_path):
    version = read_published(places["--models"]).folder
    saving = threading.Thread(target=save, args=(tmp_path / "b.tar.gz", *places.values()))
    with locked(places["--models"]):
        saving.start()
        saving.join(timeout=3)
        assert saving.is_alive()
        (version / "backtest.csv").write_bytes(b"complete")
    saving.join()
    with tarfile.open(tmp_path / "b.tar.gz") as archive:
        archive.extractall(tmp_path / "saved", filter="data")
    assert (tmp_path / "saved" / "models" / "versions" / version.name / "backtest.csv").read_bytes() == b"complete"


def test_ctrl_c_during_a_backup_leaves_the_last_one(places, tmp_path):
    file = tmp_path / "b.tar.gz"
    file.write_bytes(b"the last one")
    options = [str(part) for pair in places.items() for part in pair]
    with locked(places["--models"]):  # so it waits
        process = subprocess.Popen(
            [sys.executable, "deploy/backup.py", "save", str(file), *options], cwd=PROJECT_DIR, stderr=subprocess.PIPE, text=True
        )
        unfinished = tmp_path / ".b.tar.gz.tmp"
        while not unfinished.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (130, "interrupted\n")
    assert (file.read_bytes(), unfinished.exists()) == (b"the last one", False)


def test_parts_that_do_not_exist_are_skipped(places, tmp_path):
    shutil.rmtree(places["--mlruns"])
    saved = run("save", tmp_path / "b.tar.gz", places)
    assert f"skipped  mlruns: {places['--mlruns']} does not exist" in saved.stdout
    assert "skipped  mlruns: not in the backup" in run("restore", tmp_path / "b.tar.gz", places).stdout


def test_only_the_owner_reads_a_backup(places, tmp_path):
    run("save", tmp_path / "b.tar.gz", places)
    assert (tmp_path / "b.tar.gz").stat().st_mode & 0o777 == 0o600


def test_damaged_backup_changes_nothing(places, tmp_path):
    file = tmp_path / "b.tar.gz"
    run("save", file, places)
    file.write_bytes(file.read_bytes()[:-2000])
    before = contents(tmp_path)
    done = run("restore", file, places)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert contents(tmp_path) == before


def test_missing_backup_is_one_sentence(places, tmp_path):
    file = tmp_path / "nothing.tar.gz"
    assert run("restore", file, places).stderr == f"error: {file}: No such file or directory\n"


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="a folder where not even root can write")
def test_folder_that_cannot_be_written_is_one_sentence_that_says_what_to_do(places):
    assert run("save", "/sys/b.tar.gz", places).stderr.startswith("error: /sys/.b.tar.gz.tmp: Permission denied. Run this as root: sudo ")


def test_file_with_a_foreign_name_is_refused(places, tmp_path):
    file = tmp_path / "b.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        archive.add(PROJECT_DIR / "LICENSE", "models/../../etc/passwd")
    done = run("restore", file, places)
    assert done.returncode == 1
    assert "does not belong in a backup" in done.stderr


@pytest.mark.slow
def test_runs_of_mlflow_come_back(places, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{places['--mlruns']}/mlflow.db"
    client = mlflow.MlflowClient(uri)
    experiment = client.create_experiment("stock-forecast", artifact_location=str(places["--mlruns"] / "artifacts"))
    run_id = client.create_run(experiment).info.run_id
    client.log_metric(run_id, "rmse", 1.5)
    client.log_text(run_id, "a plot", "plot.txt")
    assert run("save", tmp_path / "b.tar.gz", places).returncode == 0
    forget(places)
    assert run("restore", tmp_path / "b.tar.gz", places).returncode == 0
    client = mlflow.MlflowClient(f"{uri}?restored")
    assert client.get_run(run_id).data.metrics == {"rmse": 1.5}
    assert (places["--mlruns"] / "artifacts" / run_id / "artifacts" / "plot.txt").read_text() == "a plot"
