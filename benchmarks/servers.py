"""The servers under test: how each is started, when its answer is right, what it weighs, how it is ended."""

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from closes.series import Floats
from closes.snapshot import read_snapshot
from load import BenchError, call, free_port
from models.loading import load_forecaster
from models.store import SCALER_FILE, read_published
from processData import WINDOW
from settings import PROJECT_DIR, Settings

WORKERS = 2  # of every server that has workers
TOLERANCE = 1e-5  # relative, between a server's price and the forecaster's in this process
START_SECONDS = 240  # TensorFlow takes its time on a busy machine
PEERS = PROJECT_DIR / "benchmarks" / "peers"
PEERS_BIN = PROJECT_DIR / ".venv-bench" / "bin"
GUNICORN = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py"]


class Question:
    """What every server is asked: the last windows of MSFT in the snapshot, and what the forecaster in this process answers."""

    def __init__(self, windows: int = 1) -> None:
        prices = read_snapshot("MSFT").prices
        self.windows: Floats = np.lib.stride_tricks.sliding_window_view(prices, WINDOW)[-windows:]
        self.forecast = load_forecaster(PROJECT_DIR / "modelFiles").forecast(self.windows)

    @cached_property
    def body(self) -> bytes:
        """The body of /predict."""
        return json.dumps({"predict": (self.windows if len(self.windows) > 1 else self.windows[0]).tolist()}).encode()

    def check(self, row: int, price: float, intervals: dict[str, list[float]] | None = None) -> None:
        """Compare one window's answer with the forecaster's.

        Raises:
            BenchError: it is another.
        """
        expected: list[float] = [float(self.forecast.prices[row, 0])]
        given = [price]
        for level, bounds in (intervals or {}).items():
            expected += self.forecast.as_dict(row)["intervals"][level]
            given += bounds
        if not np.allclose(given, expected, rtol=TOLERANCE, atol=0):
            raise BenchError(f"wrong answer: {given}, expected {expected}")


@dataclass(frozen=True)
class Recipe:
    """How a server is run and judged.

    Attributes:
        command: {port} stands for its port.
        right: takes its answer, raises BenchError (or KeyError and the like) where it is wrong.
        checks: whether it must refuse unknown keys and negative closes.
        slow: whether it answers too few requests a second for many connections.
    """

    title: str
    command: list[str]
    body: bytes
    right: Callable[[Any], None]
    path: str = "/predict"
    folder: Path = PROJECT_DIR
    checks: bool = False
    slow: bool = False
    environment: dict[str, str] = field(default_factory=dict)


def recipes(question: Question, folder: Path) -> dict[str, Recipe]:
    """All servers by name; ours first. `folder` takes what they write."""

    def whole(answer: Any) -> None:
        question.check(0, answer["predicted_price"], {level: answer["intervals"][level] for level in ("80", "95")})

    def price_only(answer: Any) -> None:
        question.check(0, answer["predicted_price"])

    def constant(answer: Any) -> None:
        if not {"predicted_price", "intervals", "model_version"} <= set(answer):
            raise BenchError(f"wrong answer: {answer}")

    bento = [str(PEERS_BIN / "bentoml"), "serve", "bento:Forecasts", "--host", "127.0.0.1", "--port", "{port}"]
    lit = [str(PEERS_BIN / "python"), "lit.py", "{port}"]
    return {
        "ours": Recipe("this service", [sys.executable, "app.py"], question.body, whole, checks=True),
        "noop": Recipe("Flask no-op", [*GUNICORN, "benchmarks.peers.noop:app"], question.body, constant),
        "bento": Recipe("BentoML", bento, question.body, whole, folder=PEERS, checks=True),
        "lit": Recipe("LitServe", lit, question.body, whole, folder=PEERS, checks=True),
        "usual": Recipe("usual server", [sys.executable, str(PEERS / "usual.py"), "{port}"], question.body, price_only, slow=True),
        "mlflow": mlflow_recipe(question, folder),
    }


def mlflow_recipe(question: Question, folder: Path) -> Recipe:
    """`mlflow models serve`; its client scales, since the Keras model takes scaled relative closes."""
    import joblib

    scaler = joblib.load(io.BytesIO(read_published(PROJECT_DIR / "modelFiles").read(SCALER_FILE)))
    closes = question.windows[0]
    scaled = scaler.transform((closes / closes[-1]).reshape(-1, 1))

    def right(answer: Any) -> None:
        question.check(0, float(scaler.inverse_transform(answer["predictions"])[0, 0] * closes[-1]))

    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(folder / "mlflow"), "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", "{port}", "--workers", str(WORKERS)]
    body = json.dumps({"inputs": [scaled.tolist()]}).encode()
    return Recipe("MLflow", command, body, right, path="/invocations", slow=True)


def save_mlflow_model(folder: Path) -> None:
    """Log the Keras model where mlflow_recipe serves it from."""
    command = [sys.executable, str(PEERS / "mlflowModel.py"), str(folder / "mlflow")]
    done = subprocess.run(command, env=environment_of({}), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"The model could not be saved for MLflow: {done.stderr.strip()[-1000:]}")


def environment_of(own: dict[str, str]) -> dict[str, str]:
    """The environment of the shell with our settings instead of the service's. uvicorn is found next to this Python."""
    shell = {name: value for name, value in os.environ.items() if name not in Settings.model_fields}
    common = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "WEB_CONCURRENCY": str(WORKERS),
        "MLFLOW_UI": "off",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "BENTOML_DO_NOT_TRACK": "True",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    return shell | common | own


@dataclass(frozen=True)
class Memory:
    """In MB: resident and proportional sets of the processes below the first, and the proportional sets of all together."""

    resident: list[float]
    proportional: list[float]
    all_processes: float


class Server:
    """A running server in a process group of its own, after its first right answer.

    Attributes:
        start_seconds: from the command to that answer.
    """

    def __init__(self, name: str, recipe: Recipe, folder: Path, **environment: str) -> None:
        """Start it, wait for its first answer and check it.

        Raises:
            BenchError: it does not start, or answers wrongly.
        """
        self.name, self.recipe = name, recipe
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}{recipe.path}"
        home = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder))
        self.body_file, self._log = home / "body.json", home / "log.txt"
        self.body_file.write_bytes(recipe.body)
        own = {"PORT": str(self.port), "REQUEST_LOG": str(home / "requests.csv"), "BENTOML_HOME": str(home)} | recipe.environment
        command = [part.format(port=self.port) for part in recipe.command]
        started = time.monotonic()
        self.process = self._run(command, environment_of(own | environment))
        try:
            self._wait(started + START_SECONDS)
            self.start_seconds = time.monotonic() - started
            if recipe.checks:
                self._check_refusals()
        except BaseException:
            self.stop()
            raise

    def _run(self, command: list[str], environment: dict[str, str]) -> "subprocess.Popen[bytes]":
        """Its first process."""
        folder = self.recipe.folder
        try:
            with self._log.open("wb") as log:
                return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
        except OSError as error:
            raise BenchError(f"{self.recipe.title} cannot be started: {error}. Is it installed? make .venv-bench/requirements") from None

    def _wait(self, end: float) -> None:
        """Ask until there is an answer; it must be right."""
        last = "nothing"
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise BenchError(f"{self.recipe.title} ended with code {self.process.returncode} instead of serving: {self._said()}")
            try:
                status, content = call(self.port, "POST", self.recipe.path, self.recipe.body)
            except OSError as error:
                last = repr(error)
            else:
                if status == 200:
                    self.check(content)
                    return
                last = f"{status} {content[:300]!r}"
            time.sleep(0.01)
        raise BenchError(f"{self.recipe.title} gave no right answer within {START_SECONDS} s, the last was {last}: {self._said()}")

    def check(self, content: bytes) -> None:
        """Compare an answer with the forecaster.

        Raises:
            BenchError: it is wrong.
        """
        try:
            self.recipe.right(json.loads(content))
        except (BenchError, KeyError, IndexError, TypeError, ValueError) as error:
            raise BenchError(f"{self.recipe.title}: {error!r} in {content[:300]!r}") from None

    def _check_refusals(self) -> None:
        """A server with the same checks refuses what they refuse."""
        body = json.loads(self.recipe.body)
        for wrong in (body | {"unknown": 1}, body | {"predict": [-1.0, *body["predict"][1:]]}):
            status, _ = call(self.port, "POST", self.recipe.path, json.dumps(wrong).encode())
            if not 400 <= status < 500:
                raise BenchError(f"{self.recipe.title} answers {status} to a body that is to be refused.")

    def _said(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace").strip()[-1000:] or "it said nothing"

    def processes(self) -> list[psutil.Process]:
        """Its first process and all those below."""
        first = psutil.Process(self.process.pid)
        return [first, *first.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """CPU that its processes have used so far."""
        return float(sum(times.user + times.system for times in (process.cpu_times() for process in self.processes())))

    def memory(self) -> Memory:
        """What its processes hold now."""
        full = [process.memory_full_info() for process in self.processes()]
        workers = full[1:] or full
        return Memory([one.rss / 1e6 for one in workers], [one.pss / 1e6 for one in workers], sum(one.pss for one in full) / 1e6)

    def stop(self) -> None:
        """End its process group, and what it started in other groups."""
        started: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):
            started = self.processes()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        _, left = psutil.wait_procs(started[1:], timeout=12)
        for process in left:
            process.kill()
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
