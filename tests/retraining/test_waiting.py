"""The process that trains every night: when it runs, and how it ends."""

import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from serving import wait_until
from training import command, environment, how

from closes.series import last_final_day
from monitoring.training import TrainingRecord, read_trainings, write_training
from retraining.schedule import newest_trading_day, next_run
from retraining.waiting import RETRY, SLICE_SECONDS, Keeper, run_again

pytestmark = pytest.mark.slow


class Clock:
    """A clock that a wait puts forward, and that ends the wait after some runs."""

    def __init__(self, keeper_of, start):
        self.time, self.waits = datetime.fromisoformat(start), []
        self.keeper = keeper_of(self)
        self.keeper._stop = self

    def __call__(self):
        return self.time

    def wait(self, seconds):
        self.waits.append(seconds)
        self.time += timedelta(seconds=seconds)

    def is_set(self):
        return self.time > datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "runs"),
    [
        (0, ["11-27 12:00", "11-27 20:15", "11-30 20:15"]),
        (4, ["11-27 12:00", "11-27 20:15", "11-30 20:15"]),
    ],
)
def test_runs_now_and_after_the_close_of_each_trading_day(tmp_path, code, runs):
    log = tmp_path / "runs"
    script = ["sh", "-c", f"echo >> {log}; exit {code}"]
    times = []

    class Noting(Keeper):
        def next_time(self, code):
            times.append(f"{self._now():%m-%d %H:%M}")
            return super().next_time(code)

    clock = Clock(lambda clock: Noting(["MSFT"], script, clock), "2026-11-27T12:00-05:00")
    before = signal.getsignal(signal.SIGTERM)
    try:
        clock.keeper.keep_running()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert times == runs
    assert len(log.read_text()) == len(runs)
    assert max(clock.waits) == SLICE_SECONDS


@pytest.mark.parametrize("code", [1, 2, 130, -9])
def test_failed_run_is_repeated_soon(code):
    now = datetime(2026, 11, 27, 17, tzinfo=UTC)
    keeper = Keeper(["MSFT"], ["true"], lambda: now)
    assert keeper.next_time(code) == now + RETRY
    late = next_run(["MSFT"], now) - RETRY / 2
    assert Keeper(["MSFT"], ["true"], lambda: late).next_time(code) == next_run(["MSFT"], now)


def test_killed_run_is_reported(caplog):
    assert Keeper(["MSFT"], ["sh", "-c", "kill -9 $$"])._run() == -9
    assert caplog.messages == ["The run was killed by signal 9."]


def test_sigterm_stops_the_run_in_progress(tmp_path):
    script = ["sh", "-c", f"trap 'echo stopped > {tmp_path}/end; exit 130' TERM; echo > {tmp_path}/begun; while :; do sleep 0.05; done"]
    keeper = Keeper(["MSFT"], script)
    before = signal.getsignal(signal.SIGTERM)

    def stop():
        wait_until(lambda: (tmp_path / "begun").exists() and keeper._child is not None, 30, "a run")
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop)
    thread.start()
    try:
        keeper.keep_running()
    finally:
        signal.signal(signal.SIGTERM, before)
        thread.join()
    assert (tmp_path / "end").read_text() == "stopped\n"


def test_run_is_the_same_command_without_waiting(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["modelTrain.py", "--nightly", "--keep"])
    assert run_again(["--nightly", "--keep"]) == [sys.executable, "-u", "modelTrain.py", "--nightly", "--keep", "--no-keep-running"]


def begin_waiting(folder):
    """Start the command; return it and its output up to where it waits for a run."""
    said: list[str] = []
    process = subprocess.Popen(command(folder, "--nightly", "--keep-running"), **(how(folder) | {"env": environment(folder)}))
    assert process.stderr is not None
    for line in process.stderr:
        said.append(line.rstrip())
        if line.startswith("Next run: "):
            return process, said
    raise AssertionError(said)


def test_command_waits_for_the_next_close_until_sigterm(tmp_path):
    (tmp_path / "modelFiles").mkdir()
    today = newest_trading_day("MSFT", last_final_day())
    write_training(tmp_path / "modelFiles", "default", TrainingRecord("success", trained_until={"MSFT": today}))
    process, said = begin_waiting(tmp_path)
    assert said[0] == f"Nothing to train: the last training of MSFT had the newest final trading day, {today}."
    assert said[1].startswith("Next run: 20")
    assert " 20:15 E" in said[1]
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=10)[1] == ""
    assert process.returncode == 0


def test_command_makes_a_missed_run_at_its_start_and_repeats_a_failed_one(tmp_path, monkeypatch):
    monkeypatch.setenv("YAHOO_URL", "http://127.0.0.1:1")
    (tmp_path / "modelFiles").mkdir()
    write_training(tmp_path / "modelFiles", "default", TrainingRecord("success", trained_until={"MSFT": "2026-01-02"}))
    process, said = begin_waiting(tmp_path)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert said[-2] == "error: Yahoo Finance: it cannot be reached."
    assert process.returncode == 0
    record = read_trainings(tmp_path / "modelFiles")["default"]
    assert (record.result, record.message) == ("failed", "Yahoo Finance: it cannot be reached.")
