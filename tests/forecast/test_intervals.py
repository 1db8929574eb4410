"""Predictive distributions: volatility, calibration, coverage, bounds and probabilities."""

import json
import math
from datetime import date

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import norm

from closes.series import Closes, Floats
from closes.snapshot import read_snapshot
from errors import InvalidClosesError
from forecast.intervals import (
    DECAYS,
    DOWN,
    LEVELS,
    MAX_HORIZON,
    PROBABILITIES,
    SHARES,
    UP,
    Calibration,
    Distribution,
    bounds,
    calibrate,
    probability_above,
    window_volatility,
)
from processData import WINDOW


def wandering_windows(n: int, seed: int = 0, volatility: Floats | float = 0.02) -> Floats:
    """Windows (n, 60) of a random walk; `volatility` one for all or (n, 1)."""
    moves = np.random.default_rng(seed).normal(0, 1, (n, WINDOW)) * volatility
    windows: Floats = 100 * np.exp(moves.cumsum(axis=1))
    return windows


@pytest.fixture
def calibration() -> Calibration:
    """Normal scores, whose spread grows with the root of the step."""
    quantiles = np.sqrt(np.arange(1, MAX_HORIZON + 1))[:, None] * norm.ppf(PROBABILITIES)
    day = date(2020, 1, 2)
    return Calibration(
        symbols=["X"], first_date=day, last_date=day, n_scores=100, quantiles=quantiles.tolist(), constant={80: 0.02, 95: 0.04}
    )


@pytest.fixture
def distribution(calibration) -> Distribution:
    return Distribution(calibration.quantiles)


# Volatility


def plain_volatility(window: Floats) -> float:
    """The formula, return by return."""
    returns = [math.log(window[i + 1] / window[i]) for i in range(WINDOW - 1)]
    total = sum(SHARES[2] * abs(move) / len(returns) for move in returns)
    for share, decay in zip(SHARES[:2], DECAYS, strict=True):
        weights = [decay ** (len(returns) - 1 - i) for i in range(len(returns))]
        counted = [weight * abs(move) * (DOWN if move < 0 else UP) for weight, move in zip(weights, returns, strict=True)]
        total += share * sum(counted) / sum(weights)
    return total


def test_volatility_equals_a_plain_loop():
    windows = wandering_windows(5)
    np.testing.assert_allclose(window_volatility(windows), [plain_volatility(window) for window in windows], rtol=1e-12)


def window_with_move(place: int, factor: float) -> Floats:
    return np.where(np.arange(WINDOW) < place, 1.0, factor)


def test_volatility_weighs_late_moves_and_falls_more():
    moves = [(1, 1.1), (WINDOW - 1, 1.1), (WINDOW - 1, 1 / 1.1)]
    early, late, fall = window_volatility(np.array([window_with_move(*move) for move in moves]))
    assert early < late < fall


def test_flat_window_has_finite_positive_bounds(distribution):
    flat = np.full((1, WINDOW), 50.0)
    assert window_volatility(flat).tolist() == [0.0]
    for low, high in bounds(window_volatility(flat), np.full((1, 3), 50.0), distribution).values():
        assert (low > 0).all()
        assert (low < 50).all()
        assert (high > 50).all()
        assert np.isfinite(high).all()


# Calibration


def series(n_days: int, symbol: str = "X", seed: int = 0, volatility: float = 0.015) -> Closes:
    """A random walk."""
    prices = 50 * np.exp(np.random.default_rng(seed).normal(0, volatility, n_days).cumsum())
    return Closes(symbol, "csv", np.datetime64("2020-01-01") + np.arange(n_days), prices)


MOVES = np.array([0.01, -0.02, 0.03, -0.04])


def smallest_with_enough(scores: list[float], probability: float) -> float:
    """The smallest score that has this share of n + 1 at or below it, by counting; the largest if there are too few."""
    needed = math.ceil((len(scores) + 1) * probability - 1e-9)
    return min((q for q in scores if sum(score <= q for score in scores) >= needed), default=max(scores))


def test_quantiles_are_those_of_all_scores_of_the_pool():
    pool = [series(130, "A", seed=1), series(99, "B", seed=2, volatility=0.03)]
    calibration = calibrate(pool, MOVES)
    for step in (1, 7, MAX_HORIZON):
        scores = []
        for closes in pool:
            for i in range(len(closes) - WINDOW - MAX_HORIZON + 1):
                window = closes.prices[i : i + WINDOW]
                scores.append(math.log(closes.prices[i + WINDOW - 1 + step] / window[-1]) / plain_volatility(window))
        assert calibration.n_scores == len(scores)
        median = smallest_with_enough(scores, 0.5)
        for p in (0.5, 0.9, 0.975, 0.995):
            place = list(PROBABILITIES).index(p)
            assert calibration.quantiles[step - 1][place] == pytest.approx(smallest_with_enough(scores, p) - median, rel=1e-4)
        mirrored = [-score for score in scores]
        for p in (0.1, 0.025, 0.005):
            place = list(PROBABILITIES).index(p)
            assert calibration.quantiles[step - 1][place] == pytest.approx(-smallest_with_enough(mirrored, 1 - p) - median, rel=1e-4)


def test_calibration_names_the_symbols_and_days_that_it_used():
    short = series(WINDOW + MAX_HORIZON - 1, "SHORT")
    calibration = calibrate([series(200, "A"), short, series(120, "B")], MOVES)
    assert calibration.symbols == ["A", "B"]
    assert calibration.n_scores == (200 - 79) + (120 - 79)
    assert (calibration.first_date, calibration.last_date) == (date(2020, 3, 1), date(2020, 7, 18))


def test_calibration_without_a_long_enough_series_is_rejected():
    with pytest.raises(InvalidClosesError, match="80 closes"):
        calibrate([series(79)], MOVES)


def test_constant_band_is_the_quantile_of_the_moves():
    assert calibrate([series(100)], MOVES).constant == {80: 0.04, 95: 0.04}
    many = np.linspace(-0.01, 0.01, 999)
    assert calibrate([series(100)], many).constant[80] == pytest.approx(smallest_with_enough(np.abs(many).tolist(), 0.8))


def test_flat_series_gives_finite_quantiles():
    flat = Closes("X", "csv", np.datetime64("2020-01-01") + np.arange(200), np.full(200, 3.0))
    assert np.isfinite(calibrate([flat], MOVES).quantiles).all()


def test_unknown_stocks_have_their_coverage():
    """Calibrated on half of the snapshot's stocks, tested on the other half and later days."""
    symbols = ["AAPL", "AMD", "BAC", "JNJ", "KO", "MSFT", "WMT", "XOM"]
    split = np.datetime64("2018-01-01")
    pool = [read_snapshot(symbol).between("2010-01-01", "2017-12-31") for symbol in symbols[::2]]
    calibration = calibrate(pool, MOVES)
    for symbol in symbols[1::2]:
        closes = read_snapshot(symbol)
        windows = np.lib.stride_tricks.sliding_window_view(closes.prices, WINDOW)[:-1]
        later = closes.dates[WINDOW:] >= split
        windows, actual = windows[later], closes.prices[WINDOW:][later]
        limits = bounds(window_volatility(windows), windows[:, -1:], Distribution(calibration.quantiles))
        for level, tolerance in ((80, 0.04), (95, 0.02)):
            low, high = limits[level]
            inside = (low[:, 0] <= actual) & (actual <= high[:, 0])
            assert inside.mean() == pytest.approx(level / 100, abs=tolerance), symbol


# Bounds


def test_bounds_follow_the_formula(distribution):
    windows = wandering_windows(4)
    predicted = windows[:, -1:] * np.array([1.01, 1.02])
    low, high = bounds(window_volatility(windows), predicted, distribution)[95]
    half_width = window_volatility(windows)[:, None] * norm.ppf(0.975) * np.sqrt([1, 2])
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
        assert math.log(bound[0, 0] / 100) / 0.01 == pytest.approx(np.interp(p, PROBABILITIES, norm.ppf(PROBABILITIES)))


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
        expected = norm.sf(np.log(np.array(prices) / predicted[0, step]) / 0.01 / math.sqrt(step + 1))
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


# Calibrations that cannot be used


def test_calibration_round_trips_through_json(calibration):
    assert Calibration.model_validate_json(calibration.model_dump_json()) == calibration


@pytest.mark.parametrize(("change", "message"), [
    (lambda quantiles: quantiles[:10], "at least 20 items"),
    (lambda quantiles: [*quantiles, quantiles[0]], "at most 20 items"),
    (lambda quantiles: [quantiles[0][:-1], *quantiles[1:]], "at least 199 items"),
    (lambda quantiles: [[float("inf"), *quantiles[0][1:]], *quantiles[1:]], "a finite number"),
    (lambda quantiles: [quantiles[0][::-1], *quantiles[1:]], "must not decrease"),
])  # fmt: skip
def test_invalid_quantiles_are_rejected(calibration, change, message):
    content = json.loads(calibration.model_dump_json())
    content["quantiles"] = change(content["quantiles"])
    with pytest.raises(ValidationError, match=message):
        Calibration.model_validate(content)


def test_calibration_without_a_level_is_rejected(calibration):
    with pytest.raises(ValidationError, match="must have the levels"):
        Calibration.model_validate(calibration.model_dump() | {"constant": {80: 0.02}})
