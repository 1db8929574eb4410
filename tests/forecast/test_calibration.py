"""Calibration: scores, pools, quantiles, coverage of unknown stocks, calibrations that cannot be used."""

import json
import math
from datetime import date

import numpy as np
import pytest
from distributions import normal_calibration, plain_volatility, series
from pydantic import ValidationError

from closes.series import Closes
from closes.snapshot import read_ranges, read_snapshot
from errors import InvalidClosesError
from forecast.calibration import Calibration, calibrate, known, scores_of
from forecast.intervals import MAX_HORIZON, PROBABILITIES, Distribution, bounds
from forecast.volatility import range_volatility, window_volatility
from processData import WINDOW


@pytest.fixture
def calibration() -> Calibration:
    return normal_calibration()


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


# Ranges


def test_scores_from_ranges_are_in_units_of_their_volatility():
    ibm = read_ranges()[3].part(slice(0, 200))
    assert ibm.ranges is not None
    scores = scores_of(ibm.prices, ibm.ranges)
    for day in (0, 60, 120):
        window, ranges = ibm.prices[day : day + WINDOW], ibm.ranges[day : day + WINDOW]
        moves = np.log(ibm.prices[day + WINDOW : day + WINDOW + MAX_HORIZON] / window[-1])
        np.testing.assert_allclose(scores[day], moves / range_volatility(window[None], ranges[None]))


def test_scores_without_usable_ranges_are_left_out():
    ibm = read_ranges()[3].part(slice(0, 200))
    assert ibm.ranges is not None
    ibm.ranges[100:104] = np.nan  # four days: invalid, and recent for the windows from 41 on
    scores = scores_of(ibm.prices, ibm.ranges)
    assert np.isnan(scores[:, 0]).nonzero()[0].tolist() == list(range(41, 100))
    assert len(known(scores)) == len(scores) - 59


def test_calibration_for_ranges_names_its_symbols_and_days():
    ranges = [closes.part(slice(0, 300)) for closes in read_ranges()[:2]]
    found = calibrate([series(200)], MOVES, [*ranges, series(200, "NONE")]).ranges
    assert found is not None
    assert found.symbols == ["AAPL", "FB"]
    assert found.n_scores > 200
    assert calibrate([series(200)], MOVES).ranges is None


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
