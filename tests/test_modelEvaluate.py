"""Metrics against their formulas, the backtest against what one would do by hand."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

from modelEvaluate import backtest, coverage, metrics, point_metrics, summary, winkler, write_backtest
from modelPredict import load_forecaster
from processData import Closes, DataUnavailableError, read_snapshot
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


def test_point_metrics_are_the_formulas():
    actual, predicted = np.array([10.0, 20.0, 40.0]), np.array([11.0, 18.0, 40.0])
    assert point_metrics(actual, predicted) == pytest.approx(
        {"mse": 5 / 3, "rmse": (5 / 3) ** 0.5, "mae": 1.0, "mape": (0.1 + 0.1) / 3, "r2": 1 - 5 / (actual.var() * 3)}
    )


def test_coverage_counts_the_bounds_in():
    assert coverage(np.array([1.0, 2.0, 3.0, 4.0]), np.full(4, 2.0), np.full(4, 3.0)) == 0.5


def test_winkler_is_the_width_within_and_adds_a_penalty_outside():
    scores = winkler(np.array([5.0, 1.0, 12.0]), np.full(3, 2.0), np.full(3, 10.0), 80)
    np.testing.assert_allclose(scores, [8, 8 + 10 * 1, 8 + 10 * 2])


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


def test_backtest_does_not_see_the_close_that_it_forecasts(closes, forecaster):
    changed = closes.prices.copy()
    changed[-1] *= 2
    before = backtest(forecaster, closes)
    after = backtest(forecaster, Closes("MSFT", "csv", closes.dates, changed))
    np.testing.assert_array_equal(before.predicted, after.predicted)
    for level in (80, 95):
        np.testing.assert_array_equal(before.bounds[level], after.bounds[level])
    assert metrics(before) != metrics(after)


def test_metrics_stand_beside_those_of_persistence(closes, forecaster):
    result = backtest(forecaster, closes)
    values = metrics(result)
    errors = result.actual - result.last_close
    assert values["naive_rmse"] == pytest.approx(float(np.sqrt(np.mean(errors**2))))
    assert values["rmse_ratio"] == pytest.approx(values["rmse"] / values["naive_rmse"])
    assert values["n_days"] == len(closes) - 60
    assert "persistence" in summary(values)


def test_write_backtest_leaves_nothing_half_written(closes, forecaster, tmp_path):
    with pytest.raises(DataUnavailableError, match="cannot be written"):
        write_backtest(backtest(forecaster, closes), tmp_path / "missing" / "backtest.csv")
    assert list(tmp_path.iterdir()) == []


def evaluate(*options):
    return subprocess.run([sys.executable, "modelEvaluate.py", *options], cwd=PROJECT_DIR, capture_output=True, text=True, check=False)


def test_the_command_writes_a_row_a_day_and_prints_the_metrics(csv_file, tmp_path, closes):
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


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--from", "2030-01-01"], 1, "the closes allow 2022-03-30 to 2022-12-28"),
        (["--from", "2022-07-02", "--to", "2022-07-01"], 2, "--from lies after --to"),
        (["--from", "July"], 2, "2020-01-31"),
        (["--model-dir", "missing"], 1, "python modelTrain.py"),
    ],
)
def test_the_command_says_what_is_wrong(csv_file, tmp_path, options, code, said):
    out = tmp_path / "out.csv"
    done = evaluate("--csv", str(csv_file), "--out", str(out), *options)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists()
