"""Random walks and a calibration with normal scores."""

import math
from datetime import date

import numpy as np
from scipy.special import ndtri

from closes.series import Closes, Floats
from forecast.calibration import Calibration
from forecast.intervals import MAX_HORIZON, PROBABILITIES
from forecast.volatility import DECAYS, DOWN, SHARES, UP
from processData import WINDOW


def wandering_windows(n: int, seed: int = 0, volatility: Floats | float = 0.02) -> Floats:
    """Windows (n, 60) of a random walk; `volatility` one for all or (n, 1)."""
    moves = np.random.default_rng(seed).normal(0, 1, (n, WINDOW)) * volatility
    windows: Floats = 100 * np.exp(moves.cumsum(axis=1))
    return windows


def plain_volatility(window: Floats) -> float:
    """The formula, return by return."""
    returns = [math.log(window[i + 1] / window[i]) for i in range(WINDOW - 1)]
    total = sum(SHARES[2] * abs(move) / len(returns) for move in returns)
    for share, decay in zip(SHARES[:2], DECAYS, strict=True):
        weights = [decay ** (len(returns) - 1 - i) for i in range(len(returns))]
        counted = [weight * abs(move) * (DOWN if move < 0 else UP) for weight, move in zip(weights, returns, strict=True)]
        total += share * sum(counted) / sum(weights)
    return total


def series(n_days: int, symbol: str = "X", seed: int = 0, volatility: float = 0.015) -> Closes:
    """A random walk."""
    prices = 50 * np.exp(np.random.default_rng(seed).normal(0, volatility, n_days).cumsum())
    return Closes(symbol, "csv", np.datetime64("2020-01-01") + np.arange(n_days), prices)


def normal_calibration() -> Calibration:
    """Normal scores, whose spread grows with the root of the step."""
    quantiles = np.sqrt(np.arange(1, MAX_HORIZON + 1))[:, None] * ndtri(PROBABILITIES)
    day = date(2020, 1, 2)
    return Calibration(
        symbols=["X"], first_date=day, last_date=day, n_scores=100, quantiles=quantiles.tolist(), constant={80: 0.02, 95: 0.04}
    )
