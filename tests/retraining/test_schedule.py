"""When a nightly training is due and when the next run starts, by the calendar of the symbol's exchange."""

from datetime import UTC, datetime, timedelta

import pytest

from closes.series import last_final_day
from retraining.schedule import NEW_YORK, RUN_AT, due_symbols, newest_trading_day, next_run


@pytest.mark.parametrize(
    ("symbol", "final", "newest"),
    [
        ("MSFT", "2026-11-25", "2026-11-25"),
        ("MSFT", "2026-11-26", "2026-11-25"),  # Thanksgiving
        ("MSFT", "2026-11-29", "2026-11-27"),  # a Sunday
        ("VOD.L", "2026-11-26", "2026-11-26"),
        ("7203.T", "2026-11-23", "2026-11-20"),  # Labour Thanksgiving in Japan
        ("BTC-USD", "2026-11-29", "2026-11-29"),
    ],
)
def test_newest_trading_day_follows_the_exchange(symbol, final, newest):
    assert newest_trading_day(symbol, final) == newest


@pytest.mark.parametrize(
    ("trained_until", "final", "due"),
    [
        ({}, "2026-11-25", ["MSFT", "VOD.L"]),
        ({"MSFT": "2026-11-25", "VOD.L": "2026-11-25"}, "2026-11-25", []),
        ({"MSFT": "2026-11-25", "VOD.L": "2026-11-25"}, "2026-11-26", ["VOD.L"]),  # Thanksgiving
        ({"MSFT": "2026-11-27", "VOD.L": "2026-11-27"}, "2026-11-29", []),  # a weekend
        ({"MSFT": "2026-11-18", "VOD.L": "2026-11-27"}, "2026-11-28", ["MSFT"]),  # missed runs
    ],
)
def test_training_is_due_after_a_trading_day_that_it_did_not_have(trained_until, final, due):
    assert due_symbols(["MSFT", "VOD.L"], trained_until, final) == due


@pytest.mark.parametrize(
    ("symbols", "now", "run"),
    [
        (["MSFT"], "2026-11-25T18:00+00:00", "2026-11-25T20:15-05:00"),
        (["MSFT"], "2026-11-26T01:14+00:00", "2026-11-25T20:15-05:00"),
        (["MSFT"], "2026-11-26T01:15+00:00", "2026-11-27T20:15-05:00"),  # over Thanksgiving
        (["MSFT"], "2026-11-28T12:00+00:00", "2026-11-30T20:15-05:00"),  # a Saturday
        (["MSFT"], "2026-07-02T12:00+00:00", "2026-07-02T20:15-04:00"),  # summer time
        (["MSFT"], "2026-03-07T12:00+00:00", "2026-03-09T20:15-04:00"),  # the change to it
        (["MSFT", "BTC-USD"], "2026-11-28T12:00+00:00", "2026-11-28T20:15-05:00"),
    ],
)
def test_next_run_is_after_the_close_of_the_next_trading_day(symbols, now, run):
    found = next_run(symbols, datetime.fromisoformat(now))
    assert found == datetime.fromisoformat(run)
    assert (found.hour, found.minute) == (20, 15)


@pytest.mark.parametrize("day", ["2026-01-15", "2026-07-15", "2026-03-08", "2026-11-01"])
def test_close_of_the_day_is_final_at_the_time_of_the_run(monkeypatch, day):
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.combine(datetime.fromisoformat(day), RUN_AT).astimezone(tz)

    monkeypatch.setattr("closes.series.datetime", Clock)
    assert last_final_day() == day


def test_time_of_the_run_is_long_after_the_close_of_new_york():
    close = datetime(2026, 7, 15, 16, tzinfo=NEW_YORK)
    assert next_run(["MSFT"], close.astimezone(UTC)) - close >= timedelta(hours=4)
