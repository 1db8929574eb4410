"""How far a close may be from its forecast: split-conformal intervals in units of a window's own volatility.

A forecast's error, as a log return, is divided by the volatility of the window that it was made from. The quantiles of these scores
over days that the network was not trained on (`calibrate`) times the volatility of a new window give its interval (`bounds`): wide
after wild weeks, narrow after calm ones, for any price and currency.

Source: Papadopoulos et al. (2002), Inductive confidence machines for regression; Lei et al. (2018), Distribution-free
predictive inference for regression, section 5.2 (locally weighted).
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from closes.series import Floats
from processData import WINDOW, make_windows

LEVELS = (80, 95)  # percent
MAX_HORIZON = 20  # trading days ahead
DECAYS = (0.80, 0.94)  # of two exponentially weighted means: the weight of a day against that of the day after it
SHARES = (0.35, 0.35, 0.30)  # of these two and of the plain mean
DOWN, UP = 1.5, 0.5  # what a day counts by the direction of its return: falls are followed by larger moves than rises
LONG_RUN_SHARE = 0.3  # of the volatility that is typical for the stock, against that of the window
MIN_VOLATILITY = 1e-9  # for series that are flat from end to end
SMOOTHED_STEPS = 2  # on either side, over which quantiles are averaged


@dataclass(frozen=True)
class Calibration:
    """What turns a window into an interval.

    Attributes:
        long_run_volatility: median volatility of the training windows, see window_volatility.
        quantiles: for each level in percent, (MAX_HORIZON,) float64: half the width of the interval of step 1, 2, ... in units of
            the window's volatility, as a log return.
        constant: for each level in percent, half the width, as a log return, of a band around the last close that is as wide on all days:
            the naive interval, for comparison.
        n_scores: scores that the quantiles come from.
    """

    long_run_volatility: float
    quantiles: dict[int, Floats]
    constant: dict[int, float]
    n_scores: int

    def as_dict(self) -> dict[str, Any]:
        """The form that metadata.json keeps."""
        quantiles = {str(level): values.tolist() for level, values in self.quantiles.items()}
        constant = {str(level): value for level, value in self.constant.items()}
        return {
            "long_run_volatility": self.long_run_volatility, "quantiles": quantiles, "constant": constant, "n_scores": self.n_scores,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """What `as_dict` gave."""
        quantiles = {level: np.array(content["quantiles"][str(level)], np.float64) for level in LEVELS}
        constant = {level: float(content["constant"][str(level)]) for level in LEVELS}
        return cls(content["long_run_volatility"], quantiles, constant, content["n_scores"])


def _weights(decay: float) -> Floats:
    """Weights (59,) of a window's returns, oldest first, that sum to one."""
    weights: Floats = decay ** np.arange(WINDOW - 2, -1, -1.0)
    weights /= weights.sum()
    return weights


_RECENT = SHARES[0] * _weights(DECAYS[0]) + SHARES[1] * _weights(DECAYS[1])
_SIZE = SHARES[2] * _weights(1.0) + (DOWN + UP) / 2 * _RECENT  # what a return's size counts
_DIRECTION = (UP - DOWN) / 2 * _RECENT  # what the return counts itself: a fall adds, a rise takes away


def window_volatility(windows: Floats) -> Floats:
    """How much a window moves in a day: means of its absolute log returns, recent days and falls counting more.

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
    # einsum, not @: a product of matrices rounds a row by what stands around it, and a batch must answer as its windows alone
    volatility: Floats = np.einsum("ij,j->i", np.abs(returns), _SIZE) + np.einsum("ij,j->i", returns, _DIRECTION)
    return volatility


def scale(volatility: Floats, long_run_volatility: float) -> Floats:
    """What the scores of windows with these volatilities (n,) are divided by (n,): shrunk towards the long run, never zero."""
    scaled: Floats = np.maximum((1 - LONG_RUN_SHARE) * volatility + LONG_RUN_SHARE * long_run_volatility, MIN_VOLATILITY)
    return scaled


def calibrate(windows: Floats, predicted: Floats, actual: Floats, history: Floats, long_run_volatility: float) -> Calibration:
    """Quantiles of the scores of forecasts that came true.

    Args:
        windows: (n, 60) float64, from days that the network was not trained on.
        predicted: (n,) float64, the next closes as forecast.
        actual: (n,) float64, the actual next closes.
        history: (n_days,) float64, all closes before the test, oldest first.
        long_run_volatility: see Calibration.

    Step 1: the ceil((n + 1) * level)-th smallest score; with n exchangeable scores, at least `level` of new ones lie within. Later steps:
    that quantile times how the quantile of persistence grows with the step over the whole history, since the days that the network
    was not trained on hold too few independent spans of 20 days; persistence has learnt nothing, so no day is unfair to it.
    """
    scores = np.abs(np.log(actual / predicted)) / scale(window_volatility(windows), long_run_volatility)
    moves = np.abs(np.log(actual / windows[:, -1]))
    growth = _growth(history, long_run_volatility)
    return Calibration(
        long_run_volatility=long_run_volatility,
        quantiles={level: _quantile(scores, level) * growth[level] for level in LEVELS},
        constant={level: float(_quantile(moves, level)) for level in LEVELS},
        n_scores=len(scores),
    )


def _quantile(scores: Floats, level: int) -> Floats:
    """The conformal quantile of scores (n,) or (n, horizon), over the first axis."""
    n = len(scores)
    quantile: Floats = np.sort(scores, axis=0)[min(int(np.ceil((n + 1) * level / 100)), n) - 1]
    return quantile


def _growth(history: Floats, long_run_volatility: float) -> dict[int, Floats]:
    """For each level, persistence's quantile of each step over that of the first (MAX_HORIZON,)."""
    windows, came = make_windows(history, MAX_HORIZON)
    scores = np.abs(np.log(came / windows[:, -1:])) / scale(window_volatility(windows), long_run_volatility)[:, None]
    quantiles = {level: _smooth(_quantile(scores, level)) for level in LEVELS}
    root = np.sqrt(np.arange(1, MAX_HORIZON + 1))  # for a series that never moves
    return {level: values / values[0] if values[0] > 0 else root for level, values in quantiles.items()}


def _smooth(quantiles: Floats) -> Floats:
    """Quantiles (horizon,), in units of the root of the step averaged over neighbouring steps; the first step stays as it is."""
    root = np.sqrt(np.arange(1, len(quantiles) + 1))
    unit = quantiles / root
    near = [unit[max(0, step - SMOOTHED_STEPS) : step + SMOOTHED_STEPS + 1].mean() for step in range(len(unit))]
    return np.concatenate([quantiles[:1], (root * near)[1:]])


def bounds(volatility: Floats, predicted: Floats, calibration: Calibration) -> dict[int, tuple[Floats, Floats]]:
    """The intervals around forecasts.

    Args:
        volatility: (n,) float64, of the windows that the forecasts were made from, see window_volatility.
        predicted: (n, horizon) float64 forecast closes.
        calibration: of the model that made the forecasts.

    Returns:
        For each level in percent the lower and upper bounds, each (n, horizon) float64, positive, in the windows' currency.
    """
    unit = scale(volatility, calibration.long_run_volatility)[:, None]
    horizon = predicted.shape[1]
    result = {}
    for level, quantiles in calibration.quantiles.items():
        factor = np.exp(unit * quantiles[:horizon])
        result[level] = (predicted / factor, predicted * factor)
    return result
