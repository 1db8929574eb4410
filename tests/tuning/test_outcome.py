"""The outcome of a search: a gain counts only if it is more than the noise between seeds."""

import dataclasses

import pytest
from known_ratios import BEST_UNITS, KnownRatios

from forecast.network import FitOptions
from tuning.outcome import NEW_SEEDS, Outcome, TestScores, conclude, report, table
from tuning.space import Space
from tuning.study import open_study, search

pytestmark = pytest.mark.slow

DEFAULT = FitOptions()
SMALL = dataclasses.replace(DEFAULT, units=BEST_UNITS)


def outcome_of(folder, validation):
    with open_study(folder, "study") as study:
        search(study, validation, DEFAULT, 6, Space(units=(BEST_UNITS, BEST_UNITS + 1)))
        validation.judged.clear()
        return conclude(study, validation, DEFAULT)


def test_gain_beyond_the_noise_of_seeds_is_used(tmp_path):
    outcome = outcome_of(tmp_path, KnownRatios(noise=0.001, gain=0.01))
    assert outcome.noise == pytest.approx(0.002)
    assert outcome.gain > outcome.noise
    assert outcome.chosen == outcome.best
    assert BEST_UNITS <= outcome.best.units < DEFAULT.units
    assert "The best settings are used." in outcome.reason


def test_gain_within_the_noise_of_seeds_keeps_the_default(tmp_path):
    outcome = outcome_of(tmp_path, KnownRatios(noise=0.01, gain=0.01))
    assert outcome.gain > 0
    assert outcome.chosen == DEFAULT
    assert "The default settings are kept." in outcome.reason


def test_best_settings_that_lose_on_new_seeds_are_not_used():
    outcome = Outcome(DEFAULT, SMALL, 10, [1.0, 1.0, 1.0], [0.99, 1.001, 1.001])
    assert outcome.gain == pytest.approx(-0.001)
    assert outcome.chosen == DEFAULT
    assert "an RMSE ratio 0.00100 higher" in outcome.reason


def test_search_without_a_better_trial_keeps_the_default_and_fits_no_more(tmp_path):
    validation = KnownRatios(gain=-0.01)
    outcome = outcome_of(tmp_path, validation)
    assert outcome.chosen == outcome.best == DEFAULT
    assert validation.judged == []
    assert "No other settings were better" in outcome.reason


def test_new_seeds_are_fitted_once_and_kept_in_the_study(tmp_path):
    validation = KnownRatios()
    first = outcome_of(tmp_path, validation)
    seeds = [options.seed for options in validation.judged]
    assert seeds == [DEFAULT.seed + 1, DEFAULT.seed + 2] * 2
    assert len(first.default_ratios) == 1 + NEW_SEEDS
    with open_study(tmp_path, "study") as study:
        validation.judged.clear()
        assert conclude(study, validation, DEFAULT) == first
    assert validation.judged == []


def test_table_states_validation_test_and_whether_chance_explains_the_difference():
    outcome = Outcome(DEFAULT, SMALL, 10, [1.0, 1.001, 1.002], [0.99, 0.992, 0.994])
    text = table(outcome, TestScores(0.998, 1.0, 0.3))
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines()[1:4]}
    assert rows == {
        "best": ["0.99000", "0.99300", "0.99800"],
        "default": ["1.00000", "1.00150", "1.00000"],
        "persistence": ["1.00000", "-", "1.00000"],
    }
    assert "which chance explains (Diebold-Mariano p = 0.30)" in text
    assert "more than chance explains (Diebold-Mariano p = 0.01)" in table(outcome, TestScores(0.998, 1.0, 0.01))


def test_report_is_json_without_nan():
    outcome = Outcome(DEFAULT, DEFAULT, 1, [1.0], [1.0])
    assert report(outcome, TestScores(1.0, 1.0, float("nan")))["test_dm_p_value"] is None
