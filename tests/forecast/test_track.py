"""A symbol's own calibration and its track record."""

from dataclasses import replace

import numpy as np
import pytest

from closes.series import Closes
from closes.snapshot import read_ranges, read_snapshot
from errors import InvalidClosesError
from forecast.calibration import quantiles_of, scores_of
from forecast.intervals import LEVELS, MAX_HORIZON
from forecast.track import BLOCK_DAYS, MIN_OWN_SCORES, POOLED_WEIGHT, own_distribution, track
from models.loading import load_forecaster
from settings import PROJECT_DIR

FORECASTER = load_forecaster(PROJECT_DIR / "modelFiles")
WHOLE = read_snapshot("AMD")
AMD = Closes("AMD", "csv", WHOLE.dates[-500:], WHOLE.prices[-500:])


def test_own_quantiles_are_averaged_with_the_pooled_ones():
    scores = scores_of(AMD.prices)
    distribution, n, own = own_distribution(scores, FORECASTER.distribution), len(scores), quantiles_of(scores).T
    assert n == 500 - 79
    for step in (1, 5, MAX_HORIZON):
        weight = (n / step) / (n / step + POOLED_WEIGHT)
        expected = weight * own[step - 1] + (1 - weight) * FORECASTER.distribution.table[step - 1]
        np.testing.assert_allclose(distribution.table[step - 1], expected)


@pytest.mark.parametrize("n_closes", [60, 79 + MIN_OWN_SCORES - 1])
def test_few_closes_get_the_pooled_distribution(n_closes):
    assert own_distribution(scores_of(AMD.prices[:n_closes]), FORECASTER.distribution) is FORECASTER.distribution


def test_track_forecasts_each_day_from_the_days_before():
    result = track(FORECASTER, AMD, 100)
    assert (len(result), result.dates[0], result.dates[-1]) == (100, AMD.dates[-100], AMD.dates[-1])
    np.testing.assert_array_equal(result.actual, AMD.prices[-100:])
    for day in (0, BLOCK_DAYS, 99):
        at = 400 + day
        distribution = own_distribution(scores_of(AMD.prices[: 400 + day // BLOCK_DAYS * BLOCK_DAYS]), FORECASTER.distribution)
        alone = FORECASTER.forecast(AMD.prices[None, at - 60 : at]).calibrated(distribution)
        assert result.predicted[day] == pytest.approx(alone.prices[0, 0], rel=1e-6)
        for level in LEVELS:
            expected = [float(bound[0, 0]) for bound in alone.bounds[level]]
            assert [bound[day] for bound in result.bounds[level]] == pytest.approx(expected, rel=1e-6)


def test_later_closes_do_not_change_the_track_record():
    altered = AMD.prices.copy()
    altered[450:] *= np.random.default_rng(0).uniform(0.5, 2, 50)
    before, after = track(FORECASTER, AMD, 100), track(FORECASTER, Closes("AMD", "csv", AMD.dates, altered), 100)
    np.testing.assert_array_equal(before.predicted[:51], after.predicted[:51])
    for level in LEVELS:
        np.testing.assert_array_equal(before.bounds[level][0][:51], after.bounds[level][0][:51])
    assert (before.bounds[80][0][51:] != after.bounds[80][0][51:]).all()


def test_track_of_a_short_series_has_fewer_days():
    assert len(track(FORECASTER, Closes("AMD", "csv", AMD.dates[:70], AMD.prices[:70]), 250)) == 10
    with pytest.raises(InvalidClosesError, match="AMD has 60 closes; a track record needs 61"):
        track(FORECASTER, Closes("AMD", "csv", AMD.dates[:60], AMD.prices[:60]), 250)


# Daily ranges


IBM = read_ranges()[3].part(slice(0, 500))


def test_track_uses_ranges_on_the_days_that_have_them():
    assert IBM.ranges is not None
    ranges = IBM.ranges.copy()
    ranges[430:434] = np.nan  # four days: windows that end from day 430 to 488 cannot use their ranges
    with_gap, plain = replace(IBM, ranges=ranges), replace(IBM, ranges=None)
    result, closes_only, whole = (track(FORECASTER, closes, 100) for closes in (with_gap, plain, IBM))
    np.testing.assert_array_equal(result.predicted, closes_only.predicted)
    for level in LEVELS:
        for bound, of_closes, of_ranges in zip(result.bounds[level], closes_only.bounds[level], whole.bounds[level], strict=True):
            np.testing.assert_array_equal(bound[:31], of_ranges[:31])
            np.testing.assert_array_equal(bound[31:90], of_closes[31:90])
            assert (of_ranges != of_closes).all()


def test_later_ranges_do_not_change_the_track_record():
    assert IBM.ranges is not None
    altered = IBM.ranges.copy()
    altered[450:, 1] *= 1.02
    before, after = track(FORECASTER, IBM, 100), track(FORECASTER, replace(IBM, ranges=altered), 100)
    np.testing.assert_array_equal(before.bounds[80][0][:51], after.bounds[80][0][:51])
    assert (before.bounds[80][0][51:] != after.bounds[80][0][51:]).all()
