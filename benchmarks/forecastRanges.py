"""Intervals from daily ranges against those from closes alone and GARCH, on the stocks whose ranges are embedded.

Each stock is left out in turn. The closes and the ranges of the other stocks, on days before its test, calibrate both kinds of intervals.
All intervals are around the last close, so they differ only in the volatility. FB is left out; it has too few days.
"""

import numpy as np

from closes.series import Closes, Floats
from closes.snapshot import read_ranges
from forecast.calibration import calibrate
from forecast.intervals import Distribution
from forecast.split import Dataset, split_in_time
from forecast.volatility import range_volatility, unit, window_volatility, windows_of_ranges
from forecastReferences import garch_quantiles, quantile_scores
from processData import WINDOW, make_windows

RANGE_SYMBOLS = ("AAPL", "GOOG", "IBM", "MSFT")


def score_ranges(symbol: str) -> dict[str, dict[str, float]]:
    """Return the scores of a stock on the last 20% of its days, by kind: ranges, closes and garch; and n_days of ranges.

    Days without usable ranges are left out for all kinds.
    """
    series = {closes.symbol: closes for closes in read_ranges() if closes.symbol in RANGE_SYMBOLS}
    closes = series.pop(symbol)
    data = Dataset(closes, split_in_time(len(closes)))
    before = [other.part(other.dates < np.datetime64(data.tested_from)) for other in series.values()]
    by_kind = range_quantiles(closes, before, data.split.test)
    by_kind["garch"] = garch_quantiles(closes.prices, data.split.test + WINDOW)
    windows, actual, ranges = tested(closes, data.split.test)
    usable = ~np.isnan(range_volatility(windows, ranges))
    scores = {kind: quantile_scores(actual[usable], windows[usable, -1], quantiles[usable]) for kind, quantiles in by_kind.items()}
    scores["ranges"]["n_days"] = int(usable.sum())
    return scores


def tested(closes: Closes, test: int) -> tuple[Floats, Floats, Floats]:
    """Return the windows (n, 60), the next closes (n,) and the ranges (n, 60, 3) from window `test` on."""
    windows, actual = make_windows(closes.prices)
    assert closes.ranges is not None
    return windows[test:], actual[test:, 0], windows_of_ranges(closes.ranges)[test:-1]


def range_quantiles(closes: Closes, pool: list[Closes], test: int) -> dict[str, Floats]:
    """Return the quantiles of the closes from window `test` on, (n, n_probabilities), by kind: closes and ranges.

    Args:
        closes: with daily ranges.
        pool: the series that calibrate the intervals, with daily ranges.
        test: the first window.
    """
    calibration = calibrate(pool, np.ones(1), pool)
    assert calibration.ranges is not None
    windows, _, ranges = tested(closes, test)
    volatility = {"closes": window_volatility(windows), "ranges": range_volatility(windows, ranges)}
    tables = {"closes": Distribution(calibration.quantiles).table[0], "ranges": Distribution(calibration.ranges.quantiles).table[0]}
    return {kind: windows[:, -1:] * np.exp(unit(volatility[kind]) * tables[kind]) for kind in volatility}
