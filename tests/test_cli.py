"""What commands say of wrong options, missing model folders and folders that cannot be written."""

import errno
import logging
import subprocess
import sys
from pathlib import Path

import pytest

import cli
import modelTrain
from app import create_app
from closes.snapshot import read_snapshot
from errors import ModelUnavailableError
from models.holder import ModelHolder
from settings import PROJECT_DIR, Settings


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_folder_that_cannot_be_written_is_one_sentence(number):
    error = OSError(number, "Read-only file system", "/models/versions")
    assert cli.describe(error) == "/models/versions: Read-only file system. Choose a folder that can be written."


def test_other_file_errors_name_the_file_without_its_number():
    assert cli.describe(FileNotFoundError(errno.ENOENT, "No such file or directory", "a.csv")) == "a.csv: No such file or directory."


@pytest.mark.slow
@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="nobody can make folders in /sys of Linux")
def test_command_ends_in_one_sentence_at_a_folder_that_cannot_be_written(tmp_path):
    series = read_snapshot("MSFT")
    rows = [f"MSFT,{day},{close}\n" for day, close in zip(series.dates[-80:], series.prices[-80:], strict=True)]
    (tmp_path / "closes.csv").write_text("symbol,date,close\n" + "".join(rows))
    command = [sys.executable, "modelPredict.py", "--in", str(tmp_path / "closes.csv"), "--out", "/sys/forecasts.csv"]
    done = subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: /sys/")
    assert last.endswith(". Choose a folder that can be written.")
    assert "Traceback" not in done.stderr


def test_start_after_end_is_wrong_usage(capsys):
    with pytest.raises(SystemExit) as ended:
        modelTrain.parse(Settings(), ["--start", "2022-05-01", "--end", "2020-01-01"])
    assert ended.value.code == 2
    assert "--start lies after --end" in capsys.readouterr().err
    assert modelTrain.parse(Settings(), ["--start", "2020-01-01", "--end", "2020-01-01"]).start == "2020-01-01"


def test_missing_model_folder_is_named_at_the_start_and_by_ready(settings, tmp_path, caplog):
    ModelHolder(tmp_path / "none")
    assert f"the folder {tmp_path / 'none'} does not exist. Correct MODEL_DIR" in caplog.text
    answer = create_app(settings.model_copy(update={"MODEL_DIR": tmp_path / "none"})).test_client().get("/ready")
    assert answer.status_code == 503
    assert "the folder none does not exist. Correct MODEL_DIR" in answer.get_json()["error"]
    assert str(tmp_path) not in answer.text


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [["modelPredict.py", "--csv", "c.csv"], ["modelEvaluate.py", "--csv", "c.csv"], ["modelTrain.py", "--rollback"]]
)
def test_missing_model_folder_is_named_by_commands(tmp_path, command):
    done = subprocess.run(
        [sys.executable, *command, "--model-dir", str(tmp_path / "none")], cwd=PROJECT_DIR, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"the folder {tmp_path / 'none'} does not exist." in done.stderr
    assert "Traceback" not in done.stderr


def test_rollback_says_what_it_does(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    with pytest.raises(ModelUnavailableError):
        modelTrain.main(["--rollback", "--model-dir", str(tmp_path)])
    assert f"Restoring the previous version in {tmp_path} ..." in caplog.text
