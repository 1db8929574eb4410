"""The keys that find the actual close of a forecast in a later request."""

import numpy as np
import pytest

from closes.series import Floats
from closes.snapshot import read_snapshot
from monitoring.overlap import MAX_TOLERANCE, UNIT, KeyIndex, is_key, window_keys

OLD_KEY = "0123456789ab"  # a hash of an earlier version


@pytest.fixture
def closes() -> Floats:
    walk: Floats = np.exp(np.random.default_rng(0).normal(0, 0.02, 200).cumsum()) * 100
    return walk


def later(window):
    return window_keys(window)[0]


def earlier(window):
    return window_keys(window)[1]


def test_todays_later_key_is_tomorrows_earlier_key(closes):
    for i in range(100):
        assert later(closes[i : i + 60]) == earlier(closes[i + 1 : i + 61])


@pytest.mark.parametrize("decimals", [2, 3, 4, None])
@pytest.mark.parametrize("adjustment", [0.9, 0.995, 0.99937])
def test_next_window_is_found_after_a_rounded_dividend_adjustment(decimals, adjustment):
    """None: float32, as many programs keep prices."""

    def rounded(prices):
        return np.round(prices, decimals) if decimals else prices.astype(np.float32).astype(np.float64)

    prices = read_snapshot("MSFT").prices[-400:]
    before, after = rounded(prices), rounded(prices * adjustment)
    for i in range(0, 300, 5):
        key = later(before[i : i + 60])
        assert KeyIndex([key]).find(earlier(after[i + 1 : i + 61])) == key


def test_other_windows_are_not_found():
    for symbol in ("MSFT", "KO", "XOM"):
        prices = read_snapshot(symbol).prices[-400:]
        keys = KeyIndex([later(prices[i : i + 60]) for i in range(0, 300, 2)])
        for i in range(0, 300, 2):
            other = earlier(prices[i + 2 : i + 62])  # a day later than the next window
            assert keys.find(other) == other


def quiet_series() -> dict[str, np.ndarray]:
    chance = np.random.default_rng(0)
    return {
        "a fund of treasury bills": np.round(91.5 * np.exp((1.6e-4 + chance.normal(0, 3e-5, 300)).cumsum()), 2),
        "a stablecoin": np.round(1 + chance.normal(0, 2e-4, 300), 4),
    }


@pytest.mark.parametrize("name", quiet_series())
def test_other_days_of_a_quiet_series_are_not_found(name):
    prices = quiet_series()[name]
    after = np.round(prices * 0.995, 4)
    for i in range(230):
        key = later(prices[i : i + 60])
        other = earlier(after[i + 2 : i + 62])  # a day later than the next window
        assert KeyIndex([key]).find(other) != key or key == other


def test_close_beyond_the_tolerance_makes_another_window(closes):
    for factor, same in ((1 + MAX_TOLERANCE * UNIT * 0.9, True), (1 + MAX_TOLERANCE * UNIT * 1.2, False)):
        changed = closes[:60].copy()
        changed[59] *= factor
        assert (KeyIndex([later(closes[:60])]).find(later(changed)) == later(closes[:60])) == same


@pytest.mark.parametrize("shift", [-MAX_TOLERANCE, -1, 0, 1, MAX_TOLERANCE])
def test_matching_key_is_found_in_a_neighbouring_cell(shift):
    for first in range(-300, 300, 7):
        key = "r" + ".".join(map(str, [first, -first, 900, -1800, 2700, -3600, 4500, -5400, 6300]))
        near = "r" + ".".join(map(str, [first + shift, -first - shift, 900, -1800, 2700, -3600, 4500, -5400, 6300]))
        assert KeyIndex([key]).find(near) == key


def test_keys_of_an_earlier_version_match_exactly(closes):
    keys = KeyIndex([OLD_KEY, later(closes[:60])])
    assert keys.find(OLD_KEY) == OLD_KEY
    assert keys.find("0123456789ac") == "0123456789ac"


def test_removed_key_is_not_found(closes):
    key = later(closes[:60])
    changed = closes[:60] * 1.0
    changed[59] *= 1 + UNIT * 10
    keys = KeyIndex([key])
    assert keys.find(later(changed)) == key
    keys.remove(key)
    assert keys.find(later(changed)) == later(changed)


@pytest.mark.parametrize(("text", "expected"), [
    (OLD_KEY, True), ("r1.-2.3.4.5.6.7.8.9", True), ("", False), ("r1.2", False), ("rx.2.3.4.5.6.7.8.9", False), ("0123", False),
])  # fmt: skip
def test_keys_are_recognised(text, expected):
    assert is_key(text) == expected
