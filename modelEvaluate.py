"""Metrics, baselines, backtest and plots; used by training and the notebook.

    python modelEvaluate.py --csv PATH --from 2022-01-01 --to 2022-12-31 --out backtest.csv

writes one row a date (date,actual,predicted,low_80,high_80,low_95,high_95), each predicted by the published model from the 60 closes
before it alone, and prints the metrics as one JSON object. Every metric stands beside that of persistence: repeating the last close.
"""

import argparse
import csv
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import commandLine
from modelPredict import Forecaster, load_forecaster
from processData import Closes, DataUnavailableError, Floats, make_windows, read_csv
from settings import Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Backtest:
    """One-step forecasts of days that came true, oldest first.

    Attributes:
        dates: (n,) datetime64[D], the days that were forecast.
        actual, predicted, last_close: (n,) float64; last_close is what persistence forecasts.
        bounds: for each level in percent the lower and upper bounds, each (n,) float64.
    """

    dates: NDArray[np.datetime64]
    actual: Floats
    predicted: Floats
    last_close: Floats
    bounds: dict[int, tuple[Floats, Floats]]

    def __len__(self) -> int:
        return len(self.dates)


def backtest(forecaster: Forecaster, closes: Closes, first: str | None = None, last: str | None = None) -> Backtest:
    """Forecast every day from `first` to `last` (ISO dates, both included) that has 60 closes before it.

    Raises:
        DataUnavailableError: there is no such day.
    """
    windows, targets = make_windows(closes.prices)
    dates = closes.dates[-len(targets) :]
    keep = np.ones(len(dates), bool)
    if first is not None:
        keep &= dates >= np.datetime64(first)
    if last is not None:
        keep &= dates <= np.datetime64(last)
    if not keep.any():
        raise DataUnavailableError(f"No day from {first} to {last} has 60 closes before it; the closes allow {dates[0]} to {dates[-1]}.")
    forecast = forecaster.forecast(windows[keep])
    return Backtest(
        dates=dates[keep],
        actual=targets[keep, 0],
        predicted=forecast.prices[:, 0],
        last_close=forecast.last_closes,
        bounds={level: (low[:, 0], high[:, 0]) for level, (low, high) in forecast.bounds.items()},
    )


def metrics(result: Backtest) -> dict[str, float]:
    """The metrics of a backtest, those of persistence with the prefix `naive_`.

    Returns:
        mse, rmse, mae (currency), mape (fraction), r2, each also as naive_...; rmse_ratio (model over persistence: below 1 is
        better); for each level coverage_.. (fraction) and winkler_.. (fraction of the last close); n_days.
    """
    model = point_metrics(result.actual, result.predicted)
    naive = point_metrics(result.actual, result.last_close)
    values = {**model, **{f"naive_{name}": value for name, value in naive.items()}}
    values["rmse_ratio"] = model["rmse"] / naive["rmse"] if naive["rmse"] else float("nan")
    for level, (low, high) in result.bounds.items():
        values[f"coverage_{level}"] = coverage(result.actual, low, high)
        values[f"winkler_{level}"] = float(np.mean(winkler(result.actual, low, high, level) / result.last_close))
    values["n_days"] = len(result)
    return values


def point_metrics(actual: Floats, predicted: Floats) -> dict[str, float]:
    """mse, rmse, mae, mape (fraction) and r2 of forecasts (n,), by scikit-learn's definitions."""
    from sklearn.metrics import mean_absolute_error, mean_absolute_percentage_error, mean_squared_error, r2_score

    mse = float(mean_squared_error(actual, predicted))
    return {
        "mse": mse,
        "rmse": mse**0.5,
        "mae": float(mean_absolute_error(actual, predicted)),
        "mape": float(mean_absolute_percentage_error(actual, predicted)),
        "r2": float(r2_score(actual, predicted)) if len(actual) > 1 else float("nan"),
    }


def coverage(actual: Floats, low: Floats, high: Floats) -> float:
    """The fraction of closes (n,) within their intervals."""
    return float(np.mean((actual >= low) & (actual <= high)))


def winkler(actual: Floats, low: Floats, high: Floats, level: int) -> Floats:
    """Winkler's interval score (n,): width, plus 2/alpha times how far a close lies outside; smaller is better.

    Args:
        actual: (n,) float64 closes.
        low: (n,) float64 lower bounds, in the currency of the closes.
        high: (n,) float64 upper bounds.
        level: percent; alpha = 1 - level / 100.

    Source: Winkler (1972), A decision-theoretic approach to interval estimation.
    """
    penalty = 2 / (1 - level / 100)
    return (high - low) + penalty * (np.maximum(low - actual, 0) + np.maximum(actual - high, 0))


def summary(values: dict[str, float]) -> str:
    """The closing table of a run: the model next to persistence."""
    lines = [f"{'':10}{'model':>12}{'persistence':>14}"]
    for name in ("mse", "rmse", "mae", "mape", "r2"):
        model, naive = (f"{values[key]:.4%}" if name == "mape" else f"{values[key]:.4f}" for key in (name, f"naive_{name}"))
        lines.append(f"{name.upper():10}{model:>12}{naive:>14}")
    lines.append(f"RMSE is {values['rmse_ratio']:.4f} times that of repeating the last close.")
    for level in (80, 95):
        lines.append(f"The {level}% interval held {values[f'coverage_{level}']:.1%} of {values['n_days']} unseen closes.")
    return "\n".join(lines)


def write_backtest(result: Backtest, path: Path) -> None:
    """Write a backtest as CSV, whole or not at all."""
    (low_80, high_80), (low_95, high_95) = result.bounds[80], result.bounds[95]
    columns = (result.actual, result.predicted, low_80, high_80, low_95, high_95)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["date", "actual", "predicted", "low_80", "high_80", "low_95", "high_95"])
            writer.writerows(zip(result.dates.astype(str), *(column.tolist() for column in columns), strict=True))
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DataUnavailableError(f"{path} cannot be written: {error.strerror}.") from None


def plot_backtest(result: Backtest, title: str) -> "Figure":
    """Actual closes with the forecast and its bands."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    axes = figure.subplots()
    for level, shade in ((95, 0.15), (80, 0.3)):
        axes.fill_between(result.dates, *result.bounds[level], alpha=shade, color="tab:blue", lw=0, label=f"{level}% interval")
    axes.plot(result.dates, result.actual, color="black", lw=0.9, label="actual close")
    axes.plot(result.dates, result.predicted, color="tab:orange", lw=0.9, label="forecast from the 60 closes before")
    axes.set(title=title, ylabel="close")
    axes.legend(loc="upper left")
    return figure


def main(arguments: list[str] | None = None) -> None:
    """Backtest the published model on a CSV file."""
    parser = argparse.ArgumentParser(description="Backtest the published model; the metrics go to stdout as JSON.")
    parser.add_argument("--csv", type=Path, required=True, help="file with a header and the columns date, close")
    parser.add_argument("--from", dest="first", type=commandLine.iso_date, help="first day to forecast (default: the first possible)")
    parser.add_argument("--to", dest="last", type=commandLine.iso_date, help="last day to forecast (default: the last possible)")
    parser.add_argument("--model-dir", type=Path, help="folder of the published model (default: MODEL_DIR)")
    parser.add_argument("--out", type=Path, default=Path("backtest.csv"), help="file to write (default: backtest.csv)")
    options = parser.parse_args(arguments)
    if options.first and options.last and options.first > options.last:
        parser.error("--from lies after --to")
    forecaster = load_forecaster(options.model_dir or Settings.from_environment().MODEL_DIR)
    result = backtest(forecaster, read_csv(options.csv), options.first, options.last)
    write_backtest(result, options.out)
    values = metrics(result)
    print(json.dumps({name: value if np.isfinite(value) else None for name, value in values.items()}, indent=2))


if __name__ == "__main__":
    commandLine.run(main)
