"""Downloads in a process of their own: the same closes and errors, and what happens when the process ends."""

import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psutil
import pytest
from serving import wait_until

from closes import downloader as downloader_module
from closes.cache import cache_file, read_cache
from closes.download import download_closes
from closes.downloader import Downloader
from closes.series import FIRST_DAY, last_final_day
from errors import DataUnavailableError, ForecastError, InvalidClosesError, NoAnswerError, UnknownSymbolError
from settings import Settings

pytestmark = pytest.mark.slow

LONG = 60.0  # seconds, for a machine under load


@pytest.fixture(scope="module")
def downloader():
    """A downloader for all tests, because a process takes seconds to start. A test may end its process: the next one starts another."""
    downloader = Downloader()
    yield downloader
    downloader.close()


@pytest.fixture
def own():
    """A downloader without a process."""
    downloader = Downloader()
    yield downloader
    downloader.close()


@pytest.fixture
def settings(yahoo, tmp_path):
    yahoo.end_on(datetime.now(UTC).date() - timedelta(days=1))
    return Settings(YAHOO_URL=yahoo.url, YAHOO_TIMEOUT=1.0, DATA_CACHE_DIR=tmp_path / "cache")


def arguments(settings, symbol="MSFT", seconds=LONG, newest=1000):
    return symbol, FIRST_DAY, last_final_day(), settings, seconds, newest


def process_of(downloader):
    return psutil.Process(downloader._process.pid)


def test_closes_are_those_of_a_download_in_this_process(downloader, settings, yahoo):
    there, here = downloader.download(*arguments(settings)), download_closes(*arguments(settings))
    assert (there.symbol, there.source, there.exchange) == (here.symbol, here.source, here.exchange) == ("MSFT", "yahoo", "NMS")
    assert there.dates.tolist() == here.dates.tolist() == yahoo.dates
    assert there.prices.tolist() == here.prices.tolist()
    np.testing.assert_array_equal(there.ranges, here.ranges)


def test_download_is_cached_in_full_and_its_newest_closes_returned(downloader, settings, yahoo):
    closes = downloader.download(*arguments(settings, newest=70))
    assert closes.dates.tolist() == yahoo.dates[-70:]
    assert read_cache("MSFT", settings).dates.tolist() == yahoo.dates


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [("429", NoAnswerError), ("empty", UnknownSymbolError), ("zero", InvalidClosesError), ("html page", DataUnavailableError)],
)
def test_errors_are_those_of_a_download_in_this_process(downloader, settings, yahoo, behaviour, error):
    yahoo.behave(behaviour)
    said = []
    for download in (downloader.download, download_closes):
        with pytest.raises(ForecastError) as caught:
            download(*arguments(settings))
        assert type(caught.value) is error
        said.append((str(caught.value), caught.value.details))
    assert said[0] == said[1]


def test_yfinance_keeps_its_own_cache_next_to_the_downloads(own, settings, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    own.download(*arguments(settings))
    assert (settings.DATA_CACHE_DIR / "py-yfinance").is_dir()


def test_next_download_uses_the_same_process(downloader, settings):
    downloader.download(*arguments(settings, "MSFT"))
    process = process_of(downloader)
    downloader.download(*arguments(settings, "KO"))
    assert process_of(downloader) == process


def test_killed_process_is_replaced_and_leaves_no_zombie_and_no_open_files(downloader, settings):
    downloader.download(*arguments(settings))
    before = len(list(Path("/proc/self/fd").iterdir()))
    killed = process_of(downloader)
    killed.kill()
    assert len(downloader.download(*arguments(settings))) > 0
    assert process_of(downloader) != killed
    assert not killed.is_running()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_process_ends_when_it_is_idle(own, settings, monkeypatch, tmp_path):
    start = "import closes.downloader as module; module.IDLE_SECONDS = 0.1; module.main()"
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{start}"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    own.download(*arguments(settings))
    process = process_of(own)
    wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE, 60, "the end of the idle process")
    assert len(own.download(*arguments(settings))) > 0


def test_process_ends_with_its_owner(settings):
    downloader = Downloader()
    downloader.download(*arguments(settings))
    process = process_of(downloader)
    del downloader
    wait_until(lambda: not process.is_running(), 60, "the end of the process")


def test_process_that_hangs_is_an_error_and_is_replaced(downloader, settings, monkeypatch):
    downloader.download(*arguments(settings))
    process_of(downloader).send_signal(signal.SIGSTOP)
    monkeypatch.setattr(downloader_module, "START_SECONDS", 0.0)
    with pytest.raises(DataUnavailableError, match="the downloader process does not answer"):
        downloader.download(*arguments(settings, seconds=0.1))
    monkeypatch.undo()
    assert len(downloader.download(*arguments(settings))) > 0


def test_process_that_cannot_start_is_an_error(own, settings, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/none/python")
    with pytest.raises(DataUnavailableError, match=r"cannot be started \(No such file or directory\)"):
        own.download(*arguments(settings))


def test_process_that_always_ends_is_an_error(own, settings, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/true")
    with pytest.raises(DataUnavailableError, match="ends before it answers"):
        own.download(*arguments(settings))


def test_cache_folder_that_cannot_be_written_loses_no_closes(downloader, settings, tmp_path):
    (tmp_path / "file").touch()
    unwritable = settings.model_copy(update={"DATA_CACHE_DIR": tmp_path / "file" / "cache"})
    assert len(downloader.download(*arguments(unwritable))) > 0
    assert not cache_file("MSFT", unwritable).exists()
