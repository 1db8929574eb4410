"""Warnings about a series of closes or a forecast made from it.

A warning is not an error: the forecast is still returned. Programs switch on `code`; people read `text`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

POSSIBLE_SPLIT = "possible_split"  # a close is about half or twice the close before it, or even further from it
POSSIBLE_UNIT_CHANGE = "possible_unit_change"  # a close is about 100 times or a hundredth of the close before it: pounds and pence
MISSING_DAYS = "missing_days"  # more than a week without closes
NOT_DAILY = "not_daily"  # the closes are of hours, weeks or months
FUTURE_DATES = "future_dates"  # the last close is of a day that has not begun
UNKNOWN_DATES = "unknown_dates"  # a price file without dates
SUSPICIOUS_COLUMN = "suspicious_column"  # adjusted closes jump on a day on which the plain ones do not
OLD_DATA = "old_data"  # the last close is more than a few trading days old
SOURCE_FALLBACK = "source_fallback"  # Yahoo Finance failed; the closes come from the cache or the snapshot
UNLIKE_TRAINING_RANGE = "unlike_training_range"  # closes further from the last close than any in training
UNLIKE_TRAINING_VOLATILITY = "unlike_training_volatility"  # volatility outside the range seen in training
UNKNOWN_CALENDAR = "unknown_calendar"  # the trading days of the symbol's exchange are not known
UNUSABLE_RANGES = "unusable_ranges"  # open, high and low cannot be used; the intervals come from the closes alone
UNTRUSTED_MODEL = "untrusted_model"  # the published model of the symbol cannot be trusted; another one answers
BEYOND_CALIBRATION = "beyond_calibration"  # a price in `above` is outside the calibrated range
OF_DAILY = (UNLIKE_TRAINING_RANGE, UNLIKE_TRAINING_VOLATILITY)  # compare a window with the daily closes of training


@dataclass(frozen=True)
class SeriesWarning:
    """A reason to trust a forecast less.

    Attributes:
        code: one of the constants of this module.
        day: the day that the warning is about, ISO 8601; None if it is about no single day or the days are unknown.
        text: one sentence for people.
    """

    code: str
    day: str | None
    text: str

    def as_dict(self) -> dict[str, Any]:
        """Return the form used in JSON."""
        return asdict(self)


def together(series: Sequence[SeriesWarning], window: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the warnings about a series and those about its window, in the form used in JSON."""
    return [warning.as_dict() for warning in series] + of_window(window, series)


def of_window(warnings: list[dict[str, Any]], series: Sequence[SeriesWarning]) -> list[dict[str, Any]]:
    """Return the warnings about a window, in the form used in JSON, that apply to its series.

    If the series is not daily, which is a warning of its own, the comparison with daily closes says nothing and is left out.
    """
    if all(warning.code != NOT_DAILY for warning in series):
        return warnings
    return [warning for warning in warnings if warning["code"] not in OF_DAILY]
