"""Trainings as commands, each with a folder of its own for models and MLflow."""

import os
import subprocess
import sys

from settings import PROJECT_DIR

SHORT = ["--source", "snapshot", "--start", "2019-06-01", "--epochs", "1"]  # 901 closes


def environment(folder):
    own = {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "MODEL_DIR": str(folder / "modelFiles"), "YAHOO_RETRIES": "0"}
    return os.environ | own


def train(folder, *options, check=True, **own):
    """A training that has ended."""
    return subprocess.run(command(folder, *options), check=check, **(how(folder) | own))


def begin(folder, *options, **own):
    """A training that runs; `process.stderr` gives what it says line by line."""
    return subprocess.Popen(command(folder, *options), **(how(folder) | own))


def command(folder, *options):
    return [sys.executable, "-u", "modelTrain.py", "--model-dir", str(folder / "modelFiles"), *options]


def how(folder):
    return {"cwd": PROJECT_DIR, "env": environment(folder), "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}


def after(process, beginning):
    """Read on until a line of a training begins so; all that it has said until then."""
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith(beginning):
            return "".join(said)
    raise AssertionError("".join(said))
