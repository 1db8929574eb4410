"""Predictive distributions: conformal quantiles of many stocks, in units of the volatility of the window.

A score is a log return, from the last close of a window to a later close, divided by the volatility of the window. `calibrate` takes the
quantiles of the scores of many stocks, on days before the test. `bounds` multiplies them by the volatility of a new window. So an interval
is wide after wild weeks and narrow after calm ones, for any price, currency and symbol: no constant belongs to one stock.

The scores are those of persistence, which repeats the last close. It is not trained, so all days before the test count.

Sources: Papadopoulos et al. (2002), Inductive confidence machines for regression; Lei et al. (2018), Distribution-free predictive inference
for regression, section 5.2 (locally weighted); Vovk et al. (2019), Nonparametric predictive distributions based on conformal prediction.
"""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from closes.series import Closes, Floats
from errors import InvalidClosesError
from processData import WINDOW, make_windows

LEVELS: tuple[int, ...] = (80, 95)  # percent, of the intervals that every forecast has
MIN_LEVEL, MAX_LEVEL = 50.0, 99.0  # percent, that a request may ask for
MAX_HORIZON = 20  # trading days ahead
PROBABILITIES = np.arange(1, 200) / 200  # of the quantiles: intervals of every whole level end on one of them
MEDIAN = 99  # place of 0.5
DECAYS = (0.80, 0.94)  # of two exponentially weighted means: weight of a day divided by the weight of the day after
SHARES = (0.245, 0.245, 0.51)  # of these two means and of the plain mean
DOWN, UP = 1.5, 0.5  # weights of falls and of rises in the weighted means; falls are followed by larger moves
MIN_VOLATILITY = 1e-9  # of a flat window

Quantiles = Annotated[list[FiniteFloat], Field(min_length=len(PROBABILITIES), max_length=len(PROBABILITIES))]


class Calibration(BaseModel):
    """What turns a volatility into a distribution, as in metadata.json.

    Attributes:
        symbols: whose scores were pooled.
        first_date: first day with a score.
        last_date: last day that a score depends on.
        n_scores: number of scores of the first step.
        quantiles: for each of MAX_HORIZON steps the quantiles of the scores at PROBABILITIES minus their median, in
            units of the volatility.
        constant: for each level in percent, half the width, as a log return, of a band around the last close that has the same width on all
            days; for comparison only.
    """

    model_config = ConfigDict(frozen=True)

    symbols: list[str]
    first_date: date
    last_date: date
    n_scores: int
    quantiles: Annotated[list[Quantiles], Field(min_length=MAX_HORIZON, max_length=MAX_HORIZON)]
    constant: dict[int, FiniteFloat]

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Check that quantiles increase, and that there is a band for each level."""
        if (np.diff(self.quantiles, axis=1) < 0).any():
            raise ValueError("quantiles must not decrease")
        if set(self.constant) != set(LEVELS):
            raise ValueError(f"constant must have the levels {LEVELS}")
        return self


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


def _weights(decay: float) -> Floats:
    """Return weights (59,) of a window's returns, oldest first, that sum to one."""
    weights: Floats = decay ** np.arange(WINDOW - 2, -1, -1.0)
    weights /= weights.sum()
    return weights


_RECENT = SHARES[0] * _weights(DECAYS[0]) + SHARES[1] * _weights(DECAYS[1])
_SIZE = SHARES[2] * _weights(1.0) + (DOWN + UP) / 2 * _RECENT  # weight of the size of a return
_DIRECTION = (UP - DOWN) / 2 * _RECENT  # weight of the return itself: a fall adds, a rise subtracts


def window_volatility(windows: Floats) -> Floats:
    """Estimate the daily volatility of windows: a weighted mean of absolute log returns, in which recent days and falls count more.

    Args:
        windows: (n, 60) float64 closes, oldest first.

    Returns:
        (n,) float64, a typical absolute daily log return; 0 for a flat window.

    Source: absolute returns for volatility, Taylor (1986), Modelling financial time series; falls counting more, Black (1976); two
    decays and a plain mean, after the short and long components of Corsi (2009). The constants were chosen over the 20 stocks of the
    snapshot, on days before the test, with the exceptions that benchmarks/README.md names.
    """
    logs = np.log(windows)
    returns = logs[:, 1:] - logs[:, :-1]
    # einsum, not @: a matrix product rounds a row differently in a batch, and a batch must answer like its windows alone
    volatility: Floats = np.einsum("ij,j->i", np.abs(returns), _SIZE) + np.einsum("ij,j->i", returns, _DIRECTION)
    return volatility


def scores_of(prices: Floats) -> Floats:
    """Return the scores of persistence on closes (n_days,): (n_days - 79, MAX_HORIZON) float64, oldest first; none if they are too few."""
    if len(prices) < WINDOW + MAX_HORIZON:
        return np.empty((0, MAX_HORIZON))
    windows, actual = make_windows(prices, MAX_HORIZON)
    return np.log(actual / windows[:, -1:]) / _unit(window_volatility(windows))


def calibrate(pool: Sequence[Closes], moves: Floats) -> Calibration:
    """Calibrate on the scores of persistence over all days of a pool of series.

    Args:
        pool: series of closes; those that are too short for a score are left out.
        moves: (n,) float64, daily log returns that the constant band is calibrated on.

    Raises:
        InvalidClosesError: no series is long enough.
    """
    pool = [closes for closes in pool if len(closes) >= WINDOW + MAX_HORIZON]
    if not pool:
        raise InvalidClosesError(f"No series has the {WINDOW + MAX_HORIZON} closes that a calibration needs.")
    scores = np.concatenate([scores_of(closes.prices) for closes in pool])
    return Calibration(
        symbols=[closes.symbol for closes in pool],
        first_date=min(date.fromisoformat(str(closes.dates[WINDOW])) for closes in pool),
        last_date=max(date.fromisoformat(closes.last_date) for closes in pool),
        n_scores=len(scores),
        quantiles=[[float(f"{value:.6g}") for value in step] for step in quantiles_of(scores).T],
        constant=dict(zip(LEVELS, np.sort(np.abs(moves))[_ranks(len(moves), np.array(LEVELS) / 100)].tolist(), strict=True)),
    )


def quantiles_of(scores: Floats) -> Floats:
    """Return the conformal quantiles of scores (n, steps) at PROBABILITIES minus their median, (n_probabilities, steps).

    Ranks are rounded outwards from the median, as split-conformal prediction does. Without the median, the forecast is the median of
    its distribution: the network says how far prices drift, and the rise of the pooled stocks is not promised to others.
    """
    n, ordered = len(scores), np.sort(scores, axis=0)
    upper = _ranks(n, np.maximum(PROBABILITIES, 1 - PROBABILITIES))
    quantiles = ordered[np.where(PROBABILITIES < 0.5, n - 1 - upper, upper)]
    centred: Floats = quantiles - quantiles[MEDIAN]
    return centred


def _ranks(n: int, probabilities: Floats) -> NDArray[np.int64]:
    """Return the places, from 0, of the conformal quantiles among n sorted scores; the last place if there are too few."""
    ranks: NDArray[np.int64] = np.minimum(np.ceil((n + 1) * probabilities - 1e-9).astype(np.int64), n) - 1
    return ranks


def bounds(
    volatility: Floats, predicted: Floats, distribution: Distribution, levels: Sequence[float] = LEVELS
) -> dict[float, tuple[Floats, Floats]]:
    """Compute the intervals around forecasts.

    Args:
        volatility: (n,) float64, of the windows that the forecasts were made from, see window_volatility.
        predicted: (n, horizon) float64 forecast closes.
        distribution: of the scores.
        levels: in percent, MIN_LEVEL to MAX_LEVEL.

    Returns:
        For each level the lower and upper bounds, each (n, horizon) float64, positive, in the windows' currency.
    """
    factors = np.exp(_unit(volatility) * distribution.limits(levels)[:, :, None, : predicted.shape[1]])  # (n_levels, 2, n, horizon)
    return {level: (predicted * low, predicted * high) for level, (low, high) in zip(levels, factors, strict=True)}


def probability_above(volatility: Floats, predicted: Floats, prices: Sequence[float], distribution: Distribution) -> Floats:
    """Compute the probability that a close is above a price, for each forecast and each price.

    Args:
        volatility: (n,) float64, of the windows, see window_volatility.
        predicted: (n, horizon) float64 forecast closes.
        prices: m prices in the windows' currency.
        distribution: of the scores.

    Returns:
        (n, horizon, m) float64. Outside the quantiles nothing is known: the least is 0.005, the largest 0.995.
    """
    scores = np.log(np.array(prices) / predicted[..., None]) / _unit(volatility)[..., None]
    above = [1 - np.interp(scores[:, step], row, PROBABILITIES) for step, row in enumerate(distribution.table[: predicted.shape[1]])]
    return np.stack(above, axis=1)


def crps(volatility: Floats, predicted: Floats, actual: Floats, distribution: Distribution) -> Floats:
    """Compute the continuous ranked probability score of the next closes (n,), in their currency; smaller is better.

    Args:
        volatility: (n,) float64, of the windows, see window_volatility.
        predicted: (n,) float64 forecast next closes.
        actual: (n,) float64 next closes.
        distribution: of the scores.

    It is twice the mean pinball loss over PROBABILITIES. Source: Gneiting and Raftery (2007), Strictly proper scoring rules, prediction,
    and estimation, section 4.2; Laio and Tamea (2007) for the form with quantiles.
    """
    error = actual[:, None] - predicted[:, None] * np.exp(_unit(volatility) * distribution.table[0])
    scores: Floats = 2 * np.maximum(PROBABILITIES * error, (PROBABILITIES - 1) * error).mean(axis=1)
    return scores


def _unit(volatility: Floats) -> Floats:
    """Return the divisors (n, 1) of scores: the volatility (n,), never zero."""
    return np.maximum(volatility, MIN_VOLATILITY)[:, None]
