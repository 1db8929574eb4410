"""Runs that cannot be logged to MLflow at once: kept in a folder and logged later. All on real SQLite files."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from training import PART, PRELOADED, copy_empty_database

from closes.snapshot import read_snapshot
from models.loading import load_forecaster
from models.publishing import publish, record_run, staging_folder
from models.store import read_published
from processData import make_windows
from settings import PROJECT_DIR, Settings
from storage import locked
from tracking import champion, connection, registry
from tracking import log as log_module
from tracking import runs as runs_module
from tracking.champion import point_champion, set_champion
from tracking.connection import check_tracking
from tracking.content import run_name
from tracking.kept import RunRecord, keep
from tracking.log import log_run
from tracking.names import MODEL_FILES
from tracking.runs import log_or_keep, main

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture
def settings(tmp_path, model_dir, monkeypatch):
    monkeypatch.setenv("MODEL_DIR", str(model_dir))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    (tmp_path / "mlruns").mkdir()
    copy_empty_database(tmp_path / "mlruns")
    return Settings.from_environment()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(connection, "LOCK_SECONDS", 0.5)


@pytest.fixture
def kept(record, tmp_path):
    return keep(record, tmp_path / "mlruns" / "unlogged")


@contextmanager
def lock(settings):
    """The database locked by another program."""
    with closing(sqlite3.connect(database(settings), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


def database(settings):
    return Path(settings.MLFLOW_TRACKING_URI.removeprefix("sqlite:///"))


def runs(settings):
    """Id, status and name of each run."""
    with closing(sqlite3.connect(database(settings))) as connection:
        return connection.execute("SELECT run_uuid, status, name FROM runs ORDER BY start_time").fetchall()


def registered(settings):
    """The run of each registered version, and where the alias points."""
    with closing(sqlite3.connect(database(settings))) as connection:
        found = dict(connection.execute("SELECT version, run_id FROM model_versions ORDER BY version").fetchall())
        aliases = connection.execute("SELECT version FROM registered_model_aliases WHERE alias = 'champion'").fetchall()
    return list(found.values()), [found[version] for (version,) in aliases]


def run(*words):
    """A command in a preloaded process, with the settings of the test."""
    return subprocess.run(PRELOADED.command(*words), cwd=PROJECT_DIR, capture_output=True, text=True, check=False)


def run_elsewhere(command):
    """A command to the letter as it was said, from a shell without settings."""
    bare = {name: value for name, value in os.environ.items() if name not in ("MODEL_DIR", "MLFLOW_TRACKING_URI")}
    bare["PATH"] = f"{Path(PRELOADED.python()).parent}{os.pathsep}{bare['PATH']}"
    subprocess.run(command, shell=True, cwd=PROJECT_DIR, env=bare, check=True, capture_output=True)


def test_kept_run_is_logged_later_and_becomes_champion(settings, kept, record, tmp_path):
    database(settings).unlink()  # the command makes it
    done = run("-m", "tracking.runs", str(kept))
    assert done.returncode == 0, done.stderr
    ((run_id, status, name),) = runs(settings)
    assert (status, name) == ("FINISHED", run_name(record.metadata))
    assert registered(settings) == ([run_id], [run_id])
    published = read_published(settings.MODEL_DIR)
    assert published.metadata["mlflow_run_id"] == run_id
    assert json.loads((published.folder / "metadata.json").read_text()) == published.metadata
    assert not kept.exists()

    import mlflow

    mlflow.set_tracking_uri(settings.MLFLOW_TRACKING_URI)
    client = mlflow.MlflowClient()
    logged = client.get_run(run_id)
    assert logged.data.metrics["rmse"] == record.metadata.metrics.rmse
    coverage = client.download_artifacts(run_id, "coverage.csv", str(tmp_path))
    assert f"volatility,calm,214,{record.metadata.coverage['volatility']['calm']['coverage_80']}," in Path(coverage).read_text()
    assert [metric.value for metric in client.get_metric_history(run_id, "val_loss")] == [0.75, 0.5]
    assert logged.data.params["data_sha256"] == record.metadata.data_sha256
    assert logged.data.tags["mlflow.source.name"].endswith("tracking/runs.py")
    assert [file.path for file in client.list_artifacts(run_id, "plots")] == ["plots/losses.png"]
    assert len(client.list_artifacts(run_id, "modelFiles")) == 5
    windows, _ = make_windows(read_snapshot("AAPL").prices)
    given = mlflow.pyfunc.load_model("models:/stock-forecast@champion").predict(windows[:5])
    np.testing.assert_array_equal(given, load_forecaster(settings.MODEL_DIR).forecast(windows[:5]).prices[:, 0])


def test_logging_a_rejected_run_changes_no_alias_or_publication(settings, record, tmp_path):
    record_run(settings.MODEL_DIR, record.version, log_run(record, settings))
    set_champion(settings.MODEL_DIR, settings)
    before = (settings.MODEL_DIR / "metadata.json").read_bytes()
    refused = RunRecord(record.metadata.changed(model_version="refused"), record.losses, record.plots, record.folder, record.example)
    (tmp_path / "files").mkdir()
    for path in record.folder.iterdir():
        shutil.copy(path, tmp_path / "files")
    (tmp_path / "files" / "metadata.json").write_text(json.dumps(refused.metadata.as_dict()))
    refused = RunRecord(refused.metadata, record.losses, record.plots, tmp_path / "files", record.example)
    main([str(keep(refused, tmp_path / "unlogged"))])
    assert [(status, name) for _, status, name in runs(settings)] == 2 * [("FINISHED", run_name(record.metadata))]
    assert registered(settings)[1] == [runs(settings)[0][0]]
    assert (settings.MODEL_DIR / "metadata.json").read_bytes() == before
    assert list((tmp_path / "unlogged").iterdir()) == []


def test_run_for_a_locked_database_is_kept_and_logged_by_the_command(settings, record, caplog):
    check_tracking(settings)
    with lock(settings):
        started = time.monotonic()
        assert log_or_keep(record, settings.MODEL_DIR, settings) is None
        assert time.monotonic() - started < 20
    (said,) = caplog.messages
    assert "did not accept the run: database is locked. The run is saved. Log it later: " in said
    command = said.partition("Log it later: ")[2]
    assert re.fullmatch(rf"MLFLOW_TRACKING_URI=sqlite:///\S+ MODEL_DIR=\S+ python -m tracking.runs \S+/unlogged/{record.version}", command)
    run_elsewhere(command)
    ((run_id, status, _),) = runs(settings)
    assert status == "FINISHED"
    assert registered(settings) == ([run_id], [run_id])


def test_run_is_marked_partial_if_the_database_locks_meanwhile(settings, record, tmp_path, caplog):
    check_tracking(settings)
    done = threading.Event()

    def lock_when_there_is_a_run():
        while not runs(settings):
            time.sleep(0.001)
        with lock(settings):
            done.wait()

    locking = threading.Thread(target=lock_when_there_is_a_run)
    locking.start()
    started = time.monotonic()
    try:
        assert log_or_keep(record, settings.MODEL_DIR, settings) is None
    finally:
        done.set()
        locking.join()
    assert time.monotonic() - started < 30
    assert "did not accept the run: database is locked." in caplog.text
    assert [status for _, status, _ in runs(settings)] == ["RUNNING"]
    main([str(tmp_path / "mlruns" / "unlogged" / record.version)])
    assert [status for _, status, _ in runs(settings)] == ["FAILED", "FINISHED"]
    assert registered(settings) == ([runs(settings)[1][0]], [runs(settings)[1][0]])


def test_failed_run_is_marked_at_once(settings, record, monkeypatch, caplog):
    monkeypatch.setattr(registry, "PYFUNC_CODE", ["missing.py"])
    assert log_or_keep(record, settings.MODEL_DIR, settings) is None
    assert "missing.py" in caplog.text
    assert [status for _, status, _ in runs(settings)] == ["FAILED"]


def test_logged_run_with_a_leftover_folder_is_not_logged_twice(settings, record, kept):
    run_id = log_run(record, settings)  # and killed here
    main([str(kept)])
    assert [found for found, _, _ in runs(settings)] == [run_id]
    assert registered(settings) == ([run_id], [run_id])
    assert read_published(settings.MODEL_DIR).metadata["mlflow_run_id"] == run_id
    assert not kept.exists()


def test_run_being_logged_by_another_process_is_skipped(settings, kept):
    with locked(kept):
        done = run("-m", "tracking.runs", str(kept))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"error: The run in {kept} is being logged by another process."
    assert kept.exists()


def test_run_is_kept_until_it_is_logged(settings, record, monkeypatch, tmp_path):
    place, seen = tmp_path / "mlruns" / "unlogged", []
    register = registry.register

    def look_and_register(*arguments):
        seen.extend(place.iterdir())
        register(*arguments)

    monkeypatch.setattr(log_module, "register", look_and_register)
    assert log_or_keep(record, settings.MODEL_DIR, settings)
    assert [path.name for path in seen] == [record.version]
    assert list(place.iterdir()) == []


def test_ctrl_c_during_logging_does_not_lose_the_run(settings, record, monkeypatch, caplog, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(log_module, "register", interrupt)
        with pytest.raises(KeyboardInterrupt):
            log_or_keep(record, settings.MODEL_DIR, settings)
    assert "Interrupted while the run was logged. The run is saved. Log it later: " in caplog.text
    main([str(tmp_path / "mlruns" / "unlogged" / record.version)])
    assert [status for _, status, _ in runs(settings)] == ["FAILED", "FINISHED"]


@pytest.mark.usefixtures("impatient")
def test_run_is_kept_next_to_the_model_as_a_fallback(settings, record, caplog, tmp_path):
    check_tracking(settings)
    (tmp_path / "mlruns" / "unlogged").touch()  # no folder can be made there
    with lock(settings):
        log_or_keep(record, settings.MODEL_DIR, settings)
    assert f"It cannot be saved in {tmp_path}/mlruns/unlogged (File exists). The run is saved. Log it later: " in caplog.text
    main([str(settings.MODEL_DIR / "unlogged" / record.version)])
    assert [status for _, status, _ in runs(settings)] == ["FINISHED"]


def test_run_that_cannot_be_kept_is_still_logged(settings, record, caplog, tmp_path):
    for folder in (tmp_path / "mlruns", settings.MODEL_DIR):
        (folder / "unlogged").touch()
    assert log_or_keep(record, settings.MODEL_DIR, settings)
    assert caplog.messages == []
    assert not (record.folder / ".lock").exists()  # it would be published


def test_command_names_a_model_folder_that_is_not_the_serving_one(settings, record, caplog, tmp_path, kept):
    other = Path(shutil.copytree(settings.MODEL_DIR, tmp_path / "other models"))
    command = runs_module._later_command(kept, other, settings)
    assert command.endswith(f" --model-dir '{other}'")
    usual = Settings()
    below = PROJECT_DIR / "mlruns" / "unlogged" / "v1"
    assert runs_module._later_command(below, usual.MODEL_DIR, usual) == "python -m tracking.runs mlruns/unlogged/v1"
    before = (settings.MODEL_DIR / "metadata.json").read_bytes()
    run_elsewhere(command)
    assert read_published(other).metadata["mlflow_run_id"] == runs(settings)[0][0]
    assert (settings.MODEL_DIR / "metadata.json").read_bytes() == before
    assert registered(settings)[1] == []


# The alias


@pytest.mark.usefixtures("impatient")
def test_command_without_a_folder_moves_a_pending_alias(settings, record, caplog):
    run_id = log_run(record, settings)
    record_run(settings.MODEL_DIR, record.version, run_id)
    with lock(settings):
        point_champion(settings.MODEL_DIR, settings)
    assert caplog.messages[-1].endswith("leaves the alias 'champion' unchanged: database is locked. Set it later: python -m tracking.runs")
    assert registered(settings)[1] == []
    done = run("-m", "tracking.runs")
    assert done.returncode == 0, done.stderr
    assert registered(settings)[1] == [run_id]


@pytest.mark.parametrize("run_id", [None, "0" * 32])
def test_alias_of_a_model_without_a_run_makes_one_from_its_files(settings, record, run_id):
    record_run(settings.MODEL_DIR, record.version, run_id)
    assert set_champion(settings.MODEL_DIR, settings) == record.version
    assert set_champion(settings.MODEL_DIR, settings) == record.version  # and no second run
    ((made, status, name),) = runs(settings)
    assert (status, name) == ("FINISHED", run_name(record.metadata))
    assert registered(settings) == ([made], [made])


def test_alias_of_a_model_whose_run_is_saved_logs_that_run(settings, kept):
    set_champion(settings.MODEL_DIR, settings)
    ((run_id, _, _),) = runs(settings)
    with closing(sqlite3.connect(database(settings))) as connection:
        assert connection.execute("SELECT count(*) FROM metrics WHERE run_uuid = ? AND key = 'val_loss'", (run_id,)).fetchone() == (2,)


def test_alias_follows_a_model_published_meanwhile(settings, record, monkeypatch, tmp_path):
    """Another training has set the alias before this one, which knows only of its own model, sets it."""
    record_run(settings.MODEL_DIR, record.version, log_run(record, settings))

    def publish_another(*arguments):
        monkeypatch.undo()
        monkeypatch.setenv("MODEL_DIR", str(settings.MODEL_DIR))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", settings.MLFLOW_TRACKING_URI)
        with staging_folder(settings.MODEL_DIR) as staged:
            for name in MODEL_FILES:
                shutil.copy(record.folder / name, staged)
            other = RunRecord(record.metadata.changed(model_version="other"), record.losses, record.plots, staged, record.example)
            publish(settings.MODEL_DIR, other.metadata.changed(mlflow_run_id=log_run(other, settings)).as_dict(), staged)
        return connection.connect(*arguments)

    monkeypatch.setattr(champion, "connect", publish_another)
    assert set_champion(settings.MODEL_DIR, settings) == "other"
    assert registered(settings)[1] == [read_published(settings.MODEL_DIR).metadata["mlflow_run_id"]]


# Failures in one line


@pytest.mark.parametrize("words", [["nowhere"], ["."], ["README.md"]])
def test_folder_without_a_saved_run_is_rejected_in_one_line(settings, words):
    done = run("-m", "tracking.runs", *words)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: {words[0]} holds no run that was kept for MLflow.")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.write_bytes(b"no database" * 100), "file is not a database"),
        (lambda path: path.mkdir(), "unable to open database file"),
        (lambda path: None, "database is locked"),
    ],
    ids=["other file", "folder", "locked"],
)
def test_unusable_database_ends_the_run_before_training(settings, spoil, said, tmp_path):
    database(settings).unlink()
    spoil(database(settings))
    command = ["modelTrain.py", *PART]
    if said == "database is locked":
        with lock(settings):
            done = run(*command)
    else:
        done = run(*command)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"error: MLflow at {settings.MLFLOW_TRACKING_URI} does not answer: {said}. Set MLFLOW_TRACKING_URI")
    assert "epoch" not in done.stderr


def test_alias_does_not_follow_a_folder_that_does_not_serve(settings):
    done = run("-m", "tracking.runs", "--model-dir", "elsewhere")
    assert done.returncode == 2
    assert "the alias follows only the model in MODEL_DIR" in done.stderr
