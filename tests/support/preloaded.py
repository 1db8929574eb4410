"""Runs Python commands in forks of a process that has imported their libraries: each starts in milliseconds instead of seconds.

    Preloaded().command("modelTrain.py", "--epochs", "1")     in place of [sys.executable, "modelTrain.py", "--epochs", "1"]
    Preloaded("service").command("app.py")                    in place of [sys.executable, "app.py"]

For each set of LIBRARIES, one server runs for all workers of pytest-xdist. It imports libraries alone: a fork imports the project from its
own folder, as any process. The command is that of a launcher: a small process that passes its arguments, environment, folder and open files
to the server, forwards SIGINT, SIGTERM and SIGHUP to the fork, and ends as the fork ends. If the launcher is killed, its fork is too.
The arguments are those of python: a script, `-m module` or `-c code`. For the fork, os.getppid() is the parent of the launcher; disks that
the launcher alone sees, as after `unshare`, are there too.

A fork starts Python as any process does, which imports all again. With the path of python() in the variable PRELOADED_PYTHON, what it
starts by sys.executable is a fork too.

A fork reads the file of MATPLOTLIBRC. Other settings that are read while the libraries are imported have no effect: such a test runs a
command of its own.
"""

import atexit
import ctypes
import fcntl
import gc
import importlib
import io
import json
import os
import re
import runpy
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
TRAINING = (  # yfinance before tensorflow: loaded after it, curl_cffi cannot make its connections
    "yfinance", "tensorflow", "keras", "mlflow", "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store",
    "matplotlib.figure", "matplotlib.backends.backend_agg", "sklearn.metrics", "sklearn.preprocessing", "scipy.stats", "pandas",
    "onnx", "onnxruntime", "joblib", "pydantic_settings", "mlflow.cli", "uvicorn", "mlflow.server.fastapi_app",
    "alembic.command", "sqlalchemy.dialects.sqlite", "mlflow.store.tracking.sqlalchemy_workspace_store",
    "mlflow.store.model_registry.sqlalchemy_workspace_store", "mlflow.tracing.processor.otel", "mlflow.tracing.export", "git",
)  # fmt: skip
SERVICE = (
    "flask", "flask_compress", "gunicorn.app.wsgiapp", "gunicorn.workers.ggevent", "prometheus_client", "cachetools", "filelock", "psutil",
    "pydantic_settings", "onnxruntime", "logging.config", "concurrent.futures.thread",
)  # fmt: skip
DOWNLOAD = ("yfinance", "pandas", "pydantic_settings", "filelock")
LIBRARIES = {"training": TRAINING, "service": SERVICE, "download": DOWNLOAD}
READ_ENVIRONMENT = ("mlflow.server", "mlflow.server.fastapi_app")  # as they are imported: a fork imports them again, in 0.4 s
CHILDREN = "PRELOADED_PYTHON"  # a variable: what sys.executable is in a fork
START_SECONDS = 240.0
WATCH_SECONDS = 1.0  # between two looks at whether the test run has ended
JOBLIB = "joblib.externals.loky.backend.popen_loky_posix"  # the module of its worker processes
FORKS = "forks"  # a folder with a file per launcher, named as its process id: the process id of its fork
MESSAGE_BYTES = 256 * 1024  # of a request: arguments and environment
MAX_FILES = 253  # that one message can pass, in Linux
LOW_NUMBERS = 100  # of files; a process of joblib gets numbers up to 30


class Preloaded:
    """A server that is started when it is first needed and ends with the test run."""

    def __init__(self, libraries: str = "training") -> None:
        """Name the libraries that the server imports: one of LIBRARIES."""
        self._libraries = libraries
        run, self._owner = os.environ.get("PYTEST_XDIST_TESTRUNUID"), os.getpid()
        if run:
            self._owner = os.getppid()  # of the workers: pytest, which ends after them
        self._folder = Path(tempfile.gettempdir()) / f"preloaded-{libraries}-{run or self._owner}"
        self._address = self._folder / "socket"
        self._server: subprocess.Popen[bytes] | None = None  # kept: Python warns of a process that is forgotten while it runs

    def command(self, *arguments: str) -> list[str]:
        """Return a command that runs python's arguments in a fork of the server."""
        if not self._address.exists():
            self._start()
        return [sys.executable, "-S", "-E", __file__, str(self._address), *arguments]

    def fork_of(self, launcher: int) -> int:
        """Return the process id of the fork of a launcher; its parent is the server."""
        file = self._folder / FORKS / str(launcher)
        deadline = time.monotonic() + START_SECONDS
        while not file.exists():
            if time.monotonic() > deadline:
                raise RuntimeError("The fork did not start.")
            time.sleep(0.05)
        return int(file.read_text())

    def forks_of(self, launcher: int) -> list[int]:
        """Return the process ids of the fork of a launcher and of those that it has started, see `with_children`."""
        from psutil import Process  # a launcher has the standard library alone

        fork = self.fork_of(launcher)
        return [fork, *(other for child in Process(fork).children() for other in self.forks_of(child.pid))]

    def with_children(self) -> dict[str, str]:
        """Return the environment of a command whose own Python processes, those of sys.executable, are to be forks too."""
        return {CHILDREN: self.python()}

    def python(self) -> str:
        """Return the path of a program `python` that runs its arguments in a fork of the server."""
        program = self._folder / "bin" / "python"
        command = self.command()
        if not program.exists():
            program.parent.mkdir(exist_ok=True)
            new = program.with_name(f"python-{os.getpid()}")
            new.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
            new.chmod(0o755)
            new.rename(program)
        return str(program)

    def _start(self) -> None:
        """Start the server, unless another worker has, and wait until it has imported its libraries."""
        from filelock import FileLock  # a launcher has the standard library alone

        (self._folder / FORKS).mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(f"{self._address}.lock"):
            if self._address.exists():
                return
            command = [sys.executable, __file__, str(self._address), "serve", str(self._owner), self._libraries]
            server = self._server = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.DEVNULL, start_new_session=True)
            if self._owner == os.getpid():
                atexit.register(self._end)
            deadline = time.monotonic() + START_SECONDS
            while not self._address.exists():
                if server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("The server of preloaded processes did not start.")
                time.sleep(0.1)

    def _end(self) -> None:
        """End the server with the process that has started it."""
        if self._server:
            self._server.terminate()
            self._server.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def serve(address: str, owner: int, libraries: str) -> None:
    """Import the libraries of this name, then fork for each connection, until the owner ends."""
    before = dict(os.environ)
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with low_numbers_taken(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's server: it uses what its libraries deprecate
        for name in LIBRARIES[libraries]:
            importlib.import_module(name)
        for name in READ_ENVIRONMENT:
            sys.modules.pop(name, None)
        if libraries == "training":
            warm_up()
    gc.collect()
    gc.freeze()  # the forks' garbage collections skip the libraries
    sys.path.remove(str(Path(__file__).parent))
    defaults = {name: value for name, value in os.environ.items() if name not in before}  # set by the imports, which a fork does not repeat
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{address}.new")
    listener.listen(64)
    listener.settimeout(WATCH_SECONDS)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the waiting forks need nobody to collect them
    os.rename(f"{address}.new", address)
    while runs(owner):
        with suppress(TimeoutError):
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _run_and_report(connection, defaults)
            connection.close()
    shutil.rmtree(Path(address).parent)


@contextmanager
def low_numbers_taken() -> Iterator[None]:
    """Have files that libraries open get high numbers: the low ones are for files that launchers pass."""
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(LOW_NUMBERS)]
    yield
    for descriptor in taken:
        os.close(descriptor)


def runs(process: int) -> bool:
    """Whether a process of this user runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def warm_up() -> None:
    """Do what each training would do once. TensorFlow's threads do not fork.

    MLflow reads the packages' metadata, SQLAlchemy connects MLflow's tables, matplotlib finds its fonts and builds its parser of powers.
    """
    from matplotlib.figure import Figure
    from mlflow.utils import requirements_utils
    from sqlalchemy.orm import configure_mappers

    configure_mappers()
    requirements_utils._init_modules_to_packages_map()
    requirements_utils._init_packages_to_modules_map()
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    axes.plot([0.001, 0.002], label="line")
    axes.set(title="Title", xlabel="label", yscale="log")
    axes.legend()
    figure.savefig(io.BytesIO(), format="png")


def _run_and_report(connection: socket.socket, defaults: dict[str, str]) -> None:
    """Run a request in a fork, and send its process id and then its status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, descriptors, _, _ = socket.recv_fds(connection, MESSAGE_BYTES, MAX_FILES)
    child = os.fork()
    if child == 0:
        connection.close()
        _become(json.loads(message), descriptors, defaults)
    for descriptor in descriptors:
        os.close(descriptor)
    connection.sendall(f"{child}\n".encode())

    def end_with_launcher() -> None:
        connection.recv(1)  # a launcher sends nothing more: it was killed, or has ended after its fork
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)

    threading.Thread(target=end_with_launcher, daemon=True).start()
    _, status = os.waitpid(child, 0)
    with suppress(OSError):  # the launcher was killed
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(request: dict[str, Any], descriptors: list[int], defaults: dict[str, str]) -> None:
    """Run python's arguments with the environment, the folder and the open files of the launcher, and as a child of its parent."""
    code, launcher = 1, request["launcher"]
    try:
        _see_disks_of(launcher)
        _take(descriptors, request["files"])
        own_id, real_parent, fork = os.getpid, os.getppid, os.getpid()
        os.getppid = lambda: _parent(launcher) if own_id() == fork else real_parent()  # gunicorn's workers ask for their own parent
        if JOBLIB in request["arguments"]:  # whose processes tell their parent which of them ends
            os.getpid = lambda: launcher
        os.environ.clear()
        os.environ.update(defaults | request["environment"])
        tempfile.tempdir = None  # TMPDIR is read again
        sys.executable = os.environ.get(CHILDREN, sys.executable)
        os.chdir(request["folder"])
        if "MATPLOTLIBRC" in request["environment"]:
            _read_matplotlibrc()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _execute(request["arguments"])
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001 - this is the end of the process, as in Python itself
        traceback.print_exc()
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # as Python does at its end: waits for threads
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)  # Python's own end takes seconds, or for ever: it waits for TensorFlow's threads, which are not in a fork


def _read_matplotlibrc() -> None:
    """Read matplotlib's settings, as its import does."""
    import matplotlib

    matplotlib.rc_file(matplotlib.matplotlib_fname())


def _take(descriptors: list[int], numbers: list[int]) -> None:
    """Give open files the numbers that they have in the launcher."""
    free = max(*descriptors, *numbers) + 1  # above all, so that none is overwritten before it has its number
    moved = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, free) for descriptor in descriptors]
    for descriptor in descriptors:
        os.close(descriptor)
    for descriptor, number in zip(moved, numbers, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)


def _see_disks_of(process: int) -> None:
    """Enter the namespaces of a process that has its own users and mounts, as `unshare -rm` gives."""
    for kind in ("user", "mnt"):
        theirs, ours = (Path("/proc", str(number), "ns", kind) for number in (process, os.getpid()))
        if theirs.exists() and theirs.readlink() != ours.readlink():
            with theirs.open() as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0):
                    raise OSError(ctypes.get_errno(), f"setns: {theirs}")


def _parent(launcher: int) -> int:
    """Return the parent of a launcher; 1 if the launcher is gone."""
    import psutil

    try:
        return psutil.Process(launcher).ppid()
    except psutil.NoSuchProcess:
        return 1


def _execute(arguments: list[str]) -> None:
    """Run python's arguments: a script, `-m module` or `-c code`."""
    while re.fullmatch("-[BPu]+", arguments[0]):  # of no effect here
        arguments = arguments[1:]
    sys.argv = arguments
    sys.path.insert(0, str(Path(arguments[0]).resolve().parent) if arguments[0].endswith(".py") else str(Path.cwd()))
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        if not hasattr(sys.modules.get(arguments[1]), "__path__"):
            sys.modules.pop(arguments[1], None)  # runpy warns of a module that is imported already, but not of a package
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    elif arguments[0] == "-c":
        sys.argv = ["-c", *arguments[2:]]
        exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__"})
    else:
        runpy.run_path(arguments[0], run_name="__main__")


def inherited() -> list[int]:
    """Return the numbers of the open files that this process was given; Python's own are not inheritable."""
    numbers = []
    for number in sorted(int(name) for name in os.listdir("/dev/fd")):
        with suppress(OSError):  # the folder itself, which is closed
            if os.get_inheritable(number):
                numbers.append(number)
    return numbers


def launch(address: str, arguments: list[str]) -> None:
    """Ask the server to run the arguments, and end as they do."""
    files = inherited()
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    request = {
        "arguments": arguments, "environment": dict(os.environ), "folder": str(Path.cwd()), "files": files, "launcher": os.getpid(),
    }  # fmt: skip
    socket.send_fds(connection, [json.dumps(request).encode()], files)
    answers = connection.makefile()
    child = int(answers.readline())
    file = Path(address).parent / FORKS / str(os.getpid())
    file.with_suffix(".new").write_text(str(child))
    file.with_suffix(".new").rename(file)

    def forward(number: int, _: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(child, number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, forward)
    for descriptor in files:
        os.close(descriptor)  # a reader of the output sees its end when the fork ends
    code = int(answers.readline() or 1)
    if code < 0:
        with suppress(OSError):  # SIGKILL has no handler
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[3]), sys.argv[4]) if sys.argv[2:3] == ["serve"] else launch(sys.argv[1], sys.argv[2:])
