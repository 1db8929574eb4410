"""Metrics compared with their formulas, and the backtest with single forecasts."""

import csv
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from closes.series import Closes
from closes.snapshot import read_snapshot
from errors import DataUnavailableError
from forecast.backtest import Backtest, backtest, write_backtest
from forecast.intervals import PROBABILITIES, Verification
from forecast.scores import (
    coverage,
    coverage_by,
    coverage_by_horizon,
    coverage_by_symbol,
    diebold_mariano,
    directional_accuracy,
    point_metrics,
    reliability,
    score,
    summary,
    winkler,
)
from models.loading import load_forecaster
from settings import PROJECT_DIR


@pytest.fixture(scope="module")
def closes():
    return read_snapshot("MSFT").between("2022-01-03", "2022-12-28")


@pytest.fixture(scope="module")
def forecaster():
    return load_forecaster(PROJECT_DIR / "modelFiles")


@pytest.fixture
def csv_file(closes, tmp_path):
    path = tmp_path / "closes.csv"
    rows = "".join(f"{day},{price!r}\n" for day, price in zip(closes.dates, closes.prices.tolist(), strict=True))
    path.write_text("date,close\n" + rows)
    return path


@pytest.mark.slow
def test_point_metrics_follow_their_formulas():
    actual, predicted = np.array([10.0, 20.0, 40.0]), np.array([11.0, 18.0, 40.0])
    assert point_metrics(actual, predicted) == pytest.approx(
        {"mse": 5 / 3, "rmse": (5 / 3) ** 0.5, "mae": 1.0, "mape": (0.1 + 0.1) / 3, "r2": 1 - 5 / (actual.var() * 3)}
    )


def test_coverage_includes_the_bounds():
    assert coverage(np.array([1.0, 2.0, 3.0, 4.0]), np.full(4, 2.0), np.full(4, 3.0)) == 0.5


def test_winkler_score_is_the_width_plus_a_penalty_outside():
    scores = winkler(np.array([5.0, 1.0, 12.0]), np.full(3, 2.0), np.full(3, 10.0), 80)
    np.testing.assert_allclose(scores, [8, 8 + 10 * 1, 8 + 10 * 2])


def made_up(actual, predicted, last=100.0):
    """A backtest whose windows end at `last`, with bands of 1% and 2%."""
    n = len(actual)
    windows = np.linspace(last - 5.9, last, 60) * np.ones((n, 1))
    predicted = np.array(predicted, float)
    bounds = {80: (predicted * 0.99, predicted * 1.01), 95: (predicted * 0.98, predicted * 1.02)}
    dates = np.datetime64("2021-12-30") + np.arange(n)
    actual = np.array(actual, float)
    verification = Verification(np.abs(predicted - actual), np.ones(n), np.linspace(0, 1, n))
    return Backtest(dates, windows, None, actual, predicted, bounds, verification, {80: 0.01, 95: 0.02})


def test_reliability_is_the_share_of_closes_below_each_quantile():
    result = made_up([100] * 4, [100] * 4)
    result.verification.pit[:] = [0.0, 0.1, 0.1, 0.9]
    found = dict(zip(PROBABILITIES.round(3).tolist(), reliability(result).tolist(), strict=True))
    assert [found[p] for p in (0.005, 0.095, 0.1, 0.5, 0.895, 0.9)] == [0.25, 0.25, 0.75, 0.75, 0.75, 1.0]
    expected = np.mean([abs(share - p) for p, share in found.items()])
    assert score(result)["calibration_error"] == pytest.approx(expected, abs=1e-3)


def test_drift_forecast_continues_the_mean_change():
    np.testing.assert_allclose(made_up([101], [100]).drift, 100.1)


def test_naive_bands_have_the_same_width_on_all_days():
    result = made_up([101, 99], [100, 100])
    low, high = result.naive_bounds[95]
    np.testing.assert_allclose(np.log(high / low), 0.04)


def test_directional_accuracy_skips_days_without_a_direction():
    result = made_up([101, 99, 101, 100, 103], [101, 101, 102, 99, 100])
    given = directional_accuracy(result)
    assert given["directional_accuracy"] == pytest.approx(2 / 3)
    assert given["up_share"] == pytest.approx(2 / 3)
    assert given["directional_accuracy_low"] == pytest.approx(0.0943, abs=1e-3)  # Clopper-Pearson of 2 in 3
    assert given["directional_accuracy_high"] == pytest.approx(0.9916, abs=1e-3)
    assert np.isnan(directional_accuracy(made_up([101], [100]))["directional_accuracy"])


def test_diebold_mariano_finds_no_difference_in_noise():
    chance = np.random.default_rng(0)
    good, bad = chance.normal(0, 1, 400), chance.normal(0, 1.5, 400)
    statistic, p_value = diebold_mariano(good, bad)
    d = good**2 - bad**2
    assert statistic == pytest.approx(d.mean() / d.std(ddof=1) * np.sqrt(len(d)))
    assert p_value < 1e-4
    assert diebold_mariano(bad, good) == (-statistic, p_value)
    rejected = [diebold_mariano(chance.normal(0, 1, 200), chance.normal(0, 1, 200))[1] < 0.05 for _ in range(1000)]
    assert np.mean(rejected) == pytest.approx(0.05, abs=0.025)
    assert np.isnan(diebold_mariano(good, good)[1])


def test_coverage_by_year_and_volatility_counts_each_day_once(closes, forecaster):
    result = backtest(forecaster, read_snapshot("MSFT"), first="2021-01-01")
    parts = coverage_by(result)
    assert list(parts["year"]) == ["2021", "2022"]
    assert list(parts["volatility"]) == ["calm", "middle", "wild"]
    for group in parts.values():
        assert sum(part["n_days"] for part in group.values()) == len(result)
        held = sum(part["n_days"] * part["coverage_80"] for part in group.values()) / len(result)
        assert held == pytest.approx(score(result)["coverage_80"])
    in_2022 = [
        low <= actual <= high
        for day, actual, low, high in zip(result.dates, result.actual, *result.bounds[95], strict=True)
        if str(day) >= "2022"
    ]
    assert parts["year"]["2022"]["coverage_95"] == pytest.approx(np.mean(in_2022))


def test_coverage_by_symbol_is_that_of_each_backtest(forecaster):
    ko = read_snapshot("KO")
    ended = read_snapshot("PEP").between("2010-01-04", "2021-12-31")
    given = coverage_by_symbol(forecaster, [ko, ended], "2022-07-01")
    assert list(given) == ["KO"]
    values = score(backtest(forecaster, ko, first="2022-07-01"))
    assert given["KO"] == {"n_days": values["n_days"], "coverage_80": values["coverage_80"], "coverage_95": values["coverage_95"]}


@pytest.mark.slow
def test_coverage_by_horizon_compares_paths_with_the_actual_closes(closes, forecaster):
    given = coverage_by_horizon(forecaster, closes, "2022-07-01")
    assert list(given) == ["1", "5", "10", "20"]
    start = int(np.searchsorted(closes.dates, np.datetime64("2022-07-01")))
    for step in (1, 20):
        held = []
        for day in range(start, len(closes) - step + 1):
            low, high = forecaster.forecast(closes.prices[None, day - 60 : day], 20).bounds[80]
            held.append(low[0, step - 1] <= closes.prices[day + step - 1] <= high[0, step - 1])
        assert given[str(step)]["n_days"] == len(held)
        assert given[str(step)]["coverage_80"] == pytest.approx(np.mean(held))
    assert given["1"]["coverage_80"] == pytest.approx(score(backtest(forecaster, closes, first="2022-07-01"))["coverage_80"])


def test_backtest_forecasts_each_day_from_the_60_closes_before_it(closes, forecaster):
    result = backtest(forecaster, closes, "2022-06-01", "2022-06-30")
    assert str(result.dates[0]) == "2022-06-01"
    assert str(result.dates[-1]) == "2022-06-30"
    for row, day in enumerate(result.dates):
        (place,) = np.flatnonzero(closes.dates == day)
        assert result.actual[row] == closes.prices[place]
        assert result.last_close[row] == closes.prices[place - 1]
        alone = forecaster.forecast(closes.prices[None, place - 60 : place])
        assert result.predicted[row] == pytest.approx(alone.prices[0, 0], rel=1e-6)


def test_backtest_does_not_use_the_close_that_it_forecasts(closes, forecaster):
    changed = closes.prices.copy()
    changed[-1] *= 2
    before = backtest(forecaster, closes)
    after = backtest(forecaster, Closes("MSFT", "csv", closes.dates, changed))
    np.testing.assert_array_equal(before.predicted, after.predicted)
    for level in (80, 95):
        np.testing.assert_array_equal(before.bounds[level], after.bounds[level])
    assert score(before) != score(after)


def test_metrics_include_those_of_persistence(closes, forecaster):
    result = backtest(forecaster, closes)
    values = score(result)
    errors = result.actual - result.last_close
    assert values["naive_rmse"] == pytest.approx(float(np.sqrt(np.mean(errors**2))))
    assert values["rmse_ratio"] == pytest.approx(values["rmse"] / values["naive_rmse"])
    assert values["n_days"] == len(closes) - 60
    assert "persistence" in summary(values)


def test_closing_table_keeps_columns_apart_for_large_prices(closes, forecaster):
    large = replace(closes, prices=closes.prices * 1e5, ranges=None)
    values = score(backtest(forecaster, large))
    line = next(line for line in summary(values).splitlines() if line.startswith("MSE"))
    assert line.split()[1:] == [f"{values[f'{prefix}mse']:.4f}" for prefix in ("", "naive_", "drift_")]
    assert len(line.split()[1]) > 14


def test_failed_write_leaves_no_partial_backtest(closes, forecaster, tmp_path):
    with pytest.raises(DataUnavailableError, match="cannot be written"):
        write_backtest(backtest(forecaster, closes), tmp_path / "missing" / "backtest.csv")
    assert list(tmp_path.iterdir()) == []


def evaluate(*options):
    return subprocess.run([sys.executable, "modelEvaluate.py", *options], cwd=PROJECT_DIR, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_command_writes_a_row_per_day_and_prints_the_metrics(csv_file, tmp_path, closes):
    out = tmp_path / "out.csv"
    done = evaluate("--csv", str(csv_file), "--from", "2022-07-01", "--to", "2022-07-31", "--out", str(out))
    assert done.returncode == 0
    values = json.loads(done.stdout)
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["date", "actual", "predicted", "low_80", "high_80", "low_95", "high_95"]
    july = closes.between("2022-07-01", "2022-07-31")
    assert [row["date"] for row in rows] == july.dates.astype(str).tolist()
    assert [float(row["actual"]) for row in rows] == july.prices.tolist()
    inside = np.mean([float(row["low_80"]) <= float(row["actual"]) <= float(row["high_80"]) for row in rows])
    assert values["coverage_80"] == pytest.approx(inside)
    assert values["n_days"] == len(rows)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--from", "2030-01-01"], 1, "no closes from 2030-01-01 on; the file has"),
        (["--from", "2022-07-02", "--to", "2022-07-01"], 2, "--from lies after --to"),
        (["--from", "July"], 2, "2020-01-31"),
        (["--model-dir", "missing"], 1, "python modelTrain.py"),
    ],
)
def test_command_reports_errors_in_one_line(csv_file, tmp_path, options, code, said):
    out = tmp_path / "out.csv"
    done = evaluate("--csv", str(csv_file), "--out", str(out), *options)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists()
