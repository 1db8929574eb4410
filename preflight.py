"""The first step of a command: it checks Python's version and the packages before other imports, and lets Ctrl-C end them quietly.

This file also runs on older versions of Python, which then get one sentence and no traceback. It imports little, so it is fast.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

VERSIONS = ((3, 11), (3, 13))  # the oldest and the newest, as requires-python in pyproject.toml
NEEDED = ("flask", "gunicorn", "numpy", "onnxruntime", "pydantic")  # some of requirements-serve.txt
TRAINING = ("keras", "mlflow", "onnx", "sklearn", "tensorflow")  # some of those that only requirements.txt has
EXIT_INTERRUPTED = 130


def check() -> None:
    """Exit with code 1 and one sentence if this Python does not fit or lacks packages. From here on Ctrl-C ends the process at once."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
    check_version()
    problem = package_problem()
    if problem:
        sys.exit(f"error: {problem}")


def check_version() -> None:
    """Exit with code 1 and one sentence if this Python does not fit."""
    problem = python_problem(sys.version_info[:2])
    if problem:
        sys.exit(f"error: {problem}")


def check_training() -> None:
    """Exit with code 1 and one sentence if a package that training and MLflow need is missing, as after an installation for serving."""
    from importlib.util import find_spec

    missing = [name for name in TRAINING if find_spec(name) is None]
    if missing:
        sys.exit(
            f"error: The package {missing[0]} is not installed for {sys.executable}; training and MLflow need all of requirements.txt: "
            f"{sys.executable} -m pip install --require-hashes -r requirements.txt"
        )


def python_problem(version: tuple[int, ...]) -> str:
    """Return what is wrong with a version of Python, such as (3, 10), and what to do. Empty: nothing."""
    if VERSIONS[0] <= version <= VERSIONS[1]:
        return ""
    found = f"{version[0]}.{version[1]}"
    return f"This is Python {found}, but Python 3.11 to 3.13 is needed; install one and run, for example, make run PYTHON=python3.12"


def package_problem() -> str:
    """Return which package is missing, and what to do. Empty: none."""
    from importlib.util import find_spec

    missing = [name for name in NEEDED if find_spec(name) is None]
    if not missing:
        return ""
    command = os.path.basename(sys.argv[0])
    return (
        f"The package {missing[0]} is not installed for {sys.executable}; run make run once, which needs Python 3.11 to 3.13, "
        f"then .venv/bin/python {command}"
    )


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """End the process at once. The import of a library could catch a KeyboardInterrupt."""
    os.write(2, b"interrupted\n")
    os._exit(EXIT_INTERRUPTED)
