"""The newest closes of a symbol: memory, cache and download, fallbacks and waits."""

import os
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from yahoo_stub import ODD_DAY

from closes import newest as newest_module
from closes.calendar import calendar_of
from closes.download import download_closes
from closes.newest import NewestCloses
from errors import DataUnavailableError, InvalidSymbolError, UnknownSymbolError
from settings import Settings

TODAY = datetime.now(UTC).date()


@pytest.fixture
def settings(yahoo, tmp_path):
    yahoo.end_on(TODAY)
    return Settings(YAHOO_URL=yahoo.url, YAHOO_TIMEOUT=0.5, DATA_CACHE_DIR=tmp_path / "cache")


def worker(settings):
    return NewestCloses(settings, lambda work, *arguments: work(*arguments), download_closes)


@pytest.fixture
def newest(settings):
    return worker(settings)


def age_cache(settings, symbol="MSFT"):
    """A download from before FORECAST_TTL seconds."""
    path = settings.DATA_CACHE_DIR / f"{symbol}.csv"
    before = time.time() - settings.FORECAST_TTL - 1
    os.utime(path, (before, before))


@pytest.fixture
def cached(settings):
    """A worker that has forgotten its own download of MSFT, which is old."""
    worker(settings).of("MSFT")
    age_cache(settings)
    return worker(settings)


def test_newest_closes_end_yesterday(newest, yahoo):
    found = newest.of("MSFT")
    assert (found.closes.symbol, found.closes.source, found.warnings) == ("MSFT", "yahoo", [])
    assert found.closes.dates.tolist() == yahoo.dates[:-1]
    assert found.closes.prices.tolist() == pytest.approx(yahoo.adjusted[:-1])


def test_todays_close_in_the_cache_is_not_used(cached, settings, yahoo):
    path = settings.DATA_CACHE_DIR / "MSFT.csv"
    path.write_text(path.read_text() + f"{TODAY},1.0,1.0,1.1,0.9\n")
    assert cached.of("MSFT").closes.last_date == yahoo.dates[-2].isoformat()
    assert yahoo.calls == 1


def test_download_is_reused_until_it_expires(settings, yahoo):
    newest = worker(settings.model_copy(update={"FORECAST_TTL": 1.0}))
    assert newest.of("MSFT") is newest.of("msft")
    assert yahoo.calls == 1
    time.sleep(1.1)
    newest.of("MSFT")
    assert yahoo.calls == 2


def test_workers_share_a_download_until_it_expires(settings, yahoo):
    first, second = worker(settings).of("MSFT"), worker(settings).of("MSFT")
    assert second.closes.source == "yahoo"
    assert second.closes.prices.tolist() == first.closes.prices.tolist()
    assert yahoo.calls == 1
    age_cache(settings)
    worker(settings).of("MSFT")
    assert yahoo.calls == 2


def test_cache_with_a_date_from_the_future_is_not_fresh(settings, yahoo):
    worker(settings).of("MSFT")
    later = time.time() + 1e6
    os.utime(settings.DATA_CACHE_DIR / "MSFT.csv", (later, later))
    worker(settings).of("MSFT")
    assert yahoo.calls == 2


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("429", "Yahoo Finance: the rate limit is exceeded (HTTP 429)."),
        ("500", "Yahoo Finance: it answered with HTTP 500."),
        ("html page", "Yahoo Finance: the answer is not a price history (JSONDecodeError)."),
        ("slow", "Yahoo Finance: no answer within 0.5 s."),
        ("half", "Yahoo Finance: it cannot be reached."),
        ("empty", f"Yahoo Finance has no closes of MSFT from 2010-01-01 to {TODAY - timedelta(days=1)}."),
        ("zero", "The closes are not a valid daily series."),
    ],
)
def test_failure_of_yahoo_falls_back_to_the_last_download(cached, yahoo, behaviour, reason):
    yahoo.behave(behaviour)
    found = cached.of("MSFT")
    assert found.closes.source == "cache"
    assert [(warning.code, warning.text) for warning in found.warnings] == [
        ("source_fallback", f"{reason} These closes are from the cache and end on {yahoo.dates[-2]}.")
    ]
    asked = len(yahoo.paths)
    assert asked > 0
    assert cached.of("MSFT") is found
    assert len(yahoo.paths) == asked


def test_yahoo_is_retried_after_a_pause(cached, yahoo, monkeypatch):
    monkeypatch.setattr(newest_module, "RETRY_SECONDS", 0.5)
    yahoo.behave("429")
    assert cached.of("MSFT").closes.source == "cache"
    yahoo.behave("normal")
    assert cached.of("MSFT").closes.source == "cache"
    time.sleep(0.6)
    found = cached.of("MSFT")
    assert (found.closes.source, found.warnings) == ("yahoo", [])


@pytest.mark.parametrize(("behaviour", "silent"), [("429", True), ("slow", True), ("html page", False), ("not found", False)])
def test_silent_yahoo_is_not_asked_about_other_symbols(newest, yahoo, behaviour, silent):
    yahoo.behave(behaviour)
    newest.of("KO")
    yahoo.behave("normal")
    found = newest.of("PEP")
    assert (yahoo.paths == []) == silent
    assert found.closes.source == ("snapshot" if silent else "yahoo")


def test_old_closes_have_a_warning(newest, yahoo):
    yahoo.behave("429")
    days = calendar_of("MSFT").age(np.datetime64("2022-12-28"), np.datetime64(TODAY))
    assert newest.of("MSFT").warnings[1].text == f"The last close is from 2022-12-28, {days:,} trading days ago."


def test_wrong_close_before_the_newest_ones_does_not_matter(newest, yahoo, monkeypatch):
    yahoo.behave("zero")
    with pytest.raises(DataUnavailableError):
        newest.of("ACME")
    after = len(yahoo.dates) - ODD_DAY - 2  # today's close is not final
    monkeypatch.setattr(newest_module, "MAX_CLOSES", after)
    assert len(worker(newest._settings).of("ACME").closes) == after


def test_weekly_closes_have_a_warning(newest, yahoo):
    yahoo.dates = [TODAY - timedelta(days=7 * (len(yahoo.dates) - index)) for index in range(len(yahoo.dates))]
    assert "not_daily" in [warning.code for warning in newest.of("ACME").warnings]


@pytest.mark.parametrize("behaviour", ["not found", "empty"])
def test_unknown_symbol_is_cached_for_a_while(newest, yahoo, monkeypatch, behaviour):
    monkeypatch.setattr(newest_module, "UNKNOWN_SECONDS", 0.5)
    yahoo.behave(behaviour)
    for _ in range(3):
        with pytest.raises(UnknownSymbolError, match="no closes of NOSUCH"):
            newest.of("NOSUCH")
    assert yahoo.paths.count("/v8/finance/chart/NOSUCH") <= 2
    yahoo.behave("normal")
    time.sleep(0.6)
    assert newest.of("NOSUCH").closes.source == "yahoo"


def test_error_names_every_source_and_yahoo_is_not_retried(newest, yahoo):
    yahoo.behave("half")
    for _ in range(2):
        with pytest.raises(DataUnavailableError) as caught:
            newest.of("NOSUCH")
        assert not isinstance(caught.value, UnknownSymbolError)
        for named, text in zip(("Yahoo", "cache", "snapshot"), (str(caught.value), *caught.value.details), strict=True):
            assert named in text
    assert yahoo.calls <= 1


@pytest.mark.parametrize("symbol", ["", "../x", ".MSFT", "A" * 33, "A B", "é"])
def test_malformed_symbol_is_rejected_before_any_call(newest, yahoo, settings, symbol):
    with pytest.raises(InvalidSymbolError):
        newest.of(symbol)
    assert yahoo.paths == []
    assert not settings.DATA_CACHE_DIR.exists()


def test_concurrent_requests_make_one_download(newest, yahoo):
    yahoo.behave("late")
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(newest.of, ["MSFT"] * 20))
    assert {id(one) for one in found} == {id(found[0])}
    assert (found[0].closes.source, yahoo.calls) == ("yahoo", 1)


def test_request_that_reads_the_cache_as_a_download_ends_shares_its_closes(newest, yahoo, monkeypatch):
    """Between the write of the cache and the end of the download, another request reads what was written."""
    others: list[newest_module.Newest] = []
    look = newest._look

    def looked(*arguments):
        lookup = look(*arguments)
        others.append(newest.of("MSFT"))
        return lookup

    monkeypatch.setattr(newest, "_look", looked)
    assert newest.of("MSFT") is others[0]
    assert yahoo.calls == 1


@pytest.fixture
def other_worker(settings):
    """Another process that downloads MSFT; ended by `communicate`."""
    settings.DATA_CACHE_DIR.mkdir(exist_ok=True)
    file = settings.DATA_CACHE_DIR / f".lock-{zlib.crc32(b'MSFT') % newest_module.LOCK_FILES}"
    code = f"import filelock, sys; lock = filelock.FileLock({str(file)!r}); lock.acquire(); print('locked', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_request_uses_the_download_of_another_worker(newest, yahoo, settings, other_worker):
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(newest.of, "MSFT")
        with pytest.raises(TimeoutError):
            waiting.result(0.3)
        (settings.DATA_CACHE_DIR / "MSFT.csv").write_text("date,close\n2024-01-02,1.5\n")
        other_worker.communicate()
        assert waiting.result(30).closes.prices.tolist() == [1.5]
    assert yahoo.paths == []


def test_request_that_waits_too_long_for_a_worker_falls_back(newest, yahoo, monkeypatch, other_worker):
    monkeypatch.setattr(newest_module, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(newest_module, "YAHOO_SECONDS", 0.2)
    text = newest.of("MSFT").warnings[0].text
    assert text.startswith("Yahoo Finance: other downloads take too long. These closes are from the snapshot")
    assert yahoo.paths == []
    monkeypatch.setattr(newest_module, "YAHOO_SECONDS", 5.0)
    monkeypatch.setattr(newest_module, "ANSWER_SECONDS", 10.0)
    assert newest.of("KO").closes.source == "yahoo"  # another symbol does not wait
    other_worker.communicate()
    assert newest.of("MSFT").closes.source == "yahoo"


def test_request_that_waits_too_long_for_a_request_falls_back(newest, yahoo, monkeypatch):
    monkeypatch.setattr(newest_module, "ANSWER_SECONDS", 0.2)
    with newest._downloading:
        assert newest.of("MSFT").closes.source == "snapshot"
    assert yahoo.paths == []


def test_cached_symbol_does_not_wait_for_another_download(cached, settings):
    os.utime(settings.DATA_CACHE_DIR / "MSFT.csv")
    with cached._downloading:  # as while another symbol is downloaded
        before = time.monotonic()
        assert cached.of("MSFT").closes.source == "yahoo"
    assert time.monotonic() - before < newest_module.ANSWER_SECONDS / 2


def test_memory_of_symbols_and_closes_is_bounded(settings, monkeypatch):
    monkeypatch.setattr(newest_module, "MAX_SYMBOLS", 2)
    monkeypatch.setattr(newest_module, "MAX_CLOSES", 70)
    newest = worker(settings)
    for symbol in ("KO", "PEP", "KO", "XOM"):
        assert len(newest.of(symbol).closes) == 70
    assert sorted(newest._lookups) == ["KO", "XOM"]


def test_unwritable_cache_folder_does_not_lose_closes(settings, yahoo, tmp_path):
    (tmp_path / "file").touch()
    newest = worker(settings.model_copy(update={"DATA_CACHE_DIR": tmp_path / "file" / "cache"}))
    assert newest.of("MSFT").closes.source == newest.of("MSFT").closes.source == "yahoo"
    assert yahoo.calls == 1


def test_files_and_downloads_are_read_in_a_thread(settings, yahoo):
    works = []

    def run_in_thread(work, *arguments):
        with ThreadPoolExecutor(1) as pool:
            works.append(work.__name__)
            return pool.submit(work, *arguments).result()

    newest = NewestCloses(settings, run_in_thread, download_closes)
    assert newest.of("MSFT").closes.source == "yahoo"
    assert works == ["_read_fresh", "_look"]
    newest.of("MSFT")
    assert len(works) == 2  # from memory
