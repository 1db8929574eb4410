"""Backtests: what a model would have forecast on past days."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from closes.series import Closes, Floats
from errors import DataUnavailableError
from forecast.forecaster import Forecaster
from forecast.intervals import LEVELS, crps
from processData import WINDOW, make_windows
from storage import write_atomic


@dataclass(frozen=True)
class Backtest:
    """One-step forecasts of past days with their actual closes, oldest first.

    Attributes:
        dates: (n,) datetime64[D], the days that were forecast.
        windows: (n, 60) float64, the closes before them.
        actual: (n,) float64, the closes of these days.
        predicted: (n,) float64, their forecasts.
        bounds: for each level in percent the lower and upper bounds, each (n,) float64.
        crps: (n,) float64, the continuous ranked probability score of each forecast.
        constant: for each level in percent half the width, as a log return, of the naive band around the last close.
    """

    dates: NDArray[np.datetime64]
    windows: Floats
    actual: Floats
    predicted: Floats
    bounds: dict[int, tuple[Floats, Floats]]
    crps: Floats
    constant: dict[int, float]

    def __len__(self) -> int:
        return len(self.dates)

    @property
    def last_close(self) -> Floats:
        """The forecasts of persistence (n,): the last closes."""
        return self.windows[:, -1]

    @property
    def drift(self) -> Floats:
        """The last close plus the window's mean daily change (n,).

        Source: Hyndman and Athanasopoulos, Forecasting: principles and practice, section 5.2.
        """
        forecast: Floats = self.windows[:, -1] + (self.windows[:, -1] - self.windows[:, 0]) / (WINDOW - 1)
        return forecast

    @property
    def naive_bounds(self) -> dict[int, tuple[Floats, Floats]]:
        """Bands around the last close with the same width on all days."""
        return {level: (self.last_close * np.exp(-half), self.last_close * np.exp(half)) for level, half in self.constant.items()}

    def after(self, first: str) -> "Backtest":
        """Return the part from day `first` on (ISO date)."""
        keep = self.dates >= np.datetime64(first)
        bounds = {level: (low[keep], high[keep]) for level, (low, high) in self.bounds.items()}
        return Backtest(
            self.dates[keep], self.windows[keep], self.actual[keep], self.predicted[keep], bounds, self.crps[keep], self.constant
        )


def backtest(forecaster: Forecaster, closes: Closes, first: str | None = None, last: str | None = None) -> Backtest:
    """Forecast every day from `first` to `last` (ISO dates, both included) that has 60 closes before it.

    Raises:
        DataUnavailableError: there is no such day.
    """
    windows, targets = make_windows(closes.prices)
    dates = closes.dates[WINDOW:]
    keep = np.ones(len(dates), bool)
    if first is not None:
        keep &= dates >= np.datetime64(first)
    if last is not None:
        keep &= dates <= np.datetime64(last)
    if not keep.any():
        raise DataUnavailableError(
            f"No day from {first or 'the start'} to {last or 'the end'} has {WINDOW} closes before it; "
            f"the closes allow {dates[0]} to {dates[-1]}."
        )
    forecast = forecaster.forecast(windows[keep])
    return Backtest(
        dates=dates[keep],
        windows=windows[keep],
        actual=targets[keep, 0],
        predicted=forecast.prices[:, 0],
        bounds={level: (forecast.bounds[level][0][:, 0], forecast.bounds[level][1][:, 0]) for level in LEVELS},
        crps=crps(forecast.volatility, forecast.prices[:, 0], targets[keep, 0], forecaster.distribution),
        constant=forecaster.metadata.calibration.constant,
    )


def backtest_csv(result: Backtest) -> str:
    """Return a backtest in the form of CSV."""
    (low_80, high_80), (low_95, high_95) = result.bounds[80], result.bounds[95]
    columns = (result.actual, result.predicted, low_80, high_80, low_95, high_95)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["date", "actual", "predicted", "low_80", "high_80", "low_95", "high_95"])
    writer.writerows(zip(result.dates.astype(str), *(column.tolist() for column in columns), strict=True))
    return table.getvalue()


def write_backtest(result: Backtest, path: Path) -> None:
    """Write a backtest as a CSV file."""
    try:
        write_atomic(path, backtest_csv(result).encode(), unlocked=True)
    except OSError as error:
        raise DataUnavailableError(f"{path} cannot be written: {error.strerror}.") from None
