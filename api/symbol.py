"""A symbol's own calibration and its track record, for GET /forecast and for the forecast that the page opens with."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from closes.series import Closes
from forecast.backtest import Backtest
from forecast.forecaster import Forecaster
from forecast.intervals import LEVELS, Distribution
from forecast.scores import coverage
from forecast.track import own_distribution, own_weight, track
from processData import WINDOW

TRACK_DAYS = 250  # of the track record, about a year


@dataclass(frozen=True)
class SymbolRecord:
    """A symbol's calibration and track record, made by one model from closes to one day.

    Attributes:
        distribution: of the scores of its next closes.
        calibration: what the distribution was made from, in the form of /forecast.
        track_record: in the form of /forecast; None if there are too few closes.
    """

    distribution: Distribution
    calibration: dict[str, Any]
    track_record: dict[str, Any] | None


def record_of(forecaster: Forecaster, closes: Closes) -> SymbolRecord:
    """Return the record of a symbol with at least 60 closes."""
    distribution, n_own = own_distribution(closes.prices, forecaster.distribution)
    pooled = forecaster.metadata.calibration
    calibration = {
        "own_scores": n_own,
        "own_weight": float(own_weight(n_own)[0]),
        "own_from": str(closes.dates[WINDOW]) if n_own else None,
        "own_to": closes.last_date if n_own else None,
        "pooled_symbols": pooled.symbols,
        "pooled_scores": pooled.n_scores,
        "pooled_from": str(pooled.first_date),
        "pooled_to": str(pooled.last_date),
    }
    track_record = summarise(track(forecaster, closes, TRACK_DAYS)) if len(closes) > WINDOW else None
    return SymbolRecord(distribution, calibration, track_record)


def summarise(result: Backtest) -> dict[str, Any]:
    """Return a track record in the form of /forecast: days, how many closes each interval held, RMSE divided by that of persistence."""
    errors, naive_errors = result.actual - result.predicted, result.actual - result.last_close
    naive = float(np.sqrt(np.mean(naive_errors**2)))
    return {
        "days": len(result),
        "first_date": str(result.dates[0]),
        "last_date": str(result.dates[-1]),
        "held": {str(level): round(coverage(result.actual, *result.bounds[level]) * len(result)) for level in LEVELS},
        "rmse_ratio": float(np.sqrt(np.mean(errors**2))) / naive if naive else None,
    }
