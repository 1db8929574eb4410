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

from processData import WINDOW, Floats

LEVELS = (80, 95)  # percent
MAX_HORIZON = 20  # trading days ahead
EWMA_DECAY = 0.97  # weight of a daily squared return against that of the day after it
SHRINKAGE = 0.2  # weight of the long-run volatility
MIN_VOLATILITY = 1e-9  # for series that are flat from end to end
_WEIGHTS = EWMA_DECAY ** np.arange(WINDOW - 2, -1, -1.0)
_WEIGHTS /= _WEIGHTS.sum()


@dataclass(frozen=True)
class Calibration:
    """What turns a window into an interval.

    Attributes:
        long_run_volatility: median volatility of the training windows, standard deviation of daily log returns.
        quantiles: for each level in percent, (MAX_HORIZON,) float64: half the width of the interval of step 1, 2, ... in units of
            the window's volatility, as a log return.
        n_scores: scores that the quantiles come from.
    """

    long_run_volatility: float
    quantiles: dict[int, Floats]
    n_scores: int

    def as_dict(self) -> dict[str, Any]:
        """The form that metadata.json keeps."""
        quantiles = {str(level): values.tolist() for level, values in self.quantiles.items()}
        return {"long_run_volatility": self.long_run_volatility, "quantiles": quantiles, "n_scores": self.n_scores}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """What `as_dict` gave."""
        quantiles = {level: np.array(content["quantiles"][str(level)], np.float64) for level in LEVELS}
        return cls(content["long_run_volatility"], quantiles, content["n_scores"])


def ewma_volatility(windows: Floats) -> Floats:
    """Exponentially weighted volatility of each window.

    Args:
        windows: (n, 60) float64 closes, oldest first.

    Returns:
        (n,) float64, standard deviation of daily log returns about zero; 0 for a flat window.

    Source: J.P. Morgan (1996), RiskMetrics technical document, section 5.2.
    """
    returns = np.diff(np.log(windows), axis=1)
    volatility: Floats = np.sqrt(returns**2 @ _WEIGHTS)
    return volatility


def scale(windows: Floats, long_run_volatility: float) -> Floats:
    """The volatility (n,) by which scores of these windows (n, 60) are divided: shrunk towards the long run, never zero."""
    volatility: Floats = np.maximum((1 - SHRINKAGE) * ewma_volatility(windows) + SHRINKAGE * long_run_volatility, MIN_VOLATILITY)
    return volatility


def calibrate(windows: Floats, predicted: Floats, actual: Floats, long_run_volatility: float) -> Calibration:
    """Quantiles of the scores of forecasts that came true.

    Args:
        windows: (n, 60) float64, from days that the network was not trained on.
        predicted: (n, MAX_HORIZON) float64 forecast closes.
        actual: (n, MAX_HORIZON) float64 closes.
        long_run_volatility: see Calibration.

    The quantile is the ceil((n + 1) * level)-th smallest score: with n exchangeable scores, at least `level` of new ones lie within.
    """
    scores = np.sort(np.abs(np.log(actual / predicted)) / scale(windows, long_run_volatility)[:, None], axis=0)
    n = len(scores)
    ranks = {level: min(int(np.ceil((n + 1) * level / 100)), n) - 1 for level in LEVELS}
    return Calibration(long_run_volatility, {level: scores[rank] for level, rank in ranks.items()}, n)


def bounds(windows: Floats, predicted: Floats, calibration: Calibration) -> dict[int, tuple[Floats, Floats]]:
    """The intervals around forecasts.

    Args:
        windows: (n, 60) float64 closes, oldest first.
        predicted: (n, horizon) float64 forecast closes.
        calibration: of the model that made the forecasts.

    Returns:
        For each level in percent the lower and upper bounds, each (n, horizon) float64, positive, in the windows' currency.
    """
    unit = scale(windows, calibration.long_run_volatility)[:, None]
    horizon = predicted.shape[1]
    result = {}
    for level, quantiles in calibration.quantiles.items():
        factor = np.exp(unit * quantiles[:horizon])
        result[level] = (predicted / factor, predicted * factor)
    return result
