"""The journal: what is in it survives a kill, and one training at a time uses a folder."""

import os
import subprocess
import sys
import time

import pytest

from closes.snapshot import read_snapshot
from errors import BusyError
from portfolio.journal import Journal, one_training
from portfolio.leaderboard import Row, as_csv, means, table
from settings import PROJECT_DIR

COMMAND = {"symbols": ["MSFT"], "fit": {"epochs": 1}}


def row(symbol, ratio, **other):
    values = {
        "symbol": symbol, "model": "own", "rmse_ratio": ratio, "coverage_80": 0.8, "coverage_95": 0.95, "crps_ratio": 0.7,
        "validation_own": 1.0, "validation_global": None, "n_days": 100, "tested_from": "2022-01-03", "model_version": "v",
        "published": True, "reason": "better", "mlflow_run_id": None,
    }  # fmt: skip
    return Row(**values | other)


def test_same_command_continues_and_another_one_starts_afresh(tmp_path):
    journal = Journal(tmp_path, COMMAND)
    assert not journal.resumed
    journal.add_row(row("BRK.B", 1.0))
    journal.note(mlflow_run_id="abc")
    again = Journal(tmp_path, COMMAND)
    assert again.resumed
    assert again.rows() == {"BRK.B": row("BRK.B", 1.0)}
    assert again.run["mlflow_run_id"] == "abc"
    assert not Journal(tmp_path, COMMAND | {"symbols": ["KO"]}).resumed


def test_finished_training_starts_afresh(tmp_path):
    journal = Journal(tmp_path, COMMAND)
    journal.add_row(row("MSFT", 1.0))
    journal.remove()
    again = Journal(tmp_path, COMMAND)
    assert not again.resumed
    assert again.rows() == {}


def test_closes_are_kept_to_the_last_bit(tmp_path):
    import pickle

    journal, closes = Journal(tmp_path, COMMAND), read_snapshot("MSFT")
    assert journal.read_closes("MSFT") is None
    journal.write(journal.closes_file("MSFT"), pickle.dumps(closes))
    kept = Journal(tmp_path, COMMAND).read_closes("MSFT")
    assert kept is not None
    assert kept.fingerprint == closes.fingerprint


def test_journal_unused_for_a_day_is_removed(tmp_path):
    old = Journal(tmp_path, COMMAND)
    old.add_row(row("MSFT", 1.0))
    os.utime(old.folder, (time.time() - 90_000,) * 2)
    assert not Journal(tmp_path, COMMAND).resumed


def test_second_training_ends_at_once_and_a_killed_one_leaves_no_lock(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from portfolio.journal import one_training\n"
        "with one_training(Path(sys.argv[1])): print('locked', flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, cwd=PROJECT_DIR, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "locked\n"
        with pytest.raises(BusyError, match="Another training of many symbols is writing to"), one_training(tmp_path):
            pass
        first.kill()
    with one_training(tmp_path):
        pass


def test_leaderboard_is_aligned_and_ranked():
    rows = [row("KO", 1.01, published=False, reason="worse in rmse"), row("MSFT", 0.99, model="global")]
    assert table(rows).splitlines() == [
        "symbol  model   RMSE ratio  held 80%  held 95%  CRPS ratio  published",
        "MSFT    global      0.9900     80.0%     95.0%      0.7000  yes",
        "KO      own         1.0100     80.0%     95.0%      0.7000  no: worse in rmse",
        "(ratios: divided by the score of persistence, which repeats the last close; below 1 is better)",
    ]
    lines = as_csv(rows).splitlines()
    assert lines[0].startswith("symbol,model,rmse_ratio,coverage_80,coverage_95,crps_ratio,")
    assert [line.partition(",")[0] for line in lines[1:]] == ["MSFT", "KO"]
    assert means(rows)["test/rmse_ratio"] == pytest.approx(1.0)
    assert means(rows)["n_published"] == 1
    assert means([]) == {}
