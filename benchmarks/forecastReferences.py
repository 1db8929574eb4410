"""Quantiles of the next close as reference forecasts, and their scores on the days of a backtest."""

import warnings

import numpy as np

from closes.series import Floats
from forecast.intervals import LEVELS, PROBABILITIES, crps
from forecast.scores import coverage, winkler

REFIT_DAYS = 20  # trading days between two fits of GARCH
ENDS = np.array([0.025, 0.1, 0.9, 0.975])  # probabilities of the ends of the 80% and 95% intervals
NEAR = {80: 0.04, 95: 0.02}  # distance from a level that counts as near


def garch_quantiles(prices: Floats, first: int) -> Floats:
    """Compute the quantiles of GARCH(1,1) with Student-t errors and a constant mean, from the package arch.

    The model is fitted again every REFIT_DAYS on all earlier days; its variance is filtered every day.

    Args:
        prices: (n_days,) float64 closes, oldest first.
        first: place of the first day to forecast.

    Returns:
        (n_days - first, n_probabilities) float64 closes at PROBABILITIES, each row from the closes before it alone.

    Source: Bollerslev (1987), A conditionally heteroskedastic time series model for speculative prices and rates of return.
    """
    from arch import arch_model
    from scipy.stats import t as student_t

    returns = 100 * np.diff(np.log(prices))  # returns[i] belongs to day i + 1
    blocks = []
    for start in range(first - 1, len(returns), REFIT_DAYS):
        end = min(start + REFIT_DAYS, len(returns))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about convergence; the last parameters are good enough
            fitted = arch_model(returns[:start], mean="Constant", vol="GARCH", p=1, q=1, dist="t").fit(disp="off")
            filtered = arch_model(returns[:end], mean="Constant", vol="GARCH", p=1, q=1, dist="t").fix(fitted.params)
        mean, freedom = fitted.params["mu"], fitted.params["nu"]
        unit = np.sqrt((freedom - 2) / freedom) * student_t.ppf(PROBABILITIES, freedom)
        spread = np.asarray(filtered.conditional_volatility)[start:end]  # of each day, from the days before it
        blocks.append(mean + spread[:, None] * unit)
    quantiles: Floats = prices[first - 1 : -1, None] * np.exp(np.concatenate(blocks) / 100)
    return quantiles


def interval_of(quantiles: Floats, level: int) -> tuple[Floats, Floats]:
    """Return the lower and upper bounds (n,) of an interval.

    Args:
        quantiles: (n, n_probabilities) at PROBABILITIES, or (n, 4) at ENDS.
        level: percent.
    """
    probabilities = ENDS if quantiles.shape[1] == len(ENDS) else PROBABILITIES
    low, high = (int(np.argmin(np.abs(probabilities - (0.5 + side * level / 200)))) for side in (-1, 1))
    return quantiles[:, low], quantiles[:, high]


def interval_scores(actual: Floats, last_close: Floats, limits: dict[int, tuple[Floats, Floats]]) -> dict[str, float]:
    """Compute coverage_.. (fraction) and winkler_.. (fraction of the last close) of each level.

    Args:
        actual: (n,) float64 closes.
        last_close: (n,) float64, the closes before them.
        limits: for each level in percent the lower and upper bounds, each (n,) float64.
    """
    scores = {}
    for level, (low, high) in limits.items():
        scores[f"coverage_{level}"] = coverage(actual, low, high)
        scores[f"winkler_{level}"] = float(np.mean(winkler(actual, low, high, level) / last_close))
    return scores


def quantile_scores(actual: Floats, last_close: Floats, quantiles: Floats) -> dict[str, float]:
    """Compute the scores of interval_scores and, from quantiles at PROBABILITIES, crps (fraction of the last close).

    Args:
        actual: (n,) float64 closes.
        last_close: (n,) float64, the closes before them.
        quantiles: (n, n_probabilities) float64 closes at PROBABILITIES, or (n, 4) at ENDS.
    """
    scores = interval_scores(actual, last_close, {level: interval_of(quantiles, level) for level in LEVELS})
    if quantiles.shape[1] == len(PROBABILITIES):
        scores["crps"] = float(np.mean(crps(actual, quantiles) / last_close))
    return scores


def n_near(held: Floats, level: int) -> int:
    """Return how many coverages (n_stocks,), as fractions, are near a level in percent."""
    return int((np.abs(held - level / 100) <= NEAR[level]).sum())
