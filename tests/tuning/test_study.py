"""The study of a search: resumed, interrupted, killed, locked."""

import logging
import re
import sqlite3
from contextlib import closing

import pytest
from filelock import FileLock
from known_ratios import KnownRatios

from forecast.network import FitOptions
from tuning import study as study_module
from tuning.space import Space
from tuning.study import DATABASE, FOLDS_KEY, TuningError, complete, finished, open_study, search, settings_of

pytestmark = pytest.mark.slow

DEFAULT = FitOptions()


def run(folder, n_trials, validation=None, default=DEFAULT, **options):
    with open_study(folder, "study") as study:
        search(study, validation or KnownRatios(), default, n_trials, **options)


def tried(folder):
    """Settings and ratio of each trial that counts."""
    with open_study(folder, "study") as study:
        return [(settings_of(trial), trial.value) for trial in finished(study)]


def test_first_trial_has_the_default_settings_and_the_others_do_not(tmp_path):
    run(tmp_path, 4)
    settings = [settings for settings, _ in tried(tmp_path)]
    assert settings[0] == DEFAULT
    assert len(set(settings)) == 4
    for options in settings:
        assert Space().units[0] <= options.units <= Space().units[1]
        assert (options.seed, options.batch_size) == (DEFAULT.seed, DEFAULT.batch_size)


def test_ratio_is_the_mean_of_the_folds(tmp_path):
    run(tmp_path, 1)
    with open_study(tmp_path, "study") as study:
        (trial,) = complete(study)
        assert trial.value == pytest.approx(1.0)
        assert trial.user_attrs[FOLDS_KEY] == pytest.approx([0.999, 1.0, 1.001])


def test_default_outside_of_the_ranges_is_the_first_trial(tmp_path):
    default = FitOptions(units=300, layers=5, dropout=0.7, learning_rate=0.1, epochs=1)
    run(tmp_path, 2, default=default)
    assert tried(tmp_path)[0][0] == default


def test_search_in_two_runs_has_the_trials_of_one_run(tmp_path, monkeypatch):
    monkeypatch.setattr(study_module, "RANDOM_TRIALS", 2)
    run(tmp_path / "once", 5)
    for n_trials in (1, 4):
        run(tmp_path / "resumed", n_trials)
    assert len(tried(tmp_path / "once")) == 5
    assert tried(tmp_path / "once") == tried(tmp_path / "resumed")


def test_another_seed_tries_other_settings(tmp_path):
    run(tmp_path / "one", 2)
    run(tmp_path / "other", 2, default=FitOptions(seed=1))
    assert tried(tmp_path / "one")[1][0].units != tried(tmp_path / "other")[1][0].units


@pytest.mark.parametrize("interrupted", [1, 2])
def test_interrupted_trial_does_not_count_and_the_finished_ones_stay(tmp_path, interrupted):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "here", 4, KnownRatios(interrupt_at=interrupted))
    assert len(tried(tmp_path / "here")) == interrupted - 1
    run(tmp_path / "here", 3 - (interrupted - 1))
    run(tmp_path / "once", 3)
    assert tried(tmp_path / "here") == tried(tmp_path / "once")


def test_trial_of_a_killed_process_does_not_count(tmp_path):
    with open_study(tmp_path, "study") as study:
        study.ask()  # and no end of it
    run(tmp_path, 2)
    assert tried(tmp_path)[0][0] == DEFAULT
    assert len(tried(tmp_path)) == 2
    with open_study(tmp_path, "study") as study:
        assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE", "COMPLETE"]


def test_bad_first_fold_ends_a_trial_once_there_are_others_to_compare_with(tmp_path, monkeypatch):
    monkeypatch.setattr(study_module, "UNPRUNED_TRIALS", 2)
    run(tmp_path, 8)
    with open_study(tmp_path, "study") as study:
        trials = finished(study)
        stopped = [trial for trial in trials if len(trial.user_attrs[FOLDS_KEY]) == 1]
        assert stopped
        assert trials.index(stopped[0]) >= study_module.UNPRUNED_TRIALS
        assert study.best_value < min(trial.user_attrs[FOLDS_KEY][0] for trial in stopped)
        assert len(complete(study)) + len(stopped) == 8


def test_network_that_diverges_is_the_worst_trial(tmp_path):
    run(tmp_path, 1, KnownRatios(noise=float("nan")))
    assert tried(tmp_path)[0][1] == study_module.DIVERGED


def test_each_trial_is_a_line(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        run(tmp_path, 2)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2, lines
    assert re.fullmatch(
        r"trial   1  units 50, layers 2, dropout 0\.2, learning rate 0\.001, epochs 15, features closes  RMSE ratio 1\.00000, "
        r"best 1\.00000 in trial 1  \d+ s, about \d+ s left",
        lines[0],
    )


def test_two_searches_of_one_study_at_once_are_refused(tmp_path):
    with open_study(tmp_path, "study"), pytest.raises(TuningError, match="Another process runs trials of the study study"):
        run(tmp_path, 1)
    with FileLock(tmp_path / ".study.lock"):
        run_other = open_study(tmp_path, "other")
        with run_other as study:
            assert finished(study) == []


def test_locked_database_is_an_error_in_one_sentence(tmp_path, monkeypatch):
    run(tmp_path, 1)
    monkeypatch.setattr(study_module, "LOCK_SECONDS", 0.1)
    with closing(sqlite3.connect(tmp_path / DATABASE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TuningError, match=r"optuna\.db cannot be used: .*database is locked\. Finished trials are kept; try again\."):
            run(tmp_path, 1)
    assert len(tried(tmp_path)) == 1


def test_damaged_database_is_an_error_in_one_sentence(tmp_path):
    (tmp_path / DATABASE).write_bytes(b"not a database" * 100)
    with pytest.raises(TuningError, match=r"cannot be used: .*file is not a database"):
        run(tmp_path, 1)
