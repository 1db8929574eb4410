"""Benchmark of the forecasts on the 20 stocks of the snapshot: make bench-forecast (15 to 25 minutes on two cores).

Trains and calibrates one model per stock and tests it on the last 20% of the days, as modelTrain.py does. Compares the intervals with two
references on the same days:

- GARCH(1,1) with Student-t errors and a constant mean, from the package arch, re-fitted every 20 days on all earlier days;
- bands of constant width around the last close, calibrated on the same days as the model.

Writes benchmarks/forecast.md. Its columns:

- RMSE ratio, MAPE ratio: the model's error over that of persistence, the naive forecast that repeats the last close;
- held 80%, held 95%: coverage, the share of closes within the interval, in percent;
- Winkler / GARCH, Winkler / constant: the interval's Winkler score, in units of the last close, over that of the reference.

Ratios below 1 are better than the reference.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
import warnings
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}  # one process per core
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import t as student_t

from closes.series import Closes, Floats
from closes.snapshot import read_snapshot, snapshot_symbols
from forecast.backtest import Backtest, backtest
from forecast.calibration import calibrate
from forecast.forecaster import Forecaster
from forecast.intervals import LEVELS, Distribution, bounds
from forecast.network import FitOptions
from forecast.scores import coverage, coverage_by, coverage_by_horizon, score, winkler
from forecast.split import Dataset, split_in_time
from forecast.track import track
from forecast.volatility import window_volatility
from models.training import calibration_pool, train

TARGET = Path(__file__).with_name("forecast.md")
REFIT_DAYS = 20  # trading days between two fits of GARCH


def garch_bounds(closes: Closes, result: Backtest) -> dict[int, tuple[Floats, Floats]]:
    """GARCH intervals on the days of a backtest: for each level the lower and upper bounds, each (n,) float64.

    Source: Bollerslev (1987), A conditionally heteroskedastic time series model for speculative prices and rates of return.
    """
    from arch import arch_model

    returns = 100 * np.diff(np.log(closes.prices))  # returns[i] belongs to day i + 1
    first = int(np.searchsorted(closes.dates, result.dates[0])) - 1
    mean, spread, freedom = (np.empty(len(result)) for _ in range(3))
    for start in range(0, len(result), REFIT_DAYS):
        day, end = first + start, min(first + start + REFIT_DAYS, len(returns))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about convergence; the last parameters are good enough
            fitted = arch_model(returns[:day], mean="Constant", vol="GARCH", p=1, q=1, dist="t").fit(disp="off")
            filtered = arch_model(returns[:end], mean="Constant", vol="GARCH", p=1, q=1, dist="t").fix(fitted.params)
        block = slice(start, start + end - day)
        mean[block], freedom[block] = fitted.params["mu"], fitted.params["nu"]
        spread[block] = filtered.conditional_volatility[day:end]  # of each day, from the days before it
    unit = spread * np.sqrt((freedom - 2) / freedom)
    halves = {level: unit * student_t.ppf(0.5 + level / 200, freedom) for level in LEVELS}
    last = result.last_close
    return {level: (last * np.exp((mean - half) / 100), last * np.exp((mean + half) / 100)) for level, half in halves.items()}


def judge_stock(symbol: str, options: FitOptions) -> dict[str, Any]:
    """The figures of one stock that the tables need."""
    started = time.monotonic()
    closes = read_snapshot(symbol)
    with tempfile.TemporaryDirectory() as folder:
        data = Dataset(closes, split_in_time(len(closes)))
        forecaster, _ = train(data, options, Path(folder), progress=False)
    first = str(data.tested_from)
    result = backtest(forecaster, closes, first=first)
    values = score(result)
    values |= held_by(result, garch_bounds(closes, result), "garch")
    values |= held_by(result, unknown_bounds(forecaster, data, result), "unknown")
    values |= held_by(result, track(forecaster, closes, len(result)).bounds, "own")
    print(f"{symbol:5} {time.monotonic() - started:4.0f} s  RMSE ratio {values['rmse_ratio']:.4f}", file=sys.stderr, flush=True)
    parts = coverage_by(result) | {"horizon": coverage_by_horizon(forecaster, closes, first)}
    return {"symbol": symbol, "metrics": values, "parts": parts, "days": f"{result.dates[0]} to {result.dates[-1]}"}


def unknown_bounds(forecaster: Forecaster, data: Dataset, result: Backtest) -> dict[int, tuple[Floats, Floats]]:
    """The intervals of a stock that is left out of the pool, as for a symbol that the model does not know."""
    others = [closes for closes in calibration_pool(data) if closes.symbol != data.closes.symbol]
    distribution = Distribution(calibrate(others, np.ones(1)).quantiles)
    limits = bounds(window_volatility(result.windows), result.predicted[:, None], distribution)
    return {level: (limits[level][0][:, 0], limits[level][1][:, 0]) for level in LEVELS}


def held_by(result: Backtest, limits: dict[int, tuple[Floats, Floats]], name: str) -> dict[str, float]:
    """Coverage and Winkler score of other intervals on the days of a backtest."""
    values = {}
    for level, (low, high) in limits.items():
        values[f"{name}_coverage_{level}"] = coverage(result.actual, low, high)
        values[f"{name}_winkler_{level}"] = float(np.mean(winkler(result.actual, low, high, level) / result.last_close))
    return values


def symbol_table(results: list[dict[str, Any]]) -> list[str]:
    """How well the intervals hold for a symbol that the model does not know, and with the symbol's own closes."""
    lines = [
        "| calibrated on | held 80% | held 95% | within 4 points of 80% | within 2 points of 95% | Winkler 80% | Winkler 95% |",
        "| --- |" + " ---: |" * 6,
    ]
    for name, label in (
        ("", "the stock and 19 others"),
        ("unknown_", "19 others"),
        ("own_", "the first, averaged with the stock's own later days"),
    ):
        held = {level: np.array([result["metrics"][f"{name}coverage_{level}"] for result in results]) for level in LEVELS}
        score = [np.mean([result["metrics"][f"{name}winkler_{level}"] for result in results]) for level in LEVELS]
        near = [int((np.abs(held[level] - level / 100) <= points / 100).sum()) for level, points in zip(LEVELS, (4, 2), strict=True)]
        means = " | ".join(f"{100 * held[level].mean():.1f}" for level in LEVELS)
        lines.append(f"| {label} | {means} | {near[0]} of {len(results)} | {near[1]} of {len(results)} | {score[0]:.5f} | {score[1]:.5f} |")
    return lines


def row_of(values: dict[str, float]) -> list[float]:
    """The figures of a stock in the column order of the first table."""
    ratios = [values[f"winkler_{level}"] / values[f"{peer}_winkler_{level}"] for peer in ("garch", "naive") for level in LEVELS]
    mape = values["mape"] / values["naive_mape"]
    return [values["rmse_ratio"], mape, 100 * values["coverage_80"], 100 * values["coverage_95"], *ratios]


def label_of(group: str, name: str) -> str:
    """The name of a row of the coverage table."""
    if group == "horizon":
        return "1 day ahead" if name == "1" else f"{name} days ahead"
    return f"{name} weeks" if group == "volatility" else name


def tables(results: list[dict[str, Any]]) -> str:
    """Both tables as Markdown."""
    lines = [
        "| stock | RMSE ratio | MAPE ratio | held 80% | held 95% | Winkler 80% / GARCH | Winkler 95% / GARCH "
        "| Winkler 80% / constant | Winkler 95% / constant |",
        "| --- |" + " ---: |" * 8,
    ]
    rows = np.array([row_of(result["metrics"]) for result in results])
    forms = ["{:.4f}", "{:.4f}", "{:.1f}", "{:.1f}", *["{:.3f}"] * 4]
    for name, row in [*zip((result["symbol"] for result in results), rows, strict=True), ("**mean**", rows.mean(axis=0))]:
        lines.append(f"| {name} | " + " | ".join(form.format(value) for form, value in zip(forms, row, strict=True)) + " |")
    garch = [100 * np.mean([result["metrics"][f"garch_coverage_{level}"] for result in results]) for level in LEVELS]
    lines += [
        "",
        f"Mean coverage of GARCH: {garch[0]:.1f}% and {garch[1]:.1f}%. Largest RMSE ratio: {rows[:, 0].max():.4f}.",
        "",
        "Coverage in percent, for MSFT and as the mean of all stocks:",
        "",
        "| part | MSFT 80% | MSFT 95% | mean 80% | mean 95% |",
        "| --- |" + " ---: |" * 4,
    ]
    microsoft = next((result for result in results if result["symbol"] == "MSFT"), results[0])
    for group, parts in microsoft["parts"].items():
        for name in parts:
            own = [100 * parts[name][f"coverage_{level}"] for level in LEVELS]
            every = [100 * np.mean([result["parts"][group][name][f"coverage_{level}"] for result in results]) for level in LEVELS]
            label = label_of(group, name)
            lines.append(f"| {label} | " + " | ".join(f"{value:.1f}" for value in (*own, *every)) + " |")
    lines += ["", "One day ahead, by the calibration of the intervals; the number of stocks is counted:", "", *symbol_table(results)]
    return "\n".join(lines)


def main() -> None:
    """Test every stock, on all cores, then print and write the tables."""
    parser = argparse.ArgumentParser(description="Test the forecasts on the 20 stocks of the snapshot.")
    parser.add_argument("--symbols", nargs="+", default=snapshot_symbols())
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started = time.monotonic()
    how = FitOptions(options.epochs, options.batch_size, options.seed)
    results = Parallel(n_jobs=os.cpu_count())(delayed(judge_stock)(symbol, how) for symbol in options.symbols)
    minutes = (time.monotonic() - started) / 60
    libraries = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras", "numpy", "onnxruntime", "arch"))
    text = (
        f"# Forecasts of {len(results)} stocks, {results[0]['days']}\n\n"
        f"Made by `make bench-forecast` on {date.today()}, {os.cpu_count()} cores, {minutes:.0f} minutes, "
        f"Python {platform.python_version()}, {libraries}; {options.epochs} epochs, seed {options.seed}. "
        "benchmarks/benchForecast.py explains the columns.\n\n"
        f"{tables(results)}\n"
    )
    print(text)
    if options.symbols == snapshot_symbols():
        TARGET.write_text(text)


if __name__ == "__main__":
    main()
