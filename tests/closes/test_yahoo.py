"""Downloads from a stub of Yahoo Finance: closes, retries, errors, the cache and the fallback order."""

import logging
import os
import time
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from yahoo_stub import ODD_DAY, RANGE, YahooStub

from closes.cache import read_cache
from closes.download import download_closes
from closes.series import Closes, last_final_day
from closes.yahoo import fetch_history
from errors import DataUnavailableError, InvalidClosesError, InvalidSymbolError, NoAnswerError, UnknownSymbolError
from processData import load_closes
from settings import Settings

TIMEOUT = 0.5  # seconds, for one call
CALLS_AN_ATTEMPT = 5  # cookie, crumb and chart, and again with the other kind of cookie
FIRST, LAST = "2024-01-02", "2024-06-17"  # the stub's first and last day


@pytest.fixture
def settings(yahoo: YahooStub, tmp_path: Path) -> Settings:
    return Settings(YAHOO_URL=yahoo.url, YAHOO_TIMEOUT=TIMEOUT, YAHOO_RETRIES=1, DATA_CACHE_DIR=tmp_path / "cache")


def download(settings: Settings, symbol: str = "MSFT", start: str = FIRST, end: str = LAST) -> Closes:
    return load_closes(symbol, start, end, source="yahoo", settings=settings)


def test_download_has_the_adjusted_close_of_every_day(yahoo, settings):
    closes = download(settings)
    assert (closes.symbol, closes.source) == ("MSFT", "yahoo")
    assert closes.dates.tolist() == yahoo.dates
    np.testing.assert_allclose(closes.prices, yahoo.adjusted, rtol=1e-12)
    assert not np.allclose(closes.prices, yahoo.closes)


def test_download_includes_start_and_end(yahoo, settings):
    closes = download(settings, start="2024-02-05", end="2024-03-01")
    assert (closes.first_date, closes.last_date) == ("2024-02-05", "2024-03-01")


def test_fetch_includes_the_last_day(yahoo, settings):
    dates = fetch_history("MSFT", "2024-02-05", "2024-03-01", settings).dates
    assert [str(dates[i]) for i in (0, -1)] == ["2024-02-05", "2024-03-01"]


def test_download_and_cache_have_adjusted_ranges_and_the_exchange(yahoo, settings):
    for closes in (download(settings), read_cache("MSFT", settings)):
        assert closes.ranges is not None
        np.testing.assert_allclose(closes.ranges, np.array(yahoo.adjusted)[:, None] * list(RANGE.values()), rtol=1e-12)
        assert closes.exchange == "NMS"


@pytest.mark.parametrize("behaviour", ["zero", "negative"])
def test_wrong_close_before_the_start_does_not_matter(yahoo, settings, caplog, behaviour):
    yahoo.behave(behaviour)
    odd = yahoo.dates[ODD_DAY].isoformat()
    closes = download(settings, start=yahoo.dates[ODD_DAY + 1].isoformat())
    assert len(closes) == len(yahoo.dates) - ODD_DAY - 1
    assert f"MSFT: left out 1 closes that are not positive, none of them used; the first is of {odd}." in caplog.text
    assert odd not in read_cache("MSFT", settings).dates.astype(str)
    with pytest.raises(InvalidClosesError, match="not a valid daily series"):
        download(settings, start=odd)


@pytest.mark.parametrize("symbol", ["BRK-B", "^GSPC", "PETR4.SA", "EURUSD=X", "M&M.NS", "NIFTY_FIN_SERVICE.NS", "B" * 32])
def test_download_accepts_symbols_of_every_kind(yahoo, settings, symbol):
    assert len(download(settings, symbol)) == len(yahoo.dates)
    assert read_cache(symbol, settings).symbol == symbol
    assert {unquote(path) for path in yahoo.paths if "/chart/" in path} == {f"/v8/finance/chart/{symbol}"}


def test_symbol_is_case_insensitive(yahoo, settings):
    assert download(settings, "msft").symbol == "MSFT"
    assert read_cache("MSFT", settings).symbol == "MSFT"


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("429", "Yahoo Finance: the rate limit is exceeded (HTTP 429); 2 attempts."),
        ("500", "Yahoo Finance: it answered with HTTP 500; 2 attempts."),
        ("401", "Yahoo Finance: it answered with HTTP 401; 2 attempts."),
        ("503", "Yahoo Finance: it answered with HTTP 503; 2 attempts."),
        ("html", "Yahoo Finance: it answered with HTTP 503; 2 attempts."),
        ("html page", "Yahoo Finance: the answer is not a price history (JSONDecodeError); 2 attempts."),
        ("slow", "Yahoo Finance: no answer within 0.5 s; 2 attempts."),
        ("half", "Yahoo Finance: it cannot be reached; 2 attempts."),
    ],
)
@pytest.mark.parametrize("symbol", ["MSFT", "NEW-1"])  # yfinance knows the time zone of the one from the tests before
def test_failed_call_is_retried_then_reported_in_one_sentence(yahoo, settings, caplog, behaviour, message, symbol):
    yahoo.behave(behaviour)
    started = time.monotonic()
    with pytest.raises(DataUnavailableError) as caught:
        download(settings, symbol)
    assert str(caught.value) == message
    assert isinstance(caught.value, NoAnswerError) == (behaviour != "html page")
    assert [r.message for r in caplog.records if "attempt 2 of 2" in r.message and r.name == "closes.yahoo"]
    assert time.monotonic() - started < 2 * CALLS_AN_ATTEMPT * TIMEOUT + 10


@pytest.mark.parametrize("symbol", ["MSFT", "NEW-2"])
def test_all_calls_together_have_a_time_limit(yahoo, settings, symbol):
    yahoo.behave("slow")
    started = time.monotonic()
    with pytest.raises(NoAnswerError) as caught:
        fetch_history(symbol, FIRST, LAST, settings.model_copy(update={"YAHOO_TIMEOUT": 30.0}), seconds=1.0)
    assert str(caught.value) == "Yahoo Finance: no answer within 1 s."
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(("retries", "said"), [(0, "reached."), (2, "reached; 3 attempts.")])
def test_number_of_retries_follows_the_setting(yahoo, settings, retries, said):
    download(settings)  # yfinance keeps the time zone: from now on one chart is one attempt
    yahoo.behave("half")
    with pytest.raises(DataUnavailableError, match=said):
        download(settings.model_copy(update={"YAHOO_RETRIES": retries}))
    assert yahoo.calls == retries + 1


def test_call_that_fails_once_succeeds_on_retry(yahoo, settings):
    download(settings)
    yahoo.behave("fail once")
    np.testing.assert_allclose(download(settings).prices, yahoo.adjusted, rtol=1e-12)
    assert yahoo.calls == 2


def test_failure_is_not_cached(yahoo, settings):
    yahoo.behave("half")
    with pytest.raises(DataUnavailableError):
        download(settings)
    yahoo.behave("normal")
    assert len(download(settings)) == len(yahoo.dates)


@pytest.mark.parametrize("behaviour", ["empty", "not found"])
@pytest.mark.parametrize("symbol", ["MSFT", "GONE"])
@pytest.mark.parametrize("looked_up", [0, 2])
def test_unknown_symbol_is_not_retried(yahoo, settings, monkeypatch, behaviour, symbol, looked_up):
    monkeypatch.setattr("yfinance.base._tz_info_fetch_ctr", looked_up)  # yfinance looks the first two of a process up elsewhere too
    yahoo.behave(behaviour)
    with pytest.raises(UnknownSymbolError, match=rf"^Yahoo Finance has no closes of {symbol} from 2010-01-01 to \d{{4}}-\d\d-\d\d\.$"):
        download(settings, symbol)
    assert yahoo.calls <= 2


@pytest.mark.parametrize(("symbol", "other"), [("BRK.B", "BRK-B"), ("RCI.B.TO", "RCI-B.TO")])
@pytest.mark.parametrize("source", ["auto", "yahoo"])
def test_unknown_share_class_names_the_symbol_that_exists(yahoo, settings, source, symbol, other):
    yahoo.known = {other}
    with pytest.raises(DataUnavailableError) as caught:
        load_closes(symbol, FIRST, LAST, source=source, settings=settings)
    said = str(caught.value) if source == "yahoo" else caught.value.details[0]
    assert said.endswith(f"Yahoo Finance has no closes of {symbol} from 2010-01-01 to {last_final_day()}. {other} exists: use that symbol.")
    assert load_closes(other, FIRST, LAST, source="cache", settings=settings).symbol == other


def test_unknown_share_class_names_no_symbol_that_does_not_exist(yahoo, settings):
    yahoo.known = {"MSFT"}
    with pytest.raises(UnknownSymbolError, match=rf"^Yahoo Finance has no closes of BRK\.B from 2010-01-01 to {last_final_day()}\.$"):
        download(settings, "BRK.B")


@pytest.mark.parametrize("known", ["cache", "snapshot"])
def test_symbol_that_is_known_on_disk_is_not_asked_for(yahoo, settings, monkeypatch, known):
    if known == "cache":
        download(settings, "BRK-B")
    else:
        monkeypatch.setattr("closes.download.snapshot_symbols", lambda: ["BRK-B"])
    yahoo.behave("not found")
    with pytest.raises(UnknownSymbolError, match="BRK-B exists: use that symbol"):
        download(settings, "BRK.B")
    assert not [path for path in yahoo.paths if "BRK-B" in path]


def test_check_of_the_other_symbol_is_within_the_time_limit(yahoo, settings, monkeypatch):
    answer = yahoo.respond

    def slow_for_the_other(path, query):
        if path.endswith("BRK-B"):
            yahoo.behave("slow")
        return answer(path, query)

    yahoo.known = set()
    monkeypatch.setattr(yahoo, "respond", slow_for_the_other)
    settings = settings.model_copy(update={"YAHOO_TIMEOUT": 20.0})
    started = time.monotonic()
    with pytest.raises(UnknownSymbolError, match=r"no closes of BRK\.B from .*-\d\d\.$"):
        download_closes("BRK.B", FIRST, LAST, settings, seconds=2.0)
    assert time.monotonic() - started < 10


def test_range_without_closes_is_an_error_naming_the_available_range(yahoo, settings):
    with pytest.raises(DataUnavailableError, match=f"no closes from 2011-01-01 to 2011-12-31; Yahoo Finance has {FIRST} to {LAST}"):
        download(settings, start="2011-01-01", end="2011-12-31")


def test_unreachable_server_is_an_error(settings, unused_port):
    nowhere = settings.model_copy(update={"YAHOO_URL": f"http://127.0.0.1:{unused_port}"})
    with pytest.raises(DataUnavailableError, match="it cannot be reached; 2 attempts"):
        download(nowhere)


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize("behaviour", ["null", "not a number"])
def test_day_without_a_close_is_dropped(yahoo, settings, behaviour):
    yahoo.behave(behaviour)
    closes = download(settings)
    assert closes.dates.tolist() == yahoo.dates[:ODD_DAY] + yahoo.dates[ODD_DAY + 1 :]


@pytest.mark.parametrize(("behaviour", "price"), [("zero", 0.0), ("negative", -1.0)])
def test_invalid_price_is_rejected_naming_the_day(yahoo, settings, behaviour, price):
    yahoo.behave(behaviour)
    with pytest.raises(InvalidClosesError) as caught:
        download(settings)
    assert caught.value.details == [f"{yahoo.dates[ODD_DAY]} has the close {price}; a close must be a positive finite number"]
    assert not settings.DATA_CACHE_DIR.exists()  # and not kept


@pytest.mark.parametrize("behaviour", ["twice", "backwards"])
def test_days_out_of_order_are_sorted(yahoo, settings, behaviour):
    yahoo.behave(behaviour)
    closes = download(settings)
    assert closes.dates.tolist() == yahoo.dates
    np.testing.assert_allclose(closes.prices, yahoo.adjusted, rtol=1e-12)


def test_unadjusted_split_is_warned_of_with_its_day(yahoo, settings, caplog):
    yahoo.behave("split")
    assert len(download(settings)) == len(yahoo.dates)
    moved = yahoo.adjusted[ODD_DAY] / yahoo.adjusted[ODD_DAY - 1] / 2
    said = f"The close of {yahoo.dates[ODD_DAY]} is {moved:.3g} times the close before it. If this is a split, use adjusted closes."
    assert f"MSFT: {said}" in caplog.messages


@pytest.mark.slow
@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("uneven", "the answer is not a price history (ValueError)"),
        ("text", "the answer is not a price history (ValueError)"),
        ("other symbol", "asked for MSFT, it answered with 'OTHER'"),
        ("huge", "the answer is larger than 16 MiB"),
    ],
)
def test_auto_falls_back_when_the_answer_has_no_valid_series(yahoo, settings, caplog, behaviour, message):
    settings = settings.model_copy(update={"YAHOO_TIMEOUT": 60.0, "YAHOO_RETRIES": 0})
    yahoo.behave(behaviour)
    with pytest.raises(DataUnavailableError) as caught:
        download(settings)
    assert str(caught.value) == f"Yahoo Finance: {message}."
    assert not settings.DATA_CACHE_DIR.exists()
    assert load_closes("MSFT", "2022-01-01", LAST, settings=settings).source == "snapshot"
    assert f"Skipped yahoo: Yahoo Finance: {message}." in caplog.messages


def test_download_of_a_part_caches_the_whole_series(yahoo, settings):
    assert len(download(settings, start="2024-05-01", end="2024-05-31")) == 23
    cached = read_cache("MSFT", settings)
    assert (cached.source, cached.first_date, cached.last_date) == ("cache", FIRST, LAST)
    np.testing.assert_array_equal(cached.prices, download(settings).prices)  # to the last bit
    assert [path.name for path in settings.DATA_CACHE_DIR.iterdir()] == ["MSFT.csv"]
    assert (settings.DATA_CACHE_DIR / "MSFT.csv").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    "content",
    [b"", b"date,close\n", b"date,close\n2024-01-02\n", b"date,close\n2024-01-02,1,2\n", b"date,close\n2024-01-02,x\n",
     b"date,close\n2024-01-32,1\n", b"date,close\n2024-01-02,1\n2024-01-03\n", b"\xff\xfe\0"],
)  # fmt: skip
def test_damaged_cache_is_rejected(settings, content):
    settings.DATA_CACHE_DIR.mkdir()
    path = settings.DATA_CACHE_DIR / "MSFT.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidClosesError, match=r"is damaged\. Delete it") as caught:
        read_cache("MSFT", settings)
    assert str(caught.value).startswith("cache/MSFT.csv ")  # who asks the service learns no more of where that is


def test_unwritable_cache_does_not_lose_the_download(yahoo, settings, tmp_path, caplog):
    (tmp_path / "file").touch()
    elsewhere = settings.model_copy(update={"DATA_CACHE_DIR": tmp_path / "file" / "cache"})
    assert len(download(elsewhere)) == len(yahoo.dates)
    assert any(record.message.startswith("The download is not cached in ") for record in caplog.records)


def test_failed_write_leaves_the_old_cache(yahoo, settings, monkeypatch):
    download(settings)
    before = (settings.DATA_CACHE_DIR / "MSFT.csv").read_bytes()
    yahoo.adjusted[0] += 1

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        download(settings)
    assert {path.name: path.read_bytes() for path in settings.DATA_CACHE_DIR.iterdir()} == {"MSFT.csv": before}


def auto(settings: Settings, symbol: str = "MSFT", start: str = "2022-01-01", end: str = LAST) -> Closes:
    return load_closes(symbol, start, end, settings=settings)


def test_auto_tries_yahoo_then_cache_then_snapshot(yahoo, settings, caplog):
    caplog.set_level(logging.INFO, "processData")
    assert auto(settings).source == "yahoo"
    yahoo.behave("half")
    cached = auto(settings)
    assert (cached.source, cached.last_date) == ("cache", LAST)
    assert "Skipped yahoo: Yahoo Finance: it cannot be reached; 2 attempts." in caplog.messages
    assert f"MSFT: 120 closes, {FIRST} to {LAST}, from cache." in caplog.messages
    (settings.DATA_CACHE_DIR / "MSFT.csv").unlink()
    embedded = auto(settings)
    assert (embedded.source, embedded.last_date) == ("snapshot", "2022-12-28")
    assert "Skipped cache: MSFT is not cached in cache/." in caplog.messages
    assert "MSFT: 249 closes, 2022-01-03 to 2022-12-28, from snapshot." in caplog.messages


def test_auto_skips_a_damaged_cache_with_a_warning(yahoo, settings, caplog):
    auto(settings)
    (settings.DATA_CACHE_DIR / "MSFT.csv").write_bytes(b"date,close\n2024-01-02,abc\n")
    yahoo.behave("half")
    assert auto(settings).source == "snapshot"
    assert any(message.startswith("Skipped cache: ") and "is damaged" in message for message in caplog.messages)


@pytest.mark.parametrize("behaviour", ["not found", "half", "text"])
def test_each_failure_appears_once(yahoo, settings, caplog, behaviour):
    caplog.set_level(logging.INFO)
    yahoo.behave(behaviour)
    with pytest.raises(DataUnavailableError) as caught:
        load_closes("NEWCO", FIRST, LAST, settings=settings.model_copy(update={"YAHOO_RETRIES": 0}))
    assert [detail.partition(":")[0] for detail in caught.value.details] == ["yahoo", "cache", "snapshot"]
    assert caplog.messages == ["Downloading NEWCO from Yahoo Finance ..."]  # and nothing from yfinance


def test_auto_without_any_source_reports_every_failure(yahoo, settings):
    yahoo.behave("not found")
    with pytest.raises(DataUnavailableError) as caught:
        auto(settings, "NOSUCH")
    assert str(caught.value) == f"No source has closes of NOSUCH from 2022-01-01 to {LAST}."
    assert [detail.split(":")[0] for detail in caught.value.details] == ["yahoo", "cache", "snapshot"]


def test_source_yahoo_does_not_fall_back(yahoo, settings):
    download(settings)
    yahoo.behave("half")
    with pytest.raises(DataUnavailableError, match="Yahoo Finance"):
        download(settings)


@pytest.mark.parametrize("symbol", ["../x", "BRK/B", ".MSFT", "", "A" * 33, "MS FT", "MSFT\n", "é", "a\\b", "%2e%2e", "A?b=c"])
@pytest.mark.parametrize("source", ["auto", "yahoo", "cache", "snapshot"])
def test_invalid_symbol_is_rejected_before_any_call(yahoo, settings, source, symbol):
    with pytest.raises(InvalidSymbolError) as caught:
        load_closes(symbol, source=source, settings=settings)
    assert repr(symbol) in str(caught.value)
    assert yahoo.paths == []
    assert not settings.DATA_CACHE_DIR.exists()
