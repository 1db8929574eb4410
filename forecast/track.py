"""A symbol's own calibration and its track record, from its newest closes.

The quantiles of the symbol's own scores are averaged with the pooled ones. With n own scores, the own quantiles of a step of h days have
the weight m / (m + 300), where m = n / h is about the number of scores that do not overlap. benchmarks/README.md has the validation.

The track record is what the model would have forecast on each of the last days. Its intervals are calibrated on the days before.
"""

import numpy as np

from closes.series import Closes, Floats
from errors import InvalidClosesError
from forecast.backtest import Backtest
from forecast.forecaster import Forecaster
from forecast.intervals import LEVELS, MAX_HORIZON, Distribution, bounds, crps, quantiles_of, scores_of, window_volatility
from processData import WINDOW

POOLED_WEIGHT = 300  # own scores that weigh as much as the pool
MIN_OWN_SCORES = 60  # fewer are not used
BLOCK_DAYS = 25  # of the track record that share a calibration


def own_distribution(prices: Floats, pooled: Distribution) -> tuple[Distribution, int]:
    """Average a symbol's own quantiles with the pooled ones.

    Args:
        prices: (n_days,) float64, the symbol's closes, oldest first.
        pooled: the distribution of the model.

    Returns:
        The distribution, and the number of own scores in it; 0 if there are too few, then it is the pooled one.
    """
    n = len(prices) - WINDOW - MAX_HORIZON + 1
    if n < MIN_OWN_SCORES:
        return pooled, 0
    weight = own_weight(n)[:, None]
    return Distribution(weight * quantiles_of(scores_of(prices)).T + (1 - weight) * pooled.table), n


def own_weight(n: int) -> Floats:
    """Return the weight of a symbol's own quantiles at each step (MAX_HORIZON,) with n own scores."""
    independent = n / np.arange(1, MAX_HORIZON + 1)
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
    n = len(closes)
    if n <= WINDOW:
        raise InvalidClosesError(f"{closes.symbol} has {n} closes; a track record needs {WINDOW + 1}.")
    first = max(WINDOW, n - days)
    windows = np.lib.stride_tricks.sliding_window_view(closes.prices, WINDOW)[first - WINDOW : n - WINDOW].copy()
    predicted = forecaster.forecast(windows).prices
    volatility = window_volatility(windows)
    limits: dict[int, tuple[list[Floats], list[Floats]]] = {level: ([], []) for level in LEVELS}
    scores: list[Floats] = []
    for start in range(0, len(windows), BLOCK_DAYS):
        block = slice(start, start + BLOCK_DAYS)
        distribution, _ = own_distribution(closes.prices[: first + start], forecaster.distribution)
        scores.append(crps(volatility[block], predicted[block, 0], closes.prices[first:][block], distribution))
        found = bounds(volatility[block], predicted[block], distribution)
        for level, (lows, highs) in limits.items():
            lows.append(found[level][0][:, 0])
            highs.append(found[level][1][:, 0])
    return Backtest(
        dates=closes.dates[first:],
        windows=windows,
        actual=closes.prices[first:],
        predicted=predicted[:, 0],
        bounds={level: (np.concatenate(low), np.concatenate(high)) for level, (low, high) in limits.items()},
        crps=np.concatenate(scores),
        constant=forecaster.metadata.calibration.constant,
    )
