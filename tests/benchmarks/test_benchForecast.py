"""The forecast benchmark: scores, look-ahead of references and peers, tables. No network is trained."""

import re
from dataclasses import replace

import numpy as np
import pytest

import benchForecast
import forecastPeers
import forecastReport
from closes.snapshot import read_ranges, read_snapshot
from forecast.intervals import PROBABILITIES, Distribution, crps, verify
from forecastPeers import PYTHON, PeerScores
from forecastRanges import range_quantiles, score_ranges
from forecastReferences import ENDS, REFIT_DAYS, garch_quantiles, interval_of, n_near, quantile_scores
from load import BenchError

RANDOM = np.random.default_rng(0)
QUANTILES = 100 * np.exp(np.sort(RANDOM.normal(0, 0.02, (5, len(PROBABILITIES))), axis=1))
ACTUAL = np.array([98.0, 99.5, 100.0, 101.0, 104.0])
LAST = np.full(5, 100.0)


def test_interval_has_the_quantiles_at_its_ends():
    assert interval_of(np.tile(PROBABILITIES, (2, 1)), 80)[0].tolist() == pytest.approx([0.1, 0.1])
    for quantiles in (np.tile(PROBABILITIES, (1, 1)), np.tile(ENDS, (1, 1))):
        assert [float(bound[0]) for bound in interval_of(quantiles, 80)] == pytest.approx([0.1, 0.9])
        assert [float(bound[0]) for bound in interval_of(quantiles, 95)] == pytest.approx([0.025, 0.975])


def test_crps_is_that_of_the_model():
    table = np.tile(np.linspace(-2, 2, len(PROBABILITIES)), (20, 1))
    volatility = np.full(5, 0.01)
    expected = verify(volatility, LAST, ACTUAL, Distribution(table)).crps
    assert crps(ACTUAL, 100 * np.exp(0.01 * np.tile(table[0], (5, 1)))) == pytest.approx(expected)


def test_intervals_without_a_distribution_have_no_crps():
    full, ends = quantile_scores(ACTUAL, LAST, QUANTILES), quantile_scores(ACTUAL, LAST, QUANTILES[:, [4, 19, 179, 194]])
    assert full.pop("crps") > 0
    assert ends == full


def test_stocks_at_the_limit_are_near():
    assert n_near(np.array([0.7601, 0.8399, 0.85, 0.75]), 80) == 2
    assert n_near(np.array([0.9301, 0.9699, 0.98, 0.925]), 95) == 2


def changed_after(values, place):
    """The same values, except that those from `place` on are twice as far from the one before."""
    later = values.copy()
    later[place:] = values[place - 1] + 2 * (values[place:] - values[place - 1])
    return later


@pytest.mark.slow
def test_garch_does_not_look_ahead():
    prices = read_snapshot("MSFT").prices[:400]
    first, change = 350, 350 + REFIT_DAYS + 5
    later = prices.copy()
    later[change:] *= 1.5
    before, after = garch_quantiles(prices, first), garch_quantiles(later, first)
    assert before.shape == (50, len(PROBABILITIES))
    assert np.array_equal(before[: change - first + 1], after[: change - first + 1])  # the day of the change is forecast before it
    assert not np.allclose(before[change - first + 1], after[change - first + 1])


def test_ranges_do_not_look_ahead():
    series = {closes.symbol: closes for closes in read_ranges()}
    closes, pool = series["MSFT"].between("2010-01-01", "2012-12-31"), [series["IBM"].between("2005-01-01", "2010-12-31")]
    factor = np.where(np.arange(len(closes)) < 500, 1.0, 2.0)
    later = replace(closes, prices=closes.prices * factor, ranges=closes.ranges * factor[:, None] ** 2)
    before, after = range_quantiles(closes, pool, 400), range_quantiles(later, pool, 400)
    same = 500 - 400 - 60 + 1
    for kind in ("closes", "ranges"):
        assert np.array_equal(before[kind][:same], after[kind][:same])
        assert not np.allclose(before[kind][same], after[kind][same])


@pytest.mark.slow
def test_scores_of_ranges_are_those_of_a_test_without_the_stock():
    scores = score_ranges("GOOG")
    assert scores.keys() == {"ranges", "closes", "garch"}
    assert 300 < scores["ranges"]["n_days"] < 500
    for values in scores.values():
        assert 0.7 < values["coverage_80"] < 0.9
        assert 0.9 < values["coverage_95"] < 1


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON.exists(), reason="The peers are missing: make .venv-forecast-peers/requirements")
def test_peers_do_not_look_ahead(tmp_path):
    prices = read_snapshot("MSFT").prices[:420]
    first, change = 380, 400
    source, target = tmp_path / "series", tmp_path / "results"
    source.mkdir()
    target.mkdir()
    forecastPeers.write_series(source / "before.npz", prices, first)
    forecastPeers.write_series(source / "after.npz", np.exp(changed_after(np.log(prices), change)), first)
    forecastPeers.run(source, target)
    with np.load(target / "before.npz") as before, np.load(target / "after.npz") as after:
        peers = [name for name in before if not name.endswith("_seconds")]
        assert set(peers) == forecastReport.TITLES.keys() - {"ours", "garch", "naive"}
        for peer in peers:
            assert before[peer].shape in {(40, len(PROBABILITIES)), (40, len(ENDS))}
            same = change - first + 1  # the day of the change is forecast before it
            assert before[peer][:same] == pytest.approx(after[peer][:same], abs=1e-12), peer
            assert not np.allclose(before[peer][same:], after[peer][same:]), peer


def test_bounds_in_the_wrong_order_are_an_error(tmp_path):
    days = len(read_snapshot("MSFT")) - forecastPeers.first_day(len(read_snapshot("MSFT")))
    wrong = np.zeros((days, len(ENDS)))
    wrong[3, 1] = 1
    np.savez(tmp_path / "MSFT.npz", peer=wrong, peer_seconds=1.0)
    with pytest.raises(BenchError, match="peer: a bound of MSFT"):
        forecastPeers.score_stock("MSFT", tmp_path / "MSFT.npz")


def test_scores_of_a_peer_are_those_of_the_days_of_the_test(tmp_path):
    prices = read_snapshot("MSFT").prices
    first = forecastPeers.first_day(len(prices))
    returns = np.diff(np.log(prices))[first - 1 :]
    ends = returns[:, None] + np.array([-0.2, -0.1, 0.1, 0.2])
    np.savez(tmp_path / "MSFT.npz", peer=ends, peer_seconds=2.0)
    scores = forecastPeers.score_stock("MSFT", tmp_path / "MSFT.npz")["peer"]
    assert (scores["coverage_80"], scores["coverage_95"], scores["seconds"]) == (1, 1, 2)
    ends[::2] += 0.15
    np.savez(tmp_path / "MSFT.npz", peer=ends, peer_seconds=2.0)
    scores = forecastPeers.score_stock("MSFT", tmp_path / "MSFT.npz")["peer"]
    assert (scores["coverage_80"], scores["coverage_95"]) == pytest.approx((0.5, 1), abs=0.001)


SCORES = {"coverage_80": 0.8, "coverage_95": 0.9, "winkler_80": 0.05, "winkler_95": 0.1, "crps": 0.01, "seconds": 3}


def test_peers_are_compared_with_ours():
    prefixes = ("", "garch_", "naive_")
    metrics = {prefix + name: value for prefix in prefixes for name, value in SCORES.items() if (prefix, name) != ("naive_", "crps")}
    worse = {name: 2 * value if name.startswith(("winkler", "crps")) else value for name, value in SCORES.items()}
    peers = PeerScores({"darts_naive": {"MSFT": worse}}, {}, 60)
    rows = forecastReport.peer_table([{"symbol": "MSFT", "metrics": metrics}], peers)[2:]
    assert rows == [
        "| this service | 80.0 | 90.0 | 1 of 1 | 0 of 1 | 1.000 | 1.000 | 1.000 | 3 |",
        "| GARCH(1,1) with Student-t errors, arch | 80.0 | 90.0 | 1 of 1 | 0 of 1 | 1.000 | 1.000 | 1.000 | 3 |",
        "| bands of constant width | 80.0 | 90.0 | 1 of 1 | 0 of 1 | 1.000 | 1.000 |  | 3 |",
        "| darts, ConformalNaiveModel | 80.0 | 90.0 | 1 of 1 | 0 of 1 | 2.000 | 2.000 | 2.000 | 3 |",
    ]


def test_ranges_are_compared_with_closes():
    half = {name: value / 2 if name.startswith(("winkler", "crps")) else value for name, value in SCORES.items()}
    lines = forecastReport.range_table({"MSFT": {"ranges": half, "closes": SCORES, "garch": SCORES}})
    assert lines[2] == "| MSFT, daily ranges | 80.0 | 90.0 | 0.500 | 0.500 | 0.500 |"
    assert lines[5] == "| **mean**, daily ranges | 80.0 | 90.0 | 0.500 | 0.500 | 0.500 |"
    assert not [line for line in lines if re.match(r"\| (?:stock|MSFT|\*\*mean\*\*) \|", line)]  # results.md quotes such rows


def test_missing_peers_are_an_error_before_anything_is_trained(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(forecastPeers, "PYTHON", tmp_path / "python")
    monkeypatch.setattr(benchForecast, "judge_stock", None)
    assert benchForecast.main(["--symbols", "MSFT"]) == 1
    assert "make .venv-forecast-peers/requirements" in capsys.readouterr().err
