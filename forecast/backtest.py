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
from forecast.intervals import LEVELS, Distribution, Verification, bounds, verify
from forecast.volatility import range_volatility, windows_of_ranges
from processData import WINDOW, make_windows
from storage import write_atomic


@dataclass(frozen=True)
class Backtest:
    """One-step forecasts of past days with their actual closes, oldest first.

    Attributes:
        dates: (n,) datetime64[D], the days that were forecast.
        windows: (n, 60) float64, the closes before them.
        ranges: (n, 60, 3) float64, open, high and low of the same days; None if the series has none.
        actual: (n,) float64, the closes of these days.
        predicted: (n,) float64, their forecasts.
        bounds: for each level in percent the lower and upper bounds, each (n,) float64.
        verification: scores of the distribution of each forecast.
        constant: for each level in percent half the width, as a log return, of the naive band around the last close.
    """

    dates: NDArray[np.datetime64]
    windows: Floats
    ranges: Floats | None
    actual: Floats
    predicted: Floats
    bounds: dict[int, tuple[Floats, Floats]]
    verification: Verification
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
        limits = {level: (low[keep], high[keep]) for level, (low, high) in self.bounds.items()}
        ranges = None if self.ranges is None else self.ranges[keep]
        verification = Verification(*(values[keep] for values in self.verification))
        return Backtest(
            self.dates[keep], self.windows[keep], ranges, self.actual[keep], self.predicted[keep], limits, verification, self.constant
        )

    def recalibrate(self, rows: NDArray[np.int64], volatility: Floats, distribution: Distribution) -> None:
        """Replace the intervals of some days.

        Args:
            rows: (m,) of the days.
            volatility: (m,) float64, in units of `distribution`.
            distribution: of the scores.
        """
        for level, (low, high) in bounds(volatility, self.predicted[rows, None], distribution).items():
            own_low, own_high = self.bounds[int(level)]
            own_low[rows], own_high[rows] = low[:, 0], high[:, 0]
        for values, own in zip(self.verification, verify(volatility, self.predicted[rows], self.actual[rows], distribution), strict=True):
            values[rows] = own


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
    windows, actual = windows[keep], targets[keep, 0]
    ranges = None if closes.ranges is None else windows_of_ranges(closes.ranges)[:-1][keep]
    forecast = forecaster.forecast(windows)
    predicted = forecast.prices[:, 0]
    limits = {level: (forecast.bounds[level][0][:, 0], forecast.bounds[level][1][:, 0]) for level in LEVELS}
    verification = verify(forecast.volatility, predicted, actual, forecast.distribution)
    constant = forecaster.metadata.calibration.constant
    result = Backtest(dates[keep], windows, ranges, actual, predicted, limits, verification, constant)
    if ranges is not None and forecaster.range_distribution is not None:
        volatility = range_volatility(windows, ranges)
        rows = np.flatnonzero(~np.isnan(volatility))
        result.recalibrate(rows, volatility[rows], forecaster.range_distribution)
    return result


def backtest_csv(result: Backtest, *, pit: bool = False) -> str:
    """Return a backtest in the form of CSV, with or without the PIT of each day as the last column."""
    (low_80, high_80), (low_95, high_95) = result.bounds[80], result.bounds[95]
    columns = {"actual": result.actual, "predicted": result.predicted, "low_80": low_80, "high_80": high_80}
    columns |= {"low_95": low_95, "high_95": high_95} | ({"pit": result.verification.pit} if pit else {})
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["date", *columns])
    writer.writerows(zip(result.dates.astype(str), *(column.tolist() for column in columns.values()), strict=True))
    return table.getvalue()


def write_backtest(result: Backtest, path: Path) -> None:
    """Write a backtest as a CSV file."""
    try:
        write_atomic(path, backtest_csv(result).encode(), unlocked=True)
    except OSError as error:
        raise DataUnavailableError(f"{path} cannot be written: {error.strerror}.") from None
