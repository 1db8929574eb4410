"""Fixtures that several test modules share."""

import gc
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yfinance  # before TensorFlow: loaded after it, curl_cffi cannot make its connections
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import FileSystemBytecodeCache
from xdist.scheduler import LoadScopeScheduling
from yahoo_stub import YahooStub

from monitoring.requestlog import RequestLog
from settings import PROJECT_DIR, Settings

# Files whose slow tests share no fixture: each test may run in any worker. A file that is not listed runs in one worker, which builds
# its servers, browsers and trainings once.
SPREAD = {
    "tests/e2e/test_dask.py",
    "tests/e2e/test_crowd.py",
    "tests/e2e/test_disk.py",
    "tests/e2e/test_kill.py",
    "tests/e2e/test_models.py",
    "tests/e2e/test_symbol_models.py",
    "tests/e2e/test_tracking.py",
    "tests/models/test_compiled.py",
    "tests/models/test_store_kills.py",
    "tests/test_modelTrain_faults.py",
}

LONGEST = {  # run first: each takes a minute in one worker
    "test_docs.py", "test_modelTrain.py", "test_training.py", "test_page.py", "test_page_symbol.py", "test_generated.py",
}  # fmt: skip

FORKING = {"test_store_kills.py", "test_kept.py"}  # run before all: they fork the worker itself, which grows with each library


gc.disable()  # until all tests are collected: what is imported stays

# A shell ignores Ctrl-C in what it starts in the background, and processes inherit that: the tests of Ctrl-C need the usual handler.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class FileScheduling(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Distributes whole files, and the tests of SPREAD one by one."""

    def _split_scope(self, nodeid: str) -> str:
        """Return the name of the group that a test belongs to."""
        file = nodeid.partition("::")[0]
        return nodeid if file in SPREAD else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileScheduling:
    """Tell pytest-xdist how to distribute the tests. Its own groups have no effect with pytest 9.2."""
    return FileScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run files with slow tests first, so that none is left at the end while the other workers are idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in slow, item.path.name not in FORKING, item.path.name not in LONGEST))


def pytest_collection_finish() -> None:
    """Collect garbage again, apart from the modules and the tests: there are millions of objects in them."""
    gc.freeze()
    gc.enable()


def pytest_runtest_setup(item: pytest.Function) -> None:
    """Close the browser of the modules before a test of another module that uses none."""
    browsing = sys.modules.get("browsing")
    if browsing and "browser" not in item.fixturenames and browsing.KEPT.module is not item.module:
        browsing.KEPT.close()


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_shell() -> Iterator[None]:
    """Tests see the defaults, whatever the shell has set."""
    with pytest.MonkeyPatch.context() as patch:
        for name in Settings.model_fields:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def _compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Apps share the compiled templates: without it, the first page of each takes 0.3 s."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Flask, "jinja_options", {"bytecode_cache": FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))})
        yield


@pytest.fixture(autouse=True)
def _no_settings_of_the_test_before() -> Iterator[None]:
    """Remove the settings that a test leaves in the environment: MLflow exports its tracking URI, which later servers would read."""
    yield
    for name in Settings.model_fields:
        os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def _no_code_of_loaded_models() -> Iterator[None]:
    """MLflow puts the code of a model that a test loads in front of sys.path, where the processes of later tests would find it."""
    before = sys.path.copy()
    yield
    sys.path[:] = before


@pytest.fixture(scope="session")
def trained_many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder with a training of two symbols and an unknown one, in two processes, and how it ended. Tests only read the folder."""
    from training import MANY, train_once

    return train_once(tmp_path_factory, *MANY, "--jobs", "2")


@pytest.fixture(scope="session")
def trained_part(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a training of MSFT on the closes of PART. Tests only read the folder."""
    from training import PART, train_once

    folder, done = train_once(tmp_path_factory, *PART)
    done.check_returncode()
    return folder


@pytest.fixture(scope="session")
def _yfinance_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep yfinance's own cache of time zones and cookies out of the home folder."""
    yfinance.set_tz_cache_location(str(tmp_path_factory.mktemp("yfinance")))


@pytest.fixture
def yahoo(_yfinance_cache: None) -> Iterator[YahooStub]:
    """A stub of Yahoo Finance: `.url` for YAHOO_URL, `.behave("429")`, `.calls`."""
    from yfinance.data import SingletonMeta

    SingletonMeta._instances.clear()  # cookies and crumb of the test before
    with YahooStub() as stub:
        yield stub


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    """A copy of the published model that is in git."""
    return Path(shutil.copytree(PROJECT_DIR / "modelFiles", tmp_path / "modelFiles", ignore=shutil.ignore_patterns(".*")))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A service of its own, without Yahoo Finance, MLflow UI and runs."""
    nowhere = "http://127.0.0.1:1"  # nothing listens on port 1
    runs = f"sqlite:///{tmp_path}/mlflow.db"
    return Settings(
        REQUEST_LOG=tmp_path / "log.csv", MLFLOW_UI_PORT=1, MLFLOW_TRACKING_URI=runs, YAHOO_URL=nowhere, DATA_CACHE_DIR=tmp_path / "cache"
    )


@pytest.fixture
def client(settings: Settings) -> FlaskClient:
    """Calls to that service, in this process."""
    from app import create_app

    return create_app(settings).test_client()


@pytest.fixture
def unused_listener() -> Iterator[int]:
    """The port of a listening socket: stands where the MLflow UI would (a real one is in e2e/)."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a request log is to be."""
    return tmp_path / "logs" / "log.csv"


@pytest.fixture
def log(path: Path) -> Iterator[RequestLog]:
    """A request log."""
    opened = RequestLog(path)
    yield opened
    opened.close()
