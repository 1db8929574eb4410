"""Runs Python commands in forks of a process that has imported TensorFlow and MLflow: each starts in milliseconds instead of ten seconds.

    Preloaded().command("modelTrain.py", "--epochs", "1")     in place of [sys.executable, "modelTrain.py", "--epochs", "1"]

The command is that of a launcher: a small process that passes its arguments, environment, folder and standard streams to the server,
forwards SIGINT and SIGTERM to the fork, and ends as the fork ends. The arguments are those of python: a script, `-m module` or `-c code`.

What is read while the libraries are imported, such as MATPLOTLIBRC, has no effect: such a test runs a command of its own.
"""

import atexit
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
MODULES = (  # closes.yahoo before tensorflow: loaded after it, curl_cffi cannot make its connections
    "modelTrain", "closes.yahoo", "tensorflow", "keras", "mlflow", "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store",
    "matplotlib.figure", "matplotlib.backends.backend_agg", "sklearn.metrics", "sklearn.preprocessing", "scipy.stats", "pandas",
    "forecast.plots", "models.compiled", "tracking.runs", "tracking.champion",
)  # fmt: skip
START_SECONDS = 120.0
MESSAGE_BYTES = 256 * 1024  # of a request: arguments and environment


class Preloaded:
    """A server that is started when it is first needed and ends with this process."""

    def __init__(self) -> None:
        self._address = ""

    def command(self, *arguments: str) -> list[str]:
        """Return a command that runs python's arguments in a fork of the server."""
        if not self._address:
            self._start()
        return [sys.executable, "-S", "-E", __file__, self._address, *arguments]

    def _start(self) -> None:
        """Start the server and wait until it has imported its modules."""
        folder = tempfile.mkdtemp(prefix="preloaded-")
        self._address = f"{folder}/socket"
        server = subprocess.Popen([sys.executable, __file__, self._address], cwd=PROJECT, stdin=subprocess.DEVNULL, start_new_session=True)
        atexit.register(server.kill)
        deadline = time.monotonic() + START_SECONDS
        while not Path(self._address).exists():
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("The server of preloaded processes did not start.")
            time.sleep(0.1)


def serve(address: str) -> None:
    """Import the modules, then fork for each connection."""
    sys.path.insert(0, str(PROJECT))
    before = dict(os.environ)
    for name in MODULES:
        importlib.import_module(name)
    defaults = {name: value for name, value in os.environ.items() if name not in before}  # set by the imports, which a fork does not repeat
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{address}.new")
    listener.listen()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the waiting forks need nobody to collect them
    os.rename(f"{address}.new", address)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _run_and_report(connection, defaults)
        connection.close()


def _run_and_report(connection: socket.socket, defaults: dict[str, str]) -> None:
    """Run a request in a fork, and send its process id and then its status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, descriptors, _, _ = socket.recv_fds(connection, MESSAGE_BYTES, 3)
    child = os.fork()
    if child == 0:
        connection.close()
        _become(json.loads(message), descriptors, defaults)
    for descriptor in descriptors:
        os.close(descriptor)
    connection.sendall(f"{child}\n".encode())
    _, status = os.waitpid(child, 0)
    with suppress(OSError):  # the launcher was killed
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(request: dict[str, Any], descriptors: list[int], defaults: dict[str, str]) -> None:
    """Run python's arguments with the environment, the folder and the standard streams of the launcher."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(defaults | request["environment"])
    os.chdir(request["folder"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = 1
    try:
        _execute(request["arguments"])
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001 - this is the end of the process, as in Python itself
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _execute(arguments: list[str]) -> None:
    """Run python's arguments: a script, `-m module` or `-c code`."""
    arguments = [argument for argument in arguments if argument != "-u"]
    sys.argv = arguments
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        sys.modules.pop(arguments[1], None)  # runpy warns of a module that is imported already
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    elif arguments[0] == "-c":
        exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__"})
    else:
        runpy.run_path(arguments[0], run_name="__main__")


def launch(address: str, arguments: list[str]) -> None:
    """Ask the server to run the arguments, and end as they do."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    request = {"arguments": arguments, "environment": dict(os.environ), "folder": str(Path.cwd())}
    socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
    answers = connection.makefile()
    child = int(answers.readline())

    def forward(number: int, _: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(child, number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, forward)
    for descriptor in (0, 1, 2):
        os.close(descriptor)  # a reader of the output sees its end when the fork ends
    code = int(answers.readline() or 1)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    launch(sys.argv[1], sys.argv[2:]) if len(sys.argv) > 2 else serve(sys.argv[1])
