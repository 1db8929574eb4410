"""Trainings as commands, each with its own folder for models and MLflow."""

import contextlib
import hashlib
import importlib
import io
import json
import logging
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from preloaded import JOBLIB, Preloaded

import cli
from settings import PROJECT_DIR

SMALL = ["--epochs", "1", "--units", "8", "--layers", "1"]  # a network that is fitted in half the time of the default one
SHORT = ["--source", "snapshot", "--start", "2019-06-01", *SMALL]  # 901 closes
PART = ["--source", "snapshot", "--start", "2020-06-01", *SMALL]  # 651 closes
MANY = ["--symbols", "MSFT,NOPE,AAPL", *PART]
EMPTY_DATABASE = Path(tempfile.gettempdir()) / f"stock-forecast-tests-{os.getuid()}-mlflow-{version('mlflow')}.db"
PRELOADED = Preloaded()
ROUGH_PLOTS = str(Path(__file__).with_name("matplotlibrc"))
MIGRATE = "import sys; from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore; SqlAlchemyStore(sys.argv[1], sys.argv[2])"


def environment(folder: Path) -> dict[str, str]:
    """Return the settings of a command: its own folder for models and MLflow, no retries of downloads, rough plots."""
    own = {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "MODEL_DIR": str(folder / "modelFiles"), "YAHOO_RETRIES": "0"}
    return os.environ | own | {"MATPLOTLIBRC": ROUGH_PLOTS}


def copy_empty_database(folder: Path) -> None:
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


def train(folder: Path, *options: str, check: bool = True, **own: Any) -> subprocess.CompletedProcess[str]:
    """Run a training to its end, as a command in a process of its own."""
    copy_empty_database(folder)
    return subprocess.run(command(folder, *options), check=check, **(how(folder) | own))


def train_here(folder: Path, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a training to its end in this process, which has TensorFlow and MLflow already: seconds less than a command.

    Worker processes of many symbols are preloaded.

    Returns:
        An object with the command's exit code and its stderr.
    """
    import matplotlib  # takes a while, as the next one does

    from modelTrain import main

    copy_empty_database(folder)
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    root = logging.getLogger()
    level, sigint = root.level, signal.getsignal(signal.SIGINT)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        with (
            pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(), contextlib.redirect_stderr(output),
            matplotlib.rc_context(fname=ROUGH_PLOTS),
        ):  # fmt: skip
            warnings.simplefilter("ignore")  # of Keras and MLflow, as in a command
            for name, value in environment(folder).items():
                patch.setenv(name, value)
            if "--symbols" in options:
                importlib.import_module(JOBLIB)  # what else it starts keeps today's sys.executable
                patch.setattr(sys, "executable", PRELOADED.python())
            with pytest.raises(SystemExit) as ended:
                cli.run(lambda: main(["--model-dir", str(folder / "modelFiles"), *options]))
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        signal.signal(signal.SIGINT, sigint)
    done = subprocess.CompletedProcess(options, int(ended.value.code or 0), stderr=output.getvalue())
    if check:
        done.check_returncode()
    return done


def train_once(factory: pytest.TempPathFactory, *options: str) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Run a training, unless another test of the run has. Return its folder, which nobody changes, and how it ended."""
    own = factory.getbasetemp()
    root = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own  # that all workers share
    folder = root / f"trained-{hashlib.sha256(shlex.join(options).encode()).hexdigest()[:8]}"
    ending = folder / "ending.json"
    with FileLock(f"{folder}.lock"):
        folder.mkdir(exist_ok=True)
        if not ending.exists():
            done = train_here(folder, *options, check=False)
            ending.write_text(json.dumps([done.returncode, done.stderr]))
    code, said = json.loads(ending.read_text())
    return folder, subprocess.CompletedProcess(options, code, stderr=said)


def begin(folder: Path, *options: str, **own: Any) -> subprocess.Popen[str]:
    """Start a training in a preloaded process; its worker processes are preloaded too. `process.stderr` gives its output line by line."""
    copy_empty_database(folder)
    given = how(folder) | own
    if "--symbols" in options:
        given["env"] = given["env"] | PRELOADED.with_children()
    return subprocess.Popen(PRELOADED.command(*arguments(folder, *options)), **given)


def arguments(folder: Path, *options: str) -> list[str]:
    return ["modelTrain.py", "--model-dir", str(folder / "modelFiles"), *options]


def command(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-u", *arguments(folder, *options)]


def how(folder: Path) -> dict[str, Any]:
    return {"cwd": PROJECT_DIR, "env": environment(folder), "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}


def after(process: subprocess.Popen[str], beginning: str) -> str:
    """Read until a line of a training begins with `beginning`; return everything read."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith(beginning):
            return "".join(said)
    raise AssertionError("".join(said))
