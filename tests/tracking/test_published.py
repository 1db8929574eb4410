"""The run of the model in git, which MLflow's UI logs where it is missing."""

import os
import sqlite3
import subprocess
from contextlib import closing

import pytest
from training import PRELOADED, copy_empty_database

from settings import PROJECT_DIR, Settings
from tracking.connection import check_tracking
from tracking.published import is_missing, published_record

pytestmark = pytest.mark.slow

LOG = """
from unittest import mock
from mlflow.utils import requirements_utils
from tracking.published import main
with mock.patch.object(requirements_utils, "_init_packages_to_modules_map") as listed:
    main()
print("packages listed:", listed.called)
"""


@pytest.fixture
def settings(tmp_path, model_dir, monkeypatch):
    copy_empty_database(tmp_path)
    monkeypatch.setenv("MODEL_DIR", str(model_dir))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return Settings.from_environment()


def test_run_of_the_model_in_git_is_logged_once(settings, model_dir, tmp_path):
    before = {path: path.read_bytes() for path in model_dir.rglob("*") if path.is_file()}
    check_tracking(settings)
    assert is_missing(settings)
    for _ in range(2):
        done = subprocess.run(PRELOADED.command("-c", LOG), cwd=PROJECT_DIR, env=os.environ, check=True, capture_output=True, text=True)
        assert done.stdout.splitlines()[-1] == "packages listed: False"  # it takes two seconds
    assert not is_missing(settings)
    assert {path: path.read_bytes() for path in model_dir.rglob("*") if path.is_file() and path.name[0] != "."} == before
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        ((run_id, name, start, end),) = connection.execute("SELECT run_uuid, name, start_time, end_time FROM runs").fetchall()
        assert connection.execute("SELECT alias FROM registered_model_aliases").fetchall() == [("champion",)]
        ((about,),) = connection.execute("SELECT description FROM model_versions").fetchall()
        ((data, context),) = connection.execute(
            "SELECT d.name, t.value FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id JOIN input_tags t USING (input_uuid)"
        ).fetchall()
    assert name.startswith("MSFT 2026-")
    assert (start > 0, end) == (True, None)
    assert about.startswith("MSFT, closes from 2010-01-04 to 2022-12-28 (snapshot). On 642 test days, RMSE was ")
    assert (data, context) == ("MSFT closes", "training")
    plots = tmp_path / "artifacts" / run_id / "artifacts" / "plots"
    assert {path.name for path in plots.iterdir()} == {"backtest.png", "reliability.png", "residuals.png"}


def test_closes_that_are_not_in_the_snapshot_give_a_run_without_plots(settings, model_dir):
    text = (model_dir / "metadata.json").read_text()
    assert published_record(model_dir).plots
    (model_dir / "metadata.json").write_text(text.replace('"data_sha256": "1', '"data_sha256": "0'))
    record = published_record(model_dir)
    assert (record.plots, record.losses, record.example.shape) == ({}, {}, (1, 60))


def test_without_a_model_or_a_database_nothing_is_missing(tmp_path, model_dir):
    assert not is_missing(Settings(MODEL_DIR=tmp_path, MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path}/none.db"))
    assert not is_missing(Settings(MODEL_DIR=model_dir, MLFLOW_TRACKING_URI="http://127.0.0.1:9"))
