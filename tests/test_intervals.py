import json
import math

import numpy as np
import pytest

from intervals import EWMA_DECAY, LEVELS, MAX_HORIZON, SHRINKAGE, Calibration, bounds, calibrate, ewma_volatility, scale
from processData import WINDOW, Floats

LONG_RUN = 0.013


def wandering_windows(n: int, seed: int = 0, volatility: Floats | float = 0.02) -> Floats:
    """Windows (n, 60) of a random walk; `volatility` one for all or (n, 1)."""
    moves = np.random.default_rng(seed).normal(0, 1, (n, WINDOW)) * volatility
    return 100 * np.exp(moves.cumsum(axis=1))


@pytest.fixture
def calibration() -> Calibration:
    """One and two units of volatility at the first step, growing with the root of the step."""
    steps = np.sqrt(np.arange(1, MAX_HORIZON + 1))
    return Calibration(LONG_RUN, {80: 1.0 * steps, 95: 2.0 * steps}, n_scores=100)


# Volatility


def test_volatility_is_that_of_a_plain_loop():
    windows = wandering_windows(5)
    for window, given in zip(windows, ewma_volatility(windows), strict=True):
        total = weights = 0.0
        for age in range(WINDOW - 1):  # 0: the newest return
            daily = math.log(window[WINDOW - 1 - age] / window[WINDOW - 2 - age])
            total += EWMA_DECAY**age * daily**2
            weights += EWMA_DECAY**age
        assert given == pytest.approx(math.sqrt(total / weights), rel=1e-12)


def test_volatility_counts_a_late_jump_more_than_an_early_one():
    early, late = np.ones(WINDOW), np.ones(WINDOW)
    early[1:], late[-1:] = 1.1, 1.1
    first, second = ewma_volatility(np.array([early, late]))
    assert second / first == pytest.approx(EWMA_DECAY ** (-(WINDOW - 2) / 2))


@pytest.mark.parametrize("long_run", [LONG_RUN, 0.0])
def test_flat_window_has_no_volatility_but_finite_positive_bounds(calibration, long_run):
    flat = np.full((1, WINDOW), 50.0)
    assert ewma_volatility(flat).tolist() == [0.0]
    own = Calibration(long_run, calibration.quantiles, 100)
    for low, high in bounds(flat, np.full((1, 3), 50.0), own).values():
        assert (low > 0).all()
        assert (low < 50).all()
        assert (high > 50).all()
        assert np.isfinite(high).all()


def test_scale_is_shrunk_towards_the_long_run():
    windows = wandering_windows(3)
    np.testing.assert_allclose(scale(windows, LONG_RUN), 0.8 * ewma_volatility(windows) + 0.2 * LONG_RUN)
    assert SHRINKAGE == 0.2


# Calibration


@pytest.mark.parametrize("n", [40, 99, 100, 495])
def test_quantile_is_the_smallest_score_with_enough_of_them_within(n):
    windows = wandering_windows(n)
    chance = np.random.default_rng(1)
    predicted = windows[:, -1:] * np.ones(MAX_HORIZON)
    actual = predicted * np.exp(chance.normal(0, 0.02, predicted.shape))
    calibration = calibrate(windows, predicted, actual, LONG_RUN)
    assert calibration.n_scores == n
    for step in range(MAX_HORIZON):
        unit = [0.8 * v + 0.2 * LONG_RUN for v in ewma_volatility(windows)]
        scores = [abs(math.log(actual[i, step] / predicted[i, step])) / unit[i] for i in range(n)]
        for level in LEVELS:
            needed = math.ceil((n + 1) * level / 100)
            enough = [q for q in scores if sum(score <= q for score in scores) >= needed]
            assert calibration.quantiles[level][step] == pytest.approx(min(enough), rel=1e-12)


def test_with_few_scores_the_largest_is_taken():
    windows = wandering_windows(5)
    actual = windows[:, -1:] * np.linspace(1.01, 1.05, 5)[:, None]
    calibration = calibrate(windows, windows[:, -1:], actual, LONG_RUN)
    assert calibration.quantiles[95][0] == np.max(np.log(np.linspace(1.01, 1.05, 5)) / scale(windows, LONG_RUN))


def test_series_flat_from_end_to_end_gives_finite_quantiles():
    flat = np.full((50, WINDOW), 3.0)
    calibration = calibrate(flat, np.full((50, MAX_HORIZON), 3.0), np.full((50, MAX_HORIZON), 3.0), 0.0)
    assert all(np.isfinite(quantiles).all() for quantiles in calibration.quantiles.values())


def test_intervals_cover_new_days_as_often_as_they_say_in_calm_and_in_wild_weeks():
    n = 40_000
    chance = np.random.default_rng(2)
    volatility = np.exp(chance.normal(math.log(0.015), 0.6, (n, 1)))
    windows = wandering_windows(n, seed=3, volatility=volatility)
    predicted = windows[:, -1:]
    actual = predicted * np.exp(volatility * chance.standard_t(5, (n, 1)))
    half = n // 2
    long_run = float(np.median(ewma_volatility(windows[:half])))
    calibration = calibrate(windows[:half], predicted[:half], actual[:half], long_run)
    given = bounds(windows[half:], predicted[half:], calibration)
    wild = volatility[half:, 0] > np.median(volatility)
    for level, (low, high) in given.items():
        inside = ((low <= actual[half:]) & (actual[half:] <= high))[:, 0]
        assert inside.mean() == pytest.approx(level / 100, abs=0.015)
        assert inside[wild].mean() == pytest.approx(level / 100, abs=0.05)
        assert inside[~wild].mean() == pytest.approx(level / 100, abs=0.05)
        width = np.log(high / low)[:, 0]
        assert width[wild].mean() > 2 * width[~wild].mean()


def test_calibration_survives_json():
    steps = np.random.default_rng(0).uniform(1, 3, MAX_HORIZON)
    calibration = Calibration(LONG_RUN, {80: steps, 95: 2 * steps}, 495)
    again = Calibration.from_dict(json.loads(json.dumps(calibration.as_dict())))
    assert (again.long_run_volatility, again.n_scores) == (LONG_RUN, 495)
    assert again.quantiles.keys() == {80, 95}
    for level in LEVELS:
        np.testing.assert_array_equal(again.quantiles[level], calibration.quantiles[level])


# Bounds


def test_bounds_are_what_the_formula_says(calibration):
    windows = wandering_windows(4)
    predicted = windows[:, -1:] * np.array([1.01, 1.02])
    low, high = bounds(windows, predicted, calibration)[95]
    half_width = scale(windows, LONG_RUN)[:, None] * 2 * np.sqrt([1, 2])
    np.testing.assert_allclose(np.log(high / predicted), half_width)
    np.testing.assert_allclose(np.log(predicted / low), half_width)


@pytest.mark.parametrize("volatility", [1e-6, 0.02, 1.0])
def test_bounds_are_positive_and_the_wider_hold_the_narrower(calibration, volatility):
    windows = wandering_windows(200, volatility=volatility)
    predicted = windows[:, -1:] * np.ones(MAX_HORIZON)
    (low_80, high_80), (low_95, high_95) = (bounds(windows, predicted, calibration)[level] for level in LEVELS)
    assert (low_95 > 0).all()
    assert (low_95 < low_80).all()
    assert (low_80 < predicted).all()
    assert (predicted < high_80).all()
    assert (high_80 < high_95).all()


@pytest.mark.parametrize("factor", [1000.0, 1e-3])
def test_bounds_scale_with_the_currency(calibration, factor):
    windows = wandering_windows(10)
    predicted = windows[:, -1:] * np.ones(3)
    given, other = bounds(windows, predicted, calibration), bounds(windows * factor, predicted * factor, calibration)
    for level in LEVELS:
        np.testing.assert_allclose(np.array(other[level]), np.array(given[level]) * factor, rtol=1e-10)


@pytest.mark.parametrize("horizon", [1, 5, MAX_HORIZON])
def test_bounds_of_a_horizon_are_the_first_steps_of_a_longer_one(calibration, horizon):
    windows = wandering_windows(3)
    predicted = windows[:, -1:] * np.ones(MAX_HORIZON)
    longest, given = bounds(windows, predicted, calibration), bounds(windows, predicted[:, :horizon], calibration)
    for level in LEVELS:
        assert given[level][0].shape == (3, horizon)
        np.testing.assert_array_equal(np.array(given[level]), np.array(longest[level])[:, :, :horizon])
