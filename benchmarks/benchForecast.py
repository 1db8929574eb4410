"""Benchmark of the forecasts on the 20 stocks of the snapshot: make bench-forecast (15 to 25 minutes on two cores).

Trains and calibrates one model per stock and tests it on the last 20% of the days, as modelTrain.py does. Compares the intervals on the
same days with:

- GARCH(1,1) with Student-t errors and a constant mean, from the package arch, fitted again every 20 days on all earlier days;
- bands of constant width around the last close, calibrated on the same days as the model;
- other forecast libraries, which run in .venv-forecast-peers; benchmarks/README.md says how they are configured.

Also compares intervals from daily ranges with those from closes alone. Writes benchmarks/forecast.md. Its columns:

- RMSE ratio, MAPE ratio: the model's error over that of persistence, the naive forecast that repeats the last close;
- held 80%, held 95%: coverage, the share of closes within the interval, in percent;
- within 4 points of 80%, within 2 points of 95%: the number of stocks whose coverage is that close to the level;
- Winkler / GARCH, Winkler / constant: the interval's Winkler score, in units of the last close, over that of the reference. A ratio below 1
  is better than the reference;
- Winkler / ours, CRPS / ours: a score over ours. A ratio above 1 is worse than ours. An empty cell means that there is no
  distribution, only intervals;
- CPU seconds: of fitting, calibrating and forecasting all stocks.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}  # one process per core
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from joblib import Parallel, delayed

from closes.series import Floats
from closes.snapshot import read_snapshot, snapshot_symbols
from forecast.backtest import Backtest, backtest
from forecast.calibration import calibrate
from forecast.intervals import LEVELS, Distribution, bounds
from forecast.network import FitOptions
from forecast.scores import coverage_by, coverage_by_horizon, score
from forecast.split import Dataset, split_in_time
from forecast.track import track
from forecast.volatility import window_volatility
from forecastPeers import check_installed, first_day, score_peers
from forecastRanges import RANGE_SYMBOLS, score_ranges
from forecastReferences import garch_quantiles, interval_scores, quantile_scores
from forecastReport import tables
from load import BenchError
from models.training import calibration_pool, train

TARGET = Path(__file__).with_name("forecast.md")


def judge_stock(symbol: str, options: FitOptions) -> dict[str, Any]:
    """Return the figures of one stock that the tables need."""
    started = time.monotonic()
    closes = read_snapshot(symbol)
    data = Dataset(closes, split_in_time(len(closes)))
    first = str(data.tested_from)
    with tempfile.TemporaryDirectory() as folder:
        cpu = time.process_time()
        forecaster, _ = train(data, options, Path(folder), progress=False)
        result = backtest(forecaster, closes, first=first)
        values = score(result) | {"seconds": time.process_time() - cpu}
    cpu = time.process_time()
    garch = garch_quantiles(closes.prices, first_day(len(closes)))
    values["garch_seconds"] = time.process_time() - cpu
    values |= prefixed("garch", quantile_scores(result.actual, result.last_close, garch))
    for name, limits in (("unknown", unknown_bounds(data, result)), ("own", track(forecaster, closes, len(result)).bounds)):
        values |= prefixed(name, interval_scores(result.actual, result.last_close, limits))
    print(f"{symbol:5} {time.monotonic() - started:4.0f} s  RMSE ratio {values['rmse_ratio']:.4f}", file=sys.stderr, flush=True)
    parts = coverage_by(result) | {"horizon": coverage_by_horizon(forecaster, closes, first)}
    return {"symbol": symbol, "metrics": values, "parts": parts, "days": f"{result.dates[0]} to {result.dates[-1]}"}


def unknown_bounds(data: Dataset, result: Backtest) -> dict[int, tuple[Floats, Floats]]:
    """Return the intervals of a stock that is left out of the pool, as for a symbol that the model does not know."""
    others = [closes for closes in calibration_pool(data) if closes.symbol != data.closes.symbol]
    distribution = Distribution(calibrate(others, np.ones(1)).quantiles)
    limits = bounds(window_volatility(result.windows), result.predicted[:, None], distribution)
    return {level: (limits[level][0][:, 0], limits[level][1][:, 0]) for level in LEVELS}


def prefixed(prefix: str, scores: dict[str, float]) -> dict[str, float]:
    """Return scores with a prefix before their names."""
    return {f"{prefix}_{name}": value for name, value in scores.items()}


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command's options."""
    parser = argparse.ArgumentParser(description="Test the forecasts on the 20 stocks of the snapshot.")
    parser.add_argument("--symbols", nargs="+", default=snapshot_symbols())
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def report(options: argparse.Namespace) -> str:
    """Run every test, on all cores, and return the report.

    Raises:
        BenchError: the environment of the peers is missing, or they failed.
    """
    check_installed()
    started = time.monotonic()
    peers = score_peers(options.symbols)
    how = FitOptions(options.epochs, options.batch_size, options.seed)
    results = Parallel(n_jobs=os.cpu_count())(delayed(judge_stock)(symbol, how) for symbol in options.symbols)
    ranges = Parallel(n_jobs=os.cpu_count())(delayed(score_ranges)(symbol) for symbol in RANGE_SYMBOLS)
    minutes = (time.monotonic() - started) / 60
    own = {name: version(name) for name in ("tensorflow", "keras", "numpy", "onnxruntime", "arch")}
    libraries, others = (", ".join(f"{name} {number}" for name, number in versions.items()) for versions in (own, peers.versions))
    return (
        f"# Forecasts of {len(results)} stocks, {results[0]['days']}\n\n"
        f"Made by `make bench-forecast` on {date.today()}, {os.cpu_count()} cores, {minutes:.0f} minutes, "
        f"Python {platform.python_version()}, {libraries}; {options.epochs} epochs, seed {options.seed}. "
        f"The peers: {others}. benchmarks/benchForecast.py explains the columns.\n\n"
        f"{tables(results, peers, dict(zip(RANGE_SYMBOLS, ranges, strict=True)))}\n"
    )


def main(arguments: list[str] | None = None) -> int:
    """Print the report; write it if it has every stock."""
    options = options_of(arguments)
    try:
        text = report(options)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(text)
    if options.symbols == snapshot_symbols():
        TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
