"""When a nightly training is due: a trading day is final, and the last training did not have it.

A run starts at 20:15 New York time. New York closes at 16:00, and its extended trading ends at 20:00. At 20:15 it is past midnight in UTC,
in summer and in winter, so the close of this day is final (see closes/series.py), also for exchanges further east.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from closes.calendar import calendar_of

NEW_YORK = ZoneInfo("America/New_York")
RUN_AT = time(20, 15, tzinfo=NEW_YORK)  # deploy/retrain.timer has the same time


def newest_trading_day(symbol: str, final: str) -> str:
    """Return the newest trading day of a symbol's exchange up to `final`, the last day whose close is final (ISO dates)."""
    return str(np.busday_offset(np.datetime64(final, "D"), 0, roll="backward", busdaycal=calendar_of(symbol).days))


def due_symbols(symbols: Iterable[str], trained_until: Mapping[str, str], final: str) -> list[str]:
    """Return the symbols that have a newer final trading day than their last training.

    Args:
        symbols: in capitals.
        trained_until: the last close that each symbol's last training had, ISO dates; a symbol without one is due.
        final: the last day whose close is final, ISO date.
    """
    return [symbol for symbol in symbols if newest_trading_day(symbol, final) > trained_until.get(symbol, "")]


def next_run(symbols: Iterable[str], now: datetime) -> datetime:
    """Return when the next run starts, in New York time: after the close of the next day on which one of the symbols is traded.

    Args:
        symbols: in capitals, at least one.
        now: an aware time.
    """
    local = now.astimezone(NEW_YORK)
    earliest = local.date() if local < datetime.combine(local.date(), RUN_AT) else local.date() + timedelta(days=1)
    days = (np.busday_offset(np.datetime64(earliest), 0, roll="forward", busdaycal=calendar_of(symbol).days) for symbol in symbols)
    return datetime.combine(date.fromisoformat(str(min(days))), RUN_AT)


def now_utc() -> datetime:
    """Return the present time, in UTC."""
    return datetime.now(UTC)
