"""The age of closes in trading days, and a warning if they are old."""

from datetime import UTC, datetime

import numpy as np

from closes.calendar import WEEKDAYS, calendar_of
from closes.series import Closes, median_gap
from closes.warnings import OLD_DATA, SeriesWarning

OLD_DAYS = 2  # trading days; Yahoo Finance may have a close a day late
OLD_WEEKDAYS = 4  # the same where holidays are not known
OLD_GAPS = 2  # of closes that are weekly, monthly or rarer: times the median gap


def age_warnings(closes: Closes) -> list[SeriesWarning]:
    """Return a warning if the last close is more than a few trading days old. Days are weekdays if the exchange is not known."""
    calendar = calendar_of(closes.symbol, closes.exchange)
    days = calendar.age(closes.dates[-1], np.datetime64(datetime.now(UTC).date()))
    gap = median_gap(closes.dates.astype("datetime64[s]").astype(np.int64)) or 0
    if days <= max(OLD_WEEKDAYS if calendar.name == WEEKDAYS else OLD_DAYS, OLD_GAPS * gap):
        return []
    unit = "weekdays" if calendar.name == WEEKDAYS else "trading days"
    return [SeriesWarning(OLD_DATA, closes.last_date, f"The last close is from {closes.last_date}, {days:,} {unit} ago.")]
