"""A symbol's own calibration and its track record, from its newest closes.

The quantiles of the symbol's own scores are averaged with the pooled ones. With n own scores, the own quantiles of a step of h days have
the weight m / (m + 300), where m = n / h is about the number of scores that do not overlap. benchmarks/README.md has the validation.

The track record is what the model would have forecast on each of the last days. Its intervals are calibrated on the days before.
"""

import numpy as np
from numpy.typing import NDArray

from closes.series import Closes, Floats
from errors import InvalidClosesError
from forecast.backtest import Backtest, backtest
from forecast.calibration import known, quantiles_of, scores_of
from forecast.forecaster import Forecaster
from forecast.intervals import MAX_HORIZON, Distribution
from forecast.volatility import range_volatility, window_volatility
from processData import WINDOW

POOLED_WEIGHT = 300  # own scores that weigh as much as the pool
MIN_OWN_SCORES = 60  # fewer are not used
BLOCK_DAYS = 25  # of the track record that share a calibration


def own_distribution(scores: Floats, pooled: Distribution) -> Distribution:
    """Average the quantiles of a symbol's own scores with the pooled ones.

    Args:
        scores: (n, MAX_HORIZON) float64, of the symbol, see scores_of.
        pooled: the distribution of the model; it is returned if there are fewer than MIN_OWN_SCORES.
    """
    if len(scores) < MIN_OWN_SCORES:
        return pooled
    weight = own_weight(len(scores))[:, None]
    return Distribution(weight * quantiles_of(scores).T + (1 - weight) * pooled.table)


def own_weight(n: int) -> Floats:
    """Return the weight of a symbol's own quantiles at each step (MAX_HORIZON,) with n own scores."""
    independent = n * (n >= MIN_OWN_SCORES) / np.arange(1, MAX_HORIZON + 1)
    weight: Floats = independent / (independent + POOLED_WEIGHT)
    return weight


def track(forecaster: Forecaster, closes: Closes, days: int) -> Backtest:
    """Forecast each of the last `days` days from the 60 closes before it, with intervals that are calibrated on the days before.

    Args:
        forecaster: the model.
        closes: the symbol's newest closes.
        days: how many; fewer if there are not enough closes.

    Raises:
        InvalidClosesError: no day has 60 closes before it.
    """
    if len(closes) <= WINDOW:
        raise InvalidClosesError(f"{closes.symbol} has {len(closes)} closes; a track record needs {WINDOW + 1}.")
    first = max(WINDOW, len(closes) - days)
    result = backtest(forecaster, closes, first=str(closes.dates[first]))
    without = np.ones(len(result), bool)
    if forecaster.range_distribution is not None and result.ranges is not None:
        volatility = range_volatility(result.windows, result.ranges)
        without = np.isnan(volatility)
        _recalibrate(result, ~without, volatility, scores_of(closes.prices, closes.ranges), forecaster.range_distribution, first)
    if without.any():
        _recalibrate(result, without, window_volatility(result.windows), scores_of(closes.prices), forecaster.distribution, first)
    return result


def _recalibrate(
    result: Backtest, part: NDArray[np.bool_], volatility: Floats, scores: Floats, pooled: Distribution, first: int
) -> None:  # fmt: skip
    """Calibrate a part of a track record on the symbol's scores of the days before, and on the pool.

    Args:
        result: its first day is the close of the place `first` in the series.
        part: (n,) bool, the days that use this volatility.
        volatility: (n,) float64.
        scores: (m, MAX_HORIZON) float64, of the whole series, in units of the volatility.
        pooled: the distribution of the model, in the same units.
        first: place of the first day in the series.
    """
    for start in range(0, len(result), BLOCK_DAYS):
        rows = start + np.flatnonzero(part[start : start + BLOCK_DAYS])
        n_before = max(0, first + start - WINDOW - MAX_HORIZON + 1)  # scores that depend on no close of the block
        if len(rows):
            result.recalibrate(rows, volatility[rows], own_distribution(known(scores[:n_before]), pooled))
