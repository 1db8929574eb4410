"""The volatility of windows, from closes alone and from daily ranges."""

import math

import numpy as np
import pytest
from distributions import plain_volatility, wandering_windows

from closes.series import Floats
from closes.snapshot import read_ranges
from forecast.volatility import (
    FALL_DECAY,
    FALL_WEIGHT,
    MAX_INVALID_DAYS,
    RANGE_DECAYS,
    RANGE_SHARES,
    REPLACEMENT,
    describe_faults,
    range_volatility,
    window_volatility,
    windows_of_ranges,
)
from processData import WINDOW


def test_volatility_equals_a_plain_loop():
    windows = wandering_windows(5)
    np.testing.assert_allclose(window_volatility(windows), [plain_volatility(window) for window in windows], rtol=1e-12)


def window_with_move(place: int, factor: float) -> Floats:
    return np.where(np.arange(WINDOW) < place, 1.0, factor)


def test_volatility_weighs_late_moves_and_falls_more():
    moves = [(1, 1.1), (WINDOW - 1, 1.1), (WINDOW - 1, 1 / 1.1)]
    early, late, fall = window_volatility(np.array([window_with_move(*move) for move in moves]))
    assert early < late < fall


def test_flat_window_has_no_volatility():
    assert window_volatility(np.full((1, WINDOW), 50.0)).tolist() == [0.0]


# Daily ranges


IBM = read_ranges()[3]


def window_with_ranges(day: int = 500) -> tuple[Floats, Floats]:
    """60 days of IBM: closes (60,), and open, high and low (60, 3)."""
    assert IBM.ranges is not None
    return IBM.prices[day : day + WINDOW].copy(), IBM.ranges[day : day + WINDOW].copy()


def is_usable(window: Floats, ranges: Floats) -> bool:
    """Whether the ranges of a window are used; the reason why not is given in the same cases."""
    used = bool(np.isfinite(range_volatility(window[None], ranges[None])[0]))
    assert used == (describe_faults(window, ranges) == "")
    return used


def plain_range_volatility(window: Floats, ranges: Floats, replaced: set[int]) -> float:
    """The formula, day by day."""
    sizes, falls = [], []
    for day in range(1, WINDOW):
        (opened, high, low), close, before = ranges[day], window[day], window[day - 1]
        falls.append(max(0.0, math.log(before / close)))
        variance = 0.5 * math.log(high / low) ** 2 - (2 * math.log(2) - 1) * math.log(close / opened) ** 2
        size = math.sqrt(math.log(opened / before) ** 2 + variance)
        sizes.append(REPLACEMENT * abs(math.log(close / before)) if day in replaced else size)

    def mean(values: list[float], decay: float) -> float:
        weights = [decay ** (len(values) - 1 - i) for i in range(len(values))]
        return sum(weight * value for weight, value in zip(weights, values, strict=True)) / sum(weights)

    total = FALL_WEIGHT * mean(falls, FALL_DECAY) + RANGE_SHARES[2] * mean(sizes, 1.0)
    total += sum(share * mean(sizes, decay) for share, decay in zip(RANGE_SHARES[:2], RANGE_DECAYS, strict=True))
    moves = [abs(math.log(window[day] / window[day - 1])) for day in range(1, WINDOW)]
    return total * math.sqrt(mean(moves, 1.0) / mean(sizes, 1.0))


@pytest.mark.parametrize("replaced", [set(), {5, 20, 40}])
def test_range_volatility_equals_a_plain_loop(replaced):
    window, ranges = window_with_ranges()
    expected = plain_range_volatility(window, ranges, replaced)
    for day in replaced:
        ranges[day, 1] = window[day] / 2  # a high below the close
    assert range_volatility(window[None], ranges[None])[0] == pytest.approx(expected, rel=1e-12)
    assert describe_faults(window, ranges) == ""


def test_range_volatility_does_not_depend_on_the_currency():
    window, ranges = window_with_ranges()
    given = range_volatility(window[None], ranges[None])
    np.testing.assert_allclose(range_volatility(window[None] * 7.5, ranges[None] * 7.5), given, rtol=1e-12)


def test_range_volatility_of_a_batch_equals_that_of_its_windows():
    assert IBM.ranges is not None
    windows, ranges = np.lib.stride_tricks.sliding_window_view(IBM.prices, WINDOW)[:50], windows_of_ranges(IBM.ranges)[:50]
    alone = [range_volatility(windows[row : row + 1], ranges[row : row + 1])[0] for row in range(50)]
    assert range_volatility(windows, ranges).tolist() == alone


def damage(name: str, window: Floats, ranges: Floats) -> None:
    """Change ranges as bad feeds have them."""
    days = slice(10, 10 + MAX_INVALID_DAYS + 1)
    if name == "high below close":
        ranges[days, 1] = np.minimum(ranges[days, 0], window[days]) * 0.99
    elif name == "low above open":
        ranges[days, 2] = np.maximum(ranges[days, 0], window[days]) * 1.01
    elif name == "zeros":
        ranges[days] = 0
    elif name == "missing":
        ranges[days] = np.nan
    elif name == "infinite":
        ranges[days, 1] = np.inf
    elif name == "no range":
        ranges[days] = window[days, None]
    elif name == "open repeats the last close":
        ranges[1:, 0] = window[:-1]
        ranges[1:, 1] = np.maximum(ranges[1:, 1], window[:-1])
        ranges[1:, 2] = np.minimum(ranges[1:, 2], window[:-1])
    elif name == "not adjusted":
        ranges *= 2


DAMAGES = {
    "high below close": "on 4 of 59 days they are missing or wrong, such as a high below the close",
    "low above open": "on 4 of 59 days",
    "zeros": "on 4 of 59 days",
    "missing": "on 4 of 59 days",
    "infinite": "on 4 of 59 days",
    "no range": "on 4 of 59 days",
    "open repeats the last close": "on 59 of 59 days the open repeats the close of the day before",
    "not adjusted": "on 59 of 59 days they are missing",
}


@pytest.mark.parametrize("name", DAMAGES)
def test_bad_ranges_are_not_usable(name):
    window, ranges = window_with_ranges()
    assert is_usable(window, ranges)
    damage(name, window, ranges)
    assert not is_usable(window, ranges)
    assert describe_faults(window, ranges).startswith(DAMAGES[name])


def test_recent_day_without_a_range_makes_the_ranges_unusable():
    window, ranges = window_with_ranges()
    ranges[57] = 0
    assert not is_usable(window, ranges)
    assert describe_faults(window, ranges).endswith("such as a high below the close; one of these days is among the newest 5")


@pytest.mark.parametrize(("column", "factor"), [(1, 1.6), (1, 2.0), (2, 0.5)])
def test_single_bad_tick_is_an_invalid_day(column, factor):
    window, ranges = window_with_ranges()
    expected = range_volatility(window[None], ranges[None])[0]
    ranges[30, column] *= factor
    assert range_volatility(window[None], ranges[None])[0] == pytest.approx(expected, rel=0.05)
    ranges[59, column] *= factor
    assert not is_usable(window, ranges)


@pytest.mark.parametrize("spread", [1.0, 1.2])
def test_ranges_that_do_not_fit_the_moves_of_the_closes_are_not_usable(spread):
    """Each day goes straight from its open, near the last close, to its close; or it moves far beyond both."""
    window = 100 * np.exp(np.random.default_rng(0).normal(0, 0.02, WINDOW).cumsum())
    opened = np.concatenate([window[:1], window[:-1]]) * 1.00001
    ranges = np.stack([opened, np.maximum(opened, window) * spread, np.minimum(opened, window) / spread], axis=1)
    assert "times as large as those of the closes" in describe_faults(window, ranges)
    assert not is_usable(window, ranges)


def test_flat_window_has_no_usable_ranges():
    window, ranges = np.full(WINDOW, 50.0), np.tile([50.0, 51.0, 49.0], (WINDOW, 1))
    assert not is_usable(window, ranges)
