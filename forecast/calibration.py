"""Calibration: conformal quantiles of the moves of many stocks, in units of the volatility of the window before each.

A score is a log return, from the last close of a window to a later close, divided by the volatility of the window. The quantiles of the
scores of many stocks, on days before the test, are the distribution for any price, currency and symbol: no constant belongs to one stock.

The scores are those of persistence, which repeats the last close. It is not trained, so all days before the test count.

Sources: Papadopoulos et al. (2002), Inductive confidence machines for regression; Lei et al. (2018), Distribution-free predictive inference
for regression, section 5.2 (locally weighted); Vovk et al. (2019), Nonparametric predictive distributions based on conformal prediction.
"""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from closes.series import Closes, Floats
from errors import InvalidClosesError
from forecast.intervals import LEVELS, MAX_HORIZON, MEDIAN, PROBABILITIES
from forecast.volatility import range_volatility, unit, window_volatility, windows_of_ranges
from processData import WINDOW, make_windows

Quantiles = Annotated[list[FiniteFloat], Field(min_length=len(PROBABILITIES), max_length=len(PROBABILITIES))]


class Pool(BaseModel):
    """Quantiles of the pooled scores of many series.

    Attributes:
        symbols: whose scores were pooled.
        first_date: first day with a score.
        last_date: last day that a score depends on.
        n_scores: number of scores of the first step.
        quantiles: for each of MAX_HORIZON steps the quantiles of the scores at PROBABILITIES minus their median, in
            units of the volatility.
    """

    model_config = ConfigDict(frozen=True)

    symbols: list[str]
    first_date: date
    last_date: date
    n_scores: int
    quantiles: Annotated[list[Quantiles], Field(min_length=MAX_HORIZON, max_length=MAX_HORIZON)]

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        """Check that quantiles increase."""
        if (np.diff(self.quantiles, axis=1) < 0).any():
            raise ValueError("quantiles must not decrease")
        return self


class Calibration(Pool):
    """What turns a volatility into a distribution, as in metadata.json: the scores of closes alone, and of daily ranges.

    Attributes:
        constant: for each level in percent, half the width, as a log return, of a band around the last close that has the same width on all
            days; for comparison only.
        ranges: the scores in units of the volatility from daily ranges; None in models of earlier versions, which do not use ranges.
    """

    constant: dict[int, FiniteFloat]
    ranges: Pool | None = None

    @model_validator(mode="after")
    def _check_levels(self) -> Self:
        """Check that there is a band for each level."""
        if set(self.constant) != set(LEVELS):
            raise ValueError(f"constant must have the levels {LEVELS}")
        return self


def scores_of(prices: Floats, ranges: Floats | None = None) -> Floats:
    """Return the scores of persistence on closes, oldest first.

    Args:
        prices: (n_days,) float64.
        ranges: (n_days, 3) float64 open, high and low, for scores in units of the volatility from ranges; windows without usable ranges
            have NaN.

    Returns:
        (n_days - 79, MAX_HORIZON) float64; none if there are too few closes.
    """
    if len(prices) < WINDOW + MAX_HORIZON:
        return np.empty((0, MAX_HORIZON))
    windows, actual = make_windows(prices, MAX_HORIZON)
    volatility = window_volatility(windows) if ranges is None else range_volatility(windows, windows_of_ranges(ranges)[: len(windows)])
    return np.log(actual / windows[:, -1:]) / unit(volatility)


def calibrate(pool: Sequence[Closes], moves: Floats, range_pool: Sequence[Closes] = ()) -> Calibration:
    """Calibrate on the scores of persistence over all days of a pool of series.

    Args:
        pool: series of closes; those that are too short for a score are left out.
        moves: (n,) float64, daily log returns that the constant band is calibrated on.
        range_pool: series with daily ranges, for the intervals from ranges; those without are left out. Without a score there are none.

    Raises:
        InvalidClosesError: no series is long enough.
    """
    own = _pool([(closes, scores_of(closes.prices)) for closes in pool])
    if own is None:
        raise InvalidClosesError(f"No series has the {WINDOW + MAX_HORIZON} closes that a calibration needs.")
    ranges = _pool([(closes, known(scores_of(closes.prices, closes.ranges))) for closes in range_pool if closes.ranges is not None])
    constant = dict(zip(LEVELS, np.sort(np.abs(moves))[_ranks(len(moves), np.array(LEVELS) / 100)].tolist(), strict=True))
    return Calibration(**own, constant=constant, ranges=None if ranges is None else Pool(**ranges))


def _pool(scored: Sequence[tuple[Closes, Floats]]) -> dict[str, Any] | None:
    """Return the content of a Pool of series and their scores; None if there are no scores."""
    scored = [(closes, scores) for closes, scores in scored if len(scores)]
    if not scored:
        return None
    scores = np.concatenate([scores for _, scores in scored])
    return {
        "symbols": [closes.symbol for closes, _ in scored],
        "first_date": min(date.fromisoformat(str(closes.dates[WINDOW])) for closes, _ in scored),
        "last_date": max(date.fromisoformat(closes.last_date) for closes, _ in scored),
        "n_scores": len(scores),
        "quantiles": [[float(f"{value:.6g}") for value in step] for step in quantiles_of(scores).T],
    }


def known(scores: Floats) -> Floats:
    """Return the scores (n, MAX_HORIZON) without those of windows that have no usable ranges."""
    return scores[~np.isnan(scores[:, 0])]


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
