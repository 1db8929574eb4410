"""A symbol's own calibration and its track record, for GET /forecast and for the forecast that the page opens with."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from closes.calendar import calendar_of
from closes.series import Closes, Floats, jump_warnings
from closes.warnings import POSSIBLE_SPLIT, POSSIBLE_UNIT_CHANGE, SeriesWarning
from forecast.backtest import Backtest
from forecast.calibration import Pool, known, scores_of
from forecast.forecaster import Forecast, Forecaster, Question, unusable
from forecast.intervals import LEVELS, Distribution
from forecast.scores import coverage, rmse_ratio
from forecast.track import MIN_OWN_SCORES, own_distribution, own_weight, track
from forecast.volatility import range_volatility, window_volatility
from processData import WINDOW

TRACK_DAYS = 250  # of the track record, about a year


@dataclass(frozen=True)
class SymbolRecord:
    """A symbol's calibration and track record, made by one model from closes to one day.

    Attributes:
        volatility: (1,) float64, of the newest window.
        distribution: of the scores of its next closes, in units of the volatility.
        calibration: what the distribution was made from, in the form of /forecast.
        track_record: in the form of /forecast; None if there are too few closes.
        warnings: why daily ranges are not used, if there are any.
    """

    volatility: Floats
    distribution: Distribution
    calibration: dict[str, Any]
    track_record: dict[str, Any] | None
    warnings: list[SeriesWarning]


def record_of(forecaster: Forecaster, closes: Closes, past: Backtest | None = None) -> SymbolRecord:
    """Return the record of a symbol with at least 60 closes.

    Args:
        forecaster: the model.
        closes: of the symbol.
        past: its track record over TRACK_DAYS, if it is known already.
    """
    window, ranges = closes.prices[None, -WINDOW:], closes.ranges
    pool: Pool = forecaster.metadata.calibration
    range_pool = forecaster.metadata.calibration.ranges
    warnings = []
    if ranges is not None and (faults := forecaster.faults_of(window[0], ranges[-WINDOW:])):
        ranges, warnings = None, [unusable(faults)]
    if ranges is None or range_pool is None or forecaster.range_distribution is None:
        volatility, every, pooled = window_volatility(window), scores_of(closes.prices), forecaster.distribution
    else:
        volatility, every = range_volatility(window, ranges[None, -WINDOW:]), scores_of(closes.prices, ranges)
        pool, pooled = range_pool, forecaster.range_distribution
    scores = known(every)
    n_own = len(scores) if len(scores) >= MIN_OWN_SCORES else 0
    calibration = {
        "volatility": "closes" if ranges is None else "ranges",
        "own_scores": n_own,
        "own_weight": float(own_weight(n_own)[0]),
        "own_from": str(closes.dates[WINDOW + np.flatnonzero(~np.isnan(every[:, 0]))[0]]) if n_own else None,
        "own_to": closes.last_date if n_own else None,
        "pooled_symbols": pool.symbols,
        "pooled_scores": pool.n_scores,
        "pooled_from": str(pool.first_date),
        "pooled_to": str(pool.last_date),
    }
    if past is None and len(closes) > WINDOW:
        past = track(forecaster, closes, TRACK_DAYS)
    return SymbolRecord(volatility, own_distribution(scores, pooled), calibration, summarise(past) if past else None, warnings)


def forecast_symbol(forecaster: Forecaster, record: SymbolRecord, closes: Closes, horizon: int) -> Forecast:
    """Forecast the closes after a symbol's newest ones, with the symbol's own calibration."""
    return forecaster.forecast(closes.prices[None, -WINDOW:], horizon).calibrated(record.distribution, record.volatility)


def content_of(forecast: Forecast, record: SymbolRecord, closes: Closes, question: Question, shown: int) -> dict[str, Any]:
    """Return a symbol's forecast in the form of /forecast, with the newest `shown` closes."""
    calendar = calendar_of(closes.symbol, closes.exchange)
    content = {"symbol": closes.symbol, "as_of": closes.last_date, "source": closes.source, **forecast.as_dict(0, question)}
    warnings = list(record.warnings)
    if question.with_path:
        days = calendar.days_after(closes.dates[-1], len(content["path"]))
        content["path"] = [{"step": step["step"], "date": str(day)} | step for step, day in zip(content["path"], days, strict=True)]
        warnings += [warning] if (warning := calendar.warning(closes.symbol, days[-1])) else []
    content["warnings"] += [warning.as_dict() for warning in warnings]
    content |= {"probability_of_rise": forecast.probability_of_rise(0), "calendar": calendar.name}
    content |= {"calibration": record.calibration, "track_record": record.track_record}
    if shown:
        content |= {"dates": np.datetime_as_string(closes.dates[-shown:]).tolist(), "closes": closes.prices[-shown:].tolist()}
    return content


def with_days(warnings: list[dict[str, Any]], closes: Closes) -> list[dict[str, Any]]:
    """Return the warnings about the newest window of a series with the days of jumps, which the model does not know."""
    jumps = jump_warnings(closes.prices[-WINDOW:], closes.dates[-WINDOW:])
    others = (warning for warning in warnings if warning["code"] not in (POSSIBLE_SPLIT, POSSIBLE_UNIT_CHANGE))
    return [*others, *(jump.as_dict() for jump in jumps)]


def summarise(result: Backtest) -> dict[str, Any]:
    """Return a track record in the form of /forecast.

    It has the days, how many closes each interval held, its median width relative to the last close, and the RMSE divided by that of
    persistence.
    """
    ratio = rmse_ratio(result.actual, result.predicted, result.last_close)
    return {
        "days": len(result),
        "first_date": str(result.dates[0]),
        "last_date": str(result.dates[-1]),
        "held": {str(level): round(coverage(result.actual, *result.bounds[level]) * len(result)) for level in LEVELS},
        "median_width": {str(level): float(np.median((high - low) / result.last_close)) for level, (low, high) in result.bounds.items()},
        "rmse_ratio": ratio if np.isfinite(ratio) else None,
    }
