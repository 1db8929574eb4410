"""Prediction intervals: split-conformal, in units of the volatility of the window.

A score is the error of a forecast, as a log return, divided by the volatility of its window. `calibrate` takes the quantiles of the scores
on days that the network was not trained on. `bounds` multiplies them by the volatility of a new window. So an interval is wide after wild
weeks and narrow after calm ones, for any price and currency.

Source: Papadopoulos et al. (2002), Inductive confidence machines for regression; Lei et al. (2018), Distribution-free
predictive inference for regression, section 5.2 (locally weighted).
"""

from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator

from closes.series import Floats
from processData import WINDOW, make_windows

LEVELS = (80, 95)  # percent
MAX_HORIZON = 20  # trading days ahead
DECAYS = (0.80, 0.94)  # of two exponentially weighted means: weight of a day divided by the weight of the day after
SHARES = (0.35, 0.35, 0.30)  # of these two means and of the plain mean
DOWN, UP = 1.5, 0.5  # weights of falls and of rises; falls are followed by larger moves
LONG_RUN_SHARE = 0.3  # of the stock's typical volatility; the rest is that of the window
MIN_VOLATILITY = 1e-9  # of a flat window
SMOOTHED_STEPS = 2  # neighbours on either side that a quantile is averaged with


Quantiles = Annotated[list[Annotated[FiniteFloat, Field(ge=0)]], Field(min_length=MAX_HORIZON, max_length=MAX_HORIZON)]


class Calibration(BaseModel):
    """What turns a volatility into an interval, as in metadata.json.

    Attributes:
        long_run_volatility: median volatility of the training windows, see window_volatility.
        quantiles: for each level in percent half the width of the interval of each of MAX_HORIZON steps, as a log return, in units of the
            volatility.
        constant: for each level in percent, half the width, as a log return, of a band around the last close that has the same width on all
            days; for comparison.
        n_scores: number of scores that the quantiles come from.
    """

    model_config = ConfigDict(frozen=True)

    long_run_volatility: Annotated[FiniteFloat, Field(ge=0)]
    quantiles: dict[int, Quantiles]
    constant: dict[int, FiniteFloat]
    n_scores: int

    @field_validator("quantiles", "constant")
    @classmethod
    def _has_levels(cls, values: dict[int, Any]) -> dict[int, Any]:
        """Check that there is a value for each level."""
        if set(values) != set(LEVELS):
            raise ValueError(f"must have the levels {LEVELS}")
        return values


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


def scale(volatility: Floats, long_run_volatility: float) -> Floats:
    """Return the divisors (n,) of the scores of windows with these volatilities (n,): shrunk towards the long run, never zero."""
    scaled: Floats = np.maximum((1 - LONG_RUN_SHARE) * volatility + LONG_RUN_SHARE * long_run_volatility, MIN_VOLATILITY)
    return scaled


def calibrate(windows: Floats, predicted: Floats, actual: Floats, history: Floats, long_run_volatility: float) -> Calibration:
    """Calibrate on forecasts whose actual closes are known.

    Args:
        windows: (n, 60) float64, from days that the network was not trained on.
        predicted: (n,) float64, the forecast next closes.
        actual: (n,) float64, the actual next closes.
        history: (n_days,) float64, all closes before the test, oldest first.
        long_run_volatility: see Calibration.

    Step 1 uses the ceil((n + 1) * level)-th smallest score: if scores are exchangeable, at least `level` of new ones are within it. Later
    steps multiply it by the growth of persistence's quantile with the step over the whole history: the days that the network was not
    trained on have too few independent spans of 20 days. Persistence, which repeats the last close, is not trained, so all days count.
    """
    scores = np.abs(np.log(actual / predicted)) / scale(window_volatility(windows), long_run_volatility)
    moves = np.abs(np.log(actual / windows[:, -1]))
    growth = _growth(history, long_run_volatility)
    return Calibration(
        long_run_volatility=long_run_volatility,
        quantiles={level: (_quantile(scores, level) * growth[level]).tolist() for level in LEVELS},
        constant={level: float(_quantile(moves, level)) for level in LEVELS},
        n_scores=len(scores),
    )


def _quantile(scores: Floats, level: int) -> Floats:
    """Return the conformal quantile of scores (n,) or (n, horizon) over the first axis."""
    n = len(scores)
    quantile: Floats = np.sort(scores, axis=0)[min(int(np.ceil((n + 1) * level / 100)), n) - 1]
    return quantile


def _growth(history: Floats, long_run_volatility: float) -> dict[int, Floats]:
    """Return, for each level, persistence's quantile of each step divided by that of the first step (MAX_HORIZON,)."""
    windows, actual = make_windows(history, MAX_HORIZON)
    scores = np.abs(np.log(actual / windows[:, -1:])) / scale(window_volatility(windows), long_run_volatility)[:, None]
    quantiles = {level: _smooth(_quantile(scores, level)) for level in LEVELS}
    root = np.sqrt(np.arange(1, MAX_HORIZON + 1))  # for a series that never moves
    return {level: values / values[0] if values[0] > 0 else root for level, values in quantiles.items()}


def _smooth(quantiles: Floats) -> Floats:
    """Average quantiles (horizon,), in units of the root of the step, over neighbouring steps; the first step is unchanged."""
    root = np.sqrt(np.arange(1, len(quantiles) + 1))
    unit = quantiles / root
    near = [unit[max(0, step - SMOOTHED_STEPS) : step + SMOOTHED_STEPS + 1].mean() for step in range(len(unit))]
    return np.concatenate([quantiles[:1], (root * near)[1:]])


def bounds(volatility: Floats, predicted: Floats, calibration: Calibration) -> dict[int, tuple[Floats, Floats]]:
    """Compute the intervals around forecasts.

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
        factor = np.exp(unit * np.array(quantiles[:horizon]))
        result[level] = (predicted / factor, predicted * factor)
    return result
