"""Nightly trainings as commands, from a stub of Yahoo Finance, with a server that loads what they publish."""

import json
import os
import re
import shutil
import signal
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import requests
from serving import starting, wait_until
from training import SMALL, after, begin, environment
from yahoo_stub import YahooStub

from closes.series import last_final_day
from closes.snapshot import read_snapshot
from forecast.split import split_in_time
from models.store import current_version
from monitoring.training import read_trainings, write_training
from retraining.schedule import newest_trading_day
from settings import PROJECT_DIR

pytestmark = pytest.mark.slow

N_DAYS = 651
PRICES = read_snapshot("MSFT").prices[-N_DAYS:]


def days_until(last):
    """The last N_DAYS weekdays up to a day."""
    days = np.busday_offset(np.datetime64(last), np.arange(1 - N_DAYS, 1), roll="backward")
    return [date.fromisoformat(str(day)) for day in days]


@pytest.fixture(scope="module")
def newest():
    """The newest trading day of New York whose close is final."""
    return newest_trading_day("MSFT", last_final_day())


@pytest.fixture
def stub(newest):
    """Yahoo Finance with closes up to the newest final trading day."""
    with YahooStub() as yahoo:
        yahoo.serve(PRICES.tolist(), days_until(newest))
        yield yahoo


@pytest.fixture
def nightly(stub, tmp_path):
    """A function that starts a nightly training in the test's folder."""
    own = environment(tmp_path) | {"YAHOO_URL": stub.url, "DATA_CACHE_DIR": str(tmp_path / "cache")}
    return lambda *options: begin(tmp_path, "--nightly", *SMALL, *options, env=own)


@pytest.fixture
def start(tmp_path):
    yield from starting(tmp_path)


@pytest.fixture
def model_dir(tmp_path):
    """The model that is in git, published."""
    ignored = shutil.ignore_patterns(".*", "training.json")
    return shutil.copytree(PROJECT_DIR / "modelFiles", tmp_path / "modelFiles", ignore=ignored)


def finished(process):
    """The output and the exit code."""
    said = process.communicate(timeout=250)[1]
    assert "Traceback" not in said, said
    return said.splitlines(), process.returncode


def record(model_dir):
    return read_trainings(model_dir)["default"]


def metrics(service):
    return requests.get(f"{service.url}/metrics", timeout=30).text


def test_runs_publish_to_the_server_or_find_nothing_to_do_or_keep_the_better_model(stub, nightly, model_dir, start, newest):
    service = start(MODEL_DIR=str(model_dir), WEB_CONCURRENCY="1")

    def version():
        return requests.get(f"{service.url}/ready", timeout=30).json()["model_version"]

    in_git = version()
    assert "forecast_last_training_result{" not in metrics(service)
    said, code = finished(nightly("--promote", "always"))
    assert code == 0, said
    champion = current_version(model_dir)
    assert champion != in_git
    wait_until(lambda: version() == champion, 60, "the new model")
    assert 'forecast_last_training_result{models="default",result="success"} 1.0' in metrics(service)
    assert 'forecast_training_missed_days{models="default"} 0.0' in metrics(service)
    assert re.search(r'^forecast_last_training_timestamp_seconds\{models="default"\} 1\.\d+e\+09$', metrics(service), flags=re.M)

    stub.behave("normal")
    said, code = finished(nightly())
    assert (said, code) == ([f"Nothing to train: the last training of MSFT had the newest final trading day, {newest}."], 0)
    assert stub.calls == 0

    write_training(model_dir, "default", replace(record(model_dir), trained_until={"MSFT": "2026-01-02"}))  # missed runs
    assert 'forecast_training_missed_days{models="default"} 0.0' not in metrics(service)
    lure = np.exp(0.02 * np.minimum(np.arange(N_DAYS), split_in_time(N_DAYS).calibration + 60))  # a rise that ends after the fit
    stub.serve((PRICES * lure).tolist(), days_until(newest))
    said, code = finished(nightly("--epochs", "2"))
    assert code == 0
    assert said[-1].startswith("Not published. ")
    assert (record(model_dir).result, record(model_dir).message) == ("not_promoted", said[-1])
    assert record(model_dir).trained_until == {"MSFT": newest}
    assert current_version(model_dir) == champion == version()
    assert 'forecast_last_training_result{models="default",result="not_promoted"} 1.0' in metrics(service)


def test_refused_download_is_a_failure_without_a_fallback(stub, nightly, model_dir):
    stub.behave("429")
    champion = current_version(model_dir)
    said, code = finished(nightly())
    reason = "Yahoo Finance: the rate limit is exceeded (HTTP 429)."
    assert (said[-1], code) == (f"error: {reason}", 1)
    assert (record(model_dir).result, record(model_dir).message) == ("failed", reason)
    assert current_version(model_dir) == champion


def test_old_closes_of_a_list_fail_each_symbol(stub, nightly, model_dir):
    stub.serve(PRICES.tolist(), days_until("2022-12-28"))
    said, code = finished(nightly("--symbols", "MSFT,KO"))
    assert (said[-1], code) == ("error: All 2 symbols failed.", 1)
    failed = read_trainings(model_dir)["symbols"].failed_symbols
    assert failed.keys() == {"MSFT", "KO"}
    assert failed["KO"].startswith("Yahoo Finance has no new closes of KO. The last close is from 2022-12-28, ")


def test_killed_run_leaves_the_champion_and_the_next_run_starts(nightly, model_dir, stub):
    champion = current_version(model_dir)
    first = nightly("--epochs", "20000")
    after(first, "epoch  1/20000")
    holder = json.loads((model_dir / ".training.holder").read_text())

    said, code = finished(nightly())
    assert code == 1
    assert said[-1].startswith(f"error: Another nightly training of {model_dir} is running: process {holder['process']} on ")

    os.kill(holder["process"], signal.SIGKILL)
    first.communicate(timeout=30)
    assert record(model_dir).running_since
    assert current_version(model_dir) == champion

    second = nightly("--epochs", "20000")
    said = after(second, "epoch  1/20000")
    assert f"The run of {record(model_dir).running_since} ended" not in said
    assert "ended without a result: its process was killed." in said
    second.send_signal(signal.SIGTERM)
    said, code = finished(second)
    assert (said[-1], code) == ("interrupted", 130)
    assert (record(model_dir).result, record(model_dir).running_since) == ("interrupted", "")
    assert current_version(model_dir) == champion
    assert len(list((model_dir / "versions").glob(".staging-*"))) == 1  # of the killed run; the next publication after a day removes it
