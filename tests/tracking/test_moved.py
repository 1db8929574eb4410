"""A project that is moved or copied: its MLflow database leads to its own artifacts. On real databases of MLflow."""

import json
import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pytest
from serving import free_port
from training import PART, PRELOADED, after, copy_empty_database, environment, train_here

from models.loading import load_forecaster
from settings import PROJECT_DIR, Settings
from tracking import ui
from tracking.connection import connect, repoint_if_moved
from tracking.log import log_run
from tracking.moved import repoint

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

SAID = "MLflow's database was moved or copied"
LOCATIONS = (  # of artifacts, in MLflow's tables
    "SELECT artifact_location FROM experiments WHERE name = 'stock-forecast'",
    "SELECT artifact_uri FROM runs",
    "SELECT artifact_location FROM logged_models",
    "SELECT storage_location FROM model_versions",
)
LOAD = (
    "import mlflow, numpy, sys\n"
    "windows = numpy.load(sys.argv[1])\n"
    "print(mlflow.pyfunc.load_model('models:/stock-forecast@champion').predict(windows).tolist())"
)


def settings_of(folder):
    return Settings(MLFLOW_TRACKING_URI=f"sqlite:///{folder}/mlflow.db", MODEL_DIR=folder / "modelFiles")


def paths(folder):
    """Every path to artifacts in a database."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        return [path for query in LOCATIONS for (path,) in connection.execute(query)]


def lead_to(folder):
    """Whether every path leads into the folder next to the database, and there are some."""
    found = paths(folder)
    return len(found) >= len(LOCATIONS) and all(f"{path}/".startswith(f"{(folder / 'artifacts').as_uri()}/") for path in found)


def content(folder):
    """Every file of a folder with its content."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_champion(folder, windows):
    """The champion loads in a process of its own and says what the published model says."""
    np.save(folder / "windows.npy", windows)
    command = PRELOADED.command("-c", LOAD, str(folder / "windows.npy"))
    done = subprocess.run(command, cwd=folder, env=environment(folder), check=True, capture_output=True, text=True)
    expected = load_forecaster(folder / "modelFiles").forecast(windows).prices[:, 0]
    assert json.loads(done.stdout.splitlines()[-1]) == expected.tolist()


@pytest.fixture(scope="module", params=["projeto", "meu projeto ção 100% #1"])
def logged(request, tmp_path_factory, record_to_read):
    """A folder with a database that has a run and its model, and a copy of it, of which nobody opens the database."""
    folder = tmp_path_factory.mktemp("logged") / request.param
    folder.mkdir()
    copy_empty_database(folder)
    log_run(record_to_read, settings_of(folder))
    return folder, shutil.copytree(folder, tmp_path_factory.mktemp("untouched") / "copy")


@pytest.fixture
def original(logged):
    """The folder, with the content that it had when the run was logged, and nothing next to it."""
    folder, untouched = logged
    shutil.rmtree(folder.parent)
    shutil.copytree(untouched, folder)
    assert lead_to(folder)
    return folder


@pytest.fixture
def copied(original):
    return Path(shutil.copytree(original, original.with_name(f"{original.name} 2")))


def test_training_in_a_copy_and_a_move_keep_everything_in_the_folder(tmp_path, trained_part):
    first, second, third = (tmp_path / name for name in ("o original", "a cópia", "movido"))
    shutil.copytree(trained_part, first)
    repoint_if_moved(settings_of(first))
    assert lead_to(first)  # as if it was trained here
    shutil.copytree(first, second)
    before = content(first)
    said = train_here(second, *PART, "--seed", "1", "--promote", "always").stderr
    assert said.count(SAID) == 1
    assert content(first) == before
    assert lead_to(second)
    assert len(list((second / "artifacts" / "models").iterdir())) == 2
    windows = np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, (3, 60)), axis=1))
    shutil.rmtree(first)
    check_champion(second, windows)
    second.rename(third)
    done = subprocess.run(
        PRELOADED.command("-m", "tracking.runs"), cwd=PROJECT_DIR, env=environment(third), capture_output=True, text=True, check=True
    )
    assert f"{SAID}. Its artifacts are now in {third / 'artifacts'} (paths changed: 7)." in done.stderr
    check_champion(third, windows)


def test_copy_leads_to_its_own_artifacts_and_the_original_is_unchanged(original, copied, caplog):
    caplog.set_level(logging.INFO)
    before = content(original)
    repoint_if_moved(settings_of(copied))
    assert lead_to(copied)
    assert caplog.messages == [f"{SAID}. Its artifacts are now in {copied / 'artifacts'} (paths changed: 4)."]
    assert content(original) == before
    assert all(Path(url2pathname(urlsplit(path).path)).is_dir() for path in paths(copied))


def assert_changes_nothing(checked, folder, caplog):
    """A check of one name of a folder changes nothing in it, and says nothing."""
    before = content(folder)
    repoint_if_moved(settings_of(checked))
    assert content(folder) == before
    assert caplog.messages == []


def test_second_check_changes_nothing_and_says_nothing(copied, caplog):
    repoint_if_moved(settings_of(copied))
    caplog.clear()
    caplog.set_level(logging.INFO)
    assert_changes_nothing(copied, copied, caplog)


def test_deleted_runs_follow_too(original):
    with closing(sqlite3.connect(original / "mlflow.db")) as connection, connection:
        connection.execute("UPDATE runs SET lifecycle_stage = 'deleted'")
    moved = original.rename(original.with_name("moved"))
    repoint_if_moved(settings_of(moved))
    assert lead_to(moved)


def test_copy_without_artifacts_says_what_to_copy_and_follows_then(original, record, caplog, tmp_path):
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(original / "mlflow.db", alone)
    before = paths(alone)[1:]
    repoint_if_moved(settings_of(alone))
    advice = f"{SAID} without its artifacts. To load earlier models, copy {original / 'artifacts'} to {alone / 'artifacts'}."
    assert caplog.messages == [advice]
    assert paths(alone) == [(alone / "artifacts").as_uri(), *before]
    shutil.copytree(original / "artifacts", alone / "artifacts")
    repoint_if_moved(settings_of(alone))
    assert lead_to(alone)


def test_new_runs_of_a_copy_without_artifacts_go_next_to_its_database(original, record, caplog, tmp_path):
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(original / "mlflow.db", alone)
    before = content(original)
    connect(settings_of(alone))
    log_run(replace(record, metadata=record.metadata.changed(model_version="other")), settings_of(alone))
    assert content(original) == before
    assert len([path for path in paths(alone) if path.startswith((alone / "artifacts").as_uri())]) == 4
    assert len(caplog.messages) == 1


def test_other_artifacts_are_not_touched(copied, tmp_path):
    shared = (tmp_path / "shared").as_uri()
    changes = {
        "UPDATE experiments SET artifact_location = ?": "s3://bucket/artifacts",
        "UPDATE runs SET artifact_uri = ?": f"{shared}/artifacts/{'a' * 32}/artifacts",
        "UPDATE logged_models SET artifact_location = ?": "mlflow-artifacts:/1/models/m-1/artifacts",
        "UPDATE model_versions SET storage_location = ?": f"{shared}/a/model",
    }
    with closing(sqlite3.connect(copied / "mlflow.db")) as connection, connection:
        for statement, value in changes.items():
            connection.execute(statement, (value,))
    before = content(copied)
    repoint_if_moved(settings_of(copied))
    assert content(copied) == before


def test_experiments_of_others_stay(copied):
    with closing(sqlite3.connect(copied / "mlflow.db")) as connection, connection:
        connection.execute("UPDATE experiments SET artifact_location = 'file:///own/artifacts' WHERE name = 'Default'")
    repoint_if_moved(settings_of(copied))
    with closing(sqlite3.connect(copied / "mlflow.db")) as connection:
        assert connection.execute("SELECT artifact_location FROM experiments WHERE name = 'Default'").fetchall() == [
            ("file:///own/artifacts",)
        ]


def test_other_name_of_the_same_folder_is_not_a_move(original, caplog):
    caplog.set_level(logging.INFO)
    link = original.with_name("link")
    link.symlink_to(original)
    assert_changes_nothing(link, original, caplog)


def test_failure_changes_nothing(copied):
    with closing(sqlite3.connect(copied / "mlflow.db")) as connection, connection:
        connection.execute("CREATE TRIGGER no BEFORE UPDATE ON model_versions BEGIN SELECT RAISE(ABORT, 'no'); END")
    before = paths(copied)
    with pytest.raises(sqlite3.Error, match="no"):
        repoint_if_moved(settings_of(copied))
    assert paths(copied) == before


def test_database_of_an_old_mlflow_with_plain_paths_follows(tmp_path):
    """Before MLflow 3 there were no logged models, before 2.4 no storage locations."""
    run = "0123456789abcdef" * 2
    (tmp_path / "artifacts" / run / "artifacts" / "model").mkdir(parents=True)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection, connection:
        connection.execute("CREATE TABLE experiments (name TEXT, artifact_location TEXT)")
        connection.execute("CREATE TABLE runs (run_uuid TEXT, artifact_uri TEXT)")
        connection.execute("CREATE TABLE model_versions (name TEXT, source TEXT)")
        connection.execute("INSERT INTO experiments VALUES ('stock-forecast', '/old/mlruns/artifacts')")
        connection.execute("INSERT INTO runs VALUES (?, ?)", (run, f"/old/mlruns/artifacts/{run}/artifacts"))
        connection.execute("INSERT INTO model_versions VALUES ('m', ?)", (f"/old/mlruns/artifacts/{run}/artifacts/model",))
    repoint(tmp_path / "mlflow.db", "stock-forecast")
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        query = "SELECT artifact_location FROM experiments UNION SELECT artifact_uri FROM runs UNION SELECT source FROM model_versions"
        found = sorted(path for (path,) in connection.execute(query))
    here = (tmp_path / "artifacts").as_uri()
    assert found == [here, f"{here}/{run}/artifacts", f"{here}/{run}/artifacts/model"]


@pytest.mark.parametrize("create", [lambda path: None, lambda path: path.touch()], ids=["missing", "empty"])
def test_no_database_is_no_move(tmp_path, create):
    create(tmp_path / "mlflow.db")
    repoint_if_moved(settings_of(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] in ([], [".lock", "mlflow.db"], ["mlflow.db", ".lock"])


def test_check_does_not_import_mlflow(copied):
    code = (
        "import sys; from settings import Settings; from tracking.connection import repoint_if_moved\n"
        "repoint_if_moved(Settings.from_environment()); print('mlflow' in sys.modules, 'sqlalchemy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_DIR, env=environment(copied), capture_output=True, text=True, check=True
    )
    assert done.stdout == "False False\n"
    assert lead_to(copied)


def test_ui_follows_a_move_before_it_starts(copied):
    own = environment(copied) | {"MLFLOW_UI_PORT": str(free_port())}
    command = [sys.executable, "-m", "tracking.ui"]
    with subprocess.Popen(command, cwd=PROJECT_DIR, env=own, stderr=subprocess.PIPE, text=True) as process:
        said = after(process, "mlflow-ui: The MLflow UI starts")
        process.send_signal(signal.SIGTERM)
    assert SAID in said
    assert lead_to(copied)


def test_ui_with_a_damaged_database_says_so_in_one_line(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 100)
    own = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db", "MLFLOW_UI_PORT": str(free_port())}
    command = [sys.executable, "-m", "tracking.ui"]
    with subprocess.Popen(command, cwd=PROJECT_DIR, env=own, stderr=subprocess.PIPE, text=True) as process:
        said = after(process, "mlflow-ui: The MLflow UI starts")
        process.send_signal(signal.SIGTERM)
    assert "MLflow's database cannot be checked: file is not a database." in said
    assert "Traceback" not in said


def test_ui_stores_artifacts_next_to_the_database(tmp_path):
    command = ui.command(Settings(MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path}/other/place.db"))
    assert command[command.index("--artifacts-destination") + 1] == str(tmp_path / "other" / "artifacts")
