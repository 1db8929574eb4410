"""Fixtures that several test modules share."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from yahoo_stub import YahooStub

from settings import PROJECT_DIR, Settings


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
