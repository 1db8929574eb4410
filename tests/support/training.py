"""Trainings as commands, each with its own folder for models and MLflow."""

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock

from settings import PROJECT_DIR

SHORT = ["--source", "snapshot", "--start", "2019-06-01", "--epochs", "1"]  # 901 closes
EMPTY_DATABASE = Path(tempfile.gettempdir()) / f"stock-forecast-tests-{os.getuid()}-mlflow-{version('mlflow')}.db"
MIGRATE = "import sys; from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore; SqlAlchemyStore(sys.argv[1], sys.argv[2])"


def environment(folder):
    own = {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "MODEL_DIR": str(folder / "modelFiles"), "YAHOO_RETRIES": "0"}
    return os.environ | own


def copy_empty_database(folder):
    """Give a folder an MLflow database with tables and no runs: a copy takes a millisecond, MLflow's migrations take seconds."""
    with FileLock(f"{EMPTY_DATABASE}.lock"):
        if not EMPTY_DATABASE.exists():
            new = EMPTY_DATABASE.with_suffix(".new")
            new.unlink(missing_ok=True)
            command = [sys.executable, "-c", MIGRATE, f"sqlite:///{new}", str(folder)]
            subprocess.run(command, env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}, capture_output=True, check=True)
            new.rename(EMPTY_DATABASE)
    if not (folder / "mlflow.db").exists():
        shutil.copyfile(EMPTY_DATABASE, folder / "mlflow.db")


def train(folder, *options, check=True, migrated=True, **own):
    """Run a training to its end; with `migrated` its MLflow database has tables already."""
    if migrated:
        copy_empty_database(folder)
    return subprocess.run(command(folder, *options), check=check, **(how(folder) | own))


def begin(folder, *options, **own):
    """Start a training; `process.stderr` gives its output line by line."""
    copy_empty_database(folder)
    return subprocess.Popen(command(folder, *options), **(how(folder) | own))


def command(folder, *options):
    return [sys.executable, "-u", "modelTrain.py", "--model-dir", str(folder / "modelFiles"), *options]


def how(folder):
    return {"cwd": PROJECT_DIR, "env": environment(folder), "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}


def after(process, beginning):
    """Read until a line of a training begins with `beginning`; return everything read."""
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith(beginning):
            return "".join(said)
    raise AssertionError("".join(said))
