"""A symbol's own calibration and its track record, for GET /forecast and for the forecast that the page opens with."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from closes.series import Closes
from forecast.backtest import Backtest
from forecast.forecaster import Forecast, Forecaster, Question
from forecast.intervals import LEVELS, Distribution, scores_of
from forecast.scores import coverage
from forecast.track import MIN_OWN_SCORES, own_distribution, own_weight, track
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
    scores = scores_of(closes.prices)
    n_own = len(scores) if len(scores) >= MIN_OWN_SCORES else 0
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
    return SymbolRecord(own_distribution(scores, forecaster.distribution), calibration, track_record)


def forecast_symbol(forecaster: Forecaster, record: SymbolRecord, closes: Closes, horizon: int) -> Forecast:
    """Forecast the closes after a symbol's newest ones, with the symbol's own calibration."""
    return forecaster.forecast(closes.prices[None, -WINDOW:], horizon).calibrated(record.distribution)


def content_of(forecast: Forecast, record: SymbolRecord, closes: Closes, question: Question, shown: int) -> dict[str, Any]:
    """Return a symbol's forecast in the form of /forecast, with the newest `shown` closes."""
    content = {"symbol": closes.symbol, "as_of": closes.last_date, "source": closes.source, **forecast.as_dict(0, question)}
    content |= {"calibration": record.calibration, "track_record": record.track_record}
    if shown:
        content |= {"dates": np.datetime_as_string(closes.dates[-shown:]).tolist(), "closes": closes.prices[-shown:].tolist()}
    return content


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
