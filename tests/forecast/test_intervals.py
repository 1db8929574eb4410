"""Prediction intervals: volatility, calibration, coverage and bounds."""

import json
import math

import numpy as np
import pytest
from pydantic import ValidationError

from closes.series import Floats
from forecast.intervals import (
    DECAYS,
    DOWN,
    LEVELS,
    LONG_RUN_SHARE,
    MAX_HORIZON,
    SHARES,
    SMOOTHED_STEPS,
    UP,
    Calibration,
    bounds,
    calibrate,
    scale,
    window_volatility,
)
from processData import WINDOW

LONG_RUN = 0.013


def wandering_windows(n: int, seed: int = 0, volatility: Floats | float = 0.02) -> Floats:
    """Windows (n, 60) of a random walk; `volatility` one for all or (n, 1)."""
    moves = np.random.default_rng(seed).normal(0, 1, (n, WINDOW)) * volatility
    windows: Floats = 100 * np.exp(moves.cumsum(axis=1))
    return windows


@pytest.fixture
def calibration() -> Calibration:
    """One and two units of volatility at the first step, growing with the root of the step."""
    steps = np.sqrt(np.arange(1, MAX_HORIZON + 1))
    quantiles = {80: (1.0 * steps).tolist(), 95: (2.0 * steps).tolist()}
    return Calibration(long_run_volatility=LONG_RUN, quantiles=quantiles, constant={80: 0.02, 95: 0.04}, n_scores=100)


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


@pytest.mark.parametrize("long_run", [LONG_RUN, 0.0])
def test_flat_window_has_finite_positive_bounds(calibration, long_run):
    flat = np.full((1, WINDOW), 50.0)
    assert window_volatility(flat).tolist() == [0.0]
    own = calibration.model_copy(update={"long_run_volatility": long_run})
    for low, high in bounds(window_volatility(flat), np.full((1, 3), 50.0), own).values():
        assert (low > 0).all()
        assert (low < 50).all()
        assert (high > 50).all()
        assert np.isfinite(high).all()


def test_scale_is_shrunk_towards_the_long_run_volatility():
    windows = wandering_windows(3)
    share = LONG_RUN_SHARE
    np.testing.assert_allclose(scale(window_volatility(windows), LONG_RUN), (1 - share) * window_volatility(windows) + share * LONG_RUN)
    assert 0 < share < 1


# Calibration


def smallest_with_enough(scores: list[float], level: int) -> float:
    """The smallest score that has level percent of n + 1 at or below it, by counting."""
    needed = math.ceil((len(scores) + 1) * level / 100)
    return min(q for q in scores if sum(score <= q for score in scores) >= needed)


@pytest.fixture(scope="module")
def history() -> Floats:
    """Closes (1000,) of a random walk."""
    closes: Floats = 50 * np.exp(np.random.default_rng(7).normal(0, 0.015, 1000).cumsum())
    return closes


@pytest.mark.parametrize("n", [40, 99, 100, 495])
def test_first_quantile_is_the_smallest_score_with_enough_coverage(n, history):
    windows = wandering_windows(n)
    predicted = windows[:, -1] * 1.001
    actual = predicted * np.exp(np.random.default_rng(1).normal(0, 0.02, n))
    calibration = calibrate(windows, predicted, actual, history, LONG_RUN)
    assert calibration.n_scores == n
    unit = scale(window_volatility(windows), LONG_RUN)
    for level in LEVELS:
        scores = [abs(math.log(actual[i] / predicted[i])) / unit[i] for i in range(n)]
        assert calibration.quantiles[level][0] == pytest.approx(smallest_with_enough(scores, level), rel=1e-12)
        moves = [abs(math.log(actual[i] / windows[i, -1])) for i in range(n)]
        assert calibration.constant[level] == pytest.approx(smallest_with_enough(moves, level), rel=1e-12)


def test_later_quantiles_grow_as_those_of_persistence(history):
    windows = wandering_windows(100)
    actual = windows[:, -1] * np.exp(np.random.default_rng(1).normal(0, 0.02, 100))
    calibration = calibrate(windows, windows[:, -1], actual, history, LONG_RUN)
    n = len(history) - WINDOW - MAX_HORIZON + 1
    spans = [history[i : i + WINDOW] for i in range(n)]
    units = scale(window_volatility(np.array(spans)), LONG_RUN)
    for level in LEVELS:
        counted = []
        for step in range(1, MAX_HORIZON + 1):
            scores = [abs(math.log(history[i + WINDOW - 1 + step] / spans[i][-1])) / units[i] for i in range(n)]
            counted.append(smallest_with_enough(scores, level))
        for step in range(1, MAX_HORIZON):  # smoothed, in units of the root of the step
            near = range(max(0, step - SMOOTHED_STEPS), min(MAX_HORIZON, step + SMOOTHED_STEPS + 1))
            smoothed = math.sqrt(step + 1) * sum(counted[i] / math.sqrt(i + 1) for i in near) / len(near)
            growth = calibration.quantiles[level][step] / calibration.quantiles[level][0]
            assert growth == pytest.approx(smoothed / counted[0], rel=1e-12)


def test_quantile_of_few_scores_is_the_largest(history):
    windows = wandering_windows(5)
    actual = windows[:, -1] * np.linspace(1.01, 1.05, 5)
    calibration = calibrate(windows, windows[:, -1], actual, history, LONG_RUN)
    assert calibration.quantiles[95][0] == pytest.approx(
        np.max(np.log(np.linspace(1.01, 1.05, 5)) / scale(window_volatility(windows), LONG_RUN))
    )


def test_flat_history_gives_finite_quantiles():
    flat = np.full((50, WINDOW), 3.0)
    calibration = calibrate(flat, np.full(50, 3.0), np.full(50, 3.0), np.full(200, 3.0), 0.0)
    assert all(np.isfinite(quantiles).all() for quantiles in calibration.quantiles.values())


def test_intervals_have_their_coverage_in_calm_and_volatile_weeks(history):
    n = 40_000
    chance = np.random.default_rng(2)
    volatility = np.exp(chance.normal(math.log(0.015), 0.6, (n, 1)))
    windows = wandering_windows(n, seed=3, volatility=volatility)
    predicted = windows[:, -1:]
    actual = predicted * np.exp(volatility * chance.standard_t(5, (n, 1)))
    half = n // 2
    long_run = float(np.median(window_volatility(windows[:half])))
    calibration = calibrate(windows[:half], predicted[:half, 0], actual[:half, 0], history, long_run)
    given = bounds(window_volatility(windows[half:]), predicted[half:], calibration)
    wild = volatility[half:, 0] > np.median(volatility)
    for level, (low, high) in given.items():
        inside = ((low <= actual[half:]) & (actual[half:] <= high))[:, 0]
        assert inside.mean() == pytest.approx(level / 100, abs=0.015)
        assert inside[wild].mean() == pytest.approx(level / 100, abs=0.08)
        assert inside[~wild].mean() == pytest.approx(level / 100, abs=0.08)
        width = np.log(high / low)[:, 0]
        assert width[wild].mean() > 2 * width[~wild].mean()


# Bounds


def test_bounds_follow_the_formula(calibration):
    windows = wandering_windows(4)
    predicted = windows[:, -1:] * np.array([1.01, 1.02])
    low, high = bounds(window_volatility(windows), predicted, calibration)[95]
    half_width = scale(window_volatility(windows), LONG_RUN)[:, None] * 2 * np.sqrt([1, 2])
    np.testing.assert_allclose(np.log(high / predicted), half_width)
    np.testing.assert_allclose(np.log(predicted / low), half_width)


@pytest.mark.parametrize("volatility", [1e-6, 0.02, 1.0])
def test_bounds_are_positive_and_nested(calibration, volatility):
    windows = wandering_windows(200, volatility=volatility)
    predicted = windows[:, -1:] * np.ones(MAX_HORIZON)
    (low_80, high_80), (low_95, high_95) = (bounds(window_volatility(windows), predicted, calibration)[level] for level in LEVELS)
    assert (low_95 > 0).all()
    assert (low_95 < low_80).all()
    assert (low_80 < predicted).all()
    assert (predicted < high_80).all()
    assert (high_80 < high_95).all()


@pytest.mark.parametrize("factor", [1000.0, 1e-3])
def test_bounds_scale_with_the_currency(calibration, factor):
    windows = wandering_windows(10)
    predicted = windows[:, -1:] * np.ones(3)
    given, other = (
        bounds(window_volatility(windows), predicted, calibration),
        bounds(window_volatility(windows * factor), predicted * factor, calibration),
    )
    for level in LEVELS:
        np.testing.assert_allclose(np.array(other[level]), np.array(given[level]) * factor, rtol=1e-10)


@pytest.mark.parametrize("horizon", [1, 5, MAX_HORIZON])
def test_bounds_do_not_depend_on_the_horizon(calibration, horizon):
    windows = wandering_windows(3)
    predicted = windows[:, -1:] * np.ones(MAX_HORIZON)
    longest, given = (
        bounds(window_volatility(windows), predicted, calibration),
        bounds(window_volatility(windows), predicted[:, :horizon], calibration),
    )
    for level in LEVELS:
        assert given[level][0].shape == (3, horizon)
        np.testing.assert_array_equal(np.array(given[level]), np.array(longest[level])[:, :, :horizon])


# Calibrations that cannot be used


@pytest.fixture
def content():
    """A calibration as in metadata.json."""
    steps = np.sqrt(np.arange(1, MAX_HORIZON + 1))
    quantiles = {"80": (1.8 * steps).tolist(), "95": (3.1 * steps).tolist()}
    return {"long_run_volatility": 0.01, "quantiles": quantiles, "constant": {"80": 0.02, "95": 0.04}, "n_scores": 640}


def test_calibration_round_trips_through_metadata(content):
    assert Calibration.model_validate_json(json.dumps(content)).model_dump(mode="json") == content


@pytest.mark.parametrize(("level", "change", "message"), [
    ("80", lambda values: values[:10], "at least 20 items"),
    ("95", lambda values: [*values, 9.0], "at most 20 items"),
    ("95", lambda values: [float("inf"), *values[1:]], "a finite number"),
    ("80", lambda values: [-1.0, *values[1:]], "greater than or equal to 0"),
    ("80", lambda values: [float("nan"), *values[1:]], "a finite number"),
])  # fmt: skip
def test_invalid_quantiles_are_rejected(content, level, change, message):
    content["quantiles"][level] = change(content["quantiles"][level])
    with pytest.raises(ValidationError, match=rf"quantiles.{level}(?s:.)*{message}"):
        Calibration.model_validate(content)


def test_invalid_long_run_volatility_is_rejected(content):
    with pytest.raises(ValidationError, match="long_run_volatility"):
        Calibration.model_validate(content | {"long_run_volatility": -0.1})


@pytest.mark.parametrize("name", ["quantiles", "constant"])
def test_calibration_without_a_level_is_rejected(content, name):
    del content[name]["95"]
    with pytest.raises(ValidationError, match=f"{name}(?s:.)*must have the levels"):
        Calibration.model_validate(content)
