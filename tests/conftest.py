"""Fixtures that several test modules share."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from yahoo_stub import YahooStub

from monitoring.requestlog import RequestLog
from settings import PROJECT_DIR, Settings


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests and group them for pytest-xdist (`--dist loadgroup`).

    Slow tests come first, so that none is left at the end while the other workers are idle. Tests that share a fixture of their module
    run in one worker, which builds it once. A slow test that shares nothing is distributed on its own.
    """
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    for item in items:
        definitions = getattr(item, "_fixtureinfo").name2fixturedefs  # noqa: B009 - pytest has no public name for it
        shares = any(found and found[-1].scope == "module" for found in definitions.values())
        if shares or item.get_closest_marker("slow") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


@pytest.fixture(autouse=True)
def _no_settings_of_the_shell() -> Iterator[None]:
    """Tests see the defaults, whatever the shell, or MLflow in an earlier test, has set."""
    with pytest.MonkeyPatch.context() as patch:
        for name in Settings.model_fields:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def _yfinance_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep yfinance's own cache of time zones and cookies out of the home folder."""
    import yfinance

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
    """A service of its own, without Yahoo Finance and MLflow UI."""
    nowhere = "http://127.0.0.1:1"  # nothing listens on port 1
    return Settings(REQUEST_LOG=tmp_path / "log.csv", MLFLOW_UI_PORT=1, YAHOO_URL=nowhere, DATA_CACHE_DIR=tmp_path / "cache")


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
