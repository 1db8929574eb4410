"""One nightly run: when it trains, what training.json says afterwards, and that two do not run at once."""

import json
import os
import signal
import socket

import numpy as np
import pytest

from cli import interruption
from closes.series import Closes
from errors import BusyError, DataUnavailableError
from models.gate import NotPromotedError
from monitoring.training import read_trainings
from retraining import nightly
from retraining.lock import one_at_a_time
from retraining.nightly import Job, run_nightly


@pytest.fixture
def final(monkeypatch):
    """Set the last final day."""

    def be(day):
        monkeypatch.setattr(nightly, "last_final_day", lambda: day)

    be("2026-11-25")
    return be


@pytest.fixture
def job(tmp_path, final):
    return Job.of("msft", None, tmp_path)


@pytest.fixture
def many(tmp_path, final):
    return Job.of("MSFT", ["MSFT", "KO", "PG"], tmp_path)


def closes(symbol, last):
    days = np.array([np.datetime64(last) - 1, np.datetime64(last)])
    return Closes(symbol, "yahoo", days, np.array([1.0, 2.0]))


class Training:
    """Counts its calls, checks a download that ends on a day, and then does what it is given."""

    def __init__(self, last=None, failures=None, error=None):
        self.last, self.failures, self.error, self.ends = last, failures or {}, error, []

    def __call__(self, end, check):
        self.ends.append(end)
        if self.last:
            check(closes("MSFT", self.last))
        if self.error:
            raise self.error
        return self.failures


@pytest.fixture
def _not_old(monkeypatch):
    """The days of these tests are in the past or in the future."""
    monkeypatch.setattr(nightly, "age_warnings", lambda closes: [])


def last(job):
    return read_trainings(job.model_dir)[job.models]


@pytest.mark.usefixtures("_not_old")
def test_run_trains_once_for_a_trading_day(job, final, caplog):
    caplog.set_level("INFO")
    train = Training("2026-11-25")
    for day in ("2026-11-25", "2026-11-25", "2026-11-26", "2026-11-27", "2026-11-28", "2026-11-29"):  # Thanksgiving on the 26th, a weekend
        final(day)
        train.last = "2026-11-25" if day < "2026-11-27" else "2026-11-27"
        assert run_nightly(job, train) == {}
    assert train.ends == ["2026-11-25", "2026-11-27"]
    assert caplog.messages[-1] == "Nothing to train: the last training of MSFT had the newest final trading day, 2026-11-27."
    record = last(job)
    assert (record.result, record.trained_until, record.running_since) == ("success", {"MSFT": "2026-11-27"}, "")
    assert record.trained_at == record.ended_at >= record.started_at
    assert record.message == "Trained on closes up to 2026-11-27."


@pytest.mark.usefixtures("_not_old")
def test_missed_runs_are_caught_up_by_one(job, final):
    train = Training("2026-11-18")
    final("2026-11-18")
    run_nightly(job, train)
    final("2026-11-29")
    train.last = "2026-11-27"
    run_nightly(job, train)
    assert train.ends == ["2026-11-18", "2026-11-29"]


@pytest.mark.usefixtures("_not_old")
def test_download_without_a_newer_close_is_no_training_and_no_failure(job, final, caplog):
    caplog.set_level("INFO")
    run_nightly(job, Training("2026-11-24"))  # that of the 25th is late
    before = last(job)
    run_nightly(job, Training("2026-11-24", error=AssertionError("trained again")))
    assert last(job) == before
    assert caplog.messages[-1] == "Nothing to train: Yahoo Finance has no close of MSFT after 2026-11-24 yet."
    run_nightly(job, Training("2026-11-25"))
    assert last(job).trained_until == {"MSFT": "2026-11-25"}


def test_old_download_is_a_failure(job):
    with pytest.raises(DataUnavailableError, match=r"^Yahoo Finance has no new closes of MSFT\. The last close is from 2022-12-28"):
        run_nightly(job, Training("2022-12-28"))
    assert last(job).result == "failed"


@pytest.mark.usefixtures("_not_old")
def test_model_that_is_not_promoted_is_a_success(job):
    run_nightly(job, Training("2026-11-25", error=NotPromotedError("Not published. It is worse.")))
    record = last(job)
    assert (record.result, record.message) == ("not_promoted", "Not published. It is worse.")
    assert record.trained_at
    assert record.trained_until == {"MSFT": "2026-11-25"}


@pytest.mark.usefixtures("_not_old")
@pytest.mark.parametrize(
    ("error", "result", "message"),
    [
        (DataUnavailableError("Yahoo Finance: refused.", ["a", "b"]), "failed", "Yahoo Finance: refused.; a; b"),
        (OSError(28, "No space left on device"), "failed", "[Errno 28] No space left on device"),
        (MemoryError(), "failed", "MemoryError"),
        (KeyboardInterrupt(), "interrupted", "The run was interrupted."),
    ],
)
def test_failed_run_keeps_the_last_success_and_is_due_again(job, final, error, result, message):
    run_nightly(job, Training("2026-11-25"))
    success = last(job)
    final("2026-11-27")
    for _ in range(2):
        with pytest.raises(type(error)):
            run_nightly(job, Training(error=error))
        record = last(job)
        assert (record.result, record.message, record.running_since) == (result, message, "")
        assert (record.trained_at, record.trained_until) == (success.trained_at, success.trained_until)


def test_result_that_cannot_be_saved_does_not_hide_the_failure(job, monkeypatch, caplog):
    def train(end, check):
        (job.model_dir / "training.json").unlink()
        (job.model_dir / "training.json").mkdir()
        raise DataUnavailableError("Yahoo Finance: refused.")

    with pytest.raises(DataUnavailableError, match="refused"):
        run_nightly(job, train)
    assert "The result of this run is not saved: " in caplog.text


def test_symbols_that_failed_wait_for_the_next_trading_day(many, final):
    assert run_nightly(many, Training(failures={"KO": "unknown"})) == {"KO": "unknown"}
    record = last(many)
    assert (record.result, record.failed_symbols) == ("some_failed", {"KO": "unknown"})
    assert record.trained_until == dict.fromkeys(["MSFT", "KO", "PG"], "2026-11-25")
    train = Training()
    run_nightly(many, train)
    assert not train.ends
    final("2026-11-27")
    run_nightly(many, train)
    assert train.ends == ["2026-11-27"]
    assert (last(many).result, last(many).failed_symbols) == ("success", {})


def test_list_of_which_all_symbols_failed_is_a_failure(many):
    reasons = dict.fromkeys(many.symbols, "refused")
    with pytest.raises(DataUnavailableError, match="All 3 symbols failed"):
        run_nightly(many, Training(failures=reasons))
    record = last(many)
    assert (record.result, record.failed_symbols, record.trained_at, record.trained_until) == ("failed", reasons, "", {})


def test_symbol_that_is_new_in_the_list_is_due(many):
    run_nightly(many, Training())
    train = Training()
    run_nightly(Job.of("", [*many.symbols, "T"], many.model_dir), train)
    assert train.ends == ["2026-11-25"]


def test_default_model_and_list_have_results_of_their_own(job, many):
    run_nightly(many, Training())
    with pytest.raises(DataUnavailableError):
        run_nightly(job, Training(error=DataUnavailableError("refused")))
    assert (last(many).result, last(job).result) == ("success", "failed")


def test_second_run_names_the_first_one(job, many):
    def train(end, check):
        holder = json.loads((job.model_dir / ".training.holder").read_text())
        assert holder["process"] == os.getpid()
        with pytest.raises(BusyError) as second:
            run_nightly(many, Training(error=AssertionError("trained")))
        assert str(second.value) == (
            f"Another nightly training of {job.model_dir} is running: process {os.getpid()} on {socket.gethostname()}, "
            f"since {holder['since']}. This run ends; that one goes on."
        )
        return {}

    run_nightly(job, train)
    assert not (job.model_dir / ".training.holder").exists()
    run_nightly(many, Training())


def test_lock_whose_holder_is_unknown_is_reported_too(tmp_path):
    with one_at_a_time(tmp_path):
        (tmp_path / ".training.holder").write_text("half")
        with pytest.raises(BusyError, match=r"is running\. This run ends"), one_at_a_time(tmp_path):
            pass


def test_sigterm_interrupts_a_run_and_is_handled_as_before_afterwards(job, monkeypatch):
    monkeypatch.setattr(interruption, "_happened", False)  # of this process, for later tests
    before = signal.getsignal(signal.SIGTERM)

    def train(end, check):
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("went on")

    with pytest.raises(KeyboardInterrupt):
        run_nightly(job, train)
    assert last(job).result == "interrupted"
    assert signal.getsignal(signal.SIGTERM) == before


def test_record_that_is_damaged_counts_as_none(job):
    (job.model_dir / "training.json").write_text('{"default": {"trained_until": 5}}')
    train = Training()
    run_nightly(job, train)
    assert train.ends == ["2026-11-25"]
