"""Predictive distributions: intervals, probabilities and proper scores from the quantiles of a calibration.

A distribution is a table of quantiles in units of the volatility of a window (calibration.py). Multiplied by the volatility of a new
window, they are log returns around its forecast. So an interval is wide after wild weeks and narrow after calm ones.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from closes.series import Floats
from forecast.volatility import unit

LEVELS: tuple[int, ...] = (80, 95)  # percent, of the intervals that every forecast has
MIN_LEVEL, MAX_LEVEL = 50.0, 99.0  # percent, that a request may ask for
MAX_HORIZON = 20  # trading days ahead
PROBABILITIES = np.arange(1, 200) / 200  # of the quantiles: intervals of every whole level end on one of them
MEDIAN = 99  # place of 0.5
MIN_GAP = 1e-9  # between two quantiles, for a density


class Distribution:
    """The quantiles of a calibration, in memory.

    Attributes:
        table: (MAX_HORIZON, n_probabilities) float64.
    """

    def __init__(self, quantiles: Sequence[Sequence[float]] | Floats) -> None:
        """Keep the quantiles of each step."""
        self.table: Floats = np.array(quantiles, np.float64)
        self._default = self._interpolate(LEVELS)

    def limits(self, levels: Sequence[float]) -> Floats:
        """Return the lower and the upper quantile of intervals, (n_levels, 2, MAX_HORIZON)."""
        return self._default if levels is LEVELS else self._interpolate(levels)

    def _interpolate(self, levels: Sequence[float]) -> Floats:
        """Return the quantiles at the ends of intervals; between two of PROBABILITIES in a straight line."""
        share = np.array(levels) / 100
        place = np.stack([(1 - share) / 2, (1 + share) / 2], axis=1) * 200 - 1  # (n_levels, 2)
        left = np.clip(np.floor(place + 1e-9).astype(int), 0, len(PROBABILITIES) - 2)
        weight = np.clip(place - left, 0, 1)[..., None]
        limits: Floats = (1 - weight) * self.table.T[left] + weight * self.table.T[left + 1]
        return limits


def bounds(
    volatility: Floats, predicted: Floats, distribution: Distribution, levels: Sequence[float] = LEVELS
) -> dict[float, tuple[Floats, Floats]]:
    """Compute the intervals around forecasts.

    Args:
        volatility: (n,) float64, of the windows that the forecasts were made from, see forecast/volatility.py.
        predicted: (n, horizon) float64 forecast closes.
        distribution: of the scores.
        levels: in percent, MIN_LEVEL to MAX_LEVEL.

    Returns:
        For each level the lower and upper bounds, each (n, horizon) float64, positive, in the windows' currency.
    """
    factors = np.exp(unit(volatility) * distribution.limits(levels)[:, :, None, : predicted.shape[1]])  # (n_levels, 2, n, horizon)
    return {level: (predicted * low, predicted * high) for level, (low, high) in zip(levels, factors, strict=True)}


def probability_above(volatility: Floats, predicted: Floats, prices: Sequence[float], distribution: Distribution) -> Floats:
    """Compute the probability that a close is above a price, for each forecast and each price.

    Args:
        volatility: (n,) float64, of the windows, see forecast/volatility.py.
        predicted: (n, horizon) float64 forecast closes.
        prices: m prices in the windows' currency.
        distribution: of the scores.

    Returns:
        (n, horizon, m) float64. Outside the quantiles nothing is known: the least is 0.005, the largest 0.995.
    """
    scores = np.log(np.array(prices) / predicted[..., None]) / unit(volatility)[..., None]
    to_be_above = PROBABILITIES[::-1]  # 1 - PROBABILITIES, without its rounding
    above = [np.interp(scores[:, step], row, to_be_above) for step, row in enumerate(distribution.table[: predicted.shape[1]])]
    return np.stack(above, axis=1)


def crps(actual: Floats, quantiles: Floats) -> Floats:
    """Compute the continuous ranked probability score (n,); smaller is better.

    Args:
        actual: (n,) float64 closes.
        quantiles: (n, n_probabilities) float64, of their distributions at PROBABILITIES, in the same currency.

    It is twice the mean pinball loss. Sources: Gneiting and Raftery (2007), Strictly proper scoring rules, prediction, and estimation,
    section 4.2; Laio and Tamea (2007), Verification tools for probabilistic forecasts, for the form with quantiles.
    """
    error = actual[:, None] - quantiles
    score: Floats = 2 * np.maximum(PROBABILITIES * error, (PROBABILITIES - 1) * error).mean(axis=1)
    return score


class Verification(NamedTuple):
    """Scores of distributions of the next closes, each (n,) float64.

    Attributes:
        crps: continuous ranked probability score, in the closes' currency; smaller is better.
        log_score: minus the logarithm of the density of the log return; smaller is better.
        pit: the probability that the distribution gave to a lower or equal close, 0 or 1 beyond its quantiles. Over many days it is uniform
            if the probabilities are reliable.
    """

    crps: Floats
    log_score: Floats
    pit: Floats


def verify(volatility: Floats, predicted: Floats, actual: Floats, distribution: Distribution) -> Verification:
    """Compare the distributions of the next closes with the actual ones.

    Args:
        volatility: (n,) float64, of the windows, in units of the distribution.
        predicted: (n,) float64 forecast next closes.
        actual: (n,) float64 next closes.
        distribution: of the scores.

    The density is constant between two quantiles; beyond the outermost ones the log score takes an exponential tail that continues it,
    which is an assumption.

    Sources: Gneiting and Raftery (2007), section 4.1, for the log score; Dawid (1984) for the probability integral transform.
    """
    scale, table = unit(volatility), distribution.table[0]
    score = np.log(actual / predicted) / scale[:, 0]
    gaps = np.maximum(np.diff(table), MIN_GAP)
    density = np.log((PROBABILITIES[1] - PROBABILITIES[0]) / gaps)[np.clip(np.searchsorted(table, score) - 1, 0, len(gaps) - 1)]
    tail = np.maximum((table[0] - score) / gaps[0], 0) + np.maximum((score - table[-1]) / gaps[-1], 0)
    pit = np.interp(score, table, PROBABILITIES, left=0.0, right=1.0)
    return Verification(crps(actual, predicted[:, None] * np.exp(scale * table)), np.log(scale[:, 0]) - density + tail, pit)
