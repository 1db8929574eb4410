"""The age of closes: when they are called old."""

from datetime import UTC, datetime

import numpy as np
import pytest

from closes import age
from closes.series import Closes
from closes.symbols import UNNAMED


@pytest.mark.parametrize(
    ("symbol", "last", "today", "warned"),
    [
        ("MSFT", "2026-11-25", "2026-11-28", False),  # Thanksgiving on the 26th
        ("MSFT", "2026-11-25", "2026-11-30", False),
        ("MSFT", "2026-11-25", "2026-12-01", True),
        ("BTC-USD", "2026-11-25", "2026-11-27", False),
        ("BTC-USD", "2026-11-25", "2026-11-28", True),
        ("ABC.QQ", "2026-11-25", "2026-12-01", False),  # its holidays are unknown
        ("ABC.QQ", "2026-11-25", "2026-12-02", True),
        (UNNAMED, "2026-11-25", "2026-12-01", False),  # a file: Thanksgiving counts
        (UNNAMED, "2026-11-25", "2026-12-02", True),
    ],
)
def test_closes_are_old_after_some_trading_days(monkeypatch, symbol, last, today, warned):
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.fromisoformat(today).replace(tzinfo=tz)

    monkeypatch.setattr(age, "datetime", Clock)
    days = np.array([np.datetime64(last) - 1, np.datetime64(last)])
    warnings = age.age_warnings(Closes(symbol, "yahoo", days, np.array([1.0, 2.0])))
    assert [warning.code for warning in warnings] == ["old_data"] * warned


@pytest.mark.parametrize(
    ("step", "days_ago", "warned"),
    [(7, 14, False), (7, 28, True), (31, 70, False), (31, 100, True)],
    ids=["week", "weeks", "month", "months"],
)
def test_weekly_and_monthly_closes_are_old_later(step, days_ago, warned):
    today = np.datetime64(datetime.now(UTC).date())
    days = today - days_ago - step * np.arange(60)[::-1]
    assert bool(age.age_warnings(Closes(UNNAMED, "csv", days, np.linspace(1, 2, 60)))) == warned
