"""Drift: the distance, a threshold for dependent returns, and the verdict."""

import json
from itertools import pairwise

import numpy as np
import pytest

from closes.snapshot import read_snapshot
from monitoring.drift import BINS, NEEDED, detect_drift, effective_number, histogram, ks_distance
from settings import PROJECT_DIR

TRAINED = json.loads((PROJECT_DIR / "modelFiles" / "metadata.json").read_text())["training"]["daily_return_quantiles"]
LEVELS = np.linspace(0, 1, 101)


def daily_returns(symbol="MSFT"):
    prices = read_snapshot(symbol).prices
    return np.diff(np.log(prices[: int(0.6 * len(prices))]))


@pytest.mark.parametrize("scale", [0.5, 1, 2])
def test_distance_equals_scipys(scale):
    from scipy.stats import kstest

    quantiles = np.sort(np.random.default_rng(0).normal(0, 0.01, 101))
    returns = scale * np.random.default_rng(1).normal(0, 0.01, 300)
    expected = kstest(returns, lambda x: np.interp(x, quantiles, LEVELS)).statistic
    assert ks_distance(returns, quantiles) == pytest.approx(expected, abs=1e-12)


def test_distance_handles_equal_returns():
    half_zero = np.concatenate([np.linspace(-0.02, 0, 26)[:-1], np.zeros(51), np.linspace(0, 0.02, 26)[1:]])
    returns = np.interp((np.arange(1000) + 0.5) / 1000, LEVELS, half_zero)
    assert ks_distance(returns, half_zero) < 0.002
    assert ks_distance(np.zeros(100), half_zero) == pytest.approx(0.25)
    assert ks_distance(np.full(50, 1.0), half_zero) == 1


def test_dependent_returns_reduce_the_effective_number():
    independent = np.random.default_rng(0).normal(0, 1, 400)
    assert effective_number(independent) > 200
    assert effective_number(np.repeat(independent[:40], 10)) < 80
    assert effective_number(np.zeros(50)) == 50


def test_too_few_returns_have_no_figures():
    result = detect_drift([0.01] * (NEEDED - 1), TRAINED)
    assert result.pop("verdict") == "Not enough data: 19 of 20 closes."
    assert result == {"n": 19, "needed": 20, "ks_distance": None, "threshold": None, "volatility_ratio": None, "histogram": None}
    assert detect_drift([0.01] * NEEDED, TRAINED)["ks_distance"] > 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r, "look like those"),
        (lambda r: 2.5 * r, "times as large as those that the model was trained on: its intervals may be too narrow. Retrain."),
        (lambda r: 0.3 * r, "times as large as those that the model was trained on: its intervals may be too wide. Retrain."),
        (lambda r: 1.25 * np.abs(r), "distributed differently"),
    ],
)
def test_verdict_says_what_has_changed(change, said):
    result = detect_drift(change(daily_returns()[-500:]).tolist(), TRAINED)
    assert said in result["verdict"]
    assert (result["ks_distance"] > result["threshold"]) == ("look like" not in result["verdict"])


def test_volatility_ratio_from_the_sketch_is_within_five_percent():
    assert detect_drift(daily_returns().tolist(), TRAINED)["volatility_ratio"] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("returns", [[0.0] * 30, [1e-300] * 30, [13.0, -13.0] * 15])
def test_degenerate_returns_have_figures(returns):
    for trained in (TRAINED, [0.0] * 101):
        assert 0 <= detect_drift(returns, trained)["ks_distance"] <= 1


def rate_of_drift(n, scale, symbols=("MSFT", "KO", "XOM", "JPM", "AMD")):
    """How often drift is reported for n consecutive days of the training data, scaled up."""
    found = []
    for symbol in symbols:
        returns = daily_returns(symbol)
        quantiles = np.quantile(returns, LEVELS).tolist()
        for start in range(0, len(returns) - n, n // 4):
            result = detect_drift((scale * returns[start : start + n]).tolist(), quantiles)
            found.append(result["ks_distance"] > result["threshold"])
    return np.mean(found)


def test_doubled_volatility_drifts_and_training_days_rarely_do():
    assert rate_of_drift(250, 1) < 0.1
    assert rate_of_drift(250, 2) > 0.7


def test_histogram_counts_both_in_the_same_bins():
    returns = daily_returns()
    found = histogram(returns, np.quantile(returns, LEVELS))
    edges = np.array(found["edges"])
    assert len(edges) == BINS + 1
    np.testing.assert_allclose(edges, -edges[::-1])
    inner = [((returns >= low) & (returns < high)).mean() for low, high in pairwise(edges[1:-1])]
    np.testing.assert_allclose(found["now"][1:-1], inner)
    assert found["now"][0] == (returns < edges[1]).mean() > 0
    assert found["now"][-1] == (returns >= edges[-2]).mean() > 0
    np.testing.assert_allclose(found["trained"], found["now"], atol=0.01)
    for name in ("now", "trained"):
        assert sum(found[name]) == pytest.approx(1)


def test_histogram_has_all_returns_however_large():
    trained = np.linspace(-0.02, 0.02, 101)
    found = histogram(np.array([-5.0, -0.001, 0.001, 7.0]), trained)
    assert [found["now"][0], found["now"][-1], sum(found["now"])] == [0.25, 0.25, 1]
    flat = histogram(np.zeros(20), np.zeros(101))
    assert (sum(flat["now"]), sum(flat["trained"])) == (1, 1)
    assert detect_drift(daily_returns()[:100].tolist(), TRAINED)["histogram"] is not None
