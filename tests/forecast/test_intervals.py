"""Predictive distributions: bounds, probabilities and proper scores."""

import math

import numpy as np
import pytest
from distributions import normal_calibration, wandering_windows
from scipy.special import ndtr, ndtri

from forecast.intervals import LEVELS, MAX_HORIZON, PROBABILITIES, Distribution, bounds, probability_above, verify
from forecast.volatility import window_volatility
from processData import WINDOW


@pytest.fixture
def distribution() -> Distribution:
    return Distribution(normal_calibration().quantiles)


# Bounds


def test_bounds_follow_the_formula(distribution):
    windows = wandering_windows(4)
    predicted = windows[:, -1:] * np.array([1.01, 1.02])
    low, high = bounds(window_volatility(windows), predicted, distribution)[95]
    half_width = window_volatility(windows)[:, None] * ndtri(0.975) * np.sqrt([1, 2])
    np.testing.assert_allclose(np.log(high / predicted), half_width)
    np.testing.assert_allclose(np.log(predicted / low), half_width)


@pytest.mark.parametrize("volatility", [1e-6, 0.02, 1.0])
def test_bounds_are_positive_and_nested(distribution, volatility):
    windows = wandering_windows(200, volatility=volatility)
    predicted = windows[:, -1:] * np.ones(MAX_HORIZON)
    (low_80, high_80), (low_95, high_95) = (bounds(window_volatility(windows), predicted, distribution)[level] for level in LEVELS)
    assert (low_95 > 0).all()
    assert (low_95 < low_80).all()
    assert (low_80 < predicted).all()
    assert (predicted < high_80).all()
    assert (high_80 < high_95).all()


@pytest.mark.parametrize("factor", [1000.0, 1e-3])
def test_bounds_scale_with_the_currency(distribution, factor):
    windows = wandering_windows(10)
    predicted = windows[:, -1:] * np.ones(3)
    given, other = (
        bounds(window_volatility(windows), predicted, distribution),
        bounds(window_volatility(windows * factor), predicted * factor, distribution),
    )
    for level in LEVELS:
        np.testing.assert_allclose(np.array(other[level]), np.array(given[level]) * factor, rtol=1e-10)


@pytest.mark.parametrize("horizon", [1, 5, MAX_HORIZON])
def test_bounds_do_not_depend_on_the_horizon(distribution, horizon):
    windows = wandering_windows(3)
    predicted = windows[:, -1:] * np.ones(MAX_HORIZON)
    longest, given = (
        bounds(window_volatility(windows), predicted, distribution),
        bounds(window_volatility(windows), predicted[:, :horizon], distribution),
    )
    for level in LEVELS:
        assert given[level][0].shape == (3, horizon)
        np.testing.assert_array_equal(np.array(given[level]), np.array(longest[level])[:, :, :horizon])


@pytest.mark.parametrize("level", [50.0, 67.3, 90.0, 99.0])
def test_bounds_of_any_level_are_those_quantiles(distribution, level):
    (low, high), *_ = bounds(np.array([0.01]), np.array([[100.0]]), distribution, [level]).values()
    for bound, p in ((low, (1 - level / 100) / 2), (high, (1 + level / 100) / 2)):
        assert math.log(bound[0, 0] / 100) / 0.01 == pytest.approx(np.interp(p, PROBABILITIES, ndtri(PROBABILITIES)))


def test_bounds_of_a_batch_equal_those_of_its_windows(distribution):
    windows = wandering_windows(50)
    predicted = windows[:, -1:] * np.ones(3)
    batch = bounds(window_volatility(windows), predicted, distribution, [60, 95])
    for row in range(50):
        part = slice(row, row + 1)
        for level, limits in bounds(window_volatility(windows[part]), predicted[part], distribution, [60, 95]).items():
            np.testing.assert_array_equal(np.array(limits), np.array(batch[level])[:, part])


# Probabilities


def test_probability_above_is_that_of_the_distribution(distribution):
    predicted = np.array([[100.0, 101.0]])
    prices = [98.0, 100.0, 101.5]
    found = probability_above(np.array([0.01]), predicted, prices, distribution)
    for step in range(2):
        expected = ndtr(-np.log(np.array(prices) / predicted[0, step]) / 0.01 / math.sqrt(step + 1))
        np.testing.assert_allclose(found[0, step], expected, atol=2e-3)


def test_probability_above_a_bound_is_that_of_its_level(distribution):
    volatility, predicted = np.array([0.01, 0.03]), np.array([[100.0], [20.0]])
    for level in (50.0, 80.0, 95.0, 98.0):
        low, high = bounds(volatility, predicted, distribution, [level])[level]
        for row in range(2):
            found = probability_above(volatility, predicted, [low[row, 0], high[row, 0]], distribution)[row, 0]
            np.testing.assert_allclose(found, [(1 + level / 100) / 2, (1 - level / 100) / 2])


def test_probability_far_outside_stops_at_the_edge_of_the_calibration(distribution):
    found = probability_above(np.array([0.01]), np.array([[100.0]]), [1e-6, 1e9], distribution)
    np.testing.assert_allclose(found[0, 0], [0.995, 0.005])


def test_flat_window_has_finite_positive_bounds(distribution):
    flat = np.full((1, WINDOW), 50.0)
    assert window_volatility(flat).tolist() == [0.0]
    for low, high in bounds(window_volatility(flat), np.full((1, 3), 50.0), distribution).values():
        assert (low > 0).all()
        assert (low < 50).all()
        assert (high > 50).all()
        assert np.isfinite(high).all()


# Proper scores


@pytest.mark.parametrize("actual", [95.0, 99.0, 100.0, 101.3, 108.0])
def test_crps_is_that_of_the_normal_distribution(distribution, actual):
    from scipy.integrate import quad

    def squared_difference(price: float) -> float:
        return float((ndtr(math.log(price / 100) / 0.02) - (price >= actual)) ** 2)

    expected = quad(squared_difference, 60, actual)[0] + quad(squared_difference, actual, 160)[0]
    found = verify(np.array([0.02]), np.array([100.0]), np.array([actual]), distribution).crps[0]
    assert found == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("score", [-1.9, -1.0, 0.0, 0.3, 2.1])
def test_log_score_is_that_of_the_normal_density(distribution, score):
    actual = np.array([100 * math.exp(0.02 * score)])
    found = verify(np.array([0.02]), np.array([100.0]), actual, distribution).log_score[0]
    assert found == pytest.approx(score**2 / 2 + math.log(2 * math.pi) / 2 + math.log(0.02), abs=0.05)


def test_log_score_grows_beyond_the_quantiles(distribution):
    prices = 100 * np.exp(0.02 * np.array([-6.0, -4.0, -2.6, 2.6, 4.0, 6.0]))
    found = verify(np.full(6, 0.02), np.full(6, 100.0), prices, distribution).log_score
    assert np.isfinite(found).all()
    assert found[0] > found[1] > found[2]
    assert found[3] < found[4] < found[5]


def test_pit_is_the_probability_of_a_lower_close(distribution):
    scores = np.array([-9.0, -1.2, 0.0, 2.0, 9.0])
    found = verify(np.full(5, 0.02), np.full(5, 100.0), 100 * np.exp(0.02 * scores), distribution).pit
    np.testing.assert_allclose(found, [0, ndtr(-1.2), 0.5, ndtr(2.0), 1], atol=1e-3)
